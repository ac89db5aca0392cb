"""Opening pictures: from a stream to a Pillow image whose pixels have not been decoded yet.

Pillow's own `Image.open` is not used: it asks every plugin that it has, among them PostScript and PDF, and it checks
for bombs with process-wide settings and warnings, which threads cannot silence. Here the first bytes choose one codec
out of a table, and the limit is an argument. A codec may raise anything on hostile bytes; all of it dies here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from PIL import PngImagePlugin
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from iiiffs.errors import TooLarge, Undecodable
from iiiffs.model.image import Extent
from iiiffs.render import heif, tiff, video
from iiiffs.render.codec_errors import speaking_to_codec
from iiiffs.render.exif import ExifTags, read_exif, read_tiff_tags
from iiiffs.render.isobmff import brands, contents, find_boxes, whole_file
from iiiffs.render.raw import raw_media_type
from iiiffs.render.sensor import open_raw

JPEG = "image/jpeg"
TIFF = "image/tiff"
UNKNOWN = "application/octet-stream"
UNLIMITED = 1 << 62
FILLING = frozenset({JPEG, TIFF, "image/png", "image/bmp"})
"""Those whose codec writes row by row into whatever memory it is given."""

# Pillow refuses the whole PNG for one text or profile of more than 1 MB; a huge profile is to be ignored, not fatal.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20

_SIGNATURE_BYTES = 1024
_DECODER_READ_BYTES = 1 << 20  # Pillow's 64 KiB takes the GIL 16 times as often while other threads encode
_PROFILE_BYTES_MAX = 4 << 20
_MEGAPIXELS = 1_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """An opened picture, not decoded. `tags.orientation` is what is still to be done to its decoded pixels."""

    image: ImageFile
    tags: ExifTags

    @property
    def upright(self) -> Extent:
        """Its size once it is turned. Errors: Undecodable if the header says that there are no pixels."""
        with speaking_to_codec():
            if min(self.image.size) < 1:
                raise ValueError("the header says that it has no pixels")
            stored = Extent(*self.image.size)
        return stored.turned if self.tags.orientation in (5, 6, 7, 8) else stored


Open = Callable[[BinaryIO, int], tuple[ImageFile, ExifTags]]
"""(stream at 0, page) -> picture and its tags."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A format that is read: its media type and how it is opened.

    `pixels_max`: of codecs that keep all of a picture once more, or several times, while they decode it.
    `page_extents`: upright extents of all pages where there is more than one, else ().
    """

    media_type: str
    open: Open
    pixels_max: int = UNLIMITED
    page_extents: Callable[[BinaryIO], tuple[Extent, ...]] = lambda _: ()


class _Jpeg(JpegImageFile):
    """Pillow's, with two differences.

    Not looked for is a resolution in EXIF: that warns of damage (see exif.py) and takes time. Inks are inverted only
    where Adobe's marker is, which introduced that; Pillow takes all CMYK for inverted.
    """

    def _open(self) -> None:
        super()._open()
        if self.mode == "CMYK" and "adobe" not in self.info:
            self.tile = [tile._replace(args=("CMYK", "")) for tile in self.tile]

    def _read_dpi_from_exif(self) -> None:
        return


def _single(plugin: Callable[[BinaryIO, str], ImageFile]) -> Open:
    """Of a format with one picture, whose plugin finds the EXIF blob."""

    def open_single(stream: BinaryIO, page: int) -> tuple[ImageFile, ExifTags]:
        if page:
            raise Undecodable(f"it has no page {page}")
        picture = plugin(stream, "")
        blob = picture.info.get("exif")
        return picture, read_exif(blob) if isinstance(blob, bytes) else ExifTags()

    return open_single


def _open_tiff(stream: BinaryIO, page: int) -> tuple[ImageFile, ExifTags]:
    picture = tiff.open_page(stream, page)
    position, pages = stream.tell(), tiff.page_directories(stream)
    tags = read_tiff_tags(stream, pages[page][1] if pages else None)
    stream.seek(position)
    return picture, tags


def _open_heif(stream: BinaryIO, page: int) -> tuple[ImageFile, ExifTags]:
    picture = heif.open_page(stream, page)
    blob = picture.info.get("exif")
    captured = read_exif(blob).captured if isinstance(blob, bytes) else None
    return picture, ExifTags(captured=captured)


def _open_jp2(stream: BinaryIO, page: int) -> tuple[ImageFile, ExifTags]:
    """Pillow's plugin passes over the profile. Rule: ISO/IEC 15444-1 §I.5.3.3, methods 2 and 3."""
    picture, tags = _single(Jpeg2KImageFile)(stream, page)
    position = stream.tell()
    for box in find_boxes(stream, whole_file(stream), b"jp2h", b"colr"):
        content = contents(stream, box, _PROFILE_BYTES_MAX)
        if content[:1] in (b"\2", b"\3"):
            picture.info["icc_profile"] = content[3:]
            break
    stream.seek(position)
    return picture, tags


