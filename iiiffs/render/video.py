"""Video and sound by PyAV, of the extra `iiiffs[video]`: size, duration, capture time, and a poster frame.

The demuxer is named by the first bytes, never guessed by FFmpeg: what it guesses include playlists, which open other
files and addresses. Every walk is bounded by bytes read and frames decoded, so that a damaged or endless file ends
with an error; a packet that cannot be decoded is passed over.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image, ImageStat
from PIL.ImageFile import ImageFile

from iiiffs.errors import TooLarge, Undecodable
from iiiffs.model.image import Extent
from iiiffs.render.exif import EARLIEST_YEAR
from iiiffs.render.orientation import stored_extent

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MISSING = "video and sound are read by PyAV: install iiiffs[video]"
POSTER_WITHIN_S = 3
PIXELS_MAX = 100_000_000

_READ_BYTES_MAX = 256 << 20
_FRAMES_MAX = 400
_BROKEN_PACKETS_MAX = 200
_BLACK_MEAN, _BLACK_HIGHEST = 18, 60
"""Of 255: below both, nothing can be made out in a frame."""
_HD_LINES = 720
_UNSPECIFIED = 2  # ISO/IEC 23091-2, matrix coefficients
_IGNORED_MOMENTS = ("1904-01-01", "1970-01-01")  # what clocks say that were never set
_ORIENTATIONS = {
    (1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5, (0, 1, -1, 0): 6, (0, -1, -1, 0): 7, (0, -1, 1, 0): 8,
}  # fmt: skip
"""EXIF's number of what (a, b, c, d) of a display matrix does: x' = ax + cy, y' = bx + dy.

Rule: ISO/IEC 14496-12 §6.2.2.
"""

_DEMUXERS = {
    "video/mp4": "mov", "video/quicktime": "mov", "video/3gpp": "mov", "audio/mp4": "mov",
    "video/webm": "matroska", "video/x-matroska": "matroska",
    "video/x-msvideo": "avi", "audio/wav": "wav", "video/ogg": "ogg", "audio/ogg": "ogg", "audio/flac": "flac",
    "audio/mpeg": "mp3", "audio/aac": "aac", "video/mp2t": "mpegts", "video/mpeg": "mpeg", "video/x-ms-wmv": "asf",
    "video/x-flv": "flv",
}  # fmt: skip
_PREFIXES = (
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\0\0\1\xba", "video/mpeg"),
    (0, bytes.fromhex("3026b2758e66cf11"), "video/x-ms-wmv"),
    (0, b"FLV\1", "video/x-flv"),
    (8, b"AVI ", "video/x-msvideo"),
    (8, b"WAVE", "audio/wav"),
)
_QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


def sniff_media_type(prefix: bytes) -> str | None:
    """The kind of video or sound that a file begins with; None for any other."""
    for offset, signature, media_type in _PREFIXES:
        if prefix.startswith(signature, offset) and (offset != 8 or prefix.startswith(b"RIFF")):
            return media_type
    if prefix[4:8] == b"ftyp":
        return _brand_media_type(prefix[8:12])
    if prefix[4:8] in _QUICKTIME_BOXES:
        return "video/quicktime"
    if prefix.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in prefix[:64] else "video/x-matroska"
    if prefix.startswith(b"OggS"):
        return "video/ogg" if b"\x80theora" in prefix else "audio/ogg"
    if any(prefix[first :: 188 + first][:3] == b"GGG" for first in (0, 4)):
        return "video/mp2t"
    return _frame_media_type(prefix[:4])


def _brand_media_type(brand: bytes) -> str:
    if brand in (b"M4A ", b"M4B "):
        return "audio/mp4"
    if brand == b"qt  ":
        return "video/quicktime"
    return "video/3gpp" if brand.startswith((b"3gp", b"3g2")) else "video/mp4"


def _frame_media_type(head: bytes) -> str | None:
    """MPEG sound without a tag before it. Rule: ISO/IEC 11172-3 §2.4.2.3; ISO/IEC 14496-3 §1.A.2 (ADTS)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    is_layer_3 = head[1] & 0x06 == 0x02 and head[1] & 0x18 != 0x08
    return "audio/mpeg" if is_layer_3 and 0 < head[2] >> 4 < 15 and head[2] & 0x0C != 0x0C else None


