"""`python -m iiiffs …` as a person runs it: exit codes, and one line on stderr."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from typer.testing import CliRunner

from iiiffs import __version__
from iiiffs.cli import COMMANDS, app, exit_code_of
from iiiffs.config import examine_config
from iiiffs.errors import AlreadyRunning, ConfigError, MountRefused, NoDaemon, NoSuchName, StartError, StoreLocked
from iiiffs.model.gallery import AccountName
from iiiffs.state import State
from iiiffs.sync.identity import FOLDER, Row

needs_fuse = pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened")


def iiiffs(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command with a home of its own, so that nobody's real configuration is met."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    return subprocess.run(
        [sys.executable, "-m", "iiiffs", *map(str, arguments)],
        env=environ | {"HOME": str(tmp_path), "COLUMNS": "200"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that is right, with its folders."""
    (tmp_path / "photos").mkdir()
    file = tmp_path / "config.toml"
    file.write_text(
        f'[cache]\npath = "{tmp_path}/cache"\nsize = "10 MiB"\n[state]\npath = "{tmp_path}/state"\nmin_free = 1\n'
        f'[account.a]\nprovider = "folder"\npath = "{tmp_path}/photos"\naccess = "read"\n'
    )
    return file


def test_version(tmp_path: Path) -> None:
    done = iiiffs(tmp_path, "--version")
    assert (done.returncode, done.stdout) == (0, f"iiiffs {__version__}\n")


def test_start_imports_nothing_heavy() -> None:
    code = "import sys, iiiffs.cli; print(sorted({'trio', 'PIL', 'lmdb', 'pyfuse3', 'httpx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_help_names_every_command_and_every_command_takes_config(tmp_path: Path) -> None:
    listed = iiiffs(tmp_path, "--help").stdout
    groups = {
        "config": ("init", "check"),
        "cache": ("stats", "verify", "clear"),
        "state": ("export", "import", "renew"),
        "webserver": ("nginx", "caddy", "apache"),
        "viewer": ("install",),
        "queue": ("list", "retry", "discard", "export"),
        "conflicts": ("list", "mine", "theirs", "both"),
    }
    for command in COMMANDS:
        assert f"  {command} " in listed
        for verb in groups.get(command, ("",)):
            asked = [command, *([verb] if verb else []), "--help"]
            done = CliRunner().invoke(app, asked, env={"COLUMNS": "200"})
            assert done.exit_code == 0
            assert "--config FILE" in done.stdout


REFUSED = {
    "unknown verb": (("munt",), 2, "No such command 'munt'"),
    "no configuration": (
        ("status",),
        2,
        "/.config/iiiffs/config.toml: no such file; write one with `iiiffs config init`",
    ),
    "no daemon": (("status", "--config", "config.toml"), 5, "iiiffs does not run with this configuration"),
    "unknown account": (("mount", "m", "--account", "b", "--config", "config.toml"), 2, "--account b: no such account"),
    "bad -o": (("mount", "m", "-o", "nope", "--config", "config.toml"), 2, "-o nope: unknown mount option"),
    "bad --umask": (("mount", "m", "--umask", "9", "--config", "config.toml"), 2, "--umask: expected octal digits"),
    "cache inside": (("mount", "cache", "--config", "config.toml"), 2, "cache.path: "),
    "helper form": (("none.toml", "m", "-o", "rw"), 2, "none.toml: no such file"),
    "not mounted": (("umount", "photos"), 3, "photos: nothing is mounted there"),
    "not ours": (("umount", "/proc"), 3, "/proc: a file system of type proc is mounted there, not iiiffs"),
    "why of another place": (("why", "photos", "--config", "config.toml"), 3, "photos: not in a mount of iiiffs"),
    "flush without a daemon": (("flush", "--config", "config.toml"), 5, "iiiffs does not run with this configuration"),
    "sync without a daemon": (("sync", "photos", "a/files", "--config", "config.toml"), 5, "iiiffs does not run"),
    "discard without an ID": (("queue", "discard", "--config", "config.toml"), 2, "Missing argument"),
    "listen": (
        ("webserver", "nginx", "--root", "m", "--listen", "0.0.0.0:80", "--config", "config.toml"),
        2,
        "loopback",
    ),
    "demo's photos": (("demo", "--photos", "none"), 2, "--photos: none is not a folder"),
    "demo's config": (("demo", "--config", "config.toml"), 2, "--config: the demo writes a configuration of its own"),
}


