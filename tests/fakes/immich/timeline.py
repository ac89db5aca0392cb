"""/timeline and /assets/statistics: counts by month, and columns without names and sizes (immich.md §2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.fakes.immich import moments
from tests.fakes.immich.calls import Call, Refusal, Reply, no_access, route
from tests.fakes.immich.records import Asset
from tests.fakes.immich.wire import SHOWN, Json

OFFSET_HOUR_MIN = 60


@route("GET", "/timeline/buckets")
def buckets(call: Call) -> Reply:
    """Months of the wall clock with their counts, the newest first."""
    counts = Counter(moments.month(asset.local) for asset in _shown(call))
    ordered = sorted(counts, reverse=call.query.get("order") != "asc")
    return Reply([{"timeBucket": name, "count": counts[name]} for name in ordered])


@route("GET", "/timeline/bucket")
def bucket(call: Call) -> Reply:
    """The columns of one month."""
    wanted = moments.month(moments.parsed(call.query["timeBucket"][:10]))
    rows = [asset for asset in _shown(call) if moments.month(asset.local) == wanted]
    rows.sort(key=lambda asset: (asset.local, asset.id), reverse=call.query.get("order") != "asc")
    found: Json = {
        "duration": [call.dialect.duration(asset) if asset.kind == "VIDEO" else None for asset in rows],
        "id": [asset.id for asset in rows],
        "visibility": [asset.visibility for asset in rows],
        "isFavorite": [asset.favorite and asset.owner == call.access.user for asset in rows],
        "isImage": [asset.kind == "IMAGE" for asset in rows],
        "isTrashed": [asset.trashed for asset in rows],
        "livePhotoVideoId": [asset.live_video for asset in rows],
        "fileCreatedAt": [moments.bare(asset.taken) for asset in rows],
        "localOffsetHours": [(asset.zone or 0) / OFFSET_HOUR_MIN for asset in rows],
        "ownerId": [asset.owner for asset in rows],
        "projectionType": [None for _ in rows],
        "ratio": [_ratio(asset) for asset in rows],
        "status": ["trashed" if asset.trashed else "active" for asset in rows],
        "thumbhash": [asset.thumbhash for asset in rows],
        "city": [asset.place.city if asset.place else None for asset in rows],
        "country": [asset.place.country if asset.place else None for asset in rows],
    }
    if call.v3:
        found["createdAt"] = [moments.bare(asset.created) for asset in rows]
    return Reply(found)


def _ratio(asset: Asset) -> float:
    return round(asset.width / asset.height, 3) if asset.width and asset.height else 1.0


def _shown(call: Call) -> Iterable[Asset]:
    if call.query.get("visibility") == "locked":
        raise Refusal(401, "Elevated permission is required")
    world, query = call.world, call.query
    assets: Iterable[Asset]
    if album_id := query.get("albumId"):
        assets = [world.assets[id] for id in call.album("album.read", album_id).members]
    else:
        user = query.get("userId", call.access.user)
        if user not in call.access.searched_users():
            raise no_access("timeline.read")
        users = call.access.searched_users() if call.flag("withPartners") else {user}
        assets = [asset for asset in world.assets.values() if asset.owner in users]
    if person := query.get("personId"):
        assets = [
            asset
            for asset in assets
            if any(world.faces[id].person == person for id in world.asset_faces.get(asset.id, []))
        ]
    if tag := query.get("tagId"):
        assets = [asset for asset in assets if tag in asset.tags]
    trashed, favorite = bool(call.flag("isTrashed")), call.flag("isFavorite")
    shown = (query["visibility"],) if "visibility" in query else SHOWN
    return [
        asset
        for asset in assets
        if asset.visibility in shown
        and asset.trashed is trashed
        and (favorite is None or asset.favorite is favorite)
        and not (call.flag("withStacked") and asset.stack and world.stacks[asset.stack].primary != asset.id)
    ]


@route("GET", "/assets/statistics")
def statistics(call: Call) -> Reply:
    """Own images and videos; of one visibility, or what timeline and archive show."""
    shown = (call.query["visibility"],) if "visibility" in call.query else SHOWN
    trashed, favorite = bool(call.flag("isTrashed")), call.flag("isFavorite")
    kinds = Counter(
        asset.kind
        for asset in call.world.assets.values()
        if asset.owner == call.access.user
        and asset.visibility in shown
        and asset.trashed is trashed
        and (favorite is None or asset.favorite is favorite)
    )
    return Reply({"images": kinds["IMAGE"], "videos": kinds["VIDEO"], "total": kinds.total()})
