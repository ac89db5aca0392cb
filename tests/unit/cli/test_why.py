"""iiiffs.cli.why: what the daemon knows of a path, as lines."""

from __future__ import annotations

from iiiffs.cli.why import of_the_queue


def test_nothing_is_no_line() -> None:
    assert of_the_queue({"items": [], "conflicts": [], "offline": None}) == []


def test_items_conflicts_and_the_account_are_a_line_each() -> None:
    answer = {
        "items": [
            {"id": "local-1", "path": "a/x.jpg", "stage": "failed", "tries": 2, "reason": "refused"},
            {"id": "local-2", "path": "a/y.jpg", "stage": "settling", "tries": 0, "reason": None},
        ],
        "conflicts": [{"mine": "a/z (conflict).jpg", "theirs": "a/z.jpg"}],
        "offline": "no key",
    }
    assert of_the_queue(answer) == [
        "a/x.jpg: failed after 2 tries: refused (queue, local-1)",
        "a/y.jpg: settling (queue, local-2)",
        "a/z (conflict).jpg: in conflict with a/z.jpg (`iiiffs conflicts list`)",
        "the account is offline: no key",
    ]
