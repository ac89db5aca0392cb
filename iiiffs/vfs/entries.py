"""What directories answer: a found node, a refused name, and the snapshot that a listing reads from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import Node


@dataclass(frozen=True, slots=True)
class Found:
    """A name that names something."""

    node: Node
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Absent:
    """A name that names nothing, and for how long the kernel may keep that.

    `reason`: one line for a person where it was refused, or might have been there; None where there simply is nothing.
    """

    keep_s: float
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The names of one listing, and how to describe the n-th when it is told; the names never change."""

    names: Sequence[str]
    describe: Callable[[int], Found]


N = TypeVar("N", contravariant=True)


class DirectoryKind(Protocol[N]):
    """What one kind of directory does."""

    async def lookup(self, directory: N, name: str) -> Found | Absent:
        """What `name` is there. RequestError means that it is not there either."""
        ...

    async def entries(self, directory: N) -> Snapshot:
        """All that is listed: finite, cheap, whole or an error (DESIGN §2.1, §2.10)."""
        ...

    async def attributes(self, directory: N, last: Attributes) -> Attributes:
        """Its attributes now; `last` is what was told before."""
        ...


def fixed_snapshot(found: Sequence[tuple[str, Found]]) -> Snapshot:
    """A listing that is all known already."""
    return Snapshot([name for name, _ in found], lambda index: found[index][1])
