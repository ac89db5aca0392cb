"""Odd pictures: info.json is true of them, every listed size and tile is exactly that, and tiles are the picture.

What is broken or too large is an error of one line for that file alone; the same on a mount is in
tests/mount/test_conformance.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from iiiffs.errors import RenderError, TooLarge, Undecodable
from iiiffs.iiif.scaling import Limits
from iiiffs.render.headers import read_facts
from iiiffs.render.renderer import Renderer, RenderLimits
from tests.mount.pictures import png_bomb
from tests.unit.conformance.conformance_pictures import TILE_PX, Served, file_of, oriented, ramps, refused, shows

DATA = Path(__file__).parents[2] / "data"
FINE = {"quality": 98, "subsampling": 0}


def jpeg(size: tuple[int, int], **settings: object) -> bytes:
    return file_of(ramps(*size), "JPEG", **{**FINE, **settings})


def profile(padded_to: int, *, swapped: bool = True) -> bytes:
    """An sRGB profile of `padded_to` bytes; `swapped`: with the red and the green primary exchanged.

    The padding is random, so that no format can make it small.
    """
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if swapped:
        data = data.replace(b"rXYZ", b"@XYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"@XYZ", b"gXYZ", 1)
    padding = random.Random(4).randbytes(padded_to - len(data))
    return padded_to.to_bytes(4, "big") + data[4:] + padding


PLAIN_SIZES = ((1, 1), (1, 20_000), (20_000, 1), (3, 20_000), (7, 5), (1021, 767), (512, 512), (513, 1))


@cache
def odd(name: str) -> tuple[bytes, tuple[int, int]]:
    """The file and its upright size."""
    kind, _, size_text = name.rpartition(" ")
    width, height = map(int, size_text.split("x"))
    size = (width, height)
    makers: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: jpeg(size),
        "png": lambda: file_of(ramps(*size)),
        "tiff": lambda: file_of(ramps(*size), "TIFF"),
        "progressive": lambda: jpeg(size, progressive=True),
        "restart markers": lambda: jpeg(size, restart_marker_rows=1),
        "turned": lambda: oriented(ramps(*size), 6),
        "gray": lambda: file_of(ramps(*size).convert("L").convert("RGB"), "JPEG", quality=98),
        "arithmetic": (DATA / "arithmetic.jpg").read_bytes,
        "arithmetic, progressive": (DATA / "arithmetic-progressive.jpg").read_bytes,
        "profile of 150 kB": lambda: jpeg(size, icc_profile=profile(150_000, swapped=False)),
        "profile of 5 MB": lambda: jpeg(size, icc_profile=profile(5 << 20)),
        "png, profile of 5 MB": lambda: file_of(ramps(*size), icc_profile=profile(5 << 20)),
    }
    return makers[kind](), size


ODD = [
    *(f"{kind} {width}x{height}" for width, height in PLAIN_SIZES for kind in ("jpeg", "png")),
    "tiff 1x20000", "progressive 1021x767", "restart markers 1021x767", "turned 7x5", "turned 1x20000",
    "turned 767x1021",
    "arithmetic 333x251", "arithmetic, progressive 333x251", "profile of 150 kB 700x600", "profile of 5 MB 700x600",
    "png, profile of 5 MB 700x600",
]  # fmt: skip


def part_px(size: tuple[int, int]) -> float:
    return 1.0 if min(size) < 8 else 0.0


@pytest.fixture(params=ODD)
def served(request: pytest.FixtureRequest) -> Served:
    return Served(odd(request.param)[0])


@pytest.fixture
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Of the picture that `served` is in the same test."""
    return odd(request.node.callspec.params["served"])[1]


def test_info_json_says_the_size(served: Served, size: tuple[int, int]) -> None:
    """Rule: Image API 3.0 §5.2; its upright size, in both versions."""
    for info in (served.info, served.info_2):
        assert (info["width"], info["height"]) == size


def test_every_listed_size_is_exactly_that(served: Served, size: tuple[int, int]) -> None:
    """Rule: Image API 3.0 §5.3, 2.1 §5.2."""
    for version, info in ((3, served.info), (2, served.info_2)):
        assert info["sizes"]
        for listed in info["sizes"]:
            extent = (listed["width"], listed["height"])
            answer = served.image(f"full/{extent[0]},{extent[1]}/0/default.png", 3 if version == 3 else 2)
            assert answer.size == extent
            shows(answer, (0, 0, *size), size, off_px=part_px(size))


