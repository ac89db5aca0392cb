"""/assets: one and many, their metadata, the trash, copying what hangs on one to another (immich.md §4, §5)."""

from __future__ import annotations

from typing import cast

from tests.fakes.immich import moments
from tests.fakes.immich.calls import Call, Refusal, Reply, empty, route
from tests.fakes.immich.records import Asset, Stack, Visibility
from tests.fakes.immich.state import World
from tests.fakes.immich.told import MINUTE_US, named_place, read_told, set_taken, write_sidecar
from tests.fakes.immich.wire import Json


@route("GET", "/assets/{id}")
def get_asset(call: Call) -> Reply:
    """One asset, with what listings leave out. Trashed ones too."""
    asset = call.asset("asset.read")
    found = call.dialect.whole_asset(asset, call.access.user)
    if call.access.link:
        found.pop("owner")
        found["people"] = []
    return Reply(found)


@route("PUT", "/assets/{id}")
def update_asset(call: Call) -> Reply:
    """200 with the asset. A new date shows in exifInfo at once, in fileCreatedAt after a job (asset-put-date)."""
    asset = call.asset("asset.update")
    if video := call.text("livePhotoVideoId"):
        call.asset("asset.update", video).visibility = "hidden"
    if "livePhotoVideoId" in call.body:
        if asset.live_video and not video:
            call.asset("asset.update", asset.live_video).visibility = asset.visibility
        asset.live_video = video
    moved = _dated(call, asset)
    _change(call, asset)
    found = call.dialect.asset(asset, call.access.user)
    if not call.v3:
        found["unassignedFaces"] = []
    if moved:
        cast(Json, found["exifInfo"])["dateTimeOriginal"] = moments.database(moved)
    return Reply(found)


def _dated(call: Call, asset: Asset) -> int | None:
    """The new capture date, which a job will write; None: none was given."""
    text = call.text("dateTimeOriginal")
    if text is None:
        return None

    asset.written |= {"taken"}

    def move() -> None:
        set_taken(asset, text)
        write_sidecar(asset)
        asset.updated = call.world.clock.now()

    call.world.later(move)
    return moments.parsed(text)


def _change(call: Call, asset: Asset) -> None:
    body, world = call.body, call.world
    asset.description = cast(str, body.get("description", asset.description))
    asset.rating = cast("int | None", body.get("rating", asset.rating))
    asset.favorite = bool(body.get("isFavorite", asset.favorite))
    asset.visibility = cast(Visibility, body.get("visibility", asset.visibility))
    if "latitude" in body and "longitude" in body:
        asset.place = named_place(cast(float, body["latitude"]), cast(float, body["longitude"]))
    written = {name for name in ("description", "rating") if name in body} | (
        {"place"} if "latitude" in body else set()
    )
    if written:
        asset.written |= written
        world.later(lambda: write_sidecar(asset))
    if asset.visibility == "locked":
        for album in [world.albums[id] for id in world.memberships.get(asset.id, set())]:
            world.leave(album, [asset.id])
    asset.updated = world.clock.now()
    world.changed()


@route("PUT", "/assets")
def update_assets(call: Call) -> Reply:
    """204, or 400 if one of them is not the caller's. `dateTimeRelative` in minutes, `timeZone` a fixed one."""
    for asset in call.assets("asset.update", call.ids()):
        _dated(call, asset)
        if minutes := cast(int, call.body.get("dateTimeRelative") or 0):
            asset.taken += minutes * MINUTE_US
        if zone := call.text("timeZone"):
            asset.zone = moments.zone_minutes(zone)
        _change(call, asset)
    return empty()


@route("DELETE", "/assets")
def delete_assets(call: Call) -> Reply:
    """204: to the trash, or gone with `force` or without a trash, by a job. One bad id: 400, and nothing is deleted."""
    assets = call.assets("asset.delete", call.ids())
    world = call.world
    force = bool(call.body.get("force"))
    world.trash(*assets)
    if force or not call.settings.trash_enabled:
        for asset in assets:
            asset.purging = force
        world.later(lambda: world.purge_all(assets))
    return empty()


@route("POST", "/trash/restore/assets")
def restore_assets(call: Call) -> Reply:
    """200 with the count of those that were in the trash."""
    assets = [asset for asset in call.assets("asset.delete", call.ids()) if asset.trashed]
    call.world.restore(*assets)
    return Reply({"count": len(assets)})


