"""A web server as `iiiffs webserver` prints it, with 20 requests stuck on a provider that hangs: whoever looks at tiles
that are there does not wait for them, over a new connection or over one that was open before (DESIGN §8)."""

from __future__ import annotations

import pytest

from tests.harness.mount import Mount, check_log, take_down
from tests.mount.fronts import CONNECTIONS, FRONTS, NEW, REQUESTS, Answers, Trouble, all_in_time, answers_while_stuck
from tests.mount.hanging import hanging_photos, start_hanging
from tests.mount.stuck import cached_paths, hung_paths


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """All servers at once, HUNG requests stuck in each."""
    folder = tmp_path_factory.mktemp("stuck")
    mount = start_hanging(folder / "mount", hanging_photos(folder / "photos"))
    try:
        hung = [hung_paths(mount, number) for number in range(len(FRONTS))]
        over = Trouble(end=lambda: take_down(mount))  # or each server waits for what it asked, in turn
        found = answers_while_stuck(mount, folder, cached_paths(mount), hung, lambda: _waiting(mount), over)
    finally:
        take_down(mount)
    check_log(mount)
    return found


def _waiting(mount: Mount) -> int:
    """Requests that wait for the provider, as status says."""
    accounts = mount.status()["accounts"]
    assert isinstance(accounts, list)
    return int(accounts[0]["waiting"])


@pytest.mark.parametrize(("kind", "protocol"), FRONTS)
def test_new_connections_are_answered(answers: Answers, kind: str, protocol: str) -> None:
    all_in_time(f"{kind}, {protocol}", answers[kind, protocol][0], NEW)


@pytest.mark.parametrize(("kind", "protocol"), FRONTS)
def test_connections_that_were_open_are_answered(answers: Answers, kind: str, protocol: str) -> None:
    all_in_time(f"{kind}, {protocol}", answers[kind, protocol][1], CONNECTIONS * REQUESTS)
