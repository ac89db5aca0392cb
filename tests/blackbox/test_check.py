"""The parts of the check that compute: what requests mean, where pixels lie, what documents must say."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.blackbox import info as documents
from tests.blackbox.__main__ import main
from tests.blackbox.check import Answer, Client, body_fault, headers_fault, refusal_fault
from tests.blackbox.grammar import Choice, Drawing, Limits, Rect, around, canvas, drawing, nearest, regions, sizes
from tests.blackbox.picture import LANDSCAPE, MAX_AREA, MAX_WIDTH, PICTURES, Picture, paint, picture_named, upright
from tests.blackbox.pixels import best_errors, fits, grid, mean_errors, place
from tests.blackbox.requests import Request, Service, requests_for, service_of

LIMITS = Limits(MAX_WIDTH, None, MAX_AREA)
NO_LIMITS = Limits()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("full", [Rect(0, 0, 300, 200)]),
        ("125,15,120,140", [Rect(125, 15, 120, 140)]),
        ("125,15,200,200", [Rect(125, 15, 175, 185)]),
        ("pct:41.6,7.5,66.6,100", [Rect(125, 15, 175, 185), Rect(124, 15, 176, 185)]),
        ("pct:10,10,80,80", [Rect(30, 20, 240, 160)]),
        ("pct:10,10,100,80", [Rect(30, 20, 270, 160)]),
        ("300,0,10,10", []),
        ("0,200,10,10", []),
        ("0,0,0,10", []),
    ],
)
def test_regions(text: str, expected: list[Rect]) -> None:
    """Of a picture of 300 x 200, as in the examples of §4.1."""
    assert list(dict.fromkeys(regions(text, 300, 200))) == expected


def test_a_square_may_lie_anywhere_and_is_looked_for_in_the_middle_first() -> None:
    wide, tall = list(regions("square", 300, 200)), list(regions("square", 200, 301))
    assert wide[0] == Rect(50, 0, 200, 200)
    assert len(wide) == 101
    assert tall[:2] == [Rect(0, 50, 200, 200), Rect(0, 51, 200, 200)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max", [(300, 200)]), ("150,", [(150, 100)]), (",150", [(225, 150)]), ("pct:50", [(150, 100)]),
        ("225,100", [(225, 100)]), ("!225,100", [(150, 100)]), ("^360,", [(360, 240)]), ("^,240", [(360, 240)]),
        ("^pct:120", [(360, 240)]), ("^360,360", [(360, 360)]), ("^!360,360", [(360, 240)]), ("^150,", [(150, 100)]),
        ("!600,900", [(300, 200)]), ("100,", [(100, 67)]), (",67", [(101, 67), (100, 67)]), ("1,", [(1, 1)]),
        ("pct:33.3", [(100, 67), (100, 66), (99, 67), (99, 66)]), ("pct:0.1", [(1, 1)]), ("^max", [(620, 413)]),
        ("301,", []), (",201", []), ("301,200", []), ("pct:101", []), ("^621,", []), ("^,420", []), ("^600,600", []),
    ],
)  # fmt: skip
def test_sizes(text: str, expected: list[tuple[int, int]]) -> None:
    """Of a region of 300 x 200, as in the examples of §4.2; beside them roundings and limits."""
    assert sizes(text, Rect(0, 0, 300, 200), LIMITS) == expected


def test_max_is_held_by_the_limits() -> None:
    assert sizes("max", Rect(0, 0, 1240, 100), LIMITS) == [(620, 50)]
    assert sizes("max", Rect(9, 9, 1000, 1240), LIMITS)[0] == (458, 567)
    assert sizes("!1000,1000", Rect(0, 0, 1240, 100), LIMITS) == [(620, 50)]
    assert sizes("max", Rect(0, 0, 1240, 100), NO_LIMITS) == [(1240, 100)]
    assert sizes("max", Rect(0, 0, 100, 1240), Limits(2000, 310)) == [(25, 310)]


@given(st.fractions(min_value=0, max_value=10_000))
def test_rounding(ideal: Fraction) -> None:
    assert all(abs(side - ideal) <= Fraction(1, 2) for side in nearest(ideal) if side > 1)
    assert all(abs(side - ideal) < 1 for side in around(ideal) if side > 1)
    assert nearest(ideal)[0] >= 1 <= around(ideal)[0]
    assert set(nearest(ideal)) <= set(around(ideal))


@given(
    st.integers(1, 900),
    st.integers(1, 900),
    st.integers(1, 900),
    st.integers(1, 900),
    st.sampled_from(["max", "!{},{}"]),
)
def test_what_fits_is_within_all_bounds(w: int, h: int, box_w: int, box_h: int, form: str) -> None:
    """And there always is something that fits."""
    rect = Rect(0, 0, w, h)
    found = sizes(form.format(box_w, box_h), rect, LIMITS)
    assert found
    for width, height in found:
        assert LIMITS.allow(width, height)
        assert width <= w
        assert height <= h


def test_a_request_is_taken_apart() -> None:
    asked = drawing("0,0,10,20/5,/!90.5/gray.png", 100, 100, NO_LIMITS)
    assert asked == Drawing((Choice(Rect(0, 0, 10, 20), 5, 10),), True, 90.5, "gray", "png")
    assert drawing("full/max/360/default.jpg", 9, 9, NO_LIMITS).angle == 0


@pytest.mark.parametrize(
    ("angle", "box"), [(0, (30, 20)), (90, (20, 30)), (180, (30, 20)), (270, (20, 30)), (45, (35.36, 35.36))]
)
def test_the_box_around_a_turned_picture(angle: float, box: tuple[float, float]) -> None:
    assert canvas(30, 20, angle) == pytest.approx(box, abs=0.01)


@pytest.mark.parametrize(
    ("angle", "mirrored", "corner"),
    [
        (0, False, (0, 0)), (90, False, (0, 20)), (180, False, (30, 20)), (270, False, (30, 0)),
        (0, True, (30, 0)), (90, True, (30, 20)), (180, True, (0, 20)), (270, True, (0, 0)),
    ],
)  # fmt: skip
def test_what_lies_in_the_upper_left_corner(angle: float, mirrored: bool, corner: tuple[float, float]) -> None:
    """Of 30 x 20 px: mirrored on the vertical axis, then turned clockwise. Rule: §4.3."""
    choice = Choice(Rect(0, 0, 30, 20), 30, 20)
    asked = Drawing((choice,), mirrored, angle, "default", "png")
    w, h = canvas(30, 20, angle)
    assert place(0, 0, (int(w), int(h)), choice, asked) == pytest.approx(corner)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_what_other_software_takes_them_for(orientation: int) -> None:
    """3 x 2 px upright, each of its own shade."""
    place_of = upright(orientation, 3, 2)
    stored = Image.new("L", (3, 2) if orientation < 5 else (2, 3))
    for column in range(stored.width):
        for row in range(stored.height):
            x, y = place_of(column, row)
            stored.putpixel((column, row), 10 * y + x)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, "PNG", exif=exif)
    seen = ImageOps.exif_transpose(Image.open(file))
    assert [[seen.getpixel((x, y)) for x in range(3)] for y in range(2)] == [[0, 1, 2], [10, 11, 12]]


@given(st.sampled_from(PICTURES), st.floats(0, 1), st.floats(0, 1), st.floats(1, 40), st.floats(1, 40))
def test_the_mean_colour_of_a_box_is_the_mean_of_its_colours(
    picture: Picture, across: float, down: float, box_x: float, box_y: float
) -> None:
    """The formula against a sum over 20 x 20 places."""
    x, y = across * picture.width, down * picture.height
    steps = [(number + 0.5) / 20 - 0.5 for number in range(20)]
    places = [picture.colour(x + i * box_x, y + j * box_y, 0, 0) for i in steps for j in steps]
    mean = [sum(colour[channel] for colour in places) / len(places) for channel in range(len(picture.channels))]
    assert picture.colour(x, y, box_x, box_y) == pytest.approx(mean, abs=0.2)
    assert all(0 <= value <= 255 for colour in places for value in colour)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_painted_pictures_are_what_the_formula_says(picture: Picture, tmp_path: Path) -> None:
    seen = ImageOps.exif_transpose(Image.open(paint(picture, tmp_path)))
    assert (seen.size, seen.mode) == ((picture.width, picture.height), picture.mode)
    got: list[tuple[float, ...]] = []
    wanted: list[tuple[float, ...]] = []
    for x in range(3, picture.width, 41):
        for y in range(5, picture.height, 37):
            value = seen.getpixel((x, y))
            got.append(value if isinstance(value, tuple) else (float(value or 0),))
            wanted.append(picture.colour(x + 0.5, y + 0.5))
    assert max(mean_errors(got, wanted)) < 1


@pytest.mark.parametrize("picture", [picture for picture in PICTURES if picture.wave_px <= 104], ids=lambda p: p.name)
def test_one_pixel_to_the_side_is_too_much(picture: Picture) -> None:
    """The check can see it: the colours of neighbours differ by more than it allows."""
    places = [(x + 0.5, y + 0.5) for x in range(0, picture.width - 1, 17) for y in range(0, picture.height - 1, 13)]
    here = [picture.colour(x, y) for x, y in places]
    assert max(mean_errors([picture.colour(x + 1, y) for x, y in places], here)) > 3
    assert max(mean_errors([picture.colour(x, y + 1) for x, y in places], here)) > 3


def test_errors_are_of_the_best_target() -> None:
    got = [(10.0, 20.0, 30.0, 255.0), (12.0, 20.0, 30.0, 255.0)]
    far, near = [(0.0, 0.0, 0.0, 255.0)] * 2, [(11.0, 20.0, 33.0, 255.0)] * 2
    assert best_errors(got, [far, near], light_only=False) == (1.0, 0.0, 3.0, 0.0)
    assert best_errors(got, [near], light_only=True) == pytest.approx((0.342, 0.0))


@given(st.integers(1, 3000))
def test_samples_lie_in_the_picture(length: int) -> None:
    found = grid(length)
    assert len(set(found)) == len(found) == min(length, 12)
    assert 0 <= min(found) <= max(found) < length


def test_sizes_that_fit() -> None:
    choice = Choice(Rect(0, 0, 30, 20), 30, 20)
    assert fits((30, 20), choice, 0)
    assert fits((20, 30), choice, 270)
    assert not fits((30, 20), choice, 90)
    assert fits((36, 35), choice, 45)
    assert not fits((37, 35), choice, 45)


INFO: Mapping[str, object] = {
    "@context": "http://iiif.io/api/image/3/context.json", "id": "http://h/i", "type": "ImageService3",
    "protocol": "http://iiif.io/api/image", "profile": "level2", "width": 597, "height": 401, "maxWidth": 620,
    "maxArea": 260_000, "sizes": [{"width": 299, "height": 201}],
    "tiles": [{"width": 128, "scaleFactors": [1, 2, 4, 8]}],
    "extraFormats": ["webp"], "extraQualities": ["color", "gray", "bitonal"],
    "extraFeatures": ["mirroring", "rotationArbitrary", "sizeUpscaling"],
}  # fmt: skip


def test_a_right_document() -> None:
    assert documents.faults(INFO, "http://h/i", LANDSCAPE) == []
    assert documents.quality_faults(INFO, LANDSCAPE) == []
    told = service_of(INFO)
    assert told == Service(
        Limits(620, None, 260_000),
        ("jpg", "png", "webp"),
        ("default", "color", "gray", "bitonal"),
        frozenset({"mirroring", "rotationArbitrary", "sizeUpscaling"}),
        ((299, 201),),
        ((128, 128, (1, 2, 4, 8)),),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"@context": "http://iiif.io/api/image/2/context.json"}, {"@context": []}, {"id": "http://h/i/"},
        {"type": "ImageService2"}, {"protocol": "https://iiif.io/api/image"}, {"profile": ["level2"]}, {"width": 401},
        {"height": 597.0}, {"maxWidth": 0}, {"maxWidth": None, "maxHeight": 600}, {"maxWidth": "620"},
        {"sizes": [{"width": 597, "height": 621}]}, {"sizes": [{"width": 299}]},
        {"sizes": [{"width": 5, "height": 3}] * 2},
        {"tiles": [{"width": 1024, "scaleFactors": [1]}]}, {"tiles": [{"width": 9, "scaleFactors": [1, 1]}]},
        {"tiles": [{"width": 9, "scaleFactors": [1]}, {"width": 9, "scaleFactors": [2]}]}, {"tiles": {}},
        {"tiles": [{"width": 9, "scaleFactors": [1]}, {"width": 8, "scaleFactors": [1]}]}, {"tiles": [{"width": 9}]},
        {"extraFormats": ["jpeg"]}, {"extraQualities": "gray"}, {"extraFeatures": ["sizeAboveFull"]},
        {"preferredFormats": ["gif"]}, {"rights": "https://creativecommons.org/licenses/by/4.0/"}, {"service": [{}]},
        {"seeAlso": [{"id": "http://h/x"}]},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_wrong_documents(change: Mapping[str, object]) -> None:
    changed = {key: value for key, value in {**INFO, **change}.items() if value is not None}
    assert documents.faults(changed, "http://h/i", LANDSCAPE)


def test_what_else_a_document_may_be() -> None:
    last = {**INFO, "@context": ["http://h/x.json", documents.CONTEXT]}
    assert documents.faults(last, "http://h/i", LANDSCAPE) == []
    assert documents.faults({"id": "http://h/i", **INFO}, "http://h/i", LANDSCAPE) == ["@context is not the first key"]
    gray = {**INFO, "extraQualities": ["bitonal"]}
    assert documents.quality_faults(gray, picture_named("gray")) == []
    assert len(documents.quality_faults(gray, LANDSCAPE)) == 2
    assert len(documents.quality_faults(INFO, picture_named("gray"))) == 1
    assert documents.parsed(b"[]") == "JSON that is no object"
    assert "no JSON" in documents.parsed(b"{")
    assert documents.media_type_fault(f'application/ld+json; profile="{documents.CONTEXT}"') is None
    assert documents.media_type_fault("application/json") is None
    assert documents.media_type_fault(f'application/json;profile="{documents.CONTEXT}"') is not None
    assert documents.media_type_fault("application/ld+json") is not None


def test_statuses_and_media_types() -> None:
    def answered(status: int, media_type: str = "") -> Answer:
        return Answer(status, {"content-type": media_type}, b"")

    assert refusal_fault(answered(400), frozenset({400, 404})) is None
    assert refusal_fault(answered(200, "image/png"), frozenset({400, 404})) == ("400 or 404", "200 image/png")
    assert headers_fault(answered(200, "image/jpeg"), "full/max/0/default.jpg") is None
    assert headers_fault(answered(200, "image/png"), "full/max/0/default.jpg") == ("200 image/jpeg", "200 image/png")
    assert headers_fault(answered(500, "image/jpeg"), "full/max/0/default.jpg") is not None
    assert "decoded" in str(body_fault(Answer(200, {}, b"\xff\xd8\xff"), "full/max/0/default.jpg", LANDSCAPE, LIMITS))
    png = io.BytesIO()
    Image.new("RGB", (597, 401)).save(png, "PNG")
    assert body_fault(Answer(200, {}, png.getvalue()), "full/max/0/default.jpg", LANDSCAPE, LIMITS) == ("jpg", "PNG")
    black = body_fault(Answer(200, {}, png.getvalue()), "full/max/0/default.png", LANDSCAPE, LIMITS)
    assert black is not None
    assert black[1].startswith("mean errors a channel of 1")


def test_an_orientation_tag_is_found() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (597, 401)).save(file, "JPEG", exif=exif)
    said = body_fault(Answer(200, {}, file.getvalue()), "full/max/0/default.jpg", LANDSCAPE, LIMITS)
    assert said is not None
    assert "Orientation" in said[1]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_requests_are_many_and_always_the_same(picture: Picture) -> None:
    asked = requests_for(picture, service_of(INFO))
    assert asked == requests_for(picture, service_of(INFO))
    assert len({request.path for request in asked}) == len(asked) >= 200
    assert len([request for request in asked if request.plain]) >= 200
    assert all(bool(request.plain) != bool(request.refused) for request in asked)


def test_requests_follow_what_is_offered() -> None:
    plain = {**INFO, "extraFormats": [], "extraQualities": ["gray", "color"], "extraFeatures": []}
    texts = {request.plain for request in requests_for(LANDSCAPE, service_of(plain))}
    assert not any("^" in text or "webp" in text or "bitonal" in text or "/!0/" in text for text in texts)
    not_offered = Request("full/^598,/0/default.jpg", refused=frozenset({400, 404, 501}))
    assert not_offered in requests_for(LANDSCAPE, service_of(plain))


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--paint", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / picture.file_name) for picture in PICTURES]
    with pytest.raises(SystemExit):
        main([])
    with pytest.raises(ValueError, match="https://h/i"):
        Client("https://h/i")
