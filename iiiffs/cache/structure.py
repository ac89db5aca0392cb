"""Whether an LMDB file of the 0.9 format hangs together, found out without LMDB.

LMDB trusts its pages: a torn or overwritten one ends the process (an assertion, SIGSEGV; SIGBUS past the end of a
truncated file), and no Python code can catch that. So a file that was not closed in order, or that changed since, is
walked here first: every branch, leaf and overflow page of every tree, and the list of free pages. Values are not read
(their own digests watch over them), so the cost goes with the number of entries, not with their bytes.

Prior art: mdb.c (MDB_page, MDB_meta, MDB_db, MDB_node), LMDB 0.9.
"""

from __future__ import annotations

import mmap
import struct
import sys
from pathlib import Path

from iiiffs.errors import StoreCorrupt

MAGIC, FORMAT = 0xBEEFC0DE, 1
BRANCH, LEAF, OVERFLOW, META = 0x01, 0x02, 0x04, 0x08
BIG_DATA, SUB_DATA, DUP_DATA = 0x01, 0x02, 0x04
NOPAGE = 2**64 - 1
HEADER_BYTES = 16
DEPTH_MAX = 32

PAGE = struct.Struct("=QHHHH")  # number, pad, flags, lower, upper
_RUN = struct.Struct("=QHHI")  # number, pad, flags, count of pages of an overflow run
_META = struct.Struct("=IIQQ")  # magic, format, address, map size
_TREE = struct.Struct("=IHHQQQQQ")  # pad (page size), flags, depth, branch, leaf, overflow, entries, root
_LAST = struct.Struct("=QQ")  # last page, transaction
NODE = struct.Struct("=HHHH")  # low, high, flags, key size


def check_structure(path: Path) -> None:
    """Nothing, if the newest committed state of the LMDB file at `path` is whole.

    Errors: StoreCorrupt, saying what does not fit. OSError if the file cannot be read.
    """
    with path.open("rb") as file:
        size_bytes = path.stat().st_size
        if size_bytes < 2 * 4096:
            raise StoreCorrupt(f"{path.name} is cut off: {size_bytes} bytes")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            try:
                _Walk(view, size_bytes).run()
            except (struct.error, IndexError) as error:
                raise StoreCorrupt(f"{path.name} is damaged: a field lies outside its page ({error})") from error
            except StoreCorrupt as error:
                raise StoreCorrupt(f"{path.name} is damaged: {error}") from error


