"""info.json of Image API 2.1: what the same image service says to a viewer of that version. Rule: Image API 2.1 §5."""

from __future__ import annotations

from collections.abc import Collection

from iiiffs.iiif.parameters import OFFERED, Format, Quality
from iiiffs.iiif.pyramid import scale_factors, sizes_by_width, tile_side
from iiiffs.iiif.scaling import Limits
from iiiffs.model.image import Extent

CONTEXT_2 = "http://iiif.io/api/image/2/context.json"
PROFILE_2 = "http://iiif.io/api/image/2/level2.json"

# What the document at PROFILE_2 grants already is not said again. Rule: §5.3.
_PROFILE_FORMATS = (Format.JPG, Format.PNG)
_PROFILE_QUALITIES = (Quality.DEFAULT, Quality.BITONAL)
# The two Link headers are the web server's and are not declared; sizeAboveFull is not offered (see SIZE_FORMS_2).
_EXTRA_FEATURES = ("mirroring", "regionSquare", "rotationArbitrary")


def image_info_2(
    service_id: str,
    image: Extent,
    limits: Limits,
    tile_size: int,
    *,
    monochrome: bool,
    at_hand: Collection[Extent] = (),
) -> dict[str, object]:
    """The document, its keys in the order of the specification's examples, of str, int, list and dict only.

    `service_id` is the URI that clients use, to the byte, without a slash at its end. Every size and tile in it is
    servable as `w,h`; as `w,` too, as far as the limits hold the height that comes with it. Rule: §5.2.
    `at_hand`: sizes that cost less than others.
    """
    side = tile_side(tile_size, limits)
    return {
        "@context": CONTEXT_2,
        "@id": service_id,
        "protocol": "http://iiif.io/api/image",
        "width": image.width,
        "height": image.height,
        "sizes": [
            {"width": extent.width, "height": extent.height} for extent in sizes_by_width(image, limits, at_hand)
        ],
        "tiles": [{"width": side, "height": side, "scaleFactors": scale_factors(image, side)}],
        "profile": [PROFILE_2, _profile(limits, monochrome=monochrome)],
    }


def _profile(limits: Limits, *, monochrome: bool) -> dict[str, object]:
    """What is offered beyond level 2, and the limits; a list with nothing in it is left out. Rule: §5.3."""
    lists = {
        "formats": [format_.value for format_ in OFFERED if format_ not in _PROFILE_FORMATS],
        "qualities": _extra_qualities(monochrome=monochrome),
        "supports": list(_EXTRA_FEATURES),
    }
    return {
        **{name: values for name, values in lists.items() if values},
        "maxWidth": limits.max_width,
        "maxHeight": limits.max_height,
        "maxArea": limits.max_area,
    }


def _extra_qualities(*, monochrome: bool) -> list[str]:
    """`color` of an image without colour is served but not listed: level 2 asks for it "if applicable"."""
    hidden = {*_PROFILE_QUALITIES, Quality.COLOR} if monochrome else set(_PROFILE_QUALITIES)
    return [quality.value for quality in Quality if quality not in hidden]
