"""The printed configurations under real servers, nginx, Caddy and Apache, on a plain tree that looks like a mount."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from iiiffs.web.page import page_policy
from iiiffs.web.site import Site
from tests.harness.servers import SERVERS, free_port
from tests.unit.web.sample_site import NASTY, NESTED, PATH_FOLDER, build_site, running

NOBODY = 65534
STRANGER = "https://evil.example"
SERVICE = "/home/iiif/3/a1"
SERVICE_2 = "/home/iiif/2/a1"
PATH_SERVICE = f"/home/iiif/3/{quote(PATH_FOLDER + '/a1.jpg', safe='')}"
ALBUM_MANIFEST = "/home/iiif/presentation/3/album-a/manifest.json"
IMAGE_CONTEXT = "http://iiif.io/api/image/3/context.json"
PRESENTATION_CONTEXT = "http://iiif.io/api/presentation/3/context.json"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True)
class Served:
    """A running site. `url`: base_url; paths in tests are below it."""

    url: str
    root: Path
    port: int
    prefix: str
    kind: str

    def ask(
        self, path: str, method: str = "GET", host: str | None = None, prefix: str | None = None, **headers: str
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        target = (self.prefix if prefix is None else prefix) + path
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        found = Answer(answer.status, answer.headers, answer.read())
        connection.close()
        return found


Serve = Callable[..., Served]


@pytest.fixture(scope="module")
def serve(open_folder: Path) -> Iterator[Serve]:
    """serve(kind, base="", **Site fields) -> Served; one server for equal arguments."""
    with ExitStack() as stack:
        started: dict[str, Served] = {}

        def start(kind: str, base: str = "", as_uid: int | None = None, **fields: object) -> Served:
            key = repr((kind, base, as_uid, sorted(fields.items())))
            if key not in started:
                port = free_port()
                url = base or f"http://127.0.0.1:{port}"
                folder = open_folder / f'{len(started)} $of (many) "{{x}}" [y] 100%'
                (folder / "run").mkdir(parents=True)
                (folder / "viewers" / "mirador").mkdir(parents=True)
                (folder / "viewers" / "mirador" / "mirador.min.js").write_text("let a = 1;\n" * 100)
                (folder / "viewers" / "uv.html").write_text("<!doctype html>")
                build_site(folder / "mount", url)
                user = "root" if kind == "nginx" and os.geteuid() == 0 and as_uid is None else ""
                site = Site(
                    root=str(folder / "mount"),
                    listen=f"127.0.0.1:{port}",
                    base_url=url,
                    viewers=str(folder / "viewers"),
                    run_dir=str(folder / "run"),
                    user=user,
                    workers=1,
                    secret="0123456789abcdef",
                    **fields,  # type: ignore[arg-type]
                )
                stack.enter_context(running(kind, site, as_uid=as_uid))
                prefix = "/" + url.split("/", 3)[3] if url.count("/") > 2 else ""
                started[key] = Served(url, folder / "mount", port, prefix, kind)
            return started[key]

        yield start


@pytest.fixture(scope="module", params=[f"{kind} {how}" for kind in SERVERS for how in ("plain", "prefix", "nobody")])
def site(request: pytest.FixtureRequest, serve: Serve) -> Served:
    """The same tests for: no prefix; a prefix and a public name behind a proxy; a server started as nobody."""
    kind, how = request.param.split()
    if how == "prefix":
        return serve(kind, "https://photos.example.org/ii.if/v1")
    if how == "nobody":
        if os.geteuid() != 0:
            pytest.skip("only root can start a server as another user")
        return serve(kind, as_uid=NOBODY)
    return serve(kind)


@pytest.fixture(scope="module", params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    ("path", "status", "media_type"),
    [
        ("/", 200, "text/html; charset=utf-8"),
        ("/index.html", 200, "text/html; charset=utf-8"),
        ("/collection.json", 200, f'application/ld+json;profile="{PRESENTATION_CONTEXT}"'),
        ("/home/", 200, "text/html; charset=utf-8"),
        ("/home/collection.json", 200, f'application/ld+json;profile="{PRESENTATION_CONTEXT}"'),
        ("/home/files/Alps/manifest.json", 200, f'application/ld+json;profile="{PRESENTATION_CONTEXT}"'),
        (
            "/home/iiif/presentation/3/album-a/manifest.json",
            200,
            f'application/ld+json;profile="{PRESENTATION_CONTEXT}"',
        ),
        (f"{SERVICE}/info.json", 200, f'application/ld+json;profile="{IMAGE_CONTEXT}"'),
        (f"{SERVICE}/full/400,/0/default.jpg", 200, "image/jpeg"),
        (f"{SERVICE}/full/400,/0/default.webp", 200, "image/webp"),
        (f"{SERVICE}/full/^400,/0/default.jpg", 200, "image/jpeg"),
        (f"{SERVICE}/full/%5E400%2C/0/default.jpg", 200, "image/jpeg"),
        (f"{SERVICE}/full/!400,400/0/default.jpg", 200, "image/jpeg"),
        (f"{SERVICE}/full/%21400%2c400/0/default.jpg", 200, "image/jpeg"),
        (f"{SERVICE}/full/%6Dax/0/default.jpg", 200, "image/jpeg"),
        (f"{SERVICE}/full/400,/0/default.jpg?v=1", 200, "image/jpeg"),
        ("/home/files/Alps/IMG_0001.jpg", 200, "image/jpeg"),
        (f"/home/files/Alps/{quote(NASTY)}.jpg", 200, "image/jpeg"),
        (f"/home/files/Alps/{quote(NESTED)}/", 200, "text/html; charset=utf-8"),
        (f"/home/files/Alps/{quote(NESTED)}/{quote('Été 100%.jpg')}", 200, "image/jpeg"),
        ("/home/files/evil.html", 200, "application/octet-stream"),
        ("/home/files/iiif/scans/real.txt", 200, "text/plain; charset=utf-8"),
        ("/home/files/drawing.svg", 200, "image/svg+xml"),
        # bad parameters of an image that exists; an image that does not
        (f"{SERVICE}/full/0,0/0/default.jpg", 400, None),
        (f"{SERVICE}/x/max/0/default.jpg", 400, None),
        (f"{SERVICE}/full/max/0/default.exe", 400, None),
        (f"{SERVICE}/full/%0d%0aX-Evil:1/0/default.jpg", 404, None),
        (f"{SERVICE}/full/max/0", 404, None),
        (f"{SERVICE}/full/max/0/", 404, None),
        (f"{SERVICE}/full/0,0/0/default.jpg/", 404, None),
        ("/home/iiif/3/", 404, None),
        ("/home/files/iiif/", 404, None),
        (f"{PATH_SERVICE}/info.json", 200, f'application/ld+json;profile="{IMAGE_CONTEXT}"'),
        (f"{PATH_SERVICE}/full/400,/0/default.jpg", 200, "image/jpeg"),
        (f"{PATH_SERVICE}/full/401,/0/default.jpg", 400, None),
        (f"{PATH_SERVICE}x/full/400,/0/default.jpg", 404, None),
        (f"{SERVICE_2}/info.json", 200, "application/json"),
        ("/home/files/iiif/export/info.json", 200, "application/json"),
        ("/home/files/iiif/export/full/max/0/default.jpg", 200, "image/jpeg"),
        ("/home/files/iiif/marked/info.json", 200, "application/json"),
        (f"{SERVICE}/full/none", 404, None),
        ("/home/iiif/3/unknown/full/max/0/default.jpg", 404, None),
        ("/home/iiif/3/unknown/info.json", 404, None),
        ("/home/iiif/3/unknown", 404, None),
        ("/home/files/Alps/iiif/unknown.jpg/full/max/0/default.jpg", 404, None),
        ("/home/files/Alps/iiif/unknown.jpg", 404, None),
        ("/home/nothing", 404, None),
        (f"/home/{'n' * 300}", 404, None),
        ("/home/files/Alps/IMG_0001.jpg/", 404, None),
        ("/.iiiffs/status.json", 404, None),
        ("/.iiiffs/", 404, None),
        ("/.iiiffs", 404, None),
        ("/%2eiiiffs/status.json", 404, None),
        ("//.iiiffs/status.json", 404, None),
        ("/home/../.iiiffs/status.json", 404, None),
        ("/.viewers/mirador/mirador.min.js", 200, "text/javascript; charset=utf-8"),
        ("/.viewers/uv.html", 200, "text/html; charset=utf-8"),
        ("/.viewers/versions.json", 204, None),
        ("/.viewers/nothing.js", 404, None),
        ("/.viewers/../.iiiffs/status.json", 404, None),
        ("/.viewers%2f..%2f.iiiffs/status.json", 404, None),
    ],
)
def test_status_and_media_type(site: Served, path: str, status: int, media_type: str | None) -> None:
    answer = site.ask(path)
    assert answer.status == status
    if media_type is not None:
        assert answer.headers["Content-Type"] == media_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "X-Evil" not in answer.headers
    head = site.ask(path, method="HEAD")
    assert (head.status, head.body) == (status, b"")
    # Of an error, HEAD need not tell the length (Caddy, Apache). Rule: RFC 9110 §9.3.2
    lengths = {answer.headers["Content-Length"]} | (set() if status == 200 else {None})
    assert head.headers["Content-Length"] in lengths


@pytest.mark.parametrize("slash", ["", "/", "?x=/iiif/3/y"])
@pytest.mark.parametrize(("service", "key"), [(SERVICE, "id"), (PATH_SERVICE, "id"), (SERVICE_2, "@id")])
def test_base_uri_leads_to_info_json_by_303_and_an_absolute_uri(
    site: Served, service: str, key: str, slash: str
) -> None:
    answer = site.ask(service + slash)
    assert answer.status == 303
    assert answer.headers["Location"] == f"{site.url}{service}/info.json"
    assert json.loads(site.ask(f"{service}/info.json").body)[key] == site.url + service


def test_info_json_of_version_2_is_what_accept_asks_for(site: Served) -> None:
    for accept, media_type in ((None, "application/json"), ("application/ld+json", "application/ld+json")):
        answer = site.ask(f"{SERVICE_2}/info.json", **({} if accept is None else {"Accept": accept}))
        assert answer.headers["Content-Type"] == media_type
        assert "Accept" in re.split(", ?", ", ".join(answer.headers.get_all("Vary", [])))


def test_a_file_that_looks_like_a_template_is_no_template(site: Served) -> None:
    path = site.root / "home" / "files" / "iiif" / "marked" / "info.json"
    assert site.ask("/home/files/iiif/marked/info.json").body == path.read_bytes()


@pytest.mark.parametrize(
    ("tail", "rest"),
    [
        ("", "/info.json"),
        ("/", "/info.json"),
        ("/info.json", "/info.json"),
        ("/full/400,/0/default.jpg", "/full/400,/0/default.jpg"),
        ("/full/%5E400,/0/default.jpg", "/full/%5E400,/0/default.jpg"),
        ("/full/400,/0/default.jpg?a=/iiif/b", "/full/400,/0/default.jpg"),
        ("/full/nonsense/0/default.jpg", "/full/nonsense/0/default.jpg"),
        ("/full/%250d%250a/0/default.jpg", "/full/%250d%250a/0/default.jpg"),
    ],
)
@pytest.mark.parametrize(
    ("album", "name", "asset"),
    [
        ("Alps", "IMG_0001.jpg", "a1"),
        ("Alps", f"{NASTY}.jpg", "a3"),
        (f"Alps/{NESTED}", "Été 100%.jpg", "b1"),
    ],
)
def test_alias_leads_to_the_stable_uri(site: Served, album: str, name: str, asset: str, tail: str, rest: str) -> None:
    answer = site.ask(f"/home/files/{quote(album)}/iiif/{quote(name)}{tail}")
    assert answer.status == 303
    assert answer.headers["Location"] == f"{site.url}/home/iiif/3/{asset}{rest}"


def test_directory_without_its_slash_stays_on_the_host_that_was_asked(site: Served) -> None:
    answer = site.ask("/home/files/Alps", host="localhost:9999")
    assert (answer.status, path_on(answer, "localhost:9999")) == (301, f"{site.prefix}/home/files/Alps/")
    nested = site.ask(f"/home/files/Alps/{quote(NESTED)}?x=y")
    assert nested.status == 301
    followed = site.ask(path_on(nested, f"127.0.0.1:{site.port}"), prefix="")
    assert followed.status == 200
    assert followed.body == (site.root / "home/files/Alps" / NESTED / "index.html").read_bytes()
    doubled = site.ask(f"/{site.prefix}/home", prefix="")
    if doubled.status == 301:
        assert not path_on(doubled, f"127.0.0.1:{site.port}").startswith("//")
    public = site.ask("/home/files/Alps", host=site.url.split("/")[2])
    if site.kind == "apache":
        assert public.headers["Location"] == f"{site.url}/home/files/Alps/"


def path_on(answer: Answer, host: str) -> str:
    """The path of a Location that is one, or that names the host that was asked (Apache knows absolute ones alone)."""
    return answer.headers["Location"].removeprefix(f"http://{host}")


def test_foreign_host_names_learn_nothing(site: Served) -> None:
    own = site.url.split("/")[2]
    for host in (own, own.upper(), f"localhost:{site.port}", "localhost", "127.0.0.1:1", "[::1]:80"):
        assert site.ask("/", host=host).status == 200, host
    for host in ("evil.example", f"evil.example:{site.port}", "localhost.evil.example", "127.0.0.2", "0.0.0.0", "x"):
        answer = site.ask("/", host=host, Origin=f"http://{host}")
        assert answer.status == 421, host
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert b"iiiffs" not in answer.body


def test_a_request_without_a_host_learns_nothing(site: Served) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as stream:
        stream.sendall(f"GET {site.prefix}/ HTTP/1.0\r\n\r\n".encode())
        assert b" 421 " in stream.recv(64)


def test_ipv6_loopback(open_folder: Path, kind: str) -> None:
    try:
        port = free_port("::1")
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    folder = open_folder / f"ipv6-{kind}"
    (folder / "run").mkdir(parents=True)
    (folder / "mount").mkdir()
    (folder / "mount" / "a.txt").write_text("a")
    config = Site(
        root=str(folder / "mount"),
        listen=f"[::1]:{port}",
        base_url=f"http://[::1]:{port}",
        viewers=str(folder / "viewers"),
        run_dir=str(folder / "run"),
        user="root" if kind == "nginx" and os.geteuid() == 0 else "",
        secret="0123456789abcdef",
    )
    with running(kind, config):
        connection = http.client.HTTPConnection("::1", port, timeout=10)
        connection.request("GET", "/a.txt", headers={"Origin": config.base_url})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"a")
        assert answer.headers["Access-Control-Allow-Origin"] == config.base_url
        connection.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "MKCOL"])
@pytest.mark.parametrize("path", ["/", f"{SERVICE}/info.json", SERVICE, "/home/nothing", "/.viewers/uv.html"])
def test_other_methods_are_405(site: Served, method: str, path: str) -> None:
    answer = site.ask(path, method=method)
    assert answer.status == 405
    # Apache adds an empty one of its own: an empty element of a list means nothing. Rule: RFC 9110 §5.6.1
    assert [value for value in answer.headers.get_all("Allow", []) if value] == ["GET, HEAD, OPTIONS"]


EVERY_KIND = [
    ("/", 200),
    (f"{SERVICE}/info.json", 200),
    (f"{SERVICE}/full/400,/0/default.jpg", 200),
    (SERVICE, 303),
    ("/home/files/Alps/iiif/IMG_0001.jpg", 303),
    ("/home/files/Alps", 301),
    (f"{SERVICE}/full/bad/0/default.jpg", 400),
    ("/home/nothing", 404),
    ("/.iiiffs/", 404),
]


@pytest.mark.parametrize(("path", "status"), EVERY_KIND)
@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        ((), None, None),
        ((), STRANGER, None),
        ((), "null", None),
        ((), "https://own.example", "https://own.example"),
        ((), "https://own.example.evil.example", None),
        ((), "http://own.example", None),
        (("https://a.example", "http://b.example:81"), "https://a.example", "https://a.example"),
        (("https://a.example", "http://b.example:81"), "http://b.example:81", "http://b.example:81"),
        (("https://a.example", "http://b.example:81"), "http://b.example", None),
        (("https://a.example", "http://b.example:81"), "https://own.example", None),
        (("*",), STRANGER, "*"),
        (("*",), None, "*"),
    ],
)
def test_cors_is_on_every_answer_for_allowed_origins_alone(
    serve: Serve, kind: str, path: str, status: int, allowed: tuple[str, ...], origin: str | None, expected: str | None
) -> None:
    site = serve(kind, "https://own.example/", allow_origins=allowed)
    asked = {} if origin is None else {"Origin": origin}
    answer = site.ask(path, prefix="", **asked)
    assert answer.status == status
    assert answer.headers.get_all("Access-Control-Allow-Origin", [None]) == [expected]
    assert ("Access-Control-Expose-Headers" in answer.headers) == (expected is not None)
    varies = any("Origin" in value for value in answer.headers.get_all("Vary", []))
    assert varies == (allowed != ("*",))
    preflight = site.ask(path, method="OPTIONS", prefix="", Access_Control_Request_Method="GET", **asked)
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["Access-Control-Allow-Origin"] == expected
    methods = preflight.headers["Access-Control-Allow-Methods"]
    assert methods == ("GET, HEAD, OPTIONS" if expected else None)
    assert "Access-Control-Allow-Methods" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"method": "HEAD"}, 200),
        ({"Range": "bytes=0-9"}, 206),
        ({"Range": "bytes=99999999-"}, 416),
        ({"If_None_Match": "TAG"}, 304),
        ({"method": "POST"}, 405),
    ],
)
@pytest.mark.parametrize("path", [f"{SERVICE}/full/400,/0/default.jpg", "/home/files/Alps/IMG_0001.jpg"])
@pytest.mark.parametrize("origin", ["https://own.example", STRANGER])
def test_cors_is_on_partial_unchanged_and_refused_answers(
    serve: Serve, kind: str, path: str, asked: dict[str, str], status: int, origin: str
) -> None:
    site = serve(kind, "https://own.example/")
    tag = site.ask(path, prefix="").headers["ETag"]
    answer = site.ask(path, prefix="", Origin=origin, **{name: tag if v == "TAG" else v for name, v in asked.items()})
    assert answer.status == status
    expected = None if origin == STRANGER else origin
    assert answer.headers.get_all("Access-Control-Allow-Origin", [None]) == [expected]
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert sum("Origin" in value for value in answer.headers.get_all("Vary", [])) == 1


@pytest.mark.parametrize("path", ["/", "/home/files/Alps/manifest.json", f"{SERVICE}/info.json", "/collection.json"])
def test_documents_are_compressed(site: Served, path: str) -> None:
    plain, packed = site.ask(path), site.ask(path, Accept_Encoding="gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
    assert gzip.decompress(packed.body) == plain.body
    assert any("Accept-Encoding" in value for value in packed.headers.get_all("Vary", []))
    tag = packed.headers["ETag"]
    assert site.ask(path, Accept_Encoding="gzip", If_None_Match=tag).status == 304


def test_pictures_are_not_compressed_again(site: Served) -> None:
    answer = site.ask(f"{SERVICE}/full/400,/0/default.jpg", Accept_Encoding="gzip")
    assert "Content-Encoding" not in answer.headers


def test_ranges_and_revalidation(site: Served) -> None:
    path = "/home/files/Alps/IMG_0001.jpg"
    whole = (site.root / "home/files/Alps/IMG_0001.jpg").read_bytes()
    answer = site.ask(path)
    assert answer.body == whole
    assert answer.headers["Accept-Ranges"] == "bytes"
    part = site.ask(path, Range="bytes=100-199")
    assert (part.status, part.body) == (206, whole[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    assert site.ask(path, Range=f"bytes={len(whole)}-").status == 416
    assert site.ask(path, Range="bytes=0-9", If_Range='"other"').status == 200
    assert site.ask(path, If_None_Match=answer.headers["ETag"]).status == 304
    assert site.ask(path, If_Modified_Since=answer.headers["Last-Modified"]).status == 304
    assert site.ask(path, If_None_Match='"other"').status == 200


def test_only_the_pages_run_scripts(site: Served) -> None:
    own = page_policy("") + "; frame-ancestors 'self'"
    for path in ("/", "/index.html", "/home/files/Alps/"):
        assert site.ask(path).headers["Content-Security-Policy"] == own
    for path in ("/home/files/drawing.svg", "/home/files/evil.html", "/home/files/Alps/IMG_0001.jpg", "/home/nothing"):
        policy = site.ask(path).headers["Content-Security-Policy"]
        assert "sandbox" in policy
        assert "script-src" not in policy
        assert "default-src 'none'" in policy
    assert site.ask("/.viewers/uv.html").headers["Content-Security-Policy"] == "frame-ancestors 'self'"


def test_a_prefix_is_the_whole_site(serve: Serve, kind: str) -> None:
    site = serve(kind, "https://photos.example.org/ii.if/v1")
    assert path_on(site.ask("/ii.if/v1", prefix=""), f"127.0.0.1:{site.port}") == "/ii.if/v1/"
    for path in ("/", "/home/", "/collection.json", "/iixif/v1/", "/ii.if/v1x/", "/.viewers/uv.html", "/index.html"):
        assert site.ask(path, prefix="").status == 404, path
    answer = site.ask(SERVICE, host="photos.example.org")
    assert answer.headers["Location"] == f"https://photos.example.org/ii.if/v1{SERVICE}/info.json"


def test_no_version_is_told(site: Served) -> None:
    assert (
        site.ask("/home/nothing").headers["Server"]
        == {"nginx": "nginx", "caddy": "Caddy", "apache": "Apache"}[site.kind]
    )
