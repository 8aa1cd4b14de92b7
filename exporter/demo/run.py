"""The main job on a simulated network and a simulated router: the real sources, ledger, state and page, over real HTTPS
and SSH on loopback.
"""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from exporter.accounting.periods import DAILY, Cycle
from exporter.accounting.quotas import Quota
from exporter.clock import Clock
from exporter.committer import Committer, Outcome
from exporter.config.schema import Alerts
from exporter.configured import thresholds_of
from exporter.demo.controller import DemoController
from exporter.demo.life import MBIT, household
from exporter.demo.network import NOTHING, Bytes, Network
from exporter.demo.openwrt.life import household_router
from exporter.demo.openwrt.router import WAN, Router
from exporter.demo.openwrt.server import DemoRouter
from exporter.exposition import Exposition
from exporter.machine import local_zone
from exporter.model import ZERO, Contract, Count, SubjectKey
from exporter.naming import People, Person
from exporter.poller import Poller
from exporter.runtime import SourceFacts
from exporter.series import Scrapes
from exporter.service import Settings, serve
from exporter.sources import Source
from exporter.sources.nlbwmon import NlbwmonSource
from exporter.sources.unifi import UnifiSettings, UnifiSource
from exporter.store import State
from exporter.voice import human_bytes

HOME, ATTIC = "demo-home", "demo-attic"
BANNER = "This is a demo: a simulated network, none of these numbers are real."
INTERVAL = 10.0
"""Seconds between two polls of a network that runs at speed; a real controller is asked every 30."""

REFRESH = 30.0
"""Seconds between two polls, and two refreshes, of a router that runs at speed."""

MOST_POLLS = 8640
"""Polls of one run at speed. What takes longer than a day is polled more rarely."""

LIVELY = 2.0
"""Seconds between two polls, and two refreshes, of the network and the router that a person watches."""

MAX_RATE = 12.5e9
"""Bytes per second: 100 Gbit/s, as in a configuration that says nothing."""

PEOPLE: People = {
    f"02:00:5e:00:00:{number:02x}": Person(owner=owner, category=category)
    for number, (owner, category) in enumerate(
        [
            ("Anna", "phones"),
            ("Ben", "phones"),
            ("Mia", "tablets"),
            ("Anna", "computers"),
            ("Ben", "computers"),
            ("Mia", "computers"),
            ("everybody", "media"),
            ("everybody", "things"),
            ("everybody", "things"),
            ("everybody", "things"),
            ("everybody", "things"),
            ("everybody", "computers"),
        ],
        1,
    )
}
"""Whose the clients of the household are, in the order in which they moved in (exporter.demo.life)."""

CONTRACTS: Final[Mapping[str, tuple[Contract, ...]]] = {
    HOME: (Contract("default", "wan1", 150 * MBIT, 30 * MBIT), Contract("default", "wan2", 50 * MBIT, 10 * MBIT)),
    ATTIC: (Contract("", WAN, 150 * MBIT, 30 * MBIT),),
}

Totals = Mapping[SubjectKey, Count]


class Line(NamedTuple):
    """One line of the comparison: what moved, what of it the meter counted, and what it then forgot unseen.

    A line without a name is judged, but not printed.
    """

    subject: SubjectKey
    name: str
    moved: Bytes
    metered: Bytes
    lost: Bytes = NOTHING


def run(host: str, port: int, state: Path) -> int:
    """Serve the demo until SIGTERM or SIGINT, then print what really moved beside what was counted."""
    before = {name: _totals(state, name) for name in (HOME, ATTIC)}
    start = time.time()
    network = household(start=start, refresh=LIVELY, step=LIVELY)
    router = household_router(start=start, refresh=LIVELY, step=LIVELY)
    with _simulated(network, router, Clock()) as sources:
        settings = Settings(
            host=host,
            port=port,
            state=state,
            client_ttl=3600.0,
            new_series_hold=120.0,
            people=PEOPLE,
            banner=BANNER,
            quotas=quotas(),
            thresholds=thresholds_of(Alerts(client_download=40 * MBIT, client_day=100 * 10**9)),
        )
        status = serve(settings, [(_facts(name, LIVELY), source) for name, source in sources.items()])
        if status == 0:
            for name, lines in truth(network, router).items():
                print_truth(name, lines, _totals(state, name), before[name])
    return status


def quotas() -> tuple[Quota, ...]:
    """What the household may use: of its line in a month, and behind the attic's router in a day."""
    zone = local_zone()
    return (
        Quota("The line", "wan", Cycle("1", zone), 5 * 10**12, HOME, "default", "wan1"),
        Quota("The attic", "source", Cycle(DAILY, zone), 350 * 10**9, ATTIC),
    )


def run_at_speed(hours: float) -> int:
    """Live through so many hours of the simulated network in a few moments, and print truth and totals side by side.

    The exit status is 1 if anything was counted that never moved.
    """
    logging.getLogger("exporter").setLevel(logging.ERROR)  # lines for each poll and accident would be thousands
    start = time.time()
    network, router = household(start=start), household_router(start=start)
    totals = count_at_speed(network, router, hours * 3600)
    right = [print_truth(name, lines, totals[name], {}) for name, lines in truth(network, router).items()]
    return 0 if all(right) else 1


