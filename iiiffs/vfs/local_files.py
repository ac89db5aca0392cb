"""Files whose bytes are here and not at their provider yet: written, flushed, read and rendered from the spool.

When `flush` has returned, the bytes are on disk, the payload's name is, and the row is, in that order (DESIGN §4.1). A
file that is opened to be changed shows what it was until the first change, and only then is copied into the spool.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import trio

from iiiffs.errors import OverQuota, StoreError, StoreFull, VersionChanged
from iiiffs.providers.base import Original
from iiiffs.state.write_out import begin_write_out
from iiiffs.sync.items import Item, Stage
from iiiffs.sync.missing import with_missing, without_cut, without_written
from iiiffs.sync.stages import resting
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.rooms import Room
from iiiffs.vfs.spooled import SpooledOriginal

Result = TypeVar("Result")

ROOM_STEP_BYTES = 16 << 20
"""So much may be written before the room on the disk is looked at again."""
COPY_BYTES = 1 << 20
WRITE_BYTES = 128 << 10
"""Of one call. Rule: cache.block_folder.WRITE_BYTES."""
THREADS = 16
FULL = frozenset({28, 122, 27})
"""ENOSPC, EDQUOT, EFBIG."""

Interrupt = Callable[[Item], Awaitable[None]]
"""The item is not being sent any more when this returns."""


@dataclass(frozen=True, slots=True)
class Live:
    """What stat tells of a file that is here."""

    size_bytes: int
    mtime_ns: int


class LocalFile:
    """One file that programs have open, or that is being read. All opens of one item share it."""

    def __init__(self, id: str, descriptor: int | None, source: Original | None, live: Live) -> None:
        self.id = id
        self.descriptor = descriptor
        """In the spool; None as long as nothing was changed of `source`."""
        self.source = source
        self.live = live
        self.readers = 0
        self.writers = 0
        self.is_dirty = False
        self.is_new = False
        """Its name is not on disk yet."""
        self.unmeasured_bytes = 0
        self.missing: tuple[int, int] | None = None
        """Rule: Item.missing."""
        self.flushing = trio.Lock()
        self.copying = trio.Lock()


class LocalFiles:
    """All open files of one mount that are here; the only one that writes payloads."""

    def __init__(
        self,
        queue: Queue,
        interrupt: Interrupt,
        now_ns: Callable[[], int] = time.time_ns,
        *,
        room: Room | None = None,
    ) -> None:
        """`room`: None where nobody knows of any."""
        self._room = room
        self._queue = queue
        self.interrupt = interrupt
        self._now_ns = now_ns
        self._open: dict[str, LocalFile] = {}
        self._threads = trio.CapacityLimiter(THREADS)

    @property
    def open_files(self) -> int:
        """How many are open now."""
        return len(self._open)

    def live(self, item: Item) -> Live:
        """Size and time now, those of bytes that are not flushed too."""
        opened = self._open.get(item.id)
        return Live(item.size_bytes, item.mtime_ns) if opened is None else opened.live

    def known(self, id: str) -> Live | None:
        """As `live`, of the item of that id, which may be gone already: None if no program has it open either."""
        opened = self._open.get(id)
        if opened is not None:
            return opened.live
        item = self._queue.get(id)
        return None if item is None or item.stage is Stage.SENT else Live(item.size_bytes, item.mtime_ns)

    def is_written(self, id: str) -> bool:
        """True if a program has it open for writing."""
        opened = self._open.get(id)
        return opened is not None and opened.writers > 0

    def is_held_open(self, id: str) -> bool:
        """True if a program may still change it, or only has it open and nothing of it is in the spool: not to be sent
        before that is over."""
        return self.is_written(id) or self.is_untouched(id)

    def is_untouched(self, id: str) -> bool:
        """True if it is open, and still shows what it was."""
        opened = self._open.get(id)
        return opened is not None and opened.descriptor is None

    async def show(self, item: Item, source: Original) -> None:
        """An untouched file shows `source` from now on, which it closes; `item` is held."""
        opened = self._open.get(item.id)
        if opened is None or opened.descriptor is not None:
            await source.aclose()
            return
        before, opened.source = opened.source, source
        opened.live = Live(source.size_bytes, item.mtime_ns)
        self._queue.hold(item)
        if before is not None:
            await before.aclose()

    def is_settled(self, item: Item) -> bool:
        """True if its bytes are those that were flushed last."""
        opened = self._open.get(item.id)
        return item.generation > 0 and (opened is None or not opened.is_dirty)

    # ---- opening ----------------------------------------------------------------------------------------------

    async def create(self, item: Item) -> LocalHandle:
        """A new, empty file, open for writing. Errors: OverQuota, StoreFull, StoreError."""
        await self._needs(item, 1)
        descriptor = await self._in_thread(lambda: self._begun(item.id, 0))
        opened = LocalFile(item.id, descriptor, None, Live(0, item.mtime_ns))
        opened.is_new = opened.is_dirty = True
        opened.writers = 1
        self._open[item.id] = opened
        self._queue.note(item)
        return LocalHandle(self, opened, writes=True)

    def begin(self, item: Item, source: Original) -> None:
        """The file shows `source`, which it closes, until something of it is changed; open for nobody yet."""
        self._open[item.id] = LocalFile(item.id, None, source, Live(source.size_bytes, item.mtime_ns))
        self._queue.begin(item)

    async def copy(self, item: Item, source: Original) -> None:
        """A file of the bytes of `source`, which it closes, with the item's time; all of it is on disk when this
        returns, and nothing is left of it after an error. Errors: as reading `source`; StoreFull, StoreError."""
        self.begin(item, source)
        handle = await self.open(item, writes=True)
        try:
            await self._changeable(handle.opened)
            handle.opened.live = replace(handle.opened.live, mtime_ns=item.mtime_ns)
            await handle.flush()
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._queue.drop(item.id)
            raise
        finally:
            with trio.CancelScope(shield=True):
                await handle.aclose()

    async def open(self, item: Item, *, writes: bool, truncates: bool = False) -> LocalHandle:
        """One more open of it. Errors: VersionChanged if the provider got it meanwhile; StoreError."""
        if writes:
            await self.interrupt(item)
        current = self._queue.get(item.id)
        if current is None or current.stage is Stage.SENT:
            raise VersionChanged(f"{item.name} has reached its provider since it was looked up")
        if writes and current.stage is not Stage.OPEN:
            self._queue.hold(replace(current, stage=Stage.OPEN, reason=None, tries=0))  # before anybody may send it
        try:
            opened = await self._shared(current)
        except BaseException:
            if writes and not self.is_written(item.id) and self._queue.get(item.id) is not None:
                self._queue.note(current)
            raise
        opened.readers += not writes
        opened.writers += writes
        handle = LocalHandle(self, opened, writes=writes)
        try:
            if writes and opened.descriptor is not None:
                self._queue.note(replace(self._queue.get(item.id) or current, stage=Stage.OPEN))
            if truncates:
                await self.truncate(opened, 0)
        except BaseException:
            with trio.CancelScope(shield=True):
                await handle.aclose()
            raise
        return handle

    async def _shared(self, item: Item) -> LocalFile:
        """The open file of the item, which whoever opens it shares."""
        opened = self._open.get(item.id)
        if opened is not None:
            return opened
        descriptor = await self._in_thread(lambda: self._payload(item, write=True))
        again = self._open.get(item.id)
        if again is not None:
            os.close(descriptor)
            return again
        opened = self._open[item.id] = LocalFile(item.id, descriptor, None, Live(item.size_bytes, item.mtime_ns))
        opened.is_new = opened.is_dirty = item.generation == 0  # of an earlier run, which never flushed it
        opened.missing = item.missing
        return opened

    def _payload(self, item: Item, *, write: bool) -> int:
        """Blocking. Errors: VersionChanged if it is gone, since the provider got it meanwhile; StoreError."""
        try:
            return self._queue.spool.open(item.id, write=write)
        except StoreError as error:
            current = self._queue.get(item.id)  # in a thread; one look into a dictionary
            if current is None or current.stage is Stage.SENT:
                raise VersionChanged(f"{item.name} has reached its provider since it was looked up") from error
            raise

    async def original(self, item: Item) -> Original:
        """The bytes that were flushed last, for readers and renderers. Errors: VersionChanged."""
        if not self.is_settled(item) or item.stage is Stage.SENT:
            raise VersionChanged(f"{item.name} is being written")
        descriptor = await self._in_thread(lambda: self._payload(item, write=False))

        def check() -> None:
            """A payload that nobody has open any more keeps its bytes, even when its row is gone."""
            current = self._queue.get(item.id)
            if current is not None and (current.version != item.version or not self.is_settled(current)):
                raise VersionChanged(f"{item.name} is being written")

        return SpooledOriginal(descriptor, item.size_bytes, check, self._threads)

    # ---- changing ---------------------------------------------------------------------------------------------

    async def write(self, opened: LocalFile, offset: int, data: bytes) -> int:
        """All of `data` is at `offset`; it is on disk after the next flush.

        Errors: OverQuota, StoreFull, StoreError; then the file is not sent until somebody has written those bytes.
        """
        descriptor, end = await self._changeable(opened), offset + len(data)
        opened.unmeasured_bytes += len(data)
        opened.is_dirty = True
        try:
            await self._grows(opened, end)
            if opened.unmeasured_bytes >= ROOM_STEP_BYTES:
                await self._in_thread(lambda: self._queue.spool.room(0))
                opened.unmeasured_bytes = 0
            await self._in_thread(lambda: _write_all(descriptor, data, offset))
        except (StoreError, OverQuota):
            opened.missing = with_missing(opened.missing, offset, end)
            raise
        opened.is_dirty = True  # a flush may have begun before the bytes were there
        opened.missing = without_written(opened.missing, offset, end)
        opened.live = Live(max(opened.live.size_bytes, end), self._now_ns())
        return len(data)

    async def truncate(self, opened: LocalFile, size_bytes: int) -> None:
        """It is that long; what is new of it is zeros."""
        if opened.descriptor is None and size_bytes == 0:
            await self._into_spool(opened, copies=False)
        descriptor = await self._changeable(opened)
        if size_bytes > opened.live.size_bytes:
            await self._grows(opened, size_bytes)
            await self._in_thread(lambda: self._queue.spool.room(0))
        opened.is_dirty = True
        await self._in_thread(lambda: os.ftruncate(descriptor, size_bytes))
        opened.is_dirty = True
        opened.missing = without_cut(opened.missing, size_bytes)
        opened.live = Live(size_bytes, self._now_ns())

    async def _grows(self, opened: LocalFile, size_bytes: int) -> None:
        """It may be so long. Errors: OverQuota."""
        item = self._queue.get(opened.id)
        if size_bytes > opened.live.size_bytes and item is not None:
            await self._needs(item, size_bytes - item.size_bytes)

    async def _needs(self, item: Item, more_bytes: int) -> None:
        if self._room is not None:
            await self._room(item.account, more_bytes)

    async def truncate_item(self, item: Item, size_bytes: int) -> None:
        """As `truncate`, of a file that is perhaps not open, and flushed if it was not."""
        handle = await self.open(item, writes=True)
        try:
            await handle.truncate(size_bytes)
            await handle.flush()
        finally:
            with trio.CancelScope(shield=True):
                await handle.aclose()

    async def set_time(self, item: Item, mtime_ns: int) -> None:
        """The time of a file that was written, until its bytes change again; on disk with the next commit.

        Errors: VersionChanged if the provider got it meanwhile.
        """
        await self.interrupt(item)  # it would arrive with the time that it had
        current = self._queue.get(item.id)
        if current is None or current.stage is Stage.SENT:
            raise VersionChanged(f"{item.name} has reached its provider since it was looked up")
        opened = self._open.get(item.id)
        if opened is not None:
            opened.live = replace(opened.live, mtime_ns=mtime_ns)
        self._queue.note(replace(current, mtime_ns=mtime_ns))

    async def flush(self, opened: LocalFile) -> None:
        """Every byte that was written before this is on disk, and known to be this file's, when it returns.

        Errors: StoreFull, StoreError; then it may be tried again, and nothing was promised.
        """
        async with opened.flushing:
            item = self._queue.get(opened.id)
            if not opened.is_dirty or item is None or opened.descriptor is None:
                return
            opened.is_dirty = False
            descriptor, is_new = opened.descriptor, opened.is_new
            try:
                await self._in_thread(lambda: self._queue.spool.sync(descriptor, is_new))
                opened.is_new = False
                item = self._queue.get(opened.id)
                if item is None:
                    return
                size_bytes = os.fstat(descriptor).st_size
                await self._queue.commit(
                    replace(
                        item,
                        generation=item.generation + 1,
                        size_bytes=size_bytes,
                        mtime_ns=opened.live.mtime_ns,
                        sha1=None,
                        told=(),
                        missing=opened.missing,
                    )
                )
            except BaseException:
                opened.is_dirty = True
                raise

    async def release(self, opened: LocalFile, *, writes: bool) -> None:
        """One open less. After the last writer's the file waits to be sent; what mapped memory wrote late is safe."""
        reason: str | None = None
        try:
            if writes:
                await self.flush(opened)
        except StoreError as error:
            reason = f"its last bytes could not be kept: {error}"
            raise
        finally:
            opened.readers -= not writes
            opened.writers -= writes
            if writes and not opened.writers:
                self._all_written(opened, reason)
            if not opened.readers and not opened.writers:
                await self._put_away(opened)

    def _all_written(self, opened: LocalFile, reason: str | None) -> None:
        """Nobody writes it any more. `reason`: why it cannot be sent; a person is to decide."""
        item = self._queue.get(opened.id)
        if item is None or item.stage is not Stage.OPEN or opened.descriptor is None:
            return
        if reason is not None:
            self._queue.note(replace(item, stage=Stage.FAILED, reason=reason, tries=0, missing=opened.missing))
        else:
            self._queue.note(resting(item, is_open=False))

    async def _put_away(self, opened: LocalFile) -> None:
        if self._open.get(opened.id) is opened:
            del self._open[opened.id]
        try:
            if opened.descriptor is not None:
                os.close(opened.descriptor)
            elif self._queue.get(opened.id) is not None:
                await self._queue.drop(opened.id)
        finally:
            if opened.source is not None:
                await opened.source.aclose()

    # ---- the spool --------------------------------------------------------------------------------------------

    async def _changeable(self, opened: LocalFile) -> int:
        if opened.descriptor is None:
            await self._into_spool(opened, copies=True)
        assert opened.descriptor is not None, "copied just now"
        return opened.descriptor

    async def _into_spool(self, opened: LocalFile, *, copies: bool) -> None:
        """What was only shown is a payload of its own now. Errors: as reading the original, StoreFull."""
        async with opened.copying:
            if opened.descriptor is not None:
                return
            source = opened.source
            assert source is not None, "a file is in the spool, or shows something else"
            wanted_bytes = source.size_bytes if copies else 0
            descriptor = await self._in_thread(lambda: self._begun(opened.id, wanted_bytes))
            try:
                for offset in range(0, wanted_bytes, COPY_BYTES):
                    data = await source.read(offset, COPY_BYTES)
                    await self._in_thread(partial(_write_all, descriptor, data, offset))
            except BaseException:
                os.close(descriptor)
                with trio.CancelScope(shield=True):
                    await self._in_thread(lambda: self._queue.spool.remove(opened.id))
                raise
            opened.descriptor = descriptor
            opened.is_new = opened.is_dirty = True
            opened.live = replace(opened.live, size_bytes=wanted_bytes)
            self._queue.keep(opened.id)
            if self._queue.get(opened.id) is None:  # it has lost its name: its bytes go when nobody has it open
                await self._in_thread(lambda: self._queue.spool.remove(opened.id))

    def _begun(self, id: str, wanted_bytes: int) -> int:
        """Blocking: a new payload, where there is room for that much."""
        self._queue.spool.room(wanted_bytes)
        return self._queue.spool.create(id)

    async def _in_thread(self, job: Callable[[], Result]) -> Result:
        """Blocking work on the spool. Not given up: what it began must be known to have ended."""
        try:
            return await trio.to_thread.run_sync(job, limiter=self._threads)
        except OSError as error:
            kind = StoreFull if error.errno in FULL else StoreError
            raise kind(f"the spool cannot be used: {error.strerror}") from error


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view[:WRITE_BYTES], offset)
        view, offset = view[written:], offset + written
    begin_write_out(descriptor, offset - len(data), offset)


