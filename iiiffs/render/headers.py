"""What a file's headers say, without decoding it."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

from iiiffs.errors import RenderError, TooLarge
from iiiffs.model.gallery import Facts
from iiiffs.render import video
from iiiffs.render.codec_errors import speaking_to_codec
from iiiffs.render.metadata.reading import read_description
from iiiffs.render.opening import UNKNOWN, Codec, open_picture, sniff_codec
from iiiffs.render.sensor import rawpy_module

PIXELS_MAX = 320_000_000
"""Default of the limit on source px; over 50 MP they are kept in a file and not in memory (see sheets.py)."""

FACTS_REVISION = 3
"""Raised by whoever changes what `read_facts` says of the same bytes."""

_MONOCHROME_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


def facts_fingerprint() -> str:
    """What, besides the bytes, decides their facts: remembered facts are to be read again when this changes."""
    extras = f"video={int(video.av_version() is not None)} raw={int(rawpy_module() is not None)}"
    return f"facts={FACTS_REVISION} {extras}"


def read_facts(stream: BinaryIO, name: str, pixels_max: int = PIXELS_MAX) -> Facts:
    """What the bytes say of themselves; the same bytes always give the same facts. `name` is for the error's text.

    Errors: none for bad bytes (they are in Facts.error, one line); what the stream itself raises passes.
    """
    codec = sniff_codec(stream)
    if codec is None:
        return Facts(UNKNOWN, None, error=_line(name, "empty file" if not stream.read(1) else "not a picture"))
    try:
        if codec.media_type.startswith(("video/", "audio/")):
            return _media_facts(stream, codec.media_type, pixels_max)
        return replace(_picture_facts(stream, codec, pixels_max), description=read_description(stream, name))
    except RenderError as error:
        return Facts(codec.media_type, None, error=_line(name, str(error)))


def _picture_facts(stream: BinaryIO, codec: Codec, pixels_max: int) -> Facts:
    picture = open_picture(stream, codec, pixels_max)
    extent = picture.upright
    with speaking_to_codec():
        pages = codec.page_extents(stream)
    return Facts(
        codec.media_type,
        extent,
        monochrome=picture.image.mode in _MONOCHROME_MODES,
        captured=picture.tags.captured,
        pages=pages if pages[:1] == (extent,) else (),
    )


def _media_facts(stream: BinaryIO, media_type: str, pixels_max: int) -> Facts:
    with speaking_to_codec():
        media = video.read_media(stream, media_type)
    extent = media.extent
    if extent is not None and extent.area_px > pixels_max:
        raise TooLarge(f"{extent.width}x{extent.height} px is over the limit of {pixels_max} px")
    return Facts(media.media_type, extent, captured=media.captured, duration_s=media.duration_s)


def _line(name: str, reason: str) -> str:
    shown = name.encode("utf-8", "replace").decode("utf-8")
    return " ".join(f"{shown}: {reason}".split())
