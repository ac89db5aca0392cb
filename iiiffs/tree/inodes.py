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
from struct import Struct
from typing import NamedTuple

from iiiffs.model.gallery import AssetId, Version
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import Node, Original, Root, node_key
from iiiffs.tree.packed_nodes import PackedAttributes, ending_of_original, packed_node, unpacked_node

ROOT_NUMBER = 1
RESERVED_MAX = 1024
"""Numbers up to here are never given out: FUSE keeps 1, and small numbers are easy to mistake for others."""
SLOTS_KEPT = 4096
"""A table that never held more inodes is not worth making smaller."""
_LOOKUPS = Struct("<q")
_NODE_AT = _LOOKUPS.size + PackedAttributes.SIZE_BYTES


class Inode(NamedTuple):
    """One inode that the kernel knows: its number, its node, the attributes last told, the lookups outstanding."""

    number: int
    node: Node
    attributes: Attributes
    lookups: int


class InodeTable:
    """All inodes that the kernel knows now."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._live: dict[int, Inode | bytes] = {}
        """Those of which there are many as a row: lookups, attributes, node."""
        self._attributes = PackedAttributes()
        self._slots = SLOTS_KEPT
        self._bound: dict[Node, int] = {}
        """Nodes that have taken the numbers of others."""

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Inode]:
        return (self._inode(number, held) for number, held in self._live.items())

    def get(self, number: int) -> Inode | None:
        """The inode of `number`, as it is now; None if the kernel does not hold it."""
        held = self._live.get(number)
        return held if held is None or isinstance(held, Inode) else self._inode(number, held)

    def number_of(self, node: Node) -> int:
        """The number that `node` has, or would have if it were remembered now."""
        if isinstance(node, Root):
            return ROOT_NUMBER
        if (bound := self._bound.get(node)) is not None:
            return bound
        number = _hashed(self._key, node_key(node))
        while (held := self._live.get(number)) is not None and not _is_of(held, node):
            number = _following(number)
        return number

    def find(self, node: Node) -> Inode | None:
        """The inode of `node`, if the kernel holds it."""
        number = self.number_of(node)
        held = self._live.get(number)
        return None if held is None or not _is_of(held, node) else self._inode(number, held)

    def numbers_of(self, asset: AssetId, version: Version) -> list[int]:
        """The numbers of the originals of that version, of whatever account; O(inodes), some 0.1 µs each."""
        ending = ending_of_original(asset, version)
        found = []
        for number, held in self._live.items():
            if isinstance(held, bytes) and (ending is None or not held.endswith(ending)):
                continue
            node = self._inode(number, held).node
            if isinstance(node, Original) and (node.asset, node.version) == (asset, version):
                found.append(number)
        return found

    def remember(self, node: Node, attributes: Attributes) -> Inode:
        """Count one lookup of `node` and keep the attributes that the kernel is told."""
        number = self.number_of(node)
        held = self._live.get(number)
        inode = Inode(number, node, attributes, 1 if held is None else _lookups(held) + 1)
        self._live[number] = self._held(inode)
        self._slots = max(self._slots, len(self._live))
        return inode

    def retell(self, number: int, attributes: Attributes) -> None:
        """The kernel is told these attributes now of an inode that it holds."""
        inode = self.get(number)
        if inode is not None and inode.attributes != attributes:
            self._live[number] = self._held(inode._replace(attributes=attributes))

    def forget(self, forgotten: Iterable[tuple[int, int]]) -> None:
        """Give back lookups: pairs of number and count. What reaches zero is gone; unknown numbers are ignored."""
        for number, count in forgotten:
            held = self._live.get(number)
            if held is None:
                continue
            lookups = _lookups(held) - count
            if lookups <= 0 and number != ROOT_NUMBER:
                del self._live[number]
            elif isinstance(held, bytes):
                self._live[number] = _LOOKUPS.pack(lookups) + held[_LOOKUPS.size :]
            else:
                self._live[number] = held._replace(lookups=lookups)
        self._shrink()

    def _held(self, inode: Inode) -> Inode | bytes:
        """As it is kept."""
        node = packed_node(inode.node)
        attributes = None if node is None else self._attributes.pack(inode.attributes)
        if node is None or attributes is None:
            return inode
        return _LOOKUPS.pack(inode.lookups) + attributes + node

    def _inode(self, number: int, held: Inode | bytes) -> Inode:
        if isinstance(held, Inode):
            return held
        attributes = self._attributes.unpack(held[_LOOKUPS.size : _NODE_AT])
        return Inode(number, unpacked_node(held[_NODE_AT:]), attributes, _lookups(held))

    def _shrink(self) -> None:
        """Give back the room of a storm that is over: a dict grows with its entries, but never shrinks with them."""
        held = len(self._live)
        if self._slots > SLOTS_KEPT and held * 4 < self._slots:
            self._live = dict(self._live)
            self._slots = max(held, SLOTS_KEPT)


def _lookups(held: Inode | bytes) -> int:
    return held.lookups if isinstance(held, Inode) else int(_LOOKUPS.unpack_from(held)[0])


def _is_of(held: Inode | bytes, node: Node) -> bool:
    """It is the inode of that node."""
    return held.node == node if isinstance(held, Inode) else held[_NODE_AT:] == packed_node(node)


def _hashed(key: bytes, text: bytes) -> int:
    """A number of at most 63 bits above the reserved ones."""
    number = int.from_bytes(blake2b(text, digest_size=8, key=key).digest()) >> 1
    return number if number > RESERVED_MAX else number + RESERVED_MAX + 1


def _following(number: int) -> int:
    return number + 1 if number < (1 << 63) - 1 else RESERVED_MAX + 1
