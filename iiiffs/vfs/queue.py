"""All that waits to be sent: in memory for whoever asks, and in the journal before anybody is told that it is safe.

Synchronous but for what waits for the disk, so that the table is whole between any two awaits. What is noted is seen at
once; what is committed is on disk, with everything that was noted before it. An item's payload is removed after its row
is, never before: what a crash leaves between the two is an orphan, which the next start reports.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter

import trio

from iiiffs.errors import StoreFull
from iiiffs.model.gallery import LOCAL, AccountName, AlbumId, AssetId
from iiiffs.state.journal import Journal
from iiiffs.state.notes import Notes
from iiiffs.state.spool import Spool
from iiiffs.state.successors import Successors
from iiiffs.sync.items import Conflict, Item, Verb, is_local_id

ID_BYTES = 10

Listener = Callable[[Item | None, Item | None], None]
"""(before, after): called at each change of an item, in memory, without waiting. None: there was or is none."""

Completion = Callable[[Item | None, Item], Item]
"""(before, after) -> after, with what else is known of it at that moment."""


class Queue:
    """The items and conflicts of one mount."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        successors: Successors,
        notes: Notes,
        items: Iterable[Item] = (),
        conflicts: Iterable[Conflict] = (),
    ) -> None:
        """`items`, `conflicts`: as they are in the journal."""
        self.spool = spool
        self.successors = successors
        self.notes = notes
        self._journal = journal
        self._items = {item.id: item for item in sorted(items, key=attrgetter("order"))}
        self._conflicts = {conflict.id: conflict for conflict in conflicts}
        self._order = max((item.order for item in self._items.values()), default=0)
        self._by_album: defaultdict[tuple[AccountName, AlbumId], dict[str, None]] = defaultdict(dict)
        self._by_asset: defaultdict[AssetId, dict[str, None]] = defaultdict(dict)
        self._revisions: dict[tuple[AccountName, AlbumId], int] = {}
        self._serial = 0
        self._listeners: list[Listener] = []
        self._completions: list[Completion] = []
        self._begun: set[str] = set()
        """Of what is in memory alone, whatever is done with it."""
        self._changed = trio.Event()
        for item in self._items.values():
            self._list(item)
        self._serial += 1
        self._revisions.update(dict.fromkeys(self._by_album, self._serial))

    def __len__(self) -> int:
        return len(self._items)

    def items(self, account: AccountName | None = None) -> list[Item]:
        """Of that account, or all; in the order in which they were made."""
        return [item for item in self._items.values() if account is None or item.account == account]

    def in_album(self, account: AccountName, album: AlbumId) -> list[Item]:
        """Those that say something of that album, in the order in which they were made."""
        return [self._items[id] for id in self._by_album.get((account, album), ())]

    def has_any(self, account: AccountName, album: AlbumId) -> bool:
        """True if any item says something of that album."""
        return (account, album) in self._by_album

    def about(self, asset: AssetId) -> list[Item]:
        """Those whose `assets` name it, in the order in which they came to do so."""
        return [self._items[id] for id in self._by_asset.get(asset, ())]

    def revision(self, account: AccountName, album: AlbumId) -> int:
        """Another number whenever anything of that album's items is another; 0 if there are none."""
        return self._revisions.get((account, album), 0)

    def get(self, id: str) -> Item | None:
        """The item of that id; None if there is none (any more)."""
        return self._items.get(id)

    def conflicts(self) -> list[Conflict]:
        """Those that nobody has decided yet."""
        return list(self._conflicts.values())

    def new_id(self) -> str:
        """An id that no item has or had."""
        return f"{LOCAL}{secrets.token_hex(ID_BYTES)}"

    def next_order(self) -> int:
        """Greater than that of all items."""
        self._order += 1
        return self._order

    def watch(self, listener: Listener) -> None:
        """`listener` is told of every change from now on."""
        self._listeners.append(listener)

    def complete(self, completion: Completion) -> None:
        """Every item is completed so from now on before anybody is told of it, and before it goes to the disk."""
        self._completions.append(completion)

    async def wait_changed(self) -> None:
        """Something has changed since this was called."""
        await self._changed.wait()

    # ---- changing ---------------------------------------------------------------------------------------------

    def begin(self, item: Item) -> None:
        """`item` is new, and in memory alone until `keep`: nothing of it is worth keeping yet, though it be renamed."""
        self._begun.add(item.id)
        self._put(item)

    def keep(self, id: str) -> None:
        """What was begun is noted, and from now on goes to the disk like all others; nothing if it is gone."""
        self._begun.discard(id)
        item = self._items.get(id)
        if item is not None:
            self.note(item)

    def hold(self, item: Item) -> None:
        """`item` is in memory alone as it is now. A note or commit of it ends that."""
        self._put(item)

    def note(self, item: Item) -> None:
        """`item` is as it is now; on disk soon, and before anything that is noted or committed later."""
        self._journal.note(self._put_all([item]))

    async def commit(self, *items: Item) -> None:
        """The items are as they are now, all of them or none on disk when this returns, with all that was noted before.

        Errors: StoreFull, StoreError: then nobody was promised anything; the items stay in memory, and go to the disk
        with the next change that does.
        """
        await self._journal.commit(self._put_all(items))

    async def exchange(self, item: Item, dropped: Iterable[str], *beside: Item) -> None:
        """`item` is as it is now, and has taken the place of those, which are no more: all at once, also on disk, and
        with what is noted `beside` it, before they go."""
        put = self._put_all([item, *beside])
        gone = [other for id in dropped if (other := self._items.get(id)) is not None and id != item.id]
        for other in gone:
            self._take(other)
        await self._journal.commit(put, [other.id for other in gone])
        await self._remove_payloads(gone)

    async def drop(self, id: str) -> None:
        """The item is no more: its row first, then its payload."""
        await self.drop_all([id])

    async def drop_all(self, ids: Iterable[str]) -> None:
        """As `drop`, in one commit. The ids of what was sent go on answering."""
        dropped = [item for id in dict.fromkeys(ids) if (item := self._items.get(id)) is not None]
        for item in dropped:
            await self._record_successors(item)
        dropped = [item for item in dropped if self._items.get(item.id) is not None]
        if not dropped:
            return
        for item in dropped:
            self._take(item)
        try:
            await self._journal.commit([], [item.id for item in dropped])
        except StoreFull:  # what is dropped may be what fills the disk; a crash now leaves a row that says so
            await self._remove_payloads(dropped)
            await self._journal.commit()
        await self._remove_payloads(dropped)

    async def _record_successors(self, item: Item) -> None:
        """What waits for a file that was sent finds what it has become, also when its row goes before the sender is
        through with it."""
        if item.sent is None or item.verb is not Verb.UPLOAD:
            return
        now = self.successors.successor(item.account, item.sent.id) or item.sent.id
        for old in (item.id, *([] if item.ends is None else [item.ends])):
            if old != now and self.successors.successor(item.account, old) is None:
                await self.successors.record(item.account, old, now)

    async def _remove_payloads(self, dropped: Iterable[Item]) -> None:
        ids = [item.id for item in dropped if item.verb is Verb.UPLOAD]
        if ids:
            await trio.to_thread.run_sync(self.spool.remove_all, ids)

    async def record_conflict(self, conflict: Conflict) -> None:
        """It is kept until somebody decides."""
        self._conflicts[conflict.id] = conflict
        self._wake()
        await self._journal.put_conflict(conflict)

    async def resolve_conflict(self, id: str) -> None:
        """Somebody has decided; that it was not there is no error."""
        if self._conflicts.pop(id, None) is not None:
            self._wake()
            await self._journal.delete_conflict(id)

    def _put_all(self, items: Iterable[Item]) -> list[Item]:
        """They are as they are now; those of them that go to the disk."""
        return [item for item in map(self._put, items) if item.id not in self._begun]

    def _put(self, item: Item) -> Item:
        """The item as it is kept: an album that was only here when it was made may have become its provider's since."""
        item = self._housed(item)
        before = self._items.get(item.id)
        for completion in self._completions:
            item = completion(before, item)
        self._items[item.id] = item
        if before is None or (before.album, before.assets) != (item.album, item.assets):
            if before is not None:
                self._unlist(before)
            self._list(item)
        self._tell(before, item)
        return item

    def _housed(self, item: Item) -> Item:
        if not is_local_id(item.album):
            return item
        album = self.successors.successor(item.account, item.album)
        return item if album is None else replace(item, album=AlbumId(album))

    def _take(self, item: Item) -> None:
        del self._items[item.id]
        self._begun.discard(item.id)
        self._unlist(item)
        self._tell(item, None)

    def _list(self, item: Item) -> None:
        self._by_album[item.account, item.album][item.id] = None
        for asset in item.assets:
            self._by_asset[asset][item.id] = None

    def _unlist(self, item: Item) -> None:
        key = (item.account, item.album)
        self._by_album[key].pop(item.id, None)
        if not self._by_album[key]:
            del self._by_album[key]
        for asset in item.assets:
            self._by_asset[asset].pop(item.id, None)
            if not self._by_asset[asset]:
                del self._by_asset[asset]

    def _tell(self, before: Item | None, after: Item | None) -> None:
        self._serial += 1
        for place in {(item.account, item.album) for item in (before, after) if item is not None}:
            if place in self._by_album:
                self._revisions[place] = self._serial
            else:
                self._revisions.pop(place, None)
        for listener in self._listeners:
            listener(before, after)
        self._wake()

    def _wake(self) -> None:
        event, self._changed = self._changed, trio.Event()
        event.set()
