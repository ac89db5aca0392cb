"""Sidecars by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.tree.sidecars import is_sidecar, key_of, keys_of, likely_beside, sidecars


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


@given(st.lists(st.text(alphabet="aA.xmpj", max_size=8), unique=True))
def test_a_sidecar_is_found_by_its_key(names: list[str]) -> None:
    """So that who has an index need not look at a whole folder."""
    for name, sidecar in sidecars(names).items():
        assert is_sidecar(sidecar) and not is_sidecar(name)
        assert key_of(sidecar) in keys_of(name)
        near = [other for other in names if is_sidecar(other) and key_of(other) in keys_of(name)]
        assert sidecars([name, *near]) == {name: sidecar}, "what has another key does not matter"


@pytest.mark.parametrize(
    ("sidecar", "expected"),
    [
        ("a.jpg.xmp", ["a.jpg", "a.jpg.jpg", "a.jpg.JPG", "a.jpg.cr2", "a.jpg.CR2"]),
        ("a.XMP", ["a", "a.jpg", "a.JPG", "a.cr2", "a.CR2"]),
    ],
)
def test_names_that_it_is_likely_to_stand_beside(sidecar: str, expected: list[str]) -> None:
    assert likely_beside(sidecar, [".jpg", ".cr2"]) == expected
    assert all(sidecars([sidecar, name]) == {name: sidecar} for name in expected)
