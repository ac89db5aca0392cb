"""/tags, /people, /faces, /stacks, /partners: what gathers assets without being an album (immich.md §2, §5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tests.fakes.immich.calls import Call, Refusal, Reply, empty, no_access, route
from tests.fakes.immich.media import encoded_face
from tests.fakes.immich.records import Face, Person, Stack, Tag
from tests.fakes.immich.wire import Json, face_json, person_json, tag_json, user_json

PAGE = 500


def _tag(call: Call, permission: str, id: str) -> Tag:
    tag = call.world.tags.get(id)
    if tag is None or tag.owner != call.access.user:
        raise no_access(permission)
    return tag


@route("GET", "/tags")
def list_tags(call: Call) -> Reply:
    """One's own, by their paths."""
    tags = [tag for tag in call.world.tags.values() if tag.owner == call.access.user]
    return Reply([tag_json(tag) for tag in sorted(tags, key=lambda tag: tag.value)])


@route("PUT", "/tags")
def upsert_tags(call: Call) -> Reply:
    """Tags of those paths; the ones above are made too (tag-upsert)."""
    paths = cast(list[str], call.body["tags"])
    return Reply([tag_json(call.world.add_tag(path, owner=call.user)) for path in paths])


@route("POST", "/tags")
def create_tag(call: Call) -> Reply:
    """201; 400 if there is one of that path."""
    parent = call.text("parentId")
    above = _tag(call, "tag.read", parent).value + "/" if parent else ""
    value = above + str(call.text("name"))
    if any(tag.value == value and tag.owner == call.access.user for tag in call.world.tags.values()):
        raise Refusal(400, "A tag with that name already exists")
    tag = call.world.add_tag(value, owner=call.user)
    tag.colour = call.text("color")
    return Reply(tag_json(tag), 201)


@route("GET", "/tags/{id}")
def get_tag(call: Call) -> Reply:
    """One of them."""
    return Reply(tag_json(_tag(call, "tag.read", call.params["id"])))


@route("DELETE", "/tags/{id}")
def delete_tag(call: Call) -> Reply:
    """204; the ones below go too."""
    gone = _tag(call, "tag.delete", call.params["id"])
    world = call.world
    ids = {
        tag.id
        for tag in world.tags.values()
        if tag.owner == gone.owner and f"{tag.value}/".startswith(f"{gone.value}/")
    }
    world.tags = {id: tag for id, tag in world.tags.items() if id not in ids}
    for asset in world.assets.values():
        asset.tags -= ids
    return empty()


@route("PUT", "/tags/{id}/assets")
def tag_assets(call: Call) -> Reply:
    """A result for each id."""
    tag, results = _tag(call, "tag.asset", call.params["id"]), cast(list[Json], [])
    for id in call.ids():
        asset = call.access.asset(id, "asset.update")
        if asset is None:
            results.append({"id": id, "success": False, "error": "no_permission"})
        elif tag.id in asset.tags:
            results.append({"id": id, "success": False, "error": "duplicate"})
        else:
            call.world.edit(asset, tags=asset.tags | {tag.id})
            results.append({"id": id, "success": True})
    return Reply(results)


@route("DELETE", "/tags/{id}/assets")
def untag_assets(call: Call) -> Reply:
    """A result for each id."""
    tag, results = _tag(call, "tag.asset", call.params["id"]), cast(list[Json], [])
    for id in call.ids():
        asset = call.world.assets.get(id)
        if asset is None or tag.id not in asset.tags:
            results.append({"id": id, "success": False, "error": "not_found"})
        else:
            call.world.edit(asset, tags=asset.tags - {tag.id})
            results.append({"id": id, "success": True})
    return Reply(results)


@route("PUT", "/tags/assets")
def tag_many(call: Call) -> Reply:
    """How many pairs of tag and asset are new."""
    tags = [_tag(call, "tag.asset", id).id for id in call.ids("tagIds")]
    count = 0
    for asset in call.assets("asset.update", call.ids("assetIds")):
        new = set(tags) - asset.tags
        count += len(new)
        if new:
            call.world.edit(asset, tags=asset.tags | new)
    return Reply({"count": count})


def _person(call: Call, permission: str) -> Person:
    person = call.world.people.get(call.params["id"])
    if person is None or person.owner != call.access.user:
        raise no_access(permission)
    return person


def _pictures(call: Call, person: Person) -> set[str]:
    return {face.asset for face in call.world.faces.values() if face.person == person.id}


@route("GET", "/people")
def list_people(call: Call) -> Reply:
    """A page: named ones first, those in most pictures first. `hidden` counts what is not shown."""
    mine = [person for person in call.world.people.values() if person.owner == call.access.user]
    hidden = [person for person in mine if person.hidden]
    shown = mine if call.flag("withHidden") else [person for person in mine if not person.hidden]
    order: Callable[[Person], tuple[bool, bool, int, str]] = lambda person: (  # noqa: E731
        not person.favorite, not person.name, -len(_pictures(call, person)), person.name
    )  # fmt: skip
    shown.sort(key=order)
    page, size = int(call.query.get("page", 1)), int(call.query.get("size", PAGE))
    return Reply(
        {
            "people": [person_json(person) for person in shown[(page - 1) * size : page * size]],
            "hasNextPage": len(shown) > page * size,
            "total": len(mine),
            "hidden": len(hidden),
        }
    )


@route("GET", "/people/{id}")
def get_person(call: Call) -> Reply:
    """One of them."""
    return Reply(person_json(_person(call, "person.read")))


