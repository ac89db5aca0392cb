"""Cutting ahead: whoever looks at one tile of a picture will look at others, and they are there before they are asked.

The first tile that misses and needs the original's pixels begins it; one that a provider's reduced picture answers
begins nothing, for it fetches none. The full decode starts at once beside the draft that the overview needs, then
every tile of the pyramid is cut, coarse ones first as a viewer asks, the finest while the full decode still fills the
rows below them (render/growing.py). All of it at low priority: each step begins only when a render thread is idle,
takes a few milliseconds, and is joined by whoever asks for that tile meanwhile. The picture that was looked at last
goes first. It stops, for that picture, where the decoded pixels are not kept in the budget, where the cache would have
to forget something for it, and at the first error.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice

import trio

from iiiffs.errors import IiiffsError
from iiiffs.iiif.parameters import Format, Quality, Rotation, Size
from iiiffs.iiif.pyramid import Tile, scale_factors, tile_scale, tile_side, tiles
from iiiffs.iiif.request import ImageRequest, canonical
from iiiffs.iiif.scaling import Limits, fitted
from iiiffs.model.gallery import AccountName, AssetId, Version
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.pictures import Picture
from iiiffs.vfs.render_threads import RenderThreads
from iiiffs.vfs.renditions import Renditions, Wanted

log = logging.getLogger(__name__)

PICTURES_MAX = 4
"""That wait; of more, the one that was looked at longest ago is left to be cut tile by tile as it is asked."""
TILES_AT_ONCE = 6
"""That a thread cuts in one turn: fewer turns cost less, more make others wait longer."""
FINE = 3
"""Levels of which a tile can be cut before the picture is decoded to its end."""
SORTED_PX_MAX = 64_000_000
"""More tiles than such a picture has are not thought of at once."""
UPRIGHT = Rotation(mirrored=False, degrees=Fraction(0))
SEEN_KEPT = 1024
AGAIN_S = 60.0
"""A picture that was done with is begun again only after this: its tiles were evicted, or it was stopped."""

Key = tuple[AccountName, AssetId, Version]


@dataclass(frozen=True, slots=True)
class _Job:
    """A picture and what is left to be cut of it."""

    gallery: Gallery
    picture: Picture
    rest: Iterator[list[Wanted]]


class CutAhead:
    """All pictures of all accounts. `run` is the service; until it runs, what is wanted waits."""

    def __init__(self, renditions: Renditions, threads: RenderThreads, limits: Limits, tile_size: int) -> None:
        self._renditions = renditions
        self._threads = threads
        self._limits = limits
        self._side = tile_side(tile_size, limits)
        self._waiting: OrderedDict[Key, _Job] = OrderedDict()
        self._done: OrderedDict[Key, float] = OrderedDict()
        self._arrived = trio.Event()
        self._steps = 0
        self.cut = 0

    @property
    def waiting(self) -> int:
        """Pictures of which something is left to be cut."""
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Nothing is left to be cut, and nothing is being cut."""
        return not self._waiting and not self._steps

    def missed(self, gallery: Gallery, wanted: Wanted) -> None:
        """Somebody waits for a rendition: if it is a tile, the rest of its picture is cut soon."""
        picture, request = wanted.picture, wanted.request
        if request.format is not Format.JPG or request.quality is not Quality.DEFAULT:
            return
        if not self._renditions.needs_original(gallery, wanted):
            return
        whole = request.region.extent == picture.extent
        turned = request.rotation.mirrored or request.rotation.degrees
        if whole or turned or tile_scale(request.region, request.size.extent, picture.extent, self._side) is None:
            return
        key = (gallery.account, picture.service, picture.asset.version)
        if key in self._waiting:
            self._waiting.move_to_end(key)
        elif trio.current_time() - self._done.get(key, -AGAIN_S) >= AGAIN_S:
            self._waiting[key] = _Job(gallery, picture, self._tiles(gallery, picture))
            while len(self._waiting) > PICTURES_MAX:
                self._finished(next(iter(self._waiting)))
            self._arrived.set()

    async def run(self) -> None:
        """A service: cuts whatever waits, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = trio.Event()
            async with trio.open_nursery() as nursery:
                for _ in range(self._threads.count):
                    nursery.start_soon(self._work)

    async def _work(self) -> None:
        """Tile after tile of whatever picture is the most recent, until none is left."""
        while self._waiting:
            await self._threads.spare()
            if not self._waiting:
                return
            key = next(reversed(self._waiting))
            job = self._waiting[key]
            self._steps += 1
            try:
                unfinished = await self._step(job)
            except IiiffsError as error:
                log.debug("cutting %s ahead stopped: %s", job.picture.asset.name, error)
                unfinished = False
            finally:
                self._steps -= 1
            if not unfinished and self._waiting.get(key) is job:
                self._finished(key)

    async def _step(self, job: _Job) -> bool:
        """A few more tiles are there; False if there is nothing more to do, or no room for it."""
        some = next(job.rest, None)
        if some is None or not await self._renditions.has_spare():
            return False
        cut = await self._renditions.make_missing(job.gallery, some)
        self.cut += cut
        return not cut or self._renditions.is_decoded(job.gallery, some[0])

    def _finished(self, key: Key) -> None:
        del self._waiting[key]
        self._done[key] = trio.current_time()
        self._done.move_to_end(key)
        while len(self._done) > SEEN_KEPT:
            self._done.popitem(last=False)

    def _tiles(self, gallery: Gallery, picture: Picture) -> Iterator[list[Wanted]]:
        """A few at a time: one of the finest, so that its decode begins at once; then coarse first.

        The finest levels, most of all tiles, in the order in which their pixels come while it is being decoded.
        """
        yield [self._wanted(picture, next(tiles(picture.extent, self._side, 1)))]
        scales = scale_factors(picture.extent, self._side)
        for scale in reversed(scales[FINE:]):
            yield from _batches(self._level(picture, scale))
        fine: Iterator[Wanted] = chain.from_iterable(self._level(picture, scale) for scale in reversed(scales[:FINE]))
        if picture.extent.area_px <= SORTED_PX_MAX:
            fine = iter(self._renditions.as_rows_come(gallery, fine))
        yield from _batches(fine)

    def _level(self, picture: Picture, scale: int) -> Iterator[Wanted]:
        return (self._wanted(picture, tile) for tile in tiles(picture.extent, self._side, scale))

    def _wanted(self, picture: Picture, tile: Tile) -> Wanted:
        request = tile_request(tile, self._limits)
        return Wanted(picture, request, "/".join(canonical(request, picture.extent)))


def tile_request(tile: Tile, limits: Limits) -> ImageRequest:
    """What asking for that tile means; `parse_request` says the same of its words."""
    size = Size(tile.extent, False, tile.extent == fitted(tile.region.extent, limits, upscale=False))
    return ImageRequest(tile.region, size, UPRIGHT, Quality.DEFAULT, Format.JPG)


def _batches(some: Iterator[Wanted]) -> Iterator[list[Wanted]]:
    while batch := list(islice(some, TILES_AT_ONCE)):
        yield batch
