"""What waits to be sent, as values: one item is one thing that the provider is still to be told.

    verb         what is sent                                    payload in the spool
    upload       a new file, or new bytes of an asset (`base`)   yes
    make album   a new album                                     no
    add          assets into an album                            no
    take out     assets out of an album                          no
    edit         properties of an asset                          no

Pure. How items are kept: iiiffs.state.journal. What becomes of them: iiiffs.sync.stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from iiiffs.model.gallery import LOCAL, AccountName, AlbumId, Asset, AssetId, Version
from iiiffs.model.writing import Edit


class Verb(StrEnum):
    """What the provider is to be told."""

    UPLOAD = "upload"
    MAKE_ALBUM = "make album"
    ADD = "add"
    TAKE_OUT = "take out"
    EDIT = "edit"


class Stage(StrEnum):
    """Where an item stands.

    OPEN: a program has the file open for writing; what it flushed is safe. SCRATCH: a temporary name, or an empty file:
    it is kept here and never sent under that name. SETTLING: closed, and given a moment before it is sent. READY: is to
    be sent. SENDING: is being sent, or was when iiiffs ended, so that it may have arrived. SENT: the provider has it,
    as `sent`, and its listing is still to tell. KEPT: what a sidecar or an edit says was told, and it stays here.
    FAILED: it cannot be sent as it is; a person is to decide.
    """

    OPEN = "open"
    SCRATCH = "scratch"
    SETTLING = "settling"
    READY = "ready"
    SENDING = "sending"
    SENT = "sent"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Base:
    """The asset version whose bytes are replaced: what was there when the file was opened. `name`: its own."""

    asset: AssetId
    version: Version
    album: AlbumId
    name: str
    size_bytes: int
    mtime_ns: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be sent.

    `id`: "local-" and [a-z0-9]: the token that the provider is given, the payload's file name, and the id of the file
        or album until the provider gives one. `order`: items of one account are sent in this order where that matters.
    `album`: where; may be the id of an item that makes it. `name`: the file's name or the album's title.
    `size_bytes`, `mtime_ns`, `sha1`: of the payload as it was flushed last; `generation` counts flushes, 0 = none.
        Of take out, `sha1`: of what leaves the album, where that was known.
        Of an album: ASKED_FOR once its provider was asked to make it, UNWANTED once it is to be removed if it was.
    `earlier`: SHA-1 of generations that were sent and may have arrived (model.writing.Payload.earlier). Of take out:
        of bytes that may have arrived in the album and are not to stay; without `assets` whatever has them goes.
    `base`: what is replaced; None for what is new. `assets`: of add and take out; of edit the one. Ids may be local.
    `tries`, `reason`: sendings that did not work, and why the last one did not.
    `began_ns`: when it was made. `conflict_with`: the name that it was written under, where that was taken meanwhile.
    `token`: by which the provider knows what was sent, where that is another's id: of the file whose place it took.
    `not_carried`: model.writing.Replaced.not_carried.
    `sent`: the asset that it became. `also`: that was in the album already, under another name, and has both now.
    `stays`: it is never sent, whatever its name: an editor's copy of what was.
    `told`: of a sidecar, the assets that have what it says; () when its bytes change.
    `kept`: albums and names under which what was replaced goes on, for they are copies of it; (): it is in the trash.
    `had`: of `earlier`, those that the album held before they were sent to it; they are somebody's photo.
    `missing`: bytes [from, to) that a program wrote, was told that they could not be kept, and never wrote again.
    """

    id: str
    order: int
    account: AccountName
    verb: Verb
    stage: Stage
    album: AlbumId
    name: str
    began_ns: int
    size_bytes: int = 0
    mtime_ns: int = 0
    generation: int = 0
    sha1: bytes | None = None
    earlier: tuple[bytes, ...] = ()
    base: Base | None = None
    assets: tuple[AssetId, ...] = ()
    edit: Edit | None = None
    tries: int = 0
    reason: str | None = None
    conflict_with: str | None = None
    sent: Asset | None = None
    token: str | None = None
    also: bool = False
    not_carried: tuple[str, ...] = ()
    missing: tuple[int, int] | None = None
    stays: bool = False
    told: tuple[AssetId, ...] = ()
    kept: tuple[tuple[AlbumId, str], ...] = ()
    had: tuple[bytes, ...] = ()

    @property
    def ends(self) -> AssetId | None:
        """The asset that is no more once this is sent; None if none is, or if that goes on under other names."""
        return None if self.base is None or self.kept else self.base.asset

    @property
    def has_payload(self) -> bool:
        """True if a file in the spool belongs to it."""
        return self.verb is Verb.UPLOAD and self.stage is not Stage.SENT

    @property
    def is_aside(self) -> bool:
        """True of a change that failed before it was whole: what it was to replace is shown, and not it."""
        is_half = self.generation == 0 or self.size_bytes == 0 or self.missing is not None
        return self.base is not None and self.stage is Stage.FAILED and is_half

    @property
    def version(self) -> Version:
        """Of the bytes as they were flushed last."""
        return Version(f"{self.id}.{self.generation}")

    @property
    def asset_id(self) -> AssetId:
        """The file's id: of what it replaces, else its own."""
        return AssetId(self.id) if self.base is None else self.base.asset


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two versions of one file, both kept: ours was written while `theirs` came to be at the provider.

    `id`: of the item of ours. `name`: that both wanted; `ours`: the name that ours has now, in the same album.
    """

    id: str
    account: AccountName
    album: AlbumId
    name: str
    ours: str
    theirs: AssetId | None
    found_ns: int


ASKED_FOR, UNWANTED = 1, 2


def is_unwanted(item: Item) -> bool:
    """An album that may have been made, though nobody said so, and is to be removed if it was. It is not shown."""
    return item.verb is Verb.MAKE_ALBUM and item.generation == UNWANTED


def is_local_id(id: str) -> bool:
    """True for the id of an item: no provider has it yet."""
    return id.startswith(LOCAL)
