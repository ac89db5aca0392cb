"""The black-box check on a real mount behind each web server: the first one renders, the others read its renditions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.blackbox.check import Check, Client
from tests.blackbox.picture import MAX_AREA, MAX_WIDTH, PICTURES, TILE_SIZE, Picture, paint
from tests.harness.mount import Mount, mounted, write_config
from tests.harness.servers import SERVERS, free_port, printed

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: /dev/fuse, servers of other users"),
]

REQUESTS_MIN = 200
OFFERED = {"mirroring", "rotationArbitrary", "sizeUpscaling"}
"""What is optional at level 2 and offered here, so that it is checked too."""

KNOWN_OF_SERVER: Mapping[str, frozenset[str]] = {
    "nginx": frozenset({"1,0,10,10%0A/max/0/default.jpg"}),
    "caddy": frozenset({"1,0,10,10%0A/max/0/default.jpg"}),
    "apache": frozenset({"1,0,10,10%0A/max/0/default.jpg"}),
}
"""404 instead of 400 for a line feed in a parameter. To be emptied, too."""


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def mount(open_folder: Path, port: int) -> Iterator[Mount]:
    photos = open_folder / "photos"
    photos.mkdir()
    for picture in PICTURES:
        paint(picture, photos)
    limits = f"[iiif]\ntile_size = {TILE_SIZE}\nmax_width = {MAX_WIDTH}\nmax_area = {MAX_AREA}\n"
    config = write_config(open_folder, photos, base_url=f"http://127.0.0.1:{port}", extra=limits)
    with mounted(open_folder, photos, config=config) as mount:
        yield mount


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, mount: Mount, open_folder: Path, port: int) -> Iterator[str]:
    """One after the other, on the port that the documents name."""
    kind = str(request.param)
    with printed(kind, mount.root, open_folder / kind, port, allow_origins=("*",)):
        yield kind


@pytest.fixture(scope="module")
def check(port: int) -> Iterator[Check]:
    """One for all servers: a body that was judged once is not compared again."""
    client = Client(f"http://127.0.0.1:{port}")
    yield Check(client)
    client.close()


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_every_answer_is_what_the_specification_says(server: str, picture: Picture, port: int, check: Check) -> None:
    """The service is found as a person finds it: below the album, by the picture's name."""
    named = f"http://127.0.0.1:{port}/pictures/files/iiif/{picture.file_name}/info.json"
    found = check.ask("GET", named, {})
    assert found.status == 303
    base_uri = found.headers["location"].removesuffix("/info.json")
    report = check.run(base_uri, picture)
    known = KNOWN_OF_SERVER[server]
    new = [finding for finding in report.findings if finding.request not in known]
    assert not new, "\n".join(map(str, new))
    assert known == {finding.request for finding in report.findings}, "no longer faults: take them out of the table"
    assert report.asked >= REQUESTS_MIN
    assert report.features >= OFFERED
