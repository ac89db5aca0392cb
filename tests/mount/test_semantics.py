"""The examples of docs/SEMANTICS.md, read out of that file and run on a real mount, so that the two cannot drift.

An example is a fenced block of the language `console`: lines that begin with "$ " are commands of one bash ("> "
goes on with the one before), the lines below a command are all that it prints. "…" stands for any text within a line,
and alone on a line for any number of lines. A block needs no other block: each works alone and in any order. Those of
WRITING run on a mount that may be written to, a new one for each chapter; all others on one that may not.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.mount import Mount, Program, mounted
from tests.harness.writable import writable_config

ROOT = Path(__file__).parents[2]
SEMANTICS = ROOT / "docs" / "SEMANTICS.md"
NOT_IN_README = {"Odd", "Diary", "broken.jpg", ".iiiffs"}
VIEWS = {"favorites", "search", "tags", "timeline"}
"""Shown in the README without what is in them."""
EXAMPLES_MIN = 25
WRITING = ("Writing", "Files that wait")
"""Chapters, in their order."""
EXPECTED = ["broken.jpg", "empty.jpg", "half.jpg"]
"""What warnings may be about."""
OTHER_ACCOUNTS = """
[account.inbox]
provider = "folder"
path = "{inbox}"
access = "add"
settle = "300ms"
[account.archive]
provider = "folder"
path = "{archive}"
access="read"
"""
DEADLINE_S = 30.0
ANY = "…"
MARK = "\x1e"
TAKEN_S = 1_717_243_200
"""2024-06-01T12:00:00Z: the time of every file of the gallery."""


@dataclass(frozen=True, slots=True)
class Example:
    """A block: the line of the file that it begins on, its commands, what each of them shall print, and its chapter."""

    line: int
    commands: tuple[str, ...]
    outputs: tuple[str, ...]
    chapter: str = ""

    @property
    def script(self) -> str:
        """All commands for one bash; a mark after each tells their outputs apart and leaves `$?` as it was."""
        return "\n".join(f"{command}\nstatus=$?; printf '{MARK}'; (exit $status)" for command in self.commands)


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
        chapters = re.findall(r"^## (.+)$", text[: match.start()], re.MULTILINE)
        examples.append(Example(line, tuple(commands), tuple(outputs), chapters[-1] if chapters else ""))
    return examples


def matches(expected: str, printed: str) -> bool:
    """True if `printed` is what `expected` says, line by line."""
    lines = [r"(?:.*\n)*" if line == ANY else _line_pattern(line) for line in expected.splitlines()]
    return re.fullmatch("".join(lines), printed) is not None


def _line_pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split(ANY)) + r"\n"


def run_example(example: Example, mount: Mount, photos: Path) -> list[str]:
    """What each command of the example printed, on stdout and stderr."""
    places = {
        "MOUNT": str(mount.root),
        "PHOTOS": str(photos),
        "CONFIG": str(mount.config),
        "XDG_DATA_HOME": data(photos),
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", example.script],
        cwd=mount.root,
        env=os.environ | places | {"LC_ALL": "C", "PATH": path, "XDG_DATA_HOME": data(photos)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return done.stdout.split(MARK)[: len(example.commands)]


EXAMPLES = parse_examples(SEMANTICS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mount, Path]]:
    """The mount of the gallery that "The examples" in SEMANTICS.md describes, and the folder that it shows."""
    folder = tmp_path_factory.mktemp("semantics")
    photos = folder / "photos"
    write_gallery(photos)
    with mounted(folder, photos) as mount:
        mount.expected += EXPECTED
        yield mount, photos


Writable = Callable[[str], tuple[Mount, Path]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writable]:
    """Of a chapter of WRITING: its mount, and the folder of the account `pictures`; one mount at a time."""
    with ExitStack() as current:
        open_now: dict[str, tuple[Mount, Path]] = {}

        def of(chapter: str) -> tuple[Mount, Path]:
            if chapter not in open_now:
                open_now.clear()
                current.close()
                open_now[chapter] = _write_to(current, tmp_path_factory.mktemp("writing"))
            return open_now[chapter]

        yield of


def _write_to(current: ExitStack, folder: Path) -> tuple[Mount, Path]:
    """A mount of three accounts, one of each access, until `current` is closed."""
    photos, others = folder / "photos", {name: folder / name for name in ("inbox", "archive")}
    write_gallery(photos)
    for place in others.values():
        place.mkdir()
        Image.new("RGB", (200, 100), "maroon").save(place / "old.jpg")
    config = writable_config(folder, photos, extra=OTHER_ACCOUNTS.format(**others))
    program = Program(environment=os.environ | {"XDG_DATA_HOME": data(photos)})
    mount = current.enter_context(mounted(folder, photos, config=config, program=program))
    mount.expected += [*EXPECTED, "conflict"]
    return mount, photos


def data(photos: Path) -> str:
    """Where the trash of the examples is."""
    return str(photos.parent / "data")


def write_gallery(photos: Path) -> None:
    """As listed at the end of SEMANTICS.md."""
    for name in ("Trip/Day 2", "Diary", "Odd"):
        (photos / name).mkdir(parents=True)
    for name, size, colour in (
        ("Trip/boat.jpg", (600, 400), "navy"),
        ("Trip/pier.png", (300, 200), "peru"),
        ("Trip/Day 2/fog.jpg", (640, 480), "gray"),
        ("Odd/real.jpg", (320, 200), "green"),
    ):
        Image.new("RGB", size, colour).save(photos / name)
    noise = photos / "Odd/half.jpg"
    Image.linear_gradient("L").resize((600, 400)).save(noise, quality=95)
    noise.write_bytes(noise.read_bytes()[: noise.stat().st_size // 2])
    (photos / "Trip/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture inside")
    (photos / "Trip/notes.txt").write_text("Windy.\n")
    (photos / "Odd/empty.jpg").touch()
    (photos / "Odd/manifest.json").write_text('{"mine": true}\n')
    (photos / "Odd/Thumbs.db").touch()
    (photos / "Odd/twin.jpg").symlink_to("real.jpg")
    outside = photos.parent / "outside.jpg"
    Image.new("RGB", (10, 10), "red").save(outside)
    (photos / "Odd/outside.jpg").symlink_to(outside)
    for path in photos.rglob("*"):
        os.utime(path, (TAKEN_S, TAKEN_S), follow_symlinks=False)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= EXAMPLES_MIN
    assert {example.chapter for example in EXAMPLES} >= set(WRITING)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_example(example: Example, gallery: tuple[Mount, Path], written: Writable) -> None:
    mount, photos = written(example.chapter) if example.chapter in WRITING else gallery
    printed = run_example(example, mount, photos)
    for command, expected, actual in zip(example.commands, example.outputs, printed, strict=True):
        if not matches(expected, actual):
            difference = difflib.unified_diff(
                expected.splitlines(), actual.splitlines(), SEMANTICS.name, "mount", lineterm=""
            )
            pytest.fail(f"below line {example.line}, $ {command}\n" + "\n".join(difference), pytrace=False)


def parse_tree(text: str) -> set[str]:
    """The paths of a tree drawn with box characters, "PATH -> TARGET" for symlinks; remarks are left out."""
    paths, above = set(), list[str]()
    for line in text.splitlines():
        if match := re.match(r"    ([│ ]*[├└]── )(\S.*?)(?:  .*)?$", line):
            above[len(match[1]) // 4 - 1 :] = [match[2]]
            paths.add("/".join(above))
    return paths


def test_the_tree_in_the_readme(gallery: tuple[Mount, Path]) -> None:
    """Ids come from account and path, so even the links are the same on every machine."""
    mount, _ = gallery
    found = set()
    for path in mount.root.rglob("*"):
        relative = path.relative_to(mount.root)
        below_view = len(relative.parts) > 2 and relative.parts[1] in VIEWS
        if not NOT_IN_README & set(relative.parts) and not below_view:
            found.add(f"{relative} -> {path.readlink()}" if path.is_symlink() else str(relative))
    assert parse_tree((ROOT / "README.md").read_text(encoding="utf-8")) == found


@pytest.mark.parametrize(
    ("expected", "printed", "is_match"),
    [
        ("a\n", "a\n", True),
        ("", "", True),
        ("", "noise\n", False),
        ("a…c\n", "abc\n", True),
        ("a…c\n", "a\nc\n", False),
        ("a\n…\nz\n", "a\nb\nc\nz\n", True),
        ("a\n…\nz\n", "a\nb\n", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_the_wildcard(expected: str, printed: str, is_match: bool) -> None:
    assert matches(expected, printed) is is_match


def test_a_continued_command_is_one() -> None:
    (example,) = parse_examples("```console\n$ echo a \\\n>   b\na b\n$ true\n```\n")
    assert example == Example(1, ("echo a \\\n  b", "true"), ("a b\n", ""))


def test_output_before_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        parse_examples("```console\nlost\n```\n")
