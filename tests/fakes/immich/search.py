"""/search: flat metadata search in both scopes (immich.md §2), smart search, statistics, names to choose from."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Iterable
from typing import cast

from tests.fakes.immich.calls import Call, Refusal, Reply, no_access, route
from tests.fakes.immich.moments import parsed
from tests.fakes.immich.records import Asset
from tests.fakes.immich.uploads import checksum_of
from tests.fakes.immich.wire import Json, person_json

SIZE = 250
SMART_SIZE = 100
BURST_STEP = 3
RANGES = {
    "created": lambda asset: asset.created,
    "updated": lambda asset: asset.updated,
    "trashed": lambda asset: asset.deleted,
    "taken": lambda asset: asset.taken,
}
PLACES = ("city", "state", "country")
CAMERAS = {"make": "make", "model": "model", "lensModel": "lens"}
Test = Callable[[Asset], bool]


@route("POST", "/search/metadata")
def search_metadata(call: Call) -> Reply:
    """One page, sorted by fileCreatedAt. `total` is the page's count, `nextPage` text or null (immich.md §2)."""
    _refuse_locked(call)
    found = _found(call)
    exif = bool(call.body.get("withExif"))
    page, size = cast(int, call.body.get("page", 1)), cast(int, call.body.get("size", SIZE))
    if not call.v3:
        found = _shuffled_bursts(found, page)
    return _page(call, found, page, size, exif=exif)


def _page(call: Call, found: list[Asset], page: int, size: int, *, exif: bool) -> Reply:
    items = found[(page - 1) * size : page * size]
    more = len(found) > page * size
    assets = [call.dialect.asset(asset, call.access.user, exif=exif) for asset in items]
    if call.body.get("withPeople"):
        for asset, told in zip(items, assets, strict=True):
            told["people"] = call.dialect.people(asset, call.access.user)
    return Reply(
        {
            "albums": {"total": 0, "count": 0, "items": [], "facets": []},
            "assets": {
                "total": len(items),
                "count": len(items),
                "items": assets,
                "facets": [],
                "nextPage": str(page + 1) if more else None,
            },
        }
    )


def _refuse_locked(call: Call) -> None:
    if call.body.get("visibility") == "locked":
        raise Refusal(401, "Elevated permission is required")


def _shuffled_bursts(found: list[Asset], page: int) -> list[Asset]:
    """v2 sorts by time alone: of equal times each page sees another order (immich.md §2)."""
    turned: list[Asset] = []
    for _, burst in itertools.groupby(found, lambda asset: asset.taken):
        equal = list(burst)
        first = BURST_STEP * (page - 1) % len(equal)
        turned += equal[first:] + equal[:first]
    return turned


def _found(call: Call) -> list[Asset]:
    """All that the body's filters find, sorted; kept until something changes, because clients ask page by page."""
    question = repr(sorted((key, value) for key, value in call.body.items() if key not in ("page", "size")))
    key = (call.world.revision, call.access.user, f"{call.v3}{question}")
    known = call.world.found.get(key)
    if known is None:
        tests = _tests(call)
        known = [asset for asset in _scope(call) if all(test(asset) for test in tests)]
        newest_first = call.body.get("order", "desc") == "desc"
        known.sort(key=lambda asset: (asset.taken, asset.id), reverse=newest_first)
        call.world.found = {key: known}
    return known


def _scope(call: Call) -> Iterable[Asset]:
    """v3 with albums: everybody's assets in them; else one's own and partners'. v2: only one's own, always."""
    world, ids = call.world, call.ids("albumIds")
    if not ids:
        owners = call.access.searched_users() if call.v3 else {call.access.user}
        return (asset for asset in world.assets.values() if asset.owner in owners)
    albums = [call.access.album(id, "album.read") for id in ids]
    if not all(albums):
        raise no_access("album.read")
    common = [id for album in albums[:1] if album for id in album.members]
    inside = (
        world.assets[id] for id in common if all(album is not None and id in album.members for album in albums[1:])
    )
    return inside if call.v3 else (asset for asset in inside if asset.owner == call.access.user)


def _tests(call: Call) -> list[Test]:
    body = call.body
    tests: list[Test] = [lambda asset: asset.visibility != "locked" and not asset.purging]
    shown = body.get("visibility")
    if shown is None and not call.v3:
        shown = "timeline"
    if shown is not None:
        tests.append(lambda asset: asset.visibility == shown)
    elif call.ids("albumIds"):
        tests.append(lambda asset: asset.visibility in ("timeline", "archive", "hidden"))
    if not (body.get("withDeleted") or body.get("trashedAfter") or body.get("trashedBefore") or body.get("isOffline")):
        tests.append(lambda asset: not asset.trashed)
    if body.get("withExif"):
        tests.append(lambda asset: asset.has_exif)
    return tests + _range_tests(body) + _exact_tests(call) + _text_tests(body) + _set_tests(call)


def _range_tests(body: dict[str, object]) -> list[Test]:
    tests: list[Test] = []
    for name, read in RANGES.items():
        for suffix, sign in (("After", 1), ("Before", -1)):
            if limit := body.get(name + suffix):
                tests.append(_within(read, parsed(str(limit)), sign))
    return tests


def _within(read: Callable[[Asset], int | None], limit: int, sign: int) -> Test:
    def test(asset: Asset) -> bool:
        value = read(asset)
        return value is not None and (value - limit) * sign >= 0

    return test


def _equals(read: Callable[[Asset], object], wanted: object) -> Test:
    return lambda asset: read(asset) == wanted


