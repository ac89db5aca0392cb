"""A folder that changes at random underneath a tree without a kernel, held against a plain model of it (Hypothesis).

The model is what the steps did to the disk: folders and files with their bytes, and which inode a name has, since an
id belongs to the file and moves with it. After every step the freshness of what is kept is over and the tree is asked
for everything: names, sizes, bytes, ids, the timeline. Inode numbers and lookup counts go through a real InodeTable.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePosixPath
from typing import TypeVar, cast

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from iiiffs.errors import AssetGone, VersionChanged
from iiiffs.model.gallery import AccountName
from iiiffs.providers.base import Provider, ProviderContext
from iiiffs.providers.registry import open_provider
from iiiffs.render.headers import read_facts
from iiiffs.state.store import State
from iiiffs.tree.albums import SYNTHETIC
from iiiffs.tree.inodes import ROOT_NUMBER, InodeTable
from iiiffs.tree.nodes import AlbumDir, Directory, Original, Root
from tests.harness.tree import Tree, jpeg, tree_of

T = TypeVar("T")

ACCOUNT = AccountName("a")
COLOURS = ("navy", "red", "green")
FILES = st.sampled_from(["a.jpg", "b.jpg", "c.txt", "d.mp4"])
FOLDERS = st.sampled_from(["x", "y", "z"])
PICK = st.integers(0, 999)
FAR_NS = 3 * 10**9
"""Between the times of two versions of a file, so that none is told from another by luck alone."""
SOAKS = settings.default is not None and settings.default.max_examples > 1000


class Loop:
    """A tree in a trio run of its own, driven step by step from outside of it."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Tree]]) -> None:
        self._opening = opening
        self._token: trio.lowlevel.TrioToken | None = None
