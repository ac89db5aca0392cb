"""Secrets of accounts: found in the environment, in a private file, or in the system keyring; stored and forgotten.

A secret is in no other place: not in the configuration, in argv, a log, an xattr, or `.iiiffs` (DESIGN §7). So nothing
here is told but where something is, `Credentials` show no value of theirs, and an error of a library that may hold one
does not leave this module.

Concurrency. A keyring may wait for a person, or for ever: it is asked in a thread, by one at a time, for KEYRING_S at
most; after trouble nobody asks it for AGAIN_S. Threads that hang are left behind, THREADS of them at most. All else
here is trio's thread's.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import NoReturn, TypeVar

import trio

from iiiffs.config_accounts import Account
from iiiffs.errors import AccessDenied, ConfigError
from iiiffs.model.gallery import AccountName
from iiiffs.private_files import rewrite

T = TypeVar("T")

SERVICE = "iiiffs"
VARIABLE_PREFIX = "IIIFFS_CREDENTIALS_"
KEYRING_S = 3.0
AGAIN_S = 30.0
THREADS = 4
FILE_BYTES_MAX = 64 * 1024
SYSTEMD_VARIABLE = "CREDENTIALS_DIRECTORY"
SHAPE = '{"api_key": "…"}, with "headers": {"NAME": "…"} where a proxy before the server wants some'


class Credentials(Mapping[str, object]):
    """What lets an account in, as the JSON object says it; its values are texts, and of "headers" a mapping of texts.

    Neither `repr` nor `str` shows a value, here or in the headers.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = {
            name: Credentials(value) if isinstance(value, Mapping) else value for name, value in values.items()
        }

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<credentials: {', '.join(self._values) or 'none'}>"

    def encode(self) -> str:
        """The JSON object that `parse_credentials` reads."""
        return json.dumps(self._values, default=lambda headers: headers._values)


NOTHING = Credentials({})


def parse_credentials(text: str, where: str) -> Credentials:
    """The credentials in a JSON object. `where` begins the message. Errors: ConfigError, which quotes nothing."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not values:
        raise ConfigError(f"{where}: expected JSON such as {SHAPE}")
    for name, value in values.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name):
            raise ConfigError(f"{where}: expected names such as api_key in small letters, in JSON such as {SHAPE}")
        if name == "headers":
            _check_headers(value, where)
        elif problem := secret_problem(value):
            raise ConfigError(f"{where}: {name}: {problem}")
    return Credentials(values)


def secret_problem(value: object) -> str | None:
    """Why `value` can be no secret; None if it can."""
    if not isinstance(value, str) or not value or not value.isprintable() or value != value.strip():
        return "expected a text without line ends, and without spaces at its ends"
    return None


def _check_headers(headers: object, where: str) -> None:
    """Rule: RFC 9110 §5.1 (names), §5.5 (values)."""
    if not isinstance(headers, dict):
        raise ConfigError(f'{where}: headers: expected an object such as {{"X-Access-Token": "…"}}')
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ConfigError(f"{where}: headers: expected names of HTTP headers, such as X-Access-Token")
        if (problem := secret_problem(value)) or not value.isascii():
            raise ConfigError(f"{where}: headers: {name}: {problem or 'expected ASCII characters'}")


def variable_of(account: str) -> str:
    """The variable of the environment that may hold the account's credentials."""
    return VARIABLE_PREFIX + re.sub(r"[^A-Z0-9]", "_", account.upper())


def take_environment(environ: MutableMapping[str, str]) -> Mapping[str, str]:
    """All of `environ`, in which no secret is left: what this process starts does not inherit any."""
    taken = dict(environ)
    for variable in taken:
        if variable.startswith(VARIABLE_PREFIX):
            del environ[variable]
    return taken


def keyring_name(account: Account) -> str:
    """What the account's secret is called in the keyring: its name, and its server where it has one.

    So the key of one server is never sent to another one, because `url` was changed or another configuration has an
    account of the same name.
    """
    url = account.options.get("url")
    return f"{account.name} {url}" if isinstance(url, str) else account.name


class KeyringAbsent(ConfigError):
    """There is no system keyring, or one that keeps nothing."""


