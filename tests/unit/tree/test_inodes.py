"""Inode numbers and lookup counts, against a model that only counts."""

from __future__ import annotations

import sys

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from iiiffs.model.gallery import AccountName, AlbumId, AssetId, Version
from iiiffs.tree import attributes as attrs
from iiiffs.tree import inodes
from iiiffs.tree.inodes import ROOT_NUMBER, InodeTable
from iiiffs.tree.nodes import AccountDir, AlbumDir, Copy, Node, Original, ParameterDir, Rendition, Root, node_key

KEY = b"k" * 16
ATTRIBUTES = attrs.fixed_directory(0)
WORDS = st.sampled_from(["", "a", "b", "ab", "\0", "a\0b"])
NODES: st.SearchStrategy[Node] = st.one_of(
    st.builds(AccountDir, WORDS.map(AccountName)),
    st.builds(AlbumDir, WORDS.map(AccountName), WORDS.map(AlbumId), st.integers(0, 2)),
    st.builds(Original, WORDS.map(AccountName), WORDS.map(AssetId), WORDS.map(Version)),
    st.builds(Copy, WORDS.map(AccountName), WORDS.map(AssetId), WORDS.map(Version), WORDS.map(AlbumId), WORDS),
    st.builds(
        ParameterDir,
        WORDS.map(AccountName),
        WORDS.map(AssetId),
        WORDS.map(Version),
        st.sampled_from([2, 3]),
        st.lists(st.sampled_from(["full", "max", "0"]), max_size=3).map(tuple),
    ),
)


class Counting(RuleBasedStateMachine):
    """The kernel looks up and forgets, in any order and in any batches."""

    def __init__(self) -> None:
        super().__init__()
        self.table = InodeTable(KEY)
        self.table.remember(Root(), ATTRIBUTES)
        self.counts: dict[int, int] = {}
        self.nodes: dict[int, Node] = {}

    @rule(node=NODES)
    def lookup(self, node: Node) -> None:
        inode = self.table.remember(node, ATTRIBUTES)
        assert self.nodes.get(inode.number, node) == node
        self.counts[inode.number] = self.counts.get(inode.number, 0) + 1
        self.nodes[inode.number] = node

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        if not self.counts:
            return
        number = data.draw(st.sampled_from(sorted(self.counts)))
        count = data.draw(st.integers(1, self.counts[number]))
        self.table.forget([(number, count)])
        self.counts[number] -= count
        if not self.counts[number]:
            del self.counts[number], self.nodes[number]

    @rule(node=NODES)
    def ask_number(self, node: Node) -> None:
        before = len(self.table)
        assert self.table.number_of(node) == self.table.number_of(node)
        assert len(self.table) == before

    @invariant()
    def holds_exactly_what_the_kernel_holds(self) -> None:
        assert {inode.number: inode.lookups for inode in self.table if inode.number != ROOT_NUMBER} == self.counts
        assert all(inode.number > inodes.RESERVED_MAX for inode in self.table if inode.number != ROOT_NUMBER)


TestCounting = Counting.TestCase


def test_numbers_are_the_same_in_another_life_and_for_another_order() -> None:
    nodes: list[Node] = [AccountDir(AccountName(f"a{n}")) for n in range(100)]
    first, second = InodeTable(KEY), InodeTable(KEY)
    numbers = [first.remember(node, ATTRIBUTES).number for node in nodes]
    assert [second.remember(node, ATTRIBUTES).number for node in reversed(nodes)] == numbers[::-1]
    assert InodeTable(b"x" * 16).number_of(nodes[0]) != numbers[0]
    assert all(0 < number < 1 << 63 for number in numbers)


def test_two_live_nodes_never_share_a_number(monkeypatch: object) -> None:
    table = InodeTable(KEY)
    original = inodes._hashed
    try:
        inodes._hashed = lambda key, text: (1 << 63) - 1
        first = table.remember(AccountDir(AccountName("a")), ATTRIBUTES)
        second = table.remember(AccountDir(AccountName("b")), ATTRIBUTES)
        again = table.remember(AccountDir(AccountName("a")), ATTRIBUTES)
    finally:
        inodes._hashed = original
    assert first.number != second.number
    assert again == first._replace(lookups=2)
    assert second.number == inodes.RESERVED_MAX + 1


def test_a_hundred_thousand_forgotten_lookups_leave_nothing() -> None:
    table = InodeTable(KEY)
    table.remember(Root(), ATTRIBUTES)
    service = (AccountName("a"), AssetId("b"), Version("c"))
    for batch in range(1000):
        numbers = [table.remember(Rendition(*service, f"{batch},{n}", "f", "d"), ATTRIBUTES).number for n in range(100)]
        table.forget([(number, 1) for number in numbers])
    assert len(table) == 1
    assert not table.__dict__.keys() - {"_key", "_live", "_slots", "_attributes", "_rows", "_bound", "_before"}
    assert not table._bound
    assert not table._before


def test_the_room_of_a_storm_is_given_back() -> None:
    table = InodeTable(KEY)
    service = (AccountName("a"), AssetId("b"), Version("c"))
    numbers = [table.remember(Rendition(*service, str(n), "f", "d"), ATTRIBUTES).number for n in range(50_000)]
    full = sys.getsizeof(table._live)
    table.forget([(number, 1) for number in numbers[10:]])
    assert sys.getsizeof(table._live) < full // 100
    assert all(table.get(number) is not None for number in numbers[:10])


def test_the_root_is_never_forgotten() -> None:
    table = InodeTable(KEY)
    table.remember(Root(), ATTRIBUTES)
    table.forget([(ROOT_NUMBER, 5), (12345, 1)])
    assert table.get(ROOT_NUMBER) is not None


def test_keys_of_different_nodes_differ() -> None:
    service = (AccountName("a"), AssetId("b"), Version("c"))
    assert node_key(ParameterDir(*service, 3, ("x", "y"))) != node_key(ParameterDir(*service, 3, ("x",)))
    assert node_key(ParameterDir(*service, 3, ("x",))) != node_key(ParameterDir(*service, 2, ("x",)))
    assert node_key(ParameterDir(*service, 3, ())) != node_key(Original(*service))
