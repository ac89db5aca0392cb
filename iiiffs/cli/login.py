"""`iiiffs login` and `iiiffs logout`: the secret of an account is stored, tried, replaced and forgotten.

A secret comes from a terminal without echo, or from stdin; never from argv, which every user of the machine can read.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iiiffs.cli.arguments import ConfigFile
from iiiffs.errors import AccessDenied, ConfigError, IiiffsError, NoDaemon, ProviderUnreachable

if TYPE_CHECKING:
    from iiiffs.config import Config
    from iiiffs.config_accounts import Account
    from iiiffs.credentials import Credentials

PROBE_S = 60.0
DAEMON_S = 15.0
PURGE_S = 600.0
STDIN_CHARACTERS_MAX = 64 * 1024

SECRET_NAMES: Mapping[str, tuple[str, str]] = {"immich": ("api_key", "API key")}
"""Provider -> what its secret is called in the JSON of credentials, and for a person."""

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="NAME of a section [account.NAME].")]
FromStdin = Annotated[
    bool, typer.Option("--stdin", help="Read the secret from stdin: the key alone, or the JSON of all credentials.")
]
NoTest = Annotated[bool, typer.Option("--no-test", help="Store it without asking the server.")]


def login(
    account: AccountArgument, stdin: FromStdin = False, no_test: NoTest = False, config: ConfigFile = None
) -> None:
    """Store the secret of ACCOUNT in the place of an older one, once the server has accepted it.

    It goes into the system keyring, or into the file that the account's `credentials` names. Extra headers that are
    stored already stay, unless JSON with others is given: {"api_key": "…", "headers": {"NAME": "…"}}.
    Exit codes: 0 stored; 1 the server refuses it or cannot be asked, and nothing was changed; 2 configuration.
    """
    import trio

    from iiiffs.config import load_config
    from iiiffs.credentials import NOTHING, Credentials, CredentialStore

    read = load_config(config)
    found = account_of(read, account)
    if found.provider == "folder":
        raise ConfigError(f'{account}: provider "folder" needs no secret')
    store = CredentialStore()
    given = read_secret(found.provider, stdin)
    try:
        old = NOTHING if "headers" in given else trio.run(store.find, found)
    except AccessDenied:
        old = NOTHING
    kept = {"headers": old["headers"]} if "headers" in old and "headers" not in given else {}
    credentials = Credentials({**given, **kept})
    if kept:
        typer.echo(f"{account}: the extra headers that are stored stay")
    if not no_test:
        typer.echo(tried(found, credentials))
    where = trio.run(store.store, found, credentials)
    typer.echo(f"{account}: the secret is kept in {where}")
    if variable := store.overriding(found):
        typer.echo(f"notice: {variable} is set here, and goes before it")
    _tell_daemon(read, account)


def logout(
    account: AccountArgument,
    purge: Annotated[
        bool, typer.Option("--purge", help="Drop what the cache holds of it as well: pictures, lists, documents.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Forget the secret of ACCOUNT. Its section in the configuration stays, and so do all its addresses (STATE).

    What is cached goes on being shown, unless it is purged. Delete the key at the server too.
    """
    import trio

    from iiiffs.config import load_config
    from iiiffs.credentials import CredentialStore

    read = load_config(config)
    found = account_of(read, account)
    store = CredentialStore()
    where = None if found.provider == "folder" else trio.run(store.forget, found)
    typer.echo(f"{account}: forgotten, it was in {where}" if where else f"{account}: no secret was stored")
    if variable := store.overriding(found):
        typer.echo(f"notice: {variable} is set here, and still lets it in; take it out of the environment")
    if where:
        _tell_daemon(read, account)
    if purge:
        answer = purge_cache(read, found)
        typer.echo(f"{account}: dropped from the cache: " + ", ".join(f"{n} {kind}" for kind, n in answer.items()))


