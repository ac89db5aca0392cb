"""What pictures are rendered from: their originals, or reduced pictures that the provider keeps (mode "hybrid").

What there is of an asset version is asked once, and kept in state: from then on it decides, whatever the provider has
ready at the moment (DESIGN §2.5). A reduced picture that is damaged or shows something else is left out for good, one
that is not made when it is wanted until the provider says something else of the asset; one of another size counts with
that size. Each such change makes new keys, a new inode of the service and a new time, so that nothing that was answered
before becomes another thing.

A lookup of a service asks nothing: others in its directory wait for it. What is below it asks, once an asset version.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import trio

from iiiffs.errors import AccessDenied, ProviderUnreachable, StoreFull
from iiiffs.model.gallery import AccountName, Asset, AssetId, Facts, Version
from iiiffs.providers.base import HasPreviews, Original, Preview, previews_of
from iiiffs.render.headers import read_facts
from iiiffs.state.previews import PreviewLedger
from iiiffs.sync.previews import ORIGINAL_ONLY, SECOND_NS, UNDECIDED, Reduced, Sources, corrected, shows, usable
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.pictures import Picture

log = logging.getLogger(__name__)

HYBRID = "hybrid"
KNOWN_KEPT = 8192
DENIED_S = 60.0
"""How long a server that does not let us see previews is not asked again."""
TOLD_S = 30.0
"""How long an answer about an asset is believed to say that its reduced pictures still show the original."""
HELD_MAX = 16
"""Reduced pictures of one account whose bytes are in memory at once."""
HANDED_MAX = 8


@dataclass(frozen=True, slots=True)
class Opened:
    """The bytes of a reduced picture, all here, and what their header says. Whoever opened it closes `original`."""

    original: Original
    facts: Facts


@dataclass(slots=True)
class _Known:
    version: Version
    sources: Sources
    told_s: float = float("-inf")


class Previews:
    """Of all accounts. Between two awaits what is known is whole; what is kept in state follows it."""

    def __init__(
        self,
        ledger_of: Callable[[AccountName], PreviewLedger],
        flights: Flights,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`ledger_of`: of an account's name."""
        self._ledger_of = ledger_of
        self._flights = flights
        self._now_ns = now_ns
        self._ledgers: dict[AccountName, PreviewLedger] = {}
        self._places: dict[AccountName, trio.CapacityLimiter] = {}
        self._handed: OrderedDict[tuple[AccountName, AssetId, Version, Reduced], Opened] = OrderedDict()
        self._is_full = False
        self._denied_s: dict[AccountName, float] = {}
        self._known: OrderedDict[tuple[AccountName, AssetId], _Known] = OrderedDict()

    def known(self, gallery: Gallery, picture: Picture) -> Sources | None:
        """What is known without asking the provider; None if it has to be asked. Errors: StoreError."""
        if self._provider(gallery, picture) is None:
            return ORIGINAL_ONLY
        asset = picture.asset
        known = self._known.get((gallery.name, asset.id))
        if known is not None and known.version == asset.version:
            sources: Sources | None = known.sources
        elif (sources := self._ledger(gallery).get(asset.id, asset.version)) is not None:
            self._remember(gallery, asset, sources)
        if sources is not None and not _is_awaited(sources, asset):
            return _effective(picture, sources)
        is_denied = trio.current_time() < self._denied_s.get(gallery.name, float("-inf"))
        return ORIGINAL_ONLY if is_denied else None

    async def sources(self, gallery: Gallery, picture: Picture) -> Sources:
        """What the picture is rendered from, decided once. Errors: ProviderError, DeadlinePassed, StoreError."""
        known = self.known(gallery, picture)
        if known is not None:
            return known
        with gallery.questions.place():
            asset = picture.asset
            key = ("previews", gallery.account, asset.id, asset.version)
            return await self._flights.join(key, partial(self._ask, gallery, picture), gallery.deadlines.lookup_s)

    def place(self, account: AccountName) -> trio.CapacityLimiter:
        """To be held by who opens one of that account, until it is closed."""
        if account not in self._places:
            self._places[account] = trio.CapacityLimiter(HELD_MAX)
        return self._places[account]

    async def open(self, gallery: Gallery, picture: Picture, reduced: Reduced) -> Opened | None:
        """The bytes of exactly that one; None if it is not used any more: `sources` says what is.

        Errors: ProviderError; StoreError.
        """
        provider, asset = self._provider(gallery, picture), picture.asset
        handed = self._handed.pop((gallery.name, asset.id, asset.version, reduced), None)
        if handed is not None:
            return handed
        if provider is None or not await self._still_shows_it(provider, gallery, picture, reduced):
            return None
        asked = Preview(reduced.name, reduced.extent, reduced.media_type)
        original = await provider.open_preview(asset, asked)
        if original is None:
            if _is_costly(picture.facts):
                raise not_made(gallery, asset)
            await self._correct(gallery, picture, reduced, None, awaited=_awaited(asset))
            return None
        found, is_fit = None, False
        try:
            await original.prepare()
            facts = await trio.to_thread.run_sync(_headers, original, reduced.name)
            if facts.extent is not None:
                found = Reduced(reduced.name, facts.extent, facts.media_type)
                is_fit = found == reduced or shows(picture.extent, picture.facts.media_type, found)
        finally:
            if not is_fit:
                with trio.CancelScope(shield=True):
                    await original.aclose()
        if found == reduced:
            return Opened(original, facts)
        if found is None or not is_fit:
            reason = (facts.error or "no picture") if found is None else f"it shows something else, {found.tag}"
            await self.leave_out(gallery, picture, reduced, reason)
        else:
            await self._hand((gallery.name, asset.id, asset.version, found), Opened(original, facts))
            await self._correct(gallery, picture, reduced, found)
        return None

    async def leave_out(self, gallery: Gallery, picture: Picture, reduced: Reduced, reason: str) -> None:
        """That one cannot be used, now and later. Errors: StoreError."""
        if await self._correct(gallery, picture, reduced, None):
            log.warning("%s: %s: its %s is not used: %s", gallery.name, picture.asset.name, reduced.name, reason)

    async def leave_out_original(self, gallery: Gallery, picture: Picture, reason: str) -> bool:
        """Nothing can be made of the original, so the largest reduced picture answers for it; False if there is none.

        Errors: StoreError.
        """
        sources = self.known(gallery, picture)
        if sources is None or not sources.reduced or not sources.original:
            return False
        revised = sources.revised(sources.reduced, self._now_ns(), original=False)
        await self._decide(gallery, picture.asset, revised)
        log.warning(
            "%s: %s: its %s answers for it: %s", gallery.name, picture.asset.name, sources.reduced[-1].name, reason
        )
        return True

    async def _ask(self, gallery: Gallery, picture: Picture) -> Sources:
        """What the provider says there is, recorded; but of what is costly to be had otherwise, not that there is none.

        What may not be asked is not recorded either: it may be allowed later.
        """
        provider, asset = self._provider(gallery, picture), picture.asset
        assert provider is not None
        before = self._ledger(gallery).get(asset.id, asset.version)
        try:
            told = await provider.previews(asset)
        except ProviderUnreachable:
            if before is None:
                raise
            return _effective(picture, before)
        except AccessDenied as error:
            if gallery.name not in self._denied_s:
                log.warning("%s: %s; pictures are made of their originals", gallery.name, error)
            self._denied_s[gallery.name] = trio.current_time() + DENIED_S
            return ORIGINAL_ONLY
        offered = (Reduced(one.name, one.extent, one.media_type) for one in told)
        reduced = usable(picture.extent, picture.facts.media_type, offered)
        if not told and _is_costly(picture.facts):
            return UNDECIDED
        sources = Sources(reduced, since_ns=max(self._now_ns(), asset.changed_ns + SECOND_NS) if reduced else 0)
        if before is not None:
            is_news = reduced != before.reduced
            sources = before.revised(reduced, self._now_ns(), original=before.original) if is_news else before
        sources = replace(sources, awaited=_awaited(asset) if not told else "")
        self._remember(gallery, asset, sources).told_s = trio.current_time()
        await self._record(gallery, asset, sources)
        return _effective(picture, sources)

    async def _still_shows_it(
        self, provider: HasPreviews, gallery: Gallery, picture: Picture, reduced: Reduced
    ) -> bool:
        """The provider, asked if it was not lately, still offers it; else it is left out: it may show an edit now."""
        known = self._known.get((gallery.name, picture.asset.id))
        if known is not None and trio.current_time() - known.told_s < TOLD_S:
            return True
        told = await provider.previews(picture.asset)
        known = self._known.get((gallery.name, picture.asset.id))
        if known is not None and told:
            known.told_s = trio.current_time()
        if any(one.name == reduced.name for one in told):
            return True
        if _is_costly(picture.facts):
            raise not_made(gallery, picture.asset)
        await self._correct(gallery, picture, reduced, None)
        return False

    async def _hand(self, key: tuple[AccountName, AssetId, Version, Reduced], opened: Opened) -> None:
        """Who opens it next, most likely for the same answer, need not fetch it again."""
        self._handed[key] = opened
        while len(self._handed) > HANDED_MAX:
            _, dropped = self._handed.popitem(last=False)
            await dropped.original.aclose()

    async def _correct(
        self, gallery: Gallery, picture: Picture, old: Reduced, new: Reduced | None, *, awaited: str = ""
    ) -> bool:
        """False if somebody else did so meanwhile."""
        known = self._known.get((gallery.name, picture.asset.id))
        sources = known.sources if known is not None and known.version == picture.asset.version else None
        if sources is None:
            sources = self._ledger(gallery).get(picture.asset.id, picture.asset.version)
        if sources is None or old not in sources.reduced:
            return False
        decided = corrected(sources, old, new, self._now_ns())
        await self._decide(gallery, picture.asset, replace(decided, awaited=awaited or sources.awaited))
        return True

    async def _decide(self, gallery: Gallery, asset: Asset, sources: Sources) -> None:
        self._remember(gallery, asset, sources)
        await self._record(gallery, asset, sources)

    async def _record(self, gallery: Gallery, asset: Asset, sources: Sources) -> None:
        """On disk when this returns; where that is full a picture is shown all the same, and decided again later."""
        try:
            await self._ledger(gallery).put(asset.id, asset.version, sources)
        except StoreFull as error:
            if not self._is_full:
                log.warning("%s: what pictures are made of is not remembered: %s", gallery.name, error)
            self._is_full = True
        else:
            self._is_full = False

    def _remember(self, gallery: Gallery, asset: Asset, sources: Sources) -> _Known:
        key = (gallery.name, asset.id)
        before = self._known.get(key)
        told_s = before.told_s if before is not None and before.version == asset.version else float("-inf")
        known = self._known[key] = _Known(asset.version, sources, told_s)
        self._known.move_to_end(key)
        while len(self._known) > KNOWN_KEPT:
            self._known.popitem(last=False)
        return known

    def _provider(self, gallery: Gallery, picture: Picture) -> HasPreviews | None:
        """Who keeps reduced pictures of it; None if it is rendered from its original. They are of first pages."""
        is_whole = gallery.mode != HYBRID or picture.page or picture.asset.is_local
        return None if is_whole else previews_of(gallery.provider)

    def _ledger(self, gallery: Gallery) -> PreviewLedger:
        ledger = self._ledgers.get(gallery.name)
        if ledger is None:
            ledger = self._ledgers[gallery.name] = self._ledger_of(gallery.name)
        return ledger


def not_made(gallery: Gallery, asset: Asset) -> ProviderUnreachable:
    """Of what is not rendered from its original: it has to be waited for."""
    return ProviderUnreachable(
        f"{gallery.name}: {asset.name}: the server has made no preview of it yet; ask again later"
    )


def _awaited(asset: Asset) -> str:
    """What `Sources.awaited` holds from now on."""
    return asset.described or "nothing said"


def _is_awaited(sources: Sources, asset: Asset) -> bool:
    """What was not made may be there now."""
    return bool(sources.awaited) and sources.awaited != _awaited(asset)


def _is_costly(facts: Facts) -> bool:
    """Its original is not fetched for a picture: a film for its poster."""
    return facts.media_type.startswith("video/")


def _effective(picture: Picture, sources: Sources) -> Sources:
    """`sources`, where an original that is not taken is one that something else answers for."""
    original = not sources.reduced or (sources.original and not _is_costly(picture.facts))
    return sources if original == sources.original else replace(sources, original=original)


def _headers(original: Original, name: str) -> Facts:
    with original.stream() as stream:
        return read_facts(stream, name)
