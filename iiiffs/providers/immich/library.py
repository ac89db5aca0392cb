"""Views of the whole library as searches. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta

from iiiffs.errors import NotOffered
from iiiffs.providers.immich.wire import AssetRecord, time_text
from iiiffs.providers.views import Everything, Favorites, Found, Month, OfPerson, OfTag, Trash, View
from iiiffs.tree.query import Field, Query, Term, fold

SEEN = ("timeline",)
KEPT = ("timeline", "archive")
"""`visibility` is asked for one by one: no filter means something else on each version, and hidden ones too (§2)."""
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999."""
LONG_AGO = "1970-01-01T00:00:00.000Z"
IN_TRASH: Mapping[str, object] = {"trashedAfter": LONG_AGO}
"""As POST /search/statistics knows it, which has no `withDeleted`."""
NAMED = frozenset({Field.SMART, Field.PERSON, Field.TAG, Field.CITY})
"""What becomes a filter only with the server's own names."""
PLACES = ("city", "state", "country")
Choice = tuple[str, Mapping[str, object]]
"""A name that the server knows, and the filter that means it."""
TYPES = {"image": "IMAGE", "video": "VIDEO", "sound": "AUDIO"}


def visibilities_of(view: View) -> tuple[str, ...]:
    """One search each, in this order. Archived ones are in their albums, and wherever they were put by hand."""
    return SEEN if isinstance(view, Everything | Month) else KEPT


def filters_of(view: View) -> Mapping[str, object]:
    """The flat filters of POST /search/metadata, without visibility and page. Errors: NotOffered."""
    match view:
        case Everything():
            return {}
        case Month(month):
            return _filters_of_month(month)
        case Favorites():
            return {"isFavorite": True}
        case Trash():
            return {"withDeleted": True, **IN_TRASH}
        case OfPerson(id):
            return {"personIds": [id]}
        case OfTag(id):
            return {"tagIds": [id]}
        case Found(query):
            return _filters_of_query(query)


def smart_text(view: View) -> str | None:
    """What to look for by content; None if the view does not ask for that."""
    if not isinstance(view, Found):
        return None
    words = [term.value for term in view.query.terms if term.field is Field.SMART]
    return " ".join(words) or None


def values_of(query: Query, field: Field) -> list[str]:
    """The folded values of that field."""
    return [term.value for term in query.terms if term.field is field]


def matches(field: Field, value: str, name: str) -> bool:
    """True if somebody or something of that name is meant: a whole tag, else whole words of the name."""
    name = fold(name)
    return name == value if field is Field.TAG else f" {value} " in f" {name} "


def combined(filters: Mapping[str, object], choice: Mapping[str, object]) -> dict[str, object]:
    """Both: lists of ids are joined. Errors: NotOffered where a filter takes one value."""
    both = dict(filters)
    for key, value in choice.items():
        held = both.get(key)
        if isinstance(held, list) and isinstance(value, list):
            both[key] = [*held, *value]
        elif held is None or held == value:
            both[key] = value
        else:
            raise NotOffered("Immich looks for one place at a time")
    return both


def taken_before(filters: Mapping[str, object], before_ms: int | None) -> dict[str, object]:
    """`filters`, of what was taken up to then alone: `fileCreatedAt`, which answers are sorted by."""
    if before_ms is None or not 0 <= before_ms - EARLIEST_MS <= LATEST_MS - EARLIEST_MS:
        return dict(filters)
    limit, asked = time_text(before_ms), filters.get("takenBefore")
    return {**filters, "takenBefore": min(limit, asked) if isinstance(asked, str) else limit}


def is_within(record: AssetRecord, view: View) -> bool:
    """True if it was taken on a day that the view asks for: by the wall clock there, which no filter knows."""
    if isinstance(view, Month):
        return record.local_date_time[:7] == view.month
    if not isinstance(view, Found):
        return True
    day = record.local_date_time[:10]
    begin, end = (values_of(view.query, field) for field in (Field.FROM, Field.TO))
    return all(day >= first for first in begin) and all(day <= last for last in end)


def is_counted(view: View) -> bool:
    """True if POST /search/statistics takes the filters, and they find what the view holds and nothing else."""
    if isinstance(view, Trash | Month):
        return False
    asked = {term.field for term in view.query.terms} if isinstance(view, Found) else set()
    return not asked & {Field.FROM, Field.TO, Field.SMART} and "originalFileName" not in filters_of(view)


def _filters_of_month(month: str) -> dict[str, object]:
    """The days of the month and those around it. Errors: NotOffered if it is none."""
    if not MONTH.fullmatch(month):
        raise NotOffered(f"{month!a} is no month")
    filters = {"takenAfter": f"{_day(f'{month}-01', -1)}T00:00:00.000Z"}
    if month != "9999-12":
        filters["takenBefore"] = f"{_day(f'{month}-01', 33)}T00:00:00.000Z"
    return dict(filters)


def _filters_of_query(query: Query) -> dict[str, object]:
    filters: dict[str, object] = {}
    for term in query.terms:
        if term.field in NAMED:
            continue
        key, value = _filter_of(term)
        if key in filters:
            raise NotOffered(f"search {str(term)!r}: Immich looks for one of a kind at a time")
        filters[key] = value
    return filters


def _filter_of(term: Term) -> tuple[str, object]:
    match term.field:
        case Field.WORD:
            return "originalFileName", term.value
        case Field.FROM:
            return "takenAfter", f"{_day(term.value, -1)}T00:00:00.000Z"
        case Field.TO:
            return "takenBefore", f"{_day(term.value, 2)}T00:00:00.000Z"
        case Field.TYPE if term.value in TYPES:
            return "type", TYPES[term.value]
        case Field.TYPE:
            return "originalFileName", f".{term.value}"
        case Field.RATING if term.value.startswith("=") and term.value not in ("=0", "=-1"):
            return "rating", int(term.value[1:])
    raise NotOffered(f"search {str(term)!r}: Immich cannot look for that")


def _day(day: str, ahead: int) -> str:
    """A day so many days later: filters compare UTC, wall clocks are up to 14 hours off."""
    try:
        return (date.fromisoformat(day) + timedelta(days=ahead)).isoformat()
    except (ValueError, OverflowError) as error:
        raise NotOffered(f"search: {day!r} is at the end of time") from error
