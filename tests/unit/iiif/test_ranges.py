"""Natural order, Ranges by day and by wish, and months."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.iiif.canvases import CanvasItem
from iiiffs.iiif.overrides import RangeWish
from iiiffs.iiif.ranges import Contents, month_parts, natural_key, ordered, part_of_file
from iiiffs.iiif.uris import Uris
from iiiffs.model.description import Description
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.model.image import Extent

URIS = Uris("http://127.0.0.1:8080")
CONTENTS = Contents(URIS, AccountName("home"), AlbumId("alb"))
BASE = "http://127.0.0.1:8080/home/iiif/presentation/3/alb"


def item(name: str, taken: str | None = None, **changes: Any) -> CanvasItem:
    made = CanvasItem(AssetId(name.partition(".")[0]), name, Extent(60, 40), None, taken)
    return replace(made, **changes)


def shape(ranges: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Label -> names of the Canvases, of the Ranges below the one on top."""
    (top,) = ranges
    return {
        next(iter(range_["label"].values()))[0]: [canvas["id"].rpartition("/")[2] for canvas in range_["items"]]
        for range_ in top["items"]
    }


# ---- order --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_2.jpg", "IMG_10.jpg"],
        ["1", "02", "3", "11"],
        ["img_1.jpg", "IMG_2.jpg", "img_3.jpg"],
        ["1", "01", "001"][::-1],
        ["a", "a1", "a1b", "a2", "ab"],
        ["", "0", "1", "a"],
        ["9" * 4_999, "1" + "0" * 5_000],
        ["2024-01-09", "2024-1-10", "2024-02-01"],
    ],
)
def test_names_are_in_the_order_of_people(names: list[str]) -> None:
    turned = names[::-1]
    assert sorted(turned, key=natural_key) == names


NAMES = st.text(alphabet=st.one_of(st.sampled_from("0123456789aAbß_. \udce9"), st.characters()), max_size=12)


@given(NAMES, NAMES, NAMES)
def test_natural_order_is_total(a: str, b: str, c: str) -> None:
    key_a, key_b, key_c = map(natural_key, (a, b, c))
    assert (key_a < key_b) + (key_b < key_a) + (a == b) == 1
    if key_a < key_b < key_c:
        assert key_a < key_c


@given(st.lists(NAMES, unique=True), st.randoms(use_true_random=False))
def test_the_order_depends_on_the_names_alone(names: list[str], random: Any) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == sorted(names, key=natural_key)


def test_orders() -> None:
    items = [item("b10.jpg"), item("c.jpg", "2024-06-02T00:00:00Z"), item("b9.jpg", "2024-06-01T09:00:00")]
    assert [one.label for one in ordered(items, "name")] == ["b9.jpg", "b10.jpg", "c.jpg"]
    assert [one.label for one in ordered(items, "date")] == ["b9.jpg", "c.jpg", "b10.jpg"]
    assert ordered(items, "provider") is items
    assert ordered(items, None) is items


# ---- Ranges -------------------------------------------------------------------------------------------------------

DAYS = [
    item("a.jpg", "2024-06-02T23:59:00-10:00"),
    item("b.jpg", "2024-06-01T00:10:00+02:00"),
    item("c.jpg"),
    item("d.jpg", "2024-06-02T08:00:00"),
]


def test_an_album_of_several_days_has_a_range_a_local_day() -> None:
    made = CONTENTS.by_day(DAYS)
    assert shape(made) == {"2024-06-01": ["b"], "2024-06-02": ["a", "d"]}
    assert made[0]["id"] == f"{BASE}/range/days"
    (top,) = made
    items: Any = top["items"]
    assert items[0] == {
        "id": f"{BASE}/range/2024-06-01",
        "type": "Range",
        "label": {"none": ["2024-06-01"]},
        "items": [{"id": f"{BASE}/canvas/b", "type": "Canvas"}],
    }


