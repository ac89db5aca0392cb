"""HEIC and HEIF by pillow-heif, which applies the turns of the file itself: its pictures are upright.

Rule: ISO/IEC 23008-12 §6.5.10 (irot), §6.5.12 (imir): these decide, and a turn that EXIF repeats is not done again.
"""

from __future__ import annotations

from typing import BinaryIO

import pillow_heif
from PIL.ImageFile import ImageFile

from iiiffs.errors import Undecodable
from iiiffs.model.image import Extent

_SEQUENCES = (b"hevc", b"hevx", b"hevm", b"hevs", b"msf1")
"""Major brands of animations, whose first frame is shown."""


def open_page(stream: BinaryIO, page: int) -> ImageFile:
    """The primary picture, or of several top-level ones the one at `page` in `_page_order`, not decoded."""
    picture = _opened(stream)
    order = _page_order(stream, picture)
    if page >= len(order):
        raise Undecodable(f"it has no page {page}")
    if page:
        picture.seek(order[page])
    return picture


def page_extents(stream: BinaryIO) -> tuple[Extent, ...]:
    """The upright extents of all top-level pictures, the primary one first; () where there is only one."""
    picture = _opened(stream)
    order = _page_order(stream, picture)
    if len(order) < 2:
        return ()
    extents = []
    for place in order:
        picture.seek(place)
        extents.append(Extent(*picture.size))
    return tuple(extents)


def _opened(stream: BinaryIO) -> ImageFile:
    stream.seek(0)
    return pillow_heif.HeifImageFile(stream, "")  # type: ignore[no-untyped-call]


def _page_order(stream: BinaryIO, picture: ImageFile) -> list[int]:
    stream.seek(8)
    primary = picture.tell()
    if stream.read(4) in _SEQUENCES:
        return [primary]
    return [primary, *(place for place in range(picture.n_frames) if place != primary)]  # type: ignore[attr-defined]
