"""The one place where an errno is chosen, and the fence that keeps everything else out of pyfuse3.

The table is by class, the nearest ancestor wins, so its order does not matter. pyfuse3 ends the mount on any exception
but FUSEError, so `fenced` wraps every handler: a bug is EIO for its asker, a traceback in the log and a count.
Rule: pyfuse3 "Operations"; DESIGN §5.
"""

from __future__ import annotations

import errno
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import pyfuse3

from iiiffs import errors

log = logging.getLogger(__name__)

ERRNO: Mapping[type[errors.IiiffsError], int] = {
    errors.IiiffsError: errno.EIO,
    errors.RequestError: errno.ENOENT,
    errors.ReadOnly: errno.EROFS,
    errors.Forbidden: errno.EPERM,
    errors.AlreadyThere: errno.EEXIST,
    errors.NotEmpty: errno.ENOTEMPTY,
    errors.OtherAccount: errno.EXDEV,
    errors.IsDirectory: errno.EISDIR,
    errors.NotDirectory: errno.ENOTDIR,
    errors.NameTooLong: errno.ENAMETOOLONG,
    errors.Unsupported: errno.EINVAL,
    errors.AssetGone: errno.ENOENT,
    errors.VersionChanged: errno.ESTALE,
    errors.AccessDenied: errno.EACCES,
    errors.Rejected: errno.EPERM,
    errors.OverQuota: errno.EDQUOT,
    errors.StoreFull: errno.ENOSPC,
}

QUIET = (errors.RequestError, errors.ReadOnly, errors.Forbidden, errors.AssetGone, errors.VersionChanged)
"""What happens every day and needs nobody: logged at debug."""

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


def errno_of(error: errors.IiiffsError) -> int:
    """The errno that a program sees for `error`."""
    return next(ERRNO[kind] for kind in type(error).__mro__ if kind in ERRNO)


class Faults:
    """How many requests ended in a bug of ours, or in an error that somebody should see."""

    def __init__(self) -> None:
        self.bugs = 0
        self.errors = 0


def fenced(handler: F) -> F:
    """`handler` as pyfuse3 may call it: nothing but FUSEError and cancellation comes out.

    The object that has it needs `faults: Faults`.
    """

    @functools.wraps(handler)
    async def fence(self: Any, *args: Any) -> Any:
        try:
            return await handler(self, *args)
        except pyfuse3.FUSEError:
            raise
        except errors.IiiffsError as error:
            if isinstance(error, QUIET):
                log.debug("%s: %s", handler.__name__, error)
            else:
                self.faults.errors += 1
                level = logging.WARNING if isinstance(error, errors.StoreError) else logging.INFO
                log.log(level, "%s: %s", handler.__name__, error)
            raise pyfuse3.FUSEError(errno_of(error)) from error
        except Exception as bug:
            self.faults.bugs += 1
            log.exception("bug in %s%r", handler.__name__, args[:2])
            raise pyfuse3.FUSEError(errno.EIO) from bug

    return fence  # type: ignore[return-value]  # same signature as `handler`, which TypeVar cannot say
