"""Decoded pictures and their halves, and the budget of memory that they are kept in.

Threads: `PyramidCache` may be used from any number of them. One lock guards its tables and is never held while
anything is decoded; a second asker of a picture that is being decoded waits for that decode, nobody else does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock

from PIL import Image

from iiiffs.render.colour import Conversion
from iiiffs.render.plan import Decode

_BYTES_PER_PX = {"L": 1}  # Pillow keeps 4 for every other level mode, LA included


class Pyramid:
    """One decode of a picture: the level that came out of the codec, and the halves below it, made when first asked.

    Shapes: levels are as stored, not upright. Images in it are shared between threads: never change one.
    """

    def __init__(self, first: Image.Image, first_level: int, orientation: int, conversion: Conversion | None) -> None:
        self.orientation = orientation
        self.conversion = conversion
        self._first_level = first_level
        self._levels = [first]
        self._lock = Lock()

    @property
    def size_bytes(self) -> int:
        """The memory that it holds once all its levels are made."""
        first = self._levels[0]
        return first.width * first.height * _BYTES_PER_PX.get(first.mode, 4) * 4 // 3

    def level(self, level: int) -> Image.Image:
        """The picture at 1/2^level, never above the first level. Each pixel is the mean of four."""
        index = level - self._first_level
        if index >= len(self._levels):
            with self._lock:
                while index >= len(self._levels):
                    self._levels.append(self._levels[-1].reduce(2))
        return self._levels[index]


Key = tuple[str, Decode]


class PyramidCache:
    """Pyramids by (source key, decode), the least recently used dropped first once they hold over `bytes_max`.

    One that is larger than all of `bytes_max` is given to those who wait for it and not kept.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._lock = Lock()
        self._kept: OrderedDict[Key, Pyramid] = OrderedDict()
        self._coming: dict[Key, Future[Pyramid]] = {}
        self._bytes_held = 0
        self._hits = 0

    @property
    def bytes_held(self) -> int:
        """The memory of all that is kept."""
        return self._bytes_held

    @property
    def hits(self) -> int:
        """How often a pyramid was there, or on its way, when it was asked for."""
        return self._hits

    def get(self, key: Key, decode: Callable[[], Pyramid]) -> Pyramid:
        """The pyramid of `key`, by one call of `decode` however many threads ask. Its error goes to all of them."""
        with self._lock:
            if (pyramid := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                self._hits += 1
                return pyramid
            if (coming := self._coming.get(key)) is not None:
                self._hits += 1
            else:
                mine = self._coming[key] = Future()
        if coming is not None:
            return coming.result()
        return self._fulfil(key, mine, decode)

    def _fulfil(self, key: Key, coming: Future[Pyramid], decode: Callable[[], Pyramid]) -> Pyramid:
        try:
            pyramid = decode()
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            coming.set_exception(error)
            raise
        with self._lock:
            del self._coming[key]
            self._keep(key, pyramid)
        coming.set_result(pyramid)
        return pyramid

    def _keep(self, key: Key, pyramid: Pyramid) -> None:
        if pyramid.size_bytes > self._bytes_max:
            return
        self._kept[key] = pyramid
        self._bytes_held += pyramid.size_bytes
        while self._bytes_held > self._bytes_max:
            _, dropped = self._kept.popitem(last=False)
            self._bytes_held -= dropped.size_bytes
