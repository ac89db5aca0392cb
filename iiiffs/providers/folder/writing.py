"""providers.writing.HasWriting for the files below one folder: what each verb does is in `changes`, ids are kept here.

Concurrency. Payloads are copied and compared without a lock, under hidden names, in threads that are given up on
cancellation and then take their file away. The change itself (renames: no bytes) and its ledger rows are made under
`_changing`, shielded from cancellation, for CHANGE_S at most: so a listing before it and one after it have the same
ids, and no listing sees the one without the other. A thread that outlives CHANGE_S has a disk that hangs; what it
still does is as if another program did it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import trio

from iiiffs.errors import AlreadyThere, AssetGone, ProviderUnreachable, Rejected, VersionChanged
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Version
from iiiffs.model.writing import AlbumVerb, Edit, Payload, Property, Replaced, Space, Writing
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.folder import changes
from iiiffs.providers.folder.changes import Match, seen, version
from iiiffs.providers.folder.disk import Descriptor, Disk
from iiiffs.providers.folder.incoming import Part, receive
from iiiffs.providers.folder.listings import LastListings, asset_of
from iiiffs.providers.folder.litter import litter_in, sweep
from iiiffs.providers.folder.records import Located, Records
from iiiffs.providers.folder.refusals import changing
from iiiffs.providers.folder.renaming import has_entry
from iiiffs.providers.views import Mark, Named
from iiiffs.sync.identity import LINK, Observed, Row, evolve
from iiiffs.tree.junk import is_junk

Result = TypeVar("Result")

WRITING = Writing(
    membership=False,
    fixed_names=False,
    replaces_id=False,
    album_verbs=frozenset(AlbumVerb),
    nested=True,
    properties=frozenset({Property.DATE}),
)
NAME_BYTES_MAX = 255
IN_FILES = "files of a folder keep a date and no other property: write them into the files themselves"
CHANGE_S = 10.0
"""For one change. Rule: DESIGN §4.6."""

ROUNDS_MAX = 3
"""An upload looks again so many times when others change its name meanwhile."""

COPIES_MAX = 4
CHANGES_MAX = 4
"""Threads of one account."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change on disk means for the ledger. `row`: of what was asked for. `folders`: whose listings differ."""

    row: Row
    rows: tuple[Row, ...]
    folders: tuple[str, ...]


