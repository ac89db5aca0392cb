"""What a client meets on a mount, the same behind nginx, Caddy and Apache: forms, ranges, origins, names, HTTP/2."""

from __future__ import annotations

import gzip
import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.harness.mount import Mount, mounted, start, take_down, write_config
from tests.harness.servers import SERVERS, alarms, free_port, printed
from tests.mount.pictures import picture
from tests.mount.served import crawl

pytestmark = pytest.mark.mount

NAME = "Été 100% [x] #1, @home!.png"
ALBUM = "Ünï & cödé"
STRANGER = "https://evil.example"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True)
class Served:
    """A mount behind the server `kind`. `service`: the path of the image NAME in ALBUM."""

    kind: str
    port: int
    http2_port: int
    mount: Mount
    service: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET", host: str | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        found = Answer(answer.status, answer.headers, answer.read())
        connection.close()
        return found


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("servers")
    photos = folder / "photos"
    picture(photos / ALBUM / NAME, 1, (640, 480))
    picture(photos / "plain.jpg", 2, (300, 200))
    config = write_config(folder, photos, base_url=f"http://127.0.0.1:{port}", extra='identifiers = "path"')
    with mounted(folder, photos, config=config) as mount:
        yield mount


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, daemon: Mount, port: int) -> Iterator[Served]:
    """The same mount behind each of the servers, one after the other, as printed for base_url's own origin."""
    kind, http2_port = str(request.param), free_port()
    http2_port = http2_port if kind == "nginx" else port
    info = json.loads((daemon.files / ALBUM / "iiif" / NAME / "info.json").read_text())
    service = info["id"].removeprefix(f"http://127.0.0.1:{port}")
    with printed(kind, daemon.root, daemon.folder / kind, port, http2_port=http2_port) as errors:
        yield Served(kind, port, http2_port, daemon, service)
    assert not alarms(errors)


@pytest.mark.parametrize(
    "form",
    [
        "full/^1280,/0/default.jpg", "full/%5E1280,/0/default.jpg", "full/%5e1280%2C/0/default.jpg",
        "full/!200,200/0/default.jpg", "full/%21200%2c200/0/default.jpg", "full/pct:50/0/default.jpg",
        "full/pct%3A50/0/default.jpg", "0,0,64,64/64,/!90/gray.png", "0%2C0%2C64%2C64/64%2C/%2190/gray.png",
        "%66ull/m%61x/0/def%61ult%2Ejpg", "square/32,32/22.5/default.png", "full/max/0/default.jpg?x=/full/none/0/a",
    ],
)  # fmt: skip
def test_a_form_is_one_picture_however_it_is_encoded(site: Served, form: str) -> None:
    answer = site.ask(f"{site.service}/{form}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == ("image/png" if "png" in form else "image/jpeg")
    plain = form.split("?")[0]
    for code, character in (("%5E", "^"), ("%5e", "^"), ("%2C", ","), ("%2c", ","), ("%21", "!"), ("%3A", ":"),
                            ("%66", "f"), ("%61", "a"), ("%2E", ".")):  # fmt: skip
        plain = plain.replace(code, character)
    kernel = site.mount.root / site.service.removeprefix("/") / plain
    assert answer.body == kernel.read_bytes()


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("full/full/0/default.jpg", 400), ("full/1280,/0/default.jpg", 400), ("full/0,/0/default.jpg", 400),
        ("640,0,10,10/max/0/default.jpg", 400), ("full/max/361/default.jpg", 400), ("full/max/0/native.jpg", 400),
        ("full/max/0/default.bmp", 400), ("full/max/0/default", 400),
        ("full/max/0", 404), ("full/max", 404), ("full/max/0/default.jpg/", 404), ("info.xml", 404),
    ],
)  # fmt: skip
def test_what_the_image_refuses(site: Served, form: str, status: int) -> None:
    """400 for bad parameters; 404 for what are no four parameters. Rule: Image API 3.0 §7.3"""
    assert site.ask(f"{site.service}/{form}").status == status


def test_an_unknown_image_is_404(site: Served) -> None:
    for path in (f"{site.service}x", f"{site.service}x/info.json", f"{site.service}x/full/max/0/default.jpg"):
        answer = site.ask(path, Origin=site.url)
        assert answer.status == 404
        assert answer.headers["Access-Control-Allow-Origin"] == site.url


def test_an_identifier_that_is_a_path(site: Served) -> None:
    """Rule: [account.X] identifiers = "path" (docs/CONFIG.md): the slash stays encoded in every URI that is told."""
    identifier = quote(f"{ALBUM}/{NAME}", safe="")
    for version, key in (("3", "id"), ("2", "@id")):
        service = f"/pictures/iiif/{version}/{identifier}"
        info = site.ask(f"{service}/info.json")
        assert info.status == 200, info.body
        assert json.loads(info.body)[key] == site.url + service
        for base in (service, f"{service}/", f"{service}?x=y"):
            answer = site.ask(base)
            assert (answer.status, answer.headers["Location"]) == (303, f"{site.url}{service}/info.json")
        assert site.ask(f"{service}/full/100,/0/default.jpg").status == 200
        assert site.ask(f"{service}/full/0,/0/default.jpg").status == 400
        assert site.ask(f"{service}x/full/100,/0/default.jpg").status == 404


