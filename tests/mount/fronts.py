"""All web servers at once before one mount whose provider hangs, in every protocol that they speak: while 20 requests
of each are stuck, others ask for tiles that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import percentile
from tests.harness.mount import Mount
from tests.harness.servers import SERVERS, free_port, printed
from tests.mount.hanging import HUNG
from tests.mount.observing import eventually
from tests.mount.stuck import PROTOCOLS, Front, Visitors, stuck_visitors

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


@dataclass(frozen=True)
class Trouble:
    """`look`: what else is to be tried as soon as all are stuck. `end`: lets them go, so that servers can be ended."""

    look: Callable[[], None] = lambda: None
    end: Callable[[], None] = lambda: None


NONE = Trouble()


def answers_while_stuck(
    mount: Mount,
    folder: Path,
    tiles: Sequence[str],
    hung: Sequence[Sequence[str]],
    waiting: Callable[[], int],
    trouble: Trouble = NONE,
) -> Answers:
    """What is stuck ends for all at the same time. `tiles`: paths of what is there; `hung`: HUNG paths of each of
    FRONTS that are not answered before the trouble is over; `waiting`: how many wait now."""
    found: Answers = {}
    with ExitStack() as stack, ExitStack() as coming:  # who comes is through before what is stuck is let go
        fronts = [stack.enter_context(_front(mount, folder, *front)) for front in FRONTS]
        stack.callback(trouble.end)
        open_before = [Visitors(front, tiles, GIVE_UP_S) for front in fronts]
        begin = [coming.enter_context(visitors.staying(CONNECTIONS, REQUESTS, PAUSE_S)) for visitors in open_before]
        for front, paths in zip(fronts, hung, strict=True):
            stack.enter_context(stuck_visitors(front, paths))
        eventually(waiting, lambda number: number >= STUCK_MIN, STUCK_WITHIN_S)
        trouble.look()
        for number, front in enumerate(fronts):
            new = Visitors(front, tiles, GIVE_UP_S)
            begin[number].set()
            new.come_and_go(NEW_S, NEW)
            found[FRONTS[number]] = new.took_s, open_before[number].took_s
        eventually(waiting, lambda number: number >= STUCK_MIN, STUCK_WITHIN_S)
    return found


@contextmanager
def _front(mount: Mount, folder: Path, kind: str, protocol: str) -> Iterator[Front]:
    port, http2_port = free_port(), free_port()
    with printed(kind, mount.root, folder / f"{kind}-{protocol[-1]}", port, http2_port=http2_port):
        yield Front(http2_port if kind == "nginx" and protocol == "HTTP/2" else port, protocol)


def all_in_time(what: str, took_s: Sequence[float], wanted: int) -> None:
    """So many answers, none of which was given up. Their times are printed: DESIGN §8 wants a p99 below 100 ms."""
    middle, late = (1000 * percentile(took_s, share) for share in (0.5, 0.99))
    print(f"{what}: p50 {middle:.0f} ms, p99 {late:.0f} ms, at most {1000 * max(took_s):.0f} ms")
    assert len(took_s) == wanted
    assert max(took_s) < GIVE_UP_S
