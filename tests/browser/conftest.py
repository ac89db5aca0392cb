"""A real browser on a site: `browser_page(url, script)` and the site under test.

The site is the plain tree of tests/unit/web/sample_site.py behind nginx; a run against a mount replaces `site` and
keeps every test. `IIIFFS_SCREENSHOTS=FOLDER` keeps the pictures that scripts take.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iiiffs.web.site import Site as WebSite
from iiiffs.web.viewers import install_viewers, installed_viewers
from tests.browser.browsing import BrowserPage, Seen, Site
from tests.harness.nginx import free_port
from tests.unit.web.sample_site import build_site, nginx_running

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SCRIPT_TIMEOUT_S = 90


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium, or the one that CHROMIUM names."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not found or not shutil.which("node"):
        pytest.skip("needs chromium and node")
    return found


@pytest.fixture(scope="session")
def playwright(chromium: str) -> Path:
    """playwright-core in .tools/node, fetched by npm the first time."""
    home = PROJECT / ".tools" / "node"
    package = home / "node_modules" / "playwright-core"
    if not (package / "package.json").is_file():
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "tests" / "tools" / "package.json", home)
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run([*command, "--prefix", str(home)], check=True, capture_output=True, timeout=300)
    return package


@pytest.fixture(scope="session")
def viewers() -> Path:
    """The pinned viewers in .tools/viewers, fetched by our own installer the first time."""
    folder = PROJECT / ".tools" / "viewers"
    if not installed_viewers(folder):
        install_viewers(folder)
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, viewers: Path) -> Iterator[Site]:
    """The plain tree, served twice: with the viewers, and without."""
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    build_site(folder / "mount", url)
    user = "root" if os.geteuid() == 0 else ""

    def served(name: str, at: int, viewer_folder: Path) -> WebSite:
        run_dir = folder / name
        run_dir.mkdir()
        return WebSite(
            root=str(folder / "mount"),
            listen=f"127.0.0.1:{at}",
            base_url=url,
            viewers=str(viewer_folder),
            run_dir=str(run_dir),
            user=user,
        )

    bare_port = free_port()
    full, bare = served("full", port, viewers), served("bare", bare_port, folder / "none")
    with nginx_running(full), nginx_running(bare):
        yield Site(
            url=url,
            root=folder / "mount",
            album="/home/files/Alps/%C3%9Cn%C3%AF%20c%C3%B6d%C3%A9%2C%20100%25%20%5Bx%5D%20%23%3F%2B%26/",
            folder="/home/files/Alps/",
            without_viewers=f"http://localhost:{bare_port}",
        )


@pytest.fixture(scope="module")
def browser(chromium: str, playwright: Path) -> Iterator[subprocess.Popen[str]]:
    """tests/browser/browse.mjs, running."""
    command = ["node", str(HERE / "browse.mjs"), str(playwright), chromium]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        timer = threading.Timer(SCRIPT_TIMEOUT_S, process.kill)
        timer.start()
        process.communicate()
        timer.cancel()
    assert process.returncode == 0


@pytest.fixture
def browser_page(browser: subprocess.Popen[str], tmp_path: Path, request: pytest.FixtureRequest) -> BrowserPage:
    """browser_page(url, "name.mjs", **options) -> Seen: runs tests/browser/scripts/name.mjs as in a fresh profile.

    Options: `context` (Playwright's browser context options); all others are handed to the script.
    """

    def run(url: str, script: str, **options: object) -> Seen:
        shots = Path(os.environ.get("IIIFFS_SCREENSHOTS", tmp_path))
        shots.mkdir(parents=True, exist_ok=True)
        options.setdefault("screenshot", str(shots / f"{re.sub('[^A-Za-z0-9]+', '-', request.node.name)}.png"))
        said = _answer(browser, {"url": url, "script": str(HERE / "scripts" / script), "options": options})
        assert said["failure"] is None, f"{said['failure']}\n{json.dumps(said, indent=1)}"
        return Seen(
            value=said["value"],
            console_errors=said["consoleErrors"],
            failed_requests=said["failedRequests"],
            bad_answers=said["badAnswers"],
            images=said["images"],
            dialogs=said["dialogs"],
            hosts=said["hosts"],
        )

    return run


def _answer(browser: subprocess.Popen[str], question: dict[str, object]) -> dict[str, Any]:
    """What it says of one page. Where it says nothing in time, it is ended."""
    assert browser.stdin is not None
    assert browser.stdout is not None
    browser.stdin.write(json.dumps(question) + "\n")
    browser.stdin.flush()
    timer = threading.Timer(SCRIPT_TIMEOUT_S, browser.kill)
    timer.start()
    try:
        line = browser.stdout.readline()
    finally:
        timer.cancel()
    assert line, f"no answer within {SCRIPT_TIMEOUT_S} s, or Chromium has ended"
    said: dict[str, Any] = json.loads(line)
    return said
