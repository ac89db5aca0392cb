"""When and where: navDate and navPlace. Rule: Presentation API 3.0 §3.1, navDate; navPlace extension 1.0 §2."""

from __future__ import annotations

import re
from datetime import UTC, datetime

NAV_PLACE_CONTEXT = "http://iiif.io/api/extension/navplace/context.json"


def nav_date(captured: str | None) -> str | None:
    """`captured` in UTC as xsd:dateTime; None without a zone, or if the calendar has no such moment (cameras err)."""
    if captured is None or not _ZONED.fullmatch(captured):
        return None
    try:
        moment = datetime.fromisoformat(captured).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


_ZONED = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


def nav_place(canvas: str, position: tuple[float, float]) -> dict[str, object]:
    """One point on the map; `position` is latitude and longitude, GeoJSON has them the other way round."""
    latitude, longitude = position
    return {
        "id": f"{canvas}/place",
        "type": "FeatureCollection",
        "features": [
            {
                "id": f"{canvas}/place/point",
                "type": "Feature",
                "properties": {},
                "geometry": {"type": "Point", "coordinates": [longitude, latitude]},
            }
        ],
    }
