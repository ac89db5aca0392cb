"""Pixels to bytes: no metadata, no times, settings that cost little time. The same pixels are always the same bytes.

Pillow's JPEG encoder keeps the GIL while it writes to a Python object and drops it for a file descriptor: two threads
gain nothing in the first case and 1.9 times in the second (measured 2026-11, the same bytes). Hence the memory files.
It can also encode a part of an image, which `Image.save` does not offer: a tile need not be cut out first.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from functools import cache
from io import BytesIO

from PIL import Image, JpegImagePlugin

from iiiffs.errors import NotOffered, Undecodable
from iiiffs.iiif.parameters import Format
from iiiffs.render.codec_errors import speaking_to_codec
from iiiffs.render.colour import on_white
from iiiffs.render.transform import Box

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
_BUFFER_BYTES = 1 << 16
_SCRATCH_BYTES = 1 << 20
_SCRATCHES: deque[_Scratch] = deque()
"""Memory files that no thread writes to at the moment: as many as ever encoded at once, for as long as we live."""


def encode(image: Image.Image, format_: Format) -> bytes:
    """The file. Alpha is laid on white where the format has none.

    Errors: NotOffered if the encoder refuses these pixels, as sides that the format cannot have: that is the fault of
    the request, never of the picture (Undecodable would take its service and its canvas away); TooLarge.
    What is black and white (mode "1") is so in every file but a JPEG. Rule: Image API 3.0 §4.4, bitonal.
    """
    return encode_part(image, (0, 0, image.width, image.height), format_)


def encode_part(image: Image.Image, box: Box, format_: Format) -> bytes:
    """As `encode`, of the part left, top, right, bottom (half-open) of an image."""
    try:
        if format_ is Format.JPG and image.mode in ("L", "RGB"):
            with speaking_to_codec():
                return _encode_jpeg(image, box)
        if box != (0, 0, image.width, image.height):
            image = image.crop(box)
        image = image if not image.info else _without_info(image)
        return _encoded(image, format_)
    except Undecodable as error:
        raise NotOffered(f"{image.width}x{image.height} px cannot be written as {format_.value}: {error}") from error


def _encoded(image: Image.Image, format_: Format) -> bytes:
    with speaking_to_codec():
        match format_:
            case Format.JPG:
                flat = on_white(image)
                return _encode_jpeg(flat.convert("L") if flat.mode == "1" else flat, (0, 0, flat.width, flat.height))
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
                return _encode_tiff(image)
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


def _encode_jpeg(image: Image.Image, box: Box) -> bytes:
    """What `Image.save` makes of the cropped image, to the byte. Metadata is not looked at.

    These are `ImageFile._encode_tile`'s steps, which every plugin of Pillow goes, with a box that is not the whole:
    the encoder holds the pixels for as long as it lives, only reads them, and checks that the box lies in them.
    Of two threads that cut tiles each takes a quarter less than by `crop` and `save` (2026-11). A test compares the
    bytes of the two, so a Pillow that does otherwise is noticed.
    """
    mode = JpegImagePlugin.RAWMODE[image.mode]
    encoder = Image._getencoder(image.mode, "jpeg", (mode,), _jpeg_settings())
    scratch = _scratch()
    try:
        encoder.setimage(image.im, box)
        code = encoder.encode_to_file(scratch.file, max(_BUFFER_BYTES, 4 * (box[2] - box[0])))
        data = scratch.taken()
    except BaseException:
        scratch.close()
        raise
    finally:
        encoder.cleanup()
    if code < 0:
        scratch.close()
        raise OSError(Image.core.getcodecstatus(code) or f"encoder error {code}")  # type: ignore[attr-defined]
    _SCRATCHES.append(scratch)
    return data


class _Scratch:
    """A memory file that an encoder writes to, one file after another.

    It is read as memory, and written on: each system call gives the interpreter away, and a thread waits for it after
    each, which costs more than the call.
    """

    def __init__(self) -> None:
        self.file = os.memfd_create("rendition")
        os.ftruncate(self.file, _SCRATCH_BYTES)
        self._memory = mmap.mmap(self.file, _SCRATCH_BYTES, prot=mmap.PROT_READ)
        self._start = 0

    def taken(self) -> bytes:
        """What was written since the last call."""
        start, end = self._start, os.lseek(self.file, 0, os.SEEK_CUR)
        data = self._memory[start:end] if end <= _SCRATCH_BYTES else os.pread(self.file, end - start, start)
        self._start = end
        if end > _SCRATCH_BYTES // 2:
            self._start = os.lseek(self.file, 0, os.SEEK_SET)
        if end > _SCRATCH_BYTES:
            os.ftruncate(self.file, _SCRATCH_BYTES)
        return data

    def close(self) -> None:
        """Its memory is given back."""
        self._memory.close()
        os.close(self.file)


def _scratch() -> _Scratch:
    try:
        return _SCRATCHES.pop()
    except IndexError:
        return _Scratch()


@cache
def _jpeg_settings() -> tuple[object, ...]:
    """What Pillow's encoder is given for our settings, in its own words."""
    probe = Image.new("RGB", (1, 1))
    probe.save(BytesIO(), "JPEG", quality=JPEG_QUALITY, subsampling=JPEG_SUBSAMPLING)
    return tuple(probe.encoderconfig)


def _encode_tiff(image: Image.Image) -> bytes:
    """By a memory file of its own, where what nobody writes is 0.

    libtiff puts its directory at an even offset and never writes the byte that this may leave before it; in the buffer
    that Pillow offers it otherwise, from 64 KiB on, that byte is whatever lay in memory.
    """
    with open(os.memfd_create("rendition"), "w+b") as file:  # noqa: PTH123
        image.save(file, "TIFF", compression=TIFF_COMPRESSION)
        file.flush()
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
