"""What the research of Immich's API found to matter to who writes, fact by fact (§N), where no other test is about it.

Elsewhere: the contract in test_immich_writing.py, replacements in test_immich_replacing.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import trio

from iiiffs.errors import AccessDenied, AssetGone, Forbidden, NotEmpty, OverQuota, ProviderUnreachable, Rejected
from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.model.writing import AlbumVerb, Edit, Payload, Property, Space
from iiiffs.providers.http_policy import RetryPolicy
from iiiffs.providers.http_values import HttpSettings
from iiiffs.providers.immich import album_changes
from iiiffs.providers.immich.writing import WritableImmichProvider
from iiiffs.providers.views import ALBUMS, Favorites, OfTag
from tests.contract.provider_contract import in_trio
from tests.contract.test_immich_replacing import picture
from tests.fakes import faults
from tests.fakes.faults import Effect
from tests.fakes.immich import ImmichServer, immich
from tests.fakes.immich.records import Album
from tests.fakes.serving import Request, Response
from tests.harness.immich_account import account_of, stored

MTIME_NS = 1_600_000_000 * 10**9
READ = ("album.read", "asset.read", "asset.view", "asset.download", "user.read")
LIBRARY_ID = "9f6c2f3e-0f6b-4c8e-8a55-1a7f2d1c3b4e"
UNKNOWN = AssetId("00000000-0000-4000-8000-000000000000")


@dataclass
class Spool:
    """Files that wait to be sent."""

    folder: Path

    def __call__(self, content: bytes, token: str = "local-1", earlier: Sequence[bytes] = ()) -> Payload:
        """What the spool has of a file."""
        path = self.folder / hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
        return Payload(token, path, len(content), sha1(content), MTIME_NS, tuple(map(sha1, earlier)))


def sha1(content: bytes) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


@pytest.fixture(params=["3.1.0", "2.7.5"])
def server(request: pytest.FixtureRequest) -> Iterator[ImmichServer]:
    with immich(request.param) as server:
        yield server


@pytest.fixture
def account(server: ImmichServer) -> WritableImmichProvider:
    return account_of(server)


def id_of(album: Album) -> AlbumId:
    return AlbumId(album.id)


def sent(server: ImmichServer, method: str, path: str) -> list[object]:
    """The bodies of those requests."""
    return [one.value for one in server.requests if one.method == method and one.path.endswith(path)]


# ---- uploads, §4 ----------------------------------------------------------------------------------------------


@in_trio
async def test_an_upload_says_what_both_versions_want_and_never_how_long_it_lasts(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: 2.x requires the device's names, 3.x a note instead; the two write durations differently."""
    album = server.add_album("A")
    asset = await account.upload(id_of(album), 'a"b\nc.JPG', spool(picture(1)))
    (form,) = sent(server, "POST", "/api/assets")
    assert isinstance(form, Mapping)
    assert (form["deviceAssetId"], form["deviceId"]) == ("local-1", "iiiffs")
    assert form["fileCreatedAt"] == form["fileModifiedAt"] == "2020-09-13T12:26:40.000Z"
    assert "duration" not in form
    assert asset.name == 'a"b\nc.JPG'
    assert ("metadata" in form) == server.version.startswith("3")