@route("PUT", "/people/{id}")
def update_person(call: Call) -> Reply:
    """Name, birth date, hidden, favorite."""
    person, body = _person(call, "person.update"), call.body
    person.name = str(body.get("name", person.name))
    person.birth = cast("str | None", body.get("birthDate", person.birth))
    person.hidden = bool(body.get("isHidden", person.hidden))
    person.favorite = bool(body.get("isFavorite", person.favorite))
    person.updated = call.world.clock.now()
    return Reply(person_json(person))


@route("GET", "/people/{id}/statistics")
def person_statistics(call: Call) -> Reply:
    """In how many pictures."""
    return Reply({"assets": len(_pictures(call, _person(call, "person.statistics")))})


@route("GET", "/people/{id}/thumbnail")
def person_thumbnail(call: Call) -> Reply:
    """A JPEG of the face."""
    return encoded_face(call, _person(call, "person.read"))


@route("GET", "/faces")
def list_faces(call: Call) -> Reply:
    """The faces of one asset (`id`)."""
    world, asset = call.world, call.asset("asset.read", call.query["id"])
    faces = [world.faces[id] for id in world.asset_faces.get(asset.id, [])]
    return Reply([face_json(face, world.people.get(face.person or ""), with_person=True) for face in faces])


@route("POST", "/faces")
def create_face(call: Call) -> Reply:
    """201: somebody is there."""
    asset, body = call.asset("asset.update", str(call.text("assetId"))), cast(dict[str, int], call.body)
    box = (body["x"], body["y"], body["x"] + body["width"], body["y"] + body["height"])
    call.world.add_face(asset, str(call.text("personId")), box, (body["imageWidth"], body["imageHeight"]))
    return Reply(status=201)


@route("DELETE", "/faces/{id}")
def delete_face(call: Call) -> Reply:
    """204."""
    face = _face(call, "face.delete")
    call.world.asset_faces[face.asset].remove(face.id)
    del call.world.faces[face.id]
    return empty()


@route("PUT", "/faces/{id}")
def reassign_face(call: Call) -> Reply:
    """The person of the path gets the face of the body."""
    person = _person(call, "person.update")
    face = call.world.faces.get(str(call.text("id")))
    if face is None:
        raise no_access("face.update")
    face.person = person.id
    return Reply(person_json(person))


def _face(call: Call, permission: str) -> Face:
    face = call.world.faces.get(call.params["id"])
    if face is None or call.access.asset(face.asset, "asset.update") is None:
        raise no_access(permission)
    return face


def _stack(call: Call, permission: str) -> Stack:
    stack = call.world.stacks.get(call.params["id"])
    if stack is None or stack.owner != call.access.user:
        raise no_access(permission)
    return stack


@route("GET", "/stacks")
def list_stacks(call: Call) -> Reply:
    """One's own, or the one of `primaryAssetId`."""
    primary = call.query.get("primaryAssetId")
    mine = [stack for stack in call.world.stacks.values() if stack.owner == call.access.user]
    shown = [stack for stack in mine if primary in (None, stack.primary)]
    return Reply([call.dialect.stack(stack, call.access.user) for stack in shown])


@route("POST", "/stacks")
def create_stack(call: Call) -> Reply:
    """201; the first is primary; stacks they were in are taken in whole."""
    assets = call.assets("asset.update", call.ids("assetIds"))
    world = call.world
    members = dict.fromkeys(asset.id for asset in assets)
    for asset in assets:
        if old := world.stacks.pop(asset.stack or "", None):
            members |= dict.fromkeys(old.members)
    stack = Stack(world.new_id(), call.access.user, assets[0].id, list(members))
    world.stacks[stack.id] = stack
    for id in members:
        world.edit(world.assets[id], stack=stack.id)
    return Reply(call.dialect.stack(stack, call.access.user), 201)


@route("GET", "/stacks/{id}")
def get_stack(call: Call) -> Reply:
    """One of them."""
    return Reply(call.dialect.stack(_stack(call, "stack.read"), call.access.user))


@route("PUT", "/stacks/{id}")
def update_stack(call: Call) -> Reply:
    """Another primary asset, which must be in it."""
    stack, primary = _stack(call, "stack.update"), call.text("primaryAssetId")
    if primary:
        if primary not in stack.members:
            raise Refusal(400, "Primary asset must be in the stack")
        stack.primary = primary
    return Reply(call.dialect.stack(stack, call.access.user))


@route("DELETE", "/stacks/{id}")
def delete_stack(call: Call) -> Reply:
    """204; its assets stay."""
    stack = _stack(call, "stack.delete")
    for id in stack.members:
        call.world.edit(call.world.assets[id], stack=None)
    del call.world.stacks[stack.id]
    return empty()


@route("DELETE", "/stacks/{id}/assets/{assetId}")
def leave_stack(call: Call) -> Reply:
    """204; not the primary one."""
    stack, id = _stack(call, "stack.update"), call.params["assetId"]
    if id not in stack.members:
        raise Refusal(400, "Asset not in stack")
    if id == stack.primary:
        raise Refusal(400, "Cannot remove primary asset from stack")
    call.world.unstack(stack, id)
    return empty()


@route("GET", "/partners")
def list_partners(call: Call) -> Reply:
    """Who shares with me, or with whom I share (`direction`)."""
    world, by_me = call.world, call.query["direction"] == "shared-by"
    found: list[Json] = []
    for (by, to), in_timeline in world.partners.items():
        if (by if by_me else to) == call.access.user:
            other = world.users[to if by_me else by]
            found.append(user_json(other, stored=False) | {"inTimeline": in_timeline})
    return Reply(found)
