"""Opening pictures: from a stream to a Pillow image whose pixels have not been decoded yet.

Pillow's own `Image.open` is not used: it asks every plugin that it has, among them PostScript and PDF, and it checks
for bombs with process-wide settings and warnings, which threads cannot silence. Here the first bytes choose one plugin
out of a table, and the limit is an argument. A codec may raise anything on hostile bytes; all of it dies here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, PngImagePlugin
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from iiiffs.errors import IiiffsError, TooLarge, Undecodable

JPEG = "image/jpeg"
TIFF = "image/tiff"
UNKNOWN = "application/octet-stream"

# Pillow refuses the whole PNG for one text or profile of more than 1 MB; a huge profile is to be ignored, not fatal.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20

_SIGNATURE_BYTES = 16
_DECODER_READ_BYTES = 1 << 20  # Pillow's 64 KiB takes the GIL 16 times as often while other threads encode


@dataclass(frozen=True, slots=True)
class Codec:
    """A format that is read: its media type and Pillow's class for it."""

    media_type: str
    open: Callable[[BinaryIO, str], ImageFile]


class _Jpeg(JpegImageFile):
    """Pillow's, without its look for a resolution in EXIF: that warns of damage (see exif.py) and takes time."""

    def _read_dpi_from_exif(self) -> None:
        return


# An MPO (two-picture JPEG) is read as the JPEG that it begins with; its other pictures are not this asset's picture.
_SIGNATURES: tuple[tuple[int, bytes, Codec], ...] = (
    (0, b"\xff\xd8\xff", Codec(JPEG, _Jpeg)),
    (0, b"\x89PNG\r\n\x1a\n", Codec("image/png", PngImageFile)),
    (8, b"WEBP", Codec("image/webp", WebPImageFile)),
    (0, b"GIF87a", Codec("image/gif", GifImageFile)),
    (0, b"GIF89a", Codec("image/gif", GifImageFile)),
    (0, b"II*\0", Codec(TIFF, TiffImageFile)),
    (0, b"MM\0*", Codec(TIFF, TiffImageFile)),
    (0, b"II+\0", Codec(TIFF, TiffImageFile)),
    (0, b"MM\0+", Codec(TIFF, TiffImageFile)),
    (0, b"BM", Codec("image/bmp", BmpImageFile)),
)


@contextmanager
def speaking_to_codec() -> Iterator[None]:
    """Whatever a codec raises inside leaves as Undecodable or TooLarge.

    Errors of ours, and operating system errors of the stream (they carry an errno; Pillow's never do), pass unchanged.
    """
    try:
        yield
    except IiiffsError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise TooLarge(_one_line(error, "more memory than there is")) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Undecodable(_one_line(error, "broken file")) from error
    except Exception as error:  # SyntaxError, ValueError, struct.error, zlib.error, OverflowError, … by plugin
        raise Undecodable(_one_line(error, "broken file")) from error


def _one_line(error: BaseException, otherwise: str) -> str:
    return " ".join(str(error).split()) or otherwise


def sniff_codec(stream: BinaryIO) -> Codec | None:
    """The codec that the stream's first bytes call for; None if they are those of no picture that is read here.

    The stream is left at 0.
    """
    stream.seek(0)
    prefix = stream.read(_SIGNATURE_BYTES)
    stream.seek(0)
    for offset, signature, codec in _SIGNATURES:
        if prefix.startswith(signature, offset):
            return codec
    return None


def open_picture(stream: BinaryIO, codec: Codec, pixels_max: int) -> ImageFile:
    """The picture, header read and pixels not decoded.

    Errors: Undecodable; TooLarge if it has more than `pixels_max` px.
    """
    with speaking_to_codec():
        picture = codec.open(stream, "")
    width, height = picture.size
    if width * height > pixels_max:
        raise TooLarge(f"{width}x{height} px is over the limit of {pixels_max} px")
    picture.decodermaxblock = _DECODER_READ_BYTES
    return picture
