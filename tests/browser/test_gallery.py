"""A mixed album with pages, a live photo, video and sound, in our page, in Mirador and in Universal Viewer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.browsing import BrowserPage
from tests.browser.test_pages import MIRADOR_FAULT, UNIVERSAL_VIEWER_FAULT
from tests.harness.mount import mounted, write_config
from tests.harness.nginx import free_port, printed_nginx
from tests.mount.gallery import MIXED, write_mixed, write_owned

pytestmark = [pytest.mark.browser, pytest.mark.mount]
ALBUM = "/pictures/files/Mixed/"
TITLES = {"01 told.jpg": "A boat", "09 beside.webp": "At the harbour"}
"""What the browser, which speaks English, shows in the place of a file's name."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, viewers: Path) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("mixed"), free_port()
    write_mixed(folder / "photos" / "Mixed")
    write_owned(folder / "photos" / "Owned")
    config = write_config(folder, folder / "photos", base_url=f"http://127.0.0.1:{port}")
    with (
        mounted(folder, folder / "photos", config=config) as mount,
        printed_nginx(mount.root, folder / "nginx", port, viewers=viewers) as errors,
    ):
        yield f"http://127.0.0.1:{port}"
        assert errors.read_text() == ""


def test_the_page_shows_a_mixed_album(browser_page: BrowserPage, url: str) -> None:
    seen = browser_page(url + ALBUM, "look.mjs")
    assert seen.troubles == []
    wanted: list[str] = []
    for name, shown in MIXED.items():
        title = TITLES.get(name, name)
        wanted += [f"{title} (page {page})" for page in range(1, len(shown.pages) + 1)] or [title]
    assert seen.value["images"] == wanted


@pytest.mark.parametrize(
    "view", ["timeline/", "timeline/2024/", "timeline/2024/2024-06/", "tags/", "tags/sea/", "search/boat/"]
)
def test_the_page_shows_views(browser_page: BrowserPage, url: str, view: str) -> None:
    seen = browser_page(f"{url}/pictures/{view}", "look.mjs")
    assert seen.troubles == []
    assert seen.value["albums"] or seen.value["images"]


def test_the_page_plays_video_and_sound(browser_page: BrowserPage, url: str) -> None:
    for name in ("13 clip.mp4", "14 tune.mp3"):
        seen = browser_page(url + ALBUM, "play.mjs", name=name)
        assert seen.troubles == [], name
        assert seen.value["title"] == name
        assert seen.value["duration"] == pytest.approx(MIXED[name].seconds, abs=0.2)


@pytest.mark.parametrize(
    ("viewer", "ready", "fault"),
    [
        ("Open in Mirador", ".mirador-viewer canvas", MIRADOR_FAULT),
        ("Open in Universal Viewer", "#uv canvas", UNIVERSAL_VIEWER_FAULT),
    ],
)
def test_viewers_open_a_mixed_album(browser_page: BrowserPage, url: str, viewer: str, ready: str, fault: str) -> None:
    seen = browser_page(url + ALBUM, "viewer.mjs", viewer=viewer, ready=ready)
    assert [trouble for trouble in seen.troubles if fault not in trouble] == []
    assert "Mixed" in str(seen.value["text"])
    assert any("/iiif/3/" in address or "/iiif/2/" in address for address in seen.images)
