"""What a person must see of albums that are being written to: the model that test_writing_model.py holds the tree to.

The server itself is the truth of what is there; the model only knows what was done here and was not sent yet. Together
they say what every name shows, and what must be at the server once everything was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from iiiffs.providers.media import media_type_of
from iiiffs.tree.scratch import is_scratch
from tests.harness.scripted import Flavour, Store, StoredAlbum, StoredAsset
from tests.harness.scripted.records import asset_id


@dataclass(eq=False)
class Folder:
    """An album or folder. `id`: the server's; None as long as it has none. `item`: of the queue, which makes it."""

    title: str
    parent: Folder | None
    id: str | None
    item: str | None = None

    def is_in(self, other: Folder) -> bool:
        """True for itself and what is above it."""
        return self is other or (self.parent is not None and self.parent.is_in(other))


@dataclass(eq=False)
class File:
    """A file that was written here, and is not the server's yet.

    `promised`: its bytes when a flush answered last, None if none did. `base`: id of what it replaces. `is_touched`: it
    is in the spool; else it shows what the server has. `is_disturbed`: somebody else changed what it is to replace, or
    took its name. `has_failed`: it is not sent until a person decides. `item`: its id in the queue.
    """

    content: bytes
    item: str = ""
    base: str | None = None
    promised: bytes | None = None
    writers: int = 0
    is_touched: bool = True
    is_disturbed: bool = False
    has_failed: bool = False
    is_overtaken: bool = False
    """What it is to replace has other bytes by now, or is in the trash: it is theirs, and no rename takes it along."""
    is_backup: bool = False
    """It is a photo's copy under a temporary name, and still has the bytes that the photo had."""


@dataclass
class Opened:
    """A handle. `file`: what it shares with others; None if it reads the server's, `content` being that then.
    `is_theirs`: it was opened on the server's, which is `file` since somebody writes it."""

    handle: int
    inode: int
    writes: bool
    file: File | None
    content: bytes = b""
    is_theirs: bool = False


Place = tuple[Folder, str]


