"""Titles of any kind become legal, unique, stable names (DESIGN §2.8)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.model.gallery import Album, AlbumId, Listing
from iiiffs.tree.albums import AlbumNames
from iiiffs.tree.names import NAME_BYTES_MAX, assign_names, legal_name

TITLES = st.one_of(
    st.text(max_size=20),
    st.text(alphabet=st.sampled_from("a/.\0\n\u0301e é😀(){}"), max_size=12),
    st.sampled_from(["", ".", "..", "manifest.json", "x.jpg", "X.jpg", "a (3f2b1c).jpg", "é", "e\u0301", "\ud800"]),
    st.text(alphabet="aé😀", min_size=200, max_size=300).map(lambda text: text + ".jpeg"),
)
IDS = st.text(alphabet="abcdef0123456789-._~", min_size=1, max_size=12)
GALLERIES = st.dictionaries(IDS, TITLES, max_size=12)
TAKEN = {"index.html", "manifest.json", "collection.json", "iiif"}


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("IMG_0001.jpg", "IMG_0001.jpg"),
        ("a/b.jpg", "a_b.jpg"),
        ("..", "__"),
        (".", "_"),
        ("", "_"),
        ("tab\there\n", "tab_here_"),
        ("e\u0301.jpg", "é.jpg"),
        ("nul\0", "nul_"),
        (".DS_Store", "_.DS_Store"),
        ("._photo.jpg", "_._photo.jpg"),
    ],
)
def test_rows(title: str, name: str) -> None:
    assert legal_name(title) == name


@given(TITLES)
def test_a_name_is_one_legal_component(title: str) -> None:
    name = legal_name(title)
    encoded = name.encode()
    assert 1 <= len(encoded) <= NAME_BYTES_MAX
    assert name not in (".", "..") and "/" not in name and "\0" not in name
    assert not any(unicodedata.category(character) == "Cc" for character in name)
    assert unicodedata.is_normalized("NFC", name) or len(title) > 50  # a cut may leave a combining mark at the end


@given(GALLERIES, st.randoms(use_true_random=False))
def test_names_are_unique_and_depend_on_the_set_alone(titles: dict[str, str], random: object) -> None:
    names = assign_names(titles, TAKEN, {})
    shuffled = sorted(titles, key=lambda _: random.random())  # type: ignore[attr-defined]  # Hypothesis' Random
    again = assign_names({identity: titles[identity] for identity in shuffled}, TAKEN, {})
    assert names == again
    assert names.keys() == titles.keys()
    assert len(set(names.values())) == len(names)
    assert not TAKEN & set(names.values())
    for name in names.values():
        assert legal_name(name) == name or len(name.encode()) > 200


@given(GALLERIES, GALLERIES)
def test_names_are_sticky(before: dict[str, str], added: dict[str, str]) -> None:
    kept = assign_names(before, TAKEN, {})
    after = assign_names({**added, **before}, TAKEN, kept)
    assert {identity: after[identity] for identity in before} == kept


def test_of_equal_titles_the_smallest_id_has_the_plain_name() -> None:
    names = assign_names({"b": "x.jpg", "a": "x.jpg", "c": "x.jpg"}, frozenset(), {})
    assert names["a"] == "x.jpg"
    assert names["b"] != names["c"]
    assert names["b"].startswith("x (") and names["b"].endswith(").jpg")


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["Trip", "Trip.jpg", "a/b", "..", "é", "Thumbs.db"])),
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["Trip", "Trip.jpg", "a/b", "..", "é", "Thumbs.db"])),
)
def test_names_that_are_unusual_bring_back_all(before: dict[str, str], titles: dict[str, str]) -> None:
    """However names came to be, those that their titles do not say bring back the same for the same listing."""

    def names(of: dict[str, str], kept: Mapping[str, str]) -> AlbumNames:
        albums = tuple(Album(AlbumId(id), title, None, 0) for id, title in of.items())
        listing = Listing(Album(AlbumId("albums"), "Albums", None, 0), (), albums, "")
        return AlbumNames(listing, real_names=False, kept=kept)

    told = names(titles, names(before, {}).by_id)
    assert names(titles, told.unusual()).by_id == told.by_id
    for id in before.keys() & titles.keys():
        if before[id] == titles[id]:
            assert told.by_id[id] == names(before, {}).by_id[id]
