"""Documents of an album with one of everything, made by the real builders; JSON as a client gets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from iiiffs.iiif.canvases import CanvasItem, OriginalFile
from iiiffs.iiif.description import PRIVATE, Agent, Pair, Privacy, Said
from iiiffs.iiif.overrides import NO_OVERRIDES, Overrides, RangeWish
from iiiffs.iiif.presentation import AlbumHeading, CollectionItem, collection, manifest
from iiiffs.iiif.uris import Uris
from iiiffs.model.description import Description
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.model.image import Extent
from tests.unit.conformance.conformance_pictures import LIMITS

Node = dict[str, Any]
URIS = Uris("https://gallery.example/photos/")
ACCOUNT, ALBUM = AccountName("ada"), AlbumId("alb")
PARENT = URIS.account_collection(ACCOUNT)
HEADING = AlbumHeading(ACCOUNT, ALBUM, "Trip <1>", PARENT, URIS.account_page(ACCOUNT))
EVERYTHING = Privacy(places=True, people=True, cameras=True, creators=True)
SAYS_ALL = Description(
    label=(("en", "The <pier>"), ("de-CH", "Der Steg")),
    summary=(("", "<b>Waves</b>"), ("en", "Waves & wind")),
    statement=(("", "© Ada Maker"),),
    rights="http://creativecommons.org/licenses/by/4.0/",
    creators=("Ada Maker",),
    keywords=("blue", "<i>sea</i>"),
    rating=4,
    camera="NIKON D850",
    place=("Prado", "Madrid"),
    position=(40.5123, -3.6912),
    people=("Eve Example",),
)


def file(name: str, media_type: str) -> OriginalFile:
    return OriginalFile(URIS.original(ACCOUNT, ["Trip", name]), media_type, 1_500)


def item(name: str, media_type: str, extent: Extent | None, **changes: Any) -> CanvasItem:
    asset = AssetId("a" + name.partition(".")[0])
    return replace(CanvasItem(asset, name, extent, file(name, media_type)), **changes)


PICTURE = item("p.jpg", "image/jpeg", Extent(600, 400), captured="2024-06-01T12:00:00+02:00", description=SAYS_ALL)
ZONELESS = item("z.jpg", "image/jpeg", Extent(400, 600), captured="2024-06-02T12:00:00")
LARGE = item("large.tif", "image/tiff", Extent(20_000, 15_000))
PAGES = item("t.tif", "image/tiff", Extent(60, 40), pages=(Extent(60, 40), Extent(30, 50)))
VIDEO = item("v.mp4", "video/mp4", Extent(1920, 1080), duration_s=12.3456)
SOUND = item("s.mp3", "audio/mpeg", None, duration_s=60.0)
LIVE = item("l.heic", "image/heic", Extent(600, 400), motion=file("l.mov", "video/quicktime"))
SIDECAR = item("x y.jpg", "image/jpeg", Extent(6, 4), sidecar=file("x y.jpg.xmp", "application/rdf+xml"))
UNPLAYED = item("u.mkv", "video/x-matroska", None)
BROKEN = item("b.jpg", "image/jpeg", None)
MIXED = (PICTURE, ZONELESS, LARGE, PAGES, VIDEO, SOUND, LIVE, SIDECAR, UNPLAYED, BROKEN)
OWNER = Overrides(
    album=Said(
        label=(("en", "Harbour"), ("de", "Hafen")),
        summary=(("", "<p>Boats</p>"),),
        rights="http://rightsstatements.org/vocab/InC/1.0/",
        statement=Pair((("en", "By"),), (("", ("Archive",)),)),
        provider=Agent(
            "https://example.org/", (("", "Archive"),), "https://example.org/h", "https://example.org/l.png"
        ),
        metadata=(Pair((("en", "Fonds"),), (("", ("A 1", "<A 2>")),)),),
        behavior=("unordered",),
    ),
    ranges=(RangeWish((("", "Moving"),), items=("v.mp4", "s.mp3")),),
    start="v.mp4",
)


def manifest_of(*items: CanvasItem, overrides: Overrides = NO_OVERRIDES, privacy: Privacy = PRIVATE) -> Node:
    return as_json(manifest(URIS, HEADING, items or MIXED, LIMITS, overrides=overrides, privacy=privacy))


def canvas_of(one: CanvasItem, privacy: Privacy = PRIVATE) -> Node:
    (canvas,) = manifest_of(one, privacy=privacy)["items"]
    assert isinstance(canvas, dict)
    return canvas


COVER = URIS.service(ACCOUNT, PICTURE.asset)
PAGE = URIS.account_page(ACCOUNT)
WITH_COVER = CollectionItem(URIS.manifest(ACCOUNT, ALBUM), "Manifest", "Trip", COVER, PAGE)
WITHOUT_COVER = CollectionItem(URIS.collection(ACCOUNT, AlbumId("sub")), "Collection", "<Sub>", None)


def collection_of(*items: CollectionItem, said: Said = OWNER.album) -> Node:
    uri = URIS.collection(ACCOUNT, ALBUM)
    return as_json(collection(uri, "Trip", items or (WITHOUT_COVER, WITH_COVER), LIMITS, part_of=PARENT, said=said))


def as_json(document: object) -> Node:
    made = msgspec.json.decode(msgspec.json.encode(document))
    assert isinstance(made, dict)
    return made


DOCUMENTS: dict[str, Node] = {
    "album": manifest_of(),
    "album of everything": manifest_of(overrides=OWNER, privacy=EVERYTHING),
    "collection": collection_of(),
    "plain collection": collection_of(said=Said()),
}


def nodes(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every object inside, with the names of the properties that lead to it."""
    if isinstance(value, dict):
        yield path, value
        for name, inner in value.items():
            yield from nodes(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner, path)


def everywhere() -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every object of every document."""
    for document in DOCUMENTS.values():
        yield from nodes(document)


def of_type(*types: str) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every object of one of these types that is more than a reference."""
    return ((path, node) for path, node in everywhere() if node.get("type") in types and set(node) - {"id", "type"})
