"""Other bytes for an asset of Immich: all that was said of it goes along, wherever that is cut off.

Rule: DESIGN §4; research immich.md §4, §5.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from PIL import Image

from iiiffs.errors import AccessDenied, AssetGone, Forbidden, ProviderUnreachable, VersionChanged
from iiiffs.model.gallery import AlbumId
from iiiffs.model.gallery import Asset as Shown
from iiiffs.model.writing import Payload
from iiiffs.providers.immich.writing import WritableImmichProvider
from tests.fakes import faults
from tests.fakes.immich import ImmichServer, immich
from tests.fakes.immich.records import Album, Asset, Place, Stack
from tests.fakes.serving import Delivery, Response
from tests.harness.immich_account import account_of, stored

VERSIONS = ("3.1.0", "2.7.5")
CUT_OFF = [("2.7.5", True), ("3.1.0", True), ("3.1.0", False), pytest.param("2.7.5", False, marks=pytest.mark.soak)]
"""What of the server answers no more: it does, and the answer is lost; or it hears nothing."""
MTIME_NS = 1_700_000_000 * 10**9
SIZE_PX = (64, 48)


def picture(red: int, size_px: tuple[int, int] = SIZE_PX, **exif: str) -> bytes:
    """A JPEG; `exif`: DateTimeOriginal, OffsetTimeOriginal, ImageDescription."""
    tags = Image.Exif()
    if "ImageDescription" in exif:
        tags[0x010E] = exif["ImageDescription"]
    below = tags.get_ifd(0x8769)
    if "DateTimeOriginal" in exif:
        below[0x9003] = exif["DateTimeOriginal"]
    if "OffsetTimeOriginal" in exif:
        below[0x9011] = exif["OffsetTimeOriginal"]
    stream = io.BytesIO()
    Image.new("RGB", size_px, (20 * red, 10, 20)).save(stream, "JPEG", exif=tags)
    return stream.getvalue()


@dataclass
class Scene:
    """An account with a photo of which much is said, and the file that is to take its place."""

    server: ImmichServer
    folder: Path
    photo: Asset
    albums: list[Album]

    def payload(self, content: bytes, token: str = "local-1", earlier: tuple[bytes, ...] = ()) -> Payload:
        """What the spool has."""
        path = self.folder / hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
        sums = tuple(sha1(each) for each in earlier)
        return Payload(token, path, len(content), sha1(content), MTIME_NS, sums)

    def portrait(self, asset: Asset) -> dict[str, object]:
        """All that is said of it."""
        server = self.server
        stack = server.stacks.get(asset.stack or "")
        return {
            "name": asset.name,
            "albums": {album.name for album in server.albums.values() if asset.id in album.members},
            "favorite": asset.favorite,
            "description": asset.description,
            "rating": asset.rating,
            "tags": {server.tags[id].value for id in asset.tags},
            "taken": (asset.taken, asset.zone),
            "place": None if asset.place is None else (asset.place.latitude, asset.place.longitude),
            "visibility": asset.visibility,
            "leads its stack": stack is not None and stack.primary == asset.id,
            "stacked with": {server.assets[id].name for id in stack.members} - {asset.name} if stack else set(),
            "links": sum(asset.id in link.assets for link in server.links.values()),
            "live": asset.live_video,
            "faces": sorted((face.person or "", face.box) for face in server.faces.values() if face.asset == asset.id),
        }

    def present(self) -> list[Asset]:
        """What is called like the photo, and is not in the trash."""
        return [one for one in self.server.assets.values() if one.name == self.photo.name and not one.trashed]

    def trashed(self) -> list[Asset]:
        """What is in the trash."""
        return [one for one in self.server.assets.values() if one.trashed]


def sha1(content: bytes) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()


BEFORE, AFTER, LATER = picture(1), picture(2), picture(3)


@contextmanager
def scene(version: str, folder: Path, before: bytes = BEFORE) -> Iterator[Scene]:
    """Of the photo is said whatever Immich can say."""
    with immich(version) as server:
        half = server.add_asset("IMG_1.mov", visibility="hidden")
        photo = server.add_asset(
            "IMG_1.jpg",
            data=before,
            taken="2021-07-08T12:13:14+05:30",
            favorite=True,
            description="By the sea",
            rating=4,
            place=Place(40.4, -3.7),
            visibility="archive",
            live_video=half.id,
        )
        albums = [server.add_album("A", [photo]), server.add_album("B", [photo])]
        server.add_tag("Trips/2021", [photo])
        server.add_person("Anna", [photo])
        other = server.add_asset("IMG_2.jpg", data=picture(9))
        stack(server, photo, other)
        yield Scene(server, folder, photo, albums)


def stack(server: ImmichServer, *assets: Asset) -> None:
    """The first stands for all."""
    made = Stack(server.new_id(), server.first_user.id, assets[0].id, [asset.id for asset in assets])
    server.stacks[made.id] = made
    for asset in assets:
        server.edit(asset, stack=made.id)


async def replaced(scene: Scene, payload: Payload, provider: WritableImmichProvider | None = None) -> tuple[str, ...]:
    """What could not be carried over."""
    account = provider or account_of(scene.server)
    try:
        asset = await listed(scene, account)
        return (await account.replace(asset, payload)).not_carried
    finally:
        await account.aclose()


async def listed(scene: Scene, account: WritableImmichProvider) -> Shown:
    """The photo, as it was when the file was opened."""
    found = await account.listing(AlbumId(scene.albums[0].id))
    return next(one for one in found.assets if one.id == scene.photo.id)


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_was_said_of_a_photo_is_said_of_its_successor(version: str, tmp_path: Path) -> None:
    with scene(version, tmp_path) as here:
        before = here.portrait(here.photo)
        assert trio.run(replaced, here, here.payload(AFTER)) == ()
        (new,) = here.present()
        assert new.original.read() == AFTER
        assert new.checksum == sha1(AFTER)
        assert here.portrait(new) == before
        assert here.trashed() == [here.photo]


def dead() -> faults.Effect:
    """Nobody answers."""
    return faults.fixed("dead", "a dead link", Response(500, delivery=Delivery(refuse=True)))


def questions(version: str, folder: Path) -> int:
    """How many a replacement asks that nothing disturbs, after the listing."""
    with scene(version, folder) as here:
        asset = trio.run(opened, here)
        here.server.requests.clear()
        trio.run(replaced_as, here, asset, here.payload(AFTER))
        return here.server.requests.count()


async def opened(scene: Scene) -> Shown:
    account = account_of(scene.server)
    try:
        return await listed(scene, account)
    finally:
        await account.aclose()


async def replaced_as(scene: Scene, asset: Shown, payload: Payload) -> tuple[Shown, tuple[str, ...]]:
    """By an account that knows nothing yet, as after a crash."""
    account = account_of(scene.server)
    try:
        done = await account.replace(asset, payload)
        return done.asset, done.not_carried
    finally:
        await account.aclose()


@pytest.mark.parametrize(("version", "is_heard"), CUT_OFF)
def test_cut_off_at_any_request_a_repeat_ends_the_same(version: str, is_heard: bool, tmp_path: Path) -> None:
    """From the n-th request on nobody answers; then the same is asked again."""
    count = questions(version, tmp_path)
    assert count > 12
    for number in range(count + 1):
        with scene(version, tmp_path) as here:
            asset, before = trio.run(opened, here), here.portrait(here.photo)
            payload = here.payload(AFTER)
            if is_heard:
                here.server.fault(faults.lost_answer(), skip=number)
            here.server.fault(dead(), skip=number, times=None)
            if number < count:
                with pytest.raises(ProviderUnreachable):
                    trio.run(replaced_as, here, asset, payload)
            else:
                trio.run(replaced_as, here, asset, payload)
            here.server.faults.clear()
            found, not_carried = trio.run(replaced_as, here, asset, payload)
            (new,) = here.present()
            assert (found.id, found.checksum, not_carried) == (new.id, sha1(AFTER), ())
            assert here.portrait(new) == before, f"cut off at request {number}"
            assert here.trashed() == [here.photo], f"cut off at request {number}"


async def parted_from(
    scene: Scene, asset: Shown, payload: Payload, stays: dict[AlbumId, bool]
) -> tuple[Shown, tuple[str, ...]]:
    """Replaced, and yet there, by an account that knows nothing yet."""
    account = account_of(scene.server)
    try:
        done = await account.replace_beside(asset, payload, stays)
        return done.asset, done.not_carried
    finally:
        await account.aclose()


def in_albums(scene: Scene, asset: Asset) -> set[str]:
    return {album.name for album in scene.server.albums.values() if asset.id in album.members}


@pytest.mark.parametrize(("version", "is_heard"), CUT_OFF)
def test_what_has_copies_goes_on_beside_its_successor_wherever_it_is_cut_off(
    version: str, is_heard: bool, tmp_path: Path
) -> None:
    """x.jpg is in A and B and C, has a copy beside it in A, and is in B by a copy's name alone."""
    number, is_over = 0, False
    while not is_over:
        with scene(version, tmp_path) as here:
            here.server.add_album("C", [here.photo])
            asset, before = trio.run(opened, here), here.portrait(here.photo)
            stays = {AlbumId(here.albums[0].id): True, AlbumId(here.albums[1].id): False}
            payload = here.payload(AFTER)
            if is_heard:
                here.server.fault(faults.lost_answer(), skip=number)
            here.server.fault(dead(), skip=number, times=None)
            try:
                trio.run(parted_from, here, asset, payload, stays)
                is_over = True
            except ProviderUnreachable:
                assert not here.photo.trashed
            here.server.faults.clear()
            found, not_carried = trio.run(parted_from, here, asset, payload, stays)
            (new,) = [one for one in here.present() if one is not here.photo]
            assert (found.id, found.checksum, not_carried) == (new.id, sha1(AFTER), ())
            assert here.portrait(new) == before | {"albums": {"A", "C"}}, f"cut off at request {number}"
            assert here.trashed() == []
            assert in_albums(here, here.photo) == {"A", "B"}, f"cut off at request {number}"
            assert (here.photo.favorite, list(here.photo.tags)) == (False, [])
            number += 1
    assert number > 12


