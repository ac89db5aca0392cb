"""What the research of Immich's API found to matter to who reads, fact by fact (§N), where no other test is about it.

Elsewhere: keys, albums and bytes in test_immich_reading.py, scopes of searches in test_immich_views.py, what bumps
which figure in test_immich_watch.py, refusals and lines that break in test_immich_faults.py and test_immich_trouble.py.
"""

from __future__ import annotations

import pytest

from iiiffs.errors import AccessDenied, AssetGone, ProviderUnreachable
from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.model.image import Extent
from iiiffs.providers.immich.provider import ImmichProvider
from iiiffs.providers.views import Everything, Favorites, Found, Trash
from iiiffs.tree.query import parse_query
from tests.contract.test_immich_reading import READ_ONLY, both, listing, names, on, only, whole
from tests.fakes.immich import ImmichServer
from tests.harness.immich_account import account_of, stored

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@both
async def test_the_key_goes_in_its_header_and_in_no_url(server: ImmichServer, provider: ImmichProvider) -> None:
    """§1: an API key is no Bearer token; `?apiKey=` would stand in every log on the way."""
    await provider.authenticate()
    asset = await only(provider, server.add_album("A", [server.add_asset()]))
    original = await provider.open(asset)
    await original.read(0, 10)
    await provider.previews(asset)
    for asked in server.requests:
        assert asked.headers["x-api-key"] == server.key
        assert "authorization" not in asked.headers
        assert server.key not in asked.target


