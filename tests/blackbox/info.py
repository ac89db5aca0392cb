"""Does an info.json agree with itself, with its URI, and with the picture?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.blackbox.grammar import Limits
from tests.blackbox.picture import Picture

CONTEXT = "http://iiif.io/api/image/3/context.json"
MEDIA_TYPES = (f'application/ld+json;profile="{CONTEXT}"', "application/json")
FORMATS = ("jpg", "tif", "png", "gif", "jp2", "pdf", "webp", "avif")
"""§4.5, and avif, an extension."""
QUALITIES = ("color", "gray", "bitonal")
FEATURES = (
    "baseUriRedirect", "canonicalLinkHeader", "cors", "jsonldMediaType", "mirroring", "profileLinkHeader",
    "regionByPct", "regionByPx", "regionSquare", "rotationArbitrary", "rotationBy90s", "sizeByConfinedWh",
    "sizeByH", "sizeByPct", "sizeByW", "sizeByWh", "sizeUpscaling",
)  # fmt: skip
"""§5.7"""

Rule = Callable[[Mapping[str, object], str, Picture], str | None]


def parsed(body: bytes) -> Mapping[str, object] | str:
    """The document; or what is wrong with its JSON."""
    try:
        info = json.loads(body)
    except ValueError as error:
        return f"no JSON ({error})"
    return info if isinstance(info, dict) else "JSON that is no object"


def media_type_fault(media_type: str) -> str | None:
    """Why an info.json may not have this Content-Type; None where it may. Rule: Image API 3.0 §5.1."""
    told = media_type.replace("; ", ";")
    return None if told in MEDIA_TYPES else f"the media type {media_type!r}"


def faults(info: Mapping[str, object], base_uri: str, picture: Picture) -> list[str]:
    """All that is wrong with a level 2 info.json, a line each. `base_uri`: what the client used, byte for byte."""
    found = list(_identity(info, base_uri, picture))
    for check in (_limits, _sizes, _tiles, _extras, _services):
        try:
            found += check(info)
        except (KeyError, TypeError, ValueError) as error:
            found.append(f"{check.__name__.strip('_')}: {type(error).__name__} {error}")
    return found


def _identity(info: Mapping[str, object], base_uri: str, picture: Picture) -> Iterator[str]:
    context = info.get("@context")
    if context != CONTEXT and not (isinstance(context, list) and context and context[-1] == CONTEXT):
        yield f"@context is {context!r}"
    if next(iter(info)) != "@context":
        yield "@context is not the first key"
    wanted = {
        "id": base_uri, "type": "ImageService3", "protocol": "http://iiif.io/api/image", "profile": "level2",
        "width": picture.width, "height": picture.height,
    }  # fmt: skip
    for key, value in wanted.items():
        if info.get(key) != value or type(info[key]) is not type(value):
            yield f"{key} is {info.get(key)!r}, not {value!r}"


def _objects(info: Mapping[str, object], key: str) -> Sequence[Mapping[str, object]]:
    value = info.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise TypeError(f"{key} is no list of objects")
    return value


def _texts(info: Mapping[str, object], key: str) -> Sequence[str]:
    value = info.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{key} is no list of strings")
    return value


def _px(holder: Mapping[str, object], key: str) -> int:
    value = holder[key]
    if type(value) is not int or value < 1:
        raise ValueError(f"{key} is {value!r}")
    return value


def _limits_of(info: Mapping[str, object]) -> Limits:
    keys = ("maxWidth", "maxHeight", "maxArea")
    return Limits(*(_px(info, key) if key in info else None for key in keys))


def _limits(info: Mapping[str, object]) -> Iterator[str]:
    limits = _limits_of(info)
    if limits.max_height is not None and limits.max_width is None:
        yield "maxHeight without maxWidth"
    if "sizeUpscaling" in _texts(info, "extraFeatures") and limits.max_width is None and limits.max_area is None:
        yield "sizeUpscaling without maxWidth or maxArea"


def _sizes(info: Mapping[str, object]) -> Iterator[str]:
    limits, seen = _limits_of(info), set()
    for size in _objects(info, "sizes"):
        w, h = _px(size, "width"), _px(size, "height")
        if not limits.allow(w, h):
            yield f"the size {w} x {h} is past the limits"
        if w > _px(info, "width") or h > _px(info, "height"):
            yield f"the size {w} x {h} is larger than the picture"
        if (w, h) in seen:
            yield f"the size {w} x {h} is there twice"
        seen.add((w, h))


def _tiles(info: Mapping[str, object]) -> Iterator[str]:
    limits = _limits_of(info)
    sides: set[tuple[int, int]] = set()
    factors: set[int] = set()
    for tile in _objects(info, "tiles"):
        w = _px(tile, "width")
        h = _px(tile, "height") if "height" in tile else w
        if (w, h) in sides:
            yield f"the tile {w} x {h} is there twice"
        sides.add((w, h))
        if not limits.allow(w, h):
            yield f"the tile {w} x {h} is past the limits"
        told = tile["scaleFactors"]
        if not isinstance(told, list) or not told or any(type(factor) is not int or factor < 1 for factor in told):
            yield f"scaleFactors is {told!r}"
            continue
        if factors & set(told) or len(set(told)) < len(told):
            yield f"scaleFactors {told} has one that is there already"
        factors |= set(told)


def _extras(info: Mapping[str, object]) -> Iterator[str]:
    formats = _texts(info, "extraFormats")
    for key, known in (("extraFormats", FORMATS), ("extraQualities", QUALITIES), ("extraFeatures", FEATURES)):
        for value in _texts(info, key):
            if value not in known:
                yield f"{key} has {value!r}"
    for value in _texts(info, "preferredFormats"):
        if value not in ("jpg", "png", *formats):
            yield f"preferredFormats has {value!r}, which is not offered"


def _services(info: Mapping[str, object]) -> Iterator[str]:
    rights = info.get("rights")
    if rights is not None and not (isinstance(rights, str) and rights.startswith("http://")):
        yield f"rights is {rights!r}"
    for key in ("partOf", "seeAlso", "service"):
        for item in _objects(info, key):
            if not {"id", "type"} <= item.keys() and not {"@id", "@type"} <= item.keys():
                yield f"{key} has an item without id and type"


def quality_faults(info: Mapping[str, object], picture: Picture) -> list[str]:
    """Level 2 has color and gray where they apply, and says so; a gray picture lists no `color`. Rule: §4.4."""
    listed = _texts(info, "extraQualities")
    found = [] if "gray" in listed or picture.mode == "L" else ["extraQualities has no gray"]
    if (picture.mode == "L") == ("color" in listed):
        found.append(f"extraQualities of a picture of mode {picture.mode} is {list(listed)}")
    return found
