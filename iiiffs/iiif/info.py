"""info.json: what an image service says of itself. Rule: Image API 3.0 §5."""

from __future__ import annotations

from collections.abc import Collection

from iiiffs.iiif.parameters import OFFERED, Format, Quality
from iiiffs.iiif.pyramid import scale_factors, sizes, tile_side
from iiiffs.iiif.scaling import Limits
from iiiffs.model.image import Extent

CONTEXT = "http://iiif.io/api/image/3/context.json"
PROFILE = "level2"

_PROFILE_FORMATS = (Format.JPG, Format.PNG)
# Beyond level 2. The two Link headers are the web server's and are not declared: validators would then ask for them.
_EXTRA_FEATURES = ("mirroring", "rotationArbitrary", "sizeUpscaling")


def image_info(
    service_id: str,
    image: Extent,
    limits: Limits,
    tile_size: int,
    *,
    monochrome: bool,
    at_hand: Collection[Extent] = (),
) -> dict[str, object]:
    """The document, its keys in the recommended order, of str, int, list and dict only.

    `service_id` is the URI that clients use, to the byte, without a slash at its end. Limits are always said: a server
    that upscales must (§4.2). Every size and tile in it is servable under them (§5.2).
    `at_hand`: sizes that cost less than others.
    """
    side = tile_side(tile_size, limits)
    return {
        "@context": CONTEXT,
        "id": service_id,
        "type": "ImageService3",
        "protocol": "http://iiif.io/api/image",
        "profile": PROFILE,
        "width": image.width,
        "height": image.height,
        "maxWidth": limits.max_width,
        "maxHeight": limits.max_height,
        "maxArea": limits.max_area,
        "sizes": [{"width": extent.width, "height": extent.height} for extent in sizes(image, limits, at_hand)],
        "tiles": [{"width": side, "height": side, "scaleFactors": scale_factors(image, side)}],
        "extraQualities": _extra_qualities(monochrome=monochrome),
        "extraFormats": [format_.value for format_ in OFFERED if format_ not in _PROFILE_FORMATS],
        "extraFeatures": list(_EXTRA_FEATURES),
    }


def _extra_qualities(*, monochrome: bool) -> list[str]:
    """`color` of an image without colour is served but not listed. Rule: Image API 3.0 §4.4."""
    hidden = {Quality.DEFAULT, Quality.COLOR} if monochrome else {Quality.DEFAULT}
    return [quality.value for quality in Quality if quality not in hidden]
