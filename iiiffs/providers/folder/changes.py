"""What is changed on disk: one function a verb, whole or nothing, durable when it returns. Blocking: threads only.

Everything is done by name below an open folder, which Disk has found to be inside the root; what lies under a name is
looked at before the change and again after it, and put back where it was not what was meant. So nothing of another
program is overwritten or trashed by mistake, with one rest: a disk that cannot exchange two names (EXCHANGE: NFS, some
FUSE) has no file under the name for a moment while its bytes are replaced.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from iiiffs.errors import (
    AssetGone,
    NotEmpty,
    ProviderUnreachable,
    Rejected,
    VersionChanged,
)
from iiiffs.model.gallery import Version
from iiiffs.model.writing import Payload
from iiiffs.providers.folder.disk import Descriptor
from iiiffs.providers.folder.incoming import SWEPT, Part, sum_of
from iiiffs.providers.folder.litter import LITTER, delete_litter, hidden_name, litter_in
from iiiffs.providers.folder.renaming import (
    FlagUnknown,
    exchange,
    has_entry,
    rename_folder_new,
    rename_new,
    sync_folder,
)
from iiiffs.providers.folder.trash import Slot, path_of, reserved
from iiiffs.providers.media import kind_of
from iiiffs.sync.identity import FOLDER, LINK, Observed, version_of
from iiiffs.tree.junk import is_junk

TOKEN = "user.iiiffs.token"
"""Extended attribute of a folder that was made here: what it was made for. Rule: HasWriting.make_album."""


class Match(Enum):
    """What is under a name, compared with a payload."""

    ABSENT = "absent"
    SAME = "same"
    EARLIER = "earlier"
    OTHER = "other"


def seen(folder: int, name: bytes) -> Observed | None:
    """The entry as a listing sees it; None if there is none, or a link to nothing. Errors: OSError."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        prefix = LINK if stat.S_ISLNK(status.st_mode) else ""
        if prefix:
            status = os.stat(name, dir_fd=folder)
    except FileNotFoundError:
        return None
    kind = FOLDER if stat.S_ISDIR(status.st_mode) else kind_of(os.fsdecode(name))
    if not stat.S_ISREG(status.st_mode) and kind != FOLDER:
        kind = "special"
    return Observed(name, prefix + kind, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def version(entry: Observed | None) -> Version | None:
    """Of a file; None of a folder, and of nothing."""
    return None if entry is None or entry.is_folder else version_of(entry.mtime_ns, entry.size, entry.inode)


def compare(
    folder: int, name: bytes, payload: Payload, is_unwanted: Callable[[], bool], known: Version | None = None
) -> tuple[Match, Observed | None]:
    """What is under `name`. Bytes are read only where that can tell; not for EARLIER if the version is `known`.

    Errors: Unwanted, OSError.
    """
    if not has_entry(folder, name):
        return Match.ABSENT, None
    entry = seen(folder, name)
    if entry is None or entry.is_folder or entry.kind.endswith("special"):
        return Match.OTHER, entry
    if entry.kind.startswith(LINK) and known is None:  # it may lead out of the root
        return Match.OTHER, entry
    if entry.size != payload.size_bytes and (not payload.earlier or version(entry) == known):
        return Match.OTHER, entry
    with Descriptor(os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)) as file:
        digest = sum_of(file.number, is_unwanted)
    if seen(folder, name) != entry:
        return Match.OTHER, None
    if digest == payload.sha1 and entry.size == payload.size_bytes:
        return Match.SAME, entry
    return (Match.EARLIER if digest in payload.earlier else Match.OTHER), entry


def keep(folder: int, name: bytes) -> None:
    """The file that is there is on disk, with its name: who made it may have been killed before. Errors: OSError."""
    with Descriptor(os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)) as file:
        os.fsync(file.number)
    sync_folder(folder)


def place(folder: int, part: Part, name: bytes) -> None:
    """The part has that name, which was free. Errors: FileExistsError, ProviderUnreachable, OSError."""
    try:
        rename_new(part.folder.number, part.name, folder, name)
    except FileNotFoundError:
        raise ProviderUnreachable(SWEPT) from None
    part.renamed()
    sync_folder(folder)


