"""Runs the requests against a base URI over plain HTTP, and says what was not as it must be."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.blackbox import info as documents
from tests.blackbox import pixels
from tests.blackbox.grammar import Limits, drawing
from tests.blackbox.picture import Picture
from tests.blackbox.requests import Request, Service, requests_for, service_of

TIMEOUT_S = 60.0
ORIGIN = "http://viewer.example"
MEDIA_TYPES = {
    "jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "tif": "image/tiff",
    "jp2": "image/jp2", "pdf": "application/pdf", "avif": "image/avif",
}  # fmt: skip
COMPARED_FORMATS = tuple(pixels.FORMATS)


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers`: by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Asker = Callable[[str, str, Mapping[str, str]], Answer]
"""Method, absolute URI, headers: the answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One request that was not answered as it must be."""

    request: str
    expected: str
    came: str

    def __str__(self) -> str:
        return f"{self.request}: expected {self.expected}; came {self.came}"


@dataclass(frozen=True, slots=True)
class Report:
    """`asked`: how many requests were sent. `features`: what info.json offers beyond its level."""

    asked: int
    findings: tuple[Finding, ...]
    features: frozenset[str] = frozenset()


class Client:
    """Asks one server, over one connection that is kept open. Not for several threads."""

    def __init__(self, base_uri: str) -> None:
        parts = urlsplit(base_uri)
        if parts.scheme != "http" or not parts.netloc:
            raise ValueError(f"not an http URI: {base_uri}")
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)

    def __call__(self, method: str, uri: str, headers: Mapping[str, str]) -> Answer:
        """The server's answer; asked once more where it closed a connection that was waiting."""
        path = uri.split("/", 3)[3]
        try:
            return self._ask(method, f"/{path}", headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            return self._ask(method, f"/{path}", headers)

    def _ask(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        self._connection.request(method, path, headers=dict(headers))
        answer = self._connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def close(self) -> None:
        """The connection is closed."""
        self._connection.close()


@dataclass
class Check:
    """`cors`: answers must be readable by pages of any origin. `judged`: verdicts on bodies that were seen before."""

    ask: Asker
    cors: bool = True
    judged: dict[tuple[str, str, bytes], tuple[str, str] | None] = field(default_factory=dict)

    def run(self, base_uri: str, picture: Picture) -> Report:
        """All requests for the picture that is served at `base_uri`."""
        document = self._get(f"{base_uri}/info.json")
        info = documents.parsed(document.body) if document.status == 200 else f"status {document.status}"
        if isinstance(info, str):
            return Report(1, (Finding("info.json", "an info.json", info),))
        told = [*documents.faults(info, base_uri, picture), *self._document_headers(document)]
        if told:
            return Report(1, tuple(Finding("info.json", "what §5 asks for", text) for text in told))
        findings = [Finding("info.json", "§4.4", text) for text in documents.quality_faults(info, picture)]
        service = service_of(info)
        findings += self._around(base_uri, document, service)
        requests = requests_for(picture, service)
        for request in requests:
            findings += self.check(base_uri, picture, service, request)
        return Report(len(requests) + 5, tuple(findings), service.features)

    def check(self, base_uri: str, picture: Picture, service: Service, request: Request) -> Iterator[Finding]:
        """What is wrong with the answer to one request."""
        answer = self._get(f"{base_uri}/{request.path}")
        yield from self._readable(request.path, answer)
        if not request.plain:
            verdict = refusal_fault(answer, request.refused)
        else:
            digest = hashlib.sha256(answer.body).digest()
            verdict = headers_fault(answer, request.plain)
            if verdict is None:
                key = (picture.name, request.plain, digest)
                if key not in self.judged:
                    self.judged[key] = body_fault(answer, request.plain, picture, service.limits)
                verdict = self.judged[key]
        if verdict is not None:
            yield Finding(request.path, *verdict)

    def _get(self, uri: str) -> Answer:
        return self.ask("GET", uri, {"Origin": ORIGIN} if self.cors else {})

    def _readable(self, path: str, answer: Answer) -> Iterator[Finding]:
        allowed = answer.headers.get("access-control-allow-origin")
        if self.cors and allowed not in ("*", ORIGIN):
            yield Finding(path, "Access-Control-Allow-Origin on every answer", f"{allowed!r} with {answer.status}")

    def _document_headers(self, document: Answer) -> Iterator[str]:
        fault = documents.media_type_fault(document.headers.get("content-type", ""))
        if fault is not None:
            yield fault
        for finding in self._readable("info.json", document):
            yield finding.came

    def _around(self, base_uri: str, document: Answer, service: Service) -> Iterator[Finding]:
        """The base URI, a picture that is not there, ld+json asked for, HEAD and OPTIONS. Rule: §2, §5.1, §7."""
        base = self._get(base_uri)
        yield from self._readable("the base URI", base)
        if (base.status, base.headers.get("location")) != (303, f"{base_uri}/info.json"):
            yield Finding("the base URI", "303 to info.json", f"{base.status} {base.headers.get('location')}")
        unknown = self._get(f"{base_uri}-is-not-there/full/max/0/default.jpg")
        yield from self._readable("an unknown identifier", unknown)
        if unknown.status != 404:
            yield Finding("an unknown identifier", "404", str(unknown.status))
        linked = self.ask("GET", f"{base_uri}/info.json", {"Accept": "application/ld+json", "Origin": ORIGIN})
        if not linked.headers.get("content-type", "").startswith("application/ld+json"):
            yield Finding("info.json as application/ld+json", "that type", str(linked.headers.get("content-type")))
        yield from _links(document, service)
        head = self.ask("HEAD", f"{base_uri}/info.json", {"Origin": ORIGIN})
        same = ("content-type", "content-length")
        if head.status != 200 or any(head.headers.get(name) != document.headers.get(name) for name in same):
            yield Finding("HEAD of info.json", "what GET says", f"{head.status} {dict(head.headers)}")
        preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
        options = self.ask("OPTIONS", f"{base_uri}/info.json", preflight)
        yield from self._readable("OPTIONS of info.json", options)
        if options.status not in (200, 204):
            yield Finding("OPTIONS of info.json", "200 or 204", str(options.status))


def _links(document: Answer, service: Service) -> Iterator[Finding]:
    """A Link header is there if info.json says so. Rule: §6."""
    if "profileLinkHeader" in service.features and 'rel="profile"' not in document.headers.get("link", ""):
        yield Finding("info.json", 'a Link header with rel="profile", as it says itself', "none")


def refusal_fault(answer: Answer, statuses: frozenset[int]) -> tuple[str, str] | None:
    """What was expected and what came, if the status is not one of `statuses`."""
    if answer.status in statuses:
        return None
    return " or ".join(map(str, sorted(statuses))), f"{answer.status} {answer.headers.get('content-type', '')}"


def headers_fault(answer: Answer, plain: str) -> tuple[str, str] | None:
    """The same for status and media type of an image."""
    media_type = MEDIA_TYPES[plain.rpartition(".")[2]]
    told = answer.headers.get("content-type", "")
    if (answer.status, told.partition(";")[0]) == (200, media_type):
        return None
    return f"200 {media_type}", f"{answer.status} {told}"


def body_fault(answer: Answer, plain: str, picture: Picture, limits: Limits) -> tuple[str, str] | None:
    """The same for the picture that came. Formats that this check cannot read are taken as they are."""
    if plain.rpartition(".")[2] not in COMPARED_FORMATS:
        return None
    return pixels.fault(picture, drawing(plain, picture.width, picture.height, limits), answer.body)