def _exact_tests(call: Call) -> list[Test]:
    body = call.body
    exact: dict[str, Callable[[Asset], object]] = {
        "isFavorite": lambda asset: asset.favorite,
        "isOffline": lambda asset: asset.offline,
        "isMotion": lambda asset: asset.live_video is not None,
        "type": lambda asset: asset.kind,
        "id": lambda asset: asset.id,
        "libraryId": lambda asset: asset.library,
        "rating": lambda asset: asset.rating,
        "deviceAssetId": lambda asset: asset.device_asset,
        "deviceId": lambda asset: asset.device,
    }
    for name in PLACES:
        exact[name] = lambda asset, name=name: getattr(asset.place, name, None)  # type: ignore[misc]
    for name, attribute in CAMERAS.items():
        exact[name] = lambda asset, attribute=attribute: getattr(asset.camera, attribute)  # type: ignore[misc]
    tests = [_equals(read, body[name]) for name, read in exact.items() if name in body]
    if checksum := call.text("checksum"):
        tests.append(_equals(lambda asset: asset.checksum, checksum_of(checksum)))
    return tests


def plain(text: str) -> str:
    """Without accents and case, as the server compares."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()


def _text_tests(body: dict[str, object]) -> list[Test]:
    read: dict[str, Callable[[Asset], str]] = {
        "originalFileName": lambda asset: asset.name,
        "originalPath": lambda asset: asset.path,
        "description": lambda asset: asset.description,
    }
    return [_holds(read[name], plain(str(body[name]))) for name in read if body.get(name)]


def _holds(read: Callable[[Asset], str], part: str) -> Test:
    return lambda asset: part in plain(read(asset))


def _set_tests(call: Call) -> list[Test]:
    world, body, tests = call.world, call.body, cast(list[Test], [])
    if people := set(call.ids("personIds")):
        tests.append(
            lambda asset: people <= {str(world.faces[id].person) for id in world.asset_faces.get(asset.id, [])}
        )
    if "tagIds" in body and body["tagIds"] is None:
        tests.append(lambda asset: not asset.tags)
    for id in call.ids("tagIds"):
        below = _descendants(call, id)
        tests.append(lambda asset, below=below: bool(asset.tags & below))  # type: ignore[misc]
    if body.get("isNotInAlbum") and not call.ids("albumIds"):
        tests.append(lambda asset: not world.memberships.get(asset.id))
    if body.get("withStacked") is False:
        tests.append(lambda asset: asset.stack is None)
    return tests


def _descendants(call: Call, id: str) -> frozenset[str]:
    tag = call.world.tags.get(id)
    if tag is None or tag.owner != call.access.user:
        return frozenset()
    return frozenset(
        other.id
        for other in call.world.tags.values()
        if other.owner == tag.owner and (other.value + "/").startswith(tag.value + "/")
    )


@route("POST", "/search/statistics")
def search_statistics(call: Call) -> Reply:
    """How many the same filters find."""
    return Reply({"total": len(_found(call))})


@route("POST", "/search/smart")
def search_smart(call: Call) -> Reply:
    """By what pictures show: nearest first, and nothing is cut off, as the real one sorts by distance [SRC]."""
    _refuse_locked(call)
    if not call.settings.smart_search:
        raise Refusal(400, "Smart search is not enabled")
    query = call.text("query")
    if not query:
        raise Refusal(400, "Either `query` or `queryAssetId` must be set")
    words = set(plain(query).split())
    scored = [
        (-len(words & set(plain(f"{asset.depicts} {asset.description}").split())), asset.id)
        for asset in _found_unsorted(call)
    ]
    found = [call.world.assets[id] for _, id in sorted(scored)]
    page, size = cast(int, call.body.get("page", 1)), cast(int, call.body.get("size", SMART_SIZE))
    return _page(call, found, page, size, exif=bool(call.body.get("withExif")))


def _found_unsorted(call: Call) -> list[Asset]:
    tests = _tests(call)
    return [asset for asset in _scope(call) if asset.thumbs and all(test(asset) for test in tests)]


@route("GET", "/search/person")
def search_person(call: Call) -> Reply:
    """People by a part of their name."""
    part = plain(call.query["name"])
    hidden = call.flag("withHidden")
    people = [person for person in call.world.people.values() if person.owner == call.access.user]
    return Reply([person_json(one) for one in people if part in plain(one.name) and (hidden or not one.hidden)])


@route("GET", "/search/cities")
def search_cities(call: Call) -> Reply:
    """One asset a city."""
    seen: dict[str, Json] = {}
    for asset in _places(call):
        if asset.place and asset.place.city and asset.place.city not in seen:
            seen[asset.place.city] = call.dialect.asset(asset, call.access.user)
    return Reply([seen[city] for city in sorted(seen)])


@route("GET", "/search/suggestions")
def search_suggestions(call: Call) -> Reply:
    """The values that filters may have: countries, states, cities, cameras."""
    kinds: dict[str, Callable[[Asset], str | None]] = {
        "city": lambda asset: asset.place.city if asset.place else None,
        "state": lambda asset: asset.place.state if asset.place else None,
        "country": lambda asset: asset.place.country if asset.place else None,
        "camera-make": lambda asset: asset.camera.make,
        "camera-model": lambda asset: asset.camera.model,
        "camera-lens-model": lambda asset: asset.camera.lens,
    }
    read = kinds[call.query["type"]]
    values = {read(asset) for asset in _places(call)} - {None}
    return Reply(sorted(values, key=str) + ([None] if call.flag("includeNull") else []))


def _places(call: Call) -> list[Asset]:
    owners = call.access.searched_users()
    return [
        asset
        for asset in call.world.assets.values()
        if asset.owner in owners and asset.visibility == "timeline" and not asset.trashed
    ]
