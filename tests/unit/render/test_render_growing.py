"""A picture of which parts are cut while it is being decoded: what is there early is what is there in the end."""

from __future__ import annotations

import random
from io import BytesIO

import pytest
from PIL import Image

from iiiffs.errors import Undecodable
from iiiffs.iiif.parameters import Format, Quality
from iiiffs.iiif.request import ImageRequest
from iiiffs.render.decode import Room, decode
from iiiffs.render.encode import JPEG_QUALITY, JPEG_SUBSAMPLING, encode, encode_part
from iiiffs.render.growing import rows_there, unwrite
from iiiffs.render.plan import Decode
from iiiffs.render.pyramid import Pyramid
from iiiffs.render.renderer import Renderer, RenderLimits
from iiiffs.render.sheets import Sheet, Sheets
from tests.unit.render.render_pictures import Source, exif_of, image_request, saved

SIZE = (1600, 1200)


def noise(mode: str, size: tuple[int, int] = SIZE) -> Image.Image:
    bands = len(mode)
    return Image.frombytes(mode, size, random.Random(3).randbytes(bands * size[0] * size[1]))


NOISE = saved(noise("RGB"), "JPEG", quality=95)
TURNED = saved(noise("RGB"), "JPEG", quality=95, exif=exif_of(6))
FINEST = image_request((0, 0, 512, 512), (512, 512), format=Format.JPG)
HALF = image_request((0, 0, 256, 256), (128, 128), format=Format.JPG)
QUARTER = image_request((0, 0, 256, 256), (64, 64), format=Format.JPG)


def watched(source: Source, how: Decode = Decode.FULL) -> tuple[Renderer, Pyramid, list[tuple[Pyramid, int]]]:
    heard: list[tuple[Pyramid, int]] = []
    renderer = Renderer(RenderLimits())
    pyramid = renderer.decoded(
        "a", source.open, how, source.facts, 0, lambda growing, rows: heard.append((growing, rows))
    )
    return renderer, pyramid, heard


def test_rows_that_are_told_are_as_they_stay() -> None:
    source, early = Source(NOISE), []

    def watch(growing: Pyramid, rows: int) -> None:
        early.append((rows, growing.level(0).crop((0, 0, SIZE[0], rows)).tobytes()))

    pyramid = Renderer(RenderLimits()).decoded("a", source.open, Decode.FULL, source.facts, 0, watch)
    told = [rows for rows, _ in early]
    assert len(told) >= 2
    assert told == sorted(set(told))
    assert 0 < told[0] < told[-1] < SIZE[1]
    for rows, pixels in early:
        assert pyramid.level(0).crop((0, 0, SIZE[0], rows)).tobytes() == pixels
    with Image.open(BytesIO(NOISE)) as plain:
        assert pyramid.level(0).crop((0, 0, *SIZE)).tobytes() == plain.tobytes()


def test_tiles_that_are_cut_early_are_those_that_are_cut_late() -> None:
    source = Source(NOISE)
    early: dict[object, bytes] = {}
    renderer = Renderer(RenderLimits())

    def watch(growing: Pyramid, rows: int) -> None:
        for request in (FINEST, HALF, QUARTER):
            needed = renderer.rows_for(growing, request, source.facts)
            if needed is not None and needed <= rows:
                early.setdefault(request.size, renderer.cut(growing, request, source.facts))

    renderer.decoded("a", source.open, Decode.FULL, source.facts, 0, watch)
    assert early == {request.size: Source(NOISE).render(request) for request in (FINEST, HALF, QUARTER)}


@pytest.mark.parametrize(
    ("picture", "how"),
    [
        (saved(noise("L"), "JPEG", quality=95), Decode.FULL),
        (saved(noise("CMYK"), "JPEG", quality=95), Decode.FULL),
        (saved(noise("RGB"), "PNG"), Decode.FULL),
        (NOISE, Decode.EIGHTH),
    ],
)
def test_of_others_nothing_is_told(picture: bytes, how: Decode) -> None:
    assert watched(Source(picture), how)[2] == []


def test_of_one_in_a_file_nothing_is_told() -> None:
    source, heard = Source(NOISE), []
    renderer = Renderer(RenderLimits(file_from_px=1))
    renderer.decoded("a", source.open, Decode.FULL, source.facts, 0, lambda growing, rows: heard.append(rows))
    assert heard == []


class Used(Sheets):
    """Memory that is not zeros at first."""

    def blank(self, mode: str, size: tuple[int, int]) -> Sheet:
        return Sheet(Image.new(mode, size, "red"))


