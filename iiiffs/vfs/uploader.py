"""One service an account: sends what waits in the queue, in its order where that matters, and never gives anything up.

What does not work is tried again for ever, or is FAILED until a person decides (DESIGN §4). While the provider cannot
be reached one item at a time tries, and the others wait. No handler waits for anything here but `interrupt`, and that
waits for no network: stopping is cancelling `run`, and what was on its way stays SENDING in the journal.

State is whole between two awaits: an id is in `_flying` exactly while its call, or what is kept of its answer, is not
over. Only `run` lets items depart.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from random import random
from typing import NoReturn

import trio

from iiiffs.errors import AssetGone, IiiffsError, ProviderError, ProviderUnreachable, StoreError
from iiiffs.sync.items import Item, Stage, Verb, is_local_id
from iiiffs.sync.merge import Merge
from iiiffs.sync.retry import Remedy, decide_retry, remedy_of
from iiiffs.sync.stages import Event, advance
from iiiffs.vfs.complaints import Complaints
from iiiffs.vfs.conflicts import Conflicts, NamesIn
from iiiffs.vfs.departures import UPLOADS_MAX, Departures, may_depart
from iiiffs.vfs.gates import Gate
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.sending import Account, Deserted, Flight, NotArrived, PartlyDone, Sender
from iiiffs.vfs.sending_news import Counters, News, Notify, SendingState
from iiiffs.vfs.sidecars import beside_of
from iiiffs.vfs.unfinished import Endings
from iiiffs.vfs.waiting_order import MEMBERSHIP, TO_BE_SENT, WaitingOrder

log = logging.getLogger(__name__)

CALLS_MAX = 2
"""Of what moves no bytes."""
FINISH_AGAIN_S = 10.0
TROUBLE_POLL_S = 1.0
OFFLINE_NEWS_S = 5.0
"""An account that could not be reached for less is no news when it is back."""


class Uploader:
    """Sends the items of one account. Made once; `run` is its service."""

    def __init__(
        self, account: Account, queue: Queue, names_in: NamesIn, notify: Notify, draw: Callable[[], float] = random
    ) -> None:
        """`names_in`: the names that an album shows. `draw`: in [0, 1), spreads tries."""
        self.deserted: Deserted | None = None
        self.counters = Counters()
        self._account = account
        self._queue = queue
        self._notify = notify
        self._draw = draw
        self._flying: dict[str, Flight] = {}
        self._flights = {True: 0, False: 0}
        self._gate = Gate()
        self._order = WaitingOrder(account.name, queue, beside_of(account, queue))
        self._departures = Departures(account.name, queue, self._order, self._flying)
        self.threads = trio.CapacityLimiter(UPLOADS_MAX)
        """Those that read payloads."""
        self._sender = Sender(account, queue, self._order, self.threads)
        self.conflicts = Conflicts(account, queue, self._order, names_in)
        self._endings = Endings(queue, self.threads, self._sender.sidecars)
        self._wake = trio.Event()
        self._finishing = 0
        """Items that were SENT, and are not done with yet."""
        self._nursery: trio.Nursery | None = None
        self._is_denied = False
        self._closed_s = 0.0
        self._had_trouble = False
        self._complaints = Complaints(log)
        queue.watch(self._changed)

    # ---- for others -------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str | None:
        """Why nothing can be sent at the moment; None if all is well."""
        return self._gate.reason

    @property
    def sent_bytes(self) -> Mapping[str, int]:
        """Id of each item whose payload is being sent -> how much of it is sent, as far as its provider tells."""
        progress = getattr(self._account.provider, "upload_progress", None)
        told: Mapping[str, int] = {} if progress is None else progress
        return {id: told.get(id, 0) for id, flight in self._flying.items() if flight.is_upload}

    def gauges(self) -> dict[str, object]:
        """Numbers for status and metrics."""
        return {**asdict(self.counters), "sending": len(self._flying), "waiting": self._departures.waiting}

    def state(self) -> SendingState:
        """What is still to be sent, and what holds it up."""
        failed = tuple(item for item in self._queue.items(self._account.name) if item.stage is Stage.FAILED)
        return SendingState(
            self._departures.waiting,
            self._departures.held_back,
            len(self._flying) + self._finishing,
            failed,
            offline=None if self._is_denied else self._gate.reason,
            login_needed=self._gate.reason if self._is_denied else None,
        )

    async def wait_idle(self) -> SendingState:
        """Nothing more can be sent, or a try has just found that the provider cannot be asked; what there is then."""
        while not (self._is_idle or self._is_cut_off):
            await self._wake.wait()
            await trio.lowlevel.checkpoint()
        return self.state()

    def send_now(self, ids: Collection[str] | None = None) -> None:
        """Those items (None: all) are not put off any more, by whatever; also after a new login."""
        if ids is None:
            self._endings.hurry(item.id for item in self._queue.items(self._account.name))
            self._gate.retry()
        else:
            self._endings.hurry(ids)
        self._departures.now(ids)
        self._wake_up()

    async def interrupt(self, id: str) -> None:
        """The item is not on its way when this returns: it was cut off, and is READY, or it is SENT.

        It is not sent before the settle time is over, if nobody changes it meanwhile. Waits for the disk at most.
        """
        while (flight := self._flying.get(id)) is not None:  # while nothing gets through it may depart again at once
            flight.scope.cancel()
            await flight.landed.wait()
        item = self._queue.get(id)
        if item is not None and item.stage in TO_BE_SENT:
            self._departures.put_off(id, trio.current_time() + self._account.settle_s)

    # ---- the service ------------------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Sends, until it is cancelled. What was on its way then is sent anew at the next start, as after a crash."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._begin(nursery)
            nursery.start_soon(self._sender.sums.run)
            task_status.started()
            while True:
                self._wake, woken = trio.Event(), self._wake
                woken.set()
                self._watch_trouble()
                has_more = self._departures.look(trio.current_time(), partial(self._is_settled, nursery))
                for id, reason in self._departures.take_orphaned():
                    nursery.start_soon(self._guarded, partial(self._fail_orphan, id, reason))
                while (flight := self._next()) is not None:
                    self._depart(flight)
                    nursery.start_soon(self._fly, flight)
                if has_more:
                    await trio.lowlevel.checkpoint()
                else:
                    with trio.move_on_at(self._until_s()):
                        await self._wake.wait()
        raise AssertionError("the service ends by cancellation alone")

    def _begin(self, nursery: trio.Nursery) -> None:
        """What settled settles anew, what was being sent is sent again, and what was sent is finished."""
        for item in self._queue.items(self._account.name):
            if item.stage is Stage.SETTLING:
                self._settles(item)
            elif item.stage is Stage.SENT and item.verb is Verb.UPLOAD:
                self._finishes(nursery, item)

    def _until_s(self) -> float:
        moments = [moment for moment in (self._departures.next_s(),) if moment is not None]
        if not self._gate.is_open:
            moments.append(trio.current_time() + TROUBLE_POLL_S)
            if self._gate.trier is None and self._gate.until_s > trio.current_time():
                moments.append(self._gate.until_s)
        return min(moments, default=math.inf)

    def _watch_trouble(self) -> None:
        has_trouble = self._account.trouble is not None
        if self._had_trouble and not has_trouble and not self._gate.is_open:
            self._gate.retry()
            items = self._queue.items(self._account.name)
            self._departures.now([item.id for item in items if item.stage in (Stage.READY, Stage.SENDING)])
        self._had_trouble = has_trouble

    def _changed(self, before: Item | None, after: Item | None) -> None:
        item = after or before
        if item is None or item.account != self._account.name:
            return
        self._order.changed(before, after)
        if before is not None:
            self._departures.left(before)
        if after is None:
            self._departures.forgotten(item.id)
            self._endings.forget(item.id)
        else:
            closed_before = None if before is None or before.stage is not Stage.SETTLING else before.generation
            if after.stage is Stage.SETTLING and closed_before != after.generation:
                self._settles(after)
            self._departures.changed(after)
        self._wake_up()

    def _settles(self, item: Item) -> None:
        now_s = trio.current_time()
        self._endings.closed(item.id, now_s)
        self._sender.sums.wants(item)
        self._departures.settles(item, now_s, self._account.settle_s)

    def _is_settled(self, nursery: trio.Nursery, item: Item) -> bool:
        if item.verb is not Verb.UPLOAD:
            return True
        if self._endings.begins(item.id):
            nursery.start_soon(self._guarded, partial(self._settle, item))
        return False

    async def _settle(self, item: Item) -> None:
        """Its settle time is over: it is READY, but for a picture without its end, which has some time more."""
        until_s = await self._endings.until_s(item, trio.current_time())
        current = self._queue.get(item.id)
        if current is None or current.stage is not Stage.SETTLING or current.generation != item.generation:
            return
        if until_s is None:
            self._queue.note(replace(current, stage=_after(current, Event.SETTLED)))
            return
        self._queue.note(replace(current, reason=current.reason or self._endings.reason(item)))
        self._departures.put_off(item.id, until_s)
        self._wake_up()

    def _wake_up(self) -> None:
        self._wake.set()

    # ---- departing --------------------------------------------------------------------------------------------

    def _next(self) -> Flight | None:
        """What departs now, if anything: of what is ready the first, or while nothing gets through the least tried."""
        while (item := self._candidate()) is not None:
            if self._departures.takes(item):
                return Flight(tuple(self._together(item)), trio.current_time())
        return None

    def _candidate(self) -> Item | None:
        if not self._gate.lets(trio.current_time()):
            return None
        if not self._gate.is_open:
            found = [self._departures.least_tried(uploads=is_upload) for is_upload in (False, True)]
            return min(filter(None, found), key=lambda item: item.tries, default=None)
        item = self._departures.first(uploads=False) if self._flights[False] < CALLS_MAX else None
        if item is None and (upload := self._departures.first(uploads=True)) is not None:
            aloft = [flight.item.size_bytes for flight in self._flying.values() if flight.is_upload]
            return upload if may_depart(upload.size_bytes, aloft) else None
        return item

    def _together(self, item: Item) -> list[Item]:
        """What goes in one call with it, in order: changes of one album's photos, edits of one asset."""
        if item.verb in MEMBERSHIP:
            self._departures.gathered(item.album)
            others = self._queue.in_album(item.account, item.album)
            others = [other for other in others if other.verb in MEMBERSHIP]
        elif item.verb is Verb.EDIT:
            others = [other for other in self._order.about(item.assets[0]) if other.verb is Verb.EDIT]
        else:
            return [item]
        chosen: dict[str, Item] = {}
        for other in others:
            if other.id == item.id or self._goes_along(other, chosen):
                chosen[other.id] = other
        return list(chosen.values())

    def _goes_along(self, item: Item, chosen: Collection[str]) -> bool:
        is_waiting = item.stage in TO_BE_SENT and item.id not in self._flying
        return is_waiting and self._order.is_free(item, self._flying, chosen)

    def _depart(self, flight: Flight) -> None:
        self._gate.entered(flight.item.id)
        self._order.departs(flight.items)
        self._flights[flight.is_upload] += 1
        for item in flight.items:
            self._flying[item.id] = flight
            self._departures.departed(item.id)

    # ---- on its way -------------------------------------------------------------------------------------------

    async def _fly(self, flight: Flight) -> None:
        try:
            await self._guarded(partial(self._send, flight))
        finally:
            self._gate.left(flight.item.id)
            self._order.landed(flight.items)
            self._flights[flight.is_upload] -= 1
            for item in flight.items:
                del self._flying[item.id]
                self._departures.landed(item.id)
            flight.landed.set()
            self._wake_up()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Nothing that goes wrong ends the service: it is told once, and tried again or left to the next start."""
        try:
            await work()
        except IiiffsError as error:
            self._complaints.say(f"{self._account.name}: {error}")
        except Exception:  # a bug must not end the daemon's nursery
            log.exception("%s: sending", self._account.name)

    async def _send(self, flight: Flight) -> None:
        try:
            failed = await self._sender.send(flight)
        except IiiffsError as error:
            await self._went_wrong(flight, error)
        except NotArrived as error:
            self._got_through()
            await self._again(flight, str(error), ProviderError())
        except PartlyDone as error:
            self._tell_failed(error.failed)
            assert isinstance(error.__cause__, IiiffsError), "raised from the reason"
            await self._went_wrong(flight, error.__cause__)
        except Exception as bug:
            log.exception("%s: sending %s", self._account.name, flight.item.id)
            await self._again(flight, f"a bug of iiiffs: {bug!r}", IiiffsError())
        else:
            if flight.scope.cancelled_caught:
                self._cut_off(flight)
                return
            self._got_through()
            self._tell_failed(failed)
            self.counters.sent += len(flight.items) - len(failed)
            if flight.is_upload:
                self.counters.bytes_sent += flight.item.size_bytes

    def _cut_off(self, flight: Flight) -> None:
        for current in self._current(flight):
            if current.stage is Stage.SENDING:
                self._queue.note(replace(current, stage=_after(current, Event.UNREACHABLE)))
            self._departures.put_off(current.id, trio.current_time() + self._account.settle_s)

    def _current(self, flight: Flight) -> list[Item]:
        """Those of its items that are still to be sent, as they are now."""
        found = [self._queue.get(item.id) for item in flight.items]
        return [item for item in found if item is not None and item.stage in TO_BE_SENT]

    async def _went_wrong(self, flight: Flight, error: IiiffsError) -> None:
        sent = self._queue.get(flight.item.id)
        if sent is not None and sent.stage is Stage.SENT and flight.is_upload and self._nursery is not None:
            self._got_through()
            self.counters.sent += 1
            self._finishes(self._nursery, sent)
            return
        remedy = remedy_of(error)
        is_upload = flight.is_upload
        if is_upload and (remedy is Remedy.CONFLICT or (isinstance(error, AssetGone) and flight.item.base is not None)):
            self._got_through()
            await self._in_conflict(flight)
        elif remedy in (Remedy.OFFLINE, Remedy.REFUSED):
            self._shut(flight, error, remedy)
            await self._again(flight, str(error), error)
        elif remedy is Remedy.LATER:
            self._complaints.say(f"{self._account.name}: {flight.item.name}: {error}")
            await self._again(flight, str(error), error)
        else:
            self._got_through()
            current = self._current(flight)
            if self.deserted is not None and flight.is_into_gone(error):
                album = self._order.album_of(flight.item)
                self._tell_failed(await self.deserted.keep(album, {item.id for item in current}))
            else:
                await self._fail(current, str(error))

    async def _again(self, flight: Flight, reason: str, error: IiiffsError) -> None:
        """Its items are tried again, later."""
        self.counters.retries += 1
        now_s = trio.current_time()
        for current in self._current(flight):
            tries = current.tries + 1
            wait_s = decide_retry(error, tries, self._draw()).wait_s
            if flight.is_upload or current.reason != reason:  # thousands of changes of an album are no news every time
                self._queue.note(replace(current, stage=_put_back(current), tries=tries, reason=reason))
            self._departures.put_off(current.id, now_s + (wait_s or 0.0))

    async def _fail(self, items: Sequence[Item], reason: str) -> None:
        failed = [replace(item, stage=Stage.FAILED, tries=item.tries + 1, reason=reason) for item in items]
        if failed:
            await self._queue.commit(*failed)
        self._tell_failed(failed)

    async def _fail_orphan(self, id: str, reason: str) -> None:
        item = self._queue.get(id)
        if item is None or item.stage not in TO_BE_SENT or id in self._flying:
            return
        if item.verb is Verb.TAKE_OUT and is_local_id(self._order.album_of(item)):
            await self._queue.drop(id)  # nothing is in an album that was never made
        else:
            await self._fail([item], reason)

    def _finishes(self, nursery: trio.Nursery, item: Item) -> None:
        self._finishing += 1
        nursery.start_soon(self._guarded, partial(self._finish_again, item))

    async def _finish_again(self, item: Item) -> None:
        try:
            while True:
                try:
                    await self._queue.commit()  # its row, if that could not be written: before the payload goes
                    return await self._sender.finish(item)
                except StoreError as error:
                    self._complaints.say(f"{self._account.name}: {item.name} was sent, and {error}")
                await trio.sleep(FINISH_AGAIN_S)
        finally:
            self._finishing -= 1
            self._departures.woken(item.id)
            self._wake_up()

    async def _in_conflict(self, flight: Flight) -> None:
        current = next(iter(self._current(flight)), None)
        if current is None:
            return
        if flight.scope.cancel_called:
            self._cut_off(flight)
            return
        decided = None
        flight.scope = trio.CancelScope()
        try:
            with flight.scope:
                decided = await self.conflicts.decide(current)
        except ProviderError as error:
            await self._went_wrong(flight, ProviderUnreachable(str(error)))
            return
        if decided is None:
            self._cut_off(flight)
            return
        if self._queue.get(current.id) is not current:
            return  # somebody changed it meanwhile: it is sent as it is now
        match decided.merge:
            case Merge.CONFLICT:
                await self.conflicts.record(decided.ours, decided.asset)
                self.counters.conflicts += 1
                self._notify(
                    News.CONFLICT,
                    f"{current.name} is another at {self._account.name}: yours is called {decided.ours.name} now",
                )
            case Merge.SEND if current.base is not None:
                await self._queue.commit(decided.ours)
            case Merge.DONE if decided.asset is not None:
                await self._sender.arrived(current, decided.asset)
                self.counters.sent += 1
            case _:
                await self._again(flight, "what is at the provider changes while it is looked at", IiiffsError())

    # ---- telling ----------------------------------------------------------------------------------------------

    def _shut(self, flight: Flight, error: IiiffsError, remedy: Remedy) -> None:
        now_s = trio.current_time()
        if self._gate.is_open:
            self._closed_s = now_s
            log.info("%s: %s; what waits is sent later", self._account.name, error)
        if self._gate.close(flight.item.id, str(error)):
            self._gate.until_s = now_s + (decide_retry(error, self._gate.tries, self._draw()).wait_s or 0.0)
        if remedy is Remedy.REFUSED and not self._is_denied:
            self._is_denied = True
            self._notify(News.LOGIN_NEEDED, f"{self._account.name}: {error}")

    def _got_through(self) -> None:
        was_denied, self._is_denied = self._is_denied, False
        if not self._gate.open():
            return
        log.info("%s: can be sent to again", self._account.name)
        if was_denied or trio.current_time() - self._closed_s >= OFFLINE_NEWS_S:
            self._notify(News.BACK_ONLINE, f"{self._account.name} can be reached again")

    def _tell_failed(self, failed: Sequence[Item]) -> None:
        for item in failed:
            self.counters.failed += 1
            log.warning("%s: %s %s failed: %s", item.account, item.verb, item.id, item.reason)
            self._notify(News.FAILED, f"{item.name}: {item.reason}; see `iiiffs queue list`")

    @property
    def _is_idle(self) -> bool:
        is_busy = bool(self._flying) or self._finishing > 0
        return not is_busy and self._departures.waiting <= self._departures.held_back

    @property
    def _is_cut_off(self) -> bool:
        return not self._flying and not self._gate.is_open and self._gate.until_s > trio.current_time()


def _after(item: Item, event: Event) -> Stage:
    stage = advance(item.stage, event)
    assert stage is not None, "an item that is still to be sent"
    return stage


def _put_back(item: Item) -> Stage:
    return item.stage if item.stage is Stage.SETTLING else _after(item, Event.UNREACHABLE)
