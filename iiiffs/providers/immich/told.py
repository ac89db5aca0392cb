"""What the server said of single assets, packed: there may be 100,000 of them, and as objects each takes 700 bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import get_type_hints

import msgspec

from iiiffs.model.description import Description
from iiiffs.model.gallery import AlbumId, Facts, Version
from iiiffs.model.image import Extent
from iiiffs.providers.immich.wire import BY_CONTENT, AssetRecord, displayed, facts_of, sha1_of, version_of
from iiiffs.sync.ids import KEY_BYTES, packed_id
from iiiffs.tree.packed_table import PackedTable

TOLD_MAX = 120_000
"""Assets of which is remembered what was said, some 300 bytes each."""
_HEAD = struct.Struct("<dI")
"""When it was told, by trio's clock; the number of its album, 0 for none."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the server said of one version. `facts`: None where the bytes must be read for them.

    `album`: of the last listing that held it. `displayed`: as wire.displayed; None also where it was edited, so that
    what the server shows is not the original. `told_s`: when, by trio's clock.
    """

    version: Version
    facts: Facts | None
    album: AlbumId | None
    displayed: Extent | None
    told_s: float


_SaidRow = msgspec.defstruct("_SaidRow", list(get_type_hints(Description).items()), array_like=True, gc=False)
"""A Description by place instead of by name."""
_said = attrgetter(*(field.name for field in fields(Description)))


class _FactsRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Facts as wire.facts_of makes them: of one page, and without an error."""

    media_type: str
    extent: tuple[int, int]
    captured: str | None
    duration_s: float | None
    description: _SaidRow  # type: ignore[valid-type]  # made from the fields of Description


class _Row(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`version`: "" where it is the SHA-1 of the bytes."""

    version: str
    sha1: bytes | None
    displayed: tuple[int, int] | None
    facts: _FactsRow | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Row)


def pack(record: AssetRecord) -> bytes:
    """What the record says, for `ToldAssets.tell`. For any thread."""
    version, facts = version_of(record), facts_of(record)
    extent = None if record.is_edited else displayed(record)
    sha1 = sha1_of(version)
    row = _Row(
        "" if sha1 else version,
        sha1,
        None if extent is None else (extent.width, extent.height),
        None if facts is None else _facts_row(facts),
    )
    return _encoder.encode(row)


def _facts_row(facts: Facts) -> _FactsRow:
    assert facts.extent is not None, "facts that are told know the extent"
    extent = (facts.extent.width, facts.extent.height)
    return _FactsRow(facts.media_type, extent, facts.captured, facts.duration_s, _SaidRow(*_said(facts.description)))


class ToldAssets:
    """Of one account, the last TOLD_MAX of them. Between two awaits its table is whole."""

    def __init__(self) -> None:
        self._rows = PackedTable(KEY_BYTES)
        self._homes: list[AlbumId | None] = [None]
        self._numbers: dict[AlbumId | None, int] = {None: 0}

    def __len__(self) -> int:
        """Number of assets."""
        return len(self._rows)

    def tell(self, packed: Iterable[tuple[str, bytes]], album: AlbumId | None, now_s: float) -> None:
        """What was packed of these ids is what is told of them; where `album` is None, their last one stays."""
        number = self._numbers.get(album)
        if number is None:
            number = self._numbers[album] = len(self._homes)
            self._homes.append(album)
        for id, row in packed:
            key = packed_id(id)
            before = self._rows.get(key)
            home = number or (0 if before is None else _HEAD.unpack_from(before)[1])
            self._rows.put(key, _HEAD.pack(now_s, home) + row)
        while len(self._rows) > TOLD_MAX:
            self._rows.pop(self._rows.oldest())

    def find(self, id: str) -> Told | None:
        """What was said last; None if that is not remembered."""
        packed = self._rows.get(packed_id(id))
        if packed is None:
            return None
        told_s, home = _HEAD.unpack_from(packed)
        row = _decoder.decode(memoryview(packed)[_HEAD.size :])
        version = row.version if row.sha1 is None else BY_CONTENT + row.sha1.hex()
        extent = None if row.displayed is None else Extent(*row.displayed)
        facts = None if row.facts is None else _facts(row.facts)
        return Told(Version(version), facts, self._homes[home], extent, told_s)

    def home_of(self, id: str) -> AlbumId | None:
        """The album of `find`."""
        packed = self._rows.get(packed_id(id))
        return None if packed is None else self._homes[_HEAD.unpack_from(packed)[1]]

    def forget(self, id: str) -> None:
        """Nothing is remembered of it."""
        self._rows.pop(packed_id(id))


def _facts(row: _FactsRow) -> Facts:
    return Facts(
        row.media_type,
        Extent(*row.extent),
        captured=row.captured,
        duration_s=row.duration_s,
        description=Description(*_said(row.description)),
    )
