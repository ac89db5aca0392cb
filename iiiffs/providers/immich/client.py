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
from iiiffs.providers.http_values import Answer, Ask, Lane
from iiiffs.providers.immich.dialect import READ_PERMISSIONS, Dialect, dialect_of, lacking
from iiiffs.providers.immich.wire import (
    AlbumRecord,
    AssetRecord,
    BucketRecord,
    CountAnswer,
    KeyRecord,
    MessageRecord,
    PeopleAnswer,
    PersonRecord,
    SearchAnswer,
    SearchPart,
    ServerConfig,
    ServerFeatures,
    ServerVersion,
    SharedLinkRecord,
    TagRecord,
    UserRecord,
    WholeAsset,
    decoded,
    evenly,
)
from iiiffs.providers.pieces import Pieces

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
        self._user: str | None = None
        self._warned: str | None = None

    @property
    def name(self) -> str:
        """The account's."""
        return self.http.name

    # ---- the server and the key -------------------------------------------------------------------------------

    async def dialect(self) -> Dialect:
        """How it is asked now; learnt anew after any trouble, for a server may be upgraded under a mount (§8)."""
        if self._dialect is None:
            answer = await self.answer(Ask("GET", "/server/version", "the server's version"))
            version = await self._decoded(answer, ServerVersion, "is there an Immich? The server's version")
            found = dialect_of(version.major, version.minor, version.patch)
            if found.is_newer_than_known and self._warned != found.version:
                log.warning("%s: Immich %s is newer than what iiiffs was made for", self.name, found.version)
                self._warned = found.version
            self._dialect = found
        return self._dialect

    def forget_dialect(self) -> None:
        """Before the next question the server is asked which it is."""
        self._dialect = None

    async def user(self) -> str:
        """The id of the key's user; "" for a key without user.read. Asked once."""
        if self._user is None:
            try:
                self._user = (await self.told(Ask("GET", "/users/me", "the key's user"), UserRecord)).id
            except AccessDenied:
                if self.http.denied is not None:
                    raise
                log.info("%s: without user.read, nobody is named in pictures", self.name)
                self._user = ""
        return self._user

    async def _people_of(self) -> str | None:
        """Rule: wire.evenly."""
        return (await self.user() or None) if (await self.dialect()).lists_people else None

    async def check_key(self) -> None:
        """The key is known and may read. Errors: AccessDenied with what to do."""
        self._dialect, self._user = None, None
        try:
            await self.dialect()
        except ProviderUnreachable as error:
            raise await self.explained(error) from error.__cause__
        answer = await self.answer(Ask("GET", "/api-keys/me", "the key"))
        self.key = decoded(answer.body, KeyRecord, f"{self.name}: the key")
        if missing := lacking(self.key.permissions, READ_PERMISSIONS):
            raise AccessDenied(
                f"{self.name}: the key lacks {', '.join(missing)}: give it these in Immich (account settings, API keys)"
            )

    async def explained(self, error: ProviderUnreachable) -> ProviderUnreachable:
        """`error`, or that the server is in maintenance mode if it says so: then hardly any other route answers."""
        if isinstance(error, Refusal) and await self._is_in_maintenance():
            error = Refusal(f"{self.name}: the server is in maintenance mode", status=error.status)
        if isinstance(error, Refusal):
            self.http.in_trouble(str(error))
        return error

    async def _is_in_maintenance(self) -> bool:
        try:
            answer = await self.answer(Ask("GET", "/server/config", "the server's configuration"))
        except (ProviderUnreachable, AccessDenied):
            return False
        return decoded(answer.body, ServerConfig, f"{self.name}: the server's configuration").maintenance_mode

    async def features(self) -> ServerFeatures:
        """What the server has been set up for."""
        return await self.told(Ask("GET", "/server/features", "what the server can do"), ServerFeatures)

    async def shared_link(self, query: Mapping[str, str]) -> SharedLinkRecord:
        """The link that `query` names, by "key" or "slug", as the world sees it. Errors: AccessDenied if there is none
        that lets anybody in. Its 400 and 401 are about the link, never about the account's own key."""
        ask = Ask("GET", "/shared-links/me", "the shared link", query=query)
        answer = await self.answer(replace(ask, expected=frozenset({200, 400, 401})))
        if answer.status == 200:
            return await self._decoded(answer, SharedLinkRecord, ask.what)
        said = (await self._decoded(answer, MessageRecord, ask.what)).message
        if "assword" in said:
            raise AccessDenied(f"{self.name}: the shared link asks for a password; take that off in Immich")
        raise AccessDenied(
            f"{self.name}: there is no such shared link, or it has expired; make another one in Immich, and name it in "
            "shared_link"
        )

    # ---- albums -----------------------------------------------------------------------------------------------

    async def albums(self, etags: tuple[str, ...] = (), deadline_s: float = ALBUM_LIST_S) -> AlbumsAnswer:
        """Own and shared ones, each once; None if nothing has changed since the answer with these `etags`."""
        questions = (await self.dialect()).album_questions
        known = etags if len(etags) == len(questions) else ("",) * len(questions)
        ask = Ask("GET", "/albums", "the albums", deadline_s=deadline_s)
        ask = replace(ask, expected=frozenset({200, 304}))
        answers = []
        for query, etag in zip(questions, known, strict=True):
            headers = {"if-none-match": etag} if etag else {}
            answers.append(await self.answer(replace(ask, query=query, headers=headers)))
        new = tuple(answer.headers.get("etag") or "" for answer in answers)
        date_s = parse_http_date(answers[0].headers.get("date"))
        if all(answer.status == 304 for answer in answers):
            return AlbumsAnswer(None, tuple(etag or old for etag, old in zip(new, known, strict=True)), date_s)
        if any(answer.status == 304 for answer in answers):
            return await self.albums((), deadline_s)
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
        record = await self.told(ask, AlbumRecord)
        if record.assets:
            record.assets = [evenly(asset, None) for asset in record.assets]
        return record

    # ---- assets -----------------------------------------------------------------------------------------------

    async def asset(self, id: UUID) -> AssetRecord:
        """One asset, of any visibility, trashed ones too. Errors: AssetGone."""
        record = await self.told(Ask("GET", f"/assets/{id}", "an asset"), AssetRecord)
        return evenly(record, await self._people_of())

    async def whole(self, id: UUID) -> WholeAsset:
        """One asset with all that is said of it alone, of any visibility, trashed ones too. Errors: AssetGone."""
        return await self.told(Ask("GET", f"/assets/{id}", "an asset"), WholeAsset)

    async def search(self, filters: Mapping[str, object], page: int = 1, size: int = PAGE) -> SearchPart:
        """One page. Flat filters only: `filter` is ignored by servers before 3.2, which then answer everything (§2)."""
        ask = Ask("POST", "/search/metadata", "a page of assets")
        return await self._found(ask, {**filters}, page, size, await self._people_of())

    async def smart(self, text: str, filters: Mapping[str, object], page: int = 1, size: int = PAGE) -> SearchPart:
        """One page of what looks like that, nearest first; who is seen there is not said."""
        ask = Ask("POST", "/search/smart", "a search by content")
        return await self._found(ask, {**filters, "query": text}, page, size, None)

    async def _found(
        self, ask: Ask, filters: dict[str, object], page: int, size: int, people_of: str | None
    ) -> SearchPart:
        body = {**filters, "page": page, "size": size} | ({"withPeople": True} if people_of else {})
        part = (await self.told(replace(ask, json=body, deadline_s=ALBUM_LIST_S), SearchAnswer)).assets
        for record in part.items:
            evenly(record, people_of)
        return part

    async def count(self, filters: Mapping[str, object]) -> int:
        """How many a search would find. Needs asset.statistics."""
        ask = Ask("POST", "/search/statistics", "the number of assets", json=dict(filters))
        return (await self.told(ask, CountAnswer)).total

    async def months(self) -> list[BucketRecord]:
        """The user's own timeline by months of the wall clock, without partners' assets. Needs asset.read alone."""
        query = {"visibility": "timeline", "isTrashed": "false"}
        ask = Ask("GET", "/timeline/buckets", "the months", query=query, deadline_s=ALBUM_LIST_S)
        return await self.told(ask, list[BucketRecord])

    async def people(self) -> list[PersonRecord]:
        """Everybody with a name whom the user does not hide. Needs person.read."""
        found: dict[str, PersonRecord] = {}
        for page in range(1, PAGES_MAX):
            query = {"page": str(page), "size": str(PEOPLE_PAGE)}
            answer = await self.told(Ask("GET", "/people", "the people", query=query), PeopleAnswer)
            found |= {one.id: one for one in answer.people if one.name and not one.is_hidden}
            if not answer.has_next_page:
                break
        return list(found.values())

    async def tags(self) -> list[TagRecord]:
        """All tags. Needs tag.read."""
        return await self.told(Ask("GET", "/tags", "the tags"), list[TagRecord])

    async def suggestions(self, kind: str) -> list[str]:
        """The names of that kind that photos have: "city", "state", "country"."""
        ask = Ask("GET", "/search/suggestions", "the names of places", query={"type": kind})
        return [name for name in await self.told(ask, list[str | None]) if name]

    # ---- bytes ------------------------------------------------------------------------------------------------

    async def original(self, id: UUID, offset: int, pieces: Pieces, size_bytes: int) -> str | None:
        """Rule: HttpAccount.pour. Errors: AssetGone, VersionChanged."""
        ask = Ask("GET", f"/assets/{id}/original", "an original")
        ask = replace(ask, deadline_s=ask.deadline_s + sum(pieces.lengths) / SLOWEST_BYTES_PER_S)
        try:
            return await self.http.pour(ask, offset, pieces, size_bytes)
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
            if refusal.status == 404 and refusal.told and not refusal.told.startswith("Cannot "):
                return None
            raise self._blame(refusal) from refusal
        if not (answer.headers.get("content-type") or "").startswith("image/"):
            strange = ProviderUnreachable(f"{self.name}: a preview: what came is no picture")
            self.http.in_trouble(str(strange))
            raise strange
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

    async def told(self, ask: Ask, type: type[T]) -> T:
        """What the answer says. Errors: as of all calls."""
        return await self._decoded(await self.answer(ask), type, ask.what)

    async def _decoded(self, answer: Answer, type: type[T], what: str) -> T:
        what = f"{self.name}: {what}"
        try:
            if len(answer.body) > IN_THREAD_BYTES:
                return await trio.to_thread.run_sync(decoded, answer.body, type, what)
            return decoded(answer.body, type, what)
        except ProviderUnreachable as error:
            self._dialect = None
            self.http.in_trouble(str(error))
            raise

    async def answer(self, ask: Ask) -> Answer:
        """The answer. Errors: Refusal, with what the server says; AssetGone where that is that an id is unknown."""
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
            self.http.out_of_trouble()
            return AssetGone(f"{self.name}: it is not there, or not shared with this user any more")
        self._dialect = None
        if refusal.status == 404 and refusal.told.startswith("Cannot "):
            text = f"{self.name}: the server does not answer as an Immich; is it in maintenance?"
            self.http.in_trouble(text)
            return Refusal(text, status=refusal.status, told=refusal.told)
        return refusal

    async def _why_no_file(self, id: UUID, refusal: Refusal) -> AssetGone | ProviderUnreachable:
        """A 404 is any trouble of sending (§3): only if the asset is unknown too, it is gone."""
        if refusal.status == 404:
            await self.asset(id)
        return self._blame(refusal)
