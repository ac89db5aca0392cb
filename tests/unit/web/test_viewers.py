"""Viewers from a stand-in npm: what is kept, what is refused, and that a failure leaves things as they were."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shlex
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from iiiffs.errors import ViewersNotInstalled
from iiiffs.web import viewers
from iiiffs.web.viewers import PACKAGES, install_viewers, installed_viewers

VERSIONS = {package.name: package.version for package in PACKAGES}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of archives, and an npm on PATH that `pack`s from it; the pins name these archives."""
    folder = tmp_path / "registry"
    folder.mkdir()
    pinned = []
    for package in PACKAGES:
        path = folder / f"{package.name}-{package.version}.tgz"
        with tarfile.open(path, "w:gz") as archive:
            for kept in (*package.kept, "../../evil", "dist/umd/../../../evil", "src/unwanted.js"):
                name = f"{kept}/chunk.js" if kept == "dist/umd" else kept
                for suffix in ("", ".map"):
                    member = tarfile.TarInfo(f"package/{name}{suffix}")
                    member.size = len(name)
                    archive.addfile(member, io.BytesIO(name.encode()))
        digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
        pinned.append(replace(package, integrity=f"sha512-{digest}"))
    monkeypatch.setattr(viewers, "PACKAGES", tuple(pinned))
    _npm(tmp_path, monkeypatch, f"cp {shlex.quote(str(folder))}/*.tgz .")
    return folder


def _npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_what_browsers_load_is_kept(registry: Path, tmp_path: Path) -> None:
    into = tmp_path / "new" / "viewers"
    assert install_viewers(into) == VERSIONS == installed_viewers(into)
    assert sorted(_tree(into)) == [
        "mirador.html",
        "mirador/LICENSE",
        "mirador/mirador.min.js",
        "openseadragon/LICENSE.txt",
        "openseadragon/openseadragon.min.js",
        "universalviewer/LICENSE.txt",
        "universalviewer/umd/chunk.js",
        "universalviewer/uv.css",
        "uv.html",
        "versions.json",
    ]
    assert json.loads((into / "versions.json").read_text()) == VERSIONS
    assert sorted(path.name for path in into.parent.iterdir()) == ["viewers"]
    for name in ("mirador.html", "uv.html"):
        text = (into / name).read_text()
        assert "default-src 'none'" in text
        assert "@" not in text


def test_a_second_installation_replaces_the_first(registry: Path, tmp_path: Path) -> None:
    into = tmp_path / "viewers"
    install_viewers(into)
    (into / "old.js").write_text("old")
    install_viewers(into)
    assert not (into / "old.js").exists()
    assert installed_viewers(into) == VERSIONS


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'npm error code E404' >&2; echo 'npm error 404 Not Found' >&2; exit 1", "code E404; 404 Not Found"),
        ("exit 7", "it gave no reason"),
        ("for name in REGISTRY/*.tgz; do echo x > $(basename $name); done", "is not the pinned one"),
        ("exit 0", "could not be written"),
    ],
)
def test_what_fails_is_one_line_and_changes_nothing(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    into = tmp_path / "viewers"
    install_viewers(into)
    before = _tree(into)
    _npm(tmp_path, monkeypatch, script.replace("REGISTRY", shlex.quote(str(registry))))
    with pytest.raises(ViewersNotInstalled) as caught:
        install_viewers(into)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert _tree(into) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".viewers-")] == []


def test_without_npm_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ViewersNotInstalled, match="npm was not found: install it"):
        install_viewers(tmp_path / "viewers")


def test_a_folder_of_something_else_is_never_replaced(registry: Path, tmp_path: Path) -> None:
    into = tmp_path / "photos"
    into.mkdir()
    (into / "IMG_0001.jpg").write_bytes(b"x")
    for target in (into, into / "IMG_0001.jpg"):
        with pytest.raises(ViewersNotInstalled):
            install_viewers(target)
    assert _tree(into) == {"IMG_0001.jpg": b"x"}


def test_nothing_installed_and_damaged(tmp_path: Path) -> None:
    assert installed_viewers(tmp_path / "none") == {}
    (tmp_path / "versions.json").write_text("{")
    with pytest.raises(ViewersNotInstalled, match="damaged"):
        installed_viewers(tmp_path)
