"""Whether an Immich can be asked, as `ImmichProvider.trouble` says: at once, within a poll, and over by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import trio

from iiiffs.errors import AccessDenied, AssetGone, ProviderUnreachable
from iiiffs.model.gallery import AssetId
from iiiffs.providers.base import trouble_of
from iiiffs.providers.http_policy import RetryPolicy
from iiiffs.providers.immich.provider import ImmichProvider
from tests.contract.test_immich_reading import both, on, only
from tests.contract.test_immich_watch import PATIENCE_S, watching
from tests.fakes import faults
from tests.fakes.faults import Effect
from tests.fakes.immich import ImmichServer
from tests.fakes.proxy import fault_proxy
from tests.harness.immich_account import QUICK, account_of, stored

SWIFT = replace(QUICK, silence_s=0.2, denied_s=0.05, retry=RetryPolicy(attempts=2, base_s=0.001))
NEVER = "00000000-0000-4000-8000-000000000000"
QUIET = pytest.mark.warns("changes are not noticed at the moment")


async def until(condition: Callable[[], bool]) -> None:
    """Errors: TooSlowError."""
    with trio.fail_after(PATIENCE_S):
        while not condition():
            await trio.sleep(0.005)


OUTAGES = [faults.reset(), faults.silence(), faults.bad_gateway(502), faults.html(), faults.too_many_requests("600")]


@pytest.mark.parametrize("effect", OUTAGES, ids=lambda effect: effect.name)
def test_a_question_that_fails_is_trouble_until_one_is_answered(effect: Effect) -> None:
    @on("3.1.0")
    async def test(server: ImmichServer, provider: ImmichProvider) -> None:
        account = account_of(server, http=SWIFT)
        await account.albums()
        assert trouble_of(account) is None
        server.fault(effect, times=None)
        with pytest.raises(ProviderUnreachable) as caught:
            await account.albums()
        assert trouble_of(account) == str(caught.value)
        server.faults.clear()
        if effect.name != faults.too_many_requests("600").name:  # who wants to be left alone is
            await account.albums()
            assert trouble_of(account) is None
        await account.aclose()

    test("3.1.0")


@on("3.1.0")
async def test_what_is_not_there_is_no_trouble(server: ImmichServer, provider: ImmichProvider) -> None:
    account = account_of(server, http=SWIFT)
    server.fault(faults.bad_gateway(), times=2)
    with pytest.raises(ProviderUnreachable):
        await account.albums()
    assert account.trouble is not None
    with pytest.raises(AssetGone):
        await account.asset(AssetId(NEVER))
    assert account.trouble is None
    await account.aclose()


@on("3.1.0")
async def test_one_broken_file_says_nothing_of_the_server(server: ImmichServer, provider: ImmichProvider) -> None:
    account = account_of(server, http=SWIFT)
    asset = await only(account, server.add_album("A", [server.add_asset()]))
    original = await account.open(asset)
    for effect in (faults.stall(after=20), faults.bad_gateway(502), faults.silence()):
        rule = server.fault(effect, "/original", times=None)
        with pytest.raises(ProviderUnreachable):
            await original.read(0, 1000)
        assert rule.struck == 2
        assert account.trouble is None
        server.faults.clear()
    server.close()
    with pytest.raises(ProviderUnreachable, match="no connection"):
        await original.read(0, 1000)
    assert account.trouble is not None
    await account.aclose()


@on("3.1.0")
async def test_a_slow_question_is_no_trouble_while_others_are_answered(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    account = account_of(server, http=SWIFT)
    rule = server.fault(faults.silence(), "/people", times=None)

    async def fail() -> None:
        with pytest.raises(ProviderUnreachable, match="silent"):
            await account.people()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        await until(lambda: rule.struck == 2)
        await account.albums()
    assert account.trouble is None
    await account.aclose()


@QUIET
@both
async def test_the_watch_notices_both_ends_of_an_outage_by_itself(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    with fault_proxy(server.url) as proxy:
        account = account_of(server, url=proxy.url, http=SWIFT)
        async with watching(account) as watched:
            for _ in range(2):
                proxy.away()
                await until(lambda: account.trouble is not None)
                proxy.back()
                await until(lambda: account.trouble is None)
                await watched.everything()
        await account.aclose()


@QUIET
@both
async def test_maintenance_mode_is_called_by_its_name(server: ImmichServer, provider: ImmichProvider) -> None:
    async with watching(provider):
        server.settings.maintenance = True
        await until(lambda: "in maintenance mode" in (provider.trouble or ""))
        with pytest.raises(ProviderUnreachable):
            await provider.albums()
        assert "maintenance" in (provider.trouble or "")
        server.settings.maintenance = False
        await until(lambda: provider.trouble is None)


@on("3.1.0")
async def test_a_refused_key_is_trouble_until_somebody_logs_in(server: ImmichServer, provider: ImmichProvider) -> None:
    keys = [server.key, server.add_key().secret]
    account = account_of(server, stored(lambda: keys[0]), http=replace(SWIFT, denied_s=300.0))
    await account.authenticate()
    server.revoke()
    with pytest.raises(AccessDenied):
        await account.albums()
    assert "iiiffs login home" in (account.trouble or "")
    del keys[0]
    await account.authenticate()
    assert account.trouble is None
    await account.aclose()


@on("3.1.0")
async def test_without_a_stored_key_nobody_is_asked(server: ImmichServer, provider: ImmichProvider) -> None:
    async def none() -> Mapping[str, object]:
        return {}

    account = account_of(server, none)
    with pytest.raises(AccessDenied):
        await account.albums()
    assert "no API key is stored" in (account.trouble or "")
    assert server.requests.count() == 0
    await account.aclose()


@QUIET
@on("3.1.0")
async def test_a_key_that_stays_refused_stays_trouble(server: ImmichServer, provider: ImmichProvider) -> None:
    """Also between the end of the pause that follows a 401 and the next 401."""
    account = account_of(server, http=SWIFT)
    async with watching(account):
        server.revoke()
        await until(lambda: account.trouble is not None)
        server.requests.clear()
        while server.requests.count() < 3:
            assert account.trouble is not None
            await trio.sleep(0.002)
    await account.aclose()


@QUIET
@on("3.1.0")
async def test_a_permission_that_is_taken_away_is_trouble_of_the_watch(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    key = server.add_key(permissions=["album.read", "asset.read", "asset.view", "asset.download", "tag.read"])
    account = account_of(server, stored(key.secret))
    async with watching(account):
        key.permissions = ("asset.read", "asset.view", "asset.download", "tag.read")
        await until(lambda: account.trouble is not None)
        await account.tags()
        assert "album.read" in (account.trouble or "")
        key.permissions = ("album.read", *key.permissions)
        await until(lambda: account.trouble is None)
    assert account.trouble is None
    await account.aclose()
