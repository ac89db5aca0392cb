"""Mine, theirs or both: no version is lost that was not given up with a word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from iiiffs.errors import BadSyntax, Forbidden, NoSuchName, ProviderUnreachable, ReadOnly, VersionChanged
from iiiffs.model.gallery import Asset, AssetId
from iiiffs.model.writing import Access, Payload, Replaced
from iiiffs.sync.items import Conflict, Stage
from tests.harness.queued import HOME, NOW_NS, TRIP, MemoryAccount, Queued, queued

MINE, THEIRS = b"mine, and longer", b"theirs"
OURS = "x (conflict 2026-11-22 host).jpg"


def run(folder: Path, test: Callable[[Queued], Awaitable[None]], account: MemoryAccount | None = None) -> None:
    async def main() -> None:
        async with queued(folder, account) as parts:
            await test(parts)

    trio.run(main)


async def unsent(parts: Queued, stage: Stage = Stage.READY, **changes: object) -> Asset:
    """A conflict of which our version waits here; their asset."""
    theirs = parts.account.take("t", "x.jpg", THEIRS, "7")
    await parts.add("m", stage, MINE, name=OURS, conflict_with="x.jpg", **changes)
    await parts.queue.record_conflict(Conflict("local-m", HOME, TRIP, "x.jpg", OURS, theirs.id, NOW_NS))
    return theirs


async def sent(parts: Queued, *, listed: bool) -> Asset:
    """A conflict of which both versions are at the provider; their asset."""
    theirs, ours = parts.account.take("t", "x.jpg", THEIRS, "7"), parts.account.take("m", OURS, MINE)
    if not listed:
        await parts.add("m", Stage.SENT, MINE, name=OURS, conflict_with="x.jpg", sent=ours)
    await parts.queue.record_conflict(Conflict("local-m", HOME, TRIP, "x.jpg", OURS, theirs.id, NOW_NS))
    return theirs


def test_a_list_shows_both(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await unsent(parts)
        (row,) = await parts.listed("conflicts.list")
        assert (row["id"], row["mine"], row["theirs"], row["sent"]) == (
            "local-m",
            f"shown/albums/Trip/{OURS}",
            "shown/albums/Trip/x.jpg",
            False,
        )

    run(tmp_path, test)


def test_mine_while_it_waits_replaces_what_theirs_is_now(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await unsent(parts, tries=3, reason="away")
        parts.account.take("t", "x.jpg", THEIRS, "8")
        assert await parts.ask("conflicts.mine", id="m") == {"id": "local-m"}
        item = parts.queue.get("local-m")
        assert item is not None
        assert item.base is not None
        assert (item.name, item.conflict_with, item.stage, item.tries) == ("x.jpg", None, Stage.READY, 0)
        assert (item.base.asset, item.base.version, item.base.name) == ("t", "8", "x.jpg")
        assert parts.payloads == {"local-m"}
        assert parts.account.bodies == {"x.jpg": THEIRS}
        assert parts.queue.conflicts() == []
        assert parts.account.hurried == [None]

    run(tmp_path, test)


def test_mine_when_theirs_is_gone_takes_the_name(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        theirs = await unsent(parts)
        del parts.account.assets[theirs.id]
        await parts.ask("conflicts.mine", id="m")
        item = parts.queue.get("local-m")
        assert item is not None
        assert (item.name, item.base) == ("x.jpg", None)

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("stage", "changes"),
    [(Stage.OPEN, {}), (Stage.SENDING, {}), (Stage.READY, {"earlier": (b"\1" * 20,)})],
    ids=["open", "on its way", "may have arrived"],
)
def test_mine_waits_for_what_is_not_at_rest(tmp_path: Path, stage: Stage, changes: dict[str, object]) -> None:
    async def test(parts: Queued) -> None:
        await unsent(parts, stage, **changes)
        before = parts.queue.items()
        with pytest.raises(Forbidden):
            await parts.ask("conflicts.mine", id="m")
        assert parts.queue.items() == before
        assert len(parts.queue.conflicts()) == 1

    run(tmp_path, test)


def test_mine_could_not_ask_decides_nothing(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await unsent(parts)
        parts.account.is_away = True
        before = parts.queue.items()
        with pytest.raises(ProviderUnreachable):
            await parts.ask("conflicts.mine", id="m")
        assert parts.queue.items() == before
        assert len(parts.queue.conflicts()) == 1

    run(tmp_path, test)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("replaces_id", [True, False])
def test_mine_that_was_sent_takes_the_place_of_theirs(tmp_path: Path, listed: bool, replaces_id: bool) -> None:
    async def test(parts: Queued) -> None:
        await sent(parts, listed=listed)
        await parts.ask("conflicts.mine", id="m")
        assert parts.account.bodies == {"x.jpg": MINE}
        assert sorted(parts.account.trash) == [(OURS, MINE), ("x.jpg", THEIRS)]
        assert parts.queue.conflicts() == []
        assert parts.queue.items() == []
        assert parts.payloads == set()
        now = "t-new" if replaces_id else "t"
        assert parts.queue.successors.successor(HOME, "m") == now
        assert parts.queue.successors.successor(HOME, "t") == (now if replaces_id else None)

    run(tmp_path, test, MemoryAccount(replaces_id=replaces_id))


def test_mine_where_equal_bytes_are_one_asset_keeps_that_one(tmp_path: Path) -> None:
    class OneAssetOfEqualBytes(MemoryAccount):
        async def replace(self, asset: Asset, payload: Payload) -> Replaced:
            theirs, body = self.assets.pop(asset.id)
            self.trash.append((theirs.name, body))
            return Replaced(self.assets[AssetId("m")][0])

    async def test(parts: Queued) -> None:
        await sent(parts, listed=True)
        await parts.ask("conflicts.mine", id="m")
        assert parts.account.bodies == {OURS: MINE}
        assert parts.account.trash == [("x.jpg", THEIRS)]
        assert parts.queue.successors.successor(HOME, "t") == "m"

    run(tmp_path, test, OneAssetOfEqualBytes())


def test_mine_can_be_asked_again_after_it_broke_off(tmp_path: Path) -> None:
    class Breaks(MemoryAccount):
        removals = 0

        async def remove(self, asset: Asset) -> None:
            self.removals += 1
            if self.removals == 1:
                raise ProviderUnreachable("the line broke")
            await super().remove(asset)

        async def replace(self, asset: Asset, payload: Payload) -> Replaced:
            if self.assets[asset.id][1] == payload.path.read_bytes():
                return Replaced(self.assets[asset.id][0])
            return await super().replace(asset, payload)

    async def test(parts: Queued) -> None:
        await sent(parts, listed=False)
        with pytest.raises(ProviderUnreachable):
            await parts.ask("conflicts.mine", id="m")
        assert len(parts.queue.conflicts()) == 1
        await parts.ask("conflicts.mine", id="m")
        assert parts.account.bodies == {"x.jpg": MINE}
        assert sorted(parts.account.trash) == [(OURS, MINE), ("x.jpg", THEIRS)]
        assert parts.queue.conflicts() == []

    run(tmp_path, test, Breaks())


def test_mine_of_a_version_that_changed_again_changes_nothing(tmp_path: Path) -> None:
    class Changes(MemoryAccount):
        async def replace(self, asset: Asset, payload: Payload) -> Replaced:
            raise VersionChanged("x.jpg has changed")

    async def test(parts: Queued) -> None:
        await sent(parts, listed=True)
        with pytest.raises(VersionChanged):
            await parts.ask("conflicts.mine", id="m")
        assert parts.account.bodies == {"x.jpg": THEIRS, OURS: MINE}
        assert parts.payloads == set()
        assert len(parts.queue.conflicts()) == 1

    run(tmp_path, test, Changes())


def test_mine_with_theirs_gone_gets_its_name(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        theirs = await sent(parts, listed=True)
        del parts.account.assets[theirs.id]
        await parts.ask("conflicts.mine", id="m")
        assert parts.account.bodies == {"x.jpg": MINE}

    run(tmp_path, test)


def test_mine_with_mine_gone_says_so(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await sent(parts, listed=True)
        del parts.account.assets[AssetId("m")]
        with pytest.raises(NoSuchName, match="both"):
            await parts.ask("conflicts.mine", id="m")
        assert parts.account.bodies == {"x.jpg": THEIRS}

    run(tmp_path, test)


@pytest.mark.parametrize("verb", ["mine", "theirs"])
def test_replacing_and_removing_need_edit(tmp_path: Path, verb: str) -> None:
    async def test(parts: Queued) -> None:
        await sent(parts, listed=True)
        with pytest.raises(ReadOnly, match='"edit"'):
            await parts.ask(f"conflicts.{verb}", id="m", confirmed=True)
        assert parts.account.bodies == {"x.jpg": THEIRS, OURS: MINE}

    run(tmp_path, test, MemoryAccount(access=Access.ADD))


def test_theirs_gives_up_what_was_never_sent_only_with_a_word(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await unsent(parts, Stage.FAILED)
        for args in ({}, {"confirmed": 1}):
            with pytest.raises(Forbidden, match="never sent"):
                await parts.ask("conflicts.theirs", id="m", **args)
        assert parts.payloads == {"local-m"}
        await parts.ask("conflicts.theirs", id="m", confirmed=True)
        assert parts.payloads == set()
        assert parts.queue.items() == []
        assert parts.queue.conflicts() == []
        assert parts.account.bodies == {"x.jpg": THEIRS}

    run(tmp_path, test, MemoryAccount(access=Access.ADD))


@pytest.mark.parametrize("listed", [True, False])
def test_theirs_puts_what_was_sent_into_the_trash(tmp_path: Path, listed: bool) -> None:
    async def test(parts: Queued) -> None:
        await sent(parts, listed=listed)
        await parts.ask("conflicts.theirs", id="m")
        assert parts.account.bodies == {"x.jpg": THEIRS}
        assert parts.account.trash == [(OURS, MINE)]
        assert parts.queue.items() == []
        assert parts.queue.conflicts() == []

    run(tmp_path, test)


def test_both_closes_the_conflict_and_touches_nothing(tmp_path: Path) -> None:
    async def test(parts: Queued) -> None:
        await unsent(parts)
        before = parts.queue.items()
        await parts.ask("conflicts.both", id="local-m")
        assert parts.queue.conflicts() == []
        assert parts.queue.items() == before
        for id in ("m", None, "", 3):
            with pytest.raises((NoSuchName, BadSyntax)):
                await parts.ask("conflicts.both", id=id)

    run(tmp_path, test, MemoryAccount(access=Access.READ))
