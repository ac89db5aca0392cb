"""What the scripted provider does beyond the contracts: Immich's oddities, rooms, views, and what it reports."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from iiiffs.errors import AlreadyThere, AssetGone, ConfigError, NotOffered, OverQuota, Rejected, VersionChanged
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AlbumId, Asset
from iiiffs.model.writing import Edit, Space
from iiiffs.providers.base import trouble_of
from iiiffs.providers.views import ALBUMS, LIBRARY, TRASH, Everything, Favorites, Month, OfPerson, Trash
from tests.contract.provider_contract import in_trio
from tests.contract.test_scripted_faults import DATA, payload_of, sha1, until
from tests.harness.scripted import Flavour, Store, StoredAlbum, WritableProvider, open_scripted

JUNE_NS = 1_718_000_000 * 10**9
FIRST, SECOND = b"first", b"second"


@pytest.fixture
def flavour() -> Flavour:
    return Flavour.IMMICH


@pytest.fixture
def store(flavour: Flavour, tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "server", flavour) as store:
        yield store
        store.check()


@pytest.fixture
def album(store: Store) -> StoredAlbum:
    return store.make_album("Holidays")


@pytest.fixture
def provider(store: Store) -> WritableProvider:
    return open_scripted(store, look=0.02, page_size=2)


@in_trio
async def test_a_replacement_carries_over_what_was_said(
    store: Store, album: StoredAlbum, provider: WritableProvider, tmp_path: Path
) -> None:
    old = store.put("a.jpg", FIRST, album.id)
    store.add(store.make_album("Other").id, old.id)
    store.edit(old.id, Edit("A day", True, 4))
    store.set_uncarried(old.id, "faces", "3 shared links")
    (asset,) = (await provider.listing(album.id)).assets
    replaced = await provider.replace(asset, payload_of(tmp_path, SECOND))
    assert replaced.not_carried == ("faces", "3 shared links")
    assert await provider.replace(asset, payload_of(tmp_path, SECOND)) == replaced
    new = replaced.asset
    found = store.asset(new.id)
    assert (found.name, found.description, found.favorite, found.rating) == ("a.jpg", "A day", True, 4)
    assert [one.title for one in store.albums_of(new.id)] == ["Holidays", "Other"]
    assert [one.id for one in store.trashed()] == [old.id]


@in_trio
async def test_a_replacement_by_others_is_seen(
    store: Store, album: StoredAlbum, provider: WritableProvider, tmp_path: Path
) -> None:
    old = store.put("a.jpg", FIRST, album.id)
    (asset,) = (await provider.listing(album.id)).assets
    theirs = store.replace(old.id, b"theirs")
    with pytest.raises(VersionChanged):
        await provider.replace(asset, payload_of(tmp_path, SECOND))
    assert [one.id for one in store.assets()] == [theirs.id]
    store.trash(theirs.id)
    store.purge(theirs.id)
    with pytest.raises(AssetGone):
        await provider.replace(asset, payload_of(tmp_path, SECOND))


@in_trio
async def test_a_replacement_that_was_changed_again_before_its_answer_came(
    store: Store, album: StoredAlbum, provider: WritableProvider, tmp_path: Path
) -> None:
    """The first one arrived, its answer did not, and the file has other bytes by now."""
    store.put("a.jpg", FIRST, album.id)
    (asset,) = (await provider.listing(album.id)).assets
    await provider.replace(asset, payload_of(tmp_path, SECOND))
    last = (await provider.replace(asset, payload_of(tmp_path, b"third", earlier=(sha1(SECOND),)))).asset
    assert [(one.id, store.bytes_of(one.id)) for one in store.members(album.id)] == [(last.id, b"third")]
    assert sorted(store.bytes_of(one.id) for one in store.trashed()) == [FIRST, SECOND]


@in_trio
async def test_earlier_bytes_of_an_upload_give_way_but_never_what_others_had(
    store: Store, album: StoredAlbum, provider: WritableProvider, tmp_path: Path
) -> None:
    theirs = store.put("theirs.jpg", FIRST)
    await provider.upload(album.id, "a.jpg", payload_of(tmp_path, FIRST))
    await provider.upload(album.id, "a.jpg", payload_of(tmp_path, SECOND, earlier=(sha1(FIRST),)))
    await provider.upload(album.id, "a.jpg", payload_of(tmp_path, b"third", earlier=(sha1(FIRST), sha1(SECOND))))
    assert [store.bytes_of(one.id) for one in store.trashed()] == [SECOND]
    assert theirs.id in [one.id for one in store.assets()]
    assert sorted(store.bytes_of(one.id) for one in store.members(album.id)) == [FIRST, b"third"]


@in_trio
async def test_an_upload_may_go_to_no_album(store: Store, provider: WritableProvider, tmp_path: Path) -> None:
    sent = await provider.upload(LIBRARY, "a.jpg", payload_of(tmp_path, DATA))
    assert (sent.album, store.albums_of(sent.id)) == (LIBRARY, [])


@in_trio
async def test_an_album_of_the_trash_alone_may_go_and_is_not_missed(
    store: Store, album: StoredAlbum, provider: WritableProvider
) -> None:
    asset = store.put("a.jpg", DATA, album.id)
    store.trash(asset.id)
    await provider.remove_album(album.id)
    assert (await provider.restore(asset.id)).album == LIBRARY


@in_trio
async def test_a_full_account_takes_nothing_but_what_it_has(
    store: Store, album: StoredAlbum, provider: WritableProvider, tmp_path: Path
) -> None:
    assert await provider.space() is None
    await provider.upload(album.id, "a.jpg", payload_of(tmp_path, DATA))
    store.set_quota(len(DATA) + 4)
    assert await provider.space() == Space(len(DATA) + 4, 4)
    with pytest.raises(OverQuota):
        await provider.upload(album.id, "b.jpg", payload_of(tmp_path, FIRST))
    await provider.upload(album.id, "b.jpg", payload_of(tmp_path, DATA))
    assert len(store.assets()) == 1


@in_trio
async def test_properties_are_told(store: Store, album: StoredAlbum, provider: WritableProvider) -> None:
    store.put("a.jpg", DATA, album.id)
    (asset,) = (await provider.listing(album.id)).assets
    edited = await provider.edit(asset.id, Edit("A day", True, 4, JUNE_NS))
    assert replace(edited, described="", mtime_ns=0) == replace(asset, mtime_ns=0)
    assert (edited.described != asset.described, edited.mtime_ns) == (True, JUNE_NS)
    facts = await provider.facts(edited)
    assert (facts.description.summary, facts.description.rating) == ((("", "A day"),), 4)
    assert (await provider.page(Favorites())).assets == (edited,)
    await provider.edit(asset.id, Edit("", False, 0))
    assert (await provider.asset(asset.id)).described == ""


@in_trio
async def test_views_come_in_pages(store: Store, album: StoredAlbum, provider: WritableProvider) -> None:
    for number in range(5):
        store.put(f"{number}.jpg", b"%d" % number, album.id if number else None, mtime_ns=JUNE_NS + number)
    store.trash(store.named("3.jpg")[0].id)
    for view, wanted in ((Everything(), "4210"), (Month("2024-06"), "4210"), (Month("2024-07"), ""), (Trash(), "3")):
        found: list[Asset] = []
        cursor: str | None = None
        while True:
            page = await provider.page(view, cursor)
            found += page.assets
            cursor = page.cursor
            assert page.is_cut == (cursor is not None)
            if cursor is None:
                break
        assert [asset.name for asset in found] == [f"{number}.jpg" for number in wanted]
        assert await provider.count(view) == len(wanted)
        homes = {asset.album for asset in found}
        assert homes <= ({TRASH} if view == Trash() else {album.id, LIBRARY})
    assert await provider.months() == {"2024-06": 4}
    with pytest.raises(NotOffered):
        await provider.page(OfPerson("x"))
    with pytest.raises(NotOffered):
        await provider.page(Everything(), "x")
    in_trash = (await provider.page(Trash())).assets[0]
    assert await (await provider.open(in_trash)).read(0, 9) == b"3"
    with pytest.raises(AssetGone):
        await provider.open(replace(in_trash, album=album.id))


@in_trio
async def test_flavours_do_not_mix(store: Store, album: StoredAlbum, provider: WritableProvider) -> None:
    store.put("a.jpg", DATA, album.id)
    (asset,) = (await provider.listing(album.id)).assets
    with pytest.raises(Rejected):
        await provider.move(asset, album.id, "b.jpg")
    with pytest.raises(Rejected):
        await provider.link(asset, album.id, "b.jpg")
    with pytest.raises(Rejected):
        await provider.make_album(album.id, "Inner", "token-1")
    with pytest.raises(ConfigError):
        open_scripted(store, flavour="folder")


@pytest.mark.parametrize("flavour", [Flavour.FOLDER])
@in_trio
async def test_folders_give_back_only_where_there_is_room(
    store: Store, album: StoredAlbum, provider: WritableProvider
) -> None:
    asset = store.put("a.jpg", DATA, album.id)
    store.trash(asset.id)
    other = store.put("a.jpg", SECOND, album.id)
    with pytest.raises(AlreadyThere):
        await provider.restore(asset.id)
    store.trash(other.id)
    assert (await provider.restore(asset.id)).album == album.id
    store.remove_album(album.id)
    with pytest.raises(AssetGone):
        await provider.restore(asset.id)
    with pytest.raises(Rejected):
        await provider.remove_album((await provider.root()).id)
    assert (await provider.root()).title == "files"


@pytest.mark.parametrize("flavour", list(Flavour))
@in_trio
async def test_others_write_at_the_same_time(
    store: Store, album: StoredAlbum, provider: WritableProvider, tmp_path: Path
) -> None:
    def others() -> None:
        with Store(store.path) as again:
            for number in range(20):
                again.put(f"theirs-{number}.jpg", b"theirs %d" % number, album.id)

    payloads = [payload_of(tmp_path, b"ours %d" % number) for number in range(20)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, others)
        for number, payload in enumerate(payloads):
            nursery.start_soon(provider.upload, album.id, f"ours-{number}.jpg", payload)
    names = {f"{whose}-{number}.jpg" for whose in ("ours", "theirs") for number in range(20)}
    assert {asset.name for asset in (await provider.listing(album.id)).assets} == names == set(store.contents())


EDITS: dict[str, Callable[[Store, str, str], object]] = {
    "put": lambda store, album, asset: store.put("new.jpg", b"new", album),
    "edit bytes": lambda store, album, asset: store.edit_bytes(asset, b"edited"),
    "replace": lambda store, album, asset: store.replace(asset, b"replaced"),
    "trash": lambda store, album, asset: store.trash(asset),
    "purge": lambda store, album, asset: store.purge(asset),
    "edit": lambda store, album, asset: store.edit(asset, Edit(favorite=True, mtime_ns=JUNE_NS)),
    "rename": lambda store, album, asset: store.rename(asset, "renamed.jpg"),
    "make album": lambda store, album, asset: store.make_album("New"),
    "rename album": lambda store, album, asset: store.rename_album(album, "Renamed"),
    "remove album": lambda store, album, asset: store.remove_album(album),
}
OF_SETS: dict[str, Callable[[Store, str, str], object]] = {
    "put into the library": lambda store, album, asset: store.put("new.jpg", b"new"),
    "take out": lambda store, album, asset: store.take_out(album, asset),
    "add": lambda store, album, asset: store.add(store.titled("Other").id, asset),
    "restore": lambda store, album, asset: store.restore(store.trashed()[0].id),
    "purge the trash": lambda store, album, asset: store.purge(store.trashed()[0].id),
}
OF_FOLDERS: dict[str, Callable[[Store, str, str], object]] = {
    "move": lambda store, album, asset: store.move(asset, store.titled("Other").id, "moved.jpg"),
    "make a folder": lambda store, album, asset: store.make_album("Inner", album),
}
CASES = [
    pytest.param(flavour, edit, id=f"{flavour}: {name}")
    for flavour, more in ((Flavour.IMMICH, OF_SETS), (Flavour.FOLDER, OF_FOLDERS))
    for name, edit in {**EDITS, **more}.items()
]


@pytest.mark.parametrize(("flavour", "edit"), CASES)
@in_trio
async def test_what_changes_is_reported(
    store: Store, album: StoredAlbum, provider: WritableProvider, edit: Callable[[Store, str, str], object]
) -> None:
    """Every listing and every view that another program's edit changes."""
    asset = store.put("a.jpg", DATA, album.id)
    store.make_album("Other")
    store.trash(store.put("b.jpg", SECOND, album.id).id)
    before = await told(store, provider)
    reports: list[Changeset] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(functools.partial(provider.watch, reports.append))
        edit(store, album.id, asset.id)
        after = await told(store, provider)
        changed = {name for name in before | after if before.get(name) != after.get(name)}
        assert changed
        with trio.fail_after(5):
            await until(lambda: changed <= {name for report in reports for name in report.albums})
        nursery.cancel_scope.cancel()
    assert trouble_of(provider) is None


async def told(store: Store, provider: WritableProvider) -> dict[str, object]:
    """All that a mount may keep, by the name under which its change is reported."""
    found: dict[str, object] = {}
    for album in store.albums():
        found[album.id] = (await provider.listing(AlbumId(album.id))).etag
    if store.flavour is Flavour.IMMICH:
        found[ALBUMS] = [(one.id, one.title) for one in await provider.albums()]
        found[TRASH] = [one.id for one in store.trashed()]
        found[LIBRARY] = [(await provider.asset(one.id)).described for one in store.assets()]
        found[LIBRARY] = (found[LIBRARY], [(one.id, one.version, one.name, one.mtime_ns) for one in store.assets()])
    return found
