"""`iiiffs` that looks for changes five times as often as it was told, whose reads wait a fifth of the time, and that
gives silent servers up in a fifth of it: python -m tests.mount.hasty mount …

A configuration may say no less than a second, and these tests wait for polls and for deadlines.
"""

from __future__ import annotations

from functools import partial

from iiiffs import daemon
from iiiffs.cli import main
from iiiffs.providers.http_values import SETTINGS
from iiiffs.providers.immich import provider
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.listings import Listings
from iiiffs.providers.immich.watch import AlbumWatch
from iiiffs.vfs.reading import Deadlines

TIMES = 5
READ_S = Deadlines().read_s / TIMES


def quick_watch(client: ImmichClient, listings: Listings, poll_s: float) -> AlbumWatch:
    """As AlbumWatch."""
    return AlbumWatch(client, listings, poll_s / TIMES)


if __name__ == "__main__":
    vars(provider)["AlbumWatch"] = quick_watch
    object.__setattr__(SETTINGS, "silence_s", SETTINGS.silence_s / TIMES)
    vars(daemon)["Deadlines"] = partial(Deadlines, read_s=READ_S)
    main()
