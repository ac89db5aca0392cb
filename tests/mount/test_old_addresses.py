"""The addresses of a Cantaloupe and an IIPImage installation go on answering, behind each of the three web servers."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from iiiffs.cli.webserver import site_of
from iiiffs.config import Config, load_config
from iiiffs.web.site import Former, Site
from tests.harness.mount import Mount, mounted, write_config
from tests.harness.servers import KINDS, SERVERS, free_port, server_path, serving
from tests.mount.observing import eventually
from tests.mount.pictures import picture

ROOT = Path(__file__).parents[2]
HOST = "iiif.example.org"
OLD = f"https://{HOST}/iiif"
UNICODE, ENCODED = "Ünï 100% ^!.jpg", "%C3%9Cn%C3%AF%20100%25%20%5E%21.jpg"
BLUES = {"2024/Trip/a.jpg": 40, f"2024/Trip/{UNICODE}": 90, "2024/Trip/b c.png": 140, "top.jpg": 190}
BLUE_ERROR_MAX = 6
"""Of 255: what JPEG does to an even channel."""

TRIP, DIRECTORIES = "2024%2FTrip%2F", "2024/Trip/"
INFO_URLS = {
    f"/iiif/2/{TRIP}a.jpg/info.json": (f"{OLD}/2/{TRIP}a.jpg", 200, 150),
    "/iiif/2/2024%2fTrip%2fa.jpg/info.json": (f"{OLD}/2/{TRIP}a.jpg", 200, 150),
    f"/iiif/2/{TRIP}{ENCODED}/info.json": (f"{OLD}/2/{TRIP}{ENCODED}", 80, 60),
    f"/iiif/3/{TRIP}a.jpg/info.json": (f"{OLD}/3/{TRIP}a.jpg", 200, 150),
    f"/iiif/3/{TRIP}b%20c.png/info.json": (f"{OLD}/3/{TRIP}b%20c.png", 60, 90),
    "/iiif/3/2024%2Fscan.tif%3B2/info.json": (f"{OLD}/3/2024%2Fscan.tif%3B2", 50, 20),
    f"/iiif/{DIRECTORIES}a.jpg/info.json": (f"{OLD}/{DIRECTORIES}a.jpg", 200, 150),
    f"/iiif/{DIRECTORIES}{ENCODED}/info.json": (f"{OLD}/{DIRECTORIES}{ENCODED}", 80, 60),
}
"""Path of the request -> id, width and height."""
IMAGE_URLS = {
    f"/iiif/2/{TRIP}a.jpg/full/full/0/default.jpg": ("2024/Trip/a.jpg", "JPEG", (200, 150)),
    f"/iiif/2/{TRIP}a.jpg/full/100,/0/default.jpg": ("2024/Trip/a.jpg", "JPEG", (100, 75)),
    f"/iiif/2/{TRIP}{ENCODED}/0,0,64,32/32,/0/default.png": (f"2024/Trip/{UNICODE}", "PNG", (32, 16)),
    f"/iiif/2/{TRIP}b%20c.png/full/!30,30/90/default.jpg": ("2024/Trip/b c.png", "JPEG", (30, 20)),
    "/iiif/2/top.jpg/full/pct:50/0/default.jpg": ("top.jpg", "JPEG", (20, 15)),
    f"/iiif/3/{TRIP}a.jpg/full/max/0/default.jpg": ("2024/Trip/a.jpg", "JPEG", (200, 150)),
    f"/iiif/3/{TRIP}a.jpg/full/%5E400,300/0/default.jpg": ("2024/Trip/a.jpg", "JPEG", (400, 300)),
    f"/iiif/3/{TRIP}{ENCODED}/square/max/!90/color.jpg": (f"2024/Trip/{UNICODE}", "JPEG", (60, 60)),
    "/iiif/3/top.jpg/pct:0,0,50,50/max/0/default.png": ("top.jpg", "PNG", (20, 15)),
    f"/iiif/{DIRECTORIES}a.jpg/full/full/0/default.jpg": ("2024/Trip/a.jpg", "JPEG", (200, 150)),
    f"/iiif/{DIRECTORIES}b%20c.png/0,0,30,30/15,/0/default.jpg": ("2024/Trip/b c.png", "JPEG", (15, 15)),
    f"/iiif/{TRIP}a.jpg/full/,75/0/default.jpg": ("2024/Trip/a.jpg", "JPEG", (100, 75)),
}
"""Path of the request -> the file, and format and size of the answer."""
BASE_URIS = (
    f"/iiif/2/{TRIP}a.jpg",
    f"/iiif/3/{TRIP}a.jpg",
    f"/iiif/3/{TRIP}{ENCODED}",
    f"/iiif/{DIRECTORIES}b%20c.png",
)
REFUSED = {
    f"/iiif/2/{TRIP}nothing.jpg/info.json": 404,
    f"/iiif/3/{TRIP}nothing.jpg": 404,
    f"/iiif/3/{TRIP}nothing.jpg/full/max/0/default.jpg": 404,
    "/iiif/3/2024%2Fnotes.txt/full/max/0/default.jpg": 404,
    "/iiif/3/2024%2FTrip/info.json": 404,
    f"/iiif/3/{TRIP}a.jpg/full/full/0/default.jpg": 400,
    f"/iiif/2/{TRIP}a.jpg/full/full/0/default.bmp": 400,
    f"/iiif/{DIRECTORIES}a.jpg/full/full/0/native.jpg": 400,
    "/iiif/2/..%2F..%2Fetc%2Fpasswd/info.json": 0,
    "/iiif/3/": 404,
    "/iiif/": 404,
    "/iiif": 404,
}
"""Path -> status; 0 for any from 400."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True)
class Served:
    """A mount behind a web server."""

    kind: str
    port: int
    mount: Mount

    def get(self, path: str, host: str = HOST, **headers: str) -> Answer:
        """`path` is sent as it stands."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Host": host, **headers})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("old")
    photos = folder / "photos"
    sizes = {"2024/Trip/a.jpg": (200, 150), "2024/Trip/b c.png": (60, 90), "top.jpg": (40, 30)}
    for name, blue in BLUES.items():
        picture(photos / name, blue, sizes.get(name, (80, 60)))
    pages = [Image.new("L", (50, 40 - 20 * number), 99) for number in range(2)]
    pages[0].save(photos / "2024" / "scan.tif", save_all=True, append_images=pages[1:])
    (photos / "2024" / "notes.txt").write_text("no picture")
    extra = (
        f'identifiers = "path"\nidentifier_base_2 = "{OLD}/2"\nidentifier_base_3 = "{OLD}/3"\n'
        f'[account.iip]\nprovider = "folder"\npath = {json.dumps(str(photos))}\naccess = "read"\n'
        f'identifiers = "path"\nidentifier_slash = "/"\nidentifier_base_2 = "{OLD}"\n'
    )
    (folder / "mount").mkdir()
    config = write_config(folder / "mount", photos, base_url="https://photos.example.org/gallery", extra=extra)
    with mounted(folder / "mount", photos, config=config) as mount:
        yield mount
        assert mount.gauge("kernel", "bugs") == 0


def printed_site(kind: str, config: Config, mount: Mount, folder: Path) -> Site:
    """As `iiiffs webserver` makes it, on a free port."""
    user = mount.root.owner() if kind == "nginx" else ""
    return site_of(config, mount.root, f"127.0.0.1:{free_port()}", folder, user)


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest, mount: Mount, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(request.param)
    site = printed_site(request.param, load_config(mount.config), mount, folder)
    with serving(request.param, site):
        yield Served(request.param, site.address.port, mount)


def test_there_are_twenty_of_them() -> None:
    assert len(INFO_URLS) + len(IMAGE_URLS) == 20


@pytest.mark.parametrize("path", INFO_URLS)
def test_an_info_of_the_old_address(served: Served, path: str) -> None:
    answer = served.get(path)
    assert answer.status == 200
    info = json.loads(answer.body)
    assert (info.get("id") or info["@id"], info["width"], info["height"]) == INFO_URLS[path]
    wanted = "application/ld+json" if path.startswith("/iiif/3/") else "application/json"
    assert answer.headers["Content-Type"].startswith(wanted)


@pytest.mark.parametrize("path", IMAGE_URLS)
def test_an_image_of_the_old_address(served: Served, path: str) -> None:
    answer = served.get(path)
    assert answer.status == 200
    name, format_, size = IMAGE_URLS[path]
    assert answer.headers["Content-Type"] == f"image/{format_.lower()}"
    with Image.open(BytesIO(answer.body)) as image:
        assert (image.format, image.size) == (format_, size)
        blue = ImageStat.Stat(image.convert("RGB").getchannel("B")).mean[0]
    assert abs(blue - BLUES[name]) <= BLUE_ERROR_MAX, "another picture"


@pytest.mark.parametrize("path", BASE_URIS)
def test_a_base_uri_leads_to_the_old_info(served: Served, path: str) -> None:
    for asked in (path, f"{path}/", f"{path}?x=1"):
        answer = served.get(asked)
        assert (answer.status, answer.headers["Location"]) == (303, f"https://{HOST}{path}/info.json"), asked


@pytest.mark.parametrize("path", REFUSED)
def test_what_is_refused_there(served: Served, path: str) -> None:
    answer = served.get(path)
    assert answer.status == REFUSED[path] or (answer.status >= 400 and not REFUSED[path])


def test_the_new_addresses_answer_as_well(served: Served) -> None:
    stable = served.mount.files.joinpath("2024", "Trip", "iiif", "a.jpg").resolve().name
    host, gallery = "photos.example.org", "https://photos.example.org/gallery"
    info = json.loads(served.get(f"/gallery/pictures/iiif/3/{TRIP}a.jpg/info.json", host).body)
    assert info["id"] == f"{OLD}/3/{TRIP}a.jpg"
    info = json.loads(served.get(f"/gallery/iip/iiif/3/{DIRECTORIES}a.jpg/info.json", host).body)
    assert info["id"] == f"{gallery}/iip/iiif/3/{DIRECTORIES}a.jpg"
    answer = served.get(f"/gallery/iip/iiif/3/{DIRECTORIES}a.jpg", host)
    assert (answer.status, answer.headers["Location"]) == (303, f"{info['id']}/info.json")
    answer = served.get(f"/gallery/pictures/iiif/3/{stable}", host)
    assert answer.headers["Location"] == f"{gallery}/pictures/iiif/3/{stable}/info.json"
    assert json.loads(served.get(f"/gallery/pictures/iiif/3/{stable}/info.json", host).body)["id"].endswith(stable)


def test_known_hosts_and_allowed_origins_only(served: Served) -> None:
    path = f"/iiif/3/{TRIP}a.jpg/info.json"
    assert served.get(path, "stranger.example").status == 421
    own = "https://photos.example.org"
    assert served.get(path, Origin=own).headers["Access-Control-Allow-Origin"] == own
    assert served.get(path, Origin="https://stranger.example").headers["Access-Control-Allow-Origin"] is None
    assert served.get(f"/iiif/3/{TRIP}nothing.jpg", Origin=own).headers["Access-Control-Allow-Origin"] == own


def test_the_check_of_the_document(served: Served, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "MIGRATING.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert "127.0.0.1:8080" in script
    wrong = "/iiif/2/2024%2fTrip%2fa.jpg/info.json"
    urls = [f"https://{HOST}{path}" for path in (*INFO_URLS, *IMAGE_URLS, *BASE_URIS)]
    (tmp_path / "urls").write_text("".join(f"{url}\n" for url in urls))
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{served.port}")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    spelled = [number for number, line in enumerate(lines) if line.startswith("    its id is ")]
    assert [lines[number] for number in spelled] == [f"    its id is {OLD}/2/{TRIP}a.jpg"]
    assert wrong in lines[spelled[0] - 1]
    told = [(line.split()[0], line.split()[-1]) for line in lines if not line.startswith(" ")]
    assert told == [("303" if url.removeprefix(f"https://{HOST}") in BASE_URIS else "200", url) for url in urls]


@pytest.mark.parametrize("kind", SERVERS)
def test_an_old_place_that_looks_like_an_account_s(kind: str, mount: Mount, tmp_path: Path) -> None:
    former = Former(f"https://{HOST}/old/iiif/3", "/pictures/iiif/3")
    site = printed_site(kind, load_config(mount.config), mount, tmp_path)
    site = replace(site, base_url="https://photos.example.org", former=(former,))
    with serving(kind, site):
        served = Served(kind, site.address.port, mount)
        answer = served.get(f"/old/iiif/3/{TRIP}a.jpg")
        assert (answer.status, answer.headers["Location"]) == (303, f"{former.url}/{TRIP}a.jpg/info.json")
        assert served.get(f"/old/iiif/3/{TRIP}a.jpg/full/max/0/default.jpg").status == 200
        answer = served.get(f"/pictures/iiif/3/{TRIP}a.jpg", "photos.example.org")
        assert answer.headers["Location"] == f"https://photos.example.org/pictures/iiif/3/{TRIP}a.jpg/info.json"


PROXIES = {
    "nginx": (
        "pid {folder}/pid; error_log stderr; events {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/1;\n"
        "proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4;\n"
        "scgi_temp_path {folder}/5; server {{ listen 127.0.0.1:{port};\n{lines}\n}} }}\n"
    ),
    "apache": (
        "ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/log\nServerName x\nListen 127.0.0.1:{port}\n"
        + "".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "rewrite")
        )
        + "{lines}\n"
    ),
    "caddy": "{{\nadmin off\nauto_https off\nstorage file_system {folder}\n}}\n"
    "http://:{port} {{\nbind 127.0.0.1\n{lines}\n}}\n",
}
"""Of each server the least that goes around the lines in MIGRATING.md."""


@contextmanager
def proxying(kind: str, folder: Path, served: Served) -> Iterator[Served]:
    """`kind` with the document's lines, before `served`."""
    text = (ROOT / "docs" / "MIGRATING.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert "127.0.0.1:8080" in lines
    port, file = free_port(), folder / f"{kind}.conf"
    lines = lines.replace("127.0.0.1:8080", f"127.0.0.1:{served.port}")
    file.write_text(PROXIES[kind].format(folder=folder, port=port, lines=lines))
    command = [server_path(kind), *KINDS[kind].arguments, str(file)]
    if kind == "caddy":
        command = [server_path(kind), "run", "--adapter", "caddyfile", "--config", str(file)]
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "out").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment)
    try:
        proxy = Served(kind, port, served.mount)
        eventually(lambda: proxy.get("/iiif/").status == 404, deadline_s=20)
        yield proxy
    finally:
        process.terminate()
        process.wait(15)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_proxy_hands_over_what_the_client_wrote(served: Served, kind: str, tmp_path: Path) -> None:
    with proxying(kind, tmp_path, served) as proxy:
        for path in (*INFO_URLS, *IMAGE_URLS):
            assert proxy.get(path).status == 200, path
        for path in BASE_URIS:
            assert proxy.get(path).headers["Location"] == f"https://{HOST}{path}/info.json"
        assert proxy.get(f"/iiif/3/{TRIP}a.jpg/full/full/0/default.jpg").status == 400
        for identifier in (f"{DIRECTORIES}a.jpg", f"{TRIP}a.jpg", f"{DIRECTORIES}{ENCODED}"):
            rest = f"{identifier}/full/full/0/default.jpg"
            answer = proxy.get(f"/fcgi-bin/iipsrv.fcgi?IIIF={rest}")
            assert (answer.status, answer.headers["Location"]) == (301, f"{OLD}/{rest}")
            assert proxy.get(f"/iiif/{rest}").status == 200
