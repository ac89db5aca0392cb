"""`python -m tests.blackbox --paint FOLDER` writes the pictures; `… URI --picture NAME` checks a server of one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.blackbox.check import Check, Client, Report
from tests.blackbox.picture import LANDSCAPE, PICTURES, paint, picture_named


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: nothing to say; 1: findings, a line each."""
    parser = argparse.ArgumentParser(prog="python -m tests.blackbox", description=__doc__)
    parser.add_argument("uri", nargs="?", help="base URI of the service of one painted picture, without info.json")
    parser.add_argument("--picture", default=LANDSCAPE.name, choices=[picture.name for picture in PICTURES])
    parser.add_argument("--paint", type=Path, metavar="FOLDER", help="write the picture files there")
    parser.add_argument("--no-cors", action="store_true", help="do not ask for Access-Control-Allow-Origin")
    options = parser.parse_args(arguments)
    if options.paint is None and options.uri is None:
        parser.error("either URI or --paint FOLDER")
    if options.paint is not None:
        for picture in PICTURES:
            print(paint(picture, options.paint))
    return _checked(options.uri, options.picture, cors=not options.no_cors) if options.uri else 0


def _checked(uri: str, name: str, *, cors: bool) -> int:
    client = Client(uri)
    try:
        report: Report = Check(client, cors).run(uri.rstrip("/"), picture_named(name))
    finally:
        client.close()
    for finding in report.findings:
        print(finding)
    print(f"{report.asked} requests, {len(report.findings)} findings", file=sys.stderr)
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
