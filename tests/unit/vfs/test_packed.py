"""Long bodies in pieces: the same bytes, whichever part is asked for, and the same as without packing."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.errors import StoreCorrupt
from iiiffs.vfs.document_records import encoded, gathered, of_body, written
from iiiffs.vfs.packed import MARK, PIECE_BYTES, PackedBody, Packer, digest_of, packed, size_of, stored, unstored, whole

LONG = bytes(random.Random(4).choices(b'{"items":[]} abc', k=3 * PIECE_BYTES + 77))
LONG_BODY = packed(LONG)


def test_only_what_is_longer_than_a_piece_is_packed() -> None:
    assert packed(b"") == b""
    assert packed(LONG[:PIECE_BYTES]) == LONG[:PIECE_BYTES]
    assert isinstance(packed(LONG[: PIECE_BYTES + 1]), PackedBody)


@given(st.integers(0, len(LONG) + 10), st.integers(0, len(LONG) + 10))
def test_any_part_is_that_of_the_bytes(offset: int, length: int) -> None:
    assert isinstance(LONG_BODY, PackedBody)
    assert LONG_BODY.part(offset, length) == LONG[offset : offset + length]


@given(st.lists(st.binary(max_size=9).map(lambda text: text * 9_000), max_size=12))
def test_it_does_not_matter_in_which_portions_bytes_come(portions: list[bytes]) -> None:
    one, first, second = Packer(), Packer(), Packer()
    for number, portion in enumerate(portions):
        one.add(portion)
        (first if number < 3 else second).add(portion)
    first.add_packed(second)
    data = b"".join(portions)
    for body in (one.body(), first.body()):
        assert whole(body) == data
        assert size_of(body) == len(data)
        assert digest_of(body) == digest_of(data)
        assert isinstance(body, PackedBody) == (len(data) > PIECE_BYTES)
        assert whole(unstored(stored(body))) == data


def test_a_packed_body_holds_less_than_its_document() -> None:
    body = packed(b'{"type": "Canvas", "motivation": "painting"}' * 50_000)
    assert isinstance(body, PackedBody)
    assert body.size_bytes == 2_200_000
    assert len(body) < 100_000 and len(stored(body)) < 110_000


@pytest.mark.parametrize(
    "row", [MARK, MARK + b"\xff", stored(LONG_BODY)[:-1], MARK + msgspec.msgpack.encode([[1], []])]
)
def test_a_row_that_is_none_is_corrupt(row: bytes) -> None:
    with pytest.raises(StoreCorrupt):
        unstored(row)


def test_a_row_of_before_is_a_plain_document() -> None:
    assert unstored(LONG) == LONG


ITEMS = st.lists(st.fixed_dictionaries({"id": st.text(max_size=5), "n": st.integers(0, 9)}), max_size=4)


@given(ITEMS, st.booleans())
def test_gathered_items_stand_where_their_list_would(items: list[dict[str, object]], is_long: bool) -> None:
    filling = [{"id": "x" * 999, "n": n} for n in range(300)] if is_long else []
    document: dict[str, Any] = {"@context": ["a", "b"], "items": [*filling, *items], "structures": [{"items": items}]}
    made = written({**document, "items": gathered(iter(document["items"]))})
    assert isinstance(made.body, PackedBody) == is_long
    assert whole(made.body) == encoded(document)
    assert made == of_body(encoded(document)) or is_long
    assert made.digest == of_body(encoded(document)).digest
    assert json.loads(whole(made.body)) == document
