"""What is left of writing to a key that may less, and what it says of the rest."""

from __future__ import annotations

from iiiffs.model.writing import AlbumVerb, Property
from iiiffs.providers.immich.dialect import ALL
from iiiffs.providers.immich.permissions import SUFFIXES, WRITE_PERMISSIONS, offered


def test_a_key_that_may_all_lacks_nothing() -> None:
    for held in (None, [ALL], list(WRITE_PERMISSIONS)):
        assert offered(held, SUFFIXES).lacks == {}


def test_what_a_key_may_not_is_not_offered_and_is_named() -> None:
    found = offered([one for one in WRITE_PERMISSIONS if one not in ("album.delete", "tag.asset")], SUFFIXES)
    assert found.album_verbs == {AlbumVerb.MAKE, AlbumVerb.RENAME}
    assert found.lacks == {"remove": ("album.delete",), "tags": ("tag.asset",)}
    assert not found.tags
    assert found.lack(AlbumVerb.REMOVE) == ": its key lacks album.delete; give it that at the server"
    assert found.lack(AlbumVerb.MAKE) == ""


def test_nothing_is_taken_that_could_be_put_into_no_album() -> None:
    """Else the bytes would arrive before that is refused."""
    for missing in ("asset.upload", "albumAsset.create"):
        found = offered([one for one in WRITE_PERMISSIONS if one != missing], SUFFIXES)
        assert not found.takes("a.jpg")
        assert found.lacks == {"upload": (missing,)}


def test_what_is_changed_of_a_photo_takes_one_permission() -> None:
    found = offered([one for one in WRITE_PERMISSIONS if one != "asset.update"], SUFFIXES)
    assert found.properties == frozenset()
    assert {each.value: ("asset.update",) for each in Property} == dict(found.lacks)
