"""Why something failed, for whoever asks afterwards: the xattr `user.iiiffs.error`, one line a directory or file."""

from __future__ import annotations

from collections import OrderedDict

from iiiffs.tree.nodes import Node

REASONS_KEPT = 1024
TEXT_MAX = 1000


class Reasons:
    """The last failure of each node, for the REASONS_KEPT nodes that failed last. In memory only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Node, tuple[str, str]] = OrderedDict()

    def failed(self, node: Node, deed: str, reason: object) -> None:
        """`deed`, such as "lookup x.jpg", did not work on `node`; `reason` is kept on one line."""
        self._kept[node] = (deed, " ".join(str(reason).split())[:TEXT_MAX])
        self._kept.move_to_end(node)
        while len(self._kept) > REASONS_KEPT:
            self._kept.popitem(last=False)

    def worked(self, node: Node, deed: str) -> None:
        """`deed` worked: if it was what failed last, nothing is wrong any more."""
        kept = self._kept.get(node)
        if kept is not None and kept[0] == deed:
            del self._kept[node]

    def of(self, node: Node) -> str | None:
        """The last reason; None if nothing failed, or what failed works again."""
        kept = self._kept.get(node)
        return None if kept is None else kept[1]