def av_module() -> ModuleType | None:
    """PyAV, or None where the extra is not installed."""
    try:
        import av
    except ImportError:
        return None
    av.logging.set_level(None)
    return av


def av_version() -> str | None:
    """PyAV's version; None where `av_module` has none. It is not loaded for that: that takes 0.15 s and 10 MB."""
    return version("av") if find_spec("av") is not None else None


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """`extent`: of the upright frames with square px, None for sound. `captured`: as Facts.captured."""

    media_type: str
    extent: Extent | None
    duration_s: float
    captured: str | None


def read_media(stream: BinaryIO, media_type: str) -> MediaFacts:
    """What a video or sound says of itself; of a video one frame is decoded, which alone knows how it is turned.

    Errors: Undecodable, also without PyAV; TooLarge; what the stream raises.
    """
    with _opened(stream, media_type) as container:
        duration_s = _duration_s(container)
        captured = _captured(container.metadata)
        video = None if media_type.startswith("audio/") else _picture_stream(container)
        if video is None:
            if not container.streams.audio:
                raise Undecodable("there is neither a picture nor sound in it")
            return MediaFacts(media_type.replace("video/", "audio/"), None, duration_s, captured)
        frame = next(_frames(container, video), None)
        if frame is None:
            raise Undecodable("no frame of it can be decoded")
        extent = stored_extent(_square_extent(frame, video), _orientation(frame))
        return MediaFacts(media_type, extent, duration_s, captured)


class PosterPicture(ImageFile):
    """The first frame of the first POSTER_WITHIN_S seconds that is not black, else the first; with square px.

    `orientation`: what is still to be done to its pixels. `self.fp` is at the beginning of a video.
    """

    def _open(self) -> None:
        assert self.fp is not None
        self.fp.seek(0)
        media_type = sniff_media_type(self.fp.read(1024))
        if media_type is None:
            raise Undecodable("it is no video")
        with _opened(self.fp, media_type) as container:
            video = _picture_stream(container)
            poster = None if video is None else _poster(_frames(container, video))
            if poster is None or video is None:
                raise Undecodable("no frame of it can be decoded")
            extent = _square_extent(poster, video)
            image = _to_srgb(poster)
            self.orientation = _orientation(poster)
        if image.size != (extent.width, extent.height):
            image = image.resize((extent.width, extent.height), Image.Resampling.BICUBIC)
        self._mode, self._size, self.im = image.mode, image.size, image.im


def _poster(frames: Iterator[VideoFrame]) -> VideoFrame | None:
    first: VideoFrame | None = None
    for frame in frames:
        first = first or frame
        if (frame.time or 0) - (first.time or 0) > POSTER_WITHIN_S:
            break
        if not _is_black(frame):
            return frame
    return first


def _is_black(frame: VideoFrame) -> bool:
    small = _image(frame.reformat(width=64, height=64, format="rgb24")).convert("L")
    stat = ImageStat.Stat(small)
    return stat.mean[0] < _BLACK_MEAN and stat.extrema[0][1] < _BLACK_HIGHEST


def _image(frame: VideoFrame) -> Image.Image:
    image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    return image


def _to_srgb(frame: VideoFrame) -> Image.Image:
    """Frames that name no matrix have the one of their line count, as players take it. Rule: BT.601, BT.709."""
    from av.video.reformatter import Colorspace

    if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb:
        matrix = Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601
        frame = frame.reformat(format="rgb24", src_colorspace=matrix)
    return _image(frame)


def _square_extent(frame: VideoFrame, video: VideoStream) -> Extent:
    aspect = video.sample_aspect_ratio or Fraction(1)
    width = round(frame.width * aspect) if Fraction(1, 16) <= aspect <= 16 else frame.width
    extent = Extent(max(1, width), frame.height)
    if extent.area_px > PIXELS_MAX:
        raise TooLarge(f"{extent.width}x{extent.height} px is over the limit of {PIXELS_MAX} px for a frame")
    return extent


