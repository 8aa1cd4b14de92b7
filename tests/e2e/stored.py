"""What installs of tests/e2e/lived.py showed, in a real Prometheus: stored as blocks, and what the shipped rules record
of them; and the same as series of `promtool test rules`, which has Prometheus' own staleness.

Blocks know no staleness: a series that left a page is still found for five minutes, as where Prometheus itself
restarted meanwhile.
"""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from tests.conftest import ROOT
from tests.e2e.lived import EVERY, Shown
from tests.e2e.stack import Prometheus, fetch

RULES: Final = ROOT / "prometheus" / "rules"


class Answer(NamedTuple):
    """What Prometheus said to a query: series with their values, or in `error` why not."""

    series: list[dict[str, Any]]
    error: str

    def values(self) -> Iterator[tuple[Mapping[str, str], float]]:
        """The labels and the last value of each series."""
        for each in self.series:
            _, value = each["value"] if "value" in each else each["values"][-1]
            yield each["metric"], float(value)

    def numbers(self) -> list[float]:
        """Every value of every series."""
        return [float(value) for each in self.series for _, value in each.get("values", [each.get("value")])]


class Stored(Prometheus):
    """A real server on blocks of the past. end: the last moment that is in them."""

    def __init__(self, folder: Path, end: float, *options: str) -> None:
        super().__init__(folder, "127.0.0.1:9", "1d", *options)
        self.end_at = end
        self.tsdb = folder / "tsdb"

    def ask(self, expression: str, span: float = 0.0, step: float = EVERY, at: float | None = None) -> Answer:
        """An instant query at the end, or one over the `span` seconds before it."""
        end = self.end_at if at is None else at
        when = {"start": f"{end - span}", "end": f"{end}", "step": f"{step}"} if span else {"time": f"{end}"}
        path = "query_range" if span else "query"
        return self._answer(f"/api/v1/{path}?{urllib.parse.urlencode({'query': expression, **when})}")

    def labels(self, name: str, selector: str, span: float) -> list[str]:
        """The values of a label, as Grafana's label_values() finds them."""
        when = {"match[]": selector, "start": f"{self.end_at - span}", "end": f"{self.end_at}"}
        body = fetch(f"{self.url}/api/v1/label/{name}/values?{urllib.parse.urlencode(when)}")
        assert body is not None, selector
        found: list[str] = json.loads(body)["data"]
        return found

    def _answer(self, path: str) -> Answer:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
                body = json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            return Answer([], json.loads(refusal.read())["error"])
        data = body["data"]
        result = data["result"] if data["resultType"] != "scalar" else [{"metric": {}, "value": data["result"]}]
        return Answer(result, "")


def recorded_names() -> frozenset[str]:
    """What the shipped recording rules record."""
    return frozenset(rule["record"] for rule in rules(RULES / "recording.yml") if "record" in rule)


def rules(path: Path) -> Iterator[dict[str, Any]]:
    """Every rule of a file."""
    for group in yaml.safe_load(path.read_text())["groups"]:
        yield from group["rules"]


@contextmanager
def stored(folder: Path, *shown: Shown, recordings: bool = True, since: float | None = None) -> Iterator[Stored]:
    """A running server that has scraped the installs. recordings: and evaluated its rules, all the time or `since`."""
    folder.mkdir(parents=True, exist_ok=True)
    scrapes = [scrape.at for each in shown for scrape in each.scrapes]
    server = Stored(folder / "prometheus", max(scrapes))
    text = folder / "scraped.om"
    with text.open("w") as file:
        for each in shown:
            for scrape in each.scrapes:
                for series, value in each.series(scrape):
                    file.write(f"{series} {value} {scrape.at:.0f}\n")
        file.write("# EOF\n")
    _promtool("create-blocks-from", "openmetrics", str(text), str(server.tsdb))
    try:
        server.start()
        if recordings:
            _record(folder, server, min(scrapes) if since is None else since)
        yield server
    finally:
        server.end()


def _record(folder: Path, server: Stored, since: float) -> None:
    """Rules that read what others record find it only after another start, and are evaluated then."""
    names = recorded_names()
    groups = yaml.safe_load((RULES / "recording.yml").read_text())["groups"]
    every = [rule for group in groups for rule in group["rules"]]
    of_others = [rule for rule in every if any(name in rule["expr"] for name in names)]
    for turn, chosen in enumerate(([rule for rule in every if rule not in of_others], of_others)):
        path = folder / f"rules-{turn}.yml"
        path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": chosen}]}))
        _promtool(
            "create-blocks-from", "rules", f"--start={since:.0f}", f"--end={server.end_at:.0f}",
            f"--eval-interval={EVERY:.0f}s", f"--url={server.url}", f"--output-dir={server.tsdb}", str(path),
        )  # fmt: skip
        server.end()
        server.start()


def _promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", "tsdb", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def alerted(folder: Path, shown: Shown, others: Sequence[Mapping[str, Any]] = ()) -> set[tuple[str, str]]:
    """Names and states of all alerts that ever were, by the shipped rules and others, each minute."""
    (folder / "others.yml").write_text(yaml.safe_dump({"groups": [{"name": "others", "rules": list(others)}]}))
    files = [*sorted(RULES.glob("*.yml"), reverse=True), folder / "others.yml"]
    families = set(re.findall(r"\b(?:bandwidth_\w+|up)\b", "".join(path.read_text() for path in files)))
    span = shown.scrapes[-1].at - shown.scrapes[0].at
    test: dict[str, Any] = {
        "interval": f"{EVERY:.0f}s",
        "input_series": list(_series(shown, families)),
        "promql_expr_test": [{"expr": _EVER, "eval_time": f"{span:.0f}s", "exp_samples": _NEVER}],
    }
    document = {"rule_files": list(map(str, files)), "evaluation_interval": "1m", "tests": [test]}
    (folder / "test.yml").write_text(json.dumps(document))
    command = ["promtool", "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert said.count("exp:") == 1, said[-3000:]
    assert "err" not in said.partition("exp:")[0].lower(), said[-3000:]
    return set(_ALERT.findall(said.partition("got:")[2]))


_EVER: Final = "group by (alertname, alertstate) (count_over_time(ALERTS[1d]))"
_NEVER: Final = [{"labels": '{alertname="Never"}', "value": 0}]
"""What is expected, so that promtool shows what there is instead."""

_ALERT: Final = re.compile(r'{alertname="(\w+)", ?alertstate="(\w+)"}')


def _series(shown: Shown, families: Collection[str]) -> Iterator[dict[str, str]]:
    """What was scraped of these families, as `input_series` of a test of promtool with the interval EVERY.

    Such a test begins in 1970, so moments are counted from the first scrape.
    """
    first = shown.scrapes[0].at
    found: dict[str, dict[int, str]] = {}
    looks = []
    for scrape in shown.scrapes:
        looks.append(round((scrape.at - first) / EVERY))
        for series, value in shown.series(scrape):
            name = series.partition("{")[0]
            if name in families:
                moment = name.endswith("_timestamp_seconds")
                found.setdefault(series, {})[looks[-1]] = repr(float(value) - first) if moment else value
    for series, values in found.items():
        yield {"series": series, "values": " ".join(_notation(values, set(looks), looks[-1]))}


def _notation(values: Mapping[int, str], looks: Collection[int], last: int) -> Iterator[str]:
    """Gone from a page that was scraped: stale. No scrape: nothing."""
    there = False
    for slot in range(last + 1):
        if slot in values:
            there = True
            yield values[slot]
        elif there and slot in looks:
            there = False
            yield "stale"
        else:
            yield "_"
