"""A folder of this machine as a gallery. Entry point `folder` of the group `iiiffs.providers`."""

from __future__ import annotations

import os
from pathlib import Path

from iiiffs.errors import AccessDenied, ConfigError
from iiiffs.providers.base import Provider, ProviderContext
from iiiffs.providers.folder.provider import FolderProvider

__all__ = ["FolderProvider", "open_provider"]


def open_provider(context: ProviderContext) -> Provider:
    """The gallery in the folder that the account's `path` names; "~" is the home of whoever runs this.

    Errors: ConfigError if that is not an existing folder, AccessDenied if it may not be read.
    """
    key = f"account.{context.account}.path"
    value = context.settings.get("path")
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
    return FolderProvider(str(path), context)
