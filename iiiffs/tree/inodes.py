"""Inode numbers and lookup counts.

Numbers are a keyed hash of the node, the key being kept in state: the same node has the same number after a restart
without a record for each of a hundred thousand files, and no outsider can choose names that collide. Two live nodes
never share a number (a collision moves the later one on).

The kernel counts lookups: each successful lookup and each accepted readdir entry is one, and `forget` gives back any
number of them in any order. At zero nothing of the inode remains. Methods are synchronous and never wait, so the
table is whole between any two awaits of its user.
Rule: pyfuse3 "Lookup counts".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import Node, Root, node_key

ROOT_NUMBER = 1
RESERVED_MAX = 1024
"""Numbers up to here are never given out: FUSE keeps 1, and small numbers are easy to mistake for others."""
SLOTS_KEPT = 4096
"""A table that never held more inodes is not worth making smaller."""


class Inode:
    """One inode that the kernel knows: its number, its node, the attributes last told, the lookups outstanding."""

    __slots__ = ("attributes", "before", "lookups", "node", "number")

    def __init__(self, number: int, node: Node, attributes: Attributes) -> None:
        self.before: tuple[Node, Attributes] | None = None
        """What it was until it was bound to another node."""
        self.number = number
        self.node = node
        self.attributes = attributes
        self.lookups = 0


class InodeTable:
    """All inodes that the kernel knows now."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._live: dict[int, Inode] = {}
        self._slots = SLOTS_KEPT
        self._bound: dict[Node, int] = {}
        """Nodes that have taken the numbers of others."""

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Inode]:
        return iter(self._live.values())

    def get(self, number: int) -> Inode | None:
        """The inode of `number`; None if the kernel does not hold it."""
        return self._live.get(number)

    def number_of(self, node: Node) -> int:
        """The number that `node` has, or would have if it were remembered now."""
        if isinstance(node, Root):
            return ROOT_NUMBER
        if (bound := self._bound.get(node)) is not None:
            return bound
        number = _hashed(self._key, node_key(node))
        while (held := self._live.get(number)) is not None and held.node != node:
            number = _following(number)
        return number

    def find(self, node: Node) -> Inode | None:
        """The inode of `node`, if the kernel holds it."""
        inode = self._live.get(self.number_of(node))
        return inode if inode is not None and inode.node == node else None

    def remember(self, node: Node, attributes: Attributes) -> Inode:
        """Count one lookup of `node` and keep the attributes that the kernel is told."""
        number = self.number_of(node)
        inode = self._live.get(number)
        if inode is None:
            inode = self._live[number] = Inode(number, node, attributes)
            self._slots = max(self._slots, len(self._live))
        else:
            inode.attributes = attributes
        inode.lookups += 1
        return inode

    def bind(self, number: int, node: Node, attributes: Attributes) -> None:
        """The inode of `number` is `node`'s from now on, and whoever asks for `node` gets it, as long as it lives.

        A file that a program writes stays the inode that it was, and is still that once its provider has it: programs
        compare numbers to see whether somebody else has exchanged a file (vim, E949).
        """
        inode = self._live[number]
        self._bound.pop(inode.node, None)
        inode.before = inode.node, inode.attributes
        inode.node, inode.attributes = node, attributes
        if _hashed(self._key, node_key(node)) != number:
            self._bound[node] = number

    def unbind(self, number: int) -> None:
        """The inode of `number` is what it was before it was bound; that it is not bound is no error."""
        inode = self._live.get(number)
        if inode is not None and inode.before is not None:
            before, attributes = inode.before
            self.bind(number, before, attributes)
            inode.before = None

    def forget(self, forgotten: Iterable[tuple[int, int]]) -> None:
        """Give back lookups: pairs of number and count. What reaches zero is gone; unknown numbers are ignored."""
        for number, count in forgotten:
            inode = self._live.get(number)
            if inode is None:
                continue
            inode.lookups -= count
            if inode.lookups <= 0 and number != ROOT_NUMBER:
                del self._live[number]
                if self._bound.get(inode.node) == number:
                    del self._bound[inode.node]
        self._shrink()

    def _shrink(self) -> None:
        """Give back the room of a storm that is over: a dict grows with its entries, but never shrinks with them."""
        held = len(self._live)
        if self._slots > SLOTS_KEPT and held * 4 < self._slots:
            self._live = dict(self._live)
            self._slots = max(held, SLOTS_KEPT)


def _hashed(key: bytes, text: bytes) -> int:
    """A number of at most 63 bits above the reserved ones."""
    number = int.from_bytes(blake2b(text, digest_size=8, key=key).digest()) >> 1
    return number if number > RESERVED_MAX else number + RESERVED_MAX + 1


def _following(number: int) -> int:
    return number + 1 if number < (1 << 63) - 1 else RESERVED_MAX + 1
