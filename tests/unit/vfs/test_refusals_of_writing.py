"""Each verb at each level of access, on a server whose albums are sets: done, or refused at the call with the errno of
docs/SEMANTICS.md, in words in `user.iiiffs.error`, and in one line of the log."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from errno import EINVAL, ENOTEMPTY, EPERM, EROFS
from pathlib import Path

import pytest
from pyfuse3 import FileHandleT, InodeT

from iiiffs.model.writing import Access, AlbumVerb, Edit, Property
from iiiffs.sync.items import Item
from tests.harness.scripted import Flavour, Store
from tests.harness.writing_tree import (
    CONTEXT,
    Life,
    attribute,
    called,
    directory_made,
    directory_removed,
    linked,
    marked,
    opened,
    parent_of,
    released,
    renamed,
    timed,
    truncated,
    unlinked,
    unmarked,
)
from tests.unit.vfs.test_properties import GREEN, JUNE_NS, NAVY, PATIENCE_S, RED

MONTH = "timeline/2024/2024-06"
ERROR = "user.iiiffs.error"
EDIT, ADD, NOWHERE = 'access = "edit"', 'access = "add" or "edit"', ""


def puts(
    path: str, data: bytes = RED, flags: int = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
) -> Callable[[Life], Awaitable[None]]:
    async def put(life: Life) -> None:
        handle, _ = await opened(life, path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        await called(life.operations.write(FileHandleT(handle), 0, data))
        await released(life, handle)

    return put


def symlinked(path: str) -> Callable[[Life], Awaitable[None]]:
    async def link(life: Life) -> None:
        parent, name = await parent_of(life, path)
        await called(life.operations.symlink(InodeT(parent), os.fsencode(name), os.fsencode("a.jpg"), CONTEXT))

    return link


Deed = Callable[[Life], Awaitable[None]]


def on(verb: Callable[..., Awaitable[None]], *arguments: object) -> Deed:
    return lambda life: verb(life, *arguments)


DEEDS: dict[str, tuple[Deed, int, int, str, str]] = {
    # what -> (deed, errno with "add", errno with "edit", where the reason is, a word of the reason with "edit")
    "create": (puts("albums/B/n.jpg"), 0, 0, "albums/B", ""),
    "create of no photo": (puts("albums/B/notes.txt"), EPERM, EPERM, "albums/B", "takes no files like"),
    "create of litter": (puts("albums/B/Thumbs.db"), EPERM, EPERM, "albums/B", "litter"),
    "create in favorites": (puts("favorites/n.jpg"), EPERM, 0, "favorites", ""),
    "create with a tag": (puts("tags/Sea/n.jpg"), EPERM, 0, "tags/Sea", ""),
    "create in tags": (puts("tags/n.jpg"), EROFS, EROFS, "tags", "holds no files"),
    "create in albums": (puts("albums/n.jpg"), EROFS, EROFS, "albums", "holds no files"),
    "create in the timeline": (puts(f"{MONTH}/n.jpg"), EROFS, EROFS, MONTH, "copy into an album"),
    "create in the trash": (puts("trash/n.jpg"), EROFS, EROFS, "trash", "holds no files"),
    "overwrite": (puts("albums/A/a.jpg"), EPERM, 0, "albums/A/a.jpg", ""),
    "overwrite in the timeline": (puts(f"{MONTH}/a.jpg"), EPERM, 0, f"{MONTH}/a.jpg", ""),
    "truncate": (on(truncated, "albums/A/a.jpg", 5), EPERM, 0, "albums/A/a.jpg", ""),
    "mkdir of an album": (on(directory_made, "albums/C"), 0, 0, "albums", ""),
    "mkdir in an album": (on(directory_made, "albums/A/C"), EPERM, EPERM, "albums/A", "no album"),
    "mkdir of a tag": (on(directory_made, "tags/New"), EPERM, 0, "tags", ""),
    "mkdir in the timeline": (on(directory_made, f"{MONTH}/C"), EPERM, EPERM, MONTH, "no album"),
    "rmdir": (on(directory_removed, "albums/B"), EPERM, 0, "albums", ""),
    "rmdir of what is full": (on(directory_removed, "albums/A"), EPERM, ENOTEMPTY, "albums", "empty"),
    "rmdir of a tag": (on(directory_removed, "tags/Sea"), EPERM, EPERM, "tags", "removed"),
    "rename of an album": (on(renamed, "albums/B", "albums/D"), EPERM, 0, "albums", ""),
    "rename of a tag": (on(renamed, "tags/Sea", "tags/Sky"), EPERM, EPERM, "tags", "album"),
    "rename": (on(renamed, "albums/A/a.jpg", "albums/A/z.jpg"), EPERM, EPERM, "albums/A", "names are fixed"),
    "move": (on(renamed, "albums/A/a.jpg", "albums/B/a.jpg"), EPERM, 0, "albums/A", ""),
    "move to other": (on(renamed, "albums/A/a.jpg", "albums/B/z.jpg"), EPERM, EPERM, "albums/A", "names are fixed"),
    "move out of the timeline": (on(renamed, f"{MONTH}/a.jpg", "albums/B/a.jpg"), EPERM, EPERM, MONTH, "use ln"),
    "move out of favorites": (on(renamed, "favorites/f.jpg", "albums/B/f.jpg"), EPERM, EPERM, "favorites", "use ln"),
    "move into favorites": (on(renamed, "albums/A/a.jpg", "favorites/a.jpg"), EPERM, EPERM, "albums/A", "use ln"),
    "move into the trash": (on(renamed, "albums/A/a.jpg", "trash/a.jpg"), EPERM, EPERM, "albums/A", "timeline/"),
    "move out of the trash": (on(renamed, "trash/t.jpg", "albums/B/t.jpg"), EPERM, 0, "trash", ""),
    "link": (on(linked, "albums/A/a.jpg", "albums/B/a.jpg"), 0, 0, "albums/B", ""),
    "link to other": (on(linked, "albums/A/a.jpg", "albums/B/z.jpg"), EPERM, EPERM, "albums/B", "link it as a.jpg"),
    "link into favorites": (on(linked, "albums/A/a.jpg", "favorites/a.jpg"), EPERM, 0, "favorites", ""),
    "link into a tag": (on(linked, "albums/A/a.jpg", "tags/Sea/a.jpg"), EPERM, 0, "tags/Sea", ""),
    "link into a month": (on(linked, "albums/A/a.jpg", f"{MONTH}/z.jpg"), EROFS, EROFS, MONTH, "nothing is linked"),
    "link out of the trash": (on(linked, "trash/t.jpg", "albums/B/t.jpg"), EPERM, 0, "albums/B", ""),
    "unlink": (on(unlinked, "albums/A/a.jpg"), EPERM, 0, "albums/A", ""),
    "unlink in the timeline": (on(unlinked, f"{MONTH}/a.jpg"), EPERM, 0, MONTH, ""),
    "unlink in favorites": (on(unlinked, "favorites/f.jpg"), EPERM, 0, "favorites", ""),
    "unlink of a tag": (on(unlinked, "tags/Sea/f.jpg"), EPERM, 0, "tags/Sea", ""),
    "unlink in the trash": (on(unlinked, "trash/t.jpg"), EPERM, EPERM, "trash", "emptied at the provider"),
    "setxattr": (on(marked, "albums/A/a.jpg", "user.iiiffs.rating", b"3"), EPERM, 0, "albums/A/a.jpg", ""),
    "a favorite": (on(marked, "albums/A/a.jpg", "user.iiiffs.favorite", b"1"), EPERM, 0, "albums/A/a.jpg", ""),
    "nonsense": (on(marked, "albums/A/a.jpg", "user.iiiffs.rating", b"9"), EPERM, EINVAL, "albums/A/a.jpg", "no v"),
    "removexattr": (on(unmarked, "albums/A/a.jpg", "user.iiiffs.rating"), EPERM, 0, "albums/A/a.jpg", ""),
    "utimens": (on(timed, "albums/A/a.jpg", JUNE_NS - 10**15), EPERM, 0, "albums/A/a.jpg", ""),
    "symlink": (symlinked("albums/A/s.jpg"), EPERM, EPERM, "albums/A", "symlinks"),
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """a.jpg and f.jpg in A, f.jpg is a favorite and has the tag Sea; B is empty; t.jpg lies in the trash."""
    with Store(tmp_path / "server", Flavour.IMMICH) as store:
        album = store.make_album("A").id
        store.make_album("B")
        store.put("a.jpg", NAVY, album, mtime_ns=JUNE_NS)
        f = store.put("f.jpg", GREEN, album, mtime_ns=JUNE_NS).id
        store.edit(f, Edit(favorite=True))
        store.tag("Sea", f)
        store.trash(store.put("t.jpg", b"thrown away", mtime_ns=JUNE_NS).id)
        yield store
        store.check()


async def _items(life: Life) -> list[Item]:
    return life.outgoing.queue.items()


def attempted(life: Life, deed: Deed) -> int:
    try:
        life.ask(deed)
    except OSError as error:
        return error.errno or -1
    return 0


@pytest.mark.parametrize("access", list(Access))
@pytest.mark.parametrize("what", DEEDS)
def test_a_verb_is_done_or_refused_in_words(
    what: str, access: Access, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "iiiffs.vfs.writer")
    deed, with_add, with_edit, where, word = DEEDS[what]
    expected = {Access.READ: errno.EROFS, Access.ADD: with_add, Access.EDIT: with_edit}[access]
    life = Life(tmp_path / "home", store, access=access)
    try:
        assert errno.errorcode.get(attempted(life, deed), "0") == errno.errorcode.get(expected, "0")
        if not expected:
            return
        assert life.ask(_items) == []
        reason = life.ask(lambda life: attribute(life, where, ERROR)) or ""
        if access is Access.READ:
            assert ADD in reason or "litter" in reason
        elif access is Access.ADD and with_edit != with_add:
            assert EDIT in reason
        elif access is Access.EDIT:
            assert word and word in reason
        lines = [record.getMessage() for record in caplog.records if record.name == "iiiffs.vfs.writer"]
        if expected in (errno.EPERM, errno.EROFS):
            assert lines == [f"refused: {reason}"]
            attempted(life, deed)
            assert len([record for record in caplog.records if record.name == "iiiffs.vfs.writer"]) == 1
    finally:
        life.close()


def test_of_many_refusals_some_are_logged(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "iiiffs.vfs.writer")
    life = Life(tmp_path / "home", store)
    try:
        for number in range(200):
            assert attempted(life, puts(f"albums/A/{number}.txt")) == errno.EPERM
        assert len([record for record in caplog.records if record.name == "iiiffs.vfs.writer"]) == 10
        life.passes(PATIENCE_S * 2)
        assert attempted(life, puts("albums/A/late.txt")) == errno.EPERM
        assert "late.txt" in caplog.records[-1].getMessage()
    finally:
        life.close()


@pytest.mark.parametrize(("missing", "deed", "where"), [
    ("make", on(directory_made, "albums/C"), "albums"),
    ("rename", on(renamed, "albums/B", "albums/D"), "albums"),
    ("remove", on(directory_removed, "albums/B"), "albums"),
    ("rating", on(marked, "albums/A/a.jpg", "user.iiiffs.rating", b"3"), "albums/A/a.jpg"),
    ("favorite", on(linked, "albums/A/a.jpg", "favorites/a.jpg"), "favorites"),
    ("date", on(timed, "albums/A/a.jpg", JUNE_NS - 10**15), "albums/A/a.jpg"),
    ("tags", on(linked, "albums/A/a.jpg", "tags/Sea/a.jpg"), "tags/Sea"),
    ("tags", on(directory_made, "tags/New"), "tags"),
    ("upload", puts("albums/B/n.jpg"), "albums/B"),
])  # fmt: skip
def test_what_a_key_may_not_names_the_permission(
    missing: str, deed: Deed, where: str, store: Store, tmp_path: Path
) -> None:
    life = Life(tmp_path / "home", store)
    try:
        offers = life.gallery.capabilities.writing
        assert offers is not None
        less = replace(
            offers,
            album_verbs=offers.album_verbs - {AlbumVerb(each) for each in AlbumVerb if each == missing},
            properties=offers.properties - {Property(each) for each in Property if each == missing},
            tags=offers.tags and missing != "tags",
            suffixes=frozenset() if missing == "upload" else offers.suffixes,
            lacks={missing: ("thing.permit",)},
        )
        life.gallery.provider._capabilities = replace(life.gallery.capabilities, writing=less)  # type: ignore[attr-defined]
        assert attempted(life, deed) == EPERM
        reason = life.ask(lambda life: attribute(life, where, ERROR)) or ""
        assert "its key lacks thing.permit; give it that at the server" in reason
    finally:
        life.close()
