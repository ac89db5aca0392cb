"""One grammar of searches: what it reads, what it refuses, and that equal queries are one album."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from iiiffs.errors import BadSyntax
from iiiffs.model.gallery import AlbumId
from iiiffs.tree.query import (
    CANONICAL_BYTES_MAX,
    Field,
    Query,
    Term,
    canonical,
    encoded,
    fold,
    parse_query,
    query_album_id,
    query_of_album_id,
    type_of_name,
)
from iiiffs.tree.views import view_of_id

WORDS = st.text(st.sampled_from('aé"： :/日ßK\u0301\u200dﷺﬁ℀＂1-'), max_size=10)
PIECES = st.sampled_from(
    ["person:", "TAG:", "from:2024", "to:2024-02", "rating:=3", "type:jpg", '"two words"', "smart:boat", "x:", " ", "é"]
)
QUERIES = st.one_of(
    st.text(max_size=30), st.lists(st.one_of(PIECES, WORDS), max_size=5).map(" ".join), st.lists(PIECES).map("".join)
)


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("beach", "beach"),
        ("  Beach   BEACH sun ", "beach sun"),
        ("Café Straße", "cafe strasse"),
        ("e\u0301te\u0301", "ete"),
        ("ﬁsh", "fish"),
        ('"two  words"', '"two words"'),
        ('"one"', "one"),
        ('"12:30"', '"12:30"'),
        ('TAG:"New York"', 'tag:"new york"'),
        ("tag：海", "tag:海"),
        ("z person:Anna a", "a z person:anna"),
        ("city:rome", "city:rome"),
        ("from:2024", "from:2024-01-01"),
        ("from:2024-06", "from:2024-06-01"),
        ("from:2024-06-09", "from:2024-06-09"),
        ("to:2024", "to:2024-12-31"),
        ("to:2024-06", "to:2024-06-30"),
        ("to:2024-02", "to:2024-02-29"),
        ("to:2023-02", "to:2023-02-28"),
        ("to:2024-06-09", "to:2024-06-09"),
        ("type:Photo type:JPG type:raw", "type:image type:jpeg type:raw"),
        ("type:audio", "type:sound"),
        ("rating:4", "rating:4"),
        ("rating:=-1", "rating:=-1"),
        ('smart:"a red boat"', 'smart:"a red boat"'),
        ("it's 50% off!", "50% it's off!"),
    ],
)
def test_what_is_read(text: str, spelling: str) -> None:
    assert canonical(parse_query(text)) == spelling


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\u0301", '""', '" "', "colour:red", "12:30", ":x", "tag:", "tag: beach", 'tag:""', "tag:a:b", '"open',
        'a"b', '"a"b', "a/b", "℀", "a\0b", "a\nb", "caf\udce9", "from:24", "from:2024-13", "from:2024-02-30", "to:0000",
        "to:2024-00", "to:2024-06-00", "from:june", "to:٢٠٢٤", "rating:6", "rating:", "rating:good", "rating:>3",
        "type:image/jpeg", "type:", "a" * (CANONICAL_BYTES_MAX + 1), "é" * 128,
        '"' + "ﷺ" * 20 + '"',
    ],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse_query(text)


def test_terms_are_values() -> None:
    assert parse_query("to:2024 Sun") == Query((Term(Field.WORD, "sun"), Term(Field.TO, "2024-12-31")))


def test_an_unknown_prefix_is_told_the_known_ones() -> None:
    with pytest.raises(BadSyntax, match="no prefix 'colour'; there are city, from, person, rating, smart, tag, to"):
        parse_query("colour:red")


@given(QUERIES)
@example('"a：b" ＂c d＂')
def test_any_text_is_a_query_or_refused_and_its_spelling_is_one(text: str) -> None:
    try:
        query = parse_query(text)
    except BadSyntax:
        assume(False)
    assert parse_query(canonical(query)) == query
    album = query_album_id(query)
    assert re.fullmatch(r"search~[a-z2-7]+", album) and len(album) <= 200
    assert query_of_album_id(album) == query
    assert view_of_id(album) is None


@given(st.lists(st.sampled_from(["sun", "Sea", "é", 'tag:"a b"', "from:2024", "rating:3"]), min_size=1, max_size=6))
def test_order_case_and_repetition_make_no_difference(terms: list[str]) -> None:
    other = "  ".join(dict.fromkeys(term.upper() for term in reversed(terms)))
    assert query_album_id(parse_query(" ".join(terms))) == query_album_id(parse_query(other))


@given(st.text())
@example("ᾼ\u0345ǰİŉ가ﷺ\u1100\u200c\u1161")
def test_folding_twice_is_folding_once(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    folded.encode()


@pytest.mark.parametrize(
    "album",
    [
        "search~", "search", "search~1", "search~MFRGG", "searchmfrgg", "search~a", "search~" + encoded(b"\xff"),
        "search~" + encoded(b"B"), "search~" + encoded(b"b a"), "search~" + encoded(b"x:y"), "search~é", "timeline",
        "search~" + encoded(b"a" * 121), "search~" + encoded(b"a") + "======",
    ],
)  # fmt: skip
def test_what_is_no_search_s_id(album: str) -> None:
    assert query_of_album_id(AlbumId(album)) is None


@given(st.text(max_size=30).map(lambda text: AlbumId("search~" + text)))
def test_any_id_is_one_or_none(album: AlbumId) -> None:
    query = query_of_album_id(album)
    assert query is None or query_album_id(query) == album


@pytest.mark.parametrize(
    ("name", "value"),
    [("a.JPG", "jpeg"), ("a.b.tif", "tiff"), ("a", ""), (".jpg", ""), ("a.", ""), ("x.heif", "heic"), ("x.cr2", "cr2")],
)
def test_the_type_of_a_name(name: str, value: str) -> None:
    assert type_of_name(name) == value
