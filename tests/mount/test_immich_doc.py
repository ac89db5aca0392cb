"""The examples of docs/IMMICH.md, read out of that file and run on a mount of a fake server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.immich import ImmichServer, immich
from tests.harness.mount import Mount, Program, mounted
from tests.mount.test_semantics import Example, matches, parse_examples, run_example

DOCUMENT = Path(__file__).parents[2] / "docs" / "IMMICH.md"
EXAMPLES = parse_examples(DOCUMENT.read_text(encoding="utf-8"))


def fill(server: ImmichServer) -> None:
    """What the document shows."""
    half = server.add_asset("IMG_2.MOV", data=b"a moving half" * 100 + b"." * 200, visibility="hidden")
    one = server.add_asset("IMG_1.jpg", favorite=True)
    two = server.add_asset("IMG_2.HEIC", live_video=half.id)
    clip = server.add_asset("clip.mp4", taken="2024-06-02T10:00:00Z", duration_ms=2000)
    server.add_album("Trip", [one, two, clip])
    server.add_person("Anna", [one])
    server.add_tag("Sea", [one, two])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mount, Path]]:
    folder = tmp_path_factory.mktemp("immich")
    with immich("3.1.0") as server:
        fill(server)
        config = folder / "config.toml"
        config.write_text(
            f'[cache]\npath = "{folder}/cache"\n[state]\npath = "{folder}/state"\n'
            f'[account.home]\nprovider = "immich"\nurl = "{server.url}"\naccess = "edit"\n'
        )
        program = Program(environment={"IIIFFS_CREDENTIALS_HOME": json.dumps({"api_key": server.key})})
        with mounted(folder, folder, config=config, program=program) as mount:
            yield mount, folder


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_example(example: Example, home: tuple[Mount, Path]) -> None:
    printed = run_example(example, *home)
    for command, expected, actual in zip(example.commands, example.outputs, printed, strict=True):
        assert matches(expected, actual), f"line {example.line}: $ {command}\nsays:\n{expected}\nprinted:\n{actual}"
