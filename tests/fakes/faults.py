"""What can go wrong on the way to a service, as values: effects, and the script of who meets which.

An effect either stands in for the service (`answer`), or lets it do its work and then bends what it said (`delivery`,
`rewrite`). `copies` names the recorded sample or the paragraph of the facts that it follows.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.fakes.serving import PROMPT, Delivery, FileSlice, Request, Response

HTML = ("content-type", "text/html; charset=utf-8")
FACTS_7 = "immich.md §7: no limit of its own; proxies add 429, 502, 504, 413"


@dataclass(frozen=True, slots=True)
class Effect:
    """One fault. `name` is for messages."""

    name: str
    copies: str
    answer: Callable[[Request], Response] | None = None
    delivery: Delivery = PROMPT
    rewrite: Callable[[Response], Response] | None = None

    def apply(self, request: Request, service: Callable[[Request], Response]) -> Response:
        """The answer of `service` to `request`, or another in its place, bent as this effect says."""
        response = self.answer(request) if self.answer else service(request)
        if self.rewrite:
            response = self.rewrite(response)
        if self.delivery is not PROMPT:
            response = replace(response, delivery=self.delivery)
        return response


@dataclass(slots=True)
class Rule:
    """When an effect strikes: requests of `method` ("" = any) whose path and query hold `pattern`.

    The first `skip` of them pass; then `times` are struck (None = all from then on). `struck` counts.
    """

    effect: Effect
    method: str = ""
    pattern: str = ""
    times: int | None = 1
    skip: int = 0
    struck: int = 0
    passed: int = 0

    def meets(self, request: Request) -> bool:
        """True if this request is struck; counted."""
        if (self.method and self.method != request.method) or not re.search(self.pattern, request.target):
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        if self.passed < self.skip:
            self.passed += 1
            return False
        self.struck += 1
        return True


class Faults:
    """The script: rules in the order they were added; the first that meets a request strikes alone."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, effect: Effect, pattern: str = "", *, method: str = "", times: int | None = 1, skip: int = 0) -> Rule:
        """From now on; the Rule counts how often it struck."""
        assert effect.copies, "a fault names what it follows"
        rule = Rule(effect, method, pattern, times, skip)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """All is well again."""
        with self._lock:
            self._rules.clear()

    def remove(self, rule: Rule) -> None:
        """That rule strikes no more."""
        with self._lock:
            if rule in self._rules:
                self._rules.remove(rule)

    def pick(self, request: Request) -> Effect | None:
        """What strikes this request; None: nothing."""
        with self._lock:
            return next((rule.effect for rule in self._rules if rule.meets(request)), None)


def latency(seconds: float) -> Effect:
    """The answer is right, and late."""
    return Effect("latency", "any network", delivery=Delivery(wait_s=seconds))


def stall(after: int = 0) -> Effect:
    """Headers and `after` bytes of the body come, then nothing until the client gives up."""
    return Effect("stall", "a hung server or a dead link", delivery=Delivery(stall_after=after))


def silence() -> Effect:
    """Not even headers come, until the client gives up or the server stops."""
    return Effect("silence", "a hung server", delivery=Delivery(wait_s=3600.0))


def reset(after: int = 0) -> Effect:
    """The connection is reset after `after` bytes of the body."""
    return Effect("reset", "a link that breaks", delivery=Delivery(reset_after=after))


def truncated(after: int) -> Effect:
    """The connection closes in good order after `after` bytes, though Content-Length promised more."""
    return Effect("truncated", "a proxy whose upstream died", delivery=Delivery(cut_after=after))


def wrong_length(declared: int) -> Effect:
    """Content-Length says `declared`; the body is as it is, then the connection closes."""
    return Effect("wrong length", "a broken proxy", delivery=Delivery(declared_length=declared))


def lost_answer() -> Effect:
    """The service does what was asked, and its answer never arrives."""
    return Effect("lost answer", "a link that breaks after the commit", delivery=Delivery(refuse=True))


