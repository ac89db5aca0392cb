"""What a fake or a proxy was asked, for tests to count and to read."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from tests.fakes.serving import Request, Response


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer. `value`: the body of the request as JSON, or the fields of a form; None if none.

    `sent`: bytes of the answer's body. `at_s`: of the monotonic clock. `fault`: what struck it, "" if nothing.
    """

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)
    value: object
    status: int
    sent: int
    at_s: float
    fault: str = ""

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The last value of each name."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


class RequestLog:
    """All exchanges since the start or the last `clear`, oldest first."""

    def __init__(self) -> None:
        self._exchanges: list[Exchange] = []
        self._lock = threading.Lock()

    def add(self, request: Request, response: Response, value: object = None, fault: str = "") -> None:
        """One more."""
        silent = request.method == "HEAD" or response.status in (204, 304)
        exchange = Exchange(
            request.method,
            request.target,
            dict(request.headers),
            value,
            response.status,
            0 if silent else response.length,
            time.monotonic(),
            fault,
        )
        with self._lock:
            self._exchanges.append(exchange)

    def matching(self, pattern: str = "", method: str = "") -> list[Exchange]:
        """Those of `method` ("" = any) whose path and query hold the regular expression."""
        with self._lock:
            exchanges = list(self._exchanges)
        return [one for one in exchanges if (not method or one.method == method) and re.search(pattern, one.target)]

    def count(self, pattern: str = "", method: str = "") -> int:
        """How many `matching` finds."""
        return len(self.matching(pattern, method))

    def clear(self) -> None:
        """Forgotten."""
        with self._lock:
            self._exchanges.clear()

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self.matching())

    def __len__(self) -> int:
        return self.count()
