"""`python -m tests.fakes.immich [--assets N]`: a fake in a process of its own, for benches and to look at by hand.

Prints one line of JSON (url, key, process id), then runs until its standard input ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.fakes.immich.server import immich


def main() -> None:
    """The arguments say what is in it."""
    parser = argparse.ArgumentParser(prog="tests.fakes.immich")
    parser.add_argument("--version", default="3.1.0")
    parser.add_argument("--assets", type=int, default=0, help="drawn photos")
    parser.add_argument("--album", default="Album", help="the album that holds them all")
    parser.add_argument("--file", type=Path, action="append", default=[], help="an original; may be given again")
    arguments = parser.parse_args()
    with immich(arguments.version, strict=False) as server:
        album = server.add_album(arguments.album)
        server.add_assets(arguments.assets, album=album)
        for path in arguments.file:
            server.add_asset(path.name, data=path, album=album)
        sys.stdout.write(json.dumps({"url": server.url, "key": server.key, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