@in_trio
async def test_equal_bytes_are_one_asset_with_the_name_it_has_and_no_byte_is_sent(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: `cp a.jpg copy.jpg` makes no copy.jpg. Only the album changes."""
    known, album = server.add_asset("a.jpg", data=picture(1)), server.add_album("A")
    for _ in range(2):
        asset = await account.upload(id_of(album), "copy.jpg", spool(picture(1)))
        assert (asset.id, asset.name) == (known.id, "a.jpg")
    assert list(album.members) == [known.id]
    assert sent(server, "POST", "/api/assets") == []


@in_trio
async def test_equal_bytes_in_the_trash_come_out_of_it(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: an upload is answered 200, and the file would still be in the trash."""
    known, album = server.add_asset("a.jpg", data=picture(1)), server.add_album("A")
    server.trash(known)
    await account.upload(id_of(album), "a.jpg", spool(picture(1)))
    assert not known.trashed
    assert list(album.members) == [known.id]


@in_trio
async def test_equal_bytes_of_an_external_library_or_of_another_user_are_uploaded(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: duplicates are looked for among the user's own uploads."""
    server.add_asset("a.jpg", data=picture(1), library=LIBRARY_ID, path="/mnt/a.jpg")
    server.add_asset("a.jpg", data=picture(1), owner=server.add_user("Bob").id)
    album = server.add_album("A")
    asset = await account.upload(id_of(album), "a.jpg", spool(picture(1)))
    assert len(server.assets) == 3
    assert list(album.members) == [asset.id]


@in_trio
async def test_the_moving_half_of_a_live_photo_is_not_shown_for_a_copy_of_it(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: it is there, hidden, so an album would show nothing."""
    server.add_asset("a.mov", data=b"moving", visibility="hidden")
    album = server.add_album("A")
    with pytest.raises(Rejected, match="moving half of a live photo"):
        await account.upload(id_of(album), "copy.mov", spool(b"moving"))


@dataclass(frozen=True, slots=True)
class Torn(Effect):
    """The last byte of a request's body arrives as another."""

    def apply(self, request: Request, service: Callable[[Request], Response]) -> Response:
        """Rule: Effect.apply."""
        chunks = list(request.chunks)
        whole = bytearray(b"".join(chunks))
        whole[whole.rindex(b"\r\n--") - 1] ^= 0xFF
        request.chunks = iter([bytes(whole)])
        return service(request)


@in_trio
async def test_the_server_is_told_no_sum_that_it_checks_so_the_sum_it_has_is_compared(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: x-immich-checksum is not verified. What arrived torn is nowhere, and is sent again."""
    album = server.add_album("A")
    server.fault(Torn("torn", "a bad link"), "/api/assets$", method="POST")
    with pytest.raises(ProviderUnreachable, match="other bytes arrived"):
        await account.upload(id_of(album), "a.jpg", spool(picture(1)))
    asset = await account.upload(id_of(album), "a.jpg", spool(picture(1)))
    assert [(one.id, one.checksum) for one in server.assets.values()] == [(asset.id, sha1(picture(1)))]


@in_trio
async def test_what_immich_does_not_take_is_not_asked_for(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: by the suffix, as the server lists them; empty files; a sidecar alone. 3.x takes .mpo, 2.x does not."""
    await account.authenticate()
    album = server.add_album("A")
    server.requests.clear()
    for name, content in (("notes.txt", b"text"), ("a.jpg.xmp", b"<x/>"), ("a.jpg", b""), ("noend", b"x")):
        with pytest.raises(Rejected):
            await account.upload(id_of(album), name, spool(content))
    assert server.requests.count() == 0
    writing = account.capabilities.writing
    assert writing is not None
    assert writing.takes("a.MPO") == server.version.startswith("3")


@in_trio
async def test_a_full_account_and_a_small_proxy_say_so(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4, §7: a 400 and a 413 that would come again; nothing is left behind."""
    album = server.add_album("A")
    server.owner.quota = 10
    with pytest.raises(OverQuota, match="Quota has been exceeded"):
        await account.upload(id_of(album), "a.jpg", spool(picture(1)))
    server.owner.quota = None
    page = Response(413, [("content-type", "text/html")], b"<html>413 Request Entity Too Large</html>")
    server.fault(faults.fixed("too large", "immich.md §4: nginx", page), "/api/assets$", method="POST")
    with pytest.raises(Rejected, match="proxy in front of Immich refuses bodies of this size"):
        await account.upload(id_of(album), "a.jpg", spool(picture(1)))
    assert not server.assets
    assert account.trouble is None


@in_trio
async def test_a_suffix_that_the_server_does_not_take_after_all_is_rejected(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: 400, by the suffix alone; the list may be another since the last login."""
    album = server.add_album("A")
    account._uploads.suffixes = frozenset({".txt"})
    with pytest.raises(Rejected, match="Unsupported file type"):
        await account.upload(id_of(album), "notes.txt", spool(b"text"))


@in_trio
async def test_the_job_that_looks_at_the_file_changes_neither_its_bytes_nor_its_id(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: dates, width and height change seconds after the 201."""
    album = server.add_album("A")
    server.hold_jobs()
    content = picture(1, DateTimeOriginal="2001:02:03 04:05:06")
    before = await account.upload(id_of(album), "a.jpg", spool(content))
    server.release_jobs()
    (after,) = (await account.listing(id_of(album))).assets
    assert (after.id, after.version, after.mtime_ns) == (before.id, before.version, before.mtime_ns)
    assert (after.changed_ns, after.described != before.described) == (before.changed_ns, True)


@in_trio
async def test_an_upload_begun_on_one_version_ends_on_the_other(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§8: servers are upgraded under a mounted file system."""
    album = server.add_album("A")
    await account.upload(id_of(album), "a.jpg", spool(picture(1)))
    server.version = "2.7.5" if server.version.startswith("3") else "3.1.0"
    await account.upload(id_of(album), "b.jpg", spool(picture(2), "local-2"))
    assert len(album.members) == 2


@in_trio
async def test_a_retry_after_reaches_who_tries_again(server: ImmichServer, spool: Spool) -> None:
    """§7: a proxy's 429 and 503; the upload is not sent a second time before somebody looked whether it arrived."""
    account = account_of(server, http=HttpSettings(rate_per_s=5000.0, retry=RetryPolicy(attempts=1)))
    album = server.add_album("A")
    page = Response(503, [("content-type", "text/html"), ("retry-after", "7")], b"<html>")
    server.fault(faults.fixed("busy", "immich.md §7", page), "/api/assets$", method="POST")
    try:
        with pytest.raises(ProviderUnreachable) as caught:
            await account.upload(id_of(album), "a.jpg", spool(picture(1)))
    finally:
        await account.aclose()
    assert caught.value.retry_after_s == 7.0
    assert len(sent(server, "POST", "/api/assets")) == 1


@in_trio
async def test_a_link_that_breaks_while_sending_leaves_nothing(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§4: there is no resuming; the whole is sent again, once."""
    album = server.add_album("A")
    server.fault(faults.broken_upload(1000), "/api/assets$", method="POST")
    big = picture(1) + b"\0" * 3_000_000
    with pytest.raises(ProviderUnreachable):
        await account.upload(id_of(album), "a.jpg", spool(big))
    await account.upload(id_of(album), "a.jpg", spool(big))
    assert [one.checksum for one in server.assets.values()] == [sha1(big)]
    assert account.upload_progress == {}


# ---- albums, §5 -----------------------------------------------------------------------------------------------


@in_trio
async def test_an_album_of_equal_title_is_never_taken_for_ours(
    server: ImmichServer, account: WritableImmichProvider
) -> None:
    """§5: titles may be equal, empty, hold a slash; what says that an album is ours is in its description."""
    other = server.add_album("Summer")
    bob = server.add_user("Bob")
    shared = server.add_album("Summer", owner=bob)
    shared.description = "made by iiiffs (local-a)"
    server.share(shared, server.owner, "editor")
    made = await account.make_album(ALBUMS, "Summer", "local-a")
    assert made.id not in (other.id, shared.id)
    for title in ("", "a/b", "line\nfeed", "Summer"):
        assert (await account.make_album(ALBUMS, title, f"local-{len(title)}")).title == title
    assert len(server.albums) == 7


@in_trio
async def test_an_album_whose_answer_was_lost_is_found_again_after_a_restart(
    server: ImmichServer, account: WritableImmichProvider
) -> None:
    """§5: Immich would make as many as are asked for."""
    server.fault(faults.lost_answer(), "/api/albums$", method="POST")
    with pytest.raises(ProviderUnreachable):
        await account.make_album(ALBUMS, "Summer", "local-a")
    again = account_of(server)
    try:
        made = await again.make_album(ALBUMS, "Summer", "local-a")
        assert [id_of(album) for album in server.albums.values()] == [made.id]
    finally:
        await again.aclose()


@in_trio
async def test_the_mark_of_a_new_album_goes_with_the_first_use_of_it(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """Nobody sees it longer; a description that somebody wrote stays."""
    made = await account.make_album(ALBUMS, "Summer", "local-a")
    assert server.albums[made.id].description == "made by iiiffs (local-a)"
    await account.upload(made.id, "a.jpg", spool(picture(1)))
    assert server.albums[made.id].description == ""
    assert (await account.make_album(ALBUMS, "Summer", "local-a")).id == made.id
    other = await account.make_album(ALBUMS, "Winter", "local-b")
    server.albums[other.id].description = "Snow"
    await account.rename_album(other.id, ALBUMS, "Cold")
    assert (server.albums[other.id].name, server.albums[other.id].description) == ("Cold", "Snow")


@in_trio
async def test_the_mark_of_an_album_that_nobody_uses_goes_by_itself(
    server: ImmichServer, account: WritableImmichProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album_changes, "TIDY_S", 0.01)
    made = await account.make_album(ALBUMS, "Summer", "local-a")
    account._albums._marked[made.id] -= 3600.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(account._albums.tidy)
        while server.albums[made.id].description:
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


@in_trio
async def test_an_album_is_removed_when_nothing_is_in_it_and_its_pictures_stay(
    server: ImmichServer, account: WritableImmichProvider
) -> None:
    """§5: archived ones are in it, and others' in a shared one; the server itself would not mind."""
    bob = server.add_user("Bob")
    archived = server.add_album("A", [server.add_asset("a.jpg", visibility="archive")])
    shared = server.add_album("B", [server.add_asset("b.jpg", owner=bob.id)])
    server.share(shared, bob, "editor")
    for album in (archived, shared):
        with pytest.raises(NotEmpty):
            await account.remove_album(id_of(album))
    server.leave(shared, list(shared.members))
    await account.remove_album(id_of(shared))
    assert list(server.albums) == [archived.id]
    assert len(server.assets) == 2


@in_trio
async def test_guests_do_what_their_role_allows(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§5: an editor adds and removes its own; a viewer nothing; the owner alone deletes the album."""
    bob = server.add_user("Bob")
    theirs = server.add_asset("bob.jpg", data=picture(7), owner=bob.id)
    mine, edited = server.add_asset("mine.jpg", data=picture(8)), server.add_album("Edited", [theirs], owner=bob)
    looked = server.add_album("Looked", [theirs], owner=bob)
    server.share(edited, server.owner, "editor")
    server.share(looked, server.owner, "viewer")
    asset = await account.upload(id_of(edited), "new.jpg", spool(picture(1)))
    assert await account.add(id_of(edited), [AssetId(mine.id)]) == {}
    refused = await account.take_out(id_of(edited), [AssetId(theirs.id), AssetId(mine.id)])
    assert refused == {theirs.id: "it is not yours, or not there any more"}
    assert set(edited.members) == {theirs.id, asset.id}
    assert (await account.rename_album(id_of(edited), ALBUMS, "Ours")).title == "Ours"
    count = len(server.assets)
    for verb in (account.upload(id_of(looked), "n.jpg", spool(picture(2), "local-2")),
                 account.add(id_of(looked), [AssetId(mine.id)]), account.take_out(id_of(looked), [AssetId(theirs.id)]),
                 account.rename_album(id_of(looked), ALBUMS, "Mine"), account.remove_album(id_of(looked)),
                 account.remove_album(id_of(edited)), account.edit(AssetId(theirs.id), Edit(rating=1))):  # fmt: skip
        with pytest.raises(Forbidden):
            await verb
    assert len(server.assets) == count
    assert (looked.name, set(looked.members), theirs.rating) == ("Looked", {theirs.id}, None)


@in_trio
async def test_five_thousand_pictures_are_few_calls_and_each_refusal_is_read(
    server: ImmichServer, account: WritableImmichProvider
) -> None:
    """§5: 200 does not mean that it worked. §7: a body has 10 MB at most."""
    assets = server.add_assets(5000)
    foreign = server.add_asset("b.jpg", owner=server.add_user("Bob").id)
    album = server.add_album("A", assets[:10])
    ids = [AssetId(one.id) for one in assets]
    refused = await account.add(id_of(album), [*ids, AssetId(foreign.id), AssetId("local-7")])
    assert set(refused) == {foreign.id, "local-7"}
    assert len(album.members) == 5000
    assert await account.take_out(id_of(album), [*ids, UNKNOWN]) == {}
    assert not album.members
    assert len(sent(server, "PUT", "/assets")) + len(sent(server, "DELETE", "/assets")) <= 12


@in_trio
async def test_one_that_spoils_a_whole_call_is_found(server: ImmichServer, account: WritableImmichProvider) -> None:
    """§5: favorites of many are one call that fails whole; the others are set."""
    assets = server.add_assets(40)
    foreign = server.add_asset("b.jpg", owner=server.add_user("Bob").id)
    ids = [AssetId(one.id) for one in assets]
    refused = await account.tag(Favorites(), [*ids[:20], AssetId(foreign.id), *ids[20:]])
    assert set(refused) == {foreign.id}
    assert all(one.favorite for one in assets)
    assert not foreign.favorite


# ---- assets, §5 -----------------------------------------------------------------------------------------------


@in_trio
async def test_what_is_trashed_keeps_its_albums_and_comes_back_to_them(
    server: ImmichServer, account: WritableImmichProvider
) -> None:
    """§5."""
    photo = server.add_asset("a.jpg")
    album = server.add_album("A", [photo])
    (asset,) = (await account.listing(id_of(album))).assets
    await account.remove(asset)
    assert photo.trashed
    assert (await account.listing(id_of(album))).assets == ()
    await account.restore(asset.id)
    assert [one.id for one in (await account.listing(id_of(album))).assets] == [asset.id]


@in_trio
async def test_properties_are_set_each_by_itself(server: ImmichServer, account: WritableImmichProvider) -> None:
    """§5: no rating is null; a date keeps the zone of its wall clock; a name is nobody's to change."""
    photo = server.add_asset("a.jpg", taken="2023-05-01T10:11:12+02:00", rating=3)
    album = server.add_album("A", [photo])
    (asset,) = (await account.listing(id_of(album))).assets
    for edit in (Edit(description="Sea"), Edit(favorite=True), Edit(rating=5), Edit(rating=0),
                 Edit(mtime_ns=1_682_937_000 * 10**9)):  # fmt: skip
        assert (await account.edit(asset.id, edit)).id == asset.id
    assert (photo.description, photo.favorite, photo.rating, photo.name) == ("Sea", True, None, "a.jpg")
    assert sent(server, "PUT", f"/assets/{photo.id}")[-2:] == [
        {"rating": None},
        {"dateTimeOriginal": "2023-05-01T12:30:00.000+02:00"},
    ]
    (shown,) = (await account.listing(id_of(album))).assets
    assert (await account.facts(shown)).captured == "2023-05-01T12:30:00+02:00"


@in_trio
async def test_the_room_is_the_quota_or_the_disk(server: ImmichServer, account: WritableImmichProvider) -> None:
    """§1."""
    disk = Space(server.settings.disk_bytes, server.settings.disk_free_bytes)
    assert await account.space() == disk
    server.add_asset("a.jpg", data=b"x" * 300)
    server.owner.quota = 1000
    assert await account.space() == Space(1000, 700)
    server.owner.quota = 100
    assert await account.space() == Space(100, 0)
    server.api_key.permissions = READ
    server.owner.quota = None
    assert await account.space() is None


@in_trio
async def test_own_changes_are_noticed_like_anybody_elses(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§6: what has listed an album once hears of each, and finds it listed so."""
    album, other = server.add_album("A", [server.add_asset("a.jpg")]), server.add_album("B")
    reported: set[AlbumId] = set()
    async with trio.open_nursery() as nursery:
        (asset,) = (await account.listing(id_of(album))).assets
        await account.listing(id_of(other))
        await nursery.start(account.watch, lambda changes: reported.update(changes.albums))
        for verb, wanted in (
            (lambda: account.upload(id_of(album), "b.jpg", spool(picture(1))), album),
            (lambda: account.edit(asset.id, Edit(description="Sea")), album),
            (lambda: account.add(id_of(other), [asset.id]), other),
            (lambda: account.take_out(id_of(other), [asset.id]), other),
            (lambda: account.replace(asset, spool(picture(2), "local-2")), album),
        ):
            etag = (await account.listing(id_of(wanted))).etag
            reported.clear()
            await verb()
            with trio.fail_after(5):
                while id_of(wanted) not in reported:
                    await trio.sleep(0.01)
            assert (await account.listing(id_of(wanted))).etag != etag
        nursery.cancel_scope.cancel()


# ---- the key, §1 ----------------------------------------------------------------------------------------------


@in_trio
async def test_an_account_is_as_writable_as_its_key(server: ImmichServer) -> None:
    """§1: /api-keys/me tells at login what will be refused."""
    for permissions, verbs, properties, tags, takes in (
        (("all",), set(AlbumVerb), set(Property), True, True),
        (READ, set(), set(), False, False),
        ((*READ, "asset.upload", "albumAsset.create", "album.create"), {AlbumVerb.MAKE}, set(), False, True),
        ((*READ, "album.delete", "album.update"), {AlbumVerb.REMOVE, AlbumVerb.RENAME}, set(), False, False),
        ((*READ, "asset.upload"), set(), set(), False, False),
        ((*READ, "asset.update", "tag.create", "tag.asset"), set(), set(Property), True, False),
    ):
        account = account_of(server, stored(server.add_key(permissions=permissions).secret))
        try:
            await account.authenticate()
            writing = account.capabilities.writing
            assert writing is not None
            assert (writing.album_verbs, writing.properties) == (verbs, properties)
            assert (writing.tags, writing.takes("a.jpg")) == (tags, takes)
        finally:
            await account.aclose()


@in_trio
async def test_each_permission_that_is_missing_is_named(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    """§1: 403; an upload waits for a better key, everything else is refused."""
    photo, tag = server.add_asset("a.jpg"), server.add_tag("Sea")
    album, empty = server.add_album("A", [photo]), server.add_album("B")
    (asset,) = (await account.listing(id_of(album))).assets
    server.api_key.permissions = READ
    tokens = (f"local-{number}" for number in count())
    revision = server.revision
    for missing, error, verb in (
        ("asset.upload", AccessDenied, lambda: account.upload(id_of(album), "b.jpg", spool(picture(1), next(tokens)))),
        ("album.create", Forbidden, lambda: account.make_album(ALBUMS, "C", next(tokens))),
        ("album.update", Forbidden, lambda: account.rename_album(id_of(album), ALBUMS, "C")),
        ("album.delete", Forbidden, lambda: account.remove_album(id_of(empty))),
        ("albumAsset.create", Forbidden, lambda: account.add(id_of(empty), [asset.id])),
        ("albumAsset.delete", Forbidden, lambda: account.take_out(id_of(album), [asset.id])),
        ("asset.delete", Forbidden, lambda: account.remove(asset)),
        ("asset.delete", Forbidden, lambda: account.restore(asset.id)),
        ("asset.update", Forbidden, lambda: account.edit(asset.id, Edit(rating=1))),
        ("asset.update", Forbidden, lambda: account.tag(Favorites(), [asset.id])),
        ("tag.asset", Forbidden, lambda: account.tag(OfTag(tag.id), [asset.id])),
        ("tag.create", Forbidden, lambda: account.make_tag("Sky")),
    ):
        with pytest.raises(error, match=f"the key lacks {missing}: .*needs that"):
            await verb()
    assert server.revision == revision


@in_trio
async def test_a_refused_key_is_no_missing_permission(server: ImmichServer, account: WritableImmichProvider) -> None:
    """§1, §7: 401."""
    album = server.add_album("A")
    server.revoke()
    with pytest.raises(AccessDenied, match="refuses the key"):
        await account.take_out(id_of(album), [UNKNOWN])
    with pytest.raises(AccessDenied, match="refuses the key"):
        await account.space()


@in_trio
async def test_what_is_not_there_is_gone(server: ImmichServer, account: WritableImmichProvider) -> None:
    """§7: 400 "Not found or no", for what is not there and for what is not the user's."""
    for verb in (account.edit(UNKNOWN, Edit(rating=1)), account.restore(UNKNOWN),
                 account.add(AlbumId(UNKNOWN), [UNKNOWN]), account.rename_album(AlbumId(UNKNOWN), ALBUMS, "x"),
                 account.tag(OfTag(UNKNOWN), [UNKNOWN])):  # fmt: skip
        with pytest.raises(AssetGone):
            await verb
    assert await account.take_out(AlbumId(UNKNOWN), [UNKNOWN]) == {}
    assert await account.untag(OfTag(UNKNOWN), [UNKNOWN]) == {}
    await account.remove_album(AlbumId(UNKNOWN))
