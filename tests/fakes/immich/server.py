"""The server: its gate (faults, document, keys, permissions), its answers as Express writes them, its life."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

import msgspec

from tests.fakes.certificates import Authority
from tests.fakes.faults import Effect, Faults, Rule
from tests.fakes.immich import albums, assets, groups, info, links, media, search, timeline
from tests.fakes.immich.access import Access
from tests.fakes.immich.calls import ROUTES, Call, Handler, Refusal, Reply, Settings, correlation_id
from tests.fakes.immich.links import link_of
from tests.fakes.immich.records import ApiKey, SharedLink
from tests.fakes.immich.schema import Document, Operation, document, document_name
from tests.fakes.immich.seeding import SeededWorld
from tests.fakes.immich.uploads import duplicate, known_asset, read_form, upload
from tests.fakes.immich.wire import Dialect
from tests.fakes.log import RequestLog
from tests.fakes.serving import HttpServer, Request, Response

RESOURCES = (albums, assets, groups, info, links, media, search, timeline)
"""Imported for the routes they register."""
UNLOCKED = frozenset({"/assets/{id}/thumbnail", "/assets/{id}/original", "/assets/{id}/video/playback"})
"""They work long and change nothing."""
ASKING = frozenset({"/search/metadata", "/search/smart", "/search/statistics", "/assets/bulk-upload-check"})
"""POSTs that change nothing."""
OPEN_TO_ANY_KEY = frozenset({"/api-keys/me", "/sync/stream", "/shared-links/me"})
"""immich.md §1 (ro-api-keys-me); err-sync-stream-apikey."""
GZIP_MIN_BYTES = 1024
IDLE_S = 6.0
"""Node 24 closes idle connections after 5 s and a second's grace (keepAliveTimeout, keepAliveTimeoutBuffer)."""
JSON_BYTES_MAX = 10 * 1024 * 1024
"""immich.md §7."""
UNDOCUMENTED = ("is not in the document", "Additional properties")
WELL_KNOWN = "/.well-known/immich"
"""Not in the documents; @immich/cli asks it first."""


