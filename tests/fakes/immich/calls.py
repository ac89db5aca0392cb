"""A request that passed the gate, as handlers get it; and how they refuse, in the words of each version."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.fakes.immich.access import Access
from tests.fakes.immich.records import Album, ApiKey, Asset, User
from tests.fakes.immich.state import World
from tests.fakes.immich.wire import Dialect, Json
from tests.fakes.serving import Request, Response

JsonBody = dict[str, object]


class Refusal(Exception):
    """The server says no. `errors`: what v3 lists of a validation; `messages`: what v2 says instead."""

    def __init__(
        self, status: int, message: str, errors: list[Json] | None = None, messages: list[str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.messages = messages

    def body(self, *, v3: bool, correlation: str) -> Json:
        """The two shapes of immich.md §7."""
        if v3:
            return {"message": self.message} | ({"errors": self.errors} if self.errors else {})
        if self.status >= 500:
            return {"message": self.message, "statusCode": self.status, "correlationId": correlation}
        return {
            "message": self.messages or self.message,
            "error": HTTPStatus(self.status).phrase,
            "statusCode": self.status,
            "correlationId": correlation,
        }


def no_access(permission: str) -> Refusal:
    """Unknown and foreign ids alike: 400, not 404 (err-album-unknown)."""
    return Refusal(400, f"Not found or no {permission} access")


def not_found() -> Refusal:
    """A file that is not there (err-video-playback-on-image)."""
    return Refusal(404, "Not Found")


@dataclass(slots=True)
class Call:
    """Who asks what of which world."""

    world: World
    settings: Settings
    dialect: Dialect
    access: Access
    key: ApiKey | None
    request: Request
    params: dict[str, str]
    query: dict[str, str]
    body: JsonBody = field(default_factory=dict)

    @property
    def user(self) -> User:
        """The caller; behind a shared link, its maker."""
        return self.world.users[self.access.user]

    @property
    def v3(self) -> bool:
        """3.x."""
        return self.dialect.v3

    def flag(self, name: str) -> bool | None:
        """A boolean of the query; None if it was not given."""
        return None if name not in self.query else self.query[name] == "true"

    def text(self, name: str) -> str | None:
        """A text of the body; None if it was not given, or null."""
        value = self.body.get(name)
        assert value is None or isinstance(value, str)
        return value

    def ids(self, name: str = "ids") -> list[str]:
        """A list of ids of the body."""
        value = self.body.get(name) or []
        assert isinstance(value, list)
        return [str(id) for id in value]

    def asset(self, permission: str, id: str | None = None) -> Asset:
        """The asset of the path, or `id`. Errors: Refusal."""
        asset = self.access.asset(id or self.params["id"], permission)
        if asset is None:
            raise no_access(permission)
        return asset

    def assets(self, permission: str, ids: Iterable[str]) -> list[Asset]:
        """All of them. Errors: Refusal, if one is not reached."""
        found = self.access.all_assets(ids, permission)
        if found is None:
            raise no_access(permission)
        return found

    def album(self, permission: str, id: str | None = None) -> Album:
        """The album of the path, or `id`. Errors: Refusal."""
        album = self.access.album(id or self.params["id"], permission)
        if album is None:
            raise no_access(permission)
        return album


@dataclass(slots=True)
class Settings:
    """What an administrator sets, and what the server was built with. Change them while it runs."""

    version: str = "3.1.0"
    smart_search: bool = False
    trash_enabled: bool = True
    maintenance: bool = False
    external_domain: str = ""
    thumbnail_side: int = 250
    preview_side: int = 1440
    fullsize_enabled: bool = False
    preview_format: str = "jpeg"
    disk_bytes: int = 270_553_174_016
    disk_free_bytes: int = 74_972_499_968


@dataclass(slots=True)
class Reply:
    """What a handler says: JSON `value` with its status, or a finished `response`."""

    value: object = None
    status: int = 200
    response: Response | None = None


Handler = Callable[[Call], Reply]
ROUTES: dict[tuple[str, str], Handler] = {}
"""(method, path of the OpenAPI document) -> handler. What is missing is not in the fake, and says so."""
REFUSED_TO_KEYS: set[tuple[str, str]] = set()


def route(method: str, template: str) -> Callable[[Handler], Handler]:
    """The handler answers that operation."""

    def register(handler: Handler) -> Handler:
        assert (method, template) not in ROUTES, (method, template)
        ROUTES[method, template] = handler
        return handler

    return register


def empty() -> Reply:
    """204."""
    return Reply(status=204)


def correlation_id() -> str:
    """Eight characters, of no meaning."""
    return uuid.uuid4().hex[:8]
