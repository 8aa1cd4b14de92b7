"""A dashboard as a page, and as a picture."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from docs.preview.charts import chart, timeline
from docs.preview.server import Server
from docs.preview.tables import bars, stats, table
from docs.preview.values import Json, named, properties
from tests.e2e.browser import picture

DASHBOARDS: Final = Path(__file__).parents[2] / "grafana" / "dashboards"
STYLE: Final = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
WIDTH: Final = 1600
GAP: Final = 8
HEAD: Final = 60
ROW: Final = 38
"""Pixels: of the page, between panels, of the title, and of a unit of height."""


def seconds(text: str) -> float:
    """Of a time such as `now-24h` and `14d`."""
    match = re.fullmatch(r"(?:now-)?(\d+)([smhd])", text)
    if match is None:
        raise SystemExit(f"{text} is no time such as 6h")
    return float(match[1]) * SECONDS[match[2]]


def draw(dashboard: Json, server: Server) -> tuple[str, int]:
    """A dashboard as HTML, and how many pixels high it is. Rows that are closed are open here."""
    panels = list(_opened(dashboard["panels"]))
    high = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in panels) * ROW + HEAD + GAP
    title = f"<h1>{escape(dashboard['title'])} <small>{escape(dashboard['description'])}</small></h1>"
    body = title + "".join(_panel(each, server) for each in panels)
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><body>{body}</body>', high


def _opened(panels: list[Json]) -> Iterator[Json]:
    shift = 0
    for panel in panels:
        yield _lowered(panel, shift)
        inside = panel.get("panels", []) if panel.get("collapsed") else []
        yield from (_lowered(each, shift) for each in inside)
        bottom = max((each["gridPos"]["y"] + each["gridPos"]["h"] for each in inside), default=0)
        shift += max(0, bottom - panel["gridPos"]["y"] - 1)


def _lowered(panel: Json, by: int) -> Json:
    return {**panel, "gridPos": {**panel["gridPos"], "y": panel["gridPos"]["y"] + by}}


def _panel(panel: Json, server: Server) -> str:
    grid, unit = panel["gridPos"], (WIDTH - GAP) / 24
    width, height = int(grid["w"] * unit - GAP), int(grid["h"] * ROW - GAP)
    place = f"left:{grid['x'] * unit + GAP:.0f}px;top:{grid['y'] * ROW + HEAD}px;width:{width}px;height:{height}px"
    if panel["type"] == "row":
        return f'<h2 style="{place}">{escape(panel["title"])}</h2>'
    recent = panel.get("timeFrom", "")
    own = server._replace(span=seconds(recent)) if recent else server
    empty = panel["fieldConfig"]["defaults"].get("noValue", "No data")
    content = _content(panel, own, width - 20, height - 34) or f"<p>{escape(empty)}</p>"
    title = escape(panel["title"]) + (f" <small>last {recent}</small>" if recent else "")
    return f'<section style="{place}"><h3>{title}</h3>{content}</section>'


def _content(panel: Json, server: Server, width: int, height: int) -> str:
    """ "" where there is nothing."""
    if not all("expr" in target for target in panel["targets"]):
        return "<p>asks PostgreSQL</p>"
    if panel["type"] == "table":
        return table(panel, server)
    step = seconds(panel["interval"]) if panel.get("interval") else 1.0
    names = [(named(labels, target["legendFormat"]), points)
             for target in panel["targets"] for labels, points in server.series(target, step)]  # fmt: skip
    found = [(properties(panel, name).get("displayName") or name, points) for name, points in names]
    if not found:
        return ""
    kinds = {
        "stat": lambda: stats(panel, found, server.end),
        "bargauge": lambda: bars(panel, found, server.end),
        "state-timeline": lambda: timeline(panel, found, server, width),
        "timeseries": lambda: chart(panel, found, server, width, height),
    }
    return kinds[panel["type"]]()


def pictures(
    url: str, folder: Path, choices: Mapping[str, Mapping[str, str]], end: float, highest: int = 10_000
) -> Iterator[Path]:
    """Draw each dashboard, with the chosen values of its variables, up to `end` in Unix seconds.

    highest: pixels, below which it is cut off.
    """
    folder.mkdir(exist_ok=True)
    with TemporaryDirectory() as work:
        for path in sorted(DASHBOARDS.glob("*.json")):
            dashboard = json.loads(path.read_text(encoding="utf-8"))
            chosen = choices.get(path.stem, {})
            span = seconds(chosen.get("span", dashboard["time"]["from"]))
            server = Server(url.rstrip("/"), end, span, chosen).choosing(dashboard["templating"]["list"])
            page, high = draw(dashboard, server)
            html = Path(work) / f"{path.stem}.html"
            html.write_text(page, encoding="utf-8")
            drawn = folder / f"{path.stem}.png"
            picture(html.as_uri(), drawn, WIDTH, min(high, highest))
            yield drawn
