"""Addresses of an earlier image server in the three configurations: which paths are theirs, and which hosts answer.

What the servers make of them: tests/mount/test_old_addresses.py.
"""

from __future__ import annotations

import json

import pytest

from iiiffs.errors import ConfigError
from iiiffs.web.apache import apache_config
from iiiffs.web.caddy import caddy_config
from iiiffs.web.nginx import nginx_config
from iiiffs.web.site import Former, Site

OLD = "https://iiif.example.org/iiif"
FORMER = (Former(OLD, "/iip/iiif/2"), Former(f"{OLD}/2", "/pictures/iiif/2"), Former(f"{OLD}/3/", "/pictures/iiif/3"))


def site(*former: Former, base_url: str = "http://127.0.0.1:8080/gallery") -> Site:
    return Site(
        root="/mnt/photos",
        listen="127.0.0.1:8080",
        base_url=base_url,
        viewers="/var/viewers",
        run_dir="/run/iiiffs",
        secret="0123456789abcdef",
        former=former,
    )


def test_a_former_address_has_an_origin_and_a_path() -> None:
    former = Former(f"{OLD}/3/", "/pictures/iiif/3")
    assert (former.origin, former.path) == ("https://iiif.example.org", "/iiif/3")


def test_its_host_is_answered_once() -> None:
    assert site(*FORMER).names == ("127.0.0.1", "iiif.example.org", "localhost", "[::1]")


def test_the_nearer_one_comes_first() -> None:
    assert [former.path for former in site(*FORMER).longest_former] == ["/iiif/2", "/iiif/3", "/iiif"]


@pytest.mark.parametrize("config", [nginx_config, apache_config, caddy_config])
def test_every_server_has_them_in_that_order(config: object) -> None:
    assert callable(config)
    text = config(site(*FORMER))
    places = [text.index(f"/gallery{place}") for place in ("/pictures/iiif/2", "/pictures/iiif/3", "/iip/iiif/2")]
    assert places == sorted(places)
    assert "iiif.example.org" in text


@pytest.mark.parametrize("config", [nginx_config, apache_config, caddy_config])
def test_without_any_nothing_is_said_of_them(config: object) -> None:
    assert callable(config)
    text = config(site())
    assert "earlier image server" not in text
    assert "former-" not in text


def test_caddy_s_configuration_is_json_with_a_route_for_each() -> None:
    text = caddy_config(site(*FORMER))
    assert json.loads(text)
    assert [f'"former-{number}"' in text for number in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://a.example", "/a/iiif/3"),
        ("https://a.example/x y", "/a/iiif/3"),
        ("https://a.example/$1", "/a/iiif/3"),
        ("https://a.example/../x", "/a/iiif/3"),
        ("https://a.example/.x", "/a/iiif/3"),
        ("ftp://a.example/x", "/a/iiif/3"),
        ("https://a.example/x", "a"),
        ("https://a.example/x", '/a";'),
        ("https://a.example/x", ""),
    ],
)
def test_refused(url: str, place: str) -> None:
    with pytest.raises(ConfigError):
        Former(url, place)
