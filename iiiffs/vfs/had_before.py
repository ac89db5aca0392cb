"""What an album had of a file's bytes before they were sent to it: somebody's photo, which stays when the file goes.

A library that keeps equal bytes once answers such an upload with the photo that was there. As long as it has answered
nothing, what the album is told to hold of those bytes may be either; so it is looked at before the first try, and kept
with the item (`Item.had`), for every sum by itself. Synchronous.
"""

from __future__ import annotations

from dataclasses import replace

from iiiffs.model.gallery import AccountName
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs.listings import Listings, has_told_bytes
from iiiffs.vfs.queue import Queue


class HadBefore:
    """Of one account."""

    def __init__(self, account: AccountName, queue: Queue, listings: Listings) -> None:
        self._account = account
        self._queue = queue
        self._listings = listings
        self._begun: set[str] = set()
        """Items that were begun to be sent since the start."""

    def completed(self, before: Item | None, after: Item) -> Item:
        """Rule: Queue.complete. Later its own bytes may be told of, from a try whose answer was lost. Between two tries
        they may have been taken out."""
        if before is None or not self._begins(before, after) or after.sha1 is None:
            return after
        is_known = self._listings.told_last(after.album)[0] is not None
        if after.sha1 in before.earlier and (after.sha1 not in before.had or not is_known):
            return replace(after, had=before.had)
        had = tuple(sha1 for sha1 in before.had if sha1 != after.sha1)
        return replace(after, had=(*had, after.sha1) if has_told_bytes(self._listings, after) else had)

    def changed(self, before: Item | None, after: Item | None) -> None:
        """Rule: Queue.watch. What another file of ours brings meanwhile was there before its answer, too."""
        if after is None:
            if before is not None:
                self._begun.discard(before.id)
            return
        if before is not None and self._begins(before, after):
            self._begun.add(after.id)
        if (
            after.verb is Verb.UPLOAD
            and after.stage is Stage.SENT
            and (before is None or before.stage is not Stage.SENT)
        ):
            self._brought(after)

    def unanswered(self, item: Item) -> tuple[bytes, ...]:
        """SHA-1 of what the provider may have because of it, and has not told of."""
        is_over = item.stage is Stage.SENT or (item.verb is Verb.TAKE_OUT and item.stage is Stage.FAILED)
        return () if is_over else tuple(sha1 for sha1 in item.earlier if sha1 not in item.had)

    def had(self, item: Item) -> bool | None:
        """The album had the bytes that were sent last; None if that is not known, as after a start."""
        if item.sha1 in item.had:
            return True
        return False if item.id in self._begun else None

    def _begins(self, before: Item, after: Item) -> bool:
        is_ours = after.account == self._account and after.verb is Verb.UPLOAD
        return is_ours and after.stage is Stage.SENDING and before.stage is not Stage.SENDING

    def _brought(self, sent: Item) -> None:
        for other in filter(None, map(self._queue.get, tuple(self._begun))):
            is_same = (other.album, other.sha1) == (sent.album, sent.sha1) and sent.sha1 is not None
            if is_same and other.id != sent.id and other.stage is not Stage.SENT and other.sha1 not in other.had:
                self._queue.note(replace(other, had=(*other.had, *filter(None, (other.sha1,)))))