class CredentialStore:
    """The secrets of all accounts of one process."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        keyring_s: float = KEYRING_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environ = environ
        self._keyring_s = keyring_s
        self._now_s = now_s
        self._turn = trio.Lock()
        self._threads = trio.CapacityLimiter(THREADS)
        self._quiet: tuple[str, float] | None = None
        self._missing: dict[AccountName, str] = {}
        self._refused: dict[AccountName, str] = {}

    async def find(self, account: Account) -> Credentials:
        """What is stored for the account; NOTHING if nothing is. The environment goes before the file, that before
        the keyring. Rule: providers.base.Secrets.

        Errors: AccessDenied with what to do.
        """
        try:
            found = await self._find(account)
        except (AccessDenied, ConfigError) as error:
            self._missing[account.name] = str(error)
            raise AccessDenied(str(error)) from None
        self._missing.pop(account.name, None)
        return found

    def trouble(self, account: AccountName) -> str | None:
        """Why the account is not let in: its secrets could not be had, or the server refused them (`admit`)."""
        return self._missing.get(account) or self._refused.get(account)

    @property
    def refused(self) -> Collection[AccountName]:
        """The accounts whose server refused them at the last `admit`."""
        return tuple(self._refused)

    def overriding(self, account: Account) -> str | None:
        """The variable of the environment that goes before whatever is stored; None if it is not set."""
        variable = variable_of(account.name)
        return variable if variable in self._environ else None

    def ask_anew(self) -> None:
        """The keyring is asked the next time, whatever trouble it gave."""
        self._quiet = None

    async def admit(self, account: AccountName, authenticate: Callable[[], Awaitable[None]]) -> None:
        """`authenticate`, the provider's, has passed; else `trouble` says why it is refused. Errors: as it raises."""
        try:
            await authenticate()
        except AccessDenied as error:
            if account not in self._missing:
                self._refused[account] = str(error)
            raise
        self._refused.pop(account, None)

    async def store(self, account: Account, credentials: Credentials) -> str:
        """They are kept, in the place of older ones; where, in words: in the file that the account names, else in the
        keyring. Errors: ConfigError (KeyringAbsent), AccessDenied, and then the older ones are kept.
        """
        text = credentials.encode()
        if account.credentials is not None:
            file = self._own_file(account, account.credentials)
            await trio.to_thread.run_sync(rewrite, file, text.encode() + b"\n", 0o600)
            return str(file)
        name = keyring_name(account)

        def put() -> bool:
            import keyring

            keyring.set_password(SERVICE, name, text)
            return keyring.get_password(SERVICE, name) == text

        self.ask_anew()
        if not await self._of_keyring(account, put, absent=_refuse_absent):
            _refuse_absent(account)
        return "the system keyring"

    async def forget(self, account: Account) -> str | None:
        """Nothing is stored; where it was, in words, or None if nothing was. The environment is not ours to change.

        Errors: ConfigError, AccessDenied.
        """
        if account.credentials is not None:
            file = self._own_file(account, account.credentials)
            try:
                await trio.to_thread.run_sync(_remove, file)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise ConfigError(f"{file}: cannot be removed: {error.strerror}") from None
            return str(file)
        name = keyring_name(account)

        def delete() -> bool:
            import keyring

            if keyring.get_password(SERVICE, name) is None:
                return False
            keyring.delete_password(SERVICE, name)
            return True

        self.ask_anew()
        was_there = await self._of_keyring(account, delete, absent=lambda account: False)
        return "the system keyring" if was_there else None

    async def _find(self, account: Account) -> Credentials:
        if (variable := self.overriding(account)) is not None:
            return parse_credentials(self._environ[variable], variable)
        if account.credentials is not None:
            file, systemd_folder = account.credentials, self._environ.get(SYSTEMD_VARIABLE, "")
            with trio.move_on_after(self._keyring_s):
                content = await trio.to_thread.run_sync(read_private, file, systemd_folder, abandon_on_cancel=True)
                return parse_credentials(content, str(file))
            raise AccessDenied(f"{file}: does not answer in {self._keyring_s:g} s; is its disk there?")
        name = keyring_name(account)

        def get() -> str | None:
            import keyring

            return keyring.get_password(SERVICE, name)

        text = await self._of_keyring(account, get, absent=lambda account: None)
        return NOTHING if text is None else parse_credentials(text, f"{account.name}: the system keyring")

    def _own_file(self, account: Account, file: Path) -> Path:
        """Errors: ConfigError if it is systemd's, which would not keep a change."""
        if _is_within(file, self._environ.get(SYSTEMD_VARIABLE, "")) or file.is_relative_to("/run/credentials"):
            key = f"account.{account.name}.credentials"
            raise ConfigError(f"{key}: {file} is systemd's; change what LoadCredential= of its unit names")
        return file

    async def _of_keyring(self, account: Account, job: Callable[[], T], absent: Callable[[Account], T]) -> T:
        """What `job` says, which speaks with the keyring, or `absent` where there is none. Errors: AccessDenied."""
        if self._quiet is not None and self._now_s() < self._quiet[1]:
            raise AccessDenied(f"{account.name}: {self._quiet[0]}")
        reason, result = await self._asked(job)
        if reason is None:
            return result()
        if reason == ABSENT:
            return absent(account)
        self._quiet = (
            f"{reason}; unlock it, or keep the secret in a file that account.{account.name}.credentials names, "
            f"or in {variable_of(account.name)}",
            self._now_s() + AGAIN_S,
        )
        raise AccessDenied(f"{account.name}: {self._quiet[0]}")

    async def _asked(self, job: Callable[[], T]) -> tuple[str | None, Callable[[], T]]:
        """As `_spoken`, in time; a job that takes too long is left behind."""
        with trio.move_on_after(self._keyring_s):
            async with self._turn:
                return await trio.to_thread.run_sync(_spoken, job, abandon_on_cancel=True, limiter=self._threads)
        return f"the system keyring does not answer in {self._keyring_s:g} s", _nothing


