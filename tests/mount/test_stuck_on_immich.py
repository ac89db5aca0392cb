"""An Immich that hangs, behind all three web servers: 20 requests of each wait for it, and tiles that are there are
answered to everybody else. Rule: DESIGN §8, row 8."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fakes import faults
from tests.fakes.immich import immich
from tests.fakes.immich.records import Asset
from tests.fakes.proxy import FaultProxy, fault_proxy
from tests.harness.mount import Mount
from tests.mount.fronts import CONNECTIONS, FRONTS, NEW, REQUESTS, Answers, Trouble, all_in_time, answers_while_stuck
from tests.mount.hanging import HUNG
from tests.mount.immich_mount import PROJECT, home_of, mounted_home, polled, status_of
from tests.mount.observing import drop_kernel_caches, names
from tests.mount.stuck import CACHED
from tests.mount.test_immich_faults import prompt, waiting_at

WIDTH_PX = 20


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """All servers at once, HUNG requests stuck in each, after the last answer of the server."""
    folder = tmp_path_factory.mktemp("stuck")
    with immich("3.1.0") as server, fault_proxy(server.url) as proxy:
        photos = server.add_assets(HUNG + 1)
        server.add_album("Trip", photos)
        with mounted_home(folder, server, "home: ", url=proxy.url) as mount:
            polled(server)
            tiles = [_rendition(photos[0], WIDTH_PX + number) for number in range(CACHED)]
            for tile in tiles:
                (mount.root / tile[1:]).read_bytes()
            assert photos[0].name in names(home_of(mount) / "albums" / "Trip")
            for photo in photos:
                (home_of(mount) / "iiif" / "3" / photo.id / "info.json").stat()
            hung = [[_rendition(photo, WIDTH_PX + number) for photo in photos[1:]] for number in range(len(FRONTS))]
            proxy.fault(faults.silence(), times=None)
            proxy.drop_connections()
            drop_kernel_caches()
            trouble = Trouble(lambda: _answers_of_its_own(mount, photos[0]), lambda: _end(proxy))
            return answers_while_stuck(mount, folder, tiles, hung, lambda: waiting_at(mount), trouble)


def _end(proxy: FaultProxy) -> None:
    proxy.faults.clear()
    proxy.drop_connections()


def _rendition(photo: Asset, width_px: int) -> str:
    """Its path in URLs."""
    return f"/home/iiif/3/{photo.id}/full/{width_px},/0/default.jpg"


def _answers_of_its_own(mount: Mount, photo: Asset) -> None:
    """Status, what is known of an asset, and the account beside it wait for nothing either."""
    file = home_of(mount) / "albums" / "Trip" / photo.name
    prompt("stat", file.stat)
    prompt("status", lambda: status_of(mount))
    prompt("the folder beside it", (mount.files / "a.txt").read_text)
    command = [sys.executable, "-m", "iiiffs", "status", "--config", str(mount.config)]
    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=20, check=False)
    assert "home" in said.stdout, said


@pytest.mark.parametrize(("kind", "protocol"), FRONTS)
def test_new_connections_are_answered(answers: Answers, kind: str, protocol: str) -> None:
    all_in_time(f"{kind}, {protocol}", answers[kind, protocol][0], NEW)


@pytest.mark.parametrize(("kind", "protocol"), FRONTS)
def test_connections_that_were_open_are_answered(answers: Answers, kind: str, protocol: str) -> None:
    all_in_time(f"{kind}, {protocol}", answers[kind, protocol][1], CONNECTIONS * REQUESTS)
