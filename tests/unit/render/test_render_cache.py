"""One decode an image, a budget that holds, and bytes that never depend on what is in memory."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from io import BytesIO
from threading import Barrier, Event
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from iiiffs.errors import StoreCorrupt, TooLarge, Undecodable
from iiiffs.iiif.parameters import Format, Quality
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent, Region
from iiiffs.render.plan import Decode, plan_cut
from iiiffs.render.pyramid import Pyramid, PyramidCache
from iiiffs.render.renderer import Renderer, RenderLimits
from iiiffs.render.sheets import Sheet, Sheets
from tests.unit.render.render_pictures import Source, coordinates, exif_of, image_request, saved, whole

JPEG = saved(coordinates(301, 203), "JPEG", exif=exif_of(6))
ALL = (0, 0, 203, 301)
REQUESTS = [
    image_request(ALL, (203, 301), format=Format.JPG),
    image_request(ALL, (102, 151), format=Format.JPG),
    image_request(ALL, (51, 76), format=Format.JPG),
    image_request(ALL, (26, 38), format=Format.JPG),
    image_request(ALL, (77, 99), "!45", Quality.GRAY, Format.WEBP),
    image_request((0, 0, 128, 128), (64, 64), "90"),
    image_request((128, 256, 203, 301), (75, 45), quality=Quality.BITONAL),
    image_request((50, 60, 90, 80), (80, 40), format=Format.JPG),
]
COLD = [Source(JPEG).render(request) for request in REQUESTS]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, len(REQUESTS) - 1), min_size=1, max_size=12), st.sampled_from([0, 100_000, 1 << 30]))
def test_any_order_and_any_budget_give_the_bytes_of_a_cold_start(order: list[int], budget_bytes: int) -> None:
    source, renderer = Source(JPEG), Renderer(RenderLimits(pyramid_bytes_max=budget_bytes))
    for index in order:
        assert source.render(REQUESTS[index], renderer) == COLD[index]


def test_a_jpeg_is_decoded_once_in_full_and_once_as_each_draft() -> None:
    source, renderer = Source(JPEG), Renderer(RenderLimits())
    for request in REQUESTS * 2:
        source.render(request, renderer)
    gauges = renderer.gauges
    assert (source.opened, gauges.full_decodes, gauges.draft_decodes) == (3, 1, 2)
    assert (gauges.renders, gauges.cache_hits) == (16, 13)


def test_the_first_overview_of_a_jpeg_is_a_draft_and_of_a_png_is_not() -> None:
    for name, decodes in (("JPEG", (0, 1)), ("PNG", (1, 0))):
        source, renderer = Source(saved(coordinates(200, 200), name)), Renderer(RenderLimits())
        source.render(image_request((0, 0, 200, 200), (50, 50)), renderer)
        assert (renderer.gauges.full_decodes, renderer.gauges.draft_decodes) == decodes


def test_sixteen_threads_that_ask_at_once_share_one_decode() -> None:
    source, renderer, facts = Source(JPEG), Renderer(RenderLimits()), Source(JPEG).facts
    together = Barrier(16)

    def ask(_: int) -> bytes:
        together.wait(10)
        return renderer.render("key", source.open, REQUESTS[0], facts)

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(ask, range(16)))
    assert answers == {COLD[0]}
    assert (source.opened, renderer.gauges.full_decodes, renderer.gauges.renders) == (1, 1, 16)


def test_another_image_does_not_wait_for_a_decode_that_hangs() -> None:
    renderer, facts = Renderer(RenderLimits()), Source(JPEG).facts
    opened, go_on = Event(), Event()

    def hanging() -> AbstractContextManager[BinaryIO]:
        opened.set()
        assert go_on.wait(10)
        return BytesIO(JPEG)

    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(renderer.render, "stuck", hanging, REQUESTS[0], facts)
        assert opened.wait(10)
        other = pool.submit(renderer.render, "other", lambda: BytesIO(JPEG), REQUESTS[0], facts)
        assert other.result(10) == COLD[0]
        assert not stuck.done()
        go_on.set()
        assert stuck.result(10) == COLD[0]


def test_the_budget_holds_and_the_least_recently_used_goes_first() -> None:
    one_bytes = 203 * 301 * 4 * 4 // 3
    renderer, sources = Renderer(RenderLimits(pyramid_bytes_max=2 * one_bytes)), [Source(JPEG) for _ in range(3)]
    facts = sources[0].facts

    def ask(number: int) -> None:
        renderer.render(str(number), sources[number].open, REQUESTS[0], facts)
        assert renderer.gauges.bytes_held <= 2 * one_bytes

    for number in (0, 1, 0, 2, 0, 1):
        ask(number)
    assert [source.opened for source in sources] == [1, 2, 1]
    assert renderer.gauges.bytes_held == 2 * one_bytes


def test_a_source_over_the_whole_budget_is_answered_and_not_kept() -> None:
    source, renderer = Source(JPEG), Renderer(RenderLimits(pyramid_bytes_max=1000))
    assert [source.render(REQUESTS[0], renderer) for _ in range(2)] == [COLD[0]] * 2
    assert (source.opened, renderer.gauges.bytes_held) == (2, 0)


def test_a_failed_decode_reaches_every_asker_and_is_tried_again() -> None:
    cache, started, go_on = PyramidCache(1 << 20, 0), Event(), Event()
    pyramid = Pyramid(Sheet(Image.new("L", (4, 4))), 0, 1, None, Sheets(None, 1 << 62))

    def failing() -> Pyramid:
        started.set()
        assert go_on.wait(10)
        raise StoreCorrupt("block 3")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, ("key", 0, Decode.FULL), failing)
        assert started.wait(10)
        second = pool.submit(cache.get, ("key", 0, Decode.FULL), failing)
        while cache.hits == 0:
            assert not second.done()
        go_on.set()
        for asker in (first, second):
            with pytest.raises(StoreCorrupt):
                asker.result(10)
    assert cache.get(("key", 0, Decode.FULL), lambda: pyramid) is pyramid


def test_what_is_decoded_is_kept_and_cut_from() -> None:
    source, renderer = Source(JPEG), Renderer(RenderLimits())
    assert renderer.kept("key", Decode.FULL) is None
    pyramid = renderer.decoded("key", source.open, Decode.FULL, source.facts)
    assert renderer.kept("key", Decode.FULL) is pyramid
    assert renderer.kept("key", Decode.EIGHTH) is None
    assert renderer.cut(pyramid, REQUESTS[0], source.facts) == source.render(REQUESTS[0], renderer) == COLD[0]
    assert source.opened == 1


@pytest.mark.parametrize("size", [(2048, 1536), (2047, 1535), (1501, 2)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_a_part_of_a_level_is_the_same_as_of_the_whole(size: tuple[int, int], mode: str) -> None:
    noise = Image.frombytes("RGBA", size, random.Random(1).randbytes(4 * size[0] * size[1])).convert(mode)
    sheets = Sheets(None, 1 << 40)
    pyramid = Pyramid(Sheet(noise), 0, 1, None, sheets)
    half = sheets.halved(Sheet(noise)).image
    assert pyramid.level(1).size == half.size
    for box in ((0, 0, 256, 1), (half.width - 100, half.height - 1, half.width, half.height), (17, 0, 99, 1)):
        part = pyramid.level(1).crop(box)
        assert (part.size, part.tobytes()) == ((box[2] - box[0], box[3] - box[1]), half.crop(box).tobytes())
    assert pyramid.level(1).crop((0, 0, *half.size)).tobytes() == half.tobytes()
    assert pyramid.level(2).crop((0, 0, 64, 1)).tobytes() == half.reduce(2).crop((0, 0, 64, 1)).tobytes()


@pytest.mark.parametrize("size", [(2600, 1300), (2597, 1301), (4099, 9)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_a_part_of_the_second_level_is_the_same_as_of_the_whole(size: tuple[int, int], mode: str) -> None:
    noise = Image.frombytes("RGBA", size, random.Random(2).randbytes(4 * size[0] * size[1])).convert(mode)
    sheets = Sheets(None, 1 << 40)
    half = sheets.halved(Sheet(noise))
    quarter = sheets.halved(half).image
    pyramid = Pyramid(Sheet(noise), 0, 1, None, sheets)
    width, height = quarter.size
    bottom = min(height, 150)
    boxes = [(0, 0, 256, bottom), (width - 130, height - 1, width, height), (255, 0, 300, 2), (512, 1, 600, 3)]
    for box in boxes:
        assert pyramid.level(2).rows_of_first(box) is not None, "made by itself"
        part = pyramid.level(2).crop(box)
        assert (part.size, part.tobytes()) == ((box[2] - box[0], box[3] - box[1]), quarter.crop(box).tobytes())
    cell = (512, 0, min(1024, half.image.width), min(512, half.image.height))
    for level in (pyramid.level(1), Pyramid(Sheet(noise), 0, 1, None, sheets).level(1)):
        assert level.crop(cell).tobytes() == half.image.crop(cell).tobytes()
    assert pyramid.level(2).crop((0, 0, width, height)).tobytes() == quarter.tobytes()
    assert pyramid.level(2).rows_of_first(boxes[0]) is None, "all of it is there: nothing is made by itself any more"


def test_three_decodes_answer_all_that_may_be_asked_of_a_jpeg() -> None:
    image = Extent(6000, 4000)

    def how(
        left: int, top: int, right: int, bottom: int, out: tuple[int, int], media_type: str = "image/jpeg"
    ) -> Decode:
        return plan_cut(Region(left, top, right, bottom), Extent(*out), image, media_type).decode

    assert how(0, 0, 6000, 4000, (375, 250)) is Decode.EIGHTH
    assert how(0, 0, 6000, 4000, (750, 500)) is Decode.EIGHTH
    assert how(4096, 0, 6000, 4000, (238, 500)) is Decode.EIGHTH
    assert how(0, 0, 6000, 4000, (751, 501)) is Decode.QUARTER
    assert how(0, 0, 6000, 4000, (1500, 1000)) is Decode.QUARTER
    assert how(0, 0, 2048, 2048, (512, 512)) is Decode.FULL
    assert how(0, 0, 6000, 4000, (1501, 1001)) is Decode.FULL
    assert how(0, 0, 6000, 4000, (375, 250), "image/png") is Decode.FULL
    sides = {4: Decode.QUARTER, 7: Decode.QUARTER, 8: Decode.EIGHTH, 3: Decode.FULL}
    for side, decode in sides.items():
        thin = Extent(4000, side)
        assert plan_cut(Region(0, 0, 4000, side), Extent(125, 1), thin, "image/jpeg").decode is decode


def test_the_cost_is_a_fraction_where_a_draft_answers() -> None:
    renderer, facts = Renderer(RenderLimits()), Facts("image/jpeg", Extent(6000, 4000))
    assert renderer.decode_cost_px(Decode.EIGHTH, facts) == 750 * 500 * 4 // 3
    assert renderer.decode_cost_px(Decode.QUARTER, facts) == 1500 * 1000 * 4 // 3
    assert renderer.decode_cost_px(Decode.FULL, facts) == 32_000_000
    assert renderer.decode_cost_px(Decode.FULL, replace(facts, media_type="image/webp")) > 32_000_000
    assert renderer.cut_cost_px(image_request((0, 0, 512, 512), (512, 512))) == 4 * 512 * 512


def cut_in_half(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("size", [(200, 200), (40, 40)])
def test_a_truncated_file_is_undecodable_and_not_half_gray(name: str, size: tuple[int, int]) -> None:
    data = saved(coordinates(200, 200), name)
    facts = replace(Source(data).facts, error=None)
    source, renderer = Source(cut_in_half(data)), Renderer(RenderLimits())
    with pytest.raises(Undecodable):
        renderer.render("key", source.open, image_request((0, 0, 200, 200), size), facts)


@pytest.mark.parametrize(
    "facts",
    [
        Facts("image/png", Extent(301, 203)),
        Facts("image/jpeg", Extent(301, 203)),
        Facts("image/jpeg", None, error="x.jpg: empty file"),
    ],
)
def test_bytes_that_are_not_those_of_the_facts_are_refused(facts: Facts) -> None:
    request = whole(Facts("image/jpeg", Extent(203, 301)))
    with pytest.raises(Undecodable):
        Renderer(RenderLimits()).render("key", lambda: BytesIO(JPEG), request, facts)


def test_a_source_over_the_limit_is_never_opened() -> None:
    source, renderer = Source(JPEG), Renderer(RenderLimits(pixels_max=60_000))
    with pytest.raises(TooLarge):
        source.render(REQUESTS[3], renderer)
    assert source.opened == 0


def test_errors_of_the_stream_pass() -> None:
    def broken() -> AbstractContextManager[BinaryIO]:
        raise StoreCorrupt("block 3")

    with pytest.raises(StoreCorrupt):
        Renderer(RenderLimits()).render("key", broken, REQUESTS[0], Source(JPEG).facts)


def test_the_fingerprint_names_what_decides_the_bytes() -> None:
    fingerprint = Renderer(RenderLimits()).fingerprint
    assert fingerprint == Renderer(RenderLimits(pyramid_bytes_max=1)).fingerprint
    assert fingerprint.isascii() and "\n" not in fingerprint
    for word in ("render=", "jpg=85/4:2:0", "pillow=", "libjpeg_turbo=", "webp=", "littlecms2="):
        assert word in fingerprint
