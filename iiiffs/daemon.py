"""The composition root: opens everything, owns the one nursery, and takes everything down in order.

Blocking work that may be refused (locks, configuration, providers) comes first, so that a refusal costs one line;
then the mount, then the loop. Nothing forks after an LMDB environment is open.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import blake2b

import trio

from iiiffs import __version__
from iiiffs.cache.purge import purge_account
from iiiffs.cache.store import Cache, open_cache
from iiiffs.config import Config, MountOptions, control_socket, fingerprint, privacy_of
from iiiffs.config_accounts import Account
from iiiffs.control import serve_control
from iiiffs.credentials import CredentialStore, take_environment
from iiiffs.errors import AccessDenied, ConfigError, IiiffsError, NoSuchName, ProviderUnreachable
from iiiffs.fuse import session
from iiiffs.fuse.entries import Owner
from iiiffs.fuse.invalidation import Invalidator
from iiiffs.fuse.operations import Operations
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Identifiers, Uris
from iiiffs.model.gallery import AccountName
from iiiffs.model.writing import Access
from iiiffs.providers.base import Provider, ProviderContext, traffic_of
from iiiffs.providers.registry import open_provider
from iiiffs.render.headers import facts_fingerprint, read_facts
from iiiffs.render.renderer import Renderer, RenderLimits
from iiiffs.state.store import State
from iiiffs.tree.nodes import PageKind
from iiiffs.tree.visibility import PRIVATE
from iiiffs.vfs import trimming
from iiiffs.vfs.ahead import CutAhead
from iiiffs.vfs.blocks import BlockCache
from iiiffs.vfs.bodies import Bodies
from iiiffs.vfs.control_files import ControlFiles
from iiiffs.vfs.document_records import DocumentRecords
from iiiffs.vfs.documents import Documents, Rules
from iiiffs.vfs.filesystem import Filesystem
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.gauges import Values, as_json, as_metrics
from iiiffs.vfs.lag import LoopLag
from iiiffs.vfs.notifying import Notifier, command_of
from iiiffs.vfs.outgoing import Outgoing
from iiiffs.vfs.pages import Pages
from iiiffs.vfs.previews import Previews
from iiiffs.vfs.queue_control import QueueControl, handlers_without_queue
from iiiffs.vfs.reading import Deadlines, Reading
from iiiffs.vfs.render_threads import RenderThreads
from iiiffs.vfs.renditions import Renditions
from iiiffs.vfs.sending_news import News
from iiiffs.vfs.services import Services
from iiiffs.vfs.shelved import gallery_of
from iiiffs.vfs.supervised import Supervised
from iiiffs.vfs.waiting import WAITING_MAX
from iiiffs.vfs.watcher import run_account
from iiiffs.web.page import page

log = logging.getLogger(__name__)

CLOSE_S = 3.0
"""How long providers may take to put away what they hold: stopping never needs a network."""
END_S = 2.0
"""How long services and flights may take to end, before providers are closed all the same."""
GREET_S = 5.0
READMIT_S = 300.0
HURRIED_READ_S = 5.0
"""How long a read may wait where the kernel sends 12 background requests at once: others wait behind it."""
SWITCH_S = 0.001
"""How long a thread that computes may keep the loop from the interpreter at a time; Python's own is 5 ms. Each system
call of the loop gives the interpreter away, and a status makes ten of them."""
BODY_BYTES = 64 << 20
"""Documents and renditions kept in memory between the lookup that made them and the open that reads them."""
RENDER_PIXELS = 96_000_000
"""Pixels that renders in progress may hold at 4 bytes each: two 24 MP originals at once, or one that is larger."""
DOCUMENTS_REVISION = "2"
"""Changed with the code that builds documents, so that they get a new time when their bytes may differ."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What is open on disk, and what knows the secrets of accounts."""

    cache: Cache
    state: State
    credentials: CredentialStore


