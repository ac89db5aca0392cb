"""Decisions about HTTP, without any: when to ask again, how fast, where a redirect may lead, what an answer means.

Pure: time, draws and headers come in as arguments. Used by `iiiffs.providers.http` for every network provider.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same question may have another answer. Rule: RFC 9110 §15.5.9, §15.6; RFC 6585 §4."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETRY_AFTER_MAX_S = 3600.0
"""A server that asks for more is asked again after this: a wrong date must not silence an account for a year."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a question is asked, and how long is waited between: full jitter below a doubling ceiling.

    `attempts`: the first one included. Rule: exponential backoff with full jitter, so that clients of a server that
    comes back do not come back together.
    """

    attempts: int = 3
    base_s: float = 0.25
    ceiling_s: float = 8.0

    def delay_s(self, attempt: int, draw: float, asked_s: float | None = None) -> float | None:
        """Seconds before the attempt after the `attempt`-th (from 1); None: give up.

        `draw` is in [0, 1); `asked_s` is what the server asked for (Retry-After), and never shortened.
        """
        if attempt >= self.attempts:
            return None
        jitter = draw * min(self.ceiling_s, self.base_s * 2.0 ** (attempt - 1))
        return jitter if asked_s is None else asked_s + jitter


RETRY = RetryPolicy()


@dataclass(slots=True)
class Bucket:
    """Tokens for requests: `burst` at once, then `rate_per_s`. Time is the caller's."""

    rate_per_s: float
    burst: float
    _tokens: float = -1.0
    _at_s: float = 0.0

    def take(self, now_s: float) -> float:
        """One token is taken; seconds until it may be used, 0.0 for at once. `now_s` never goes back."""
        if self._tokens == -1.0 and self._at_s == 0.0:
            self._tokens, self._at_s = self.burst, now_s
        self._tokens = min(self.burst, self._tokens + (now_s - self._at_s) * self.rate_per_s)
        self._at_s = now_s
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self.rate_per_s)


def parse_retry_after(value: str | None, now_s: float) -> float | None:
    """Seconds that the server asked to wait, 0 to RETRY_AFTER_MAX_S; None if it said nothing that can be understood.

    `now_s`: the wall clock, seconds since 1970. Rule: RFC 9110 §10.2.3 (seconds, or a date).
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return min(RETRY_AFTER_MAX_S, float(text))
    moment = parse_http_date(text)
    return None if moment is None else min(RETRY_AFTER_MAX_S, max(0.0, moment - now_s))


def parse_http_date(value: str | None) -> float | None:
    """Seconds since 1970 of an HTTP date; None if it is none. Rule: RFC 9110 §5.6.7."""
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Errors: ValueError if `url` is no http(s) URL with a host."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("no http:// or https:// URL with a host")
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


def redirect_target(url: str, location: str | None) -> str | None:
    """The absolute URL that a redirect of `url` leads to, if it is on the same scheme, host and port; else None.

    Anything else would carry the key to where it does not belong.
    """
    if not location:
        return None
    try:
        target = urljoin(url, location)
        return target if origin_of(target) == origin_of(url) else None
    except ValueError:
        return None


def host_of(url: str, location: str | None) -> str:
    """What may be told of a redirect: scheme, host and port, never path or query, which may hold a token."""
    try:
        scheme, host, port = origin_of(urljoin(url, location or ""))
    except ValueError:
        return "an unknown place"
    return f"{scheme}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Span:
    """What part of a file a body is: bytes [start, end) of `total`, which is None where nobody said."""

    start: int
    end: int
    total: int | None


def parse_content_range(value: str | None) -> Span | None:
    """The span; None if the header is absent or no satisfied byte range. Rule: RFC 9110 §14.4."""
    match = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", (value or "").strip())
    if match is None:
        return None
    first, last, total = match.groups()
    span = Span(int(first), int(last) + 1, None if total == "*" else int(total))
    fits = span.start < span.end and (span.total is None or span.end <= span.total)
    return span if fits else None


def span_of(status: int, headers: Mapping[str, str]) -> Span | None:
    """What part of the file the body of a 200 or 206 is; None: it does not say. A 200 is the whole from 0 on.

    Header names are in small letters. Of a 200 without a length, `end` is -1 and `total` None.
    """
    if status == 206:
        return parse_content_range(headers.get("content-range"))
    length = headers.get("content-length")
    if length is None or "content-encoding" in headers:
        return Span(0, -1, None)
    return Span(0, int(length), int(length)) if re.fullmatch(r"[0-9]{1,18}", length) else None


def is_json(content_type: str | None) -> bool:
    """True if a body of that type is JSON. Rule: RFC 6839 §3.1 for the +json suffix."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def one_line(text: str, length_max: int = 200) -> str:
    """What a server said, fit for a log line: no control characters, one line, not long."""
    words = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return words if len(words) <= length_max else words[: length_max - 1] + "…"
