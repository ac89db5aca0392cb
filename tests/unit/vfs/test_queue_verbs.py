"""Looking at the queue, trying again, giving up: and nothing else deletes what was never sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.errors import BadSyntax, Forbidden, NoSuchName, ReadOnly
from iiiffs.model.gallery import AccountName, AlbumId, Asset, AssetId, Version
from iiiffs.sync.items import Conflict, Stage, Verb
from iiiffs.vfs.queue_control import handlers_without_queue
from iiiffs.vfs.queue_verbs import is_at, the_one
from tests.harness.queued import HOME, NOW_NS, TRIP, MemoryAccount, Queued, queued

SENT = Asset(AssetId("a9"), TRIP, "sent.jpg", Version("1"), 5, NOW_NS, NOW_NS, "image/jpeg")


def run(folder: Path, test: Callable[[Queued], Awaitable[None]], account: MemoryAccount | None = None) -> None:
    async def main() -> None:
        async with queued(folder, account) as parts:
            await test(parts)

    trio.run(main)


def test_a_list_tells_what_is_not_sent_yet_and_where(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        made = await parts.add("b", Stage.READY, verb=Verb.MAKE_ALBUM, name="New/One", album=TRIP)
        await parts.add("a", Stage.SENDING, b"12345678", tries=2, reason="away", conflict_with="x.jpg")
        parts.account.sent_bytes["local-a"] = 3
        await parts.add("c", Stage.FAILED, album=AlbumId(made.id), reason="refused")
        await parts.add("s", Stage.SENT, sent=SENT)
        first, second, third = await parts.listed("queue.list")
        assert (first["what"], first["path"]) == ("make album", "shown/albums/Trip/New/One")
        assert {key: value for key, value in second.items() if key != "age_s"} == {
            "id": "local-a",
            "account": "home",
            "what": "upload",
            "path": "shown/albums/Trip/a.jpg",
            "stage": "sending",
            "tries": 2,
            "reason": "away",
            "size_bytes": 8,
            "sent_bytes": 3,
            "conflict_with": "x.jpg",
        }
        assert third["path"] == "shown/albums/Trip/New_One/c.jpg"
        assert await parts.listed("queue.list", account="other") == []

    run(tmp_path, test)


def test_a_place_that_nobody_can_tell_keeps_no_list_waiting(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("a", Stage.READY)
        parts.account.is_away = True
        assert [row["path"] for row in await parts.listed("queue.list")] == ["shown/(trip)/a.jpg"]
        parts.account.is_away = False
        assert [row["path"] for row in await parts.listed("queue.list")] == ["shown/albums/Trip/a.jpg"]
        parts.account.is_away = True
        assert [row["path"] for row in await parts.listed("queue.list")] == ["shown/albums/Trip/a.jpg"]

    run(tmp_path, test)


def test_who_asks_for_thousands_asks_the_sender_for_uploads_that_are_on_their_way_alone(tmp_path: Path) -> None:
    """Each question goes through all that flies: 5,000 of an album at once held the daemon up for half a minute."""

    class Counts(dict[str, int]):
        asked = 0

        def get(self, *key: Any) -> Any:
            Counts.asked += 1
            return super().get(*key)

    async def test(parts: Queued) -> None:
        parts.account.sent_bytes = Counts({"local-a": 3})
        await parts.add("a", Stage.SENDING)
        for number in range(20):
            verb = Verb.ADD if number % 2 else Verb.UPLOAD
            await parts.add(f"b{number}", Stage.READY, verb=verb)
        (first, *others) = await parts.listed("queue.list")
        assert (first["sent_bytes"], {row["sent_bytes"] for row in others}, Counts.asked) == (3, {0}, 1)

    run(tmp_path, test)


def test_retry_makes_what_failed_ready_again(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("a", Stage.FAILED, tries=7, reason="refused")
        await parts.add("b", Stage.READY, tries=3, reason="away")
        await parts.add("o", Stage.FAILED, account=AccountName(""), reason="no row")
        assert await parts.ask("queue.retry") == {"ids": ["local-a"]}
        item = parts.queue.get("local-a")
        assert item is not None
        assert (item.stage, item.tries, item.reason) == (Stage.READY, 0, None)
        assert parts.account.hurried == [("local-a",)]
        assert await parts.ask("queue.retry", ids=["b"]) == {"ids": ["local-b"]}
        assert parts.account.hurried[1:] == [("local-b",)]
        orphan = parts.queue.get("local-o")
        assert orphan is not None
        assert orphan.stage is Stage.FAILED
        with pytest.raises(Forbidden, match="no account is mounted"):
            await parts.ask("queue.retry", ids=["o"])

    run(tmp_path, test)


@pytest.mark.parametrize("stage", [Stage.OPEN, Stage.SCRATCH, Stage.SETTLING, Stage.SENT])
def test_what_waits_for_no_try_is_not_retried(tmp_path: Path, stage: Stage) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("f", Stage.FAILED)
        await parts.add("a", stage, sent=SENT if stage is Stage.SENT else None)
        with pytest.raises(Forbidden):
            await parts.ask("queue.retry", ids=["local-f", "local-a"])
        assert [item.stage for item in parts.queue.items()] == [Stage.FAILED, stage]

    run(tmp_path, test)


def test_discard_deletes_exactly_what_is_named_and_confirmed(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        for id, stage in {"a1": Stage.FAILED, "a2": Stage.READY, "b": Stage.SCRATCH, "c": Stage.SETTLING}.items():
            await parts.add(id, stage)
        everything = parts.payloads
        for args in ({"ids": ["a1"]}, {"ids": ["a1"], "confirmed": "yes"}):
            with pytest.raises(Forbidden, match="gone for good"):
                await parts.ask("queue.discard", **args)
        for ids in ([], ["a"], ["z"], [""], [3], "a1", None):
            with pytest.raises((BadSyntax, NoSuchName)):
                await parts.ask("queue.discard", ids=ids, confirmed=True)
        assert parts.payloads == everything
        assert await parts.ask("queue.discard", ids=["a1", "b", "local-a1"], confirmed=True) == {
            "ids": ["local-a1", "local-b"]
        }
        assert parts.payloads == {"local-a2", "local-c"}
        assert [item.id for item in parts.queue.items()] == ["local-a2", "local-c"]
        assert parts.account.interrupted == ["local-a1", "local-b"]

    run(tmp_path, test)
    reloaded: list[str] = []

    async def again(parts: Queued) -> None:
        reloaded.extend(item.id for item in parts.queue.items())

    run(tmp_path, again)
    assert reloaded == ["local-a2", "local-c"]


@pytest.mark.parametrize("stage", [Stage.OPEN, Stage.SENDING, Stage.SENT])
def test_what_is_open_on_its_way_or_arrived_is_not_discarded(tmp_path: Path, stage: Stage) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("f", Stage.FAILED)
        await parts.add("a", stage, sent=SENT if stage is Stage.SENT else None)
        with pytest.raises(Forbidden):
            await parts.ask("queue.discard", ids=["f", "a"], confirmed=True)
        assert [item.id for item in parts.queue.items()] == ["local-f", "local-a"]
        assert "local-f" in parts.payloads

    run(tmp_path, test)


def test_an_item_that_arrives_while_it_is_interrupted_stays(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        item = await parts.add("a", Stage.SENDING)

        class Arrives(MemoryAccount):
            async def interrupt(self, id: str) -> None:
                await parts.queue.commit(replace(item, stage=Stage.SENT, sent=SENT))

        parts.account.__class__ = Arrives
        with pytest.raises(Forbidden, match="is sent already"):
            await parts.ask("queue.discard", ids=["a"], confirmed=True)
        assert parts.queue.get("local-a") is not None

    run(tmp_path, test)


def test_what_hangs_on_a_discarded_item_goes_with_it_or_holds_it(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("album", Stage.FAILED, verb=Verb.MAKE_ALBUM)
        await parts.add("in", Stage.READY, album=AlbumId("local-album"))
        await parts.add("one", Stage.READY, verb=Verb.ADD, assets=(AssetId("local-in"),))
        await parts.add("two", Stage.READY, verb=Verb.ADD, assets=(AssetId("local-in"), AssetId("x")))
        await parts.add("edit", Stage.READY, verb=Verb.EDIT, assets=(AssetId("x"),), album=AlbumId("local-album"))
        with pytest.raises(Forbidden, match=r"\(in\.jpg\)"):
            await parts.ask("queue.discard", ids=["album"], confirmed=True)
        assert len(parts.queue) == 5
        await parts.ask("queue.discard", ids=["album", "in"], confirmed=True)
        (left,) = parts.queue.items()
        assert (left.id, left.assets) == ("local-two", ("x",))

    run(tmp_path, test)


def test_a_discarded_item_is_in_conflict_with_nobody(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("a", Stage.READY, conflict_with="x.jpg")
        await parts.queue.record_conflict(Conflict("local-a", HOME, TRIP, "x.jpg", "a.jpg", None, NOW_NS))
        await parts.ask("queue.discard", ids=["a"], confirmed=True)
        assert parts.queue.conflicts() == []

    run(tmp_path, test)


def test_export_tells_where_payloads_are_and_changes_nothing(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("a", Stage.FAILED, b"abc", sha1=b"\1" * 20, reason="refused")
        await parts.add("b", Stage.READY, b"de")
        await parts.add("m", Stage.FAILED, verb=Verb.MAKE_ALBUM)
        assert await parts.listed("queue.export") == [
            {
                "id": "local-a",
                "path": "shown/albums/Trip/a.jpg",
                "name": "a.jpg",
                "payload": "local-a",
                "size_bytes": 3,
                "mtime_ns": NOW_NS,
                "sha1": "01" * 20,
                "reason": "refused",
            }
        ]
        (row,) = await parts.listed("queue.export", ids=["b"])
        assert (row["payload"], row["sha1"]) == ("local-b", None)
        with pytest.raises(Forbidden, match="no bytes of its own"):
            await parts.ask("queue.export", ids=["m"])
        assert parts.payloads == {"local-a", "local-b"}

    run(tmp_path, test)


def test_flush_hurries_everything_and_tells_what_is_in_the_way(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("a", Stage.SETTLING, b"12345")
        await parts.add("b", Stage.SENDING, b"1234")
        await parts.add("c", Stage.OPEN)
        await parts.add("new", Stage.OPEN, generation=0)
        await parts.add("d", Stage.FAILED, reason="refused")
        await parts.add("e", Stage.SCRATCH)
        parts.account.sent_bytes["local-b"] = 9
        parts.account.trouble = "no key"
        progress = await parts.ask("flush")
        assert isinstance(progress, dict)
        assert parts.account.hurried == [None]
        counts = {key: value for key, value in progress.items() if isinstance(value, int)}
        assert counts == {
            "waiting": 2,
            "waiting_bytes": 9,
            "settling": 1,
            "sending": 1,
            "sent_bytes": 4,
            "failed": 1,
            "open_files": 2,
            "scratch": 1,
            "scratch_old": 1,
        }
        assert [row["id"] for row in progress["open"]] == ["local-c"]
        assert [(row["id"], row["reason"]) for row in progress["failures"]] == [("local-d", "refused")]
        assert progress["accounts"] == [{"name": "home", "offline": "no key", "waiting": 2, "held_back": 0}]
        await parts.ask("queue.progress")
        assert parts.account.hurried == [None]

    run(tmp_path, test)


def test_gauges_name_no_file(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("secret", Stage.FAILED, reason="of secret.jpg")
        told = repr(parts.control.report.gauges())
        assert "secret" not in told
        assert "'failed': 1" in told

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("path", "ids"),
    {
        "": ["local-a", "local-b"],
        "shown": ["local-a", "local-b"],
        "shown/albums/Trip/": ["local-a", "local-b"],
        "/shown/albums/Trip/a.jpg": ["local-a"],
        "shown/albums/Tri": [],
        "shown/albums/Trip/a.jp": [],
    }.items(),
)
def test_why(tmp_path: Path, path: str, ids: list[str]) -> None:
    async def test(parts: Queued) -> None:
        await parts.add("a", Stage.FAILED)
        await parts.add("b", Stage.READY)
        await parts.queue.record_conflict(Conflict("local-a", HOME, TRIP, "x.jpg", "a.jpg", None, NOW_NS))
        parts.account.trouble = "away"
        answer = await parts.ask("why", path=path)
        assert isinstance(answer, dict)
        assert [row["id"] for row in answer["items"]] == ids
        assert len(answer["conflicts"]) == ("local-a" in ids)
        assert answer["offline"] == ("away" if path.strip("/") else None)

    run(tmp_path, test)


def test_a_mount_without_a_queue_knows_the_same_verbs(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        without = handlers_without_queue()
        assert without.keys() == parts.control.handlers.keys()
        for verb in ("queue.list", "queue.export", "conflicts.list"):
            assert await without[verb]({}) == await parts.control.handlers[verb]({}) == []
        for verb in ("flush", "queue.progress"):
            told, empty = await parts.control.handlers[verb]({}), await without[verb]({})
            assert isinstance(told, dict)
            assert isinstance(empty, dict)
            assert empty.items() <= {**told, "accounts": []}.items()
        assert await without["why"]({}) == await parts.control.handlers["why"]({"path": ""})
        for verb in ("queue.retry", "queue.discard", "conflicts.mine", "conflicts.theirs", "conflicts.both"):
            with pytest.raises(ReadOnly):
                await without[verb]({})

    run(tmp_path, test)


@given(st.text("ab/", max_size=6), st.text("ab/", max_size=6))
def test_at_is_a_relation_of_whole_names(path: str, place: str) -> None:
    parts = place.split("/")
    prefixes = {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
    assert is_at(path, place) == (path in prefixes or not path)


@given(st.sets(st.text("ab", min_size=1, max_size=4).map("local-".__add__), max_size=6), st.text("ab", min_size=1))
def test_the_one_is_exact_or_the_only_one_that_begins_so(ids: set[str], text: str) -> None:
    found = [id for id in ids if id.removeprefix("local-").startswith(text)]
    if len(found) == 1:
        assert the_one(text, ids, "queue") == found[0]
    else:
        with pytest.raises(NoSuchName):
            the_one(text, ids, "queue")
    for id in ids:
        assert the_one(id, ids, "queue") == id
