"""A plain directory tree that looks like a mount (DESIGN §2), and a web server with its printed configuration on it.

Pictures are rendered ahead in the forms that the tests and three viewers ask for; the documents come from iiiffs.iiif.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from iiiffs.iiif.info import image_info
from iiiffs.iiif.presentation import (
    AlbumHeading,
    CanvasItem,
    CollectionItem,
    OriginalFile,
    collection,
    manifest,
)
from iiiffs.iiif.pyramid import scale_factors, sizes
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Uris, encoded
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.model.image import Extent
from iiiffs.tree.nodes import PageKind
from iiiffs.web.page import page
from iiiffs.web.site import Site
from tests.harness.servers import alarms, serving

ACCOUNT = AccountName("home")
LIMITS = Limits(max_width=16384, max_height=16384, max_area=100_000_000)
TILE_PX = 512
NASTY = "<img src=x onerror=alert(1)>"
NESTED = "Ünï cödé, 100% [x] #?+&"
PATH_FOLDER = "2024 [x] 100%"
MTIME_S = 1_700_000_000


@dataclass(frozen=True)
class Picture:
    """`name`: file and label."""

    id: AssetId
    name: str
    extent: Extent


ALPS = (
    Picture(AssetId("a1"), "IMG_0001.jpg", Extent(1500, 1000)),
    Picture(AssetId("a2"), "IMG_0002.jpg", Extent(800, 1200)),
    Picture(AssetId("a3"), f"{NASTY}.jpg", Extent(1200, 1200)),
    Picture(AssetId("a4"), "Panorama.jpg", Extent(2000, 700)),
)
UNICODE = (Picture(AssetId("b1"), "Été 100%.jpg", Extent(1200, 800)),)


def build_site(root: Path, base_url: str) -> None:
    """`root` holds the tree as a mount at `base_url` would show it: two albums, one inside the other."""
    uris = Uris(base_url)
    files = root / ACCOUNT / "files"
    alps, nested = files / "Alps", files / "Alps" / NESTED
    nested.mkdir(parents=True)
    shown_alps = _show_album(uris, root, alps, AlbumId("album-a"), "Alps & lakes", ALPS)
    shown_nested = _show_album(uris, root, nested, AlbumId("album-b"), f"{NESTED} {NASTY}", UNICODE)
    _pages(uris, alps, uris.collection(ACCOUNT, AlbumId("album-a")), "Alps & lakes", [shown_alps, shown_nested])
    folder = {**shown_alps, "id": uris.collection(ACCOUNT, AlbumId("album-a")), "type": "Collection"}
    _pages(uris, files, uris.collection(ACCOUNT, AlbumId("album-f")), "Files", [folder])
    account = {**folder, "id": uris.collection(ACCOUNT, AlbumId("album-f")), "label": {"none": ["files"]}}
    account["homepage"] = _homepage(f"{base_url}/{ACCOUNT}/files/")
    _pages(uris, root / ACCOUNT, uris.account_collection(ACCOUNT), ACCOUNT, [account])
    entry = {**account, "id": uris.account_collection(ACCOUNT), "label": {"none": [ACCOUNT]}, "homepage": []}
    _pages(uris, root, uris.root_collection(), "Photographs", [entry])
    (root / ".iiiffs").mkdir()
    (root / ".iiiffs" / "status.json").write_text('{"private": "/home/ada"}')
    (files / "evil.html").write_text("<script>alert(1)</script>")
    (files / "drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    real = files / "iiif" / "scans"
    real.mkdir(parents=True)
    (real / "real.txt").write_text("a provider's own folder named iiif")
    foreign = files / "iiif" / "export" / "full" / "max" / "0" / "default.jpg"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"somebody's own static IIIF")
    _write_json(files / "iiif" / "export" / "info.json", {"id": "https://elsewhere.example/export"})
    _write_json(files / "iiif" / "marked" / "info.json", {"id": '{{env "HOME"}}{{httpError 500}}'})
    (files / "empty").mkdir()
    (files / "empty" / "index.html").write_bytes(page(PageKind.ALBUM, "", base_url))
    (files / "stranger").mkdir()
    stranger = "<!doctype html><title>x</title><script>strangerRan = true; alert(1)</script>"
    (files / "stranger" / "index.html").write_text(stranger)
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (MTIME_S, MTIME_S))


def _pages(uris: Uris, folder: Path, uri: str, label: str, items: list[dict[str, object]]) -> None:
    document = collection(uri, label, [], LIMITS, part_of=None) | {"items": items}
    _write_json(folder / "collection.json", document)
    (folder / "index.html").write_bytes(page(PageKind.COLLECTION, "", uris.base_url))


def _homepage(uri: str) -> list[dict[str, object]]:
    return [{"id": uri, "type": "Text", "format": "text/html", "label": {"none": ["Page"]}}]


def _show_album(
    uris: Uris, root: Path, folder: Path, album: AlbumId, label: str, pictures: tuple[Picture, ...]
) -> dict[str, object]:
    """The album's files are there; returns the reference to it that a collection holds."""
    path = folder.relative_to(root / ACCOUNT / "files").parts
    items = []
    for number, picture in enumerate(pictures):
        _show_picture(uris, root, folder, picture, number)
        uri = uris.original(ACCOUNT, [*path, picture.name])
        original = OriginalFile(uri, "image/jpeg", (folder / picture.name).stat().st_size)
        items.append(CanvasItem(picture.id, picture.name, picture.extent, original))
    document = manifest(uris, AlbumHeading(ACCOUNT, album, label, None), items, LIMITS)
    stable = root / ACCOUNT / "iiif" / "presentation" / "3" / album
    for where in (folder, stable):
        _write_json(where / "manifest.json", document)
    (folder / "index.html").write_bytes(page(PageKind.ALBUM, "", uris.base_url))
    item = CollectionItem(uris.manifest(ACCOUNT, album), "Manifest", label, uris.service(ACCOUNT, pictures[0].id))
    listed = collection("", "", [item], LIMITS, part_of=None)["items"]
    assert isinstance(listed, list)
    home = "/".join([uris.base_url, ACCOUNT, "files", *map(encoded, path), ""])
    return {**listed[0], "homepage": _homepage(home)}


