"""Canvases of every kind, and Manifests of mixed albums: validated by iiif-prezi3, and by what it does not notice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import iiif_prezi3  # type: ignore[import-untyped]
import msgspec
import pytest

from iiiffs.errors import NoSuchName
from iiiffs.iiif.canvases import CanvasItem, Linked, LinkedImage, OriginalFile
from iiiffs.iiif.description import PRIVATE, PUBLISHED, Agent, Pair, Privacy, Said
from iiiffs.iiif.overrides import Overrides, RangeWish
from iiiffs.iiif.presentation import AlbumHeading, CollectionItem, collection, manifest, part_references
from iiiffs.iiif.ranges import month_parts
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Uris
from iiiffs.model.description import Description
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.model.image import Extent

URIS = Uris("http://127.0.0.1:8080")
LIMITS = Limits(16_384, 16_384, 100_000_000)
ACCOUNT, ALBUM = AccountName("home"), AlbumId("alb")
HEADING = AlbumHeading(ACCOUNT, ALBUM, "Trip", URIS.account_collection(ACCOUNT), "http://127.0.0.1:8080/home/")
CANVAS = "http://127.0.0.1:8080/home/iiif/presentation/3/alb/canvas"
SERVICE = "http://127.0.0.1:8080/home/iiif/3"
EVERYTHING = Privacy(places=True, people=True, cameras=True, creators=True)


def original(name: str, media_type: str) -> OriginalFile:
    return OriginalFile(URIS.original(ACCOUNT, [name]), media_type, 1_500)


def item(name: str, media_type: str, extent: Extent | None, **changes: Any) -> CanvasItem:
    made = CanvasItem(AssetId(name.partition(".")[0]), name, extent, original(name, media_type))
    return replace(made, **changes)


SECRET = Description(
    label=(("en", "Eve Example at the sea"), ("de", "Das Meer")),
    summary=(("", "<b>Waves</b>"),),
    statement=(("", "© Ada Maker"),),
    rights="http://creativecommons.org/licenses/by/4.0/",
    creators=("Ada Maker",),
    keywords=("blue", "Eve Example", "Madrid"),
    rating=4,
    camera="NIKON D850",
    place=("Prado", "Madrid"),
    position=(40.5123, -3.6912),
    people=("Eve Example",),
)
PICTURE = item("p.jpg", "image/jpeg", Extent(600, 400), captured="2024-06-01T12:00:00+02:00", description=SECRET)
TWO = (Extent(60, 40), Extent(30, 50))
PAGES = item("t.tif", "image/tiff", TWO[0], pages=TWO, captured="2024-06-02T12:00:00")
VIDEO = item("v.mp4", "video/mp4", Extent(1920, 1080), duration_s=12.3456)
SOUND = item("s.mp3", "audio/mpeg", None, duration_s=60.0)
LIVE = item("l.heic", "image/heic", Extent(600, 400), motion=original("l.mov", "video/quicktime"))
SIDECAR = item("x.jpg", "image/jpeg", Extent(6, 4), sidecar=original("x.jpg.xmp", "application/rdf+xml"))
UNPLAYED = item("u.mkv", "video/x-matroska", None)
BROKEN = item("b.jpg", "image/jpeg", None)
MIXED = (PICTURE, PAGES, VIDEO, SOUND, LIVE, SIDECAR, UNPLAYED, BROKEN)
OWNER = Overrides(
    album=Said(
        label=(("en", "Harbour"), ("de", "Hafen")),
        summary=(("", "<p>Boats</p>"),),
        rights="http://rightsstatements.org/vocab/InC/1.0/",
        statement=Pair((("en", "By"),), (("", ("Archive",)),)),
        provider=Agent(
            "https://example.org/", (("", "Archive"),), "https://example.org/h", "https://example.org/l.png"
        ),
        metadata=(Pair((("en", "Fonds"),), (("", ("A 1", "A 2")),)),),
        behavior=("unordered",),
    ),
    order="name",
    ranges=(RangeWish((("", "Moving"),), items=("v.mp4", "s.mp3")),),
    start="v.mp4",
)


def document(*items: CanvasItem, **settings: Any) -> dict[str, Any]:
    return manifest(URIS, HEADING, items or MIXED, LIMITS, **settings)


def canvas_of(one: CanvasItem, **settings: Any) -> dict[str, Any]:
    (made,) = document(one, **settings)["items"]
    assert isinstance(made, dict)
    return made


def nodes(value: object) -> Iterator[dict[str, Any]]:
    """Every object inside."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def through_prezi3(made: dict[str, Any]) -> object:
    """The Manifest as iiif-prezi3 takes it and gives it back; the items it adds to references are taken off."""
    given = msgspec.json.decode(iiif_prezi3.Manifest(**made).json())
    for node in nodes(given.get("structures", [])):
        if node.get("type") == "Canvas" and node.get("items") == []:
            del node["items"]
    return given


