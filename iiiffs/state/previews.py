"""What reduced pictures were learnt of each asset version: kept, so that a restart decides as before (DESIGN §2.5).

previews   account, asset id -> version, time, reduced pictures     (the last version only)
"""

from __future__ import annotations

import hashlib

import msgspec
import trio

from iiiffs.errors import OutOfBounds, StoreCorrupt
from iiiffs.model.gallery import AccountName, AssetId, Version
from iiiffs.model.image import Extent
from iiiffs.state.environment import Environment, Writing
from iiiffs.sync.previews import Reduced, Sources

DATABASE = "previews"
DIGEST_BYTES = 16


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    """Appended fields with defaults read what older code wrote. `undecodable_by`: digest of a renderer's name."""

    version: bytes
    since_ns: int
    reduced: tuple[tuple[str, int, int, str], ...]
    undecodable_by: bytes = b""
    revision: int = 0
    awaited: str = ""


_decoder = msgspec.msgpack.Decoder(_Stored)
_encoder = msgspec.msgpack.Encoder()


class PreviewLedger:
    """Of one account. Reads are short and may come from any thread; what is put is on disk when `put` returns.

    That the renderer can make nothing of an original holds for that renderer: another one tries it again.
    """

    def __init__(self, environment: Environment, writer: trio.Lock, account: AccountName, fingerprint: str) -> None:
        self._environment = environment
        self._writer = writer
        self._account = account
        self._renderer = _digest(fingerprint)
        self._waiting: dict[bytes, bytes] = {}

    def get(self, asset: AssetId, version: Version) -> Sources | None:
        """What was put last, if of that version. Errors: StoreCorrupt, StoreError."""
        key = self._key(asset)
        value = self._environment.read(lambda reading: reading.get(DATABASE, key))
        if value is None:
            return None
        try:
            row = _decoder.decode(value)
            reduced = tuple(Reduced(name, Extent(width, height), kind) for name, width, height, kind in row.reduced)
        except (msgspec.DecodeError, OutOfBounds) as error:
            raise StoreCorrupt(f"state: what is known of a preview cannot be read: {error}") from error
        if row.version != _digest(version):
            return None
        return Sources(reduced, row.undecodable_by != self._renderer, row.since_ns, row.revision, row.awaited)

    async def put(self, asset: AssetId, version: Version, sources: Sources) -> None:
        """`sources` is what that version is rendered from. Those that wait for the disk at once go there together.

        Errors: StoreFull, StoreError.
        """
        reduced = tuple((one.name, one.extent.width, one.extent.height, one.media_type) for one in sources.reduced)
        undecodable_by = b"" if sources.original else self._renderer
        key = self._key(asset)
        row = _Stored(_digest(version), sources.since_ns, reduced, undecodable_by, sources.revision, sources.awaited)
        value = _encoder.encode(row)
        self._waiting[key] = value
        async with self._writer:
            if self._waiting.get(key) is not value:
                return
            rows, self._waiting = self._waiting, {}

            def job(writing: Writing) -> None:
                for key, value in rows.items():
                    writing.put(DATABASE, key, value)

            try:
                await trio.to_thread.run_sync(self._environment.write, job)
            except BaseException:
                self._waiting = rows | self._waiting
                raise

    def _key(self, asset: AssetId) -> bytes:
        account = self._account.encode()
        if len(account) > 200:
            account = b"\xff" + _digest(self._account)
        return account + b"\0" + _digest(asset)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()