@dataclass
class Model:
    """`folders`: all that are shown; the first is the topmost, or the shelf of albums."""

    store: Store
    folders: list[Folder]
    pending: dict[Place, File] = field(default_factory=dict)
    added: set[tuple[Folder, str | File]] = field(default_factory=set)
    taken_out: set[tuple[Folder, str | File]] = field(default_factory=set)
    library: Folder = field(default_factory=lambda: Folder("", None, None))
    """Where new bytes of photos are that left their album before they were sent; no directory shows it."""
    unanswered: Callable[[], set[bytes]] = set
    """SHA-1 of what was being sent when its answer was lost: the server may have it, and it is the file that waits."""
    is_aside: Callable[[Place], bool] = lambda place: False
    """A program has just renamed it away to keep it, before another takes its place: its name is not shown."""

    @property
    def has_sets(self) -> bool:
        """Albums are sets of assets."""
        return self.store.flavour is Flavour.IMMICH

    # ---- where things are ----------------------------------------------------------------------------------------

    @property
    def top(self) -> Folder:
        """The topmost folder; where albums are sets, the shelf of them."""
        return self.folders[0]

    def path(self, folder: Folder, name: str = "") -> str:
        """Below the account."""
        above = folder.title if folder.parent is None else self.path(folder.parent, folder.title)
        return f"{above}/{name}" if name else above

    def below(self, folder: Folder) -> dict[str, Folder]:
        """The folders in it, by title."""
        return {one.title: one for one in self.folders if one.parent is folder}

    def members(self, folder: Folder) -> list[StoredAsset]:
        """What of the server's is in it, or will be once it was told."""
        if folder.id is None or (self.has_sets and folder is self.top):
            stored: list[StoredAsset] = []
        else:
            hidden = self.unanswered() if self.has_sets else set()
            stored = [one for one in self.store.members(folder.id) if (folder, one.id) not in self.taken_out]
            stored = [one for one in stored if one.sha1 not in hidden]
        known = {one.id for one in stored}
        more = {id for where, id in self.added if where is folder and isinstance(id, str)} - known
        return stored + [self.store.asset(id) for id in sorted(more)]

    def is_mixed(self, folder: Folder) -> bool:
        """Two files want one name, as only others can bring about where names are fixed."""
        names = [one.name for one in self.members(folder)]
        return len(names) != len(set(names))

    def shown(self, folder: Folder) -> dict[str, File | StoredAsset]:
        """The files of a folder, by name."""
        return {name: file for name, file in self.held(folder).items() if not self.is_aside((folder, name))}

    def held(self, folder: Folder) -> dict[str, File | StoredAsset]:
        """As `shown`, with those whose names are not shown for a moment."""
        bases = {file.base: file for file in self.pending.values() if file.base is not None}
        here = {file.base for (where, _), file in self.pending.items() if where is folder}
        found: dict[str, File | StoredAsset] = {}
        for asset in self.members(folder):
            if asset.id not in here:
                found[asset.name] = bases.get(asset.id, asset)
        found |= {asset.name: file for asset, file in self.replacing(folder)}
        found |= {name: file for (where, name), file in self.pending.items() if where is folder}
        places = {file: place for place, file in self.pending.items()}
        return found | {
            places[file][1]: file
            for where, file in self.added
            if where is folder and isinstance(file, File) and file in places
        }

    def is_taken_unseen(self, place: Place) -> bool:
        """The server has a file of that name there, which others gave to what is being changed here: it is shown under
        the name that it had."""
        folder, name = place
        is_there = folder.id is not None and any(one.name == name for one in self.store.members(folder.id))
        return is_there and name not in self.shown(folder)

    def replacing(self, folder: Folder) -> Iterator[tuple[StoredAsset, File]]:
        """What has arrived in the place of something of that folder, though nobody said so, and the file that it is."""
        files = {self.successor(file.base): file for file in self.pending.values() if file.base is not None}
        for asset in self.store.members(folder.id) if self.has_sets and folder.id is not None else ():
            file = files.get(asset.id)
            if file is not None and asset.id != file.base and (folder, file.base) not in self.taken_out:
                yield asset, file

    def successor(self, id: str) -> str:
        """What the server has in its place now."""
        stored = self.store.asset(id)
        while stored.replaced_by is not None:
            stored = self.store.asset(asset_id(stored.replaced_by))
        return stored.id

    def bytes_of(self, entry: File | StoredAsset) -> bytes:
        """What it reads as."""
        return entry.content if isinstance(entry, File) else self.store.bytes_of(entry.id)

    def files(self) -> list[tuple[Place, File | StoredAsset]]:
        """All that are shown, with their places, in one order."""
        return [
            ((folder, name), entry)
            for folder in self.folders
            if not self.is_mixed(folder)
            for name, entry in sorted(self.shown(folder).items())
        ]

    def holders(self) -> list[Folder]:
        """Where files may be made."""
        found = [folder for folder in self.folders if not (self.has_sets and folder is self.top)]
        return [folder for folder in found if not self.is_mixed(folder)]

    def is_empty(self, folder: Folder) -> bool:
        """Nothing is shown in it."""
        return not self.held(folder) and not self.below(folder)

    # ---- changes -------------------------------------------------------------------------------------------------

    def place_of(self, file: File) -> Place | None:
        """Where it is; None if it has no name any more."""
        return next((place for place, one in self.pending.items() if one is file), None)

    def forget(self, folder: Folder) -> None:
        """It is gone with all that is in it."""
        self.folders = [one for one in self.folders if not one.is_in(folder)]
        self.pending = {place: file for place, file in self.pending.items() if not place[0].is_in(folder)}
        self.added = {(where, id) for where, id in self.added if where is not folder}
        self.taken_out = {(where, id) for where, id in self.taken_out if where is not folder}

    def to_be_sent(self) -> Iterator[tuple[Place, File]]:
        """What must be at the server when everything was sent."""
        for (folder, name), file in self.pending.items():
            stays = is_scratch(name) or not file.content or file.writers or not file.is_touched or file.has_failed
            if not stays:
                yield (folder, name), file

    def takes(self, name: str) -> bool:
        """A file of that name may be made."""
        return not self.has_sets or is_scratch(name) or media_type_of(name).startswith(("image/", "video/"))

    def stored_album(self, folder: Folder) -> StoredAlbum | None:
        """What the server made of it, or had of that title before; None if there is none."""
        made = [one for one in self.store.albums() if one.token == folder.item]
        if made:
            return made[0]
        known = {one.id for one in self.folders}
        parent = None if folder.parent is None or folder.parent.id is None else folder.parent.id
        above = None if self.has_sets or parent is None else self.store.album(parent).number
        found = [one for one in self.store.albums() if one.title == folder.title and one.parent == above]
        return next((one for one in found if one.id not in known), None)

    def contents(self) -> Counter[bytes]:
        """Bytes -> how often the server has them, in the trash and as what is kept of versions too."""
        assets = [*self.store.assets(), *self.store.trashed()]
        kept = Counter(asset.sha1 for asset in assets)
        for asset in assets:
            kept.update(self.store.versions_of(asset.id))
        return kept
