"""`make bench`, or only some: python -m tests.bench [warm] [cold] [peers] [lookups] [servers] [listing] [library]
[blocks] [shelves] [writes] [uploads]"""

import os
import sys
import time
from collections.abc import Callable

os.environ["IIIFFS_BENCH"] = "1"

from tests.bench import blocks, cold, library, listing, lookups, peers, servers, shelves, uploads, warm, writes
from tests.bench.figures import RUNS, machine

BENCHES: dict[str, Callable[[], None]] = {
    "warm": warm.run,
    "cold": cold.run,
    "peers": peers.run,
    "lookups": lookups.run,
    "servers": servers.run,
    "listing": listing.run,
    "library": library.run,
    "blocks": blocks.run,
    "shelves": shelves.run,
    "writes": writes.run,
    "uploads": uploads.run,
}

if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - BENCHES.keys():
        sys.exit(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    print(f"machine: {machine()}")
    print(f"min / median / max of {RUNS} runs; ratios are taken run by run", flush=True)
    for name in sys.argv[1:] or BENCHES:
        began = time.monotonic()
        BENCHES[name]()
        print(f"  [{name}: {time.monotonic() - began:.0f} s]", flush=True)