class ImmichServer(SeededWorld):
    """A running fake. What is inherited is its world: `add_asset`, `add_album`, `albums`, `assets`, `hold_jobs`, …

    `strict`: a request outside the document is answered 500 and fails the test; else as the real server does.
    """

    def __init__(self, version: str, *, strict: bool, folder: Path, authority: Authority | None) -> None:
        super().__init__()
        self.settings = Settings(version=version)
        self.strict = strict
        self.requests = RequestLog()
        self.faults = Faults()
        self.violations: list[str] = []
        """Requests and answers outside the document, in words."""
        self._secrets: set[str] = set()
        self._folder = folder
        self._names = itertools.count()
        self.ca_file = authority.ca_file if authority else None
        self._server = HttpServer(self._handle, tls=authority.server_context() if authority else None, idle_s=IDLE_S)
        self.owner = self.add_user("Admin")
        self.api_key = self.add_key(self.owner)

    # -- for tests ---------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Without /api and without a slash at the end."""
        return self._server.url

    @property
    def key(self) -> str:
        """The secret of the first user's key, which has the permission `all`."""
        return self.api_key.secret

    @property
    def version(self) -> str:
        """Set it while the server runs: an upgrade under a mounted file system."""
        return self.settings.version

    @version.setter
    def version(self, version: str) -> None:
        self.settings.version = version

    @property
    def secrets(self) -> set[str]:
        """All that the server ever issued and that must be nowhere else: keys, keys and passwords of links."""
        with self.lock:
            links = {text for link in self.links.values() for text in (link.key, link.password) if text}
            self._secrets |= set(self.keys) | links
            return set(self._secrets)

    @property
    def connections_made(self) -> int:
        """By clients, since the start."""
        return self._server.connections_made

    def fault(
        self, effect: Effect, pattern: str = "", *, method: str = "", times: int | None = 1, skip: int = 0
    ) -> Rule:
        """From now on the next `times` requests after `skip` whose path and query hold `pattern` are struck."""
        return self.faults.add(effect, pattern, method=method, times=times, skip=skip)

    def revoke(self, key: ApiKey | None = None) -> None:
        """That key, or the first, is known no more (err-badkey)."""
        with self.lock:
            _ = self.secrets
            del self.keys[(key or self.api_key).secret]

    def drop_connections(self) -> None:
        """All open connections break, as when the server restarts."""
        self._server.drop_connections()

    def close(self) -> None:
        """It is gone."""
        self._server.close()

    def check(self) -> None:
        """Nothing was asked or answered outside the document; the fake had no bug. Errors: AssertionError."""
        assert not self.violations, "outside the document:\n" + "\n".join(self.violations)
        assert not self._server.bugs, "the fake has a bug:\n" + "\n".join(self._server.bugs)

    def keep(self, data: bytes) -> Path:
        path = self._new_path()
        path.write_bytes(data)
        return path

    def _new_path(self) -> Path:
        return self._folder / f"{next(self._names)}.bin"

    # -- the gate ----------------------------------------------------------------------------------------------------

    @property
    def _document(self) -> Document:
        return document(document_name(self.settings.version))

    def _handle(self, request: Request) -> Response:
        effect = self.faults.pick(request)
        response = effect.apply(request, self._serve) if effect else self._serve(request)
        self.requests.add(request, response, response.value, effect.name if effect else "")
        return response

    def _serve(self, request: Request) -> Response:
        dialect = Dialect(self._document is document("3.1.0"), self)
        asked: list[object] = []
        try:
            reply = self._reply(request, dialect, asked)
            response = reply.response or self._json(request, reply.status, reply.value)
        except Refusal as refusal:
            correlation = correlation_id()
            response = self._json(request, refusal.status, refusal.body(v3=dialect.v3, correlation=correlation))
        response.headers += [
            ("x-powered-by", "Express"),
            ("date", formatdate(self.clock.now() / 1_000_000, usegmt=True)),
        ]
        response.headers.append(("x-correlation-id" if dialect.v3 else "x-immich-cid", correlation_id()))
        response.value = asked[0] if asked else None
        return response

    def _reply(self, request: Request, dialect: Dialect, asked: list[object]) -> Reply:
        with self.lock:
            self.run_due_jobs()
        if request.path == WELL_KNOWN:
            return Reply({"api": {"endpoint": "/api"}})
        path = request.path.removeprefix("/api")
        found = self._document.find(request.method, path) if request.path.startswith("/api/") else None
        if self.settings.maintenance and path != "/server/config":
            raise Refusal(404, f"Cannot {request.method} {request.path}")
        if found is None:
            raise self._outside(request, [f"no {request.method} {request.path}"], unknown=True)
        operation, params = found
        handler = ROUTES.get((operation.method, operation.template))
        is_upload = (operation.method, operation.template) == ("POST", "/assets")
        if handler is None and not is_upload:
            self.violations.append(f"not in the fake: {operation.method} {operation.template}")
            raise Refusal(500, f"the fake has no {operation.method} {operation.template}")
        key, link = self._caller(request, operation)
        user = key.user if key else link.user if link else self.first_user.id
        call = Call(self, self.settings, dialect, Access(self, user, link), key, request, params, dict(request.query))
        self._judge(request, operation.request_faults(params, request.query))
        if is_upload:
            return self._upload(call, operation, asked)
        assert handler
        return self._ask(call, operation, handler, asked)

    def _ask(self, call: Call, operation: Operation, handler: Handler, asked: list[object]) -> Reply:
        if int(call.request.header("content-length") or 0) > JSON_BYTES_MAX:
            raise Refusal(413, "request entity too large")
        text = call.request.read()
        body = self._decoded(call.request, text)
        if text:
            asked.append(body)
        self._judge(call.request, operation.body_faults(body))
        call.body = body if isinstance(body, dict) else {}
        if operation.template in UNLOCKED:
            return handler(call)
        with self.lock:
            reply = handler(call)
            if operation.method != "GET" and operation.template not in ASKING:
                self.changed()
        self._judge_answer(call.request, operation, reply)
        return reply

    def _upload(self, call: Call, operation: Operation, asked: list[object]) -> Reply:
        with self.lock:
            known = known_asset(call)
        if known:
            return duplicate(known)
        form = read_form(call.request, iter(self._new_path, None))
        asked.append(form.names)
        self._judge(call.request, operation.form_faults(form.names))
        with self.lock:
            reply = upload(call, form)
            self.changed()
        self._judge_answer(call.request, operation, reply)
        return reply

    def _decoded(self, request: Request, text: bytes) -> object:
        if not text:
            return None
        if not (request.header("content-type") or "").startswith("application/json"):
            raise self._outside(request, [f"body: {request.header('content-type')} is not application/json"])
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            raise self._outside(request, ["body: no JSON"]) from None

    def _caller(self, request: Request, operation: Operation) -> tuple[ApiKey | None, SharedLink | None]:
        """Rule: immich.md §1: a share key, then a session, then an API key; and each route names its permission."""
        query = dict(request.query)
        share = query.get("key") or request.header("x-immich-share-key")
        slug = query.get("slug") or request.header("x-immich-share-slug")
        if share or slug:
            if not operation.takes("key"):
                raise Refusal(403, "Forbidden")
            return None, link_of(self.links, share, slug, self.clock.now())
        if operation.public:
            return None, None
        if request.header("authorization") or request.header("x-immich-user-token"):
            raise Refusal(401, "Invalid user token")
        secret = request.header("x-api-key") or query.get("apiKey")
        if not secret:
            raise Refusal(401, "Authentication required")
        key = self.keys.get(secret)
        if key is None:
            raise Refusal(401, "Invalid API key")
        needed = operation.permission or "all"
        if operation.template not in OPEN_TO_ANY_KEY and not {"all", needed} & set(key.permissions):
            raise Refusal(403, f"Missing required permission: {needed}")
        return key, None

    def _judge(self, request: Request, faults: list[str]) -> None:
        if not self.strict:
            faults = [fault for fault in faults if not any(sign in fault for sign in UNDOCUMENTED)]
        if faults:
            raise self._outside(request, faults)

    def _outside(self, request: Request, faults: list[str], *, unknown: bool = False) -> Refusal:
        if self.strict:
            told = f"{request.method} {request.target}: {'; '.join(faults)}"
            self.violations.append(told)
            return Refusal(500, f"outside the document of {self.settings.version}: {told}")
        if unknown:
            return Refusal(404, f"Cannot {request.method} {request.path}")
        errors: list[dict[str, object]] = [
            {"code": "invalid_type", "path": [fault.partition(":")[0]], "message": fault} for fault in faults
        ]
        return Refusal(400, "Validation failed", errors, faults)

    def _judge_answer(self, request: Request, operation: Operation, reply: Reply) -> None:
        if reply.response is None and (faults := operation.answer_faults(reply.status, reply.value)):
            self.violations.append(f"the fake's answer to {request.method} {request.target}: {'; '.join(faults)}")

    def _json(self, request: Request, status: int, value: object) -> Response:
        """As Express does it: strong ETag of length and SHA-1, 304 to a GET that names it, gzip from 1 kB on."""
        if value is None:
            return Response(status)
        body = msgspec.json.encode(value)
        digest = base64.b64encode(hashlib.sha1(body).digest()).decode().rstrip("=")
        etag = f'"{len(body):x}-{digest}"'
        headers = [("content-type", "application/json; charset=utf-8"), ("etag", etag), ("vary", "Accept-Encoding")]
        if request.method in ("GET", "HEAD") and status == 200 and etag in (request.header("if-none-match") or ""):
            return Response(304, headers[1:])
        if len(body) >= GZIP_MIN_BYTES and "gzip" in (request.header("accept-encoding") or ""):
            return Response(status, [*headers, ("content-encoding", "gzip")], gzip.compress(body, 1), chunked=True)
        return Response(status, headers, body)


@contextmanager
def immich(version: str = "3.1.0", *, strict: bool = True, tls: bool = False) -> Iterator[ImmichServer]:
    """Inside, a fake of that version; at the end it must have been asked nothing outside its document.

    With `tls` it speaks https, and `ca_file` names who signed its certificate.
    """
    with tempfile.TemporaryDirectory(prefix="fake-immich-") as folder:
        authority = Authority(Path(folder)) if tls else None
        server = ImmichServer(version, strict=strict, folder=Path(folder), authority=authority)
        try:
            yield server
        finally:
            server.close()
        server.check()


def client_context(server: ImmichServer) -> ssl.SSLContext:
    """Trusts that server."""
    return ssl.create_default_context(cafile=server.ca_file)
