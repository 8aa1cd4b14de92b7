"""Every query of a dashboard as Grafana would send it, for tests: with its variables filled in.

    for query in queries(json.loads(path.read_text()), {"client": "02:00:5e:00:00:01"}, span=3600): ...

What is not given stands for All. `query.text` is PromQL or SQL, `query.instant` says which of Prometheus' two questions
it is: /api/v1/query at `end`, else /api/v1/query_range from `end` - `query.span` with steps of `query.step` seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ALL: Final = {"job": ".+", "instance": ".+", "source": ".+", "site": ".*", "client": ".+", "owner": ".+", "top": ".+"}
"""What each variable is when nobody chooses."""

POINTS: Final = 500
"""How many points a graph has, more or less: it is so many pixels wide."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LISTED = re.compile(r"(?:label_values\((.*), \w+\)|query_result\((.*)\))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Query:
    """One query. panel: the title of where it stands, or what else it is for. language: "promql" or "sql".

    empty: what the panel says where there is no result. span, step: seconds; step 0 where it is instant.
    """

    dashboard: str
    panel: str
    ref: str
    language: str
    text: str
    instant: bool
    span: int
    step: int
    empty: str = ""


def queries(
    dashboard: Mapping[str, Any],
    variables: Mapping[str, str | Sequence[str]] | None = None,
    *,
    span: int = 86_400,
    scrape: int = 30,
    end: float = 0,
    points: int = POINTS,
) -> list[Query]:
    """All queries of a dashboard: of its variables, its annotations and its panels, those of closed rows as well.

    dashboard: its JSON. variables: what is chosen, a text or several. span: seconds of the time range that ends at
    `end`; scrape: the data source's interval. points: at most so many in a graph, more or less.
    """
    chosen = {**ALL, **(variables or {})}
    uid = str(dashboard["uid"])
    found: list[Query] = []

    def add(
        panel: str, ref: str, text: str, *, instant: bool, over: int = span, least: int = 0, empty: str = ""
    ) -> None:
        step = max(least, scrape, over // points)
        filled = _filled(text, {**chosen, **_times(over, step, scrape, end)})
        found.append(Query(uid, panel, ref, "promql", filled, instant, over, 0 if instant else step, empty))

    for variable in dashboard["templating"]["list"]:
        if (listed := _LISTED.fullmatch(variable.get("definition", ""))) is not None:
            add(f"variable {variable['name']}", "", listed[1] or listed[2], instant=True)
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            add(f"annotation {annotation['name']}", "", annotation["expr"], instant=False)
    for panel in panels(dashboard):
        over = _seconds(panel["timeFrom"]) if "timeFrom" in panel else span
        least = _seconds(panel["interval"]) if "interval" in panel else 0
        empty = panel["fieldConfig"]["defaults"]["noValue"]
        for target in panel["targets"]:
            if "rawSql" in target:
                text = target["rawSql"].replace("$__unixEpochFrom()", f"{end - over:.0f}")
                text = _filled(text.replace("$__unixEpochTo()", f"{end:.0f}"), chosen)
                found.append(Query(uid, panel["title"], target["refId"], "sql", text, True, over, 0, empty))
            else:
                add(
                    panel["title"],
                    target["refId"],
                    target["expr"],
                    instant=target["instant"],
                    over=over,
                    least=least,
                    empty=empty,
                )
    return found


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel that is not a row, also those in closed rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def _times(span: int, step: int, scrape: int, end: float) -> dict[str, str]:
    """Grafana's own variables. $__rate_interval: four scrapes, or a step and a scrape."""
    return {
        "__range": f"{span}s",
        "__range_s": str(span),
        "__range_ms": str(span * 1000),
        "__interval": f"{step}s",
        "__rate_interval": f"{max(step + scrape, 4 * scrape)}s",
        "__from": f"{(end - span) * 1000:.0f}",
        "__to": f"{end * 1000:.0f}",
    }


def _filled(text: str, values: Mapping[str, str | Sequence[str]]) -> str:
    """With the variables in their places. Several values become a pattern, and so does what was chosen by name."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name.isdigit():
            return found[0]
        chosen = values[name]
        return chosen if isinstance(chosen, str) else f"({'|'.join(map(_literal, chosen))})"

    return _VARIABLE.sub(value, text)


def _literal(value: str) -> str:
    """As Grafana escapes a choice inside a PromQL string."""
    return re.sub(r"([\\^$*+?.()|\[\]{}])", r"\\\\\1", value)


def _seconds(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1]]
