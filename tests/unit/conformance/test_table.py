"""docs/CONFORMANCE.md names tests that there are, and every test of this folder."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
DOCUMENT = ROOT / "docs" / "CONFORMANCE.md"
CITED = re.compile(r"`((?:tests/[\w/]+/)?test_\w+\.py)(?:::(test_\w+))?`")
SECTIONS = ("Image API 3.0", "Image API 2.1", "Presentation API 3.0")


def rows() -> list[tuple[str, list[str]]]:
    """(heading, cells) of every row of every table."""
    found, heading = [], ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith("| ---"):
            found.append((heading, [cell.strip() for cell in line.strip("| ").split(" | ")]))
    return found


def cited() -> set[tuple[Path, str | None]]:
    """(file, test or None) of all that the page names; a name without a folder is of this one."""
    found = set()
    for name, test in CITED.findall(DOCUMENT.read_text(encoding="utf-8")):
        found.add(((ROOT if "/" in name else HERE) / name, test or None))
    return found


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of the tests in a file."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in body if isinstance(node, kinds) and node.name.startswith("test_"))


@pytest.mark.parametrize("path", sorted({path for path, _ in cited()}), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_is_cited_is_there(path: Path) -> None:
    assert path.is_file()
    names = {test for place, test in cited() if place == path and test is not None}
    assert names <= names_in(path), sorted(names - names_in(path))


@pytest.mark.parametrize("path", sorted(HERE.glob("test_*.py")), ids=lambda path: path.name)
def test_every_test_of_this_folder_is_cited(path: Path) -> None:
    if path == Path(__file__):
        return
    assert names_in(path) <= {test for place, test in cited() if place == path}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_requirement_has_an_answer_and_what_is_ours_has_a_test(section: str) -> None:
    of_section = [cells for heading, cells in rows() if heading == section]
    assert len(of_section) > 15
    for cells in of_section[1:]:
        assert len(cells) == 4, cells
        paragraph, _, answer, shown_by = cells
        assert re.match(r"[0-9]", paragraph), cells
        assert re.match(r"(yes|no|web server)\b", answer), cells
        if answer.startswith("yes"):
            assert CITED.search(shown_by), cells


def test_rules_are_cited_by_the_tests() -> None:
    """Every test of this folder says which rule it shows."""
    for path in sorted(HERE.glob("test_*.py")):
        if path == Path(__file__):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert (ast.get_docstring(node) or "").startswith("Rule: "), f"{path.name}: {node.name}"