def test_an_alias_leads_to_the_uri_that_lasts(site: Served) -> None:
    alias = f"/pictures/files/{quote(ALBUM)}/iiif/{quote(NAME)}"
    for tail, rest in (("", "/info.json"), ("/", "/info.json"), ("/full/%5E1280,/0/default.jpg?x",) * 2):
        answer = site.ask(alias + tail)
        assert answer.status == 303
        assert answer.headers["Location"] == f"{site.url}{site.service}{rest.split('?')[0]}"
    assert site.ask(f"{alias}x/full/max/0/default.jpg").status == 404


def test_every_uri_of_every_document_answers(site: Served) -> None:
    answers = crawl(site.url, [f"{site.url}/collection.json"])
    assert len(answers) > 10
    for uri, answer in answers.items():
        if uri.endswith(("manifest.json", "collection.json", "info.json")):
            media_type = answer.headers["content-type"]
            assert media_type.startswith("application/ld+json;profile=") or "/iiif/2/" in uri, uri


def test_ranges_and_revalidation(site: Served) -> None:
    original = f"/pictures/files/{quote(ALBUM)}/{quote(NAME)}"
    for path in (original, f"{site.service}/full/max/0/default.jpg"):
        whole = site.ask(path)
        size, tag = len(whole.body), whole.headers["ETag"]
        for asked, part in (("0-9", slice(0, 10)), ("-5", slice(size - 5, size)), ("7-", slice(7, size))):
            answer = site.ask(path, Range=f"bytes={asked}", Origin=site.url)
            assert (answer.status, answer.body) == (206, whole.body[part])
            assert answer.headers["Access-Control-Allow-Origin"] == site.url
            assert answer.headers["Content-Range"].endswith(f"/{size}")
        assert site.ask(path, Range=f"bytes={size}-").status == 416
        assert site.ask(path, If_None_Match=tag).status == 304
        assert site.ask(path, If_None_Match=f'"x", {tag}').status == 304
        assert site.ask(path, If_Modified_Since=whole.headers["Last-Modified"]).status == 304
        assert site.ask(path, Range="bytes=0-9", If_Range='"x"').body == whole.body


def test_origins_and_names(site: Served) -> None:
    for path in ("/collection.json", f"{site.service}/full/max/0/default.jpg", f"{site.service}/full/x/0/default.jpg"):
        for origin, expected in ((site.url, site.url), (STRANGER, None), ("null", None)):
            answer, asked = site.ask(path, Origin=origin), site.ask(path, method="OPTIONS", Origin=origin)
            assert asked.status == 204
            for headers in (answer.headers, asked.headers):
                assert headers.get_all("Access-Control-Allow-Origin", [None]) == [expected]
        assert site.ask(path, host="evil.example").status == 421
        assert site.ask(path, method="POST").status == 405
    assert site.ask("/.iiiffs/status.json").status == 404


def test_documents_are_compressed(site: Served) -> None:
    for path in ("/", "/pictures/files/collection.json", f"/pictures/files/{quote(ALBUM)}/manifest.json"):
        packed, plain = site.ask(path, Accept_Encoding="gzip"), site.ask(path)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert site.ask(path, Accept_Encoding="gzip", If_None_Match=packed.headers["ETag"]).status == 304


def test_http_2(site: Served, tmp_path: Path) -> None:
    """By prior knowledge, in clear text. Rule: RFC 9113 §3.3"""
    said = tmp_path / "picture"
    url = f"http://127.0.0.1:{site.http2_port}{site.service}"
    command = ["curl", "-s", "--http2-prior-knowledge", "-o", str(said), "-w", "%{http_version} %{http_code}"]
    for form, status in (("full/max/0/default.jpg", 200), ("full/nothing/0/default.jpg", 400)):
        done = subprocess.run([*command, f"{url}/{form}"], capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout == f"2 {status}"
        if status == 200:
            assert said.read_bytes() == site.ask(f"{site.service}/{form}").body


def test_a_mount_that_is_gone_is_no_miss(tmp_path: Path) -> None:
    """What a lookup fails with, if not ENOENT (ENOTCONN here, EIO of a provider that is away), is nobody's mistake."""
    ports = {kind: free_port() for kind in SERVERS}
    picture(tmp_path / "photos" / "plain.jpg", 2, (300, 200))
    mount = start(tmp_path, tmp_path / "photos")
    try:
        service = (mount.files / "iiif" / "plain.jpg").resolve().relative_to(mount.root)
        with ExitStack() as stack:
            for kind, port in ports.items():
                stack.enter_context(printed(kind, mount.root, tmp_path / kind, port))
            rendition = f"/{service}/full/10,/0/default.jpg"
            assert {Served(kind, port, 0, mount, "").ask(rendition).status for kind, port in ports.items()} == {200}
            mount.kill()
            rendition, original = f"/{service}/full/11,/0/default.jpg", "/pictures/files/plain.jpg"
            for kind, port in ports.items():
                site = Served(kind, port, 0, mount, "")
                assert site.ask(rendition).status == 500, kind
                assert site.ask(original).status == (403 if kind == "apache" else 500), kind
    finally:
        take_down(mount)
