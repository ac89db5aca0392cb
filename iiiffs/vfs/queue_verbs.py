"""The verbs by which a person looks at the queue and decides what it cannot decide by itself.

Control verb -> result, all of what JSON can hold:

    queue.list      account?             items, as QueueReport.item tells them
    queue.retry     ids?                 those, or all that failed, are sent again
    queue.discard   ids, confirmed       those are gone, payload and all
    queue.export    ids?                 which files of the spool hold those (or all failed) payloads; nothing changes
    flush                                all is sent now; how far it is
    queue.progress                       how far it is
    why             path                 what the queue knows of that file, directory or account
    conflicts.list                       conflicts, as QueueReport.conflict tells them
    conflicts.mine | theirs | both       id, confirmed?: iiiffs.vfs.conflict_verbs

`queue.discard`, and `conflicts.theirs` of what was never sent, are the only ones that delete an unsent payload: of
explicit ids, and with `confirmed`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace

from iiiffs.errors import BadSyntax, Forbidden, NoSuchName
from iiiffs.model.gallery import LOCAL, AccountName, AlbumId
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.sync.stages import TRANSITIONS, Event
from iiiffs.vfs.deserted import is_deserted
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.queue_report import QueuedAccount, QueueReport

Handlers = dict[str, Callable[[Mapping[str, object]], Awaitable[object]]]

BUSY: Mapping[Stage, str] = {
    Stage.OPEN: "is open in a program: close it first",
    Stage.SENDING: "is being sent: try again in a moment",
    Stage.SENT: "is sent already: the provider has it",
}
"""Why an item in that stage may not be taken away."""


class QueueVerbs:
    """Looking at the queue, trying again, giving up, taking out; and sending now."""

    def __init__(self, queue: Queue, accounts: Mapping[AccountName, QueuedAccount], report: QueueReport) -> None:
        """`accounts`: by name, those that can be written to."""
        self._queue = queue
        self._accounts = accounts
        self._report = report

    @property
    def handlers(self) -> Handlers:
        """For the control socket."""
        return {
            "queue.list": self.listed,
            "queue.retry": self.retry,
            "queue.discard": self.discard,
            "queue.export": self.export,
            "queue.progress": self.progress,
            "flush": self.flush,
            "why": self.why,
        }

    async def listed(self, args: Mapping[str, object]) -> object:
        """All that is not at the provider yet, in the order in which it was made; with `kept` also what stays here."""
        wanted = args.get("account")
        over = {Stage.SENT} if args.get("kept") else {Stage.SENT, Stage.KEPT}
        items = [item for item in self._queue.items() if wanted in (None, item.account)]
        items = [item for item in items if item.stage not in over]
        await self._report.learn(items)
        return [self._report.item(item) for item in items]

    async def retry(self, args: Mapping[str, object]) -> object:
        """Those items, or all that failed and can be sent, are tried again now.

        Errors: Forbidden for one that waits for no try, or whose account is not mounted; then nothing has changed.
        """
        if args.get("ids"):
            items = self.named(args)
        else:
            failed = [item for item in self._queue.items() if item.stage is Stage.FAILED]
            items = [item for item in failed if item.account in self._accounts]
        items += self._makers(items)
        for item in items:
            if Event.RETRIED not in TRANSITIONS[item.stage]:
                raise Forbidden(f"{item.id} ({item.name}) is {item.stage.value}: only what failed or waits is retried")
            if item.account not in self._accounts:
                raise Forbidden(f"{item.id}: no account is mounted that it could be sent to: export it and discard it")
        failed = [item for item in items if item.stage is Stage.FAILED]
        await self._queue.commit(
            *(replace(item, stage=Stage.READY, tries=0, reason=None, missing=None) for item in failed)
        )
        for name, account in self._accounts.items():
            account.sender.send_now([item.id for item in items if item.account == name])
        return {"ids": [item.id for item in items]}

    async def discard(self, args: Mapping[str, object]) -> object:
        """Those items are gone, and so are their payloads. Errors: Forbidden, and then all are still there."""
        items = self.named(args)
        if args.get("confirmed") is not True:
            raise Forbidden(
                "what is discarded is gone for good; confirm that (`--yes`), or `iiiffs queue export` first"
            )
        await self.drop(items)
        return {"ids": [item.id for item in items]}

    async def drop(self, items: Collection[Item]) -> None:
        """Those are gone, with what only makes sense with them. Errors: Forbidden if one may not go: then none goes."""
        ids = {item.id for item in items}
        for item in items:
            if item.account in self._accounts and item.stage is not Stage.OPEN:
                await self._accounts[item.account].sender.interrupt(item.id)
        for item in filter(None, map(self._queue.get, ids)):
            if reason := BUSY.get(item.stage):
                raise Forbidden(f"{item.id} ({item.name}) {reason}")
        changed: dict[str, Item] = {}
        for item in self._queue.items():
            if item.id in ids:
                continue
            if item.album in ids and item.verb in (Verb.UPLOAD, Verb.MAKE_ALBUM):
                raise Forbidden(f"{item.id} ({item.name}) waits for {item.album} to be made: discard it too, or first")
            if item.album in ids or ids.intersection(item.assets):
                left = () if item.album in ids else tuple(asset for asset in item.assets if asset not in ids)
                changed[item.id] = replace(item, assets=left)
        for item in filter(None, map(self._queue.get, ids)):
            for other in self._kept_back(item) if item.verb is Verb.ADD else ():
                left = tuple(asset for asset in other.assets if asset not in item.assets)
                changed[other.id] = replace(other, assets=left)
        ids |= self._left_empty(ids)
        emptied = [id for id, item in changed.items() if not item.assets]
        kept = [item for item in changed.values() if item.assets]
        await self._queue.drop_all([*ids, *emptied])  # at once: no await since their stages were looked at
        if kept:
            await self._queue.commit(*kept)
        for id in ids:
            await self._queue.resolve_conflict(id)

    def _makers(self, items: Collection[Item]) -> list[Item]:
        """What makes the albums that are gone anew into which those are sent."""
        found: dict[str, Item] = {}
        for item in items:
            maker = self._queue.get(item.album)
            while maker is not None and is_deserted(maker):
                found[maker.id] = maker
                maker = self._queue.get(maker.album)
        return [maker for id, maker in found.items() if id not in {item.id for item in items}]

    def _left_empty(self, ids: Collection[str]) -> set[str]:
        """The albums that are gone and are only there for what is dropped."""
        found: set[str] = set()
        for item in filter(None, map(self._queue.get, ids)):
            maker = self._queue.get(item.album)
            while maker is not None and is_deserted(maker):
                inside = {other.id for other in self._queue.in_album(item.account, AlbumId(maker.id))}
                if not inside <= {*ids, *found}:
                    break
                found.add(maker.id)
                maker = self._queue.get(maker.album)
        return found

    def _kept_back(self, adding: Item) -> list[Item]:
        """What was to take the same photos out of another album once they were in this: a move that is given up leaves
        them where they were."""
        others = [other for asset in adding.assets for other in self._queue.about(asset)]
        return [
            other
            for other in others
            if other.verb is Verb.TAKE_OUT and other.order > adding.order and other.album != adding.album
        ]

    async def export(self, args: Mapping[str, object]) -> object:
        """Where the payloads of those items, or of all that failed, are in the spool: the asker copies them."""
        if args.get("ids"):
            items = self.named(args)
            for item in items:
                if not item.has_payload:
                    raise Forbidden(f"{item.id} ({item.name}): {item.verb.value} has no bytes of its own to export")
        else:
            items = [item for item in self._queue.items() if item.stage is Stage.FAILED and item.has_payload]
        await self._report.learn(items)
        return [
            {
                "id": item.id,
                "path": self._report.place(item),
                "name": item.name,
                "payload": self._queue.spool.path(item.id).name,
                "size_bytes": item.size_bytes,
                "mtime_ns": item.mtime_ns,
                "sha1": None if item.sha1 is None else item.sha1.hex(),
                "reason": item.reason,
            }
            for item in items
        ]

    async def flush(self, args: Mapping[str, object]) -> object:
        """What settles or waits for its next try is sent now; how far everything is."""
        self.send_now(self._accounts)
        return await self.progress(args)

    async def progress(self, args: Mapping[str, object]) -> object:
        """How far everything is, and what holds it up."""
        failed = [item for item in self._queue.items() if item.stage in (Stage.FAILED, Stage.OPEN)]
        await self._report.learn(failed)
        return self._report.progress()

    async def why(self, args: Mapping[str, object]) -> object:
        """What of the queue is at `path` (relative to the mount) or in it, and whether its account can be asked."""
        path = args.get("path")
        if not isinstance(path, str):
            raise BadSyntax('"path" is no text')
        path = path.strip("/")
        await self._report.learn([*self._queue.items(), *self._queue.conflicts()])
        items = [item for item in self._queue.items() if item.stage is not Stage.SENT]
        told = [self._report.item(item) for item in items]
        conflicts = [self._report.conflict(conflict) for conflict in self._queue.conflicts()]
        top = path.partition("/")[0]
        return {
            "items": [item for item in told if is_at(path, str(item["path"]))],
            "conflicts": [
                conflict
                for conflict in conflicts
                if is_at(path, str(conflict["mine"])) or is_at(path, str(conflict["theirs"]))
            ],
            "offline": next(
                (
                    account.offline()
                    for account in self._accounts.values()
                    if top in (account.gallery.account, *account.gallery.aliases)
                ),
                None,
            ),
        }

    def send_now(self, accounts: Collection[AccountName]) -> None:
        """Nothing of those accounts waits for a clock any more."""
        for name in accounts:
            if name in self._accounts:
                self._accounts[name].sender.send_now()

    def named(self, args: Mapping[str, object]) -> list[Item]:
        """The items that `ids` names, each by its id or the beginning of it. Errors: BadSyntax, NoSuchName."""
        ids = args.get("ids")
        if not isinstance(ids, list) or not ids or not all(isinstance(id, str) and id for id in ids):
            raise BadSyntax('"ids" is no list of ids; `iiiffs queue list` shows them')
        return list({item.id: item for item in map(self._named, ids)}.values())

    def _named(self, text: str) -> Item:
        known = {item.id: item for item in self._queue.items()}
        return known[the_one(text, known, "queue")]


def the_one(text: str, ids: Collection[str], group: str) -> str:
    """The id that `text` is, or that it begins (LOCAL may be left out). Errors: NoSuchName if that is none, or many."""
    if text in ids:
        return text
    found = [id for id in ids if id.startswith(text) or id.removeprefix(LOCAL).startswith(text)]
    if len(found) != 1:
        many = "nothing has" if not found else f"{len(found)} have"
        raise NoSuchName(f"{text}: {many} an id that begins so; see `iiiffs {group} list`")
    return found[0]


def is_at(path: str, place: str) -> bool:
    """True if `place` is `path` or below it; "" is the mount's root."""
    return not path or place == path or place.startswith(path + "/")
