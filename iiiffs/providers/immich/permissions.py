"""What a key must be allowed for each verb, and what of writing is left to one that is allowed less. Pure.

Rule: x-immich-permission of the routes in both documents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set

from iiiffs.model.writing import AlbumVerb, Property, Writing
from iiiffs.providers.immich.dialect import lacking

UPLOAD = ("asset.upload", "albumAsset.create")
"""Into an album."""
REPLACE = ("asset.upload", "asset.update", "asset.delete")
"""Also asset.copy, or instead of it albumAsset.create."""
VERBS: Mapping[AlbumVerb, str] = {
    AlbumVerb.MAKE: "album.create",
    AlbumVerb.RENAME: "album.update",
    AlbumVerb.REMOVE: "album.delete",
}
WRITE_PERMISSIONS = (
    *UPLOAD,
    "albumAsset.delete",
    *VERBS.values(),
    "asset.update",
    "asset.delete",
    "asset.copy",
    "tag.create",
    "tag.asset",
    "stack.update",
    "server.storage",
)
"""All that writing is better with."""
VIDEOS = ".3gp .3gpp .avi .flv .insv .m2t .m2ts .m4v .mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .ts .vob .webm .wmv"
IMAGES = (
    ".avif .bmp .gif .jpeg .jpg .png .webp .3fr .ari .arw .cap .cin .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .k25 .kdc "
    ".mrw .nef .nrw .orf .ori .pef .psd .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f .heic .heif .hif .insp .jp2 .jpe .jxl "
    ".svg .tif .tiff"
)
SUFFIXES = frozenset(f"{VIDEOS} {IMAGES}".split())
"""Those that every version takes; the server says which beside (GET /server/media-types). No .xmp: Immich takes one
only together with its picture."""
DESCRIBE = ("asset.update",)
TAG = ("tag.create", "tag.asset")


def offered(held: Sequence[str] | None, suffixes: Set[str]) -> Writing:
    """What a key that holds those permissions can write; all of it while nobody knows what it holds."""

    def may(permission: str) -> bool:
        return held is None or not lacking(held, [permission])

    lacks = {
        **{verb.value: (permission,) for verb, permission in VERBS.items()},
        **{each.value: ("asset.update",) for each in Property},
        "tags": TAG,
        "upload": UPLOAD,
    }
    missing = {deed: tuple(one for one in needed if not may(one)) for deed, needed in lacks.items()}
    return Writing(
        membership=True,
        fixed_names=True,
        replaces_id=True,
        album_verbs=frozenset(verb for verb, permission in VERBS.items() if may(permission)),
        nested=False,
        properties=frozenset(Property) if may("asset.update") else frozenset(),
        tags=may("tag.create") and may("tag.asset"),
        sidecars=True,
        suffixes=frozenset(suffixes) if all(map(may, UPLOAD)) else frozenset(),
        lacks={deed: needed for deed, needed in missing.items() if needed},
    )


def told_lack(account: str, missing: Collection[str], deed: str) -> str:
    """What to do about it, for a person."""
    return (
        f"{account}: the key lacks {', '.join(missing)}: {deed} needs that; give it to the key in Immich (account "
        "settings, API keys)"
    )
