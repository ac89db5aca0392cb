"""What is particular to Immich when it is read: the facts of the research, on the fake, in both dialects."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
import trio

from iiiffs.errors import AccessDenied, AssetGone, ConfigError, ProviderUnreachable, VersionChanged
from iiiffs.model.gallery import AlbumId, Asset, AssetId, Listing
from iiiffs.model.image import Extent
from iiiffs.providers.base import previews_of
from iiiffs.providers.immich import api_url, open_provider, probe
from iiiffs.providers.immich.provider import ImmichProvider
from iiiffs.providers.views import LIBRARY, View
from iiiffs.render.headers import read_facts
from tests.fakes import faults
from tests.fakes.immich import ImmichServer, immich
from tests.fakes.immich.faults import inconsistent_page
from tests.fakes.immich.originals import Original
from tests.fakes.immich.records import Album, Camera, Place
from tests.harness.immich_account import account_of, context_of, stored

LIBRARY_ID = "9f6c2f3e-0f6b-4c8e-8a55-1a7f2d1c3b4e"
READ_ONLY = ("album.read", "asset.read", "asset.view", "asset.download", "user.read")
Test = Callable[[ImmichServer, ImmichProvider], Awaitable[None]]


def on(*versions: str) -> Callable[[Test], Callable[[str], None]]:
    """A test of a server of each version, with an account that is closed at the end."""

    def decorate(test: Test) -> Callable[[str], None]:
        @functools.wraps(test)
        def run(version: str) -> None:
            async def inside() -> None:
                with immich(version) as server:
                    provider = account_of(server)
                    try:
                        await test(server, provider)
                    finally:
                        await provider.aclose()

            trio.run(inside)

        del run.__wrapped__  # pytest would ask for the arguments of `test`
        return pytest.mark.parametrize("version", versions)(run)

    return decorate


both = on("3.1.0", "2.7.5")


async def listing(provider: ImmichProvider, album: Album) -> Listing:
    return await provider.listing(AlbumId(album.id))


async def only(provider: ImmichProvider, album: Album) -> Asset:
    (asset,) = (await listing(provider, album)).assets
    return asset


async def whole(provider: ImmichProvider, view: View) -> list[Asset]:
    found, cursor = list[Asset](), None
    while True:
        page = await provider.page(view, cursor)
        found += page.assets
        if (cursor := page.cursor) is None:
            return found


def names(assets: list[Asset] | tuple[Asset, ...]) -> list[str]:
    return [asset.name for asset in assets]


# ---- the server and the key -----------------------------------------------------------------------------------


@both
async def test_a_key_that_may_read_is_enough(server: ImmichServer, provider: ImmichProvider) -> None:
    key = server.add_key(permissions=READ_ONLY)
    album = server.add_album("A", [server.add_asset()])
    limited = account_of(server, stored(key.secret))
    await limited.authenticate()
    original = await limited.open(await only(limited, album))
    assert len(await original.read(0, original.size_bytes)) == original.size_bytes
    assert [one.title for one in await limited.albums()] == ["A"]
    await limited.aclose()


@both
async def test_what_a_key_lacks_is_said_at_once(server: ImmichServer, provider: ImmichProvider) -> None:
    key = server.add_key(permissions=["album.read", "asset.read"])
    limited = account_of(server, stored(key.secret))
    with pytest.raises(AccessDenied, match=r"lacks asset\.view, asset\.download"):
        await limited.authenticate()
    await limited.aclose()


@both
async def test_a_revoked_key_is_asked_about_once_until_somebody_logs_in(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    keys = [server.key, server.add_key().secret]
    changing = account_of(server, stored(lambda: keys[0]))
    await changing.authenticate()
    server.revoke()
    server.requests.clear()
    for _ in range(5):
        with pytest.raises(AccessDenied, match="iiiffs login home"):
            await changing.albums()
    assert server.requests.count() == 1
    del keys[0]
    await changing.authenticate()
    assert await changing.albums() == []
    await changing.aclose()


@on("3.1.0")
async def test_extra_headers_go_with_every_question(server: ImmichServer, provider: ImmichProvider) -> None:
    account = account_of(server, stored(server.key, {"CF-Access-Client-Secret": "proxy-secret"}))
    await account.authenticate()
    assert {one.headers["cf-access-client-secret"] for one in server.requests} == {"proxy-secret"}
    await account.aclose()


@pytest.mark.parametrize(
    "secrets",
    [{}, {"api_key": ""}, {"api_key": 7}, {"api_key": "k\n"}, {"api_key": "k", "headers": {"a b": "c"}},
     {"api_key": "k", "headers": {"a": "c\r\nd: e"}}, {"api_key": "k", "headers": "no"}],
)  # fmt: skip
def test_secrets_that_can_be_none_are_refused_without_a_question(secrets: dict[str, object]) -> None:
    async def say() -> dict[str, object]:
        return secrets

    async def ask() -> None:
        with immich() as server:
            account = account_of(server, say)
            with pytest.raises(AccessDenied, match=r"log in again|iiiffs login"):
                await account.authenticate()
            assert server.requests.count() == 0
            await account.aclose()

    trio.run(ask)


@pytest.mark.parametrize(
    ("url", "found"),
    [("https://p.org", "https://p.org/api"), ("http://p.org:2283/", "http://p.org:2283/api"),
     ("https://p.org/photos/api/", "https://p.org/photos/api")],
)  # fmt: skip
def test_urls_lead_to_the_api(url: str, found: str) -> None:
    assert api_url(url, "account.home.url") == found


@pytest.mark.parametrize("url", [None, "", "p.org", "ftp://p.org", "https://me:pw@p.org", "https://p.org/?apiKey=x"])
def test_other_urls_are_slips(url: object) -> None:
    with pytest.raises(ConfigError, match=r"account\.home\.url"):
        api_url(url, "account.home.url")


@pytest.mark.parametrize("settings", [{"poll": 0}, {"poll": "often"}, {"ca_file": 3}, {"ca_file": "/nowhere.pem"}])
def test_other_settings_are_slips(settings: dict[str, object]) -> None:
    with immich() as server, pytest.raises(ConfigError, match=r"account\.home\."):
        open_provider(context_of(server, settings=settings))


@both
async def test_maintenance_mode_is_no_absence(server: ImmichServer, provider: ImmichProvider) -> None:
    album = server.add_album("A", [server.add_asset()])
    asset = await only(provider, album)
    server.settings.maintenance = True
    with pytest.raises(ProviderUnreachable, match="maintenance"):
        await provider.authenticate()
    for question in (provider.albums(), listing(provider, album), provider.asset(asset.id), provider.open(asset)):
        with pytest.raises(ProviderUnreachable, match="maintenance"):
            await question
    server.settings.maintenance = False
    assert await only(provider, album) == asset


@on("2.7.5")
async def test_a_server_may_be_upgraded_under_a_mount(server: ImmichServer, provider: ImmichProvider) -> None:
    album = server.add_album("A", [server.add_asset("1.jpg"), server.add_asset("2.jpg", visibility="archive")])
    assert len((await listing(provider, album)).assets) == 2
    server.version = "3.1.0"
    server.join(album, [server.add_asset("3.jpg").id])
    server.strict = False  # the first question is still one of 2.x
    assert len((await listing(provider, album)).assets) == 3
    server.strict = True
    server.join(album, [server.add_asset("4.jpg").id])
    assert len((await listing(provider, album)).assets) == 4
    assert server.requests.count("/server/version") == 2


@both
async def test_the_probe_says_who_is_let_in_and_what_is_missing(server: ImmichServer, provider: ImmichProvider) -> None:
    settings = {"url": server.url}
    server.add_album("A")
    assert (
        await probe(settings, {"api_key": server.key}) == f"Immich {server.version} lets the key 'iiiffs' in: 1 album"
    )
    limited = server.add_key(permissions=READ_ONLY).secret
    said = await probe(settings, {"api_key": limited})
    assert "with asset.statistics, person.read, tag.read it would show more" in said
    assert said.endswith("; it may only read, for it lacks asset.upload, albumAsset.create")
    with pytest.raises(AccessDenied, match="make another one there"):
        await probe(settings, {"api_key": "wrong-key"})
    with pytest.raises(ConfigError, match=r"^url: "):
        await probe({"url": "p.org"}, {"api_key": "wrong-key"})


# ---- albums ---------------------------------------------------------------------------------------------------


@both
async def test_own_and_shared_albums_with_equal_and_odd_names(server: ImmichServer, provider: ImmichProvider) -> None:
    guest = server.add_user("Bob")
    titles = ["A", "A", "", "a/b", "..", "line\nbreak"]
    for title in titles:
        server.share(server.add_album(title), guest)
    server.add_album("not shared")
    server.add_album("own", owner=guest)
    bob = account_of(server, stored(server.add_key(guest).secret))
    albums = await bob.albums()
    assert sorted(album.title for album in albums) == sorted([*titles, "own"])
    assert len({album.id for album in albums}) == len(titles) + 1
    assert {album.parent for album in albums} == {None}
    await bob.aclose()


@both
async def test_a_guest_sees_all_of_a_shared_album(server: ImmichServer, provider: ImmichProvider) -> None:
    guest = server.add_user("Bob")
    album = server.add_album("A", [server.add_asset("1.jpg"), server.add_asset("2.jpg", visibility="archive")])
    server.share(album, guest)
    bob = account_of(server, stored(server.add_key(guest).secret))
    assert sorted(names((await listing(bob, album)).assets)) == ["1.jpg", "2.jpg"]
    album.users.clear()
    server.changed()
    with pytest.raises(AssetGone):
        await listing(bob, album)
    await bob.aclose()


@both
async def test_albums_hold_archived_ones_and_never_hidden_locked_or_trashed(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    clip = server.add_asset("IMG_L.mov", visibility="hidden")
    shown = [
        server.add_asset("1.jpg"),
        server.add_asset("2.jpg", visibility="archive"),
        server.add_asset("IMG_L.heic", live_video=clip.id),
        server.add_asset("clip.mp4"),
    ]
    hidden = [clip, server.add_asset("3.jpg", visibility="locked"), server.add_asset("4.jpg")]
    album = server.add_album("A", [*shown, *hidden])
    server.trash(hidden[-1])
    found = await listing(provider, album)
    assert sorted(names(found.assets)) == sorted(one.name for one in shown)
    live = next(asset for asset in found.assets if asset.name == "IMG_L.heic")
    half = await provider.motion(live)
    assert half is not None
    assert (half.id, half.name, half.media_type) == (clip.id, "IMG_L.mov", "video/quicktime")
    original = await provider.open(half)
    assert await original.read(0, 1 << 20) == clip.original.read()
    assert await provider.motion(found.assets[0]) is None or found.assets[0] == live
    for gone in hidden[1:]:
        with pytest.raises(AssetGone):
            await provider.asset(AssetId(gone.id))


@on("3.1.0")
async def test_a_listing_is_paged_and_never_asked_asset_by_asset(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    album = server.add_album("A")
    server.add_assets(2500, album=album)
    found = await listing(provider, album)
    assert len(found.assets) == len({asset.id for asset in found.assets}) == 2500
    assert server.requests.count("/search/metadata") == 3
    for asset in found.assets[:200]:
        assert (await provider.facts(asset)).extent is not None
    assert server.requests.count() == 6  # the version, the album, the user, three pages
    assert await listing(provider, album) == found
    assert server.requests.count() == 7


@on("2.7.5")
async def test_a_listing_of_2_is_one_answer(server: ImmichServer, provider: ImmichProvider) -> None:
    album = server.add_album("A")
    server.add_assets(2500, album=album)
    assert len((await listing(provider, album)).assets) == 2500
    assert server.requests.count("/search/metadata") == 0
    assert server.requests.count() == 3
    await listing(provider, album)
    assert server.requests.count() == 4


@on("3.1.0")
async def test_a_page_that_lost_an_asset_is_not_believed(server: ImmichServer, provider: ImmichProvider) -> None:
    album = server.add_album("A")
    server.add_assets(1200, album=album)
    server.fault(inconsistent_page(), "/search/metadata")
    assert len((await listing(provider, album)).assets) == 1200


@on("3.1.0")
async def test_assets_without_exif_are_listed_without_size(server: ImmichServer, provider: ImmichProvider) -> None:
    album = server.add_album("A", [server.add_asset("1.jpg"), server.add_asset("2.jpg", has_exif=False)])
    found = {asset.name: asset for asset in (await listing(provider, album)).assets}
    assert found["1.jpg"].size_bytes == server.assets[found["1.jpg"].id].size
    assert found["2.jpg"].size_bytes is None
    original = await provider.open(found["2.jpg"])
    assert original.size_bytes == server.assets[found["2.jpg"].id].size


@both
async def test_a_changed_album_makes_only_itself_new(server: ImmichServer, provider: ImmichProvider) -> None:
    albums = [server.add_album(title, [server.add_asset(f"{title}.jpg")]) for title in "AB"]
    before = [await listing(provider, album) for album in albums]
    server.leave(albums[0], list(albums[0].members))
    after = [await listing(provider, album) for album in albums]
    assert after[0].etag != before[0].etag
    assert after[1] is before[1]


@both
async def test_what_is_processed_later_is_picked_up(server: ImmichServer, provider: ImmichProvider) -> None:
    server.hold_jobs()
    album = server.add_album("A", [server.add_asset("1.jpg", size_px=(600, 400), processed=False)])
    asset = await only(provider, album)
    facts = await provider.facts(asset)  # from the bytes: the server knows nothing yet
    assert facts.extent == Extent(600, 400)
    before = (await listing(provider, album)).etag
    assert await provider.previews(asset) == ()
    server.release_jobs()
    after = await listing(provider, album)
    assert after.etag != before
    assert after.assets[0].version == asset.version
    assert [preview.name for preview in await provider.previews(asset)] == ["thumbnail", "preview"]


@both
async def test_an_asset_keeps_the_album_of_the_last_listing_and_is_one_question(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    one = server.add_asset()
    first, second = server.add_album("A", [one]), server.add_album("B", [one])
    asset = AssetId(one.id)
    assert (await provider.asset(asset)).album == LIBRARY
    for album in (first, second):
        (listed,) = (await listing(provider, album)).assets
        server.requests.clear()
        assert await provider.asset(asset) == listed
        assert [one.path for one in server.requests] == [f"/api/assets/{asset}"]
    server.leave(second, [one.id])
    assert (await provider.asset(asset)).album == second.id
    server.purge(one)
    with pytest.raises(AssetGone):
        await provider.asset(asset)


# ---- assets and bytes -----------------------------------------------------------------------------------------


@both
async def test_facts_agree_with_the_bytes(server: ImmichServer, provider: ImmichProvider) -> None:
    kinds = ["1.jpg", "2.png", "3.webp", "4.gif", "5.heic", "6.tif", "7.mp4", "8.dng"]
    made = [server.add_asset(name, size_px=(320, 240)) for name in kinds]
    made.append(server.add_asset("turned.jpg", size_px=(240, 320), orientation="6"))
    album = server.add_album("A", made)
    for asset in (await listing(provider, album)).assets:
        told = await provider.facts(asset)
        original = await provider.open(asset)
        with io.BytesIO(await original.read(0, original.size_bytes)) as stream:
            read = read_facts(stream, asset.name)
        assert (told.extent, told.error) == (read.extent, read.error), asset.name
        if asset.name not in ("5.heic", "8.dng"):
            assert told.media_type == read.media_type
        assert told.duration_s == pytest.approx(read.duration_s) if read.duration_s else told.duration_s is None


@both
async def test_facts_come_without_one_byte_of_an_original(server: ImmichServer, provider: ImmichProvider) -> None:
    place = Place(48.85, 2.35, "Paris", "Ile-de-France", "France")
    one = server.add_asset(
        "1.jpg", taken="2023-05-01T10:11:12+02:00", place=place, camera=Camera("Leica", "Leica Q3"), rating=4,
        description="A gate",
    )  # fmt: skip
    album = server.add_album("A", [one])
    facts = await provider.facts(await only(provider, album))
    assert (facts.captured, facts.extent) == ("2023-05-01T10:11:12+02:00", Extent(640, 480))
    said = facts.description
    assert (said.summary, said.rating, said.camera) == ((("", "A gate"),), 4, "Leica Q3")
    assert (said.place, said.position) == (("Paris", "Ile-de-France", "France"), (48.85, 2.35))
    assert server.requests.count("/original") == 0


@both
async def test_originals_are_the_uploaded_bytes_by_their_checksum(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    album = server.add_album("A", [server.add_asset(size_px=(1600, 1200))])
    asset = await only(provider, album)
    original = await provider.open(asset)
    data = b"".join([await original.read(offset, 10_007) for offset in range(0, original.size_bytes, 10_007)])
    assert hashlib.sha1(data).digest() == asset.checksum
    assert await original.read(original.size_bytes + 5, 10) == b""
    await original.prepare()
    await original.prepare()

    def read() -> bytes:
        with original.stream() as stream:
            return stream.read()

    server.requests.clear()
    assert await trio.to_thread.run_sync(read) == data
    assert server.requests.count() == 0
    await original.aclose()


@both
async def test_an_external_file_that_changes_under_a_reader_is_never_mixed(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    first, second = b"first" * 1000, b"other" * 1000
    one = server.add_asset("x.jpg", data=first, library=LIBRARY_ID, path="/mnt/x.jpg")
    asset = await only(provider, server.add_album("A", [one]))
    assert asset.checksum is None
    original = await provider.open(asset)
    assert await original.read(0, 100) == first[:100]
    one.original, one.modified = Original(path=server.keep(second)), one.modified + 60_000_000
    with pytest.raises(VersionChanged):
        await original.read(100, 100)
    shorter = server.keep(second[:100])
    one.original, one.size = Original(path=shorter), 100
    with pytest.raises(VersionChanged):
        await (await provider.open(asset)).read(0, 10)


@both
async def test_a_file_that_the_server_lost_is_not_gone(server: ImmichServer, provider: ImmichProvider) -> None:
    one = server.add_asset("x.jpg", library=LIBRARY_ID, path="/mnt/x.jpg")
    asset = await only(provider, server.add_album("A", [one]))
    original = await provider.open(asset)
    one.offline = True  # its disk is not mounted there: 404 like all troubles of sending
    with pytest.raises(ProviderUnreachable):
        await original.read(0, 10)
    server.purge(one)
    with pytest.raises(AssetGone):
        await original.read(0, 10)


@both
async def test_ranges_beyond_the_end_are_never_asked_for(server: ImmichServer, provider: ImmichProvider) -> None:
    asset = await only(provider, server.add_album("A", [server.add_asset()]))
    original = await provider.open(asset)
    tail = await original.read(original.size_bytes - 3, 1000)
    assert len(tail) == 3
    assert {one.status for one in server.requests.matching("/original")} == {206}
    server.fault(faults.ranges_ignored(), "/original")
    assert await original.read(original.size_bytes - 3, 1000) == tail


# ---- previews -------------------------------------------------------------------------------------------------


@both
async def test_previews_have_their_real_sizes(server: ImmichServer, provider: ImmichProvider) -> None:
    assert previews_of(provider) is provider
    server.settings.thumbnail_side, server.settings.preview_side = 100, 400
    sizes = {"wide.jpg": (1500, 1000), "tall.jpg": (601, 1203), "small.jpg": (80, 60), "middle.png": (300, 200)}
    album = server.add_album("A", [server.add_asset(name, size_px=size) for name, size in sizes.items()])
    for asset in (await listing(provider, album)).assets:
        for preview in await provider.previews(asset):
            opened = await provider.open_preview(asset, preview)
            assert opened is not None
            with io.BytesIO(await opened.read(0, opened.size_bytes)) as stream:
                facts = read_facts(stream, preview.name)
            assert (facts.extent, facts.media_type) == (preview.extent, preview.media_type), asset.name
    assert server.requests.count("/original") == 0


@both
async def test_sizes_that_the_admin_changes_are_learnt_again(server: ImmichServer, provider: ImmichProvider) -> None:
    asset = await only(provider, server.add_album("A", [server.add_asset(size_px=(900, 600))]))
    _, preview = before = await provider.previews(asset)
    assert [one.extent for one in before] == [Extent(375, 250), Extent(900, 600)]
    server.settings.preview_side = 300
    assert await provider.open_preview(asset, preview) is not None
    assert [one.extent for one in await provider.previews(asset)] == [Extent(375, 250), Extent(450, 300)]


@both
async def test_a_preview_that_is_not_made_yet_is_no_absence(server: ImmichServer, provider: ImmichProvider) -> None:
    one = server.add_asset()
    asset = await only(provider, server.add_album("A", [one]))
    thumbnail = (await provider.previews(asset))[0]
    made, one.thumbs = one.thumbs, None
    assert await provider.open_preview(asset, thumbnail) is None
    one.thumbs = made
    assert await provider.open_preview(asset, thumbnail) is not None
    server.purge(one)
    with pytest.raises(AssetGone):
        await provider.open_preview(asset, thumbnail)


@on("3.1.0")
async def test_large_previews_are_offered_where_the_server_keeps_them(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    album = server.add_album("A", [server.add_asset("1.heic"), server.add_asset("2.jpg")])
    for enabled in (False, True):
        server.settings.fullsize_enabled = enabled
        account = account_of(server)
        found = {one.name: await account.previews(one) for one in (await listing(account, album)).assets}
        expected = ["thumbnail", "preview", "fullsize"] if enabled else ["thumbnail", "preview"]
        assert [preview.name for preview in found["1.heic"]] == expected
        assert [preview.name for preview in found["2.jpg"]] == ["thumbnail", "preview"]
        await account.aclose()


@on("3.1.0")
async def test_fullsize_leads_on_within_the_server(server: ImmichServer, provider: ImmichProvider) -> None:
    one = server.add_asset("1.jpg")
    answer = await provider._client.thumbnail(UUID(one.id), "fullsize")
    assert answer is not None
    assert answer.body == one.original.read()
