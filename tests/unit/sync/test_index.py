"""The index of a library against a list that is looked through from end to end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.errors import NotOffered
from iiiffs.model.gallery import AlbumId, Asset, AssetId, Version
from iiiffs.sync.entries import IndexEntry
from iiiffs.sync.index import LibraryIndex, etag_of
from iiiffs.sync.matching import is_raw
from iiiffs.tree.query import Field, Query, Term, fold, parse_query
from iiiffs.tree.views import FAVORITES, TAGS, TIMELINE, View, ViewKind, view_id

A, B, C = (AlbumId(name) for name in "abc")
TYPES = {
    "jpg": "image/jpeg",
    "heic": "image/heic",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "cr2": "image/x-canon-cr2",
    "xmp": "application/rdf+xml",
}


def entry(name: str, album: str = "a", taken: str = "2024-06-01T12:00:00", version: str = "1") -> IndexEntry:
    """A file of the album; of its id, everything before the dot."""
    media_type = TYPES[name.rpartition(".")[2]]
    asset = Asset(
        AssetId(name.partition(".")[0]), AlbumId(album), name, Version(version), 5, 7, int(version), media_type
    )
    return IndexEntry(asset, taken, words=fold(name))


def names(entries: Iterable[IndexEntry]) -> list[str]:
    return [one.asset.name for one in entries]


ENTRIES = st.builds(
    lambda plain, rating, keywords, people, place, camera: replace(
        plain, rating=rating, keywords=keywords, people=people, place=place, camera=camera
    ),
    st.builds(
        entry,
        st.sampled_from(["one.jpg", "two.jpg", "sea.jpg", "Sea.heic", "x.cr2", "live.mov", "song.mp3", "one.xmp"]),
        st.just("a"),
        st.sampled_from(["2023-12-31T23:59:59", "2024-01-01T00:00:00", "2024-06-01T12:00:00", "2024-06-01T12:00:01"]),
        st.sampled_from(["1", "2"]),
    ),
    st.integers(-1, 5),
    st.lists(st.sampled_from(["Sea", "sea", "été", "Favourite"]), max_size=2, unique=True).map(tuple),
    st.sampled_from([(), ("Anna Karenina",), ("Anna-Maria", "Bob")]),
    st.sampled_from([(), ("Pier 39", "San Francisco", "USA"), ("York",), ("New York",)]),
    st.sampled_from(["", "NIKON D850"]),
)
ALBUMS = st.lists(ENTRIES, max_size=5, unique_by=lambda one: one.asset.id)
CHANGES = st.lists(st.tuples(st.sampled_from([A, B, C]), ALBUMS), max_size=6)
QUERIES = st.lists(
    st.sampled_from(
        ["sea", "ANNA", "nikon", "e", '"new york"', "person:anna", "person:ann", "city:york", "tag:ete", "tag:se",
         "from:2024", "to:2023", "from:2024-06-01", "type:image", "type:raw", "type:sound", "type:jpg", "rating:3",
         "rating:=0", "rating:-1", "type:heic"]
    ),
    min_size=1, max_size=3,
).map(" ".join)  # fmt: skip


def placed(album: AlbumId, entries: Iterable[IndexEntry]) -> list[IndexEntry]:
    return [replace(one, asset=replace(one.asset, album=album)) for one in entries]


def answer(library: dict[AlbumId, list[IndexEntry]], wanted: object) -> list[IndexEntry]:
    """The view as its definition has it: all that are `wanted`, each asset once, in order."""
    assert callable(wanted)
    found: dict[str, IndexEntry] = {}
    for album in sorted(library, reverse=True):
        found.update({one.asset.id: one for one in library[album] if one.is_media and wanted(one)})
    return sorted(found.values(), key=lambda one: (one.taken, one.asset.name, one.asset.id))


def meets(one: IndexEntry, term: Term) -> bool:
    """The grammar's words about a term, taken one by one."""
    value, kind = term.value, one.asset.media_type.partition("/")[0]
    texts = [one.asset.name, *one.keywords, *one.people, *one.place, one.camera]
    match term.field:
        case Field.WORD:
            return any(value in fold(text) for text in texts)
        case Field.TAG:
            return value in [fold(keyword) for keyword in one.keywords]
        case Field.PERSON | Field.CITY:
            told = one.people if term.field is Field.PERSON else one.place
            return any(re.search(rf"\b{re.escape(value)}\b", fold(text)) for text in told)
        case Field.FROM:
            return one.taken[:10] >= value
        case Field.TO:
            return one.taken[:10] <= value
        case Field.RATING:
            wanted = int(value.strip("="))
            return one.rating == wanted if "=" in value else one.rating >= wanted
        case Field.TYPE:
            return {
                "image": kind == "image",
                "sound": kind == "audio",
                "raw": one.asset.name.endswith(".cr2"),
                "jpeg": one.asset.name.endswith(".jpg"),
                "heic": one.asset.name.endswith(".heic"),
            }[value]
    raise AssertionError(term)


