"""kill -9 at any moment of a storm of writers, with Immich as provider: each file arrives once, by its checksum."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes import faults
from tests.fakes.immich import ImmichServer, immich
from tests.harness.crash_storm import IN_NO_ALBUM, CrashStorm
from tests.harness.mount import Program
from tests.mount.immich_mount import environ_of, write_config
from tests.mount.test_crash_storm import SETTLE, SOAK_ROUNDS, calm, seed

ROUNDS, BUDGET_S = 8, 12.0
TROUBLES = 400
EVERY = 9
"""Of so many requests of a kind one is struck."""
BROKEN_AT_BYTES = 3_000
WRITE_S = (0.8, 2.5)
"""A file takes a few requests more than to a pretended server."""


@dataclass(frozen=True)
class ImmichTruth:
    """The first user's library; writers write in albums/."""

    server: ImmichServer

    def files(self) -> Mapping[str, Sequence[bytes]]:
        """Each photo under every album that it is in, without what is in the trash; one in no album has a path of its
        own."""
        server = self.server
        found: dict[str, list[bytes]] = {}
        with server.lock:
            for asset in server.assets.values():
                albums = [album.name for album in server.albums.values() if asset.id in album.members]
                for place in [] if asset.trashed else albums or [IN_NO_ALBUM]:
                    found.setdefault(f"{place}/{asset.name}", []).append(asset.original.read())
        return found

    def folders(self) -> Sequence[str]:
        """All albums."""
        with self.server.lock:
            return [album.name for album in self.server.albums.values()]

    def check(self) -> None:
        """One asset a checksum; nothing was asked that is outside of the document."""
        self.server.check()
        sums = [asset.checksum for asset in self.server.assets.values()]
        assert len(sums) == len(set(sums))


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[ImmichServer]:
    with immich(request.param) as server:
        yield server


@pytest.fixture
def storm(tmp_path: Path, server: ImmichServer) -> CrashStorm:
    config = write_config(tmp_path, server.url, extra=f'settle = "{SETTLE}"\n')
    asked = f'url = "{server.url}"\naccess = '
    config.write_text(config.read_text().replace(f'{asked}"read"', f'{asked}"edit"'))
    program = Program("tests.mount.hasty", environ_of(home=server.key))
    return CrashStorm(
        tmp_path, config, ImmichTruth(server), "home/albums", seed(), program, is_flat=True, write_s=WRITE_S
    )


def weather_at(storm: CrashStorm, server: ImmichServer, rounds: int, budget_s: float = math.inf) -> None:
    """While the storm lasts, answers are lost, uploads break off, and a proxy says that nobody is there."""
    told = [(faults.lost_answer(), r"/api/assets$", "POST"), (faults.lost_answer(), r"/api/albums$", "POST")]
    told += [(faults.broken_upload(BROKEN_AT_BYTES), r"/api/assets$", "POST"), (faults.bad_gateway(), "/assets", "PUT")]
    told += [(faults.lost_answer(), "/assets", "PUT"), (faults.lost_answer(), r"/api/assets$", "DELETE")]
    for number in range(1, TROUBLES):
        for effect, pattern, method in told:
            server.fault(effect, pattern, method=method, skip=number * EVERY)
    storm.run(rounds, budget_s)
    server.faults.clear()
    calm(storm)


@pytest.mark.soak  # half a minute, which make test has not
@pytest.mark.parametrize("server", ["2.7.5", "3.1.0"], indirect=True)
def test_immich(storm: CrashStorm, server: ImmichServer) -> None:
    weather_at(storm, server, ROUNDS, BUDGET_S)


@pytest.mark.soak
@pytest.mark.parametrize("server", ["2.7.5", "3.1.0"], indirect=True)
def test_immich_for_long(storm: CrashStorm, server: ImmichServer) -> None:
    weather_at(storm, server, SOAK_ROUNDS)
