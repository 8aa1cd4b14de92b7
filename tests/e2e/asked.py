"""What Grafana asks when a shipped dashboard is opened: its variables first, then every query with these put in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from tests.conftest import ROOT
from tests.e2e.lived import EVERY
from tests.e2e.stored import RULES, Answer, Stored, rules

DASHBOARDS: Final = ROOT / "grafana" / "dashboards"
POINTS: Final = 900
"""Points of a graph that is half as wide as a screen."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_REFERENCE: Final = re.compile(r"\$(?:\{(\w+)(?::(\w+))?\}|(\w+))")
_SPECIAL: Final = re.compile(r"[\\^$.*+?()|{}\[\]]")
_MACRO: Final = re.compile(r"\$__(\w+)\(([^()]*)\)")


@dataclass(frozen=True)
class Board:
    """A dashboard as it is shipped."""

    uid: str
    document: Mapping[str, Any]

    @property
    def span(self) -> float:
        """Seconds that it shows when it is opened."""
        return seconds(self.document["time"]["from"].removeprefix("now-"))

    def panels(self) -> Iterator[Mapping[str, Any]]:
        """Every panel, also of rows that are closed."""
        for panel in self.document["panels"]:
            yield from panel["panels"] if panel["type"] == "row" else ()
            if panel["type"] != "row":
                yield panel


class Asked(NamedTuple):
    """One query. span, step: seconds; an instant query has a span of 0. sql: it is for PostgreSQL."""

    board: str
    panel: str
    ref: str
    text: str
    span: float
    step: float
    sql: bool

    def of(self, server: Stored) -> Answer:
        """What Prometheus says to it."""
        return server.ask(self.text, self.span, self.step)

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.board}/{self.panel}/{self.ref}"


def boards() -> list[Board]:
    """All that are shipped."""
    return [Board(path.stem, json.loads(path.read_text())) for path in sorted(DASHBOARDS.glob("*.json"))]


def seconds(duration: str) -> float:
    """Of 30s, 6h, 14d."""
    return float(duration[:-1]) * _UNITS[duration[-1]]


def chosen(board: Board, server: Stored, **choice: str) -> dict[str, str]:
    """What each variable stands for where nobody chose anything but `choice`: All, or else everything there is.

    Fails where a variable finds nothing to choose from.
    """
    known: dict[str, str] = {}
    for variable in board.document["templating"]["list"]:
        name = variable["name"]
        if name in choice:
            known[name] = choice[name]
        elif variable["type"] == "query":
            values = found(put_in(variable["query"]["query"], known), variable["regex"], server, board.span)
            known[name] = variable.get("allValue") or f"({'|'.join(map(escaped, values))})"
        elif variable["type"] in ("custom", "textbox", "constant"):
            current = variable["current"]["value"]
            known[name] = current if isinstance(current, str) else current[0]
    return known


def found(query: str, pattern: str, server: Stored, span: float) -> list[str]:
    """The values that a variable's query finds."""
    labels = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
    if labels:
        return server.labels(labels[2], labels[1], span)
    inner = re.fullmatch(r"query_result\((.*)\)", query)
    assert inner, query
    answer = server.ask(inner[1])
    assert not answer.error, f"{query}: {answer.error}"
    texts = [f"{_braces(labels)} {value:g} {server.end_at * 1000:.0f}" for labels, value in answer.values()]
    search = re.compile(pattern.strip("/").replace("(?<", "(?P<"))
    matches = [match for match in map(search.search, texts) if match]
    group: str | int = "value" if "value" in search.groupindex else min(search.groups, 1)
    return list(dict.fromkeys(match[group] for match in matches))


def _braces(labels: Mapping[str, str]) -> str:
    """A series as Grafana writes it for a variable's pattern."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def escaped(value: str) -> str:
    """A value among others, in a pattern within a PromQL string."""
    return _SPECIAL.sub(lambda special: "\\\\" + special[0], value)


def put_in(text: str, known: Mapping[str, str]) -> str:
    """The text with its variables replaced. Fails where one is not known."""

    def value(reference: re.Match[str]) -> str:
        name = reference[1] or reference[3]
        return reference[0] if name.isdigit() else known[name]  # $1 is label_replace's own

    return _REFERENCE.sub(value, text)


def asked(board: Board, server: Stored, span: float | None = None, **choice: str) -> Iterator[Asked]:
    """Every query of a dashboard. span: the range that is chosen, where it is not the dashboard's own."""
    variables = chosen(board, server, **choice)
    for panel in board.panels():
        shown = seconds(panel["timeFrom"]) if "timeFrom" in panel else span or board.span
        least = seconds(panel["interval"]) if "interval" in panel else EVERY
        step = max(least, shown / panel.get("maxDataPoints", POINTS))
        own = {
            "__range": f"{shown:.0f}s",
            "__range_s": f"{shown:.0f}",
            "__interval": f"{step:.0f}s",
            "__rate_interval": f"{max(step + EVERY, 4 * EVERY):.0f}s",
        }
        for target in panel["targets"]:
            if "rawSql" in target:
                text = put_in(macros(target["rawSql"], server.end_at - shown, server.end_at), variables | own)
                yield Asked(board.uid, panel["title"], target["refId"], text, shown, step, sql=True)
            else:
                text = put_in(target["expr"], variables | own)
                asked_for = 0.0 if target["instant"] else shown
                yield Asked(board.uid, panel["title"], target["refId"], text, asked_for, step, sql=False)
    for mark in board.document["annotations"]["list"]:
        if "expr" in mark:
            step = max(EVERY, board.span / POINTS)
            own = {"__rate_interval": f"{max(step + EVERY, 4 * EVERY):.0f}s", "__interval": f"{step:.0f}s"}
            text = put_in(mark["expr"], variables | own)
            yield Asked(board.uid, "annotations", mark["name"], text, board.span, step, sql=False)


def of_rules() -> Iterator[Asked]:
    """The expression of every shipped rule."""
    for path in sorted(RULES.glob("*.yml")):
        for rule in rules(path):
            name, kind = (rule["record"], "record") if "record" in rule else (rule["alert"], "alert")
            yield Asked("rules", kind, name, rule["expr"], 0.0, 0.0, sql=False)


def macros(statement: str, begin: float, end: float) -> str:
    """A statement for PostgreSQL with Grafana's macros replaced, as its data source does. Fails at one it knows not."""
    first, last = (f"'{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}'" for at in (begin, end))

    def meaning(macro: re.Match[str]) -> str:
        name, argument = macro[1], macro[2]
        return {
            "timeFrom": first,
            "timeTo": last,
            "timeFilter": f"{argument} BETWEEN {first} AND {last}",
            "unixEpochFrom": f"{begin:.0f}",
            "unixEpochTo": f"{end:.0f}",
            "unixEpochFilter": f"{argument} >= {begin:.0f} AND {argument} <= {end:.0f}",
        }[name]

    return _MACRO.sub(meaning, statement)
