"""Which Immich it is, and what differs between 2.x and 3.x when it is read. Pure. Rule: research, §1, §2, §8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iiiffs.errors import AccessDenied

OLDEST = 2
NEWEST = 3
READ_PERMISSIONS = ("album.read", "asset.read", "asset.view", "asset.download")
"""What a key needs to be of use here. Rule: x-immich-permission of the routes that are asked."""
VIEW_PERMISSIONS = ("asset.statistics", "person.read", "tag.read", "user.read")
"""What people, tags, prompt notice of deletions, and names of people in pictures need beside those."""
ALL = "all"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one major version is asked. `version`: for people.

    `album_questions`: the queries of GET /albums that together name own and shared ones: 2.x without a query names own
    ones alone. `albums_hold_assets`: GET /albums/{id} carries them (2.x), where a search would miss archived ones and
    those of others; 3.x took them out, and its search finds all.
    `lists_people`: a search of an album says who is seen there (3.x).
    `names_devices`: an asset says which device sent it (2.x), so who uploads can know its own again.
    """

    version: str
    album_questions: tuple[Mapping[str, str], ...]
    albums_hold_assets: bool
    lists_people: bool = False
    names_devices: bool = False
    is_newer_than_known: bool = False


def dialect_of(major: int, minor: int, patch: int) -> Dialect:
    """The dialect of a version. Versions above NEWEST are asked like it. Errors: AccessDenied below OLDEST."""
    version = f"{major}.{minor}.{patch}"
    if major < OLDEST:
        raise AccessDenied(f"the server is Immich {version}, and iiiffs reads {OLDEST}.0 and newer; upgrade the server")
    if major == OLDEST:
        return Dialect(version, ({}, {"shared": "true"}), albums_hold_assets=True, names_devices=True)
    return Dialect(version, ({},), albums_hold_assets=False, lists_people=True, is_newer_than_known=major > NEWEST)


def lacking(held: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """What of `wanted` a key that holds `held` lacks."""
    return [] if ALL in held else [permission for permission in wanted if permission not in held]
