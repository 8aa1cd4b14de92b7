"""The Prometheus that is asked, and what stands for the variables of a dashboard."""

from __future__ import annotations

import json
import math
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from docs.preview.values import Json, Points
from tests.e2e.stack import fetch

SCRAPE: Final = 30
POINTS: Final = 240
"""Of a curve, at most."""

Series = tuple[dict[str, str], Points]


class Server(NamedTuple):
    """Where to ask, and the time range: `span` seconds up to `end`, Unix seconds."""

    url: str
    end: float
    span: float
    variables: Mapping[str, str]

    def series(self, target: Json, step: float) -> list[Series]:
        """What a query answers; an instant one has a single point."""
        if target["instant"]:
            found = self._ask("query", query=self._expand(target["expr"], step), time=repr(self.end))
            return [(each["metric"], [(each["value"][0], float(each["value"][1]))]) for each in found]
        step = max(step, math.ceil(self.span / POINTS))
        end = math.floor(self.end / step) * step
        times = {"start": repr(end - self.span), "end": repr(end), "step": str(step)}
        found = self._ask("query_range", query=self._expand(target["expr"], step), **times)
        return [(each["metric"], [(at, float(value)) for at, value in each["values"]]) for each in found]

    def choosing(self, variables: Sequence[Json]) -> Server:
        """With all that may be chosen of each variable that has no value yet, as *All* does."""
        server = self
        for each in variables:
            if each["name"] not in server.variables:
                value = each.get("allValue") or server._listed(each)
                server = server._replace(variables={**server.variables, each["name"]: value})
        return server

    def _listed(self, variable: Json) -> str:
        """What `query_result` finds. Other queries choose among labels: everything."""
        query = variable["query"]["query"] if isinstance(variable["query"], dict) else ""
        expression = re.fullmatch(r"query_result\((.*)\)", query)
        if expression is None:
            return ".+"
        found = self._ask("query", query=self._expand(expression[1], 1.0), time=repr(self.end))
        label = re.search(r"(\w+)=", variable["regex"])
        return "|".join(each["metric"][label[1]] for each in found) if label else ".+"

    def _ask(self, path: str, **parameters: str) -> list[Json]:
        body = fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        if body is None:
            raise SystemExit(f"{self.url} refuses {parameters['query']}")
        result: list[Json] = json.loads(body)["data"]["result"]
        return result

    def _expand(self, text: str, step: float) -> str:
        span = int(self.span)
        moments = {"__rate_interval": f"{int(max(4 * SCRAPE, step + SCRAPE))}s", "__interval": f"{int(step)}s"}
        values = {**self.variables, **moments, "__range": f"{span}s", "__range_s": str(span)}
        return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", lambda hit: values.get(hit[1] or hit[2], hit[0]), text)
