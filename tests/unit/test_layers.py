"""The house's table (DESIGN §5): a module imports only from its own row and the rows above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "iiiffs"
ROWS = (
    "errors", "model", "iiif", "tree", "sync", "providers", "cache", "state", "render", "vfs", "fuse", "web",
    "config_values", "config_accounts", "config", "private_files", "credentials", "control", "mountpoints", "daemon",
    "cli", "__main__",
)  # fmt: skip
PURE_ROWS = ("errors", "model", "iiif", "tree", "sync")
PURE_MODULES = (
    "providers/http_policy.py",
    "providers/http_values.py",
    "providers/immich/dialect.py",
    "providers/immich/library.py",
    "providers/immich/wire.py",
    "providers/views.py",
    "vfs/entries.py",
    "vfs/gauges.py",
    "web/answers.py",
    "web/apache.py",
    "web/apache_rules.py",
    "web/caddy.py",
    "web/caddy_parts.py",
    "web/caddy_templates.py",
    "web/nginx.py",
    "web/nginx_locations.py",
    "web/site.py",
)
IMPURE = {
    "trio",
    "httpx",
    "lmdb",
    "PIL",
    "keyring",
    "lxml",
    "pyfuse3",
    "os",
    "io",
    "time",
    "random",
    "socket",
    "logging",
}
OWNERS = {
    "pyfuse3": {"fuse", "cli"},
    "lmdb": {"cache", "state", "cli"},
    "PIL": {"render", "cli"},
    "av": {"render", "cli"},
    "pillow_heif": {"render", "cli"},
    "rawpy": {"render", "cli"},
    "httpx": {"providers", "cli"},
    "lxml": {"render"},
    "watchfiles": {"providers"},
    "keyring": {"credentials"},
}
"""Libraries that one package owns, so that their errors die there; `cli` names versions in `doctor`."""
ERRNO_READERS = {"cache", "state", "providers", "mountpoints", "control", "cli", "fuse"}
"""Rows that may read an OSError's errno; only fuse/errnos.py chooses one for the kernel."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def row_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that `path` imports, wherever the statement stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            if node.module == "iiiffs":
                yield from ((f"iiiffs.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module or "", node.lineno


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_rows_above(path: Path) -> None:
    row = row_of(path)
    if row == "__init__":
        assert not list(imports(path)) or all(name == "__future__" for name, _ in imports(path))
        return
    assert row in ROWS, f"{path} is in no row: add it to the table and to DESIGN"
    for name, line in imports(path):
        if not name.startswith("iiiffs."):
            continue
        target = name.split(".")[1]
        if target in ("__version__",):
            continue
        assert ROWS.index(target) <= ROWS.index(row), f"{path}:{line}: {row} imports {target}, a row below it"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_pure_rows_know_no_world_and_libraries_have_one_owner(path: Path) -> None:
    row, relative = row_of(path), str(path.relative_to(PACKAGE))
    for name, line in imports(path):
        library = name.split(".")[0]
        if row in PURE_ROWS or relative in PURE_MODULES:
            assert library not in IMPURE, f"{relative}:{line}: a pure module imports {library}"
        assert row in OWNERS.get(library, {row}), f"{relative}:{line}: {library} belongs to {OWNERS[library]}"


def test_an_errno_for_the_kernel_is_chosen_in_fuse_only() -> None:
    for path in modules():
        text, row = path.read_text(), row_of(path)
        assert row == "fuse" or "FUSEError" not in text, f"{path} raises FUSEError"
        if row not in ERRNO_READERS:
            assert "import errno" not in text, f"{path} knows errnos"


def test_providers_and_services_know_no_concrete_provider() -> None:
    for path in modules():
        if row_of(path) in ("vfs", "fuse", "daemon", "cache", "state"):
            for name, line in imports(path):
                concrete = name.startswith("iiiffs.providers.") and name.split(".")[2] not in (
                    "base", "media", "mountinfo", "pieces", "registry", "seeking", "views", "writing",
                )  # fmt: skip
                assert not concrete, f"{path}:{line} knows {name}"
