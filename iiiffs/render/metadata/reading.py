"""The two entrances: a file's own description, and a sidecar's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from iiiffs.model.description import NOTHING_SAID, Description, merged
from iiiffs.render.metadata.containers import Blocks, find_blocks
from iiiffs.render.metadata.iptc import read_iptc
from iiiffs.render.metadata.tags import TagsFound, read_tags
from iiiffs.render.metadata.xmp import read_tag_paths, read_xmp

SIDECAR = "a sidecar"


def read_description(stream: BinaryIO, name: str) -> Description:
    """What is written in the file: EXIF, then IPTC, then XMP, each stronger than the one before. `name` is for the log.

    The same bytes always say the same. Bad bytes say nothing; errors: only what the stream itself raises. The stream is
    left where it was.
    """
    before = stream.tell()
    try:
        blocks = find_blocks(stream)
        if blocks is None:
            tags = _tags_of_file(stream)
            blocks = Blocks(iptc=tags.iptc, xmp=tags.xmp)
        else:
            tags = _tags_of_block(blocks.exif)
    finally:
        stream.seek(before)
    iptc = read_iptc(blocks.iptc) if blocks.iptc else NOTHING_SAID
    xmp = read_xmp(blocks.xmp, name) if blocks.xmp else NOTHING_SAID
    return merged(tags.description, iptc, xmp)


def read_sidecar(xml: bytes) -> Description:
    """What an .xmp file beside the picture says; stronger than all that is in the file. Bad bytes say nothing."""
    return read_xmp(xml, SIDECAR)


@dataclass(frozen=True, slots=True)
class SidecarRead:
    """What an .xmp file says. `tags`: keywords with what they are below, levels divided by "/"."""

    description: Description
    tags: tuple[str, ...]


def read_whole_sidecar(xml: bytes) -> SidecarRead | None:
    """As `read_sidecar`, and its tags; None for bytes that are no XMP, or more than is read."""
    tags = read_tag_paths(xml, SIDECAR)
    return None if tags is None else SidecarRead(read_xmp(xml, SIDECAR), tags)


def _tags_of_file(stream: BinaryIO) -> TagsFound:
    def read_at(offset: int, length: int) -> bytes:
        stream.seek(offset)
        return stream.read(length)

    return read_tags(read_at)


def _tags_of_block(block: bytes | None) -> TagsFound:
    if not block:
        return TagsFound()
    return read_tags(lambda offset, length: block[offset : offset + length])
