"""What a number looks like: units, mappings, thresholds and overrides, as Grafana reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]
Points = list[tuple[float, float]]
"""Unix seconds, and a value."""

NAMED: Final = {
    "green": "#73bf69",
    "yellow": "#f2cc0c",
    "red": "#f2495c",
    "orange": "#ff9830",
    "blue": "#5794f2",
    "purple": "#b877d9",
    "text": "#d8d9da",
    "dark-green": "#37872d",
    "dark-red": "#c4162a",
    "dark-orange": "#fa6400",
    "transparent": "#3a3d42",
}
SCALED: Final = {"bps": "b/s", "Bps": "B/s", "decbytes": "B", "bytes": "B"}
PREFIXES: Final = ("", "k", "M", "G", "T", "P")
LONG: Final = (("d", 86_400), ("h", 3600), ("min", 60))


def shown(value: float, field: Json, now: float) -> str:
    """A value in the unit of its field, with as many decimals as that says. now: Unix seconds."""
    unit, decimals = field["unit"], field.get("decimals")
    if unit == "dateTimeFromNow":
        return f"{(now - value / 1000) / 3600:.1f} h ago"
    if unit.startswith("dateTime"):
        return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M}"
    if unit == "percentunit":
        return f"{_digits(100 * value, decimals)} %"
    if unit in SCALED:
        return _scaled(value, [prefix + SCALED[unit] for prefix in PREFIXES])
    if unit == "s":
        return _duration(value)
    return _digits(value, decimals) + ("" if unit in ("none", "short") else f" {unit}")


def _digits(value: float, decimals: int | None) -> str:
    return f"{value:.4g}" if decimals is None else f"{value:.{decimals}f}"


def _scaled(value: float, names: Sequence[str]) -> str:
    power = 0
    while abs(value) >= 1000 and power < len(names) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.3g} {names[power]}"


def _duration(value: float) -> str:
    for name, size in LONG:
        if abs(value) >= 2 * size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} s" if abs(value) >= 1 or not value else f"{1000 * value:.3g} ms"


def named(labels: Mapping[str, str], legend: str) -> str:
    """What a series is called."""
    if legend and legend != "__auto":
        return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend)
    return ", ".join(f"{key}={value}" for key, value in labels.items() if key != "__name__") or "value"


def properties(panel: Json, name: str) -> Json:
    """Of a field, with the overrides that fit its name."""
    found: Json = dict(panel["fieldConfig"]["defaults"])
    for rule in panel["fieldConfig"]["overrides"]:
        kind, option = rule["matcher"]["id"], rule["matcher"]["options"]
        if option == name if kind == "byName" else re.search(option.strip("/"), name):
            found |= {entry["id"]: entry["value"] for entry in rule["properties"]}
    return found


def meaning(value: float, field: Json) -> tuple[str, str]:
    """The text that stands for a value, "" for none, and its colour."""
    for mapping in field.get("mappings", []):
        hit = _mapped(value, mapping["type"], mapping["options"])
        if hit is not None:
            return hit.get("text") or "", NAMED.get(hit.get("color", ""), NAMED["text"])
    colour = "green"
    for step in field.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return "", NAMED.get(colour, colour)


def _mapped(value: float, kind: str, options: Json) -> Json | None:
    if kind == "value":
        hit: Json | None = options.get(f"{value:g}")
        return hit
    if kind == "range":
        low, high = options.get("from"), options.get("to")
        inside = (low is None or value >= low) and (high is None or value <= high)
        result: Json = options["result"]
        return result if inside else None
    return None