def _my_trash(call: Call) -> list[Asset]:
    return [one for one in call.world.assets.values() if one.owner == call.access.user and one.trashed]


@route("POST", "/trash/restore")
def restore_all(call: Call) -> Reply:
    """200 with the count."""
    assets = _my_trash(call)
    call.world.restore(*assets)
    return Reply({"count": len(assets)})


@route("POST", "/trash/empty")
def empty_trash(call: Call) -> Reply:
    """200 with the count; gone with the next job."""
    assets = _my_trash(call)
    call.world.later(lambda: call.world.purge_all(assets))
    return Reply({"count": len(assets)})


@route("PUT", "/assets/copy")
def copy_asset(call: Call) -> Reply:
    """204: albums, favorite, stack, sidecar and shared links of the source are the target's too, each unless false."""
    source, target = call.assets("asset.copy", [str(call.text("sourceId")), str(call.text("targetId"))])
    if source.id == target.id:
        raise Refusal(400, "Source and target id must be distinct")
    world, wanted = call.world, {name for name in COPIED if call.body.get(name, True)}
    if "albums" in wanted:
        for album in [world.albums[id] for id in world.memberships.get(source.id, set())]:
            updated = album.updated
            world.join(album, [target.id])
            album.updated = updated
    if "favorite" in wanted:
        target.favorite = source.favorite
    if "sharedLinks" in wanted:
        for link in world.links.values():
            if source.id in link.assets and target.id not in link.assets:
                link.assets.append(target.id)
    if "stack" in wanted and source.stack:
        _copy_stack(world, world.stacks[source.stack], target)
    if "sidecar" in wanted and source.sidecar:
        target.sidecar, target.written = source.sidecar, target.written | source.written
        world.later(lambda: read_told(world, target))
    target.updated = world.clock.now()
    return empty()


def _copy_stack(world: World, stack: Stack, target: Asset) -> None:
    """[SRC asset.service.ts copyStack] The two stacks become the target's one, and the source's is deleted, though they
    be the same: to copy twice dissolves it."""
    if target.stack is None:
        stack.members.append(target.id)
        target.stack = stack.id
        return
    merged = world.stacks[target.stack]
    merged.members = list(dict.fromkeys([*merged.members, *stack.members]))
    for id in merged.members:
        world.assets[id].stack = merged.id
    del world.stacks[stack.id]
    if stack is merged:
        for id in merged.members:
            world.assets[id].stack = None


COPIED = ("albums", "favorite", "sharedLinks", "stack", "sidecar")


def _note_json(key: str, note: tuple[dict[str, object], int]) -> Json:
    return {"key": key, "value": note[0], "updatedAt": moments.iso(note[1])}


@route("GET", "/assets/{id}/metadata")
def get_metadata(call: Call) -> Reply:
    """The key-value store of one asset."""
    notes = call.asset("asset.read").notes or {}
    return Reply([_note_json(key, note) for key, note in notes.items()])


@route("PUT", "/assets/{id}/metadata")
def put_metadata(call: Call) -> Reply:
    """Those keys have those values; the answer holds them."""
    asset = call.asset("asset.update")
    now = call.world.clock.now()
    items = cast(list[dict[str, object]], call.body["items"])
    changed = {str(item["key"]): (cast(dict[str, object], item["value"]), now) for item in items}
    asset.notes = (asset.notes or {}) | changed
    return Reply([_note_json(key, note) for key, note in changed.items()])


@route("GET", "/assets/{id}/metadata/{key}")
def get_metadata_key(call: Call) -> Reply:
    """One of them."""
    key, notes = call.params["key"], call.asset("asset.read").notes or {}
    if key not in notes:
        raise Refusal(400, f'Metadata with key "{key}" not found for asset with id "{call.params["id"]}"')
    return Reply(_note_json(key, notes[key]))


@route("DELETE", "/assets/{id}/metadata/{key}")
def delete_metadata_key(call: Call) -> Reply:
    """204."""
    (call.asset("asset.update").notes or {}).pop(call.params["key"], None)
    return empty()


@route("POST", "/assets/jobs")
def run_jobs(call: Call) -> Reply:
    """204: metadata or thumbnails are made again, later."""
    for asset in call.assets("asset.update", call.ids("assetIds")):
        call.world.later(lambda asset=asset: read_told(call.world, asset))  # type: ignore[misc]
    return empty()
