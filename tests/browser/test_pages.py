"""The pages in a real browser: what they show, by keyboard, on a phone, with hostile titles, without viewers."""

from __future__ import annotations

import pytest

from tests.browser.browsing import BrowserPage, Site
from tests.unit.web.sample_site import ALPS, NASTY, NESTED, UNICODE

pytestmark = pytest.mark.browser
NESTED_TITLE = f"{NESTED} {NASTY}"


def test_root_leads_down_to_the_album(browser_page: BrowserPage, site: Site) -> None:
    seen = browser_page(f"{site.url}/", "look.mjs")
    assert seen.troubles == []
    assert seen.value["heading"] == "Photographs"
    assert seen.value["count"] == "1 account"
    assert seen.value["crumbs"] == []
    assert seen.value["albums"] == [["home", f"{site.url}/home/"]]
    account = browser_page(f"{site.url}/home/", "look.mjs")
    assert account.troubles == []
    assert account.value["albums"] == [["files", f"{site.url}/home/files/"]]
    assert account.value["crumbs"] == ["All accounts", "home"]


def test_folder_shows_its_pictures_and_its_albums(browser_page: BrowserPage, site: Site) -> None:
    seen = browser_page(site.url + site.folder, "look.mjs")
    assert seen.troubles == []
    assert seen.value["albums"] == [[NESTED_TITLE, site.url + site.album]]
    assert seen.value["images"] == [picture.name for picture in ALPS]
    assert seen.value["alternatives"] == [picture.name for picture in ALPS]
    assert seen.value["count"] == "1 album, 4 items"
    assert seen.value["crumbs"] == ["All accounts", "home", "files", "Alps"]
    assert seen.value["up"] == [f"{site.url}/", f"{site.url}/home/", f"{site.url}/home/files/"]
    assert seen.value["address"] == f"{site.url}/home/iiif/presentation/3/album-a/manifest.json"
    assert seen.value["scrollsSideways"] is False


def test_titles_of_strangers_stay_text(browser_page: BrowserPage, site: Site) -> None:
    seen = browser_page(site.url + site.album, "look.mjs")
    assert seen.troubles == []
    assert seen.value["title"] == seen.value["heading"] == NESTED_TITLE
    assert seen.value["images"] == [picture.name for picture in UNICODE]
    assert seen.value["crumbs"] == ["All accounts", "home", "files", "Alps", NESTED]
    assert seen.value["strangers"] == 0
    assert [text for text, _ in seen.value["documents"]] == [  # type: ignore[attr-defined]
        "IIIF manifest",
        "Open in Mirador",
        "Open in Universal Viewer",
    ]


def test_deep_zoom_by_keyboard(browser_page: BrowserPage, site: Site) -> None:
    seen = browser_page(site.url + site.folder, "zoom.mjs", deep=True)
    assert seen.troubles == []
    _check_steps(seen.value, deep=True)
    full = [url for url in seen.images if "/iiif/3/a1/" in url and ",512,512/512,512/0/default.jpg" in url]
    assert len(full) >= 2, "tiles of full resolution were asked for after zooming in"
    assert seen.hosts == [site.url.removeprefix("http://")]


def test_without_viewers_plain_images_are_shown_and_another_host_name_works(
    browser_page: BrowserPage, site: Site
) -> None:
    seen = browser_page(site.without_viewers + site.folder, "zoom.mjs", deep=False)
    assert seen.troubles == []
    _check_steps(seen.value, deep=False)
    opened = seen.value["opened"]
    assert isinstance(opened, dict)
    assert opened["plain"] == f"{site.without_viewers}/home/iiif/3/a1/full/!1600,1600/0/default.jpg"
    assert seen.hosts == [site.without_viewers.removeprefix("http://")]


def _check_steps(steps: dict[str, object], *, deep: bool) -> None:
    names = {
        "opened": ALPS[0],
        "atStart": ALPS[0],
        "second": ALPS[1],
        "third": ALPS[2],
        "forward": ALPS[2],
    }
    for step, picture in names.items():
        found = steps[step]
        assert isinstance(found, dict)
        assert (found["open"], found["title"], found["hash"]) == (True, picture.name, f"#{picture.id}"), step
        assert found["inside"], step
        if step != "atStart":
            assert (found["deep"], found["plain"] is None) == (deep, deep), step
        assert [text for text, _ in found["links"]] == ["Original file", "info.json", "Manifest"]
    closed, moved, back = steps["closed"], steps["moved"], steps["back"]
    assert isinstance(closed, dict) and isinstance(moved, dict) and isinstance(back, dict)
    assert (closed["open"], closed["hash"], closed["focus"]) == (False, "", "#a3")
    assert moved["focus"] == "#a4"
    assert (back["open"], back["hash"], back["focus"]) == (False, "", "#a3")
    assert steps["trapped"] is True


def test_phone(browser_page: BrowserPage, site: Site) -> None:
    context = {"viewport": {"width": 360, "height": 740}, "hasTouch": True, "isMobile": True, "deviceScaleFactor": 2}
    seen = browser_page(site.url + site.folder, "phone.mjs", context=context)
    assert [trouble for trouble in seen.troubles if "ERR_ABORTED" not in trouble] == []
    assert seen.value == {"sideways": False, "titles": [ALPS[0].name, ALPS[1].name, ALPS[0].name]}


# Faults of the viewers' own bundles, seen with every manifest of every server; everything else is ours.
MIRADOR_FAULT = "Accessing element.ref was removed in React 19"
UNIVERSAL_VIEWER_FAULT = "/images/data:image/gif;base64,"


def test_mirador_opens_the_manifest(browser_page: BrowserPage, site: Site) -> None:
    """Universal Viewer asks for iiif/2, which this plain tree has not: test_mount.py opens it on a mount."""
    seen = browser_page(site.url + site.folder, "viewer.mjs", viewer="Open in Mirador", ready=".mirador-viewer canvas")
    assert [trouble for trouble in seen.troubles if MIRADOR_FAULT not in trouble] == []
    assert "Alps & lakes" in str(seen.value["text"])
    assert any("/iiif/3/a1/" in url for url in seen.images)
    assert seen.hosts == [site.url.removeprefix("http://")]


def test_dark_and_light(browser_page: BrowserPage, site: Site) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        seen = browser_page(site.url + site.folder, "look.mjs", context={"colorScheme": scheme})
        assert seen.troubles == []
        shades[scheme] = seen.value["paper"]
    assert shades == {"light": "rgb(251, 250, 248)", "dark": "rgb(19, 20, 22)"}


def test_an_album_without_documents_says_so(browser_page: BrowserPage, site: Site) -> None:
    seen = browser_page(f"{site.url}/home/files/empty/", "look.mjs")
    assert seen.value["message"] == "There is nothing to look at in here."
    assert seen.value["heading"] == "empty"
    assert seen.bad_answers == [f"404 {site.url}/home/files/empty/manifest.json"]


def test_a_strangers_page_runs_no_script(browser_page: BrowserPage, site: Site) -> None:
    seen = browser_page(f"{site.url}/home/files/stranger/index.html", "stranger.mjs")
    assert seen.dialogs == []
    assert seen.value == {"ran": False}
    assert any("Content Security Policy" in said for said in seen.console_errors)
