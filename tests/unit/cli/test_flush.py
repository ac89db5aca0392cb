"""iiiffs.cli.flush: when a flush is over, and how it ended."""

from __future__ import annotations

from typing import Any

import pytest

from iiiffs.cli.flush import HELD_GRACE_S, OFFLINE_GRACE_S, Outcome, Waits, obstacles

ITEM = {"path": "home/albums/A/x.jpg", "reason": "refused"}


def progress(
    waiting: int = 0, failed: int = 0, still_open: int = 0, **offline: tuple[str | None, int]
) -> dict[str, Any]:
    return {
        "waiting": waiting,
        "failed": failed,
        "open": [ITEM] * still_open,
        "failures": [ITEM] * failed,
        "accounts": [{"name": name, "offline": why, "waiting": count} for name, (why, count) in offline.items()],
    }


HELD_BACK = [{"name": "a", "offline": None, "waiting": 2, "held_back": 2}]
TABLE: dict[str, tuple[dict[str, Any], Outcome | None, Outcome | None]] = {
    "empty": (progress(), Outcome.EMPTY, Outcome.EMPTY),
    "on the way": (progress(2, a=(None, 2)), None, None),
    "failed alone": (progress(0, 1), Outcome.FAILED, Outcome.FAILED),
    "failed, and more on the way": (progress(1, 1, a=(None, 1)), None, None),
    "open": (progress(still_open=1), None, Outcome.FAILED),
    "offline": (progress(2, a=("away", 2)), None, Outcome.OFFLINE),
    "offline with nothing to send": (progress(a=("away", 0)), Outcome.EMPTY, Outcome.EMPTY),
    "one offline, one on the way": (progress(3, a=("away", 2), b=(None, 1)), None, None),
    "held back by what failed": ({**progress(2, 1), "accounts": HELD_BACK}, None, Outcome.FAILED),
    "held back by what is open": ({**progress(2, 0, 1), "accounts": HELD_BACK}, None, Outcome.FAILED),
    "offline, and failed": (progress(2, 1, a=("away", 2)), None, Outcome.OFFLINE),
}


@pytest.mark.parametrize(("at", "first", "later"), TABLE.values(), ids=TABLE)
def test_outcomes(at: dict[str, Any], first: Outcome | None, later: Outcome | None) -> None:
    waits = Waits()
    assert waits.outcome(at, 0.0) is first
    assert waits.outcome(at, max(OFFLINE_GRACE_S, HELD_GRACE_S)) is later


def test_what_passes_is_waited_for_anew() -> None:
    waits, away, back = Waits(), progress(1, a=("away", 1)), progress(1, a=(None, 1))
    assert waits.outcome(away, 0.0) is None
    assert waits.outcome(back, OFFLINE_GRACE_S) is None
    assert waits.outcome(away, OFFLINE_GRACE_S + 1) is None
    assert waits.outcome(away, 2 * OFFLINE_GRACE_S) is None
    assert waits.outcome(away, 2 * OFFLINE_GRACE_S + 1) is Outcome.OFFLINE


def test_obstacles_are_a_line_each() -> None:
    at = progress(2, 1, 1, a=("away", 2), b=("away", 0))
    assert obstacles(at, Outcome.OFFLINE) == [
        "home/albums/A/x.jpg: refused",
        "home/albums/A/x.jpg: open in a program",
        "a: 2 wait: away",
    ]
    assert obstacles({**progress(2), "accounts": HELD_BACK}, Outcome.FAILED) == ["a: 2 wait for what failed or is open"]
    assert obstacles(progress(failed=1), Outcome.FAILED) == ["home/albums/A/x.jpg: refused"]
    (line,) = obstacles({**progress(), "scratch": 2}, Outcome.EMPTY)
    assert line.startswith("2 with temporary names, or empty, stay")
