"""A mixed gallery on a real mount behind nginx: formats, documents, views, and every URI that they hold."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import iiif_prezi3  # type: ignore[import-untyped]
import pytest
from PIL import Image, ImageChops

from tests.harness.mount import Mount, mounted, write_config
from tests.harness.nginx import free_port, printed_nginx
from tests.mount.gallery import (
    BESIDE,
    MIXED,
    TURNED,
    Shown,
    deep_ramp,
    quarters,
    write_long,
    write_mixed,
    write_owned,
    write_sounds,
    write_turned,
)
from tests.mount.observing import names, walk
from tests.mount.served import crawl, get, uris_of

PROJECT = Path(__file__).parents[2]
PARSER = PROJECT / ".tools" / "node" / "node_modules" / "@iiif" / "parser" / "dist"
MANIFEST_MAX = 20
MONTHS = {"2018:05": 22, "2018:06": 3}
FAR_PX = 14
"""How far a channel may be from the colour that was painted, by lossy codecs of flat colours."""


@pytest.fixture(scope="module")
def base_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photos = tmp_path_factory.mktemp("gallery") / "photos"
    write_mixed(photos / "Mixed")
    write_turned(photos / "Turned")
    write_owned(photos / "Owned")
    write_sounds(photos / "Sounds")
    write_long(photos / "Long", MONTHS)
    return photos


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory, photos: Path, base_url: str) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("gallery-mount")
    config = write_config(
        folder, photos, base_url=base_url, extra=f"[iiif]\nmanifest_max = {MANIFEST_MAX}\n[tell]\nplaces = true"
    )
    port = int(base_url.rpartition(":")[2])
    with (
        mounted(folder, photos, config=config) as mount,
        printed_nginx(mount.root, folder / "nginx", port, allow_origins=("*",)) as errors,
    ):
        yield mount
        assert errors.read_text() == ""


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def body_of(canvas: Any) -> Any:
    return canvas["items"][0]["items"][0]["body"]


@pytest.fixture(scope="module")
def mixed(mount: Mount) -> Any:
    return read_json(mount.files / "Mixed" / "manifest.json")


@pytest.fixture(scope="module")
def canvases(mixed: Any) -> dict[str, list[Any]]:
    """File -> its canvases, told by the download that the first of them offers."""
    found: dict[str, list[Any]] = {}
    name = ""
    for canvas in mixed["items"]:
        if "rendering" in canvas:
            name = re.sub(r" \([0-9.]+ k?B\)$", "", canvas["rendering"][0]["label"]["none"][0])
        found.setdefault(name, []).append(canvas)
    return found


def test_walking_over_everything_renders_nothing(mount: Mount) -> None:
    before = mount.rendered
    for command in (["find", "-ls"], ["du", "-s"], ["ls", "-lR"]):
        done = subprocess.run(command, cwd=mount.root, capture_output=True, text=True, timeout=60, check=True)
        assert done.stderr == ""
    assert mount.rendered == before


def test_every_file_has_its_canvases_in_natural_order(canvases: dict[str, list[Any]]) -> None:
    assert list(canvases) == list(MIXED)
    assert not set(BESIDE) & set(canvases)


@pytest.mark.parametrize(("name", "wanted"), MIXED.items(), ids=MIXED)
def test_canvases_are_as_large_and_as_long_as_their_files(
    canvases: dict[str, list[Any]], name: str, wanted: Shown
) -> None:
    found = canvases[name]
    assert len(found) == max(1, len(wanted.pages))
    for canvas, extent in zip(found, wanted.pages or (wanted.extent,), strict=True):
        body = body_of(canvas)
        assert (canvas.get("width"), canvas.get("height")) == (extent or (None, None))
        assert body["type"] == (wanted.played or "Image")
        if wanted.played is None:
            assert "duration" not in canvas
            continue
        assert canvas["duration"] == body["duration"] == pytest.approx(wanted.seconds, abs=0.1)
        assert ("placeholderCanvas" in canvas) == (wanted.extent is not None)


def test_pages_have_canvases_and_services_of_their_own(canvases: dict[str, list[Any]]) -> None:
    services = [body_of(canvas)["service"][0]["id"] for canvas in canvases["06 pages.tif"]]
    assert services[1:] == [f"{services[0]}~2", f"{services[0]}~3"]
    for service, size in zip(services, MIXED["06 pages.tif"].pages, strict=True):
        info = json.loads(get(f"{service}/info.json").body)
        assert (info["width"], info["height"]) == size
        picture = Image.open(io.BytesIO(get(f"{service}/full/max/0/default.png").body))
        assert differs_by(picture, quarters(size)) <= 2
    assert get(f"{services[0]}~4/info.json").status == 404
    assert get(f"{services[0]}~1/info.json").status == 404


def differs_by(picture: Image.Image, wanted: Image.Image) -> int:
    """The largest difference of a channel in the middles of the four quarters."""
    assert picture.size == wanted.size
    difference = ImageChops.difference(picture.convert("RGB"), wanted.convert("RGB"))
    width, height = wanted.size
    middles = [(width * x // 4, height * y // 4) for x in (1, 3) for y in (1, 3)]
    return max(max(difference.crop((x, y, x + 1, y + 1)).tobytes()) for x, y in middles)


PAINTED = [name for name, shown in MIXED.items() if shown.played is None and name != "11 deep.png"]


@pytest.mark.parametrize("name", PAINTED)
def test_pixels_are_those_that_were_painted(mount: Mount, name: str) -> None:
    if name == "12 press.jpg":
        wanted, far_px = quarters(mode="CMYK").convert("RGB"), 40  # without a profile, converters differ
    elif name == "02 turned.jpg":
        wanted, far_px = quarters().transpose(Image.Transpose.ROTATE_270), FAR_PX
    else:
        wanted, far_px = quarters(), FAR_PX
    service = mount.files / "Mixed" / "iiif" / name
    for api in (service, mount.account / "iiif" / "2" / service.readlink().name):
        whole = "max" if api == service else "full"
        with Image.open(api / "full" / whole / "0" / "default.png") as picture:
            assert differs_by(picture, wanted) <= far_px


@pytest.mark.parametrize("orientation", TURNED)
def test_orientations_are_upright(mount: Mount, orientation: int) -> None:
    with Image.open(mount.files / "Turned" / "iiif" / f"{orientation}.jpg" / "full/max/0/default.png") as picture:
        assert differs_by(picture, quarters()) <= FAR_PX


def test_16_bits_are_a_ramp_of_8(mount: Mount) -> None:
    with Image.open(mount.files / "Mixed" / "iiif" / "11 deep.png" / "full/max/0/default.png") as picture:
        assert picture.size == (160, 120)
        gray = picture.convert("L")
        column = list(gray.crop((80, 0, 81, 120)).tobytes())
    assert all(abs(value - deep / 257) <= 1 for value, deep in zip(column, deep_ramp(120), strict=True))


def test_what_the_file_says_is_in_its_canvas(canvases: dict[str, list[Any]]) -> None:
    (told,) = canvases["01 told.jpg"]
    assert told["label"] == {"en": ["A boat"], "de": ["Ein Boot"]}
    assert told["summary"] == {"en": ["It waits."], "de": ["Es wartet."]}
    assert told["rights"] == "http://creativecommons.org/licenses/by/4.0/"
    assert told["requiredStatement"]["value"] == {"none": ["(c) Ada Maker"]}
    assert told["navDate"] == "2024-06-01T10:00:00Z"
    longitude, latitude = told["navPlace"]["features"][0]["geometry"]["coordinates"]
    assert (latitude, longitude) == pytest.approx((40.5123, -3.6912), abs=1e-4)
    metadata = {pair["label"]["en"][0]: pair["value"]["none"] for pair in told["metadata"]}
    assert metadata == {
        "Creator": ["Ada Maker"],
        "Date": ["2024-06-01 12:00:00+02:00"],
        "Place": ["Madrid"],
        "People": ["Eve Example"],
        "Keywords": ["sea", "boat", "Eve Example at sea"],
        "Rating": ["5 of 5"],
        "Camera": ["Leica M11"],
    }
    (silent,) = canvases["10.bmp"]
    assert not {"summary", "rights", "navDate", "metadata"} & silent.keys()


def test_a_sidecar_is_read_and_referred_to(canvases: dict[str, list[Any]], photos: Path) -> None:
    (beside,) = canvases["09 beside.webp"]
    assert beside["label"] == {"en": ["At the harbour"], "fr": ["Au harbour"]}
    (see_also,) = beside["seeAlso"]
    assert get(see_also["id"]).body == (photos / "Mixed" / "09 beside.webp.xmp").read_bytes()


def test_a_live_photo_is_one_canvas(canvases: dict[str, list[Any]], photos: Path) -> None:
    for still, motion in (("03 live.heic", "03 live.mov"), ("04 live.jpg", "04 live.MOV")):
        (canvas,) = canvases[still]
        assert body_of(canvas)["type"] == "Image"
        moving = canvas["rendering"][1]
        assert (moving["type"], moving["format"]) == ("Video", "video/quicktime")
        assert get(moving["id"]).body == (photos / "Mixed" / motion).read_bytes()


def test_ranges_by_day(mixed: Any, canvases: dict[str, list[Any]]) -> None:
    (days,) = mixed["structures"]
    wanted: dict[str, list[str]] = {}
    for name, shown in MIXED.items():
        if shown.day is not None:
            wanted.setdefault(shown.day, []).extend(canvas["id"] for canvas in canvases[name])
    found = {day["label"]["none"][0]: [item["id"] for item in day["items"]] for day in days["items"]}
    assert found == wanted


def test_videos_and_sound_are_read_by_ranges(canvases: dict[str, list[Any]], photos: Path) -> None:
    for name in ("13 clip.mp4", "14 tune.mp3", "15 tune.m4a"):
        whole, body = (photos / "Mixed" / name).read_bytes(), body_of(canvases[name][0])
        answer = get(body["id"], Range="bytes=100-199")
        assert (answer.status, answer.body) == (206, whole[100:200])
        assert answer.headers["content-range"] == f"bytes 100-199/{len(whole)}"
        assert answer.headers["content-type"].split("/")[0] == body["format"].split("/")[0]


def test_a_poster_is_a_picture_of_the_video(canvases: dict[str, list[Any]]) -> None:
    poster = body_of(canvases["13 clip.mp4"][0]["placeholderCanvas"])
    with Image.open(io.BytesIO(get(poster["id"]).body)) as picture:
        assert differs_by(picture, quarters((96, 64))) <= 25


def test_an_owner_has_the_last_word(mount: Mount) -> None:
    owned = read_json(mount.files / "Owned" / "manifest.json")
    assert owned["label"] == {"en": ["Harbour"], "de": ["Hafen"]}
    assert owned["summary"] == {"none": ["Seen from the pier."]}
    assert owned["rights"] == "http://creativecommons.org/licenses/by/4.0/"
    assert owned["requiredStatement"] == {"label": {"none": ["Attribution"]}, "value": {"none": ["City Archive"]}}
    assert owned["provider"][0]["label"] == {"none": ["City Archive"]}
    assert owned["metadata"] == [{"label": {"none": ["Fonds"]}, "value": {"none": ["A 12", "A 13"]}}]
    labels = [next(iter(canvas["label"].values()))[0] for canvas in owned["items"]]
    assert labels == ["c.jpg", "The pier", "b.jpg"]
    ids = [canvas["id"] for canvas in owned["items"]]
    assert owned["start"]["id"] == ids[2]
    (best,) = owned["structures"][0]["items"]
    assert [item["id"] for item in best["items"]] == ids[:2]


def test_a_long_album_has_parts_by_month(mount: Mount) -> None:
    long = mount.files / "Long"
    assert len(read_json(long / "manifest.json")["items"]) == sum(MONTHS.values())
    collection = read_json(long / "collection.json")
    parts = [item for item in collection["items"] if "manifest-" in item["id"]]
    assert [part["id"].rpartition("/")[2] for part in parts] == [
        "manifest-2018-05.json",
        "manifest-2018-05_2.json",
        "manifest-2018-06.json",
    ]
    counts = [len(json.loads(get(part["id"]).body)["items"]) for part in parts]
    assert counts == [MANIFEST_MAX, MONTHS["2018:05"] - MANIFEST_MAX, MONTHS["2018:06"]]
    assert not (long / "manifest-2018-07.json").exists()
    ids = [canvas["id"] for part in parts for canvas in json.loads(get(part["id"]).body)["items"]]
    assert len(set(ids)) == sum(MONTHS.values())


def test_timeline(mount: Mount) -> None:
    timeline = mount.account / "timeline"
    assert {"2018", "2019", "2024"} <= set(names(timeline))
    assert names(timeline / "2018") == ["2018-05", "2018-06", "collection.json", "index.html"]
    pictures = {f"{hour}.jpg" for hour in "abc"}
    assert set(names(timeline / "2019" / "2019-03")) - {"iiif", "index.html", "manifest.json"} == pictures
    shown = set(names(timeline / "2024" / "2024-06"))
    assert shown >= {*MIXED, "03 live.mov", "04 live.MOV"}
    assert not shown & {"notes.txt", "09 beside.webp.xmp"}
    months = read_json(timeline / "2018" / "collection.json")["items"]
    assert [month["label"]["none"] for month in months] == [["2018-05"], ["2018-06"]]
    manifest = read_json(timeline / "2019" / "2019-03" / "manifest.json")
    assert [canvas["rendering"][0]["label"]["none"][0].split(" (")[0] for canvas in manifest["items"]] == [
        "c.jpg", "a.jpg", "b.jpg",
    ]  # fmt: skip


def pictures_in(folder: Path) -> list[str]:
    return [name for name in names(folder) if name not in ("iiif", "index.html", "manifest.json", "collection.json")]


def test_favorites_and_tags(mount: Mount) -> None:
    assert pictures_in(mount.account / "favorites") == ["01 told.jpg", "09 beside.webp"]
    assert pictures_in(mount.account / "tags") == ["Eve Example at sea", "boat", "harbour", "sea"]
    assert pictures_in(mount.account / "tags" / "harbour") == ["09 beside.webp"]
    sea = mount.account / "tags" / "sea"
    assert pictures_in(sea) == ["01 told.jpg"]
    assert (sea / "01 told.jpg").stat().st_ino == (mount.files / "Mixed" / "01 told.jpg").stat().st_ino
    assert (sea / "iiif" / "01 told.jpg" / "info.json").samefile(
        mount.files / "Mixed" / "iiif" / "01 told.jpg" / "info.json"
    )


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("tag:sea", ["01 told.jpg"]),
        ("BOAT from:2024-06-01 to:2024-06-01", ["01 told.jpg"]),
        ("person:eve", ["01 told.jpg"]),
        ("city:madrid", ["01 told.jpg"]),
        ("leica", ["01 told.jpg"]),
        ("rating:5", ["01 told.jpg", "09 beside.webp"]),
        ("type:sound rating:0 1", ["14 tune.mp3", "15 tune.m4a"]),
        ("type:heic", ["03 live.heic"]),
        ('"at the harbour"', ["09 beside.webp"]),
        ("nothing-has-this-name", []),
    ],
)
def test_search(mount: Mount, query: str, wanted: list[str]) -> None:
    found = mount.account / "search" / query
    assert pictures_in(found) == wanted
    assert (found / "manifest.json").exists() == bool(wanted)


@pytest.mark.parametrize("query", ["colour:red", "smart:boat", "from:yesterday", 'open"quote'])
def test_searches_that_nobody_can_answer_are_absent(mount: Mount, query: str) -> None:
    assert not (mount.account / "search" / query).exists()


def test_every_uri_of_every_document_answers(mount: Mount, base_url: str) -> None:
    views = ("timeline", "tags", "files")
    starts = [f"{base_url}/collection.json"]
    starts += [str(read_json(mount.account / view / "collection.json")["id"]) for view in views]
    for album in ("favorites", "search/tag:sea", "search/tune"):
        starts.append(str(read_json(mount.account / album / "manifest.json")["id"]))
    seen = crawl(base_url, starts)
    kinds = Counter(uri.rpartition("/")[2] for uri in seen)
    assert kinds["manifest.json"] >= 15
    assert kinds["info.json"] >= 60
    top = read_json(mount.files / "collection.json")["items"]
    assert [item["label"]["none"][0] for item in top] == ["Long", "Mixed", "Owned", "Sounds", "Turned"]


def test_links_are_the_listed_names(mount: Mount) -> None:
    listed: dict[int, list[str]] = {}
    told: dict[int, int] = {}
    for entry in walk(mount.account):
        if entry.is_file(follow_symlinks=False) and entry.name != "index.html":
            status = entry.stat(follow_symlinks=False)
            listed.setdefault(status.st_ino, []).append(entry.path)
            told[status.st_ino] = status.st_nlink
    wrong = {paths[0]: (told[inode], paths) for inode, paths in listed.items() if told[inode] != len(paths)}
    assert wrong == {}
    assert max(told.values()) >= 6  # 01 told.jpg: its folder, its month, favorites and three tags


def test_du_and_tar_count_once(mount: Mount) -> None:
    once: dict[int, int] = {}
    more = 0
    for entry in walk(mount.account):
        status = entry.stat(follow_symlinks=False)
        if entry.name == "index.html" or entry.is_symlink():
            more += status.st_size
        else:
            once[status.st_ino] = status.st_size
    command = ["du", "--apparent-size", "--block-size=1", "--summarize", str(mount.account)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout.split()[0]) == sum(once.values()) + more + mount.account.stat().st_size
    archive = subprocess.run(
        ["tar", "-cf", "-", "files/Mixed", "timeline", "favorites", "tags"],
        cwd=mount.account, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert archive.stderr == b""
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as members:
        told = [member for member in members.getmembers() if member.name.endswith("/01 told.jpg")]
    pictures = [member.islnk() for member in told if "/iiif/" not in member.name]
    assert pictures == [False, True, True, True, True, True]
    assert {member.issym() for member in told if "/iiif/" in member.name} == {True}


def documents_of(mount: Mount) -> Iterator[Path]:
    """Every manifest and collection that is listed, and a few that are not."""
    for entry in walk(mount.account):
        if entry.name in ("manifest.json", "collection.json"):
            yield Path(entry.path)
    yield mount.account / "search" / "tag:sea" / "manifest.json"
    yield mount.files / "Long" / "manifest-2018-05_2.json"


def referred_canvases(ranges: list[Any]) -> Iterator[dict[str, Any]]:
    for item in ranges:
        if item["type"] == "Canvas":
            yield item
        else:
            yield from referred_canvases(item["items"])


def test_iiif_prezi3_takes_every_document(mount: Mount) -> None:
    count = 0
    for path in documents_of(mount):
        document = read_json(path)
        kind = iiif_prezi3.Manifest if document["type"] == "Manifest" else iiif_prezi3.Collection
        kept = json.loads(kind(**document).json())
        for bare in referred_canvases(kept.get("structures", [])):
            assert bare.pop("items") == []  # which prezi3 adds
        assert kept == document, path
        count += 1
    assert count > 15


PARSE = """
import {{ readFileSync }} from "node:fs";
import * as presentation3 from "{parser}/presentation-3.js";
import {{ presentation3StrictUpgrade }} from "{parser}/strict.js";
const said = {{}};
for (const path of JSON.parse(readFileSync(0, "utf8"))) {{
  const document = JSON.parse(readFileSync(path, "utf8"));
  const warnings = [];
  if (document.type === "Manifest") presentation3StrictUpgrade(structuredClone(document), {{ warnings }});
  const {{ entities, mapping }} = presentation3.normalize(structuredClone(document));
  const again = presentation3.serialize({{ mapping, entities, requests: {{}} }},
    {{ id: document.id, type: document.type }}, presentation3.serializeConfigPresentation3);
  said[path] = {{ warnings, canvases: Object.keys(entities.Canvas).length, ranges: Object.keys(entities.Range),
    again: again.items.length, label: again.label }};
}}
process.stdout.write(JSON.stringify(said));
"""


def test_iiif_parser_takes_every_document(mount: Mount, tmp_path: Path) -> None:
    if not PARSER.is_dir():
        pytest.skip("needs @iiif/parser; `make test` installs it")
    script = tmp_path / "parse.mjs"
    script.write_text(PARSE.format(parser=PARSER))
    paths = [str(path) for path in documents_of(mount)]
    done = subprocess.run(
        ["node", str(script)], input=json.dumps(paths), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(said) > 15
    for path, parsed in said.items():
        document = read_json(Path(path))
        assert parsed["warnings"] == [], path
        assert parsed["again"] == len(document["items"]), path
        assert parsed["label"] == document["label"], path
        if document["type"] == "Manifest":
            posters = sum("placeholderCanvas" in canvas for canvas in document["items"])
            assert parsed["canvases"] == len(document["items"]) + posters, path
        for node in document.get("structures", []):
            assert {node["id"], *(inner["id"] for inner in node["items"])} <= set(parsed["ranges"]), path


def test_the_uris_of_the_mixed_album_are_of_every_kind(mixed: Any) -> None:
    kinds = Counter(kind for kind, _ in uris_of(mixed))
    assert {
        "Image",
        "Video",
        "Sound",
        "Dataset",
        "ImageService2",
        "ImageService3",
        "Collection",
        "Text",
    } <= kinds.keys()
