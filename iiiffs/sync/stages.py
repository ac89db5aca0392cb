"""What becomes of an item: one table of events and stages, and what a start makes of what it finds. Pure.

        opened   flushed  closed    renamed   settled  sending   sent   unreachable  refused  listed  told
OPEN    OPEN     OPEN     SETTLING* OPEN
SCRATCH OPEN              SCRATCH   SETTLING*
SETTLING OPEN                       SETTLING* READY                                                   KEPT
READY   OPEN                        READY*             SENDING          READY        FAILED           KEPT
SENDING OPEN                        READY*                       SENT   READY        FAILED
SENT                                SENT                                                      gone
KEPT    OPEN                        SETTLING*                                                         KEPT
FAILED  OPEN                        SETTLING*                                                         KEPT

* SCRATCH under a name of `iiiffs.tree.scratch`, or as long as the file is empty: CLOSED_SCRATCH, RENAMED_SCRATCH.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.tree.scratch import is_scratch

INTERRUPTED = "was being written when iiiffs ended; nothing of it had been flushed"
WITHOUT_PAYLOAD = "its bytes are missing in the spool"
WITHOUT_ROW = "found in the spool without its row: nobody knows its name and album; export it, then discard it"
EMPTIED = "its bytes are gone: a program had emptied the file when iiiffs ended, and wrote no others"
EMPTIED_UNANSWERED = f"{EMPTIED}; an upload of what it was had begun: look in the library whether it has arrived"
CHANGED_SINCE = "its length is not what it was when it was flushed last: a program wrote on until iiiffs ended"
NOT_KEPT = "a program could not write all of it here, and was told so: the disk or the account was full, or broken"
NOBODY = AccountName("")
"""The account of what only its payload is known of."""


class Event(StrEnum):
    """What happens to an item.

    OPENED: for writing. FLUSHED: its bytes are on disk, and its row is to say so. CLOSED_MEDIA, CLOSED_SCRATCH: by the
    last writer. RENAMED_…: to such a name. SETTLED: nobody touched it for the settle time. SENDING: it is begun. SENT:
    the provider answered. ARRIVED: so it did, of bytes whose sending had been given up. TOLD: all that a sidecar
    is for has what it says. REFUSED, UNREACHABLE: it did
    not take it; could not be asked. CONFLICT: it has another name now, and replaces nothing. LISTED: the provider's
    listing has it. RETRIED, DISCARDED: somebody asked for that. RESTARTED: iiiffs starts.
    """

    OPENED = "opened for writing"
    FLUSHED = "flushed"
    CLOSED_MEDIA = "closed"
    CLOSED_SCRATCH = "closed, empty or under a temporary name"
    RENAMED_MEDIA = "renamed"
    RENAMED_SCRATCH = "renamed to a temporary name"
    SETTLED = "settled"
    SENDING = "sending"
    SENT = "sent"
    ARRIVED = "arrived late"
    TOLD = "told"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CONFLICT = "conflict"
    LISTED = "listed"
    RETRIED = "retried"
    DISCARDED = "discarded"
    RESTARTED = "restarted"


TRANSITIONS: Mapping[Stage, Mapping[Event, Stage | None]] = {
    Stage.OPEN: {
        Event.OPENED: Stage.OPEN,
        Event.FLUSHED: Stage.OPEN,
        Event.CLOSED_MEDIA: Stage.SETTLING,
        Event.CLOSED_SCRATCH: Stage.SCRATCH,
        Event.RENAMED_MEDIA: Stage.OPEN,
        Event.RENAMED_SCRATCH: Stage.OPEN,
        Event.ARRIVED: Stage.OPEN,
        Event.DISCARDED: None,
        Event.RESTARTED: Stage.SETTLING,
    },
    Stage.SCRATCH: {
        Event.OPENED: Stage.OPEN,
        Event.CLOSED_SCRATCH: Stage.SCRATCH,
        Event.RENAMED_MEDIA: Stage.SETTLING,
        Event.RENAMED_SCRATCH: Stage.SCRATCH,
        Event.ARRIVED: Stage.SCRATCH,
        Event.DISCARDED: None,
        Event.RESTARTED: Stage.SCRATCH,
    },
    Stage.SETTLING: {
        Event.OPENED: Stage.OPEN,
        Event.RENAMED_MEDIA: Stage.SETTLING,
        Event.RENAMED_SCRATCH: Stage.SCRATCH,
        Event.SETTLED: Stage.READY,
        Event.ARRIVED: Stage.SETTLING,
        Event.TOLD: Stage.KEPT,
        Event.DISCARDED: None,
        Event.RESTARTED: Stage.SETTLING,
    },
    Stage.READY: {
        Event.OPENED: Stage.OPEN,
        Event.RENAMED_MEDIA: Stage.READY,
        Event.RENAMED_SCRATCH: Stage.SCRATCH,
        Event.SENDING: Stage.SENDING,
        Event.ARRIVED: Stage.READY,
        Event.TOLD: Stage.KEPT,
        Event.REFUSED: Stage.FAILED,
        Event.UNREACHABLE: Stage.READY,
        Event.CONFLICT: Stage.READY,
        Event.RETRIED: Stage.READY,
        Event.DISCARDED: None,
        Event.RESTARTED: Stage.READY,
    },
    Stage.SENDING: {
        Event.OPENED: Stage.OPEN,
        Event.RENAMED_MEDIA: Stage.READY,
        Event.RENAMED_SCRATCH: Stage.SCRATCH,
        Event.SENT: Stage.SENT,
        Event.REFUSED: Stage.FAILED,
        Event.UNREACHABLE: Stage.READY,
        Event.CONFLICT: Stage.READY,
        Event.RETRIED: Stage.SENDING,
        Event.DISCARDED: None,
        Event.RESTARTED: Stage.READY,
    },
    Stage.SENT: {
        Event.RENAMED_MEDIA: Stage.SENT,
        Event.LISTED: None,
        Event.DISCARDED: None,
        Event.RESTARTED: Stage.SENT,
    },
    Stage.KEPT: {
        Event.OPENED: Stage.OPEN,
        Event.RENAMED_MEDIA: Stage.SETTLING,
        Event.RENAMED_SCRATCH: Stage.SCRATCH,
        Event.TOLD: Stage.KEPT,
        Event.DISCARDED: None,
        Event.RESTARTED: Stage.KEPT,
    },
    Stage.FAILED: {
        Event.OPENED: Stage.OPEN,
        Event.RENAMED_MEDIA: Stage.SETTLING,
        Event.RENAMED_SCRATCH: Stage.SCRATCH,
        Event.ARRIVED: Stage.FAILED,
        Event.TOLD: Stage.KEPT,
        Event.RETRIED: Stage.READY,
        Event.DISCARDED: None,
        Event.RESTARTED: Stage.FAILED,
    },
}
"""None: the item is no more. What is not here cannot happen."""


def advance(stage: Stage, event: Event) -> Stage | None:
    """The stage after `event`; None if the item is no more. Errors: ValueError if that cannot happen in `stage`."""
    try:
        return TRANSITIONS[stage][event]
    except KeyError:
        raise ValueError(f"an item that is {stage} cannot be {event}") from None


def stays_here(name: str, size_bytes: int) -> bool:
    """True if a file is kept and not sent: a temporary name, or nothing in it."""
    return size_bytes == 0 or is_scratch(name)


def closed(item: Item) -> Event:
    """What its last writer's end means for a file."""
    return Event.CLOSED_SCRATCH if item.stays or stays_here(item.name, item.size_bytes) else Event.CLOSED_MEDIA


