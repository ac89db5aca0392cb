"""What a failing disk does to a block of the cache, done on purpose."""

from __future__ import annotations

from pathlib import Path

from iiiffs.cache.environment import BLOCKS_FOLDER


def block_files(cache: Path) -> list[Path]:
    """The files of all blocks in the cache folder."""
    return sorted((cache / BLOCKS_FOLDER).glob("*/*"))


def damage_block(cache: Path, beginning: bytes, at: int) -> None:
    """One bit of the block that begins so is another, `at` bytes into it."""
    (path,) = [path for path in block_files(cache) if path.read_bytes().startswith(beginning)]
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes((byte ^ 1,)))
