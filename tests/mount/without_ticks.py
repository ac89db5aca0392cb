"""`iiiffs` whose daemon has no timer against the frozen loop: python -m tests.mount.without_ticks mount …"""

from __future__ import annotations

from functools import partial

from iiiffs.cli import main
from iiiffs.fuse import session

if __name__ == "__main__":
    session.serve = partial(session.serve, tick_s=0.0)
    main()
