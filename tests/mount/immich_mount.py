"""A real mount of accounts of fake Immich servers, beside a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.fakes.immich import ImmichServer
from tests.harness.mount import Mount, Program, check_log, start, take_down
from tests.mount.observing import eventually

PROJECT = Path(__file__).parents[2]
POLL = "1 s"
"""A fifth of it, by tests.mount.hasty."""
SOON_S = 10.0
"""Some polls, on a machine that does something else as well."""
ORIGINALS = r"/original|size=fullsize|/video/playback"
BYTES = r"/original|/thumbnail|/video/playback"
PROBES = {
    ("GET", "/api/albums"),
    ("GET", "/api/server/version"),
    ("GET", "/api/server/config"),
    ("POST", "/api/search/metadata"),
    ("POST", "/api/search/statistics"),
    ("GET", "/api/api-keys/me"),
}
"""What a poll asks, and what tells of trouble."""


def write_config(
    folder: Path,
    url: str,
    *,
    accounts: Mapping[str, str] | None = None,
    base_url: str = "http://127.0.0.1:8080",
    poll: str = POLL,
    extra: str = "",
) -> Path:
    """Accounts `pictures`, a folder that holds a.txt, and `home`, of the server at `url`; `accounts`: name -> url of
    more. `extra`: lines for `home`. Everything that it writes is below `folder`."""
    photos = folder / "photos"
    photos.mkdir(exist_ok=True, parents=True)
    (photos / "a.txt").write_text("here")
    sections = [
        f'base_url = "{base_url}"\n[cache]\npath = "{folder}/cache"\nsize = "1 GiB"\n',
        f'[state]\npath = "{folder}/state"\n',
        f'[account.pictures]\nprovider = "folder"\npath = "{photos}"\naccess = "read"\n',
    ]
    for name, where in {"home": url, **(accounts or {})}.items():
        told = extra if name == "home" else ""
        sections.append(
            f'[account.{name}]\nprovider = "immich"\nurl = "{where}"\naccess = "read"\npoll = "{poll}"\n{told}\n'
        )
    config = folder / "config.toml"
    config.write_text("".join(sections))
    return config


def environ_of(**keys: str) -> dict[str, str]:
    """The environment of a daemon: account -> API key."""
    credentials = {f"IIIFFS_CREDENTIALS_{name.upper()}": json.dumps({"api_key": key}) for name, key in keys.items()}
    return {"PYTHONPATH": str(PROJECT), **credentials}


@contextmanager
def mounted_home(
    folder: Path,
    server: ImmichServer,
    *expected: str,
    url: str | None = None,
    key: str | None = None,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Mount]:
    """Inside, the account is at MOUNT/home and has been asked for all that a poll begins with. `url`: of a proxy before
    the server. `expected`: what may stand in warnings."""
    config = config or write_config(folder, url or server.url)
    mount = start(
        folder,
        folder / "photos",
        config=config,
        program=Program("tests.mount.hasty", environ or environ_of(home=key or server.key)),
    )
    mount.expected += expected
    try:
        yield mount
    finally:
        take_down(mount)
    check_log(mount)


def home_of(mount: Mount) -> Path:
    """MOUNT/home"""
    return mount.root / "home"


def status_of(mount: Mount, account: str = "home") -> Mapping[str, object]:
    """What status says of the account."""
    accounts = mount.status()["accounts"]
    assert isinstance(accounts, list)
    (found,) = (one for one in accounts if one["name"] == account)
    assert isinstance(found, dict)
    return found


def is_online(mount: Mount, account: str = "home") -> bool:
    """As MOUNT/.iiiffs/status.json says."""
    said = json.loads((mount.root / ".iiiffs" / "status.json").read_text())
    (found,) = (one for one in said["accounts"] if one["name"] == account)
    return bool(found["online"])


def polled(server: ImmichServer, polls: int = 2) -> None:
    """So many polls have begun since now, so that what was true before is known."""
    asked = partial(server.requests.count, r"/api/albums(\?|$)", "GET")
    wanted = asked() + polls * rounds(server)
    eventually(lambda: asked() >= wanted, deadline_s=SOON_S)


def rounds(server: ImmichServer) -> int:
    """Questions for the list of albums in a poll. Rule: immich.md §2."""
    return 2 if server.version.startswith("2") else 1


def tree_of(root: Path) -> dict[str, os.stat_result]:
    """Path below `root` -> what lstat says, of all that is listed."""
    found: dict[str, os.stat_result] = {}
    for folder, folders, files in os.walk(root, onerror=_raise):
        for name in [*folders, *files]:
            path = Path(folder, name)
            found[str(path.relative_to(root))] = path.lstat()
    return found


def _raise(error: OSError) -> None:
    raise error


def seen(question: Callable[[], object], wanted: Callable[[object], bool] = bool) -> object:
    """As `eventually`, within SOON_S."""
    return eventually(question, wanted, SOON_S)
