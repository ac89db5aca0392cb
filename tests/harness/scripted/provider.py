"""Provider "scripted": a pretended server in a folder, that does what a script says. Rule: providers.base, views."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from iiiffs.errors import AssetGone, NotOffered, ProviderError, VersionChanged
from iiiffs.model.changes import EVERYTHING, Changeset
from iiiffs.model.description import merged
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Facts, Listing
from iiiffs.providers.base import Capabilities, Original, ProviderContext
from iiiffs.providers.pieces import Pieces
from iiiffs.providers.remote import RemoteOriginal
from iiiffs.providers.views import TRASH, Named, Page, View
from tests.harness.scripted import folders, membership
from tests.harness.scripted.answers import Answers
from tests.harness.scripted.ordeals import Ordeal, Ordeals
from tests.harness.scripted.records import Blobs, Flavour, Index, StoredAsset
from tests.harness.scripted.script import FaultKind, Script

log = logging.getLogger(__name__)
T = TypeVar("T")
SHELVES = ("albums", "timeline", "favorites", "tags", "trash")
POLL_S = 0.2
FRESH_S = 1.0
PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """How a provider is made. `tells_sums`: None for what servers of the flavour do (Immich tells SHA-1).

    `in_threads`: False where a test's clock jumps over all waiting, which a thread's work is not to be.
    """

    store: Path
    script: Path
    flavour: Flavour | None = None
    tells_sums: bool | None = None
    page_size: int = PAGE_SIZE
    poll_s: float = POLL_S
    in_threads: bool = True


class ScriptedProvider:
    """One account, what of it only reads. Whoever makes it closes it."""

    def __init__(self, context: ProviderContext, settings: Settings) -> None:
        self._read_headers = context.read_headers
        self._poll_s = settings.poll_s
        self.script = Script(settings.script)
        self._blobs = Blobs(settings.store)
        self._index = Index(settings.store, settings.flavour)
        has_folders = self._index.flavour is Flavour.FOLDER
        tells_sums = settings.tells_sums if settings.tells_sums is not None else not has_folders
        self._answers = Answers(self._index, tells_sums, settings.page_size)
        self._ordeals = Ordeals(self.script, in_threads=settings.in_threads)
        self._capabilities = Capabilities(
            folders=has_folders,
            real_names=has_folders,
            local=False,
            fresh_s=FRESH_S,
            watches=True,
            shelves=() if has_folders else SHELVES,
            writing=folders.WRITING if has_folders else membership.WRITING,
        )

    @property
    def capabilities(self) -> Capabilities:
        """Rule: Provider.capabilities."""
        return self._capabilities

    @property
    def trouble(self) -> str | None:
        """Rule: HasTrouble.trouble."""
        return self._ordeals.trouble

    @property
    def traffic(self) -> Mapping[str, object]:
        """Rule: HasTraffic.traffic."""
        return dict(self.script.counts())

    async def _ask(self, method: str, about: str, answer: Callable[[], T]) -> T:
        """What `answer` says in a thread, after what the script has in store for it."""

        async def work(_: Ordeal) -> T:
            return await self._ordeals.run(answer)

        return await self._ordeals.through(method, about, work)

    async def authenticate(self) -> None:
        """Rule: Provider.authenticate."""
        await self._ask("authenticate", "", lambda: None)

    # ---- albums -----------------------------------------------------------------------------------------------

    async def root(self) -> Album:
        """Rule: Provider.root. Errors: AssetGone where albums are in no folder."""
        if not self._capabilities.folders:
            raise AssetGone("there is no folder of folders")
        return await self._ask("root", "", self._answers.root)

    async def albums(self) -> Sequence[Album]:
        """Rule: HasAlbums.albums."""
        return await self._ask("albums", "", self._answers.albums)

    async def album(self, album: AlbumId) -> Album:
        """Rule: Provider.album."""
        return await self._ask("album", album, partial(self._answers.album, album))

    async def listing(self, album: AlbumId) -> Listing:
        """Rule: Provider.listing."""
        return await self._ask("listing", album, partial(self._answers.listing, album))

    # ---- assets -----------------------------------------------------------------------------------------------

    async def asset(self, asset: AssetId) -> Asset:
        """Rule: Provider.asset."""
        return await self._ask("asset", asset, partial(self._answers.asset, asset))

    async def facts(self, asset: Asset) -> Facts:
        """Rule: Provider.facts. What people said of it is stronger than what its bytes say."""
        return await self._ask("facts", about(asset), partial(self._facts, asset))

    def _facts(self, asset: Asset) -> Facts:
        stored = self._current(asset)
        with self._blobs.path(stored.sha1).open("rb") as stream:
            facts = self._read_headers(stream, asset.name)
        said = self._answers.description(asset.id)
        return Facts(
            facts.media_type,
            facts.extent,
            facts.monochrome,
            facts.captured,
            facts.error,
            facts.pages,
            facts.duration_s,
            merged(facts.description, said),
        )

    async def open(self, asset: Asset) -> Original:
        """Rule: Provider.open."""
        stored = await self._ask("open", about(asset), partial(self._current, asset))
        return RemoteOriginal(stored.size_bytes, partial(self._pour, asset))

    async def _pour(self, asset: Asset, offset: int, pieces: Pieces) -> None:
        pieces.take_all(await self._fetch(asset, offset, sum(pieces.lengths)))

    async def _fetch(self, asset: Asset, offset: int, length: int) -> bytes:
        async def work(ordeal: Ordeal) -> bytes:
            data = await self._ordeals.run(lambda: self._read(asset, offset, length))
            if slow := ordeal.fault(FaultKind.SLOW):
                await trio.sleep(len(data) / slow.bytes_per_s)
            if ordeal.fault(FaultKind.WRONG):
                data = bytes((data[0] ^ 1,)) + data[1:]
            if short := ordeal.fault(FaultKind.SHORT):
                data = data[: max(0, len(data) - short.cut_bytes)]
            return data

        return await self._ordeals.through("read", f"{about(asset)} {offset} {length}", work)

    def _read(self, asset: Asset, offset: int, length: int) -> bytes:
        stored = self._current(asset, in_trash=self._index.flavour is Flavour.IMMICH)
        with self._blobs.path(stored.sha1).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def _current(self, asset: Asset, *, in_trash: bool = False) -> StoredAsset:
        """Errors: AssetGone, VersionChanged."""
        stored = self._index.asset(asset.id)
        if stored is None or (stored.is_trashed and asset.album != TRASH and not in_trash):
            raise AssetGone(f"{asset.id} is not there any more")
        if stored.version != asset.version:
            raise VersionChanged(f"{asset.name!a} is in another version now")
        return stored

    async def motion(self, asset: Asset) -> Asset | None:
        """Rule: HasViews.motion. There are no live photos."""
        await trio.lowlevel.checkpoint()
        return None

    # ---- views ------------------------------------------------------------------------------------------------

    async def page(self, view: View, cursor: str | None = None) -> Page:
        """Rule: HasViews.page. Errors: NotOffered for people and searches."""
        if cursor is not None and not cursor.isdecimal():
            raise NotOffered(f"{cursor!a} is no cursor")
        return await self._ask("page", repr(view), partial(self._answers.page, view, cursor))

    async def count(self, view: View) -> int | None:
        """Rule: HasViews.count."""
        return await self._ask("count", repr(view), partial(self._answers.count, view))

    async def months(self) -> Mapping[str, int]:
        """Rule: HasViews.months."""
        return await self._ask("months", "", self._answers.months)

    async def people(self) -> Sequence[Named]:
        """Rule: HasViews.people."""
        return await self._ask("people", "", lambda: ())

    async def tags(self) -> Sequence[Named]:
        """Rule: HasViews.tags."""
        return await self._ask("tags", "", self._answers.tags)

    # ---- its life ---------------------------------------------------------------------------------------------

    async def watch(
        self, report: Callable[[Changeset], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Rule: Provider.watch. By looking at the number of the last change; in the script as "watch", not noted."""
        revision: int | None = None
        has_begun = False
        in_trouble = False
        while True:
            try:
                known = revision if revision is not None else await self._look(self._index.last_revision)
                revision, changed = await self._look(partial(self._index.changes_since, known))
                if in_trouble:
                    report(EVERYTHING)
                    log.info("changes are watched again")
                elif changed:
                    report(Changeset(changed))
                in_trouble = False
            except ProviderError as error:
                if not in_trouble:
                    log.warning("changes are not noticed at the moment: %s", error)
                in_trouble = True
            if not has_begun:
                task_status.started()
                has_begun = True
            await trio.sleep(self._poll_s)

    async def _look(self, question: Callable[[], T]) -> T:
        async def work(_: Ordeal) -> T:
            return await self._ordeals.run(question)

        return await self._ordeals.through("watch", "", work, noted=False)

    async def aclose(self) -> None:
        """Rule: Provider.aclose."""
        await trio.lowlevel.checkpoint()
        self._index.close()
        self.script.close()


def about(asset: Asset) -> str:
    """What the script calls it: id and name."""
    return f"{asset.id} {asset.name}".encode("utf-8", "backslashreplace").decode()
