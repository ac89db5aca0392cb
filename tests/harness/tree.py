"""A whole file system over in-memory providers, without kernel and without daemon: what vfs tests walk."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio
from PIL import Image

from iiiffs.cache.store import Cache, open_cache
from iiiffs.iiif.description import PRIVATE as PRIVACY
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Identifiers, Uris
from iiiffs.model.gallery import AccountName, AccountNames
from iiiffs.providers.base import Provider
from iiiffs.render.renderer import Renderer, RenderLimits
from iiiffs.state.store import State
from iiiffs.tree.nodes import Directory, Node, PageKind, Root
from iiiffs.tree.visibility import PRIVATE, Visibility
from iiiffs.vfs.ahead import CutAhead
from iiiffs.vfs.bodies import Bodies
from iiiffs.vfs.control_files import ControlFiles
from iiiffs.vfs.document_records import DocumentRecords
from iiiffs.vfs.documents import Documents, Rules
from iiiffs.vfs.entries import Absent, Found
from iiiffs.vfs.filesystem import Filesystem
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.pages import Pages
from iiiffs.vfs.previews import Previews
from iiiffs.vfs.reading import Deadlines
from iiiffs.vfs.render_threads import RenderThreads
from iiiffs.vfs.renditions import Renditions
from iiiffs.vfs.services import Services
from iiiffs.vfs.shelved import gallery_of

BASE_URL = "http://127.0.0.1:8080"


def jpeg(width: int = 60, height: int = 40, colour: str = "navy") -> bytes:
    """A small picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass
class Tree:
    """The parts that tests look at."""

    filesystem: Filesystem
    galleries: dict[AccountName, Gallery]
    renditions: Renditions
    documents: Documents
    cache: Cache
    ahead: CutAhead
    """Is told of nothing and does not run, unless the test joins it up."""

    async def walk(self, path: str) -> Found:
        """What `path` leads to, looked up component by component; AssertionError if it is not there."""
        found = await self.try_walk(path)
        assert found is not None, path
        return found

    async def try_walk(self, path: str) -> Found | None:
        """As `walk`; None if a component is absent."""
        found = Found(Root(), self.filesystem.root_attributes)
        for name in path.split("/") if path else []:
            below = await self.filesystem.lookup(found.node, name)
            if isinstance(below, Absent):
                return None
            found = below
        return found

    async def names(self, path: str) -> list[str]:
        """What a listing of `path` tells."""
        node = (await self.walk(path)).node
        assert isinstance(node, Directory)
        return list((await self.filesystem.entries(node)).names)

    async def read(self, path: str) -> bytes:
        """All bytes of a file."""
        found = await self.walk(path)
        return await self.read_node(found.node, found.attributes.size_bytes)

    async def read_node(self, node: Node, size_bytes: int) -> bytes:
        """All bytes of a node, which are as many as its attributes said."""
        handle = await self.filesystem.open(node)  # type: ignore[arg-type]  # a test may try what is no file
        try:
            body = await handle.read(0, size_bytes + 1000)
        finally:
            await handle.aclose()
        assert len(body) == size_bytes
        return bytes(body)


def names_of(name: str) -> AccountNames:
    """Those of an account that has one name only."""
    return AccountNames(AccountName(name), AccountName(name))


@asynccontextmanager
async def tree_of(
    folder: Path,
    providers: Mapping[str, Provider],
    *,
    visibility: Visibility = PRIVATE,
    deadlines: Deadlines | None = None,
    manifest_max: int = 5000,
    names: Mapping[str, AccountNames] | None = None,
    identifiers: Mapping[AccountName, Identifiers] | None = None,
    quota_bytes: int = 64 << 20,
) -> AsyncIterator[Tree]:
    """A tree with these accounts, its cache in `folder`; opened again on the same folder it finds its cache again.

    `providers` go by slug; `names` has the names of those that have others too. `identifiers`: as in `Uris`.
    """
    cache, state = open_cache(folder / "cache", quota_bytes), State.open(folder / "state")
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(cache.writer.run)
            flights, bodies = Flights(nursery), Bodies(1 << 20)
            galleries = {
                AccountName(name): gallery_of(
                    (names or {}).get(name) or AccountNames(AccountName(name), AccountName(name)),
                    provider,
                    cache.catalogue,
                    flights,
                    deadlines or Deadlines(),
                )
                for name, provider in providers.items()
            }
            uris, limits = Uris(BASE_URL, identifiers or {}), Limits(1000, 1000, 10**6)
            rules = Rules(uris, limits, 512, visibility, PRIVACY, manifest_max, "fingerprint", 10**9)
            documents = Documents(rules, DocumentRecords(cache.catalogue, bodies, state.times, flights), flights)
            threads = RenderThreads(2)
            renditions = Renditions(cache.renditions, Renderer(RenderLimits()), flights, bodies, threads, 10**8)
            renditions.previews = Previews(partial(state.previews, fingerprint="renderer"), flights)
            services = Services(galleries, documents, renditions, began_ns=10**9)
            pages = Pages({kind: f"page {kind.value}".encode() for kind in PageKind}, 10**9)
            control = ControlFiles({"status.json": lambda: b"{}"}, 10**9)
            filesystem = Filesystem(galleries, documents, pages, services, control, flights)
            for gallery in galleries.values():
                if gallery.library is not None:
                    await gallery.library.run()
            ahead = CutAhead(renditions, threads, limits, 64)
            yield Tree(filesystem, galleries, renditions, documents, cache, ahead)
            nursery.cancel_scope.cancel()
    finally:
        cache.close()
        state.close()
