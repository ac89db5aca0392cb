"""Which losses are asked about twice."""

from __future__ import annotations

import pytest

from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Listing, Version
from iiiffs.sync.losses import confirmed, needs_confirmation

HERE = Album(AlbumId("here"), "here", None, 0)


def listing(assets: str, albums: str = "", version: str = "1") -> Listing:
    """One asset and one album a letter."""
    return Listing(
        HERE,
        tuple(Asset(AssetId(id), HERE.id, f"{id}.jpg", Version(version), 1, 0, 0, "image/jpeg") for id in assets),
        tuple(Album(AlbumId(id), id, HERE.id, 0) for id in albums),
        f"{assets}/{albums}/{version}",
    )


@pytest.mark.parametrize(
    ("before", "after", "needed"),
    [
        (listing("abcde"), listing("abcde"), False),
        (listing("abcde"), listing("abcd"), False),  # 20 % exactly
        (listing("abcde"), listing("abc"), True),
        (listing("abcde"), listing(""), True),
        (listing("abcd"), listing(""), False),
        (listing(""), listing(""), False),
        (listing("abcdef"), listing("abcdxyz"), True),  # what came does not make up for what went
        (listing("abcdefghijk"), listing("abcdefghi"), False),
        (listing("abcdefghijk"), listing("abcdefgh"), True),
        (listing("abcde"), listing("abcde", version="2"), False),
        (listing("abcde"), listing("abcdefgh"), False),
        (listing("", "abcde"), listing("", "abc"), True),
        (listing("abcdefghij", "vwxyz"), listing("abcdefghij", "vw"), True),  # one kind does not hide the other
        (listing("abc", "vwxy"), listing(""), False),
    ],
)
def test_more_than_a_fifth_of_five_or_more_is_asked_again(before: Listing, after: Listing, needed: bool) -> None:
    assert needs_confirmation(before, after) is needed


@pytest.mark.parametrize(
    ("first", "second", "borne_out"),
    [
        (listing(""), listing(""), True),
        (listing("abc"), listing("abc"), True),
        (listing("abc"), listing("abc", version="2"), True),
        (listing("abc"), listing("abcdefgh"), False),  # it was a hiccup
        (listing("abcdefghij"), listing("abcdefghi"), True),  # somebody is deleting
        (listing("abcdefghij"), listing("abc"), False),  # twice as bad is no confirmation
        (listing("", "ab"), listing("", "abc"), False),
    ],
)
def test_a_second_look_bears_the_loss_out(first: Listing, second: Listing, borne_out: bool) -> None:
    assert confirmed(first, second) is borne_out
