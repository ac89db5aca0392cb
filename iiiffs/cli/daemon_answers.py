"""What a running daemon answers, checked for its shape: it may be of another version."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

QUEUE_DEADLINE_S = 30.0
CONFLICT_DEADLINE_S = 600.0
"""A decision may move a whole file."""
LINE_OF_PROGRAMS = 4096
"""Characters, where no terminal says how many it has."""

Answer = Mapping[str, object]


def socket_of(config: Path | None) -> Path:
    """Where the daemon of this configuration answers. Errors: ConfigError."""
    from iiiffs.config import control_socket, load_config

    return control_socket(load_config(config))


def answered(socket: Path, verb: str, args: Answer | None = None, timeout_s: float = QUEUE_DEADLINE_S) -> Answer:
    """What the daemon answers. Errors: NoDaemon; IiiffsError if it refuses, or answers anything but a mapping."""
    from iiiffs.control import ask
    from iiiffs.errors import IiiffsError

    answer = ask(socket, verb, args, timeout_s)
    if not isinstance(answer, Mapping):
        raise IiiffsError(f"the daemon answered {answer!r}; it may be of another version")
    return answer


def answered_rows(socket: Path, verb: str, args: Answer | None = None) -> list[Answer]:
    """As `answered`, of a verb that answers a list of mappings."""
    from iiiffs.control import ask

    return rows_of(ask(socket, verb, args, QUEUE_DEADLINE_S))


def rows_of(value: object) -> list[Answer]:
    """`value`, which is a list of mappings. Errors: IiiffsError."""
    from iiiffs.errors import IiiffsError

    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise IiiffsError(f"the daemon answered {value!r}; it may be of another version")
    return value


def number(answer: Answer, key: str) -> int:
    """The whole number under that key; 0 if there is none."""
    value = answer.get(key)
    return int(value) if isinstance(value, int | float) else 0


def text(answer: Answer, key: str) -> str:
    """What stands under that key, to be printed: "" for nothing; bytes that are no text are escaped."""
    value = answer.get(key)
    return "" if value is None else printable(str(value))


def printable(words: str) -> str:
    """`words` without what no terminal can show: names come from others."""
    safe = words.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in safe)


def plain_console(*, to_stderr: bool = False) -> Console:
    """Where tables go: no line is broken for a program that reads them."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, stderr=to_stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = LINE_OF_PROGRAMS
    return console
