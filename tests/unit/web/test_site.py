"""The value behind the three configurations: what is refused, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iiiffs.errors import ConfigError
from iiiffs.web.site import Site

SITE = Site(
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
        ({"http2_listen": "0.0.0.0:8081"}, "loopback only"),
        ({"http2_listen": "8081"}, "--multiplexed"),
        ({"viewer_base": "viewers"}, "viewer_base"),
        ({"viewers": "viewers"}, "viewers folder"),
        ({"run_dir": "run"}, "run_dir"),
        ({"user": "root; daemon off"}, "user"),
    ],
)
def test_impossible_values_are_refused_in_one_line(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(SITE, **change)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("localhost:80", "127.0.0.1:80"),
        ("[::1]:8080", "[::1]:8080"),
        ("[0:0:0:0:0:0:0:1]:8080", "[::1]:8080"),
        ("127.1.2.3:65535", "127.1.2.3:65535"),
    ],
)
def test_addresses(listen: str, address: str) -> None:
    assert str(replace(SITE, listen=listen).address) == address


def test_published_sites_listen_anywhere() -> None:
    assert str(replace(SITE, listen="0.0.0.0:8080", published=True).address) == "0.0.0.0:8080"


def test_names_origins_and_prefix() -> None:
    site = replace(SITE, base_url="https://Photos.example.org:444/iiif/")
    assert site.names == ("photos.example.org", "localhost", "127.0.0.1", "[::1]")
    assert site.origins == ("https://photos.example.org:444",)
    assert (site.prefix, site.base) == ("/iiif", "https://Photos.example.org:444/iiif")
    assert replace(SITE, base_url="http://[2001:db8::1]/").names[0] == "[2001:db8::1]"
    assert replace(SITE, base_url="https://a.example:443").origins == ("https://a.example",)
    listed = replace(SITE, allow_origins=("https://A.example", "https://a.example", "http://b.example:81"))
    assert (listed.origins, listed.everyone) == (("https://a.example", "http://b.example:81"), False)
    everyone = replace(SITE, allow_origins=("*",))
    assert (everyone.origins, everyone.everyone) == ((), True)


def test_a_secret_is_not_shown() -> None:
    assert "0123456789abcdef" not in repr(replace(SITE, secret="0123456789abcdef"))
