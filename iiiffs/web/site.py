"""What a web server serves, and to whom: the one value behind the nginx, Caddy and Apache configurations.

It is checked where it is made: a `Site` that exists is private unless published (DESIGN §3), and every text in it can
be written down in a configuration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from iiiffs.errors import ConfigError
from iiiffs.web.page import checked_url

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""Names on which a server that listens on loopback is reached by its own machine's user."""

DEFAULT_WORKERS = 32
"""nginx's processes: 20 requests that wait for a provider hold up 20 of them, and the others answer within
milliseconds; with 4 nothing answered. Rule: DESIGN §8
"""
USER = r"[A-Za-z_][A-Za-z0-9_.-]*"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens. `host`: an IP address in the spelling of a URL (IPv6 in brackets)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Former:
    """An address of an earlier image server that goes on answering ([account.X] identifier_base_2 and _3).

    `url`: what stands before identifiers, with a path; its host is answered. `place`: the directory below the mount
    that this path leads to, such as "/archive/iiif/3".
    """

    url: str
    place: str

    def __post_init__(self) -> None:
        checked_url(self.url, "identifier_base")
        for path in (self.path, self.place):
            if not re.fullmatch(r"(?:/(?!\.)[A-Za-z0-9._~-]+)+", path):
                raise ConfigError(f"identifier_base {self.url!r}: {path!r} is no path of A-Z a-z 0-9 - . _ ~")

    @property
    def path(self) -> str:
        """The path of `url`, without a slash at its end."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def origin(self) -> str:
        """What stands before the path."""
        return self.url.rstrip("/").removesuffix(self.path)


@dataclass(frozen=True, slots=True)
class Site:
    """What to serve, and to whom. Paths are absolute.

    `root`: the mount point, symlinks resolved (else nginx answers alias paths in place and not with 303).
    `listen`: "HOST:PORT"; HOST an IP address, or "localhost" for 127.0.0.1. Loopback unless `published`.
    `base_url`: its path is the location that is served; its host is answered, and so are the loopback names.
    `allow_origins`: origins that may read answers; () = base_url's own; ("*",) = every.
    `viewers`: the folder that `install_viewers` fills; it may be absent.
    `viewer_base`: [iiif] viewer_base, as given to `page`: the policy names it.
    `run_dir`: an existing folder that the user who starts the server may write: pid, temporary files, Apache's log.
    `workers`: nginx's processes. A lookup that waits for the mount holds its worker up, so more than there are cores.
    `user`: whom root's workers become, "USER" or "USER GROUP"; "" for the server's own choice; ignored when it is not
        started as root. A mount without allow_other needs the mounting user here. Caddy runs as whoever starts it.
    `published`: for the world: any listen address is right. CORS and names stay as given.
    `threads`: nginx is built --with-threads (every distribution's is): a read that waits does not hold its worker up.
    `http2_listen`: a second address like `listen`, for nginx, where clear-text HTTP/2 needs a port of its own; "" for
        none. Caddy and Apache speak both on `listen`.
    `secret`: letters and digits that nobody who can put a file into the mount knows, new at each printing: Caddy takes
        a file that it reads for a template, whose marks would else be known. Needed for Caddy alone.
    `former`: addresses beside the mount's own that lead into it. Two of one path are for nobody.

    Errors: ConfigError if a private mount would be reachable from other machines, or a value cannot be written down.
    """

    root: str
    listen: str
    base_url: str
    viewers: str
    run_dir: str
    allow_origins: tuple[str, ...] = ()
    viewer_base: str = ""
    workers: int = DEFAULT_WORKERS
    user: str = ""
    published: bool = False
    threads: bool = True
    http2_listen: str = ""
    secret: str = field(default="", repr=False)
    former: tuple[Former, ...] = ()

    def __post_init__(self) -> None:
        checked_url(self.base_url, "base_url")
        if not re.fullmatch(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+)*", self.prefix):
            wanted = "its path may hold A-Z a-z 0-9 - . _ ~ between slashes only"
            raise ConfigError(f"base_url {self.base_url!r}: {wanted}")
        for path, what in ((self.root, "root"), (self.viewers, "viewers folder"), (self.run_dir, "run_dir")):
            _check_folder(path, what)
        if self.viewer_base:
            checked_url(self.viewer_base, "viewer_base")
        self._check_origins()
        if self.workers < 1:
            raise ConfigError(f"{self.workers} worker processes: at least 1 was expected")
        if self.user and not re.fullmatch(f"{USER}(?: {USER})?", self.user):
            raise ConfigError(f"user {self.user!r} is no user's name")
        assert self.address
        assert self.http2_address or not self.http2_listen

    def _check_origins(self) -> None:
        if "*" in self.allow_origins:
            if len(self.allow_origins) > 1:
                raise ConfigError('allow_origins holds "*" and other origins: "*" allows every one')
            return
        for origin in self.allow_origins:
            if _origin_of(checked_url(origin, "allow_origins")) != origin.lower():
                raise ConfigError(f"allow_origins: {origin!r} is no origin: scheme, host and port only, no path")

    @property
    def address(self) -> Address:
        """Where to listen."""
        return _checked_address(self.listen, "--listen", published=self.published)

    @property
    def http2_address(self) -> Address | None:
        """Where to listen for HTTP/2 alone, if anywhere."""
        return (
            _checked_address(self.http2_listen, "--multiplexed", published=self.published)
            if self.http2_listen
            else None
        )

    @property
    def prefix(self) -> str:
        """base_url's path without a slash at its end: "" or "/iiif"."""
        return urlsplit(self.base_url).path.rstrip("/")

    @property
    def base(self) -> str:
        """base_url without a slash at its end."""
        return self.base_url.rstrip("/")

    @property
    def names(self) -> tuple[str, ...]:
        """Host names that are answered, each once, IPv6 addresses in brackets. Any other may be DNS rebinding."""
        hosts = [urlsplit(url).hostname or "" for url in (self.base_url, *(former.url for former in self.former))]
        return tuple(dict.fromkeys([*(f"[{host}]" if ":" in host else host for host in hosts), *LOOPBACK_NAMES]))

    @property
    def longest_former(self) -> tuple[Former, ...]:
        """`former`, so that of two that a path lies below the nearer one comes first."""
        return tuple(sorted(self.former, key=lambda former: (-len(former.path), former.path)))

    @property
    def everyone(self) -> bool:
        """Every origin may read every answer."""
        return "*" in self.allow_origins

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins that may read answers, as a browser writes them, each once; () if `everyone` may."""
        if self.everyone:
            return ()
        return tuple(dict.fromkeys(origin.lower() for origin in self.allow_origins or (_origin_of(self.base_url),)))


def _checked_address(listen: str, option: str, *, published: bool) -> Address:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", listen)
    wanted = f"{option} {listen!r}: HOST:PORT was expected, such as 127.0.0.1:8080"
    if match is None or not 0 < int(match[3]) < 65536:
        raise ConfigError(wanted)
    try:
        host = ip_address(match[1] or ("127.0.0.1" if match[2] == "localhost" else match[2]))
    except ValueError as error:
        raise ConfigError(f"{wanted}; HOST must be an IP address or localhost") from error
    if not published and not host.is_loopback:
        raise ConfigError(
            f"{option} {listen}: a private mount is served on loopback only (127.0.0.1:{match[3]}); "
            "put a proxy with a login before it"
        )
    return Address(f"[{host}]" if host.version == 6 else str(host), int(match[3]))


def _check_folder(path: str, what: str) -> None:
    if not path.startswith("/"):
        raise ConfigError(f"{what} {path!r} is not an absolute path")
    if any(character < " " or character == "\x7f" for character in path):
        raise ConfigError(f"{what} {path!r} holds a control character, which no web server can be told")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"{what} {path!r} is not UTF-8") from error


def _origin_of(url: str) -> str:
    """Scheme, host and port as a browser writes them. Rule: RFC 6454 §6.2 (a scheme's own port is left out)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    standard = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, standard) else f":{parts.port}")
