"""What every provider with `capabilities.writing` must do: the docstrings of providers.writing, one test a sentence.

A provider's own test is a subclass of WritingContract with its hooks; see test_folder_writing.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import trio

from iiiffs.errors import AlreadyThere, AssetGone, NotEmpty, Rejected, VersionChanged
from iiiffs.model.description import Description
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId
from iiiffs.model.writing import AlbumVerb, Edit, Payload, Property, Writing
from iiiffs.providers.base import Provider
from iiiffs.providers.views import TRASH, Favorites, HasViews, Mark, OfTag
from iiiffs.providers.writing import HasWriting, writing_of
from tests.contract.provider_contract import in_trio

SECOND_NS = 10**9
MTIME_NS = 1_600_000_000 * SECOND_NS
OURS = b"our own picture " * 5000
THEIRS = b"another's picture" * 5000
SIDECAR = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
NEWER = b"our picture, edited" * 5000
NAMES = {
    "NFC": "Z\u00fcrich \u2603.jpg",
    "NFD": "Zu\u0308rich.jpg",
    "leading dot": ".hidden holiday.jpg",
    "leading dash": "-rf.jpg",
    "spaces": "  two  spaces .jpg",
    "trailing dot": "picture.jpg.",
    "glob": "*?[a]{b}$(c)`d`\\.jpg",
    "newline": "one\ntwo.jpg",
    "percent": "100%25.jpg",
    "device": "CON.jpg",
}


def sha1(content: bytes) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()


async def content_of(provider: Provider, asset: Asset) -> bytes:
    """The asset's bytes, all of them."""
    original = await provider.open(asset)
    try:
        return await original.read(0, original.size_bytes)
    finally:
        await original.aclose()