@both
async def test_reading_changes_nothing_and_asks_for_no_permission_beyond_reading(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    """§1: the least a key needs; each route names its permission."""
    album = server.add_album("A", [server.add_asset()])
    reader = account_of(server, stored(server.add_key(permissions=READ_ONLY).secret))
    revision = server.revision
    await reader.authenticate()
    asset = await only(reader, album)
    for question in (reader.albums(), reader.months(), reader.asset(asset.id), reader.facts(asset), reader.open(asset),
                     reader.previews(asset), reader.page(Everything()), reader.page(Favorites()), reader.page(Trash()),
                     reader.page(Found(parse_query("from:2020-01-01")))):  # fmt: skip
        await question
    assert server.revision == revision
    assert {one.status for one in server.requests} == {200}
    await reader.aclose()


@both
async def test_a_missing_permission_is_no_absence(server: ImmichServer, provider: ImmichProvider) -> None:
    """§1, §7: 403 names what is missing."""
    album = server.add_album("A", [server.add_asset()])
    key = server.add_key(permissions=READ_ONLY)
    reader = account_of(server, stored(key.secret))
    asset = await only(reader, album)
    original = await reader.open(asset)
    key.permissions = ()
    for name, question in {
        "album.read": reader.listing(asset.album),
        "asset.read": reader.asset(asset.id),
        "asset.download": original.read(0, 10),
        "asset.view": reader.open_preview(asset, (await provider.previews(asset))[0]),
    }.items():
        with pytest.raises(AccessDenied, match=rf"Missing required permission: {name}"):
            await question
    await reader.aclose()


@both
async def test_unknown_and_foreign_ids_are_gone_though_the_server_says_400(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    """§2, §7: "Not found or no album.read access", never 404."""
    other = server.add_user("Bob")
    foreign = server.add_asset("foreign.jpg", owner=other.id)
    closed = server.add_album("closed", [foreign], owner=other)
    for album in (closed.id, UNKNOWN):
        with pytest.raises(AssetGone):
            await provider.album(AlbumId(album))
        with pytest.raises(AssetGone):
            await provider.listing(AlbumId(album))
    for asset in (foreign.id, UNKNOWN, UNKNOWN.upper().replace("0", "A"), "x"):
        with pytest.raises(AssetGone):
            await provider.asset(AssetId(asset))
    assert {one.status for one in server.requests.matching("/albums/|/assets/")} == {400}


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2000])
def test_albums_end_where_they_end(count: int) -> None:
    """§2: `nextPage` is text or null, `total` is the page's count; 1000 is the most of a page."""

    @both
    async def test(server: ImmichServer, provider: ImmichProvider) -> None:
        album = server.add_album("A")
        server.add_assets(count, album=album)
        found = await listing(provider, album)
        assert len({asset.id for asset in found.assets}) == len(found.assets) == count
        if server.version.startswith("3"):
            assert server.requests.count("/search/metadata") == max(1, -(-count // 1000))

    for version in ("3.1.0", "2.7.5"):
        test(version)


@both
async def test_bursts_are_whole_wherever_a_page_ends(server: ImmichServer, provider: ImmichProvider) -> None:
    """§2: of equal moments 2.x tells some twice and some never, where pages are gone by their numbers."""
    for burst in range(9):
        server.add_assets(300, taken=f"2024-06-{burst + 1:02}T10:00:00.123Z", step_s=0)
    for asset in server.assets.values():
        asset.taken += int(asset.id[:2], 16)  # some microseconds, which answers do not tell
    server.changed()
    found = await whole(provider, Everything())
    assert {asset.id for asset in found} == server.assets.keys()


@both
async def test_a_view_that_grows_while_it_is_paged_loses_nothing(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    server.add_assets(1500)
    known = set(server.assets)
    first = await provider.page(Everything())
    assert not first.is_cut
    server.add_assets(400, taken="2030-01-01T00:00:00Z")  # all pages move on by 400
    found, cursor = {asset.id for asset in first.assets}, first.cursor
    while cursor is not None:
        part = await provider.page(Everything(), cursor)
        found, cursor = found | {asset.id for asset in part.assets}, part.cursor
    assert known <= found


@both
async def test_a_burst_that_is_longer_than_a_page_says_that_it_was_cut(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    server.add_assets(1200, step_s=0)
    server.add_assets(3, taken="2010-01-01T00:00:00Z")
    first = await provider.page(Everything())
    assert first.cursor is not None
    second = await provider.page(Everything(), first.cursor)
    assert (first.is_cut, second.is_cut) == (False, True)
    found = await whole(provider, Everything())
    assert {asset.id for asset in found[-3:]} == set(list(server.assets)[-3:])
    if server.version.startswith("3"):  # 2.x leaves the order open, and `count` tells that some are missing
        assert {asset.id for asset in found} == server.assets.keys()


@on("3.1.0")
async def test_newer_servers_are_asked_in_the_flat_shape(server: ImmichServer, provider: ImmichProvider) -> None:
    """§2: `filter` is ignored before 3.2, which then tells the whole library; 3.2 takes both shapes, never mixed."""
    server.version = "3.2.2"
    album = server.add_album("A", [server.add_asset("1.jpg")])
    server.add_asset("2.jpg")
    assert names((await listing(provider, album)).assets) == ["1.jpg"]
    await provider.page(Favorites())
    bodies = [one.value for one in server.requests.matching("/search/")]
    assert len(bodies) == 2
    for body in bodies:
        assert isinstance(body, dict)
        assert not body.keys() & {"filter", "cursor", "orderBy"}


@both
async def test_an_edited_picture_is_shown_from_its_original(server: ImmichServer, provider: ImmichProvider) -> None:
    """§2, §3: width and height are the edit's, previews show it, and no question tells the length of its file."""
    one = server.add_asset("1.jpg", size_px=(640, 480))
    album = server.add_album("A", [one])
    server.edit(one, edited=True, width=100, height=480)
    asset = await only(provider, album)
    assert (await provider.facts(asset)).extent == Extent(640, 480)
    assert await provider.previews(asset) == ()
    original = await provider.open(asset)
    assert await original.read(0, original.size_bytes) == one.original.read()
    assert not [asked for asked in server.requests if "edited" in asked.query]


@both
async def test_equal_names_in_an_album_are_as_many_assets(server: ImmichServer, provider: ImmichProvider) -> None:
    """§10: IMG_0001.jpg of two phones; §2: names are free text, and the server gives no second one."""
    album = server.add_album("A", [server.add_asset("IMG_0001.jpg", size_px=size) for size in ((64, 48), (48, 64))])
    found = (await listing(provider, album)).assets
    assert names(found) == ["IMG_0001.jpg"] * 2
    assert len({asset.id for asset in found}) == len({asset.checksum for asset in found}) == 2


@both
async def test_an_archived_cover_an_empty_album_and_one_of_trash(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    """§2: `assetCount` leaves out the trash and counts archived ones; an album that shows nothing has no dates."""
    trashed = server.add_asset("trashed.jpg")
    server.add_album("empty")
    server.add_album("trash", [trashed])
    server.add_album("archive", [server.add_asset("a.jpg", visibility="archive")])
    server.trash(trashed)
    counts = {album.title: len((await provider.listing(album.id)).assets) for album in await provider.albums()}
    assert counts == {"empty": 0, "trash": 0, "archive": 1}
    assert server.requests.count("/albums/") == (3 if server.version.startswith("3") else 6)  # none asked twice


@on("3.1.0")
async def test_more_people_than_a_page(server: ImmichServer, provider: ImmichProvider) -> None:
    """§2: `hasNextPage`."""
    for number in range(1003):
        server.add_person(f"P{number}")
    assert len({one.id for one in await provider.people()}) == 1003
    assert server.requests.count("/people") == 2


@both
async def test_videos_last_as_long_in_both_spellings(server: ImmichServer, provider: ImmichProvider) -> None:
    """§2, §8: milliseconds or null, and "00:00:02.000" or "0:00:00.00000"."""
    album = server.add_album("A", [server.add_asset("1.mp4", duration_ms=3_723_250), server.add_asset("2.jpg")])
    lengths = {one.name: (await provider.facts(one)).duration_s for one in (await listing(provider, album)).assets}
    assert lengths == {"1.mp4": 3723.25, "2.jpg": None}


@both
async def test_what_lies_in_the_trash_is_still_a_file(server: ImmichServer, provider: ImmichProvider) -> None:
    """§3, §5: trashed originals are sent, and go back to their albums; only from the trash are they opened."""
    one = server.add_asset("1.jpg")
    album = server.add_album("A", [one])
    asset = await only(provider, album)
    server.trash(one)
    with pytest.raises(AssetGone):
        await provider.open(asset)
    (binned,) = await whole(provider, Trash())
    original = await provider.open(binned)
    assert await original.read(0, original.size_bytes) == one.original.read()
    server.restore(one)
    assert await whole(provider, Trash()) == []
    assert await only(provider, album) == asset


@both
async def test_what_is_locked_away_is_nowhere(server: ImmichServer, provider: ImmichProvider) -> None:
    """§2: keys do not see the locked folder, and get 400, 401 or 404 instead."""
    one = server.add_asset("1.jpg", favorite=True)
    album = server.add_album("A", [one, server.add_asset("2.jpg")])
    asset = next(asset for asset in (await listing(provider, album)).assets if asset.name == "1.jpg")
    server.edit(one, visibility="locked")
    assert names((await listing(provider, album)).assets) == ["2.jpg"]
    for view in (Everything(), Favorites(), Trash()):
        assert one.id not in {found.id for found in await whole(provider, view)}
    with pytest.raises(AssetGone):
        await provider.open(asset)


@both
async def test_validation_that_fails_is_told_and_no_absence(server: ImmichServer, provider: ImmichProvider) -> None:
    """§7: a 400 is gone only where it says "Not found or no"; both shapes of errors are told."""
    server.strict = False
    server.settings.smart_search = True
    with pytest.raises(ProviderUnreachable, match="400"):
        await provider._client.smart("", {})
    with pytest.raises(ProviderUnreachable, match="400"):
        await provider._client.search({}, size=1001)
