"""Views of the whole library of an Immich, and what is said of an asset whichever view told of it."""

from __future__ import annotations

import pytest

from iiiffs.errors import AccessDenied, NotOffered
from iiiffs.model.gallery import AssetId
from iiiffs.providers.immich.provider import ImmichProvider
from iiiffs.providers.views import LIBRARY, TRASH, Everything, Favorites, Found, Month, OfPerson, OfTag, Trash, View
from iiiffs.tree.query import parse_query
from tests.contract.test_immich_reading import READ_ONLY, both, listing, names, on, only, whole
from tests.fakes.immich import ImmichServer
from tests.fakes.immich.records import Place
from tests.harness.immich_account import account_of, stored


@both
async def test_views_of_the_whole_library(server: ImmichServer, provider: ImmichProvider) -> None:
    clip = server.add_asset("live.mov", visibility="hidden")
    plain = server.add_asset("plain.jpg", favorite=True, live_video=clip.id)
    archived = server.add_asset("archived.jpg", visibility="archive", favorite=True)
    binned = server.add_asset("binned.jpg")
    tagged = server.add_asset("tagged.mp4")
    server.add_asset("locked.jpg", visibility="locked", favorite=True)
    server.trash(binned)
    ada = server.add_person("Ada", [plain, archived])
    server.add_person("", [tagged])
    server.add_person("Eve", [plain], hidden=True)
    trips = server.add_tag("Trips", [])
    server.add_tag("Trips/2023", [tagged])
    album = server.add_album("A", [plain])
    await listing(provider, album)
    assert sorted(names(await whole(provider, Everything()))) == ["plain.jpg", "tagged.mp4"]
    assert names(await whole(provider, Favorites())) == ["plain.jpg", "archived.jpg"]
    assert names(await whole(provider, OfPerson(ada.id))) == ["plain.jpg", "archived.jpg"]
    assert names(await whole(provider, OfTag(trips.id))) == ["tagged.mp4"]
    assert [one.name for one in await provider.people()] == ["Ada"]
    assert [one.name for one in await provider.tags()] == ["Trips", "Trips/2023"]
    (bin,) = await whole(provider, Trash())
    assert (bin.name, bin.album) == ("binned.jpg", TRASH)
    original = await provider.open(bin)
    assert await original.read(0, original.size_bytes) == binned.original.read()
    homes = {asset.name: asset.album for asset in await whole(provider, Everything())}
    assert homes == {"plain.jpg": album.id, "tagged.mp4": LIBRARY}
    assert [await provider.count(view) for view in (Everything(), Favorites(), OfTag(trips.id), Trash())] == [
        2,
        2,
        1,
        None,
    ]


@both
async def test_months_hold_what_they_count(server: ImmichServer, provider: ImmichProvider) -> None:
    """By local time, the user's own, nothing archived, hidden, locked or in the trash."""
    clip = server.add_asset("live.mov", taken="2024-06-10T10:00:00Z", visibility="hidden")
    for name, taken in {
        "first.jpg": "2024-06-01T00:00:00+14:00",
        "last.jpg": "2024-06-30T23:59:59-11:00",
        "noon.mp4": "2024-06-10T10:00:00Z",
        "before.jpg": "2024-05-31T23:59:59-11:00",
        "after.jpg": "2024-07-01T00:00:00+14:00",
    }.items():
        server.add_asset(name, taken=taken, live_video=clip.id if name == "last.jpg" else None)
    for visibility in ("archive", "locked"):
        server.add_asset(f"{visibility}.jpg", taken="2024-06-10T10:00:00Z", visibility=visibility)
    server.trash(server.add_asset("binned.jpg", taken="2024-06-10T10:00:00Z"))
    server.trash(server.add_asset("alone.jpg", taken="2020-06-10T10:00:00Z"))
    partner = server.add_user("Bob")
    server.add_asset("partners.jpg", owner=partner.id, taken="2024-06-10T10:00:00Z")
    server.add_asset("partners.jpg", owner=partner.id, taken="2019-06-10T10:00:00Z")
    server.partners[partner.id, server.owner.id] = True
    server.changed()
    server.requests.clear()
    assert await provider.months() == {"2024-05": 1, "2024-06": 3, "2024-07": 1}
    assert server.requests.count() == server.requests.count("/timeline/buckets") + server.requests.count("/version")
    months = {month: sorted(names(await whole(provider, Month(month)))) for month in await provider.months()}
    assert months == {
        "2024-05": ["before.jpg"],
        "2024-06": ["first.jpg", "last.jpg", "noon.mp4"],
        "2024-07": ["after.jpg"],
    }
    assert await provider.count(Month("2024-06")) is None
    assert await whole(provider, Month("9999-12")) == await whole(provider, Month("2019-06")) == []
    for slip in ("2024-13", "2024", "0001-01", "x"):
        with pytest.raises(NotOffered):
            await provider.page(Month(slip))


