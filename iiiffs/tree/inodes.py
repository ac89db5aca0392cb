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
from dataclasses import replace
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

from iiiffs.model.gallery import AccountName, AlbumId, AssetId, Version
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import AlbumDir, Node, Original, Root, node_key
from iiiffs.tree.packed_nodes import PackedAttributes, PackedNode, ending_of_original, packed_node, unpacked_node
from iiiffs.tree.packed_table import PackedTable

ROOT_NUMBER = 1
RESERVED_MAX = 1024
"""Numbers up to here are never given out: FUSE keeps 1, and small numbers are easy to mistake for others."""
SLOTS_KEPT = 4096
"""A table that never held more inodes is not worth making smaller."""
_NUMBER_BYTES = 8
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
        self._live: dict[int, Inode] = {}
        self._rows = PackedTable(_NUMBER_BYTES)
        """Those of which there are many: lookups, attributes, node."""
        self._attributes = PackedAttributes()
        self._bound: dict[Node, int] = {}
        """Nodes that have taken the numbers of others."""
        self._before: dict[int, tuple[Node, Attributes]] = {}
        """What an inode was until it was bound to another node."""
        self._slots = SLOTS_KEPT

    def __len__(self) -> int:
        return len(self._live) + len(self._rows)

    def __iter__(self) -> Iterator[Inode]:
        yield from self._live.values()
        for key, row in self._rows.items():
            yield self._unpacked(int.from_bytes(key), row)

    def get(self, number: int) -> Inode | None:
        """The inode of `number`, as it is now; None if the kernel does not hold it."""
        inode = self._live.get(number)
        if inode is not None:
            return inode
        row = self._rows.get(number.to_bytes(_NUMBER_BYTES))
        return None if row is None else self._unpacked(number, row)

    def number_of(self, node: Node) -> int:
        """The number that `node` has, or would have if it were remembered now."""
        return self._placed(node, packed_node(node))[0]

    def find(self, node: Node) -> Inode | None:
        """The inode of `node`, if the kernel holds it."""
        return self.get(self.number_of(node))

    def directories(self, account: AccountName, album: AlbumId) -> list[Inode]:
        """The inodes of that album's directory; O(directories)."""
        held = [inode for inode in self._live.values() if isinstance(inode.node, AlbumDir)]
        return [
            inode
            for inode in held
            if isinstance(inode.node, AlbumDir) and (inode.node.account, inode.node.album) == (account, album)
        ]

    def numbers_of(self, asset: AssetId, version: Version) -> list[int]:
        """The numbers of the originals of that version, of whatever account; O(inodes), some 0.5 µs each."""
        ending = ending_of_original(asset, version)
        rows = self._rows.items() if ending is not None else ()
        some = [self._unpacked(int.from_bytes(key), row) for key, row in rows if row.endswith(ending or b"")]
        return [
            inode.number
            for inode in (*self._live.values(), *some)
            if isinstance(inode.node, Original) and (inode.node.asset, inode.node.version) == (asset, version)
        ]

    def remember(self, node: Node, attributes: Attributes) -> Inode:
        """Count one lookup of `node` and keep the attributes that the kernel is told."""
        packed = packed_node(node)
        number, row = self._placed(node, packed)
        lookups = self._lookups(number) if row is None else int(_LOOKUPS.unpack_from(row)[0])
        inode = Inode(number, node, attributes, lookups + 1)
        self._put(inode, packed)
        self._slots = max(self._slots, len(self._live))
        return inode

    def retell(self, number: int, attributes: Attributes) -> None:
        """The kernel is told these attributes now of an inode that it holds."""
        inode = self.get(number)
        if inode is not None and inode.attributes != attributes:
            self._put(inode._replace(attributes=attributes), packed_node(inode.node))

    def bind(self, number: int, node: Node, attributes: Attributes, *, for_good: bool = False) -> None:
        """The inode of `number`, which the kernel holds, is `node`'s from now on; whoever asks for `node` gets it, as
        long as it lives. `for_good`: what it was before is of no use any more.

        A file that a program writes stays the inode that it was, and is still that once its provider has it: programs
        compare numbers to see whether somebody else has exchanged a file (vim, E949).
        """
        inode = self.get(number)
        if inode is None:
            raise ValueError("only an inode that the kernel holds can be another's")
        if self._bound.get(inode.node) == number:  # else another inode has that node too
            del self._bound[inode.node]
        if for_good:
            self._before.pop(number, None)
        else:
            self._before.setdefault(number, (inode.node, inode.attributes))
        if _hashed(self._key, node_key(node)) != number:
            self._bound[node] = number
        self._put(Inode(number, node, attributes, inode.lookups), packed_node(node))

    def unbind(self, number: int) -> None:
        """The inode of `number` is what it was before it was bound; that it is not bound is no error."""
        before = self._before.get(number)
        if before is not None:
            self.bind(number, *before, for_good=True)

    def rebase(self, number: int, node: Node, mtime_ns: int) -> None:
        """An inode that is bound is `node` once it is unbound; of one that is not bound nothing changes."""
        before = self._before.get(number)
        if before is not None:
            self._before[number] = node, replace(before[1], mtime_ns=mtime_ns)

    def forget(self, forgotten: Iterable[tuple[int, int]]) -> None:
        """Give back lookups: pairs of number and count. What reaches zero is gone; unknown numbers are ignored."""
        for number, count in forgotten:
            lookups = self._lookups(number) - count
            if lookups <= 0 and number != ROOT_NUMBER:
                self._unbind_forgotten(number)
                self._live.pop(number, None)
                self._rows.pop(number.to_bytes(_NUMBER_BYTES))
            elif number in self._live:
                self._live[number] = self._live[number]._replace(lookups=lookups)
            elif (row := self._rows.get(number.to_bytes(_NUMBER_BYTES))) is not None:
                self._rows.put(number.to_bytes(_NUMBER_BYTES), _LOOKUPS.pack(lookups) + row[_LOOKUPS.size :])
        self._shrink()

    def _unbind_forgotten(self, number: int) -> None:
        if self._bound or self._before:
            inode = self.get(number)
            if inode is not None and self._bound.get(inode.node) == number:
                del self._bound[inode.node]
            self._before.pop(number, None)

    def _lookups(self, number: int) -> int:
        """Those outstanding; 0 of what the kernel does not hold."""
        if number in self._live:
            return self._live[number].lookups
        row = self._rows.get(number.to_bytes(_NUMBER_BYTES))
        return 0 if row is None else int(_LOOKUPS.unpack_from(row)[0])

    def _placed(self, node: Node, packed: PackedNode | None) -> tuple[int, bytes | None]:
        """The number of `node`, which nothing else has, and the row that it has already."""
        if isinstance(node, Root):
            return ROOT_NUMBER, None
        if (bound := self._bound.get(node)) is not None:
            return bound, self._rows.get(bound.to_bytes(_NUMBER_BYTES))
        number = _hashed(self._key, node_key(node))
        while True:
            inode = self._live.get(number)
            if inode is None:
                row = self._rows.get(number.to_bytes(_NUMBER_BYTES))
                if row is None or row[_NODE_AT:] == packed:
                    return number, row
            elif inode.node == node:
                return number, None
            number = _following(number)

    def _put(self, inode: Inode, packed: PackedNode | None) -> None:
        """It is kept as a row if it can be, and nowhere else."""
        key = inode.number.to_bytes(_NUMBER_BYTES)
        attributes = None if packed is None else self._attributes.pack(inode.attributes)
        if packed is not None and attributes is not None:
            self._live.pop(inode.number, None)
            self._rows.put(key, _LOOKUPS.pack(inode.lookups) + attributes + packed)
        else:
            self._rows.pop(key)
            self._live[inode.number] = inode

    def _unpacked(self, number: int, row: bytes) -> Inode:
        attributes = self._attributes.unpack(row[_LOOKUPS.size : _NODE_AT])
        return Inode(number, unpacked_node(row[_NODE_AT:]), attributes, int(_LOOKUPS.unpack_from(row)[0]))

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
