"""A folder of this machine as a gallery: every folder an album, every regular file an asset.

What is on disk is looked at anew in every call; what is remembered is ids and times (the ledger) and the last listing
of each folder, which is answered again while a new look finds the same names, sizes, times and inodes.

Concurrency. Whoever writes to the ledger takes `_changing` first and *then* looks at the disk, so that no older look
overwrites a newer one and no two folders claim one row. `_listings` and `_digests` change between awaits only.
Threads are given up on cancellation: they only read, and what they hold closes itself. How it writes: `writing`.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable
from typing import BinaryIO, TypeVar, cast

import trio

from iiiffs.errors import ProviderUnreachable, StoreError, VersionChanged
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Facts, Listing
from iiiffs.providers.base import Capabilities, Original, ProviderContext
from iiiffs.providers.folder.disk import Descriptor, Scan
from iiiffs.providers.folder.listings import Remembered, asset_of, listing_of
from iiiffs.providers.folder.original import BUFFER_BYTES, CheckedFile, FileOriginal, check_version, fingerprint
from iiiffs.providers.folder.records import Located, Reconciled
from iiiffs.providers.folder.watch import WATCH_TIMES, FolderWatch, WatchTimes
from iiiffs.providers.folder.writing import WRITING, FolderWriting
from iiiffs.sync.identity import Observed, Row, evolve, version_of

log = logging.getLogger(__name__)

Result = TypeVar("Result")

CAPABILITIES = Capabilities(folders=True, real_names=True, local=True, fresh_s=1.0, watches=True, writing=WRITING)
DIGESTS_MAX = 512
"""How many digests wait for one commit: 1 fsync for 512 files; those of a crash are computed again when asked for."""

LOOKS_MAX = 8
READS_MAX = 16
"""Threads of one account: a disk that hangs takes these and no others."""


class FolderProvider(FolderWriting):
    """providers.base.Provider and providers.writing.HasWriting for the files below one folder."""

    def __init__(
        self,
        root: str,
        context: ProviderContext,
        now_ns: Callable[[], int] = time.time_ns,
        watch_times: WatchTimes = WATCH_TIMES,
    ) -> None:
        super().__init__(root, context, now_ns)
        self._watch_times = watch_times
        self._digests: dict[str, tuple[str, bytes]] = {}
        self._looks = trio.CapacityLimiter(LOOKS_MAX)
        self._reads = trio.CapacityLimiter(READS_MAX)
        self._expect_root(self._records.root_row())

    @property
    def capabilities(self) -> Capabilities:
        """Rule: Provider.capabilities."""
        return CAPABILITIES

    async def authenticate(self) -> None:
        """Rule: Provider.authenticate."""
        await self._look(self._disk.check)

    async def root(self) -> Album:
        """Rule: Provider.root. Its title is the account's name, for the folder's own may tell a user's."""
        return await self.album(AlbumId(self._records.root_id))

    async def album(self, album: AlbumId) -> Album:
        """Rule: Provider.album."""

        def job() -> Album:
            here = self._records.locate(album, is_folder=True)
            return self._album(here, self._disk.stat_folder(here.path).st_mtime_ns)

        return await self._look(job)

    async def listing(self, album: AlbumId) -> Listing:
        """Rule: Provider.listing."""
        remembered = self._listings.get(album)
        if remembered is not None:
            here, scan = await self._look(lambda: self._scan(album))
            if remembered.holds(scan, self._album(here, scan.folder.mtime_ns)):
                return remembered.listing
        async with self._changing:
            await self._commit_digests()
            here, found = await self._look(lambda: self._reconcile(album))
            if found.changed or found.decision.forgotten:
                await self._ledger.commit(found.changed, found.decision.forgotten)
            for loser in found.losers:
                self._listings.drop(loser)
            if album == self._records.root_id:
                self._expect_root(self._records.root_row())
            return await self._remember(here, found)

    async def asset(self, asset: AssetId) -> Asset:
        """Rule: Provider.asset. One look at one path; where it is recorded, that is."""
        row, seen = await self._look(lambda: self._look_at(asset))
        if evolve(row, seen, self._now_ns()) is row:
            return asset_of(row)
        async with self._changing:
            row, seen = await self._look(lambda: self._look_at(asset))
            evolved = evolve(row, seen, self._now_ns())
            if evolved is not row:
                await self._ledger.commit([evolved])
                self._listings.drop(row.folder)
            return asset_of(evolved)

    async def facts(self, asset: Asset) -> Facts:
        """Rule: Provider.facts."""
        facts, digest = await trio.to_thread.run_sync(
            self._read_facts, asset, abandon_on_cancel=True, limiter=self._reads
        )
        if digest is not None:
            self._digests[asset.id] = (asset.version, digest)
        if len(self._digests) >= DIGESTS_MAX:
            async with self._changing:
                await self._commit_digests()
        return facts

    async def open(self, asset: Asset) -> Original:
        """Rule: Provider.open."""
        descriptor, size_bytes = await self._look(lambda: self._open(asset))
        return FileOriginal(descriptor, asset.version, size_bytes, self._reads)

    async def watch(
        self, report: Callable[[Changeset], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Rule: Provider.watch. How, and how soon: iiiffs.providers.folder.watch."""
        label, disk = self._context.account, self._disk
        await FolderWatch(label, disk, self._records, self._ledger, self._watch_times).run(report, task_status)

    async def aclose(self) -> None:
        """Rule: Provider.aclose."""
        async with self._changing:
            await self._commit_digests()

    async def _look(self, job: Callable[[], Result]) -> Result:
        return await trio.to_thread.run_sync(job, abandon_on_cancel=True, limiter=self._looks)

    def _scan(self, album: AlbumId) -> tuple[Located, Scan]:
        here = self._records.locate(album, is_folder=True)
        return here, self._disk.scan(here.path, here.chain)

    def _reconcile(self, album: AlbumId) -> tuple[Located, Reconciled]:
        here = self._records.locate(album, is_folder=True)
        return here, self._records.reconcile(here, self._now_ns())

    async def _remember(self, here: Located, found: Reconciled) -> Listing:
        album = self._album(here, found.scan.folder.mtime_ns)
        listing = await self._look(lambda: listing_of(album, found.scan.entries, found.decision.rows))
        self._listings.put(album.id, Remembered(found.scan, listing))
        return listing

    def _look_at(self, asset: AssetId) -> tuple[Row, Observed]:
        located = self._records.locate(asset, is_folder=False)
        return located.row, self._records.look(located)

    def _open(self, asset: Asset) -> tuple[Descriptor, int]:
        """An open descriptor of exactly that version, and its size."""
        located = self._records.locate(asset.id, is_folder=False)
        descriptor, status = self._disk.open(located.path)
        if version_of(status.st_mtime_ns, status.st_size, status.st_ino) != asset.version:
            descriptor.close()
            raise VersionChanged(f"asset {asset.id!a} has been replaced by a newer version")
        return descriptor, status.st_size

    def _read_facts(self, asset: Asset) -> tuple[Facts, bytes | None]:
        """What the headers say, and the content's digest if it is not recorded yet."""
        descriptor, size_bytes = self._open(asset)
        try:
            with descriptor:
                raw = CheckedFile(descriptor.number, asset.version, size_bytes)
                with io.BufferedReader(raw, BUFFER_BYTES) as stream:
                    facts = self._context.read_headers(cast(BinaryIO, stream), asset.name)
                row = self._ledger.row(asset.id)
                known = row is not None and row.version == asset.version and bool(row.digest)
                digest = None if known else fingerprint(descriptor.number, asset.version, size_bytes)
                check_version(descriptor.number, asset.version)
                return facts, digest
        except OSError as error:
            raise ProviderUnreachable(f"asset {asset.id!a} cannot be read: {error.strerror}") from error

    async def _commit_digests(self) -> None:
        """What facts() learnt is recorded. Only with `_changing`. A digest is worth a warning, never an error."""
        if not self._digests:
            return
        digests, self._digests = self._digests, {}
        try:
            rows = await self._look(lambda: self._records.with_digests(digests))
            if rows:
                await self._ledger.commit(rows)
        except StoreError as error:
            log.warning("%s: digests of %d files are not recorded: %s", self._context.account, len(digests), error)

    def _album(self, here: Located, mtime_ns: int) -> Album:
        row = here.row
        if row.id == self._records.root_id:
            return Album(AlbumId(row.id), self._context.account, None, mtime_ns)
        return Album(AlbumId(row.id), os.fsdecode(row.name), AlbumId(row.folder), mtime_ns)

    def _expect_root(self, row: Row) -> None:
        if row.inode:
            self._disk.expect_root(row.device, row.inode)
