"""A mount behind nginx, as viewers and crawlers ask it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

DOCUMENTS = ("Collection", "Manifest")
DOWNLOADS = ("Image", "Video", "Sound", "Text", "Dataset")
SERVICES = ("ImageService2", "ImageService3")


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers`: by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes


def get(uri: str, **headers: str) -> Answer:
    """What the server on 127.0.0.1 answers for `uri`."""
    host, _, path = uri.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(
            "GET", f"/{path}", headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def uris_of(document: object) -> Iterator[tuple[str, str]]:
    """Type and URI of everything in a document that can be asked for; not of canvases, pages and ranges."""
    if isinstance(document, Mapping):
        kind = str(document.get("type") or document.get("@type"))
        uri = str(document.get("id") or document.get("@id"))
        if kind in (*DOCUMENTS, *DOWNLOADS):
            yield kind, uri
        elif kind in SERVICES:
            yield kind, f"{uri}/info.json"
        for value in document.values():
            yield from uris_of(value)
    elif isinstance(document, Sequence) and not isinstance(document, str):
        for value in document:
            yield from uris_of(value)


def crawl(base_url: str, starts: Sequence[str]) -> dict[str, Answer]:
    """The answer to every URI below `base_url` that is in `starts` or in a document that they lead to.

    AssertionError for one that does not answer, a document or info.json of another id, and a download of another type.
    """
    waiting: list[tuple[str, str]] = [("Collection", uri) for uri in starts]
    seen: dict[str, Answer] = {}
    while waiting:
        kind, uri = waiting.pop()
        if uri in seen or not uri.startswith(base_url):
            continue
        answer = seen[uri] = get(uri)
        assert answer.status == 200, f"{answer.status} {uri}"
        if kind in DOCUMENTS:
            document = json.loads(answer.body)
            assert document["id"] == uri
            waiting += uris_of(document)
        elif kind in SERVICES:
            info = json.loads(answer.body)
            assert f"{info.get('id') or info.get('@id')}/info.json" == uri
        elif kind in ("Image", "Video", "Sound"):
            known = answer.headers["content-type"].partition("/")[0]
            assert known == {"Image": "image", "Video": "video", "Sound": "audio"}[kind], uri
    return seen
