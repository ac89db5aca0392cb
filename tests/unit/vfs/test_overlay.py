"""Names over what a provider tells: who shows what, and which of several names of one asset goes. Without a mount."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trio
import trio.testing

from iiiffs.errors import AssetGone, ProviderUnreachable
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Listing, Version
from iiiffs.model.writing import AlbumVerb, Writing
from iiiffs.providers.base import Capabilities
from iiiffs.state.store import State
from iiiffs.sync.items import Base, Item, Stage, Verb
from iiiffs.tree.albums import AlbumNames
from iiiffs.vfs.arrivals import LISTED_S, LOOK_S
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.local_files import LocalFiles
from iiiffs.vfs.overlay import Overlay
from iiiffs.vfs.queue import Queue
from tests.unit.vfs.uploading import jump

HOME, TRIP, OTHER = AccountName("home"), AlbumId("trip"), AlbumId("other")


def asset(id: str, name: str, version: str = "1", album: AlbumId = TRIP) -> Asset:
    return Asset(AssetId(id), album, name, Version(version), 3, 10**18, 10**18, "image/jpeg")


def names_of(assets: Sequence[Asset], album: AlbumId = TRIP) -> AlbumNames:
    etag = repr([(one.id, one.version) for one in assets])
    return AlbumNames(Listing(Album(album, "Trip", None, 0), tuple(assets), (), etag), real_names=False)


DISK_MOMENTS = 100


@dataclass
class Server:
    """Rule: vfs.overlay.Listings. `away`: nobody answers. `gone`: there is no such album."""

    assets: list[Asset] = field(default_factory=list)
    last: AlbumNames | None = None
    last_s: float = float("-inf")
    away: bool = False
    gone: bool = False
    real_names: bool = False
    asked: int = 0

    @property
    def capabilities(self) -> Capabilities:
        writing = Writing(True, True, True, frozenset(AlbumVerb), nested=False)
        return Capabilities(False, self.real_names, local=False, fresh_s=1.0, writing=writing)

    async def told(self, album: AlbumId, *, anew: bool = False) -> AlbumNames:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.away:
            raise ProviderUnreachable("away")
        if self.gone:
            raise AssetGone("gone")
        if self.last is None or self.last_s == float("-inf"):
            self.last, self.last_s = names_of(self.assets, album), trio.current_time()
        return self.last

    def told_last(self, album: AlbumId) -> tuple[AlbumNames | None, float]:
        return self.last, self.last_s

    def expire(self, album: AlbumId | None) -> None:
        self.last_s = float("-inf")

    async def remembered(self, album: AlbumId) -> None:
        await trio.lowlevel.checkpoint()


@dataclass
class Shown:
    """The parts, and an item a call."""

    queue: Queue
    overlay: Overlay
    server: Server

    def upload(self, name: str, stage: Stage = Stage.READY, **values: object) -> Item:
        id, order = self.queue.new_id(), self.queue.next_order()
        item = Item(id, order, HOME, Verb.UPLOAD, stage, TRIP, name, 1, size_bytes=3, generation=1)
        self.queue.note(replace(item, **values))  # type: ignore[arg-type]
        return self.now(item)

    def said(self, verb: Verb, name: str, of: Asset | Item, album: AlbumId = TRIP) -> Item:
        id, order = self.queue.new_id(), self.queue.next_order()
        sent = None if isinstance(of, Item) else of
        item = Item(id, order, HOME, verb, Stage.SETTLING, album, name, 1, assets=(AssetId(of.id),), sent=sent)
        self.queue.note(item)
        return item

    def sent(self, item: Item, as_asset: Asset) -> None:
        self.queue.note(replace(self.now(item), stage=Stage.SENT, sent=as_asset))

    def now(self, item: Item) -> Item:
        found = self.queue.get(item.id)
        assert found is not None
        return found

    async def looked(self) -> None:
        """The server's album was looked at; where that leaves nothing that waits, the disk had its time to say so: the
        clock, which jumps when nothing happens for a moment, knows of no disk."""
        await trio.sleep(LOOK_S + 1)
        for _ in range(DISK_MOMENTS):
            if self.queue.items():
                await trio.sleep(0.01)

    def names(self, album: AlbumId = TRIP) -> dict[str, str]:
        """Name -> version, as a listing shows it; a lookup shows the same."""
        told = names_of(self.server.assets, album)
        entries = self.overlay.over(album, told).entries
        for name in {*entries, *told.entries}:
            found = self.overlay.find(album, name) or self.overlay.given(album, name)
            if found is None and (own := told.get(name)) is not None:
                found = self.overlay.over_entry(album, name, own)
            assert (found is not None) == (name in entries), name
        return {name: entry.version for name, entry in entries.items() if isinstance(entry, Asset)}


def shown(folder: Path, body: Callable[[Shown], Awaitable[None]], *assets: Asset, real_names: bool = False) -> None:
    """`body` with an overlay over a server with those; time passes when everybody waits. In a folder that was used
    before, what waited there waits again."""

    async def run() -> None:
        state = State.open(folder / "state", min_free_bytes=0)
        try:
            async with trio.open_nursery() as nursery:
                left = state.journal.load().items
                queue = Queue(state.journal, state.spool, state.successors, state.notes(), left)

                async def interrupt(item: Item) -> None:
                    await trio.lowlevel.checkpoint()

                server = Server(list(assets), real_names=real_names)
                files = LocalFiles(queue, interrupt)
                nursery.start_soon(jump, clock, trio.to_thread.current_default_thread_limiter())
                overlay = Overlay(HOME, queue, files, Flights(nursery), server)
                await body(Shown(queue, overlay, server))
                nursery.cancel_scope.cancel()
        finally:
            state.close()

    clock = trio.testing.MockClock()  # its own autojump takes a disk that is slow for one that is not waited for
    trio.run(run, clock=clock)


A, B = asset("1", "a.jpg"), asset("2", "b.jpg")
NEWER = asset("2", "a.jpg", "2")


def test_what_waits_is_shown_over_what_is_told(tmp_path: Path) -> None:
    async def body(at: Shown) -> None:
        assert at.names() == {"a.jpg": "1", "b.jpg": "1"}
        new = at.upload("c.jpg")
        base = Base(A.id, A.version, TRIP, A.name, 3, 1, 1)
        changed = at.upload("a.jpg", base=base)
        at.said(Verb.TAKE_OUT, "b.jpg", B)
        assert at.names() == {"a.jpg": changed.version, "c.jpg": new.version}
        assert at.names(OTHER)["a.jpg"] == changed.version  # the same photo, in another album
        await at.queue.drop_all([item.id for item in at.queue.items()])
        assert at.names() == {"a.jpg": "1", "b.jpg": "1"}

    shown(tmp_path, body, A, B)


def test_what_is_laid_over_a_listing_is_kept_no_longer_than_it(tmp_path: Path) -> None:
    async def body(at: Shown) -> None:
        at.upload("c.jpg")
        told = names_of([A], TRIP)
        names, kept = at.overlay.over(TRIP, told), weakref.ref(told)
        assert at.overlay.over(TRIP, told) is names
        del told
        gc.collect()
        assert kept() is None, "of a folder that is not there any more nobody asks again"

    shown(tmp_path, body, A)


def test_of_two_that_replace_one_asset_the_later_one_counts(tmp_path: Path) -> None:
    async def body(at: Shown) -> None:
        base = Base(A.id, A.version, TRIP, A.name, 3, 1, 1)
        first = at.upload("a.jpg", base=base)
        second = at.upload("a.jpg.part")
        await at.queue.exchange(replace(second, name="a.jpg", base=base), [first.id])
        assert at.overlay.item_of(A.id) == at.now(second)
        assert at.names() == {"a.jpg": second.version} == at.names(OTHER)
        await at.queue.drop(second.id)
        assert at.overlay.item_of(A.id) is None
        assert at.names() == {"a.jpg": "1"}

    shown(tmp_path, body, A)


@pytest.mark.parametrize("told", [[A], [NEWER]], ids=["as it is now", "as it was"])
def test_bytes_that_come_and_go_are_what_was_written_last_under_every_name(tmp_path: Path, told: list[Asset]) -> None:
    """Each new bytes are another asset, and former bytes the one that they were: what took its place a while ago is
    history. The uploads were under names of several albums, whose listings lag behind."""

    def base(of: Asset, album: AlbumId) -> Base:
        return Base(of.id, of.version, album, of.name, 3, 1, 1)

    async def body(at: Shown) -> None:
        first = at.upload("a.jpg", album=OTHER, base=base(A, OTHER))
        at.sent(first, NEWER)
        assert [at.overlay.asset(one.id) for one in (A, NEWER)] == [NEWER, None]
        second = at.upload("a.jpg", base=base(NEWER, TRIP))
        assert {at.overlay.item_of(one.id) for one in (A, NEWER)} == {at.now(second)}
        at.sent(second, A)
        assert [at.overlay.asset(one.id) for one in (A, NEWER)] == [A, A]
        for album in (TRIP, OTHER, AlbumId("third")):
            shown_now = at.overlay.over(album, names_of(told, album)).entries["a.jpg"]
            assert shown_now.id == A.id, album
        third = at.upload("a.jpg", album=OTHER, base=base(A, OTHER))
        for album in (TRIP, OTHER, AlbumId("third")):
            assert at.overlay.over(album, names_of(told, album)).entries["a.jpg"].id == A.id
            found = at.overlay.find(album, "a.jpg") or at.overlay.over_entry(album, "a.jpg", told[0])
            assert isinstance(found, Asset) and found.version == at.now(third).version, album
        assert {at.overlay.item_of(one.id) for one in (A, NEWER)} == {at.now(third)}

    shown(tmp_path, body, *told)


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize(
    ("removed", "left", "is_in_album"),
    [(["copy.jpg"], {"a.jpg"}, True), (["a.jpg"], {"copy.jpg"}, True), (["a.jpg", "copy.jpg"], set(), False)],
)
def test_of_two_names_of_one_asset_one_goes(
    removed: list[str], left: set[str], is_in_album: bool, is_listed: bool, tmp_path: Path
) -> None:
    async def body(at: Shown) -> None:
        await at.server.told(TRIP)
        copy = at.upload("copy.jpg")
        at.sent(copy, A)
        assert at.names() == {"a.jpg": "1", "copy.jpg": "1"}
        if is_listed:
            await at.looked()
            assert at.queue.items() == []
            assert at.names() == {"a.jpg": "1", "copy.jpg": "1"}
        for name in removed:
            is_still_there = await at.overlay.take_name(TRIP, name, A.id)
            if not is_still_there:
                at.said(Verb.TAKE_OUT, name, A)
        assert is_still_there == is_in_album
        assert set(at.names()) == left
        await trio.sleep(LISTED_S)
        assert set(at.names()) == left

    shown(tmp_path, body, A)


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize(("removed", "left"), [("copy.jpg", {"a.jpg"}), ("a.jpg", {"copy.jpg"})])
def test_that_an_asset_has_two_names_is_known_after_a_restart(
    removed: str, left: set[str], is_listed: bool, tmp_path: Path
) -> None:
    """Its provider's name would not be shown any more, and then never again, once the listing tells of it."""

    async def before(at: Shown) -> None:
        await at.server.told(TRIP)
        at.sent(at.upload("copy.jpg"), A)
        await at.queue.commit()

    async def after(at: Shown) -> None:
        assert at.names() == {"a.jpg": "1", "copy.jpg": "1"}
        if is_listed:
            await at.looked()
            assert at.queue.items() == []
            assert at.names() == {"a.jpg": "1", "copy.jpg": "1"}
        assert await at.overlay.take_name(TRIP, removed, A.id)
        assert set(at.names()) == left

    shown(tmp_path, before, A)
    shown(tmp_path, after, A)


