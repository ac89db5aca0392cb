"""Where decoded pixels lie: in memory, or, of a very large picture, in a file without a name.

300 MP are 1.2 GB in Pillow's layout, and 1.6 GB with their halves: more than a daemon may hold, and far too much to
decode anew for each tile. In a file they are the kernel's to keep or to write out, as memory allows, and one decode
serves every tile. The space is reserved before it is mapped: a full disk is an error, never a killed process.
Every step is done in bands, so that nothing else of the picture's size is ever in memory; what comes out is the same.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from iiiffs.errors import StoreError, StoreFull

FILE_FROM_PX = 50_000_000
"""More px than this lie in a file: with their halves they would fill the default memory for decoded pictures."""

_BAND_PX = 1 << 22
_BYTES_PER_PX = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Of a mode in Pillow's layout; 4 for every other one, LA included."""


def bytes_per_px(mode: str) -> int:
    """What Pillow keeps of one pixel."""
    return _BYTES_PER_PX.get(mode, 4)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture; `mapping` is the file that its pixels lie in, None if they are in memory."""

    image: Image.Image
    mapping: mmap.mmap | None = None

    @property
    def size_bytes(self) -> int:
        """The room that its pixels take, wherever that is."""
        return self.image.width * self.image.height * bytes_per_px(self.image.mode)

    def let_go(self) -> None:
        """No pixel is in this process's memory; the next look at one brings it back from the file."""
        if self.mapping is not None:
            self.mapping.madvise(mmap.MADV_DONTNEED)


class Sheets:
    """Makes sheets. `folder`: on a disk and not in memory (None: the system's for temporary files)."""

    def __init__(self, folder: Path | None, file_from_px: int) -> None:
        self._folder = folder
        self._file_from_px = file_from_px

    def is_large(self, size: tuple[int, int]) -> bool:
        """True if a picture of this size is to lie in a file."""
        return size[0] * size[1] >= self._file_from_px

    def blank(self, mode: str, size: tuple[int, int]) -> Sheet:
        """A sheet with undefined pixels. Errors: StoreFull if there is no room for its file."""
        if not self.is_large(size):
            return Sheet(Image.new(mode, size, None))
        stride = size[0] * bytes_per_px(mode)
        with self._unnamed_file() as file:
            try:
                os.posix_fallocate(file.fileno(), 0, stride * size[1])
            except OSError as error:
                need = f"{stride * size[1] >> 20} MiB for {size[0]}x{size[1]} px"
                raise StoreFull(f"no room for decoded pixels in {self._place}: {need}") from error
            mapping = mmap.mmap(file.fileno(), stride * size[1])
        core = Image.core.map_buffer(mapping, size, "raw", 0, (mode, stride, 1))  # type: ignore[attr-defined]
        return Sheet(Image.Image()._new(core), mapping)

    def filled(self, image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Sheet:
        """`convert` of the picture, which must do to each pixel the same as to all; in bands if it is large."""
        if not self.is_large(image.size):
            return Sheet(convert(image))
        sheet: Sheet | None = None
        for top, bottom in _bands(image.size, 1):
            band = convert(image.crop((0, top, image.width, bottom)))
            sheet = sheet or self.blank(band.mode, image.size)
            sheet.image.paste(band, (0, top))
            sheet.let_go()
        assert sheet is not None, "a picture has at least one row"
        return sheet

    def halved(self, source: Sheet) -> Sheet:
        """At half the size, rounded up; each pixel is the mean of four."""
        image = source.image
        size = (-(-image.width // 2), -(-image.height // 2))
        if source.mapping is None:
            return Sheet(image.reduce(2))
        half = self.blank(image.mode, size)
        for top, bottom in _bands(image.size, 2):
            half.image.paste(image.reduce(2, (0, top, image.width, bottom)), (0, top // 2))
            source.let_go()
            half.let_go()
        return half

    def _unnamed_file(self) -> BinaryIO:
        try:
            return tempfile.TemporaryFile(dir=self._folder)
        except OSError as error:
            raise StoreError(f"no file for decoded pixels can be made in {self._place}: {error.strerror}") from error

    @property
    def _place(self) -> str:
        return str(self._folder or tempfile.gettempdir())

    def copied(self, stream: BinaryIO) -> BinaryIO:
        """The rest of the stream in a file without a name, at 0. Errors: StoreFull."""
        file = self._unnamed_file()
        while block := stream.read(1 << 20):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                file.close()
                raise StoreFull(f"no room for a copy in {self._place}") from error
        file.seek(0)
        return file


class Draining:
    """A stream for a codec that fills a sheet while it reads: what is filled leaves memory at each read."""

    def __init__(self, stream: Any, sheet: Sheet) -> None:
        self._stream = stream
        self._sheet = sheet

    def read(self, size: int = -1) -> bytes:
        """As the stream's."""
        self._sheet.let_go()
        data: bytes = self._stream.read(size)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _bands(size: tuple[int, int], multiple: int) -> Iterator[tuple[int, int]]:
    """Tops and bottoms of bands of about _BAND_PX, each but the last a multiple of `multiple` rows."""
    rows = max(1, _BAND_PX // size[0] // multiple) * multiple
    for top in range(0, size[1], rows):
        yield top, min(size[1], top + rows)
