"""The configuration file as frozen values: read, checked whole, and never half believed.

Every section is a msgspec Struct whose annotations say what a key takes; `Meta(description=…)` is the text a person
reads when it takes something else. Keys are converted one at a time, so that `iiiffs config check` shows all problems
at once. A key that is accepted has an effect, or `notices` says that it has none in this version; keys of later
versions are refused by name, never ignored.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import platformdirs
from msgspec import Meta, Struct

from iiiffs.config_accounts import (
    LATER_ACCOUNT_KEYS,
    LATER_PROVIDERS,
    PROVIDER_KEYS,
    Account,
    AccountKeys,
    account_name_problem,
    identifiers_of,
    misplaced_bases,
    needless_identifier_keys,
    network_problems,
    shared_names,
    shown,
)
from iiiffs.config_values import (
    PARSERS,
    ByteSize,
    FlagKey,
    Origin,
    PathKey,
    SizeKey,
    UrlKey,
    ViewerBase,
)
from iiiffs.errors import ConfigError
from iiiffs.iiif.description import Privacy
from iiiffs.model.gallery import AccountName
from iiiffs.providers.registry import provider_kinds

MANIFEST_MAX = 5000


class Cache(Struct, frozen=True, kw_only=True):
    """[cache]: what may be deleted at any time. `cut_ahead`: all tiles of a picture that somebody zooms into."""

    path: PathKey
    size_bytes: SizeKey = msgspec.field(name="size", default=ByteSize(20 * 2**30))
    cut_ahead: FlagKey = True


class State(Struct, frozen=True, kw_only=True):
    """[state]: what may never be deleted. `min_free_bytes`: that nothing written through the mount may take."""

    path: PathKey
    min_free_bytes: SizeKey = msgspec.field(name="min_free", default=ByteSize(2 * 2**30))


class Iiif(Struct, frozen=True, kw_only=True):
    """[iiif]: all of it changes documents, so all of it is in the fingerprint. Widths in px, `max_area` in px²."""

    tile_size: Annotated[int, Meta(ge=64, le=4096, description="a whole number from 64 to 4096")] = 512
    manifest_max: Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")] = (
        MANIFEST_MAX
    )
    viewer_base: Annotated[ViewerBase, Meta(description='"" or an http or https URL of a folder of viewers')] = (
        ViewerBase("")
    )
    max_width: Annotated[int, Meta(ge=64, le=65500, description="a whole number from 64 to 65500")] = 16384
    max_area: Annotated[int, Meta(ge=4096, le=2**32, description="a whole number from 4096 to 4294967296")] = (
        100_000_000
    )


class Tell(Struct, frozen=True, kw_only=True):
    """[tell]: what documents may tell of what is written in files; all of it is in the fingerprint."""

    places: FlagKey = False
    people: FlagKey = True
    cameras: FlagKey = True
    creators: FlagKey = True


class Web(Struct, frozen=True, kw_only=True):
    """[web]: `allow_origins` empty means base_url's own origin alone."""

    allow_origins: Annotated[
        tuple[Origin, ...],
        Meta(description='a list of origins such as "https://viewer.example.org", or ["*"]'),
    ] = ()


class Notify(Struct, frozen=True, kw_only=True):
    """[notify]: whom to call when something fails, is in conflict, needs a login, or is back online.

    `command`: its first words, to which a title and a text are added; () for nobody; None for the desktop.
    """

    command: (
        Annotated[
            tuple[Annotated[str, Meta(min_length=1)], ...],
            Meta(description='a list of words such as ["mail-me", "--urgent"]; [] tells nobody'),
        ]
        | None
    ) = None


class Publish(Struct, frozen=True, kw_only=True):
    """[publish]: read and checked, without effect in this version (see `notices`)."""

    base_url: UrlKey
    albums: Annotated[tuple[str, ...], Meta(description='a list such as ["home/albums/Trip"]')] = ()
    originals: FlagKey = False
    max_width: Annotated[int, Meta(ge=64, le=65500, description="a whole number from 64 to 65500")] | None = None


