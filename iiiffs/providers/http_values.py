"""What is asked over HTTP, what comes back, and what is counted, as values. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from iiiffs.providers.http_policy import RETRY, RetryPolicy


class Lane(Enum):
    """Who queues with whom: downloads and uploads that hang never hold up a question."""

    QUESTIONS = "questions"
    BYTES = "bytes"
    UPLOADS = "uploads"


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Limits of one account.

    `questions`, `downloads`, `uploads`: at once, in their lanes. `rate_per_s`: of all, after a burst of that many.
    `connect_s`: to connect; `silence_s`: between two packets. `denied_s`: how long nobody is asked after a 401.
    """

    questions: int = 4
    downloads: int = 8
    uploads: int = 4
    rate_per_s: float = 100.0
    connect_s: float = 5.0
    silence_s: float = 15.0
    denied_s: float = 300.0
    body_bytes_max: int = 256 << 20
    retry: RetryPolicy = RETRY


SETTINGS = HttpSettings()


@dataclass(slots=True)
class HttpGauges:
    """What an account asked since the start, for metrics.

    `answers` and `seconds` by (method, class): class is "2xx" to "5xx", or "failed" for no answer. `in_flight`: now.
    """

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    retries: int = 0
    received_bytes: int = 0
    in_flight: int = 0

    def numbers(self) -> dict[str, object]:
        """For metrics: sums, and answers and seconds by method and kind of status, such as get_2xx."""
        failed = sum(count for (_, kind), count in self.answers.items() if kind not in ("2xx", "3xx"))
        return {
            "requests": sum(self.answers.values()),
            "failed": failed,
            "retries": self.retries,
            "received_bytes": self.received_bytes,
            "in_flight": self.in_flight,
            "answers": {f"{method.lower()}_{kind}": count for (method, kind), count in self.answers.items()},
            "seconds": {f"{method.lower()}_{kind}": round(took, 3) for (method, kind), took in self.seconds.items()},
        }

    def add(self, method: str, status: int | None, took_s: float) -> None:
        """One more exchange has ended."""
        kind = "failed" if status is None else f"{status // 100}xx"
        self.answers[method, kind] += 1
        self.seconds[method, kind] += took_s


class Content(Protocol):
    """A body that is too long to be held: it is sent piece by piece."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its type and its length."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """All of it, from its beginning."""
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """One question. `path` is below the base URL; `what` names it in messages ("the albums").

    `content`: the body, instead of `json`. `silence_s`: instead of the account's.

    `expected`: statuses that are answers. `repeatable`: asking twice changes nothing more than asking once.
    `follow`: redirects on the same host are followed.
    """

    method: str
    path: str
    what: str
    query: Mapping[str, str] = field(default_factory=dict)
    json: object = None
    content: Content | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    lane: Lane = Lane.QUESTIONS
    deadline_s: float = 30.0
    expected: frozenset[int] = frozenset({200})
    repeatable: bool = True
    follow: bool = True
    silence_s: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file; `etag` as the server wrote it, None if it did not."""

    data: bytes
    etag: str | None
