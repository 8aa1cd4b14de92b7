"""A power cut at home, over the end of a month: truth against total, and what a real Prometheus makes of it.

Router, exporter and Prometheus stop together. The router comes back with an older database and its clock in the past,
the exporter with its clock hours behind. See tests/e2e/power_cut.py. SOAK=1 lives many more stories.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

import pytest

from exporter.demo.network import NOTHING, Bytes
from tests.e2e.power_cut import (
    CUT,
    DAY,
    FAMILY_NAMES,
    GAPS,
    HOUR,
    MIDNIGHT,
    MINUTE,
    SERVERS,
    STEP,
    Home,
    Story,
    played,
    whose,
)
from tests.e2e.stack import Prometheus

SOAK: Final = bool(os.environ.get("SOAK"))
WINDOW: Final = 5 * MINUTE
"""Over which a rule looks at a rate."""

STORIES: Final = {
    "a full period after it": Story(daily=True, interval=120, after=0),
    "in memory, and the exporter is back last": Story(
        flash=False, behind="epoch", host=60 * MINUTE, synced=80 * MINUTE, kills=(100 * MINUTE,)
    ),
    "twice, and a new PPPoE session": Story(
        again=66 * MINUTE, kills=(50 * MINUTE, 75 * MINUTE), redial=40 * MINUTE, hold=300.0
    ),
    "a short one": Story(
        out=30.0, ntp=10 * MINUTE, host=2 * MINUTE, servers=90.0, synced=5 * MINUTE, misstep=75 * MINUTE
    ),
}


def any_story(seed: int) -> Story:
    """A story by chance."""
    chance = Random(seed)
    out = chance.choice([30.0, 10 * MINUTE, 25 * MINUTE])
    ntp = out + chance.choice([3 * MINUTE, 5 * MINUTE + 15, 11 * MINUTE])
    host = out + chance.choice([-5.0, 90.0, 4 * MINUTE, 20 * MINUTE])
    return Story(
        flash=chance.random() < 0.7,
        daily=chance.random() < 0.2,
        out=out,
        behind=chance.choice(["month", "month", "epoch", ""]),
        ntp=ntp,
        host=host,
        skew=chance.choice([-3 * HOUR, -HOUR, 0.0, -7 * DAY]),
        synced=host + chance.choice([MINUTE, 20 * MINUTE]),
        servers=chance.choice([out, host + 3 * MINUTE]),
        kills=tuple(sorted(chance.sample([50 * MINUTE, 58 * MINUTE, 80 * MINUTE], chance.choice([0, 1, 2])))),
        again=chance.choice([None, None, 66 * MINUTE]),
        redial=chance.choice([None, 47 * MINUTE]),
        misstep=chance.choice([None, 85 * MINUTE]),
        hold=chance.choice([120.0, 300.0, 600.0]),
        seed=seed,
    )


ALL: Final = STORIES | ({f"seed {seed}": any_story(seed) for seed in range(60)} if SOAK else {})


@pytest.mark.parametrize("name", ALL)
def test_a_power_cut_at_home(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with played(ALL[name], tmp_path) as home:
        counted, totals = home.counted(), home.totals
        shown = [f"\n{name}\n{'':18}{'':9}{'counted':>14}{'never shown':>14}{'total':>14}{'missing':>9}"]
        for each, truth in sorted(counted.items()):
            lost, total = home.lost.get(each, NOTHING), totals[each]
            for way in ("down", "up"):
                one, gone, sum_ = (getattr(each_, way) for each_ in (truth, lost, total))
                shown.append(f"{each:18}{way:9}{one:14}{gone:14}{sum_:14}{one - gone - sum_:9}")
        with capsys.disabled():
            print("\n".join(shown))
        assert {each: _left(truth, home.lost.get(each, NOTHING)) for each, truth in counted.items()} == totals
        assert home.right_again() == {}
        with prometheus(home, tmp_path) as server:
            agrees_with_the_page(home, server)
            no_spike_without_a_mark(home, server)


def agrees_with_the_page(home: Home, prometheus: Prometheus) -> None:
    """On both servers, and for each series: last minus first, and increase() over windows that cover everything."""
    end = home.now
    for server in SERVERS:
        last, firsts = home.scraped[server][-1][1], first_values(home, server)
        for name in FAMILY_NAMES:
            for series in prometheus.query(f'{name}{{server="{server}"}}[3d]', at=end):
                labels = {key: value for key, value in series["metric"].items() if key not in ("__name__", "server")}
                page = next(one for one in last if one.startswith(f"{name}{{") and _has(one, labels))
                values = [(float(at), int(value)) for at, value in series["values"]]
                assert values[-1][1] - values[0][1] == last[page] - firsts[page], page
                before = [at for at, _ in values if at < CUT]
                after = [at for at, _ in values if at > CUT]
                middle = [before[-1], after[0]] if before else [after[0]]
                edges = [*before[:1], *middle, *[at for at in after if at > MIDNIGHT][:1], values[-1][0]]
                selector = ",".join(f'{key}="{value}"' for key, value in series["metric"].items() if key != "__name__")
                counted = 0.0
                for since, until in pairwise(sorted(set(edges))):
                    [increase] = prometheus.query(
                        f"increase({name}{{{selector}}}[{round((until - since) * 1000)}ms])", at=until
                    )
                    counted += float(increase["value"][1])
                assert round(counted) == last[page] - firsts[page], page


def first_values(home: Home, server: str) -> dict[str, int]:
    """The value of each series that this server saw first."""
    firsts: dict[str, int] = {}
    for _, values in home.scraped[server]:
        firsts = values | firsts
    return firsts


def no_spike_without_a_mark(home: Home, prometheus: Prometheus) -> None:
    """A rate above all that ever moved so fast is seen only where the gaps move in that window or a hold before it."""
    end, span = home.now, round(home.now - CUT + HOUR)
    assert max(home.fastest(MINUTE, "down").values()) < 100_000_000
    guard = WINDOW + home.story.hold + 3 * home.story.interval
    for server, (interval, _) in SERVERS.items():
        marked = {
            at
            for series in prometheus.query(
                f'(increase({GAPS}{{server="{server}"}}[{guard:.0f}s]) > 0)[{span}s:{STEP}s]', at=end
            )
            for at, _ in series["values"]
        }
        assert marked
        late = home.story.interval + 2 * STEP
        for name in FAMILY_NAMES:
            # A client that is new or back alone shows what it moved while it was held, without a mark of the source.
            held = home.story.hold + interval + home.story.interval if "client" in name else 0.0
            fastest = home.fastest(WINDOW + late + held, "down" if "download" in name else "up")
            for series in prometheus.query(f'rate({name}{{server="{server}"}}[{WINDOW}s])[{span}s:{STEP}s]', at=end):
                most = fastest[whose(series["metric"])] / (WINDOW - 2 * interval)
                high = {at: float(rate) for at, rate in series["values"] if float(rate) > most and at not in marked}
                assert not high, f"{server}: {name} {series['metric']}: {_said(high, most)}"


@contextmanager
def prometheus(home: Home, folder: Path) -> Iterator[Prometheus]:
    """A real server that has stored what both would have scraped."""
    server = Prometheus(folder / "prometheus", "127.0.0.1:9", "1d")
    scraped = folder / "scraped.txt"
    scraped.write_text("".join([*home.stored, "# EOF\n"]))
    into = folder / "prometheus" / "tsdb"
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", scraped, into], check=True, capture_output=True
    )
    server.start()
    try:
        yield server
    finally:
        server.end()


def _left(counted: Bytes, lost: Bytes) -> Bytes:
    return Bytes(counted.down - lost.down, counted.up - lost.up)


def _has(series: str, labels: dict[str, str]) -> bool:
    return all(f'{key}="{value}"' in series for key, value in labels.items())


def _said(high: dict[float, float], most: float) -> str:
    return ", ".join(f"{(at - CUT) / MINUTE:g} min {rate:.0f} > {most:.0f}" for at, rate in list(high.items())[:8])