def test_a_name_that_a_listing_told_before_the_answer_came_is_no_second_one(tmp_path: Path) -> None:
    """Else removing it would be taken for removing one of two names, and it would stay."""

    async def body(at: Shown) -> None:
        await at.server.told(TRIP)
        at.sent(at.upload("a.jpg"), A)
        assert not await at.overlay.take_name(TRIP, "a.jpg", A.id)

    shown(tmp_path, body, A)


def test_what_was_sent_is_shown_until_a_listing_had_the_time_to_have_it(tmp_path: Path) -> None:
    async def body(at: Shown) -> None:
        at.sent(at.upload("b.jpg"), B)
        at.server.away = True
        await trio.sleep(LISTED_S * 10)
        assert at.names() == {"b.jpg": "1"}  # could not ask is not gone
        at.server.away = False
        await trio.sleep(LISTED_S * 4)
        assert at.names() == {}
        assert at.queue.items() == []
        asked = at.server.asked
        await trio.sleep(LISTED_S * 10)
        assert at.server.asked == asked

    shown(tmp_path, body)


def test_what_was_sent_into_an_album_that_is_gone_is_done_with(tmp_path: Path) -> None:
    async def body(at: Shown) -> None:
        at.sent(at.upload("b.jpg"), B)
        at.server.gone = True
        await at.looked()
        assert at.queue.items() == []

    shown(tmp_path, body)


@pytest.mark.parametrize(("real_names", "expected"), [(False, {"mine.jpg"}), (True, {"theirs.jpg"})])
def test_the_name_that_was_given_goes_on_where_names_are_no_files(
    real_names: bool, expected: set[str], tmp_path: Path
) -> None:
    async def body(at: Shown) -> None:
        at.sent(at.upload("mine.jpg"), asset("9", "theirs.jpg"))
        at.server.assets = [asset("9", "theirs.jpg")]
        await at.looked()
        assert at.queue.items() == []
        assert set(at.names()) == expected

    shown(tmp_path, body, real_names=real_names)
