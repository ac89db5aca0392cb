"""The examples of docs/SEMANTICS.md, read out of that file and run on a real mount, so that the two cannot drift.

An example is a fenced block of the language `console`: lines that begin with "$ " are commands of one bash ("> "
goes on with the one before), the lines below a command are all that it prints. "…" stands for any text within a line,
and alone on a line for any number of lines. A block needs no other block: each works alone and in any order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.mount import Mount, mounted

SEMANTICS = Path(__file__).parents[2] / "docs" / "SEMANTICS.md"
EXAMPLES_MIN = 15
DEADLINE_S = 30.0
ANY = "…"
MARK = "\x1e"
TAKEN_S = 1_717_243_200
"""2024-06-01T12:00:00Z: the time of every file of the gallery."""

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]


@dataclass(frozen=True, slots=True)
class Example:
    """A block: the line of the file that it begins on, its commands, and what each of them shall print."""

    line: int
    commands: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def script(self) -> str:
        """All commands for one bash; a mark after each tells their outputs apart."""
        return "\n".join(f"{command}\nprintf '{MARK}'" for command in self.commands)


def parse_examples(text: str) -> list[Example]:
    """The console blocks of a Markdown text. ValueError if one prints something before its first command."""
    examples = []
    for match in re.finditer(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start()) + 1
        commands: list[str] = []
        outputs: list[str] = []
        for row in match[1].splitlines():
            if row.startswith("$ "):
                commands.append(row[2:])
                outputs.append("")
            elif not commands:
                raise ValueError(f"line {line}: a block begins with a command, not with {row!r}")
            elif row.startswith("> ") and not outputs[-1]:
                commands[-1] += "\n" + row[2:]
            else:
                outputs[-1] += row + "\n"
        examples.append(Example(line, tuple(commands), tuple(outputs)))
    return examples


def pattern_of(expected: str) -> re.Pattern[str]:
    """What an output must match whole."""
    lines = expected.splitlines()
    return re.compile("".join(r"(?:.*\n)*" if line == ANY else _line_pattern(line) for line in lines))


def _line_pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split(ANY)) + r"\n"


EXAMPLES = parse_examples(SEMANTICS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mount, Path]]:
    """The mount of the gallery that "The examples" in SEMANTICS.md describes, and the folder that it shows."""
    folder = tmp_path_factory.mktemp("semantics")
    photos = folder / "photos"
    write_gallery(photos)
    with mounted(folder, photos) as mount:
        mount.expected += ["broken.jpg", "empty.jpg", "half.jpg"]
        yield mount, photos


def write_gallery(photos: Path) -> None:
    """Album Trip with two pictures, an album below it, and what is no picture; album Odd with what is odd."""
    pictures = {
        "Trip/boat.jpg": (Extent := (600, 400), "navy"),
        "Trip/pier.png": ((300, 200), "peru"),
        "Trip/Day 2/fog.jpg": ((640, 480), "gray"),
        "Odd/real.jpg": (Extent, "green"),
        "Odd/half.jpg": (Extent, "olive"),
    }
    for name, (size, colour) in pictures.items():
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise(size, 64).convert("RGB").save(path) if name.endswith("half.jpg") else Image.new(
            "RGB", size, colour
        ).save(path)
