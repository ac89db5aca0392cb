"""What becomes of a sidecar that has settled, where a provider keeps one only together with its photo. Pure.

photos with its name   told already   the photo has another sidecar   then
some                   not all of them                                TELL the others
some                   all                                            KEEP
none                   some (they have left since)                    KEEP
none                   none           yes                             KEEP: the more special name is the sidecar
none                   none           no                              FAIL: nobody knows what it speaks of
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from iiiffs.model.gallery import AssetId

WITHOUT_PHOTO = (
    "its provider keeps a sidecar only with its photo, and no photo of that name is here; "
    "copy the photo beside it, or `iiiffs queue retry` when it is there"
)
ANOTHER_IS = "another sidecar has the more special name, and only that one is told"


class Sidecar(StrEnum):
    """What is done with it."""

    TELL = "tell"
    KEEP = "keep"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """`assets`: those to be told, for TELL. `reason`: what a person should know of it."""

    what: Sidecar
    assets: tuple[AssetId, ...] = ()
    reason: str | None = None


def decide_sidecar(photos: Collection[AssetId], told: Collection[AssetId], *, is_outdone: bool) -> Decision:
    """`photos`: that it is the sidecar of now. `told`: that have what its bytes say. `is_outdone`: a photo of its name
    is there, and has a sidecar of a more special name."""
    if left := tuple(photo for photo in photos if photo not in told):
        return Decision(Sidecar.TELL, left)
    if photos or told:
        return Decision(Sidecar.KEEP)
    if is_outdone:
        return Decision(Sidecar.KEEP, reason=ANOTHER_IS)
    return Decision(Sidecar.FAIL, reason=WITHOUT_PHOTO)
