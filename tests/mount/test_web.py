"""Each of the three web servers on the mount: the official validator, entity tags over a restart, files replaced."""

from __future__ import annotations

import http.client
import io
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from iiiffs.render.sample import write_sample_gallery
from tests.harness.mount import Mount, check_log, mounted, release, start, write_config
from tests.harness.servers import SERVERS, alarms, free_port, printed

pytestmark = pytest.mark.mount

VALIDATOR = Path(__file__).parents[2] / ".tools" / "validator" / "bin"
SEEN_S = 4.0
"""A change underneath is seen within 3 s by the mount, and nginx keeps a handle 1 s more."""
EVERYONE = ("*",)
"""What the validator asks for."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def get(port: int, path: str, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def photos(folder: Path) -> Path:
    write_sample_gallery(folder / "photos")
    return folder / "photos"


@pytest.fixture(scope="module")
def daemon(folder: Path, photos: Path, port: int) -> Iterator[Mount]:
    config = write_config(folder, photos, base_url=f"http://127.0.0.1:{port}")
    with mounted(folder, photos, config=config) as mount:
        yield mount


@pytest.fixture(scope="module", params=SERVERS)
def mount(request: pytest.FixtureRequest, daemon: Mount, folder: Path, port: int) -> Iterator[Mount]:
    """The same mount behind each of the servers."""
    with printed(request.param, daemon.root, folder / request.param, port, allow_origins=EVERYONE) as errors:
        yield daemon
    assert not alarms(errors)


def service_of(mount: Mount, path: str, port: int) -> str:
    """The path part of the service's URI."""
    info = json.loads((mount.files / Path(path).parent / "iiif" / Path(path).name / "info.json").read_text())
    return str(info["id"]).removeprefix(f"http://127.0.0.1:{port}")


