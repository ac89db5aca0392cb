"""Mode "direct": addresses of a shared link, which anybody may ask, and what a link must be for that."""

from __future__ import annotations

import io
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
import trio

from iiiffs.errors import AccessDenied, AssetGone, ConfigError
from iiiffs.model.gallery import AssetId
from iiiffs.model.image import Extent
from iiiffs.providers.base import PublicFile, PublicUrls, public_urls_of
from iiiffs.providers.immich import open_provider
from iiiffs.providers.immich.provider import ImmichProvider
from iiiffs.providers.immich.public import link_address
from iiiffs.render.headers import read_facts
from tests.contract.test_immich_reading import both, listing, on
from tests.fakes.certificates import NO_TLS
from tests.fakes.immich import ImmichServer, immich
from tests.fakes.immich.moments import parsed
from tests.fakes.immich.records import Album, SharedLink
from tests.harness.immich_account import account_of, context_of

PREVIEWS = {"1.jpg": Extent(2160, 1440), "2.heic": Extent(640, 480), "moving.mp4": Extent(320, 240)}
NAMED = {"key": "share", "slug": "s"}


def link_to(server: ImmichServer, album: Album | None = None, **fields: object) -> SharedLink:
    """A new link, as a user of Immich would make it."""
    with server.lock:
        link = SharedLink(server.new_id(), server.owner.id, server.new_secret(50), server.clock.now())
        link.album = album.id if album else None
        for name, value in fields.items():
            assert hasattr(link, name)
            setattr(link, name, value)
        server.links[link.id] = link
        return link


def direct(server: ImmichServer, link: SharedLink, by: str = "key") -> ImmichProvider:
    return account_of(server, settings={"shared_link": f"{server.url}/{NAMED[by]}/{quote(getattr(link, by), safe='')}"})


def files_of(urls: PublicUrls) -> list[PublicFile]:
    return [one for one in (urls.original, urls.preview, urls.thumbnail) if one is not None]


async def told(url: str) -> httpx.Response:
    """What the world gets there."""
    async with httpx.AsyncClient(verify=NO_TLS) as world:
        return await world.get(url)


@pytest.mark.parametrize("by", NAMED)
def test_the_world_gets_what_the_link_holds_and_no_more(by: str) -> None:
    @both
    async def test(server: ImmichServer, provider: ImmichProvider) -> None:
        clip = server.add_asset("moving.mp4", size_px=(320, 240))
        members = [server.add_asset("1.jpg", size_px=(3000, 2000)), server.add_asset("2.heic"), clip]
        album, other = server.add_album("A", members), server.add_album("B", [server.add_asset("3.jpg")])
        account = direct(server, link_to(server, album, slug="our trip/24"), by)
        await account.authenticate()
        assert public_urls_of(account) is account
        for asset in (await listing(account, album)).assets:
            urls = await account.public_urls(asset)
            assert urls is not None
            assert len(files_of(urls)) == 3
            for file in files_of(urls):
                got = await told(file.url)
                assert (got.status_code, got.headers["content-type"]) == (200, file.media_type), file.url
                facts = read_facts(io.BytesIO(got.content), asset.name if file is urls.original else "preview")
                assert file.extent in (None, facts.extent)
            assert (await told(urls.original.url)).content == server.assets[asset.id].original.read()
            assert urls.preview is not None
            assert urls.preview.extent == PREVIEWS[asset.name]
        (outside,) = (await listing(account, other)).assets
        assert await account.public_urls(outside) is None
        await account.aclose()

    for version in ("3.1.0", "2.7.5"):
        test(version)


@both
async def test_no_address_has_a_secret_of_the_account(server: ImmichServer, provider: ImmichProvider) -> None:
    album = server.add_album("A", [server.add_asset("1.jpg")])
    link = link_to(server, album)
    account = direct(server, link)
    (asset,) = (await listing(account, album)).assets
    urls = await account.public_urls(asset)
    assert urls is not None
    for file in files_of(urls):
        assert parse_qs(urlsplit(file.url).query).keys() <= {"size", "key"}
        assert not [secret for secret in server.secrets - {link.key} if secret in file.url]
    await account.aclose()


@on("3.1.0")
async def test_a_manifest_of_many_asks_nothing_for_each(server: ImmichServer, provider: ImmichProvider) -> None:
    album = server.add_album("A")
    server.add_assets(300, album=album)
    settings = {"poll": 300, "shared_link": f"{server.url}/share/{link_to(server, album).key}"}
    account = account_of(server, settings=settings)
    await account.authenticate()
    assets = (await listing(account, album)).assets
    assert await account.public_urls(assets[0]) is not None
    server.requests.clear()
    async with trio.open_nursery() as nursery:
        for asset in assets:
            nursery.start_soon(account.public_urls, asset)
    assert server.requests.count() == server.requests.count("/thumbnail")
    await account.aclose()


