"""Source bytes to the first level of a pyramid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from PIL import Image
from PIL.ImageFile import ImageFile

from iiiffs.errors import Undecodable
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent
from iiiffs.render.codec_errors import speaking_to_codec
from iiiffs.render.colour import bare, level_conversion, open_conversion
from iiiffs.render.growing import READ_BYTES, Watched, can_grow, unwrite
from iiiffs.render.opening import FILLING, Codec, Picture, open_picture, sniff_codec
from iiiffs.render.plan import DRAFTS, Decode, level_extent
from iiiffs.render.pyramid import Pyramid
from iiiffs.render.sheets import Draining, Sheet, Sheets


@dataclass(frozen=True, slots=True)
class Room:
    """`pixels_max`: px of a source; more is TooLarge. `sheets`: where decoded pixels go."""

    pixels_max: int
    sheets: Sheets


Watch = Callable[[Pyramid, int], None]
"""Hears, in the thread that decodes, of a picture of which so many rows of the first level are there, and more come.

Whoever reads only those, of a level that is not halved for it, may do so at once. If the decode fails, what was read
is not to be used: a damaged picture has no rendition.
"""


def decode(stream: BinaryIO, how: Decode, facts: Facts, page: int, room: Room, watch: Watch | None = None) -> Pyramid:
    """The picture or that page of it, decoded at the level that `how` names; the same that `watch` heard of.

    `facts.extent` is that page's. Errors: Undecodable, also if the headers are not those that gave `facts`; TooLarge;
    StoreFull if it is too large for memory and there is no room for it on the disk; what the stream raises.
    """
    codec = sniff_codec(stream)
    if codec is None or codec.media_type != facts.media_type:
        raise Undecodable(f"its bytes are not {facts.media_type}")
    picture = open_picture(stream, codec, room.pixels_max, page)
    if picture.upright != facts.extent:
        raise Undecodable(f"its size is not {facts.extent}")
    stored = Extent(*picture.image.size)
    with speaking_to_codec():
        if how in DRAFTS:
            scale = 1 << how.value
            picture.image.draft(None, (stored.width // scale, stored.height // scale))
        if watch and how is Decode.FULL and can_grow(picture.image, codec.media_type, room.sheets):
            return _watched(picture, how, room.sheets, watch)
        loaded = _load(picture.image, codec, room.sheets)
        profile = _profile(loaded.image)
        first = _in_level_mode(loaded, room.sheets)
    level = level_extent(stored, how.value)
    if first.image.size != (level.width, level.height):
        raise Undecodable(f"{first.image.size} px came out of the codec instead of {level}")
    return Pyramid(first, how.value, picture.tags.orientation, open_conversion(profile, first.image.mode), room.sheets)


def _watched(picture: Picture, how: Decode, sheets: Sheets, watch: Watch) -> Pyramid:
    """Of a JPEG, RGB and thus as it stays, with a header read to its end: heard of while `load` fills it."""
    image = picture.image
    sheet = sheets.blank(image.mode, image.size)
    conversion = open_conversion(_profile(image), image.mode)
    pyramid = Pyramid(sheet, how.value, picture.tags.orientation, conversion, sheets)
    pixels = image.im = sheet.image.im
    unwrite(sheet.image)
    image.fp = Watched(image.fp, sheet.image, partial(watch, pyramid))
    image.decodermaxblock = READ_BYTES
    image.load()
    assert image.im is pixels, "Pillow decoded into other memory than it was given"
    return pyramid


def _profile(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else None


def _load(picture: ImageFile, codec: Codec, sheets: Sheets) -> Sheet:
    """The picture with its pixels: a large one's in a file from the start, where its codec can write there."""
    if codec.media_type not in FILLING or picture._im is not None:
        picture.load()
        return Sheet(picture)
    if not sheets.is_large(picture.size):
        # Pillow's own way to this memory would warn of a large TIFF; its size has been looked at by now.
        picture.im = sheets.blank(picture.mode, picture.size).image.im
        picture.load()
        return Sheet(picture)
    sheet = sheets.blank(picture.mode, picture.size)
    picture.im = sheet.image.im
    assert picture.fp is not None
    if getattr(picture, "use_load_libtiff", False) and not _has_descriptor(picture.fp):
        picture.fp.seek(0)
        with sheets.copied(picture.fp) as copy:  # Pillow would read all of it into memory
            picture.fp = copy
            picture.load()
    else:
        picture.fp = Draining(picture.fp, sheet)
        picture.load()
    sheet.let_go()
    if picture.im is not sheet.image.im:
        return Sheet(picture)
    return Sheet(picture, sheet.mapping)


def _has_descriptor(stream: object) -> bool:
    try:
        stream.fileno()  # type: ignore[attr-defined]
    except (OSError, AttributeError):
        return False
    return True


def _in_level_mode(loaded: Sheet, sheets: Sheets) -> Sheet:
    convert = level_conversion(loaded.image)
    if convert is None and (loaded.mapping is not None or not sheets.is_large(loaded.image.size)):
        return Sheet(bare(loaded.image), loaded.mapping)
    return sheets.filled(loaded.image, convert or bare)