def _show_picture(uris: Uris, root: Path, folder: Path, picture: Picture, number: int) -> None:
    service = root / ACCOUNT / "iiif" / "3" / picture.id
    image = _drawn(picture.extent, number)
    image.save(folder / picture.name, quality=90)
    info = image_info(uris.service(ACCOUNT, picture.id), picture.extent, LIMITS, TILE_PX, monochrome=False)
    _write_json(service / "info.json", info)
    _render(image, service)
    older = service.parents[1] / "2" / picture.id
    older.mkdir(parents=True)
    _write_json(older / "info.json", {"@id": uris.service(ACCOUNT, picture.id).replace("/iiif/3/", "/iiif/2/")})
    _show_path_identifier(uris, service, info)
    alias = folder / "iiif" / picture.name
    alias.parent.mkdir(exist_ok=True)
    alias.symlink_to(os.path.relpath(service, alias.parent))


def _show_path_identifier(uris: Uris, service: Path, info: dict[str, object]) -> None:
    """The same image under `2024 [x]/ID.jpg`, as `identifiers = "path"` has it."""
    named = service.parent / PATH_FOLDER / f"{service.name}.jpg"
    rendition = Path("full", "400,", "0", "default.jpg")
    (named / rendition).parent.mkdir(parents=True)
    (named / rendition).write_bytes((service / rendition).read_bytes())
    identifier = AssetId(f"{PATH_FOLDER}/{service.name}.jpg")
    _write_json(named / "info.json", {**info, "id": uris.service(ACCOUNT, identifier)})


def _drawn(extent: Extent, number: int) -> Image.Image:
    """A picture in which a tile that is out of place would be seen: a gradient, rings and a grid."""
    ramp = Image.linear_gradient("L")
    bands = [ramp, ramp.rotate(90), ramp.rotate(180)]
    bands = bands[number % 3 :] + bands[: number % 3]
    image = Image.merge("RGB", bands).resize((extent.width, extent.height))
    draw = ImageDraw.Draw(image)
    for radius in range(60, max(extent.width, extent.height), 120):
        x, y = extent.width // 2, extent.height // 2
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline="white", width=3)
    return image


def _render(image: Image.Image, service: Path) -> None:
    """Every tile, every listed size, and what viewers ask for beside them."""
    extent = Extent(*image.size)
    wanted: dict[str, tuple[tuple[int, int, int, int], tuple[int, int]]] = {}
    whole = (0, 0, extent.width, extent.height)
    for size in sizes(extent, LIMITS):
        wanted[f"full/{size.width},{size.height}/0/default.jpg"] = (whole, (size.width, size.height))
    for scale in scale_factors(extent, TILE_PX):
        side = TILE_PX * scale
        for top in range(0, extent.height, side):
            for left in range(0, extent.width, side):
                box = (left, top, min(left + side, extent.width), min(top + side, extent.height))
                size_px = (-(-(box[2] - left) // scale), -(-(box[3] - top) // scale))
                region = f"{left},{top},{box[2] - left},{box[3] - top}"
                wanted[f"{region}/{size_px[0]},{size_px[1]}/0/default.jpg"] = (box, size_px)
    for name, side in (("max", 0), ("!1600,1600", 1600), ("!400,400", 400), ("400,", 400), ("^400,", 400), ("90,", 90)):
        shrink = min(side / max(image.size), 1) if side else 1
        wanted[f"full/{name}/0/default.jpg"] = (whole, (round(extent.width * shrink), round(extent.height * shrink)))
    for high in (80, 100, 120, 150, 200):
        size_px = (round(extent.width * high / extent.height), high)
        wanted[f"full/,{high}/0/default.jpg"] = (whole, size_px)
        wanted[f"full/{size_px[0]},{high}/0/default.jpg"] = (whole, size_px)
    for path, (box, size_px) in wanted.items():
        (service / path).parent.mkdir(parents=True, exist_ok=True)
        image.resize(size_px, box=box).save(service / path, "JPEG")
    image.resize((400, 400)).save(service / "full" / "400," / "0" / "default.webp")


def _write_json(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


@contextmanager
def running(kind: str, site: Site, *, as_uid: int | None = None) -> Iterator[None]:
    """The server `kind` serves `site` until the block is left, and never had anything to warn of."""
    with serving(kind, site, as_uid=as_uid) as errors:
        yield
    found = [line for line in alarms(errors) if "directory index of" not in line]
    assert not found, "\n".join(found)


@contextmanager
def nginx_running(site: Site) -> Iterator[None]:
    """As `running`."""
    with running("nginx", site):
        yield
