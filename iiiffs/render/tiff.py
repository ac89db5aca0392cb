"""TIFF and BigTIFF: which of the directories are pages, and Pillow's reader without its turning.

Pillow turns a TIFF by its orientation as part of decoding, which takes the picture twice; here it is turned as all
other pictures are, after the part that is wanted has been cut out.
"""

from __future__ import annotations

from typing import BinaryIO

from PIL.TiffImagePlugin import TiffImageFile

from iiiffs.errors import Undecodable
from iiiffs.model.image import Extent
from iiiffs.render.exif import orientation_in
from iiiffs.render.ifd import Directory, directories, read_header
from iiiffs.render.orientation import stored_extent

_NEW_SUBFILE, _SUBFILE, _WIDTH, _HEIGHT = 254, 255, 256, 257
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2


class TiffPicture(TiffImageFile):
    """Pillow's, in which size and pixels are as stored."""

    def _setup(self) -> None:
        super()._setup()
        self._size = self._tile_size

    def load_end(self) -> None:
        """Pillow's turns the picture and looks for further pages."""


def page_directories(stream: BinaryIO) -> list[tuple[int, Directory]]:
    """The pages: their places in the chain of directories, and these. Copies at a lower resolution and masks are none.

    Rule: TIFF 6.0 §8, NewSubfileType and SubfileType.
    """
    header = read_header(stream)
    chain = list(enumerate(directories(stream, header))) if header else []
    return [(place, directory) for place, directory in chain if not _is_secondary(directory)] or chain[:1]


def _is_secondary(directory: Directory) -> bool:
    if _NEW_SUBFILE in directory.entries:
        return bool(directory.integer(_NEW_SUBFILE) & (_REDUCED | _MASK))
    return directory.integer(_SUBFILE) == _OLD_REDUCED


def page_extents(stream: BinaryIO) -> tuple[Extent, ...]:
    """The upright extents of all pages; () where there is only one or a directory tells no size."""
    pages = [directory for _, directory in page_directories(stream)]
    sizes = [(page.integer(_WIDTH), page.integer(_HEIGHT)) for page in pages]
    if len(pages) < 2 or not all(width > 0 and height > 0 for width, height in sizes):
        return ()
    return tuple(stored_extent(Extent(*size), orientation_in(page)) for size, page in zip(sizes, pages, strict=True))


def open_page(stream: BinaryIO, page: int) -> TiffPicture:
    """That page, not decoded. Errors: Undecodable if there is none; what Pillow raises."""
    pages = page_directories(stream)
    if page >= max(1, len(pages)):
        raise Undecodable(f"it has no page {page}")
    stream.seek(0)
    picture = TiffPicture(stream, "")
    if pages and pages[page][0]:
        picture.seek(pages[page][0])
    return picture