class WritingContract:
    """Subclass as `Test…`, give the fixture `provider` (one empty album, open) and the hooks.

    `names`: that files can have. `name_bytes_max`: the longest. `takes_empty`: files of 0 bytes may be sent.
    `mtime_step_ns`: of times that it keeps. `replaces_in_place`: rule ProviderContract.
    """

    names: Iterable[str] = NAMES.values()
    name_bytes_max = 255
    takes_empty = True
    mtime_step_ns = 1
    replaces_in_place = True

    def album_id(self, provider: Provider) -> AlbumId:
        """The id of the album that the other hooks change."""
        raise NotImplementedError

    def parent_id(self, provider: Provider) -> AlbumId:
        """Where albums are made."""
        raise NotImplementedError

    def add(self, name: str, content: bytes) -> None:
        """Another program: the album has one more asset."""
        raise NotImplementedError

    def replace(self, name: str, content: bytes) -> None:
        """Another program: the asset has other bytes."""
        raise NotImplementedError

    def trashed(self) -> list[bytes]:
        """The bytes of every file in the trash, and of each that is kept as an earlier version."""
        raise NotImplementedError

    def litter(self) -> list[str]:
        """What is left of transfers that did not come to an end."""
        return []

    @pytest.fixture(autouse=True)
    def _spool(self, tmp_path: Path) -> None:
        self.spool = tmp_path / "spool"
        self.spool.mkdir()

    def payload(self, content: bytes, token: str = "local-1", earlier: Sequence[bytes] = ()) -> Payload:
        """What the spool has of a file. `earlier`: contents that may have arrived before."""
        own = sha1(content)
        path = self.spool / f"{token}-{own.hex()}"
        path.write_bytes(content)
        sums = tuple(sha1(each) for each in earlier)
        return Payload(token, path, len(content), own, MTIME_NS, sums)

    def writing(self, provider: Provider) -> tuple[HasWriting, Writing]:
        """Its writing half, and what it offers."""
        half, offers = writing_of(provider), provider.capabilities.writing
        assert half is not None
        assert offers is not None
        return half, offers

    async def assets(self, provider: Provider, album: AlbumId | None = None) -> list[Asset]:
        """All that are in the album."""
        return list((await provider.listing(album or self.album_id(provider))).assets)

    async def the_one(self, provider: Provider) -> Asset:
        """The album's only asset."""
        (asset,) = await self.assets(provider)
        return asset

    async def make(self, provider: Provider, title: str, token: str = "local-album") -> Album:
        """An album beside that of the hooks."""
        return await self.writing(provider)[0].make_album(self.parent_id(provider), title, token)

    async def albums(self, provider: Provider) -> list[Album]:
        """Those where albums are made. Of a provider without folders: override."""
        return list((await provider.listing(self.parent_id(provider))).albums)

    # upload

    @in_trio
    async def test_an_upload_is_in_the_album_with_its_bytes_name_and_time(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        assert asset.name == "new.jpg"
        assert asset.album == self.album_id(provider)
        assert asset.size_bytes in (None, len(OURS))
        assert asset.mtime_ns == MTIME_NS // self.mtime_step_ns * self.mtime_step_ns
        assert await self.the_one(provider) == asset
        assert await provider.asset(asset.id) == asset
        assert await content_of(provider, asset) == OURS
        assert self.litter() == []

    @in_trio
    async def test_an_upload_whose_answer_was_lost_is_made_once(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        payload = self.payload(OURS)
        first = await half.upload(self.album_id(provider), "new.jpg", payload)
        assert await half.upload(self.album_id(provider), "new.jpg", payload) == first
        assert await self.assets(provider) == [first]
        assert self.trashed() == []

    @in_trio
    async def test_many_uploads_of_one_payload_at_once_make_one_asset(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        payload = self.payload(OURS)
        found: list[Asset] = []

        async def upload() -> None:
            found.append(await half.upload(self.album_id(provider), "new.jpg", payload))

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(upload)
        assert await self.assets(provider) == found[:1]
        assert {asset.id for asset in found} == {found[0].id}
        assert self.litter() == []

    @in_trio
    async def test_a_name_that_others_have_is_never_overwritten(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if offers.membership:
            pytest.skip("names are no keys")
        self.add("new.jpg", THEIRS)
        with pytest.raises(AlreadyThere):
            await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS, earlier=[NEWER]))
        assert await content_of(provider, await self.the_one(provider)) == THEIRS
        assert self.trashed() == []
        assert self.litter() == []

    @in_trio
    async def test_equal_bytes_of_others_are_what_was_asked_for(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        self.add("new.jpg", OURS)
        before = await self.the_one(provider)
        assert (await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))).id == before.id
        assert (await self.the_one(provider)).id == before.id

    @in_trio
    async def test_bytes_that_were_sent_before_are_replaced(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if offers.membership:
            pytest.skip("other bytes are another asset")
        first = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        second = await half.upload(self.album_id(provider), "new.jpg", self.payload(NEWER, earlier=[THEIRS, OURS]))
        assert second.id == first.id
        assert second.version != first.version
        assert await self.assets(provider) == [second]
        assert await content_of(provider, second) == NEWER
        assert self.trashed() == [OURS]
        assert self.litter() == []

    @in_trio
    async def test_an_upload_into_no_album_is_gone(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        with pytest.raises(AssetGone):
            await half.upload(AlbumId("no-such-album"), "new.jpg", self.payload(OURS))

    @in_trio
    async def test_equal_bytes_in_a_library_are_one_asset_in_many_albums(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if not offers.membership:
            pytest.skip("albums are folders")
        first = await half.upload(self.album_id(provider), "one.jpg", self.payload(OURS, "local-1"))
        other = await self.make(provider, "Other")
        second = await half.upload(other.id, "two.jpg", self.payload(OURS, "local-2"))
        assert second.id == first.id
        assert [asset.id for asset in await self.assets(provider, other.id)] == [first.id]
        assert [asset.id for asset in await self.assets(provider)] == [first.id]

    @in_trio
    async def test_an_upload_of_trashed_bytes_takes_them_out_of_the_trash(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if not offers.membership:
            pytest.skip("albums are folders")
        first = await half.upload(self.album_id(provider), "one.jpg", self.payload(OURS, "local-1"))
        await half.remove(first)
        assert (await half.upload(self.album_id(provider), "two.jpg", self.payload(OURS, "local-2"))).id == first.id
        assert (await self.the_one(provider)).id == first.id
        assert self.trashed() == []

    @in_trio
    async def test_files_of_any_size_arrive(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        for number, size_bytes in enumerate((0, 1, 20 << 20)):
            content = (b"%d" % number) * size_bytes
            payload = self.payload(content, f"local-{number}")
            if not size_bytes and not self.takes_empty:
                with pytest.raises(Rejected):
                    await half.upload(self.album_id(provider), "0.jpg", payload)
                continue
            asset = await half.upload(self.album_id(provider), f"{number}.jpg", payload)
            assert await content_of(provider, asset) == content

    @in_trio
    async def test_unusual_names_come_through(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        longest = "\u00fc" * ((self.name_bytes_max - 4) // 2) + "x" * ((self.name_bytes_max - 4) % 2) + ".jpg"
        names = [name for name in (*self.names, longest) if offers.takes(name)]
        for number, name in enumerate(names):
            payload = self.payload(OURS + b"%d" % number, f"local-{number}")
            asset = await half.upload(self.album_id(provider), name, payload)
            assert asset.name == name
            assert await half.upload(self.album_id(provider), name, payload) == asset
        assert sorted(asset.name for asset in await self.assets(provider)) == sorted(names)

    @in_trio
    async def test_what_can_be_no_name_is_rejected(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if offers.membership:
            pytest.skip("titles are no names")
        for name in ("", ".", "..", "../up.jpg", "a/b.jpg", "a\0b.jpg", "x" * 256):
            with pytest.raises(Rejected):
                await half.upload(self.album_id(provider), name, self.payload(OURS))
            with pytest.raises(Rejected):
                await half.make_album(self.parent_id(provider), name, "local-album")
        assert await self.assets(provider) == []

    @in_trio
    async def test_a_cancelled_upload_is_whole_or_nothing(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        content = OURS * 300
        payloads = [self.payload(content + b"%d" % number, f"local-{number}") for number in range(12)]
        for number, payload in enumerate(payloads):
            with trio.move_on_after(0.002 * number):
                await half.upload(self.album_id(provider), f"{number}.jpg", payload)
        for asset in await self.assets(provider):
            assert await content_of(provider, asset) == content + asset.name.removesuffix(".jpg").encode()
        for number, payload in enumerate(payloads):
            await half.upload(self.album_id(provider), f"{number}.jpg", payload)
        assert len(await self.assets(provider)) == 12

    @in_trio
    async def test_types_that_are_not_taken_are_rejected(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if offers.suffixes is None:
            pytest.skip("takes any file")
        assert not offers.takes("notes.txt")
        with pytest.raises(Rejected):
            await half.upload(self.album_id(provider), "notes.txt", self.payload(OURS))

    # replace

    @in_trio
    async def test_replaced_bytes_are_another_version_and_the_old_ones_in_the_trash(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        old = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        new = (await half.replace(old, self.payload(NEWER, "local-2"))).asset
        assert (new.id != old.id) == offers.replaces_id
        assert (new.id, new.version) != (old.id, old.version)
        assert await self.assets(provider) == [new]
        assert await content_of(provider, new) == NEWER
        if not offers.replaces_id:
            assert abs(new.mtime_ns - old.mtime_ns) >= SECOND_NS
            assert new.changed_ns >= old.changed_ns + SECOND_NS
        assert self.trashed() == [OURS]
        assert self.litter() == []

    @in_trio
    async def test_a_replacement_whose_answer_was_lost_is_made_once(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        old = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        payload = self.payload(NEWER, "local-2")
        new = await half.replace(old, payload)
        assert await half.replace(old, payload) == new
        assert await self.assets(provider) == [new.asset]
        assert self.trashed() == [OURS]

    @in_trio
    async def test_equal_bytes_replace_nothing(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        old = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        replaced = await half.replace(old, self.payload(OURS, "local-2"))
        same = replaced.asset
        assert replaced.not_carried == ()
        assert (same.id, same.version) == (old.id, old.version)
        assert self.trashed() == []

    @in_trio
    async def test_a_version_that_others_changed_is_not_replaced(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        if not self.replaces_in_place:
            pytest.skip("other bytes are another asset")
        old = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        self.replace("new.jpg", THEIRS)
        with pytest.raises(VersionChanged):
            await half.replace(old, self.payload(NEWER, "local-2"))
        assert await content_of(provider, await self.the_one(provider)) == THEIRS
        assert self.litter() == []

    @in_trio
    async def test_a_version_that_was_sent_before_is_replaced(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if offers.replaces_id:
            pytest.skip("the old one is gone")
        old = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        await half.replace(old, self.payload(THEIRS, "local-2"))
        new = (await half.replace(old, self.payload(NEWER, "local-2", earlier=[THEIRS]))).asset
        assert await self.assets(provider) == [new]
        assert await content_of(provider, new) == NEWER
        assert sorted(self.trashed()) == sorted([OURS, THEIRS])

    @in_trio
    async def test_what_is_gone_is_not_replaced(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        old = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        await half.remove(old)
        with pytest.raises(AssetGone):
            await half.replace(old, self.payload(NEWER, "local-2"))
        assert await self.assets(provider) == []
        assert self.litter() == []

    @in_trio
    async def test_a_replacement_is_in_all_albums_of_what_it_replaces(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if not offers.membership:
            pytest.skip("albums are folders")
        other = await self.make(provider, "Other")
        old = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        await half.add(other.id, [old.id])
        new = (await half.replace(old, self.payload(NEWER, "local-2"))).asset
        for album in (self.album_id(provider), other.id):
            assert [asset.id for asset in await self.assets(provider, album)] == [new.id]

    # albums

    @in_trio
    async def test_an_album_is_made_once_for_a_token(self, provider: Provider) -> None:
        made = await self.make(provider, "Summer", "local-a")
        again = await self.make(provider, "Summer", "local-a")
        assert again.id == made.id
        assert made.title == "Summer"
        assert (await provider.album(made.id)).title == "Summer"
        assert [album.id for album in await self.albums(provider) if album.title == "Summer"] == [made.id]
        assert await self.assets(provider, made.id) == []

    @in_trio
    async def test_folders_of_one_name_are_not_made_twice(self, provider: Provider) -> None:
        await self.make(provider, "Summer", "local-a")
        if self.writing(provider)[1].membership:
            assert (await self.make(provider, "Summer", "local-b")).title == "Summer"
            return
        with pytest.raises(AlreadyThere):
            await self.make(provider, "Summer", "local-b")

    @in_trio
    async def test_a_renamed_album_keeps_its_id_and_all_that_is_in_it(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if AlbumVerb.RENAME not in offers.album_verbs:
            pytest.skip("renames no album")
        album = await self.make(provider, "Summer")
        asset = await half.upload(album.id, "new.jpg", self.payload(OURS))
        for _ in range(2):
            renamed = await half.rename_album(album.id, self.parent_id(provider), "Winter")
            assert (renamed.id, renamed.title) == (album.id, "Winter")
        titles = [each.title for each in await self.albums(provider)]
        assert "Winter" in titles
        assert "Summer" not in titles
        assert [each.id for each in await self.assets(provider, album.id)] == [asset.id]
        assert await content_of(provider, await provider.asset(asset.id)) == OURS

    @in_trio
    async def test_an_album_is_not_renamed_over_another(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if AlbumVerb.RENAME not in offers.album_verbs or offers.membership:
            pytest.skip("titles are no names")
        summer = await self.make(provider, "Summer", "local-a")
        winter = await self.make(provider, "Winter", "local-b")
        with pytest.raises(AlreadyThere):
            await half.rename_album(summer.id, self.parent_id(provider), "Winter")
        titles = {album.id: album.title for album in await self.albums(provider)}
        assert (titles[summer.id], titles[winter.id]) == ("Summer", "Winter")

    @in_trio
    async def test_an_album_moves_into_another_but_not_into_itself(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if AlbumVerb.RENAME not in offers.album_verbs or not offers.nested:
            pytest.skip("albums are not in albums")
        summer = await self.make(provider, "Summer", "local-a")
        winter = await self.make(provider, "Winter", "local-b")
        asset = await half.upload(summer.id, "new.jpg", self.payload(OURS))
        for _ in range(2):
            assert (await half.rename_album(summer.id, winter.id, "Inner")).parent == winter.id
        assert [album.id for album in (await provider.listing(winter.id)).albums] == [summer.id]
        assert (await provider.asset(asset.id)).id == asset.id
        with pytest.raises(Rejected):
            await half.rename_album(winter.id, summer.id, "Loop")
        assert (await provider.album(winter.id)).title == "Winter"

    @in_trio
    async def test_an_album_that_is_gone_is_not_renamed(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if AlbumVerb.RENAME not in offers.album_verbs:
            pytest.skip("renames no album")
        album = await self.make(provider, "Summer")
        await half.remove_album(album.id)
        with pytest.raises(AssetGone):
            await half.rename_album(album.id, self.parent_id(provider), "Winter")

    @in_trio
    async def test_a_removed_album_is_gone_and_may_be_removed_again(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if AlbumVerb.REMOVE not in offers.album_verbs:
            pytest.skip("removes no album")
        album = await self.make(provider, "Summer")
        for _ in range(2):
            await half.remove_album(album.id)
        with pytest.raises(AssetGone):
            await provider.listing(album.id)
        assert album.id not in [each.id for each in await self.albums(provider)]

    @in_trio
    async def test_an_album_with_something_in_it_is_not_removed(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if AlbumVerb.REMOVE not in offers.album_verbs:
            pytest.skip("removes no album")
        album = await self.make(provider, "Summer")
        asset = await half.upload(album.id, "new.jpg", self.payload(OURS))
        with pytest.raises(NotEmpty):
            await half.remove_album(album.id)
        assert await self.assets(provider, album.id) == [asset]
        if offers.nested:
            inner = await half.make_album(album.id, "Inner", "local-inner")
            await half.remove(asset)
            with pytest.raises(NotEmpty):
                await half.remove_album(album.id)
            await half.remove_album(inner.id)
            await half.remove_album(album.id)

    # moves and links of files

    def is_folder_like(self, provider: Provider) -> tuple[HasWriting, AlbumId]:
        """Its writing half and its album; skips where albums are sets."""
        half, offers = self.writing(provider)
        if offers.membership:
            pytest.skip("albums are sets")
        return half, self.album_id(provider)

    @in_trio
    async def test_a_moved_file_keeps_its_id_and_version(self, provider: Provider) -> None:
        half, here = self.is_folder_like(provider)
        there = (await self.make(provider, "There")).id
        asset = await half.upload(here, "new.jpg", self.payload(OURS))
        for album, name in ((here, "other.jpg"), (there, "other.jpg"), (there, "last.png")):
            moved = [await half.move(asset, album, name) for _ in range(2)]
            assert moved[0] == moved[1]
            assert (moved[0].id, moved[0].version) == (asset.id, asset.version)
            assert (moved[0].album, moved[0].name) == (album, name)
            assert await provider.asset(asset.id) == moved[0]
        assert await self.assets(provider) == []
        assert await self.assets(provider, there) == [moved[0]]

    @in_trio
    async def test_nothing_moves_or_links_over_what_was_not_named(self, provider: Provider) -> None:
        half, here = self.is_folder_like(provider)
        asset = await half.upload(here, "ours.jpg", self.payload(OURS))
        self.add("theirs.jpg", THEIRS)
        with pytest.raises(AlreadyThere):
            await half.move(asset, here, "theirs.jpg")
        with pytest.raises(AlreadyThere):
            await half.link(asset, here, "theirs.jpg")
        found = {each.name: await content_of(provider, each) for each in await self.assets(provider)}
        assert found == {"ours.jpg": OURS, "theirs.jpg": THEIRS}
        assert self.trashed() == []

    @in_trio
    async def test_what_gives_way_to_a_move_is_in_the_trash(self, provider: Provider) -> None:
        half, here = self.is_folder_like(provider)
        asset = await half.upload(here, "ours.jpg", self.payload(OURS))
        self.add("theirs.jpg", THEIRS)
        (over,) = [each for each in await self.assets(provider) if each.name == "theirs.jpg"]
        for _ in range(2):
            moved = await half.move(asset, here, "theirs.jpg", over)
            assert (moved.id, moved.version, moved.name) == (asset.id, asset.version, "theirs.jpg")
            assert await self.assets(provider) == [moved]
        assert await content_of(provider, moved) == OURS
        assert self.trashed() == [THEIRS]
        assert self.litter() == []

    @in_trio
    async def test_a_move_wants_the_versions_that_were_seen(self, provider: Provider) -> None:
        half, here = self.is_folder_like(provider)
        self.add("one.jpg", OURS)
        self.add("two.jpg", THEIRS)
        one, two = sorted(await self.assets(provider), key=lambda asset: asset.name)
        self.replace("two.jpg", NEWER)
        before = self.trashed()
        with pytest.raises(VersionChanged):
            await half.move(one, here, "two.jpg", two)
        with pytest.raises(VersionChanged):
            await half.move(two, here, "three.jpg")
        found = {each.name: await content_of(provider, each) for each in await self.assets(provider)}
        assert found == {"one.jpg": OURS, "two.jpg": NEWER}
        assert self.trashed() == before

    @in_trio
    async def test_what_is_gone_neither_moves_nor_links(self, provider: Provider) -> None:
        half, here = self.is_folder_like(provider)
        asset = await half.upload(here, "new.jpg", self.payload(OURS))
        with pytest.raises(AssetGone):
            await half.move(asset, AlbumId("no-such-album"), "new.jpg")
        with pytest.raises(AssetGone):
            await half.link(asset, AlbumId("no-such-album"), "new.jpg")
        await half.remove(asset)
        with pytest.raises(AssetGone):
            await half.move(asset, here, "other.jpg")
        with pytest.raises(AssetGone):
            await half.link(asset, here, "other.jpg")

    @in_trio
    async def test_a_link_is_an_asset_of_its_own_with_the_same_bytes(self, provider: Provider) -> None:
        half, here = self.is_folder_like(provider)
        there = (await self.make(provider, "There")).id
        asset = await half.upload(here, "new.jpg", self.payload(OURS))
        for _ in range(2):
            link = await half.link(asset, there, "link.jpg")
            assert await self.assets(provider, there) == [link]
        assert link.id != asset.id
        assert await content_of(provider, link) == OURS
        assert await self.the_one(provider) == asset

    # remove

    @in_trio
    async def test_what_is_removed_is_in_the_trash_once(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        for _ in range(2):
            await half.remove(asset)
        assert await self.assets(provider) == []
        assert self.trashed() == [OURS]
        with pytest.raises(AssetGone):
            await provider.asset(asset.id)

    @in_trio
    async def test_another_version_stays(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        if not self.replaces_in_place:
            pytest.skip("other bytes are another asset")
        self.add("new.jpg", OURS)
        asset = await self.the_one(provider)
        self.replace("new.jpg", THEIRS)
        before = self.trashed()
        with pytest.raises(VersionChanged):
            await half.remove(asset)
        assert await content_of(provider, await self.the_one(provider)) == THEIRS
        assert self.trashed() == before

    # sets of assets

    @in_trio
    async def test_assets_are_added_and_taken_out_as_often_as_one_asks(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        here = self.album_id(provider)
        if not offers.membership:
            with pytest.raises(Rejected):
                await half.add(here, [])
            with pytest.raises(Rejected):
                await half.take_out(here, [])
            return
        asset = await half.upload(here, "new.jpg", self.payload(OURS))
        other = (await self.make(provider, "Other")).id
        for _ in range(2):
            assert await half.add(other, [asset.id]) == {}
            assert [each.id for each in await self.assets(provider, other)] == [asset.id]
        unknown = AssetId("00000000-0000-4000-8000-000000000000")
        assert set(await half.add(other, [unknown, asset.id])) == {unknown}
        for _ in range(2):
            assert await half.take_out(here, [asset.id]) == {}
            assert await self.assets(provider) == []
        assert self.trashed() == []
        assert (await provider.asset(asset.id)).id == asset.id
        with pytest.raises(AssetGone):
            await half.add(AlbumId("no-such-album"), [asset.id])

    @in_trio
    async def test_what_is_restored_is_in_the_library_again(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        await half.remove(asset)
        if TRASH not in provider.capabilities.shelves:
            pytest.skip("shows no trash")
        for _ in range(2):
            assert (await half.restore(asset.id)).id == asset.id
        assert self.trashed() == []
        with pytest.raises(AssetGone):
            await half.restore(AssetId("no-such-asset"))

    # tags and favorites

    async def marked(self, provider: Provider, mark: Mark) -> list[AssetId]:
        """Those that the view of the mark shows."""
        return [asset.id for asset in (await cast(HasViews, provider).page(mark)).assets]

    @in_trio
    async def test_a_tag_is_set_and_taken_away_as_often_as_one_asks(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        if not offers.tags:
            with pytest.raises(Rejected):
                await half.make_tag("Sea")
            with pytest.raises(Rejected):
                await half.tag(OfTag("any"), [asset.id])
            with pytest.raises(Rejected):
                await half.untag(OfTag("any"), [asset.id])
            return
        made = await half.make_tag("Sea")
        assert await half.make_tag("Sea") == made
        assert made in await cast(HasViews, provider).tags()
        mark = OfTag(made.id)
        unknown = AssetId("00000000-0000-4000-8000-000000000000")
        for _ in range(2):
            assert await half.tag(mark, [asset.id]) == {}
            assert await self.marked(provider, mark) == [asset.id]
        assert set(await half.tag(mark, [unknown, asset.id])) == {unknown}
        for _ in range(2):
            assert await half.untag(mark, [asset.id]) == {}
            assert await self.marked(provider, mark) == []
        assert await half.untag(OfTag("00000000-0000-4000-8000-000000000000"), [asset.id]) == {}
        with pytest.raises(AssetGone):
            await half.tag(OfTag("00000000-0000-4000-8000-000000000000"), [asset.id])
        assert await self.the_one(provider) == asset

    @in_trio
    async def test_what_has_a_tag_below_one_goes_on_being_shown_by_it(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if not offers.tags:
            pytest.skip("keeps no tags")
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        above, below = [OfTag((await half.make_tag(name)).id) for name in ("Trips", "Trips/2023")]
        assert await half.tag(above, [asset.id]) == {}
        assert await half.tag(below, [asset.id]) == {}
        assert set(await half.untag(above, [asset.id])) == {asset.id}
        assert await self.marked(provider, above) == [asset.id]
        assert await half.untag(below, [asset.id]) == {}
        assert await self.marked(provider, above) == []

    @in_trio
    async def test_favorites_are_marked_and_unmarked_as_often_as_one_asks(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        if Property.FAVORITE not in offers.properties:
            with pytest.raises(Rejected):
                await half.tag(Favorites(), [asset.id])
            with pytest.raises(Rejected):
                await half.untag(Favorites(), [asset.id])
            return
        unknown = AssetId("00000000-0000-4000-8000-000000000000")
        for _ in range(2):
            assert set(await half.tag(Favorites(), [unknown, asset.id])) == {unknown}
            assert await self.marked(provider, Favorites()) == [asset.id]
        for _ in range(2):
            assert await half.untag(Favorites(), [asset.id]) == {}
            assert await self.marked(provider, Favorites()) == []

    @in_trio
    async def test_a_replacement_has_the_tags_of_what_it_replaces(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if not offers.tags:
            pytest.skip("keeps no tags")
        old = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        mark = OfTag((await half.make_tag("Sea")).id)
        await half.tag(mark, [old.id])
        new = (await half.replace(old, self.payload(NEWER, "local-2"))).asset
        assert await self.marked(provider, mark) == [new.id]

    # properties and room

    @in_trio
    async def test_a_date_is_kept(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if Property.DATE not in offers.properties:
            pytest.skip("keeps no date")
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        for _ in range(2):
            edited = await half.edit(asset.id, Edit(mtime_ns=MTIME_NS + 3600 * SECOND_NS))
            assert edited.id == asset.id
            assert edited.mtime_ns == MTIME_NS + 3600 * SECOND_NS
            assert await self.assets(provider) == [edited]
        assert await content_of(provider, edited) == OURS

    @in_trio
    async def test_properties_that_are_not_offered_are_rejected(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        edits = (Edit(description="a"), Edit(favorite=True), Edit(rating=3), Edit(mtime_ns=MTIME_NS + SECOND_NS))
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        for edit in edits:
            if not edit.properties & offers.properties:
                with pytest.raises(Rejected):
                    await half.edit(asset.id, edit)
        assert await self.the_one(provider) == asset

    @in_trio
    async def test_what_is_gone_has_no_properties(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if Property.DATE not in offers.properties:
            pytest.skip("keeps no date")
        with pytest.raises(AssetGone):
            await half.edit(AssetId("no-such-asset"), Edit(mtime_ns=MTIME_NS))

    @in_trio
    async def test_a_sidecar_goes_with_bytes_that_are_new_alone(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if not offers.sidecars:
            pytest.skip("takes sidecars as files")
        here, payload = self.album_id(provider), replace(self.payload(OURS), sidecar=SIDECAR)
        asset, is_its = await half.upload_with_sidecar(here, "new.jpg", payload)
        again, is_its_too = await half.upload_with_sidecar(here, "other.jpg", payload)
        assert (again.id, is_its, is_its_too) == (asset.id, True, False)
        assert await content_of(provider, await self.the_one(provider)) == OURS

    @in_trio
    async def test_what_a_sidecar_says_is_told_as_often_as_one_asks(self, provider: Provider) -> None:
        half, offers = self.writing(provider)
        if not offers.sidecars:
            pytest.skip("takes sidecars as files")
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        for _ in range(2):
            await half.describe(asset.id, Description(summary=(("", "the quay"),), rating=3), ("iiiffs/sea", "plain"))
            now = await provider.asset(asset.id)
            assert (now.id, now.version) == (asset.id, asset.version)
        with pytest.raises(AssetGone):
            await half.describe(AssetId("no-such-asset"), Description(rating=1), ())

    @in_trio
    async def test_the_room_is_not_more_than_there_is(self, provider: Provider) -> None:
        space = await self.writing(provider)[0].space()
        if space is not None:
            assert 0 <= space.free_bytes <= space.total_bytes
            assert space.total_bytes > 0

    @in_trio
    async def test_a_change_is_in_the_next_listing(self, provider: Provider) -> None:
        """Each verb's answer and the listing after it say the same, with the same ids."""
        half, _ = self.writing(provider)
        here = self.album_id(provider)
        etags = [(await provider.listing(here)).etag]
        first = await half.upload(here, "a.jpg", self.payload(OURS, "local-1"))
        etags.append((await provider.listing(here)).etag)
        second = (await half.replace(first, self.payload(NEWER, "local-2"))).asset
        etags.append((await provider.listing(here)).etag)
        await half.remove(second)
        etags.append((await provider.listing(here)).etag)
        assert len(set(etags)) == 4