def swap(folder: int, part: Part, name: bytes, old: Version, now_ns: int) -> None:
    """The part has that name, and what had it, in the version `old`, is in the trash. The name is never free meanwhile.

    Errors: AssetGone, VersionChanged, Rejected if there is no trash, OSError; then all is as it was.
    """
    check(seen(folder, name), old, name)
    with reserved(folder, path_of(folder, name), now_ns) as slot:
        hidden = part.to_swap()
        try:
            exchange(folder, hidden, folder, name)
        except FlagUnknown:
            _aside(folder, part, name, old, slot)
            return
        part.renamed()
        try:
            check(seen(folder, hidden), old, name)
            slot.take(folder, hidden)
        except BaseException:
            if not slot.taken:
                exchange(folder, hidden, folder, name)
                _delete_own(folder, hidden, part)
            raise


def _aside(folder: int, part: Part, name: bytes, old: Version, slot: Slot) -> None:
    """As `swap`, on a disk that cannot exchange: the old bytes go first."""
    slot.take(folder, name)
    try:
        check(seen(slot.files, slot.name), old, name, is_link_free=False)
        place(folder, part, name)
    except BaseException:
        slot.give_back(folder, name)
        raise


def trash(folder: int, name: bytes, old: Version | None, now_ns: int) -> None:
    """The entry is in the trash; there is none, or nothing was there. `old`: the version that is meant.

    Errors: VersionChanged, Rejected if there is no trash, OSError; then it stays.
    """
    if not has_entry(folder, name):
        sync_folder(folder)
        return
    if old is not None:
        check(seen(folder, name), old, name)
    with reserved(folder, path_of(folder, name), now_ns) as slot:
        slot.take(folder, name)
        try:
            if old is not None:
                check(seen(slot.files, slot.name), old, name, is_link_free=False)
        except BaseException:
            slot.give_back(folder, name)
            raise


def move_file(source: int, name: bytes, target: int, new_name: bytes, old: Version) -> None:
    """The file is there and not here. Errors: VersionChanged, Rejected, FileExistsError, OSError; then it is here."""
    check(seen(source, name), old, name)
    _check_link(source, name, target)
    rename_new(source, name, target, new_name)
    if version(seen(target, new_name)) != old:
        rename_new(target, new_name, source, name)
        raise VersionChanged(f"{_shown(source, name)} was replaced meanwhile")
    sync_folders(source, target)


def move_over(
    source: int, name: bytes, target: int, new_name: bytes, versions: tuple[Version, Version], now_ns: int
) -> None:
    """As `move_file`; what had the new name is in the trash. `versions`: of both, in the order of the names."""
    check(seen(source, name), versions[0], name)
    check(seen(target, new_name), versions[1], new_name)
    _check_link(source, name, target)
    with reserved(target, path_of(target, new_name), now_ns) as slot:
        try:
            exchange(source, name, target, new_name)
        except FlagUnknown:
            slot.take(target, new_name)
            try:
                move_file(source, name, target, new_name, versions[0])
            except BaseException:
                slot.give_back(target, new_name)
                raise
            return
        try:
            check(seen(target, new_name), versions[0], name)
            check(seen(source, name), versions[1], new_name)
            slot.take(source, name)
        except BaseException:
            if not slot.taken:
                exchange(source, name, target, new_name)
            raise
    sync_folders(source, target)


def move_folder(source: int, name: bytes, target: int, new_name: bytes) -> None:
    """The folder is there and not here. Errors: Rejected, FileExistsError, OSError; then it is here."""
    _check_link(source, name, target)
    rename_folder_new(source, name, target, new_name)
    sync_folders(source, target)


def link_file(number: int, folder: int, name: bytes) -> None:
    """The open file has that name too. Errors: Rejected where the disk cannot, FileExistsError, OSError."""
    try:
        os.link(f"/proc/self/fd/{number}", name, dst_dir_fd=folder, follow_symlinks=True)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP):
            raise Rejected(f"the disk cannot link {_shown(folder, name)}: {error.strerror}; copy it") from error
        raise
    sync_folder(folder)


