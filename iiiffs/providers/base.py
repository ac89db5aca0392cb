"""The Provider protocol: what every gallery behind a mount must do. The docstrings are the contract.

tests/contract runs them against every provider. What a provider can do is data (`Capabilities`); callers ask that,
never the provider's name. Every method may raise ProviderUnreachable (could not ask), and must then have changed
nothing; AssetGone is only ever a positive answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

import trio

from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Facts, Listing
from iiiffs.model.image import Extent
from iiiffs.model.writing import Writing
from iiiffs.sync.identity import Row

ReadHeaders = Callable[[BinaryIO, str], Facts]
"""(stream, file name) -> Facts: `iiiffs.render.headers.read_facts`, passed in because providers know no codec."""


Secrets = Callable[[], Awaitable[Mapping[str, object]]]
"""What `iiiffs login` stored for the account, such as {"api_key": "…", "headers": {"X-Token": "…"}}; {} for nothing.

May wait for a keyring; asked again after the provider refused what it said. Errors: AccessDenied with what to do.
"""


async def no_secrets() -> Mapping[str, object]:
    """Nothing is stored."""
    return {}


class IdentityLedger(Protocol):
    """What one account remembers of ids and versions, for providers whose files have no ids of their own.

    Kept in state, so it outlives the cache. The reading methods are short, do no waiting, see whole commits only, and
    may be called from any thread. All may raise StoreError.
    """

    def row(self, id: str) -> Row | None:
        """The row of that id; None if there is none."""
        ...

    def rows_in(self, folder: str) -> list[Row]:
        """All rows of the folder of that id, those of vanished files too, in no particular order."""
        ...

    def rows_of_inodes(self, inodes: Iterable[tuple[int, int]]) -> list[Row]:
        """All rows that were last seen with one of these (device, inode)."""
        ...

    def rows_of_sizes(self, sizes: Iterable[int]) -> list[Row]:
        """All rows of these sizes in bytes that have a digest."""
        ...

    async def commit(self, rows: Sequence[Row], forgotten: Sequence[str] = ()) -> None:
        """All at once, and on disk: `rows` replace those of their ids and of their places, `forgotten` ids have none.

        Errors: StoreFull, and then nothing has changed.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider is opened with.

    `account`: goes into new ids, so it must not change when a label does. `settings`: the account's section of the
    configuration, as it was read. `ledger`: this account's own. `secrets`: never in settings, logs or files.
    """

    account: AccountName
    settings: Mapping[str, object]
    ledger: IdentityLedger
    read_headers: ReadHeaders
    secrets: Secrets = no_secrets


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider offers, as data.

    `folders`: it has a real folder tree (`files/`), and `root()` answers.
    `real_names`: names of assets are names of real files, unique in their album, and are shown unchanged.
    `local`: originals are read from this machine's disk, so no block of them is kept in the cache.
    `fresh_s`: how long an answer may be shown before it is asked again.
    `watches`: it tells by itself what has changed (`watch`).
    `tells_facts`: `facts` answers; else headers are read from what `open` gives, through the cache.
    `shelves`: of a provider without folders, which keeps views.HasAlbums and HasViews: what is shown of it, of
        "albums", "timeline", "favorites", "people", "tags", "trash" and "search", in that order.
    `writing`: what may be written, by providers.writing.HasWriting; None: nothing.
    """

    folders: bool
    real_names: bool
    local: bool
    fresh_s: float
    watches: bool = False
    tells_facts: bool = True
    shelves: tuple[str, ...] = ()
    writing: Writing | None = None


class Original(Protocol):
    """The open bytes of one asset version. Whoever opened it closes it."""

    @property
    def size_bytes(self) -> int:
        """True length of this version."""
        ...

    async def read(self, offset: int, length: int) -> bytes:
        """Exactly the bytes [offset, offset + length), cut only at the end of the file.

        Errors: VersionChanged if the bytes are no longer this version's; never a short or mixed answer.
        """
        ...

    async def prepare(self) -> None:
        """From now on `stream` gives every byte without waiting for a network. A second call does nothing.

        Errors: as `read`; StoreFull if there is no room for them.
        """
        ...

    def stream(self) -> AbstractContextManager[BinaryIO]:
        """A blocking, seekable binary file with a position of its own; only for use inside one worker thread of trio.

        Without `prepare` its reads may wait for a network. Errors: its reads raise VersionChanged where the bytes
        changed underneath.
        """
        ...

    async def aclose(self) -> None:
        """Closed; a second call does nothing."""
        ...


