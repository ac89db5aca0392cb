"""Files and functions stay small: 500 lines and 70 lines at the most (300 and 40 are aimed at)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 7
"""self included."""

# A command's options are its parameters: typer reads them off the signature.
OPTIONS_AS_PARAMETERS = ("iiiffs/cli/",)


@pytest.mark.parametrize("path", sorted((ROOT / "iiiffs").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= FILE_LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            documented = ast.get_docstring(node, clean=False)
            lines -= len(documented.splitlines()) if documented else 0
            assert lines <= FUNCTION_LINES_MAX, f"{path}:{node.lineno} {node.name} has {lines} lines"
            if not str(path.relative_to(ROOT)).startswith(OPTIONS_AS_PARAMETERS):
                count = len(node.args.args) + len(node.args.kwonlyargs)
                assert count <= PARAMETERS_MAX, f"{path}:{node.lineno} {node.name} has {count} parameters"