def make_folder(folder: int, name: bytes, token: str) -> None:
    """There is a folder of that name, made for `token`. Errors: FileExistsError if there was another, OSError."""
    if token_of(folder, name) == token:
        sync_folder(folder)
        return
    if has_entry(folder, name):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    hidden = hidden_name(token)
    os.mkdir(hidden, dir_fd=folder)
    try:
        with Descriptor(os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)) as made:
            with suppress(OSError):  # a disk without attributes: a second call finds a stranger's folder
                os.setxattr(made.number, TOKEN, token.encode())
            sync_folder(made.number)
        rename_folder_new(folder, hidden, folder, name)
    except BaseException:
        os.rmdir(hidden, dir_fd=folder)
        raise
    sync_folder(folder)


def token_of(folder: int, name: bytes) -> str | None:
    """What a folder was made for; None if nobody knows, or if it is no folder."""
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
        with Descriptor(os.open(name, flags, dir_fd=folder)) as opened:
            return os.getxattr(opened.number, TOKEN).decode()
    except OSError:
        return None


def remove_folder(folder: int, name: bytes, now_ns: int) -> None:
    """The folder is not there; it is in the trash if there is litter in it. Errors: NotEmpty, Rejected, OSError."""
    entry = seen(folder, name)
    if entry is None or not entry.is_folder:
        sync_folder(folder)
        return
    with Descriptor(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)) as opened:
        left = _names_left(opened.number)
        if not left and not entry.kind.startswith(LINK):
            for litter in litter_in(opened.number):
                delete_litter(opened.number, litter)
            os.rmdir(name, dir_fd=folder)
            sync_folder(folder)
            return
        _check_litter(left, folder, name)
        with reserved(folder, path_of(folder, name), now_ns) as slot:
            slot.take(folder, name)
            try:
                _check_litter(_names_left(opened.number), folder, name)
            except BaseException:
                slot.give_back(folder, name)
                raise


def _names_left(folder: int) -> list[str]:
    """All names but those of files that were on their way in."""
    return [
        name
        for name in os.listdir(folder)
        if (match := LITTER.fullmatch(os.fsencode(name))) is None or match["kind"] != b"part"
    ]


def _check_litter(names: list[str], folder: int, name: bytes) -> None:
    count = sum(not is_junk(each) for each in names)
    if count:
        things = "1 file or folder" if count == 1 else f"{count} files and folders"
        raise NotEmpty(f"{_shown(folder, name)} still holds {things}; not all need to be shown here")


def _delete_own(folder: int, name: bytes, part: Part) -> None:
    """Deletes `name` only if that is the part's own file; any other stays, and a sweep brings it to the trash."""
    own, there = os.fstat(part.file.number), os.stat(name, dir_fd=folder, follow_symlinks=False)
    if (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino):
        os.unlink(name, dir_fd=folder)


def check(entry: Observed | None, expected: Version, name: bytes, *, is_link_free: bool = True) -> None:
    """Errors: AssetGone, VersionChanged. A relative link that lies elsewhere (not `is_link_free`) leads to nothing."""
    if entry is None and is_link_free:
        raise AssetGone(f"{os.fsdecode(name)!a} is not there any more")
    if entry is not None and version(entry) != expected:
        raise VersionChanged(f"{os.fsdecode(name)!a} was changed by another program")


def _check_link(source: int, name: bytes, target: int) -> None:
    """Errors: Rejected for a relative symlink that is to go to another folder, from where it would lead elsewhere."""
    if os.path.sameopenfile(source, target):
        return
    with suppress(OSError):  # no link
        if not os.readlink(name, dir_fd=source).startswith(b"/"):
            raise Rejected(f"{_shown(source, name)} is a symlink that only leads anywhere from its own folder")


def _shown(folder: int, name: bytes) -> str:
    return ascii(os.fsdecode(path_of(folder, name)))


def sync_folders(source: int, target: int) -> None:
    """What was moved from one to the other is on disk. Errors: OSError."""
    sync_folder(target)
    if source != target:
        sync_folder(source)
