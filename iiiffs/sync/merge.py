"""What becomes of a file of ours, by what was there when it was opened and what is there now. Pure.

    base      theirs                          ours is
    -         absent                          sent, as new
    any       these very bytes                there already: an answer was lost
    any       bytes that we sent earlier      put in their place: they are no change by anybody else
    -         other bytes                     kept beside them: the name is taken
    version   that version                    put in its place
    version   absent                          sent, as new: an edit is worth more than a deletion
    version   another version                 kept beside it

"Absent" is a positive answer; who could not ask does not ask here. Rule: DESIGN §4.2, §4.5.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from iiiffs.model.gallery import Version


class Merge(StrEnum):
    """SEND: as a new file. DONE: nothing is to be sent. REPLACE: theirs. CONFLICT: as a copy beside theirs."""

    SEND = "send"
    DONE = "done"
    REPLACE = "replace"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Theirs:
    """What has the name, or is the asset, now. `sha1`: of its bytes, 20 bytes; None where nobody tells."""

    version: Version
    sha1: bytes | None = None


def decide_merge(base: Version | None, ours: bytes, earlier: Collection[bytes], theirs: Theirs | None) -> Merge:
    """What becomes of ours.

    `base`: the version that was opened, None for a new file. `ours`: SHA-1 of its bytes. `earlier`: of bytes that were
    sent for it and may have arrived. `theirs`: None if there positively is none.
    """
    if theirs is None:
        return Merge.SEND
    if theirs.sha1 is not None:
        if theirs.sha1 == ours:
            return Merge.DONE
        if theirs.sha1 in earlier:
            return Merge.REPLACE
    return Merge.REPLACE if theirs.version == base else Merge.CONFLICT
