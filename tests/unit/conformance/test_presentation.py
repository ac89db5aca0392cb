"""Manifests and Collections: Presentation API 3.0, rule by rule, on documents with one of everything.

iiif-prezi3 takes them all (tests/unit/iiif/); here stands also what it and the official schema do not notice.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from PIL import Image

from iiiffs.errors import NoSuchName
from iiiffs.model.gallery import AssetId
from tests.unit.conformance.conformance_documents import (
    BROKEN,
    DOCUMENTS,
    EVERYTHING,
    HEADING,
    LARGE,
    MIXED,
    OWNER,
    PARENT,
    PICTURE,
    SOUND,
    UNPLAYED,
    URIS,
    VIDEO,
    WITH_COVER,
    WITHOUT_COVER,
    ZONELESS,
    Node,
    canvas_of,
    collection_of,
    everywhere,
    manifest_of,
    nodes,
    of_type,
)
from tests.unit.conformance.conformance_pictures import Served, file_of, ramps

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
CONTENT = {"Image", "Video", "Sound", "Text", "Dataset", "Model"}
SERVICES = {"ImageService3"}
STRUCTURE = {"Collection", "Manifest", "Canvas", "Range", "AnnotationPage", "Annotation"}
REQUIRED = {
    "Collection": {"id", "type", "label"},
    "Manifest": {"id", "type", "label"},
    "Canvas": {"id", "type"},
    "Range": {"id", "type", "items"},
    "AnnotationPage": {"id", "type", "items"},
    "Annotation": {"id", "type", "motivation", "target", "body"},
    "Agent": {"id", "type", "label"},
    **{kind: {"id", "type"} for kind in CONTENT},
}
"""What a node has that is more than a reference."""
ONLY_ON = {
    "items": {"Collection", "Manifest", "Canvas", "Range", "AnnotationPage"},
    "structures": {"Manifest"},
    "start": {"Manifest", "Range"},
    "navDate": {"Collection", "Manifest", "Range", "Canvas"},
    "placeholderCanvas": {"Collection", "Manifest", "Canvas", "Range"},
    "width": {"Canvas"} | CONTENT,
    "height": {"Canvas"} | CONTENT,
    "duration": {"Canvas"} | CONTENT,
    "format": CONTENT,
    "behavior": {"Collection", "Manifest", "Canvas", "Range"},
    "motivation": {"Annotation"},
}
"""Other types "MUST NOT have" it (§3.1 to §3.4)."""
ITEMS = {
    "Collection": {"Collection", "Manifest"},
    "Manifest": {"Canvas"},
    "Canvas": {"AnnotationPage"},
    "AnnotationPage": {"Annotation"},
    "Range": {"Range", "Canvas"},
}
LISTS = {"metadata", "provider", "thumbnail", "homepage", "logo", "rendering", "service", "seeAlso", "partOf", "items",
         "structures", "behavior"}  # fmt: skip


def test_every_object_has_what_its_type_requires_and_a_type_that_there_is() -> None:
    """Rule: Presentation API 3.0 Appendix A; §4.1: names match to the letter."""
    for _, node in everywhere():
        if "type" in node and set(node) - {"id", "type"}:
            kind = node["type"]
            assert REQUIRED.get(kind, set()) <= set(node), kind
            assert kind in {*REQUIRED, *SERVICES, "Point", "Feature", "FeatureCollection"}, kind


def test_content_says_its_format() -> None:
    """Rule: Presentation API 3.0 §3.2, `format` (SHOULD): all but an owner's logo, whose URI tells none."""
    for path, node in of_type(*CONTENT):
        assert "format" in node or path[-1] == "logo", node


def test_nothing_has_a_property_that_its_type_must_not_have() -> None:
    """Rule: Presentation API 3.0 §3.1 to §3.4: "Other types of resource MUST NOT have"."""
    for _, node in everywhere():
        for name in ONLY_ON.keys() & node.keys():
            if node.get("type", "").startswith("ImageService") or "type" not in node:
                continue
            assert node["type"] in ONLY_ON[name], (node["type"], name)
        assert not {"first", "next", "last", "total", "sequences", "canvases", "@graph"} & set(node), "of version 2"


