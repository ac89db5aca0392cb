"""An address that an image had goes on answering, whatever becomes of the file: it is sent, replaced, renamed over.
Rule: DESIGN §2.7, old ids resolve to successors."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from pyfuse3 import InodeT

from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.tree import jpeg
from tests.harness.writing_tree import (
    CONTEXT,
    Life,
    called,
    directory_made,
    existing,
    linked,
    looked_up,
    parent_of,
    read_all,
    renamed,
    retried,
)
from tests.unit.vfs.test_changes_writing import PATIENCE_S, SENT_S, bodies, living, names, there, wrote

OLD, X, Y = 40, 50, 60
"""Widths, by which pictures are told apart."""
AWAY_S, SLOW_S = 400.0, 3.0
TILE = "full/8,/0/default.jpg"


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.FOLDER) as both:
        yield both


def address(life: Life, album: str, name: str) -> str:
    """The id of the image, which its name leads to."""

    async def ask(life: Life) -> str:
        entry = await existing(life, f"{album}/iiif/{name}")
        target = await called(life.operations.readlink(InodeT(entry.st_ino), CONTEXT))
        return os.fsdecode(target).rpartition("/")[2]

    return life.ask(ask)


def width(life: Life, id: str) -> int:
    """What info.json of that address says."""

    async def ask(life: Life) -> int:
        info = await read_all(life, f"iiif/3/{id}/info.json")
        assert await retried(lambda: existing(life, f"iiif/3/{id}/{TILE}"))
        return int(json.loads(info)["width"])

    return life.ask(ask)


def becomes(life: Life, store: Store, name: str, kind: str, width_px: int) -> set[str]:
    """files/NAME is a picture of that width, at such a moment of its life; the addresses that it had on the way."""
    ids = set[str]()
    if kind in ("there", "changed"):
        there(life, store, name, jpeg(OLD if kind == "changed" else width_px))
        ids.add(address(life, "files", name))
    if kind != "there":
        life.ask(wrote(f"files/{name}", jpeg(width_px)))
        ids.add(address(life, "files", name))
    if kind == "sent":
        life.passes(SENT_S)
        ids.add(address(life, "files", name))
    return ids


KINDS = ["there", "sent", "changed", "waiting"]
"""What takes longer comes first."""


@pytest.mark.parametrize("replaced", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_renamed_over(kind: str, replaced: str, folders: tuple[Life, Store]) -> None:
    life, store = folders
    made = {"y.jpg": (kind, Y), "x.jpg": (replaced, X)}
    ids = set[str]()
    for name in sorted(made, key=lambda name: KINDS.index(made[name][0])):
        ids |= becomes(life, store, name, *made[name])
    life.ask(lambda life: renamed(life, "files/y.jpg", "files/x.jpg"))
    ids.add(address(life, "files", "x.jpg"))
    assert names(life, "files") == {"x.jpg"}
    assert {id: width(life, id) for id in ids} == dict.fromkeys(ids, Y)
    life.passes(SENT_S)
    assert {id: width(life, id) for id in ids} == dict.fromkeys(ids, Y)
    life.passes(AWAY_S)
    assert {id: width(life, id) for id in ids} == dict.fromkeys(ids, Y)
    assert bodies(store) == {"x.jpg": jpeg(Y)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_by_an_editor(kind: str, folders: tuple[Life, Store]) -> None:
    """A temporary file is renamed over it, again and again."""
    life, store = folders
    ids = becomes(life, store, "x.jpg", kind, X)
    for width_px in (Y, Y + 10):
        life.ask(wrote("files/.x.jpg.Ab12cd", jpeg(width_px)))
        life.ask(lambda life: renamed(life, "files/.x.jpg.Ab12cd", "files/x.jpg"))
        ids.add(address(life, "files", "x.jpg"))
        assert {id: width(life, id) for id in ids} == dict.fromkeys(ids, width_px)
    life.passes(AWAY_S)
    assert {id: width(life, id) for id in ids} == dict.fromkeys(ids, Y + 10)
    assert bodies(store) == {"x.jpg": jpeg(Y + 10)}


@pytest.mark.parametrize("kind", ["waiting", "changed"])
def test_a_version_that_is_looked_at_while_it_is_sent(kind: str, folders: tuple[Life, Store]) -> None:
    """Who is below the address of the version that waited is sent to look again, and finds the photo."""
    life, store = folders
    becomes(life, store, "x.jpg", kind, X)
    id = address(life, "files", "x.jpg")

    async def look(life: Life) -> None:
        region = await existing(life, f"iiif/3/{id}/full")
        await life.wait(PATIENCE_S)
        with pytest.raises(OSError) as caught:
            number = InodeT(region.st_ino)
            for name in (b"8,", b"0", b"default.jpg"):
                number = (await called(life.operations.lookup(number, name, CONTEXT))).st_ino
                assert number
        assert caught.value.errno == errno.ESTALE
        assert await looked_up(life, f"iiif/3/{id}/{TILE}")

    life.ask(look)


def test_that_there_is_no_image_is_not_kept(folders: tuple[Life, Store]) -> None:
    """The kernel does not see that a file that is written, sent or renamed makes a name elsewhere."""
    life, store = folders
    there(life, store, "other.jpg", jpeg(OLD))
    life.ask(lambda life: directory_made(life, "files/d"))
    life.passes(PATIENCE_S)

    async def look(life: Life) -> None:
        for path in ("files/d/iiif", "files/iiif/x.jpg"):
            parent, name = await parent_of(life, path)
            entry = await called(life.operations.lookup(InodeT(parent), os.fsencode(name), CONTEXT))
            assert (entry.st_ino, entry.entry_timeout) == (0, 0.0), path

    life.ask(look)


# ---- folders that their server has not made yet ----------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["rename", "rename changed", "link", "rename folder"])
@pytest.mark.parametrize("is_back", [True, False])
def test_into_a_folder_that_is_not_made_yet(verb: str, is_back: bool, folders: tuple[Life, Store]) -> None:
    """It is made first; who waits for that in vain is told so, and not that there is no such folder."""
    life, store = folders
    there(life, store, "x.jpg", jpeg(X))
    life.ask(lambda life: directory_made(life, "files/e"))
    store.script.add(Fault(FaultKind.UNREACHABLE, "make_album", times=1 if is_back else None))
    store.script.add(Fault(FaultKind.LATENCY, "make_album", skip=1, seconds=SLOW_S))
    life.ask(lambda life: directory_made(life, "files/d"))
    if verb == "rename changed":
        life.ask(wrote("files/x.jpg", jpeg(Y)))
    does: Callable[[Life], Awaitable[None]] = lambda life: renamed(life, "files/x.jpg", "files/d/x.jpg")  # noqa: E731
    if verb == "link":
        does = lambda life: linked(life, "files/x.jpg", "files/d/x.jpg")  # noqa: E731
    if verb == "rename folder":
        does = lambda life: renamed(life, "files/e", "files/d/e")  # noqa: E731
    if is_back:
        life.ask(does)
        assert names(life, "files/d") == {"e" if verb == "rename folder" else "x.jpg"}
    else:
        with pytest.raises(OSError) as caught:
            life.ask(does)
        assert caught.value.errno == errno.EROFS
        assert names(life, "files/d") == set()
        assert names(life, "files") == {"d", "e", "x.jpg"}
