"""An inode that becomes another node's: by what program and kernel ask, and when each of them forgets."""

from __future__ import annotations

import pytest

from iiiffs.model.gallery import AccountName, AssetId, Version
from iiiffs.tree import attributes as attrs
from iiiffs.tree.inodes import InodeTable
from iiiffs.tree.nodes import Local, Original

HOME = AccountName("home")
OLD, NEW = (Original(HOME, AssetId("a"), Version(version)) for version in ("1", "2"))
LOCAL = Local(HOME, "local-1")
TOLD = attrs.file(3, 1)
WRITTEN = attrs.local_file(4, 2)


@pytest.fixture
def table() -> InodeTable:
    return InodeTable(b"k" * 16)


def test_a_file_that_is_written_stays_the_inode_that_it_was(table: InodeTable) -> None:
    number = table.remember(OLD, TOLD).number
    table.bind(number, LOCAL, WRITTEN)
    assert table.number_of(LOCAL) == number
    assert table.remember(LOCAL, WRITTEN).number == number
    found = table.get(number)
    assert found is not None and (found.node, found.attributes, found.lookups) == (LOCAL, WRITTEN, 2)
    assert table.number_of(OLD) != number  # its bytes are not to be found under that number
    table.bind(number, NEW, TOLD, for_good=True)
    assert table.number_of(NEW) == number
    assert table.find(LOCAL) is None
    assert len(table) == 1


def test_what_was_opened_and_not_written_is_what_it_was(table: InodeTable) -> None:
    number = table.remember(OLD, TOLD).number
    table.bind(number, LOCAL, WRITTEN)
    table.unbind(number)
    found = table.find(OLD)
    assert found is not None and (found.number, found.node, found.attributes) == (number, OLD, TOLD)
    assert table.find(LOCAL) is None
    table.unbind(number)  # a second one changes nothing
    assert table.find(OLD) == found


def test_what_is_forgotten_has_its_own_number_again(table: InodeTable) -> None:
    own = table.number_of(LOCAL)
    number = table.remember(OLD, TOLD).number
    table.bind(number, LOCAL, WRITTEN)
    table.forget([(number, 1)])
    assert len(table) == 0
    assert table.remember(LOCAL, WRITTEN).number == own
    assert table.remember(OLD, TOLD).number == number


def test_of_two_inodes_of_one_node_the_bound_one_is_found_until_it_is_forgotten(table: InodeTable) -> None:
    first = table.remember(NEW, TOLD).number
    second = table.remember(LOCAL, WRITTEN).number
    table.bind(second, NEW, TOLD, for_good=True)  # it was sent, and somebody had looked at it in another album
    assert table.number_of(NEW) == second
    table.bind(first, Local(HOME, "local-2"), WRITTEN)  # who has the other one writes it
    assert table.number_of(NEW) == second
    table.forget([(second, 1)])
    table.unbind(first)
    assert table.number_of(NEW) == first


def test_nobody_binds_what_the_kernel_does_not_hold(table: InodeTable) -> None:
    with pytest.raises(ValueError, match="holds"):
        table.bind(5000, LOCAL, WRITTEN)


def test_what_is_opened_and_only_given_a_time_is_the_new_version(table: InodeTable) -> None:
    number = table.remember(OLD, TOLD).number
    table.rebase(number, NEW, 7)  # not bound: nothing changes
    assert table.find(OLD) is not None
    table.bind(number, LOCAL, WRITTEN)
    table.rebase(number, NEW, 7)
    table.unbind(number)
    found = table.find(NEW)
    assert found is not None and (found.number, found.node, found.attributes.mtime_ns) == (number, NEW, 7)
    assert found.attributes.size_bytes == TOLD.size_bytes
