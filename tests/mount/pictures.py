"""Small picture files, good and bad."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from PIL import Image


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (96, 64), mode: str = "RGB") -> Path:
    """A picture at `path`; another `seed`, other bytes, but often the same length."""
    shade = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", (shade, shade.transpose(Image.Transpose.ROTATE_180), Image.new("L", size, seed % 256)))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert(mode).save(path)
    return path


def picture_bytes(folder: Path, seed: int) -> bytes:
    """The bytes of such a picture, with no file left behind. `folder` is outside of what is mounted."""
    path = picture(folder / f"bytes-{seed}.jpg", seed)
    data = path.read_bytes()
    path.unlink()
    return data


def png_bomb(side_px: int) -> bytes:
    """A PNG of some 60 bytes whose header says `side_px` x `side_px`."""
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
