"""HTTP for every network provider: one client an account; httpx's errors die here.

What is true of every question: it has a deadline over all its attempts; it waits for its turn (concurrency of its lane,
rate of the account, and what a Retry-After asked for); a redirect is followed on the same scheme, host and port only,
so the key goes nowhere else; a body that is not as long as was declared is an error; nothing that is logged, counted or
raised holds a header, a query or a body.

Not `stamina`: its retries belong to one decorated call, while a Retry-After is the account's and the deadline is the
question's; it logs the arguments of what it retries, and its switches are global to the process.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpcore
import httpx
import trio

from iiiffs.errors import AccessDenied, ConfigError, ProviderUnreachable, VersionChanged
from iiiffs.providers.http_downloads import Downloads, is_proxied, pour
from iiiffs.providers.http_policy import (
    REDIRECTS,
    TRANSIENT,
    Bucket,
    Span,
    host_of,
    is_json,
    one_line,
    origin_of,
    parse_retry_after,
    redirect_target,
    span_of,
)
from iiiffs.providers.http_streams import Body, Sending, causes_of, feed, told_by
from iiiffs.providers.http_values import SETTINGS, Answer, Ask, HttpGauges, HttpSettings, Lane, Part
from iiiffs.providers.pieces import Pieces

log = logging.getLogger(__name__)
for _chatty in ("httpx", "httpcore"):
    # They log whole URLs (INFO) and headers (DEBUG), which hold keys, whatever the level of the root is.
    logging.getLogger(_chatty).setLevel(logging.WARNING)

httpcore.AsyncHTTP11Connection.READ_NUM_BYTES = 1 << 20
# Of one look at a socket: with its own 64 KiB a download took twice the time. Nothing but this attribute sets it.
T = TypeVar("T")
Authorize = Callable[[], Awaitable[Mapping[str, str]]]
"""Headers that let the account in; asked once, and again after `HttpAccount.authorize_again`. Errors: AccessDenied."""

REDIRECTS_MAX = 3
SECRET_MIN = 4
"""Characters of a header that is kept out of messages; shorter ones are words."""


class Refusal(ProviderUnreachable):
    """An answer that is none: `status`, and `told`, one line of what the server said. The provider may know better."""

    def __init__(self, text: str, *, status: int = 0, told: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.told = told


class NoConnection(ProviderUnreachable):
    """Nobody answered at the server's address."""


