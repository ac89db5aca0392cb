"""Mode "hybrid" on a real mount over the fake Immich: the server's previews answer what they can."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps, ImageStat

from tests.fakes.faults import Effect
from tests.fakes.immich import ImmichServer, immich
from tests.harness.immich_plugin import PYTHONPATH
from tests.harness.mount import Mount, Program, mounted
from tests.mount.observing import drop_kernel_caches, errno_of, eventually

ORIGINALS = r"/original\?|/original$|size=fullsize|/video/playback"
PREVIEWS = r"/thumbnail"
CLOSE = 6.0
"""Of 255, on the average: the server's lossy step lies between."""
TURNED = 6


@pytest.fixture
def server() -> Iterator[ImmichServer]:
    with immich("3.1.0") as server:
        yield server


@contextmanager
def mounted_home(
    folder: Path, server: ImmichServer, *expected: str, mode: str = "hybrid", cache: str = "cache"
) -> Iterator[Mount]:
    """The account `home`, of the fake."""
    folder.mkdir(exist_ok=True)
    (folder / "unused").mkdir(exist_ok=True)
    config = folder / "config.toml"
    config.write_text(
        f'[cache]\npath = "{folder}/{cache}"\nsize = "1 GiB"\n[state]\npath = "{folder}/state"\n'
        f'[account.home]\nprovider = "immich"\nurl = "{server.url}"\naccess = "read"\nmode = "{mode}"\n'
    )
    environ = {"PYTHONPATH": PYTHONPATH, "IIIFFS_CREDENTIALS_HOME": json.dumps({"api_key": server.key})}
    with mounted(folder, folder / "unused", config=config, program=Program(environment=environ)) as mount:
        mount.expected += expected
        yield mount


def service(mount: Mount, asset: str) -> Path:
    return mount.root / "home" / "iiif" / "3" / asset


