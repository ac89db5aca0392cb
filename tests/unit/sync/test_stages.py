"""What becomes of items: the table, and what a start makes of what it finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.sync.stages import (
    CHANGED_SINCE,
    EMPTIED,
    EMPTIED_UNANSWERED,
    INTERRUPTED,
    NOBODY,
    TRANSITIONS,
    WITHOUT_PAYLOAD,
    WITHOUT_ROW,
    Event,
    advance,
    closed,
    recovered,
    renamed,
    stays_here,
)

NOW_NS = 99
ITEM = Item(
    id="local-1",
    order=1,
    account=AccountName("home"),
    verb=Verb.UPLOAD,
    stage=Stage.READY,
    album=AlbumId("album"),
    name="a.jpg",
    began_ns=1,
    size_bytes=10,
    generation=1,
)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("event", Event)
def test_what_is_not_in_the_table_raises(stage: Stage, event: Event) -> None:
    if event in TRANSITIONS[stage]:
        assert advance(stage, event) is TRANSITIONS[stage][event]
    else:
        with pytest.raises(ValueError, match=f"{stage} cannot be {event}"):
            advance(stage, event)


def test_every_stage_and_event_is_used() -> None:
    assert set(TRANSITIONS) == set(Stage)
    assert {event for row in TRANSITIONS.values() for event in row} == set(Event)


def test_an_item_ends_only_where_somebody_decided_or_the_provider_has_it() -> None:
    """The promise of DESIGN §4.1: no start, retry or refusal loses one."""
    ends = {(stage, event) for stage, row in TRANSITIONS.items() for event, after in row.items() if after is None}
    discarded = {(stage, Event.DISCARDED) for stage in Stage}
    assert ends == discarded | {(Stage.SENT, Event.LISTED)}


def test_only_what_was_sending_becomes_sent_and_only_what_is_ready_is_sent() -> None:
    into = {
        target: {stage for stage, row in TRANSITIONS.items() if target in row.values() and stage is not target}
        for target in (Stage.SENT, Stage.SENDING)
    }
    assert into == {Stage.SENT: {Stage.SENDING}, Stage.SENDING: {Stage.READY}}


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_can_be_left_for_sending_or_is_the_last(stage: Stage) -> None:
    reached, waiting = {stage}, [stage]
    while waiting:
        for after in TRANSITIONS[waiting.pop()].values():
            if after is not None and after not in reached:
                reached.add(after)
                waiting.append(after)
    assert stage is Stage.SENT or Stage.SENDING in reached


@pytest.mark.parametrize(
    ("name", "size_bytes", "stays"),
    [("a.jpg", 1, False), ("a.jpg", 0, True), ("a.jpg.part", 5, True), ("notes.txt", 5, False)],
)
def test_what_stays_here(name: str, size_bytes: int, stays: bool) -> None:
    assert stays_here(name, size_bytes) is stays
    assert (closed(replace(ITEM, name=name, size_bytes=size_bytes)) is Event.CLOSED_SCRATCH) is stays
    assert (renamed(name, size_bytes) is Event.RENAMED_SCRATCH) is stays


@pytest.mark.parametrize(
    ("before", "size_bytes", "after"),
    [
        ({"stage": Stage.OPEN}, 10, {"stage": Stage.SETTLING}),
        ({"stage": Stage.OPEN, "name": "a.part"}, 10, {"stage": Stage.SCRATCH}),
        ({"stage": Stage.OPEN, "size_bytes": 0}, 0, {"stage": Stage.SCRATCH}),
        (
            {"stage": Stage.OPEN, "generation": 0, "size_bytes": 0},
            7,
            {"stage": Stage.FAILED, "reason": INTERRUPTED, "size_bytes": 7},
        ),
        (
            {"stage": Stage.OPEN, "generation": 0, "size_bytes": 0},
            None,
            {"stage": Stage.FAILED, "reason": WITHOUT_PAYLOAD},
        ),
        ({"stage": Stage.SCRATCH, "name": "a.part"}, 10, {}),
        ({"stage": Stage.SETTLING}, 10, {}),
        ({"stage": Stage.READY, "tries": 3, "reason": "offline"}, 10, {}),
        (
            {"stage": Stage.SENDING, "sha1": b"s", "earlier": (b"s",)},
            10,
            {"stage": Stage.READY},
        ),
        ({"stage": Stage.SENT}, None, {}),
        ({"stage": Stage.SENT}, 10, {}),
        ({"stage": Stage.FAILED, "reason": "no"}, 10, {}),
        ({"stage": Stage.FAILED, "reason": "no"}, None, {}),
        ({"stage": Stage.READY}, None, {"stage": Stage.FAILED, "reason": WITHOUT_PAYLOAD}),
        ({"stage": Stage.SCRATCH}, None, {"stage": Stage.FAILED, "reason": WITHOUT_PAYLOAD}),
        (
            {"stage": Stage.SENDING, "sha1": b"s", "earlier": (b"s",), "reason": "offline"},
            11,
            {"stage": Stage.SETTLING, "reason": CHANGED_SINCE, "size_bytes": 11, "generation": 2, "sha1": None},
        ),
        (
            {"stage": Stage.OPEN},
            3,
            {"stage": Stage.SETTLING, "reason": CHANGED_SINCE, "size_bytes": 3, "generation": 2},
        ),
        ({"stage": Stage.READY}, 0, {"stage": Stage.FAILED, "reason": EMPTIED, "size_bytes": 0, "generation": 2}),
        (
            {"stage": Stage.READY, "earlier": (b"sum",)},
            0,
            {"stage": Stage.FAILED, "reason": EMPTIED_UNANSWERED, "size_bytes": 0, "generation": 2},
        ),
        ({"stage": Stage.FAILED, "reason": "no"}, 11, {"size_bytes": 11, "generation": 2}),
        ({"stage": Stage.SCRATCH, "name": "a.part"}, 0, {"size_bytes": 0, "generation": 2}),
        ({"stage": Stage.SENDING, "verb": Verb.ADD, "generation": 0}, None, {"stage": Stage.READY}),
        ({"stage": Stage.READY, "verb": Verb.MAKE_ALBUM, "generation": 0}, None, {}),
        ({"stage": Stage.FAILED, "verb": Verb.EDIT, "generation": 0, "reason": "no"}, None, {}),
    ],
)
def test_what_a_start_makes_of_a_row(
    before: dict[str, object], size_bytes: int | None, after: dict[str, object]
) -> None:
    item = replace(ITEM, **before)  # type: ignore[arg-type]
    expected = replace(item, **after)  # type: ignore[arg-type]
    found = recovered([item], {} if size_bytes is None else {item.id: size_bytes}, NOW_NS)
    assert found.items == (expected,)
    assert found.changed == (() if expected == item else (expected,))
    assert (item.id in found.unsure) is (after.get("reason") == CHANGED_SINCE)
    assert found.spent == ((item.id,) if size_bytes is not None and item.stage is Stage.SENT else ())


def test_a_payload_without_a_row_becomes_a_failed_item() -> None:
    found = recovered([replace(ITEM, order=7)], {"local-1": 10, "local-3": 5, "local-2": 0}, NOW_NS)
    assert [item.id for item in found.items] == ["local-1", "local-2", "local-3"]
    assert [item.order for item in found.items] == [7, 8, 9]
    assert [item.id for item in found.changed] == ["local-2", "local-3"]
    for item in found.changed:
        assert (item.stage, item.reason, item.account) == (Stage.FAILED, WITHOUT_ROW, NOBODY)
        assert item.began_ns == NOW_NS
    assert found.items[2].size_bytes == 5
    assert recovered(found.items, {"local-1": 10, "local-3": 5, "local-2": 0}, NOW_NS + 1).changed == ()


stages = st.sampled_from(Stage)
rows = st.lists(
    st.builds(
        lambda number, verb, stage, generation, size, name: replace(
            ITEM,
            id=f"local-{number}",
            order=number,
            verb=verb,
            stage=stage,
            generation=generation,
            size_bytes=size,
            name=name,
        ),
        st.integers(0, 9),
        st.sampled_from(Verb),
        stages,
        st.integers(0, 2),
        st.integers(0, 2),
        st.sampled_from(["a.jpg", "b.part"]),
    ),
    unique_by=lambda item: item.id,
)


@given(rows, st.dictionaries(st.integers(0, 12).map(lambda number: f"local-{number}"), st.integers(0, 3)))
def test_no_row_and_no_payload_is_left_out_and_a_second_start_changes_nothing(
    items: list[Item], sizes: dict[str, int]
) -> None:
    found = recovered(items, sizes, NOW_NS)
    ids = [item.id for item in found.items]
    assert sorted(ids) == sorted({item.id for item in items} | sizes.keys())
    assert not any(item.stage in (Stage.OPEN, Stage.SENDING) for item in found.items)
    for item in found.items:
        is_there = item.id in sizes
        assert is_there or item.stage is Stage.FAILED or not item.has_payload
        if item.has_payload and is_there:
            assert item.size_bytes == sizes[item.id]
    again = recovered(found.items, sizes, NOW_NS + 1)
    assert again.items == found.items
    assert again.changed == ()
