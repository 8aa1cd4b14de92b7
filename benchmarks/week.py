"""A week of an install with as many clients as wanted, in Prometheus' own blocks (benchmarks.blocks).

The series are those of real pages: the demo's, and one of a controller with many clients. How they move is made up, and
series of a kind share a few patterns. What the shipped rules record of them is there as well.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final, NamedTuple
from zlib import crc32

import yaml

from benchmarks import polls
from benchmarks.blocks import Samples, Series, sorted_series, write
from tests.e2e.lived import EVENING, INSTANCE, JOB, Install, busy_house, live
from tests.e2e.stored import RULES

STEP: Final = 30
"""Seconds between two scrapes."""

BLOCK: Final = 18 * 3600
"""Seconds: as long as Prometheus makes blocks where it keeps 15 days, as it does by itself."""

HOUR, WEEK = 3600, 604_800
END: Final = 1_780_358_400
"""2026-06-02T00:00Z"""

OPTIONS: Final = (
    "--storage.tsdb.retention.time=90d",
    "--storage.tsdb.min-block-duration=2h",
    "--storage.tsdb.max-block-duration=2h",
)
"""Keep what is weeks old, and put no blocks together while something is measured."""

OF_OWNER: Final = 50
"""Clients of an owner."""

HOURLY: Final = "client:bandwidth_client_bytes:increase1h"
"""What is compared with past weeks."""

_SAMPLE: Final = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_FAMILY: Final = re.compile(r"\bbandwidth_\w+_total\b")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}

Labels = tuple[tuple[str, str], ...]


class _Sample(NamedTuple):
    name: str
    labels: Labels
    value: float


def build(folder: Path, clients: int) -> int:
    """Blocks of a week and an hour before END, and what was recorded weeks before. How many series there are."""
    folder.mkdir(parents=True, exist_ok=True)
    series = sorted_series(set(_scraped(clients)))
    series = sorted_series([*series, *_recorded(series)])
    counted: Counter[str] = Counter()
    spans = [(start, min(start + BLOCK, END + STEP)) for start in range(END - WEEK - HOUR, END + STEP, BLOCK)]
    for number, (start, end) in enumerate(spans, 10):
        patterns = {each.pattern for each in series}
        write(folder, number, series, {each: _samples(each, start, end, counted) for each in sorted(patterns)})
        print(f"block {number - 9} of {len(spans)}")
    hourly = [each for each in series if ("__name__", HOURLY) in each.labels]
    for week in (2, 3, 4):
        at = END - week * WEEK
        moved = {each.pattern: _samples(each.pattern, at - 600, at + 600, counted) for each in hourly}
        write(folder, week, hourly, moved)
    return len(series)


def _samples(pattern: str, start: int, end: int, counted: Counter[str]) -> Samples:
    """The values of a pattern in a span. counted: what counters stood at."""
    kind, detail, *_ = pattern.split(" ")
    step = int(detail) if kind == "recorded" else STEP
    first = -(-start // step) * step
    number = max(0, -(-(end - first) // step))
    random = Random(f"{pattern} {start}")
    values: list[float]
    if kind == "counter":
        values = []
        for _ in range(number):
            counted[pattern] += random.choice((0, 0, random.randrange(40_000_000)))
            values.append(float(counted[pattern]))
    elif kind == "constant":
        values = [float(detail)] * number
    else:
        most = float(detail) * 1.5 if kind == "gauge" else 3e6
        values = [round(random.uniform(most / 3, most), 3) for _ in range(number)]
    return Samples(first * 1000, step * 1000, values)


def _scraped(clients: int) -> Iterator[Series]:
    """Every series of the pages."""
    kinds: dict[str, str] = {}
    samples: list[_Sample] = []
    for page in (_demo(), polls.measure(clients, 0.3, 1).page.text().decode()):
        for line in page.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                kinds[name] = kind
            elif not line.startswith("#"):
                samples.append(_sample(line))
    values: dict[str, list[float]] = {}
    for sample in samples:
        values.setdefault(sample.name, []).append(sample.value)
    few = {name for name, each in values.items() if len(set(each)) <= 20}
    middle = {name: median(each) for name, each in values.items()}
    owners = 0
    for name, labels, value in samples:
        share = crc32(repr(labels).encode())
        if name == "bandwidth_client_info" and ("owner", "") in labels:
            owners += 1
            owned = tuple((key, f"flat {owners // OF_OWNER}" if key == "owner" else text) for key, text in labels)
            yield _series(name, owned, f"constant {value}")
        elif kinds.get(name) == "counter":
            yield _series(name, labels, f"counter {share % 64}")
        elif name in few:
            yield _series(name, labels, f"constant {value}")
        else:
            yield _series(name, labels, f"gauge {middle[name]} {share % 8}")


def _demo() -> str:
    """The demo's page, after some minutes."""
    with tempfile.TemporaryDirectory() as folder, busy_house(EVENING, calm=True) as house:
        install = Install(Path(folder), house)
        install.start()
        live(house, 300, install)
        install.stop()
        page = install.shown.scrapes[-1].page
        if page is None:
            raise RuntimeError("the demo showed nothing")
        return page


def _sample(line: str) -> _Sample:
    found = _SAMPLE.fullmatch(line)
    if found is None:
        raise ValueError(line)
    labels = tuple((key, text.replace("\\n", "\n").replace('\\"', '"')) for key, text in _LABEL.findall(found[2] or ""))
    return _Sample(found[1], labels, float(found[3]))


def _series(name: str, labels: Labels, pattern: str) -> Series:
    whole = {**dict(labels), "__name__": name, "job": JOB, "instance": INSTANCE}
    return Series(tuple(sorted((key, text) for key, text in whole.items() if text)), pattern)


def _recorded(series: list[Series]) -> Iterator[Series]:
    """What the shipped rules record of these: one for each series of the counters that a rule begins with."""
    groups: list[dict[str, Any]] = yaml.safe_load((RULES / "recording.yml").read_text())["groups"]
    base: dict[str, str] = {}
    for group in groups:
        interval = group.get("interval", f"{STEP}s")
        step = int(interval[:-1]) * _SECONDS[interval[-1]]
        for rule in group["rules"]:
            name, expression = rule["record"], rule["expr"]
            counter = _FAMILY.search(expression)
            known = next((each for each in base if each in expression), "")
            base[name] = counter[0] if counter else base[known]
            found = set()
            for each in series:
                if ("__name__", base[name]) in each.labels:
                    dropped = ("__name__", "kind", "reason")
                    found.add(tuple(pair for pair in each.labels if pair[0] not in dropped))
            for labels in sorted(found):
                yield _series(name, labels, f"recorded {step} {crc32(repr(labels).encode()) % 16}")