# ---- valid --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("privacy", [PRIVATE, PUBLISHED, EVERYTHING], ids=["private", "published", "everything"])
@pytest.mark.parametrize("overrides", [Overrides(), OWNER], ids=["files alone", "with overrides"])
def test_prezi3_takes_a_mixed_album_and_gives_it_back(privacy: Privacy, overrides: Overrides) -> None:
    made = document(privacy=privacy, overrides=overrides)
    assert through_prezi3(made) == made


@pytest.mark.parametrize("one", [PICTURE, PAGES, VIDEO, SOUND, LIVE, SIDECAR])
def test_each_kind_alone_is_valid(one: CanvasItem) -> None:
    made = document(one, privacy=EVERYTHING)
    assert through_prezi3(made) == made


def test_prezi3_takes_a_collection_of_an_owner() -> None:
    items = [CollectionItem("http://h/m", "Manifest", "m", None, words=(("de", "M"),))]
    made = collection("http://h/c", "c", items, LIMITS, part_of=None, said=OWNER.album)
    assert msgspec.json.decode(iiif_prezi3.Collection(**made).json()) == made
    assert made["label"] == {"en": ["Harbour"], "de": ["Hafen"]}
    assert made["items"] == [{"id": "http://h/m", "type": "Manifest", "label": {"de": ["M"]}}]
    assert {"summary", "rights", "requiredStatement", "provider", "metadata"} <= made.keys()


def test_what_prezi3_does_not_notice() -> None:
    made = document(privacy=EVERYTHING, overrides=OWNER)
    for node in nodes(made):
        if node.get("type") == "Canvas" and "items" in node:
            bodies = [note["body"] for page in node["items"] for note in page["items"]]
            assert all(note["target"] == node["id"] for page in node["items"] for note in page["items"])
            assert ("width" in node) == ("height" in node)
            assert "width" in node or "duration" in node
            for body in bodies:
                assert body["type"] != "Video" or {"width", "height", "duration"} <= node.keys()
                assert body["type"] != "Sound" or "duration" in node
                assert body["type"] != "Image" or {"width", "height"} <= node.keys()
    kinds = ("Canvas", "AnnotationPage", "Annotation", "Range")
    own = [node for node in nodes(made) if node.get("type") in kinds]
    defined = [node["id"] for node in own if len(node) > 2]
    assert len(defined) == len(set(defined))
    assert {node["id"] for node in own} == set(defined), "a reference to what is not there"


# ---- kinds --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_shown_has_no_canvas() -> None:
    made = document()
    assert [canvas["id"].rpartition("/")[2] for canvas in made["items"]] == ["p", "t", "t~2", "v", "s", "l", "x"]
    for nothing in (BROKEN, UNPLAYED, replace(SOUND, original=None), replace(SOUND, duration_s=0.0)):
        with pytest.raises(NoSuchName):
            document(nothing)


def test_a_video_that_cannot_be_shown_is_a_download() -> None:
    assert document()["rendering"] == [
        {"id": URIS.original(ACCOUNT, ["u.mkv"]), "type": "Video", "label": {"none": ["u.mkv (1.5 kB)"]},
         "format": "video/x-matroska"}
    ]  # fmt: skip
    assert "rendering" not in document(PICTURE, BROKEN)


def test_a_video() -> None:
    made = canvas_of(VIDEO)
    assert (made["width"], made["height"], made["duration"]) == (1920, 1080, 12.346)
    body = made["items"][0]["items"][0]["body"]
    assert body == {
        "id": URIS.original(ACCOUNT, ["v.mp4"]),
        "type": "Video",
        "format": "video/mp4",
        "width": 1920,
        "height": 1080,
        "duration": 12.346,
    }
    poster = made["placeholderCanvas"]
    assert (poster["id"], poster["type"]) == (f"{CANVAS}/v/poster", "Canvas")
    assert poster["items"][0]["items"][0]["body"]["service"][0]["id"] == f"{SERVICE}/v"
    assert not {"placeholderCanvas", "accompanyingCanvas"} & poster.keys()
    assert made["thumbnail"][0]["service"][0]["id"] == f"{SERVICE}/v"


