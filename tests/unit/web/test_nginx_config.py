"""The text of the nginx configuration: what is refused, and what nginx itself says of it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from iiiffs.errors import ConfigError
from iiiffs.web.nginx import NginxSite, nginx_config
from tests.harness.nginx import nginx_path

SITE = NginxSite(
    root="/mnt/photos",
    listen="127.0.0.1:8080",
    base_url="http://127.0.0.1:8080",
    viewers="/srv/viewers",
    run_dir="/run/iiiffs-nginx",
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"listen": "0.0.0.0:8080"}, "loopback only"),
        ({"listen": "192.0.2.7:8080"}, "loopback only"),
        ({"listen": "[::]:8080"}, "loopback only"),
        ({"listen": "8080"}, "HOST:PORT"),
        ({"listen": "127.0.0.1:0"}, "HOST:PORT"),
        ({"listen": "127.0.0.1:65536"}, "HOST:PORT"),
        ({"listen": "photos.example.org:80"}, "IP address"),
        ({"listen": "127.0.0.1:8080; deny all"}, "HOST:PORT"),
        ({"base_url": "photos.example.org"}, "absolute"),
        ({"base_url": "http://ada@example.org"}, "user"),
        ({"base_url": "http://example.org/a b"}, "absolute"),
        ({"base_url": "http://example.org/a//b"}, "path"),
        ({"base_url": "http://example.org/a/../b"}, "path"),
        ({"base_url": "http://example.org/%61"}, "path"),
        ({"base_url": "http://*.example.org"}, "absolute"),
        ({"base_url": "http://example.org:99999"}, "absolute"),
        ({"root": "photos"}, "absolute path"),
        ({"root": "/mnt/a\nb"}, "control character"),
        ({"root": "/mnt/\udcff"}, "UTF-8"),
        ({"allow_origins": ("https://example.org/path",)}, "no origin"),
        ({"allow_origins": ("example.org",)}, "allow_origins"),
        ({"allow_origins": ("*", "https://example.org")}, "every one"),
        ({"workers": 0}, "worker"),
        ({"user": "root; daemon off"}, "user"),
    ],
)
def test_impossible_values_are_refused_in_one_line(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        nginx_config(replace(SITE, **change))  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "listen 127.0.0.1:8080;"),
        ({"listen": "localhost:80"}, "listen 127.0.0.1:80;"),
        ({"listen": "[::1]:8080"}, "listen [::1]:8080;"),
        ({"listen": "0.0.0.0:8080", "published": True}, "listen 0.0.0.0:8080;"),
        ({"base_url": "https://Photos.example.org/iiif/"}, "server_name photos.example.org localhost 127.0.0.1 [::1];"),
        ({"user": "nobody nogroup"}, "user nobody nogroup;"),
        ({"allow_origins": ("*",)}, 'add_header Access-Control-Allow-Origin "*" always;'),
        ({"threads": False}, "sendfile on;"),
    ],
)
def test_what_is_said_reaches_nginx(change: dict[str, object], line: str, tmp_path: Path) -> None:
    site = replace(SITE, run_dir=str(tmp_path), **change)  # type: ignore[arg-type]
    text = nginx_config(site)
    assert line in text.replace("        ", "")
    assert ("aio threads" in text) == site.threads
    said = _nginx_test(text, tmp_path)
    assert said.returncode == 0, said.stderr
    assert "[emerg]" not in said.stderr


@pytest.mark.parametrize(
    "folder", ["with space", 'quo"te', "dollar$uri", "back\\slash", "br{ace}", "se;mi", "#hash", "ü"]
)
def test_any_folder_name_is_one_word(folder: str, tmp_path: Path) -> None:
    run_dir = tmp_path / folder
    run_dir.mkdir()
    site = replace(SITE, root=f"/mnt/{folder}", viewers=f"/srv/{folder}", run_dir=str(run_dir))
    said = _nginx_test(nginx_config(site), tmp_path)
    assert said.returncode == 0, said.stderr
    assert "warn" not in said.stderr


def test_equal_sites_give_equal_text() -> None:
    assert nginx_config(SITE) == nginx_config(replace(SITE))


def _nginx_test(text: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    command = [nginx_path(), "-e", "stderr", "-t", "-c", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