def _raw_codec(media_type: str) -> Codec:
    def open_this(stream: BinaryIO, page: int) -> tuple[ImageFile, ExifTags]:
        if page:
            raise Undecodable(f"it has no page {page}")
        found, tags = open_raw(stream, media_type)
        return (found if isinstance(found, ImageFile) else _Jpeg(found, "")), tags

    return Codec(media_type, open_this, 200 * _MEGAPIXELS)


def _video_codec(media_type: str) -> Codec:
    def open_poster(stream: BinaryIO, page: int) -> tuple[ImageFile, ExifTags]:
        if page:
            raise Undecodable(f"it has no page {page}")
        poster = video.PosterPicture(stream, "")
        return poster, ExifTags(poster.orientation)

    return Codec(media_type, open_poster, 100 * _MEGAPIXELS)


# An MPO (two-picture JPEG) is read as the JPEG that it begins with; its other pictures are not this asset's picture.
_JPEG = Codec(JPEG, _single(_Jpeg))
_GIF = Codec("image/gif", _single(GifImageFile), 100 * _MEGAPIXELS)
_TIFF = Codec(TIFF, _open_tiff, page_extents=tiff.page_extents)
_JP2_PIXELS_MAX = 100 * _MEGAPIXELS  # openjpeg keeps four bytes of every band besides Pillow's
_SIGNATURES: tuple[tuple[int, bytes, Codec], ...] = (
    (0, b"\xff\xd8\xff", _JPEG),
    (0, b"\x89PNG\r\n\x1a\n", Codec("image/png", _single(PngImageFile))),
    (8, b"WEBP", Codec("image/webp", _single(WebPImageFile), 200 * _MEGAPIXELS)),
    (0, b"GIF87a", _GIF),
    (0, b"GIF89a", _GIF),
    (0, b"II*\0", _TIFF),
    (0, b"MM\0*", _TIFF),
    (0, b"II+\0", _TIFF),
    (0, b"MM\0+", _TIFF),
    (0, b"BM", Codec("image/bmp", _single(BmpImageFile))),
    (0, b"\xff\x4f\xff\x51", Codec("image/j2c", _single(Jpeg2KImageFile), _JP2_PIXELS_MAX)),
    (20, b"jpx ", Codec("image/jpx", _open_jp2, _JP2_PIXELS_MAX)),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", Codec("image/jp2", _open_jp2, _JP2_PIXELS_MAX)),
)
_AVIF = Codec("image/avif", _single(AvifImageFile), 200 * _MEGAPIXELS)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF_BRANDS = frozenset({b"mif1", b"msf1", b"mif2", b"avci", b"j2ki", b"jpeg"})


def _heif_codec(media_type: str) -> Codec:
    return Codec(media_type, _open_heif, 200 * _MEGAPIXELS, page_extents=heif.page_extents)


def sniff_codec(stream: BinaryIO) -> Codec | None:
    """The codec that the stream's first bytes call for; None if they are those of nothing that is shown here.

    TIFF structures are looked into further: most RAW files are one. The stream is left at 0.
    """
    stream.seek(0)
    prefix = stream.read(_SIGNATURE_BYTES)
    try:
        return _codec_of(stream, prefix)
    finally:
        stream.seek(0)


def _codec_of(stream: BinaryIO, prefix: bytes) -> Codec | None:
    if (raw := raw_media_type(stream, prefix)) is not None:
        return _raw_codec(raw)
    for offset, signature, codec in _SIGNATURES:
        if prefix.startswith(signature, offset) and (offset != 8 or prefix.startswith(b"RIFF")):
            return codec
    if found := brands(prefix):
        if found[0] in _AVIF_BRANDS or (found[0] in _HEIF_BRANDS and _AVIF_BRANDS & set(found)):
            return _AVIF
        if found[0] in _HEIC_BRANDS:
            return _heif_codec("image/heic")
        if found[0] in _HEIF_BRANDS:
            return _heif_codec("image/heic" if _HEIC_BRANDS & set(found) else "image/heif")
    media_type = video.sniff_media_type(prefix)
    return None if media_type is None else _video_codec(media_type)


def open_picture(stream: BinaryIO, codec: Codec, pixels_max: int, page: int = 0) -> Picture:
    """The picture, header read and pixels not decoded.

    Errors: Undecodable; TooLarge if it has more than `pixels_max` px, or than its codec can take in.
    """
    with speaking_to_codec():
        picture, tags = codec.open(stream, page)
    width, height = picture.size
    limit = min(pixels_max, codec.pixels_max)
    if width * height > limit:
        raise TooLarge(f"{width}x{height} px is over the limit of {limit} px")
    picture.decodermaxblock = _DECODER_READ_BYTES
    return Picture(picture, tags)
