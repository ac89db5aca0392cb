"""What a picture's headers say, without decoding it."""

from __future__ import annotations

from typing import BinaryIO

from PIL.ImageFile import ImageFile

from iiiffs.errors import RenderError
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent
from iiiffs.render.exif import ExifTags, read_exif, read_tiff_tags
from iiiffs.render.opening import TIFF, UNKNOWN, open_picture, sniff_codec, speaking_to_codec

PIXELS_MAX = 250_000_000
"""Default of the limit on source px; Pillow keeps 4 bytes of each (1 GB)."""

_MONOCHROME_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_TURNING = frozenset({5, 6, 7, 8})


def read_facts(stream: BinaryIO, name: str, pixels_max: int = PIXELS_MAX) -> Facts:
    """What the bytes say of themselves; the same bytes always give the same facts. `name` is for the error's text.

    Errors: none for bad bytes (they are in Facts.error, one line); what the stream itself raises passes.
    """
    codec = sniff_codec(stream)
    if codec is None:
        return Facts(UNKNOWN, None, error=_line(name, "empty file" if not stream.read(1) else "not a picture"))
    try:
        picture = open_picture(stream, codec, pixels_max)
        tags = read_tags(picture, stream, codec.media_type)
        extent = upright_extent(picture, tags)
    except RenderError as error:
        return Facts(codec.media_type, None, error=_line(name, str(error)))
    return Facts(codec.media_type, extent, monochrome=picture.mode in _MONOCHROME_MODES, captured=tags.captured)


def read_tags(picture: ImageFile, stream: BinaryIO, media_type: str) -> ExifTags:
    """The EXIF tags of an opened picture. `orientation` is what is still to be done to its decoded pixels.

    Pillow turns a TIFF by itself while it decodes, and already says the turned size.
    """
    if media_type == TIFF:
        position = stream.tell()
        stream.seek(0)
        captured = read_tiff_tags(stream).captured
        stream.seek(position)
        return ExifTags(captured=captured)
    blob = picture.info.get("exif")
    return read_exif(blob) if isinstance(blob, bytes) else ExifTags()


def upright_extent(picture: ImageFile, tags: ExifTags) -> Extent:
    """The size after EXIF orientation. Errors: Undecodable if the header says there are no pixels."""
    with speaking_to_codec():
        if min(picture.size) < 1:
            raise ValueError("the header says that it has no pixels")
        stored = Extent(*picture.size)
    return stored.turned if tags.orientation in _TURNING else stored


def _line(name: str, reason: str) -> str:
    shown = name.encode("utf-8", "replace").decode("utf-8")
    return " ".join(f"{shown}: {reason}".split())