class _Again(Exception):
    """Nothing was learnt; another attempt may do better."""

    def __init__(self, error: ProviderUnreachable, asked_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.asked_s = asked_s


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Verifies hosts by the authorities of this machine, and by those in `ca_file`. Errors: ConfigError."""
    if ca_file is None:
        return _machines_context()
    context = _new_context()
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "it holds no PEM certificate"
        raise ConfigError(f"ca_file: {str(ca_file)!a} cannot be used: {reason}") from error
    return context


def plain_context() -> ssl.SSLContext:
    """For a server without TLS: it trusts nobody, and reads no certificate."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _machines_context() -> ssl.SSLContext:
    """One for all accounts: reading hundreds of certificates takes 50 ms."""
    return _new_context()


def _new_context() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


class HttpAccount:
    """The way to one account's server. Errors of all questions: AccessDenied, ProviderUnreachable (Refusal).

    `advice`: what a person is told to do when the key is refused.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        authorize: Authorize,
        *,
        tls: ssl.SSLContext | None = None,
        settings: HttpSettings = SETTINGS,
        advice: str | None = None,
    ) -> None:
        origin_of(base_url)
        self._advice = advice or f"log in again: iiiffs login {name}"
        self.name = name
        self.gauges = HttpGauges()
        self._base_url = base_url.rstrip("/")
        self._authorize = authorize
        self._headers: Mapping[str, str] | None = None
        self._settings = settings
        self._bucket = Bucket(settings.rate_per_s, settings.rate_per_s)
        self._lanes = {
            Lane.QUESTIONS: trio.CapacityLimiter(settings.questions),
            Lane.BYTES: trio.CapacityLimiter(settings.downloads),
            Lane.UPLOADS: trio.CapacityLimiter(settings.uploads),
        }
        self._quiet_until_s = float("-inf")
        self._denied: tuple[str, float] | None = None
        self._failing: str | None = None
        self._answered_s = float("-inf")
        tls = tls or tls_context(None)
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=settings.questions + settings.downloads + settings.uploads
        )
        client = partial(
            httpx.AsyncClient,
            verify=tls,
            follow_redirects=False,
            timeout=httpx.Timeout(settings.silence_s, connect=settings.connect_s, pool=None),
            limits=limits,
            headers={"user-agent": "iiiffs"},
        )
        self._client = client()
        scheme, host, _ = origin_of(base_url)
        downloads = Downloads(tls, settings.downloads)
        self._downloads = self._client if is_proxied(scheme, host) else client(transport=downloads)

    @property
    def denied(self) -> str | None:
        """Why nobody is asked at the moment: a 401 of late; None if all is well."""
        return self._denied[0] if self._denied and trio.current_time() < self._denied[1] else None

    @property
    def trouble(self) -> str | None:
        """Why the server did not answer of late, or is not asked; None as soon as it has answered any question.

        A question counts that failed after all its attempts, while none was answered since the last of them began; of
        downloads only where there was no connection, for one broken file says nothing of the server.
        """
        return self._failing

    def in_trouble(self, reason: str) -> None:
        """What answered is not the server, or not in its senses: who understands the answers says so."""
        self._failing = reason

    def out_of_trouble(self) -> None:
        """A refusal was an answer in good order: who understands the answers says so."""
        self._failing = None

    def authorize_again(self) -> None:
        """The next question fetches the headers anew, and is asked even after a 401."""
        self._headers, self._denied = None, None

    async def ask(self, ask: Ask) -> Answer:
        """The whole answer, of one of the expected statuses."""

        async def whole(response: httpx.Response) -> Answer:
            body = bytearray()

            def take(chunk: bytes) -> bool:
                body.extend(chunk)
                return len(body) <= self._settings.body_bytes_max

            if not await feed(response.aiter_bytes(), take):
                raise self._trouble(ask, "an answer of more bytes than are accepted")
            self.gauges.received_bytes += len(body)
            return Answer(response.status_code, response.headers, bytes(body))

        return await self._answered(ask, whole)

    async def ask_json(self, ask: Ask) -> Answer:
        """As `ask`, and the body is JSON by its declaration, or empty."""
        answer = await self.ask(ask)
        if answer.body and not is_json(answer.headers.get("content-type")):
            kind = one_line(answer.headers.get("content-type", "nothing that is named"), 60)
            strange = Refusal(
                f"{self.name}: {ask.what}: {kind} came where JSON was asked for; check url, and whether something in "
                "front of the server wants its own login or headers",
                status=answer.status,
            )
            self.in_trouble(str(strange))
            raise strange
        return answer

    async def status(self, ask: Ask) -> int:
        """The status alone; the body is left."""

        async def only(response: httpx.Response) -> int:
            return response.status_code

        return await self._answered(ask, only)

    async def read(self, ask: Ask, offset: int, length: int, size_bytes: int) -> Part:
        """Exactly [offset, offset + length) of a file of `size_bytes`, which must hold that and length > 0.

        Errors: as `pour`.
        """
        found: dict[int, bytes | bytearray] = {}
        etag = await self.pour(ask, offset, Pieces((length,), found.__setitem__), size_bytes)
        return Part(bytes(found[0]), etag)

    async def pour(self, ask: Ask, offset: int, pieces: Pieces, size_bytes: int) -> str | None:
        """The pieces were taken that lie from `offset` on in a file of `size_bytes`, which must hold them; its ETag.

        A 206 and a 200 are accepted for what they are. Errors: VersionChanged if the file has another length.
        """
        length = sum(pieces.lengths)
        wanted = {"range": f"bytes={offset}-{offset + length - 1}", "accept-encoding": "identity"}
        ask = replace(ask, headers={**ask.headers, **wanted}, lane=Lane.BYTES, expected=frozenset({200, 206}))

        async def poured(response: httpx.Response) -> str | None:
            span = span_of(response.status_code, response.headers)
            if span is None:
                raise _Again(self._trouble(ask, "it does not say which part of the file it sends"))
            if span.total not in (None, size_bytes):
                reason = f"it has {span.total} bytes, not the {size_bytes} that were listed"
                if response.status_code == 200:  # whose length any proxy may get wrong
                    raise _Again(self._trouble(ask, reason))
                raise VersionChanged(f"{self.name}: {ask.what}: {reason}")
            body = replace(span, end=span.end if span.end >= 0 else size_bytes)
            if body.start > offset or body.end < offset + length:
                raise _Again(self._trouble(ask, "another part of the file came than was asked for"))
            await self._cut(ask, response, body, offset, pieces)
            etag: str | None = response.headers.get("etag")
            return etag

        return await self._answered(ask, poured)

    async def length(self, ask: Ask) -> int:
        """The length in bytes of a file, of which one byte is asked for."""
        wanted = {"range": "bytes=0-0", "accept-encoding": "identity"}
        ask = replace(ask, headers={**ask.headers, **wanted}, lane=Lane.BYTES, expected=frozenset({200, 206}))

        async def total(response: httpx.Response) -> int:
            span = span_of(response.status_code, response.headers)
            if span is None or span.total is None:
                raise _Again(self._trouble(ask, "it does not say how long the file is"))
            return span.total

        return await self._answered(ask, total)

    async def aclose(self) -> None:
        """No connection is open. A second call does nothing."""
        await self._client.aclose()
        await self._downloads.aclose()

    # ---- one question -----------------------------------------------------------------------------------------

    async def _answered(self, ask: Ask, consume: Callable[[httpx.Response], Awaitable[T]]) -> T:
        """What `consume` makes of the answer, after as many attempts as the policy and the deadline allow."""
        begun_s = trio.current_time()
        try:
            with trio.move_on_after(ask.deadline_s) as scope:
                for attempt in itertools.count(1):
                    begun_s = trio.current_time()
                    try:
                        return await self._attempt(ask, consume, scope)
                    except _Again as again:
                        pause_s = self._settings.retry.delay_s(attempt, random.random(), again.asked_s)
                        too_late = pause_s is None or trio.current_time() + pause_s >= scope.deadline
                        if pause_s is None or too_late or not ask.repeatable:
                            raise again.error from again.__cause__
                    self.gauges.retries += 1
                    await trio.sleep(pause_s)
            raise self._trouble(ask, f"no answer within {ask.deadline_s:g} s")
        except ProviderUnreachable as error:
            self._note(ask, error, begun_s)
            raise

    def _note(self, ask: Ask, error: ProviderUnreachable, begun_s: float) -> None:
        """`error` is the server's state, if it says anything of that. Rule: `trouble`."""
        is_answer = isinstance(error, Refusal) and error.status not in TRANSIENT
        counts = ask.lane is Lane.QUESTIONS or isinstance(error, NoConnection)
        if counts and not is_answer and self._answered_s < begun_s:
            self._failing = str(error)

    async def _attempt(self, ask: Ask, consume: Callable[[httpx.Response], Awaitable[T]], until: trio.CancelScope) -> T:
        if (denied := self.denied) is not None:
            raise AccessDenied(denied)
        if self._headers is None:
            self._headers = await self._let_in()
        headers = self._headers
        if ask.lane is Lane.UPLOADS:
            until.deadline = math.inf
        async with self._lanes[ask.lane]:
            if ask.lane is Lane.UPLOADS:  # those that went before it may have been much larger
                until.deadline = trio.current_time() + ask.deadline_s
            await self._turn(ask, until.deadline)
            started_s, status = trio.current_time(), None
            self.gauges.in_flight += 1
            try:
                with self._speaking(ask):
                    response = await self._send(ask, headers)
                    status = response.status_code
                    try:
                        await self._judge(ask, response, headers)
                        found = await consume(response)
                        self._failing, self._answered_s = None, trio.current_time()
                        return found
                    finally:
                        await response.aclose()
            except _Again:
                status = status if status in TRANSIENT else None
                raise
            finally:
                took_s = trio.current_time() - started_s
                self.gauges.in_flight -= 1
                self.gauges.add(ask.method, status, took_s)
                log.debug("%s: %s %s: %s in %.3f s", self.name, ask.method, ask.what, status or "failed", took_s)

    async def _let_in(self) -> Mapping[str, str]:
        try:
            return dict(await self._authorize())
        except AccessDenied as error:
            self._failing = str(error)
            raise

    async def _turn(self, ask: Ask, deadline_s: float) -> None:
        """It may be asked now: not faster than the rate, and not before the server wants to be asked."""
        now_s = trio.current_time()
        paced_s = self._bucket.take(now_s) if ask.lane is Lane.QUESTIONS else 0.0  # the others are few, and large
        wait_s = max(paced_s, self._quiet_until_s - now_s)
        if wait_s > 0:
            if now_s + wait_s >= deadline_s:
                error = self._trouble(ask, f"the server wants to be left alone for {wait_s:.0f} s")
                error.retry_after_s = wait_s
                raise error
            await trio.sleep(wait_s)

    async def _send(self, ask: Ask, headers: Mapping[str, str]) -> httpx.Response:
        """The answer's head. Redirects are followed on the same host alone, by questions without a body."""
        if self._client.is_closed:
            raise self._trouble(ask, "the account is closed")
        client = self._downloads if ask.lane is Lane.BYTES else self._client
        url, query = self._base_url + ask.path, dict(ask.query)
        for _ in range(REDIRECTS_MAX + 1):
            request = self._request(client, ask, url, query, headers)
            response = await client.send(request, stream=True)
            if response.status_code not in REDIRECTS or not ask.follow:
                return response
            location = response.headers.get("location")
            await response.aclose()
            target = redirect_target(str(request.url), location) if ask.method in ("GET", "HEAD") else None
            if target is None:
                where = host_of(str(request.url), location)
                raise self._trouble(ask, f"it sends us on to {where}, where the key does not go; check url")
            url, query = target, {}
        raise self._trouble(ask, "it sends us round in circles")

    def _request(
        self, client: httpx.AsyncClient, ask: Ask, url: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> httpx.Request:
        content = ask.content
        told = {**headers, **ask.headers, **({} if content is None else content.headers)}
        silence_s = self._settings.silence_s if ask.silence_s is None else ask.silence_s
        timeout = httpx.Timeout(silence_s, connect=self._settings.connect_s, pool=None)
        request = client.build_request(
            ask.method, url, params=query or None, json=ask.json, headers=told, timeout=timeout
        )
        request.stream = Body(request.content) if content is None else Sending(content)
        return request

    async def _judge(self, ask: Ask, response: httpx.Response, headers: Mapping[str, str]) -> None:
        """It is one of the answers that were expected."""
        status = response.status_code
        if status in ask.expected:
            return
        told = self._redacted(await told_by(response), headers)
        said = f"{status}: {told}" if told else str(status)
        if status == 401:
            text = f"{self.name}: the server refuses the key ({said}); {self._advice}"
            if self._headers is headers:  # else somebody has logged in again meanwhile
                self._denied = (text, trio.current_time() + self._settings.denied_s)
                self._failing = text  # beyond the pause too, until there is an answer
            raise AccessDenied(text)
        if status == 403:
            advice = "give the key this permission" if told else "something in front of the server refuses it"
            raise AccessDenied(f"{self.name}: {ask.what}: not allowed ({said}); {advice}")
        refusal = Refusal(f"{self.name}: {ask.what}: the server answered {said}", status=status, told=told)
        if status not in TRANSIENT:
            raise refusal
        asked_s = parse_retry_after(response.headers.get("retry-after"), time.time())
        refusal.retry_after_s = asked_s
        if asked_s is not None:
            self._quiet_until_s = max(self._quiet_until_s, trio.current_time() + asked_s)
        raise _Again(refusal, asked_s)

    def _redacted(self, text: str, headers: Mapping[str, str]) -> str:
        """Without what let us in: a server may repeat what it was sent."""
        for secret in headers.values():
            text = text.replace(secret, "…") if len(secret) >= SECRET_MIN else text
        return text

    async def _cut(self, ask: Ask, response: httpx.Response, body: Span, offset: int, pieces: Pieces) -> None:
        """The pieces from `offset` on are taken out of a body that is `body` of the file. All of the body is read and
        counted, but for what follows them where the server ignored the range and told the file's length."""
        end = offset + sum(pieces.lengths)
        is_told = response.status_code == 200 and body.total is not None and end < body.end
        count = await pour(response, offset - body.start, pieces, to_end=not is_told)
        self.gauges.received_bytes += count
        if not is_told and count != body.end - body.start:
            raise _Again(self._trouble(ask, f"{count} bytes came where {body.end - body.start} belong"))
        if count < end - body.start:
            raise _Again(self._trouble(ask, "the body is not as long as it said"))

    @contextmanager
    def _speaking(self, ask: Ask) -> Iterator[None]:
        """httpx's exceptions become ours; nothing of a URL is told."""
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise _Again(self._no_connection(ask)) from error
        except httpx.TimeoutException as error:
            raise _Again(self._trouble(ask, "the server is silent")) from error
        except httpx.ConnectError as error:
            if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes_of(error)):
                text = "the server's certificate is not trusted; name the authority's file in ca_file, or correct url"
                raise self._trouble(ask, text) from error
            raise _Again(self._no_connection(ask)) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _Again(self._trouble(ask, f"the connection broke ({type(error).__name__})")) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._trouble(ask, f"it cannot be asked ({type(error).__name__})") from error

    def _no_connection(self, ask: Ask) -> NoConnection:
        return NoConnection(f"{self.name}: {ask.what}: no connection to the server")

    def _trouble(self, ask: Ask, reason: str) -> ProviderUnreachable:
        return ProviderUnreachable(f"{self.name}: {ask.what}: {reason}")
