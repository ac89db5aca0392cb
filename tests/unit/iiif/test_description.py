"""Descriptions in documents: language maps, HTML, metadata, and what privacy leaves."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.iiif.description import (
    NOTHING_MORE,
    PRIVATE,
    PUBLISHED,
    Agent,
    Pair,
    Privacy,
    Said,
    best_capture_time,
    descriptive,
    label_map,
    plain,
    shown,
    value_map,
)
from iiiffs.model.description import NOTHING_SAID, Description

FULL = Description(
    label=(("", "Sea"), ("de", "Meer")),
    summary=(("", "Waves"),),
    statement=(("", "© Ada Maker"),),
    rights="http://creativecommons.org/licenses/by/4.0/",
    creators=("Ada Maker",),
    keywords=("blue", "Eve Example", "Madrid"),
    rating=4,
    camera="NIKON D850",
    captured="2024-06-01T12:30:15+02:00",
    place=("Prado", "Madrid", "Spain"),
    position=(40.5, -3.69),
    people=("Eve Example", "Bo"),
)
EVERYTHING = Privacy(places=True, people=True, cameras=True, creators=True)


# ---- texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tom & Jerry", "Tom & Jerry"),
        ("a < b > c", "a < b > c"),
        ("<3 you", "<3 you"),
        ("<b>bold</b>", "<span>&lt;b&gt;bold&lt;/b&gt;</span>"),
        (" <i>x & y</i>\n", "<span> &lt;i&gt;x &amp; y&lt;/i&gt;\n</span>"),
        ("<script>alert('x')</script>", "<span>&lt;script&gt;alert('x')&lt;/script&gt;</span>"),
        ("\x00<b>", "<span>&lt;b&gt;</span>"),
        ("\x1f<\x00b>\x7f", "<span>&lt;b&gt;</span>"),
        ("caf\udce9", "caf\ufffd"),
    ],
)
def test_no_text_is_html_that_a_client_would_show(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(st.text(alphabet=st.one_of(st.sampled_from("<>/&ab \x00"), st.characters())))
def test_what_a_client_takes_for_html_is_one_span_of_text(text: str) -> None:
    made = plain(text)
    if made.strip().startswith("<") and made.strip().endswith(">"):
        assert made.startswith("<span>") and made.endswith("</span>")
        assert not set("<>") & set(made.removeprefix("<span>").removesuffix("</span>"))
    made.encode()


def test_a_label_is_by_language() -> None:
    assert label_map((("", "Sea"), ("de", "Meer\n")), "IMG") == {"none": ["Sea"], "de": ["Meer"]}
    assert label_map((), "IMG") == label_map((("de", "\x00"),), "IMG") == {"none": ["IMG"]}


def test_values_are_by_language() -> None:
    assert value_map((("", ("a", "<b>")), ("en", ("", "c")), ("de", ()))) == {
        "none": ["a", "<span>&lt;b&gt;</span>"],
        "en": ["c"],
    }


# ---- properties ---------------------------------------------------------------------------------------------------


def pairs(made: dict[str, object]) -> dict[str, list[str]]:
    listed = made["metadata"]
    assert isinstance(listed, list)
    return {pair["label"]["en"][0]: pair["value"]["none"] for pair in listed}


def test_all_that_can_be_said() -> None:
    made = descriptive(FULL, NOTHING_MORE, "2024-06-01T12:30:15+02:00")
    assert pairs(made) == {
        "Creator": ["Ada Maker"],
        "Date": ["2024-06-01 12:30:15+02:00"],
        "Place": ["Prado, Madrid, Spain"],
        "People": ["Eve Example", "Bo"],
        "Keywords": ["blue", "Eve Example", "Madrid"],
        "Rating": ["4 of 5"],
        "Camera": ["NIKON D850"],
    }
    del made["metadata"]
    assert made == {
        "summary": {"none": ["Waves"]},
        "requiredStatement": {"label": {"en": ["Attribution"]}, "value": {"none": ["© Ada Maker"]}},
        "rights": "http://creativecommons.org/licenses/by/4.0/",
    }


def test_nothing_said_gives_no_property() -> None:
    assert descriptive(NOTHING_SAID, NOTHING_MORE, None) == {}
    assert descriptive(Description(rating=0), NOTHING_MORE, None) == {}
    assert pairs(descriptive(Description(rating=-1), NOTHING_MORE, None)) == {"Rating": ["rejected"]}


def test_the_owner_is_stronger_than_the_file() -> None:
    said = Said(
        summary=(("en", "Mine"),),
        rights="http://rightsstatements.org/vocab/InC/1.0/",
        statement=Pair((("en", "By"),), (("", ("Archive",)),)),
        provider=Agent(
            "https://example.org/", (("", "Archive"),), "https://example.org/h", "https://example.org/l.png"
        ),
        metadata=(Pair((("en", "Fonds"),), (("", ("A 1", "<A 2>")),)), Pair((("", "None"),), ())),
    )
    made = descriptive(FULL, said, None)
    assert pairs(made)["Fonds"] == ["A 1", "<span>&lt;A 2&gt;</span>"]
    assert list(pairs(made))[:2] == ["Fonds", "Creator"]
    assert made["summary"] == {"en": ["Mine"]}
    assert made["rights"] == "http://rightsstatements.org/vocab/InC/1.0/"
    assert made["requiredStatement"] == {"label": {"en": ["By"]}, "value": {"none": ["Archive"]}}
    assert made["provider"] == [
        {
            "id": "https://example.org/",
            "type": "Agent",
            "label": {"none": ["Archive"]},
            "homepage": [
                {"id": "https://example.org/h", "type": "Text", "label": {"none": ["Archive"]}, "format": "text/html"}
            ],
            "logo": [{"id": "https://example.org/l.png", "type": "Image"}],
        }
    ]


@pytest.mark.parametrize(
    ("in_tags", "in_xmp", "expected"),
    [
        (None, None, None),
        ("2024-06-01T12:00:00", None, "2024-06-01T12:00:00"),
        (None, "2024-06-01T12:00:00", "2024-06-01T12:00:00"),
        ("2024-06-01T12:00:00", "2024-06-02T12:00:00", "2024-06-02T12:00:00"),
        ("2024-06-01T12:00:00+02:00", "2024-06-01T12:00:00", "2024-06-01T12:00:00+02:00"),
        ("2024-06-01T12:00:00", "2024-06-01T12:00:00+02:00", "2024-06-01T12:00:00+02:00"),
    ],
)
def test_the_best_time_is_xmp_s_but_never_loses_a_zone(
    in_tags: str | None, in_xmp: str | None, expected: str | None
) -> None:
    assert best_capture_time(in_tags, Description(captured=in_xmp)) == expected


# ---- privacy ------------------------------------------------------------------------------------------------------


def test_what_privacy_lets_out_by_default() -> None:
    assert shown(FULL, EVERYTHING) == FULL
    assert shown(FULL, PRIVATE) == replace(FULL, place=(), position=None)
    assert shown(FULL, PUBLISHED) == replace(
        FULL, place=(), position=None, people=(), creators=(), statement=(), keywords=("blue",)
    )


SECRETS = {
    "places": ("Prado", "Madrid", "Spain", "40.5", "3.69"),
    "people": ("Eve Example",),
    "cameras": ("NIKON D850",),
    "creators": ("Ada Maker",),
}


@pytest.mark.parametrize("switch", SECRETS)
@pytest.mark.parametrize("name", ["label", "summary", "statement", "keywords", "creators", "people", "place"])
def test_what_is_off_is_nowhere(switch: str, name: str) -> None:
    secret = SECRETS[switch][0]
    texts = (f"x {secret.upper()}, y", "innocent")
    is_list = name in ("keywords", "creators", "people", "place")
    changed = texts if is_list else tuple(zip(("", "de"), texts, strict=True))
    before = replace(FULL, **{name: changed + getattr(FULL, name)})
    told = repr(shown(before, replace(EVERYTHING, **{switch: False}))).casefold()
    assert all(word.casefold() not in told for word in SECRETS[switch] if word in repr(before))


def test_a_part_of_a_word_or_a_short_name_is_no_mention() -> None:
    before = Description(people=("Bo", "Ann"), keywords=("Bo tree", "Annual", "Ann"), place=())
    assert shown(before, replace(EVERYTHING, people=False)).keywords == ("Bo tree", "Annual")


WORDS = st.lists(st.text(alphabet="abAB ,é", max_size=8), max_size=3).map(tuple)


@given(WORDS, WORDS)
def test_no_keyword_names_somebody(people: tuple[str, ...], keywords: tuple[str, ...]) -> None:
    kept = shown(Description(people=people, keywords=keywords), PUBLISHED).keywords
    assert set(kept) <= set(keywords)
    assert not {name.casefold() for name in people if len(name) > 2} & {word.casefold() for word in kept}


def test_every_part_of_a_description_is_either_open_or_has_a_switch() -> None:
    """A new part of Description must be thought about here."""
    assert {field.name for field in fields(Description)} == {
        *("label", "summary", "statement", "rights", "creators", "keywords", "rating", "camera", "captured"),
        *("place", "position", "people"),
    }
