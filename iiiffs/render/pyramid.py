"""Decoded pictures and their halves, and the budget of memory that they are kept in.

Threads: `PyramidCache` may be used from any number of them. One lock guards its tables and is never held while
anything is decoded; a second asker of a picture that is being decoded waits for that decode, nobody else does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

from PIL import Image

from iiiffs.render.colour import Conversion
from iiiffs.render.plan import Decode
from iiiffs.render.sheets import Sheet, Sheets
from iiiffs.render.transform import Box, Part

PART_SHARES_MAX = (1, 8, 4)
"""A part of the level so many below the first is halved by itself if it is at most one in so many of it."""
CELL_PX = 512
"""Halves of the first level are made and kept in squares of this side: what a tile of either of the next two levels, of
the usual side, is made of."""
CROP_PX_MAX = 1 << 25
"""Image.crop warns of a bomb from 89 MP on."""


class Pyramid:
    """One decode of a picture: the level that came out of the codec, and the halves below it, made when first asked.

    Shapes: levels are as stored, not upright. Images in it are shared between threads: never change one.
    """

    def __init__(
        self, first: Sheet, first_level: int, orientation: int, conversion: Conversion | None, sheets: Sheets
    ) -> None:
        self.orientation = orientation
        self.conversion = conversion
        self._first_level = first_level
        self._levels = [first]
        self._cells: dict[tuple[int, int], Image.Image] = {}
        """By column and row, until the level that they are of is whole."""
        self._sheets = sheets
        self._lock = Lock()
        total = first.size_bytes * 4 // 3
        self.file_bytes = 0 if first.mapping is None else total
        """What all its levels take of the disk, those in memory counted as well."""
        self.memory_bytes = total if first.mapping is None else 0
        """What they take of memory; of one in a file that the kernel holds nothing that it may not give up but 1/64."""

    @property
    def is_srgb(self) -> bool:
        """Its levels are sRGB, or grey, as they are, without alpha."""
        return self.conversion is None and self._levels[0].image.mode in ("L", "RGB")

    def level(self, level: int) -> PyramidLevel:
        """The picture at 1/2^level, never above the first level. Each pixel is the mean of four."""
        assert level >= self._first_level, "cut from another decode than the plan's"
        return PyramidLevel(self, level - self._first_level)

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of the level that many below the first."""
        width, height = self._levels[0].image.size
        return -(-width >> index), -(-height >> index)

    def crop(self, index: int, box: Box) -> Image.Image:
        """That part of the level that many below the first.

        A small part of the two levels next to the first is halved by itself, the same to the pixel: tiles of them,
        which are all that a deep zoom asks of them, wait for nobody who halves the whole.
        """
        if self._is_halved_alone(index, box):
            return self._halved_alone(index, box)
        return _crop(self._whole(index), box)

    def part(self, index: int, box: Box) -> Part:
        """As `crop`, where the part may stay in the level that it is of."""
        if self._is_halved_alone(index, box):
            half = self._halved_alone(index, box)
            return half, (0, 0, half.width, half.height)
        return self._whole(index), box

    def rows_of_first(self, index: int, box: Box) -> int | None:
        """How many rows of the first level that part is made of, from its top on; None if it takes all of them."""
        if index == 0:
            return box[3]
        if not self._is_halved_alone(index, box):
            return None
        rows = box[3] if index == 1 else -(-2 * box[3] // CELL_PX) * CELL_PX
        return min(2 * rows, self._levels[0].image.height)

    def _is_halved_alone(self, index: int, box: Box) -> bool:
        if not 1 <= index < len(PART_SHARES_MAX) or len(self._levels) > 1 or self._levels[0].mapping is not None:
            return False
        width, height = self.size(index)
        return (box[2] - box[0]) * (box[3] - box[1]) * PART_SHARES_MAX[index] <= width * height

    def _halved_alone(self, index: int, box: Box) -> Image.Image:
        if index == 2:
            return self._quartered(box)
        column, row = box[0] // CELL_PX, box[1] // CELL_PX
        return self._cell(column, row) if box == self._cell_box(column, row) else self._halved(box)

    def _quartered(self, box: Box) -> Image.Image:
        """A part of the second level below the first: its cells of the level between, halved."""
        half = CELL_PX // 2
        part = Image.new(self._levels[0].image.mode, (box[2] - box[0], box[3] - box[1]), None)
        for row in range(box[1] // half, -(-box[3] // half)):
            for column in range(box[0] // half, -(-box[2] // half)):
                part.paste(self._cell(column, row).reduce(2), (column * half - box[0], row * half - box[1]))
        return part

    def _cell(self, column: int, row: int) -> Image.Image:
        """Of the level next to the first. Two threads that need one at once may both make it: the same to the pixel."""
        cell = self._cells.get((column, row))
        if cell is None:
            cell = self._cells[column, row] = self._halved(self._cell_box(column, row))
        return cell

    def _cell_box(self, column: int, row: int) -> Box:
        width, height = self.size(1)
        left, top = column * CELL_PX, row * CELL_PX
        return left, top, min(left + CELL_PX, width), min(top + CELL_PX, height)

    def _halved(self, box: Box) -> Image.Image:
        """That part of the level next to the first."""
        first = self._levels[0].image
        right, bottom = min(2 * box[2], first.width), min(2 * box[3], first.height)
        return first.reduce(2, (2 * box[0], 2 * box[1], right, bottom))

    def _whole(self, index: int) -> Image.Image:
        if index >= len(self._levels):
            with self._lock:
                while index >= len(self._levels):
                    self._levels.append(self._sheets.halved(self._levels[-1]))
                self._cells.clear()
        return self._levels[index].image

    def let_go(self) -> None:
        """Levels in files are out of this process's memory until they are looked at again."""
        for sheet in tuple(self._levels):
            sheet.let_go()


@dataclass(frozen=True, slots=True)
class PyramidLevel:
    """transform.Level: one level of a pyramid, halved when it is first needed."""

    pyramid: Pyramid
    index: int

    @property
    def size(self) -> tuple[int, int]:
        """Rule: Level.size."""
        return self.pyramid.size(self.index)

    def crop(self, box: Box) -> Image.Image:
        """Rule: Level.crop."""
        return self.pyramid.crop(self.index, box)

    def part(self, box: Box) -> Part:
        """As `crop`, where the part may stay in the level."""
        return self.pyramid.part(self.index, box)

    def rows_of_first(self, box: Box) -> int | None:
        """Rule: Pyramid.rows_of_first."""
        return self.pyramid.rows_of_first(self.index, box)


def _crop(image: Image.Image, box: Box) -> Image.Image:
    if box == (0, 0, *image.size):
        return image
    size = (box[2] - box[0], box[3] - box[1])
    if size[0] * size[1] <= CROP_PX_MAX:
        return image.crop(box)
    return image.transform(size, Image.Transform.EXTENT, box, Image.Resampling.NEAREST)


Key = tuple[str, int, Decode]
"""Source, page, decode."""


class PyramidCache:
    """Pyramids by key, the least recently used dropped first once they hold over `bytes_max` of memory or files.

    One that is larger than all of it is given to those who wait for it and not kept.
    """

    def __init__(self, bytes_max: int, file_bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._file_bytes_max = file_bytes_max
        self._file_bytes_held = 0
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
    def file_bytes_held(self) -> int:
        """The files of all that is kept."""
        return self._file_bytes_held

    @property
    def hits(self) -> int:
        """How often a pyramid was there, or on its way, when it was asked for."""
        return self._hits

    def peek(self, key: Key) -> Pyramid | None:
        """The pyramid of `key` if it is kept; one that is on its way is not waited for."""
        with self._lock:
            return self._used(key)

    def get(self, key: Key, decode: Callable[[], Pyramid]) -> Pyramid:
        """The pyramid of `key`, by one call of `decode` however many threads ask. Its error goes to all of them."""
        with self._lock:
            if (pyramid := self._used(key)) is not None:
                return pyramid
            if (coming := self._coming.get(key)) is not None:
                self._hits += 1
            else:
                mine = self._coming[key] = Future()
        if coming is not None:
            return coming.result()
        return self._fulfil(key, mine, decode)

    def _used(self, key: Key) -> Pyramid | None:
        pyramid = self._kept.get(key)
        if pyramid is not None:
            self._kept.move_to_end(key)
            self._hits += 1
        return pyramid

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
        if pyramid.memory_bytes > self._bytes_max or pyramid.file_bytes > self._file_bytes_max:
            return
        self._kept[key] = pyramid
        self._bytes_held += pyramid.memory_bytes
        self._file_bytes_held += pyramid.file_bytes
        while self._bytes_held > self._bytes_max or self._file_bytes_held > self._file_bytes_max:
            dropped = self._least_recent(in_file=self._bytes_held <= self._bytes_max)
            self._bytes_held -= dropped.memory_bytes
            self._file_bytes_held -= dropped.file_bytes

    def _least_recent(self, *, in_file: bool) -> Pyramid:
        """It is kept no longer."""
        key = next(key for key, pyramid in self._kept.items() if bool(pyramid.file_bytes) is in_file)
        return self._kept.pop(key)