def run_daemon(config: Config, options: MountOptions, ready: Callable[[], None]) -> int:
    """Mounted and served until SIGTERM, SIGINT or an unmount; the exit code, 0.

    `ready` is called once, when the mount answers. Errors: StartError and StoreLocked before anything is mounted.
    """
    sys.setswitchinterval(SWITCH_S)
    with ExitStack() as stack:
        state = State.open(config.state.path, min_free_bytes=int(config.state.min_free_bytes))
        stack.callback(state.close)
        cache = open_cache(config.cache.path, int(config.cache.size_bytes))
        stack.callback(cache.close)
        credentials = CredentialStore(take_environment(os.environ))
        try:
            trio.run(_run, config, options, Stores(cache, state, credentials), ready)
        except BaseExceptionGroup as group:
            raise _cause(group) from group
    log.info("unmounted")
    return 0


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one refusal for a person that the nursery wrapped, or the whole group where it holds a bug."""
    refusals, bugs = group.split(IiiffsError)
    if refusals is None or bugs is not None:
        return group
    first = refusals.exceptions[0]
    return _cause(first) if isinstance(first, BaseExceptionGroup) else first


async def _run(config: Config, options: MountOptions, stores: Stores, ready: Callable[[], None]) -> None:
    async with trio.open_nursery() as nursery:
        providers = {account.name: _provider(account, stores) for account in config.accounts}
        for name, provider in providers.items():
            await _greet(name, provider, stores.credentials)
        await nursery.start(stores.cache.writer.run)
        await nursery.start(stores.state.journal.run)
        daemon = await Daemon.build(config, options, stores, providers, nursery)
        operations = Operations(daemon.filesystem, stores.state.inode_key, _owner(options), ready)
        daemon.operations = operations
        daemon.tell_operations(operations)
        gc.freeze()  # what is loaded by now stays; a full round of the collector over it would hold the loop for 50 ms
        await nursery.start(serve_control, control_socket(config), daemon.handlers)
        nursery.start_soon(daemon.lag.run)
        nursery.start_soon(daemon.ahead.run)
        nursery.start_soon(trimming.run)
        nursery.start_soon(daemon.notifier.run)
        nursery.start_soon(_readmit, providers, stores.credentials)
        invalidator = Invalidator(operations.inodes)
        daemon.blocks.tell_wrong(lambda *what: nursery.start_soon(invalidator.drop_bytes, *what))
        services = Supervised(nursery)
        for name, service in _services(daemon, invalidator):
            services.start(name, service)
        try:
            await _serve(operations, options, daemon.galleries.values())
        finally:
            with trio.CancelScope(deadline=trio.current_time() + END_S, shield=True):
                await daemon.flights.stop()  # first: what is in flight would take a closed provider for trouble
                await services.stop()
            with trio.CancelScope(deadline=trio.current_time() + CLOSE_S, shield=True):
                for provider in providers.values():
                    await provider.aclose()
        nursery.cancel_scope.cancel()


def _services(daemon: Daemon, invalidator: Invalidator) -> Iterator[tuple[AccountName, Callable[[], Awaitable[None]]]]:
    """What runs for each account: who looks for changes at its provider, and who sends ours."""
    for gallery in daemon.galleries.values():
        yield gallery.name, partial(run_account, gallery, invalidator.tell)
        if daemon.outgoing is not None and (uploader := daemon.outgoing.uploaders.get(gallery.name)) is not None:
            yield gallery.name, uploader.run
    if daemon.outgoing is not None:
        yield AccountName(""), daemon.outgoing.run


async def _serve(operations: Operations, options: MountOptions, galleries: Collection[Gallery]) -> None:
    """Mounted until told to stop: then whatever waits is cancelled, and the mount is gone when this returns."""
    waiting_max = WAITING_MAX * max(1, len(galleries))

    def hurry() -> None:
        for gallery in galleries:
            gallery.deadlines = replace(gallery.deadlines, read_s=HURRIED_READ_S)

    wanted = session.SessionOptions(options.mountpoint, options.allow_other, waiting_max, operations.is_read_only)
    with session.stop_signals() as received, session.mounted(operations, wanted):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.wait_stop_signal, received, nursery.cancel_scope)
            await session.serve(wanted, hurry)
            nursery.cancel_scope.cancel()


def _provider(account: Account, stores: Stores) -> Provider:
    ledger, secrets = stores.state.ledger(account.name), partial(stores.credentials.find, account)
    context = ProviderContext(account.name, account.settings, ledger, read_facts, secrets)
    return open_provider(account.provider, context)


async def _greet(name: AccountName, provider: Provider, credentials: CredentialStore) -> None:
    """The provider was asked whether it is there. Could not ask is no reason not to mount: it may come back.

    Nor is a server that refuses us: the other accounts can be used. A folder that may not be read is one.
    """
    try:
        with trio.fail_after(GREET_S):
            await credentials.admit(name, provider.authenticate)
    except (ProviderUnreachable, trio.TooSlowError) as error:
        reason = str(error) or f"no answer within {GREET_S:g} s"
        log.warning("%s: %s; mounted all the same, it is asked again", name, reason)
    except AccessDenied as error:
        if provider.capabilities.local:
            raise ConfigError(f"account.{name}: {error}") from error
        log.warning("%s; the account is mounted, and shows what is known", error)


async def _readmit(providers: Mapping[AccountName, Provider], credentials: CredentialStore) -> None:
    """Accounts that were refused are tried again, seldom: servers lock out who knocks too often."""
    while True:
        await trio.sleep(READMIT_S)
        for name in credentials.refused:
            with suppress(AccessDenied, ProviderUnreachable), trio.move_on_after(GREET_S):
                await credentials.admit(name, providers[name].authenticate)


def _owner(options: MountOptions) -> Owner:
    return Owner(
        uid=os.getuid() if options.uid is None else options.uid,
        gid=os.getgid() if options.gid is None else options.gid,
        umask=options.umask or 0,
    )


class Daemon:
    """All the parts of one running mount, and what they say of themselves."""

    def __init__(self, config: Config, options: MountOptions, stores: Stores) -> None:
        self._config = config
        self._options = options
        self._stores = stores
        self._began_s = time.time()
        self.operations: Operations | None = None
        self.galleries: dict[AccountName, Gallery] = {}
        self.renderer = Renderer(RenderLimits(scratch=config.cache.path))
        self.bodies = Bodies(BODY_BYTES)
        self.lag = LoopLag()
        self.filesystem: Filesystem
        self.flights: Flights
        self.renditions: Renditions
        self.ahead: CutAhead
        self.blocks: BlockCache
        self.outgoing: Outgoing | None = None
        """None where nothing may be changed."""
        self.queue_control: QueueControl | None = None
        self.notifier = Notifier(command_of(config.notify.command, os.environ))

    @classmethod
    async def build(
        cls,
        config: Config,
        options: MountOptions,
        stores: Stores,
        providers: Mapping[AccountName, Provider],
        nursery: trio.Nursery,
    ) -> Daemon:
        """Everything made and joined up; nothing runs yet but what `nursery` is given later."""
        daemon = cls(config, options, stores)
        state, catalogue = stores.state, stores.cache.catalogue
        flights = daemon.flights = Flights(nursery)
        daemon.blocks = BlockCache(stores.cache.blocks, flights, config.cache.path)
        pages = {kind: page(kind, config.iiif.viewer_base, config.base_url) for kind in PageKind}
        made_by = fingerprint(config) + DOCUMENTS_REVISION
        rules = Rules(
            uris=Uris(config.base_url, identifiers_of(config, providers)),
            limits=Limits(config.iiif.max_width, config.iiif.max_width, config.iiif.max_area),
            tile_size=config.iiif.tile_size,
            visibility=PRIVATE,
            privacy=privacy_of(config.tell),
            manifest_max=config.iiif.manifest_max,
            fingerprint=made_by,
            began_ns=await state.first_seen_ns(f"documents {made_by}", time.time_ns()),
        )
        for account in config.accounts:
            deadlines = Deadlines(list_s=account.list_timeout_s)
            provider = providers[account.name]
            daemon.galleries[account.slug] = gallery_of(
                account.names,
                provider,
                catalogue,
                flights,
                deadlines,
                Reading(short(facts_fingerprint()), rules.privacy, daemon.blocks, account.mode),
            )
            daemon.galleries[account.slug].access = Access(account.access)
            daemon.galleries[account.slug].settle_s = account.settle_s
        documents = Documents(rules, DocumentRecords(catalogue, daemon.bodies, state.times, flights), flights)
        threads = RenderThreads(os.cpu_count() or 1)
        daemon.renditions = Renditions(
            stores.cache.renditions, daemon.renderer, flights, daemon.bodies, threads, RENDER_PIXELS
        )
        daemon.renditions.previews = Previews(partial(state.previews, fingerprint=daemon.renderer.fingerprint), flights)
        daemon.ahead = CutAhead(daemon.renditions, threads, rules.limits, rules.tile_size)
        if config.cache.cut_ahead:
            daemon.renditions.on_miss = daemon.ahead.missed
        rendered_by = f"renditions {daemon.renderer.fingerprint} {made_by}"
        services = Services(
            daemon.galleries,
            documents,
            daemon.renditions,
            began_ns=await state.first_seen_ns(short(rendered_by), time.time_ns()),
        )
        shown = Pages(pages, await state.first_seen_ns(short(f"pages {pages}"), time.time_ns()))
        writers = {"status.json": daemon.status_json, "metrics": daemon.metrics}
        control = ControlFiles(writers, rules.began_ns)
        daemon.filesystem = Filesystem(daemon.galleries, documents, shown, services, control, flights)
        if not options.read_only and any(_is_written(gallery) for gallery in daemon.galleries.values()):
            reasons, galleries = daemon.filesystem.reasons, daemon.galleries
            daemon.outgoing = await Outgoing.build(state, galleries, flights, reasons, daemon.notify)
            daemon.filesystem.writer = daemon.outgoing.writer
            trouble = {account.name: partial(daemon._trouble, account) for account in config.accounts}
            daemon.queue_control = QueueControl(
                daemon.outgoing.queue, daemon.outgoing.uploaders, galleries.values(), lambda name: trouble[name]()
            )
            control.show(daemon.outgoing.queue, daemon.queue_control.report)
        return daemon

    def tell_operations(self, operations: Operations) -> None:
        """What becomes of files that wait is told to who numbers inodes."""
        if self.outgoing is not None:
            operations.follow(
                self.outgoing.queue, {gallery.name: gallery.account for gallery in self.galleries.values()}
            )

    def notify(self, news: News, text: str) -> None:
        """A person may want to know."""
        log.log(logging.INFO if news is News.BACK_ONLINE else logging.WARNING, "%s: %s", news.value, text)
        self.notifier.say(news.value, text)

    # ---- what it says of itself ------------------------------------------------------------------------------

    def values(self) -> Values:
        """The state of everything, without a secret, a question to a provider, or a wait."""
        operations, render = self.operations, self.renderer.gauges
        return {
            "version": __version__,
            "pid": os.getpid(),
            "mountpoint": str(self._options.mountpoint),
            "config": str(self._config.file),
            "up_s": round(time.time() - self._began_s, 1),
            "accounts": [
                {
                    "name": account.name,
                    "slug": account.slug,
                    "provider": account.provider,
                    "access": account.access if self.galleries[account.slug].writing is not None else "read",
                    "online": self._trouble(account) is None,
                    "reason": self._trouble(account),
                    "waiting": self.galleries[account.slug].questions.waiting
                    + self.galleries[account.slug].reads.waiting,
                    "library": self.galleries[account.slug].gauges(),
                    "traffic": {
                        name: value for name, value in self._traffic(account).items() if isinstance(value, int)
                    },
                }
                for account in self._config.accounts
            ],
            "kernel": {
                "inodes": len(operations.inodes) if operations else 0,
                "handles": operations.open_handles if operations else 0,
                "errors": operations.faults.errors if operations else 0,
                "bugs": operations.faults.bugs if operations else 0,
            },
            "render": {
                "rendered": self.renditions.rendered,
                "cut_ahead": self.ahead.cut,
                "pixels_held": self.renditions.pixels_held,
                "pictures_waiting": self.ahead.waiting,
                **asdict(render),
            },
            "originals": asdict(self.filesystem.originals),
            "queue": {} if self.queue_control is None else self.queue_control.report.gauges(),
            "writing": {} if self.outgoing is None else self.outgoing.gauges(),
            "blocks": asdict(self.blocks.gauges()),
            "cache": asdict(self._stores.cache.stats()),
            "memory": {"bodies_bytes": self.bodies.bytes_held, "objects": sys.getallocatedblocks()},
            "loop": {
                "lag_max_s": round(self.lag.max_s, 3),
                "lag_minute_s": round(self.lag.recent_s(time.monotonic()), 3),
            },
        }

    def _trouble(self, account: Account) -> str | None:
        """Why the account's server cannot be asked; None if all is well."""
        return self.galleries[account.slug].trouble or self._stores.credentials.trouble(account.name)

    def status_json(self) -> bytes:
        """`.iiiffs/status.json`"""
        return as_json(self.values())

    def metrics(self) -> bytes:
        """`.iiiffs/metrics`: what status says, and what servers were asked in all detail."""
        asked = [{"name": account.name, **self._traffic(account)} for account in self._config.accounts]
        return as_metrics({**self.values(), "http": asked})

    def _traffic(self, account: Account) -> Mapping[str, object]:
        return traffic_of(self.galleries[account.slug].provider)

    @property
    def handlers(self) -> Mapping[str, Callable[[Mapping[str, object]], Awaitable[object]]]:
        """The verbs of the control socket."""
        return {
            "status": self._status,
            "cache.stats": self._cache_stats,
            "cache.verify": self._cache_verify,
            "cache.clear": self._cache_clear,
            "cache.purge": self._cache_purge,
            "account.authenticate": self._account_authenticate,
            "state.export": self._state_export,
            **(handlers_without_queue() if self.queue_control is None else self.queue_control.handlers),
        }

    async def _status(self, args: Mapping[str, object]) -> object:
        return self.values()

    async def _cache_stats(self, args: Mapping[str, object]) -> object:
        return {"path": str(self._config.cache.path), **asdict(self._stores.cache.stats())}

    async def _cache_verify(self, args: Mapping[str, object]) -> object:
        return asdict(await self._stores.cache.verify())

    async def _cache_purge(self, args: Mapping[str, object]) -> object:
        account = self._account(args)
        others = [other.name for other in self._config.accounts if other.name != account.name]
        purged = await purge_account(self._stores.cache, account.name, others, self.renderer.fingerprint)
        return asdict(purged)

    async def _account_authenticate(self, args: Mapping[str, object]) -> object:
        """The stored secret is looked for anew, and tried. Errors: what Provider.authenticate raises."""
        account = self._account(args)
        self._stores.credentials.ask_anew()
        await self._stores.credentials.admit(account.name, self.galleries[account.slug].provider.authenticate)
        if self.outgoing is not None and (uploader := self.outgoing.uploaders.get(account.name)) is not None:
            uploader.send_now()
        return {"account": account.name}

    def _account(self, args: Mapping[str, object]) -> Account:
        """The account of this mount that a request names. Errors: NoSuchName."""
        for account in self._config.accounts:
            if account.name == args.get("account"):
                return account
        raise NoSuchName("this daemon has no such account; one that was added needs a restart")

    async def _state_export(self, args: Mapping[str, object]) -> object:
        """Into the state's own folder, as the daemon may be allowed to write nowhere else."""
        folder = await self._stores.state.gather()
        return {"folder": folder.name}

    async def _cache_clear(self, args: Mapping[str, object]) -> object:
        before = self._stores.cache.stats()
        self._stores.cache.clear()
        await self._stores.cache.writer.flush()
        return {"path": str(self._config.cache.path), "renditions": before.renditions.entries}


def _is_written(gallery: Gallery) -> bool:
    return gallery.access.adds and gallery.capabilities.writing is not None


def identifiers_of(config: Config, providers: Mapping[AccountName, Provider]) -> Mapping[AccountName, Identifiers]:
    """Slug -> how path URIs are written, of the accounts that have them. Errors: ConfigError where there is no path."""
    found = {}
    for account in config.accounts:
        if account.identifiers is not None:
            if not providers[account.name].capabilities.folders:
                key = f"account.{account.name}.identifiers"
                raise ConfigError(f'{key}: "path" needs folders, and provider "{account.provider}" has none; remove it')
            found[account.slug] = account.identifiers
    return found


def short(fingerprint: str) -> str:
    """A fingerprint of any length as a key that state takes."""
    return blake2b(fingerprint.encode(), digest_size=16).hexdigest()
