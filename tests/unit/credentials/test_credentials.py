"""iiiffs.credentials: where secrets are found, in which order, what is refused, and that none is told."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import keyring
import keyring.backends.fail
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend

from iiiffs.config import examine_text
from iiiffs.config_accounts import Account
from iiiffs.credentials import (
    AGAIN_S,
    NOTHING,
    SERVICE,
    THREADS,
    Credentials,
    CredentialStore,
    KeyringAbsent,
    keyring_name,
    parse_credentials,
    take_environment,
    variable_of,
)
from iiiffs.errors import AccessDenied, ConfigError, ProviderUnreachable
from iiiffs.private_files import rewrite
from tests.harness.immich_plugin import PLUGINS
from tests.harness.keyrings import Broken, Forgetful, Hanging, Kept, Locked

SECRET = "s3cret-Of-The-Test"
TOKEN = "t0ken-Of-A-Proxy"
CREDENTIALS = Credentials({"api_key": SECRET, "headers": {"X-Token": TOKEN}})
K = TypeVar("K", bound=KeyringBackend)
Use = Callable[[K], K]


def account(credentials: Path | None = None, *, name: str = "home", url: str = "https://photos.example.org") -> Account:
    """An Immich account as a configuration has it."""
    text = f'[account.{name}]\nprovider = "immich"\nurl = "{url}"\n'
    text += "" if credentials is None else f"credentials = {json.dumps(str(credentials))}\n"
    config, problems = examine_text(Path("/config.toml"), text)
    assert config is not None, problems
    return config.accounts[0]


@pytest.fixture(autouse=True)
def immich_is_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLUGINS)


@pytest.fixture
def use() -> Iterator[Use[KeyringBackend]]:
    """A keyring is the system's, until the test ends; a hanging one then lets go."""
    before = keyring.get_keyring()
    used: list[KeyringBackend] = []

    def use(backend: KeyringBackend) -> KeyringBackend:
        used.append(backend)
        keyring.set_keyring(backend)
        return backend

    yield use
    keyring.set_keyring(before)
    for backend in used:
        if isinstance(backend, Hanging):
            backend.released.set()


@pytest.fixture
def kept(use: Use[Kept], tmp_path: Path) -> Kept:
    return use(Kept(tmp_path / "keyring.json"))


def private(file: Path, text: str, mode: int = 0o600) -> Path:
    file.write_bytes(text.encode(errors="surrogateescape"))
    file.chmod(mode)
    return file


def store(**environ: str) -> CredentialStore:
    return CredentialStore(environ)


def find(credentials: CredentialStore, of: Account) -> Credentials:
    return trio.run(credentials.find, of)


def same(one: Credentials, other: Credentials) -> bool:
    return one.encode() == other.encode()


# ---- what they are -----------------------------------------------------------------------------------------------


def test_nothing_shows_a_value() -> None:
    headers = CREDENTIALS["headers"]
    for text in (repr(CREDENTIALS), str(CREDENTIALS), f"{CREDENTIALS}", repr({"secrets": CREDENTIALS}), repr(headers)):
        assert SECRET not in text
        assert TOKEN not in text
    assert repr(CREDENTIALS) == "<credentials: api_key, headers>"
    assert repr(NOTHING) == "<credentials: none>"


def test_a_log_line_shows_no_value(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r %s", CREDENTIALS, CREDENTIALS, [CREDENTIALS])
    assert SECRET not in caplog.text


def test_they_are_read_as_mappings() -> None:
    assert CREDENTIALS["api_key"] == SECRET
    headers = CREDENTIALS.get("headers")
    assert isinstance(headers, Credentials)
    assert dict(headers) == {"X-Token": TOKEN}
    assert "headers" in CREDENTIALS
    assert not NOTHING


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True).filter(lambda name: name != "headers"),
        st.text(min_size=1).filter(lambda text: text.isprintable() and text == text.strip()),
        min_size=1,
    )
)
def test_what_is_encoded_is_read_again(values: dict[str, str]) -> None:
    again = parse_credentials(Credentials(values).encode(), "x")
    assert dict(again) == values


@given(st.text())
def test_any_text_is_answered_without_being_quoted(text: str) -> None:
    marked = f"{text}{SECRET}"
    for given_text in (marked, json.dumps(marked), json.dumps([marked]), json.dumps({"api_key": f"{marked}\n"})):
        with pytest.raises(ConfigError) as refused:
            parse_credentials(given_text, "where")
        shown = "".join(traceback.format_exception(refused.value))
        assert SECRET not in str(refused.value)
        assert str(refused.value).startswith("where: ")
        assert "\n" not in str(refused.value)
        assert "During handling" not in shown


