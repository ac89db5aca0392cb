"""Immich behind a line that breaks in every way: right answers or an error in time, and never a false absence."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import trio

from iiiffs.errors import AccessDenied, ProviderUnreachable
from iiiffs.model.gallery import AlbumId, Asset
from iiiffs.providers.http_policy import RetryPolicy
from iiiffs.providers.immich.provider import ImmichProvider
from iiiffs.providers.views import Everything
from tests.contract.test_immich_reading import both, listing, on
from tests.fakes import faults
from tests.fakes.faults import Effect
from tests.fakes.immich import ImmichServer, client_context, immich
from tests.fakes.immich.faults import internal_error
from tests.fakes.proxy import fault_proxy
from tests.harness.immich_account import QUICK, account_of, stored

IN_TIME_S = 20.0
ONCE = [
    faults.latency(0.02),
    faults.reset(),
    faults.reset(after=20),
    faults.truncated(20),
    faults.wrong_length(1 << 20),
    faults.lost_answer(),
    faults.bad_gateway(502),
    faults.bad_gateway(503),
    faults.bad_gateway(504),
    faults.too_many_requests("0"),
    faults.too_many_requests(None),
    internal_error(),
    faults.stall(after=20),
    faults.silence(),
]
LASTING = [
    *ONCE[1:],
    faults.wrong_length(10),
    faults.html(),
    faults.html(404),
    faults.redirect("https://login.example.org/?token=x"),
    faults.too_many_requests("600"),
]
SILENCE_S = 0.06
"""Long enough for most answers of this machine; a slow one is asked for again."""
SWIFT = replace(QUICK, silence_s=SILENCE_S)
PATIENT = replace(SWIFT, retry=RetryPolicy(attempts=10, base_s=0.001))


def label(effect: Effect) -> str:
    delivery = effect.delivery
    return f"{effect.name} {delivery.reset_after or delivery.declared_length or ''}"


async def ask_all(provider: ImmichProvider, album: AlbumId, asset: Asset) -> list[object]:
    """One question of each kind; errors in their place."""

    async def read() -> bytes:
        original = await provider.open(asset)
        return await original.read(5, 5000)

    questions: list[Callable[[], Awaitable[object]]] = [
        provider.albums,
        lambda: provider.album(album),
        lambda: provider.listing(album),
        lambda: provider.asset(asset.id),
        lambda: provider.facts(asset),
        read,
        lambda: provider.previews(asset),
        lambda: provider.page(Everything()),
        lambda: provider.count(Everything()),
    ]
    found: list[object] = []
    for question in questions:
        with trio.fail_after(IN_TIME_S):
            try:
                found.append(await question())
            except ProviderUnreachable as error:
                found.append(type(error))
                assert "token" not in str(error)
    return found


@pytest.mark.parametrize("effect", ONCE, ids=label)
def test_what_goes_wrong_once_is_not_seen(effect: Effect) -> None:
    @both
    async def test(server: ImmichServer, provider: ImmichProvider) -> None:
        album = server.add_album("A", [server.add_asset(f"{number}.jpg") for number in range(3)])
        found = await listing(provider, album)
        right = await ask_all(provider, found.album.id, found.assets[0])
        with fault_proxy(server.url) as proxy:
            behind = account_of(server, url=proxy.url, http=PATIENT)
            for pattern in ("/albums", "/search/metadata", r"/assets/[^/]*$", "/original", "/thumbnail", "/statistics"):
                proxy.fault(effect, pattern)
            assert await ask_all(behind, found.album.id, found.assets[0]) == right
            await behind.aclose()

    test("3.1.0")


@pytest.mark.parametrize("effect", LASTING, ids=label)
def test_what_stays_wrong_is_an_error_in_time_and_never_an_absence(effect: Effect) -> None:
    @both
    async def test(server: ImmichServer, provider: ImmichProvider) -> None:
        album = server.add_album("A", [server.add_asset(f"{number}.jpg") for number in range(3)])
        found = await listing(provider, album)
        right = await ask_all(provider, found.album.id, found.assets[0])
        with fault_proxy(server.url) as proxy:
            behind = account_of(server, url=proxy.url, http=SWIFT)
            with trio.fail_after(IN_TIME_S):
                while await ask_all(behind, found.album.id, found.assets[0]) != right:
                    await trio.sleep(0.01)
            proxy.requests.clear()
            proxy.fault(effect, times=None)
            broken = await ask_all(behind, found.album.id, found.assets[0])
            for good, bad in zip(right, broken, strict=True):
                assert bad == good or (isinstance(bad, type) and issubclass(bad, ProviderUnreachable))
            assert proxy.requests.count() <= 6 * len(right)
            assert behind.http.gauges.in_flight == 0
            await behind.aclose()

    test("3.1.0")


@on("3.1.0")
async def test_an_authenticating_proxy_in_front_is_named(server: ImmichServer, provider: ImmichProvider) -> None:
    server.fault(faults.unauthorized(), times=None)
    with pytest.raises(AccessDenied, match="401"):
        await provider.authenticate()
    server.faults.clear()
    server.fault(faults.html(), times=None)
    with pytest.raises(ProviderUnreachable, match="its own login"):
        await provider.authenticate()


@on("3.1.0")
async def test_no_secret_is_in_a_log_an_error_or_a_repr(server: ImmichServer, provider: ImmichProvider) -> None:
    root, lines = logging.getLogger(), list[str]()

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, level = Kept(), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        account = account_of(server, stored(server.key, {"x-token": "of-the-proxy"}))
        album = server.add_album("A", [server.add_asset()])
        await account.authenticate()
        found = await listing(account, album)
        lines += [str(one) for one in await ask_all(account, found.album.id, found.assets[0])]
        server.revoke()
        with pytest.raises(AccessDenied) as caught:
            await account.authenticate()
        lines += [str(caught.value), repr(account), repr(account.http), repr(account.http.gauges), repr(vars(account))]
        await account.aclose()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert any("the albums" in line for line in lines)
    for secret in (server.key, "of-the-proxy", "x-api-key"):
        assert not [line for line in lines if secret in line]


def test_a_private_authority_is_trusted_when_it_is_named() -> None:
    async def ask() -> None:
        with immich(tls=True) as server:
            assert client_context(server)
            trusting, plain = account_of(server, settings={"ca_file": str(server.ca_file)}), account_of(server)
            await trusting.authenticate()
            with pytest.raises(ProviderUnreachable, match="ca_file"):
                await plain.authenticate()
            await trusting.aclose()
            await plain.aclose()

    trio.run(ask)
