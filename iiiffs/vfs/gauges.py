"""What the daemon says of itself: one dictionary for `iiiffs status` and status.json, one text for metrics."""

from __future__ import annotations

import msgspec

Values = dict[str, object]


def as_json(values: Values) -> bytes:
    """`values` for a person and for scripts."""
    return msgspec.json.format(msgspec.json.encode(values), indent=2) + b"\n"


def as_metrics(values: Values) -> bytes:
    """The numbers of `values` in Prometheus's text format, nested names joined by `_`.

    Lists of things that have a `name` become labels. Rule: Prometheus exposition format 0.0.4.
    """
    lines: list[str] = []
    _collect("iiiffs", values, "", lines)
    return ("\n".join(lines) + "\n").encode()


def _collect(name: str, value: object, labels: str, lines: list[str]) -> None:
    match value:
        case bool():
            lines.append(f"{name}{labels} {int(value)}")
        case int() | float():
            lines.append(f"{name}{labels} {value}")
        case dict():
            for key, below in value.items():
                _collect(f"{name}_{key}", below, labels, lines)
        case list():
            for item in value:
                if isinstance(item, dict) and "name" in item:
                    label = str(item["name"]).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                    _collect(
                        name, {key: val for key, val in item.items() if key != "name"}, f'{{name="{label}"}}', lines
                    )
