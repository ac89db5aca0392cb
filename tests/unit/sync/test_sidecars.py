"""What becomes of a sidecar: the table, and what always holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.model.gallery import AssetId
from iiiffs.sync.sidecars import ANOTHER_IS, WITHOUT_PHOTO, Decision, Sidecar, decide_sidecar

A, B, C = AssetId("a"), AssetId("b"), AssetId("c")
ASSETS = st.lists(st.sampled_from([A, B, C]), unique=True)


@pytest.mark.parametrize(
    ("photos", "told", "is_outdone", "decision"),
    [
        ([A], [], False, Decision(Sidecar.TELL, (A,))),
        ([A, B], [A], False, Decision(Sidecar.TELL, (B,))),
        ([A, B], [C], True, Decision(Sidecar.TELL, (A, B))),
        ([A, B], [B, A], False, Decision(Sidecar.KEEP)),
        ([], [A], False, Decision(Sidecar.KEEP)),
        ([], [A], True, Decision(Sidecar.KEEP)),
        ([], [], True, Decision(Sidecar.KEEP, reason=ANOTHER_IS)),
        ([], [], False, Decision(Sidecar.FAIL, reason=WITHOUT_PHOTO)),
    ],
)
def test_the_table(photos: list[AssetId], told: list[AssetId], is_outdone: bool, decision: Decision) -> None:
    assert decide_sidecar(photos, told, is_outdone=is_outdone) == decision


@given(ASSETS, ASSETS, st.booleans())
def test_nobody_is_told_twice_and_nobody_is_left_out(
    photos: list[AssetId], told: list[AssetId], is_outdone: bool
) -> None:
    decision = decide_sidecar(photos, told, is_outdone=is_outdone)
    assert set(decision.assets) == set(photos) - set(told)
    assert (decision.what is Sidecar.TELL) == bool(decision.assets)
    again = decide_sidecar(photos, [*told, *decision.assets], is_outdone=is_outdone)
    assert again.what is not Sidecar.TELL
    assert (decision.what is Sidecar.FAIL) <= (decision.reason is not None)