def count_at_speed(network: Network, router: Router, seconds: float) -> dict[str, Totals]:
    """Let so many seconds pass for both, poll them meanwhile and count. The totals by source."""
    start = network.now
    interval = INTERVAL * max(1, math.ceil(seconds / INTERVAL / MOST_POLLS))
    intervals = {HOME: interval, ATTIC: max(REFRESH, interval)}
    clock = Clock(wall=lambda: network.now, steady=lambda: network.now - start)
    with TemporaryDirectory() as folder, _simulated(network, router, clock) as sources:
        state = State.open(Path(folder) / "demo.db")
        committer = Committer(
            state,
            [_facts(name, intervals[name]) for name in sources],
            exposition=Exposition(),
            scrapes=Scrapes(0.0),
            client_ttl=3600.0,
            people={},
            clock=clock,
        )
        outcomes: dict[str, Outcome] = {}
        pollers = [
            Poller(name, source, outcomes.__setitem__, interval=intervals[name], clock=clock)
            for name, source in sources.items()
        ]
        due = dict.fromkeys(sources, start)
        for turn in track(range(int(seconds / interval) + 1), f"{seconds / 3600:g} simulated hours", transient=True):
            network.advance(start + turn * interval)
            router.advance(network.now)
            for poller in pollers:
                if due[poller.name] <= network.now:
                    due[poller.name] += intervals[poller.name]
                    poller.poll_once()
            committer.work(outcomes)
            outcomes.clear()
        totals: dict[str, Totals] = {name: dict(committer.runtimes[name].memory.totals) for name in sources}
        state.close()
    return totals


def print_truth(source: str, lines: list[Line], totals: Totals, before: Totals) -> bool:
    """A table of what really moved and what was counted. False if more was counted than the meter did."""
    table = Table(title=f"{source}: truth and totals, in bytes", caption=_CAPTIONS[source], box=box.SIMPLE)
    table.add_column("client", no_wrap=True)
    for column in ("moved down", "counted", "moved up", "counted", "never shown", "short by"):
        table.add_column(column, justify="right")
    never_over = True
    for line in lines:
        total, base = totals.get(line.subject, ZERO), before.get(line.subject, ZERO)
        down, up = total.download - base.download, total.upload - base.upload
        never_over = never_over and down <= line.metered.down and up <= line.metered.up
        if line.name:
            hidden = sum(line.moved) - sum(line.metered) + sum(line.lost)
            short = sum(line.moved) - hidden - down - up
            counts = map(str, (line.moved.down, down, line.moved.up, up))
            table.add_row(escape(line.name), *counts, human_bytes(hidden), human_bytes(short))
    Console(width=max(Console().width, 120)).print(table)
    return never_over


_CAPTIONS = {
    HOME: (
        "Short: bytes after the last look at a client before it left, reconnected or was restarted, and what a counter "
        "had that overtook its old value before the next look. No meter showed them to anybody. Never more than moved."
    ),
    ATTIC: (
        "Never shown: bytes that passed while nlbwmon was away, or that it had counted when the power was cut or "
        "others drove them out. Short: rows that were driven out and had begun again before the next look, what moved "
        "when the power was cut soon after a restart of nlbwmon, and a line that dialled anew and overtook its old "
        "value. Never more than nlbwmon counted."
    ),
}


def truth(network: Network, router: Router) -> dict[str, list[Line]]:
    """What there is to compare, by source."""
    names = {mac: name for (mac, _), name in router.leases.items()} | router.hosts
    home = [
        Line(SubjectKey("client", network.site, each.mac), each.name or each.mac, each.moved, each.moved)
        for each in network.truth()
    ]
    sums = router.truth
    attic = [
        Line(
            SubjectKey("wan" if whose == WAN else "client", "", whose),
            whose if whose == WAN else " ".join(names.get(whose, "").split()),
            moved,
            sums.metered.get(whose, NOTHING),
            sums.lost.get(whose, NOTHING),
        )
        for whose, moved in sums.moved.items()
    ]
    return {HOME: home, ATTIC: attic}


@contextmanager
def _simulated(network: Network, router: Router, clock: Clock) -> Iterator[dict[str, Source]]:
    """A controller and a router on loopback, and the sources that poll them, by name.

    Each start is another controller and another router, with new counters.
    """
    with DemoController(network, clock=clock.wall) as controller, DemoRouter(router, clock=clock.wall) as attic:
        controller.identity = str(uuid.uuid4())
        settings = UnifiSettings(
            url=controller.url,
            username=controller.username,
            password=controller.password,
            ca_file=controller.ca_file,
        )
        sources: dict[str, Source] = {
            HOME: UnifiSource(settings, wall=clock.wall),
            ATTIC: NlbwmonSource(replace(attic.settings(), protocols=True), wall=clock.wall),
        }
        yield sources
        for source in sources.values():
            source.close()


def _facts(name: str, interval: float) -> SourceFacts:
    kind, scope = {HOME: ("unifi", "attached"), ATTIC: ("nlbwmon", "internet")}[name]
    return SourceFacts(name, kind, scope, interval, MAX_RATE, CONTRACTS[name])


def _totals(path: Path, name: str) -> Totals:
    """What the demo's state holds of a source; the state is made where there is none."""
    state = State.open(path)
    try:
        return dict(state.load(name).totals)
    finally:
        state.close()
