"""Each fault of the scripted provider does what its name says, and one try more ends as if nothing had happened."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from iiiffs.errors import (
    AccessDenied,
    AssetGone,
    OverQuota,
    ProviderError,
    ProviderUnreachable,
    Rejected,
    VersionChanged,
)
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AlbumId
from iiiffs.model.writing import Payload
from tests.contract.provider_contract import in_trio
from tests.harness.scripted import (
    Fault,
    FaultKind,
    Flavour,
    Store,
    StoredAlbum,
    WritableProvider,
    open_scripted,
)
from tests.mount.observing import eventually

PROJECT = Path(__file__).parents[2]
DATA = bytes(range(256)) * 40
NOW_NS = 1_700_000_000 * 10**9
REFUSALS = [
    (FaultKind.UNREACHABLE, ProviderUnreachable),
    (FaultKind.DENIED, AccessDenied),
    (FaultKind.REJECTED, Rejected),
    (FaultKind.OVER_QUOTA, OverQuota),
    (FaultKind.GONE, AssetGone),
    (FaultKind.CHANGED, VersionChanged),
]
BROKEN = [FaultKind.UNREACHABLE, FaultKind.LOST, FaultKind.HALF, FaultKind.TRUNCATED]


@pytest.fixture(params=list(Flavour))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "server", request.param) as store:
        yield store
        store.check()


@pytest.fixture
def album(store: Store) -> StoredAlbum:
    return store.make_album("Holidays")


@pytest.fixture
def provider(store: Store) -> WritableProvider:
    return open_scripted(store, look=0.02)


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return payload_of(tmp_path, DATA)


def payload_of(folder: Path, data: bytes, token: str = "local-1", earlier: tuple[bytes, ...] = ()) -> Payload:
    path = folder / f"payload-{hashlib.sha256(data).hexdigest()}"
    path.write_bytes(data)
    return Payload(token, path, len(data), sha1(data), NOW_NS, earlier)


def sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


@pytest.mark.parametrize(("kind", "error"), REFUSALS, ids=[kind for kind, _ in REFUSALS])
@in_trio
async def test_what_refuses_changes_nothing(
    store: Store, album: StoredAlbum, provider: WritableProvider, payload: Payload, kind: FaultKind,
    error: type[ProviderError],
) -> None:  # fmt: skip
    store.script.add(Fault(kind, "upload"))
    with pytest.raises(error):
        await provider.upload(album.id, "a.jpg", payload)
    assert store.assets() == []
    await provider.upload(album.id, "a.jpg", payload)
    assert [call.outcome for call in store.script.calls("upload")] == [error.__name__, "answered"]


@pytest.mark.parametrize("kind", BROKEN)
@in_trio
async def test_a_broken_upload_ends_once(
    store: Store, album: StoredAlbum, provider: WritableProvider, payload: Payload, kind: FaultKind
) -> None:
    store.script.add(Fault(kind, "upload"))
    with pytest.raises(ProviderUnreachable):
        await provider.upload(album.id, "a.jpg", payload)
    arrived = kind is FaultKind.LOST or (kind is FaultKind.HALF and store.flavour is Flavour.IMMICH)
    assert len(store.assets()) == arrived
    assert len(store.members(album.id)) == (kind is FaultKind.LOST)
    sent = await provider.upload(album.id, "a.jpg", payload)
    (stored,) = store.members(album.id)
    assert store.assets() == [stored]
    assert (stored.id, store.bytes_of(stored.id), stored.mtime_ns) == (sent.id, DATA, NOW_NS)
    assert store.trashed() == []


@pytest.mark.parametrize("kind", BROKEN)
@in_trio
async def test_a_broken_replacement_ends_once(
    store: Store, album: StoredAlbum, provider: WritableProvider, payload: Payload, kind: FaultKind
) -> None:
    old = store.put("a.jpg", b"old", album.id)
    (asset,) = (await provider.listing(album.id)).assets
    store.script.add(Fault(kind, "replace"))
    with pytest.raises(ProviderUnreachable):
        await provider.replace(asset, payload)
    assert (store.members(album.id)[0].sha1 == payload.sha1) == (kind is FaultKind.LOST)
    new = (await provider.replace(asset, payload)).asset
    assert [one.id for one in store.assets()] == [new.id]
    assert store.bytes_of(new.id) == DATA
    if store.flavour is Flavour.IMMICH:
        assert [one.id for one in store.trashed()] == [old.id]
    else:
        assert (new.id, store.versions_of(new.id)) == (old.id, [sha1(b"old")])


@in_trio
async def test_a_torn_upload_is_seen_and_dropped_by_the_provider(
    store: Store, album: StoredAlbum, provider: WritableProvider, payload: Payload
) -> None:
    torn = store.put("same.jpg", DATA[:-5], album.id)
    store.script.add(
        Fault(FaultKind.TRUNCATED, "upload", cut_bytes=9), Fault(FaultKind.TRUNCATED, "upload", skip=1, cut_bytes=5)
    )
    for _ in range(2):
        with pytest.raises(ProviderUnreachable, match="other bytes"):
            await provider.upload(album.id, "a.jpg", payload)
        assert [one.id for one in store.assets()] == [torn.id]  # what was there before stays
    assert store.script.counts()["discard"] == 2


@in_trio
async def test_what_arrives_twice_is_there_once(
    store: Store, album: StoredAlbum, provider: WritableProvider, payload: Payload, tmp_path: Path
) -> None:
    store.script.add(Fault(FaultKind.TWICE, times=None))
    parent = AlbumId("albums") if store.flavour is Flavour.IMMICH else (await provider.root()).id
    sent = await provider.upload(album.id, "a.jpg", payload)
    new = (await provider.replace(sent, payload_of(tmp_path, b"new"))).asset
    made = await provider.make_album(parent, "Made", "token-1")
    await provider.rename_album(made.id, parent, "Renamed")
    assert sorted(one.title for one in store.albums() if one.title != "files") == ["Holidays", "Renamed"]
    assert [store.bytes_of(one.id) for one in store.assets()] == [b"new"]
    if store.flavour is Flavour.IMMICH:
        assert await provider.add(made.id, [new.id]) == {}
        assert await provider.take_out(made.id, [new.id]) == {}
    else:
        moved = await provider.move(new, made.id, "b.jpg")
        assert store.members(made.id)[0].id == moved.id
        new = moved
    await provider.remove(new)
    await provider.remove_album(made.id)
    assert store.assets() == []


@in_trio
async def test_a_lost_answer_of_every_verb_may_be_asked_again(
    store: Store, album: StoredAlbum, provider: WritableProvider, payload: Payload
) -> None:
    parent = AlbumId("albums") if store.flavour is Flavour.IMMICH else (await provider.root()).id
    sent = await provider.upload(album.id, "a.jpg", payload)

    async def lost(verb: Callable[[], Awaitable[object]]) -> None:
        store.script.add(Fault(FaultKind.LOST))
        with pytest.raises(ProviderUnreachable):
            await verb()
        await verb()

    await lost(lambda: provider.make_album(parent, "Made", "token-1"))
    made = store.titled("Made")
    await lost(lambda: provider.rename_album(made.id, parent, "Renamed"))
    if store.flavour is Flavour.IMMICH:
        await lost(lambda: provider.add(made.id, [sent.id]))
        await lost(lambda: provider.take_out(made.id, [sent.id]))
    else:
        await lost(lambda: provider.move(sent, made.id, "b.jpg"))
    await lost(lambda: provider.remove(sent))
    await lost(lambda: provider.remove_album(made.id))
    await lost(lambda: provider.restore(sent.id) if store.flavour is Flavour.IMMICH else provider.space())
    assert [one.title for one in store.albums() if one.title != "files"] == ["Holidays"]
    assert [one.id for one in (store.assets() + store.trashed())] == [sent.id]


@in_trio
async def test_items_fail_each(album: StoredAlbum, tmp_path: Path) -> None:
    with Store(tmp_path / "other") as store:
        holder = store.make_album("Holidays").id
        one, two = store.put("1.jpg", b"1").id, store.put("2.jpg", b"2").id
        store.script.add(Fault(FaultKind.ITEMS, "add", items=(two,)), Fault(FaultKind.ITEMS, "take_out"))
        provider = open_scripted(store)
        assert (await provider.add(holder, [one, two])).keys() == {two}
        assert [asset.id for asset in store.members(holder)] == [one]
        assert (await provider.take_out(holder, [one])).keys() == {one}
        assert await provider.add(holder, [one, two]) == {}
        await provider.aclose()


@in_trio
async def test_what_hangs_goes_on_when_the_fault_is_taken_away(
    store: Store, album: StoredAlbum, provider: WritableProvider, payload: Payload
) -> None:
    before, after = store.script.add(Fault(FaultKind.HANG, "upload"), Fault(FaultKind.LOST_SILENTLY, "upload", skip=1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(provider.upload, album.id, "a.jpg", payload)
        await until(lambda: store.script.struck(before) == 1)
        assert (store.assets(), len(store.script.asking("upload"))) == ([], 1)
        store.script.remove(before)
    assert len(store.assets()) == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expecting, ProviderUnreachable, lambda: provider.upload(album.id, "a.jpg", payload))
        await until(lambda: store.script.struck(after) == 1)
        store.script.clear()


@in_trio
async def test_a_cancelled_call_is_noted(store: Store, provider: WritableProvider) -> None:
    store.script.add(Fault(FaultKind.HANG, "authenticate"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(provider.authenticate)
        await until(lambda: bool(store.script.asking("authenticate")))
        nursery.cancel_scope.cancel()
    assert [call.outcome for call in store.script.calls("authenticate")] == ["cancelled"]


def test_what_is_slow_takes_its_time(store: Store, album: StoredAlbum, payload: Payload) -> None:
    """By a clock that nothing but sleeping moves."""
    store.script.add(
        Fault(FaultKind.LATENCY, "upload", seconds=3.0),
        Fault(FaultKind.SLOW, "upload", bytes_per_s=len(DATA) / 7),
        Fault(FaultKind.SLOW, "read", bytes_per_s=10.0),
    )

    async def slow() -> tuple[float, float]:
        provider = open_scripted(store)
        asset = await provider.upload(album.id, "a.jpg", payload)
        uploaded_s = trio.current_time()
        original = await provider.open(asset)
        assert await original.read(0, 50) == DATA[:50]
        await provider.aclose()
        return uploaded_s, trio.current_time() - uploaded_s

    clock = MockClock(rate=1000.0)
    began_s = clock.current_time()
    uploaded_s, read_s = trio.run(slow, clock=clock)
    assert uploaded_s - began_s >= 10.0
    assert read_s >= 5.0


def test_a_clock_that_jumps_jumps_over_what_is_slow_and_nothing_else(
    store: Store, album: StoredAlbum, payload: Payload
) -> None:
    store.script.add(Fault(FaultKind.LATENCY, "upload", seconds=3600.0))

    async def jump() -> float:
        provider = open_scripted(store, threads=False)
        began_s = trio.current_time()
        await provider.upload(album.id, "a.jpg", payload)
        await provider.aclose()
        return trio.current_time() - began_s

    assert trio.run(jump, clock=MockClock(autojump_threshold=0)) == pytest.approx(3600.0)
    assert len(store.assets()) == 1


@in_trio
async def test_bytes_come_wrong_and_short(store: Store, album: StoredAlbum, provider: WritableProvider) -> None:
    store.put("a.jpg", DATA, album.id)
    (asset,) = (await provider.listing(album.id)).assets
    original = await provider.open(asset)
    store.script.add(Fault(FaultKind.WRONG, "read"), Fault(FaultKind.SHORT, "read", skip=1, cut_bytes=4))
    assert await original.read(0, 10) == b"\x01" + DATA[1:10]
    assert await original.read(0, 10) == DATA[:6]
    assert await original.read(0, 10) == DATA[:10]


@in_trio
async def test_faults_strike_by_number_name_and_chance(store: Store, provider: WritableProvider) -> None:
    (chance,) = store.script.add(Fault(FaultKind.LATENCY, "authenticate", times=None, chance=0.5, seed=3))
    store.script.add(
        Fault(FaultKind.UNREACHABLE, "authenticate", skip=1, times=2), Fault(FaultKind.DENIED, about="album-9")
    )
    outcomes = []
    for _ in range(20):
        try:
            await provider.authenticate()
            outcomes.append(True)
        except ProviderUnreachable:
            outcomes.append(False)
    assert outcomes == [True, False, False] + [True] * 17
    assert 0 < store.script.struck(chance) < 20
    with pytest.raises(AssetGone):
        await provider.album(AlbumId("album-8"))
    with pytest.raises(AccessDenied):
        await provider.album(AlbumId("album-9"))


@pytest.mark.warns("changes are not noticed")
@in_trio
async def test_a_server_that_comes_back_reports_everything(store: Store, provider: WritableProvider) -> None:
    reports: list[Changeset] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: provider.watch(reports.append, task_status=task_status))
        store.script.offline()
        await until(lambda: provider.trouble is not None)
        with pytest.raises(ProviderUnreachable):
            await provider.authenticate()
        assert reports == []
        store.script.clear()
        await until(lambda: any(report.everything for report in reports))
        assert provider.trouble is None
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("kind", [FaultKind.SLOW, FaultKind.LOST_SILENTLY])
def test_a_kill_in_the_middle_of_an_upload_leaves_the_index_whole(
    store: Store, album: StoredAlbum, payload: Payload, kind: FaultKind
) -> None:
    (fault,) = store.script.add(Fault(kind, "upload", bytes_per_s=1.0))
    program = "import sys; from tests.contract.test_scripted_faults import upload_there; upload_there(*sys.argv[1:])"
    command = [sys.executable, "-c", program, str(store.path), album.id, str(payload.path)]
    with subprocess.Popen(command, cwd=PROJECT) as process:
        try:
            if kind is FaultKind.SLOW:
                eventually(lambda: arriving_bytes(store) > 0, deadline_s=30)
            else:
                eventually(lambda: len(store.assets()) == 1, deadline_s=30)
        finally:
            process.kill()
    store.check()
    assert store.script.struck(fault) == 1
    assert [call.outcome for call in store.script.calls("upload")] == [None]
    assert len(store.assets()) == (kind is FaultKind.LOST_SILENTLY)
    upload_there(str(store.path), album.id, str(payload.path))
    assert [store.bytes_of(one.id) for one in store.members(album.id)] == [DATA]
    assert len(store.assets()) == 1


def arriving_bytes(store: Store) -> int:
    """Of uploads that have not ended."""
    return sum(file.stat().st_size for file in (store.path / "incoming").iterdir())


def upload_there(server: str, album: str, payload: str) -> None:
    """DATA is uploaded by this process."""

    data = Path(payload).read_bytes()

    async def upload() -> None:
        with Store(Path(server)) as store:
            provider = open_scripted(store)
            sent = Payload("local-1", Path(payload), len(data), sha1(data), NOW_NS)
            await provider.upload(AlbumId(album), "a.jpg", sent)
            await provider.aclose()

    trio.run(upload)


async def until(question: Callable[[], bool]) -> None:
    with trio.fail_after(30):
        while not question():
            await trio.sleep(0.01)


async def expecting(error: type[Exception], verb: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(error):
        await verb()
