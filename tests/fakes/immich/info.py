"""/server, /users, /api-keys: who and what the server is (immich.md §1; samples server-*, users*, *api-keys-me)."""

from __future__ import annotations

from typing import cast

from tests.fakes.immich.calls import Call, Refusal, Reply, empty, route
from tests.fakes.immich.moments import iso
from tests.fakes.immich.records import ApiKey, User
from tests.fakes.immich.uploads import media_types
from tests.fakes.immich.wire import Json, user_json

GIB = 1 << 30


@route("GET", "/server/ping")
def ping(call: Call) -> Reply:
    """pong."""
    return Reply({"res": "pong"})


@route("GET", "/server/version")
def version(call: Call) -> Reply:
    """v2 knows no prerelease."""
    major, minor, patch = (int(part) for part in call.settings.version.split("."))
    found: Json = {"major": major, "minor": minor, "patch": patch}
    return Reply(found | ({"prerelease": None} if call.v3 else {}))


@route("GET", "/server/features")
def features(call: Call) -> Reply:
    """What is switched on."""
    smart = call.settings.smart_search
    found: Json = {
        "smartSearch": smart,
        "facialRecognition": bool(call.world.people),
        "duplicateDetection": smart,
        "map": False,
        "reverseGeocoding": True,
        "importFaces": False,
        "sidecar": True,
        "search": True,
        "trash": call.settings.trash_enabled,
        "oauth": False,
        "oauthAutoLaunch": False,
        "ocr": False,
        "passwordLogin": True,
        "configFile": True,
        "email": False,
    }
    return Reply(found | ({"realtimeTranscoding": False} if call.v3 else {}))


@route("GET", "/server/config")
def config(call: Call) -> Reply:
    """All that answers in maintenance mode."""
    found: Json = {
        "loginPageMessage": "",
        "trashDays": 30,
        "userDeleteDelay": 7,
        "oauthButtonText": "Login with OAuth",
        "isInitialized": True,
        "isOnboarded": True,
        "externalDomain": call.settings.external_domain,
        "publicUsers": True,
        "mapDarkStyleUrl": "https://tiles.immich.cloud/v1/style/dark.json",
        "mapLightStyleUrl": "https://tiles.immich.cloud/v1/style/light.json",
        "maintenanceMode": call.settings.maintenance,
    }
    return Reply(found | ({"minFaces": 3} if call.v3 else {}))


@route("GET", "/server/media-types")
def server_media_types(call: Call) -> Reply:
    """The endings that may be uploaded."""
    return Reply(media_types(call))


@route("GET", "/server/about")
def about(call: Call) -> Reply:
    """Versions."""
    name = f"v{call.settings.version}"
    return Reply(
        {
            "version": name,
            "versionUrl": f"https://github.com/immich-app/immich/releases/tag/{name}",
            "licensed": False,
            "nodejs": "v24.21.0",
            "exiftool": "13.59",
            "ffmpeg": "5.1.9-0+deb12u1 Copyright (c) 2000-2026 the FFmpeg developers",
            "libvips": "8.17.3",
            "imagemagick": "",
        }
    )


@route("GET", "/server/storage")
def storage(call: Call) -> Reply:
    """The disk, in bytes and in words."""
    size, free = call.settings.disk_bytes, call.settings.disk_free_bytes
    used = size - free
    return Reply(
        {
            "diskAvailable": f"{free / GIB:.1f} GiB",
            "diskSize": f"{size / GIB:.1f} GiB",
            "diskUse": f"{used / GIB:.1f} GiB",
            "diskAvailableRaw": free,
            "diskSizeRaw": size,
            "diskUseRaw": used,
            "diskUsagePercentage": round(used / size * 100, 2),
        }
    )


@route("GET", "/users")
def list_users(call: Call) -> Reply:
    """Everybody, as others see them."""
    return Reply([user_json(user, stored=False) for user in call.world.users.values()])


@route("GET", "/users/me")
def me(call: Call) -> Reply:
    """The key's own user, with quota and usage in bytes."""
    user = call.user
    found = user_json(user, stored=False)
    found |= {
        "storageLabel": "admin" if user.is_admin else None,
        "shouldChangePassword": True,
        "isAdmin": user.is_admin,
    }
    found |= {"createdAt": iso(user.created), "deletedAt": None, "updatedAt": iso(user.updated), "oauthId": ""}
    found |= {"quotaSizeInBytes": user.quota, "quotaUsageInBytes": call.world.usage(user.id)}
    return Reply(found | {"status": "active", "license": None})


@route("GET", "/users/{id}")
def get_user(call: Call) -> Reply:
    """Another."""
    user: User | None = call.world.users.get(call.params["id"])
    if user is None:
        raise Refusal(400, "User not found")
    return Reply(user_json(user, stored=False))


def _key_json(key: ApiKey) -> Json:
    return {
        "id": key.id,
        "name": key.name,
        "createdAt": iso(key.created),
        "updatedAt": iso(key.updated),
        "permissions": list(key.permissions),
    }


@route("GET", "/api-keys/me")
def my_key(call: Call) -> Reply:
    """Any key may ask this of itself (ro-api-keys-me)."""
    if call.key is None:
        raise Refusal(403, "Not authenticated with an API Key")
    return Reply(_key_json(call.key))


@route("GET", "/api-keys")
def list_keys(call: Call) -> Reply:
    """The user's keys, without their secrets."""
    return Reply([_key_json(key) for key in call.world.keys.values() if key.user == call.access.user])


@route("POST", "/api-keys")
def create_key(call: Call) -> Reply:
    """201 with the secret, this once. No more permissions than the caller has."""
    wanted = cast(list[str], call.body["permissions"])
    mine = call.key.permissions if call.key else ("all",)
    if "all" not in mine and not set(wanted) <= set(mine):
        raise Refusal(400, "Cannot grant permissions you do not have")
    key = call.world.add_key(call.user, wanted, call.text("name") or "API Key")
    return Reply({"secret": key.secret, "apiKey": _key_json(key)}, 201)


@route("DELETE", "/api-keys/{id}")
def delete_key(call: Call) -> Reply:
    """204: nobody comes in by it any more."""
    world = call.world
    gone = [key for key in world.keys.values() if key.id == call.params["id"] and key.user == call.access.user]
    if not gone:
        raise Refusal(400, "API Key not found")
    del world.keys[gone[0].secret]
    return empty()


@route("POST", "/sync/stream")
def sync_stream(call: Call) -> Reply:
    """Not for API keys, and this server knows no sessions (err-sync-stream-apikey)."""
    raise Refusal(403, "Sync endpoints cannot be used with API keys")