def test_a_video_whose_bytes_are_not_shown_is_its_poster() -> None:
    made = canvas_of(replace(VIDEO, original=None))
    assert "duration" not in made
    assert made["items"][0]["items"][0]["body"]["type"] == "Image"


def test_sound() -> None:
    made = canvas_of(SOUND)
    assert made["duration"] == 60.0
    assert not {"width", "height", "thumbnail", "placeholderCanvas"} & made.keys()
    assert made["items"][0]["items"][0]["body"] == {
        "id": URIS.original(ACCOUNT, ["s.mp3"]),
        "type": "Sound",
        "format": "audio/mpeg",
        "duration": 60.0,
    }
    assert "thumbnail" not in document(SOUND)
    assert document(SOUND, VIDEO)["thumbnail"] == canvas_of(VIDEO)["thumbnail"]


def test_pages() -> None:
    first, second = document(replace(PAGES, description=SECRET))["items"]
    assert (first["id"], second["id"]) == (f"{CANVAS}/t", f"{CANVAS}/t~2")
    assert (second["width"], second["height"]) == (30, 50)
    assert second["items"][0]["items"][0]["body"]["service"][0]["id"] == f"{SERVICE}/t~2"
    assert first["label"]["de"] == ["Das Meer (page 1)"]
    assert second["label"]["de"] == ["Das Meer (page 2)"]
    assert "metadata" in first and "metadata" not in second
    assert [canvas["label"] for canvas in document(PAGES)["items"]] == [
        {"none": ["t.tif (page 1)"]}, {"none": ["t.tif (page 2)"]},
    ]  # fmt: skip


LINKED = Linked(
    LinkedImage("https://photos.example.org/p?size=preview&key=k", "image/jpeg", Extent(1920, 1080)),
    LinkedImage("https://photos.example.org/p?size=thumbnail&key=k", "image/webp", Extent(444, 250)),
)


@pytest.mark.parametrize("one", [PICTURE, PAGES, VIDEO])
def test_what_the_provider_hands_out_has_no_image_service(one: CanvasItem) -> None:
    made = document(replace(one, linked=LINKED))
    assert through_prezi3(made) == made
    (canvas,) = made["items"]
    assert (canvas["width"], canvas["height"]) == (one.extent.width, one.extent.height)  # type: ignore[union-attr]
    (thumbnail,) = canvas["thumbnail"]
    assert thumbnail == {
        "id": LINKED.thumbnail.uri, "type": "Image", "format": "image/webp", "width": 444, "height": 250,
    }  # fmt: skip
    shown = canvas.get("placeholderCanvas", canvas)["items"][0]["items"][0]["body"]
    assert shown == {
        "id": LINKED.painted.uri, "type": "Image", "format": "image/jpeg", "width": 1920, "height": 1080,
    }  # fmt: skip
    assert not any("service" in node for node in nodes(made))
    assert SERVICE not in str(made)


def test_a_live_photo_offers_its_video() -> None:
    assert [file["type"] for file in canvas_of(LIVE)["rendering"]] == ["Image", "Video"]


def test_a_sidecar_is_seen_also() -> None:
    assert canvas_of(SIDECAR)["seeAlso"] == [
        {
            "id": URIS.original(ACCOUNT, ["x.jpg.xmp"]),
            "type": "Dataset",
            "label": {"en": ["XMP"]},
            "format": "application/rdf+xml",
            "profile": "http://ns.adobe.com/xap/1.0/",
        }
    ]


# ---- descriptions -------------------------------------------------------------------------------------------------


def test_what_a_file_says_is_on_its_canvas() -> None:
    made = canvas_of(PICTURE)
    assert made["label"] == {"en": ["Eve Example at the sea"], "de": ["Das Meer"]}
    assert made["summary"] == {"none": ["<span>&lt;b&gt;Waves&lt;/b&gt;</span>"]}
    assert made["rights"] == "http://creativecommons.org/licenses/by/4.0/"
    assert made["navDate"] == "2024-06-01T10:00:00Z"
    assert "navPlace" not in made


def test_xmp_gives_the_nav_date_where_exif_has_no_zone() -> None:
    one = replace(
        PICTURE, captured="2024-06-01T12:00:00", description=Description(captured="2024-06-01T12:00:00+05:30")
    )
    assert canvas_of(one)["navDate"] == "2024-06-01T06:30:00Z"


