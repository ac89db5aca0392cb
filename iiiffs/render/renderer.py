"""The renderer: a source, a request, bytes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import PIL
import pillow_heif
from PIL import Image, features

from iiiffs.errors import TooLarge, Undecodable
from iiiffs.iiif.parameters import Format, Quality
from iiiffs.iiif.request import ImageRequest
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent, Region
from iiiffs.render import encode as settings
from iiiffs.render.codec_errors import speaking_to_codec
from iiiffs.render.colour import to_srgb
from iiiffs.render.decode import Room, Watch, decode
from iiiffs.render.encode import encode_part
from iiiffs.render.headers import PIXELS_MAX
from iiiffs.render.opening import FILLING
from iiiffs.render.orientation import UPRIGHTING, stored_extent, stored_region
from iiiffs.render.plan import (
    DRAFTS,
    Decode,
    Plan,
    Window,
    is_exact,
    level_extent,
    plan_cut,
    window_level,
    window_of,
)
from iiiffs.render.pyramid import Pyramid, PyramidCache
from iiiffs.render.sensor import rawpy_module
from iiiffs.render.sheets import FILE_FROM_PX, Sheets
from iiiffs.render.transform import Box, Part, cut, exact_box, rotate, turned_extent, with_quality
from iiiffs.render.video import av_version

OpenStream = Callable[[], AbstractContextManager[BinaryIO]]

REVISION = 4
"""Raised by whoever changes the bytes that this package makes, other than by a constant named in `_fingerprint`."""

_CODECS = ("libjpeg_turbo", "littlecms2", "webp", "zlib_ng", "zlib", "libtiff", "jpg_2000", "avif")
_ENCODER_COST = {Format.WEBP: 3, Format.AVIF: 2, Format.GIF: 2, Format.JP2: 4}  # px of memory for each, measured
_BAND_COST_PX = 32_000_000  # of a picture that goes into a file: a band of it, and what is cut and not yet let go


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """`pixels_max`: px of a source; more is TooLarge. `pyramid_bytes_max`: memory for decoded pictures and halves.

    Pictures of `file_from_px` or more lie, decoded, in unnamed files in `scratch` (None: the system's folder for
    temporary files, which must then not be in memory), of `file_bytes_max` together.
    """

    pixels_max: int = PIXELS_MAX
    pyramid_bytes_max: int = 256 << 20
    file_from_px: int = FILE_FROM_PX
    file_bytes_max: int = 6 << 30
    scratch: Path | None = None


@dataclass(frozen=True, slots=True)
class RenderGauges:
    """Counts since the start, and what is held now."""

    renders: int
    full_decodes: int
    draft_decodes: int
    cache_hits: int
    bytes_held: int
    file_bytes_held: int = 0


class Renderer:
    """Makes renditions. Every method may be called from any number of threads at once.

    Bytes are a pure function of source bytes, canonical request and `fingerprint`, never of what is in memory.
    """

    def __init__(self, limits: RenderLimits) -> None:
        self._limits = limits
        self._pyramids = PyramidCache(limits.pyramid_bytes_max, limits.file_bytes_max)
        self._room = Room(limits.pixels_max, Sheets(limits.scratch, limits.file_from_px))
        self._lock = Lock()
        self._fingerprint = _fingerprint()
        self._renders = 0
        self._decodes = dict.fromkeys(Decode, 0)

    @property
    def fingerprint(self) -> str:
        """One line of ASCII that changes whenever the bytes of any rendition may: part of every cache key."""
        return self._fingerprint

    @property
    def gauges(self) -> RenderGauges:
        """What it did and holds."""
        full, draft = self._decodes[Decode.FULL], sum(self._decodes[how] for how in DRAFTS)
        held, in_files = self._pyramids.bytes_held, self._pyramids.file_bytes_held
        return RenderGauges(self._renders, full, draft, self._pyramids.hits, held, in_files)

    def render(
        self, source_key: str, open_stream: OpenStream, request: ImageRequest, facts: Facts, page: int = 0
    ) -> bytes:
        """The rendition of `request`, of that page. Blocks; opens the stream only if the picture is not decoded yet.

        `source_key` names one version of the source's bytes; `facts` are what `read_facts` said of them, with
        `facts.pages[page]` for an extent where that page is not the first.
        Errors: Undecodable, TooLarge, StoreFull; what `open_stream` and its stream raise passes.
        """
        how = plan_for(request, facts).decode
        return self.cut(self.decoded(source_key, open_stream, how, facts, page), request, facts)

    def kept(self, source_key: str, how: Decode, page: int = 0) -> Pyramid | None:
        """The decoded picture, if it is in memory or in a file. Does not block."""
        return self._pyramids.peek((source_key, page, how))

    def decoded(
        self,
        source_key: str,
        open_stream: OpenStream,
        how: Decode,
        facts: Facts,
        page: int = 0,
        watch: Watch | None = None,
    ) -> Pyramid:
        """The decoded picture, kept for the next one where the budget holds it. Blocks. Errors: as `render`.

        `watch` hears of its rows, if it is decoded for this caller and its codec shows them.
        """
        self._checked_extent(facts)
        return self._pyramids.get((source_key, page, how), lambda: self._decode(open_stream, how, facts, page, watch))

    def cut(self, pyramid: Pyramid, request: ImageRequest, facts: Facts, reduced: Extent | None = None) -> bytes:
        """The rendition of `request` from the decoded picture that its plan names. Blocks. Errors: as `render`.

        `reduced`: upright px of what the pyramid was decoded from, in full, where that is not the picture itself.
        """
        with speaking_to_codec():
            if reduced is None:
                upright = self._checked_extent(facts)
                image, box = _compose(pyramid, request, upright, plan_for(request, facts).level)
            else:
                image, box = _compose_reduced(pyramid, request, facts, reduced)
        answer = encode_part(image, box, request.format)
        pyramid.let_go()
        with self._lock:
            self._renders += 1
        return answer

    @staticmethod
    def rows_for(pyramid: Pyramid, request: ImageRequest, facts: Facts) -> int | None:
        """How many rows of the decoded picture `cut` reads, from its top on; None if it may read all of them."""
        level = plan_for(request, facts).level
        found = _exact_part(pyramid, request, _extent_of(facts), level)
        return None if found is None else pyramid.level(level).rows_of_first(found)

    def decode_cost_px(self, how: Decode, facts: Facts) -> int:
        """The px of memory (4 bytes each) that `decoded` may take.

        Not counted: what a codec keeps of a progressive JPEG (up to 1.5 px more for each of the source).
        Errors: as `render`, for what the facts already say.
        """
        decoded = level_extent(self._checked_extent(facts), how.value)
        if decoded.area_px >= self._limits.file_from_px and facts.media_type in FILLING:
            return _BAND_COST_PX
        copies = 1 if facts.media_type in FILLING else 2
        return decoded.area_px * (3 * copies + 1) // 3

    @staticmethod
    def cut_cost_px(request: ImageRequest) -> int:
        """The px of memory that `cut` may take beside the decoded picture."""
        out = request.size.extent
        encoder = _ENCODER_COST.get(request.format, 0)
        return 2 * out.area_px + (2 + encoder) * turned_extent(out, request.rotation).area_px

    def _checked_extent(self, facts: Facts) -> Extent:
        extent = _extent_of(facts)
        if extent.area_px > self._limits.pixels_max:
            raise TooLarge(f"{extent.area_px} px are over the limit of {self._limits.pixels_max} px")
        return extent

    def _decode(self, open_stream: OpenStream, how: Decode, facts: Facts, page: int, watch: Watch | None) -> Pyramid:
        with self._lock:
            self._decodes[how] += 1
        with open_stream() as stream:
            return decode(stream, how, facts, page, self._room, watch)


def plan_for(request: ImageRequest, facts: Facts) -> Plan:
    """Which decode and level serve a request; of the request and the facts alone. Errors: Undecodable."""
    return plan_cut(request.region, request.size.extent, _extent_of(facts), facts.media_type)


def _extent_of(facts: Facts) -> Extent:
    if facts.extent is None:
        raise Undecodable(facts.error or "not a picture")
    return facts.extent


def _exact_part(pyramid: Pyramid, request: ImageRequest, upright: Extent, level: int) -> Box | None:
    """Of the level, as stored, what the answer is made of pixel by pixel; None if anything is resampled."""
    region = stored_region(request.region, upright, pyramid.orientation)
    out = stored_extent(request.size.extent, pyramid.orientation)
    return exact_box(region, 1 << level, out) if is_exact(region, out, level) else None


def _compose(pyramid: Pyramid, request: ImageRequest, upright: Extent, level: int) -> Part:
    """The pixels of the answer: a JPEG's, where they are the level's own, as they lie there."""
    box = _exact_part(pyramid, request, upright, level)
    if box is not None and UPRIGHTING[pyramid.orientation] is None and pyramid.is_srgb and _is_plain(request):
        return pyramid.level(level).part(box)
    region = stored_region(request.region, upright, pyramid.orientation)
    return _whole(_composed(pyramid, request, region, level))


def _is_plain(request: ImageRequest) -> bool:
    """The answer's pixels are the cut ones, and a JPEG."""
    turned = request.rotation.mirrored or request.rotation.degrees
    return request.format is Format.JPG and request.quality is Quality.DEFAULT and not turned


