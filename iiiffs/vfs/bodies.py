"""Bytes that were just made or read, by node, so that the open that follows a lookup need not make them again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sized
from typing import Generic, TypeVar

from iiiffs.tree.nodes import Node

B = TypeVar("B", bound=Sized)


class RecentBodies(Generic[B]):
    """The most recent bodies, up to `bytes_max` of them (one larger than that is not kept)."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[Node, B] = OrderedDict()

    @property
    def bytes_held(self) -> int:
        """What is held now."""
        return self._bytes

    def get(self, node: Node) -> B | None:
        """The body of `node`, if it is still held."""
        body = self._kept.get(node)
        if body is not None:
            self._kept.move_to_end(node)
        return body

    def put(self, node: Node, body: B) -> None:
        """`body` is held for a while."""
        if node in self._kept or len(body) > self._bytes_max:
            return
        self._kept[node] = body
        self._bytes += len(body)
        while self._bytes > self._bytes_max:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped)


class Bodies(RecentBodies[bytes]):
    """Those that are plain bytes."""
