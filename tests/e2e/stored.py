"""What installs of tests/e2e/lived.py showed, in a real Prometheus: stored as blocks, and what the shipped rules record
of them; and the same as series of `promtool test rules`, which has Prometheus' own staleness.

Blocks know no staleness: a series that left a page is still found for five minutes, as where Prometheus itself
restarted meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from tests.conftest import ROOT
from tests.e2e.lived import EVERY, Install
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

    def __init__(self, folder: Path, end: float) -> None:
        super().__init__(folder, "127.0.0.1:9", "1d")
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
def stored(folder: Path, *installs: Install, recordings: bool = True, since: float | None = None) -> Iterator[Stored]:
    """A running server that has scraped the installs. recordings: and evaluated its rules, all the time or `since`."""
    folder.mkdir(parents=True, exist_ok=True)
    scrapes = [scrape.at for install in installs for scrape in install.scrapes]
    server = Stored(folder / "prometheus", max(scrapes))
    text = folder / "scraped.om"
    with text.open("w") as file:
        for install in installs:
            for scrape in install.scrapes:
                for series, value in install.labelled(scrape):
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


def series_of(installs: Iterable[Install], families: Collection[str]) -> list[dict[str, str]]:
    """What was scraped of these families, as `input_series` of a test of promtool with the interval EVERY.

    Such a test begins in 1970, so moments are counted from the first scrape.
    """
    shown: dict[str, dict[int, str]] = {}
    scraped: dict[str, list[int]] = {}
    first = min(install.scrapes[0].at for install in installs)
    last = 0
    for install in installs:
        scraped[install.instance] = [round((scrape.at - first) / EVERY) for scrape in install.scrapes]
        last = max(last, *scraped[install.instance])
        for scrape, slot in zip(install.scrapes, scraped[install.instance], strict=True):
            for series, value in install.labelled(scrape):
                name = series.partition("{")[0]
                if name in families:
                    moment = name.endswith("_timestamp_seconds")
                    shown.setdefault(series, {})[slot] = repr(float(value) - first) if moment else value
    return [
        {"series": series, "values": " ".join(_values(slots, last, scraped, series))} for series, slots in shown.items()
    ]


def _values(slots: Mapping[int, str], last: int, scraped: Mapping[str, Sequence[int]], series: str) -> Iterator[str]:
    """Gone from a page that was scraped: stale. No scrape: nothing."""
    [looks] = [set(slots_) for instance, slots_ in scraped.items() if f'instance="{instance}"' in series]
    there = False
    for slot in range(last + 1):
        if slot in slots:
            there = True
            yield slots[slot]
        elif there and slot in looks:
            there = False
            yield "stale"
        else:
            yield "_"
