"""The texts of the configurations: what each server itself says of them, and what it cannot be told."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from iiiffs.errors import ConfigError
from iiiffs.web.apache import apache_config
from iiiffs.web.caddy import caddy_config
from iiiffs.web.nginx import nginx_config
from iiiffs.web.site import Site
from tests.harness.servers import KINDS, SERVERS, server_path

SITE = Site(
    root="/mnt/photos",
    listen="127.0.0.1:8080",
    base_url="http://127.0.0.1:8080",
    viewers="/srv/viewers",
    run_dir="/run/iiiffs-web",
    secret="0123456789abcdef",
)
CHECKS = {"nginx": ("-e", "stderr", "-t", "-c"), "caddy": ("validate", "--config"), "apache": ("-t", "-f")}
FOLDERS = [
    "with space",
    'quo"te',
    "it's",
    "dollar$uri",
    "back\\slash",
    "br{ace}",
    "se;mi",
    "#hash",
    "ü",
    "[x]*?",
    "50%",
]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "listen 127.0.0.1:8080;"),
        ({"listen": "localhost:80"}, "listen 127.0.0.1:80;"),
        ({"listen": "[::1]:8080"}, "listen [::1]:8080;"),
        ({"listen": "0.0.0.0:8080", "published": True}, "listen 0.0.0.0:8080;"),
        ({"http2_listen": "127.0.0.1:8081"}, "listen 127.0.0.1:8081 http2;"),
        ({"base_url": "https://Photos.example.org/iiif/"}, "server_name photos.example.org localhost 127.0.0.1 [::1];"),
        ({"user": "nobody nogroup"}, "user nobody nogroup;"),
        ({"allow_origins": ("*",)}, 'map $status $iiiffs_cors { volatile; default "*"; 416 ""; }'),
        ({"threads": False}, "sendfile on;"),
    ],
)
def test_what_is_said_reaches_nginx(change: dict[str, object], line: str, tmp_path: Path) -> None:
    site = replace(SITE, run_dir=str(tmp_path), **change)  # type: ignore[arg-type]
    text = nginx_config(site)
    assert line in text.replace("        ", "")
    assert ("aio threads" in text) == site.threads
    said = checked("nginx", site, tmp_path)
    assert said.returncode == 0, said.stderr
    assert "[emerg]" not in said.stderr


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "Listen 127.0.0.1:8080"),
        ({"listen": "[::1]:8080"}, "Listen [::1]:8080"),
        ({"user": "nobody nogroup"}, "User nobody\nGroup nogroup"),
        ({"user": "ada"}, "User ada\nGroup ada"),
        ({"allow_origins": ("*",)}, "Header always set Access-Control-Allow-Origin *"),
        ({}, "EnableSendfile Off\nEnableMMAP Off"),
    ],
)
def test_what_is_said_reaches_apache(change: dict[str, object], line: str) -> None:
    assert f"\n{line}\n" in apache_config(replace(SITE, **change))  # type: ignore[arg-type]


def test_what_is_said_reaches_caddy() -> None:
    document = json.loads(caddy_config(replace(SITE, base_url="https://Photos.example.org/iiif/", listen="[::1]:81")))
    server = document["apps"]["http"]["servers"]["iiiffs"]
    assert (server["listen"], server["protocols"]) == (["[::1]:81"], ["h1", "h2c"])
    assert server["routes"][0]["match"] == [
        {"not": [{"host": ["photos.example.org", "localhost", "127.0.0.1", "::1"]}]}
    ]
    assert document["admin"] == {"disabled": True, "config": {"persist": False}}
    names = [route["@id"] for route in server["routes"]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("kind", SERVERS)
def test_any_folder_name_is_one_word(kind: str, folder: str, tmp_path: Path) -> None:
    for name in ("root", "run", "viewers"):
        (tmp_path / name / folder).mkdir(parents=True)
    names = {"root": "root", "run_dir": "run", "viewers": "viewers"}
    site = replace(SITE, **{field: str(tmp_path / name / folder) for field, name in names.items()})  # type: ignore[arg-type]
    said = checked(kind, site, tmp_path)
    assert said.returncode == 0, said.stderr
    assert "[warn" not in said.stderr


@pytest.mark.parametrize("kind", SERVERS)
def test_equal_sites_give_equal_text(kind: str) -> None:
    text = KINDS[kind].text
    assert text(SITE) == text(replace(SITE))
    assert "\t" not in text(SITE)


def test_what_apache_cannot_be_told() -> None:
    for change, words in (({"root": "/mnt/${x}"}, "variable"), ({"user": "root"}, "does not serve as root")):
        with pytest.raises(ConfigError, match=words):
            apache_config(replace(SITE, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("secret", ["", "short", '0123456789abcdef"', "0123456789 abcdef"])
def test_caddy_needs_a_secret(secret: str) -> None:
    with pytest.raises(ConfigError, match="secret"):
        caddy_config(replace(SITE, secret=secret))


def test_the_secret_is_what_reads_a_file_and_nothing_else_does() -> None:
    text = caddy_config(SITE)
    assert text.count("include ") == 1
    assert f"(include $file) {SITE.secret}>" in text
    for other in (nginx_config(SITE), apache_config(SITE)):
        assert SITE.secret not in other


@pytest.mark.parametrize("kind", SERVERS)
def test_the_command_prints_it_whole(kind: str, tmp_path: Path) -> None:
    config, photos, root = tmp_path / "config.toml", tmp_path / "photos", tmp_path / "root"
    photos.mkdir()
    root.mkdir()
    config.write_text(
        f'base_url = "http://127.0.0.1:8123"\n[cache]\npath = "{tmp_path}/cache"\n[state]\npath = "{tmp_path}/state"\n'
        f'[account.a]\nprovider = "folder"\npath = "{photos}"\n'
    )
    command = [sys.executable, "-m", "iiiffs", "webserver", kind, "--root", str(root), "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "state" / kind).is_dir()
    assert "127.0.0.1:8123" in done.stdout
    assert str(root) in done.stdout
    file = tmp_path / "printed"
    file.write_text(done.stdout)
    said = subprocess.run([server_path(kind), *CHECKS[kind], str(file)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def checked(kind: str, site: Site, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the server says of its configuration, without serving it."""
    file = folder / f"{kind}.conf"
    file.write_text(KINDS[kind].text(site))
    command = [server_path(kind), *CHECKS[kind], str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
