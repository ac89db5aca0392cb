"""A web server as `iiiffs webserver` prints it, with 20 requests stuck on a provider that hangs: whoever looks at tiles
that are there does not wait for them, over a new connection or over one that was open before (DESIGN §8)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.harness.mount import Mount, check_log, take_down
from tests.harness.servers import SERVERS, free_port, printed
from tests.mount.hanging import HUNG, hanging_photos, start_hanging
from tests.mount.observing import eventually
from tests.mount.stuck import PROTOCOLS, Front, Visitors, cached_paths, hung_paths, stuck_visitors

GIVE_UP_S = 1.0
"""Generous for a noisy machine, where `make bench` tells the figures; far less than the 5 s for which a stuck request
holds up whatever it holds up, again and again."""
NEW_S = 20.0
PAUSE_S = 0.3
CONNECTIONS = 10
REQUESTS = 5
NEW = 50


FRONTS = [(kind, protocol) for kind in SERVERS for protocol in PROTOCOLS]
STUCK_MIN = HUNG * len(FRONTS) * 3 // 4
"""Of all that are to be stuck: at any moment some were refused just now, or wait behind another in their server."""
STUCK_WITHIN_S = 10.0

Answers = dict[tuple[str, str], tuple[list[float], list[float]]]
"""Of each of FRONTS: seconds over new connections, and over those that were open before."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """All servers at once, HUNG requests stuck in each: what is stuck ends for all at the same time."""
    folder = tmp_path_factory.mktemp("stuck")
    mount = start_hanging(folder / "mount", hanging_photos(folder / "photos"))
    try:
        found = _answers(mount, folder)
    finally:
        take_down(mount)
    check_log(mount)
    return found


def _answers(mount: Mount, folder: Path) -> Answers:
    tiles = cached_paths(mount)
    found: Answers = {}
    with ExitStack() as stack:
        fronts = [stack.enter_context(_front(mount, folder, *front)) for front in FRONTS]
        open_before = [Visitors(front, tiles, GIVE_UP_S) for front in fronts]
        begin = [stack.enter_context(visitors.staying(CONNECTIONS, REQUESTS, PAUSE_S)) for visitors in open_before]
        for number, front in enumerate(fronts):
            stack.enter_context(stuck_visitors(front, hung_paths(mount, number)))
        eventually(lambda: _waiting(mount), lambda waiting: waiting >= STUCK_MIN, STUCK_WITHIN_S)
        for number, front in enumerate(fronts):
            new = Visitors(front, tiles, GIVE_UP_S)
            begin[number].set()
            new.come_and_go(NEW_S, NEW)
            found[FRONTS[number]] = new.took_s, open_before[number].took_s
    return found


@contextmanager
def _front(mount: Mount, folder: Path, kind: str, protocol: str) -> Iterator[Front]:
    port, http2_port = free_port(), free_port()
    with printed(kind, mount.root, folder / f"{kind}-{protocol[-1]}", port, http2_port=http2_port):
        yield Front(http2_port if kind == "nginx" and protocol == "HTTP/2" else port, protocol)


def _waiting(mount: Mount) -> int:
    """Requests that wait for the provider, as status says."""
    accounts = mount.status()["accounts"]
    assert isinstance(accounts, list)
    return int(accounts[0]["waiting"])


@pytest.mark.parametrize(("kind", "protocol"), FRONTS)
def test_new_connections_are_answered(answers: Answers, kind: str, protocol: str) -> None:
    new, _ = answers[kind, protocol]
    print(f"{kind}, {protocol}: at most {max(new):.3f} s")
    assert len(new) == NEW
    assert max(new) < GIVE_UP_S


@pytest.mark.parametrize(("kind", "protocol"), FRONTS)
def test_connections_that_were_open_are_answered(answers: Answers, kind: str, protocol: str) -> None:
    _, open_before = answers[kind, protocol]
    print(f"{kind}, {protocol}: at most {max(open_before):.3f} s")
    assert len(open_before) == CONNECTIONS * REQUESTS
    assert max(open_before) < GIVE_UP_S
