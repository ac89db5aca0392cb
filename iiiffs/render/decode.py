"""Source bytes to the first level of a pyramid."""

from __future__ import annotations

from typing import BinaryIO

from iiiffs.errors import Undecodable
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent
from iiiffs.render.colour import open_conversion, to_level_mode
from iiiffs.render.headers import read_tags, upright_extent
from iiiffs.render.opening import open_picture, sniff_codec, speaking_to_codec
from iiiffs.render.plan import Decode, level_extent
from iiiffs.render.pyramid import Pyramid


def decode(stream: BinaryIO, how: Decode, facts: Facts, pixels_max: int) -> Pyramid:
    """The picture, decoded at the level that `how` names.

    Errors: Undecodable, also if the headers are not those that gave `facts`; TooLarge; what the stream raises.
    """
    codec = sniff_codec(stream)
    if codec is None or codec.media_type != facts.media_type:
        raise Undecodable(f"its bytes are not {facts.media_type}")
    picture = open_picture(stream, codec, pixels_max)
    tags = read_tags(picture, stream, codec.media_type)
    if upright_extent(picture, tags) != facts.extent:
        raise Undecodable(f"its size is not {facts.extent}")
    stored = Extent(*picture.size)
    with speaking_to_codec():
        if how is Decode.DRAFT:
            scale = 1 << how.value
            picture.draft(None, (stored.width // scale, stored.height // scale))
        picture.load()
        profile = picture.info.get("icc_profile")
        first = to_level_mode(picture)
    level = level_extent(stored, how.value)
    if first.size != (level.width, level.height):
        raise Undecodable(f"{first.size} px came out of the codec instead of {level}")
    conversion = open_conversion(profile if isinstance(profile, bytes) else None, first.mode)
    return Pyramid(first, how.value, tags.orientation, conversion)