ABSENT = "there is no system keyring"


def _spoken(job: Callable[[], T]) -> tuple[str | None, Callable[[], T]]:
    """(None, what gives the job's result), or (why there is none, what must not be called). Runs in a thread."""
    try:
        import keyring.errors

        result = job()
    except ImportError:
        return ABSENT, _nothing
    except keyring.errors.NoKeyringError:
        return ABSENT, _nothing
    except keyring.errors.KeyringLocked:
        return "the system keyring is locked", _nothing
    except Exception as error:  # a backend's own kind, whose text might hold what it was given
        return f"the system keyring refuses ({type(error).__name__})", _nothing
    return None, lambda: result


def _nothing() -> NoReturn:
    raise AssertionError("asked for the result of a job that failed")


def _refuse_absent(account: Account) -> NoReturn:
    raise KeyringAbsent(
        f"{account.name}: {ABSENT} that would keep the secret; name a file of yours in "
        f"account.{account.name}.credentials, or set {variable_of(account.name)}"
    )


def read_private(file: Path, systemd_folder: str = "") -> str:
    """What is in `file`, which only its owner may read, unless it lies in `systemd_folder`. Blocking.

    Errors: AccessDenied with what to do.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # O_NONBLOCK: a FIFO must not hang
        try:
            problem = _file_problem(os.fstat(descriptor), _is_within(file, systemd_folder))
            data = b"" if problem else os.read(descriptor, FILE_BYTES_MAX + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise AccessDenied(f"{file}: there is no such file; `iiiffs login` writes it") from None
    except OSError as error:
        raise AccessDenied(f"{file}: cannot be read: {error.strerror}") from None
    if problem:
        raise AccessDenied(f"{file}: {problem}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if len(data) > FILE_BYTES_MAX or not text:
        raise AccessDenied(f"{file}: expected JSON such as {SHAPE}")
    return text


def _file_problem(status: os.stat_result, is_systemds: bool) -> str | None:
    """Why a file cannot hold credentials; None if it can."""
    if not stat.S_ISREG(status.st_mode):
        return "expected a file with credentials, found something else"
    if status.st_mode & 0o077 and not is_systemds:
        return "others may read or change it, so it is not used; `chmod 600` it"
    return None


def _remove(file: Path) -> None:
    """Neither `file` is there nor what it leads to. Errors: OSError."""
    target = file.resolve(strict=True)
    target.unlink()
    file.unlink(missing_ok=True)


def _is_within(file: Path, folder: str) -> bool:
    return bool(folder) and file.is_relative_to(os.path.normpath(folder))