@both
async def test_views_come_in_pages(server: ImmichServer, provider: ImmichProvider) -> None:
    server.add_assets(2300)
    found = await whole(provider, Everything())
    assert len({asset.id for asset in found}) == 2300
    assert server.requests.count("/search/metadata") == 3
    with pytest.raises(NotOffered):
        await provider.page(Everything(), "archive:1")


@both
async def test_searches(server: ImmichServer, provider: ImmichProvider) -> None:
    paris, york = Place(48.85, 2.35, "Paris", None, "France"), Place(40.7, -74.0, "New York", None, "USA")
    late = server.add_asset("Beach.jpg", place=paris, taken="2024-06-30T23:30:00-05:00", rating=4)
    clip = server.add_asset("street.mp4", place=york, taken="2024-07-01T01:00:00+02:00")
    server.add_person("Anna Müller", [late])
    server.add_tag("Holiday", [clip])
    questions = {
        "beach": ["Beach.jpg"],
        "type:video": ["street.mp4"],
        "type:jpg": [],
        "person:muller": ["Beach.jpg"],
        "person:nobody": [],
        "tag:holiday": ["street.mp4"],
        "city:york": ["street.mp4"],
        "city:france": ["Beach.jpg"],
        "city:london": [],
        "to:2024-06-30": ["Beach.jpg"],
        "from:2024-07-01": ["street.mp4"],
        "rating:=4 city:paris": ["Beach.jpg"],
    }
    for text, found in questions.items():
        assert names(await whole(provider, Found(parse_query(text)))) == found, text
    assert await provider.count(Found(parse_query("person:anna"))) == 1
    assert await provider.count(Found(parse_query("beach"))) is None
    with pytest.raises(NotOffered):
        await whole(provider, Found(parse_query("smart:boat")))


@both
async def test_searches_by_content(server: ImmichServer, provider: ImmichProvider) -> None:
    server.settings.smart_search = True
    server.add_asset("city.jpg", depicts="a street at night")
    server.add_asset("sea.jpg", depicts="sunset beach")
    assert names(await whole(provider, Found(parse_query('smart:"beach at sunset"'))))[0] == "sea.jpg"


@on("3.1.0")
async def test_two_people_of_one_name_are_not_mixed_up(server: ImmichServer, provider: ImmichProvider) -> None:
    one = server.add_asset()
    server.add_person("Ada", [one])
    server.add_person("Ada", [one])
    with pytest.raises(NotOffered, match="several"):
        await provider.page(Found(parse_query("person:ada")))


@both
async def test_a_key_without_more_permissions_still_reads(server: ImmichServer, provider: ImmichProvider) -> None:
    limited = account_of(server, stored(server.add_key(permissions=READ_ONLY).secret))
    assert await limited.count(Everything()) is None
    with pytest.raises(AccessDenied, match=r"person\.read"):
        await limited.people()
    assert await whole(limited, Everything()) == []
    await limited.aclose()


@both
async def test_an_asset_is_described_the_same_whichever_question_told_of_it(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    server.settings.smart_search = True
    clip = server.add_asset("live.mov", visibility="hidden")
    one = server.add_asset("1.heic", taken="2024-06-02T10:00:00+02:00", live_video=clip.id, favorite=True)
    ada = server.add_person("Ada", [one])
    tag = server.add_tag("Trips/2023", [one])
    album = server.add_album("A", [one])
    listed = await only(provider, album)
    assert (listed.motion, bool(listed.described)) == (clip.id, True)
    people = ("Ada",) if server.version.startswith("3") else ()  # albums of 2.x name nobody
    views: list[View] = [Everything(), Month("2024-06"), Favorites(), OfPerson(ada.id), OfTag(tag.id)]
    for view in [*views, Found(parse_query("smart:heic"))]:
        assert await whole(provider, view) == [listed]
        assert (await provider.facts(listed)).description.people == people
    alone = account_of(server)
    asset = await alone.asset(AssetId(one.id))
    assert (asset.described, asset.motion) == (listed.described, listed.motion)
    assert await alone.facts(asset) == await provider.facts(listed)
    await alone.aclose()
    ada.name = "Ada L."
    server.edit(one, favorite=False)
    again = await only(provider, album)
    assert (again.described != listed.described) is bool(people)


@on("3.1.0")
async def test_people_in_pictures_of_others_are_nobodys_business(
    server: ImmichServer, provider: ImmichProvider
) -> None:
    guest = server.add_user("Bob")
    one = server.add_asset()
    server.add_person("Ada", [one])
    album = server.add_album("A", [one])
    server.share(album, guest)
    bob = account_of(server, stored(server.add_key(guest).secret))
    assert (await bob.facts(await only(bob, album))).description.people == ()
    await bob.aclose()
    readers = account_of(server, stored(server.add_key(permissions=READ_ONLY[:4]).secret))
    assert (await readers.facts(await only(readers, album))).description.people == ()
    await readers.aclose()
