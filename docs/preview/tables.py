"""Numbers in large type, bars and tables, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import inf
from typing import Any, Final

from docs.preview.server import Server
from docs.preview.values import Json, Points, meaning, properties, shown

ROWS: Final = 40

Row = dict[str, Any]


def stats(panel: Json, found: Sequence[tuple[str, Points]], now: float) -> str:
    """A number for each series."""
    cells = []
    for name, points in found:
        field, value = properties(panel, name), points[-1][1]
        text, colour = meaning(value, field)
        filled = panel["options"].get("colorMode") == "background"
        style = f"background:{colour};color:#fff" if filled else f"color:{colour}"
        title = f"<small>{escape(name)}</small>" if len(found) > 1 else ""
        words = escape(text or shown(value, field, now))
        cells.append(f'<div class="stat" style="{style}">{title}<b>{words}</b></div>')
    return f'<div class="stats">{"".join(cells)}</div>'


def bars(panel: Json, found: Sequence[tuple[str, Points]], now: float) -> str:
    """A bar for each series."""
    most = max(points[-1][1] for _, points in found) or 1
    parts = []
    for name, points in found:
        field, value = properties(panel, name), points[-1][1]
        share, colour = min(1.0, value / (field.get("max") or most)), meaning(value, field)[1]
        parts.append(
            f'<div class="bar"><span>{escape(name)}</span>'
            f'<i><u style="width:{100 * share:.1f}%;background:{colour}"></u></i>'
            f"<b>{escape(shown(value, field, now))}</b></div>"
        )
    return "".join(parts)


def table(panel: Json, server: Server) -> str:
    """Rows that are merged by their labels, with the columns that `organize` leaves. "" where there are none."""
    rows = _merged(panel, server)
    organize: Json = next((t["options"] for t in panel["transformations"] if t["id"] == "organize"), {})
    hidden, order = organize.get("excludeByName", {}), organize.get("indexByName", {})
    names = sorted({name for row in rows for name in row}, key=lambda name: (order.get(name, 99), name))
    titles = {name: organize.get("renameByName", {}).get(name, name) for name in names if not hidden.get(name)}
    rows = _sorted(rows, panel["options"].get("sortBy", []), {title: name for name, title in titles.items()})
    head = "".join(f"<th>{escape(title)}</th>" for title in titles.values())
    body = "".join(
        f"<tr>{''.join(_cell(panel, rows, row, name, title, server.end) for name, title in titles.items())}</tr>"
        for row in rows[:ROWS]
    )
    return f"<table><tr>{head}</tr>{body}</table>" if rows else ""


def _merged(panel: Json, server: Server) -> list[Row]:
    found = [(target["refId"], server.series(target, 60)) for target in panel["targets"]]
    labels = [set(each) for _, series in found for each, _ in series]
    keys = set.intersection(*labels) - {"__name__"} if labels else set()
    rows: dict[tuple[str, ...], Row] = {}
    for letter, series in found:
        for each, points in series:
            row = rows.setdefault(tuple(each[key] for key in sorted(keys)), {})
            row |= each
            row["Value" if len(found) == 1 else f"Value #{letter}"] = points[-1][1]
    return list(rows.values())


def _sorted(rows: list[Row], sorts: Sequence[Json], names: Mapping[str, str]) -> list[Row]:
    if not sorts:
        return rows
    by = names.get(sorts[0]["displayName"], "")
    return sorted(rows, key=lambda row: row.get(by, -inf), reverse=sorts[0].get("desc", False))


def _cell(panel: Json, rows: Sequence[Row], row: Row, name: str, title: str, now: float) -> str:
    value = row.get(name, "")
    if not isinstance(value, float):
        return f"<td>{escape(str(value))}</td>"
    field = properties(panel, title)
    text, colour = meaning(value, field)
    kind, style = field.get("custom.cellOptions", {}).get("type", ""), ""
    if kind == "color-text":
        style = f"color:{colour}"
    elif kind == "gauge":
        share = min(1.0, value / (field.get("max") or max(each.get(name) or 0 for each in rows) or 1))
        style = f"background:linear-gradient(90deg,{colour}66 {100 * share:.0f}%,transparent 0)"
    return f'<td class="n" style="{style}">{escape(text or shown(value, field, now))}</td>'
