"""A program on a terminal of its own, spoken to as a person would."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence

STEP_S = 30.0


class Terminal:
    """`python ARGUMENTS`, running. `shown` is what the terminal showed so far: typed text too, unless echo is off."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        self.shown = ""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execve(sys.executable, [sys.executable, *arguments], dict(environ))

    def wait_for(self, text: str) -> None:
        """The terminal shows `text`, after what was waited for before."""
        end = time.monotonic() + STEP_S
        begin = len(self.shown)
        while text not in self.shown[begin:]:
            assert self._read(end), f"{text!r} is not in what it showed:\n{self.shown}"

    def type(self, text: str) -> None:
        """`text` and Return are typed."""
        os.write(self._terminal, f"{text}\n".encode())

    def exit_code(self) -> int:
        """It has ended."""
        end = time.monotonic() + STEP_S
        while self._read(end):
            pass
        os.close(self._terminal)
        while (ended := os.waitpid(self._pid, os.WNOHANG)) == (0, 0):
            if time.monotonic() > end:
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.01)
        return os.waitstatus_to_exitcode(ended[1])

    def _read(self, end_s: float) -> bool:
        """More was shown; False: it has closed its side, or it is too late."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, end_s - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._terminal, 4096)
        except OSError:  # EIO: nobody has the other side open any more
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)
