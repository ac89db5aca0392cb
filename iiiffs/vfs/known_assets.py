"""Assets of an account as listings and questions told them last: found by id without a question, also offline."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from iiiffs.model.gallery import AlbumId, Asset, AssetId, Version
from iiiffs.sync.ids import KEY_BYTES, packed_id
from iiiffs.tree.packed_table import PackedTable
from iiiffs.vfs.shelves import is_counted, is_month

ASSETS_KEPT = 120_000
MONTH = 1 << 16
"""More than there are albums that hold one asset."""
_HEAD = struct.Struct("<dII")
"""When it was asked; its names, those in months as many times MONTH; the number of its album."""
NEVER_S = float("-inf")


@dataclass(frozen=True, slots=True)
class Known:
    """`asked_s`: when the question began that was answered with it; -inf if it must be asked again."""

    asset: Asset
    asked_s: float


class _Row(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An Asset without id and album. `name`: with what is not UTF-8. `version`: without the checksum where it ends with
    that."""

    name: bytes
    version: str
    is_by_checksum: bool
    size_bytes: int | None
    mtime_ns: int
    changed_ns: int
    media_type: str
    checksum: bytes | None
    described: str
    motion: str | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Row)


class KnownAssets:
    """Of one account. Between two awaits its table is whole. One row of bytes an asset, some 170 of them with its key:
    there may be 100,000."""

    def __init__(self) -> None:
        self._rows = PackedTable(KEY_BYTES)
        """_HEAD, and what is packed of the asset, nothing where it is only linked."""
        self._albums: list[AlbumId] = []
        self._numbers: dict[AlbumId, int] = {}
        self._told_in: list[int] = []
        """Number of an album -> how many assets were told in it; one of none is another album's next."""
        self._free: list[int] = []
        self._told = 0
        self.expired_s = NEVER_S
        """What was asked before this must be asked again."""

    def __len__(self) -> int:
        """Number of assets."""
        return self._told

    def find(self, asset: AssetId) -> Known | None:
        """What was told last; None for nothing."""
        row = self._rows.get(packed_id(asset))
        if row is None or len(row) == _HEAD.size:
            return None
        asked_s, _, number = _HEAD.unpack_from(row)
        return Known(_unpacked(asset, self._albums[number], row), asked_s)

    def note(self, asset: Asset, asked_s: float) -> None:
        """It was told so; an older answer changes nothing."""
        key = packed_id(asset.id)
        before = self._rows.get(key)
        known_s, links = (NEVER_S, 0) if before is None else _HEAD.unpack_from(before)[:2]
        if known_s > asked_s:
            return
        self._told += before is None or len(before) == _HEAD.size
        number = self._number(asset.album)
        self._told_in[number] += 1
        self._let_go(before)
        self._rows.put(key, _HEAD.pack(asked_s, links, number) + pack(asset))
        while len(self._rows) > ASSETS_KEPT:
            self._drop(self._rows.oldest())

    def doubt(self, assets: Iterable[AssetId]) -> None:
        """They are not where they were: what was told of them must be asked again."""
        for asset in assets:
            key = packed_id(asset)
            row = self._rows.get(key)
            if row is not None:
                self._rows.put(key, _HEAD.pack(NEVER_S, *_HEAD.unpack_from(row)[1:]) + row[_HEAD.size :])

    def forget(self, asset: AssetId) -> None:
        """It is gone, though its names may still be listed."""
        key = packed_id(asset)
        row = self._rows.get(key)
        self._drop(key)
        if row is not None and _HEAD.unpack_from(row)[1]:
            self._rows.put(key, _HEAD.pack(NEVER_S, *_HEAD.unpack_from(row)[1:]))

    def count(self, album: AlbumId, assets: Iterable[AssetId], names: int) -> None:
        """So many names more (or fewer) of each are listed in the album."""
        if not is_counted(album):
            return
        in_month = is_month(album)
        for asset in assets:
            key = packed_id(asset)
            row = self._rows.get(key)
            asked_s, links, number = (NEVER_S, 0, 0) if row is None else _HEAD.unpack_from(row)
            months, others = divmod(links, MONTH)
            months, others = max(0, months + names * in_month), max(0, others + names * (not in_month))
            links, said = months * MONTH + others, b"" if row is None else row[_HEAD.size :]
            if links or said:
                self._rows.put(key, _HEAD.pack(asked_s, links, number) + said)
            else:
                self._rows.pop(key)

    def links(self, asset: AssetId) -> int:
        """The number of names that are listed for it, as far as is known: every one has a name on the timeline."""
        row = self._rows.get(packed_id(asset))
        months, others = divmod(0 if row is None else _HEAD.unpack_from(row)[1], MONTH)
        return max(1, others + (months or (others > 0)))

    def _number(self, album: AlbumId) -> int:
        number = self._numbers.get(album)
        if number is None:
            if not self._free:
                self._free.append(len(self._albums))
                self._albums.append(album)
                self._told_in.append(0)
            number = self._numbers[album] = self._free.pop()
            self._albums[number] = album
        return number

    def _let_go(self, row: bytes | None) -> None:
        """What the row told is told no more."""
        if row is None or len(row) == _HEAD.size:
            return
        number = _HEAD.unpack_from(row)[2]
        self._told_in[number] -= 1
        if not self._told_in[number]:
            del self._numbers[self._albums[number]]
            self._free.append(number)

    def _drop(self, key: bytes) -> None:
        row = self._rows.pop(key)
        self._told -= row is not None and len(row) > _HEAD.size
        self._let_go(row)


def pack(asset: Asset) -> bytes:
    """The asset without its id and album."""
    checksum = asset.checksum
    tail = "" if checksum is None else checksum.hex()
    is_by_checksum = bool(tail) and asset.version.endswith(tail)
    return _encoder.encode(
        _Row(
            asset.name.encode("utf-8", "surrogatepass"),
            asset.version.removesuffix(tail) if is_by_checksum else asset.version,
            is_by_checksum,
            asset.size_bytes,
            asset.mtime_ns,
            asset.changed_ns,
            asset.media_type,
            checksum,
            asset.described,
            asset.motion,
        )
    )


def _unpacked(id: AssetId, album: AlbumId, packed: bytes) -> Asset:
    row = _decoder.decode(memoryview(packed)[_HEAD.size :])
    ending = row.checksum.hex() if row.checksum is not None and row.is_by_checksum else ""
    return Asset(
        id,
        album,
        row.name.decode("utf-8", "surrogatepass"),
        Version(row.version + ending),
        row.size_bytes,
        row.mtime_ns,
        row.changed_ns,
        row.media_type,
        row.checksum,
        row.described,
        None if row.motion is None else AssetId(row.motion),
    )