class Provider(Protocol):
    """One account of one gallery."""

    @property
    def capabilities(self) -> Capabilities:
        """Constant for the life of the object."""
        ...

    async def authenticate(self) -> None:
        """It can be asked. Errors: AccessDenied with what to do, ProviderUnreachable."""
        ...

    async def root(self) -> Album:
        """The topmost folder, shown as `files/`. Only with `capabilities.folders`."""
        ...

    async def album(self, album: AlbumId) -> Album:
        """The album as it is now. Errors: AssetGone."""
        ...

    async def listing(self, album: AlbumId) -> Listing:
        """All that is directly in `album` now, whole or an error. Errors: AssetGone."""
        ...

    async def asset(self, asset: AssetId) -> Asset:
        """The asset's present version. Cheap: no listing. Errors: AssetGone."""
        ...

    async def facts(self, asset: Asset) -> Facts:
        """What the bytes of this version say; reads headers at most, never decodes. Only with
        `capabilities.tells_facts`.

        Errors: VersionChanged, AssetGone. A file that is no picture is no error: see Facts.error.
        """
        ...

    async def open(self, asset: Asset) -> Original:
        """The bytes of exactly this version. Errors: VersionChanged, AssetGone, AccessDenied."""
        ...

    async def watch(
        self, report: Callable[[Changeset], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Reports which albums changed, soon after they did, until it is cancelled. Only with `capabilities.watches`.

        Every album whose listing differs from what it was when this started is in some Changeset, also one that is
        gone, and the nearest known album above what no listing has told yet. May report too much and more than once,
        never too little. After trouble (events lost, the provider unreachable or back) it reports everything.
        `report` is called in this task, does not wait and does not raise. Call once at a time. Raises nothing of its
        own: trouble is logged once, and tried again.
        """
        ...

    async def aclose(self) -> None:
        """Nothing of it runs or is open any more."""
        ...


@dataclass(frozen=True, slots=True)
class Preview:
    """A reduced picture of an asset that the provider keeps beside the original.

    `name`: the provider's, one of each asset's. `extent`: upright px, as far as is known; what is decoded rules, for
    who runs the server may change the sizes. `media_type`: likewise, until its bytes were seen.
    """

    name: str
    extent: Extent
    media_type: str


class HasPreviews(Protocol):
    """A provider that keeps reduced pictures. Optional beside Provider: ask with `previews_of`."""

    async def previews(self, asset: Asset) -> Sequence[Preview]:
        """Those that the provider makes of this asset, smallest first; () while it has not looked at the file yet.

        Errors: AssetGone, VersionChanged, AccessDenied.
        """
        ...

    async def open_preview(self, asset: Asset, preview: Preview) -> Original | None:
        """Its bytes; None while the provider has not made it (ask again later, and remember no absence).

        Errors: AssetGone, AccessDenied.
        """
        ...


def previews_of(provider: Provider) -> HasPreviews | None:
    """`provider`, if it keeps previews."""
    has = hasattr(provider, "previews") and hasattr(provider, "open_preview")
    return cast(HasPreviews, provider) if has else None


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A file of an asset at an address that anybody may ask, with no secret in it but the one that is public.

    `media_type`: of what comes, as far as is known. `extent`: upright px; None where `facts` tells.
    """

    url: str
    media_type: str
    extent: Extent | None = None


@dataclass(frozen=True, slots=True)
class PublicUrls:
    """What the world gets of an asset: the original, and those reduced pictures that there are."""

    original: PublicFile
    preview: PublicFile | None = None
    thumbnail: PublicFile | None = None


class HasPublicUrls(Protocol):
    """A provider whose server may hand assets out to the world. Optional beside Provider: ask with `public_urls_of`.

    With such an account `authenticate` also says whether the link does what it is for.
    """

    async def public_urls(self, asset: Asset) -> PublicUrls | None:
        """Where anybody gets it; None for what the account's public link does not hold, or where there is no link.

        Cheap: no question for each asset of an album that was listed. Errors: AccessDenied if the link is not there any
        more, or asks for more than it did; AssetGone, VersionChanged.
        """
        ...


def public_urls_of(provider: Provider) -> HasPublicUrls | None:
    """`provider`, if its server may hand assets out to the world."""
    return cast(HasPublicUrls, provider) if hasattr(provider, "public_urls") else None


class HasToldFacts(Protocol):
    """A provider whose listings say more than they show. Optional beside Provider: ask with `told_facts_of`."""

    def told_facts(self, asset: Asset) -> Facts | None:
        """What `facts` would say of this version, if that was told already; None where it must be asked. No wait."""
        ...


def told_facts_of(provider: Provider) -> HasToldFacts | None:
    """`provider`, if its listings say more than they show."""
    return cast(HasToldFacts, provider) if hasattr(provider, "told_facts") else None


class HasTrouble(Protocol):
    """A provider that knows by itself when it cannot be asked. Optional beside Provider: ask with `trouble_of`."""

    @property
    def trouble(self) -> str | None:
        """Why its server did not answer of late, or is not asked; None as soon as it answers again."""
        ...


def trouble_of(provider: Provider) -> str | None:
    """What `provider` says of itself; None if all is well, or if it says nothing."""
    return cast(HasTrouble, provider).trouble if hasattr(provider, "trouble") else None


class HasTraffic(Protocol):
    """A provider that counts what it asks. Optional beside Provider: ask with `traffic_of`."""

    @property
    def traffic(self) -> Mapping[str, object]:
        """Numbers for metrics, nested by name: questions, failures, seconds, bytes, since the start."""
        ...


def traffic_of(provider: Provider) -> Mapping[str, object]:
    """What `provider` counts; {} if it counts nothing."""
    return cast(HasTraffic, provider).traffic if hasattr(provider, "traffic") else {}


OpenProvider = Callable[[ProviderContext], Provider]
"""What an entry point of the group `iiiffs.providers` names. Asks nothing yet. Errors: ConfigError, AccessDenied."""