REFUSED = {
    "no JSON": (SECRET, 'expected JSON such as {"api_key": "…"}'),
    "list": (f'["{SECRET}"]', "expected JSON such as"),
    "empty": ("{}", "expected JSON such as"),
    "number": ('{"api_key": 5}', "api_key: expected a text without line ends"),
    "empty text": ('{"api_key": ""}', "api_key: expected a text"),
    "line end": (f'{{"api_key": "{SECRET}\\n"}}', "api_key: expected a text"),
    "spaces": (f'{{"api_key": " {SECRET}"}}', "api_key: expected a text"),
    "the secret as a name": (f'{{"{SECRET}": "api_key"}}', "expected names such as api_key in small letters"),
    "headers as text": (f'{{"headers": "{SECRET}"}}', "headers: expected an object"),
    "header's name": ('{"headers": {"X Token": "x"}}', "headers: expected names of HTTP headers"),
    "header's value": (f'{{"headers": {{"X-Token": "{SECRET}\\r\\nX-Evil: 1"}}}}', "headers: X-Token: expected a text"),
    "header not ASCII": ('{"headers": {"X-Token": "é"}}', "headers: X-Token: expected ASCII"),
    "deep": ("[" * 100_000, "expected JSON such as"),
}


@pytest.mark.parametrize(("text", "line"), REFUSED.values(), ids=REFUSED)
def test_refused_without_being_quoted(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_credentials(text, "where")
    assert line in str(refused.value)
    assert SECRET not in str(refused.value)


def test_children_inherit_no_secret() -> None:
    environ = {"IIIFFS_CREDENTIALS_HOME": CREDENTIALS.encode(), "PATH": "/bin", "IIIFFS_CREDENTIALS_B": "{"}
    credentials = CredentialStore(take_environment(environ))
    assert environ == {"PATH": "/bin"}
    assert same(find(credentials, account()), CREDENTIALS)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("home", "IIIFFS_CREDENTIALS_HOME"),
        ("a.b-c~D9_", "IIIFFS_CREDENTIALS_A_B_C_D9_"),
        ("ünï", "IIIFFS_CREDENTIALS__N_"),
    ],
)
def test_variables(name: str, variable: str) -> None:
    assert variable_of(name) == variable


# ---- where they are found ----------------------------------------------------------------------------------------


def test_environment_before_file_before_keyring(kept: Kept, tmp_path: Path) -> None:
    file = private(tmp_path / "home.json", '{"api_key": "of the file"}')
    kept.set_password(SERVICE, "home https://photos.example.org", '{"api_key": "of the keyring"}')
    environ = {"IIIFFS_CREDENTIALS_HOME": '{"api_key": "of the environment"}'}
    assert find(store(**environ), account(file))["api_key"] == "of the environment"
    assert find(store(), account(file))["api_key"] == "of the file"
    assert find(store(), account())["api_key"] == "of the keyring"
    assert find(store(), account(name="other")) == NOTHING


def test_one_servers_key_is_not_another_ones(kept: Kept) -> None:
    trio.run(store().store, account(), CREDENTIALS)
    assert find(store(), account(url="https://evil.example.org")) == NOTHING
    assert keyring_name(account()) == "home https://photos.example.org"


MODES = {
    "group may read": (0o640, False),
    "all may read": (0o604, False),
    "group may write": (0o620, False),
    "owner's": (0o600, True),
    "read-only": (0o400, True),
}


@pytest.mark.parametrize(("mode", "allowed"), MODES.values(), ids=MODES)
def test_modes_of_files(tmp_path: Path, mode: int, allowed: bool) -> None:
    file = private(tmp_path / "home.json", CREDENTIALS.encode(), mode)
    if allowed:
        assert same(find(store(), account(file)), CREDENTIALS)
        return
    with pytest.raises(AccessDenied) as refused:
        find(store(), account(file))
    assert str(refused.value) == f"{file}: others may read or change it, so it is not used; `chmod 600` it"


def test_systemds_files_have_modes_of_their_own(tmp_path: Path) -> None:
    file = private(tmp_path / "home", CREDENTIALS.encode(), 0o440)
    assert same(find(store(CREDENTIALS_DIRECTORY=str(tmp_path)), account(file)), CREDENTIALS)
    credentials = store(CREDENTIALS_DIRECTORY=str(tmp_path))
    with pytest.raises(ConfigError, match=r"is systemd's; change what LoadCredential="):
        trio.run(credentials.store, account(file), CREDENTIALS)
    with pytest.raises(ConfigError, match=r"is systemd's; change what LoadCredential="):
        trio.run(credentials.forget, account(file))
    assert file.read_text() == CREDENTIALS.encode()