class FolderWriting:
    """The writing half of FolderProvider, and what both halves share."""

    def __init__(self, root: str, context: ProviderContext, now_ns: Callable[[], int]) -> None:
        self._context = context
        self._ledger = context.ledger
        self._now_ns = now_ns
        self._disk = Disk(root)
        self._records = Records(context.account, self._disk, context.ledger)
        self._listings = LastListings()
        self._changing = trio.Lock()
        self._copies = trio.CapacityLimiter(COPIES_MAX)
        self._changes = trio.CapacityLimiter(CHANGES_MAX)
        self._litter: dict[tuple[int, int], list[bytes]] = {}
        self._sweeping = threading.Lock()

    async def upload(self, album: AlbumId, name: str, payload: Payload) -> Asset:
        """Rule: HasWriting.upload."""
        raw = _legal(name)
        for _ in range(ROUNDS_MAX):
            match, entry = await self._busy(lambda unwanted: self._compare(album, raw, payload, unwanted))
            if match is Match.OTHER:
                break
            try:
                if match is Match.SAME:
                    return asset_of((await self._change(lambda: self._noted(album, raw))).row)
                return await self._deliver(album, raw, payload, version(entry))
            except (AlreadyThere, VersionChanged, AssetGone):
                continue  # somebody was quicker: what is there now decides
        raise AlreadyThere(f"there is another file {name!a}")

    async def replace(self, asset: Asset, payload: Payload) -> Replaced:
        """Rule: HasWriting.replace. The id is its name's, so it stays; the mode and the attributes stay too."""
        row = await self._busy(lambda _: self._records.locate(asset.id, is_folder=False).row)
        album = AlbumId(row.folder)
        known = asset.version
        match, entry = await self._busy(lambda unwanted: self._compare(album, row.name, payload, unwanted, known))
        old = version(entry)
        if match is Match.ABSENT or (old is None and entry is not None):
            raise AssetGone(f"asset {asset.id!a} is not there any more")
        if match is Match.SAME:
            return Replaced(asset_of((await self._change(lambda: self._noted(album, row.name))).row))
        if match is Match.OTHER and old != asset.version:
            raise VersionChanged(f"asset {asset.id!a} has been replaced by a newer version")
        return Replaced(await self._deliver(album, row.name, payload, old))

    async def make_album(self, parent: AlbumId, title: str, token: str) -> Album:
        """Rule: HasWriting.make_album. The token is kept as an attribute of the folder, where its disk has those; on
        others the second call of a token is AlreadyThere."""
        raw = _legal(title)

        def job() -> Changed:
            above = self._records.locate(parent, is_folder=True)
            with self._disk.open_folder(above.path) as folder, changing(_shown(above.path, raw)):
                self._sweep(folder.number, raw, token)
                changes.make_folder(folder.number, raw, token)
                return self._new(above, folder.number, raw, is_known=True)

        return _album_of((await self._change(job)).row)

    async def rename_album(self, album: AlbumId, parent: AlbumId, title: str) -> Album:
        """Rule: HasWriting.rename_album. Ids of all that is in it stay."""
        raw = _legal(title)

        def job() -> Changed:
            here = self._located_below(album)
            above = self._records.locate(parent, is_folder=True)
            with (
                self._folder_of(here) as source,
                self._disk.open_folder(above.path) as target,
                changing(_shown(here.path)),
            ):
                if (here.row.folder, here.row.name) == (parent, raw) or self._was_moved(here, source, target, raw):
                    changes.sync_folders(source.number, target.number)
                else:
                    changes.move_folder(source.number, here.row.name, target.number, raw)
                return self._moved(here.row, above, target.number, raw)

        return _album_of((await self._change(job)).row)

    async def remove_album(self, album: AlbumId) -> None:
        """Rule: HasWriting.remove_album. A folder with nothing but desktop litter in it goes to the trash with that."""

        def job() -> Changed:
            here = self._located_below(album)
            try:
                with self._folder_of(here) as folder, changing(_shown(here.path)):
                    changes.remove_folder(folder.number, here.row.name, self._now_ns())
            except AssetGone:
                self._disk.check()
            return self._gone(here.row)

        if await self._busy(lambda _: self._ledger.row(album)) is not None or album == self._records.root_id:
            await self._change(job)

    async def move(self, asset: Asset, album: AlbumId, name: str, over: Asset | None = None) -> Asset:
        """Rule: HasWriting.move. Errors: OtherAccount also between two disks, on which a file cannot be renamed."""
        raw = _legal(name)

        def job() -> Changed:
            here = self._records.locate(asset.id, is_folder=False)
            above = self._records.locate(album, is_folder=True)
            with (
                self._folder_of(here) as source,
                self._disk.open_folder(above.path) as target,
                changing(_shown(above.path, raw)),
            ):
                self._move(source.number, here.row.name, target.number, raw, (asset, over))
                return self._moved(here.row, above, target.number, raw)

        return asset_of((await self._change(job)).row)

    async def link(self, asset: Asset, album: AlbumId, name: str) -> Asset:
        """Rule: HasWriting.link. A hard link; of a symlink, one to the file that it leads to."""
        raw = _legal(name)

        def job() -> Changed:
            here = self._records.locate(asset.id, is_folder=False)
            above = self._records.locate(album, is_folder=True)
            opened, status = self._disk.open(here.path)
            with opened, self._disk.open_folder(above.path) as folder, changing(_shown(above.path, raw)):
                there = seen(folder.number, raw)
                if there is not None and _key(there) == (status.st_dev, status.st_ino):
                    changes.keep(folder.number, raw)
                    return self._new(above, folder.number, raw, is_known=True)
                changes.link_file(opened.number, folder.number, raw)
                return self._new(above, folder.number, raw, is_known=False)

        return asset_of((await self._change(job)).row)

    async def remove(self, asset: Asset) -> None:
        """Rule: HasWriting.remove. Into the trash of the file's own disk; Rejected where there is none."""

        def job() -> Changed:
            here = self._records.locate(asset.id, is_folder=False)
            try:
                with self._folder_of(here) as folder, changing(_shown(here.path)):
                    changes.trash(folder.number, here.row.name, asset.version, self._now_ns())
            except AssetGone:
                self._disk.check()
            return self._gone(here.row)

        if await self._busy(lambda _: self._ledger.row(asset.id)) is not None:
            await self._change(job)

    async def add(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.add. Always Rejected: albums are folders."""
        raise Rejected("albums of a folder are folders: move or link files into them")

    async def take_out(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.take_out. Always Rejected: albums are folders."""
        raise Rejected("albums of a folder are folders: move files out of them, or remove them")

    async def tag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.tag. Always Rejected: what a folder shows of them is written in the files."""
        raise Rejected(IN_FILES)

    async def untag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.untag. Always Rejected: as `tag`."""
        raise Rejected(IN_FILES)

    async def make_tag(self, name: str) -> Named:
        """Rule: HasWriting.make_tag. Always Rejected: as `tag`."""
        raise Rejected(IN_FILES)

    async def restore(self, asset: AssetId) -> Asset:
        """Rule: HasWriting.restore. Always Rejected: the trash is the desktop's."""
        raise Rejected("what was removed lies in the desktop's trash: restore it from there")

    async def edit(self, asset: AssetId, edit: Edit) -> Asset:
        """Rule: HasWriting.edit. The date is the file's mtime."""
        if edit.properties - WRITING.properties:
            raise Rejected(IN_FILES)

        def job() -> Changed:
            here = self._records.locate(asset, is_folder=False)
            with changing(_shown(here.path)):
                if edit.mtime_ns is not None:
                    opened, status = self._disk.open(here.path)
                    with opened:
                        os.utime(opened.number, ns=(status.st_atime_ns, edit.mtime_ns))
                        os.fsync(opened.number)
                row = evolve(here.row, self._records.look(here), self._now_ns())
            return Changed(row, (row,), (row.folder,))

        return asset_of((await self._change(job)).row)

    async def space(self) -> Space | None:
        """Rule: HasWriting.space. Of the disk that the topmost folder is on."""

        def job() -> Space:
            with self._disk.open_folder(b"") as folder, changing(self._disk.root):
                status = os.fstatvfs(folder.number)
                reserved = status.f_bfree - status.f_bavail
                return Space(*(blocks * status.f_frsize for blocks in (status.f_blocks, status.f_bavail, reserved)))

        return await self._busy(lambda _: job())

    async def _deliver(self, album: AlbumId, name: bytes, payload: Payload, old: Version | None) -> Asset:
        """The payload is `name`; in the place of the version `old`, if that is not None. Errors: as HasWriting."""
        part = await self._busy(lambda unwanted: self._receive(album, name, payload, unwanted))

        def job() -> Changed:
            here = self._records.locate(album, is_folder=True)
            with self._disk.open_folder(here.path) as folder, changing(_shown(here.path, name)):
                if not os.path.sameopenfile(folder.number, part.folder.number):
                    raise AssetGone(f"album {album!a} is another folder now")
                if old is None:
                    changes.place(folder.number, part, name)
                else:
                    changes.swap(folder.number, part, name, old, self._now_ns())
                return self._new(here, folder.number, name, is_known=old is not None)

        try:
            return asset_of((await self._change(job)).row)
        finally:
            part.discard()

    def _compare(
        self,
        album: AlbumId,
        name: bytes,
        payload: Payload,
        unwanted: Callable[[], bool],
        known: Version | None = None,
    ) -> tuple[Match, Observed | None]:
        here = self._records.locate(album, is_folder=True)
        with self._disk.open_folder(here.path) as folder, changing(_shown(here.path, name)):
            self._sweep(folder.number, name, payload.token, payload.sha1)
            return changes.compare(folder.number, name, payload, unwanted, known)

    def _receive(self, album: AlbumId, name: bytes, payload: Payload, unwanted: Callable[[], bool]) -> Part:
        here = self._records.locate(album, is_folder=True)
        with self._disk.open_folder(here.path) as folder, changing(_shown(here.path, name)):
            entry = seen(folder.number, name)
            if entry is None or entry.is_folder or entry.kind.startswith(LINK):
                return receive(folder.number, payload, None, unwanted)
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            with Descriptor(os.open(name, flags, dir_fd=folder.number)) as like:
                return receive(folder.number, payload, like.number, unwanted)

    def _sweep(self, folder: int, name: bytes, token: str, sha1: bytes = b"") -> None:
        """What kills left, looked for once in each folder and run."""
        status = os.fstat(folder)
        key = (status.st_dev, status.st_ino)
        with self._sweeping:
            litter = self._litter.get(key)
            if litter is None:
                litter = litter_in(folder)
            self._litter[key] = sweep(folder, litter, token, (name, sha1), self._now_ns()) if litter else []

    def _move(self, source: int, name: bytes, target: int, new_name: bytes, both: tuple[Asset, Asset | None]) -> None:
        """The file is moved, or was by an earlier call whose answer was lost."""
        asset, over = both
        if os.path.sameopenfile(source, target) and name == new_name:
            changes.check(seen(source, name), asset.version, name)
            changes.sync_folders(source, target)
            return
        here, there = seen(source, name), seen(target, new_name)
        if version(there) == asset.version and version(here) != asset.version:
            if here is not None and over is not None and version(here) == over.version:
                changes.trash(source, name, over.version, self._now_ns())  # killed between exchange and trash
            if not has_entry(source, name):
                changes.sync_folders(source, target)
                return
        if over is None or there is None:
            changes.move_file(source, name, target, new_name, asset.version)
        else:
            changes.move_over(source, name, target, new_name, (asset.version, over.version), self._now_ns())

    def _was_moved(self, here: Located, source: Descriptor, target: Descriptor, name: bytes) -> bool:
        """True if an earlier call, whose answer was lost, has moved the folder."""
        there = seen(target.number, name)
        is_it = there is not None and _key(there) == (here.row.device, here.row.inode)
        return is_it and not has_entry(source.number, here.row.name)

    def _noted(self, album: AlbumId, name: bytes) -> Changed:
        """The row of a file that is there already."""
        here = self._records.locate(album, is_folder=True)
        with self._disk.open_folder(here.path) as folder, changing(_shown(here.path, name)):
            changes.keep(folder.number, name)
            return self._new(here, folder.number, name, is_known=True)

    def _new(self, here: Located, folder: int, name: bytes, *, is_known: bool) -> Changed:
        """The row of an entry. `is_known`: a listing may have seen it before, under an id that is not its path's."""
        entry = seen(folder, name)
        if entry is None:
            raise AssetGone(f"{_shown(here.path, name)} is not there any more")
        row = self._records.row_for(here, entry, self._now_ns(), is_known=is_known)
        return Changed(row, (row,), (here.row.id,))

    def _moved(self, row: Row, above: Located, target: int, name: bytes) -> Changed:
        """The row of what was moved there, with its id."""
        entry = seen(target, name)
        if entry is None:
            raise AssetGone(f"{_shown(above.path, name)} is not there any more")
        moved = replace(evolve(row, entry, self._now_ns()), folder=above.row.id, name=name)
        return Changed(moved, (moved,), (row.id, row.folder, above.row.id))

    def _gone(self, row: Row) -> Changed:
        gone = replace(row, gone=True)
        return Changed(gone, (gone,), (row.id, row.folder))

    def _located_below(self, album: AlbumId) -> Located:
        if album == self._records.root_id:
            raise Rejected("the topmost folder is the account itself: it is neither renamed nor removed here")
        return self._records.locate(album, is_folder=True)

    def _folder_of(self, here: Located) -> Descriptor:
        """The open folder that holds it. Errors: AssetGone."""
        return self._disk.open_folder(here.path.rpartition(b"/")[0])

    async def _busy(self, job: Callable[[Callable[[], bool]], Result]) -> Result:
        """What `job` found in a thread, which is told if nobody wants it any more."""
        stop = threading.Event()
        try:
            return await trio.to_thread.run_sync(job, stop.is_set, abandon_on_cancel=True, limiter=self._copies)
        finally:
            stop.set()

    async def _change(self, job: Callable[[], Changed]) -> Changed:
        """The change is made and recorded. Errors: of `job`; ProviderUnreachable after CHANGE_S; StoreFull."""
        async with self._changing:
            with trio.move_on_after(CHANGE_S, shield=True):
                changed = await trio.to_thread.run_sync(job, abandon_on_cancel=True, limiter=self._changes)
                for folder in changed.folders:
                    self._listings.drop(folder)
                await self._ledger.commit(changed.rows)
                return changed
        raise ProviderUnreachable(f"the disk of {self._disk.root} did not answer for {CHANGE_S:g} s")


def _legal(name: str) -> bytes:
    """A name for a new file or folder. Errors: Rejected."""
    raw = os.fsencode(name)
    if not raw or raw in (b".", b"..") or b"/" in raw or b"\0" in raw:
        raise Rejected(f"{name!a} is no name for a file")
    if len(raw) > NAME_BYTES_MAX:
        raise Rejected(f"{name!a} is longer than {NAME_BYTES_MAX} bytes: give it a shorter name")
    if is_junk(name):
        raise Rejected(f"{name!a} is a name that desktops leave behind, and would not be shown: give it another")
    return raw


def _album_of(row: Row) -> Album:
    return Album(AlbumId(row.id), os.fsdecode(row.name), AlbumId(row.folder), row.mtime_ns)


def _key(entry: Observed) -> tuple[int, int]:
    return entry.device, entry.inode


def _shown(path: bytes, name: bytes = b"") -> str:
    return ascii(os.fsdecode(b"/".join(part for part in (path, name) if part)))
