"""The block cache between providers whose originals lie elsewhere and whoever reads them (DESIGN §6 "Blocks").

One `BlockFile` an open (account, asset, version) holds what is on its way; `CachedOriginal` is one reader's view of it,
with a window of its own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import trio

from iiiffs.cache.blocks import BlockGroup, BlockStore
from iiiffs.cache.scratch import ScratchFile
from iiiffs.errors import ProviderError
from iiiffs.model.gallery import AccountName, Asset
from iiiffs.providers.base import Original
from iiiffs.providers.seeking import Seeking
from iiiffs.sync.blocks import FIRST_BYTES, NOTHING, Window, blocks_of, start_of, whole_window
from iiiffs.vfs.block_files import BlockFile
from iiiffs.vfs.block_means import BlockTraffic, Lane, Means, OnWrong, RecentBlocks, Source
from iiiffs.vfs.budget import PixelBudget
from iiiffs.vfs.flights import Flights

QUESTIONS_MAX = 4
"""For blocks, of one account at once."""
RECENT_BYTES = 32 << 20
IN_FLIGHT_BYTES = 64 << 20
"""Over all accounts: asked for and not yet handed to the cache."""
BLOCKS_BEHIND = 4
"""Read from the disk before a sequential reader asks for them."""
GATHER_BYTES = 1 << 20
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class BlockGauges:
    """What it did since the start and what it holds now; for status and metrics."""

    requests: int
    failed: int
    fetched_bytes: int
    wrong: int
    open: int
    in_flight_bytes: int
    recent_bytes: int


class BlockCache:
    """All originals of all accounts that are not local. One a mount."""

    def __init__(self, store: BlockStore, flights: Flights, scratch: Path, *, recent_bytes: int = RECENT_BYTES) -> None:
        """`scratch`: a folder with room for originals while they are decoded. `recent_bytes`: of blocks in memory."""
        recent, budget = RecentBlocks(recent_bytes), PixelBudget(IN_FLIGHT_BYTES)
        self._means = Means(store, flights, recent, budget, scratch)
        self._lanes: dict[AccountName, Lane] = {}
        self._files: dict[BlockGroup, BlockFile] = {}

    async def open(self, account: AccountName, asset: Asset, opened: Callable[[], Awaitable[Original]]) -> Original:
        """The bytes of that version. `account`: its name. `opened`: the provider's `open` of it, asked when a byte is
        missing, or now if its size is not known. Errors: then as `Provider.open`, else none.
        """
        size_bytes = asset.size_bytes
        if size_bytes is None:
            original = await opened()
            size_bytes = original.size_bytes
            await original.aclose()
        group = BlockGroup.of(account, asset.id, asset.version)
        file = self._files.get(group)
        if file is None or file.size_bytes != size_bytes:
            lane = self._lanes.setdefault(account, Lane(trio.CapacityLimiter(QUESTIONS_MAX)))
            file = BlockFile(Source(account, asset, size_bytes, opened), self._means, lane, self._retired)
            self._files[group] = file
        file.acquire()
        file.check_behind()
        return CachedOriginal(file, self._means.scratch)

    async def keep(
        self, account: AccountName, asset: Asset, source: Path, digest: bytes, sums: Sequence[int] = ()
    ) -> None:
        """What was sent from the file `source` is kept as that version, as if it had been read. With `sums`, if it can
        be, by `BlockStore.link_in`; else the file is read once more: `BlockStore.copy_in`. Only this disk is asked."""
        group, store, size_bytes = BlockGroup.of(account, asset.id, asset.version), self._means.store, asset.size_bytes
        if not size_bytes:
            return
        is_kept = await store.link_in(group, source, size_bytes, sums) if sums else False
        if is_kept or await store.copy_in(group, source, size_bytes, digest):
            self._means.wrong.pop(group.key, None)
            if (file := self._files.get(group)) is not None:
                file.settle_sum(digest)

    def drop(self, account: AccountName, asset: Asset) -> None:
        """Nothing of that version is kept any more; who reads it goes on."""
        group = BlockGroup.of(account, asset.id, asset.version)
        self._means.recent.drop(group)
        self._means.store.drop(group)

    def tell_wrong(self, told: OnWrong) -> None:
        """`told` is called, in the loop, whenever the bytes of an original were wrong after some had been read."""
        self._means.on_wrong = told

    @property
    def traffic(self) -> BlockTraffic:
        """What it did since the start."""
        return self._means.traffic

    def gauges(self) -> BlockGauges:
        """All of it."""
        done, means = self._means.traffic, self._means
        held = len(self._files), means.budget.held, means.recent.bytes_held
        return BlockGauges(done.requests, done.failed, done.fetched_bytes, done.wrong, *held)

    def _retired(self, file: BlockFile) -> None:
        if self._files.get(file.group) is file:
            del self._files[file.group]


class CachedOriginal:
    """providers.base.Original over blocks. Reads from memory and the cache; what is missing is fetched once."""

    def __init__(self, file: BlockFile, scratch: Path) -> None:
        self._file: BlockFile | None = file
        self._scratch = scratch
        self._size_bytes = file.size_bytes
        self._window = Window()
        self._generation = file.generation
        self._latest = NOTHING
        self._whole: ScratchFile | None = None
        self._preparing = trio.Lock()

    @property
    def size_bytes(self) -> int:
        """Rule: Original.size_bytes."""
        return self._size_bytes

    async def read(self, offset: int, length: int) -> bytes:
        """Rule: Original.read. Errors: as `read_view`."""
        return bytes(await self.read_view(offset, length))

    async def read_view(self, offset: int, length: int) -> bytes | memoryview:
        """As `read`, without a copy where they lie in one block.

        Errors: ProviderError too, where bytes that were read before turned out to be wrong.
        """
        length = max(0, min(length, self._size_bytes - offset))
        if not length:
            return b""
        file = self._opened()
        self._window, ahead = self._window.after(offset, length, self._size_bytes, file.ahead_most_bytes)
        data = await self._part(file, offset, length, ahead)
        _expect(file, self._generation)
        return data

    async def prepare(self) -> None:
        """Rule: Original.prepare. Bytes with a wrong checksum are fetched once more."""
        async with self._preparing:
            file = self._opened()
            for attempt in range(ATTEMPTS):
                if self._whole is not None:
                    return
                generation = file.generation
                try:
                    self._whole = await self._gathered(file)
                except ProviderError:
                    if file.generation == generation or attempt + 1 == ATTEMPTS:
                        raise

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Rule: Original.stream. Outlives `aclose` once it was prepared."""
        if self._whole is not None:
            with self._whole.stream() as stream:
                yield stream
            return
        with io.BufferedReader(_Blockwise(self), FIRST_BYTES) as buffered:
            yield cast(BinaryIO, buffered)

    async def aclose(self) -> None:
        """Rule: Original.aclose. What is on its way for it arrives all the same."""
        file, self._file = self._file, None
        whole, self._whole = self._whole, None
        if file is not None:
            file.release()
        if whole is not None:
            whole.close()

    def _opened(self) -> BlockFile:
        if self._file is None:
            raise ValueError("read from an original that is closed")
        return self._file

    async def _part(self, file: BlockFile, offset: int, length: int, ahead: range = NOTHING) -> bytes | memoryview:
        """[offset, offset + length), none of it past the end."""
        wanted = blocks_of(offset, length, self._size_bytes)
        if self._window.ahead_bytes and wanted != self._latest:
            file.read_behind(range(wanted.stop, wanted.stop + BLOCKS_BEHIND))
        self._latest = wanted
        blocks = await file.blocks(wanted, ahead)
        skipped = offset - start_of(wanted.start)
        for index, block in zip(wanted, blocks, strict=True):
            if start_of(index) + len(block) <= offset + length:
                file.used_up(index)
        if len(blocks) == 1:
            return blocks[0] if len(blocks[0]) == length else memoryview(blocks[0])[skipped : skipped + length]
        return b"".join(blocks)[skipped : skipped + length]

    async def _gathered(self, file: BlockFile) -> ScratchFile:
        """All bytes in a file of their own, for the cache may forget any block at any time; their sum is right."""
        digest = hashlib.sha1(usedforsecurity=False)
        wants_check, generation = file.wants_check, file.generation
        whole = await trio.to_thread.run_sync(ScratchFile, self._scratch)

        def append(data: bytes) -> None:
            whole.append(data)
            if wants_check:
                digest.update(data)

        try:
            window, offset = whole_window(0), 0
            while offset < self._size_bytes:
                length = min(GATHER_BYTES - offset % GATHER_BYTES, self._size_bytes - offset)
                window, ahead = window.after(offset, length, self._size_bytes, file.ahead_most_bytes)
                data = bytes(await self._part(file, offset, length, ahead))
                await trio.to_thread.run_sync(append, data)
                _expect(file, generation)
                offset += length
            if wants_check:
                file.settle_sum(digest.digest())
        except BaseException:
            whole.close()
            raise
        return whole


def _expect(file: BlockFile, generation: int) -> None:
    if file.generation != generation:
        raise ProviderError("the provider sent wrong bytes, and some of them were read already; open it again")


class _Blockwise(Seeking):
    """A CachedOriginal as a blocking file, in a worker thread of trio: each read is done by trio's thread."""

    def __init__(self, original: CachedOriginal) -> None:
        super().__init__()
        self._original = original

    @property
    def length_bytes(self) -> int:
        """Rule: Seeking.length_bytes."""
        return self._original.size_bytes

    def readinto(self, buffer: object) -> int:
        """Rule: io.RawIOBase.readinto. Errors: as `Original.read`."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed's Buffer is no name at run time
        data = trio.from_thread.run(partial(self._original.read, self._position, len(view)))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
