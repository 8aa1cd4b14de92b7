"""Panels of a classic dashboard as frozen values, and the JSON that Grafana reads of them.

What every panel has to have (title, description, unit, what it says where there is nothing) is an argument without a
default. Column names of tables are labels of their queries, checked while they are built.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from zlib import crc32

from grafana.promql import Vector, WrongQueryError, aggregate

Json = dict[str, Any]

PROMETHEUS: Final = {"type": "prometheus", "uid": "${datasource}"}
POSTGRES: Final = {"type": "grafana-postgresql-datasource", "uid": "${postgres}"}

BITS, BYTES, RATIO, SECONDS, COUNT, PLAIN = "bps", "decbytes", "percentunit", "s", "short", "none"
"""Units by Grafana's ids. GB are powers of 1000, as on bills; bps takes bits."""
TEXT = "string"
"""Of columns of labels: with another unit Grafana takes what looks like a number for one, and 007 becomes 7."""
MOMENT, AGO = "dateTimeAsIso", "dateTimeFromNow"
"""Of milliseconds since 1970."""

ROUNDED: Final[Mapping[str, Json]] = {COUNT: {"decimals": 0}, RATIO: {"decimals": 1}}
"""increase() estimates at the edges of its window: of things that are counted it says 2.03. And no 0.00238 %."""

_LEGEND = re.compile(r"{{(\w+)}}")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Query:
    """A query of Prometheus. legend: how its series are called, with labels as `{{label}}`."""

    vector: Vector
    legend: str = ""

    def __post_init__(self) -> None:
        if unknown := set(_LEGEND.findall(self.legend)) - self.vector.labels:
            raise WrongQueryError(f"no label {', '.join(sorted(unknown))} for the legend: {self.vector.text}")


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. recent: it shows so much, whatever time is chosen; interval: with points so far apart.

    options, custom: of the kind. defaults: of all fields, overrides: of some, both as Grafana writes them.
    """

    kind: str
    title: str
    description: str
    targets: tuple[Json, ...]
    unit: str
    empty: str
    width: int
    height: int
    datasource: Mapping[str, str] = field(default_factory=lambda: PROMETHEUS)
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()
    recent: str = ""
    interval: str = ""

    def sized(self, width: int, height: int) -> Panel:
        """The same, in another size. The dashboard is 24 wide; there a legend stands beside the curves."""
        options = dict(self.options)
        if self.kind == "timeseries" and width == 24:
            options["legend"] = {**options["legend"], "placement": "right", "width": 420}
        return replace(self, width=width, height=height, options=options)

    def naming(self) -> Panel:
        """The same stat, that shows what its series are called in the place of their values."""
        return replace(self, options={**self.options, "textMode": "name"})

    def of_now(self) -> Panel:
        """The same, of the last hour, however long the chosen time is: a rate is then one over some minutes."""
        return replace(self, recent="1h")

    def json(self, x: int, y: int) -> Json:
        """As Grafana reads it. The id comes from the title, so that links to a panel last."""
        written: Json = {
            "id": identity(self.title),
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": dict(self.datasource),
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": list(self.targets),
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "noValue": self.empty,
                    "custom": dict(self.custom),
                    "mappings": [],
                    "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}]},
                    **self.defaults,
                },
                "overrides": list(self.overrides),
            },
            "options": dict(self.options),
            "transformations": list(self.transformations),
        }
        if self.recent:
            written["timeFrom"] = self.recent
            written["hideTimeOverride"] = self.recent == "1h"
        if self.interval:
            written["interval"] = self.interval
        return written


@dataclass(frozen=True, slots=True)
class Row:
    """A heading, and the panels under it. collapsed: closed, and nothing is asked, until somebody opens it."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


def identity(title: str) -> int:
    """The id of the panel of that title."""
    return 1 + crc32(title.encode()) % 1_000_000


def targets(queries: Sequence[Query], *, instant: bool, table: bool = False) -> tuple[Json, ...]:
    """Queries as Grafana reads them."""
    return tuple(
        {
            "refId": letter,
            "datasource": dict(PROMETHEUS),
            "editorMode": "code",
            "expr": query.vector.text,
            "legendFormat": query.legend or "__auto",
            "instant": instant,
            "range": not instant,
            "format": "table" if table else "time_series",
        }
        for letter, query in zip(_LETTERS, queries, strict=False)
    )


def link(title: str, uid: str, **selection: str) -> Json:
    """A link to a dashboard that keeps data source and time, with a selection of `variable=value`."""
    chosen = "".join(f"&var-{variable}={value}" for variable, value in selection.items())
    return {"title": title, "url": f"/d/{uid}?${{datasource:queryparam}}{chosen}&${{__url_time_range}}"}


def of_field(*labels: str) -> dict[str, str]:
    """The selection that a series' own labels make."""
    return {label: f"${{__field.labels.{label}}}" for label in labels}


