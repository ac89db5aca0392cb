"""Where a store may lie: never on a network file system.

LMDB maps its file into memory and locks it with fcntl; over a network the map is not coherent and the locks are advice
(lmdb.h, caveats: "Do not use LMDB databases on remote filesystems"). The spool needs an fsync that means it. Cache and
state are therefore refused on one (DESIGN §7), before a single file is made.
"""

from __future__ import annotations

import logging
from pathlib import Path

from iiiffs.errors import ConfigError
from iiiffs.providers.mountinfo import mountinfo_text, network_type, parse_mountinfo

log = logging.getLogger(__name__)


def refuse_network_filesystem(path: Path, purpose: str) -> None:
    """Nothing, if `path` (which need not exist yet) is on a local file system.

    `purpose`: what the folder is for, as a person knows it, such as "cache" or "state".
    Errors: ConfigError if it is on a network file system. Without /proc it warns and lets pass.
    Rule: DESIGN §7; lmdb.h caveats.
    """
    try:
        mounts = parse_mountinfo(mountinfo_text())
    except OSError as error:
        log.warning("cannot tell the file system of the %s folder %s: %s", purpose, path, error)
        return
    if found := network_type(path, mounts):
        raise ConfigError(f"the {purpose} folder {path} is on a network file system ({found}); choose a local disk")
