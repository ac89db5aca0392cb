"""Manifests and collections: Presentation API 3.0, validated by iiif-prezi3 and by what it does not notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import iiif_prezi3  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.errors import NoSuchName
from iiiffs.iiif.presentation import (
    AlbumHeading,
    CanvasItem,
    CollectionItem,
    OriginalFile,
    Thumbnail,
    collection,
    language_map,
    manifest,
    nav_date,
    thumbnails,
)
from iiiffs.iiif.request import parse_request
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.model.image import Extent

URIS = Uris("http://127.0.0.1:8080")
LIMITS = Limits(16_384, 16_384, 100_000_000)
ACCOUNT, ALBUM = AccountName("home"), AlbumId("alb")
PARENT = URIS.account_collection(ACCOUNT)
HEADING = AlbumHeading(ACCOUNT, ALBUM, "Trip", PARENT)
ORIGINAL = OriginalFile(URIS.original(ACCOUNT, ["Trip", "IMG 1.jpg"]), "image/jpeg", 3_400_000)
ITEM = CanvasItem(AssetId("a1"), "IMG 1.jpg", Extent(6000, 4000), ORIGINAL, "2024-06-01T12:00:00+02:00")
OTHER = CanvasItem(AssetId("a2"), "IMG 2.png", Extent(30, 40), None)


def document(*items: CanvasItem, limits: Limits = LIMITS) -> dict[str, Any]:
    return manifest(URIS, HEADING, items or (ITEM, OTHER), limits)


def nodes(value: object) -> Iterator[object]:
    """The value and all that is inside it."""
    yield value
    if isinstance(value, dict):
        for key, inner in value.items():
            assert type(key) is str
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


# ---- valid --------------------------------------------------------------------------------------------------------

MANY = [replace(ITEM, asset=AssetId(f"x{i}"), extent=Extent(1 + 37 * i, 1 + 11 * i)) for i in range(40)]
CHILDREN = [
    CollectionItem(URIS.manifest(ACCOUNT, ALBUM), "Manifest", "Trip", "http://h/s"),
    CollectionItem(URIS.collection(ACCOUNT, AlbumId("b")), "Collection", "Years", None),
]


@pytest.mark.parametrize("items", [(ITEM,), (ITEM, OTHER), MANY], ids=["one", "two", "many"])
def test_prezi3_takes_the_manifest_and_gives_it_back(items: tuple[CanvasItem, ...]) -> None:
    made = document(*items)
    assert msgspec.json.decode(iiif_prezi3.Manifest(**made).json()) == made


@pytest.mark.parametrize("children", [CHILDREN, []], ids=["two", "none"])
@pytest.mark.parametrize("part_of", [PARENT, None])
def test_prezi3_takes_the_collection_and_gives_it_back(children: list[CollectionItem], part_of: str | None) -> None:
    made = collection(URIS.collection(ACCOUNT, ALBUM), "All", children, LIMITS, part_of=part_of)
    assert msgspec.json.decode(iiif_prezi3.Collection(**made).json()) == made


def test_prezi3_would_notice() -> None:
    made = document()
    made["items"][0]["items"][0]["items"][0]["motivation"] = 5
    with pytest.raises(ValueError, match="motivation"):
        iiif_prezi3.Manifest(**made)


def test_every_id_is_http_without_fragment_and_unique_where_it_must_be() -> None:
    made = document(*MANY)
    named = [node for node in nodes(made) if isinstance(node, dict) and "id" in node]
    assert all(node["id"].startswith("http://127.0.0.1:8080/") and "#" not in node["id"] for node in named)
    own = [node["id"] for node in named if node["type"] in ("Manifest", "Canvas", "AnnotationPage", "Annotation")]
    assert len(own) == len(set(own)) == 1 + 3 * len(MANY)


def test_documents_hold_only_what_json_has() -> None:
    made = document()
    assert {type(node) for node in nodes(made)} == {str, int, list, dict}
    assert msgspec.json.decode(msgspec.json.encode(made)) == made


# ---- manifest -----------------------------------------------------------------------------------------------------


def test_the_manifest_s_own_properties() -> None:
    made = document()
    assert list(made) == ["@context", "id", "type", "label", "thumbnail", "behavior", "partOf", "items"]
    assert made["@context"] == "http://iiif.io/api/presentation/3/context.json"
    assert made["id"] == "http://127.0.0.1:8080/home/iiif/presentation/3/alb/manifest.json"
    assert made["label"] == {"none": ["Trip"]}
    assert made["behavior"] == ["individuals"]
    assert made["partOf"] == [{"id": PARENT, "type": "Collection"}]
    assert made["thumbnail"] == made["items"][0]["thumbnail"]


def test_without_a_parent_there_is_no_part_of() -> None:
    assert "partOf" not in manifest(URIS, replace(HEADING, part_of=None), [ITEM], LIMITS)


def test_a_whole_canvas() -> None:
    canvas, service = (
        "http://127.0.0.1:8080/home/iiif/presentation/3/alb/canvas/a2",
        "http://127.0.0.1:8080/home/iiif/3/a2",
    )
    older = {
        "@id": "http://127.0.0.1:8080/home/iiif/2/a2",
        "@type": "ImageService2",
        "profile": "http://iiif.io/api/image/2/level2.json",
    }
    named = {"id": service, "type": "ImageService3", "profile": "level2"}
    assert document()["items"][1] == {
        "id": canvas,
        "type": "Canvas",
        "label": {"none": ["IMG 2.png"]},
        "width": 30,
        "height": 40,
        "thumbnail": [
            {
                "id": f"{service}/full/30,40/0/default.jpg",
                "type": "Image",
                "format": "image/jpeg",
                "width": 30,
                "height": 40,
                "service": [{**named, "sizes": [{"width": 30, "height": 40}]}],
            }
        ],
        "items": [
            {
                "id": f"{canvas}/page",
                "type": "AnnotationPage",
                "items": [
                    {
                        "id": f"{canvas}/annotation",
                        "type": "Annotation",
                        "motivation": "painting",
                        "body": {
                            "id": f"{service}/full/max/0/default.jpg",
                            "type": "Image",
                            "format": "image/jpeg",
                            "width": 30,
                            "height": 40,
                            "service": [named, older],
                        },
                        "target": canvas,
                    }
                ],
            }
        ],
    }


def test_an_album_without_pictures_has_no_manifest() -> None:
    with pytest.raises(NoSuchName):
        manifest(URIS, HEADING, [], LIMITS)


def test_canvases_keep_the_order_and_ids_do_not_depend_on_it() -> None:
    forward, backward = document(ITEM, OTHER)["items"], document(OTHER, ITEM)["items"]
    assert forward == backward[::-1]


def test_the_body_is_as_large_as_max_is_under_the_limits() -> None:
    limits = Limits(1000, 1000, 600_000)
    canvas = document(ITEM, limits=limits)["items"][0]
    body = canvas["items"][0]["items"][0]["body"]
    expected = parse_request(
        Extent(6000, 4000), ("full", "max", "0", "default.jpg"), limits, monochrome=False
    ).size.extent
    assert (body["width"], body["height"]) == (expected.width, expected.height) == (948, 632)
    assert (canvas["width"], canvas["height"]) == (6000, 4000)


def test_the_original_is_offered_where_it_is_shown() -> None:
    shown, hidden = document()["items"]
    assert shown["rendering"] == [
        {"id": ORIGINAL.uri, "type": "Image", "label": {"none": ["IMG 1.jpg (3.4 MB)"]}, "format": "image/jpeg"}
    ]
    assert "rendering" not in hidden


@pytest.mark.parametrize(
    ("media_type", "size_bytes", "expected_type", "expected_label"),
    [
        ("image/x-adobe-dng", 1_500, "Image", "IMG 1.jpg (1.5 kB)"),
        ("video/mp4", 2_000_000_000, "Video", "IMG 1.jpg (2.0 GB)"),
        ("audio/mpeg", 999, "Sound", "IMG 1.jpg (999 B)"),
        ("application/octet-stream", None, "Dataset", "IMG 1.jpg"),
    ],
)
def test_rendering(media_type: str, size_bytes: int | None, expected_type: str, expected_label: str) -> None:
    item = replace(ITEM, original=OriginalFile(ORIGINAL.uri, media_type, size_bytes))
    (rendering,) = document(item)["items"][0]["rendering"]
    assert (rendering["type"], rendering["format"]) == (expected_type, media_type)
    assert rendering["label"] == {"none": [expected_label]}


def test_ten_thousand_canvases_are_made_in_order() -> None:
    """An album of the size that DESIGN §8 names; tests/bench times it."""
    items = [replace(ITEM, asset=AssetId(f"a{i}")) for i in range(10_000)]
    made = document(*items)
    assert [canvas["id"].rpartition("/")[2] for canvas in made["items"]] == [item.asset for item in items]


# ---- parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extent", "limits", "expected"),
    [
        ((6000, 4000), LIMITS, (375, 250)),
        ((400, 300), LIMITS, (200, 150)),
        ((399, 300), LIMITS, (200, 150)),
        ((398, 300), LIMITS, (398, 300)),
        ((150, 100), LIMITS, (150, 100)),
        ((6000, 4000), Limits(100, 100, 10_000), (94, 63)),
    ],
)
def test_a_thumbnail_is_a_listed_size(extent: tuple[int, int], limits: Limits, expected: tuple[int, int]) -> None:
    found: list[dict[str, Any]] = thumbnails(Thumbnail("http://h/s", Extent(*extent)), limits)
    (made,) = found
    width, height = expected
    assert (made["width"], made["height"]) == expected
    assert made["id"] == f"http://h/s/full/{width},{height}/0/default.jpg"
    (service,) = made["service"]
    assert {"width": width, "height": height} in service["sizes"]


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        ("2024-06-01T12:00:00Z", "2024-06-01T12:00:00Z"),
        ("2024-06-01T12:00:00+02:00", "2024-06-01T10:00:00Z"),
        ("2024-01-01T00:30:00.123456+01:00", "2023-12-31T23:30:00Z"),
        ("0001-01-01T02:00:00Z", "0001-01-01T02:00:00Z"),
        (None, None),
        ("", None),
        ("2024-06-01T12:00:00", None),
        ("2024-06-01", None),
        ("2024-02-30T12:00:00Z", None),
        ("0000-00-00T00:00:00Z", None),
        ("2024-06-01T25:00:00Z", None),
        ("2024-06-01T12:00:00+99:99", None),
        ("0001-01-01T00:00:00+02:00", None),
        ("9999-12-31T23:59:59-02:00", None),
        ("2024-06-01T12:00:00Z\n", None),
        ("２０２４-06-01T12:00:00Z", None),
        ("2024:06:01 12:00:00+02:00", None),
    ],
)
def test_nav_date_needs_a_zone_and_a_real_moment(captured: str | None, expected: str | None) -> None:
    assert nav_date(captured) == expected
    assert document(replace(ITEM, captured=captured))["items"][0].get("navDate") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Trip", "Trip"),
        ("caf\udce9.jpg", "caf\ufffd.jpg"),
        ("\ud83d", "\ufffd"),
        ("a\x00b\nc\x7fd\x9be", "abcde"),
        ("", "Untitled"),
        ("\n", "Untitled"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("😀 é", "😀 é"),
    ],
)
def test_language_map(text: str, expected: str) -> None:
    assert language_map(text) == {"none": [expected]}


@given(st.text(alphabet=st.characters()))
def test_any_label_can_be_encoded(text: str) -> None:
    made = document(replace(ITEM, label=text))
    assert msgspec.json.decode(msgspec.json.encode(made)) == made


def test_a_collection_refers_and_never_embeds() -> None:
    made: dict[str, Any] = collection(URIS.collection(ACCOUNT, ALBUM), "All", CHILDREN, LIMITS, part_of=PARENT)
    assert list(made) == ["@context", "id", "type", "label", "thumbnail", "partOf", "items"]
    assert made["thumbnail"] == made["items"][0]["thumbnail"]
    first, second = made["items"]
    assert list(first) == ["id", "type", "label", "thumbnail"]
    assert first["thumbnail"][0]["id"] == "http://h/s/full/!400,400/0/default.jpg"
    assert second == {"id": CHILDREN[1].id, "type": "Collection", "label": {"none": ["Years"]}}
