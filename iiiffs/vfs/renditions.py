"""Renditions: found in the cache, or rendered once, whoever asks how often.

Everything is decided and done before a lookup answers, so that a failure is a missing file and never a cut answer.
A key is (account's name, asset, version, canonical request, renderer's fingerprint) and, where a reduced picture of the
provider answers, that one's name and size: what is cached or at hand never changes what is rendered (DESIGN §2.5). A
picture that is too large for this machine is remembered until it changes.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import trio

from iiiffs.cache.entries import digest_of
from iiiffs.cache.renditions import RenditionStore
from iiiffs.errors import TooLarge, Undecodable, VersionChanged
from iiiffs.iiif.request import ImageRequest
from iiiffs.model.gallery import AccountName, AssetId, Facts, Version
from iiiffs.model.image import Extent
from iiiffs.render.plan import Decode
from iiiffs.render.pyramid import Key, Pyramid
from iiiffs.render.renderer import Renderer, plan_for
from iiiffs.sync.previews import ORIGINAL_ONLY, Reduced, Sources, chosen
from iiiffs.tree.nodes import Rendition
from iiiffs.vfs.bodies import Bodies
from iiiffs.vfs.budget import PixelBudget
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.growing import Growths
from iiiffs.vfs.pictures import Picture
from iiiffs.vfs.previews import Previews, not_made
from iiiffs.vfs.render_threads import RenderThreads

log = logging.getLogger(__name__)

FAILURES_KEPT = 1024
CHOICES_MAX = 8
"""So often a source may turn out to be another thing than was known: each one does once."""
SPARE_BYTES = 1 << 20
"""More than a few tiles need."""


TAG = "\0"
"""In labels of what was rendered from a reduced picture: canonical path, this, and that picture's tag."""

IsCurrent = Callable[[str, str], bool]


def _is_of_original(label: str, tag: str) -> bool:
    return not tag


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request for one picture, understood. `label`: its canonical path."""

    picture: Picture
    request: ImageRequest
    label: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendition as the tree shows it."""

    node: Rendition
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Made:
    """A rendition's bytes, and BLAKE2b of them."""

    body: bytes
    digest: bytes


