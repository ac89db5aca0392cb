"""Texts: Presentation API 3.0 §4.4 (languages) and §4.5 (HTML)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from iiiffs.iiif.description import Pair, Said
from iiiffs.iiif.overrides import Overrides
from iiiffs.model.description import Description
from tests.unit.conformance.conformance_documents import (
    PICTURE,
    canvas_of,
    everywhere,
    manifest_of,
)

BCP_47 = re.compile(r"none|[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8})*")
HOSTILE = (
    "<b>bold</b>", " <i>x</i> ", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<\x00b>", "<p>a & b</p>",
    "<\ufffe>", "<\uffff>", "<\udcff>", "<a\x85>", "<!--x-->", "<![CDATA[x]]>", "<?x?>", "<>", "<\n>", "<𝒳>",
)  # fmt: skip


def language_maps() -> Iterator[tuple[str, Any]]:
    for _, node in everywhere():
        for name in ("label", "summary", "value"):
            if name in node:
                yield name, node[name]


def test_texts_are_lists_by_language() -> None:
    """Rule: Presentation API 3.0 §4.4: keys are BCP 47 codes or `none`, values lists of strings."""
    seen = set()
    for name, value in language_maps():
        assert isinstance(value, dict) and value, name
        for language, texts in value.items():
            seen.add(language)
            assert BCP_47.fullmatch(language), language
            assert isinstance(texts, list) and texts
            assert all(isinstance(text, str) and text for text in texts)
    assert {"none", "en", "de", "de-CH"} <= seen


def test_what_has_no_language_is_none() -> None:
    """Rule: Presentation API 3.0 §4.4: "the key MUST be the string none"."""
    assert canvas_of(replace(PICTURE, description=Description()))["label"] == {"none": ["p.jpg"]}


def test_a_label_has_at_least_one_entry_whatever_the_file_is_called() -> None:
    """Rule: Presentation API 3.0 §3.1, `label`: MUST, "with at least one entry"; JSON cannot hold half a surrogate."""
    for name in ("\x00", "\x1b[31m", "\udcff.jpg", "a\nb.jpg"):
        (texts,) = canvas_of(replace(PICTURE, label=name, description=Description()))["label"].values()
        assert texts and texts[0] and texts[0].isprintable()


def test_metadata_is_pairs_of_language_maps() -> None:
    """Rule: Presentation API 3.0 §3.1, `metadata`: both label and value MUST be there."""
    pairs = canvas_of(PICTURE)["metadata"]
    assert [pair["label"]["en"] for pair in pairs] == [
        ["Creator"], ["Date"], ["People"], ["Keywords"], ["Rating"], ["Camera"],
    ]  # fmt: skip
    assert all(set(pair) == {"label", "value"} for pair in pairs)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_caption_becomes_markup(text: str) -> None:
    """Rule: Presentation API 3.0 §4.5: a value that starts with < and ends with > is HTML to a client.

    So such a caption is escaped, well-formed XML, wrapped in an element, without whitespace on either side: shown, it
    is the text that somebody wrote. Everything else stays as it is.
    """
    said = Said(
        summary=(("en", text),),
        metadata=(Pair((("", "X"),), (("", (text,)),)),),
        statement=Pair((("", "X"),), (("", (text,)),)),
    )
    made = manifest_of(replace(PICTURE, description=Description()), overrides=Overrides(album=said))
    values = [
        made["summary"]["en"][0],
        made["metadata"][0]["value"]["none"][0],
        made["requiredStatement"]["value"]["none"][0],
    ]
    for value in values:
        if value.strip().startswith("<") and value.strip().endswith(">"):
            element = ElementTree.fromstring(value)
            assert (element.tag, len(element), element.attrib) == ("span", 0, {})
            shown = "".join(character for character in text if character not in "\x00\x85\ufffe\uffff")
            assert element.text == shown.replace("\udcff", "\ufffd")
        else:
            pytest.fail(f"{text!a} became {value!a}")


def test_labels_hold_no_html() -> None:
    """Rule: Presentation API 3.0 §4.5: markup MUST NOT be in `label`: a name with angles stays a name, not escaped."""
    made = canvas_of(replace(PICTURE, label="<b>x</b>.jpg", description=Description()))
    assert made["label"] == {"none": ["<b>x</b>.jpg"]}
    labels = [text for name, value in language_maps() if name == "label" for texts in value.values() for text in texts]
    assert "The <pier>" in labels
    assert not any("&lt;" in label for label in labels)


def test_plain_text_stays_as_it_is() -> None:
    """Rule: Presentation API 3.0 §4.5: only both < and > make HTML."""
    for text in ("a < b", "<3 you", "Tom & Jerry", "x >"):
        made = canvas_of(replace(PICTURE, description=Description(summary=(("", text),))))
        assert made["summary"] == {"none": [text]}
