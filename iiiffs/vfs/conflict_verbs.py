"""What a person decides of two versions of one file: mine, theirs or both (iiiffs.sync.items.Conflict).

While our bytes are on this machine alone, `mine` makes the waiting item replace theirs, and `theirs` gives the bytes up
(after a confirmation). Once they were sent, under the name that says "conflict", the provider has both: `mine` puts the
bytes of the one into the place of the other, `theirs` puts ours into the provider's trash. Whatever fails half way
leaves the record, and can be asked again: every step that was done already is then found done.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace

import trio

from iiiffs.errors import AssetGone, BadSyntax, Forbidden, NoSuchName, ReadOnly, StoreError
from iiiffs.model.gallery import AccountName, Asset
from iiiffs.model.writing import Payload
from iiiffs.providers.base import Original
from iiiffs.providers.writing import HasWriting, writing_of
from iiiffs.sync.items import Base, Conflict, Item, Stage
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.queue_report import QueuedAccount, QueueReport
from iiiffs.vfs.queue_verbs import BUSY, Handlers, QueueVerbs, the_one

CHUNK_BYTES = 1 << 20


class ConflictVerbs:
    """conflicts.list, and the three decisions."""

    def __init__(
        self, queue: Queue, accounts: Mapping[AccountName, QueuedAccount], report: QueueReport, verbs: QueueVerbs
    ) -> None:
        self._queue = queue
        self._accounts = accounts
        self._report = report
        self._verbs = verbs

    @property
    def handlers(self) -> Handlers:
        """For the control socket."""
        return {
            "conflicts.list": self.listed,
            "conflicts.mine": self.mine,
            "conflicts.theirs": self.theirs,
            "conflicts.both": self.both,
        }

    async def listed(self, args: Mapping[str, object]) -> object:
        """Those that nobody has decided yet."""
        await self._report.learn(self._queue.conflicts())
        return [self._report.conflict(conflict) for conflict in self._queue.conflicts()]

    async def mine(self, args: Mapping[str, object]) -> object:
        """Our bytes have the name alone; theirs lie in the provider's trash, now or as soon as ours are sent.

        Errors: Forbidden, ReadOnly, VersionChanged, ProviderError; then the conflict is still there.
        """
        conflict, account = self._conflict(args)
        _check_edits(conflict, account)
        item = self._queue.get(conflict.id)
        if item is not None and item.stage is not Stage.SENT:
            await self._replace_with_unsent(conflict, account)
        else:
            await self._replace_with_sent(conflict, account, item)
        return await self._decided(conflict)

    async def theirs(self, args: Mapping[str, object]) -> object:
        """Their version has the name alone; ours is in the provider's trash, or gone if it never was sent.

        Errors: Forbidden without `confirmed` where it never was sent; ReadOnly, VersionChanged, ProviderError.
        """
        conflict, account = self._conflict(args)
        item = self._queue.get(conflict.id)
        if item is not None and item.stage is not Stage.SENT:
            if args.get("confirmed") is not True:
                raise Forbidden(
                    f"{conflict.ours} was never sent, and would be gone for good; confirm that (`--yes`), "
                    f"or `iiiffs queue export` it first"
                )
            await self._verbs.drop([item])
            return await self._decided(conflict)
        _check_edits(conflict, account)
        copy = await self._copy(conflict, account, item)
        if copy is not None:
            await _writing(conflict, account).remove(copy)
        await self._forget(conflict, account, item)
        return await self._decided(conflict)

    async def both(self, args: Mapping[str, object]) -> object:
        """Both files stay as they are, and nobody is asked about them any more."""
        return await self._decided(self._conflict(args)[0])

    # ---- ours is still here -----------------------------------------------------------------------------------

    async def _replace_with_unsent(self, conflict: Conflict, account: QueuedAccount) -> None:
        """The waiting item replaces what theirs is now."""
        base = await self._theirs(conflict, account)
        await account.sender.interrupt(conflict.id)
        item = self._queue.get(conflict.id)
        if item is None or item.stage in BUSY or item.earlier:
            why = "is gone" if item is None else BUSY.get(item.stage, "may have been sent: try again once it is")
            raise Forbidden(f"{conflict.ours} {why}")
        decided = replace(
            item,
            name=conflict.name,
            conflict_with=None,
            base=None if base is None else _base_of(base),
            stage=Stage.READY,
            tries=0,
            reason=None,
        )
        await self._queue.commit(decided)
        self._verbs.send_now([conflict.account])

    async def _theirs(self, conflict: Conflict, account: QueuedAccount) -> Asset | None:
        """Their asset as it is now; None if it is gone, which is asked, never guessed."""
        gallery = account.gallery
        if conflict.theirs is not None:
            try:
                return _at_rest(await gallery.asset(conflict.theirs))
            except AssetGone:
                pass  # another one may have its name by now
        gallery.expire(conflict.album)
        found = await gallery.find(conflict.album, conflict.name)
        return _at_rest(found) if isinstance(found, Asset) else None

    # ---- ours is at the provider ------------------------------------------------------------------------------

    async def _replace_with_sent(self, conflict: Conflict, account: QueuedAccount, item: Item | None) -> None:
        """The bytes of our copy are put into the place of theirs; the copy is in the trash, if it is another asset."""
        writing, theirs = _writing(conflict, account), await self._theirs(conflict, account)
        copy = await self._copy(conflict, account, item)
        if copy is None:
            raise NoSuchName(f"{conflict.ours} is not there any more; `iiiffs conflicts both` closes the conflict")
        if theirs is not None and theirs.id != copy.id:
            put = await self._put(writing, account, copy, theirs)
            if put.id != theirs.id:
                await self._queue.successors.record(conflict.account, theirs.id, put.id)
            if put.id != copy.id:
                await writing.remove(copy)
                await self._queue.successors.record(conflict.account, copy.id, put.id)
        elif theirs is None and not _names_are_fixed(account):
            await writing.move(copy, conflict.album, conflict.name)
        await self._forget(conflict, account, item)

    async def _put(self, writing: HasWriting, account: QueuedAccount, copy: Asset, theirs: Asset) -> Asset:
        """The asset that `theirs` is once it has the bytes of `copy`. They are in the spool meanwhile."""
        id, spool = self._queue.new_id(), self._queue.spool
        await trio.to_thread.run_sync(spool.room, copy.size_bytes or 0)
        descriptor = await trio.to_thread.run_sync(spool.create, id)
        try:
            try:
                original = await account.gallery.open(copy)
                try:
                    sha1 = await _copy_bytes(original, descriptor)
                finally:
                    with trio.CancelScope(shield=True):
                        await original.aclose()
            finally:
                os.close(descriptor)
            payload = Payload(id, spool.path(id), original.size_bytes, sha1, copy.mtime_ns)
            return (await writing.replace(theirs, payload)).asset
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(spool.remove, id)

    async def _copy(self, conflict: Conflict, account: QueuedAccount, item: Item | None) -> Asset | None:
        """Our version at the provider, as it is now; None if somebody took it away."""
        gallery = account.gallery
        if item is not None and item.sent is not None:
            try:
                return await gallery.asset(item.sent.id)
            except AssetGone:
                return None
        gallery.expire(conflict.album)
        found = await gallery.find(conflict.album, conflict.ours)
        return found if isinstance(found, Asset) else None

    async def _forget(self, conflict: Conflict, account: QueuedAccount, item: Item | None) -> None:
        """What is known of the album is asked again; no item shows our copy any more."""
        account.gallery.expire(conflict.album)
        if item is not None:
            await self._queue.drop(item.id)

    # ---- asking -----------------------------------------------------------------------------------------------

    def _conflict(self, args: Mapping[str, object]) -> tuple[Conflict, QueuedAccount]:
        """The one that `id` names, and its account. Errors: BadSyntax, NoSuchName."""
        if not isinstance(text := args.get("id"), str) or not text:
            raise BadSyntax('"id" is no id; `iiiffs conflicts list` shows them')
        known = {conflict.id: conflict for conflict in self._queue.conflicts()}
        conflict = known[the_one(text, known, "conflicts")]
        if (account := self._accounts.get(conflict.account)) is None:
            raise NoSuchName(f"account {conflict.account} is not mounted, or cannot be written to")
        return conflict, account

    async def _decided(self, conflict: Conflict) -> object:
        await self._queue.resolve_conflict(conflict.id)
        return {"id": conflict.id}


def _check_edits(conflict: Conflict, account: QueuedAccount) -> None:
    if not account.gallery.access.edits:
        raise ReadOnly(
            f'account.{conflict.account}.access is "{account.gallery.access}": replacing and removing needs "edit" '
            f"(or decide `both`)"
        )


def _writing(conflict: Conflict, account: QueuedAccount) -> HasWriting:
    writing = writing_of(account.gallery.provider)
    if writing is None:
        raise ReadOnly(f"{conflict.account}: this provider cannot be written to")
    return writing


def _names_are_fixed(account: QueuedAccount) -> bool:
    writing = account.gallery.capabilities.writing
    return writing is None or writing.membership or writing.fixed_names


def _at_rest(asset: Asset) -> Asset:
    """`asset`, which the provider has in this version. Errors: Forbidden while newer bytes wait for it."""
    if asset.is_local:
        raise Forbidden(f"{asset.name} is being written or sent itself: try again once it is")
    return asset


def _base_of(asset: Asset) -> Base:
    return Base(
        asset.id, asset.version, asset.album, asset.name, asset.size_bytes or 0, asset.mtime_ns, asset.changed_ns
    )


async def _copy_bytes(original: Original, descriptor: int) -> bytes:
    """All bytes are in the open file; their SHA-1. Errors: as Original.read; StoreError."""
    digest = hashlib.sha1(usedforsecurity=False)
    for offset in range(0, original.size_bytes, CHUNK_BYTES):
        chunk = await original.read(offset, CHUNK_BYTES)
        digest.update(chunk)
        await trio.to_thread.run_sync(_write, descriptor, chunk, offset)
    return digest.digest()


def _write(descriptor: int, chunk: bytes, offset: int) -> None:
    try:
        while chunk:
            written = os.pwrite(descriptor, chunk, offset)
            chunk, offset = chunk[written:], offset + written
    except OSError as error:
        raise StoreError(f"the spool: {error.strerror}") from error