@pytest.mark.parametrize(("arguments", "code", "line"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, config: Path, arguments: tuple[str, ...], code: int, line: str) -> None:
    done = iiiffs(tmp_path, *arguments)
    assert done.returncode == code, done.stderr
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    if "Usage" not in done.stderr:
        assert done.stderr.startswith("iiiffs: ")
        assert done.stderr.count("\n") == 1


@needs_fuse
@pytest.mark.parametrize("background", [(), ("--background",)], ids=["foreground", "background"])
def test_mount_refused(tmp_path: Path, config: Path, background: tuple[str, ...]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for name, line in {
        "missing": "no such directory; make it with `mkdir -p ",
        "full": "not empty (it holds 'file')",
        "config.toml": "not a directory",
    }.items():
        done = iiiffs(tmp_path, "mount", name, "--config", config, *background)
        expected = ConfigError.exit_code if name == "config.toml" else MountRefused.exit_code
        assert done.returncode == expected, done.stderr
        if name != "config.toml":
            assert done.stderr.startswith(f"iiiffs: {tmp_path}/{name}: {line}")
        assert done.stderr.count("\n") == 1


def test_config_init_then_check(tmp_path: Path) -> None:
    done = iiiffs(tmp_path, "config", "init")
    file = tmp_path / ".config" / "iiiffs" / "config.toml"
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert examine_config(file)[1] == []
    before = file.read_bytes()
    again = iiiffs(tmp_path, "config", "init")
    assert (again.returncode, file.read_bytes()) == (2, before)
    assert again.stderr.startswith(f"iiiffs: {file}: exists already and is left as it is")
    checked = iiiffs(tmp_path, "config", "check")
    assert checked.returncode == 0
    assert checked.stdout.splitlines()[1] == f'account pictures: folder (path = {tmp_path}/Pictures), access = "read"'


def test_config_check_prints_notices(tmp_path: Path, config: Path) -> None:
    section = '[publish]\nbase_url = "https://photos.example.org"\nalbums = ["pictures/files"]\n'
    config.write_text(config.read_text() + section)
    done = iiiffs(tmp_path, "config", "check", "--config", config)
    assert done.returncode == 0
    assert done.stdout.count("notice: ") == 1
    assert "notice: [publish]: no effect, this version has no published mounts\n" in done.stdout


def test_config_check_prints_every_problem(tmp_path: Path, config: Path) -> None:
    config.write_text(config.read_text().replace("path", "paht"))
    done = iiiffs(tmp_path, "config", "check", "--config", config)
    assert done.returncode == 2
    problems = [line.removeprefix(f"iiiffs: {config}: ") for line in done.stderr.splitlines()]
    assert problems == [
        'cache.paht: unknown key; did you mean "path"?',
        'state.paht: unknown key; did you mean "path"?',
        'account.a.paht: unknown key; did you mean "path"?',
        'account.a.path: missing; expected an absolute path or one that begins with "~"',
    ]


def test_cache_without_a_daemon(tmp_path: Path, config: Path) -> None:
    stats = iiiffs(tmp_path, "cache", "stats", "--json", "--config", config)
    assert stats.returncode == 0, stats.stderr
    assert json.loads(stats.stdout)["path"] == f"{tmp_path}/cache"
    verified = iiiffs(tmp_path, "cache", "verify", "--json", "--config", config)
    assert json.loads(verified.stdout) == {"checked": 0, "corrupt": 0}
    cleared = iiiffs(tmp_path, "cache", "clear", "--json", "--config", config)
    assert json.loads(cleared.stdout) == {"path": f"{tmp_path}/cache", "renditions": 0}


def test_config_check_shows_slugs(tmp_path: Path, config: Path) -> None:
    config.write_text(config.read_text() + 'slug = "shown"\n')
    checked = iiiffs(tmp_path, "config", "check", "--config", str(config))
    assert "account a: folder (path = " in checked.stdout
    assert checked.stdout.count('access = "read", shown as shown\n') == 1


def test_state_without_a_daemon(tmp_path: Path, config: Path) -> None:
    def state(verb: str, *arguments: str) -> tuple[int, str]:
        done = iiiffs(tmp_path, "state", verb, str(tmp_path / "moved"), "--config", str(config), *arguments)
        return done.returncode, done.stdout + done.stderr

    assert state("export") == (
        1,
        f"iiiffs: {tmp_path}/state: there is no state; it begins with the first `iiiffs mount`\n",
    )
    assert not (tmp_path / "state").exists()
    assert state("import") == (2, f"iiiffs: {tmp_path}/moved: cannot be read: No such file or directory\n")
    held = State.open(tmp_path / "state")
    for account in ("a", "b"):
        row = Row(f"id of {account}", "", b"", FOLDER, 1, 2, 0, 0, 0, 0)
        trio.run(held.ledger(AccountName(account)).commit, [row])
    in_use = (4, f"iiiffs: {tmp_path}/state is in use by process {os.getpid()}; stop that one first (iiiffs umount)\n")
    assert state("export") == in_use
    held.close()
    assert state("export") == (0, f"{tmp_path}/moved: 2 files and folders of a, b\n")
    assert state("export") == (
        2,
        f"iiiffs: {tmp_path}/moved: is there already, and is left as it is; name a new file\n",
    )
    refused = (
        1,
        f"iiiffs: the state at {tmp_path}/state is not empty: move that folder away and import again; "
        "or `--merge` keeps what it knows and adds the rest\n",
    )
    assert state("import") == refused
    notice = f"notice: account b is not in {config}; ids belong to the account's name\n"
    known = "account a: 0 files and folders, 1 known already\naccount b: 0 files and folders, 1 known already\n"
    assert state("import", "--merge") == (0, known + notice)
    shutil.rmtree(tmp_path / "state")
    assert state("import") == (0, "account a: 1 files and folders\naccount b: 1 files and folders\n" + notice)


def test_webserver_prints_the_whole_configuration(tmp_path: Path, config: Path) -> None:
    (tmp_path / "m").mkdir()
    done = iiiffs(tmp_path, "webserver", "nginx", "--root", "m", "--listen", "127.0.0.1:8123", "--config", config)
    assert done.returncode == 0, done.stderr
    assert "listen 127.0.0.1:8123" in done.stdout
    assert f"{tmp_path}/m" in done.stdout
    assert (tmp_path / "state" / "nginx").is_dir()


def test_doctor_names_a_bad_configuration(tmp_path: Path, config: Path) -> None:
    config.write_text(config.read_text().replace(f"{tmp_path}/photos", f"{tmp_path}/none"))
    done = iiiffs(tmp_path, "doctor", "--config", config)
    assert done.returncode == 1
    assert (
        f"fail  account.a.path: {tmp_path}/none cannot be read; does it exist, and may you?" in done.stdout.splitlines()
    )


def test_exit_codes() -> None:
    table = {
        ConfigError: 2,
        MountRefused: 3,
        AlreadyRunning: 4,
        StoreLocked: 4,
        NoDaemon: 5,
        StartError: 1,
        NoSuchName: 1,
    }
    assert {error: exit_code_of(error("x")) for error in table} == table