def renamed(name: str, size_bytes: int) -> Event:
    """What a new name means for a file of that length."""
    return Event.RENAMED_SCRATCH if stays_here(name, size_bytes) else Event.RENAMED_MEDIA


def resting(item: Item, *, is_open: bool) -> Item:
    """The file in the stage that its name and length ask for, once nobody writes it; what is not whole is not sent."""
    if is_open:
        return item
    if item.missing is not None:
        return replace(item, stage=Stage.FAILED, reason=NOT_KEPT, tries=0)
    stage = Stage.SCRATCH if item.stays or stays_here(item.name, item.size_bytes) else Stage.SETTLING
    return replace(item, stage=stage, reason=None, tries=0)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start makes of rows and payloads. `items`: all of them, in order. `changed`: those to be put into the
    journal. `unsure`: ids of what is to settle as long as a picture without its end, for it may be one. `spent`: ids
    of payloads that were sent, and are only there because iiiffs ended then: they may be removed, and nothing else."""

    items: tuple[Item, ...]
    changed: tuple[Item, ...]
    unsure: frozenset[str]
    spent: tuple[str, ...]


def recovered(items: Iterable[Item], sizes: Mapping[str, int], now_ns: int) -> Recovery:
    """What is to be of the rows of the journal, given the length in bytes of every payload in the spool.

    No item is left out, and every payload belongs to one: of what has no row a failed item is made, of no account.
    """
    before = {item.id: item for item in items}
    after = {id: _restarted(item, sizes.get(id)) for id, item in before.items()}
    order = max((item.order for item in before.values()), default=0)
    for id in sorted(sizes.keys() - before.keys()):
        order += 1
        after[id] = _found(id, order, sizes[id], now_ns)
    return Recovery(
        items=tuple(sorted(after.values(), key=lambda item: item.order)),
        changed=tuple(item for id, item in after.items() if item != before.get(id)),
        unsure=frozenset(
            id for id, item in after.items() if item.reason == CHANGED_SINCE and item.stage is Stage.SETTLING
        ),
        spent=tuple(id for id in sorted(sizes) if after[id].verb is Verb.UPLOAD and after[id].stage is Stage.SENT),
    )


def _restarted(item: Item, size_bytes: int | None) -> Item:
    """The item at the start. `size_bytes`: of its payload, None if there is none."""
    stage = advance(item.stage, Event.RESTARTED)
    assert stage is not None, "a start ends no item"
    if item.verb is not Verb.UPLOAD or stage is Stage.SENT:
        return replace(item, stage=stage)
    if size_bytes is None:
        return _failed(item if item.base is None else replace(item, missing=(0, item.size_bytes)), WITHOUT_PAYLOAD)
    if item.generation == 0:
        found = replace(item, size_bytes=size_bytes)
        return _failed(found, INTERRUPTED)
    if item.missing is not None:
        return _failed(item, NOT_KEPT)
    if size_bytes != item.size_bytes:
        item = replace(item, size_bytes=size_bytes, generation=item.generation + 1, sha1=None)
        if size_bytes == 0 and stage is not Stage.SCRATCH:
            return _failed(item, EMPTIED_UNANSWERED if item.earlier else EMPTIED)
        if stage in (Stage.SETTLING, Stage.READY, Stage.KEPT):
            item, stage = replace(item, reason=CHANGED_SINCE, told=()), Stage.SETTLING
    if stage in (Stage.SETTLING, Stage.READY) and (item.stays or stays_here(item.name, item.size_bytes)):
        stage = Stage.SCRATCH
    return replace(item, stage=stage)


def _failed(item: Item, reason: str) -> Item:
    """Of two reasons the first stays: it says why a person is to decide."""
    return replace(item, stage=Stage.FAILED, reason=(item.reason if item.stage is Stage.FAILED else None) or reason)


def _found(id: str, order: int, size_bytes: int, now_ns: int) -> Item:
    return Item(
        id=id,
        order=order,
        account=NOBODY,
        verb=Verb.UPLOAD,
        stage=Stage.FAILED,
        album=AlbumId(""),
        name=id,
        began_ns=now_ns,
        size_bytes=size_bytes,
        generation=1,
        reason=WITHOUT_ROW,
    )
