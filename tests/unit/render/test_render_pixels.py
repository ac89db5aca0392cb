"""Pixels of renditions against references that are computed another way."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from math import cos, radians, sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from iiiffs.iiif.parameters import Format, Quality, Rotation
from iiiffs.iiif.pyramid import scale_factors, tiles
from iiiffs.model.image import Extent
from iiiffs.render.renderer import Renderer, RenderLimits
from iiiffs.render.transform import turned_extent
from tests.unit.render.render_pictures import (
    Source,
    coordinates,
    exif_of,
    image_request,
    mean_error,
    pixel,
    saved,
    stored_turned,
    whole,
)

PICTURE = coordinates(96, 64)
PNG = Source(saved(PICTURE, "PNG"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_every_orientation_is_shown_upright(name: str, orientation: int) -> None:
    options: dict[str, dict[str, object]] = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}
    stored = stored_turned(PICTURE, orientation)
    source = Source(saved(stored, name, exif=exif_of(orientation), **options.get(name, {})))
    region, size = (10, 7, 59, 41), (49, 34)
    assert mean_error(source.image(image_request(region, size)), PICTURE.crop(region)) <= (2 if name == "JPEG" else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_levels_of_odd_sides_lie_where_they_belong_in_every_orientation(orientation: int) -> None:
    upright = coordinates(333, 251)
    source = Source(saved(stored_turned(upright, orientation), "JPEG", quality=98, exif=exif_of(orientation)))
    for size in ((333, 251), (167, 126), (84, 63), (42, 32), (21, 16)):
        expected = upright.resize(size, Image.Resampling.BOX)
        assert mean_error(source.image(image_request((0, 0, 333, 251), size)), expected) < 2


@pytest.mark.parametrize("turn", ["0", "90", "180", "270", "!0", "!90", "!180", "!270"])
def test_mirror_comes_before_a_clockwise_quarter_turn(turn: str) -> None:
    width, height = PICTURE.size
    seen = {x: [pixel(PICTURE, (x, y)) for y in range(height)] for x in range(width)}
    columns = [seen[width - 1 - x if turn[0] == "!" else x] for x in range(width)]
    rows = [[columns[x][y] for x in range(width)] for y in range(height)]
    for _ in range(int(turn.removeprefix("!")) // 90):
        rows = [list(row) for row in zip(*rows[::-1], strict=True)]
    answer = PNG.image(image_request((0, 0, 96, 64), (96, 64), turn))
    assert answer.size == (len(rows[0]), len(rows))
    assert [pixel(answer, (x, y)) for y in range(len(rows)) for x in range(len(rows[0]))] == [
        value for row in rows for value in row
    ]


@pytest.mark.parametrize("turn", ["22.5", "45", "!30", "123.4", "359"])
def test_any_other_turn_puts_each_point_where_geometry_says(turn: str) -> None:
    request = image_request((0, 0, 96, 64), (96, 64), turn)
    answer = PNG.image(request)
    extent = turned_extent(Extent(96, 64), request.rotation)
    assert (answer.mode, answer.size) == ("RGBA", (extent.width, extent.height))
    angle = radians(request.rotation.degrees)
    for x, y in ((20, 20), (70, 15), (48, 32), (15, 50), (80, 50)):
        across = (-1 if request.rotation.mirrored else 1) * (x + 0.5 - 48)
        down = y + 0.5 - 32
        at = (
            int(extent.width / 2 + across * cos(angle) - down * sin(angle)),
            int(extent.height / 2 + across * sin(angle) + down * cos(angle)),
        )
        red, green, _, alpha = pixel(answer, at)
        assert abs(red - pixel(PICTURE, (x, y))[0]) <= 6
        assert abs(green - pixel(PICTURE, (x, y))[1]) <= 8
        assert alpha == 255
    assert pixel(answer, (0, 0))[3] == 0


def test_corners_of_a_turn_are_white_in_a_jpeg() -> None:
    answer = PNG.image(image_request((0, 0, 96, 64), (96, 64), "45", format=Format.JPG))
    assert min(pixel(answer, (1, 1))) >= 250


def test_a_turned_box_is_as_large_as_geometry_says() -> None:
    assert turned_extent(Extent(100, 50), Rotation(False, Fraction(45))) == Extent(106, 106)
    assert turned_extent(Extent(100, 50), Rotation(False, Fraction(270))) == Extent(50, 100)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_size_is_exactly_what_was_asked_for(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    region = (left, top, data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height)))
    size = (data.draw(st.integers(1, 120)), data.draw(st.integers(1, 120)))
    turn = data.draw(st.sampled_from(["0", "90", "180", "270", "!0", "!90"]))
    name = data.draw(st.sampled_from(["JPEG", "PNG"]))
    orientation = data.draw(st.sampled_from([1, 3, 6]))
    stored = stored_turned(coordinates(width, height), orientation)
    answer = Source(saved(stored, name, exif=exif_of(orientation))).image(image_request(region, size, turn))
    assert answer.size == (size[::-1] if turn.endswith(("90", "270")) else size)


def edges_repeated(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`picture` at the top left of a larger one, its last column and row repeated."""
    larger = Image.new(picture.mode, size)
    for x in range(picture.width, size[0]):
        larger.paste(picture.crop((picture.width - 1, 0, picture.width, picture.height)), (x, 0))
    larger.paste(picture, (0, 0))
    for y in range(picture.height, size[1]):
        larger.paste(larger.crop((0, picture.height - 1, size[0], picture.height)), (0, y))
    return larger


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(333, 251), (512, 256), (97, 301)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_tiles_of_each_level_lie_side_by_side(name: str, size: tuple[int, int], orientation: int) -> None:
    picture = coordinates(*size)
    source = Source(saved(stored_turned(picture, orientation), name, exif=exif_of(orientation)))
    extent, renderer = Extent(*size), Renderer(RenderLimits())
    for scale in scale_factors(extent, 64):
        joined = Image.new("RGB", (-(-size[0] // scale), -(-size[1] // scale)))
        for tile in tiles(extent, 64, scale):
            region = tile.region
            part = source.image(
                image_request(
                    (region.left, region.top, region.right, region.bottom), (tile.extent.width, tile.extent.height)
                ),
                renderer,
            )
            joined.paste(part, (region.left // scale, region.top // scale))
        expected = edges_repeated(picture, (joined.width * scale, joined.height * scale)).reduce(scale)
        # An edge tile's size is rounded up, and the tile is stretched to it: by less than one px of its far edge.
        aligned = size[0] % scale == 0 and size[1] % scale == 0
        assert mean_error(joined, expected) < (3 if aligned else 3 + 0.5 * 255 / min(joined.size))


@pytest.mark.parametrize(
    ("size", "out"), [((1, 1), (1, 1)), ((1, 1), (5, 3)), ((1, 900), (1, 9)), ((900, 1), (3, 1)), ((7, 5), (2, 2))]
)
@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_odd_shapes(name: str, size: tuple[int, int], out: tuple[int, int]) -> None:
    source = Source(saved(Image.new("RGB", size, (200, 100, 50)), name))
    answer = source.image(image_request((0, 0, *size), out))
    assert answer.size == out
    assert all(abs(value - wanted) <= 4 for value, wanted in zip(pixel(answer, (0, 0)), (200, 100, 50), strict=True))


def test_a_thin_region_is_not_mixed_with_its_neighbours() -> None:
    stripes = Image.new("RGB", (64, 256), (255, 255, 255))
    stripes.paste((0, 0, 0), (21, 0, 22, 256))
    answer = Source(saved(stripes, "PNG")).image(image_request((21, 0, 22, 256), (1, 32)))
    assert max(pixel(answer, (0, 16))) == 0


def test_gray_is_luma_and_stays_one_channel() -> None:
    answer = PNG.image(image_request((0, 0, 96, 64), (96, 64), quality=Quality.GRAY))
    assert answer.mode == "L"
    red, green, blue = pixel(PICTURE, (60, 20))
    assert abs(pixel(answer, (60, 20))[0] - (0.299 * red + 0.587 * green + 0.114 * blue)) <= 1


@pytest.mark.parametrize(("format_", "mode"), [(Format.PNG, "1"), (Format.JPG, "L"), (Format.WEBP, "RGB")])
def test_bitonal_is_black_where_luma_is_below_the_middle(format_: Format, mode: str) -> None:
    ramp = Image.linear_gradient("L")
    answer = Source(saved(ramp, "PNG")).image(
        image_request((0, 0, 256, 256), (256, 256), quality=Quality.BITONAL, format=format_)
    )
    assert answer.mode == mode
    column = list(answer.convert("L").crop((9, 0, 10, 256)).tobytes())
    assert all(value < 40 for value in column[:124]) and all(value > 215 for value in column[132:])
    if format_ is Format.PNG:
        assert column == [0] * 128 + [255] * 128


def test_a_gray_jpeg_stays_gray() -> None:
    source = Source(saved(PICTURE.convert("L"), "JPEG"))
    for quality in (Quality.DEFAULT, Quality.GRAY):
        assert source.image(image_request((0, 0, 96, 64), (24, 16), quality=quality, format=Format.JPG)).mode == "L"


def with_alpha() -> Image.Image:
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    picture.paste((200, 30, 60, 255), (0, 0, 20, 40))
    picture.paste((30, 200, 60, 128), (20, 0, 40, 20))
    return picture


@pytest.mark.parametrize("format_", [Format.PNG, Format.WEBP])
def test_alpha_is_kept_where_the_format_has_it(format_: Format) -> None:
    answer = Source(saved(with_alpha(), "PNG")).image(image_request((0, 0, 40, 40), (40, 40), format=format_))
    assert answer.mode == "RGBA"
    assert [pixel(answer, at)[3] for at in ((5, 5), (30, 10), (30, 30))] == [255, 128, 0]


def test_alpha_is_laid_on_white_in_a_jpeg() -> None:
    answer = Source(saved(with_alpha(), "PNG")).image(image_request((0, 0, 40, 40), (40, 40), format=Format.JPG))
    assert answer.mode == "RGB"
    for at, wanted in (((5, 5), (200, 30, 60)), ((30, 8), (142, 227, 157)), ((30, 32), (255, 255, 255))):
        assert all(abs(a - b) <= 12 for a, b in zip(pixel(answer, at), wanted, strict=True))


def test_what_is_invisible_does_not_bleed_into_halves() -> None:
    picture = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 33, 64))
    answer = Source(saved(picture, "PNG")).image(image_request((0, 0, 64, 64), (13, 13)))
    assert all(pixel(answer, (x, 5))[:3] == (0, 0, 0) for x in range(13) if pixel(answer, (x, 5))[3] > 20)


def test_gray_with_alpha_keeps_both() -> None:
    source = Source(saved(Image.merge("LA", (Image.new("L", (8, 8), 90), Image.new("L", (8, 8), 120))), "PNG"))
    answer = source.image(image_request((0, 0, 8, 8), (8, 8)))
    assert (answer.mode, pixel(answer, (3, 3))) == ("LA", (90, 120))


@pytest.mark.parametrize("big_endian", [False, True])
def test_sixteen_bits_are_scaled_and_not_cut(big_endian: bool) -> None:
    name = "TIFF" if big_endian else "PNG"
    deep = Image.new("I;16B" if big_endian else "I;16", (3, 1))
    for x, value in enumerate((0, 0x8000, 0xFFFF)):
        deep.putpixel((x, 0), value)
    answer = Source(saved(deep, name)).image(image_request((0, 0, 3, 1), (3, 1)))
    assert (answer.mode, list(answer.tobytes())) == ("L", [0, 128, 255])


@pytest.mark.parametrize(
    ("mode", "values", "wanted"), [("I", (0, 32768, 65535), [0, 128, 255]), ("F", (0.0, 0.5, 1.0), [0, 127, 255])]
)
def test_thirty_two_bits_are_scaled(mode: str, values: tuple[float, ...], wanted: list[int]) -> None:
    deep = Image.new(mode, (3, 1))
    for x, value in enumerate(values):
        deep.putpixel((x, 0), value)
    assert list(Source(saved(deep, "TIFF")).image(image_request((0, 0, 3, 1), (3, 1))).tobytes()) == wanted


def test_a_palette_becomes_its_colours() -> None:
    palette = PICTURE.quantize(256)
    answer = Source(saved(palette, "PNG")).image(image_request((0, 0, 96, 64), (96, 64)))
    assert mean_error(answer, palette.convert("RGB")) == 0


def test_a_transparent_palette_keeps_its_holes() -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 1), 1)
    for name in ("PNG", "GIF"):
        answer = Source(saved(palette, name, transparency=1)).image(image_request((0, 0, 4, 4), (4, 4)))
        assert (pixel(answer, (0, 0)), pixel(answer, (1, 1))[3]) == ((10, 20, 30, 255), 0)


def test_one_bit_is_black_and_white() -> None:
    answer = Source(saved(Image.linear_gradient("L").convert("1"), "PNG")).image(
        image_request((0, 0, 256, 256), (256, 256))
    )
    assert answer.mode == "L" and set(answer.tobytes()) == {0, 255}


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_shown(name: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    lossless = {"lossless": True} if name == "WEBP" else {}
    data = saved(frames[0], name, save_all=True, append_images=frames[1:], **lossless)
    answer = Source(data).image(image_request((0, 0, 20, 20), (20, 20)))
    assert pixel(answer.convert("RGB"), (9, 9))[0] > 250


def test_a_cmyk_jpeg_has_its_colours_and_not_their_inverse() -> None:
    inks = Image.new("CMYK", (64, 64), (0, 0, 0, 0))
    inks.paste((0, 255, 255, 0), (0, 0, 32, 32))
    inks.paste((0, 0, 0, 255), (32, 0, 64, 32))
    source = Source(saved(inks, "JPEG", quality=95))
    answer = source.image(image_request((0, 0, 64, 64), (64, 64)))
    for at, wanted in (((10, 10), (255, 0, 0)), ((50, 10), (0, 0, 0)), ((30, 50), (255, 255, 255))):
        assert all(abs(a - b) <= 12 for a, b in zip(pixel(answer, at), wanted, strict=True))


def profile_of(swapped: bool) -> bytes:
    """sRGB, or sRGB with the red and the green primary exchanged: a profile whose effect nobody can overlook."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return (
        data.replace(b"rXYZ", b"@XYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"@XYZ", b"gXYZ", 1) if swapped else data
    )


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_colour_profile_is_honoured(name: str) -> None:
    source = Source(saved(Image.new("RGB", (32, 32), (250, 10, 10)), name, icc_profile=profile_of(swapped=True)))
    red, green, _ = pixel(source.image(image_request((0, 0, 32, 32), (32, 32))), (5, 5))
    assert red < 40 and green > 220


def test_a_colour_profile_is_honoured_under_alpha() -> None:
    picture = Image.new("RGBA", (8, 8), (250, 10, 10, 77))
    answer = Source(saved(picture, "PNG", icc_profile=profile_of(swapped=True))).image(
        image_request((0, 0, 8, 8), (8, 8))
    )
    red, green, _, alpha = pixel(answer, (5, 5))
    assert red < 40 and green > 220 and alpha == 77


@pytest.mark.parametrize(
    "profile", [profile_of(swapped=False), b"no profile at all", profile_of(swapped=True)[:200], b"x" * (5 << 20)]
)
def test_srgb_changes_nothing_and_broken_or_huge_profiles_are_ignored(profile: bytes) -> None:
    answer = Source(saved(PICTURE, "PNG", icc_profile=profile)).image(whole(PNG.facts))
    assert mean_error(answer, PICTURE) == 0


def test_a_profile_of_another_colour_space_is_ignored() -> None:
    gray = Source(saved(PICTURE.convert("L"), "PNG", icc_profile=profile_of(swapped=True)))
    assert mean_error(gray.image(whole(gray.facts)), PICTURE.convert("L")) == 0


@pytest.mark.parametrize("format_", [Format.JPG, Format.PNG, Format.WEBP])
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_no_metadata_of_the_original_is_in_a_rendition(name: str, format_: Format) -> None:
    secret = b"Ada at home 51.5N"
    exif = exif_of(1)
    exif[0x010E] = secret.decode()
    extra: dict[str, object] = {"comment": secret} if name == "JPEG" else {}
    if name != "TIFF":
        extra["xmp"] = b"<x:xmpmeta>" + secret + b"</x:xmpmeta>"
    data = saved(PICTURE, name, exif=exif, icc_profile=profile_of(swapped=True), dpi=(300, 300), **extra)
    assert secret in data
    source = Source(data)
    for size in ((96, 64), (24, 16), (50, 50)):
        answer = source.render(image_request((0, 0, 96, 64), size, format=format_))
        assert secret not in answer
        assert not {"exif", "icc_profile", "xmp", "comment"} & set(Image.open(BytesIO(answer)).info)


def test_formats_are_what_they_are_called() -> None:
    for format_, name in ((Format.JPG, "JPEG"), (Format.PNG, "PNG"), (Format.WEBP, "WEBP")):
        assert Image.open(BytesIO(PNG.render(whole(PNG.facts, format=format_)))).format == name
