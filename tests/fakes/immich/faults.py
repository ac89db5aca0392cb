"""What Immich itself does that a client must bear, each from its sample; the rest is in tests/fakes/faults.py."""

from __future__ import annotations

import functools
import gzip
import json
from dataclasses import replace
from typing import Any

from tests.fakes.faults import Effect, body_bytes, fixed
from tests.fakes.immich.schema import DATA
from tests.fakes.serving import Response

JSON = ("content-type", "application/json; charset=utf-8")


@functools.cache
def samples(name: str) -> dict[str, Any]:
    """All recorded exchanges of "3.1.0" or "2.7.5" by their names: request, status, response_headers, body."""
    found: dict[str, Any] = json.loads(gzip.decompress((DATA / f"samples-{name}.json.gz").read_bytes()))
    return found


def recorded(sample: str, version: str = "3.1.0") -> Effect:
    """That sample's status and body, whatever was asked."""
    found = samples(version)[sample]
    return fixed(
        sample, f"samples/immich/{sample}.json", Response(found["status"], [JSON], json.dumps(found["body"]).encode())
    )


def invalid_key() -> Effect:
    """401: as if the key were unknown; `server.revoke()` does it for good."""
    return recorded("err-badkey")


def missing_permission() -> Effect:
    """403: the key may not download."""
    return recorded("err-nodownload-orig")


def internal_error(version: str = "3.1.0") -> Effect:
    """500 of the server itself; rare (§7)."""
    if version.startswith("2"):
        return recorded("err-original-range", "2.7.5")
    return fixed("500", "immich.md §7", Response(500, [JSON], b'{"message":"Internal server error"}'))


def no_thumbnail_yet() -> Effect:
    """404: the thumbnail job has not run (§3); `server.hold_jobs()` does it with all that follows."""
    return fixed("no thumbnail", "immich.md §3", Response(404, [JSON], b'{"message":"Not Found"}'))


def inconsistent_page() -> Effect:
    """A search page that lost its last item, though `nextPage` goes on: bursts of equal times on v2 (§2)."""

    def shorten(response: Response) -> Response:
        body = body_bytes(response)
        packed = response.header("content-encoding") == "gzip"
        page = json.loads(gzip.decompress(body) if packed else body)
        page["assets"]["items"] = page["assets"]["items"][:-1]
        text = json.dumps(page).encode()
        return replace(response, body=gzip.compress(text) if packed else text)

    return Effect("short page", "immich.md §2: bursts can be skipped between pages on v2", rewrite=shorten)
