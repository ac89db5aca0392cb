"""How much room there is, and what is refused for want of it: told by a provider that is slow, away, or full."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing

from iiiffs.errors import OverQuota, ProviderUnreachable, StoreFull
from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.model.writing import Access, Space, Writing
from iiiffs.providers.base import Capabilities
from iiiffs.state.store import State
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs import rooms as rooms_module
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.rooms import ROOM_S, SPACE_S, Rooms

HOME, TRIP = AccountName("home"), AlbumId("trip")


@dataclass
class Account:
    """A gallery and its provider in one."""

    name: AccountName = HOME
    account: AccountName = HOME
    access: Access = Access.EDIT
    local: bool = False
    answer: Space | None = None
    takes_s: float = 0.0
    away: bool = False
    asked: int = 0

    @property
    def provider(self) -> Account:
        return self

    @property
    def capabilities(self) -> Capabilities:
        writing = Writing(False, False, False, frozenset(), nested=True)
        return Capabilities(True, True, local=self.local, fresh_s=1.0, writing=writing)

    async def space(self) -> Space | None:
        self.asked += 1
        answer = self.answer
        await trio.sleep(self.takes_s)
        if self.away:
            raise ProviderUnreachable("away")
        return answer


@dataclass
class At:
    rooms: Rooms
    queue: Queue
    account: Account
    count: int = field(default=0)

    def waits(self, size_bytes: int, stage: Stage = Stage.READY) -> Item:
        id, order = self.queue.new_id(), self.queue.next_order()
        item = Item(id, order, HOME, Verb.UPLOAD, stage, TRIP, "a.jpg", 1, size_bytes=size_bytes, generation=1)
        self.queue.note(item)
        return item

    async def fits(self, more_bytes: int) -> bool:
        try:
            await self.rooms.needed(HOME, more_bytes)
        except (OverQuota, StoreFull):
            return False
        return True


def rooms(folder: Path, body: Callable[[At], Awaitable[None]], *accounts: Account) -> None:
    async def run() -> None:
        state = State.open(folder / "state", min_free_bytes=0)
        try:
            async with trio.open_nursery() as nursery:
                queue = Queue(state.journal, state.spool, state.successors, state.notes())
                galleries = [cast(rooms_module.Account, account) for account in accounts]
                await body(At(Rooms(queue, galleries, Flights(nursery)), queue, accounts[0]))
                nursery.cancel_scope.cancel()
        finally:
            state.close()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0.02))


def test_the_first_answer_is_waited_for_and_then_believed(tmp_path: Path) -> None:
    async def body(at: At) -> None:
        assert await at.rooms.space() == Space(100, 40, 5)
        assert trio.current_time() == 1.0
        at.account.answer = Space(100, 30)
        assert await at.rooms.space() == Space(100, 40, 5)
        assert (trio.current_time(), at.account.asked) == (1.0, 1)
        await trio.sleep(SPACE_S)
        assert await at.rooms.space() == Space(100, 30)

    rooms(tmp_path, body, Account(answer=Space(100, 40, 5), takes_s=1.0))


@pytest.mark.parametrize("away", [True, False])
def test_who_does_not_answer_is_waited_for_once(tmp_path: Path, away: bool) -> None:
    """Away, or slower than anybody waits; an answer that comes late counts."""

    async def body(at: At) -> None:
        began_s = trio.current_time()
        for _ in range(3):
            assert await at.rooms.space() is None
        assert trio.current_time() - began_s <= ROOM_S
        assert await at.fits(10**9)
        await trio.sleep(5.0)
        assert await at.rooms.space() == (None if away else Space(100, 40))
        assert at.account.asked == 1

    rooms(tmp_path, body, Account(answer=Space(100, 40), takes_s=0.0 if away else 4.0, away=away))


def test_what_was_told_last_counts_while_nobody_answers(tmp_path: Path) -> None:
    async def body(at: At) -> None:
        await at.rooms.space()
        at.account.away = True
        await trio.sleep(SPACE_S + 1)
        assert await at.rooms.space() == Space(100, 40)
        assert not await at.fits(41)

    rooms(tmp_path, body, Account(answer=Space(100, 40)))


def test_several_accounts_have_no_room_of_one(tmp_path: Path) -> None:
    async def body(at: At) -> None:
        assert await at.rooms.space() is None
        assert await at.fits(30)  # nobody has been asked yet, and nobody waits for it
        await trio.sleep(1.0)
        assert not await at.fits(41)
        assert await at.fits(40)

    rooms(tmp_path, body, Account(answer=Space(100, 40)), Account(AccountName("other"), AccountName("other")))


def test_an_account_that_is_only_read_is_not_asked(tmp_path: Path) -> None:
    async def body(at: At) -> None:
        assert await at.rooms.space() is None
        assert await at.fits(10**9)
        assert at.account.asked == 0

    rooms(tmp_path, body, Account(answer=Space(100, 0), access=Access.READ))


def test_what_waits_takes_room_until_it_is_gone_or_has_arrived(tmp_path: Path) -> None:
    async def body(at: At) -> None:
        item = at.waits(25)
        at.waits(7, Stage.FAILED)
        assert await at.rooms.space() == Space(100, 15)
        assert [await at.fits(15), await at.fits(16)] == [True, False]
        at.queue.note(replace(item, stage=Stage.SENT))
        assert await at.rooms.space() == Space(100, 15)  # of an answer that is older than that
        at.account.answer = Space(100, 15)
        await trio.sleep(SPACE_S + 1)
        assert await at.rooms.space() == Space(100, 15)
        await at.queue.drop(item.id)
        assert await at.rooms.space() == Space(100, 15)
        at.waits(50)
        assert await at.rooms.space() == Space(100, 0)

    rooms(tmp_path, body, Account(answer=Space(100, 40)))


def test_on_this_machine_what_waits_is_not_counted_twice(tmp_path: Path) -> None:
    async def body(at: At) -> None:
        at.waits(39)
        assert await at.rooms.space() == Space(100, 40)
        assert [await at.fits(40), await at.fits(41)] == [True, False]
        with pytest.raises(StoreFull):
            await at.rooms.needed(HOME, 41)

    rooms(tmp_path, body, Account(answer=Space(100, 40), local=True))


def test_nothing_is_refused_on_an_old_answer(tmp_path: Path) -> None:
    """Somebody has made room, a moment ago."""

    async def body(at: At) -> None:
        await at.rooms.space()
        assert not await at.fits(1)
        at.account.answer = Space(100, 50)
        await trio.sleep(1.5)
        assert await at.fits(50)

    rooms(tmp_path, body, Account(answer=Space(100, 0)))


def test_writing_costs_no_question_while_there_is_room(tmp_path: Path) -> None:
    async def body(at: At) -> None:
        for _ in range(100):
            assert await at.fits(10)
            await trio.sleep(1.0)
        assert at.account.asked <= 100 / SPACE_S + 1

    rooms(tmp_path, body, Account(answer=Space(100, 40)))