def account_of(config: Config, name: str) -> Account:
    """The account of that name. Errors: ConfigError."""
    for account in config.accounts:
        if account.name == name:
            return account
    known = ", ".join(account.name for account in config.accounts)
    raise ConfigError(f"{name}: no such account in {config.file}; known are {known}")


def read_secret(provider: str, from_stdin: bool) -> Credentials:
    """What a person types without echo, or what stdin holds. Errors: ConfigError, which quotes nothing."""
    from iiiffs.credentials import Credentials, parse_credentials, secret_problem

    name, called = SECRET_NAMES.get(provider, ("", "Credentials as JSON"))
    if from_stdin:
        text = sys.stdin.read(STDIN_CHARACTERS_MAX).strip()
    elif sys.stdin.isatty():
        text = _typed_unseen(f"{called} (it is not shown): ")
    else:
        raise ConfigError("stdin is no terminal to ask for the secret; write it there and add --stdin")
    if text.startswith("{") or not name:
        return parse_credentials(text, "the secret")
    if problem := secret_problem(text):
        raise ConfigError(f"the secret: {problem}")
    return Credentials({name: text})


def _typed_unseen(prompt: str) -> str:
    """What a person types. Not typer's: that shows the prompt before it ends the echo, so a quick paste is seen."""
    import getpass

    try:
        return getpass.getpass(prompt).strip()
    except EOFError:
        return ""


def tried(account: Account, credentials: Credentials) -> str:
    """A line that says what the server did with them. Errors: AccessDenied, ProviderUnreachable, ConfigError."""
    import trio

    from iiiffs.providers.registry import Probe, probe_of

    async def ask(probe: Probe) -> str:
        with trio.move_on_after(PROBE_S):
            return await probe(account.settings, credentials)
        raise ProviderUnreachable(f"no answer within {PROBE_S:g} s")

    probe = probe_of(account.provider)
    if probe is None:
        return f'{account.name}: not tried: provider "{account.provider}" has no test'
    try:
        return f"{account.name}: {trio.run(ask, probe)}"
    except ProviderUnreachable as error:
        raise ProviderUnreachable(
            f"{account.name}: {error}; nothing was changed (--no-test stores it unseen)"
        ) from None
    except AccessDenied as error:
        raise AccessDenied(f"{account.name}: {error}; nothing was changed") from None


def _tell_daemon(config: Config, account: str) -> None:
    """A daemon that runs asks the server anew; whatever it says to that, the secret is as it is."""
    from iiiffs.config import control_socket
    from iiiffs.control import ask

    try:
        ask(control_socket(config), "account.authenticate", {"account": account}, timeout_s=DAEMON_S)
    except NoDaemon:
        return
    except IiiffsError as error:
        typer.echo(f"the daemon says: {error}")
    else:
        typer.echo(f"{account}: the daemon is let in")


def purge_cache(config: Config, account: Account) -> Mapping[str, object]:
    """What was dropped of the account, by its kind. Only one process may have the cache open: the daemon goes first."""
    from iiiffs.config import control_socket
    from iiiffs.control import ask

    try:
        answer = ask(control_socket(config), "cache.purge", {"account": account.name}, timeout_s=PURGE_S)
    except NoDaemon:
        return _purge_here(config, account)
    if not isinstance(answer, dict):
        raise IiiffsError(f"the daemon answered {answer!r}; it may be of another version")
    return answer


def _purge_here(config: Config, account: Account) -> Mapping[str, object]:
    """From the files themselves. Errors: StoreLocked if another process has them open."""
    from dataclasses import asdict

    import trio

    from iiiffs.cache.purge import purge_account
    from iiiffs.cache.store import open_cache
    from iiiffs.render.renderer import Renderer, RenderLimits

    cache = open_cache(config.cache.path, config.cache.size_bytes)
    try:
        others = [other.name for other in config.accounts if other.name != account.name]
        renderer = Renderer(RenderLimits(scratch=Path(config.cache.path)))
        return asdict(trio.run(purge_account, cache, account.name, others, renderer.fingerprint))
    finally:
        cache.close()