class Config(Struct, frozen=True, kw_only=True):
    """A whole configuration, checked. `file` is where it came from; accounts are in the file's order."""

    file: Path
    base_url: str
    cache: Cache
    state: State
    iiif: Iiif
    web: Web
    tell: Tell
    notify: Notify
    publish: Publish | None
    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class MountOptions:
    """How to mount. `uid`, `gid`: shown as owner of everything; None = of the daemon. `umask`: bits taken from the
    modes; None = none. `allow_other`: other users may enter."""

    mountpoint: Path
    read_only: bool = False
    allow_other: bool = False
    uid: int | None = None
    gid: int | None = None
    umask: int | None = None


def default_config_path() -> Path:
    """Where the file is looked for without --config."""
    return platformdirs.user_config_path("iiiffs") / "config.toml"


def control_socket(config: Config) -> Path:
    """Where the daemon of this configuration answers."""
    return config.state.path / "control.sock"


def load_config(path: Path | None) -> Config:
    """The configuration in `path`, or in the default place. Errors: ConfigError, one line: the first problem."""
    config, problems = examine_config(path)
    if config is None:
        more = f" ({len(problems) - 1} more: `iiiffs config check`)" if len(problems) > 1 else ""
        raise ConfigError(problems[0] + more)
    return config


def examine_config(path: Path | None) -> tuple[Config | None, list[str]]:
    """The configuration and no problem, or None and every problem found, each one line that names file and key."""
    file = default_config_path() if path is None else Path(os.path.abspath(path))  # noqa: PTH100  (no resolve: may hang)
    problems: list[str] = []
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        problems.append(f"{file}: no such file; write one with `iiiffs config init`")
    except OSError as error:
        problems.append(f"{file}: cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        problems.append(f"{file}: expected UTF-8, found byte 0x{error.object[error.start]:02x} at offset {error.start}")
    else:
        return examine_text(file, text)
    return None, problems


def examine_text(file: Path, text: str) -> tuple[Config | None, list[str]]:
    """As `examine_config`, of a `text` that `file` holds or shall hold."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, [f"{file}: expected TOML: {error}"]
    reader = _Reader(file)
    config = reader.read(table)
    if config is not None and not reader.problems:
        return config, []
    return None, [f"{file}: {problem}" for problem in reader.problems]


def select_accounts(config: Config, names: tuple[str, ...]) -> Config:
    """`config` with only the accounts of these names; all of them if none is named. Errors: ConfigError."""
    known = [account.name for account in config.accounts]
    for name in names:
        if name not in known:
            raise ConfigError(f"--account {name}: no such account in {config.file}{_nearest(name, known)}")
    if not names:
        return config
    return msgspec.structs.replace(config, accounts=tuple(a for a in config.accounts if a.name in names))


def notices(config: Config) -> tuple[str, ...]:
    """What the file asks for and this version does not do, one line each."""
    if config.publish is not None:
        return ("[publish]: no effect, this version has no published mounts",)
    return ()


def privacy_of(tell: Tell) -> Privacy:
    """What documents may tell. A private mount loses no caption because it names a town."""
    return Privacy(tell.places, tell.people, tell.cameras, tell.creators, place_mentions=True)


def fingerprint(config: Config) -> str:
    """32 hex digits over what changes the bytes of documents: base_url, [iiif], [tell], the accounts' names and slugs.

    Equal for two files that differ only in other keys, in the order of accounts or in spelling.
    """
    said = {
        "base_url": config.base_url,
        "iiif": {name: getattr(config.iiif, name) for name in Iiif.__struct_fields__},
        "tell": {name: getattr(config.tell, name) for name in Tell.__struct_fields__},
        "accounts": sorted(_in_uris(account) for account in config.accounts),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def _in_uris(account: Account) -> str:
    """Name, slug and path URIs, as one: the ids in URIs come of the name, the URIs begin with the slug."""
    names = account.name if account.slug == account.name else f"{account.name} {account.slug}"
    return names if account.identifiers is None else f"{names} {account.identifiers}"


S = TypeVar("S", bound=Struct)


class _Reader:
    """One pass over a parsed file; every problem found is appended to `problems`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.problems: list[str] = []

    def read(self, table: dict[str, Any]) -> Config | None:
        """The whole configuration, or None where a problem was found."""
        known = ("base_url", "cache", "state", "iiif", "tell", "web", "notify", "publish", "account")
        self._refuse_unknown("", table, known)
        base_url = self._value("base_url", table.get("base_url", "http://127.0.0.1:8080"), UrlKey)
        cache = self._section("cache", table, Cache, {"path": str(platformdirs.user_cache_path("iiiffs"))})
        state = self._section("state", table, State, {"path": str(platformdirs.user_state_path("iiiffs"))})
        iiif = self._section("iiif", table, Iiif, {})
        web = self._section("web", table, Web, {})
        tell = self._section("tell", table, Tell, {})
        notify = self._section("notify", table, Notify, {})
        publish = self._section("publish", table, Publish, {}) if "publish" in table else None
        accounts = self._accounts(table.get("account", {}), base_url or "")
        if self.problems or base_url is None or not (cache and state and iiif and web and tell and notify):
            return None
        self._compare(cache, state, iiif, web)
        return Config(
            file=self.file, base_url=base_url, cache=cache, state=state, iiif=iiif, web=web, tell=tell, notify=notify,
            publish=publish, accounts=accounts,
        )  # fmt: skip

    def _section(self, name: str, table: dict[str, Any], kind: type[S], defaults: dict[str, Any]) -> S | None:
        section = table.get(name, {})
        if not isinstance(section, dict):
            self.problems.append(f"{name}: expected a section [{name}], found {shown(section)}")
            return None
        return self._struct(name, defaults | section, kind)

    def _struct(self, key: str, section: dict[str, Any], kind: type[S]) -> S | None:
        """`section` as `kind`, every key of it looked at; None if any is wrong or missing."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        before = len(self.problems)
        self._refuse_unknown(key, section, tuple(fields))
        values = {}
        for name, field in fields.items():
            if name in section:
                values[field.name] = self._value(f"{key}.{name}", section[name], field.type)
            elif field.required:
                self.problems.append(f"{key}.{name}: missing; expected {_description(field.type)}")
        return kind(**values) if len(self.problems) == before else None

    def _value(self, key: str, value: Any, kind: Any) -> Any:
        try:
            return msgspec.convert(value, kind, strict=True, dec_hook=lambda kind, value: PARSERS[kind](value))
        except msgspec.ValidationError:
            self.problems.append(f"{key}: expected {_description(kind)}, found {shown(value)}")
            return None

    def _refuse_unknown(self, key: str, section: dict[str, Any], known: tuple[str, ...]) -> None:
        for name in section:
            if name not in known:
                dotted = f"{key}.{name}" if key else name
                self.problems.append(f"{dotted}: unknown key{_nearest(name, known) or '; remove it'}")

    def _accounts(self, sections: Any, base_url: str) -> tuple[Account, ...]:
        if not isinstance(sections, dict) or not all(isinstance(section, dict) for section in sections.values()):
            self.problems.append("account: expected sections [account.NAME]; put each account's keys below one")
            return ()
        if not sections:
            self.problems.append('account: expected at least one [account.NAME] with provider = "folder" and a path')
        read = [self._account(name, dict(section), base_url) for name, section in sections.items()]
        accounts = tuple(account for account in read if account is not None)
        self.problems += [*shared_names(accounts), *misplaced_bases(accounts, base_url)]
        return accounts

    def _account(self, name: str, section: dict[str, Any], base_url: str) -> Account | None:
        key = f"account.{name}" if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f"account.{json.dumps(name)}"
        if problem := account_name_problem(name):
            self.problems.append(f"{key}: {problem}; rename the section")
        self._take_later_keys(key, section)
        common = AccountKeys.__struct_fields__
        keys = self._struct(key, {k: v for k, v in section.items() if k in common}, AccountKeys)
        own = {k: v for k, v in section.items() if k not in common}
        settings = self._settings(key, keys.provider, own) if keys else None
        if keys is None or settings is None:
            return None
        for each, called in (("slug", keys.slug or name), *(("aliases", alias) for alias in keys.aliases)):
            if called != name and (problem := account_name_problem(called)):
                self.problems.append(f"{key}.{each}: {problem}, found {shown(called)}")
        if isinstance(settings, Struct):
            self.problems += [f"{key}.{name}: {problem}" for name, problem in network_problems(keys, settings)]
            settings = {name: value for name, value in msgspec.structs.asdict(settings).items() if value is not None}
        for needless in needless_identifier_keys(keys):
            self.problems.append(f'{key}.{needless}: of use with identifiers = "path" only; add that, or remove it')
        paths = {key: value for key, value in settings.items() if isinstance(value, Path)}
        private = {} if keys.credentials is None else {"credentials": keys.credentials}
        plain = {key: str(value) if key in paths else value for key, value in settings.items()}
        return Account(
            name=AccountName(name), slug=AccountName(keys.slug or name), aliases=tuple(map(AccountName, keys.aliases)),
            identifiers=identifiers_of(keys, keys.slug or name, base_url), provider=keys.provider, access=keys.access,
            list_timeout_s=float(keys.list_timeout), mode=keys.mode, poll_s=float(keys.poll),
            settle_s=float(keys.settle), credentials=keys.credentials, options=plain, paths=paths | private,
        )  # fmt: skip

    def _take_later_keys(self, key: str, section: dict[str, Any]) -> None:
        """Keys of later versions leave `section`, and are refused."""
        for later in LATER_ACCOUNT_KEYS:
            if section.pop(later, None) is not None:
                self.problems.append(f"{key}.{later}: not available in this version; remove it")

    def _settings(self, key: str, provider: str, own: dict[str, Any]) -> Struct | Mapping[str, object] | None:
        """The provider's own keys; None and a problem if one is wrong or nobody knows the provider."""
        if provider in (known := provider_kinds()):
            kind = PROVIDER_KEYS.get(provider)
            return own if kind is None else self._struct(key, own, kind)
        expected = "expected one of " + ", ".join(f'"{name}"' for name in known)
        if provider in LATER_PROVIDERS:
            self.problems.append(f'{key}.provider: "{provider}" is not available in this version; {expected}')
        else:
            self.problems.append(f"{key}.provider: {expected}, found {shown(provider)}")
        return None

    def _compare(self, cache: Cache, state: State, iiif: Iiif, web: Web) -> None:
        """What single keys cannot show."""
        for one, other in (("cache", "state"), ("state", "cache")):
            paths = {"cache": cache.path, "state": state.path}
            if paths[one].is_relative_to(paths[other]):
                self.problems.append(f"{one}.path: {paths[one]} lies inside {other}.path; choose two separate folders")
                break
        if iiif.max_width < iiif.tile_size:
            self.problems.append(
                f"iiif.max_width: expected at least iiif.tile_size = {iiif.tile_size}, found {iiif.max_width}"
            )
        if iiif.max_area < iiif.tile_size**2:
            self.problems.append(
                f"iiif.max_area: expected at least iiif.tile_size squared = {iiif.tile_size**2}, found {iiif.max_area}"
            )
        if "*" in web.allow_origins and len(web.allow_origins) > 1:
            self.problems.append('web.allow_origins: "*" allows every origin already; remove the others')


def _nearest(name: str, known: Sequence[str]) -> str:
    """A hint at the known name that looks most like `name`, or at all of them, or ""."""
    if close := difflib.get_close_matches(name, known, n=1):
        return f'; did you mean "{close[0]}"?'
    return f"; known are {', '.join(known)}" if known else ""


def _description(kind: Any) -> str:
    """The Meta description in an annotation, also inside `X | None`."""
    for part in (kind, *getattr(kind, "__args__", ())):
        for meta in getattr(part, "__metadata__", ()):
            if isinstance(meta, Meta) and meta.description:
                return meta.description
    raise TypeError(f"{kind} has no description")