@both
async def test_a_link_of_single_assets(server: ImmichServer, provider: ImmichProvider) -> None:
    shared, kept = server.add_asset("1.jpg"), server.add_asset("2.jpg")
    account = direct(server, link_to(server, assets=[shared.id]))
    await account.authenticate()
    assert await account.public_urls(await account.asset(AssetId(shared.id))) is not None
    assert await account.public_urls(await account.asset(AssetId(kept.id))) is None
    await account.aclose()


@both
async def test_what_is_not_processed_yet_has_an_original_alone(server: ImmichServer, provider: ImmichProvider) -> None:
    server.hold_jobs()
    late = server.add_asset("1.jpg", processed=False)
    album = server.add_album("A", [late])
    account = direct(server, link_to(server, album))
    (asset,) = (await listing(account, album)).assets
    urls = await account.public_urls(asset)
    assert urls is not None
    assert files_of(urls) == [urls.original]
    server.purge(late)
    with pytest.raises(AssetGone):
        await account.public_urls(asset)
    await account.aclose()


UNFIT: dict[str, tuple[dict[str, object], str]] = {
    "password": ({"password": "sesame"}, "asks for a password; take that off"),
    "no downloads": ({"download": False}, "allows no downloads; allow them"),
    "expired": ({"expires": 1}, "has expired; make another one"),
}


@pytest.mark.parametrize("why", UNFIT)
def test_a_link_that_does_not_do_is_refused_with_what_to_do(why: str) -> None:
    fields, said = UNFIT[why]

    @both
    async def test(server: ImmichServer, provider: ImmichProvider) -> None:
        album = server.add_album("A", [server.add_asset()])
        link = link_to(server, album, **fields)
        account = direct(server, link)
        with pytest.raises(AccessDenied, match=said) as caught:
            await account.authenticate()
        assert link.key not in str(caught.value)
        assert account.trouble is None  # the account's own key is well
        assert len((await listing(account, album)).assets) == 1
        await account.aclose()

    for version in ("3.1.0", "2.7.5"):
        test(version)


@both
async def test_a_link_that_is_taken_back_is_noticed_and_asked_about_once_a_poll(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    album = server.add_album("A", [server.add_asset()])
    link = link_to(server, album)
    account = direct(server, link)
    (asset,) = (await listing(account, album)).assets
    assert await account.public_urls(asset) is not None
    del server.links[link.id]
    with pytest.raises(AccessDenied, match="no such shared link"), trio.fail_after(20):
        while True:
            await account.public_urls(asset)
            await trio.sleep(0.005)
    server.links[link.id] = link
    with trio.fail_after(20):
        while True:
            try:
                assert await account.public_urls(asset) is not None
                break
            except AccessDenied:
                await trio.sleep(0.005)
    await account.aclose()


@pytest.mark.warns("the shared link, and every document with it, ends on 2099-01-01")
@on("3.1.0")
async def test_a_link_that_ends_is_warned_of(server: ImmichServer, provider: ImmichProvider) -> None:
    account = direct(server, link_to(server, server.add_album("A"), expires=parsed("2099-01-01T00:00:00.000Z")))
    await account.authenticate()
    await account.aclose()


@both
async def test_without_a_link_nothing_is_public(server: ImmichServer, provider: ImmichProvider) -> None:
    (asset,) = (await listing(provider, server.add_album("A", [server.add_asset()]))).assets
    server.requests.clear()
    assert await provider.public_urls(asset) is None
    assert server.requests.count() == 0


@pytest.mark.parametrize(
    ("link", "url"),
    [("https://p.org/share/a-_9", "https://p.org/api/assets/x/original?key=a-_9"),
     ("https://p.org/share/k/", "https://p.org/api/assets/x/original?key=k"),
     ("http://p.org:2283/photos/s/our%20trip", "http://p.org:2283/photos/api/assets/x/original?slug=our+trip")],
)  # fmt: skip
def test_addresses_are_those_of_the_link_not_of_the_account(link: str, url: str) -> None:
    address = link_address(link, "shared_link")
    assert address is not None
    assert address.url("x", "original") == url


@pytest.mark.parametrize(
    "link",
    ["https://p.org", "https://p.org/albums/k", "https://p.org/share/", "p.org/share/k", "https://u@p.org/share/k", 7,
     "https://p.org/share/k?password=x"],
)  # fmt: skip
def test_other_addresses_are_slips(link: object) -> None:
    with immich() as server, pytest.raises(ConfigError, match=r"account\.home\.shared_link: expected a shared link"):
        open_provider(context_of(server, settings={"shared_link": link}))