def _orientation(frame: VideoFrame) -> int:
    from av.sidedata.sidedata import Type

    # Its annotations say that this is a mapping by name; walking over it gives the data themselves.
    found: list[Any] = list(frame.side_data)
    matrix = next((data for data in found if data.type is Type.DISPLAYMATRIX), None)
    if matrix is None:
        return 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    signs = tuple((value > 1 << 15) - (value < -(1 << 15)) for value in (a, b, c, d))
    return _ORIENTATIONS.get(signs, 1)


def _picture_stream(container: InputContainer) -> VideoStream | None:
    """The first one that is not the cover of a record. Errors: TooLarge before a frame is decoded."""
    for video in container.streams.video:
        if video.disposition & video.disposition.__class__.attached_pic:
            continue
        if video.codec_context is None:
            raise Undecodable("the codec of its video is not installed")
        if video.codec_context.width * video.codec_context.height > PIXELS_MAX:
            raise TooLarge(f"frames are over the limit of {PIXELS_MAX} px")
        return video
    return None


def _frames(container: InputContainer, video: VideoStream) -> Iterator[VideoFrame]:
    """At most _FRAMES_MAX, in the order they are shown. Errors: Undecodable after _BROKEN_PACKETS_MAX broken ones."""
    import av

    video.codec_context.thread_count = 1
    frames = broken = 0
    for packet in container.demux(video):
        try:
            decoded = packet.decode()
        except av.FFmpegError as error:
            broken += 1
            if broken >= _BROKEN_PACKETS_MAX:
                raise Undecodable(f"its frames are damaged: {error.strerror}") from error
            continue
        for frame in decoded:
            yield frame
            frames += 1
            if frames >= _FRAMES_MAX:
                return


def _duration_s(container: InputContainer) -> float:
    """By the header, else by walking to the end, as recordings of a browser need it."""
    if container.duration is not None and container.duration > 0:
        return round(container.duration / 1_000_000, 3)
    start, end = None, Fraction(0)
    for packet in container.demux():
        if packet.pts is not None and packet.time_base is not None:
            begins = packet.pts * packet.time_base
            start = begins if start is None else min(start, begins)
            end = max(end, begins + (packet.duration or 0) * packet.time_base)
    if start is None or end <= start:
        raise Undecodable("nothing tells how long it lasts")
    container.seek(0)
    return round(float(end - start), 3)


def _captured(metadata: dict[str, str]) -> str | None:
    """A phone's own time with its zone before the container's, which is UTC."""
    for key in ("com.apple.quicktime.creationdate", "creation_time"):
        match = re.match(
            r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})?$",
            metadata.get(key, ""),
        )
        if match is None or match[1] in _IGNORED_MOMENTS or int(match[1][:4]) < EARLIEST_YEAR:
            continue
        zone = match[3] or ""
        text = f"{match[1]}T{match[2]}" + (zone if len(zone) != 5 else f"{zone[:3]}:{zone[3:]}")
        try:
            datetime.fromisoformat(text)
        except ValueError:
            continue
        return text
    return None


class _BoundedReader:
    """A seekable stream that may be read for a time: Undecodable once _READ_BYTES_MAX have gone through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = _READ_BYTES_MAX
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._stream.read(size)
        except BaseException as error:
            self.failure = error
            raise
        self._left -= len(data)
        if self._left < 0:
            self.failure = Undecodable(f"{_READ_BYTES_MAX >> 20} MiB of it tell nothing that can be shown")
            raise self.failure
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True


@contextmanager
def _opened(stream: BinaryIO, media_type: str) -> Iterator[InputContainer]:
    """FFmpeg's errors leave as Undecodable; they may look like the system's, which only the stream's are."""
    av: Any = av_module()
    if av is None:
        raise Undecodable(MISSING)
    stream.seek(0)
    reader = _BoundedReader(stream)
    try:
        with av.open(reader, "r", format=_DEMUXERS[media_type], metadata_errors="replace") as container:
            yield container
    except av.FFmpegError as error:
        if reader.failure is None:
            raise Undecodable(f"FFmpeg: {error.strerror}") from error
    if reader.failure is not None:  # FFmpeg may go on as if the file ended there
        raise reader.failure
