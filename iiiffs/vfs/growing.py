"""Decodes in progress, as trio's thread sees them: rows that are there may be cut while the others come."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import trio

from iiiffs.iiif.request import ImageRequest
from iiiffs.model.gallery import Facts
from iiiffs.render.plan import DRAFTS
from iiiffs.render.pyramid import Key, Pyramid
from iiiffs.render.renderer import OpenStream, Renderer
from iiiffs.vfs.render_threads import RenderThreads


class Growth:
    """One decode. Filled by `watch`, in the thread that decodes; everything else is trio's thread's."""

    def __init__(self) -> None:
        self.pyramid: Pyramid | None = None
        self._rows = 0
        self._has_ended = False
        self._token = trio.lowlevel.current_trio_token()
        self._more = trio.Event()

    def watch(self, pyramid: Pyramid, rows: int) -> None:
        """Rule: decode.Watch. Who hears of rows through trio's queue sees all that was written to them before."""
        with suppress(trio.RunFinishedError):  # an abandoned thread may outlive the daemon's loop: nobody waits
            self._token.run_sync_soon(self._grew, pyramid, rows)

    def end(self) -> None:
        """No more rows come: all are there, or it failed."""
        self._has_ended = True
        self._more.set()

    async def begun(self) -> Pyramid | None:
        """The picture, whose first rows are there; None if it has ended before."""
        while self.pyramid is None and not self._has_ended:
            await self._more.wait()
        return self.pyramid

    async def has(self, rows: int) -> bool:
        """So many rows are there; False if it has ended before."""
        while self._rows < rows and not self._has_ended:
            await self._more.wait()
        return self._rows >= rows

    def _grew(self, pyramid: Pyramid, rows: int) -> None:
        if not self._has_ended:
            self.pyramid, self._rows = pyramid, rows
            more, self._more = self._more, trio.Event()
            more.set()


class Growths:
    """All decodes of originals that are in progress. Of one key there is one at a time (Flights sees to it).

    A growth is held, and with it its picture, exactly while its decode is waited for.
    """

    def __init__(self, renderer: Renderer, threads: RenderThreads) -> None:
        self._renderer = renderer
        self._threads = threads
        self._growths: dict[Key, Growth] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._growths

    async def decoded(self, key: Key, stream: OpenStream, facts: Facts) -> Pyramid:
        """The decoded picture; its rows may be looked at while they come. Errors: as `Renderer.decoded`."""
        source, page, how = key
        growth = self._growths[key] = Growth()
        try:
            return await self._threads.run(self._renderer.decoded, source, stream, how, facts, page, growth.watch)
        finally:
            del self._growths[key]
            growth.end()

    async def rows_for(self, key: Key, requests: Sequence[ImageRequest], facts: Facts) -> Pyramid | None:
        """The picture, while it is being decoded, with all rows that `requests` take; None: wait for its end.

        Only of one that is known to be whole, since a damaged picture has no rendition, not even of its better part:
        the draft of this version has read the same bytes to their end.
        """
        source, page, _ = key
        growth = self._growths.get(key)
        if growth is None or not any(self._renderer.kept(source, how, page) for how in DRAFTS):
            return None
        pyramid = await growth.begun()
        if pyramid is None:
            return None
        needed = 0
        for request in requests:
            rows = self._renderer.rows_for(pyramid, request, facts)
            if rows is None:
                return None
            needed = max(needed, rows)
        return pyramid if await growth.has(needed) else None

    def order(self, key: Key, requests: Sequence[ImageRequest], facts: Facts) -> Sequence[int]:
        """Which of `requests` can be cut first, second and so on while it is being decoded; else as they are."""
        growth = self._growths.get(key)
        pyramid = None if growth is None else growth.pyramid
        as_they_are = range(len(requests))
        if pyramid is None or facts.extent is None:
            return as_they_are
        rows = [self._renderer.rows_for(pyramid, request, facts) for request in requests]
        last = max(facts.extent.width, facts.extent.height)
        return sorted(as_they_are, key=lambda index: last if (row := rows[index]) is None else row)
