"""What the watcher of an Immich notices, what it asks for that, and what it does in trouble."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AlbumId
from iiiffs.model.image import Extent
from iiiffs.providers.immich.provider import ImmichProvider
from iiiffs.providers.views import ALBUMS, LIBRARY, TRASH, Trash
from tests.contract.test_immich_reading import both, on, whole
from tests.fakes import faults
from tests.fakes.immich import ImmichServer
from tests.fakes.immich.records import Album
from tests.fakes.proxy import fault_proxy
from tests.harness.immich_account import account_of, stored

PATIENCE_S = 20.0
POLLS = 12


class Watched:
    """What was reported since the last look."""

    def __init__(self, receive: trio.MemoryReceiveChannel[Changeset]) -> None:
        self._receive = receive

    @property
    def reports(self) -> int:
        """How many nobody has looked at."""
        return self._receive.statistics().current_buffer_used

    async def until(self, *albums: str) -> Changeset:
        """All that was reported until these were. Errors: TooSlowError."""
        found = Changeset(frozenset())
        with trio.fail_after(PATIENCE_S):
            while not found.everything and not set(albums) <= found.albums:
                found |= await self._receive.receive()
        return found

    def drain(self) -> None:
        """What was reported so far is not looked at."""
        while self.reports:
            self._receive.receive_nowait()

    async def everything(self) -> None:
        """That was reported."""
        with trio.fail_after(PATIENCE_S):
            while not (await self._receive.receive()).everything:
                pass


@asynccontextmanager
async def watching(provider: ImmichProvider) -> AsyncIterator[Watched]:
    send, receive = trio.open_memory_channel[Changeset](1000)
    async with trio.open_nursery() as nursery:
        await nursery.start(functools.partial(provider.watch, send.send_nowait))
        yield Watched(receive)
        nursery.cancel_scope.cancel()


async def asked(server: ImmichServer, polls: int, pattern: str = "/albums") -> None:
    """So many more polls have begun."""
    with trio.fail_after(PATIENCE_S):
        goal = server.requests.count(pattern) + polls
        while server.requests.count(pattern) < goal:
            await trio.sleep(0.005)


@both
async def test_a_poll_that_finds_nothing_asks_at_most_three_questions(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    server.add_album("A", [server.add_asset()])
    server.add_assets(50)
    per_poll = 1 if server.version.startswith("3") else 2
    async with watching(provider) as watched:
        server.requests.clear()
        await asked(server, POLLS * per_poll)
        assert server.requests.count() <= 3 * (POLLS + 1)
        assert {one.status for one in server.requests.matching("/albums")} == {304}
        assert server.requests.count("/search/statistics") >= POLLS // 2 - 1
    assert not watched.reports


CHANGES: dict[str, Callable[[ImmichServer], None]] = {
    "added": lambda server: server.join(named(server, "A"), [named_asset(server, "loose.jpg")]),
    "removed": lambda server: server.leave(named(server, "A"), [named_asset(server, "2.jpg")]),
    "trashed": lambda server: server.trash(server.assets[named_asset(server, "2.jpg")]),
    "purged": lambda server: server.purge(server.assets[named_asset(server, "2.jpg")]),
    "edited": lambda server: server.edit(server.assets[named_asset(server, "2.jpg")], description="new"),
    "archived": lambda server: server.edit(server.assets[named_asset(server, "2.jpg")], visibility="archive"),
    "locked": lambda server: server.edit(server.assets[named_asset(server, "2.jpg")], visibility="locked"),
}


def named(server: ImmichServer, name: str) -> Album:
    return next(album for album in server.albums.values() if album.name == name)


def named_asset(server: ImmichServer, name: str) -> str:
    return next(asset.id for asset in server.assets.values() if asset.name == name)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_album_is_reported_and_no_other(change: str) -> None:
    @both
    async def test(server: ImmichServer, provider: ImmichProvider) -> None:
        album = server.add_album("A", [server.add_asset("1.jpg"), server.add_asset("2.jpg"), server.add_asset("3.jpg")])
        server.add_album("B", [server.add_asset("4.jpg")])
        server.add_asset("loose.jpg")
        before = (await provider.listing(AlbumId(album.id))).etag
        async with watching(provider) as watched:
            CHANGES[change](server)
            found = await watched.until(album.id)
            assert found.albums <= {AlbumId(album.id), LIBRARY, *({TRASH} if change == "trashed" else ())}
            assert not found.everything
        after = (await provider.listing(AlbumId(album.id))).etag
        assert after != before or change == "archived"

    for version in ("3.1.0", "2.7.5"):
        test(version)


@both
async def test_what_was_only_put_into_an_album_changes_nothing_else(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    loose, other = server.add_asset("1.jpg"), server.add_asset("2.jpg")
    album = server.add_album("A", [other])
    server.add_album("B", [loose, other])
    async with watching(provider) as watched:
        for change in (server.join, server.leave):
            change(album, [loose.id])
            assert (await watched.until(album.id)).albums == {AlbumId(album.id)}
            await asked(server, 8)
            assert not watched.reports


@both
async def test_albums_that_come_go_or_are_renamed(server: ImmichServer, provider: ImmichProvider) -> None:
    guest = server.add_user("Bob")
    bob = account_of(server, stored(server.add_key(guest).secret))
    async with watching(bob) as watched:
        own = server.add_album("own", owner=guest)
        assert (await watched.until(ALBUMS, own.id)).albums <= {ALBUMS, AlbumId(own.id), LIBRARY}
        shared = server.add_album("shared")
        server.share(shared, guest)
        await watched.until(ALBUMS, shared.id)
        own.name, own.updated = "another", server.clock.now()
        server.changed()
        await watched.until(ALBUMS, own.id)
        server.delete_album(own)
        shared.users.clear()
        server.changed()
        await watched.until(ALBUMS, own.id, shared.id)
    await bob.aclose()


@both
async def test_what_is_in_no_album_is_noticed_too(server: ImmichServer, provider: ImmichProvider) -> None:
    asset = server.add_asset()
    async with watching(provider) as watched:
        for change, trash in (
            (lambda: server.edit(asset, favorite=True), set()),
            (lambda: server.trash(asset), {TRASH}),
            (lambda: server.restore(asset), {TRASH}),
            (lambda: server.edit(asset, favorite=False), set()),
            (lambda: server.purge(asset), set()),
            (lambda: server.add_asset("new.jpg"), set()),
        ):
            change()
            assert (await watched.until(LIBRARY, *trash)).albums == {LIBRARY, *trash}
            await asked(server, 8)  # all kinds of question have told of this change
            watched.drain()


@both
async def test_the_trash_is_watched_once_somebody_looked_into_it(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    first, second = (server.add_asset(f"{number}.jpg", taken="2020-01-01T00:00:00Z") for number in range(2))
    server.trash(first, second)
    for asset in (first, second):
        asset.updated = asset.deleted = server.clock.now() - 86_400_000_000
    server.changed()
    async with watching(provider) as watched:
        assert len(await whole(provider, Trash())) == 2
        await watched.until(TRASH)
        await asked(server, 8)
        watched.drain()
        server.requests.clear()
        await asked(server, 8)
        per_poll = 1 if server.version.startswith("3") else 2
        assert server.requests.count() <= 3 * (8 // per_poll + 1)
        assert not watched.reports
        server.restore(first)
        assert (await watched.until(LIBRARY, TRASH)).albums == {LIBRARY, TRASH}
        await asked(server, 8)
        watched.drain()
        server.purge(second)
        assert (await watched.until(TRASH)).albums == {TRASH}


@both
async def test_an_edit_that_changes_no_figure_reaches_every_listing_that_holds_the_asset(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    """The latest change of an album is one figure: what is updated earlier, by a clock that lags, moves none."""
    one, other = server.add_asset("1.jpg"), server.add_asset("2.jpg")
    other.updated = server.clock.now() + 3_600_000_000
    albums = [server.add_album(title, [one, other]) for title in "AB"]
    apart = server.add_album("C", [other])
    before = [await provider.listing(AlbumId(album.id)) for album in (*albums, apart)]
    async with watching(provider) as watched:
        before = [await provider.listing(AlbumId(album.id)) for album in (*albums, apart)]
        server.edit(one, description="new")
        assert (await watched.until(LIBRARY)).albums == {LIBRARY, *(AlbumId(album.id) for album in albums)}
        after = [await provider.listing(AlbumId(album.id)) for album in (*albums, apart)]
    assert [one.etag == other.etag for one, other in zip(before, after, strict=True)] == [False, False, True]
    described = [{asset.name: asset.described for asset in listing.assets} for listing in (before[0], after[0])]
    assert described[0]["1.jpg"] != described[1]["1.jpg"]
    assert described[0]["2.jpg"] == described[1]["2.jpg"]


@both
async def test_a_listing_that_was_fetched_while_it_changed_is_not_remembered(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    one, other = server.add_asset("1.jpg"), server.add_asset("2.jpg")
    other.updated = server.clock.now() + 3_600_000_000
    album = AlbumId(server.add_album("A", [one, other]).id)
    etags: list[str] = []

    async def fetch() -> None:
        etags.append((await provider.listing(album)).etag)

    pattern = "/search/metadata" if server.version.startswith("3") else rf"/albums/{album}$"
    server.fault(faults.latency(0.2), pattern)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetch)
        await asked(server, 1, pattern)  # its answer is under way
        server.edit(one, description="new")
        assert provider._listings.drop_holding([one.id]) == set()
        assert not etags
    etags.append((await provider.listing(album)).etag)
    assert etags[0] != etags[1]
    assert (await provider.listing(album)).etag == etags[1]


@both
async def test_jobs_that_finish_later_are_picked_up(server: ImmichServer, provider: ImmichProvider) -> None:
    """Dimensions, thumbnails and dates come seconds after an upload, and bump `updatedAt` (§4)."""
    album = server.add_album("A", [server.add_asset("1.jpg")])
    async with watching(provider) as watched:
        server.hold_jobs()
        late = server.add_asset("2.jpg", size_px=(600, 400), processed=False, album=album)
        await watched.until(album.id)
        asset = next(one for one in (await provider.listing(AlbumId(album.id))).assets if one.name == "2.jpg")
        assert await provider.previews(asset) == ()
        await asked(server, 8)
        watched.drain()
        taken = late.taken - 86_400_000_000 * 365
        server.later(lambda: server.edit(late, taken=taken, modified=taken))
        server.release_jobs()
        assert AlbumId(album.id) in (await watched.until(LIBRARY, album.id)).albums
        again = next(one for one in (await provider.listing(AlbumId(album.id))).assets if one.name == "2.jpg")
        assert again.described != asset.described
        assert again.mtime_ns == taken * 1000
        assert (await provider.facts(again)).extent == Extent(600, 400)
        assert [one.name for one in await provider.previews(again)] == ["thumbnail", "preview"]


@on("3.1.0")
async def test_more_late_updates_than_a_page_holds(server: ImmichServer, provider: ImmichProvider) -> None:
    async with watching(provider) as watched:
        server.add_assets(2500)
        await watched.until(LIBRARY)


@both
async def test_without_asset_statistics_the_rest_is_noticed(server: ImmichServer, provider: ImmichProvider) -> None:
    key = server.add_key(permissions=["album.read", "asset.read", "asset.view", "asset.download"])
    limited = account_of(server, stored(key.secret))
    album = server.add_album("A")
    async with watching(limited) as watched:
        server.join(album, [server.add_asset().id])
        await watched.until(album.id)
        assert server.requests.count("/search/statistics") == 1
    await limited.aclose()


@pytest.mark.warns("changes are not noticed at the moment")
@both
async def test_after_trouble_everything_is_looked_at(server: ImmichServer, provider: ImmichProvider) -> None:
    with fault_proxy(server.url) as proxy:
        behind = account_of(server, url=proxy.url)
        async with watching(behind) as watched:
            proxy.away()
            await trio.sleep(0.1)
            proxy.back()
            await watched.everything()
            rule = proxy.fault(faults.html(), times=None)
            await asked_of(rule)
            proxy.faults.clear()
            await watched.everything()
        await behind.aclose()


async def asked_of(rule: faults.Rule) -> None:
    with trio.fail_after(PATIENCE_S):
        while rule.struck < 2:
            await trio.sleep(0.005)


@pytest.mark.warns("changes are not noticed at the moment")
@both
async def test_it_starts_while_the_server_is_away_and_tells_when_it_is_back(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    with fault_proxy(server.url) as proxy:
        proxy.away()
        behind = account_of(server, url=proxy.url)
        async with watching(behind) as watched:
            proxy.back()
            await watched.everything()
        await behind.aclose()


@pytest.mark.warns("changes are not noticed at the moment")
@on("3.1.0")
async def test_a_refused_key_is_not_asked_about_again_and_again(server: ImmichServer, provider: ImmichProvider) -> None:
    async with watching(provider):
        server.revoke()
        await asked(server, 1)
        server.requests.clear()
        await trio.sleep(0.3)
        assert server.requests.count() <= 1


@pytest.mark.warns("the server's clock went back")
@both
async def test_a_clock_that_jumps_hides_nothing(server: ImmichServer, provider: ImmichProvider) -> None:
    server.clock.shift_s = 86_400 * 400
    asset = server.add_asset()
    async with watching(provider) as watched:
        server.clock.shift_s = 0
        await watched.everything()
        server.edit(asset, favorite=True)
        await watched.until(LIBRARY)
        server.clock.shift_s = 86_400 * 400
        server.edit(asset, favorite=False)
        await watched.until(LIBRARY)
