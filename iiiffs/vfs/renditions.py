"""Renditions: found in the cache, or rendered once, whoever asks how often.

Everything is decided and done before a lookup answers, so that a failure is a missing file and never a cut answer.
A key is (account's name, asset, version, canonical request, renderer's fingerprint): what is cached never changes what
is rendered (DESIGN §2.5). A picture that is too large for this machine is remembered until it changes.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import trio

from iiiffs.cache.renditions import RenditionStore
from iiiffs.errors import TooLarge, VersionChanged
from iiiffs.iiif.request import ImageRequest, canonical
from iiiffs.model.gallery import AccountName, AssetId, Version
from iiiffs.render.renderer import Renderer
from iiiffs.tree.nodes import Rendition
from iiiffs.vfs.bodies import Bodies
from iiiffs.vfs.budget import PixelBudget
from iiiffs.vfs.document_records import digest_of
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.pictures import Picture

log = logging.getLogger(__name__)

FAILURES_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request for one picture, understood."""

    picture: Picture
    request: ImageRequest


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendition as the tree shows it."""

    node: Rendition
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RenderRoom:
    """How much may be rendered at once: `threads` at a time, `pixels` held in memory by them."""

    threads: int
    pixels: int


class Renditions:
    """All renditions of all accounts."""

    def __init__(
        self, store: RenditionStore, renderer: Renderer, flights: Flights, bodies: Bodies, limits: RenderRoom
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._flights = flights
        self._bodies = bodies
        self._budget = PixelBudget(limits.pixels)
        self._threads = trio.CapacityLimiter(limits.threads)
        self._failures: OrderedDict[tuple[str, str, str], TooLarge] = OrderedDict()
        self.rendered = 0

    @property
    def fingerprint(self) -> str:
        """What, besides the original and the request, decides a rendition's bytes."""
        return self._renderer.fingerprint

    async def rendition(self, gallery: Gallery, wanted: Wanted) -> Rendered:
        """The rendition, there to be read. Errors: RenderError, VersionChanged, DeadlinePassed, ProviderError."""
        picture = wanted.picture
        label = "/".join(canonical(wanted.request, picture.extent))
        key = self._key(gallery.name, picture.service, picture.asset.version, label)
        stored = self._store.peek(key)
        if stored is not None:
            return self._as_node(gallery.account, picture, label, stored.digest.hex(), stored.size_bytes)
        failure = self._failures.get((gallery.name, picture.asset.id, picture.asset.version))
        if failure is not None:
            raise failure.with_traceback(None)
        with gallery.questions.place():
            body = await self._flights.join(
                ("rendition", key), partial(self._render, gallery, wanted, label, key), gallery.deadlines.render_s
            )
        return self._as_node(gallery.account, picture, label, digest_of(body), len(body))

    async def body(self, gallery: Gallery, node: Rendition, wanted: Wanted) -> bytes:
        """The bytes of exactly this node. Errors: VersionChanged if a new render differs (never served under it)."""
        body = self._bodies.get(node)
        if body is None:
            key = self._key(gallery.name, node.asset, node.version, node.canonical)
            body = self._store.get(key)
            if body is None:
                with gallery.questions.place():
                    body = await self._flights.join(
                        ("rendition", key),
                        partial(self._render, gallery, wanted, node.canonical, key),
                        gallery.deadlines.render_s,
                    )
            if digest_of(body) != node.digest:
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

    async def _render(self, gallery: Gallery, wanted: Wanted, label: str, key: bytes) -> bytes:
        picture, asset = wanted.picture, wanted.picture.asset
        source = f"{gallery.account}/{asset.id}/{asset.version}"
        cost_px = self._renderer.cost_px(wanted.request, picture.facts)
        # Opened before anything is taken that others need: a provider that hangs here holds up nobody else's render.
        original = await gallery.open(asset)
        try:
            async with self._budget.hold(cost_px):
                body = await trio.to_thread.run_sync(
                    self._renderer.render,
                    source,
                    original.stream,
                    wanted.request,
                    picture.facts,
                    picture.page,
                    limiter=self._threads,
                    abandon_on_cancel=True,
                )
        except TooLarge as error:
            self._remember_failure((gallery.name, asset.id, asset.version), asset.name, error)
            raise
        finally:
            with trio.CancelScope(shield=True):
                await original.aclose()
        self.rendered += 1
        self._store.put_nowait(key, self._group(gallery.name, picture.service, asset.version), label, body)
        node = self._as_node(gallery.account, picture, label, digest_of(body), len(body)).node
        self._bodies.put(node, body)
        return body

    def _remember_failure(self, key: tuple[str, str, str], name: str, error: TooLarge) -> None:
        log.warning("%s: %s: %s", key[0], name, error)
        self._failures[key] = error
        while len(self._failures) > FAILURES_KEPT:
            self._failures.popitem(last=False)

    def _as_node(self, account: AccountName, picture: Picture, label: str, digest: str, size_bytes: int) -> Rendered:
        node = Rendition(account, picture.service, picture.asset.version, label, self.fingerprint, digest)
        return Rendered(node, size_bytes)

    def _key(self, account: str, asset: str, version: str, label: str) -> bytes:
        return _hashed(account, asset, version, label, self.fingerprint)

    def _group(self, account: str, asset: str, version: str) -> bytes:
        return _hashed(account, asset, version, self.fingerprint)


def _hashed(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=20).digest()
