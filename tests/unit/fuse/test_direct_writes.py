"""Which opens of a file pass the kernel's page cache by. Rule: iiiffs/fuse/direct_writes.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyfuse3 import FileInfo, FlagT, InodeT, ModeT

from iiiffs.fuse.direct_writes import EMPTIED, KEPT, PASSED_BY, DirectWrites
from tests.harness.scripted import Flavour
from tests.harness.writing_tree import CONTEXT, Life, called, existing, parent_of, released
from tests.unit.vfs.test_changes_writing import living

FILE, READ = 7, os.O_RDONLY


def test_a_new_file_that_can_only_be_written_is_written_past_the_cache() -> None:
    direct = DirectWrites()
    assert direct.made(FILE, os.O_CREAT | os.O_WRONLY, is_new=True) == PASSED_BY
    direct.closed(FILE)
    assert (direct.opened(FILE, READ), len(direct)) == (KEPT, 0)  # nobody else had it open: the cache has no page of it


@pytest.mark.parametrize(
    ("flags", "is_new"), [(os.O_RDWR, True), (os.O_RDONLY, True), (os.O_WRONLY, False)], ids=["mapped", "read", "known"]
)
def test_what_can_be_mapped_or_has_pages_is_written_through_the_cache(flags: int, is_new: bool) -> None:
    direct = DirectWrites()
    assert direct.made(FILE, flags, is_new=is_new) == KEPT
    assert len(direct) == 0


def test_whoever_opens_it_meanwhile_passes_the_cache_by_and_the_next_one_empties_it() -> None:
    direct = DirectWrites()
    direct.made(FILE, os.O_WRONLY, is_new=True)
    assert [direct.opened(FILE, READ), direct.opened(FILE, READ), direct.opened(FILE + 1, READ)] == [
        PASSED_BY,
        PASSED_BY,
        KEPT,
    ]
    direct.closed(FILE)
    assert [direct.opened(FILE, READ), direct.opened(FILE, READ)] == [EMPTIED, KEPT]
    assert len(direct) == 0


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND])
def test_a_second_writer_that_came_meanwhile_is_waited_for_too(flags: int) -> None:
    direct = DirectWrites()
    direct.made(FILE, os.O_WRONLY, is_new=True)
    assert direct.opened(FILE, flags) == PASSED_BY
    direct.closed(FILE)
    assert direct.opened(FILE, READ) == PASSED_BY  # what that one writes would leave its pages as they are
    direct.closed(FILE)
    assert [direct.opened(FILE, READ), len(direct)] == [EMPTIED, 0]


def test_nothing_is_held_of_what_the_kernel_forgot() -> None:
    direct = DirectWrites()
    direct.made(FILE, os.O_WRONLY, is_new=True)
    direct.opened(FILE, READ)
    direct.closed(FILE)
    direct.forgotten([FILE])
    assert len(direct) == 0


async def made(life: Life, path: str) -> FileInfo:
    parent, name = await parent_of(life, path)
    work = life.operations.create(InodeT(parent), os.fsencode(name), ModeT(0o644), FlagT(os.O_WRONLY), CONTEXT)
    return (await called(work))[0]


def test_the_kernel_is_told(tmp_path: Path) -> None:
    async def told(life: Life) -> list[tuple[bool, bool]]:
        writer = await made(life, "files/x.jpg")
        number = (await existing(life, "files/x.jpg")).st_ino
        infos = [writer]

        async def open_it(flags: int) -> FileInfo:
            infos.append(await called(life.operations.open(number, FlagT(flags), CONTEXT)))
            return infos[-1]

        await released(life, int((await open_it(os.O_RDONLY)).fh))
        second = await open_it(os.O_RDWR)
        await released(life, int(writer.fh))
        await released(life, int((await open_it(os.O_RDONLY)).fh))
        await released(life, int(second.fh))
        for _ in range(2):
            await released(life, int((await open_it(os.O_RDONLY)).fh))
        return [(info.direct_io, info.keep_cache) for info in infos]

    with living(tmp_path, Flavour.FOLDER) as (life, _):
        assert life.ask(told) == [(True, False)] * 4 + [(False, False), (False, True)]
