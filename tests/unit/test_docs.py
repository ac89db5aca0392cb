"""The documents say all that there is, and nothing that is not there: options, keys, errnos, exit codes, links."""

from __future__ import annotations

import ast
import errno
import functools
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import typer.main
from typer.core import TyperGroup

from iiiffs import config as configuration
from iiiffs import config_accounts, config_values, errors
from iiiffs.cli import app, exit_code_of
from iiiffs.fuse.errnos import ERRNO

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PIECE_MIN = 4
"""Characters; less than that of a message says nothing."""

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "cache": configuration.Cache,
    "state": configuration.State,
    "iiif": configuration.Iiif,
    "web": configuration.Web,
    "notify": configuration.Notify,
    "account.NAME": config_accounts.AccountKeys,
}
INDEX_HOSTS = tuple("".join(halves) for halves in (("pypi", ".org"), ("pythonhosted", ".org"), ("npmjs", ".org")))
"""Package indexes, written in halves, so that this file does not hold them."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below `heading` (with its #s), up to the next heading of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    begin = text.index(f"\n{heading}\n") + 1
    following = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(text, begin + len(heading))
    return text[begin : following.start() if following else len(text)]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables in `text`: first cell, without its marks -> the other cells."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| "):
            first, *rest = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
            found[first.strip("`")] = rest
    return found


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """("iiiffs cache stats", its command), of every command of the app."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in sorted(group.commands.items()):
        if isinstance(command, TyperGroup):
            for below, leaf in sorted(command.commands.items()):
                yield f"iiiffs {name} {below}", leaf  # type: ignore[misc]  # click's type, typer's object
        else:
            yield f"iiiffs {name}", command  # type: ignore[misc]


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_row_of_its_command(name: str) -> None:
    table = rows(section(read("docs/CONFIG.md"), "## The command line"))
    row = next((" ".join([first, *rest]) for first, rest in table.items() if first.startswith(name)), None)
    assert row is not None, f"{name} is not in CONFIG.md"
    general = {"--config", "--help", "-h"}
    for parameter in COMMANDS[name].params:
        for option in set(parameter.opts) - general:
            if option.startswith("-"):
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", row), f"{name} {option}"


def test_no_option_is_documented_that_is_not_there() -> None:
    known = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    table = rows(section(read("docs/CONFIG.md"), "## The command line"))
    for first, rest in table.items():
        if first.startswith("iiiffs "):
            for option in re.findall(r"`(--?[a-z][a-z-]*)", " ".join(rest)):
                assert option in known, f"{first}: {option} is no option"


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_has_its_row_with_its_default(name: str) -> None:
    table = rows(section(read("docs/CONFIG.md"), f"### [{name}]"))
    for field in msgspec.structs.fields(SECTIONS[name]):
        assert field.encode_name in table, f"[{name}] {field.encode_name} is not in CONFIG.md"
        _, default, effect = table[field.encode_name]
        assert effect
        if field.default is not msgspec.NODEFAULT:
            assert same_value(field.default, default), f"[{name}] {field.encode_name}: {field.default!r} or {default}?"
    extra = table.keys() - {field.encode_name for field in msgspec.structs.fields(SECTIONS[name])}
    assert extra <= {"key", "---", "path"}, f"[{name}] documents {extra}"


def same_value(default: object, cell: str) -> bool:
    """True if the TOML value in `cell` is read as `default`; None is written as a dash."""
    if default is None:
        return cell == "–"
    value = tomllib.loads(f"x = {cell.strip('`')}")["x"]
    parser = config_values.PARSERS.get(type(default))
    value = parser(value) if parser else tuple(value) if isinstance(value, list) else value
    return value == default


def test_keys_of_folder_publish_and_later_versions_are_named() -> None:
    text = read("docs/CONFIG.md")
    publish = section(text, "### [publish]")
    for field in msgspec.structs.fields(configuration.Publish):
        assert f"`{field.encode_name}`" in publish
    account = section(text, "### [account.NAME]")
    for provider, keys in config_accounts.PROVIDER_KEYS.items():
        own = section(text, f'### Keys of provider "{provider}"')
        for field in msgspec.structs.fields(keys):
            assert f"| `{field.encode_name}` |" in own
    for name in (*config_accounts.LATER_ACCOUNT_KEYS, "slug", "aliases"):
        assert f"`{name}`" in account
    for name in config_accounts.LATER_PROVIDERS:
        assert f'`"{name}"`' in account
    assert "| `base_url` |" in section(text, "### Top")


