"""What a daemon answers, for people: keys say their unit by their ending, so no table of keys is needed here."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text


def size_text(size_bytes: float) -> str:
    """Bytes as "1.5 GiB"; below 1024 as "37 B"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def duration_text(duration_s: float) -> str:
    """Seconds as "3 d 4 h", "5 min 7 s" or "1.25 s"."""
    if duration_s < 60:
        return f"{duration_s:.3g} s"
    whole = int(duration_s)
    steps = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for (step, unit), (next_step, next_unit) in itertools.pairwise(steps):
        if whole >= step:
            rest = whole % step // next_step
            return f"{whole // step} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{whole} s"


def value_text(key: str, value: object) -> str:
    """A value in the unit that its key's ending names; "-" for None."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() | float() if key.endswith("_bytes"):
            return size_text(value)
        case int() | float() if key.endswith("_s"):
            return duration_text(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case Mapping():
            return ", ".join(f"{key_text(str(k))} {value_text(str(k), v)}" for k, v in value.items())
        case Sequence() if not isinstance(value, str):
            return ", ".join(value_text(key, item) for item in value) or "-"
    return str(value)


def key_text(key: str) -> str:
    """ "used_bytes" as "used size", "uptime_s" as "uptime"."""
    if key.endswith("_bytes"):
        key = key.removesuffix("_bytes") + "_size"
    return key.removesuffix("_s").replace("_", " ")


def print_answer(console: Console, answer: Mapping[str, object]) -> None:
    """Plain values as one table, then each mapping and each list of mappings under its name."""
    plain = Table.grid(padding=(0, 2))
    sections: list[tuple[str, Mapping[str, object] | list[Mapping[str, object]]]] = []
    for key, value in answer.items():
        if isinstance(value, Mapping) or (
            isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value)
        ):
            sections.append((key, value))
        else:
            plain.add_row(Text(key_text(key), style="bold"), Text(value_text(key, value)))
    if plain.row_count:
        console.print(plain)
    for key, section in sections:
        console.print()
        console.print(Text(key_text(key), style="bold underline"))
        if isinstance(section, Mapping):
            print_answer(console, section)
        elif any(isinstance(value, Mapping) for row in section for value in row.values()):
            for row in section:
                console.print(_block(row))
        else:
            console.print(_rows(section))


def _block(row: Mapping[str, object]) -> Table:
    """What says too much for a line: a line a key, so that no reason is cut."""
    table = Table.grid(padding=(0, 2))
    for key, value in row.items():
        table.add_row(Text(key_text(key), style="bold"), Text(value_text(key, value), overflow="fold"))
    return table


def _rows(rows: list[Mapping[str, object]]) -> Table:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*(Column(Text(key_text(column))) for column in columns), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(value_text(column, row.get(column))) for column in columns))
    return table