def test_in_memory_that_is_not_zeros_nothing_is_told_too_early() -> None:
    source, early = Source(NOISE), []
    room = Room(1 << 30, Used(None, 1 << 30))

    def watch(growing: Pyramid, rows: int) -> None:
        early.append((rows, growing.level(0).crop((0, 0, SIZE[0], rows)).tobytes()))

    with source.open() as stream:
        pyramid = decode(stream, Decode.FULL, source.facts, 0, room, watch)
    assert len(early) >= 2
    with Image.open(BytesIO(NOISE)) as plain:
        assert pyramid.level(0).crop((0, 0, *SIZE)).tobytes() == plain.tobytes()
        for rows, pixels in early:
            assert pixels == plain.crop((0, 0, SIZE[0], rows)).tobytes()


def test_no_row_looks_written_of_what_was_unwritten() -> None:
    image = Image.new("RGB", (7, 40), "red")
    assert rows_there(image, 0) == 40
    unwrite(image)
    assert rows_there(image, 0) == 0


def test_a_picture_that_is_cut_off_fails_although_rows_were_told() -> None:
    source, heard = Source(NOISE), []
    source.data = NOISE[: len(NOISE) * 3 // 4]
    renderer = Renderer(RenderLimits())
    with pytest.raises(Undecodable):
        renderer.decoded("a", source.open, Decode.FULL, source.facts, 0, lambda growing, rows: heard.append(rows))
    assert heard
    assert renderer.kept("a", Decode.FULL) is None


@pytest.mark.parametrize(
    ("picture", "request_", "rows"),
    [
        (NOISE, FINEST, 512),
        (NOISE, image_request((512, 512, 1024, 1024), (512, 512)), 1024),
        (NOISE, image_request((0, 1024, 512, 1200), (512, 176)), 1200),
        (NOISE, HALF, 256),
        (NOISE, QUARTER, 1024),  # made of whole cells of the level between
        (NOISE, image_request((0, 1024, 512, 1200), (128, 44)), 1200),
        (NOISE, image_request((0, 0, 1024, 1200), (256, 300)), None),  # most of level 2
        (NOISE, image_request((0, 0, 1600, 1200), (800, 600)), None),  # the whole level 1
        (NOISE, image_request((0, 0, 512, 512), (500, 500)), None),  # resampled
        (TURNED, image_request((0, 0, 512, 512), (512, 512)), 1200),  # upright left is stored bottom
        (TURNED, image_request((688, 0, 1200, 512), (512, 512)), 512),
    ],
)
def test_the_rows_that_a_cut_takes(picture: bytes, request_: ImageRequest, rows: int | None) -> None:
    source = Source(picture)
    renderer, pyramid, _ = watched(source)
    assert renderer.rows_for(pyramid, request_, source.facts) == rows


def test_rows_are_counted_from_what_is_known() -> None:
    image = Image.new("RGB", (7, 40))
    unwrite(image)
    assert rows_there(image, 0) == 0
    image.paste(noise("RGB", (7, 13)), (0, 0))
    assert rows_there(image, 0) == rows_there(image, 5) == 13
    assert rows_there(image, 20) == 20


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA"])
@pytest.mark.parametrize("format_", list(Format))
def test_a_part_is_encoded_as_if_it_were_cut_out(mode: str, format_: Format) -> None:
    image, box = noise(mode, (300, 200)), (17, 3, 217, 131)
    assert encode_part(image, box, format_) == encode(image.crop(box), format_)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("box", [(0, 0, 300, 200), (17, 3, 217, 131), (299, 199, 300, 200)])
def test_a_jpeg_is_what_pillow_saves(mode: str, box: tuple[int, int, int, int]) -> None:
    image, file = noise(mode, (300, 200)), BytesIO()
    image.crop(box).save(file, "JPEG", quality=JPEG_QUALITY, subsampling=JPEG_SUBSAMPLING)
    assert encode_part(image, box, Format.JPG) == file.getvalue()


def test_large_and_small_files_follow_each_other() -> None:
    large, small = noise("RGB", (3000, 2000)), noise("RGB", (8, 8))
    first = encode(small, Format.JPG)
    assert len(encode(large, Format.JPG)) > 4 << 20
    assert encode(small, Format.JPG) == first


def test_what_is_turned_or_in_gray_is_not_taken_as_it_lies() -> None:
    plain = Source(NOISE).render(FINEST)
    for turn, quality in (("90", Quality.DEFAULT), ("!0", Quality.DEFAULT), ("0", Quality.GRAY)):
        request = image_request((0, 0, 512, 512), (512, 512), turn, quality, Format.JPG)
        assert Source(NOISE).render(request) != plain
    inks = saved(noise("CMYK"), "JPEG", quality=95)
    with Image.open(BytesIO(Source(inks).render(FINEST))) as shown:
        assert shown.mode == "RGB"