@pytest.mark.parametrize("version", VERSIONS)
def test_what_has_copies_is_edited_once_more_before_it_was_answered(version: str, tmp_path: Path) -> None:
    with scene(version, tmp_path) as here:
        asset, before = trio.run(opened, here), here.portrait(here.photo)
        stays = {AlbumId(here.albums[1].id): False}
        trio.run(parted_from, here, asset, here.payload(AFTER), stays)
        trio.run(parted_from, here, asset, here.payload(LATER, earlier=(AFTER,)), stays)
        assert [one.checksum for one in here.trashed()] == [sha1(AFTER)]
        (new,) = [one for one in here.present() if one is not here.photo]
        assert new.checksum == sha1(LATER)
        assert here.portrait(new) == before | {"albums": {"A"}}
        assert in_albums(here, here.photo) == {"B"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_that_takes_nothing_out_says_what_is_left_there(version: str, tmp_path: Path) -> None:
    with scene(version, tmp_path) as here:
        asset = trio.run(opened, here)
        here.server.api_key.permissions = (
            "album.read", "asset.read", "asset.view", "asset.download", "user.read", "asset.upload", "asset.update",
            "asset.delete", "asset.copy", "albumAsset.create", "stack.update", "tag.asset", "face.read", "face.create",
        )  # fmt: skip
        _, lost = trio.run(parted_from, here, asset, here.payload(AFTER), {AlbumId(here.albums[0].id): True})
        assert lost == ("that only it is in album 'B'",)
        assert in_albums(here, here.photo) == {"A", "B"}


@pytest.mark.parametrize("version", VERSIONS)
def test_cut_off_and_edited_once_more_the_first_try_leaves_nothing(version: str, tmp_path: Path) -> None:
    """`earlier`: what the first try sent goes to the trash, wherever it was cut off."""
    for number in range(0, questions(version, tmp_path) + 1, 2):
        with scene(version, tmp_path) as here:
            asset, before = trio.run(opened, here), here.portrait(here.photo)
            here.server.fault(faults.lost_answer(), skip=number)
            here.server.fault(dead(), skip=number, times=None)
            with suppress(ProviderUnreachable):
                trio.run(replaced_as, here, asset, here.payload(AFTER))
            here.server.faults.clear()
            trio.run(replaced_as, here, asset, here.payload(LATER, earlier=(AFTER,)))
            (new,) = here.present()
            assert new.checksum == sha1(LATER)
            assert here.portrait(new) == before, f"cut off at request {number}"
            assert {one.checksum for one in here.trashed()} <= {sha1(BEFORE), sha1(AFTER)}
            assert here.photo in here.trashed()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_there_before_is_never_thrown_away(version: str, tmp_path: Path) -> None:
    """Somebody's photo has the very bytes that were sent for this file before; it was not made by that."""
    with scene(version, tmp_path) as here:
        asset = trio.run(opened, here)
        theirs = here.server.add_asset("theirs.jpg", data=AFTER)
        trio.run(replaced_as, here, asset, here.payload(LATER, earlier=(AFTER,)))
        assert not theirs.trashed
        assert here.trashed() == [here.photo]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_earlier_try_found_there_is_not_replaced_with_the_next_bytes(
    version: str, times: int, tmp_path: Path
) -> None:
    """Its answer was lost, or nobody waited for it: `cp theirs.jpg IMG_1.jpg`, and then an edit of that."""
    with scene(version, tmp_path) as here:
        asset = trio.run(opened, here)
        theirs = here.server.add_asset("theirs.jpg", data=AFTER)
        here.server.add_album("C", [theirs])
        trio.run(replaced_as, here, asset, here.payload(AFTER))
        assert here.trashed() == [here.photo]
        for _ in range(times):
            shown, _ = trio.run(replaced_as, here, asset, here.payload(LATER, earlier=(AFTER,)))
        assert here.trashed() == [here.photo]
        new = here.server.assets[shown.id]
        assert (new.name, new.checksum, theirs.checksum) == ("IMG_1.jpg", sha1(LATER), sha1(AFTER))
        assert (in_albums(here, new), in_albums(here, theirs)) == ({"A", "B"}, {"A", "B", "C"})
        assert (new.description, new.rating, new.favorite) == ("By the sea", 4, True)


@pytest.mark.parametrize("version", VERSIONS)
def test_bytes_that_another_photo_has_make_that_the_successor(version: str, tmp_path: Path) -> None:
    with scene(version, tmp_path) as here:
        asset = trio.run(opened, here)
        theirs = here.server.add_asset("theirs.jpg", data=AFTER, favorite=True)
        for _ in range(2):
            found, _ = trio.run(replaced_as, here, asset, here.payload(AFTER))
            assert found.id == theirs.id
        assert here.trashed() == [here.photo]
        assert here.portrait(theirs)["albums"] == {"A", "B"}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_edit_taken_back_takes_the_first_one_out_of_the_trash(version: str, tmp_path: Path) -> None:
    with scene(version, tmp_path) as here:
        asset, before = trio.run(opened, here), here.portrait(here.photo)
        edited, _ = trio.run(replaced_as, here, asset, here.payload(AFTER))
        again, _ = trio.run(replaced_as, here, edited, here.payload(BEFORE, "local-2"))
        assert again.id == here.photo.id
        assert here.portrait(here.photo) == before
        assert [one.id for one in here.trashed()] == [edited.id]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_others_threw_away_meanwhile_is_gone(version: str, tmp_path: Path) -> None:
    """No note says that this file replaced it."""
    with scene(version, tmp_path) as here:
        asset = trio.run(opened, here)
        here.server.trash(here.photo)
        with pytest.raises(AssetGone):
            trio.run(replaced_as, here, asset, here.payload(AFTER))
        here.server.restore(here.photo)
        trio.run(replaced_as, here, asset, here.payload(AFTER))
        for token in ("local-9", "local-1"):
            with pytest.raises((AssetGone, VersionChanged)):
                trio.run(replaced_as, here, asset, here.payload(LATER, token))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_file_itself_says_anew_holds(version: str, tmp_path: Path) -> None:
    """exiftool changed date and caption in the file; GIMP takes both away."""
    old = picture(1, DateTimeOriginal="2020:01:02 03:04:05", ImageDescription="Old")
    dated = picture(2, DateTimeOriginal="2019:09:09 09:09:09", ImageDescription="New")
    same = picture(3, DateTimeOriginal="2020:01:02 03:04:05", ImageDescription="Old")
    for content, description, day in ((dated, "New", "2019-09-09"), (same, "By the sea", "2021-07-08"),
                                      (AFTER, "By the sea", "2021-07-08")):  # fmt: skip
        with scene(version, tmp_path, old) as here:
            asset = trio.run(opened, here)
            trio.run(replaced_as, here, asset, here.payload(content))
            here.server.release_jobs()
            (new,) = here.present()
            assert new.description == description
            assert trio.run(taken_day, here, new) == day


async def taken_day(scene: Scene, asset: Asset) -> str:
    account = account_of(scene.server)
    try:
        shown = next(one for one in (await account.listing(AlbumId(scene.albums[0].id))).assets if one.id == asset.id)
        return ((await account.facts(shown)).captured or "")[:10]
    finally:
        await account.aclose()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_busy_server_keeps_what_was_set_before_it_looked_at_the_file(version: str, tmp_path: Path) -> None:
    with scene(version, tmp_path) as here:
        asset, before = trio.run(opened, here), here.portrait(here.photo)
        here.server.hold_jobs()
        trio.run(replaced_as, here, asset, here.payload(AFTER))
        here.server.release_jobs()
        (new,) = here.present()
        assert here.portrait(new) == before


@pytest.mark.parametrize("version", VERSIONS)
def test_what_cannot_be_carried_over_is_named_each_time(version: str, tmp_path: Path) -> None:
    """Who is seen, in a picture of another size; and what a key may not do."""
    with scene(version, tmp_path) as here:
        asset = trio.run(opened, here)
        for _ in range(2):
            _, lost = trio.run(replaced_as, here, asset, here.payload(picture(2, (48, 64))))
            assert lost == ("who is seen there",)
    with scene(version, tmp_path) as here:
        asset, before = trio.run(opened, here), here.portrait(here.photo)
        here.server.api_key.permissions = (
            "album.read", "asset.read", "asset.view", "asset.download", "user.read", "asset.upload", "asset.update",
            "asset.delete", "albumAsset.create",
        )  # fmt: skip
        for _ in range(2):
            _, lost = trio.run(replaced_as, here, asset, here.payload(AFTER))
            assert lost == (
                "shared links", "sidecar (the key lacks asset.copy)", "stack", "that it stands for its stack", "tags",
                "who is seen there",
            )  # fmt: skip
        (new,) = here.present()
        carried = here.portrait(new)
        for said in ("albums", "favorite", "description", "rating", "taken", "place", "visibility", "live"):
            assert carried[said] == before[said]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_that_may_not_replace_says_so_before_anything_is_done(version: str, tmp_path: Path) -> None:
    with scene(version, tmp_path) as here:
        asset = trio.run(opened, here)
        here.server.api_key.permissions = ("album.read", "asset.read", "asset.view", "asset.download", "asset.upload")

        async def replace() -> None:
            account = account_of(here.server)
            try:
                await account.authenticate()
                await account.replace(asset, here.payload(AFTER))
            finally:
                await account.aclose()

        revision = here.server.revision
        with pytest.raises(AccessDenied, match=r"lacks asset\.update, asset\.delete: replacing a picture needs that"):
            trio.run(replace)
        assert here.server.revision == revision


@pytest.mark.parametrize("version", VERSIONS)
def test_others_photos_external_files_and_servers_without_trash_are_left_alone(version: str, tmp_path: Path) -> None:
    with scene(version, tmp_path) as here:
        server = here.server
        bob = server.add_user("Bob")
        album = server.add_album("Bob's", [server.add_asset("bob.jpg", data=picture(7), owner=bob.id)], owner=bob)
        server.share(album, server.owner, "editor")
        library = "9f6c2f3e-0f6b-4c8e-8a55-1a7f2d1c3b4e"
        server.add_asset("external.jpg", data=picture(8), library=library, path="/mnt/x.jpg", album=here.albums[0])

        async def refused(title: str, name: str, why: str, *, is_named: bool = True) -> None:
            account = account_of(server, stored(here.server.api_key.secret if is_named else nameless.secret))
            try:
                albums = {one.title: one.id for one in await account.albums()}
                asset = next(one for one in (await account.listing(albums[title])).assets if one.name == name)
                with pytest.raises(Forbidden, match=why):
                    await account.replace(asset, here.payload(AFTER))
                with pytest.raises(Forbidden, match=why):
                    await account.remove(asset)
            finally:
                await account.aclose()

        nameless = server.add_key(
            permissions=["album.read", "asset.read", "asset.view", "asset.download", "asset.upload", "asset.update",
                         "asset.delete", "asset.copy"]
        )  # fmt: skip
        trio.run(refused, "Bob's", "bob.jpg", "somebody else's")
        trio.run(lambda: refused("Bob's", "bob.jpg", "not yours|only who owns", is_named=False))
        trio.run(refused, "A", "external.jpg", "external library")
        server.settings.trash_enabled = False
        trio.run(refused, "A", "IMG_1.jpg", "keeps no trash")
        assert here.trashed() == []
        assert not [one for one in server.assets.values() if one.checksum == sha1(AFTER)]
