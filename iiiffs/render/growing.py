"""Watching a decode: which rows of a picture are there while the codec still fills the rest.

Of 24 MP a full decode takes as long as all tiles together, and one thread: who may cut what is there already has both
cores at work. Pillow's decoder says how many bytes it took but not how many rows it wrote. The image tells: each
pixel of mode RGB is four bytes, the fourth of each row's last is set to zero before, and the decoder writes 255 into
it, one whole row after another from the top and none twice. Where it did not, no row would ever be there early, and
nothing else would change.

Nothing is read while it is written. Rows are counted in the thread that decodes, between two calls of the decoder,
while it writes nothing; others hear of them through a queue, so what was written before is seen; and what is written
meanwhile are other rows. What is told early is compared with what is there in the end by tests, for each Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image
from PIL.ImageFile import ImageFile

from iiiffs.render.opening import JPEG
from iiiffs.render.sheets import Sheets

READ_BYTES = 1 << 19
"""The decoder is asked after so many bytes: 0.15 ms each time."""

_MODE = "RGB"
_PADDING = 3


def can_grow(picture: ImageFile, media_type: str, sheets: Sheets) -> bool:
    """True if its rows can be told to be there; asked before it is decoded. One in a file is let go of meanwhile."""
    return media_type == JPEG and picture.mode == _MODE and not sheets.is_large(picture.size)


def unwrite(image: Image.Image) -> None:
    """No row of it looks written, whatever was in its memory. Its last column is changed.

    Written and not looked at: memory that is read first comes in small pages ever after, which cost a 24 MP decode
    0.1 s (measured 2026-11).
    """
    column = Image.frombytes(_MODE, (1, image.height), bytes(4 * image.height), "raw", "RGBX")
    image.paste(column, (image.width - 1, 0))


def rows_there(image: Image.Image, known: int) -> int:
    """How many rows, from the top, a decoder has written since `unwrite`; at least `known`."""
    low, high = known, image.height
    while low < high:
        middle = (low + high) // 2
        if _is_written(image, middle):
            low = middle + 1
        else:
            high = middle
    return low


def _is_written(image: Image.Image, row: int) -> bool:
    last = image.crop((image.width - 1, row, image.width, row + 1))
    return last.tobytes("raw", "RGBX")[_PADDING] != 0


class Watched:
    """A stream for a decoder that fills `image`: at each read, `tell` hears how many rows there are."""

    def __init__(self, stream: Any, image: Image.Image, tell: Callable[[int], None]) -> None:
        self._stream = stream
        self._image = image
        self._tell = tell
        self._rows = 0

    def read(self, size: int = -1) -> bytes:
        """As the stream's."""
        rows = rows_there(self._image, self._rows)
        if rows > self._rows:
            self._rows = rows
            self._tell(rows)
        data: bytes = self._stream.read(size)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