class _Walk:
    """One walk over all trees; each page may be met once only."""

    def __init__(self, view: mmap.mmap, size_bytes: int) -> None:
        self._view = view
        self._page_bytes, self._trees, last = self._newest_meta()
        self._pages = last + 1
        self._size_bytes = size_bytes
        self._met = bytearray(size_bytes // self._page_bytes)
        self._met_beyond: set[int] = set()
        """Free pages past the end of the file; see `_offset`."""

    def run(self) -> None:
        """Every tree walked; StoreCorrupt if one does not hang together."""
        self._meet(0, 2)
        free, main = self._trees
        self._tree(free, is_free_list=True)
        self._tree(main)

    def _newest_meta(self) -> tuple[int, tuple[bytes, bytes], int]:
        page_bytes = _TREE.unpack_from(self._view, HEADER_BYTES + _META.size)[0]
        if page_bytes < 512 or page_bytes > 65536 or page_bytes & (page_bytes - 1):
            raise StoreCorrupt(f"a page of {page_bytes} bytes")
        newest: tuple[int, tuple[bytes, bytes], int] | None = None
        for page in (0, 1):
            at = page * page_bytes
            flags = PAGE.unpack_from(self._view, at)[2]
            magic, version, _, _ = _META.unpack_from(self._view, at + HEADER_BYTES)
            if (magic, version) != (MAGIC, FORMAT) or not flags & META:
                raise StoreCorrupt(f"page {page} is no meta page of LMDB format {FORMAT}")
            at += HEADER_BYTES + _META.size
            trees = (self._view[at : at + _TREE.size], self._view[at + _TREE.size : at + 2 * _TREE.size])
            last, transaction = _LAST.unpack_from(self._view, at + 2 * _TREE.size)
            if newest is None or transaction > newest[0]:
                newest = (transaction, trees, last)
        assert newest is not None
        return page_bytes, newest[1], newest[2]

    def _meet(self, first: int, count: int) -> None:
        if count < 1 or first + count > self._pages:
            raise StoreCorrupt(f"pages {first}+{count} of {self._pages}")
        if first + count > len(self._met):
            if count > 1 or first in self._met_beyond:
                raise StoreCorrupt(f"pages {first}+{count} past the end of the file")
            self._met_beyond.add(first)
            return
        if any(self._met[first : first + count]):
            raise StoreCorrupt(f"page {first} is used twice")
        self._met[first : first + count] = b"\1" * count

    def _offset(self, first: int, count: int) -> int:
        """Where the page begins; StoreCorrupt if the run is not in the file.

        Only pages in use need be there: LMDB never writes one that was taken and freed in one transaction.
        """
        if (first + count) * self._page_bytes > self._size_bytes:
            raise StoreCorrupt(f"it is cut off at {self._size_bytes} bytes, before page {first + count}")
        return first * self._page_bytes

    def _tree(self, record: bytes, *, is_free_list: bool = False) -> None:
        fields: tuple[int, ...] = _TREE.unpack(record)
        depth, entries, root = fields[2], fields[6], fields[7]
        if root == NOPAGE:
            return
        if depth > DEPTH_MAX:
            raise StoreCorrupt(f"a tree {depth} pages deep")
        found = self._page(root, depth, is_free_list)
        if found != entries:
            raise StoreCorrupt(f"{found} entries where {entries} are recorded")

    def _page(self, number: int, depth: int, is_free_list: bool) -> int:
        """The number of entries below page `number`, which is `depth` levels above nothing."""
        at = self._offset(number, 1)
        self._meet(number, 1)
        own, _, flags, lower, upper = PAGE.unpack_from(self._view, at)
        kind = BRANCH if depth > 1 else LEAF
        if own != number or flags & 0xF != kind or not HEADER_BYTES <= lower <= upper <= self._page_bytes:
            raise StoreCorrupt(f"page {number} is not what its parent says")
        page = self._view[at : at + self._page_bytes]
        count: int = (lower - HEADER_BYTES) // 2
        offsets = struct.unpack_from(f"={count}H", page, HEADER_BYTES)
        if count and min(offsets) < upper:
            raise StoreCorrupt(f"an entry of page {number} lies in its gap")
        if kind == LEAF:
            for offset in offsets:
                self._leaf(page, offset, is_free_list)
            return count
        children = 0
        for offset in offsets:
            low, high, top, key_bytes = NODE.unpack_from(page, offset)
            if offset + NODE.size + key_bytes > len(page):
                raise StoreCorrupt("a key reaches over the end of its page")
            children += self._page(low | high << 16 | top << 32, depth - 1, is_free_list)
        return children

    def _leaf(self, page: bytes, offset: int, is_free_list: bool) -> None:
        low, high, flags, key_bytes = NODE.unpack_from(page, offset)
        size = low | high << 16
        start = offset + NODE.size + key_bytes
        held = 8 if flags & BIG_DATA else size
        if start + held > len(page):
            raise StoreCorrupt("an entry reaches over the end of its page")
        if flags & DUP_DATA:
            raise StoreCorrupt("a tree of duplicates, which is never made here")
        data = page[start : start + held]
        if flags & BIG_DATA:
            data = self._overflow(int.from_bytes(data, sys.byteorder), size, is_free_list)
        if flags & SUB_DATA:
            self._tree(data)
        if is_free_list:
            self._free(data)

    def _overflow(self, number: int, size: int, is_read: bool) -> bytes:
        at = self._offset(number, 1)
        own, _, flags, count = _RUN.unpack_from(self._view, at)
        if own != number or not flags & OVERFLOW or count * self._page_bytes < HEADER_BYTES + size:
            raise StoreCorrupt(f"page {number} does not begin a value of {size} bytes")
        self._offset(number, count)
        self._meet(number, count)
        return self._view[at + HEADER_BYTES : at + HEADER_BYTES + size] if is_read else b""

    def _free(self, data: bytes) -> None:
        count = int.from_bytes(data[:8], sys.byteorder)
        if 8 * (count + 1) > len(data):
            raise StoreCorrupt("a list of free pages is cut off")
        for number in struct.unpack_from(f"={count}Q", data, 8):
            self._meet(number, 1)
