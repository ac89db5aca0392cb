"""What an OSError means while something is changed in a folder."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from iiiffs.errors import (
    AccessDenied,
    AlreadyThere,
    AssetGone,
    IiiffsError,
    NotEmpty,
    OtherAccount,
    OverQuota,
    PlaceDenied,
    ProviderUnreachable,
    Rejected,
)

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
REFUSED = frozenset(
    {
        errno.EINVAL, errno.EILSEQ, errno.EMLINK, errno.ENAMETOOLONG, errno.EOPNOTSUPP, errno.EFBIG, errno.EBUSY,
        errno.ETXTBSY, errno.ENOSYS,
    }
)  # fmt: skip
"""The disk would say the same again."""


@contextmanager
def changing(what: str) -> Iterator[None]:
    """OSErrors become ours. `what`: for a person, the file or folder that is changed."""
    try:
        yield
    except OSError as error:
        raise _refusal(error, what) from error


def _refusal(error: OSError, what: str) -> IiiffsError:
    number, reason = error.errno, error.strerror
    if number == errno.EROFS:
        return AccessDenied(f"{what} cannot be changed: its disk is mounted read-only; mount it for writing")
    if number in (errno.EACCES, errno.EPERM):
        return PlaceDenied(f"{what} may not be changed; give the user of iiiffs write access to it and its folder")
    if number in FULL:
        return OverQuota(f"there is no room for {what} on its disk: {reason}")
    if number == errno.EXDEV:
        return OtherAccount(f"{what} is on another disk: nothing moves or links from one to another; copying does")
    if number == errno.EEXIST:
        return AlreadyThere(f"there is something else at {what}")
    if number == errno.ENOTEMPTY:
        return NotEmpty(f"{what} is not empty")
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return AssetGone(f"{what} is not there any more")
    if number in REFUSED:
        return Rejected(f"the disk refuses to change {what}: {reason}")
    return ProviderUnreachable(f"{what} cannot be changed: {reason}")