def validate(mount: Mount, port: int, photos: Path, version: str) -> tuple[str, str]:
    """What the official validator says of its own test picture at level 2; and the path of the picture's service."""
    picture = photos / "validator.png"
    if not picture.exists():
        paint_validator_picture(picture)
    deadline = time.monotonic() + SEEN_S
    while not (mount.files / "iiif" / picture.name).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    service = service_of(mount, picture.name, port)
    if version == "2.0":
        service = service.replace("/iiif/3/", "/iiif/2/")
    prefix, _, asset = service.strip("/").rpartition("/")
    command = [
        str(VALIDATOR / "python"), str(VALIDATOR / "iiif-validate.py"), "-s", f"127.0.0.1:{port}", "-p", prefix,
        "-i", asset, "--version", version, "--level", "2", "-v",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr, service


def test_the_official_validator(mount: Mount, port: int, photos: Path) -> None:
    """iiif-validator 1.0.5, Image API 3.0 level 2, on its own test picture: 33 tests.

    One cannot pass: the last step of `size_noup` wants 400 for `!2000,3000` of a 1000 px picture, where the API says
    that the answer "MUST be as large as possible but not larger than the extracted region" (§4.2, `!w,h`). Its other
    four steps are asked here.
    """
    said, service = validate(mount, port, photos, "3.0")
    assert re.findall(r"test (\w+) FAIL", said) == ["size_noup"], said
    assert "checkSize(result, '!2000,3000')" in said, "size_noup fails at another step"
    assert len(re.findall(r"test \w+ PASS", said)) == 32
    for size in ("1500,1500", ",1500", "1500,", "pct:200"):
        assert get(port, f"{service}/full/{size}/0/default.jpg").status == 400, size
    fitted = get(port, f"{service}/full/!2000,3000/0/default.png")
    assert Image.open(io.BytesIO(fitted.body)).size == (1000, 1000)


def test_the_official_validator_of_version_2(mount: Mount, port: int, photos: Path) -> None:
    """The same validator's tests of Image API 2.x at level 2, on iiif/2: all of them pass."""
    said, _ = validate(mount, port, photos, "2.0")
    assert re.findall(r"test (\w+) FAIL", said) == [], said
    assert len(re.findall(r"test \w+ PASS", said)) >= 25, said


def paint_validator_picture(path: Path) -> None:
    """The validator's test picture, 10 x 10 squares of 100 px, from the table of colours in its own source."""
    question = (
        "import json; from iiif_validator.validator import ValidationInfo; "
        "print(json.dumps(ValidationInfo().colorInfo))"
    )
    said = subprocess.run(
        [str(VALIDATOR / "python"), "-c", question], capture_output=True, text=True, check=True
    ).stdout
    picture = Image.new("RGB", (1000, 1000))
    for column, colours in enumerate(json.loads(said.splitlines()[-1])):
        for row, colour in enumerate(colours):
            picture.paste(tuple(colour), (100 * column, 100 * row, 100 * column + 100, 100 * row + 100))
    picture.save(path)


def test_statuses_and_types(mount: Mount, port: int) -> None:
    service = service_of(mount, "Fjord trip/Evening light.jpg", port)
    assert get(port, f"{service}/full/400,/0/default.jpg").headers["content-type"] == "image/jpeg"
    info = get(port, f"{service}/info.json")
    assert info.headers["content-type"] == 'application/ld+json;profile="http://iiif.io/api/image/3/context.json"'
    base = get(port, service)
    assert (base.status, base.headers["location"]) == (303, f"http://127.0.0.1:{port}{service}/info.json")
    alias = get(port, "/pictures/files/Fjord%20trip/iiif/Evening%20light.jpg/full/400,/0/default.jpg")
    assert alias.status == 303
    assert alias.headers["location"] == f"http://127.0.0.1:{port}{service}/full/400,/0/default.jpg"
    for bad in (
        "full/full/0/default.jpg",
        "full/400,/361/default.jpg",
        "full/6001,/0/default.jpg",
        "x/max/0/default.jpg",
    ):
        assert get(port, f"{service}/{bad}").status == 400, bad
    assert get(port, f"{service}x/full/max/0/default.jpg").status == 404
    assert get(port, "/.iiiffs/status.json").status == 404
    manifest = get(port, "/pictures/files/Fjord%20trip/manifest.json", Accept_Encoding="gzip")
    assert manifest.headers["content-encoding"] == "gzip"
    for canvas in json.loads(get(port, "/pictures/files/Fjord%20trip/manifest.json").body)["items"]:
        body = canvas["items"][0]["items"][0]["body"]
        for uri in (body["id"], canvas["thumbnail"][0]["id"], canvas["rendering"][0]["id"]):
            answer = get(port, uri.removeprefix(f"http://127.0.0.1:{port}"))
            assert answer.status == 200, uri


def test_every_uri_of_the_documents_answers(mount: Mount, port: int) -> None:
    """From the topmost collection down: documents, pages, services, thumbnails."""
    waiting, seen = [f"http://127.0.0.1:{port}/collection.json"], set()
    while waiting:
        uri = waiting.pop()
        if uri in seen:
            continue
        seen.add(uri)
        answer = get(port, uri.removeprefix(f"http://127.0.0.1:{port}"))
        assert answer.status == 200, uri
        if uri.endswith(".json"):
            document = json.loads(answer.body)
            assert document["id"] == uri
            for item in document.get("items", []):
                if item["type"] in ("Collection", "Manifest"):
                    waiting.append(item["id"])
                    waiting += [page["id"] for page in item["homepage"]]
                waiting += [image["id"] for image in item.get("thumbnail", [])]
    assert len(seen) > 12


def test_entity_tags_are_the_same_after_a_restart_and_without_the_cache(tmp_path: Path, photos: Path) -> None:
    port = free_port()
    config = write_config(tmp_path, photos, base_url=f"http://127.0.0.1:{port}")
    tags: dict[str, list[dict[str, str]]] = {}
    for clear in (False, True, False):
        mount = start(tmp_path, photos, config=config)
        try:
            service = service_of(mount, "Compass.png", port)
            paths = [
                f"{service}/info.json", f"{service}/full/!100,100/0/default.jpg", "/pictures/files/Compass.png",
                "/pictures/files/manifest.json", "/collection.json", "/pictures/collection.json", "/index.html",
            ]  # fmt: skip
            for kind in SERVERS:
                with printed(kind, mount.root, tmp_path / kind, port):
                    tags.setdefault(kind, []).append(entity_tags(port, paths))
            assert mount.stop() == 0
        finally:
            release(mount.root)
        check_log(mount)
        if clear:
            subprocess.run(["rm", "-r", str(tmp_path / "cache")], check=True)
    for kind in SERVERS:
        assert tags[kind][0] == tags[kind][1] == tags[kind][2], kind


def entity_tags(port: int, paths: list[str]) -> dict[str, str]:
    """Each path's ETag, which is answered by 304."""
    answers = {path: get(port, path) for path in paths}
    assert {answer.status for answer in answers.values()} == {200}
    for path, answer in answers.items():
        assert get(port, path, If_None_Match=answer.headers["etag"]).status == 304
    # Apache's tag is a weak one in the second after the file's time. Rule: RFC 9110 §8.8.1
    return {path: answer.headers["etag"].removeprefix("W/") for path, answer in answers.items()}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_picture_replaced_under_load_is_old_or_new_and_never_both(tmp_path: Path, kind: str) -> None:
    port, photos = free_port(), tmp_path / "photos"
    photos.mkdir()
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    for number, colour in enumerate(colours):
        # Apache takes a file's length before it opens it (docs/SEMANTICS.md): a new one may be cut
        width = 800 if kind == "apache" else 800 + 8 * number
        Image.new("RGB", (width, 600), colour).save(tmp_path / f"{number}.bmp")
    (tmp_path / "0.bmp").rename(photos / "flag.bmp")
    originals = {(photos / "flag.bmp").read_bytes(), *((tmp_path / f"{n}.bmp").read_bytes() for n in (1, 2))}
    config = write_config(tmp_path, photos, base_url=f"http://127.0.0.1:{port}")
    seen: set[bytes] = set()
    failures: list[str] = []
    stop = threading.Event()
    with mounted(tmp_path, photos, config=config) as mount, printed(kind, mount.root, tmp_path / kind, port):

        def load() -> None:
            while not stop.is_set():
                answer = get(port, "/pictures/files/flag.bmp")
                if answer.status != 200 or answer.body not in originals:
                    failures.append(f"{answer.status}, {len(answer.body)} bytes")
                seen.add(answer.body)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in (1, 2):
                time.sleep(1)
                (tmp_path / f"{number}.bmp").replace(photos / "flag.bmp")
                wanted, deadline = (photos / "flag.bmp").read_bytes(), time.monotonic() + SEEN_S
                while get(port, "/pictures/files/flag.bmp").body != wanted:
                    assert time.monotonic() < deadline, "the new file is not seen"
                    time.sleep(0.05)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures, failures[:5]
        assert seen == originals
