"""What Grafana asks when a shipped dashboard is opened: its variables first, then every query with these put in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tests.conftest import ROOT
from tests.e2e.lived import EVERY
from tests.e2e.stored import RULES, Answer, Stored, rules
from tests.grafana.queries import queries

DASHBOARDS: Final = ROOT / "grafana" / "dashboards"
POINTS: Final = 900
"""Points of a graph that is half as wide as a screen."""

_UNITS: Final = {"h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Board:
    """A dashboard as it is shipped."""

    uid: str
    document: Mapping[str, Any]

    @property
    def span(self) -> int:
        """Seconds that it shows when it is opened."""
        ago = self.document["time"]["from"].removeprefix("now-")
        return int(ago[:-1]) * _UNITS[ago[-1]]


class Asked(NamedTuple):
    """One query. span, step: seconds; an instant query has a span of 0. sql: it is for PostgreSQL."""

    board: str
    panel: str
    ref: str
    text: str
    span: float = 0.0
    step: float = 0.0
    sql: bool = False

    def of(self, server: Stored) -> Answer:
        """What Prometheus says to it."""
        return server.ask(self.text, self.span, self.step)

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.board}/{self.panel}/{self.ref}"


Choice = Mapping[str, str | Sequence[str]]


def boards() -> list[Board]:
    """All that are shipped."""
    return [Board(path.stem, json.loads(path.read_text())) for path in sorted(DASHBOARDS.glob("*.json"))]


def chosen(board: Board, server: Stored, **choice: str) -> Choice:
    """What each variable stands for where nobody chose anything but `choice`: All, or else everything there is."""
    known: dict[str, str | Sequence[str]] = {}
    for variable in board.document["templating"]["list"]:
        name = variable["name"]
        if name in choice:
            known[name] = choice[name]
        elif variable["type"] == "query":
            [query] = [
                each.text
                for each in queries(board.document, known, span=board.span)
                if each.panel == f"variable {name}"
            ]
            values = found(variable["query"]["query"], query, variable["regex"], server, board.span)
            known[name] = variable.get("allValue") or values
    return known


def found(definition: str, query: str, pattern: str, server: Stored, span: float) -> list[str]:
    """The values that a variable's query finds. query: what is in its parentheses, with variables put in."""
    labels = re.fullmatch(r"label_values\(.*, (\w+)\)", definition)
    if labels:
        return server.labels(labels[1], query, span)
    answer = server.ask(query)
    assert not answer.error, f"{query}: {answer.error}"
    texts = [f"{_braces(labels)} {value:g} {server.end_at * 1000:.0f}" for labels, value in answer.values()]
    search = re.compile(pattern.strip("/").replace("(?<", "(?P<"))
    matches = [match for match in map(search.search, texts) if match]
    group: str | int = "value" if "value" in search.groupindex else min(search.groups, 1)
    return list(dict.fromkeys(match[group] for match in matches))


def _braces(labels: Mapping[str, str]) -> str:
    """A series as Grafana writes it for a variable's pattern."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def asked(board: Board, server: Stored, span: float | None = None, **choice: str) -> Iterator[Asked]:
    """Every query of a dashboard. span: the range that is chosen, where it is not the dashboard's own."""
    variables = chosen(board, server, **choice)
    shown, scrape = int(span or board.span), int(EVERY)
    for each in queries(board.document, variables, span=shown, scrape=scrape, end=server.end_at, points=POINTS):
        if not each.panel.startswith("variable "):
            over = 0 if each.instant else each.span
            sql = each.language == "sql"
            yield Asked(board.uid, each.panel, each.ref, each.text, float(over), float(each.step), sql)


def of_rules() -> Iterator[Asked]:
    """The expression of every shipped rule."""
    for path in sorted(RULES.glob("*.yml")):
        for rule in rules(path):
            name, kind = (rule["record"], "record") if "record" in rule else (rule["alert"], "alert")
            yield Asked("rules", kind, name, rule["expr"])