BAD_FILES: dict[str, tuple[Callable[[Path], Path | None], str]] = {
    "missing": (lambda file: file, "there is no such file; `iiiffs login` writes it"),
    "folder": (lambda file: file.mkdir(mode=0o700), "expected a file with credentials"),
    "pipe": (lambda file: os.mkfifo(file, 0o600), "expected a file with credentials"),
    "not UTF-8": (lambda file: private(file, "\udcff"), "expected JSON"),
    "empty": (lambda file: private(file, ""), "expected JSON"),
    "endless": (lambda file: private(file, " " * 100_000), "expected JSON"),
    "no JSON": (lambda file: private(file, SECRET), "expected JSON"),
    "no folder": (lambda file: file.symlink_to(private(file.parent / "x", "") / "y"), "cannot be read: Not a dir"),
}


@pytest.mark.parametrize(("make", "line"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(tmp_path: Path, make: Callable[[Path], object], line: str) -> None:
    file = tmp_path / "home.json"
    make(file)
    credentials = store()
    with pytest.raises(AccessDenied) as refused:
        find(credentials, account(file))
    assert str(refused.value).startswith(f"{file}: {line}")
    assert SECRET not in str(refused.value)
    assert credentials.trouble(account().name) == str(refused.value)


def test_a_bad_variable_is_named_and_not_passed_over(tmp_path: Path) -> None:
    file = private(tmp_path / "home.json", CREDENTIALS.encode())
    with pytest.raises(AccessDenied) as refused:
        find(store(IIIFFS_CREDENTIALS_HOME=SECRET), account(file))
    assert str(refused.value).startswith("IIIFFS_CREDENTIALS_HOME: expected JSON such as")
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_trouble_is_over_when_they_are_found(tmp_path: Path) -> None:
    credentials, file = store(), tmp_path / "home.json"
    with pytest.raises(AccessDenied):
        find(credentials, account(file))
    private(file, CREDENTIALS.encode())
    assert same(find(credentials, account(file)), CREDENTIALS)
    assert credentials.trouble(account().name) is None


def test_a_refusal_stays_until_the_server_lets_us_in(tmp_path: Path) -> None:
    credentials, home = store(), account(private(tmp_path / "home.json", CREDENTIALS.encode()))
    answers = iter([AccessDenied("home: refused"), None, ProviderUnreachable("home: away")])

    async def authenticate() -> None:
        await credentials.find(home)
        if error := next(answers):
            raise error

    def admit() -> None:
        trio.run(credentials.admit, home.name, authenticate)

    with pytest.raises(AccessDenied):
        admit()
    find(credentials, home)
    assert (credentials.trouble(home.name), credentials.refused) == ("home: refused", ("home",))
    admit()
    assert (credentials.trouble(home.name), credentials.refused) == (None, ())
    with pytest.raises(ProviderUnreachable):
        admit()
    assert credentials.trouble(home.name) is None


def test_a_keyring_that_opens_is_no_refusal(tmp_path: Path) -> None:
    credentials, home = store(), account(tmp_path / "home.json")

    async def authenticate() -> None:
        await credentials.find(home)

    with pytest.raises(AccessDenied):
        trio.run(credentials.admit, home.name, authenticate)
    assert credentials.trouble(home.name)
    assert credentials.refused == ()
    private(tmp_path / "home.json", CREDENTIALS.encode())
    find(credentials, home)
    assert credentials.trouble(home.name) is None


# ---- keyrings that fail ------------------------------------------------------------------------------------------


def test_absent_keyring_holds_nothing_and_takes_nothing(use: Use[KeyringBackend]) -> None:
    use(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]  # keyring's
    assert find(store(), account()) == NOTHING
    assert trio.run(store().forget, account()) is None
    with pytest.raises(KeyringAbsent) as refused:
        trio.run(store().store, account(), CREDENTIALS)
    assert str(refused.value) == (
        "home: there is no system keyring that would keep the secret; name a file of yours in "
        "account.home.credentials, or set IIIFFS_CREDENTIALS_HOME"
    )


def test_a_keyring_that_keeps_nothing_is_as_good_as_none(use: Use[Kept], tmp_path: Path) -> None:
    use(Forgetful(tmp_path / "keyring.json"))
    with pytest.raises(KeyringAbsent):
        trio.run(store().store, account(), CREDENTIALS)


class Clock:
    """Seconds that pass when a test says so."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_locked_keyring_is_given_up_and_asked_again(use: Use[Locked], tmp_path: Path) -> None:
    locked, clock = use(Locked(tmp_path / "keyring.json")), Clock()
    credentials = CredentialStore({}, now_s=clock)
    reason = (
        "the system keyring is locked; unlock it, or keep the secret in a file that account.home.credentials names, "
        "or in IIIFFS_CREDENTIALS_HOME"
    )
    for _ in range(3):
        with pytest.raises(AccessDenied) as refused:
            find(credentials, account())
        assert str(refused.value) == f"home: {reason}"
    assert locked.asked == 1
    locked.locked = False
    locked.set_password(SERVICE, keyring_name(account()), CREDENTIALS.encode())
    clock.now_s += AGAIN_S - 1
    with pytest.raises(AccessDenied):
        find(credentials, account())
    clock.now_s += 1
    assert same(find(credentials, account()), CREDENTIALS)


def test_hanging_keyring_is_given_up_for_all_accounts(use: Use[Hanging], tmp_path: Path) -> None:
    hanging, clock = use(Hanging(tmp_path / "keyring.json")), Clock()
    credentials = CredentialStore({}, keyring_s=0.25, now_s=clock)
    file = private(tmp_path / "c.json", CREDENTIALS.encode())

    async def refusals() -> list[str]:
        reasons = []
        for name in ("home", "b"):
            with pytest.raises(AccessDenied) as refused:
                await credentials.find(account(name=name))
            reasons.append(str(refused.value))
        assert same(await credentials.find(account(file, name="c")), CREDENTIALS)
        return reasons

    async def hang_then_answer() -> None:
        for number in range(1, THREADS + 3):
            for name, reason in zip(("home", "b"), await refusals(), strict=True):
                assert reason.startswith(f"{name}: the system keyring does not answer in 0.25 s; unlock it, or keep")
            assert hanging.asked == min(number, THREADS), "one question for all accounts, and threads are bounded"
            clock.now_s += AGAIN_S
        Kept.set_password(hanging, SERVICE, keyring_name(account()), CREDENTIALS.encode())
        hanging.released.set()
        with trio.fail_after(30):
            while credentials.trouble(account().name):
                clock.now_s += AGAIN_S
                with suppress(AccessDenied):
                    assert same(await credentials.find(account()), CREDENTIALS)

    trio.run(hang_then_answer)


def test_the_loop_runs_on_while_a_keyring_hangs(use: Use[Hanging], tmp_path: Path) -> None:
    use(Hanging(tmp_path / "keyring.json"))
    credentials, turns = CredentialStore({}, keyring_s=0.2), 0

    async def count(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        nonlocal turns
        task_status.started()
        while True:
            await trio.sleep(0.001)
            turns += 1

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(count)
            with pytest.raises(AccessDenied):
                await credentials.find(account())
            nursery.cancel_scope.cancel()

    trio.run(both)
    assert turns > 5


def test_a_backends_own_errors_end_here(use: Use[Broken], tmp_path: Path) -> None:
    use(Broken(tmp_path / "keyring.json"))
    for job in (lambda: find(store(), account()), lambda: trio.run(store().store, account(), CREDENTIALS)):
        with pytest.raises(AccessDenied, match=r"home: the system keyring refuses \(OSError\); unlock it") as refused:
            job()
        assert SECRET not in "".join(traceback.format_exception(refused.value))


# ---- stored and forgotten ----------------------------------------------------------------------------------------


def test_stored_in_the_keyring_and_forgotten(kept: Kept) -> None:
    assert trio.run(store().store, account(), CREDENTIALS) == "the system keyring"
    assert same(find(store(), account()), CREDENTIALS)
    assert trio.run(store().forget, account()) == "the system keyring"
    assert kept.all() == {}
    assert trio.run(store().forget, account()) is None


def test_stored_in_a_file_and_forgotten(tmp_path: Path, kept: Kept) -> None:
    file = tmp_path / "made" / "home.json"
    assert trio.run(store().store, account(file), CREDENTIALS) == str(file)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert same(find(store(), account(file)), CREDENTIALS)
    assert list(file.parent.iterdir()) == [file]
    assert trio.run(store().forget, account(file)) == str(file)
    assert list(file.parent.iterdir()) == []
    assert trio.run(store().forget, account(file)) is None
    assert kept.all() == {}


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    file = private(tmp_path / "home.json", "{}", 0o644)
    trio.run(store().store, account(file), CREDENTIALS)
    assert file.stat().st_mode & 0o777 == 0o600


def test_links_stay_links_and_leave_nothing_behind(tmp_path: Path) -> None:
    target = private(tmp_path / "target.json", "{}")
    link = tmp_path / "home.json"
    link.symlink_to(target)
    trio.run(store().store, account(link), CREDENTIALS)
    assert link.is_symlink()
    assert target.read_text() == CREDENTIALS.encode() + "\n"
    trio.run(store().forget, account(link))
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_fails_keeps_the_older_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        trio.run(store().store, account(tmp_path / "x" / "home.json"), CREDENTIALS)


def test_the_environment_is_told(tmp_path: Path) -> None:
    assert store(IIIFFS_CREDENTIALS_HOME="{}").overriding(account()) == "IIIFFS_CREDENTIALS_HOME"
    assert store().overriding(account()) is None


def test_rewrite_keeps_mode_unless_told(tmp_path: Path) -> None:
    file = private(tmp_path / "config.toml", "old", 0o640)
    rewrite(file, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o640)
    rewrite(file, b"newer", 0o600)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
