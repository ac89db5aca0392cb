"""Sidecars by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.tree.sidecars import sidecars


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "a.jpg.xmp"], {"a.jpg": "a.jpg.xmp"}),
        (["a.jpg", "a.xmp"], {"a.jpg": "a.xmp"}),
        (["a.jpg", "a.xmp", "a.jpg.xmp"], {"a.jpg": "a.jpg.xmp"}),
        (["a.cr2", "a.jpg", "a.xmp"], {"a.cr2": "a.xmp", "a.jpg": "a.xmp"}),
        (["A.JPG", "a.xmp"], {"A.JPG": "a.xmp"}),
        (["a.jpg", "A.XMP", "a.xmp"], {"a.jpg": "a.xmp"}),
        (["a.jpg", "A.XMP", "A.xmp"], {"a.jpg": "A.XMP"}),
        (["a.b.jpg", "a.xmp"], {}),
        (["a", "a.xmp"], {"a": "a.xmp"}),
        (["a.xmp", "a.xmp.xmp"], {}),
        ([".jpg", ".xmp"], {}),
        (["a.jpg"], {}),
        ([], {}),
    ],
)
def test_which_stands_beside_which(names: list[str], expected: dict[str, str]) -> None:
    assert sidecars(names) == sidecars(names[::-1]) == expected


@given(st.lists(st.text(alphabet="aA.xmpj", max_size=8), unique=True))
def test_a_sidecar_is_there_and_is_nothing_else(names: list[str]) -> None:
    found = sidecars(names)
    assert set(found) | set(found.values()) <= set(names)
    assert not set(found) & set(found.values())
