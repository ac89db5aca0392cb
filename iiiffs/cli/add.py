"""`iiiffs add`: an account from nothing: asked for, tried, its secret stored, its section written."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iiiffs.cli.arguments import ConfigFile
from iiiffs.cli.login import SECRET_NAMES, FromStdin, NoTest, read_secret, tried
from iiiffs.errors import ConfigError

if TYPE_CHECKING:
    from iiiffs.config_accounts import Account
    from iiiffs.credentials import Credentials, CredentialStore

QUESTIONS = {
    "url": "Where the server is, such as https://photos.example.org",
    "path": "The folder to show, such as ~/Pictures",
}
"""What a person is asked for a key that the provider needs."""
CREDENTIALS_FOLDER = "credentials"
"""Beside the configuration; for secrets where there is no keyring."""

Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="What the gallery is, such as immich or folder.")]
Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="Its directory in the mount.  [default: the provider's name]")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A key of its section, as in the file; may be repeated."),
]


def add(
    provider: Provider,
    name: Name = None,
    keys: Set = None,
    stdin: FromStdin = False,
    no_test: NoTest = False,
    config: ConfigFile = None,
) -> None:
    """Add an account: asks where it is and for its secret, tries them, and writes a section into the configuration.

    Nothing is written unless the server accepts them. The secret goes into the system keyring; where there is none,
    into a file beside the configuration that you alone can read. The rest of the configuration stays as it is.
    Exit codes: 0 added; 1 the server refuses it or cannot be asked; 2 configuration, or NAME is there already.
    """
    from iiiffs.config import default_config_path

    file = Path(config or default_config_path()).absolute()
    before = _text_of(file)
    account_name = name or provider
    _refuse_known(file, before, account_name)
    values: dict[str, object] = {"provider": provider, **dict(map(parse_setting, keys or [])), "access": "read"}
    _ask_missing(provider, values)
    account = _checked(file, before, account_name, values)
    if provider in SECRET_NAMES or stdin:
        secret = read_secret(provider, stdin)
        if not no_test:
            typer.echo(tried(account, secret))
        store, account = _stored(file, account, secret)
        if account.credentials is not None:
            values["credentials"] = str(account.credentials)
        _write(file, before, account_name, values, (store, account))
    else:
        from iiiffs.credentials import NOTHING

        if not no_test:
            typer.echo(tried(account, NOTHING))
        _write(file, before, account_name, values, None)
    typer.echo(f"{file} has [account.{account_name}] now; `iiiffs mount MOUNTPOINT` shows it (a running one: restart)")


def parse_setting(text: str) -> tuple[str, object]:
    """("url", "https://…") of "url=https://…"; a value that is TOML but for its quotes is read as that.

    Errors: ConfigError, which quotes the key alone: somebody may have put a secret there.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"[a-z0-9_]+", key):
        raise ConfigError("--set: expected KEY=VALUE, such as url=https://photos.example.org")
    if key in {"provider", "api_key", "app_password", "headers"}:
        raise ConfigError(f"--set: {key} cannot be set so; secrets are asked for, or read by --stdin")
    try:
        return key, tomllib.loads(f"x = {value}")["x"] if "\n" not in value else value
    except tomllib.TOMLDecodeError:
        return key, value


def section_text(name: str, values: Mapping[str, object]) -> str:
    """The section [account.NAME] with these values, as TOML."""
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join([f"[account.{key}]", *lines, ""])


def with_section(text: str, name: str, values: Mapping[str, object]) -> str:
    """`text` with the section behind it; nothing of `text` is changed."""
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + section_text(name, values)


def _text_of(file: Path) -> str:
    """What the configuration holds; "" if there is none yet. Errors: ConfigError."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        from iiiffs.config import load_config

        load_config(file)
        raise


def _refuse_known(file: Path, text: str, name: str) -> None:
    """Errors: ConfigError if the configuration has that account, or is no TOML."""
    try:
        sections = tomllib.loads(text).get("account", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: expected TOML: {error}; correct that first") from None
    if isinstance(sections, dict) and name in sections:
        raise ConfigError(f"{file} has [account.{name}] already; name another one, or `iiiffs login {name}`")


def _ask_missing(provider: str, values: dict[str, object]) -> None:
    """Keys that the provider needs and nobody gave are asked for. Errors: ConfigError without a terminal."""
    import msgspec

    from iiiffs.config_accounts import PROVIDER_KEYS
    from iiiffs.config_values import is_loopback

    kind = PROVIDER_KEYS.get(provider)
    for field in msgspec.structs.fields(kind) if kind else ():
        if field.required and field.encode_name not in values and sys.stdin.isatty():
            question = QUESTIONS.get(field.encode_name, field.encode_name)
            values[field.encode_name] = typer.prompt(question, type=str).strip()
    url = values.get("url")
    if isinstance(url, str) and url.startswith("http://") and "cleartext" not in values and sys.stdin.isatty():
        question = "That is http: whoever is on the way can read the key and the pictures. Use it all the same?"
        if not is_loopback(url) and typer.confirm(question):
            values["cleartext"] = True


def _checked(file: Path, before: str, name: str, values: Mapping[str, object]) -> Account:
    """The account as the configuration would have it. Errors: ConfigError with the first problem of the whole."""
    from iiiffs.cli.login import account_of
    from iiiffs.config import examine_text

    config, problems = examine_text(file, with_section(before, name, values))
    if config is None:
        raise ConfigError(f"{problems[0]}; nothing was changed")
    return account_of(config, name)


def _stored(file: Path, account: Account, credentials: Credentials) -> tuple[CredentialStore, Account]:
    """They are kept; the account as its section has to be for that."""
    import msgspec
    import trio

    from iiiffs.credentials import CredentialStore, KeyringAbsent

    store = CredentialStore()
    try:
        where = trio.run(store.store, account, credentials)
    except KeyringAbsent:
        private = file.parent / CREDENTIALS_FOLDER / f"{account.name}.json"
        if private.exists():
            raise ConfigError(f"{private}: is there already; move it away, or add --set credentials=FILE") from None
        account = msgspec.structs.replace(account, credentials=private)
        typer.echo("there is no system keyring, so a file keeps the secret")
        where = trio.run(store.store, account, credentials)
    typer.echo(f"{account.name}: the secret is kept in {where}")
    return store, account


def _write(
    file: Path,
    before: str,
    name: str,
    values: Mapping[str, object],
    stored: tuple[CredentialStore, Account] | None,
) -> None:
    """The section is in the file, or an error is raised and the secret is forgotten again."""
    import trio

    from iiiffs.private_files import rewrite

    try:
        _check_unchanged(file, before)
        _checked(file, before, name, values)
        rewrite(file, with_section(before, name, values).encode())
    except ConfigError:
        if stored is not None:
            store, account = stored
            trio.run(store.forget, account)
        raise


def _check_unchanged(file: Path, before: str) -> None:
    """Errors: ConfigError if somebody else wrote to the configuration while we asked."""
    if _text_of(file) != before:
        raise ConfigError(f"{file} was changed meanwhile; add the account once more")
