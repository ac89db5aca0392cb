"""Renditions: found in the cache, or rendered once, whoever asks how often.

Everything is decided and done before a lookup answers, so that a failure is a missing file and never a cut answer.
A key is (account's name, asset, version, canonical request, renderer's fingerprint): what is cached never changes what
is rendered (DESIGN §2.5). A picture that is too large for this machine is remembered until it changes.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import trio

from iiiffs.cache.entries import digest_of
from iiiffs.cache.renditions import RenditionStore
from iiiffs.errors import TooLarge, VersionChanged
from iiiffs.iiif.request import ImageRequest
from iiiffs.model.gallery import AccountName, AssetId, Facts, Version
from iiiffs.render.plan import Decode
from iiiffs.render.pyramid import Pyramid
from iiiffs.render.renderer import Renderer, plan_for
from iiiffs.tree.nodes import Rendition
from iiiffs.vfs.bodies import Bodies
from iiiffs.vfs.budget import PixelBudget
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.pictures import Picture
from iiiffs.vfs.render_threads import RenderThreads

log = logging.getLogger(__name__)

FAILURES_KEPT = 1024
SPARE_BYTES = 1 << 20
"""More than a few tiles need."""


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
        self.rendered = 0
        self.on_miss: Callable[[Gallery, Wanted], None] = _nobody
        """Told of each rendition that somebody waits for and the cache has not."""

    @property
    def fingerprint(self) -> str:
        """What, besides the original and the request, decides a rendition's bytes."""
        return self._renderer.fingerprint

    async def rendition(self, gallery: Gallery, wanted: Wanted) -> Rendered:
        """The rendition, there to be read. Errors: RenderError, VersionChanged, DeadlinePassed, ProviderError."""
        picture = wanted.picture
        stored = self._store.peek(self._key_of(gallery, wanted))
        if stored is not None:
            return self._as_node(gallery.account, wanted, stored.digest.hex(), stored.size_bytes)
        failure = self._failures.get((gallery.name, picture.asset.id, picture.asset.version))
        if failure is not None:
            raise failure.with_traceback(None)
        self.on_miss(gallery, wanted)
        with gallery.questions.place():
            made = await self.make(gallery, wanted)
        return self._as_node(gallery.account, wanted, made.digest.hex(), len(made.body))

    async def body(self, gallery: Gallery, node: Rendition, wanted: Wanted) -> bytes:
        """The bytes of exactly this node. Errors: VersionChanged if a new render differs (never served under it)."""
        body = self._bodies.get(node)
        if body is None:
            found = self._store.find(self._key(gallery.name, node.asset, node.version, node.canonical))
            if found is None:
                with gallery.questions.place():
                    made = await self.make(gallery, wanted)
                found = made.body, made.digest
            body, digest = found
            if digest.hex() != node.digest:
                raise VersionChanged(f"{node.canonical} of {node.asset} was rendered anew and differs")
            self._bodies.put(node, body)
        return body

    def existing(self, gallery: Gallery, asset: AssetId, version: Version) -> list[tuple[str, Rendered]]:
        """The canonical paths of one asset version that are rendered already, for listings."""
        account = gallery.account
        return [
            (label, Rendered(Rendition(account, asset, version, label, self.fingerprint, digest.hex()), size_bytes))
            for label, size_bytes, digest in self._store.labels(self._group(gallery.name, asset, version))
        ]

    async def has_spare(self) -> bool:
        """The cache can keep some more without forgetting anything. Waits while its disk does not keep up."""
        await self._store.wait_for_room(SPARE_BYTES)
        return self._store.has_spare(SPARE_BYTES)

    def is_decoded(self, gallery: Gallery, wanted: Wanted) -> bool:
        """The pixels that it is cut from are held, so that others can be cut from them at little cost."""
        picture = wanted.picture
        return self._renderer.kept(_source(gallery, picture), _decode_of(wanted), picture.page) is not None

    async def make(self, gallery: Gallery, wanted: Wanted) -> Made:
        """The rendition, made now or joined while it is being made. Errors: as `rendition`."""
        key = self._key_of(gallery, wanted)
        work = partial(self._render, gallery, wanted, key)
        return await self._flights.join(("rendition", key), work, gallery.deadlines.render_s)

    async def make_missing(self, gallery: Gallery, some: Sequence[Wanted]) -> int:
        """Those of `some`, of one picture, are there that were not there or on their way. How many that were.

        Those of one decode are cut in one turn of a thread. Errors: as `rendition`.
        """
        made = 0
        for how in Decode:  # a sliver at the picture's edge may need another one than its neighbours
            missing = {self._key_of(gallery, wanted): wanted for wanted in some if _decode_of(wanted) is how}
            for key in list(missing):
                if self._flights.is_flying(("rendition", key)) or self._store.has(key):
                    del missing[key]
            if missing:
                flying = [("rendition", key) for key in missing]
                await self._flights.together(flying, partial(self._render_all, gallery, missing))
                made += len(missing)
        return made

    async def decoded(self, gallery: Gallery, picture: Picture, how: Decode) -> Pyramid:
        """The picture's pixels, decoded once whoever asks how often. Errors: as `rendition`."""
        source = _source(gallery, picture)
        kept = self._renderer.kept(source, how, picture.page)
        if kept is not None:
            return kept
        work = partial(self._decode, gallery, picture, how)
        return await self._flights.join(("decode", source, picture.page, how), work, gallery.deadlines.render_s)

    async def _render(self, gallery: Gallery, wanted: Wanted, key: bytes) -> Made:
        return (await self._render_all(gallery, {key: wanted}))[0]

    async def _render_all(self, gallery: Gallery, some: Mapping[bytes, Wanted]) -> list[Made]:
        """All of one picture and one decode of it, made in one turn of a thread and kept."""
        first = next(iter(some.values()))
        picture = first.picture
        pyramid = await self.decoded(gallery, picture, _decode_of(first))
        requests = [wanted.request for wanted in some.values()]
        async with self._budget.hold(max(map(self._renderer.cut_cost_px, requests))):
            made = await self._threads.run(self._cut, pyramid, requests, picture.facts)
        group = self._group(gallery.name, picture.service, picture.asset.version)
        for (key, wanted), one in zip(some.items(), made, strict=True):
            self.rendered += 1
            self._store.put_nowait(key, group, wanted.label, one.body, one.digest)
            self._bodies.put(self._as_node(gallery.account, wanted, one.digest.hex(), len(one.body)).node, one.body)
        return made

    async def _decode(self, gallery: Gallery, picture: Picture, how: Decode) -> Pyramid:
        asset = picture.asset
        try:
            cost_px = self._renderer.decode_cost_px(how, picture.facts)
            # Opened before anything is taken that others need: a provider that hangs here holds up nobody's render.
            original = await gallery.open(asset)
            try:
                # All bytes are here before a thread is taken: a slow network holds up nobody's render either.
                await original.prepare()
                async with self._budget.hold(cost_px):
                    return await self._threads.run(
                        self._renderer.decoded,
                        _source(gallery, picture),
                        original.stream,
                        how,
                        picture.facts,
                        picture.page,
                    )
            finally:
                with trio.CancelScope(shield=True):
                    await original.aclose()
        except TooLarge as error:
            self._remember_failure((gallery.name, asset.id, asset.version), asset.name, error)
            raise

    def _cut(self, pyramid: Pyramid, requests: Sequence[ImageRequest], facts: Facts) -> list[Made]:
        """Runs in a thread."""
        bodies = [self._renderer.cut(pyramid, request, facts) for request in requests]
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

    def _key_of(self, gallery: Gallery, wanted: Wanted) -> bytes:
        picture = wanted.picture
        return self._key(gallery.name, picture.service, picture.asset.version, wanted.label)

    def _key(self, account: str, asset: str, version: str, label: str) -> bytes:
        return _hashed(account, asset, version, label, self.fingerprint)

    def _group(self, account: str, asset: str, version: str) -> bytes:
        return _hashed(account, asset, version, self.fingerprint)


def _decode_of(wanted: Wanted) -> Decode:
    return plan_for(wanted.request, wanted.picture.facts).decode


def _source(gallery: Gallery, picture: Picture) -> str:
    """The renderer's name for these bytes."""
    return f"{gallery.account}/{picture.asset.id}/{picture.asset.version}"


def _nobody(gallery: Gallery, wanted: Wanted) -> None:
    """Tells nobody."""


def _hashed(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=20).digest()
