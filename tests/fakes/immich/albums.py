"""/albums: immich.md §2 and §5, samples album-*, editor-*, err-viewer-*."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

from tests.fakes.immich.calls import Call, Refusal, Reply, empty, no_access, route
from tests.fakes.immich.records import Album, Role
from tests.fakes.immich.wire import Json


@route("GET", "/albums")
def list_albums(call: Call) -> Reply:
    """One array, not paged. v2 without `shared`: own ones only; v3 without a filter: own and shared with me."""
    albums: Iterable[Album] = call.access.albums()
    user = call.access.user
    if asset := call.query.get("assetId"):
        albums = [album for album in albums if asset in album.members]
    elif call.v3:
        albums = [album for album in albums if _wanted(call, album)]
    else:
        shared = call.flag("shared")
        if shared is None:
            albums = [album for album in albums if album.owner == user]
        else:
            albums = [
                album for album in albums if _is_shared(call, album) is shared and (shared or album.owner == user)
            ]
    return Reply([call.dialect.album(album, listed=True) for album in albums])


def _wanted(call: Call, album: Album) -> bool:
    owned, shared, query = call.flag("isOwned"), call.flag("isShared"), call.query
    return (
        (owned is None or (album.owner == call.access.user) is owned)
        and (shared is None or _is_shared(call, album) is shared)
        and query.get("id", album.id) == album.id
        and query.get("name", album.name) == album.name
    )


def _is_shared(call: Call, album: Album) -> bool:
    return bool(album.users) or any(link.album == album.id for link in call.world.links.values())


@route("GET", "/albums/statistics")
def album_statistics(call: Call) -> Reply:
    """How many there are."""
    albums = call.access.albums()
    owned = [album for album in albums if album.owner == call.access.user]
    return Reply(
        {
            "owned": len(owned),
            "shared": sum(_is_shared(call, album) for album in albums),
            "notShared": sum(not _is_shared(call, album) for album in owned),
        }
    )


@route("GET", "/albums/{id}")
def get_album(call: Call) -> Reply:
    """One album; on v2 with its assets, of all owners and archived ones too, unless `withoutAssets`."""
    album = call.album("album.read")
    assets = [] if call.v3 or call.flag("withoutAssets") else _assets_of(call, album)
    return Reply(call.dialect.album(album, listed=True, contributors=True, assets=assets))


def _assets_of(call: Call, album: Album) -> list[Json]:
    members = [call.world.assets[id] for id in album.members]
    shown = [asset for asset in members if not asset.trashed and asset.visibility in ("timeline", "archive")]
    shown.sort(key=lambda asset: asset.taken, reverse=album.order == "desc")
    return [call.dialect.asset(asset, call.access.user, stored=True) for asset in shown]


@route("POST", "/albums")
def create_album(call: Call) -> Reply:
    """201. Any name will do: equal ones, "", slashes, newlines (album-create-*)."""
    ids = [id for id in call.ids("assetIds") if call.access.asset(id, "asset.share")]
    album = call.world.add_album(call.text("albumName") or "", owner=call.user)
    album.description = call.text("description") or ""
    call.world.join(album, ids)
    album.updated = album.created
    _invite(call, album)
    assets = [] if call.v3 else _assets_of(call, album)
    return Reply(call.dialect.album(album, listed=False, assets=assets), 201)


def _invite(call: Call, album: Album) -> None:
    invited = cast(list[dict[str, str]], call.body.get("albumUsers") or [])
    for guest in invited:
        if guest["role"] == "owner":
            raise Refusal(400, "Cannot add another owner")
        if guest["userId"] not in call.world.users:
            raise Refusal(400, "Invalid user")
        if guest["userId"] not in (album.owner, *album.users):
            album.users[guest["userId"]] = cast(Role, guest["role"])


@route("PATCH", "/albums/{id}")
def update_album(call: Call) -> Reply:
    """Name, description, cover (of its own assets), order: editors may too (editor-rename)."""
    album, body = call.album("album.update"), call.body
    cover = call.text("albumThumbnailAssetId")
    if cover and cover not in album.members:
        raise Refusal(400, "Invalid album thumbnail")
    album.name = str(body.get("albumName", album.name))
    album.description = str(body.get("description", album.description))
    album.cover = cover or album.cover
    album.order = cast(Literal["asc", "desc"], body.get("order", album.order))
    album.activity = bool(body.get("isActivityEnabled", album.activity))
    album.updated = call.world.clock.now()
    return Reply(call.dialect.album(album, listed=False))


@route("DELETE", "/albums/{id}")
def delete_album(call: Call) -> Reply:
    """204; the owner alone; assets stay."""
    call.world.delete_album(call.album("album.delete"))
    return empty()


@route("PUT", "/albums/{id}/assets")
def add_assets(call: Call) -> Reply:
    """200 with a result for each id: an error there is no error of the call (album-add-assets-unknown)."""
    album = call.album("albumAsset.create")
    results: list[Json] = []
    added: dict[str, None] = {}
    for id in call.ids():
        if id in album.members or id in added:
            results.append({"id": id, "success": False, "error": "duplicate"})
        elif call.access.asset(id, "asset.share") is None:
            results.append({"id": id, "success": False, "error": "no_permission"})
        else:
            added[id] = None
            results.append({"id": id, "success": True})
    call.world.join(album, added)
    return Reply(results)


@route("DELETE", "/albums/{id}/assets")
def remove_assets(call: Call) -> Reply:
    """200 with a result for each id; an editor removes only its own (editor-remove-others-asset)."""
    album = call.album("albumAsset.delete")
    owner = album.role(call.access.user) == "owner"
    results: list[Json] = []
    removed: dict[str, None] = {}
    for id in call.ids():
        if id not in album.members or id in removed:
            results.append({"id": id, "success": False, "error": "not_found"})
        elif not owner and call.access.asset(id, "asset.share") is None:
            results.append({"id": id, "success": False, "error": "no_permission"})
        else:
            removed[id] = None
            results.append({"id": id, "success": True})
    call.world.leave(album, removed)
    return Reply(results)


@route("PUT", "/albums/assets")
def add_to_several(call: Call) -> Reply:
    """One result for all: what may be added is added to each album that may be changed."""
    albums = [album for id in call.ids("albumIds") if (album := call.access.album(id, "albumAsset.create"))]
    ids = [id for id in call.ids("assetIds") if call.access.asset(id, "asset.share")]
    if not albums or not ids:
        return Reply({"success": False, "error": "no_permission"})
    success = False
    for album in albums:
        new = [id for id in ids if id not in album.members]
        call.world.join(album, new)
        success = success or bool(new)
    return Reply({"success": True} if success else {"success": False, "error": "duplicate"})


@route("PUT", "/albums/{id}/users")
def share_album(call: Call) -> Reply:
    """Shared with those users."""
    album = call.album("album.share")
    _invite(call, album)
    album.updated = call.world.clock.now()
    return Reply(call.dialect.album(album, listed=False))


@route("PUT", "/albums/{id}/user/{userId}")
def change_role(call: Call) -> Reply:
    """204: another role."""
    album, guest = call.album("album.share"), call.params["userId"]
    if guest not in album.users:
        raise no_access("album.share")
    album.users[guest] = cast(Role, call.text("role"))
    return empty()


@route("DELETE", "/albums/{id}/user/{userId}")
def remove_user(call: Call) -> Reply:
    """204; anyone may leave by himself ("me")."""
    guest = call.access.user if call.params["userId"] == "me" else call.params["userId"]
    album = call.album("album.read" if guest == call.access.user else "album.share")
    if guest == album.owner:
        raise Refusal(400, "Cannot remove the last album owner")
    if album.users.pop(guest, None) is None:
        raise Refusal(400, "Album not shared with user")
    return empty()
