"""The same browser on a real mount: from the first page to a tile of full resolution, and Mirador on an album.

`IIIFFS_SCREENSHOTS=docs` renews docs/screenshot.png.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from iiiffs.render.sample import write_sample_gallery
from tests.browser.browsing import BrowserPage
from tests.browser.test_pages import MIRADOR_FAULT, UNIVERSAL_VIEWER_FAULT
from tests.harness.mount import Mount, mounted, write_config
from tests.harness.nginx import free_port, printed_nginx

pytestmark = [pytest.mark.browser, pytest.mark.mount]
TRIP = "/pictures/files/Fjord%20trip/"
DAY_2 = TRIP + "Day%202%20%E2%80%93%2050%25%20fog%2C%20%5Bd%C3%A9j%C3%A0%20vu%5D/"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory, viewers: Path, port: int) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("mounted")
    write_sample_gallery(folder / "photos")
    config = write_config(folder, folder / "photos", base_url=f"http://127.0.0.1:{port}")
    with (
        mounted(folder, folder / "photos", config=config) as mount,
        printed_nginx(mount.root, folder / "nginx", port, viewers=viewers) as errors,
    ):
        yield mount
        assert errors.read_text() == ""


@pytest.fixture
def url(mount: Mount, port: int) -> str:
    return f"http://127.0.0.1:{port}"


def test_pages_lead_from_the_accounts_to_the_pictures(browser_page: BrowserPage, url: str) -> None:
    steps = {
        "/": ([["pictures", f"{url}/pictures/"]], []),
        "/pictures/": ([["pictures", f"{url}/pictures/files/"], ["Fjord trip", url + TRIP]], []),
        "/pictures/files/": ([["Fjord trip", url + TRIP]], ["Compass.png"]),
        TRIP: ([["Day 2 – 50% fog, [déjà vu]", url + DAY_2]], ["Evening light.jpg", "Morning, upright.jpg"]),
        DAY_2: ([], ["Fog in gray.jpg", "Printed at noon.jpg"]),
    }
    for path, (albums, images) in steps.items():
        seen = browser_page(url + path, "look.mjs")
        assert seen.troubles == [], path
        assert (seen.value["albums"], seen.value["images"]) == (albums, images), path
        assert seen.value["scrollsSideways"] is False


def test_deep_zoom_draws_tiles_of_full_resolution(
    browser_page: BrowserPage, url: str, mount: Mount, tmp_path: Path
) -> None:
    shots = {name: tmp_path / f"{name}.png" for name in ("gallery", "overview", "screenshot")}
    seen = browser_page(url + TRIP, "zoom_in.mjs", **{name: str(path) for name, path in shots.items()})
    assert seen.troubles == []
    assert seen.value["title"] == "Evening light.jpg"
    full = [address for address in seen.images if ",512,512/512,512/0/default.jpg" in address]
    assert len(full) >= 2, "tiles of full resolution were asked for after zooming in"
    assert mount.rendered > 0
    for name in ("overview", "screenshot"):  # drawn: a photograph has many colours, an empty stage one or two
        with Image.open(shots[name]) as picture:
            colours = picture.convert("RGB").getcolors(1 << 24)
        assert colours is not None and len(colours) > 2000, name
    if keep := os.environ.get("IIIFFS_SCREENSHOTS"):
        shutil.copyfile(shots["gallery"], Path(keep) / "screenshot.png")
        shutil.copyfile(shots["overview"], Path(keep) / "zoom.png")


@pytest.mark.parametrize(
    ("viewer", "ready", "fault"),
    [
        ("Open in Mirador", ".mirador-viewer canvas", MIRADOR_FAULT),
        ("Open in Universal Viewer", "#uv canvas", UNIVERSAL_VIEWER_FAULT),
    ],
)
def test_viewers_open_an_album(browser_page: BrowserPage, url: str, viewer: str, ready: str, fault: str) -> None:
    seen = browser_page(url + TRIP, "viewer.mjs", viewer=viewer, ready=ready)
    assert [trouble for trouble in seen.troubles if fault not in trouble] == []
    assert "Fjord trip" in str(seen.value["text"])
    assert any("/iiif/3/" in address for address in seen.images)
