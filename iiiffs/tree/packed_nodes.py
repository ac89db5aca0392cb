"""Nodes and attributes as short rows of bytes, for the kinds of which the kernel may hold hundreds of thousands.

After a walk over a library the kernel knows each original and each symlink of it, and forgets them when it wants. As
objects one takes 500 bytes; as a row 110. Equal nodes have equal rows, different ones have different rows. Pure.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache

from iiiffs.model.gallery import AccountName, AlbumId, AssetId, Version
from iiiffs.tree.attributes import Attributes, FileKind
from iiiffs.tree.nodes import AliasLink, Node, Original

PackedNode = bytes

_ORIGINAL, _LINK = b"o", b"l"
_HEX, _TEXT_BYTES_MAX = 255, 250
_DIGITS = re.compile(r"([a-z0-9]*-)?((?:[0-9a-f]{2}){16,24})")
"""Such as `sha1-` and a digest."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DASHES = b"-" * 4
"""Stands for the beginning of a UUID, which no text of _DIGITS has."""
_UUID_HEAD = bytes((_HEX, len(_DASHES))) + _DASHES + b"\x10"
_ATTRIBUTES = struct.Struct("<HqqI")
"""What is the same for many, as a number; size, time and links."""


def packed_node(node: Node) -> PackedNode | None:
    """The row of a node of one of those kinds; None of another kind, or of longer names than there should be."""
    if type(node) is Original:
        return _joined(_ORIGINAL, node.account, node.asset, node.version)
    if isinstance(node, AliasLink) and node.depth < 256:
        return _joined(_LINK + bytes((node.depth,)), node.account, node.album, node.asset)
    return None


def unpacked_node(row: PackedNode) -> Node:
    """The node of a row that `packed_node` made."""
    if row[:1] == _ORIGINAL:
        account, at = _unpacked(row, 1)
        asset, at = _unpacked(row, at)
        return Original(AccountName(account), AssetId(asset), Version(_unpacked(row, at)[0]))
    account, at = _unpacked(row, 2)
    album, at = _unpacked(row, at)
    return AliasLink(AccountName(account), AlbumId(album), AssetId(_unpacked(row, at)[0]), row[1])


def ending_of_original(asset: AssetId, version: Version) -> bytes | None:
    """What the rows of originals of that version end with, whatever the account; None if they have none."""
    return _joined(b"", asset, version)


class PackedAttributes:
    """Attributes as rows of SIZE_BYTES. What they share, kind, mode and spans, is kept once."""

    SIZE_BYTES = _ATTRIBUTES.size

    def __init__(self) -> None:
        self._shared: list[tuple[FileKind, int, float, float]] = []
        self._numbers: dict[tuple[FileKind, int, float, float], int] = {}

    def pack(self, attributes: Attributes) -> bytes | None:
        """The row; None for what does not fit, such as a time that is centuries away."""
        shared = (attributes.kind, attributes.mode, attributes.entry_s, attributes.attr_s)
        number = self._numbers.get(shared)
        if number is None:
            number = self._numbers[shared] = len(self._shared)
            self._shared.append(shared)
        try:
            return _ATTRIBUTES.pack(number, attributes.size_bytes, attributes.mtime_ns, attributes.links)
        except struct.error:
            return None

    def unpack(self, row: bytes) -> Attributes:
        """The attributes of a row that `pack` made; more may follow in it."""
        number, size_bytes, mtime_ns, links = _ATTRIBUTES.unpack_from(row)
        kind, mode, entry_s, attr_s = self._shared[number]
        return Attributes(kind, mode, size_bytes, mtime_ns, entry_s, attr_s, links)


def _joined(kind: bytes, *texts: str) -> bytes | None:
    row = kind
    for text in texts:
        packed = _packed(text)
        if packed is None:
            return None
        row += packed
    return row


@lru_cache(maxsize=64)
def _digits_of(before: str, count: int) -> bytes:
    """What stands before so many bytes of digits."""
    return bytes((_HEX, len(before))) + before.encode() + bytes((count,))


def _packed(text: str) -> bytes | None:
    """The text behind its length, or hexadecimal digits as half as many bytes behind what comes before them."""
    if len(text) == 36 and _UUID.fullmatch(text):
        return _UUID_HEAD + bytes.fromhex(text.replace("-", ""))
    match = _DIGITS.fullmatch(text) if 32 <= len(text) <= _TEXT_BYTES_MAX else None
    if match is not None:
        return _digits_of(match[1] or "", len(match[2]) // 2) + bytes.fromhex(match[2])
    try:
        written = text.encode("utf-8", "surrogatepass")
    except UnicodeEncodeError:
        return None
    return bytes((len(written),)) + written if len(written) <= _TEXT_BYTES_MAX else None


def _unpacked(row: bytes, at: int) -> tuple[str, int]:
    """The text that begins there, and where it ends."""
    length = row[at]
    at += 1
    if length != _HEX:
        return row[at : at + length].decode("utf-8", "surrogatepass"), at + length
    before = row[at + 1 : at + 1 + row[at]]
    at += 1 + len(before)
    digits, end = row[at + 1 : at + 1 + row[at]].hex(), at + 1 + row[at]
    if before == _DASHES:
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])), end
    return before.decode() + digits, end
