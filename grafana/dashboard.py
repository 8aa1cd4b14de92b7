"""A dashboard: its variables, its panels, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exporter import metrics
from grafana.panels import PLAIN, POSTGRES, PROMETHEUS, Json, Panel, Query, Row, link, placed, stat
from grafana.promql import Vector, aggregate, calc, either, scaled, select

SCHEMA: Final = 42
"""The last one of the classic model; Grafana 10 to 13 read it, and make their own of it."""

TAG: Final = "bandwidth"
OVERVIEW, CLIENT, OWNER, WAN = "bandwidth-overview", "bandwidth-client", "bandwidth-owner", "bandwidth-wan"
WIFI, PROTOCOLS, QUOTAS = "bandwidth-wifi", "bandwidth-protocols", "bandwidth-quotas"
EXPORTER = "bandwidth-exporter"


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard. query: "" where it is a data source of the kind `plugin`.

    every: what All stands for; None: there is no All, the first one is chosen. listed: All stands for each of them.
    hidden: it is not shown.
    """

    name: str
    label: str
    query: str = ""
    pattern: str = ""
    every: str | None = ".+"
    hidden: bool = False
    plugin: str = "prometheus"
    listed: bool = False

    def json(self) -> Json:
        """As Grafana reads it. All is asked for again when the time range changes."""
        common: Json = {
            "name": self.name,
            "label": self.label,
            "hide": 2 if self.hidden else 0,
            "options": [],
            "regex": self.pattern,
            "skipUrlSync": False,
        }
        if not self.query:
            return {
                **common,
                "type": "datasource",
                "query": self.plugin,
                "current": {},
                "includeAll": False,
                "multi": False,
                "refresh": 1,
            }
        everything = self.every is not None or self.listed
        chosen = {"selected": True, "text": ["All"], "value": ["$__all"]} if everything else {}
        return {
            **common,
            "type": "query",
            "datasource": dict(PROMETHEUS),
            "definition": self.query,
            "query": {
                "qryType": 3 if self.query.startswith("query_result") else 1,  # a query's result, a label's values
                "query": self.query,
                "refId": "PrometheusVariableQueryEditor-VariableQuery",
            },
            "current": chosen,
            "includeAll": everything,
            **({} if self.every is None or self.listed else {"allValue": self.every}),
            "multi": True,
            "refresh": 2,
            "sort": 5,
        }


DATASOURCE: Final = Variable("datasource", "Data source")
SQL: Final = Variable("postgres", "PostgreSQL", plugin=POSTGRES["type"])
JOB: Final = Variable("job", "Job", f"label_values({metrics.BUILD_INFO.name}, job)", hidden=True)
INSTANCE: Final = Variable("instance", "Instance", f'label_values({metrics.BUILD_INFO.name}{{job=~"$job"}}, instance)')
SOURCE: Final = Variable(
    "source", "Source", f'label_values({metrics.SOURCE_INFO.name}{{job=~"$job",instance=~"$instance"}}, source)'
)
_SITES: Final = select(metrics.SITE_DOWNLOAD, 'site=~".+"')
SITE: Final = Variable("site", "Site", f"label_values({_SITES.text}, site)", every=".*")
"""A router has no site: All includes the empty one."""

_NAMES = r'/client="(?<value>[^"]+)",name="(?<text>[\s\S]*)"} /'


def clients(*matchers: str, every: str | None = ".+", listed: bool = False) -> Variable:
    """Clients by name; the value is the MAC. Names may hold anything, so the pattern ends with the series."""
    named = aggregate("max", ("client", "name"), select(metrics.CLIENT_INFO, *matchers))
    return Variable("client", "Client", f"query_result({named.text})", _NAMES, every, listed=listed)


SELECTION: Final = (DATASOURCE, JOB, INSTANCE, SOURCE, SITE)
"""What every dashboard begins with."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Marks on the time axis wherever the vector has a value."""

    name: str
    vector: Vector
    text: str
    colour: str

    def json(self) -> Json:
        """As Grafana reads it."""
        return {
            "name": self.name,
            "datasource": dict(PROMETHEUS),
            "enable": True,
            "hide": False,
            "iconColor": self.colour,
            "expr": self.vector.text,
            "titleFormat": self.name,
            "textFormat": self.text,
            "step": "",
            "useValueForTime": False,
        }


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard. rows: panels that stand alone, and rows of them, from top to bottom."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row | Panel]
    variables: Sequence[Variable] = SELECTION
    annotations: Sequence[Annotation] = ()
    time: str = "now-24h"

    def json(self) -> Json:
        """As Grafana reads it."""
        built_in = {
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts",
            "type": "dashboard",
        }
        others = {
            "asDropdown": True,
            "icon": "external link",
            "includeVars": True,
            "keepTime": True,
            "tags": [TAG],
            "targetBlank": False,
            "title": "Bandwidth",
            "tooltip": "",
            "type": "dashboards",
            "url": "",
        }
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "1m",
            "time": {"from": self.time, "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "weekStart": "",
            "fiscalYearStartMonth": 0,
            "links": [others],
            "annotations": {"list": [built_in, *(annotation.json() for annotation in self.annotations)]},
            "templating": {"list": [variable.json() for variable in self.variables]},
            "panels": placed([STATUS, *self.rows]),
        }


MANY: Final = 1_000_000
"""More sources than there are. A range without an end is read as one that ends at 0."""


def _status() -> Panel:
    demo = aggregate("count", (), select(metrics.SOURCE_INFO, 'source=~"demo-.+"', everything=True))
    sources = select(metrics.SOURCE_UP, everything=True)
    down = aggregate("count", (), calc(sources, "==", 0))
    well = scaled(0, aggregate("count", (), sources))
    meanings = [
        {
            "type": "range",
            "options": {
                "from": -MANY,
                "to": -1,
                "result": {
                    "text": "DEMO: a simulated network. None of these numbers is real.",
                    "color": "dark-orange",
                    "index": 0,
                },
            },
        },
        {"type": "value", "options": {"0": {"text": "Every source answers", "color": "dark-green", "index": 1}}},
        {
            "type": "range",
            "options": {
                "from": 1,
                "to": MANY,
                "result": {
                    "text": "A source does not answer: what is shown of it is old, or missing",
                    "color": "dark-red",
                    "index": 2,
                },
            },
        },
    ]
    panel = stat(
        "Status",
        "Whether these numbers are real, and whether every source answers. Click for the dashboard Exporter.",
        [Query(either(scaled(-1, demo), down, well), "status")],
        PLAIN,
        "Prometheus has nothing of an exporter in this time: does it run, and is it scraped?",
        history=False,
        colour="background",
        defaults={"mappings": meanings, "links": [link("Exporter", EXPORTER)]},
    )
    return panel.sized(24, 2)


STATUS: Final = _status()
"""Stands on top of every dashboard."""
