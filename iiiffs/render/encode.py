"""Pixels to bytes: no metadata, settings that cost little time.

Pillow's JPEG encoder keeps the GIL while it writes to a Python object and drops it for a file descriptor: two threads
gain nothing in the first case and 1.9 times in the second (measured 2026-11, the same bytes). Hence the memory file.
"""

from __future__ import annotations

import os
from io import BytesIO

from PIL import Image

from iiiffs.errors import NotOffered
from iiiffs.iiif.parameters import Format
from iiiffs.render.colour import on_white
from iiiffs.render.opening import speaking_to_codec

JPEG_QUALITY = 85
JPEG_SUBSAMPLING = "4:2:0"
PNG_COMPRESS_LEVEL = 1
WEBP_QUALITY = 80
WEBP_METHOD = 1


def encode(image: Image.Image, format_: Format) -> bytes:
    """The file. Alpha is laid on white where the format has none.

    Errors: NotOffered for a format that is not written here; TooLarge for sides that it cannot have.
    """
    image = image if not image.info else _without_info(image)
    with speaking_to_codec():
        match format_:
            case Format.JPG:
                return _encode_jpeg(on_white(image))
            case Format.PNG:
                return _encode_to_buffer(image, "PNG", compress_level=PNG_COMPRESS_LEVEL)
            case Format.WEBP:
                colour = image.convert("RGBA") if image.mode in ("LA", "RGBA") else image.convert("RGB")
                return _encode_to_buffer(colour, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD)
    raise NotOffered(f"format {format_.value} is not written here")


def _without_info(image: Image.Image) -> Image.Image:
    bare = image.copy()
    bare.info = {}
    return bare


def _encode_jpeg(image: Image.Image) -> bytes:
    if image.mode == "1":
        image = image.convert("L")
    with open(os.memfd_create("rendition"), "w+b") as file:  # noqa: PTH123
        image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=JPEG_SUBSAMPLING)
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def _encode_to_buffer(image: Image.Image, name: str, **settings: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **settings)
    return buffer.getvalue()
