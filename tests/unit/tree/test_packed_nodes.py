"""Nodes and attributes as rows: nothing is lost, and no two have the same."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iiiffs.model.gallery import AccountName, AlbumId, AssetId, Version
from iiiffs.tree import attributes as attrs
from iiiffs.tree.attributes import Attributes, FileKind
from iiiffs.tree.inodes import InodeTable
from iiiffs.tree.nodes import AccountDir, AliasLink, Copy, Node, Original, node_key
from iiiffs.tree.packed_nodes import PackedAttributes, ending_of_original, packed_node, unpacked_node

ID = "00000000-0000-4000-8000-000000000001"
ACCOUNT = AccountName("a")
UUIDS = st.uuids().map(str)
TEXTS = st.one_of(
    UUIDS,
    UUIDS.map(str.upper),
    st.binary(min_size=14, max_size=26).map(bytes.hex),
    st.binary(min_size=20, max_size=20).map(lambda digest: f"sha1-{digest.hex()}"),
    st.text("-0a", max_size=50),
    st.text(max_size=60),
)
DEPTHS = st.integers(0, 255)
NODES: st.SearchStrategy[Node] = st.one_of(
    st.builds(Original, TEXTS.map(AccountName), TEXTS.map(AssetId), TEXTS.map(Version)),
    st.builds(AliasLink, TEXTS.map(AccountName), TEXTS.map(AlbumId), TEXTS.map(AssetId), DEPTHS),
)
TIMES = st.integers(-(1 << 63), (1 << 63) - 1)
ATTRIBUTES = st.builds(
    Attributes,
    st.sampled_from(FileKind),
    st.integers(0, 0o7777),
    st.integers(0, 1 << 62),
    TIMES,
    st.floats(0, 3600),
    st.floats(0, 3600),
    st.integers(1, 1 << 31),
)


@given(NODES, NODES)
@example(
    Original(AccountName("a"), AssetId(ID), Version("")), Original(AccountName("a"), AssetId(ID[:-1]), Version("1"))
)
def test_a_node_comes_back_and_equal_rows_are_of_equal_nodes(one: Node, other: Node) -> None:
    rows = packed_node(one), packed_node(other)
    assert rows[0] is not None and rows[1] is not None
    assert (unpacked_node(rows[0]), unpacked_node(rows[1])) == (one, other)
    assert (rows[0] == rows[1]) == (one == other) == (node_key(one) == node_key(other))


@given(st.lists(ATTRIBUTES, max_size=5))
def test_attributes_come_back(some: list[Attributes]) -> None:
    packing = PackedAttributes()
    rows = [packing.pack(one) for one in some]
    assert [packing.unpack(row + b"more") for row in rows if row is not None] == some


@pytest.mark.parametrize(
    "node",
    [
        AccountDir(AccountName("a")),
        Original(AccountName("a"), AssetId("x" * 251), Version("1")),
        Copy(AccountName("a"), AssetId(ID), Version("1"), AlbumId("b"), "copy.jpg"),
        AliasLink(AccountName("a"), AlbumId("b"), AssetId("c"), 256),
    ],
)
def test_what_has_no_row_is_kept_all_the_same(node: Node) -> None:
    assert packed_node(node) is None
    table, attributes = InodeTable(b"key"), attrs.file(1, 2)
    number = table.remember(node, attributes).number
    assert table.get(number) == table.find(node) == (number, node, attributes, 1)


def test_a_time_that_is_centuries_away_is_kept() -> None:
    node = Original(AccountName("a"), AssetId(ID), Version("1"))
    table, attributes = InodeTable(b"key"), attrs.file(1, 1 << 80)
    number = table.remember(node, attributes).number
    assert table.get(number) == (number, node, attributes, 1)
    table.retell(number, attrs.file(1, 2))
    assert table.get(number) == (number, node, attrs.file(1, 2), 1)
    table.forget([(number, 1)])
    table.retell(number, attributes)
    assert len(table) == 0


def test_originals_of_one_version_are_found_whatever_the_account() -> None:
    table, attributes = InodeTable(b"key"), attrs.file(1, 2)
    version, asset = Version(f"sha1-{'ab' * 20}"), AssetId(ID)
    wanted = {table.remember(Original(AccountName(name), asset, version), attributes).number for name in ("a", "b")}
    table.remember(Original(AccountName("a"), asset, Version("other")), attributes)
    table.remember(Original(AccountName("a"), AssetId(str(UUID(int=7, version=4))), version), attributes)
    table.remember(AliasLink(AccountName("a"), AlbumId(asset), AssetId(version), 1), attributes)
    assert set(table.numbers_of(asset, version)) == wanted
    long = table.remember(Original(AccountName("a"), AssetId("x" * 251), version), attributes).number
    assert ending_of_original(AssetId("x" * 251), version) is None
    assert table.numbers_of(AssetId("x" * 251), version) == [long]
