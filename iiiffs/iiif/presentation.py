"""Manifests and Collections as plain dicts of str, int, float, list and dict. Rule: Presentation API 3.0 §3, §5.

Written by hand because iiif-prezi3's helpers are quadratic (10,000 canvases not done in 300 s, measured 2026-11); the
tests validate with it. Not here: JSON encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from iiiffs.errors import NoSuchName
from iiiffs.iiif.canvases import CanvasItem as CanvasItem
from iiiffs.iiif.canvases import CanvasRules, canvases, rendering, service
from iiiffs.iiif.canvases import OriginalFile as OriginalFile
from iiiffs.iiif.canvases import Thumbnail as Thumbnail
from iiiffs.iiif.canvases import thumbnails as thumbnails
from iiiffs.iiif.description import NOTHING_MORE, PRIVATE, Privacy, Said, descriptive, label_map
from iiiffs.iiif.description import language_map as language_map
from iiiffs.iiif.navigation import NAV_PLACE_CONTEXT
from iiiffs.iiif.navigation import nav_date as nav_date
from iiiffs.iiif.overrides import NO_OVERRIDES, Overrides
from iiiffs.iiif.ranges import Contents, MonthPart, ordered
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Uris
from iiiffs.model.description import NOTHING_SAID, Words
from iiiffs.model.gallery import AccountName, AlbumId

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
COVER_SIDE_PX = 400


@dataclass(frozen=True, slots=True)
class AlbumHeading:
    """What a Manifest says of its album. `part_of`: URI of the Collection that lists it; `homepage`: of its page.

    `part`: the name of a part of the album, such as a month; None for the whole.
    """

    account: AccountName
    album: AlbumId
    label: str
    part_of: str | None
    homepage: str | None = None
    part: str | None = None


@dataclass(frozen=True, slots=True)
class CollectionItem:
    """A reference to a document, by its URI. `homepage`: URI of a page that shows it.

    `cover`: URI of the image service of the picture that stands for it; None for none.
    `label` may be any text; `words`, where there are any, are shown in its place.
    """

    id: str
    type: Literal["Manifest", "Collection"]
    label: str
    cover: str | None
    homepage: str | None = None
    words: Words = ()


def manifest(
    uris: Uris,
    heading: AlbumHeading,
    items: Sequence[CanvasItem],
    limits: Limits,
    *,
    overrides: Overrides = NO_OVERRIDES,
    privacy: Privacy = PRIVATE,
) -> dict[str, object]:
    """The Manifest of one album or of a part of it: the Canvases of `items`, in their order or the owner's. Linear.

    What the owner says is stronger than what is in the files. A video or sound that cannot be shown (no duration is
    known) is a download of the whole.
    Errors: NoSuchName if there is no Canvas (§5.2 wants one): an album without pictures has no manifest.
    """
    rules = CanvasRules(uris, heading.account, heading.album, limits, privacy)
    return gathered_manifest(rules, heading, items, overrides, list)


def gathered_manifest(
    rules: CanvasRules,
    heading: AlbumHeading,
    items: Sequence[CanvasItem],
    overrides: Overrides,
    gather: Callable[[Iterable[dict[str, object]]], object],
) -> dict[str, object]:
    """As `manifest`, but `items` is what `gather` makes of the Canvases.

    It gets them one by one, so that a long Manifest need not be in memory as objects: 10,000 Canvases are 600,000 of
    them, and collecting garbage among those took 0.4 s. Errors: as `manifest`, after `gather` was called.
    """
    uris, said = rules.uris, overrides.album
    in_order = ordered(items, overrides.order)
    passed = _Passed()
    gathered = gather(passed.through(canvas for item in in_order for canvas in canvases(rules, item)))
    if not passed.any:
        raise NoSuchName(f"album {heading.album} has nothing that can be shown, so no manifest")
    return {
        "@context": passed.context,
        "id": _uri(uris, heading),
        "type": "Manifest",
        "label": _label(heading, said),
        **descriptive(NOTHING_SAID, said, None),
        **passed.thumbnail,
        "behavior": list(said.behavior or ("individuals",)),
        **_homepage(heading.homepage, label_map(said.label, heading.label)),
        **_downloads(in_order),
        **_part_of(heading.part_of),
        **_start(rules, in_order, overrides.start),
        "items": gathered,
        **_structures(rules, in_order, overrides),
    }


def collection(
    uri: str,
    label: str,
    items: Iterable[CollectionItem],
    limits: Limits,
    *,
    part_of: str | None,
    said: Said = NOTHING_MORE,
) -> dict[str, object]:
    """The Collection at `uri`: a reference an item, in their order; it may be empty. Linear in `items`.

    Its thumbnail is that of the first item which has one.
    """
    references = [_reference(item) for item in items]
    return {
        "@context": CONTEXT,
        "id": uri,
        "type": "Collection",
        "label": label_map(said.label, label),
        **descriptive(NOTHING_SAID, said, None),
        **_thumbnail(references),
        **_part_of(part_of),
        "items": references,
    }


def part_references(uris: Uris, heading: AlbumHeading, parts: Iterable[MonthPart]) -> list[CollectionItem]:
    """How the parts of an album (`ranges.month_parts`) are listed in its Collection, each with its first picture."""
    return [
        CollectionItem(
            id=uris.part_manifest(heading.account, heading.album, part.name),
            type="Manifest",
            label=part.name.replace("_", ", part "),
            cover=next(
                (
                    uris.service(heading.account, item.asset)
                    for item in part.items
                    if item.extent is not None and item.linked is None
                ),
                None,
            ),
        )
        for part in parts
    ]


def cover(service_id: str) -> list[dict[str, object]]:
    """The `thumbnail` of an album in a Collection: the same bytes whatever version its first picture is in.

    So no width and height (a SHOULD of §3.1): a Collection is built from the names below it, not from their pixels.
    """
    uri = f"{service_id}/full/!{COVER_SIDE_PX},{COVER_SIDE_PX}/0/default.jpg"
    return [{"id": uri, "type": "Image", "format": "image/jpeg", "service": [service(service_id)]}]


def _uri(uris: Uris, heading: AlbumHeading) -> str:
    if heading.part is None:
        return uris.manifest(heading.account, heading.album)
    return uris.part_manifest(heading.account, heading.album, heading.part)


def _label(heading: AlbumHeading, said: Said) -> dict[str, list[str]]:
    label = label_map(said.label, heading.label)
    if heading.part is None:
        return label
    part = heading.part.replace("_", ", part ")
    return {language: [f"{text}, {part}" for text in texts] for language, texts in label.items()}


@dataclass(slots=True)
class _Passed:
    """What a Manifest says of the Canvases that went `through`."""

    any: bool = False
    thumbnail: dict[str, object] = field(default_factory=dict)
    has_place: bool = False

    def through(self, made: Iterable[dict[str, object]]) -> Iterator[dict[str, object]]:
        """`made`, looked at on its way."""
        for canvas in made:
            self.any = True
            self.thumbnail = self.thumbnail or _thumbnail([canvas])
            self.has_place = self.has_place or "navPlace" in canvas
            yield canvas

    @property
    def context(self) -> str | list[str]:
        """An extension's context stands first. Rule: navPlace extension 1.0 §1.3; Presentation API 3.0 §4.6."""
        return [NAV_PLACE_CONTEXT, CONTEXT] if self.has_place else CONTEXT