def photo(size: tuple[int, int], orientation: int | None = None) -> bytes:
    """A picture that looks different everywhere; stored turned if it has an orientation."""
    noise = Image.effect_noise((16, 12), 120).resize(size, Image.Resampling.BICUBIC)
    slope = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", (noise, slope, slope.transpose(Image.Transpose.ROTATE_90).resize(size)))
    draw = ImageDraw.Draw(image)
    for step in range(1, 8):
        side = size[0] * step // 16
        draw.rectangle((side, side, side + size[0] // 20, side + size[1] // 30), fill=(255, 255 - 30 * step, 0))
    image = image.filter(ImageFilter.GaussianBlur(2))
    exif = Image.Exif()
    if orientation == TURNED:
        exif[0x0112] = TURNED
        image = image.transpose(Image.Transpose.ROTATE_90)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def difference(answer: bytes, data: bytes, region: tuple[int, int, int, int] | None, size: tuple[int, int]) -> float:
    """The mean difference from what Pillow alone makes of the original."""
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    left, top, width, height = region or (0, 0, *upright.size)
    wanted = upright.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.LANCZOS)
    told = Image.open(io.BytesIO(answer)).convert("RGB")
    assert told.size == size
    means: list[float] = ImageStat.Stat(ImageChops.difference(told, wanted)).mean
    return max(means)


def test_a_page_of_two_hundred_photos_fetches_no_original(tmp_path: Path, server: ImmichServer) -> None:
    album = server.add_album("Trip")
    ids = [server.add_asset(f"IMG_{number}.jpg", size_px=(2400, 1600), album=album).id for number in range(200)]
    with mounted_home(tmp_path, server) as mount:
        for asset in ids:
            assert (service(mount, asset) / "info.json").stat().st_size > 0
            for size, pixels in (("250,", (250, 167)), ("!400,400", (400, 267))):
                with Image.open(service(mount, asset) / "full" / size / "0" / "default.jpg") as image:
                    assert image.size == pixels
        assert server.requests.count(ORIGINALS) == 0
        assert server.requests.count(PREVIEWS) <= 2 * len(ids) + 2  # and one of each kind to learn its size
        assert mount.gauge("render", "rendered") == 2 * len(ids)


@pytest.mark.parametrize("orientation", [None, TURNED])
def test_pixels_are_those_of_the_original(tmp_path: Path, server: ImmichServer, orientation: int | None) -> None:
    data = photo((3001, 2003), orientation)
    asset = server.add_asset("IMG_1.jpg", data=data).id
    asked: list[tuple[str, tuple[int, int, int, int] | None, tuple[int, int]]] = [
        ("full/250,167", None, (250, 167)),
        ("full/375,250", None, (375, 250)),
        ("full/1000,667", None, (1000, 667)),
        ("full/2157,1440", None, (2157, 1440)),
        ("1024,512,1024,1024/512,512", (1024, 512, 1024, 1024), (512, 512)),
        ("0,0,1024,1024/512,512", (0, 0, 1024, 1024), (512, 512)),
        ("2048,1024,953,979/477,490", (2048, 1024, 953, 979), (477, 490)),
        ("17,33,1001,777/333,258", (17, 33, 1001, 777), (333, 258)),
        ("333,1111,10,13/7,9", (333, 1111, 10, 13), (7, 9)),
        ("2048,0,953,2003/60,126", (2048, 0, 953, 2003), (60, 126)),
    ]
    with mounted_home(tmp_path, server) as mount:
        for path, region, size in asked:
            answer = (service(mount, asset) / path / "0" / "default.png").read_bytes()
            assert difference(answer, data, region, size) < CLOSE, path
        turned = (service(mount, asset) / "full" / "250,167" / "90" / "gray.png").read_bytes()
        with Image.open(io.BytesIO(turned)) as image:
            assert (image.size, image.mode) == ((167, 250), "L")
        assert server.requests.count(ORIGINALS) == 0
        assert server.requests.count(PREVIEWS) <= 4  # each kind once to learn its size, once to be drawn from
        region, size = (1000, 1000, 512, 512), (512, 512)
        answer = (service(mount, asset) / "1000,1000,512,512" / "max" / "0" / "default.jpg").read_bytes()
        assert difference(answer, data, region, size) < CLOSE
        assert server.requests.count(ORIGINALS) > 0


def test_only_a_tile_that_needs_the_original_has_others_cut_ahead(tmp_path: Path, server: ImmichServer) -> None:
    asset = server.add_asset("IMG_1.jpg", data=photo((3000, 2000))).id
    with mounted_home(tmp_path, server) as mount:
        (service(mount, asset) / "0,0,1024,1024" / "512,512" / "0" / "default.jpg").read_bytes()
        (service(mount, asset) / "1024,0,1024,1024" / "512,512" / "0" / "default.jpg").read_bytes()
        assert mount.gauge("render", "pictures_waiting") == 0
        assert (mount.gauge("render", "full_decodes"), mount.gauge("render", "draft_decodes")) == (1, 0)
        assert server.requests.count(ORIGINALS) == 0
        (service(mount, asset) / "512,512,512,512" / "max" / "0" / "default.jpg").read_bytes()
        eventually(lambda: mount.gauge("render", "cut_ahead"), lambda cut: cut >= 24, 30)  # 6 * 4 tiles of 512 px
        (service(mount, asset) / "1024,1024,512,512" / "max" / "0" / "default.jpg").read_bytes()
        assert server.requests.count(ORIGINALS) <= 2


def told(mount: Mount, asset: str, paths: tuple[str, ...]) -> dict[str, tuple[bytes, int, int]]:
    """Bytes, and what web servers make ETags of."""
    found = {}
    for path in paths:
        file = service(mount, asset) / path
        attributes = file.stat()
        found[path] = (file.read_bytes(), attributes.st_size, attributes.st_mtime_ns)
    return found


PATHS = (
    "full/250,/0/default.jpg",
    "full/!400,400/0/default.jpg",
    "0,0,1024,1024/512,512/0/default.jpg",
    "0,0,512,512/max/0/default.jpg",
    "info.json",
)


def test_the_same_bytes_after_a_restart_and_with_another_cache(tmp_path: Path, server: ImmichServer) -> None:
    asset = server.add_asset("IMG_1.jpg", data=photo((3000, 2000), TURNED)).id
    with mounted_home(tmp_path, server) as mount:
        first = told(mount, asset, PATHS)
        drop_kernel_caches()
        assert told(mount, asset, PATHS) == first
    server.requests.clear()
    with mounted_home(tmp_path, server) as mount:
        assert told(mount, asset, PATHS) == first
    assert server.requests.count(PREVIEWS) == 0
    with mounted_home(tmp_path, server, cache="cache of another day") as mount:
        assert told(mount, asset, tuple(reversed(PATHS))) == first
    shutil.copytree(tmp_path / "state", tmp_path / "other" / "state", ignore=shutil.ignore_patterns("*.sock"))
    with mounted_home(tmp_path / "other", server) as mount:
        assert {path: body for path, (body, *_) in told(mount, asset, PATHS).items()} == {
            path: body for path, (body, *_) in first.items()
        }


def test_a_picture_whose_preview_is_not_made_yet_is_its_original_and_stays_so(
    tmp_path: Path, server: ImmichServer
) -> None:
    seen = server.add_asset("IMG_1.jpg", data=photo((3000, 2000))).id
    asset = server.add_asset("IMG_2.jpg", data=photo((3000, 2004))).id
    server.assets[asset].thumbs = None
    path = "full/250,/0/default.jpg"
    with mounted_home(tmp_path, server) as mount:
        (service(mount, seen) / path).read_bytes()
        assert server.requests.count(ORIGINALS) == 0
        first = told(mount, asset, (path,))
        fetched = server.requests.count(ORIGINALS)
        assert fetched > 0
        server.make_thumbs(server.assets[asset])
        drop_kernel_caches()
        assert told(mount, asset, (path,)) == first
    with mounted_home(tmp_path, server, cache="another") as mount:
        assert told(mount, asset, (path,)) == first


def test_other_sizes_are_other_files_with_another_time(tmp_path: Path, server: ImmichServer) -> None:
    asset = server.add_asset("IMG_1.jpg", data=photo((3000, 2000))).id
    tile = "0,0,1024,1024/512,512/0/default.jpg"
    with mounted_home(tmp_path, server) as mount:
        first = told(mount, asset, (tile, "full/250,/0/default.jpg"))
        inode = (service(mount, asset) / tile).stat().st_ino
    server.settings.preview_side = 720
    with mounted_home(tmp_path, server, cache="another") as mount:
        (service(mount, asset) / "full" / "1000," / "0" / "default.jpg").read_bytes()
        drop_kernel_caches()
        second = told(mount, asset, (tile, "full/250,/0/default.jpg"))
        assert second[tile][0] != first[tile][0]
        assert second[tile][2] >= first[tile][2] + 10**9
        assert (service(mount, asset) / tile).stat().st_ino != inode
        assert second["full/250,/0/default.jpg"][0] == first["full/250,/0/default.jpg"][0]
        assert server.requests.count(ORIGINALS) > 0  # 720 px do not suffice for the tile any more


def test_a_preview_of_something_else_is_not_used(tmp_path: Path, server: ImmichServer) -> None:
    data = photo((1200, 800))
    asset = server.add_asset("IMG_1.jpg", data=data).id
    cropped = photo((800, 800))
    with mounted_home(tmp_path, server, "is not used: it shows something else") as mount:
        assert (service(mount, asset) / "info.json").stat().st_size > 0
        effect = Effect("an edit", "immich.md §3: previews show the edit", rewrite=partial(replace, body=cropped))
        server.fault(effect, PREVIEWS, times=None)
        first = told(mount, asset, ("full/240,/0/default.jpg",))
        ((answer, *_),) = first.values()
        assert difference(answer, data, None, (240, 160)) < CLOSE
        assert server.requests.count(ORIGINALS) > 0
        drop_kernel_caches()
        assert told(mount, asset, ("full/240,/0/default.jpg",)) == first
    assert mount.log.count("is not used: it shows something else") == 2  # once each of the two


def test_proxy_uses_originals_only(tmp_path: Path, server: ImmichServer) -> None:
    asset = server.add_asset("IMG_1.jpg", data=photo((600, 400))).id
    with mounted_home(tmp_path, server, mode="proxy") as mount:
        (service(mount, asset) / "full" / "250," / "0" / "default.jpg").read_bytes()
        assert server.requests.count(PREVIEWS) == 0
        assert server.requests.count(ORIGINALS) > 0


@pytest.mark.parametrize("name", ["clip.mp4", "IMG_1.heic", "IMG_1.dng"])
def test_films_and_pictures_that_browsers_cannot_show(tmp_path: Path, server: ImmichServer, name: str) -> None:
    asset = server.add_asset(name, size_px=(1920, 1280))
    with mounted_home(tmp_path, server) as mount:
        with Image.open(service(mount, asset.id) / "full" / "300," / "0" / "default.jpg") as image:
            assert image.size == (300, 200)
        headers = server.requests.count(ORIGINALS)
        with Image.open(service(mount, asset.id) / "full" / "1000," / "0" / "default.jpg") as image:
            assert image.size == (1000, 667)
        assert server.requests.count(ORIGINALS) == headers
        if name == "clip.mp4":
            (service(mount, asset.id) / "full" / "max" / "0" / "default.jpg").read_bytes()
            assert server.requests.count(r"/original") == 0


def test_a_film_without_a_preview_is_waited_for(tmp_path: Path, server: ImmichServer) -> None:
    asset = server.add_asset("clip.mp4", size_px=(1920, 1280))
    asset.thumbs = None
    with mounted_home(tmp_path, server, "no preview of it yet") as mount:
        poster = service(mount, asset.id) / "full" / "300," / "0" / "default.jpg"
        assert (service(mount, asset.id) / "info.json").stat().st_size > 0
        assert errno_of(poster.stat) != 0
        server.make_thumbs(asset)
        eventually(poster.stat)
        with Image.open(poster) as image:
            assert image.size == (300, 200)
        assert server.requests.count(r"/original") == 0


def test_a_large_jpeg_that_the_server_made_answers_what_needs_all_pixels(tmp_path: Path, server: ImmichServer) -> None:
    server.settings.fullsize_enabled = True
    asset = server.add_asset("IMG_1.dng", size_px=(3000, 2000))
    with mounted_home(tmp_path, server) as mount:
        assert (service(mount, asset.id) / "info.json").stat().st_size > 0
        headers = server.requests.count(r"/original")
        with Image.open(service(mount, asset.id) / "512,512,512,512" / "max" / "0" / "default.jpg") as image:
            assert image.size == (512, 512)
        assert server.requests.count(r"/original") == headers
        assert server.requests.count(r"size=fullsize") > 0


def test_the_older_server(tmp_path: Path) -> None:
    with immich("2.7.5") as server:
        data = photo((3000, 2000), TURNED)
        asset = server.add_asset("IMG_1.jpg", data=data).id
        with mounted_home(tmp_path, server) as mount:
            answer = (service(mount, asset) / "0,0,1024,1024" / "512,512" / "0" / "default.png").read_bytes()
            assert difference(answer, data, (0, 0, 1024, 1024), (512, 512)) < CLOSE
            assert server.requests.count(ORIGINALS) == 0


def test_info_lists_the_sizes_that_previews_have(tmp_path: Path, server: ImmichServer) -> None:
    asset = server.add_asset("IMG_1.jpg", size_px=(3000, 2000)).id
    with mounted_home(tmp_path, server) as mount:
        document = json.loads((service(mount, asset) / "info.json").read_bytes())
        sizes = [(size["width"], size["height"]) for size in document["sizes"]]
        assert {(375, 250), (2160, 1440)} <= set(sizes)
        for width, height in sizes[:-1]:
            with Image.open(service(mount, asset) / "full" / f"{width},{height}" / "0" / "default.jpg") as image:
                assert image.size == (width, height)
        assert server.requests.count(ORIGINALS) == 0
