"""A blocking binary file with a position of its own, for codecs: what all of ours have in common."""

from __future__ import annotations

import io
import os


class Seeking(io.RawIOBase):
    """Seekable and readable; whoever inherits says how long it is and fills buffers from `_position` on."""

    def __init__(self) -> None:
        super().__init__()
        self._position = 0

    @property
    def length_bytes(self) -> int:
        """How long it is now."""
        raise NotImplementedError

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new position, which may be past the end. Rule: io.IOBase.seek."""
        base = self._position if whence == os.SEEK_CUR else self.length_bytes if whence == os.SEEK_END else 0
        if base + offset < 0:
            raise ValueError("a position before the beginning of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position