def steps(*colours: tuple[float | None, str]) -> Json:
    """Thresholds: from which value on, which colour."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in colours]}


GOOD_TO_BAD: Final = steps((None, "green"), (0.75, "yellow"), (0.9, "red"))
"""Of a share that should not be used up."""


def texts(**meanings: tuple[str, str]) -> Json:
    """What a number means: `_1=("Up", "green")`."""
    options = {
        number.removeprefix("_"): {"text": text, "color": colour, "index": index}
        for index, (number, (text, colour)) in enumerate(meanings.items())
    }
    return {"type": "value", "options": options}


UP_OR_DOWN: Final = texts(_1=("Up", "green"), _0=("Down", "red"))


def stat(
    title: str,
    description: str,
    queries: Sequence[Query],
    unit: str,
    empty: str,
    *,
    history: bool = True,
    defaults: Mapping[str, Any] | None = None,
    colour: str = "value",
) -> Panel:
    """Numbers in large type, one for each series. history: with a curve behind."""
    options = {
        "colorMode": colour,
        "graphMode": "area" if history else "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
        "wideLayout": True,
    }
    asked = targets(queries, instant=not history)
    own = {**ROUNDED.get(unit, {}), **(defaults or {})}
    return Panel("stat", title, description, asked, unit, empty, 6, 5, options=options, defaults=own)


def gauges(
    title: str, description: str, queries: Sequence[Query], unit: str, empty: str, *, highest: float | None = None
) -> Panel:
    """Bars, one for each series, coloured by how full they are."""
    options = {
        "displayMode": "gradient",
        "minVizHeight": 16,
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "valueMode": "color",
    }
    defaults: Json = {
        **ROUNDED.get(unit, {}),
        "min": 0,
        "thresholds": GOOD_TO_BAD,
        "color": {"mode": "thresholds"},
    }
    if highest is not None:
        defaults["max"] = highest
    asked = targets(queries, instant=True)
    return Panel("bargauge", title, description, asked, unit, empty, 6, 5, options=options, defaults=defaults)


@dataclass(frozen=True, slots=True)
class Draw:
    """How curves are drawn. below: those whose name matches, downward; dashed: those whose name matches, dashed."""

    stacked: bool = False
    bars: bool = False
    below: str = ""
    dashed: str = ""


UPLOADS: Final = " upload( paid for)?$"
"""Ends the names of what is drawn downward; a client may be called upload."""

MIRRORED: Final = Draw(below=UPLOADS)
"""Download upward, upload downward."""


def curves(
    title: str,
    description: str,
    queries: Sequence[Query],
    unit: str,
    empty: str,
    *,
    draw: Draw | None = None,
    links: Sequence[Json] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Panel:
    """Values over time. Bars are five minutes apart or more.

    They show increases over $__rate_interval, which is four scrapes or more: closer together, each would count again
    what its neighbours count.
    """
    draw = draw or Draw()
    custom = {
        "drawStyle": "bars" if draw.bars else "line",
        "fillOpacity": 60 if draw.bars else 15,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if draw.stacked else "none", "group": "A"},
        "axisSoftMin": 0,
    }
    options = {
        "legend": {"calcs": ["mean", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    overrides = []
    if draw.below:
        overrides.append(override(f"/{draw.below}/", "byRegexp", {"custom.transform": "negative-Y"}))
    if draw.dashed:
        style = {"custom.lineStyle": {"fill": "dash", "dash": [10, 10]}, "custom.fillOpacity": 0}
        overrides.append(override(f"/{draw.dashed}/", "byRegexp", style))
    return Panel(
        "timeseries",
        title,
        description,
        targets(queries, instant=False),
        unit,
        empty,
        12,
        9,
        options=options,
        custom=custom,
        defaults={"links": list(links), **(defaults or {})},
        overrides=tuple(overrides),
        interval="5m" if draw.bars else "",
    )


def days(
    title: str, description: str, queries: Sequence[Query], unit: str, empty: str, *, links: Sequence[Json] = ()
) -> Panel:
    """A bar for each of the last 14 days, whatever time range is chosen."""
    panel = curves(title, description, queries, unit, empty, draw=Draw(bars=True), links=links)
    return replace(panel, recent="14d", interval="1d")


def timeline(
    title: str, description: str, queries: Sequence[Query], unit: str, empty: str, defaults: Mapping[str, Any]
) -> Panel:
    """Which state each series was in, and when."""
    options = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    asked = targets(queries, instant=False)
    custom = {"fillOpacity": 70, "lineWidth": 0}
    return Panel(
        "state-timeline",
        title,
        description,
        asked,
        unit,
        empty,
        24,
        6,
        options=options,
        custom=custom,
        defaults=defaults,
    )


def up_and_down(title: str, description: str, query: Query, empty: str) -> Panel:
    """When each series was up."""
    return timeline(title, description, [query], PLAIN, empty, {"mappings": [UP_OR_DOWN]})


def override(name: str, matcher: str, properties: Mapping[str, Any]) -> Json:
    """How some fields differ from the others."""
    return {
        "matcher": {"id": matcher, "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


BLANK: Final = override("/.*/", "byRegexp", {"noValue": ""})
"""Else every empty cell says what a table says that has no rows, and so do links to a client without a site."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers. bring: labels that only this query has, shown as columns of text.

    title "" : the number says nothing, only the labels do. shows: further properties of the column.
    """

    title: str
    vector: Vector
    unit: str = PLAIN
    bring: tuple[str, ...] = ()
    shows: Mapping[str, Any] = field(default_factory=dict)


BAR: Final = {"custom.cellOptions": {"type": "gauge", "mode": "gradient"}, "min": 0}
FULLNESS: Final = {**BAR, "max": 1, "thresholds": GOOD_TO_BAD, "color": {"mode": "thresholds"}}


def table(
    title: str,
    description: str,
    keys: Mapping[str, str],
    columns: Sequence[Column],
    empty: str,
    *,
    order: str = "",
    least: bool = False,
    links: Mapping[str, Json] | None = None,
) -> Panel:
    """A row for each subject. keys: the labels that all queries have, and how their columns are called.

    `instance` is a key of every table and not shown: where two exporters know a subject, it has two rows. A key called
    "" is one that is not shown either. Labels that a query brings are called by the names in `keys` as well. order: the
    column by which rows are sorted, the largest first, or the least. links: by the name of the column on which they
    stand.
    """
    brought = {label for column in columns for label in column.bring}
    common = ["instance", *(label for label in keys if label not in brought)]
    queries = [Query(aggregate("max", [*common, *column.bring], column.vector)) for column in columns]
    asked = targets(queries, instant=True, table=True)
    values = ["Value"] if len(columns) == 1 else [f"Value #{target['refId']}" for target in asked]
    hidden = ["Time", "instance", *(label for label, name in keys.items() if not name)]
    hidden += [value for value, column in zip(values, columns, strict=True) if not column.title]
    shown = {label: name for label, name in keys.items() if name}
    shown |= {value: column.title for value, column in zip(values, columns, strict=True) if column.title}
    organize = {
        "excludeByName": dict.fromkeys(hidden, True),
        "indexByName": {name: index for index, name in enumerate(shown)},
        "renameByName": shown,
    }
    overrides = [
        override(column.title, "byName", {"unit": column.unit, **ROUNDED.get(column.unit, {}), **column.shows})
        for column in columns
        if column.title
    ]
    overrides += [override(name, "byName", {"links": [link]}) for name, link in (links or {}).items()]
    options: Json = {"cellHeight": "sm", "showHeader": True, "footer": {"show": False, "reducer": [], "fields": ""}}
    if order:
        options["sortBy"] = [{"displayName": order, "desc": not least}]
    if unknown := {order, *(links or {})} - {"", *shown.values()}:
        raise WrongQueryError(f"{title}: no column {', '.join(sorted(unknown))}")
    return Panel(
        "table",
        title,
        description,
        asked,
        TEXT,
        empty,
        12,
        9,
        options=options,
        custom={"align": "auto", "filterable": False, "inspect": False},
        overrides=(BLANK, *overrides),
        transformations=({"id": "merge", "options": {}}, {"id": "organize", "options": organize}),
    )


def sql_table(title: str, description: str, statement: str, units: Mapping[str, str], empty: str) -> Panel:
    """What PostgreSQL answers, as it is. units: of its columns."""
    asked = {
        "refId": "A",
        "datasource": dict(POSTGRES),
        "editorMode": "code",
        "format": "table",
        "rawQuery": True,
        "rawSql": statement,
    }
    overrides = tuple(override(name, "byName", {"unit": unit, **ROUNDED.get(unit, {})}) for name, unit in units.items())
    return Panel(
        "table",
        title,
        description,
        (asked,),
        TEXT,
        empty,
        12,
        9,
        datasource=POSTGRES,
        options={"cellHeight": "sm", "showHeader": True},
        custom={"align": "auto", "filterable": True, "inspect": False},
        overrides=(BLANK, *overrides),
    )


def placed(rows: Iterable[Row | Panel]) -> list[Json]:
    """Panels from left to right and from top to bottom, each row of them as high as its highest panel."""
    written: list[Json] = []
    x = y = deep = 0

    def flow(panel: Panel) -> Json:
        nonlocal x, y, deep
        if x + panel.width > 24:
            x, y, deep = 0, y + deep, 0
        shown = panel.json(x, y)
        x, deep = x + panel.width, max(deep, panel.height)
        return shown

    for row in rows:
        if isinstance(row, Panel):
            written.append(flow(row))
            continue
        x, y, deep = 0, y + deep, 0
        heading: Json = {
            "id": identity(f"row {row.title}"),
            "type": "row",
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
            "panels": [],
        }
        written.append(heading)
        y += 1
        inside = [flow(panel) for panel in row.panels]
        (heading["panels"] if row.collapsed else written).extend(inside)
    return written