def test_what_can_be_several_is_a_list() -> None:
    """Rule: Presentation API 3.0 §4.3: MUST, "even if there is only a single item"."""
    for _, node in everywhere():
        for name in LISTS & node.keys():
            assert isinstance(node[name], list) and node[name], name
        for name in node.keys() & {"rights", "navDate", "id", "type", "format", "motivation"}:
            assert isinstance(node[name], str), name


def test_items_are_of_the_type_that_belongs_there() -> None:
    """Rule: Presentation API 3.0 §3.4, `items`."""
    for _, node in everywhere():
        if "items" in node:
            assert {inner["type"] for inner in node["items"]} <= ITEMS[node["type"]]
            assert all({"id", "type"} <= set(inner) for inner in node["items"])


def test_the_context_is_first_once_and_at_the_top() -> None:
    """Rule: Presentation API 3.0 §4.6: first key (SHOULD), MUST NOT be within embedded resources."""
    for document in DOCUMENTS.values():
        assert next(iter(document)) == "@context"
        assert [path for path, node in nodes(document) if "@context" in node] == [()]
        context = document["@context"]
        assert context == CONTEXT or context[-1] == CONTEXT


def test_ids_are_http_uris_and_nothing_is_defined_twice() -> None:
    """Rule: Presentation API 3.0 §3.2, `id`; §5.5, §5.6: HTTP(S), of pages and annotations too; §6.1: encoded."""
    for document in DOCUMENTS.values():
        defined = []
        for path, node in nodes(document):
            uri = node.get("id", node.get("@id"))
            if uri is None:
                continue
            parts = urlsplit(uri)
            assert parts.scheme in ("http", "https") and parts.netloc, uri
            assert re.fullmatch(r"[A-Za-z0-9._~:/?@!$&'()*+,;=%-]+", uri), uri
            if node.get("type") in STRUCTURE and set(node) - {"id", "type"} and not {"thumbnail", "partOf"} & {*path}:
                defined.append(uri)
        assert len(set(defined)) == len(defined)


def test_canvases_have_their_own_uri_without_fragment_or_query() -> None:
    """Rule: Presentation API 3.0 §5.3 (MUST NOT contain a fragment), §6.1 (no query parameters)."""
    for _, canvas in of_type("Canvas"):
        assert not {"#", "?"} & set(canvas["id"])


def test_a_canvas_has_both_sides_or_a_duration() -> None:
    """Rule: Presentation API 3.0 §5.3, §3.2: width and height go together, positive integers; duration is positive."""
    for _, canvas in of_type("Canvas"):
        assert ("width" in canvas) == ("height" in canvas)
        assert {"width", "duration"} & set(canvas)
        assert canvas.get("label") or "placeholderCanvas" not in canvas
    for _, node in everywhere():
        for name in {"width", "height"} & node.keys():
            assert type(node[name]) is int and node[name] > 0
        if "duration" in node:
            assert isinstance(node["duration"], float | int) and node["duration"] > 0


def bodies(canvas: Node) -> list[Node]:
    return [note["body"] for page in canvas["items"] for note in page["items"]]


def test_what_is_painted_has_no_dimension_that_the_canvas_lacks() -> None:
    """Rule: Presentation API 3.0 §5.3 (MUST NOT): a Video needs a Canvas with width, height and duration.

    Peers fail: the official schema and iiif-prezi3 do not notice.
    """
    seen = set()
    for _, canvas in of_type("Canvas"):
        if "items" in canvas:
            for body in bodies(canvas):
                seen.add(body["type"])
                assert {"width", "height", "duration"} & set(body) <= set(canvas)
                if body["type"] == "Video":
                    assert {"width", "height", "duration"} <= set(canvas)
                if body["type"] == "Sound":
                    assert "duration" in canvas and "width" not in canvas
    assert seen == {"Image", "Video", "Sound"}


