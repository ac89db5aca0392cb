"""What the metadata job reads from an uploaded file and its sidecar: dates, camera, place, description, rating, tags.

Rule: immich.md §4: a sidecar wins over the file; without a date the earlier of fileCreatedAt and fileModifiedAt;
without a zone the wall clock is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from lxml import etree  # type: ignore[import-untyped]
from PIL import ExifTags, Image

from tests.fakes.immich.moments import moment, parsed, zone_minutes, zone_text
from tests.fakes.immich.records import Asset, Camera, Place
from tests.fakes.immich.state import World

EXIF_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")
ZONE = re.compile(r"(Z|[+-]\d\d:\d\d)$")
DATE_TAGS = ("DateTimeOriginal", "CreateDate", "DateCreated")
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
PACKET = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"{attributes}>{description}</rdf:Description></rdf:RDF></x:xmpmeta>"""
NEAR_DEGREES = 0.5
CITIES = {
    "Berlin": Place(52.52, 13.41, None, "Berlin", "Germany"),
    "Paris": Place(48.85, 2.35, None, "Ile-de-France", "France"),
    "Lisbon": Place(38.72, -9.14, None, "Lisbon", "Portugal"),
}
MINUTE_US = 60_000_000


def read_told(world: World, asset: Asset) -> None:
    """The metadata job and the thumbnail job have run; `updatedAt` is bumped."""
    if asset.id not in world.assets:
        return
    if "taken" not in asset.written:
        asset.taken = min(asset.taken, asset.modified)
    if asset.original.path and asset.kind == "IMAGE":
        _read_file(asset)
    if asset.sidecar:
        read_sidecar(world, asset)
    world.process(asset)


def _read_file(asset: Asset) -> None:
    """[SRC asset.repository.ts, lockedProperties] What was set over the API stays, whatever the file says."""
    assert asset.original.path
    try:
        with Image.open(asset.original.path) as image:
            exif = image.getexif()
            below = exif.get_ifd(ExifTags.IFD.Exif)
            places = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except (OSError, ValueError, SyntaxError):
        return
    named: dict[str, object] = {ExifTags.TAGS.get(key, ""): value for key, value in (*exif.items(), *below.items())}
    if "Orientation" in named:
        asset.orientation = str(named["Orientation"])
    asset.camera = Camera(
        _text(named.get("Make")),
        _text(named.get("Model")),
        _text(named.get("LensModel")),
        _number(named.get("FNumber")),
        _number(named.get("FocalLength")),
        int(str(named["ISOSpeedRatings"])) if "ISOSpeedRatings" in named else None,
        _exposure(_number(named.get("ExposureTime"))),
    )
    if "description" not in asset.written:
        asset.description = _text(named.get("ImageDescription")) or ""
    taken = EXIF_DATE.match(str(named.get("DateTimeOriginal") or named.get("DateTimeDigitized") or ""))
    if taken and "taken" not in asset.written:
        zone = _text(named.get("OffsetTimeOriginal"))
        set_taken(asset, "{}-{}-{}T{}".format(*taken.groups()) + (zone or ""))
    if len(places) > 3 and "place" not in asset.written:
        asset.place = named_place(_degrees(places, 2), _degrees(places, 4))


def set_taken(asset: Asset, text: str) -> None:
    """The capture date as ISO text, with the zone it names; without one it is UTC and no zone is known."""
    zone = ZONE.search(text)
    asset.taken = parsed(text)
    asset.zone = zone_minutes(zone.group().replace("Z", "")) if zone else None


def _text(value: object) -> str | None:
    return str(value).strip("\0 ") or None if value is not None else None


def _number(value: object) -> float | None:
    return None if value is None else float(str(float(value)))  # type: ignore[arg-type]  # Pillow's IFDRational


def _exposure(seconds: float | None) -> str | None:
    if not seconds:
        return None
    return f"1/{round(1 / seconds)}" if seconds < 1 else f"{seconds:g}"


def named_place(latitude: float, longitude: float) -> Place:
    """With the names of the city, if it is one of the few that are known here."""
    for city, around in CITIES.items():
        if abs(around.latitude - latitude) < NEAR_DEGREES and abs(around.longitude - longitude) < NEAR_DEGREES:
            return Place(latitude, longitude, city, around.state, around.country)
    return Place(latitude, longitude)


def _degrees(places: Mapping[int, object], key: int) -> float:
    degrees, minutes, seconds = (float(part) for part in places[key])  # type: ignore[attr-defined]
    value = float(degrees + minutes / 60 + seconds / 3600)
    return -value if str(places[key - 1]) in ("S", "W") else value


def _coordinate(text: str) -> float:
    """Degrees, or what XMP part 2 §2.6 makes of them: "52,31.2N"."""
    if text[-1] not in "NSEW":
        return float(text)
    parts = [float(part) for part in text[:-1].split(",")]
    value = sum(part / 60.0**index for index, part in enumerate(parts))
    return -value if text[-1] in "SW" else value


def write_sidecar(asset: Asset) -> None:
    """What was set over the API stands in the asset's .xmp; /assets/copy takes it along (shared-search-as-guest)."""
    attributes, description = "", ""
    if "rating" in asset.written and asset.rating is not None:
        attributes += f' xmp:Rating="{asset.rating}"'
    if "taken" in asset.written:
        wall = moment(asset.local).replace(tzinfo=None).isoformat()
        attributes += f' exif:DateTimeOriginal="{wall}{zone_text(asset.zone)}"'
    if "place" in asset.written and asset.place:
        attributes += f' exif:GPSLatitude="{asset.place.latitude}" exif:GPSLongitude="{asset.place.longitude}"'
    if "description" in asset.written:
        item = f'<rdf:li xml:lang="x-default">{escape(asset.description)}</rdf:li>'
        description = f"<dc:description><rdf:Alt>{item}</rdf:Alt></dc:description>"
    asset.sidecar = PACKET.format(attributes=attributes, description=description).encode()


def read_sidecar(world: World, asset: Asset) -> None:
    """What the asset's .xmp says is the asset's; its tags are made where they are missing."""
    assert asset.sidecar
    try:
        root = etree.fromstring(asset.sidecar, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return
    found: dict[str, list[str]] = {}
    for element in root.iter(etree.Element):
        for key, value in element.attrib.items():
            found.setdefault(etree.QName(key).localname, []).append(str(value))
        items = [item.text or "" for item in element.iter(f"{RDF}li")]
        name = etree.QName(element).localname
        found.setdefault(name, []).extend(items or ([element.text.strip()] if element.text else []))
    dates = [values[0] for tag in DATE_TAGS if (values := [one for one in found.get(tag, []) if one])]
    if dates:
        set_taken(asset, dates[0].replace("Z", "+00:00"))
    if descriptions := [one for one in found.get("description", []) if one]:
        asset.description = descriptions[0]
    if ratings := [one for one in found.get("Rating", []) if one]:
        asset.rating = int(float(ratings[0])) or None
    if found.get("GPSLatitude") and found.get("GPSLongitude"):
        asset.place = named_place(_coordinate(found["GPSLatitude"][0]), _coordinate(found["GPSLongitude"][0]))
    for value in dict.fromkeys(found.get("TagsList", []) or found.get("subject", [])):
        world.add_tag(value, [asset], owner=world.users[asset.owner])
