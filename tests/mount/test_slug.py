"""Slugs, aliases, and a gallery that moves to another host: addresses stay, on real mounts."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.harness.mount import Mount, mounted, write_config
from tests.mount.commands import Refusal, run_iiiffs
from tests.mount.observing import errno_of, names
from tests.mount.pictures import picture

BASE = "http://127.0.0.1:8080"


def configured(folder: Path, photos: Path, extra: str) -> Path:
    folder.mkdir(exist_ok=True)
    return write_config(folder, photos, extra=extra)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    picture(photos / "Trip" / "boat.jpg", 1)
    picture(photos / "Trip" / "pier.png", 2)
    picture(photos / "top.jpg", 3)
    return photos


def uris_of(account: Path) -> list[str]:
    """Every URI in the account's documents that belongs to the mount."""
    found = []
    for document in ("collection.json", "files/manifest.json", "files/Trip/manifest.json"):
        text = (account / document).read_text()
        found += [part.split('"')[0] for part in text.split('"' + BASE + "/")[1:]]
    return found


def test_a_slug_is_the_directory_and_the_uri(tmp_path: Path, photos: Path) -> None:
    folder = tmp_path / "host"
    config = configured(folder, photos, 'slug = "shown"\naliases = ["pictures", "earlier"]')
    with mounted(folder, photos, "--account=pictures", config=config) as mount:
        shown = mount.root / "shown"
        assert names(mount.root) == [".iiiffs", "collection.json", "index.html", "shown"]
        assert {uri.split("/")[0] for uri in uris_of(shown)} == {"shown", "collection.json"}
        assert uris_of(mount.root / "earlier") == uris_of(shown)
        assert errno_of((mount.root / "pictures" / "files" / "Trip" / "boat.jpg").stat) == 0
        assert errno_of((mount.root / "other").stat) != 0
        real = (photos / "Trip" / "boat.jpg").read_bytes()
        with (shown / "files" / "Trip" / "boat.jpg").open("rb") as stream:
            head = stream.read(10)
            for name in ("earlier", "shown", "pictures", "shown"):
                service = (mount.root / name / "files" / "Trip" / "iiif" / "boat.jpg").resolve()
                assert (service / "full" / "9," / "0" / "default.jpg").stat().st_size > 0
                assert (mount.root / name / "files" / "Trip" / "boat.jpg").read_bytes() == real
            assert head + stream.read() == real
        status = json.loads((mount.root / ".iiiffs" / "status.json").read_bytes())
        assert [(account["name"], account["slug"]) for account in status["accounts"]] == [("pictures", "shown")]
        assert names(mount.root) == [".iiiffs", "collection.json", "index.html", "shown"]


READ_ALL = "import sys\nfor _ in range(300): open(sys.argv[1], 'rb').read()"


def test_both_names_at_once_from_many_processes(tmp_path: Path, photos: Path) -> None:
    folder = tmp_path / "host"
    config = configured(folder, photos, 'slug = "shown"\naliases = ["earlier"]')
    with mounted(folder, photos, config=config) as mount:
        files = [mount.root / name / "files" / "Trip" / "boat.jpg" for name in ("shown", "earlier", "shown", "earlier")]
        readers = [subprocess.Popen([sys.executable, "-c", READ_ALL, str(file)]) for file in files]
        assert [reader.wait(60) for reader in readers] == [0, 0, 0, 0]


def test_old_addresses_of_a_renamed_account_resolve(tmp_path: Path, photos: Path) -> None:
    folder = tmp_path / "host"
    with mounted(folder, photos, config=configured(folder, photos, "")) as mount:
        old = uris_of(mount.account)
        service = (mount.files / "Trip" / "iiif" / "boat.jpg").resolve() / "full" / "9," / "0" / "default.jpg"
        rendition = service.read_bytes()
        assert mount.rendered == 1
    config = configured(folder, photos, 'slug = "new"\naliases = ["pictures"]')
    with mounted(folder, photos, config=config) as mount:
        assert uris_of(mount.root / "new") == [uri.replace("pictures", "new", 1) for uri in old]
        assert service.read_bytes() == rendition
        assert mount.rendered == 0, "what was rendered under the old slug is found again"
        for uri in old:
            if not any(part in uri for part in ("/canvas/", "/page/", "/annotation", "/range/")):
                assert (mount.root / unquote(uri)).exists(), uri
        assert names(mount.root) == [".iiiffs", "collection.json", "index.html", "new"]


def told(mount: Mount) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of every document."""
    documents = ("collection.json", "files/manifest.json", "files/Voyage/manifest.json", "files/collection.json")
    files = {name: mount.account / name for name in documents}
    return {name: (file.read_bytes(), file.stat().st_mtime_ns) for name, file in files.items()}


def test_another_host_has_the_same_addresses(tmp_path: Path, photos: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    export = tmp_path / "moving"
    config = configured(here, photos, "")
    with mounted(here, photos, config=config) as mount:
        assert json.loads((mount.files / "Trip" / "manifest.json").read_bytes())["items"]
    (photos / "Trip").rename(photos / "Voyage")
    (photos / "Voyage" / "boat.jpg").rename(photos / "Voyage" / "ship.jpg")
    os.utime(photos / "Voyage", (10**9, 10**9))
    with mounted(here, photos, config=config) as mount:
        before = told(mount)
        exported = run_iiiffs("state", "export", export, "--config", config)
        assert (exported.code, exported.lines) == (0, [])
        assert stat.S_IMODE(export.stat().st_mode) == 0o600
        assert not list((here / "state").glob("export-*"))
        refused = run_iiiffs("state", "import", export, "--config", config)
        assert refused.code == 4
        assert "is in use by process" in refused.lines[0]
    copied = tmp_path / "elsewhere" / "gallery"
    shutil.copytree(photos, copied)
    moved = configured(there, copied, "")
    assert run_iiiffs("state", "import", export, "--config", moved) == Refusal(0, [])
    with mounted(there, copied, config=moved) as mount:
        assert told(mount) == before
