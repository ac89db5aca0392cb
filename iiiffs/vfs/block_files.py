"""The blocks of one version of one original that lies elsewhere: found in the cache, or fetched once, whoever asks.

Work flies in the daemon's nursery (`Flights`), so a download outlives its reader and the next one joins it. Between two
awaits `_flying` names exactly the blocks that are on their way, and `users` counts who still needs this object: handles
and fetches.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import cast

import trio

from iiiffs.cache.blocks import BlockGroup, Filing
from iiiffs.errors import AssetGone, DeadlinePassed, ProviderError, ProviderUnreachable, VersionChanged
from iiiffs.providers.base import Original
from iiiffs.providers.pieces import Pieces, pour
from iiiffs.sync.blocks import (
    AHEAD_MAX_BYTES,
    NOTHING,
    bytes_of,
    count_of,
    next_most_bytes,
    runs_of,
    start_of,
)
from iiiffs.vfs.block_means import Lane, Means, Source

log = logging.getLogger(__name__)

FETCH_S = 60.0
"""After this a question for blocks is given up: what hangs must not hold memory that others wait for."""
CLOSE_S = 5.0
REFUSED_S = 300.0
"""How long an original whose bytes were wrong twice is not asked for again."""
REFUSALS_KEPT = 1024
AHEAD_LEAST_BYTES = 4 << 20
SUM_AT_ONCE = 8
"""Blocks that one step in a thread adds up."""


class _Fetch:
    """One question for neighbouring blocks, on its way until `landed`. Who waits for it holds what it brings."""

    __slots__ = ("error", "landed", "pieces", "run")

    def __init__(self, run: range) -> None:
        self.run = run
        self.landed = trio.Event()
        self.pieces: Mapping[int, bytes] = {}
        self.error: Exception | None = DeadlinePassed("the daemon is stopping")

    async def result(self) -> Mapping[int, bytes]:
        """The blocks by number. Errors: what the work raised."""
        await self.landed.wait()
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.pieces


class BlockFile:
    """One version of one original. Made and given up by `BlockCache`, which keeps one of each."""

    def __init__(self, source: Source, means: Means, lane: Lane, retired: Callable[[BlockFile], None]) -> None:
        self.size_bytes = source.size_bytes
        self.group = BlockGroup.of(source.account, source.asset.id, source.asset.version)
        self.users = 0
        self.generation = 0
        """Raised when the bytes turn out to be wrong: whoever was given some of them before must not go on."""
        self._source = source
        self._means = means
        self._lane = lane
        self._retired = retired
        self._flying: dict[int, _Fetch] = {}
        self._original: Original | None = None
        self._failed: list[Original] = []
        self._opening = trio.Lock()
        self._obsolete = False
        self._summing = trio.Lock()
        self._sum = hashlib.sha1(usedforsecurity=False)
        self._summed = 0
        self._seen: set[int] = set()
        checksum = source.asset.checksum
        self._checksum = None if checksum is None or means.store.is_verified(self.group) else checksum
        if self._checksum is not None:
            self._seen = means.store.present(self.group)

    @property
    def wants_check(self) -> bool:
        """The whole of it has not been seen to have its checksum, and there is one."""
        return self._checksum is not None

    @property
    def ahead_most_bytes(self) -> int:
        """How far a reader may be read ahead of: all of them together need memory, and what is dropped before it was
        read comes from the disk again."""
        return max(AHEAD_MAX_BYTES // max(self._means.fetching, 1), AHEAD_LEAST_BYTES)

    def acquire(self) -> None:
        """One more needs this object."""
        self.users += 1

    def release(self) -> None:
        """One fewer does. After the last its connection is closed, and blocks of a version that is no more go."""
        self.users -= 1
        if self.users:
            return
        self._retired(self)
        if self._obsolete:
            self._means.recent.drop(self.group)
            self._means.store.drop(self.group)
        self._let_go()
        self._put_away()

    async def blocks(self, wanted: range, ahead: range = NOTHING) -> list[bytes]:
        """The blocks `wanted`, in order; those of `ahead` are on their way behind them.

        Errors: as `Original.read`; ProviderError if they had another checksum than they should have.
        """
        self._expect_right()
        if len(wanted) == 1 and not ahead and (data := self._at_hand(wanted.start)) is not None:
            return [data]  # nearly every read of the kernel
        found: dict[int, bytes] = {}
        for index in wanted:
            data = await self._kept(index)
            if data is not None:
                found[index] = data
        for index in wanted:  # some may have come while others were read from the disk
            if index not in found and (data := self._at_hand(index)) is not None:
                found[index] = data
        fetches = self._ask([index for index in wanted if index not in found])
        self._ask_ahead(ahead)
        for fetch in fetches:
            found |= await fetch.result()
        return [found[index] for index in wanted]

    def check_behind(self) -> None:
        """If all of it is kept and was never checked, that is done behind."""
        key = ("check blocks", self.group)
        is_whole = len(self._seen) == count_of(self.size_bytes)
        if self.wants_check and is_whole and not self._means.flights.is_flying(key):
            self.acquire()
            self._means.flights.begin(key, self._check_kept)

    def settle_sum(self, digest: bytes) -> None:
        """Somebody has read all of it, and this is its SHA-1. Errors: ProviderError if it should be another."""
        if self._checksum is None:
            return
        if digest != self._checksum:
            self._was_wrong(digest)
        self._checksum = None
        self._means.wrong.pop(self.group.key, None)
        self._means.store.set_verified(self.group)

    # ---- what is kept, and what is asked for ------------------------------------------------------------------

    async def _kept(self, index: int) -> bytes | None:
        data = self._at_hand(index)
        if data is None and index not in self._flying and self._may_be_stored(index):
            data = await self._means.flights.join(self._stored_key(index), partial(self._stored, index), math.inf)
        return data

    def _at_hand(self, index: int) -> bytes | None:
        """The block, if it is in memory."""
        fetch = self._flying.get(index)
        return self._means.recent.get(self.group, index) or (None if fetch is None else fetch.pieces.get(index))

    async def _stored(self, index: int) -> bytes | None:
        """The block from the disk, held in memory for a while. None if it is not there, or of wrong bytes."""
        generation = self.generation
        data = await self._means.store.get(self.group, index)
        if data is None or self.generation != generation:
            return None
        self._means.recent.put(self.group, index, data)
        return data

    def used_up(self, index: int) -> None:
        """A reader had the last byte of that block. If it is still to be added up, it is still of use."""
        if not self.wants_check or index < self._summed:
            self._means.recent.used_up(self.group, index)

    def read_behind(self, blocks: range) -> None:
        """Those that are on the disk alone are on their way into memory."""
        for index in range(blocks.start, min(blocks.stop, count_of(self.size_bytes))):
            is_coming = index in self._flying or self._means.flights.is_flying(self._stored_key(index))
            if not is_coming and self._at_hand(index) is None and self._means.store.has(self.group, index):
                self._means.flights.begin(self._stored_key(index), partial(self._stored, index))

    def _stored_key(self, index: int) -> tuple[object, ...]:
        return ("stored block", self.group, index)

    def _ask(self, missing: Sequence[int]) -> list[_Fetch]:
        """The fetches that bring `missing`; all of them are on their way, in order."""
        new = [index for index in missing if index not in self._flying]
        if new and not self._flying:
            self._means.fetching += 1
        for run in runs_of(new, self.size_bytes, self._lane.most_bytes):
            fetch = _Fetch(run)
            for index in run:
                self._flying[index] = fetch
            self.acquire()
            self._means.flights.begin(("blocks", fetch), partial(self._fetch, fetch))
        return list(dict.fromkeys(self._flying[index] for index in missing))

    def _ask_ahead(self, ahead: range) -> None:
        self._ask([index for index in ahead if index not in self._flying and not self._is_kept(index)])

    def _is_kept(self, index: int) -> bool:
        if self._means.recent.get(self.group, index) is not None:
            return True
        return self._may_be_stored(index) and self._means.store.has(self.group, index)

    def _may_be_stored(self, index: int) -> bool:
        """False if the store need not be asked."""
        return not self.wants_check or index in self._seen

    async def _fetch(self, fetch: _Fetch) -> None:
        """The blocks of a run, fetched and kept. The memory that they take is held until they are."""
        run = fetch.run
        _, length = bytes_of(run, self.size_bytes)
        try:
            while not fetch.landed.is_set():
                await self._attempt(fetch, length)
        except Exception as error:
            fetch.error = error
            raise
        finally:
            for index in run:
                del self._flying[index]
            fetch.landed.set()
            if not self._flying:
                self._means.fetching -= 1
                self._put_away()
            self.release()

    async def _attempt(self, fetch: _Fetch, length: int) -> None:
        """Asked for once. The account's place is given back as soon as the bytes are here, the memory later; in this
        order, so that accounts that hang hold no more memory than they have places."""
        async with AsyncExitStack() as held:
            async with self._lane.questions:
                await held.enter_async_context(self._means.budget.hold(length))
                self._expect_right()
                generation = self.generation
                filing = self._means.store.filing(fetch.run)
                try:
                    pieces = await self._asked(fetch.run, filing)
                except BaseException:
                    filing.give_up()
                    raise
            if self.generation != generation:
                filing.give_up()
                return
            self._means.store.file(self.group, filing)
            await self._hand_out(fetch, pieces, generation)

    async def _hand_out(self, fetch: _Fetch, pieces: Mapping[int, bytes], generation: int) -> None:
        """Who waits has the blocks; unless blocks of their generation turned out to be wrong: then they are not kept.

        For the block that makes a file whole everybody waits until its sum is right.
        """
        if self.wants_check:
            self._seen.update(pieces)
        if not self.wants_check or len(self._seen) < count_of(self.size_bytes):
            self._land(fetch, pieces)
        if self.wants_check and self.generation == generation:
            await self._add_up(generation, pieces)
        if self.generation == generation:
            self._land(fetch, pieces)
            return
        for index in pieces:
            self._means.store.delete(self.group, index)

    def _land(self, fetch: _Fetch, pieces: Mapping[int, bytes]) -> None:
        if not fetch.landed.is_set():
            for index, piece in pieces.items():
                self._means.recent.put(self.group, index, piece)
            fetch.pieces, fetch.error = pieces, None
            fetch.landed.set()

    async def _asked(self, run: range, filing: Filing) -> Mapping[int, bytes]:
        """Exactly those blocks from the provider, once, each in its file as soon as it came: to write and sum it costs
        half as much while the processor's cache holds it. Errors: as `Original.read`."""
        traffic, began_s = self._means.traffic, trio.current_time()
        traffic.requests += 1
        found: dict[int, bytes] = {}

        def take(number: int, data: bytes | bytearray) -> None:
            block = cast(bytes, data)  # nobody changes it, and who hands it out as bytes makes them
            found[run[number]] = block
            filing.write(run[number], block)

        lengths = [bytes_of(range(index, index + 1), self.size_bytes)[1] for index in run]
        is_whole = False
        try:
            with trio.move_on_after(FETCH_S) as scope:
                is_whole = await pour(await self._opened(), start_of(run.start), Pieces(lengths, take))
            if scope.cancelled_caught:
                raise ProviderUnreachable(f"{self._name}: no bytes within {FETCH_S:g} s")
            if not is_whole:
                raise ProviderUnreachable(f"{self._name}: fewer bytes came than the {sum(lengths)} that were asked for")
        except (AssetGone, VersionChanged):
            self._obsolete = True
            raise
        except ProviderError:
            traffic.failed += 1
            self._let_go()
            raise
        finally:
            took_s = trio.current_time() - began_s if is_whole else math.inf
            self._lane.most_bytes = next_most_bytes(self._lane.most_bytes, took_s)
        traffic.fetched_bytes += sum(lengths)
        return found

    async def _opened(self) -> Original:
        """The provider's, opened when the first byte is missing, so that what is kept needs no network."""
        async with self._opening:
            if self._original is None:
                original = await self._source.open()
                if original.size_bytes != self.size_bytes:
                    await original.aclose()
                    told = f"has {original.size_bytes} bytes and was listed with {self.size_bytes}"
                    raise ProviderError(f"{self._name} {told}")
                self._original = original
            return self._original

    def _let_go(self) -> None:
        """The next question opens the provider's anew; it is closed when no question to it is left."""
        if self._original is not None:
            self._failed.append(self._original)
            self._original = None

    def _put_away(self) -> None:
        while self._failed:
            original = self._failed.pop()
            self._means.flights.begin(("close", id(original)), partial(_closed, original))

    # ---- the checksum -----------------------------------------------------------------------------------------

    async def _add_up(self, generation: int, pieces: Mapping[int, bytes]) -> None:
        """The running sum goes on as far as there are blocks; at the end it is what it should be, or an error.

        Blocks that came out of order and are not at hand any more are read again, once all of them are kept.
        """
        async with self._summing:
            count = count_of(self.size_bytes)
            while self._summed < count and self.generation == generation:
                following = self._in_order(pieces)
                if not following and len(self._seen) == count:
                    data = await self._means.store.get(self.group, self._summed)
                    following = [] if data is None else [data]
                if not following:
                    return
                await trio.to_thread.run_sync(_update, self._sum, following)
                if self.generation != generation:
                    return
                self._summed += len(following)
            if self.generation == generation:
                self.settle_sum(self._sum.digest())

    def _in_order(self, pieces: Mapping[int, bytes]) -> list[bytes]:
        """The blocks that follow what was added up, as far as they are in memory, up to SUM_AT_ONCE of them."""
        found: list[bytes] = []
        for index in range(self._summed, min(self._summed + SUM_AT_ONCE, count_of(self.size_bytes))):
            data = pieces.get(index) or self._at_hand(index)
            if data is None:
                break
            found.append(data)
        return found

    async def _check_kept(self) -> None:
        try:
            await self._add_up(self.generation, {})
        finally:
            self.release()

    def _was_wrong(self, digest: bytes) -> None:
        """What is kept goes, and so must who was given some of it."""
        self.generation += 1
        self._means.traffic.wrong += 1
        self._means.recent.drop(self.group)
        self._means.store.drop(self.group)
        self._seen, self._summed, self._sum = set(), 0, hashlib.sha1(usedforsecurity=False)
        wrong = self._means.wrong
        times = wrong.pop(self.group.key, (0, 0.0))[0] + 1
        wrong[self.group.key] = times, trio.current_time()
        while len(wrong) > REFUSALS_KEPT:
            wrong.popitem(last=False)
        then = "they are fetched once more when asked for" if times == 1 else f"not asked for again for {REFUSED_S:g} s"
        what = f"{self._name}: its bytes are wrong: SHA-1 {digest.hex()}, and the provider says"
        text = f"{what} {self._source.asset.checksum.hex() if self._source.asset.checksum else ''}; dropped, {then}"
        log.warning("%s", text)
        self._means.on_wrong(self._source.account, self._source.asset.id, self._source.asset.version)
        raise ProviderError(text)

    def _expect_right(self) -> None:
        times, when_s = self._means.wrong.get(self.group.key, (0, 0.0))
        if times > 1 and trio.current_time() - when_s < REFUSED_S:
            raise ProviderError(f"{self._name}: the provider sent wrong bytes twice; asked again after {REFUSED_S:g} s")

    @property
    def _name(self) -> str:
        return f"{self._source.account}: {self._source.asset.name}"


def _update(digest: hashlib._Hash, blocks: Sequence[bytes]) -> None:
    for block in blocks:
        digest.update(block)


async def _closed(original: Original) -> None:
    with trio.move_on_after(CLOSE_S):
        await original.aclose()
