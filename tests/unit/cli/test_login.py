"""`iiiffs add`, `login` and `logout` as a person runs them, against a server and a keyring of our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from iiiffs.cache.store import open_cache
from iiiffs.cli.add import parse_setting, section_text, with_section
from iiiffs.config import load_config
from iiiffs.credentials import keyring_name
from iiiffs.errors import ConfigError
from iiiffs.model.gallery import AccountName, AssetId, Facts, Version
from tests.fakes.immich import ImmichServer, immich
from tests.harness.immich_plugin import PLUGINS, PYTHONPATH
from tests.harness.keyrings import Kept
from tests.harness.terminal import Terminal

BEFORE = """\
# mine, and it stays mine
base_url = "http://127.0.0.1:8080"   # kept

[cache]
path = "{folder}/cache"
size = "10 MiB"
[state]
path = "{folder}/state"
[account.pictures]
provider = "folder"
access = "read"
path = "{folder}"   # no line end here"""


@dataclass
class Home:
    """A home of its own, with a configuration and a keyring."""

    folder: Path
    backend: str = "tests.harness.keyrings.Kept"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def passwords(self) -> dict[str, object]:
        """What the keyring keeps, read."""
        return {name: json.loads(text) for name, text in Kept(self.folder / "keyring.json").all().items()}

    @property
    def environ(self) -> dict[str, str]:
        own = {
            "HOME": str(self.folder),
            "COLUMNS": "300",
            "PYTHONPATH": PYTHONPATH,
            "PYTHON_KEYRING_BACKEND": self.backend,
            "KEYRING_PROPERTY_FILE": str(self.folder / "keyring.json"),
        }
        return {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "IIIFFS_"))} | own

    def run(self, *arguments: str, typed: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """The command, with `typed` on stdin."""
        return subprocess.run(
            [sys.executable, "-m", "iiiffs", *arguments, "--config", str(self.config)],
            env=self.environ | environ,
            cwd=self.folder,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def on_terminal(self, *arguments: str) -> Terminal:
        """The command, on a terminal."""
        return Terminal(["-m", "iiiffs", *arguments, "--config", str(self.config)], self.environ)

    def section(self, name: str) -> dict[str, object]:
        """[account.NAME], as it is in the file."""
        found = tomllib.loads(self.config.read_text())["account"][name]
        assert isinstance(found, dict)
        return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.syspath_prepend(PLUGINS)
    home = Home(tmp_path)
    home.config.write_text(BEFORE.format(folder=tmp_path))
    return home


@pytest.fixture(scope="module")
def server() -> Iterator[ImmichServer]:
    with immich("3.1.0") as server:
        yield server


@pytest.fixture
def added(home: Home, server: ImmichServer) -> Home:
    """With an account "home", whose key is stored with a header."""
    secret = json.dumps({"api_key": server.key, "headers": {"X-Token": "t0ken"}})
    done = home.run("add", "immich", "home", "--set", f"url={server.url}", "--stdin", "--no-test", typed=secret)
    assert done.returncode == 0, done.stderr
    return home


def stored(home: Home) -> object:
    (found,) = home.passwords.values()
    return found


# ---- add ---------------------------------------------------------------------------------------------------------


def test_add_on_a_terminal(home: Home, server: ImmichServer) -> None:
    before = home.config.read_text()
    terminal = home.on_terminal("add", "immich", "home")
    terminal.wait_for("Where the server is")
    terminal.type(server.url)
    terminal.wait_for("API key (it is not shown)")
    terminal.type(server.key)
    assert terminal.exit_code() == 0, terminal.shown
    assert server.key not in terminal.shown
    assert "home: the secret is kept in the system keyring" in terminal.shown
    text = home.config.read_text()
    assert text.startswith(before + "\n\n[account.home]\n")
    assert home.section("home") == {"provider": "immich", "url": server.url, "access": "read"}
    assert server.key not in text
    account = load_config(home.config).accounts[1]
    assert home.passwords == {f"iiiffs/{keyring_name(account)}": {"api_key": server.key}}


def test_http_over_a_network_is_asked_about(home: Home) -> None:
    terminal = home.on_terminal("add", "immich", "home", "--no-test")
    terminal.wait_for("Where the server is")
    terminal.type("http://photos.example.org")
    terminal.wait_for("Use it all the same? [y/N]")
    terminal.type("n")
    assert terminal.exit_code() == 2
    assert "the key would travel in clear" in terminal.shown
    assert not home.passwords
    terminal = home.on_terminal("add", "immich", "home", "--no-test", "--set", "url=http://photos.example.org")
    terminal.wait_for("Use it all the same? [y/N]")
    terminal.type("y")
    terminal.wait_for("API key (it is not shown)")
    terminal.type("k")
    assert terminal.exit_code() == 0
    assert home.section("home")["cleartext"] is True


def refuses(home: Home, code: int, *arguments: str, typed: str = "", **environ: str) -> str:
    """The one line on stderr of a command that changes nothing."""
    before, passwords = home.config.read_bytes(), home.passwords
    done = home.run(*arguments, typed=typed, **environ)
    assert done.returncode == code, done.stdout + done.stderr
    assert (home.config.read_bytes(), home.passwords) == (before, passwords)
    assert done.stderr.startswith("iiiffs: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_wrong_key_is_not_kept(home: Home, server: ImmichServer) -> None:
    line = refuses(home, 1, "add", "immich", "home", "--set", f"url={server.url}", "--stdin", typed="wr0ng\n")
    assert "home: " in line
    assert line.endswith("nothing was changed\n")
    assert "wr0ng" not in line


def test_a_server_that_is_not_there_is_added_on_demand_only(home: Home) -> None:
    arguments = ("add", "immich", "home", "--set", "url=http://127.0.0.1:9", "--stdin")
    line = refuses(home, 1, *arguments, typed="k3y\n")
    assert "nothing was changed (--no-test stores it unseen)" in line
    assert home.run(*arguments, "--no-test", typed="k3y\n").returncode == 0
    assert stored(home) == {"api_key": "k3y"}


ADD = ("add", "immich", "home", "--stdin", "--no-test")
URL = ("--set", "url=https://photos.example.org")
REFUSED = {
    "name is there": (
        ("add", "immich", "pictures", *URL, "--stdin"),
        "k",
        2,
        "has [account.pictures] already; name an",
    ),
    "no name for a directory": (("add", "immich", "a b", *URL, "--stdin"), "k", 2, 'account."a b": expected a name of'),
    "no such provider": (("add", "floppy", "--stdin"), "{}", 2, "account.floppy.provider: expected one of "),
    "later provider": (("add", "nextcloud", "--stdin"), "{}", 2, '"nextcloud" is not available in this version'),
    "no url": (ADD, "k", 2, "account.home.url: missing; expected an http or https URL"),
    "http": ((*ADD, "--set", "url=http://a.example"), "k", 2, "account.home.url: the key would travel in clear"),
    "unknown key": (
        (*ADD, *URL, "--set", "ca_fiel=/x"),
        "k",
        2,
        'account.home.ca_fiel: unknown key; did you mean "ca_file"?',
    ),
    "secret in argv": ((*ADD, *URL, "--set", "api_key=s3cret"), "", 2, "--set: api_key cannot be set so; secrets are"),
    "no key=value": ((*ADD, "--set", "s3cret"), "", 2, "--set: expected KEY=VALUE, such as url="),
    "no secret": ((*ADD, *URL), "", 2, "the secret: expected a text without line ends"),
    "two lines": ((*ADD, *URL), "s3cret\ns3cret\n", 2, "the secret: expected a text without line ends"),
    "bad JSON": ((*ADD, *URL), '{"api_key": s3cret', 2, "the secret: expected JSON such as"),
    "no terminal": (("add", "immich", "home", *URL), "s3cret", 2, "stdin is no terminal to ask for the secret; write"),
    "folder's path": (("add", "folder", "home", "--set", "path=/no/such"), "", 2, "path: there is no folder"),
    "login, unknown": (("login", "nobody", "--stdin"), "k", 2, "nobody: no such account in "),
    "login, folder": (("login", "pictures", "--stdin"), "k", 2, 'pictures: provider "folder" needs no secret'),
    "logout, unknown": (("logout", "nobody"), "", 2, "nobody: no such account in "),
}


@pytest.mark.parametrize(("arguments", "typed", "code", "line"), REFUSED.values(), ids=REFUSED)
def test_refused(home: Home, arguments: tuple[str, ...], typed: str, code: int, line: str) -> None:
    said = refuses(home, code, *arguments, typed=typed)
    assert line in said
    assert "s3cret" not in said


def test_a_configuration_with_a_mistake_is_left_alone(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace("size", "siez"))
    assert 'cache.siez: unknown key; did you mean "size"?; nothing was changed' in refuses(
        home, 2, *ADD, *URL, typed="k"
    )
    home.config.write_text("[cache\n")
    assert "expected TOML: " in refuses(home, 2, *ADD, *URL, typed="k")


def test_without_a_keyring_a_private_file_keeps_it(home: Home, server: ImmichServer) -> None:
    home.backend = "keyring.backends.fail.Keyring"
    arguments = ("add", "immich", "home", "--set", f"url={server.url}", "--stdin")
    done = home.run(*arguments, typed=server.key)
    assert done.returncode == 0, done.stderr
    file = home.folder / "credentials" / "home.json"
    assert f"home: the secret is kept in {file}\n" in done.stdout
    assert json.loads(file.read_text()) == {"api_key": server.key}
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert home.section("home")["credentials"] == str(file)
    assert home.run("logout", "home").stdout == f"home: forgotten, it was in {file}\n"
    assert not file.exists()


def test_a_locked_keyring_is_no_reason_for_a_file(home: Home) -> None:
    home.backend = "tests.harness.keyrings.Locked"
    line = refuses(home, 1, *ADD, *URL, typed="k")
    assert "home: the system keyring is locked; unlock it, or keep the secret in a file that" in line
    assert not (home.folder / "credentials").exists()


def test_a_hanging_keyring_is_given_up(home: Home) -> None:
    home.backend = "tests.harness.keyrings.Hanging"
    assert "home: the system keyring does not answer in 3 s; unlock it" in refuses(home, 1, *ADD, *URL, typed="k")


def test_add_makes_the_first_configuration(tmp_path: Path) -> None:
    home, file = Home(tmp_path), tmp_path / "new" / "config.toml"
    (tmp_path / "photos").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "iiiffs", "add", "folder", "--set", f"path={tmp_path}/photos", "--config", str(file)],
        env=home.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"folder: {tmp_path}/photos can be read" in done.stdout
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert load_config(file).accounts[0].options == {"path": f"{tmp_path}/photos"}


@pytest.mark.parametrize("text", ["", "x = 1", "x = 1\n", "# c\r\n"])
def test_sections_are_put_behind_what_is_there(text: str) -> None:
    values = {"url": 'a "b" \\ é', "cleartext": True}
    made = with_section(text, "a.~b", values)
    assert made.startswith(text)
    assert tomllib.loads(made)["account"] == {"a.~b": values}
    assert section_text("home", {"poll": 3}) == "[account.home]\npoll = 3\n"


SETTINGS = {
    "url=https://a.example/?x=y": ("url", "https://a.example/?x=y"),
    "cleartext=true": ("cleartext", True),
    "poll=30": ("poll", 30),
    "poll=30 s": ("poll", "30 s"),
    'mode="proxy"': ("mode", "proxy"),
    "aliases=['a']": ("aliases", ["a"]),
    "slug=": ("slug", ""),
    "slug=a\nb = 1": ("slug", "a\nb = 1"),
}


@pytest.mark.parametrize(("text", "setting"), SETTINGS.items(), ids=repr)
def test_settings(text: str, setting: tuple[str, object]) -> None:
    assert parse_setting(text) == setting


@pytest.mark.parametrize("text", ["", "url", "=x", "u rl=x", "provider=x", "headers={}"])
def test_no_settings(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--set: "):
        parse_setting(text)


# ---- login and logout --------------------------------------------------------------------------------------------


def test_login_replaces_the_key_and_keeps_the_headers(added: Home, server: ImmichServer) -> None:
    new = server.add_key(server.owner).secret
    done = added.run("login", "home", "--stdin", typed=f"{new}\n")
    assert done.returncode == 0, done.stderr
    assert stored(added) == {"api_key": new, "headers": {"X-Token": "t0ken"}}
    assert "home: the extra headers that are stored stay\n" in done.stdout
    done = added.run("login", "home", "--stdin", typed=json.dumps({"api_key": new, "headers": {}}))
    assert done.returncode == 0, done.stderr
    assert stored(added) == {"api_key": new, "headers": {}}
    assert new not in done.stdout + done.stderr


def test_login_on_a_terminal(added: Home, server: ImmichServer) -> None:
    new = server.add_key(server.owner).secret
    terminal = added.on_terminal("login", "home")
    terminal.wait_for("API key (it is not shown)")
    terminal.type(new)
    assert terminal.exit_code() == 0
    assert new not in terminal.shown
    assert stored(added) == {"api_key": new, "headers": {"X-Token": "t0ken"}}


def test_login_with_a_wrong_key_keeps_the_old_one(added: Home) -> None:
    assert "nothing was changed" in refuses(added, 1, "login", "home", "--stdin", typed="wr0ng")


def test_what_goes_before_is_told(added: Home, server: ImmichServer) -> None:
    done = added.run("login", "home", "--stdin", typed=server.key, IIIFFS_CREDENTIALS_HOME="{}")
    assert "notice: IIIFFS_CREDENTIALS_HOME is set here, and goes before it\n" in done.stdout
    done = added.run("logout", "home", IIIFFS_CREDENTIALS_HOME="{}")
    assert "notice: IIIFFS_CREDENTIALS_HOME is set here, and still lets it in" in done.stdout


def test_logout(added: Home) -> None:
    before = added.config.read_text()
    done = added.run("logout", "home")
    assert (done.returncode, done.stdout) == (0, "home: forgotten, it was in the system keyring\n")
    assert added.passwords == {}
    assert added.config.read_text() == before
    assert added.run("logout", "home").stdout == "home: no secret was stored\n"


def test_logout_purges_the_cache_of_that_account_alone(added: Home) -> None:
    def facts_of(account: str) -> Facts | None:
        cache = open_cache(added.folder / "cache", 10 << 20)
        try:
            return cache.catalogue.facts(AccountName(account), AssetId("1"), Version("v"))
        finally:
            cache.close()

    async def fill() -> None:
        cache = open_cache(added.folder / "cache", 10 << 20)
        for account in ("home", "pictures"):
            cache.catalogue.put_facts(AccountName(account), {(AssetId("1"), Version("v")): Facts("", None)})
        await cache.writer.flush()
        cache.close()

    trio.run(fill)
    assert facts_of("home")
    done = added.run("logout", "home", "--purge")
    assert done.returncode == 0, done.stderr
    assert "home: dropped from the cache: 0 listings, 1 facts, 0 documents, 0 renditions, 0 blocks\n" in done.stdout
    assert facts_of("home") is None
    assert facts_of("pictures")


def test_doctor_tells_where_secrets_are_and_no_secret(added: Home, server: ImmichServer) -> None:
    said = added.run("doctor").stdout
    assert "OK    account.home: its secret is in the system keyring\n" in said
    assert server.key not in said
    added.run("logout", "home")
    assert "warn  account.home: no secret is stored; `iiiffs login home`\n" in added.run("doctor").stdout
