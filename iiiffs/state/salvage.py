"""What can be found of the journal in a database that LMDB cannot open any more: names for payloads that wait.

Pages are read one by one, whatever leads to them. LMDB writes changed pages elsewhere, so rows of earlier moments are
found as well; each is sealed under its key (iiiffs.state.queue_rows), so that none is found that never was one.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from iiiffs.cache.structure import BIG_DATA, HEADER_BYTES, LEAF, NODE, PAGE
from iiiffs.errors import StoreCorrupt
from iiiffs.state.queue_rows import decode_item
from iiiffs.sync.items import Item, Stage

PAGE_BYTES = 4096
"""LMDB takes the machine's, which is this wherever iiiffs is known to run; of other pages nothing is found."""
ROW_BYTES_MAX = 1 << 20
SALVAGED = (
    "kept when the state's database was damaged; its name and album are the last ones that were found there: "
    "`iiiffs queue retry` sends it"
)


def salvaged(data: Path, ids: Collection[str]) -> list[Item]:
    """Of those ids that a row is found of in the file, the item, FAILED: a person is to look at it first.

    Of several rows the one of the latest flush counts. Errors: OSError if the file cannot be opened.
    """
    keys, found = {id.encode() for id in ids}, dict[str, Item]()
    descriptor = os.open(data, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for number in range(os.fstat(descriptor).st_size // PAGE_BYTES):
            for key, value in _entries(descriptor, _read(descriptor, number * PAGE_BYTES, PAGE_BYTES), keys):
                item = _item(key, value)
                if item is not None and (item.id not in found or found[item.id].generation <= item.generation):
                    found[item.id] = item
    finally:
        os.close(descriptor)
    return [replace(item, stage=Stage.FAILED, reason=SALVAGED) for item in found.values()]


def _entries(descriptor: int, page: bytes, keys: Collection[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """What lies under those keys, if it is a page of entries."""
    if len(page) < PAGE_BYTES:
        return
    _, _, flags, lower, _ = PAGE.unpack_from(page)
    count = (lower - HEADER_BYTES) // 2
    if flags & 0xF != LEAF or not 0 <= count <= PAGE_BYTES // 2 - HEADER_BYTES:
        return
    for offset in struct.unpack_from(f"={count}H", page, HEADER_BYTES):
        if offset + NODE.size > PAGE_BYTES:
            continue
        low, high, kind, key_bytes = NODE.unpack_from(page, offset)
        start, size_bytes = offset + NODE.size + key_bytes, low | high << 16
        if (key := page[start - key_bytes : start]) not in keys or size_bytes > ROW_BYTES_MAX:
            continue
        if kind & BIG_DATA:
            number = int.from_bytes(page[start : start + 8], sys.byteorder)
            yield key, _read(descriptor, number * PAGE_BYTES + HEADER_BYTES, size_bytes)
        else:
            yield key, page[start : start + size_bytes]


def _read(descriptor: int, offset: int, length: int) -> bytes:
    """Nothing where the disk cannot read it."""
    try:
        return os.pread(descriptor, length, offset)
    except (OSError, OverflowError):
        return b""


def _item(key: bytes, row: bytes) -> Item | None:
    try:
        return decode_item(key, row)
    except StoreCorrupt:
        return None