def _compose_reduced(pyramid: Pyramid, request: ImageRequest, facts: Facts, reduced: Extent) -> Part:
    """The pixels of the answer, from a reduced picture; it may be stored turned otherwise than the original."""
    turn, extent = pyramid.orientation, _extent_of(facts)
    region = stored_region(request.region, extent, turn)
    there = stored_extent(reduced, turn)
    window = window_of(region, stored_extent(extent, turn), there)
    level = window_level(window, stored_extent(request.size.extent, turn), there)
    return _whole(_composed(pyramid, request, window, level))


def _whole(image: Image.Image) -> Part:
    return image, (0, 0, image.width, image.height)


def _composed(pyramid: Pyramid, request: ImageRequest, region: Region | Window, level: int) -> Image.Image:
    """`region`: as stored. Rule: Image API 3.0 §4.6, for the order of the steps."""
    turn = pyramid.orientation
    out = stored_extent(request.size.extent, turn)
    exact = is_exact(region, out, level)
    image = to_srgb(cut(pyramid.level(level), region, 1 << level, out, exact=exact), pyramid.conversion)
    if (uprighting := UPRIGHTING[turn]) is not None:
        image = image.transpose(uprighting)
    return with_quality(rotate(image, request.rotation), request.quality)


def _fingerprint() -> str:
    codecs = " ".join(f"{name}={features.version(name)}" for name in _CODECS)
    drafts = "/".join(str(how.value) for how in DRAFTS)
    jpeg = f"jpg={settings.JPEG_QUALITY}/{settings.JPEG_SUBSAMPLING}"
    webp = f"webp={settings.WEBP_QUALITY}/{settings.WEBP_METHOD}"
    avif = f"avif={settings.AVIF_QUALITY}/{settings.AVIF_SPEED}"
    others = (
        f"png={settings.PNG_COMPRESS_LEVEL} tif={settings.TIFF_COMPRESSION} gif={settings.GIF_COLOURS} "
        f"jp2={settings.JP2_DECIBELS} pdf={settings.PDF_PX_PER_INCH}"
    )
    rawpy = rawpy_module()
    extras = f"av={av_version() or 'none'} rawpy={'none' if rawpy is None else rawpy.__version__}"
    return (
        f"render={REVISION} drafts={drafts} {jpeg} {webp} {avif} {others} "
        f"pillow={PIL.__version__} {codecs} heif={pillow_heif.__version__}/{pillow_heif.libheif_version()} {extras}"
    )
