"""@immich/cli, a client that others wrote, uploads a folder into the fake: what keeps the fake honest.

It wants Node 22; where the machine's is older, the one of tests/tools/package.json is taken.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from tests.fakes import faults
from tests.fakes.immich import ImmichServer, immich

TOOLS = Path(__file__).parents[2] / ".tools" / "node" / "node_modules"
NODE_MAJOR_MIN = 22
CLI_S = 60
Cli = Callable[..., "subprocess.CompletedProcess[str]"]
RunCli = Callable[[ImmichServer], Cli]

SIDECAR = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>"""


def node() -> str:
    """A Node that is new enough."""
    found = shutil.which("node")
    if found:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        if int(version.removeprefix("v").partition(".")[0]) >= NODE_MAJOR_MIN:
            return found
    own = next(TOOLS.glob("node-linux-*/bin/node"), None)
    if own is None:
        pytest.skip("needs Node 22: `make test` installs it into .tools")
    return str(own)


@pytest.fixture(scope="module")
def command() -> list[str]:
    script = TOOLS / "@immich" / "cli" / "dist" / "index.js"
    if not script.is_file():
        pytest.skip("needs @immich/cli: `make test` installs it into .tools")
    return [node(), str(script)]


@pytest.fixture
def run_cli(command: list[str], tmp_path: Path) -> RunCli:
    """`run_cli(server)("upload", …)`: the client as that server's owner."""

    def of(server: ImmichServer) -> Cli:
        environment = {
            **os.environ,
            "IMMICH_INSTANCE_URL": f"{server.url}/api",
            "IMMICH_API_KEY": server.key,
            "IMMICH_CONFIG_DIR": str(tmp_path / "settings"),
            "NO_COLOR": "1",
        }

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            asked = [*command, *arguments]
            return subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=CLI_S, check=False)

        return run

    return of


def photo(seed: int, taken: str) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), (seed * 30, 90, 200)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photos of which two are equal, one in a folder below, with a sidecar and a text."""
    folder = tmp_path / "Summer"
    (folder / "Beach").mkdir(parents=True)
    for index in range(3):
        (folder / f"p{index}.jpg").write_bytes(photo(index, f"2024:01:0{index + 1} 10:00:00"))
    (folder / "p0 again.jpg").write_bytes((folder / "p0.jpg").read_bytes())
    (folder / "Beach" / "Ünï ☀.jpg").write_bytes(photo(7, "2023:07:01 12:00:00"))
    (folder / "p1.jpg.xmp").write_text(SIDECAR)
    (folder / "notes.txt").write_text("no picture")
    return folder


def members(server: ImmichServer) -> dict[str, set[str]]:
    return {album.name: {server.assets[id].name for id in album.members} for album in server.albums.values()}


def test_a_folder_is_uploaded_and_its_albums_are_made(run_cli: RunCli, folder: Path) -> None:
    with immich("3.1.0") as server:
        run = run_cli(server)
        first = run("upload", "--recursive", "--album", "--no-progress", str(folder))
        assert first.returncode == 0, first.stdout + first.stderr
        equal = {asset.name for asset in server.assets.values()} & {"p0.jpg", "p0 again.jpg"}
        assert len(server.assets) == 4
        assert len(equal) == 1
        assert members(server) == {"Summer": {"p1.jpg", "p2.jpg"} | equal, "Beach": {"Ünï ☀.jpg"}}
        sent = {hashlib.sha1(path.read_bytes()).digest() for path in folder.rglob("*.jpg")}
        assert {asset.checksum for asset in server.assets.values()} == sent
        info = run("server-info")
        assert "Images: 4" in info.stdout
        assert {asset.name: asset.rating for asset in server.assets.values()}["p1.jpg"] == 4
        assert {asset.width for asset in server.assets.values()} == {60}

        server.requests.clear()
        again = run("upload", "--recursive", "--album", "--no-progress", str(folder))
        assert "Found 0 new files and 5 duplicates" in again.stdout
        assert server.requests.count("/api/assets$", "POST") == 0
        assert len(server.assets) == 4


def test_a_lost_answer_is_asked_again_and_leaves_one_asset(run_cli: RunCli, folder: Path) -> None:
    with immich("3.1.0") as server:
        rule = server.fault(faults.lost_answer(), "/api/assets$", method="POST")
        done = run_cli(server)("upload", "--no-progress", "--concurrency", "1", str(folder / "p2.jpg"))
        assert rule.struck == 1
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Skipped 1 duplicate asset" in done.stdout
        assert [asset.name for asset in server.assets.values()] == ["p2.jpg"]


def test_a_key_that_may_not_upload_is_told_so(run_cli: RunCli, folder: Path) -> None:
    with immich("3.1.0") as server:
        server.api_key.permissions = ("user.read", "asset.read")
        done = run_cli(server)("upload", "--no-progress", str(folder / "p2.jpg"))
        assert done.returncode != 0
        assert "asset.upload" in done.stdout + done.stderr
        assert not server.assets
