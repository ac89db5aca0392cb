"""A mount of an account with a secret: the secret is nowhere but where it is kept, and its troubles stay its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.immich import ImmichServer, immich
from tests.harness.keyrings import Kept
from tests.harness.mount import Mount, Program, mounted
from tests.mount.observing import attributes

ROOT = Path(__file__).parents[2]
TOKEN = "t0ken-0f-a-pr0xy"


@pytest.fixture
def server() -> Iterator[ImmichServer]:
    with immich("3.1.0") as server:
        server.add_album("Trip", [server.add_asset("IMG_1.jpg", size_px=(300, 200))])
        yield server


def write_config(folder: Path, server: ImmichServer, extra: str = "") -> Path:
    """Two accounts: `pictures`, a folder, and `home`, of the server."""
    (folder / "photos").mkdir()
    (folder / "photos" / "a.txt").write_text("here")
    config = folder / "config.toml"
    config.write_text(
        f'[cache]\npath = "{folder}/cache"\nsize = "1 GiB"\n[state]\npath = "{folder}/state"\n'
        f'[account.pictures]\nprovider = "folder"\npath = "{folder}/photos"\naccess = "read"\n'
        f'[account.home]\nprovider = "immich"\nurl = "{server.url}"\naccess = "read"\npoll = "1 s"\n{extra}\n'
    )
    return config


def environ_of(folder: Path, backend: str = "tests.harness.keyrings.Kept") -> dict[str, str]:
    return {
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHON_KEYRING_BACKEND": backend,
        "KEYRING_PROPERTY_FILE": str(folder / "secrets" / "keyring.json"),
    }


def run(mount: Mount, environ: Mapping[str, str], *arguments: str, typed: str = "") -> str:
    """All that a command writes."""
    done = subprocess.run(
        [sys.executable, "-m", "iiiffs", *arguments, "--config", str(mount.config)],
        env=os.environ | environ, cwd=ROOT, input=typed, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@contextmanager
def mount_with(folder: Path, config: Path, environ: Mapping[str, str], *expected: str) -> Iterator[Mount]:
    with mounted(folder, folder / "photos", "-v", config=config, program=Program(environment=environ)) as mount:
        mount.expected += expected
        yield mount


def home_status(mount: Mount) -> Mapping[str, object]:
    accounts = mount.status()["accounts"]
    assert isinstance(accounts, list)
    (home,) = (account for account in accounts if account["name"] == "home")
    assert isinstance(home, dict)
    return home


@pytest.mark.parametrize("place", ["environment", "file", "keyring"])
def test_no_secret_anywhere(tmp_path: Path, server: ImmichServer, place: str) -> None:
    key = server.key
    secret = json.dumps({"api_key": key, "headers": {"X-Token": TOKEN}})
    kept = tmp_path / "secrets"
    kept.mkdir(mode=0o700)
    environ = environ_of(tmp_path)
    config = write_config(tmp_path, server, f'credentials = "{kept}/home.json"' if place == "file" else "")
    if place == "environment":
        environ["IIIFFS_CREDENTIALS_HOME"] = secret
    elif place == "file":
        (kept / "home.json").write_text(secret)
        (kept / "home.json").chmod(0o600)
    else:
        Kept(kept / "keyring.json").set_password("iiiffs", f"home {server.url}", secret)
    said: list[str] = []
    with mount_with(tmp_path, config, environ, "home") as mount:
        assert home_status(mount)["online"] is True
        said += look_at_everything(mount)
        (asset,) = server.assets
        info = mount.root / "home" / "iiif" / "3" / str(asset) / "info.json"
        said.append(info.read_text())
        said += [Path(f"/proc/{mount.process.pid}/cmdline").read_text(), json.dumps(mount.status())]
        said += [run(mount, environ, *command.split()) for command in ("status", "config check", "doctor")]
        said.append(run(mount, environ, "webserver", "caddy", "--root", str(mount.root)))
        server.revoke()
        said += [run(mount, environ, "login", "home", "--stdin", "--no-test", typed=secret)]
        assert "the daemon says: home: " in said[-1]
        assert home_status(mount)["online"] is False
        said += look_at_everything(mount)
        said.append(run(mount, environ, "logout", "home", "--purge"))
    assert any(request.headers.get("x-token") == TOKEN for request in server.requests)
    said.append(mount.log)
    assert "home" in mount.log
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_relative_to(kept):
            said += [path.read_bytes().decode(errors="replace"), str(path)]
    for text in said:
        assert key not in text
        assert TOKEN not in text


def look_at_everything(mount: Mount) -> list[str]:
    """Names, attributes and documents of the whole mount, and what is said where that fails."""
    said = []
    for folder, folders, files in os.walk(mount.root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            said.append(str(path))
            said += [repr(attributes(path))]
        for name in files:
            try:
                said.append(Path(folder, name).read_text(errors="replace"))
            except OSError as error:
                said.append(repr(error))
    return said


def test_a_hanging_keyring_holds_up_nobody_else(tmp_path: Path, server: ImmichServer) -> None:
    environ = environ_of(tmp_path, "tests.harness.keyrings.Hanging")
    config = write_config(tmp_path, server)
    with mount_with(tmp_path, config, environ, "the system keyring does not answer") as mount:
        assert (mount.files / "a.txt").read_text() == "here"
        status = home_status(mount)
        assert status["online"] is False
        assert str(status["reason"]).startswith("home: the system keyring does not answer in 3 s; unlock it, or keep")
        assert mount.stop() == 0


def test_a_wrong_key_is_told_and_replaced_while_mounted(tmp_path: Path, server: ImmichServer) -> None:
    (tmp_path / "secrets").mkdir()
    environ, config = environ_of(tmp_path), write_config(tmp_path, server)
    name = f"home {server.url}"
    keyring = Kept(tmp_path / "secrets" / "keyring.json")
    keyring.set_password("iiiffs", name, '{"api_key": "wr0ng"}')
    with mount_with(tmp_path, config, environ, "home: ") as mount:
        assert (mount.files / "a.txt").read_text() == "here"
        assert home_status(mount)["online"] is False
        assert "log in again: iiiffs login home" in str(home_status(mount)["reason"])
        assert "home: the daemon is let in\n" in run(mount, environ, "login", "home", "--stdin", typed=server.key)
        assert (home_status(mount)["online"], home_status(mount)["reason"]) == (True, None)
        answer = run(mount, environ, "logout", "home")
        assert "home: forgotten, it was in the system keyring\n" in answer
        assert "the daemon says: home: no API key is stored" in answer
        assert home_status(mount)["online"] is False
        assert (mount.files / "a.txt").read_text() == "here"
