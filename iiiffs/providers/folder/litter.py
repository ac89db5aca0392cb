"""Hidden names of files on their way, and what becomes of those that a kill left. Blocking: worker threads only.

    .iiiffs-TOKEN.RANDOM.part   being copied: may be deleted
    .iiiffs-TOKEN.RANDOM.swap   complete, to be exchanged with an older file, or that older file: goes to the trash

They are in tree.junk, so no listing shows them. The next write into the folder takes them away.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import time
from contextlib import suppress

from iiiffs.errors import Rejected
from iiiffs.providers.folder.trash import path_of, reserved

LITTER = re.compile(rb"\.iiiffs-(?P<token>[a-z0-9-]{1,30})\.[0-9a-f]{8}\.(?P<kind>part|swap)")
LITTER_AGE_S = 3600
"""A copy that is going on changes its file all the time; one that has not been changed for so long is nobody's."""

live: set[bytes] = set()
"""Names that this process uses now. Added to and taken from in one step each, by any thread."""


def hidden_name(token: str) -> bytes:
    """A new one that may be deleted by a sweep."""
    return b".iiiffs-%s.%s.part" % (token.encode(), secrets.token_hex(4).encode())


def litter_in(folder: int) -> list[bytes]:
    """Hidden names in an open folder that this process does not use."""
    names = [os.fsencode(name) for name in os.listdir(folder)]
    return [name for name in names if LITTER.fullmatch(name) and name.rpartition(b".")[0] not in live]


def is_left(folder: int, name: bytes, token: str) -> bool:
    """True if nobody uses that litter: it is of `token`, or old."""
    match = LITTER.fullmatch(name)
    if match is None or match["token"] == token.encode():
        return match is not None
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return time.time() - status.st_ctime > LITTER_AGE_S


def delete_litter(folder: int, name: bytes) -> None:
    """It is not there. Errors: OSError."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def sweep(folder: int, litter: list[bytes], token: str, own: tuple[bytes, bytes], now_ns: int) -> list[bytes]:
    """What kills left is away, of `litter`: deleted, or if it may be a person's file, in the trash. What is still left.

    `own`: the name that a file of `token` had, and the SHA-1 that is ours and so no person's. Errors: OSError.
    """
    kept = []
    for each in litter:
        if not is_left(folder, each, token):
            kept.append(each)
            continue
        is_own = each.startswith(b".iiiffs-%s." % token.encode())
        if each.endswith(b".part") or (is_own and _is(folder, each, own[1])):
            delete_litter(folder, each)
            continue
        try:
            with reserved(folder, path_of(folder, own[0] if is_own else each), now_ns) as slot:
                slot.take(folder, each)
        except Rejected:
            kept.append(each)
    return kept


def _is(folder: int, name: bytes, sha1: bytes) -> bool:
    try:
        number = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
    except OSError:
        return False
    with os.fdopen(number, "rb") as file:
        return hashlib.file_digest(file, "sha1").digest() == sha1