def broken_upload(after: int) -> Effect:
    """The connection is reset when `after` bytes of the request's body have come; the service hears nothing."""

    def listen(request: Request) -> Response:
        left = after
        while left > 0 and (chunk := next(request.chunks, b"")):
            left -= len(chunk)
        return Response(500, delivery=Delivery(refuse=True))

    return Effect("broken upload", "a link that breaks while sending", answer=listen)


def corrupt(offset: int) -> Effect:
    """One byte of the body is another; its length is right."""

    def flip(response: Response) -> Response:
        body = bytearray(body_bytes(response))
        if offset < len(body):
            body[offset] ^= 0xFF
        return replace(response, body=bytes(body))

    return Effect("corrupt", "a bad disk or memory on the way", rewrite=flip)


def fixed(name: str, copies: str, response: Response) -> Effect:
    """That answer, whatever was asked; the service hears nothing."""
    return Effect(name, copies, answer=lambda _: replace(response, headers=list(response.headers)))


def html(status: int = 200) -> Effect:
    """A page where JSON or bytes were asked for: a login page of an authenticating proxy, or a single-page app."""
    page = b"<!doctype html><title>Sign in</title><p>Please sign in."
    return fixed("html", "an authenticating proxy in front", Response(status, [HTML], page))


def bad_gateway(status: int = 502) -> Effect:
    """nginx's page when its upstream is down (502) or slow (504)."""
    title = {502: "502 Bad Gateway", 503: "503 Service Temporarily Unavailable", 504: "504 Gateway Time-out"}[status]
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>"
    return fixed(f"gateway {status}", FACTS_7, Response(status, [HTML, ("server", "nginx")], page.encode()))


def too_many_requests(retry_after: str | None = "1") -> Effect:
    """429 of a reverse proxy; `retry_after` in seconds or as an HTTP date, None = not said."""
    headers = [HTML] + ([("retry-after", retry_after)] if retry_after is not None else [])
    return fixed("429", FACTS_7, Response(429, headers, b"<html><h1>429 Too Many Requests</h1></html>"))


def too_large() -> Effect:
    """413 of a reverse proxy to an upload."""
    return fixed("413", FACTS_7, Response(413, [HTML], b"<html><h1>413 Request Entity Too Large</h1></html>"))


def unauthorized() -> Effect:
    """401 of something in front of the service (the fake's own is a wrong key)."""
    headers = [HTML, ("www-authenticate", 'Basic realm="photos"')]
    return fixed("401", "an authenticating proxy in front", Response(401, headers, b"<h1>401 Unauthorized</h1>"))


def redirect(location: str, status: int = 302) -> Effect:
    """Another place is named: a login page, another host, http for https."""
    return fixed("redirect", "an authenticating proxy in front", Response(status, [("location", location)]))


def ranges_ignored() -> Effect:
    """200 with the whole body to a Range request: legal, and accepted for what it is (DESIGN §6)."""

    def without_range(request: Request) -> None:
        request.headers = [(name, value) for name, value in request.headers if name not in ("range", "if-range")]

    return _Asking("ranges ignored", "immich.md §3: the OpenAPI document does not promise ranges", without_range)


class _Asking(Effect):
    """The service is asked something else than the client asked."""

    __slots__ = ("_change",)

    def __init__(self, name: str, copies: str, change: Callable[[Request], None]) -> None:
        super().__init__(name, copies)
        object.__setattr__(self, "_change", change)

    def apply(self, request: Request, service: Callable[[Request], Response]) -> Response:
        change: Callable[[Request], None] = object.__getattribute__(self, "_change")
        change(request)
        return service(request)


def body_bytes(response: Response) -> bytes:
    """The body as bytes, read from its file if it is one."""
    if isinstance(response.body, FileSlice):
        with response.body.path.open("rb") as file:
            file.seek(response.body.offset)
            return file.read(response.body.length)
    return response.body
