"""Points in time as Immich keeps and writes them: whole microseconds since 1970, in two spellings."""

from __future__ import annotations

import datetime
import time

UTC = datetime.UTC
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
MONTHS_SHOWN = 7
DAY_US = 86_400_000_000


class Clock:
    """Now, by the server; `shift_s` moves it, as a wrong clock or a jump would. No two readings are equal."""

    def __init__(self) -> None:
        self.shift_s = 0.0
        self._last = 0

    def now(self) -> int:
        """Microseconds; later than every reading before, unless the clock was moved back."""
        reading = time.time_ns() // 1000 + int(self.shift_s * 1_000_000)
        if self._last - 1_000_000 < reading <= self._last:
            reading = self._last + 1
        self._last = reading
        return reading


def parsed(text: str) -> int:
    """Microseconds of an ISO 8601 moment; without a zone it is taken as UTC (immich.md §4). Errors: ValueError."""
    moment = datetime.datetime.fromisoformat(text)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // MICROSECOND


def moment(us: int) -> datetime.datetime:
    """In UTC."""
    return EPOCH + datetime.timedelta(microseconds=us)


def iso(us: int) -> str:
    """As JavaScript writes it: 2023-05-01T08:11:12.000Z."""
    return moment(us).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def database(us: int) -> str:
    """As PostgreSQL's JSON writes it: 2026-11-22T13:23:13.26+00:00, no zeros at the end of the fraction."""
    return bare(us) + "+00:00"


def bare(us: int) -> str:
    """As the timeline's columns write it: without zone."""
    text = moment(us).replace(tzinfo=None).isoformat()
    return text.rstrip("0") if "." in text else text


def month(us: int) -> str:
    """The timeline bucket: 2023-05-01."""
    return f"{moment(us).isoformat()[:MONTHS_SHOWN]}-01"


def day(us: int) -> int:
    """Its first microsecond."""
    return us - us % DAY_US


def zone_name(minutes: int) -> str:
    """As exifInfo.timeZone writes a fixed zone: UTC, UTC+2, UTC-3:30."""
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '-'}{hours}" + (f":{rest:02}" if rest else "")


def zone_text(minutes: int | None) -> str:
    """As ISO 8601 has it at the end of a moment: +02:00; nothing for None."""
    if minutes is None:
        return ""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def zone_minutes(name: str | None) -> int:
    """Of a fixed zone, also spelled +02:00; 0 for UTC, for none, and for a place, which is not known here."""
    if not name:
        return 0
    text = name.removeprefix("UTC")
    if not text or text[0] not in "+-":
        return 0
    hours, _, rest = text[1:].partition(":")
    return (int(hours) * 60 + int(rest or 0)) * (-1 if text[0] == "-" else 1)
