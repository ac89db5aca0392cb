"""Where the printed configuration listens, if nobody says."""

from __future__ import annotations

import pytest

from iiiffs.cli.webserver import own_address


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("http://127.0.0.1:18090", "127.0.0.1:18090"),
        ("http://localhost:9000/iiif", "127.0.0.1:9000"),
        ("http://127.0.0.1", "127.0.0.1:8080"),
        ("https://photos.example.org:8443/iiif", "127.0.0.1:8080"),
    ],
)
def test_ids_are_answered_where_they_point(base_url: str, address: str) -> None:
    assert own_address(base_url) == address
