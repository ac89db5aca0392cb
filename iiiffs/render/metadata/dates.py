"""Moments as XMP and IPTC write them."""

from __future__ import annotations

import re
from datetime import datetime

_EARLIEST_YEAR = 1826  # the oldest photograph that survives
_ZONE_MINUTES_MAX = 14 * 60
_MOMENT = re.compile(
    r"(?P<day>(?P<year>[0-9]{4})-[0-9]{2}-[0-9]{2})"
    r"(?:T(?P<minute>[0-9]{2}:[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]{1,9})?)?"
    r"(?P<zone>Z|[+-](?P<hours>[0-9]{2}):(?P<minutes>[0-5][0-9]))?)?"
)


def capture_time(text: str) -> str | None:
    """ISO 8601 in whole seconds, with a zone where `text` has one; None unless it is a day that can be.

    A day alone is its midnight, as other programs take it; a year or a month alone is not known well enough.
    Rule: XMP part 1 §8.2.1.1, Date.
    """
    match = _MOMENT.fullmatch(text.strip())
    if match is None or int(match["year"]) < _EARLIEST_YEAR:
        return None
    zone = match["zone"] or ""
    if match["hours"] and int(match["hours"]) * 60 + int(match["minutes"]) > _ZONE_MINUTES_MAX:
        zone = ""
    local = f"{match['day']}T{match['minute'] or '00:00'}:{match['second'] or '00'}"
    try:
        datetime.fromisoformat(local)
    except ValueError:
        return None
    return local + zone