@pytest.mark.parametrize("error", ERRNO, ids=lambda error: error.__name__)
def test_every_errno_is_in_the_table_of_semantics(error: type[errors.IiiffsError]) -> None:
    table = section(read("docs/SEMANTICS.md"), "## Errors")
    assert f"| `{errno.errorcode[ERRNO[error]]}` | `{error.__name__}` |" in table


def test_semantics_names_no_errno_for_an_error_that_the_code_does_not() -> None:
    table = section(read("docs/SEMANTICS.md"), "## Errors")
    said = set(re.findall(r"^\| `(E[A-Z]+)` \| `(\w+)` \|", table, re.MULTILINE))
    assert said == {(errno.errorcode[number], error.__name__) for error, number in ERRNO.items()}


def test_every_exit_code_is_documented() -> None:
    said = rows(section(read("docs/CONFIG.md"), "## The command line"))
    codes = {str(exit_code_of(kind("-"))) for kind in kinds_of(errors.IiiffsError)}
    assert codes | {"0", "130"} == {first for first in said if first.isdigit()}
    troubles = read("docs/TROUBLESHOOTING.md")
    for code in codes:
        assert f"### Exit code {code}" in troubles or f"\n| {code} | " in troubles


def kinds_of(error: type[errors.IiiffsError]) -> Iterator[type[errors.IiiffsError]]:
    """`error` and everything below it in the tree of errors."""
    yield error
    for below in error.__subclasses__():
        yield from kinds_of(below)


@functools.cache
def program_texts() -> str:
    """All constant text of the program; of an f-string the parts between its values."""
    return "\n".join(
        node.value
        for path in sorted((ROOT / "iiiffs").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def quoted_messages() -> list[str]:
    """What TROUBLESHOOTING.md quotes of messages, cut where "…" stands for a value."""
    text = read("docs/TROUBLESHOOTING.md")
    cells = []
    for heading in ("## It does not start", "## Log lines"):
        for line in section(text, heading).splitlines():
            if line.startswith("| "):
                first, second, *_ = line.strip("| ").split(" | ")
                cells.append(second if first.isdigit() else first)
    pieces = (piece.strip() for cell in cells for quote in re.findall(r"`([^`]+)`", cell) for piece in quote.split("…"))
    return sorted({piece for piece in pieces if len(piece) >= PIECE_MIN})


@pytest.mark.parametrize("piece", quoted_messages())
def test_troubleshooting_quotes_messages_that_the_program_has(piece: str) -> None:
    assert piece in program_texts()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_internal_links_resolve(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(path), f"{target}: no such heading"


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_paths_that_architecture_names_are_there() -> None:
    text = read("docs/ARCHITECTURE.md")
    for name in set(re.findall(r"`((?:iiiffs/|tests/)?[a-z_]+(?:/[a-z_]*)*(?:\.py|/))`", text)):
        assert (ROOT / name).exists() or (ROOT / "iiiffs" / name).exists(), f"{name} is not there"


def test_every_row_of_the_house_is_in_the_table_of_layers() -> None:
    table = section(read("docs/ARCHITECTURE.md"), "## The layers")
    for path in sorted((ROOT / "iiiffs").iterdir()):
        if path.suffix == ".py" and not path.name.startswith("__"):
            assert f"`{path.name}`" in table
        elif path.is_dir() and (path / "__init__.py").exists():
            assert f"`{path.name}/`" in table


def test_every_dependency_is_a_decision() -> None:
    text = read("docs/DECISIONS.md")
    for requirement in tomllib.loads(read("pyproject.toml"))["project"]["dependencies"]:
        name = re.split(r"[^A-Za-z0-9_-]", requirement)[0]
        assert f"**{name}**" in text, f"DECISIONS.md says nothing about {name}"


def test_the_dependencies_that_were_asked_for_are_used() -> None:
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for path in (ROOT / "iiiffs").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported >= {"pyfuse3", "trio", "httpx", "PIL", "lmdb", "keyring", "lxml"}


def test_no_committed_file_names_a_package_index() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".jpg"}:
            text = path.read_text(encoding="utf-8", errors="replace")
            for host in INDEX_HOSTS:
                assert host not in text, f"{name} names {host}"