def test_a_video_has_width_height_duration_and_a_poster() -> None:
    """Rule: Presentation API 3.0 §5.3; §3.1: a `placeholderCanvas` has neither of the two properties inside."""
    canvas = canvas_of(VIDEO)
    (body,) = bodies(canvas)
    assert {name: body[name] for name in ("width", "height", "duration")} == {
        "width": 1920, "height": 1080, "duration": 12.346,
    }  # fmt: skip
    assert (canvas["width"], canvas["height"], canvas["duration"]) == (1920, 1080, 12.346)
    poster = canvas["placeholderCanvas"]
    assert poster["type"] == "Canvas"
    assert [one["type"] for one in bodies(poster)] == ["Image"]
    assert not {"placeholderCanvas", "accompanyingCanvas"} & set(poster)


def test_sound_has_a_duration_and_no_sides() -> None:
    """Rule: Presentation API 3.0 §5.3: width, height and/or duration."""
    canvas = canvas_of(SOUND)
    assert canvas["duration"] == 60.0
    assert not {"width", "height"} & set(canvas)


def test_what_has_no_known_duration_is_not_painted_but_offered() -> None:
    """Rule: Presentation API 3.0 §5.3 with §3.3 `rendering`: without a duration nothing may be painted with it."""
    made = manifest_of(PICTURE, UNPLAYED)
    assert len(made["items"]) == 1
    assert [one["id"] for one in made["rendering"]] == [URIS.original(HEADING.account, ["Trip", "u.mkv"])]
    assert made["rendering"][0]["type"] == "Video"


def test_painting_annotations_target_their_canvas() -> None:
    """Rule: Presentation API 3.0 §5.6: the Canvas's URI MUST be the target; §3.4: only `painting` in `items`."""
    for _, canvas in of_type("Canvas"):
        for page in canvas.get("items", []):
            for note in page["items"]:
                assert (note["motivation"], note["target"]) == ("painting", canvas["id"])
    assert not any("annotations" in node for _, node in everywhere())


def test_an_image_body_is_a_picture_and_not_the_service() -> None:
    """Rule: Presentation API 3.0 §5.7: `id` MUST NOT be just the URI of the service; its size is that of the file."""
    for one in (PICTURE, LARGE):
        (body,) = bodies(canvas_of(one))
        service = body["service"][0]
        assert body["id"] == service["id"] + "/full/max/0/default.jpg"
        assert (body["type"], body["format"]) == ("Image", "image/jpeg")
    (body,) = bodies(canvas_of(PICTURE))
    assert (body["width"], body["height"]) == (600, 400)
    (body,) = bodies(canvas_of(LARGE))
    assert body["width"] * body["height"] <= 100_000_000 < 20_000 * 15_000
    assert abs(body["width"] / body["height"] - 20_000 / 15_000) < 0.001


def test_an_image_has_the_services_of_both_versions_and_3_first() -> None:
    """Rule: Presentation API 3.0 §3.3, `service`: `id` and `type`, or `@id` and `@type` of the older; a profile."""
    (body,) = bodies(canvas_of(PICTURE))
    newer, older = body["service"]
    assert newer == {"id": URIS.service(HEADING.account, PICTURE.asset), "type": "ImageService3", "profile": "level2"}
    assert older == {
        "@id": URIS.service_2(HEADING.account, PICTURE.asset),
        "@type": "ImageService2",
        "profile": "http://iiif.io/api/image/2/level2.json",
    }
    assert not any("@context" in one for one in body["service"])


