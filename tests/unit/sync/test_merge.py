"""Three-way merge: all cases, and what must never happen."""

from __future__ import annotations

import itertools

import pytest

from iiiffs.model.gallery import Version
from iiiffs.sync.merge import Merge, Theirs, decide_merge

OURS, SENT, FOREIGN = b"ours", b"sent before", b"somebody else's"
V1, V2 = Version("1"), Version("2")


@pytest.mark.parametrize(
    ("base", "theirs", "expected"),
    [
        (None, None, Merge.SEND),
        (None, Theirs(V1, OURS), Merge.DONE),
        (None, Theirs(V1, SENT), Merge.REPLACE),
        (None, Theirs(V1, FOREIGN), Merge.CONFLICT),
        (None, Theirs(V1), Merge.CONFLICT),
        (V1, None, Merge.SEND),
        (V1, Theirs(V1), Merge.REPLACE),
        (V1, Theirs(V1, FOREIGN), Merge.REPLACE),
        (V1, Theirs(V1, OURS), Merge.DONE),
        (V1, Theirs(V1, SENT), Merge.REPLACE),
        (V1, Theirs(V2), Merge.CONFLICT),
        (V1, Theirs(V2, FOREIGN), Merge.CONFLICT),
        (V1, Theirs(V2, OURS), Merge.DONE),
        (V1, Theirs(V2, SENT), Merge.REPLACE),
    ],
)
def test_rows(base: Version | None, theirs: Theirs | None, expected: Merge) -> None:
    assert decide_merge(base, OURS, (b"another", SENT), theirs) is expected


def test_bytes_of_somebody_else_are_never_replaced() -> None:
    """Rule: DESIGN §4.5. Somebody else's: neither the version that was opened, nor bytes that we sent."""
    sums = (None, OURS, SENT, FOREIGN)
    for base, version, sha1, earlier in itertools.product((None, V1), (V1, V2), sums, ((), (SENT,))):
        verdict = decide_merge(base, OURS, earlier, Theirs(version, sha1))
        is_somebody_elses = version != base and sha1 not in earlier
        assert not (is_somebody_elses and verdict in (Merge.REPLACE, Merge.SEND))


def test_what_was_decided_and_done_is_done_when_asked_again() -> None:
    for base in (None, V1):
        for earlier in ((), (SENT,)):
            assert decide_merge(base, OURS, earlier, Theirs(V2, OURS)) is Merge.DONE
