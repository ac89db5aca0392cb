"""A gallery of every format and oddity that a real collection holds, against pictures that are drawn another way."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageDraw

from iiiffs.errors import TooLarge, Undecodable
from iiiffs.iiif.parameters import Format
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent
from iiiffs.render.headers import read_facts
from iiiffs.render.renderer import Renderer, RenderLimits
from tests.unit.render.render_pictures import (
    Source,
    exif_of,
    image_request,
    mean_error,
    pixel,
    saved,
    stored_turned,
    whole,
)

SIZE = (64, 48)
COLOURS = ((220, 40, 30), (40, 170, 60), (30, 60, 200), (240, 210, 90))
"""Of the upper left, upper right, lower left and lower right quarter: no turn of the picture is another."""
MIDDLES = ((16, 12), (48, 12), (16, 36), (48, 36))


def quarters(mode: str = "RGB") -> Image.Image:
    image = Image.new("RGB", SIZE)
    draw = ImageDraw.Draw(image)
    for (x, y), colour in zip(((0, 0), (32, 0), (0, 24), (32, 24)), COLOURS, strict=True):
        draw.rectangle((x, y, x + 31, y + 23), fill=colour)
    return image if mode == "RGB" else image.convert(mode)


def heic(image: Image.Image, **settings: object) -> bytes:
    buffer = BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95, chroma=444, **settings)
    return buffer.getvalue()


def middles(image: Image.Image) -> list[tuple[int, ...]]:
    colour = image.convert("RGB")
    return [pixel(colour, place) for place in MIDDLES]


def apart(found: Sequence[tuple[int, ...]], wanted: Sequence[tuple[int, ...]]) -> int:
    """The largest difference of any value."""
    pairs = zip(found, wanted, strict=True)
    return max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))


@dataclass(frozen=True)
class Kind:
    """A row of the gallery. `tolerance`: of 255, in the middle of flat areas."""

    name: str
    data: Callable[[], bytes]
    media_type: str
    tolerance: int = 0
    monochrome: bool = False


def jpeg_without_adobe(inks: Image.Image) -> bytes:
    """A CMYK JPEG as scanners write it: no APP14, values not inverted."""
    data = saved(Image.merge("CMYK", [band.point(lambda v: 255 - v) for band in inks.split()]), "JPEG", quality=98)
    start = data.index(b"\xff\xee")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]


def big_tiff(image: Image.Image) -> bytes:
    return saved(image, "TIFF", big_tiff=True)


def tiled_tiff(image: Image.Image, tile: int = 16) -> bytes:
    """Uncompressed tiles of RGB, written by hand. Rule: TIFF 6.0 §15."""
    across, down = -(-image.width // tile), -(-image.height // tile)
    size, tiles = tile * tile * 3, b""
    for y in range(down):
        for x in range(across):
            tiles += image.crop((x * tile, y * tile, (x + 1) * tile, (y + 1) * tile)).tobytes()
    offsets = [8 + i * size for i in range(across * down)]
    bits_at = 8 + len(tiles)
    offsets_at, counts_at = bits_at + 6, bits_at + 6 + 4 * len(offsets)
    ifd_at = counts_at + 4 * len(offsets)
    entries = [
        (256, 4, 1, image.width), (257, 4, 1, image.height), (258, 3, 3, bits_at), (259, 3, 1, 1), (262, 3, 1, 2),
        (277, 3, 1, 3), (322, 4, 1, tile), (323, 4, 1, tile), (324, 4, len(offsets), offsets_at),
        (325, 4, len(offsets), counts_at),
    ]  # fmt: skip
    body = struct.pack("<3H", 8, 8, 8) + struct.pack(f"<{len(offsets)}L", *offsets)
    body += struct.pack(f"<{len(offsets)}L", *[size] * len(offsets)) + struct.pack("<H", len(entries))
    return b"II*\0" + struct.pack("<L", ifd_at) + tiles + body + _entries(entries) + b"\0\0\0\0"


def _entries(entries: list[tuple[int, int, int, int]]) -> bytes:
    return b"".join(struct.pack("<HHLL", *entry) for entry in entries)


def deep_rgb_tiff(image: Image.Image) -> bytes:
    """16 bits a band, uncompressed, one strip: each value times 257."""
    pixels = b"".join(struct.pack("<H", value * 257) for value in image.tobytes())
    bits_at = 8 + len(pixels)
    entries = [
        (256, 4, 1, image.width), (257, 4, 1, image.height), (258, 3, 3, bits_at), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 8), (277, 3, 1, 3), (278, 4, 1, image.height), (279, 4, 1, len(pixels)),
    ]  # fmt: skip
    head = b"II*\0" + struct.pack("<L", bits_at + 6) + pixels + struct.pack("<3H", 16, 16, 16)
    return head + struct.pack("<H", len(entries)) + _entries(entries) + b"\0\0\0\0"


def deep_png(image: Image.Image) -> bytes:
    """RGB of 16 bits, which Pillow does not write."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    rows, width = image.tobytes(), 3 * image.width
    lines = [rows[at : at + width] for at in range(0, len(rows), width)]
    data = b"".join(b"\0" + b"".join(struct.pack(">H", value * 257) for value in line) for line in lines)
    header = struct.pack(">LLBBBBB", *image.size, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def mpo(image: Image.Image) -> bytes:
    return saved(image, "MPO", quality=95, save_all=True, append_images=[Image.new("RGB", (8, 8), "black")])


def palette_png() -> bytes:
    return saved(quarters().quantize(8), "PNG")


J, P, T = "image/jpeg", "image/png", "image/tiff"
KINDS = [
    Kind("heic", lambda: heic(quarters()), "image/heic", 6),
    Kind("avif", lambda: saved(quarters(), "AVIF", quality=95, subsampling="4:4:4"), "image/avif", 6),
    Kind("jp2", lambda: saved(quarters(), "JPEG2000"), "image/jp2"),
    Kind("j2k", lambda: saved(quarters(), "JPEG2000", no_jp2=True), "image/j2c"),
    Kind("jpx", lambda: saved(quarters(), "JPEG2000").replace(b"ftypjp2 ", b"ftypjpx ", 1), "image/jpx"),
    Kind("gif", lambda: saved(quarters(), "GIF"), "image/gif", 3),
    Kind("webp", lambda: saved(quarters(), "WEBP", lossless=True), "image/webp"),
    Kind("bmp", lambda: saved(quarters(), "BMP"), "image/bmp"),
    Kind("png palette", palette_png, P, 3),
    Kind("png interlaced gray", lambda: saved(quarters("L"), "PNG"), P, monochrome=True),
    Kind("png 16-bit", lambda: deep_png(quarters()), P),
    Kind("jpeg", lambda: saved(quarters(), "JPEG", quality=95), J, 4),
    Kind("jpeg progressive", lambda: saved(quarters(), "JPEG", quality=95, progressive=True), J, 4),
    Kind("jpeg cmyk, adobe", lambda: saved(quarters("CMYK"), "JPEG", quality=98), J, 4),
    Kind("jpeg cmyk, no adobe", lambda: jpeg_without_adobe(quarters("CMYK")), J, 4),
    Kind("mpo", lambda: mpo(quarters()), J, 4),
    Kind("tiff", lambda: saved(quarters(), "TIFF"), T),
    *[
        Kind(f"tiff {name}", lambda name=name: saved(quarters(), "TIFF", compression=name), T, tolerance)  # type: ignore[misc]
        for name, tolerance in (("tiff_lzw", 0), ("tiff_adobe_deflate", 0), ("packbits", 0), ("jpeg", 6))
    ],
    Kind("tiff cmyk", lambda: saved(quarters("CMYK"), "TIFF"), T),
    Kind("tiff palette", lambda: saved(quarters().quantize(8), "TIFF"), T, 3),
    Kind("tiff lab", lambda: saved(lab(), "TIFF"), T, 8),
    Kind("tiff big", lambda: big_tiff(quarters()), T),
    Kind("tiff tiled", lambda: tiled_tiff(quarters()), T),
    Kind("tiff 16-bit", lambda: deep_rgb_tiff(quarters()), T),
]


def lab() -> Image.Image:
    ends = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    found = ImageCms.applyTransform(quarters(), ImageCms.buildTransform(*ends, "RGB", "LAB"))
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_shown_in_its_colours(kind: Kind) -> None:
    source = Source(kind.data())
    assert source.facts == Facts(kind.media_type, Extent(*SIZE), monochrome=kind.monochrome)
    wanted = middles(quarters("L")) if kind.monochrome else COLOURS
    assert apart(middles(source.image(whole(source.facts))), wanted) <= kind.tolerance


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_cut_short_is_an_error_or_the_same_facts(kind: Kind) -> None:
    data = kind.data()
    for length in (0, 9, 40, len(data) // 3, len(data) * 2 // 3):
        facts = read_facts(BytesIO(data[:length]), "cut")
        assert facts.error is not None or facts.extent == Extent(*SIZE)
        if facts.error is None and length < len(data) * 2 // 3:
            with pytest.raises(Undecodable):
                Source(data[:length]).render(whole(facts))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_limit_on_pixels_holds_for_every_kind(kind: Kind) -> None:
    data = kind.data()
    facts = read_facts(BytesIO(data), "bomb", 1000)
    assert facts.extent is None and "over the limit" in str(facts.error)
    with pytest.raises(TooLarge):
        Source(data).render(whole(Source(data).facts), Renderer(RenderLimits(pixels_max=1000)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["HEIC", "AVIF", "BIG TIFF"])
def test_every_orientation_is_applied_once(name: str, orientation: int) -> None:
    stored = stored_turned(quarters(), orientation)
    exif = exif_of(orientation)
    data = {
        "HEIC": lambda: heic(stored, exif=exif.tobytes()),
        "AVIF": lambda: saved(stored, "AVIF", exif=exif, quality=95, subsampling="4:4:4"),
        "BIG TIFF": lambda: saved(stored, "TIFF", big_tiff=True, tiffinfo={274: orientation}),
    }[name]()
    source = Source(data)
    assert source.facts.extent == Extent(*SIZE)
    assert apart(middles(source.image(whole(source.facts))), COLOURS) <= 6


def test_the_turn_of_a_heic_is_the_files_and_not_one_that_exif_repeats() -> None:
    data = heic(quarters(), exif=exif_of(1).tobytes())
    upright, lying = exif_of(1).tobytes()[6:], exif_of(6).tobytes()[6:]
    assert data.count(upright) == 1 and len(upright) == len(lying)
    data = data.replace(upright, lying)
    source = Source(data)
    assert source.facts.extent == Extent(*SIZE)
    assert apart(middles(source.image(whole(source.facts))), COLOURS) <= 6


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_alpha_of_every_kind_is_kept(mode: str) -> None:
    image = Image.new("RGBA", (16, 16), (200, 30, 40, 255))
    image.paste((0, 0, 0, 0), (8, 0, 16, 16))
    kinds = {
        "LA": [saved(image.convert("LA"), "PNG"), saved(image.convert("LA"), "JPEG2000")],
        "RGBA": [heic(image), saved(image, "AVIF"), saved(image, "TIFF"), saved(image, "JPEG2000")],
        "P": [saved(image.quantize(4), "PNG"), saved(image, "GIF")],
    }
    for data in kinds[mode]:
        source = Source(data)
        alpha = source.image(whole(source.facts)).getchannel("A")
        assert (pixel(alpha, (3, 8)), pixel(alpha, (12, 8))) == ((255,), (0,))


@pytest.mark.parametrize("big_endian", [False, True])
def test_sixteen_bit_gray_of_tiff_and_jp2(big_endian: bool) -> None:
    deep = Image.new("I;16B" if big_endian else "I;16", (8, 1))
    for x in range(8):
        deep.putpixel((x, 0), x * 8192)
    kinds = [saved(deep, "TIFF")] + ([] if big_endian else [saved(deep, "JPEG2000")])
    for data in kinds:
        source = Source(data)
        assert source.facts.monochrome
        assert list(source.image(whole(source.facts)).tobytes()) == [x * 32 for x in range(8)]


# ---- wide gamut ---------------------------------------------------------------------------------------------------

# CIE xyY of the primaries, and D50-adapted XYZ as the registries publish them.
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB_INVERSE = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)


def profile_with(primaries: tuple[tuple[float, ...], ...], gamma: float | None) -> bytes:
    """sRGB's profile with other primaries, and a plain gamma where there is one."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132], "big")
    for index in range(count):
        at = 132 + 12 * index
        name, offset = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "big")
        if name in (b"rXYZ", b"gXYZ", b"bXYZ"):
            values = primaries[(b"rXYZ", b"gXYZ", b"bXYZ").index(name)]
            data[offset + 8 : offset + 20] = b"".join(struct.pack(">l", round(v * 65536)) for v in values)
        elif gamma is not None and name == b"rTRC":
            data[offset : offset + 16] = b"para" + struct.pack(">LHHl", 0, 0, 0, round(gamma * 65536))
    return bytes(data)


def in_srgb(colour: tuple[int, ...], primaries: tuple[tuple[float, ...], ...], gamma: float | None) -> tuple[int, ...]:
    """By the formulas of IEC 61966-2-1, in floating point."""

    def linear(value: float) -> float:
        if gamma is not None:
            return float(value**gamma)
        return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)

    light = [linear(value / 255) for value in colour]
    xyz = [sum(light[band] * primaries[band][axis] for band in range(3)) for axis in range(3)]
    found = [min(1.0, max(0.0, sum(row[axis] * xyz[axis] for axis in range(3)))) for row in SRGB_INVERSE]
    return tuple(round(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)) for v in found)


def with_jp2_profile(data: bytes, profile: bytes) -> bytes:
    """The colr box of a JP2 replaced by one with a restricted profile."""
    start = data.index(b"colr") - 4
    length = int.from_bytes(data[start : start + 4], "big")
    colr = struct.pack(">L", 11 + len(profile)) + b"colr\2\0\0" + profile
    header = data.index(b"jp2h") - 4
    grown = int.from_bytes(data[header : header + 4], "big") + len(colr) - length
    return data[:header] + struct.pack(">L", grown) + data[header + 4 : start] + colr + data[start + length :]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIC", "JP2"])
@pytest.mark.parametrize(("primaries", "gamma"), [(P3, None), (ADOBE, 2.19921875)], ids=["Display P3", "Adobe RGB"])
def test_wide_gamut_becomes_srgb(name: str, primaries: tuple[tuple[float, ...], ...], gamma: float | None) -> None:
    colour, profile = (150, 180, 110), profile_with(primaries, gamma)
    image = Image.new("RGB", (32, 32), colour)
    lossless = {"lossless": True} if name == "WEBP" else {"quality": 98} if name in ("JPEG", "AVIF") else {}
    if name == "HEIC":
        image.info["icc_profile"] = profile
        data = heic(image)
    elif name == "JP2":
        data = with_jp2_profile(saved(image, "JPEG2000"), profile)
    else:
        data = saved(image, name, icc_profile=profile, **lossless)
    wanted = in_srgb(colour, primaries, gamma)
    assert max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) > 8
    source = Source(data)
    assert apart([pixel(source.image(whole(source.facts)), (9, 9))], [wanted]) <= 3


# ---- pages --------------------------------------------------------------------------------------------------------


def pages_tiff(big: bool = False) -> bytes:
    first, second = quarters(), Image.new("RGB", (30, 20), (10, 200, 30))
    third = stored_turned(quarters(), 6)
    third.encoderinfo = {"tiffinfo": {274: 6}}
    return saved(first, "TIFF", save_all=True, append_images=[second, third], big_tiff=big)


@pytest.mark.parametrize("big", [False, True])
def test_every_page_of_a_tiff_has_its_extent_and_its_pixels(big: bool) -> None:
    source = Source(pages_tiff(big))
    facts = source.facts
    assert facts.pages == (Extent(*SIZE), Extent(30, 20), Extent(*SIZE))
    renderer = Renderer(RenderLimits())

    def page(number: int) -> Image.Image:
        this = replace(facts, extent=facts.pages[number])
        answer = renderer.render("key", source.open, whole(this), this, number)
        return Image.open(BytesIO(answer))

    assert mean_error(page(0), quarters()) == 0
    assert mean_error(page(1), Image.new("RGB", (30, 20), (10, 200, 30))) == 0
    assert mean_error(page(2), quarters()) == 0
    assert mean_error(page(0), quarters()) == 0
    assert (source.opened, renderer.gauges.full_decodes) == (3, 3)
    with pytest.raises(Undecodable):
        renderer.render("key", source.open, whole(facts), facts, 3)


def test_lower_resolutions_and_masks_are_no_pages() -> None:
    small = Image.new("RGB", (8, 6))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    mask = Image.new("1", SIZE)
    mask.encoderinfo = {"tiffinfo": {254: 4}}
    source = Source(saved(quarters(), "TIFF", save_all=True, append_images=[small, mask]))
    assert source.facts.pages == ()


def test_a_copy_at_a_lower_resolution_before_the_picture_is_not_taken_for_it() -> None:
    large = quarters()
    large.encoderinfo = {"tiffinfo": {254: 0}}
    data = saved(Image.new("RGB", (8, 6)), "TIFF", save_all=True, append_images=[large], tiffinfo={254: 1})
    source = Source(data)
    assert source.facts == Facts("image/tiff", Extent(*SIZE))
    assert mean_error(source.image(whole(source.facts)), quarters()) == 0


def test_several_top_level_pictures_of_a_heic_are_pages_with_the_primary_first() -> None:
    file = pillow_heif.from_pillow(Image.new("RGB", (32, 16), (10, 200, 30)))
    file.add_from_pillow(quarters())
    buffer = BytesIO()
    file.save(buffer, quality=95, primary_index=1)
    source = Source(buffer.getvalue())
    facts = source.facts
    assert facts.pages == (Extent(*SIZE), Extent(32, 16))
    assert apart(middles(source.image(whole(facts))), COLOURS) <= 10
    second = replace(facts, extent=facts.pages[1])
    answer = Renderer(RenderLimits()).render("k", source.open, whole(second), second, 1)
    assert apart([pixel(Image.open(BytesIO(answer)), (9, 9))], [(10, 200, 30)]) <= 10


def test_a_page_of_a_format_without_pages_is_an_error() -> None:
    source = Source(saved(quarters(), "PNG"))
    with pytest.raises(Undecodable):
        Renderer(RenderLimits()).render("k", source.open, whole(source.facts), source.facts, 1)


def test_an_animated_avif_shows_its_first_frame() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    source = Source(saved(frames[0], "AVIF", save_all=True, append_images=frames[1:]))
    assert source.facts.pages == ()
    assert pixel(source.image(whole(source.facts)), (9, 9))[0] > 240


# ---- what cannot be decoded ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + b"\0" * 100, "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1" + b"\0" * 100, "image/avif"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 100, "image/jp2"),
        (b"\xff\x4f\xff\x51" + b"\0" * 100, "image/j2c"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 100, "image/tiff"),
    ],
)
def test_a_signature_without_a_picture_is_an_error_of_one_line(data: bytes, media_type: str) -> None:
    facts = read_facts(BytesIO(data), "broken.jpg")
    assert (facts.media_type, facts.extent) == (media_type, None)
    assert facts.error is not None and facts.error.startswith("broken.jpg: ") and "\n" not in facts.error


def test_a_lossless_jpeg_of_a_sensor_is_an_error_of_one_line() -> None:
    data = saved(quarters(), "JPEG")
    at = data.index(b"\xff\xc0")
    source = Source(data[: at + 1] + b"\xc3" + data[at + 2 :])
    with pytest.raises(Undecodable):
        source.render(whole(Facts("image/jpeg", Extent(*SIZE))))


CAMERA_JPEGS = sorted(Path("/usr/share/backgrounds/mate").rglob("*.jpg"))


@pytest.mark.skipif(not CAMERA_JPEGS, reason="Debian's mate-backgrounds is not installed")
def test_photographs_of_real_cameras_look_as_pillow_shows_them() -> None:
    for path in CAMERA_JPEGS[:4]:
        source = Source(path.read_bytes())
        facts = source.facts
        assert facts.extent is not None, facts.error
        with Image.open(path) as picture:
            expected = picture.convert("RGB").resize((64, 48), Image.Resampling.BOX)
        whole_picture = (0, 0, facts.extent.width, facts.extent.height)
        answer = source.image(image_request(whole_picture, (64, 48), format=Format.PNG)).convert("RGB")
        assert mean_error(answer, expected) < 6