def test_places_only_when_asked_for() -> None:
    made = document(privacy=EVERYTHING)
    assert made["@context"] == [
        "http://iiif.io/api/extension/navplace/context.json",
        "http://iiif.io/api/presentation/3/context.json",
    ]
    feature = made["items"][0]["navPlace"]["features"][0]
    assert feature["geometry"] == {"type": "Point", "coordinates": [-3.6912, 40.5123]}
    assert document(VIDEO, privacy=EVERYTHING)["@context"] == document()["@context"] == made["@context"][1]


def test_the_owner_of_an_album() -> None:
    made = document(overrides=OWNER)
    assert made["label"] == {"en": ["Harbour"], "de": ["Hafen"]}
    assert made["homepage"][0]["label"] == made["label"]
    assert made["behavior"] == ["unordered"]
    assert made["start"] == {"id": f"{CANVAS}/v", "type": "Canvas"}
    assert [canvas["id"].rpartition("/")[2] for canvas in made["items"]] == ["l", "p", "s", "t", "t~2", "v", "x"]
    (top,) = made["structures"]
    assert [[canvas["id"] for canvas in range_["items"]] for range_ in top["items"]] == [[f"{CANVAS}/v", f"{CANVAS}/s"]]
    assert "start" not in document(overrides=replace(OWNER, start="b.jpg"))


def test_the_owner_of_a_file() -> None:
    one = replace(PICTURE, said=Said(label=(("", "Mine"),), rights="http://rightsstatements.org/vocab/InC/1.0/"))
    made = canvas_of(one)
    assert (made["label"], made["rights"]) == ({"none": ["Mine"]}, "http://rightsstatements.org/vocab/InC/1.0/")


def test_days_are_ranges() -> None:
    (top,) = document()["structures"]
    assert [range_["label"]["none"] for range_ in top["items"]] == [["2024-06-01"], ["2024-06-02"]]
    assert "structures" not in document(PICTURE, VIDEO)


# ---- months -------------------------------------------------------------------------------------------------------


def test_months_stand_beside_the_whole() -> None:
    later = replace(PICTURE, asset=AssetId("q"), label="q.jpg", captured="2024-07-01T12:00:00")
    items = (*MIXED, later)
    parts = month_parts(items, 4)
    assert [part.name for part in parts] == ["2024-06", "2024-07", "undated"]
    whole = URIS.collection(ACCOUNT, ALBUM)
    references = part_references(URIS, HEADING, parts)
    listing: dict[str, Any] = collection(whole, "Trip", references, LIMITS, part_of=HEADING.part_of)
    assert msgspec.json.decode(iiif_prezi3.Collection(**listing).json()) == listing
    for part, reference in zip(parts, listing["items"], strict=True):
        heading = replace(HEADING, part=part.name, part_of=whole)
        made: dict[str, Any] = manifest(URIS, heading, part.items, LIMITS)
        assert through_prezi3(made) == made
        assert made["id"] == reference["id"] == f"{URIS.album(ACCOUNT, ALBUM)}/{part.file_name}"
        assert made["label"] == {"none": [f"Trip, {part.name}"]}
        assert made["partOf"] == [{"id": whole, "type": "Collection"}]
    held = [canvas["id"] for part in parts for canvas in manifest(URIS, HEADING, part.items, LIMITS)["items"]]  # type: ignore[attr-defined]
    assert sorted(held) == sorted(canvas["id"] for canvas in document(*items)["items"])


# ---- privacy ------------------------------------------------------------------------------------------------------

SECRETS = {
    "places": r"Prado|Madrid|40\.5|3\.69|navPlace|Feature|Place",
    "people": r"Eve|People",
    "cameras": r"NIKON|D850|Camera",
    "creators": r"Ada|Maker|Creator|Attribution",
}


@pytest.mark.parametrize("switch", SECRETS)
def test_what_is_off_is_nowhere_in_a_document(switch: str) -> None:
    everything = msgspec.json.encode(document(privacy=EVERYTHING)).decode()
    assert re.search(SECRETS[switch], everything)
    made = msgspec.json.encode(document(privacy=replace(EVERYTHING, **{switch: False}))).decode()
    assert not re.search(SECRETS[switch], made)


def test_a_published_document_names_nobody_and_no_place() -> None:
    made = msgspec.json.encode(document(privacy=PUBLISHED)).decode()
    assert not re.search("|".join(SECRETS[switch] for switch in ("places", "people", "creators")), made)
    assert "Das Meer" in made