@given(CHANGES, QUERIES)
def test_every_view_is_what_a_look_through_everything_finds(
    changes: list[tuple[AlbumId, list[IndexEntry]]], text: str
) -> None:
    index, library = LibraryIndex(), dict[AlbumId, list[IndexEntry]]()
    for album, entries in changes:
        library[album] = placed(album, entries)
        if entries:
            index.replace_album(album, library[album])
        else:
            index.remove_album(album)
    shown = answer(library, lambda one: True)
    everything = [one for entries in library.values() for one in entries]
    assert index.months("2024") == sorted({one.month for one in everything if one.is_media and one.taken > "2024"})
    assert index.years() == sorted({one.taken[:4] for one in everything if one.is_media})
    assert index.tags() == sorted({tag for one in everything if one.is_media for tag in one.keywords})
    for month in ("2023-12", "2024-01", "2024-06", "2024-07"):
        assert index.month(month) == answer(library, lambda one, month=month: one.month == month)
    for tag in ("Sea", "sea", "été", "none"):
        assert index.tagged(tag) == answer(library, lambda one, tag=tag: tag in one.keywords)
    assert index.favorites() == answer(library, lambda one: one.rating == 5 or "Favourite" in one.keywords)
    query = parse_query(text)
    assert index.search(query) == answer(library, lambda one: all(meets(one, term) for term in query.terms))
    assert len(index) == len({one.asset.id for one in everything}) >= len(shown)
    for one in everything:
        holders = [held for held in everything if held.asset.id == one.asset.id]
        assert index.entry(one.asset.id) == min(holders, key=lambda held: held.asset.album)
        views = [view for view in every_view(index) if any(held in index.entries(view) for held in holders)]
        assert index.links(one.asset.id) == len(holders) + len(views)


def every_view(index: LibraryIndex) -> list[View]:
    """The views of assets, found by going down from the three at the top."""
    found, waiting = [FAVORITES], [TIMELINE, TAGS]
    while waiting:
        for view in index.views(waiting.pop()):
            (waiting if view.holds_views else found).append(view)
    return found


@given(CHANGES, ALBUMS)
def test_an_etag_changes_with_its_view_and_with_nothing_else(
    changes: list[tuple[AlbumId, list[IndexEntry]]], last: list[IndexEntry]
) -> None:
    index = LibraryIndex()
    for album, entries in changes:
        index.replace_album(album, placed(album, entries))

    def state() -> dict[View, tuple[object, str]]:
        views = [View(ViewKind.MONTH, month) for month in ("2023-12", "2024-01", "2024-06")]
        views += [View(ViewKind.TAG, tag) for tag in ("Sea", "sea", "été")]
        tops = [TIMELINE, TAGS, View(ViewKind.YEAR, "2023"), View(ViewKind.YEAR, "2024")]
        held = {view: [one.asset for one in index.entries(view)] for view in (*views, FAVORITES)}
        inner = {view: index.views(view) for view in tops}
        return {view: (content, index.etag(view)) for view, content in (held | inner).items()}

    before = state()
    index.replace_album(A, placed(A, last))
    after = state()
    for view, (content, etag) in after.items():
        assert (etag == before[view][1]) == (content == before[view][0]), view
    again = LibraryIndex()
    for album in {A, *(album for album, _ in changes)}:
        again.replace_album(album, index.album_entries(album)[::-1])
    assert all(again.etag(view) == etag for view, (_, etag) in after.items())


def test_generation_tells_changes_only() -> None:
    index = LibraryIndex()
    index.replace_album(A, [entry("one.jpg"), entry("two.jpg")])
    generation = index.generation
    index.replace_album(A, [entry("two.jpg"), entry("one.jpg")])
    index.remove_album(B)
    assert index.generation == generation
    index.remove_album(A)
    assert index.generation != generation
    assert (len(index), index.years(), index.album_entries(A)) == (0, [], ())


