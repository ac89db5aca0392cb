"""The renderer: a source, a request, bytes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Lock
from typing import BinaryIO

import PIL
from PIL import Image, features

from iiiffs.errors import TooLarge, Undecodable
from iiiffs.iiif.request import ImageRequest
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent
from iiiffs.render import encode as settings
from iiiffs.render.colour import to_srgb
from iiiffs.render.decode import decode
from iiiffs.render.encode import encode
from iiiffs.render.headers import PIXELS_MAX
from iiiffs.render.orientation import UPRIGHTING, stored_extent, stored_region
from iiiffs.render.plan import DRAFT_LEVEL, Decode, Plan, is_exact, level_extent, plan_cut
from iiiffs.render.pyramid import Pyramid, PyramidCache
from iiiffs.render.transform import cut, rotate, turned_extent, with_quality

OpenStream = Callable[[], AbstractContextManager[BinaryIO]]

REVISION = 1
"""Raised by whoever changes the bytes that this package makes, other than by a constant named in `_fingerprint`."""

_CODECS = ("libjpeg_turbo", "littlecms2", "webp", "zlib_ng", "zlib", "libtiff")


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """`pixels_max`: px of a source; more is TooLarge. `pyramid_bytes_max`: memory for decoded pictures and halves."""

    pixels_max: int = PIXELS_MAX
    pyramid_bytes_max: int = 256 << 20


@dataclass(frozen=True, slots=True)
class RenderGauges:
    """Counts since the start, and what is held now."""

    renders: int
    full_decodes: int
    draft_decodes: int
    cache_hits: int
    bytes_held: int


class Renderer:
    """Makes renditions. Every method may be called from any number of threads at once.

    Bytes are a pure function of source bytes, canonical request and `fingerprint`, never of what is in memory.
    """

    def __init__(self, limits: RenderLimits) -> None:
        self._limits = limits
        self._pyramids = PyramidCache(limits.pyramid_bytes_max)
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
        full, draft = self._decodes[Decode.FULL], self._decodes[Decode.DRAFT]
        return RenderGauges(self._renders, full, draft, self._pyramids.hits, self._pyramids.bytes_held)

    def render(self, source_key: str, open_stream: OpenStream, request: ImageRequest, facts: Facts) -> bytes:
        """The rendition of `request`. Blocks; opens the stream only if the picture is not in memory.

        `source_key` names one version of the source's bytes; `facts` are what `read_facts` said of them.
        Errors: Undecodable, TooLarge; what `open_stream` and its stream raise passes.
        """
        upright = self._checked_extent(facts)
        plan = plan_for(request, facts)
        pyramid = self._pyramids.get((source_key, plan.decode), lambda: self._decode(open_stream, plan.decode, facts))
        image = _compose(pyramid, request, upright, plan.level)
        answer = encode(image, request.format)
        with self._lock:
            self._renders += 1
        return answer

    def prepare(self, source_key: str, open_stream: OpenStream, how: Decode, facts: Facts) -> None:
        """The decode is in memory, where the budget holds it. For whoever cuts ahead. Errors: as `render`."""
        self._checked_extent(facts)
        self._pyramids.get((source_key, how), lambda: self._decode(open_stream, how, facts))

    def cost_px(self, request: ImageRequest, facts: Facts) -> int:
        """The px of memory (4 bytes each) that `render` may hold if nothing is in memory yet.

        Not counted: what a codec keeps of a progressive JPEG (up to 1.5 px more for each of the source).
        Errors: as `render`, for what the facts already say.
        """
        upright = self._checked_extent(facts)
        decoded = level_extent(upright, plan_for(request, facts).decode.value)
        out = request.size.extent
        return decoded.area_px * 4 // 3 + 2 * out.area_px + 2 * turned_extent(out, request.rotation).area_px

    def _checked_extent(self, facts: Facts) -> Extent:
        if facts.extent is None:
            raise Undecodable(facts.error or "not a picture")
        if facts.extent.area_px > self._limits.pixels_max:
            raise TooLarge(f"{facts.extent.area_px} px are over the limit of {self._limits.pixels_max} px")
        return facts.extent

    def _decode(self, open_stream: OpenStream, how: Decode, facts: Facts) -> Pyramid:
        with self._lock:
            self._decodes[how] += 1
        with open_stream() as stream:
            return decode(stream, how, facts, self._limits.pixels_max)


def plan_for(request: ImageRequest, facts: Facts) -> Plan:
    """Which decode and level serve a request; of the request and the facts alone. Errors: Undecodable."""
    if facts.extent is None:
        raise Undecodable(facts.error or "not a picture")
    return plan_cut(request.region, request.size.extent, facts.extent, facts.media_type)


def _compose(pyramid: Pyramid, request: ImageRequest, upright: Extent, level: int) -> Image.Image:
    """The pixels of the answer. Rule: Image API 3.0 §4.6, for the order of the steps."""
    turn = pyramid.orientation
    region = stored_region(request.region, upright, turn)
    out = stored_extent(request.size.extent, turn)
    exact = is_exact(region, out, stored_extent(upright, turn), level)
    image = to_srgb(cut(pyramid.level(level), region, 1 << level, out, exact=exact), pyramid.conversion)
    if (uprighting := UPRIGHTING[turn]) is not None:
        image = image.transpose(uprighting)
    return with_quality(rotate(image, request.rotation), request.quality)


def _fingerprint() -> str:
    codecs = " ".join(f"{name}={features.version(name)}" for name in _CODECS)
    jpeg = f"jpg={settings.JPEG_QUALITY}/{settings.JPEG_SUBSAMPLING}"
    webp = f"webp={settings.WEBP_QUALITY}/{settings.WEBP_METHOD}"
    return (
        f"render={REVISION} draft={DRAFT_LEVEL} {jpeg} {webp} png={settings.PNG_COMPRESS_LEVEL} "
        f"pillow={PIL.__version__} {codecs}"
    )