def test_one_day_or_none_has_no_ranges() -> None:
    assert CONTENTS.by_day([DAYS[0], DAYS[2], DAYS[3]]) == []
    assert CONTENTS.by_day([]) == []


def test_a_range_holds_every_page_and_nothing_without_a_canvas() -> None:
    pages = item("p.tif", "2024-06-03T00:00:00", pages=(Extent(6, 4), Extent(6, 4)))
    broken = item("x.jpg", "2024-06-04T00:00:00", extent=None)
    assert shape(CONTENTS.by_day([*DAYS, pages, broken]))["2024-06-03"] == ["p", "p~2"]
    assert "2024-06-04" not in shape(CONTENTS.by_day([*DAYS, pages, broken]))


def test_the_day_is_the_one_that_xmp_says() -> None:
    corrected = replace(DAYS[0], description=Description(captured="2024-07-01T00:00:00"))
    assert "2024-07-01" in shape(CONTENTS.by_day([corrected, *DAYS[1:]]))


WORDS = (("", "W"),)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (RangeWish(WORDS, first="b.jpg", last="c.jpg"), ["b", "c"]),
        (RangeWish(WORDS, first="c.jpg"), ["c", "d"]),
        (RangeWish(WORDS, last="b.jpg"), ["a", "b"]),
        (RangeWish(WORDS, items=("d.jpg", "a.jpg", "gone.jpg", "d.jpg")), ["d", "a"]),
    ],
)
def test_wished_ranges(wish: RangeWish, expected: list[str]) -> None:
    assert shape(CONTENTS.wished(DAYS, [wish])) == {"W": expected}


@pytest.mark.parametrize(
    "wish",
    [
        RangeWish(WORDS, items=("gone.jpg",)),
        RangeWish(WORDS, first="gone.jpg"),
        RangeWish(WORDS, first="d.jpg", last="a.jpg"),
    ],
)
def test_a_wish_for_nothing_is_left_out(wish: RangeWish) -> None:
    assert CONTENTS.wished(DAYS, [wish]) == []


# ---- months -------------------------------------------------------------------------------------------------------


def test_months_above_the_limit() -> None:
    items = [*DAYS, item("e.jpg", "2023-01-05T00:00:00"), item("x.jpg", extent=None)]
    assert month_parts(items, 5) == ()
    parts = month_parts(items, 4)
    assert [(part.name, [one.label for one in part.items]) for part in parts] == [
        ("2023-01", ["e.jpg"]),
        ("2024-06", ["a.jpg", "b.jpg", "d.jpg"]),
        ("undated", ["c.jpg"]),
    ]
    assert [part.file_name for part in parts][1] == "manifest-2024-06.json"


def test_a_month_above_the_limit_is_cut() -> None:
    assert [part.name for part in month_parts(DAYS, 2)] == ["2024-06", "2024-06_2", "undated"]


ITEMS = st.builds(
    item,
    st.uuids().map(lambda name: f"{name}.jpg"),
    st.one_of(st.none(), st.dates().map(lambda day: f"{day.isoformat()}T00:00:00")),
    pages=st.integers(0, 3).map(lambda count: (Extent(6, 4),) * count if count > 1 else ()),
)


@given(st.lists(ITEMS, max_size=30), st.integers(1, 10))
def test_every_canvas_is_in_one_part_and_parts_are_small(items: list[CanvasItem], most: int) -> None:
    parts = month_parts(items, most)
    held = [one for part in parts for one in part.items]
    if sum(len(one.canvas_assets) for one in items) <= most:
        assert parts == ()
        return
    assert sorted(held, key=items.index) == items
    assert len({part.name for part in parts}) == len(parts)
    for part in parts:
        assert part_of_file(part.file_name) == part.name
        assert len(part.items) == 1 or sum(len(one.canvas_assets) for one in part.items) <= most


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "manifest-.json", "manifest-2024-6.json", "manifest-2024-06_0.json", "manifest-２024-06.json"],
)
def test_names_that_are_no_part_s(name: str) -> None:
    assert part_of_file(name) is None
