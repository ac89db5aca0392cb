"""Provider "scripted": a pretended server for tests, whose truth and whose faults a test holds in its hands.

    with Store(folder / "server") as store:                      # the server's truth; Flavour.FOLDER for folders
        album = store.make_album("Holidays")
        store.put("a.jpg", data, album.id)
        with mounted(folder, store.path, config=scripted_config(folder, store), program=PROGRAM) as mount:
            store.script.add(Fault(FaultKind.LOST, "upload"))    # the next upload arrives, and its answer does not
            (mount.account / "albums" / "Holidays" / "b.jpg").write_bytes(data)
            assert store.script.counts()["upload"] == 2 …

It lives in an ordinary folder and survives the daemon that mounts it. What goes wrong: `script.Fault`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from iiiffs.errors import ConfigError
from iiiffs.model.gallery import AccountName
from iiiffs.providers.base import ProviderContext
from iiiffs.render.headers import read_facts
from tests.harness.immich_account import NoLedger
from tests.harness.mount import Program
from tests.harness.scripted.provider import PAGE_SIZE, POLL_S, Settings
from tests.harness.scripted.records import Flavour, StoredAlbum, StoredAsset
from tests.harness.scripted.script import ALL, Call, Fault, FaultKind, Script
from tests.harness.scripted.store import Store, script_of
from tests.harness.scripted.writing import WritableProvider

__all__ = [
    "ALL",
    "PLUGINS",
    "PROGRAM",
    "Call",
    "Fault",
    "FaultKind",
    "Flavour",
    "Script",
    "Store",
    "StoredAlbum",
    "StoredAsset",
    "WritableProvider",
    "open_provider",
    "open_scripted",
    "script_of",
    "scripted_config",
]

PLUGINS = Path(__file__).parent / "plugins"
"""To be in sys.path, or in PYTHONPATH."""
PROGRAM = Program(environment={"PYTHONPATH": os.pathsep.join([str(PLUGINS), str(Path(__file__).parents[3])])})
"""A daemon that knows the provider."""


def open_provider(context: ProviderContext) -> WritableProvider:
    """The entry point. Settings: `path`, of the store; `script`, a file (beside the index where it is not given);
    `flavour`, "immich" or "folder" (of a new store; that of an old one stays); `sums`, whether it tells checksums;
    `page_size`; `look`, seconds between two looks for changes; `threads`, rule: Settings.in_threads.
    Errors: ConfigError."""
    given = context.settings
    path, flavour, sums = given.get("path"), given.get("flavour"), given.get("sums")
    page_size, look_s = given.get("page_size", PAGE_SIZE), given.get("look", POLL_S)
    if not isinstance(path, str) or flavour not in (None, *Flavour) or not isinstance(sums, bool | None):
        raise ConfigError(f"account.{context.account}: path, flavour or sums is wrong")
    if not isinstance(page_size, int) or not isinstance(look_s, int | float):
        raise ConfigError(f"account.{context.account}: page_size or look is no number")
    in_threads = given.get("threads", True) is True
    store = Path(path)
    script = Path(str(given.get("script") or script_of(store)))
    kind = None if flavour is None else Flavour(str(flavour))
    try:
        return WritableProvider(context, Settings(store, script, kind, sums, page_size, float(look_s), in_threads))
    except ValueError as error:
        raise ConfigError(f"account.{context.account}: {error}") from error


def open_scripted(store: Store, **settings: object) -> WritableProvider:
    """The provider of a store, in this process. Whoever asks for it closes it. `settings`: as for `open_provider`."""
    given = {"path": str(store.path), "script": str(store.script.path), **settings}
    return open_provider(ProviderContext(AccountName("pictures"), given, NoLedger(), read_facts))


def scripted_config(folder: Path, store: Store, *, access: str = "edit", extra: str = "") -> Path:
    """A configuration with one account `pictures`, the store's; everything it writes is below `folder`. `extra`: lines
    for the account, such as 'settle = "1 s"'."""
    config = folder / "config.toml"
    folder.mkdir(parents=True, exist_ok=True)
    told = {"provider": "scripted", "access": access, "path": str(store.path), "script": str(store.script.path)}
    account = "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
    config.write_text(
        f'base_url = "http://127.0.0.1:8080"\n[cache]\npath = "{folder}/cache"\nsize = "1 GiB"\n'
        f'[state]\npath = "{folder}/state"\n[account.pictures]\n{account}{extra}\n'
    )
    return config
