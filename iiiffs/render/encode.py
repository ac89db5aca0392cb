"""Pixels to bytes: no metadata, no times, settings that cost little time. The same pixels are always the same bytes.

Pillow's JPEG encoder keeps the GIL while it writes to a Python object and drops it for a file descriptor: two threads
gain nothing in the first case and 1.9 times in the second (measured 2026-11, the same bytes). Hence the memory file.
"""

from __future__ import annotations

import os
from io import BytesIO

from PIL import Image

from iiiffs.errors import NotOffered, Undecodable
from iiiffs.iiif.parameters import Format
from iiiffs.render.codec_errors import speaking_to_codec
from iiiffs.render.colour import on_white

JPEG_QUALITY = 85
JPEG_SUBSAMPLING = "4:2:0"
PNG_COMPRESS_LEVEL = 1
WEBP_QUALITY = 80
WEBP_METHOD = 1
AVIF_QUALITY = 60
AVIF_SPEED = 8
AVIF_EXACT_QUALITY = 100
JP2_DECIBELS = 42
TIFF_COMPRESSION = "tiff_adobe_deflate"
PDF_PX_PER_INCH = 150
GIF_COLOURS = 255
"""And one that is transparent."""


def encode(image: Image.Image, format_: Format) -> bytes:
    """The file. Alpha is laid on white where the format has none.

    Errors: NotOffered if the encoder refuses these pixels, as sides that the format cannot have: that is the fault of
    the request, never of the picture (Undecodable would take its service and its canvas away); TooLarge.
    What is black and white (mode "1") is so in every file but a JPEG. Rule: Image API 3.0 §4.4, bitonal.
    """
    image = image if not image.info else _without_info(image)
    try:
        return _encoded(image, format_)
    except Undecodable as error:
        raise NotOffered(f"{image.width}x{image.height} px cannot be written as {format_.value}: {error}") from error


def _encoded(image: Image.Image, format_: Format) -> bytes:
    with speaking_to_codec():
        match format_:
            case Format.JPG:
                return _encode_jpeg(on_white(image))
            case Format.PNG:
                return _encode_to_buffer(image, "PNG", compress_level=PNG_COMPRESS_LEVEL)
            case Format.WEBP:
                exact = {"lossless": True} if image.mode == "1" else {"quality": WEBP_QUALITY}
                return _encode_to_buffer(_in_colour(image), "WEBP", method=WEBP_METHOD, **exact)
            case Format.AVIF:
                # One thread: the others are busy with other renditions, and no encoder promises the same bytes of more.
                quality = AVIF_EXACT_QUALITY if image.mode == "1" else AVIF_QUALITY
                settings = {"quality": quality, "speed": AVIF_SPEED, "max_threads": 1}
                return _encode_to_buffer(_in_colour(image), "AVIF", **settings)
            case Format.TIF:
                return _encode_to_buffer(image, "TIFF", compression=TIFF_COMPRESSION)
            case Format.GIF:
                return _encode_gif(image)
            case Format.JP2:
                return _encode_jp2(image)
            case Format.PDF:
                return _encode_pdf(on_white(image))


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


def _in_colour(image: Image.Image) -> Image.Image:
    return image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")


def _encode_gif(image: Image.Image) -> bytes:
    """Without dithering, which would show every seam between tiles. What is less than half opaque is transparent."""
    if image.mode in ("1", "L"):
        return _encode_to_buffer(image, "GIF")
    colours = on_white(image).convert("RGB").quantize(GIF_COLOURS, dither=Image.Dither.NONE)
    if image.mode == "RGB":
        return _encode_to_buffer(colours, "GIF")
    hidden = image.getchannel("A").point([255] * 128 + [0] * 128)
    colours.paste(GIF_COLOURS, mask=hidden)
    return _encode_to_buffer(colours, "GIF", transparency=GIF_COLOURS)


def _encode_jp2(image: Image.Image) -> bytes:
    if image.mode == "1":
        return _encode_to_buffer(image.convert("L"), "JPEG2000", irreversible=False)
    has_colour = int(image.mode in ("RGB", "RGBA"))
    settings = {"quality_mode": "dB", "quality_layers": [JP2_DECIBELS], "irreversible": True, "mct": has_colour}
    return _encode_to_buffer(image, "JPEG2000", **settings)


def _encode_pdf(image: Image.Image) -> bytes:
    """One page. Pillow would write the present time for each of the two that it is not told to leave out."""
    jpeg = {} if image.mode == "1" else {"quality": JPEG_QUALITY, "subsampling": JPEG_SUBSAMPLING}
    return _encode_to_buffer(image, "PDF", resolution=PDF_PX_PER_INCH, creationDate=None, modDate=None, **jpeg)


def _encode_to_buffer(image: Image.Image, name: str, **settings: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **settings)
    return buffer.getvalue()
