"""iiif.toml: what it may say, and what is said of what it may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.iiif.description import Agent, Pair, Said
from iiiffs.iiif.overrides import NO_OVERRIDES, Overrides, RangeWish
from iiiffs.tree.overrides import LENGTH_MAX, OverridesError, parse_overrides

WHOLE = """
label = { en = "Harbour", de = "Hafen", none = "H" }
summary = "Boats"
rights = "https://creativecommons.org/licenses/by/4.0/deed.en"
required_statement = { label = "Attribution", value = { en = "City Archive", de = ["Stadtarchiv"] } }
provider = { id = "https://e.org/", label = "Archive", homepage = "https://e.org/h", logo = "https://e.org/l.png" }
metadata = [ { label = "Fonds", value = ["A 12", "A 13"] } ]
order = "date"
behavior = ["unordered", "no-repeat"]
start = "IMG_2.jpg"
ranges = [ { label = "Morning", first = "a.jpg", last = "b.jpg" }, { label = { de = "Beste" }, items = ["c.jpg"] } ]
[file."IMG 1.jpg"]
label = "The pier"
rights = "http://rightsstatements.org/vocab/InC/1.0/"
[file.b]
metadata = []
"""


def test_a_whole_file() -> None:
    assert parse_overrides(WHOLE) == Overrides(
        album=Said(
            label=(("en", "Harbour"), ("de", "Hafen"), ("", "H")),
            summary=(("", "Boats"),),
            rights="http://creativecommons.org/licenses/by/4.0/",
            statement=Pair((("", "Attribution"),), (("en", ("City Archive",)), ("de", ("Stadtarchiv",)))),
            provider=Agent("https://e.org/", (("", "Archive"),), "https://e.org/h", "https://e.org/l.png"),
            metadata=(Pair((("", "Fonds"),), (("", ("A 12", "A 13")),)),),
            behavior=("unordered", "no-repeat"),
        ),
        order="date",
        ranges=(
            RangeWish((("", "Morning"),), first="a.jpg", last="b.jpg"),
            RangeWish((("de", "Beste"),), items=("c.jpg",)),
        ),
        start="IMG_2.jpg",
        files={
            "IMG 1.jpg": Said(label=(("", "The pier"),), rights="http://rightsstatements.org/vocab/InC/1.0/"),
            "b": Said(),
        },
    )


@pytest.mark.parametrize("text", ["", "\n", "# nothing"])
def test_an_empty_file_says_nothing(text: str) -> None:
    assert parse_overrides(text) == NO_OVERRIDES


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("label = 5", ["label", "expected a text"]),
        ("label = ''", ["label", "expected a text"]),
        ("label = { en = 5 }", ["label.en", "expected a text"]),
        ('label = { "e n" = "x" }', ["label", "languages", "'e n'"]),
        ("lable = 'x'", ["lable", "no key"]),
        ("rights = 'All rights reserved'", ["rights", "creativecommons.org", "required_statement"]),
        ("rights = 5", ["rights"]),
        ("required_statement = 'x'", ["required_statement", "a table"]),
        ("required_statement = { label = 'x' }", ["required_statement.value", "to be there"]),
        ("required_statement = { label = 'x', value = 'y', url = 'z' }", ["required_statement.url", "no key"]),
        ("provider = { id = 'x', label = 'y' }", ["provider.id", "URI"]),
        ("provider = { id = 'https://h/', label = 'y', logo = 'javascript:1' }", ["provider.logo", "URI"]),
        ("metadata = { label = 'x', value = 'y' }", ["metadata", "a list"]),
        ("metadata = [ { label = 'x', value = ['y', 5] } ]", ["metadata[0].value[1]", "a text"]),
        ("order = 'size'", ["order", "one of name, date, provider"]),
        ("behavior = 'sliding'", ["behavior", "individuals"]),
        ("behavior = ['paged', 'individuals']", ["behavior", "only one"]),
        ("start = '../x'", ["start", "name of a file"]),
        ("ranges = [ { label = 'x' } ]", ["ranges[0]", "either items"]),
        ("ranges = [ { label = 'x', items = ['a'], first = 'b' } ]", ["ranges[0]", "either items"]),
        ("ranges = [ { first = 'b' } ]", ["ranges[0].label", "to be there"]),
        ("[file.'a b.jpg']\nlable = 'x'", ["file.'a b.jpg'.lable", "no key"]),
        ("[file.a]\norder = 'name'", ["file.a.order", "no key"]),
        ("file = 'x'", ["file", "a table"]),
        ("label = 1979-05-27", ["label", "a text"]),
        ("x = [", ["no TOML"]),
        ("x = " + "[" * 5_000, ["no TOML"]),
        ("x = " + "9" * 5_000, ["no TOML"]),
        ("# " + "x" * LENGTH_MAX, ["longer"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, parts: list[str]) -> None:
    with pytest.raises(OverridesError) as raised:
        parse_overrides(text)
    said = str(raised.value)
    assert said.startswith("iiif.toml: ")
    assert "\n" not in said
    assert all(part in said for part in parts), said


LINES = [line for line in WHOLE.splitlines() if line]


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        parse_overrides(text)
    except OverridesError as error:
        assert "\n" not in str(error)


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=5)), max_size=6), st.data())
def test_no_damage_raises_anything_else(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(lines)
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(st.text(alphabet="\"'[]{}=.,5a\n\ud800", max_size=3)) + text[place:]
    try:
        assert isinstance(parse_overrides(changed), Overrides)
    except OverridesError as error:
        assert "\n" not in str(error)


VALUES = st.recursive(
    st.one_of(st.text(), st.integers(), st.booleans(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
KEYS = ("label", "rights", "required_statement", "provider", "metadata", "order", "behavior", "start", "ranges", "file")


def toml(value: object) -> str:
    """`value` as TOML on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    return str(value)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3))
def test_values_of_any_shape_are_taken_or_refused(values: dict[str, object]) -> None:
    try:
        parse_overrides("\n".join(f"{key} = {toml(value)}" for key, value in values.items()))
    except OverridesError as error:
        assert "\n" not in str(error)
