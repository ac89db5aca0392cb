"""Mode "direct" on a mount: documents name the server's own addresses, which anybody may ask, and no image service."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import iiif_prezi3  # type: ignore[import-untyped]
import pytest

from tests.contract.test_immich_public import link_to
from tests.fakes.immich import ImmichServer, immich
from tests.mount.immich_mount import mounted_home, write_config


@pytest.fixture(params=["2.7.5", "3.1.0"])
def server(request: pytest.FixtureRequest) -> Iterator[ImmichServer]:
    with immich(request.param) as server:
        yield server


def urls_in(node: object) -> Iterator[str]:
    """Every address of a body, thumbnail or download."""
    if isinstance(node, dict):
        if node.get("type") in ("Image", "Video", "Sound"):
            yield node["id"]
        for inner in node.values():
            yield from urls_in(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from urls_in(inner)


def test_a_manifest_that_needs_no_mount_to_be_seen(tmp_path: Path, server: ImmichServer) -> None:
    film = server.add_asset("film.mp4", size_px=(320, 240), duration_ms=2000)
    held = [server.add_asset("a.jpg", size_px=(3000, 2000)), server.add_asset("b.heic"), film]
    kept_back = server.add_asset("c.jpg")
    trip, both = server.add_album("Trip", held), server.add_album("Both", [held[0], kept_back])
    link = link_to(server, trip)
    extra = f'mode = "direct"\nshared_link = "{server.url}/share/{link.key}"\n'
    config = write_config(tmp_path, server.url, extra=extra)
    with mounted_home(tmp_path, server, config=config) as mount:
        albums = mount.root / "home" / "albums"
        text = (albums / "Trip" / "manifest.json").read_text()
        manifest = json.loads(text)
        assert json.loads(iiif_prezi3.Manifest(**manifest).json()) == manifest
        assert len(manifest["items"]) == 3
        assert "service" not in text
        assert server.key not in text
        urls = set(urls_in(manifest))
        assert len(urls) >= 3 * 3 - 1
        for url in urls:
            assert url.startswith(f"{server.url}/api/assets/")
            with urllib.request.urlopen(url) as answer:
                assert answer.status == 200
                assert answer.headers["content-type"].startswith(("image/", "video/"))
        labels = [
            canvas["label"]["none"] for canvas in json.loads((albums / "Both" / "manifest.json").read_text())["items"]
        ]
        assert labels == [["a.jpg"]]
        assert "service" not in (albums / "collection.json").read_text()
        assert str(kept_back.id) not in (albums / "Both" / "manifest.json").read_text()
    assert both.name == "Both"


def test_a_link_that_is_gone_is_told(tmp_path: Path, server: ImmichServer) -> None:
    trip = server.add_album("Trip", [server.add_asset("a.jpg")])
    link = link_to(server, trip)
    extra = f'mode = "direct"\nshared_link = "{server.url}/share/{link.key}"\n'
    config = write_config(tmp_path, server.url, extra=extra)
    del server.links[link.id]
    with mounted_home(tmp_path, server, "shared link", config=config) as mount:
        accounts = mount.status()["accounts"]
        assert isinstance(accounts, list)
        (home,) = (one for one in accounts if one["name"] == "home")
        assert "shared link" in home["reason"]
        with pytest.raises(PermissionError):
            (mount.root / "home" / "albums" / "Trip" / "manifest.json").read_bytes()
