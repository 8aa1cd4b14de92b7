"""Values over time, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from math import isfinite
from typing import Final, NamedTuple

from docs.preview.server import Server
from docs.preview.values import Json, Points, meaning, properties, shown

COLOURS: Final = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#fade2a", "#96d98d")
LISTED: Final = 8
"""Series in the legend."""
AXIS: Final = 62
NAMES: Final = 190
LANE: Final = 24
"""Pixels: of the scale, of the names and the height of a timeline."""


class Line(NamedTuple):
    """A series as it is drawn. drawn: when, from and up to which value."""

    name: str
    colour: str
    drawn: list[tuple[float, float, float]]
    field: Json
    mean: float


class Frame(NamedTuple):
    """What part of time and values is shown, on how many pixels."""

    start: float
    span: float
    least: float
    most: float
    width: int
    height: int

    def x(self, at: float) -> float:
        """Pixels from the left."""
        return AXIS + (at - self.start) / self.span * (self.width - AXIS - 8)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return 6 + (self.most - value) / ((self.most - self.least) or 1) * (self.height - 12)


def chart(panel: Json, found: Sequence[tuple[str, Points]], server: Server, width: int, height: int) -> str:
    """Lines or bars, and their legend."""
    lines = list(_lines(panel, found))
    values = [value for line in lines for _, base, top in line.drawn for value in (base, top)] + [0.0]
    most = max(values) or (0.0 if min(values) else 1.0)
    high = max(60, height - 17 * min(len(lines), LISTED) - 30)
    frame = Frame(server.end - server.span, server.span, min(values), most, width, high)
    field = panel["fieldConfig"]["defaults"]
    curves = "".join(_bars(line, frame) if _is_bars(line) else _curve(line, frame) for line in lines)
    svg = f'<svg width="{width}" height="{high + 18}">{_grid(frame, field, server.end)}{curves}</svg>'
    return svg + _legend(lines, field, server.end)


def _lines(panel: Json, found: Sequence[tuple[str, Points]]) -> Iterator[Line]:
    stacked = panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode") == "normal"
    floor: dict[float, float] = {}
    for index, (name, points) in enumerate(found):
        field = properties(panel, name)
        sign = -1 if field.get("custom.transform") == "negative-Y" else 1
        drawn = []
        for at, value in points:
            if isfinite(value):
                base = floor.get(at, 0.0) if stacked else 0.0
                floor[at] = base + sign * value
                drawn.append((at, base, floor[at] if stacked else sign * value))
        mean = sum(value for _, value in points) / max(len(points), 1)
        yield Line(name, COLOURS[index % len(COLOURS)], drawn, field, mean)


def _is_bars(line: Line) -> bool:
    return bool(line.field["custom"].get("drawStyle") == "bars")


def _grid(frame: Frame, field: Json, now: float) -> str:
    parts = []
    form = "%m-%d" if frame.span > 2 * 86_400 else "%H:%M"
    for tick in range(5):
        value, at = frame.least + (frame.most - frame.least) * tick / 4, frame.start + frame.span * tick / 4
        y, label = frame.y(value), escape(shown(value, field, now))
        parts.append(f'<line x1="{AXIS}" x2="{frame.width - 8}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{AXIS - 5}" y="{y + 3:.1f}" class="y">{label}</text>')
        when = f"{datetime.fromtimestamp(at, UTC):{form}}"
        parts.append(f'<text x="{frame.x(at):.1f}" y="{frame.height + 14}" class="x">{when}</text>')
    return "".join(parts)


def _bars(line: Line, frame: Frame) -> str:
    wide = max(2.0, (frame.width - AXIS) / max(len(line.drawn), 1) * 0.7)
    return "".join(
        f'<rect x="{frame.x(at) - wide / 2:.1f}" y="{frame.y(max(base, top)):.1f}" width="{wide:.1f}"'
        f' height="{abs(frame.y(base) - frame.y(top)):.1f}" fill="{line.colour}" opacity=".7"/>'
        for at, base, top in line.drawn
    )


def _curve(line: Line, frame: Frame) -> str:
    """Broken where there is nothing."""
    dash = ' stroke-dasharray="6 6"' if "custom.lineStyle" in line.field else ""
    usual = _step([at for at, *_ in line.drawn], 1.0)
    pieces: list[list[tuple[float, float]]] = []
    last = float("-inf")
    for at, _, top in line.drawn:
        if at - last > 1.5 * usual:
            pieces.append([])
        pieces[-1].append((frame.x(at), frame.y(top)))
        last = at
    return "".join(_polyline([*piece, (piece[-1][0] + 1, piece[-1][1])], line.colour, dash) for piece in pieces)


def _polyline(points: Sequence[tuple[float, float]], colour: str, dash: str) -> str:
    listed = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{listed}" fill="none" stroke="{colour}"{dash}/>'


def _step(times: Sequence[float], otherwise: float) -> float:
    return min((later - earlier for earlier, later in pairwise(times)), default=otherwise)


def _legend(lines: Sequence[Line], field: Json, now: float) -> str:
    parts = [
        f'<div class="key"><i style="background:{line.colour}"></i>{escape(line.name)}'
        f"<b>{escape(shown(line.mean, field, now))}</b></div>"
        for line in lines[:LISTED]
    ]
    more = [f'<div class="key">… and {len(lines) - LISTED} more</div>'] if len(lines) > LISTED else []
    return "".join(parts + more)


def timeline(panel: Json, found: Sequence[tuple[str, Points]], server: Server, width: int) -> str:
    """Which state each series was in, and when."""
    start, parts = server.end - server.span, []
    scale = (width - NAMES) / server.span
    for index, (name, points) in enumerate(found):
        top = index * LANE
        parts.append(f'<text x="{NAMES - 6}" y="{top + 15}" class="y">{escape(name[:32])}</text>')
        wide = _step([at for at, _ in points], 60.0) * scale + 0.6
        for at, value in points:
            colour = meaning(value, properties(panel, name))[1]
            place = f'x="{NAMES + (at - start) * scale:.1f}" y="{top + 3}" width="{wide:.1f}" height="{LANE - 6}"'
            parts.append(f'<rect {place} fill="{colour}" opacity=".7"/>')
    return f'<svg width="{width}" height="{len(found) * LANE}">{"".join(parts)}</svg>'