class Renditions:
    """All renditions of all accounts."""

    def __init__(
        self,
        store: RenditionStore,
        renderer: Renderer,
        flights: Flights,
        bodies: Bodies,
        threads: RenderThreads,
        pixels_max: int,
    ) -> None:
        """`pixels_max`: px that renders in progress may hold in memory, 4 bytes each."""
        self._store = store
        self._renderer = renderer
        self._flights = flights
        self._bodies = bodies
        self._budget = PixelBudget(pixels_max)
        self._threads = threads
        self._failures: OrderedDict[tuple[str, str, str], TooLarge] = OrderedDict()
        self._growths = Growths(renderer, threads)
        self.previews: Previews | None = None
        """Knows the reduced pictures of providers; None: everything is rendered from originals."""
        self.rendered = 0
        self.on_miss: Callable[[Gallery, Wanted], None] = _nobody
        """Told of each rendition that somebody waits for and the cache has not."""

    @property
    def pixels_held(self) -> int:
        """Of the budget, by renders in progress."""
        return self._budget.held

    @property
    def fingerprint(self) -> str:
        """What, besides the original and the request, decides a rendition's bytes."""
        return self._renderer.fingerprint

    async def rendition(self, gallery: Gallery, wanted: Wanted) -> Rendered:
        """The rendition, there to be read. Errors: RenderError, VersionChanged, DeadlinePassed, ProviderError."""
        picture = wanted.picture
        reduced = await self._chosen(gallery, wanted)
        stored = self._store.peek(self._key_of(gallery, wanted, reduced))
        if stored is not None:
            return self._as_node(gallery.account, wanted, stored.digest.hex(), stored.size_bytes)
        failure = self._failures.get((gallery.name, picture.asset.id, picture.asset.version))
        if failure is not None and reduced is None:
            raise failure.with_traceback(None)
        self.on_miss(gallery, wanted)
        with gallery.questions.place():
            made = await self.make(gallery, wanted)
        return self._as_node(gallery.account, wanted, made.digest.hex(), len(made.body))

    async def body(self, gallery: Gallery, node: Rendition, wanted: Wanted) -> bytes:
        """The bytes of exactly this node. Errors: VersionChanged if a new render differs (never served under it)."""
        body = self._bodies.get(node)
        if body is None:
            found = self._store.find(self._key_of(gallery, wanted, await self._chosen(gallery, wanted)))
            if found is None:
                with gallery.questions.place():
                    made = await self.make(gallery, wanted)
                found = made.body, made.digest
            body, digest = found
            if digest.hex() != node.digest:
                raise VersionChanged(f"{node.canonical} of {node.asset} was rendered anew and differs")
            self._bodies.put(node, body)
        return body

    def existing(
        self, gallery: Gallery, service: AssetId, version: Version, is_current: IsCurrent = _is_of_original
    ) -> list[tuple[str, Rendered]]:
        """The canonical paths of one asset version that are rendered already, for listings; each once.

        `is_current`: (canonical path, tag of the reduced picture or "") -> that path is rendered from that.
        """
        account, found = gallery.account, []
        for kept, size_bytes, digest in self._store.labels(self._group(gallery.name, service, version)):
            label, _, tag = kept.partition(TAG)
            if is_current(label, tag):
                node = Rendition(account, service, version, label, self.fingerprint, digest.hex())
                found.append((label, Rendered(node, size_bytes)))
        return found

    async def sources(self, gallery: Gallery, picture: Picture) -> Sources:
        """What the picture is rendered from. Errors: ProviderError, DeadlinePassed, StoreError."""
        return ORIGINAL_ONLY if self.previews is None else await self.previews.sources(gallery, picture)

    def known_sources(self, gallery: Gallery, picture: Picture) -> Sources | None:
        """As `sources`; None where the provider has to be asked."""
        return ORIGINAL_ONLY if self.previews is None else self.previews.known(gallery, picture)

    def needs_original(self, gallery: Gallery, wanted: Wanted) -> bool:
        """It is known that no reduced picture answers it."""
        sources = self.known_sources(gallery, wanted.picture)
        return sources is not None and sources.original and _chosen_of(sources, wanted) is None

    async def has_spare(self) -> bool:
        """The cache can keep some more without forgetting anything. Waits while its disk does not keep up."""
        await self._store.wait_for_room(SPARE_BYTES)
        return self._store.has_spare(SPARE_BYTES)

    def is_decoded(self, gallery: Gallery, wanted: Wanted) -> bool:
        """The pixels that it is cut from are held, or come, so that others can be cut from them at little cost."""
        sources = self.known_sources(gallery, wanted.picture)
        if sources is None:
            return False
        key = _decode_key(gallery, wanted, _chosen_of(sources, wanted))
        return key in self._growths or self._renderer.kept(key[0], key[2], key[1]) is not None

    def as_rows_come(self, gallery: Gallery, some: Iterable[Wanted]) -> list[Wanted]:
        """Those of one picture, in the order in which they can be cut while its original is being decoded."""
        wanted = list(some)
        if not wanted:
            return wanted
        requests = [one.request for one in wanted]
        order = self._growths.order(_decode_key(gallery, wanted[0], None), requests, wanted[0].picture.facts)
        return [wanted[index] for index in order]

    async def make(self, gallery: Gallery, wanted: Wanted) -> Made:
        """The rendition, made now or joined while it is being made. Errors: as `rendition`."""
        for _ in range(CHOICES_MAX):
            reduced = await self._chosen(gallery, wanted)
            key = self._key_of(gallery, wanted, reduced)
            work = partial(self._render, gallery, wanted, key, reduced)
            made = await self._flights.join(("rendition", key), work, gallery.deadlines.render_s)
            if made is not None:
                return made
        raise VersionChanged(f"{gallery.name}: previews of {wanted.picture.asset.name} change all the time")

    async def make_missing(self, gallery: Gallery, some: Sequence[Wanted]) -> int:
        """Those of `some`, of one picture, are there that were not there or on their way. How many that were.

        Those of one decode are cut in one turn of a thread. Errors: as `rendition`.
        """
        turns: dict[tuple[Reduced | None, Decode], list[Wanted]] = {}
        for wanted in some:  # a sliver at the picture's edge may need another source or decode than its neighbours
            reduced = await self._chosen(gallery, wanted)
            turns.setdefault((reduced, _decode_of(wanted, reduced)), []).append(wanted)
        made = 0
        for (reduced, _), alike in turns.items():
            missing = {self._key_of(gallery, wanted, reduced): wanted for wanted in alike}
            for key in list(missing):
                if self._flights.is_flying(("rendition", key)) or self._store.has(key):
                    del missing[key]
            if missing:
                flying = [("rendition", key) for key in missing]
                await self._flights.together(flying, partial(self._render_all, gallery, missing, reduced))
                made += len(missing)
        return made

    async def _chosen(self, gallery: Gallery, wanted: Wanted) -> Reduced | None:
        """What it is rendered from; None: the original. Errors: as `sources`; ProviderUnreachable if not made yet."""
        sources = await self.sources(gallery, wanted.picture)
        reduced = _chosen_of(sources, wanted)
        if reduced is None and not sources.original:
            raise not_made(gallery, wanted.picture.asset)
        return reduced

    async def _decoded(
        self, gallery: Gallery, picture: Picture, reduced: Reduced | None, how: Decode
    ) -> Pyramid | None:
        """Its pixels, decoded once whoever asks how often; None if another source is to be chosen now."""
        source = _source(gallery, picture, reduced)
        kept = self._renderer.kept(source, how, picture.page)
        if kept is not None:
            return kept
        work: Callable[[], Awaitable[Pyramid | None]] = partial(self._decode, gallery, picture, how)
        if reduced is not None:
            work = partial(self._decode_reduced, gallery, picture, reduced)
        return await self._flights.join(("decode", source, picture.page, how), work, gallery.deadlines.render_s)

    async def _render(self, gallery: Gallery, wanted: Wanted, key: bytes, reduced: Reduced | None) -> Made | None:
        return (await self._render_all(gallery, {key: wanted}, reduced))[0]

    async def _render_all(
        self, gallery: Gallery, some: Mapping[bytes, Wanted], reduced: Reduced | None
    ) -> Sequence[Made | None]:
        """All of one picture, source and decode, made in one turn of a thread and kept; None: choose another source."""
        first = next(iter(some.values()))
        picture, requests = first.picture, [wanted.request for wanted in some.values()]
        # A growth is always an original's: what a reduced picture answers has another key, and waits for its end.
        pyramid = await self._growths.rows_for(_decode_key(gallery, first, reduced), requests, picture.facts)
        if pyramid is None:
            pyramid = await self._decoded(gallery, picture, reduced, _decode_of(first, reduced))
        if pyramid is None:
            return [None] * len(some)
        extent = None if reduced is None else reduced.extent
        async with self._budget.hold(max(map(self._renderer.cut_cost_px, requests))):
            made = await self._threads.run(self._cut, pyramid, requests, picture.facts, extent)
        group = self._group(gallery.name, picture.service, picture.asset.version)
        for (key, wanted), one in zip(some.items(), made, strict=True):
            self.rendered += 1
            kept_as = wanted.label if reduced is None else f"{wanted.label}{TAG}{reduced.tag}"
            self._store.put_nowait(key, group, kept_as, one.body, one.digest)
            self._bodies.put(self._as_node(gallery.account, wanted, one.digest.hex(), len(one.body)).node, one.body)
        return made

    async def _decode_reduced(self, gallery: Gallery, picture: Picture, reduced: Reduced) -> Pyramid | None:
        """As `_decode`, of a reduced picture; None if it turned out to be another thing."""
        assert self.previews is not None
        async with self.previews.place(gallery.name):
            return await self._decode_opened(gallery, picture, reduced, self.previews)

    async def _decode_opened(
        self, gallery: Gallery, picture: Picture, reduced: Reduced, previews: Previews
    ) -> Pyramid | None:
        opened = await previews.open(gallery, picture, reduced)
        if opened is None:
            return None
        source = _source(gallery, picture, reduced)
        try:
            async with self._budget.hold(self._renderer.decode_cost_px(Decode.FULL, opened.facts)):
                return await self._threads.run(
                    self._renderer.decoded, source, opened.original.stream, Decode.FULL, opened.facts, picture.page
                )
        except (Undecodable, TooLarge) as error:
            await previews.leave_out(gallery, picture, reduced, str(error))
            return None
        finally:
            with trio.CancelScope(shield=True):
                await opened.original.aclose()

    async def _decode(self, gallery: Gallery, picture: Picture, how: Decode) -> Pyramid | None:
        """None if nothing can be made of the original, and a reduced picture answers for it from now on."""
        try:
            return await self._decode_original(gallery, picture, how)
        except (Undecodable, TooLarge) as error:
            if self.previews is not None and await self.previews.leave_out_original(gallery, picture, str(error)):
                return None
            if isinstance(error, TooLarge):
                asset = picture.asset
                self._remember_failure((gallery.name, asset.id, asset.version), asset.name, error)
            raise

    async def _decode_original(self, gallery: Gallery, picture: Picture, how: Decode) -> Pyramid:
        cost_px = self._renderer.decode_cost_px(how, picture.facts)
        # Opened before anything is taken that others need: a provider that hangs here holds up nobody's render.
        original = await gallery.open(picture.asset)
        try:
            # All bytes are here before a thread is taken: a slow network holds up nobody's render either.
            await original.prepare()
            async with self._budget.hold(cost_px):
                key = _source(gallery, picture, None), picture.page, how
                return await self._growths.decoded(key, original.stream, picture.facts)
        finally:
            with trio.CancelScope(shield=True):
                await original.aclose()

    def _cut(
        self, pyramid: Pyramid, requests: Sequence[ImageRequest], facts: Facts, reduced: Extent | None
    ) -> list[Made]:
        """Runs in a thread."""
        bodies = [self._renderer.cut(pyramid, request, facts, reduced) for request in requests]
        return [Made(body, digest_of(body)) for body in bodies]

    def _remember_failure(self, key: tuple[str, str, str], name: str, error: TooLarge) -> None:
        log.warning("%s: %s: %s", key[0], name, error)
        self._failures[key] = error
        while len(self._failures) > FAILURES_KEPT:
            self._failures.popitem(last=False)

    def _as_node(self, account: AccountName, wanted: Wanted, digest: str, size_bytes: int) -> Rendered:
        picture = wanted.picture
        node = Rendition(account, picture.service, picture.asset.version, wanted.label, self.fingerprint, digest)
        return Rendered(node, size_bytes)

    def _key_of(self, gallery: Gallery, wanted: Wanted, reduced: Reduced | None) -> bytes:
        picture = wanted.picture
        source = () if reduced is None else (reduced.tag,)
        version = picture.asset.version
        return _hashed(gallery.name, picture.service, version, wanted.label, self.fingerprint, *source)

    def _group(self, account: str, asset: str, version: str) -> bytes:
        return _hashed(account, asset, version, self.fingerprint)


def _chosen_of(sources: Sources, wanted: Wanted) -> Reduced | None:
    request = wanted.request
    return chosen(sources, wanted.picture.extent, request.region, request.size.extent)


def _decode_of(wanted: Wanted, reduced: Reduced | None) -> Decode:
    return Decode.FULL if reduced is not None else plan_for(wanted.request, wanted.picture.facts).decode


def _decode_key(gallery: Gallery, wanted: Wanted, reduced: Reduced | None) -> Key:
    return _source(gallery, wanted.picture, reduced), wanted.picture.page, _decode_of(wanted, reduced)


def _source(gallery: Gallery, picture: Picture, reduced: Reduced | None) -> str:
    """The renderer's name for these bytes."""
    name = f"{gallery.account}/{picture.asset.id}/{picture.asset.version}"
    return name if reduced is None else f"{name}/{reduced.tag}"


def _nobody(gallery: Gallery, wanted: Wanted) -> None:
    """Tells nobody."""


def _hashed(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=20).digest()
