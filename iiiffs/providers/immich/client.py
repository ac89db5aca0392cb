"""Calls to one Immich, in the dialect that it speaks now. What they mean: wire.py. Facts: the research of its API."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

import trio

from iiiffs.errors import AccessDenied, AssetGone, ProviderUnreachable
from iiiffs.providers.http import HttpAccount, Refusal
from iiiffs.providers.http_policy import parse_http_date
from iiiffs.providers.http_values import Answer, Ask, Lane, Part
from iiiffs.providers.immich.dialect import READ_PERMISSIONS, Dialect, dialect_of, lacking
from iiiffs.providers.immich.wire import (
    AlbumRecord,
    AssetRecord,
    CountAnswer,
    KeyRecord,
    PeopleAnswer,
    PersonRecord,
    SearchAnswer,
    SearchPart,
    ServerConfig,
    ServerFeatures,
    ServerVersion,
    TagRecord,
    decoded,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

PAGE = 1000
"""Assets of a page: the most that is allowed (err-search-size-1001)."""
PEOPLE_PAGE = 1000
PAGES_MAX = 10_000
NOT_FOUND_OR = "Not found or no "
"""How a 400 begins that says that an id is unknown or out of reach (§7)."""
IN_THREAD_BYTES = 1 << 20
"""Bodies above this are decoded in a thread: 1 MB is some 10 ms."""
SLOWEST_BYTES_PER_S = 128 << 10
"""Of a line that is still waited for, beyond the deadline of any question."""
ALBUM_LIST_S = 60.0


@dataclass(frozen=True, slots=True)
class AlbumsAnswer:
    """All albums, of the questions of a dialect. `etags`: one a question, for the next time. `date_s`: the server's
    clock, seconds since 1970, None if it did not say."""

    albums: tuple[AlbumRecord, ...] | None
    etags: tuple[str, ...]
    date_s: float | None


class ImmichClient:
    """Errors of all calls: ProviderUnreachable, AccessDenied; of those with an id AssetGone."""

    def __init__(self, http: HttpAccount) -> None:
        self.http = http
        self.key: KeyRecord | None = None
        """Its name and permissions, since the last `check_key`."""
        self._dialect: Dialect | None = None
        self._warned: str | None = None

    @property
    def name(self) -> str:
        """The account's."""
        return self.http.name

    # ---- the server and the key -------------------------------------------------------------------------------

    async def dialect(self) -> Dialect:
        """How it is asked now; learnt anew after any trouble, for a server may be upgraded under a mount (§8)."""
        if self._dialect is None:
            answer = await self._json(Ask("GET", "/server/version", "the server's version"))
            version = decoded(answer.body, ServerVersion, f"{self.name}: is there an Immich? The server's version")
            found = dialect_of(version.major, version.minor, version.patch)
            if found.is_newer_than_known and self._warned != found.version:
                log.warning("%s: Immich %s is newer than what iiiffs was made for", self.name, found.version)
                self._warned = found.version
            self._dialect = found
        return self._dialect

    def forget_dialect(self) -> None:
        """Before the next question the server is asked which it is."""
        self._dialect = None

    async def check_key(self) -> None:
        """The key is known and may read. Errors: AccessDenied with what to do."""
        self._dialect = None
        try:
            await self.dialect()
        except ProviderUnreachable:
            if await self._is_in_maintenance():
                raise ProviderUnreachable(f"{self.name}: the server is in maintenance mode") from None
            raise
        answer = await self._json(Ask("GET", "/api-keys/me", "the key"))
        self.key = decoded(answer.body, KeyRecord, f"{self.name}: the key")
        if missing := lacking(self.key.permissions, READ_PERMISSIONS):
            raise AccessDenied(
                f"{self.name}: the key lacks {', '.join(missing)}: give it these in Immich (account settings, API keys)"
            )

    async def _is_in_maintenance(self) -> bool:
        try:
            answer = await self._json(Ask("GET", "/server/config", "the server's configuration"))
        except (ProviderUnreachable, AccessDenied):
            return False
        return decoded(answer.body, ServerConfig, f"{self.name}: the server's configuration").maintenance_mode

    async def features(self) -> ServerFeatures:
        """What the server has been set up for."""
        return await self._told(Ask("GET", "/server/features", "what the server can do"), ServerFeatures)

    # ---- albums -----------------------------------------------------------------------------------------------

    async def albums(self, etags: tuple[str, ...] = ()) -> AlbumsAnswer:
        """Own and shared ones, each once; None if nothing has changed since the answer with these `etags`."""
        questions = (await self.dialect()).album_questions
        known = etags if len(etags) == len(questions) else ("",) * len(questions)
        ask = Ask("GET", "/albums", "the albums", deadline_s=ALBUM_LIST_S)
        ask = replace(ask, expected=frozenset({200, 304}))
        answers = []
        for query, etag in zip(questions, known, strict=True):
            headers = {"if-none-match": etag} if etag else {}
            answers.append(await self._json(replace(ask, query=query, headers=headers)))
        new = tuple(answer.headers.get("etag") or "" for answer in answers)
        date_s = parse_http_date(answers[0].headers.get("date"))
        if all(answer.status == 304 for answer in answers):
            return AlbumsAnswer(None, tuple(etag or old for etag, old in zip(new, known, strict=True)), date_s)
        if any(answer.status == 304 for answer in answers):
            return await self.albums()
        found: dict[str, AlbumRecord] = {}
        for answer in answers:
            for record in await self._decoded(answer, list[AlbumRecord], "the albums"):
                found[record.id] = record
        return AlbumsAnswer(tuple(found.values()), new, date_s)

    async def album(self, id: UUID, *, with_assets: bool = False) -> AlbumRecord:
        """The album; with its assets on 2.x only. Errors: AssetGone."""
        query = {}
        if (await self.dialect()).albums_hold_assets and not with_assets:
            query = {"withoutAssets": "true"}
        ask = Ask("GET", f"/albums/{id}", "an album", query=query, deadline_s=ALBUM_LIST_S)
        return await self._told(ask, AlbumRecord)

    async def albums_with(self, id: UUID) -> set[str]:
        """The ids of those albums, own and shared, that hold the asset."""
        ask = Ask("GET", "/albums", "the albums of an asset", query={"assetId": str(id)})
        return {record.id for record in await self._told(ask, list[AlbumRecord])}

    # ---- assets -----------------------------------------------------------------------------------------------

    async def asset(self, id: UUID) -> AssetRecord:
        """One asset, with people and tags. Trashed and hidden ones too. Errors: AssetGone."""
        return await self._told(Ask("GET", f"/assets/{id}", "an asset"), AssetRecord)

    async def search(self, filters: Mapping[str, object], page: int = 1, size: int = PAGE) -> SearchPart:
        """One page. Flat filters only: `filter` is ignored by servers before 3.2, which then answer everything (§2)."""
        body = {**filters, "page": page, "size": size}
        ask = Ask("POST", "/search/metadata", "a page of assets", json=body, deadline_s=ALBUM_LIST_S)
        return (await self._told(ask, SearchAnswer)).assets

    async def smart(self, text: str, filters: Mapping[str, object], page: int = 1, size: int = PAGE) -> SearchPart:
        """One page of what looks like that, nearest first."""
        body = {**filters, "query": text, "page": page, "size": size}
        ask = Ask("POST", "/search/smart", "a search by content", json=body, deadline_s=ALBUM_LIST_S)
        return (await self._told(ask, SearchAnswer)).assets

    async def count(self, filters: Mapping[str, object]) -> int:
        """How many a search would find. Needs asset.statistics."""
        ask = Ask("POST", "/search/statistics", "the number of assets", json=dict(filters))
        return (await self._told(ask, CountAnswer)).total

    async def people(self) -> list[PersonRecord]:
        """Everybody with a name whom the user does not hide. Needs person.read."""
        found: dict[str, PersonRecord] = {}
        for page in range(1, PAGES_MAX):
            query = {"page": str(page), "size": str(PEOPLE_PAGE)}
            answer = await self._told(Ask("GET", "/people", "the people", query=query), PeopleAnswer)
            found |= {one.id: one for one in answer.people if one.name and not one.is_hidden}
            if not answer.has_next_page:
                break
        return list(found.values())

    async def tags(self) -> list[TagRecord]:
        """All tags. Needs tag.read."""
        return await self._told(Ask("GET", "/tags", "the tags"), list[TagRecord])

    async def suggestions(self, kind: str) -> list[str]:
        """The names of that kind that photos have: "city", "state", "country"."""
        ask = Ask("GET", "/search/suggestions", "the names of places", query={"type": kind})
        return [name for name in await self._told(ask, list[str | None]) if name]

    # ---- bytes ------------------------------------------------------------------------------------------------

    async def original(self, id: UUID, offset: int, length: int, size_bytes: int) -> Part:
        """Rule: HttpAccount.read. Errors: AssetGone, VersionChanged."""
        ask = Ask("GET", f"/assets/{id}/original", "an original")
        ask = replace(ask, deadline_s=ask.deadline_s + length / SLOWEST_BYTES_PER_S)
        try:
            return await self.http.read(ask, offset, length, size_bytes)
        except Refusal as refusal:
            raise await self._why_no_file(id, refusal) from refusal
        except ProviderUnreachable:
            self._dialect = None
            raise

    async def length(self, id: UUID) -> int:
        """The original's, where listings do not tell it. Errors: AssetGone."""
        try:
            return await self.http.length(Ask("GET", f"/assets/{id}/original", "an original"))
        except Refusal as refusal:
            raise await self._why_no_file(id, refusal) from refusal

    async def thumbnail(self, id: UUID, size: str) -> Answer | None:
        """A reduced picture as the server has it; None if it has none yet (§3). Errors: AssetGone."""
        ask = Ask("GET", f"/assets/{id}/thumbnail", "a preview", query={"size": size}, lane=Lane.BYTES)
        try:
            answer = await self.http.ask(ask)
        except Refusal as refusal:
            if refusal.status == 404 and not refusal.told.startswith("Cannot "):
                return None
            raise self._blame(refusal) from refusal
        if not (answer.headers.get("content-type") or "").startswith("image/"):
            raise ProviderUnreachable(f"{self.name}: a preview: what came is no picture")
        return answer

    async def has_fullsize(self, id: UUID) -> bool:
        """True if the server keeps a large JPEG of such a file; else it sends us on to something else (§3)."""
        ask = Ask("GET", f"/assets/{id}/thumbnail", "a large preview", query={"size": "fullsize"}, lane=Lane.BYTES)
        try:
            status = await self.http.status(replace(ask, expected=frozenset({200, 302}), follow=False))
        except Refusal as refusal:
            if refusal.status == 404:
                return False
            raise self._blame(refusal) from refusal
        return status == 200

    # ---- asking -----------------------------------------------------------------------------------------------

    async def _told(self, ask: Ask, type: type[T]) -> T:
        return await self._decoded(await self._json(ask), type, ask.what)

    async def _decoded(self, answer: Answer, type: type[T], what: str) -> T:
        what = f"{self.name}: {what}"
        try:
            if len(answer.body) > IN_THREAD_BYTES:
                return await trio.to_thread.run_sync(decoded, answer.body, type, what)
            return decoded(answer.body, type, what)
        except ProviderUnreachable:
            self._dialect = None
            raise

    async def _json(self, ask: Ask) -> Answer:
        try:
            return await self.http.ask_json(ask)
        except Refusal as refusal:
            raise self._blame(refusal) from refusal
        except ProviderUnreachable:
            self._dialect = None
            raise

    def _blame(self, refusal: Refusal) -> AssetGone | ProviderUnreachable:
        """What a refusal says. The server does not tell "not there" from "not for you": both are gone."""
        if refusal.status == 400 and refusal.told.startswith(NOT_FOUND_OR):
            return AssetGone(f"{self.name}: it is not there, or not shared with this user any more")
        self._dialect = None
        if refusal.status == 404 and refusal.told.startswith("Cannot "):
            return ProviderUnreachable(f"{self.name}: the server does not answer as an Immich; is it in maintenance?")
        return refusal

    async def _why_no_file(self, id: UUID, refusal: Refusal) -> AssetGone | ProviderUnreachable:
        """A 404 is any trouble of sending (§3): only if the asset is unknown too, it is gone."""
        if refusal.status == 404:
            await self.asset(id)
        return self._blame(refusal)
