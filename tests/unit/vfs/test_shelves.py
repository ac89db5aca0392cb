"""Views of a library as listings: whole though pages shift, asked for once, shown as they were while nobody can be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from iiiffs.errors import AccessDenied, AssetGone, DeadlinePassed, NotOffered, ProviderUnreachable
from iiiffs.model.changes import EVERYTHING, Changeset
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Version
from iiiffs.providers.views import ALBUMS, LIBRARY
from iiiffs.tree.query import parse_query, query_album_id
from iiiffs.vfs import shelves
from iiiffs.vfs.known_assets import KnownAssets
from iiiffs.vfs.reading import Deadlines
from iiiffs.vfs.shelved import ShelvedGallery
from tests.harness.shelved import ShelvedMemory
from tests.harness.tree import tree_of

JUNE = AlbumId("timeline~2024-06")
FAVORITES = AlbumId("favorites")
QUICK = Deadlines(lookup_s=0.05, list_s=0.2)
"""For servers that never answer; one that does, on a busy machine, has longer."""
PATIENT = Deadlines(lookup_s=20.0, list_s=20.0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "SETTLE_S", 0.001)
    monkeypatch.setattr("iiiffs.vfs.gallery.CONFIRM_S", 0.001)


@asynccontextmanager
async def account(folder: Path, provider: ShelvedMemory, *, watched: bool = False) -> AsyncIterator[ShelvedGallery]:
    async with tree_of(folder, {"home": provider}, deadlines=PATIENT) as tree:
        (gallery,) = tree.galleries.values()
        assert isinstance(gallery, ShelvedGallery)
        if watched:
            gallery.watched_since_s = trio.current_time()
        yield gallery


async def numbers(gallery: ShelvedGallery, album: AlbumId) -> list[int]:
    return sorted(int(asset.id[1:]) for asset in (await gallery.listing(album)).assets)


def library(count: int, page_size: int = 3) -> ShelvedMemory:
    provider = ShelvedMemory(page_size)
    for number in range(count):
        provider.take(number)
    return provider


def test_the_tree_of_shelves(tmp_path: Path) -> None:
    provider = library(4)
    provider.take(9, "2023-12")
    trip, other = provider.hold("b", "Trip", [0, 1]), provider.hold("a", "Trip", [1])

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            assert list(gallery.tops) == ["albums", "timeline", "favorites", "people", "tags", "trash"]
            assert [album.title for album in (await gallery.listing(AlbumId("timeline"))).albums] == ["2023", "2024"]
            assert await numbers(gallery, JUNE) == [0, 1, 2, 3]
            assert await gallery.path(await gallery.album(JUNE)) == ("timeline", "2024", "2024-06")
            assert await gallery.path(await gallery.album(other)) == ("albums", "Trip")
            (first, *_), second = await gallery.path(await gallery.album(trip)), await gallery.names(ALBUMS)
            assert first == "albums"
            assert second.name_of(trip) != "Trip"
            people = await gallery.names(AlbumId("people"))
            assert len(people.entries) == 2
            assert "Anna" in people.entries
            query = query_album_id(parse_query("note"))
            assert await gallery.path(await gallery.album(query)) == ("search", "note")
            assert [asset.album for asset in (await gallery.listing(query)).assets] == [query] * 5

    trio.run(scenario)


@pytest.mark.parametrize("album", ["timeline~2024-07", "timeline~1999", "person~p9", "tag~x", "no album"])
def test_what_is_not_there_is_gone(tmp_path: Path, album: str) -> None:
    async def scenario() -> None:
        async with account(tmp_path, library(2)) as gallery:
            for question in (gallery.album, gallery.listing):
                with pytest.raises(AssetGone):
                    await question(AlbumId(album))

    trio.run(scenario)


@pytest.mark.parametrize("counts", [True, False])
def test_an_asset_that_goes_between_two_pages_makes_nobody_vanish(tmp_path: Path, counts: bool) -> None:
    provider = library(9)
    provider.counts = counts

    def shift() -> None:
        provider.between_pages = None
        provider.lose(0)

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            provider.between_pages = shift
            assert await numbers(gallery, FAVORITES) == [1, 2, 3, 4, 5, 6, 7, 8]

    trio.run(scenario)


def test_a_view_that_never_holds_still_is_an_error_and_never_a_part(tmp_path: Path) -> None:
    provider = library(30)

    def shift() -> None:
        provider.take(100 + len(provider.assets))
        provider.lose(min(int(id[1:]) for id in provider.assets))

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            provider.counts = False
            provider.between_pages = shift
            with pytest.raises((ProviderUnreachable, DeadlinePassed)):
                await gallery.listing(FAVORITES)

    trio.run(scenario)


def test_a_search_that_is_not_offered_is_said_to_be_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with account(tmp_path, library(1)) as gallery:
            with pytest.raises(NotOffered):
                await gallery.album(query_album_id(parse_query("smart:boat")))

    trio.run(scenario)


def test_while_it_is_watched_nothing_is_asked_twice(tmp_path: Path) -> None:
    provider = library(4)
    trip = provider.hold("trip", "Trip", [0, 1])

    async def look(gallery: ShelvedGallery) -> None:
        await gallery.path(await gallery.album(trip))
        for asset in (await gallery.listing(trip)).assets:
            assert (await gallery.asset(asset.id)).version == asset.version
        assert await numbers(gallery, JUNE) == [0, 1, 2, 3]
        assert isinstance(await gallery.find(trip, "note 1.txt"), Asset)
        assert await gallery.find(trip, "note 2.txt") is None

    async def scenario() -> None:
        async with account(tmp_path, provider, watched=True) as gallery:
            await look(gallery)
            asked = sum(provider.asked.values())
            await look(gallery)
            assert sum(provider.asked.values()) == asked
            provider.hold("trip", "Trip", [0, 1, 3])
            assert gallery.changed(Changeset(frozenset({trip}))) == {trip, ALBUMS}
            assert len((await gallery.listing(trip)).assets) == 3
            await look_again(gallery)

    async def look_again(gallery: ShelvedGallery) -> None:
        asked = provider.asked["page"]
        await gallery.listing(JUNE)
        assert provider.asked["page"] == asked, "a changed album says nothing of the timeline"
        for changes in (Changeset(frozenset({LIBRARY})), EVERYTHING):
            gallery.changed(changes)
            await gallery.listing(JUNE)
            assert provider.asked["page"] > asked
            asked = provider.asked["page"]
        questions = provider.asked["asset"]
        gallery.changed(EVERYTHING)
        await gallery.asset(AssetId("a003"))
        assert provider.asked["asset"] == questions + 1

    trio.run(scenario)


@pytest.mark.parametrize("how", ["fails", "denied", "hangs", "trouble"])
def test_who_cannot_be_asked_is_shown_as_it_was_also_after_a_restart(tmp_path: Path, how: str) -> None:
    provider = library(7)
    trip = provider.hold("trip", "Trip", [0, 1])

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            await gallery.listing(ALBUMS)
            await gallery.listing(trip)
            await numbers(gallery, JUNE)
            await gallery.listing(FAVORITES)
        match how:
            case "fails":
                provider.fails = ProviderUnreachable("down")
            case "denied":
                provider.fails = AccessDenied("no key")
            case "hangs":
                provider.hangs = True
            case "trouble":
                provider.trouble = "down"
                provider.fails = ProviderUnreachable("down")
        for _ in range(2):
            async with account(tmp_path, provider) as gallery:
                gallery.deadlines = QUICK
                assert await numbers(gallery, JUNE) == [0, 1, 2, 3, 4, 5, 6]
                assert await gallery.path(await gallery.album(trip)) == ("albums", "Trip")
                assert (await gallery.asset(AssetId("a006"))).name == "note 6.txt"
                with pytest.raises((ProviderUnreachable, DeadlinePassed, AccessDenied)):
                    await gallery.listing(AlbumId("tags"))
                with pytest.raises((ProviderUnreachable, DeadlinePassed, AccessDenied)):
                    await gallery.asset(AssetId("a999"))

    trio.run(scenario)


def test_an_album_that_is_gone_is_forgotten_on_the_disk_too(tmp_path: Path) -> None:
    provider = library(2)
    trip = provider.hold("trip", "Trip", [0, 1])

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            await gallery.listing(ALBUMS)
            await gallery.listing(trip)
            del provider.held[trip]
            await trio.sleep(0.001)
            with pytest.raises(AssetGone):
                await gallery.album(trip)
        provider.fails = ProviderUnreachable("down")
        async with account(tmp_path, provider) as gallery:
            with pytest.raises((AssetGone, ProviderUnreachable)):
                await gallery.listing(trip)

    trio.run(scenario)


def test_a_mass_loss_is_asked_for_twice(tmp_path: Path) -> None:
    provider = library(12)

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            await gallery.listing(FAVORITES)
            pages = provider.asked["page"]
            for number in range(10):
                provider.lose(number)
            await trio.sleep(0.001)
            assert await numbers(gallery, FAVORITES) == [10, 11]
            assert provider.asked["page"] == pages + 2

    trio.run(scenario)


def test_a_listing_that_was_overtaken_by_a_report_is_asked_again(tmp_path: Path) -> None:
    provider = library(7)

    async def scenario() -> None:
        async with account(tmp_path, provider, watched=True) as gallery:

            def report() -> None:
                provider.between_pages = None
                gallery.changed(Changeset(frozenset({LIBRARY})))

            provider.between_pages = report
            await gallery.listing(FAVORITES)
            pages = provider.asked["page"]
            await gallery.listing(FAVORITES)
            assert provider.asked["page"] > pages
            pages = provider.asked["page"]
            await gallery.listing(FAVORITES)
            assert provider.asked["page"] == pages

    trio.run(scenario)


def test_links_count_the_names_that_are_known(tmp_path: Path) -> None:
    provider = library(4)
    trip, other = provider.hold("trip", "Trip", [0, 1]), provider.hold("other", "Other", [1])
    query = query_album_id(parse_query("note"))

    async def scenario() -> None:
        async with account(tmp_path, provider, watched=True) as gallery:
            one = AssetId("a001")
            assert gallery.links(one) == 1
            await gallery.listing(trip)
            assert gallery.links(one) == 2
            await gallery.listing(JUNE)
            assert gallery.links(one) == 2
            await gallery.listing(other)
            assert gallery.links(one) == 3
            await gallery.listing(query)
            await gallery.listing(AlbumId("trash"))
            assert gallery.links(one) == 3
            provider.hold("other", "Other", [0])
            gallery.changed(Changeset(frozenset({other})))
            await gallery.listing(other)
            assert gallery.links(one) == 2

    trio.run(scenario)


def test_the_moving_half_of_a_live_photo_is_found_beside_it(tmp_path: Path) -> None:
    provider = library(2)
    half = provider.take(7, name="other name.MOV")
    provider.take(8, motion=half.id, name="IMG_8.HEIC")
    trip = provider.hold("trip", "Trip", [8])

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            found = await gallery.find(trip, "IMG_8~live.mov")
            assert isinstance(found, Asset)
            assert (found.id, found.album, found.name) == (half.id, trip, "IMG_8~live.mov")
            assert gallery.motion(AssetId("a008")) == half.id
            for name in ("IMG_8~live.mp4", "IMG_9~live.mov", "IMG_8~live.HEIC", "~live.mov"):
                assert await gallery.find(trip, name) is None

    trio.run(scenario)


def test_the_collection_of_the_account_leaves_out_what_is_empty_or_not_allowed(tmp_path: Path) -> None:
    provider = library(2)
    provider.denies_people = True

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            top = await gallery.top()
            assert [album.id for album in top.albums] == ["timeline", "favorites", "tags"]
            assert await gallery.path(top.album) == ()
            provider.hold("trip", "Trip", [0])
            await trio.sleep(0.001)
            again = await gallery.top()
            assert [album.id for album in again.albums] == ["albums", "timeline", "favorites", "tags"]
            assert again.etag != top.etag
            assert await gallery.top(is_asked=False) == again

    trio.run(scenario)


def test_an_album_says_what_stands_for_it(tmp_path: Path) -> None:
    provider = library(3)
    trip = provider.hold("trip", "Trip", [1, 2])

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            (album,) = (await gallery.listing(ALBUMS)).albums
            assert isinstance(album, Album)
            assert (album.id, album.parent, album.count, album.cover) == (trip, ALBUMS, 2, "a001")
            assert provider.asked["asset"] == 0

    trio.run(scenario)


def test_a_silent_server_is_waited_for_once_where_something_is_known(tmp_path: Path) -> None:
    provider = library(4)
    trip, other = provider.hold("trip", "Trip", [0, 1]), provider.hold("other", "Other", [1])

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            for album in (trip, other):
                await gallery.listing(album)
            provider.hangs = True
            gallery.deadlines = QUICK
            assert await numbers(gallery, trip) == [0, 1]
            gallery.deadlines = Deadlines(lookup_s=3600.0, list_s=3600.0)
            with trio.fail_after(30.0):
                assert await numbers(gallery, trip) == [0, 1]
                assert await numbers(gallery, other) == [1]
                assert (await gallery.asset(AssetId("a001"))).id == "a001"
            provider.hangs = False

    trio.run(scenario)


def test_news_of_the_library_costs_albums_nothing(tmp_path: Path) -> None:
    provider = library(4)
    trip = provider.hold("trip", "Trip", [0, 1])

    async def scenario() -> None:
        async with account(tmp_path, provider, watched=True) as gallery:
            await gallery.listing(trip)
            asked = provider.asked["album"]
            gallery.changed(Changeset(frozenset({LIBRARY})))
            await gallery.listing(trip)
            assert provider.asked["album"] == asked

    trio.run(scenario)


def test_what_left_an_album_is_asked_for_anew(tmp_path: Path) -> None:
    provider = library(4)
    trip = provider.hold("trip", "Trip", [0, 1])

    async def scenario() -> None:
        async with account(tmp_path, provider, watched=True) as gallery:
            await gallery.listing(trip)
            provider.hold("trip", "Trip", [1])
            provider.lose(0)
            gallery.changed(Changeset(frozenset({trip})))
            assert await numbers(gallery, trip) == [1]
            with pytest.raises(AssetGone):
                await gallery.asset(AssetId("a000"))

    trio.run(scenario)


def test_a_name_that_was_told_stays_with_whom_it_was_told_of(tmp_path: Path) -> None:
    provider = library(2)
    first = provider.hold("b", "Trip", [0])

    async def names(gallery: ShelvedGallery) -> dict[str, str]:
        return {entry.id: name for name, entry in (await gallery.names(ALBUMS)).entries.items()}

    async def scenario() -> None:
        async with account(tmp_path, provider) as gallery:
            assert await names(gallery) == {first: "Trip"}
            second = provider.hold("a", "Trip", [1])
            await trio.sleep(0.001)
            told = await names(gallery)
            assert told[first] == "Trip"
            assert told[second] not in ("", "Trip")
        for _ in range(2):
            async with account(tmp_path, provider) as gallery:
                assert await names(gallery) == told
        del provider.held[first]
        async with account(tmp_path, provider) as gallery:
            assert await names(gallery) == {second: told[second]}
        provider.hold("a", "Journey", [1])
        async with account(tmp_path, provider) as gallery:
            assert await names(gallery) == {second: "Journey"}

    trio.run(scenario)


def test_what_gave_way_is_read_from_the_disk_and_asked_again_once_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iiiffs.vfs.shelved.ASSETS_KEPT", 3)
    provider = library(6)
    first, second = provider.hold("a", "A", [0, 1, 2]), provider.hold("b", "B", [2, 3, 4])

    async def scenario() -> None:
        async with account(tmp_path, provider, watched=True) as gallery:
            assert await numbers(gallery, first) == [0, 1, 2]
            assert await numbers(gallery, second) == [2, 3, 4]
            asked = sum(provider.asked.values())
            assert gallery.kept(first) is None
            before = await gallery.last(first)
            assert before is not None
            assert len(before.listing.assets) == 3
            assert gallery.links(AssetId("a002")) == 3
            for album, held in ((first, [0, 1, 2]), (second, [2, 3, 4])) * 2:
                assert await numbers(gallery, album) == held
            assert sum(provider.asked.values()) == asked
            provider.hold("a", "A", [0, 1])
            assert gallery.changed(Changeset(frozenset({first}))) >= {first}
            assert await numbers(gallery, first) == [0, 1]
            assert gallery.links(AssetId("a002")) == 2

    trio.run(scenario)


def test_what_is_known_of_an_asset_is_all_that_was_told() -> None:
    known = KnownAssets()
    checksum = bytes(range(20))
    id = AssetId("0af3c2de-1111-4222-8333-944455556666")
    whole = Asset(
        id, AlbumId("a"), "b\udcff.jpg", Version(f"sha1-{checksum.hex()}"), 5, 6, 7, "image/jpeg", checksum, "d", id
    )
    plain = Asset(AssetId("n1"), AlbumId("b"), "c", Version("v"), None, 0, 0, "image/png", checksum)
    for asset in (whole, plain):
        known.note(asset, 1.0)
        found = known.find(asset.id)
        assert found is not None
        assert (found.asset, found.asked_s) == (asset, 1.0)
    known.count(AlbumId("a"), [id], 1)
    known.forget(id)
    assert (known.find(id), known.links(id), len(known)) == (None, 2, 1)
    known.count(AlbumId("a"), [id], -1)
    assert known.links(id) == 1