def test_order_is_by_capture_then_name_then_id() -> None:
    index = LibraryIndex()
    late, early = "2024-06-30T10:00:00", "2024-06-01T10:00:00"
    index.replace_album(A, [entry("b.jpg", taken=late), entry("d.jpg", taken=early)])
    index.replace_album(B, [entry("c.jpg", "b", early), entry("a.jpg", "b", late)])
    twin = entry("a.jpg", "c", late)
    index.replace_album(C, [replace(twin, asset=replace(twin.asset, id=AssetId("0")))])
    assert names(index.month("2024-06")) == ["c.jpg", "d.jpg", "a.jpg", "a.jpg", "b.jpg"]
    assert [one.asset.id for one in index.month("2024-06")][2:4] == ["0", "a"]


def test_an_asset_that_moves_is_counted_once_at_every_step() -> None:
    index = LibraryIndex()
    index.replace_album(B, [entry("one.jpg", "b")])
    assert index.links(AssetId("one")) == 2
    index.replace_album(A, [entry("one.jpg", "a")])
    assert (index.links(AssetId("one")), len(index), index.month("2024-06")) == (3, 1, [entry("one.jpg", "a")])
    index.remove_album(A)
    assert (index.links(AssetId("one")), index.month("2024-06")) == (2, [entry("one.jpg", "b")])
    index.remove_album(B)
    assert (index.links(AssetId("one")), index.entry(AssetId("one"))) == (1, None)


def test_what_is_no_picture_is_in_no_view() -> None:
    index = LibraryIndex()
    index.replace_album(A, [replace(entry("one.xmp"), rating=5, keywords=("sea",))])
    assert (index.years(), index.tags(), index.favorites(), index.search(parse_query("one"))) == ([], [], [], [])
    assert (len(index), index.links(AssetId("one"))) == (1, 1)


def test_views_go_down_from_the_top_and_back_by_id() -> None:
    index = LibraryIndex()
    long = "x" * 300
    index.replace_album(A, [replace(entry("one.jpg", version="9"), keywords=("sea", long))])
    year, month = View(ViewKind.YEAR, "2024"), View(ViewKind.MONTH, "2024-06")
    tags = [View(ViewKind.TAG, "sea"), View(ViewKind.TAG, long)]
    assert index.views(TIMELINE) == [year] and index.views(year) == [month] and index.views(month) == []
    assert index.views(TAGS) == tags and index.entries(TIMELINE) == []
    for view in (TIMELINE, year, month, TAGS, FAVORITES, *tags):
        assert index.view_of_id(view_id(view)) == view
        assert index.changed_ns(view) == (0 if view == FAVORITES else 9)
    for absent in (View(ViewKind.YEAR, "2023"), View(ViewKind.MONTH, "2024-07"), View(ViewKind.TAG, "y" * 300)):
        assert index.view_of_id(view_id(absent)) is None
        assert index.entries(absent) == [] and index.changed_ns(absent) == 0
    assert index.view_of_id(A) is None


def test_smart_is_for_providers_that_have_it() -> None:
    with pytest.raises(NotOffered, match="smart:"):
        LibraryIndex().search(parse_query("sun smart:boat"))


def test_a_term_may_be_met_by_any_text_and_phrases_stay_in_one() -> None:
    index = LibraryIndex()
    told = replace(entry("one.jpg"), people=("Anna", "Bob"), words=fold("one.jpg") + "\n" + fold("A Day at Sea"))
    index.replace_album(A, [told])
    for text, found in (("one sea anna", True), ('"day at"', True), ('"anna bob"', False), ('"jpg a"', False)):
        assert bool(index.search(parse_query(text))) is found, text
    assert index.search(Query(())) == [told]


def test_the_etag_of_a_search_follows_its_assets_and_their_order() -> None:
    one, two = entry("one.jpg"), entry("two.jpg")
    etags = {etag_of(found) for found in ([], [one], [two], [one, two], [two, one], [entry("one.jpg", version="2")])}
    assert len(etags) == 6
    assert etag_of([replace(one, rating=3)]) == etag_of([one])


@pytest.mark.parametrize(
    ("media_type", "raw"),
    [("image/x-adobe-dng", True), ("image/x-canon-cr3", True), ("image/jpeg", False), ("image/x-icon", False),
     ("video/x-canon-cr3", False)],
)  # fmt: skip
def test_raw_is_a_maker_s_own_format(media_type: str, raw: bool) -> None:
    assert is_raw(media_type) is raw