def _thumbnail(made: Sequence[dict[str, object]]) -> dict[str, object]:
    return next(({"thumbnail": canvas["thumbnail"]} for canvas in made if "thumbnail" in canvas), {})


def _downloads(items: Iterable[CanvasItem]) -> dict[str, object]:
    """Videos and sound without a Canvas. Rule: DESIGN §2, issue 3: a file and a `rendering`."""
    files = [
        rendering(item.original, item.label)
        for item in items
        if not item.canvas_assets
        and item.original is not None
        and item.original.media_type.startswith(("video/", "audio/"))
    ]
    return {"rendering": files} if files else {}


def _start(rules: CanvasRules, items: Iterable[CanvasItem], name: str | None) -> dict[str, object]:
    """Where a viewer begins; nothing if no such file is shown here."""
    for item in items if name is not None else ():
        if item.label == name and item.canvas_assets:
            return {"start": {"id": rules.uris.canvas(rules.account, rules.album, item.asset), "type": "Canvas"}}
    return {}


def _structures(rules: CanvasRules, items: Sequence[CanvasItem], overrides: Overrides) -> dict[str, object]:
    contents = Contents(rules.uris, rules.account, rules.album)
    found = contents.wished(items, overrides.ranges) if overrides.ranges else contents.by_day(items)
    return {"structures": found} if found else {}


def _part_of(uri: str | None) -> dict[str, object]:
    return {} if uri is None else {"partOf": [{"id": uri, "type": "Collection"}]}


def _reference(item: CollectionItem) -> dict[str, object]:
    label = label_map(item.words, item.label)
    reference: dict[str, object] = {"id": item.id, "type": item.type, "label": label}
    if item.cover is not None:
        reference["thumbnail"] = cover(item.cover)
    return reference | _homepage(item.homepage, label)


def _homepage(uri: str | None, label: dict[str, list[str]]) -> dict[str, object]:
    """The page that shows the thing. Rule: Presentation API 3.0 §3.3, homepage."""
    if uri is None:
        return {}
    return {"homepage": [{"id": uri, "type": "Text", "format": "text/html", "label": label}]}
