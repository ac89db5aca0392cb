"""How an account is read: how long who asks may wait, and what files are read with."""

from __future__ import annotations

from dataclasses import dataclass

from iiiffs.iiif.description import PRIVATE, Privacy
from iiiffs.vfs.blocks import BlockCache


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a handler may wait, in seconds, before EIO; the work itself goes on.

    `lookup_s` one question of a lookup; `list_s` a first listing or manifest; `render_s` a rendition; `read_s` a read.
    `patience_s`: how long a listing waits for documents that could be listed with it.
    """

    lookup_s: float = 5.0
    list_s: float = 30.0
    render_s: float = 60.0
    read_s: float = 30.0
    patience_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read. `read_by`: what facts depend on besides the bytes, such as the codecs that are installed.

    `privacy`: what tags may be named after. `blocks`: what keeps originals that are not local; None: nothing does.
    `mode`: "proxy", "hybrid" or "direct" (DESIGN §2, Modes).
    """

    read_by: str = ""
    privacy: Privacy = PRIVATE
    blocks: BlockCache | None = None
    mode: str = "hybrid"


READING = Reading()
