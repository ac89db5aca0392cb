"""A real browser on an Immich account: its page, and Mirador on an album of photos and a film."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.browsing import BrowserPage
from tests.browser.test_pages import MIRADOR_FAULT
from tests.fakes.immich import ImmichServer, immich
from tests.harness.nginx import free_port, printed_nginx
from tests.mount.immich_mount import ORIGINALS, mounted_home, write_config

pytestmark = [pytest.mark.browser, pytest.mark.mount]


@pytest.fixture(scope="module")
def server() -> Iterator[ImmichServer]:
    with immich("3.1.0") as server:
        album = server.add_album("Fjord trip")
        for number in range(5):
            server.add_asset(f"IMG_{number}.jpg", size_px=(2400, 1600), album=album)
        server.add_asset("clip.mp4", size_px=(320, 200), album=album)
        yield server


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, viewers: Path, server: ImmichServer) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("immich"), free_port()
    config = write_config(folder, server.url, base_url=f"http://127.0.0.1:{port}")
    with (
        mounted_home(folder, server, config=config) as mount,
        printed_nginx(mount.root, folder / "nginx", port, viewers=viewers) as errors,
    ):
        yield f"http://127.0.0.1:{port}"
        assert errors.read_text() == ""


def test_an_album_page_shows_thumbnails_and_fetches_no_original(
    browser_page: BrowserPage, url: str, server: ImmichServer
) -> None:
    seen = browser_page(f"{url}/home/albums/Fjord%20trip/", "look.mjs")
    assert seen.troubles == []
    shown = seen.value["images"]
    assert isinstance(shown, list)
    assert sorted(shown) == sorted(["clip.mp4", *(f"IMG_{number}.jpg" for number in range(5))])
    assert server.requests.count(ORIGINALS) == 0


def test_mirador_opens_an_album(browser_page: BrowserPage, url: str) -> None:
    seen = browser_page(
        f"{url}/home/albums/Fjord%20trip/", "viewer.mjs", viewer="Open in Mirador", ready=".mirador-viewer canvas"
    )
    assert [trouble for trouble in seen.troubles if MIRADOR_FAULT not in trouble] == []
    assert "Fjord trip" in str(seen.value["text"])
    assert any("/iiif/3/" in address for address in seen.images)