class LocalHandle:
    """One open of a local file: rule vfs.handles.Handle, and writing."""

    is_snapshot = False

    def __init__(self, files: LocalFiles, opened: LocalFile, *, writes: bool) -> None:
        self._files = files
        self._opened = opened
        self.writes = writes
        self._is_closed = False

    @property
    def id(self) -> str:
        """Of the item."""
        return self._opened.id

    @property
    def opened(self) -> LocalFile:
        """What all opens of the file share."""
        return self._opened

    async def read(self, offset: int, length: int) -> bytes:
        """Those bytes as they are now, cut at the end of the file."""
        opened = self._opened
        if opened.descriptor is None:
            assert opened.source is not None, "a file is in the spool, or shows something else"
            return await opened.source.read(offset, length)
        descriptor = opened.descriptor
        return await self._files._in_thread(lambda: os.pread(descriptor, length, offset))

    async def write(self, offset: int, data: bytes) -> int:
        """Rule: LocalFiles.write."""
        return await self._files.write(self._opened, offset, data)

    async def truncate(self, size_bytes: int) -> None:
        """Rule: LocalFiles.truncate."""
        await self._files.truncate(self._opened, size_bytes)

    async def flush(self) -> None:
        """Rule: LocalFiles.flush. Of a handle that only reads: nothing."""
        if self.writes:
            await self._files.flush(self._opened)

    async def aclose(self) -> None:
        """Closed; a second call does nothing. Errors: as `flush`; it is closed all the same."""
        if not self._is_closed:
            self._is_closed = True
            await self._files.release(self._opened, writes=self.writes)