def test_a_thumbnail_is_as_large_as_its_file_and_has_its_service_with_sizes() -> None:
    """Rule: Presentation API 3.0 §3.1, `thumbnail`: width and height (SHOULD), a service (RECOMMENDED).

    Mirador 3 and 4 ignore some static thumbnails (mirador #3330) and ask the service for a height of their own.
    """
    (thumbnail,) = canvas_of(PICTURE)["thumbnail"]
    (service,) = thumbnail["service"]
    assert service["profile"] == "level2"
    served = Served(file_of(ramps(600, 400), "JPEG"))
    path = thumbnail["id"].removeprefix(service["id"] + "/")
    assert Image.open(BytesIO(served.body(path))).size == (thumbnail["width"], thumbnail["height"])
    assert service["sizes"] == served.info["sizes"]
    assert {"width": thumbnail["width"], "height": thumbnail["height"]} in service["sizes"]
    assert served.size("full/,120/0/default.jpg") == (180, 120)
    assert manifest_of(PICTURE)["thumbnail"] == [thumbnail], "a Manifest SHOULD have one"


def test_an_album_without_pictures_has_no_manifest() -> None:
    """Rule: Presentation API 3.0 §5.2, §3.4: a Manifest MUST have `items` with at least one Canvas."""
    for items in ((BROKEN,), (UNPLAYED,)):
        with pytest.raises(NoSuchName):
            manifest_of(*items)


def test_a_collection_refers_to_manifests_and_never_embeds_one() -> None:
    """Rule: Presentation API 3.0 §5.1: MUST NOT; references have id, type, label, and SHOULD a thumbnail."""
    for reference in collection_of()["items"]:
        assert {"id", "type", "label"} <= set(reference)
        assert not {"items", "structures"} & set(reference)
    assert "thumbnail" in collection_of(WITH_COVER)["items"][0]


def test_a_collection_has_the_thumbnail_of_its_first_picture() -> None:
    """Rule: Presentation API 3.0 §3.1, `thumbnail`: a Collection SHOULD have one. (Found missing here.)"""
    made = collection_of()
    assert made["thumbnail"] == made["items"][1]["thumbnail"]
    assert "thumbnail" not in collection_of(WITHOUT_COVER)


def test_what_a_collection_and_a_manifest_should_say_is_what_the_owner_says() -> None:
    """Rule: Presentation API 3.0 Appendix A: metadata, summary and provider SHOULD be there; nobody makes them up."""
    for made in (collection_of(), manifest_of(overrides=OWNER)):
        assert {"metadata", "summary", "provider", "requiredStatement", "rights", "thumbnail"} <= set(made)
    assert not {"metadata", "summary", "provider"} & set(manifest_of())


def test_nav_date_has_a_zone_and_is_only_where_one_is_known() -> None:
    """Rule: Presentation API 3.0 §3.1, `navDate`: MUST have a timezone, UTC (SHOULD). EXIF alone has none."""
    date = canvas_of(PICTURE)["navDate"]
    assert date == "2024-06-01T10:00:00Z"
    offset = datetime.fromisoformat(date).utcoffset()
    assert offset is not None and not offset
    assert "navDate" not in canvas_of(ZONELESS)


def test_nav_place_is_longitude_before_latitude_and_off_unless_asked_for() -> None:
    """Rule: navPlace extension 1.0 §2, GeoJSON (RFC 7946 §3.1.1); its context before ours (Presentation 3.0 §4.6)."""
    place = canvas_of(PICTURE, EVERYTHING)["navPlace"]
    assert place["type"] == "FeatureCollection"
    assert place["features"][0]["geometry"]["coordinates"] == [-3.6912, 40.5123]
    assert manifest_of(privacy=EVERYTHING)["@context"] == [
        "http://iiif.io/api/extension/navplace/context.json", CONTEXT,
    ]  # fmt: skip
    assert "navPlace" not in canvas_of(PICTURE)
    assert manifest_of()["@context"] == CONTEXT


