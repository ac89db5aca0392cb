"""Many askers, few calls: who gets what, and what becomes of the others when one is cancelled or the call fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, wraps
from itertools import pairwise
from typing import ParamSpec

import pytest
import trio
import trio.testing

from iiiffs.errors import ProviderUnreachable
from iiiffs.providers.gathering import PAUSE_S, Gathering

CALL_S = 0.2
P = ParamSpec("P")


def in_virtual_time(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Trio runs it, and nobody sleeps."""

    @wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        trio.run(partial(test, *arguments, **named), clock=trio.testing.MockClock(autojump_threshold=0))

    return run


class Server:
    """Answers each key with its length; keeps what it was asked for, and when. `answers`: False: refuses."""

    def __init__(self) -> None:
        self.begun: list[tuple[float, list[str]]] = []
        self.ended: list[list[str]] = []
        self.answers = True

    async def call(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.begun.append((trio.current_time(), list(keys)))
        await trio.sleep(CALL_S)
        if not self.answers:
            raise ProviderUnreachable("away")
        self.ended.append(list(keys))
        return {key: len(key) for key in keys if key != "unknown"}


@pytest.fixture
def server() -> Server:
    return Server()


@in_virtual_time
async def test_one_alone_waits_for_its_call_only(server: Server) -> None:
    gathering = Gathering(server.call)
    begun_s = trio.current_time()
    assert await gathering.ask(["a", "bb", "a", "unknown"]) == {"a": 1, "bb": 2}
    assert trio.current_time() - begun_s == pytest.approx(CALL_S)
    assert server.ended == [["a", "bb", "unknown"]]
    assert gathering.is_idle
    assert await gathering.ask([]) == {}
    assert len(server.begun) == 1


@in_virtual_time
async def test_who_comes_while_a_call_is_on_its_way_is_in_the_next(server: Server) -> None:
    gathering, got = Gathering(server.call), dict[str, tuple[dict[str, int], float]]()

    async def ask(after_s: float, key: str) -> None:
        await trio.sleep(after_s)
        got[key] = (await gathering.ask([key]), trio.current_time() - begun_s)

    begun_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(ask, number * 0.01, "a" * (number + 1))
    assert server.ended[0] == ["a"]
    assert sorted(server.ended[1]) == ["aa", "aaa", "aaaa", "aaaaa"]
    assert len(server.ended) == 2
    assert {key: found for key, (found, _) in got.items()} == {key: {key: len(key)} for key in got}
    assert got["a"][1] == pytest.approx(CALL_S), "the first waits for nobody"


@in_virtual_time
async def test_calls_that_are_quick_begin_with_a_pause(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.providers.test_gathering.CALL_S", 0.001)
    gathering = Gathering(server.call)
    for key in "abc":
        await gathering.ask([key])
    moments = [moment for moment, _ in server.begun]
    assert [later - earlier for earlier, later in pairwise(moments)] == [
        pytest.approx(PAUSE_S),
        pytest.approx(PAUSE_S),
    ]


@pytest.mark.parametrize("cancelled", ["first", "second", "third"])
@pytest.mark.parametrize("moment_s", [0.05, CALL_S + 0.05], ids=["first call", "second call"])
@in_virtual_time
async def test_what_was_cancelled_is_in_no_call_that_ends_and_the_others_are(
    server: Server, cancelled: str, moment_s: float
) -> None:
    gathering, scopes, got = (
        Gathering(server.call),
        {key: trio.CancelScope() for key in ("first", "second", "third")},
        [],
    )

    async def ask(key: str) -> None:
        with scopes[key]:
            assert await gathering.ask([key]) == {key: len(key)}
            got.append(key)

    async with trio.open_nursery() as nursery:
        for key in scopes:
            nursery.start_soon(ask, key)
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(moment_s)
        was_over = cancelled in got
        scopes[cancelled].cancel()
    assert set(got) == ({*scopes} if was_over else {*scopes} - {cancelled})
    assert (cancelled in [key for keys in server.ended for key in keys]) == was_over
    assert gathering.is_idle


@in_virtual_time
async def test_a_call_is_broken_off_for_who_leaves_it_and_not_for_who_has_asked_for_the_same(server: Server) -> None:
    gathering, got = Gathering(server.call), []

    async def ask(scope: trio.CancelScope) -> None:
        with scope:
            got.append(await gathering.ask(["same"]))

    leaver = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gathering.ask, ["x"])
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, leaver)
        nursery.start_soon(ask, trio.CancelScope())
        await trio.sleep(CALL_S * 1.5)
        leaver.cancel()
    assert got == [{"same": 4}]
    assert server.ended == [["x"], ["same"]]


@in_virtual_time
async def test_all_who_were_in_a_call_hear_why_it_failed_and_the_next_call_is_another(server: Server) -> None:
    gathering, failed = Gathering(server.call), []

    async def ask(key: str) -> None:
        try:
            await gathering.ask([key])
        except ProviderUnreachable as error:
            failed.append((key, str(error)))

    server.answers = False
    async with trio.open_nursery() as nursery:
        for key in "abc":
            nursery.start_soon(ask, key)
    assert sorted(failed) == [("a", "away"), ("b", "away"), ("c", "away")]
    server.answers = True
    assert await gathering.ask(["d"]) == {"d": 1}


@in_virtual_time
async def test_a_bug_in_the_call_leaves_nobody_waiting() -> None:
    async def call(keys: Sequence[str]) -> Mapping[str, int]:
        await trio.sleep(CALL_S)
        raise ZeroDivisionError

    gathering, failed = Gathering(call), []

    async def ask(key: str) -> None:
        try:
            await gathering.ask([key])
        except ZeroDivisionError:
            failed.append(key)

    async with trio.open_nursery() as nursery:
        for key in "abc":
            nursery.start_soon(ask, key)
    assert sorted(failed) == ["a", "b", "c"]
    assert gathering.is_idle
