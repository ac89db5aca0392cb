"""Every error of iiiffs, by who is to blame.

    IiiffsError
    ├── RequestError            the asker: what was asked for cannot exist
    │   ├── BadSyntax           not in the grammar (Image API 3.0 §4)
    │   ├── OutOfBounds         in the grammar, but not for this image or past our limits
    │   ├── NotOffered          legal, and a feature that this server does not have
    │   └── NoSuchName          no entry of that name in that directory
    ├── ReadOnly                the asker: nothing may change here
    ├── Forbidden               the asker: this may not be done here, and the text says what may
    │   ├── AlreadyThere        the name is taken
    │   ├── NotEmpty            something is still in it
    │   ├── OtherAccount        nothing moves or links from one account to another
    │   ├── IsDirectory         a directory, where a file is wanted
    │   ├── NotDirectory        a file, where a directory is wanted
    │   ├── NameTooLong         more than 255 bytes
    │   └── Unsupported         a flag or an attribute that this file system does not have
    ├── ProviderError           the provider, or the way to it
    │   ├── AssetGone           a positive answer: it is not there (never a guess)
    │   ├── VersionChanged      its bytes are no longer the version that was asked for
    │   ├── AccessDenied        the provider refuses us
    │   │   └── PlaceDenied     at this one place; elsewhere it may let us
    │   ├── Rejected            the provider refuses this one thing, and would refuse it again
    │   ├── OverQuota           the account is full
    │   └── ProviderUnreachable could not ask; says nothing about what is there
    ├── StoreError              our disk
    │   ├── StoreFull           quota, map or file system full
    │   ├── StoreCorrupt        bytes read are not the bytes written
    │   └── StoreLocked         another process holds the cache or the state
    ├── RenderError             the file itself
    │   ├── Undecodable         not an image, truncated, or a codec we lack
    │   └── TooLarge            past the configured limits on pixels or memory
    ├── DeadlinePassed          waited as long as we may; work may go on behind
    └── StartError              the person who starts it; carries the exit code
        ├── ConfigError         configuration file or option
        ├── MountRefused        mount point, fusermount3, /dev/fuse
        ├── AlreadyRunning      second daemon on the same cache, state or mount point
        ├── NoDaemon            a command asked, and no daemon answers
        └── ViewersNotInstalled npm absent, or it could not bring them

A library's exception dies in the package that owns the library; ours become an errno in `iiiffs.fuse.errnos` and an
exit code in `iiiffs.cli`, nowhere else.
"""

from __future__ import annotations


class IiiffsError(Exception):
    """Base of all. The text is one line for a person: what is wrong, and what to do where that is known."""


class RequestError(IiiffsError):
    """What was asked for cannot exist."""


class BadSyntax(RequestError):
    """Not in the grammar. Rule: Image API 3.0 §4."""


class OutOfBounds(RequestError):
    """In the grammar, but not for this image or past the limits. Rule: Image API 3.0 §4.1, §4.2, §5.3."""


class NotOffered(RequestError):
    """A legal value that this server does not offer, such as an unlisted format."""


class NoSuchName(RequestError):
    """No entry of that name in that directory."""


class ReadOnly(IiiffsError):
    """Nothing may change here."""


class Forbidden(IiiffsError):
    """This may not be done here: by the access level, or by what the provider can do."""


class AlreadyThere(Forbidden):
    """The name is taken."""


class NotEmpty(Forbidden):
    """Something is still in the album."""


class OtherAccount(Forbidden):
    """Two accounts: nothing moves or links between them; copying does."""


class IsDirectory(Forbidden):
    """A directory, where a file is wanted."""


class NotDirectory(Forbidden):
    """A file, where a directory is wanted."""


class NameTooLong(Forbidden):
    """A name of more than 255 bytes."""


class Unsupported(Forbidden):
    """A flag, an attribute or a kind of file that this file system does not have."""


class ProviderError(IiiffsError):
    """The provider, or the way to it."""


class AssetGone(ProviderError):
    """A positive answer: the asset or album is not there."""


class VersionChanged(ProviderError):
    """The bytes are no longer those of the version that was asked for."""


class AccessDenied(ProviderError):
    """The provider refuses us."""


class PlaceDenied(AccessDenied):
    """It refuses us at this one place; what is elsewhere need not wait until somebody allows it."""


class Rejected(ProviderError):
    """The provider refuses this one thing, and would refuse it again: a type of file, a missing permission."""


class OverQuota(ProviderError):
    """The account has no room for it."""


class ProviderUnreachable(ProviderError):
    """Could not ask. Says nothing about what is there. `retry_after_s`: what the provider asked to wait, if it did."""

    retry_after_s: float | None = None


class StoreError(IiiffsError):
    """Our own disk."""


class StoreFull(StoreError):
    """Quota, map or file system full."""


class StoreCorrupt(StoreError):
    """The bytes read are not the bytes written."""


class StoreLocked(StoreError):
    """Another process holds the cache or the state."""


class RenderError(IiiffsError):
    """The file itself cannot be shown."""


class Undecodable(RenderError):
    """Not an image, truncated, or of a codec that is not installed."""


class TooLarge(RenderError):
    """Past the configured limits on pixels or memory."""


class DeadlinePassed(IiiffsError):
    """Waited as long as we may; the work may go on behind."""


class StartError(IiiffsError):
    """The daemon or a command cannot start. `exit_code` is the process's."""

    exit_code = 1


class ConfigError(StartError):
    """The configuration file, a key in it, or an option."""

    exit_code = 2


class MountRefused(StartError):
    """Mount point missing, not empty or not ours; fusermount3 absent; /dev/fuse refused."""

    exit_code = 3


class AlreadyRunning(StartError):
    """A second daemon on the same cache, state or mount point."""

    exit_code = 4


class NoDaemon(StartError):
    """Nobody answers at the control socket."""

    exit_code = 5


class ViewersNotInstalled(StartError):
    """npm is absent or failed, or what it brought is not what is pinned. The folder is as it was."""
