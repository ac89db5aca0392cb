"""One flight a question; whoever waits may leave, the work goes on."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from iiiffs.errors import AssetGone, DeadlinePassed
from iiiffs.vfs.budget import PixelBudget
from iiiffs.vfs.flights import Flights


def run(test: object) -> None:
    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))  # type: ignore[arg-type]  # any async function


def test_many_askers_one_flight() -> None:
    async def main() -> None:
        begun = 0
        answers: list[int] = []

        async def work() -> int:
            nonlocal begun
            begun += 1
            await trio.sleep(5)
            return 42

        async with trio.open_nursery() as nursery:
            flights = Flights(nursery)

            async def ask() -> None:
                answers.append(await flights.join("key", work, 10))

            async with trio.open_nursery() as askers:
                for _ in range(10):
                    askers.start_soon(ask)
            assert (begun, answers, len(flights)) == (1, [42] * 10, 0)
            assert await flights.join("key", work, 10) == 42
            assert begun == 2

    run(main)


def test_who_waits_too_long_leaves_and_the_next_one_joins() -> None:
    async def main() -> None:
        begun = 0

        async def work() -> str:
            nonlocal begun
            begun += 1
            await trio.sleep(10)
            return "late"

        async with trio.open_nursery() as nursery:
            flights = Flights(nursery)
            began_s = trio.current_time()
            with pytest.raises(DeadlinePassed):
                await flights.join("key", work, 3)
            assert trio.current_time() - began_s == pytest.approx(3)
            assert await flights.join("key", work, 8) == "late"
            assert begun == 1

    run(main)


def test_an_error_reaches_all_and_is_forgotten() -> None:
    async def main() -> None:
        outcomes: list[str] = []
        fails = True

        async def work() -> str:
            await trio.sleep(1)
            if fails:
                raise AssetGone("gone")
            return "there"

        async with trio.open_nursery() as nursery:
            flights = Flights(nursery)

            async def ask() -> None:
                try:
                    outcomes.append(await flights.join("key", work, 10))
                except AssetGone as error:
                    outcomes.append(str(error))

            async with trio.open_nursery() as askers:
                askers.start_soon(ask)
                askers.start_soon(ask)
            fails = False
            await ask()
            assert outcomes == ["gone", "gone", "there"]

    run(main)


@pytest.mark.usefixtures("caplog")
@pytest.mark.warns("work on")
def test_a_bug_in_the_work_ends_nobody_but_the_asker() -> None:
    async def main() -> None:
        async def work() -> None:
            raise ZeroDivisionError

        async with trio.open_nursery() as nursery:
            flights = Flights(nursery)
            with pytest.raises(ZeroDivisionError):
                await flights.join("key", work, 10)
            flights.begin("other", work)
            await trio.sleep(1)
            assert len(flights) == 0

    run(main)


def test_a_stopping_daemon_gives_no_empty_answer() -> None:
    async def main() -> None:
        async with trio.open_nursery() as waiters, trio.open_nursery() as nursery:
            flights = Flights(nursery)

            async def ask() -> None:
                with pytest.raises(DeadlinePassed):
                    await flights.join("key", trio.sleep_forever, 100)

            waiters.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    run(main)


def test_the_budget_is_never_passed_and_the_large_go_alone() -> None:
    async def main() -> None:
        budget = PixelBudget(100)
        inside: list[int] = []
        seen: list[int] = []

        async def hold(pixels: int, seconds: float) -> None:
            async with budget.hold(pixels):
                inside.append(pixels)
                seen.append(sum(inside))
                if pixels > 100:
                    assert inside == [pixels]
                else:
                    assert sum(inside) <= 100
                await trio.sleep(seconds)
                inside.remove(pixels)

        async with trio.open_nursery() as nursery:
            for index, pixels in enumerate([60, 30, 500, 10, 40, 100, 1]):
                nursery.start_soon(hold, pixels, 1 + index)
        assert len(seen) == 7
        assert max(seen) == 500
        assert budget.held == 0

    run(main)


def test_who_gives_up_waiting_gives_its_place_away() -> None:
    async def main() -> None:
        budget = PixelBudget(100)
        async with budget.hold(100):
            with trio.move_on_after(1):
                async with budget.hold(50):
                    raise AssertionError("there was no room")
        async with budget.hold(100):
            assert budget.held == 100
        assert budget.held == 0

    run(main)


def test_one_work_lands_many_flights() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            flights = Flights(nursery)

            async def work() -> list[int]:
                await trio.sleep(5)
                return [1, 2]

            async def never() -> int:
                raise AssertionError("joined, not begun")

            answers: list[int] = []

            async def ask(key: str) -> None:
                answers.append(await flights.join(key, never, 10))

            nursery.start_soon(flights.together, ["a", "b"], work)
            await trio.testing.wait_all_tasks_blocked()
            assert flights.is_flying("b")
            async with trio.open_nursery() as askers:
                askers.start_soon(ask, "b")
                askers.start_soon(ask, "b")
                askers.start_soon(ask, "a")
            assert sorted(answers) == [1, 2, 2]
            assert (flights.is_flying("b"), len(flights)) == (False, 0)

    run(main)


def test_an_error_of_the_one_work_is_everybodys() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            flights = Flights(nursery)
            refused: list[str] = []

            async def work() -> list[int]:
                await trio.sleep(5)
                raise AssetGone("gone")

            async def begin() -> None:
                with pytest.raises(AssetGone):
                    await flights.together(["a", "b"], work)

            async def ask() -> None:
                with pytest.raises(AssetGone):
                    await flights.join("b", work, 10)
                refused.append("b")

            nursery.start_soon(begin)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask)
            await trio.sleep(6)
            assert (refused, len(flights)) == (["b"], 0)

    run(main)
