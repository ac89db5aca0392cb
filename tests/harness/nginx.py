"""A real nginx on loopback: the names that tests and benches of nginx alone use; see `servers` for all three."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iiiffs.web.site import Site
from tests.harness.servers import free_port, printed, server_path, serving

__all__ = ["free_port", "nginx", "nginx_path", "printed_nginx"]


def nginx_path() -> str:
    """nginx, which Debian keeps outside an ordinary user's PATH."""
    return server_path("nginx")


@contextmanager
def nginx(site: Site, *, as_uid: int | None = None) -> Iterator[Path]:
    """As `serving`."""
    with serving("nginx", site, as_uid=as_uid) as errors:
        yield errors


@contextmanager
def printed_nginx(
    root: Path, folder: Path, port: int, *, viewers: Path | None = None, allow_origins: tuple[str, ...] = ()
) -> Iterator[Path]:
    """As `printed`."""
    with printed("nginx", root, folder, port, viewers=viewers, allow_origins=allow_origins) as errors:
        yield errors
