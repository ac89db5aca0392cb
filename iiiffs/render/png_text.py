"""Words inside a PNG, for what is made already: pixels are not touched."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = len(_SIGNATURE) + 4 + 4 + 13 + 4
"""Of IHDR, which is always the first chunk and has 13 bytes. Rule: PNG (ISO 15948) §5.6, §11.2.2."""


def with_texts(png: bytes, texts: Mapping[str, str]) -> bytes:
    """`png` with a tEXt chunk for each of `texts` (keyword of 1 to 79 characters -> text), before its pixels.

    The same arguments make the same bytes. Errors: ValueError if it is no PNG, or a word is not Latin-1.
    Rule: PNG (ISO 15948) §11.3.4.3.
    """
    if not png.startswith(_SIGNATURE) or png[12:16] != b"IHDR":
        raise ValueError("texts can be put into a PNG only")
    chunks = (_chunk(b"tEXt", key.encode("latin-1") + b"\0" + text.encode("latin-1")) for key, text in texts.items())
    return png[:_HEADER_END] + b"".join(chunks) + png[_HEADER_END:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)