def test_the_tiles_of_every_scale_are_the_picture(served: Served, size: tuple[int, int]) -> None:
    """Rule: Image API 3.0 §5.4; Implementation Notes §3: each exactly as large as the client computes, none missing."""
    (tiles,) = served.info["tiles"]
    assert tiles["scaleFactors"][0] == 1
    for scale in tiles["scaleFactors"]:
        reduced = -(-size[0] // scale), -(-size[1] // scale)
        joined = Image.new("RGB", reduced, "magenta")
        step = TILE_PX * scale
        for y in range(0, size[1], step):
            for x in range(0, size[0], step):
                w, h = min(step, size[0] - x), min(step, size[1] - y)
                extent = -(-w // scale), -(-h // scale)
                answer = served.image(f"{x},{y},{w},{h}/{extent[0]},{extent[1]}/0/default.png")
                assert answer.size == extent
                joined.paste(answer, (x // scale, y // scale))
        shows(joined, (0, 0, *size), size, off_px=part_px(size) if scale > 1 else 0)
    assert max(reduced) <= TILE_PX, "the last scale is one tile"


def test_the_whole_is_served_within_the_limits(served: Served, size: tuple[int, int]) -> None:
    """Rule: Image API 3.0 §4.2, `max`: 20,000 px do not fit in `maxWidth`, and a side is never 0."""
    width, height = served.size("full/max/0/default.jpg")
    assert (width, height) == size or max(width, height) == 16_384
    assert min(width, height) >= 1
    assert min(served.size("square/max/90/gray.png")) == min(size)


def test_one_pixel_can_be_asked_in_every_way() -> None:
    """Rule: Image API 3.0 §4, of 1x1 px: all that is legal is 1 px, all else is refused."""
    one = Served(odd("jpeg 1x1")[0])
    for path in (
        "full/max",
        "square/1,",
        "0,0,1,1/,1",
        "pct:0,0,100,100/1,1",
        "0,0,99,99/!9,9",
        "pct:50,50,50,50/pct:50",
    ):
        assert one.size(f"{path}/270/color.png") == (1, 1), path
    assert one.size("full/^3,2/0/default.jpg") == (3, 2)
    refused(one, "1,0,1,1/max/0/default.jpg", "full/2,/0/default.jpg", "full/pct:49/0/default.jpg")


@pytest.mark.parametrize("padded_to", [60_000, 150_000, 1 << 20, 4 << 20])
@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF"])
def test_a_profile_in_many_segments_is_honoured(name: str, padded_to: int) -> None:
    """Rule: ICC.1 Annex B.4: a profile of more than 64 kB lies in several APP2 segments. Ours end at 4 MiB."""
    red = Image.new("RGB", (16, 16), (250, 10, 10))
    answer = Served(file_of(red, name, icc_profile=profile(padded_to))).image("full/max/0/default.png")
    seen = answer.getpixel((8, 8))
    assert isinstance(seen, tuple)
    assert seen[0] < 40 and seen[1] > 220
    assert "icc_profile" not in answer.info


def test_a_larger_or_damaged_profile_is_ignored_and_the_picture_shown() -> None:
    """Rule: none. A profile is no reason to lose a picture."""
    red = Image.new("RGB", (16, 16), (250, 10, 10))
    whole = file_of(red, "JPEG", quality=98, icc_profile=profile(150_000))
    second = whole.index(b"ICC_PROFILE\0", whole.index(b"ICC_PROFILE\0") + 1) - 4
    length = int.from_bytes(whole[second + 2 : second + 4], "big")
    without_second = whole[:second] + whole[second + 2 + length :]
    for data in (file_of(red, "JPEG", quality=98, icc_profile=profile(5 << 20)), without_second):
        seen = Served(data).image("full/max/0/default.png").getpixel((8, 8))
        assert isinstance(seen, tuple)
        assert seen[0] > 230 and seen[1] < 30


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["jpeg 1021x767", "progressive 1021x767", "arithmetic 333x251"])
def test_a_truncated_jpeg_is_undecodable_and_never_half_gray(kind: str, kept: float) -> None:
    """Rule: DESIGN §2: what cannot be decoded has no service; a clear error, at every size."""
    whole, _ = odd(kind)
    cut = Served(whole[: int(len(whole) * kept)])
    if read_facts(BytesIO(cut.data), "cut.jpg").extent is None:
        return
    for path in ("full/max/0/default.jpg", "full/100,/0/default.jpg", "0,0,64,64/max/0/default.jpg"):
        with pytest.raises(Undecodable) as error:
            cut.body(path)
        assert str(error.value) and "\n" not in str(error.value)


def test_damage_in_the_middle_is_an_error_or_a_picture_of_the_right_size() -> None:
    """Rule: DESIGN §2: a codec may say what it likes of hostile bytes; nothing but our errors comes out."""
    whole, size = odd("jpeg 1021x767")
    dice = random.Random(7)
    for _ in range(12):
        data = bytearray(whole)
        for _ in range(20):
            data[dice.randrange(700, len(data))] = dice.randrange(256)
        damaged = Served(bytes(data))
        if damaged.facts.extent is None:
            assert damaged.facts.error
            continue
        try:
            assert damaged.size("full/200,/0/default.png")[0] == 200
        except RenderError as error:
            assert str(error)
    assert Served(whole).size("full/max/0/default.jpg") == size


def test_what_has_no_pixels_says_so() -> None:
    """Rule: DESIGN §2. A JPEG whose header leaves its height to a later marker (DNL), and one of no width."""
    whole = jpeg((7, 5))
    header = whole.index(b"\xff\xc0")
    for at in (5, 7):
        data = bytearray(whole)
        data[header + at : header + at + 2] = b"\0\0"
        facts = read_facts(BytesIO(bytes(data)), "none.jpg")
        assert facts.extent is None
        assert facts.error is not None and facts.error.startswith("none.jpg: ")


def test_more_pixels_than_the_limit_is_refused_by_the_header_for_that_file_alone() -> None:
    """Rule: DESIGN §2: refused with the reason, nothing decoded; the same renderer goes on with the next file."""
    renderer = Renderer(RenderLimits(pixels_max=500_000))
    large, small = Served(odd("jpeg 1021x767")[0], renderer=renderer), Served(odd("jpeg 7x5")[0], renderer=renderer)
    for _ in range(2):
        with pytest.raises(TooLarge, match="783107 px are over the limit of 500000 px"):
            large.body("full/100,/0/default.jpg")
    assert small.size("full/max/0/default.jpg") == (7, 5)
    assert read_facts(BytesIO(png_bomb(60_000)), "bomb.png").error == (
        "bomb.png: 60000x60000 px is over the limit of 320000000 px"
    )


@pytest.mark.parametrize("limits", [Limits(64, 64, 4096), Limits(300, 300, 5_000), Limits(16_384, 16_384, 4_096)])
@pytest.mark.parametrize("name", ["jpeg 1x20000", "jpeg 20000x1", "progressive 1021x767", "png 7x5"])
def test_narrow_limits_leave_every_picture_servable(name: str, limits: Limits) -> None:
    """Rule: Image API 3.0 §5.2: sizes and tiles fit; `max` fits; and every full-resolution pixel can be asked for."""
    data, size = odd(name)
    served = Served(data).under(limits)
    info = served.info
    for listed in info["sizes"]:
        extent = (listed["width"], listed["height"])
        assert limits.hold(served.request(f"full/{extent[0]},{extent[1]}/0/default.jpg").size.extent)
        assert served.size(f"full/{extent[0]},{extent[1]}/0/default.jpg") == extent
    width, height = served.size("full/max/0/default.jpg")
    assert width <= limits.max_width and height <= limits.max_height and width * height <= limits.max_area
    side = info["tiles"][0]["width"]
    last = (max(0, size[0] - side), max(0, size[1] - side))
    corner = served.image(f"{last[0]},{last[1]},{side},{side}/max/0/default.png")
    assert corner.size == (min(side, size[0]), min(side, size[1]))
    shows(corner, (last[0], last[1], size[0], size[1]), size)
