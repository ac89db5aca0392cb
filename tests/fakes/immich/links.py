"""/shared-links: ways in without an account. Recorded only as an empty list; the rest follows the document [SRC]."""

from __future__ import annotations

from typing import cast

from tests.fakes.immich.calls import Call, Refusal, Reply, empty, route
from tests.fakes.immich.moments import parsed
from tests.fakes.immich.records import SharedLink
from tests.fakes.immich.wire import Json

KEY_BYTES = 50


def _mine(call: Call) -> list[SharedLink]:
    return [link for link in call.world.links.values() if link.user == call.access.user]


def _link(call: Call) -> SharedLink:
    link = call.world.links.get(call.params["id"])
    if link is None or link.user != call.access.user:
        raise Refusal(400, "Shared link not found")
    return link


@route("GET", "/shared-links")
def list_links(call: Call) -> Reply:
    """One's own, of one album (`albumId`) if wanted."""
    album = call.query.get("albumId")
    return Reply([call.dialect.link(link) for link in _mine(call) if album in (None, link.album)])


@route("POST", "/shared-links")
def create_link(call: Call) -> Reply:
    """201. To an album one owns, or to some of one's assets."""
    body, world = call.body, call.world
    album = call.text("albumId")
    if body["type"] == "ALBUM":
        if not album:
            raise Refusal(400, "Invalid albumId")
        call.album("album.share", album)
    elif not call.ids("assetIds"):
        raise Refusal(400, "Invalid assetIds")
    call.assets("asset.share", call.ids("assetIds"))
    link = SharedLink(world.new_id(), call.access.user, world.new_secret(KEY_BYTES), world.clock.now(), album)
    link.assets = call.ids("assetIds")
    _change(call, link)
    world.links[link.id] = link
    return Reply(call.dialect.link(link), 201)


def _change(call: Call, link: SharedLink) -> None:
    body = call.body
    link.description = cast("str | None", body.get("description", link.description))
    link.password = cast("str | None", body.get("password", link.password))
    link.slug = cast("str | None", body.get("slug", link.slug))
    link.upload = bool(body.get("allowUpload", link.upload))
    link.download = bool(body.get("allowDownload", link.download))
    link.show_metadata = bool(body.get("showMetadata", link.show_metadata))
    if expires := call.text("expiresAt"):
        link.expires = parsed(expires)
    if not link.show_metadata:
        link.download = False


@route("GET", "/shared-links/me")
def my_link(call: Call) -> Reply:
    """The link that the caller came in by; one with a password only shows itself to who has logged in to it [SRC]."""
    if call.access.link is None:
        raise Refusal(403, "Forbidden")
    if call.access.link.password:
        raise Refusal(401, "Password required")
    return Reply(call.dialect.link(call.access.link))


@route("GET", "/shared-links/{id}")
def get_link(call: Call) -> Reply:
    """One of them."""
    return Reply(call.dialect.link(_link(call)))


@route("PATCH", "/shared-links/{id}")
def update_link(call: Call) -> Reply:
    """As told."""
    link = _link(call)
    _change(call, link)
    return Reply(call.dialect.link(link))


@route("DELETE", "/shared-links/{id}")
def delete_link(call: Call) -> Reply:
    """204."""
    del call.world.links[_link(call).id]
    return empty()


@route("PUT", "/shared-links/{id}/assets")
def add_to_link(call: Call) -> Reply:
    """A result for each id."""
    link, results = _link(call), cast(list[Json], [])
    for id in call.ids("assetIds"):
        allowed = call.access.asset(id, "asset.share") is not None
        error = "no_permission" if not allowed else "duplicate" if id in link.assets else None
        if error is None:
            link.assets.append(id)
        results.append({"assetId": id, "success": error is None} | ({"error": error} if error else {}))
    return Reply(results)


@route("DELETE", "/shared-links/{id}/assets")
def remove_from_link(call: Call) -> Reply:
    """A result for each id."""
    link, results = _link(call), cast(list[Json], [])
    for id in call.ids("assetIds"):
        if id in link.assets:
            link.assets.remove(id)
            results.append({"assetId": id, "success": True})
        else:
            results.append({"assetId": id, "success": False, "error": "not_found"})
    return Reply(results)


def link_of(call_links: dict[str, SharedLink], key: str | None, slug: str | None, now: int) -> SharedLink:
    """The link of a request's `key` or `slug`. Errors: Refusal, if there is none or it has expired."""
    for link in call_links.values():
        named = (key and link.key == key) or (slug and link.slug == slug)
        if named and (link.expires is None or link.expires > now):
            return link
    raise Refusal(401, "Invalid share key" if key else "Invalid share slug")