def test_rights_are_one_http_uri_and_other_words_are_a_statement() -> None:
    """Rule: Presentation API 3.0 §3.1, `rights`: the string MUST be a URI as Creative Commons defines it: http://."""
    for _, node in everywhere():
        if "rights" in node:
            assert re.match(r"http://(creativecommons\.org/licenses/|rightsstatements\.org/vocab/)", node["rights"])
            assert node["rights"].endswith("/")
        if "requiredStatement" in node:
            assert set(node["requiredStatement"]) == {"label", "value"}
    assert canvas_of(PICTURE)["requiredStatement"]["value"] == {"none": ["© Ada Maker"]}


def test_a_provider_is_an_agent_with_homepage_and_logo() -> None:
    """Rule: Presentation API 3.0 §3.1, `provider`."""
    (agent,) = manifest_of(overrides=OWNER)["provider"]
    assert (agent["type"], agent["label"]) == ("Agent", {"none": ["Archive"]})
    assert [page["type"] for page in agent["homepage"]] == ["Text"]
    assert [logo["type"] for logo in agent["logo"]] == ["Image"]


def test_links_say_what_they_lead_to() -> None:
    """Rule: Presentation API 3.0 §3.3: a label (MUST or SHOULD), format and, for seeAlso, profile."""
    seen = set()
    for _, node in everywhere():
        for name in ("homepage", "rendering", "seeAlso", "partOf"):
            for link in node.get(name, []):
                seen.add(name)
                assert {"id", "type"} <= set(link)
                if name != "partOf":
                    assert link["label"] and link["format"]
                if name == "seeAlso":
                    assert link["profile"]
    assert seen == {"homepage", "rendering", "seeAlso", "partOf"}
    assert manifest_of()["partOf"] == [{"id": PARENT, "type": "Collection"}]


def test_originals_are_a_download_at_the_uri_of_their_bytes() -> None:
    """Rule: Presentation API 3.0 §3.3, `rendering`: no page in between; the format is its media type."""
    (download,) = canvas_of(PICTURE)["rendering"]
    assert download["id"] == "https://gallery.example/photos/ada/files/Trip/p.jpg"
    assert (download["type"], download["format"]) == ("Image", "image/jpeg")


def test_ranges_and_start_refer_to_canvases_of_this_manifest() -> None:
    """Rule: Presentation API 3.0 §5.4, §3.3 `start`, §3.4 `structures`."""
    made = manifest_of(overrides=OWNER)
    own = {canvas["id"] for canvas in made["items"]}
    assert made["start"]["type"] == "Canvas" and made["start"]["id"] in own
    for document in (made, manifest_of()):
        found = 0
        for _, node in nodes(document["structures"]):
            if node.get("type") == "Canvas":
                assert set(node) == {"id", "type"} and node["id"] in own
                found += 1
            if node.get("type") == "Range":
                assert node["label"] and node["items"]
        assert found


def test_behavior_is_one_of_those_for_a_manifest() -> None:
    """Rule: Presentation API 3.0 §3.2, `behavior`: disjoint ones never together; `paged` does not fit an album."""
    assert manifest_of()["behavior"] == ["individuals"]
    assert manifest_of(overrides=OWNER)["behavior"] == ["unordered"]
    assert not any("behavior" in canvas for _, canvas in of_type("Canvas", "Range"))


def test_a_manifest_is_whole_however_long() -> None:
    """Rule: Presentation API 3.0 has no paging (`first` and `next` of 2.x were dropped): viewers fetch it whole."""
    made = manifest_of(*(replace(PICTURE, asset=AssetId(f"n{number}")) for number in range(1_500)))
    assert len(made["items"]) == 1_500
    assert len({canvas["id"] for canvas in made["items"]}) == 1_500


def test_ids_do_not_depend_on_place() -> None:
    """Rule: Presentation API 3.0 §6.1: "as persistent and unchanging as possible" (SHOULD)."""
    forward = {canvas["id"] for canvas in manifest_of(*MIXED)["items"]}
    assert {canvas["id"] for canvas in manifest_of(*MIXED[::-1])["items"]} == forward
    assert canvas_of(PICTURE)["id"] in forward
