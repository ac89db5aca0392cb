"""A folder of this machine as a gallery. Entry point `folder` of the group `iiiffs.providers`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import trio

from iiiffs.errors import AccessDenied, ConfigError
from iiiffs.providers.base import Provider, ProviderContext
from iiiffs.providers.folder.provider import FolderProvider
from iiiffs.providers.folder.watch import WATCH_TIMES

__all__ = ["FolderProvider", "open_provider", "probe"]


def open_provider(context: ProviderContext) -> Provider:
    """The gallery in the folder that the account's `path` names; "~" is the home of whoever runs this.

    `poll`: seconds between two looks for changes where the kernel does not tell them.
    Errors: ConfigError if that is not an existing folder, AccessDenied if it may not be read.
    """
    path = _readable_folder(f"account.{context.account}.path", context.settings.get("path"))
    poll_s = context.settings.get("poll", WATCH_TIMES.poll_s)
    if isinstance(poll_s, bool) or not isinstance(poll_s, int | float) or poll_s <= 0:
        raise ConfigError(f"account.{context.account}.poll: expected a number of seconds above 0")
    return FolderProvider(str(path), context, watch_times=replace(WATCH_TIMES, poll_s=float(poll_s)))


async def probe(settings: Mapping[str, object], secrets: Mapping[str, object], /) -> str:
    """Rule: registry.Probe."""
    path = await trio.to_thread.run_sync(_readable_folder, "path", settings.get("path"), abandon_on_cancel=True)
    return f"{path} can be read"


def _readable_folder(key: str, value: object) -> Path:
    """The folder that `value` names. Errors: as open_provider."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f'{key}: expected the folder to show, such as path = "~/Pictures"')
    try:
        path = Path(value).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{key}: {value!a} names no home that is known; write the whole path") from error
    if not path.is_absolute():
        raise ConfigError(f"{key}: {value!a} is no absolute path; begin it with / or ~")
    try:
        is_folder = path.is_dir()
        exists = is_folder or path.exists()
    except PermissionError as error:
        raise AccessDenied(f"{key}: {value!a} may not be reached; give the user of iiiffs access to it") from error
    if not exists:
        raise ConfigError(f"{key}: there is no folder {value!a}; make it, mount its disk, or correct the path")
    if not is_folder:
        raise ConfigError(f"{key}: {value!a} is no folder; name the folder that holds it")
    if not os.access(path, os.R_OK | os.X_OK):
        raise AccessDenied(f"{key}: {value!a} may not be read; give the user of iiiffs read access to it")
    return path
