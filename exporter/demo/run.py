"""The main job on a simulated network: the real source, ledger, state and page, over real HTTPS on loopback."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from exporter.clock import Clock
from exporter.committer import Committer, Outcome, human_bytes
from exporter.demo.controller import DemoController
from exporter.demo.life import household
from exporter.demo.network import Network
from exporter.exposition import Exposition
from exporter.model import ZERO, Count, SubjectKey
from exporter.poller import Poller
from exporter.runtime import SourceFacts
from exporter.series import Scrapes
from exporter.service import Settings, serve
from exporter.sources.unifi import UnifiSettings, UnifiSource
from exporter.store import State

NAME = "demo-home"
BANNER = "This is a demo: a simulated network, none of these numbers are real."
INTERVAL = 10.0
"""Seconds between two polls of a network that runs at speed; a real controller is asked every 30."""

LIVELY = 2.0
"""Seconds between two polls, and two refreshes, of the network that a person watches."""

MAX_RATE = 12.5e9
"""Bytes per second: 100 Gbit/s, as in a configuration that says nothing."""

Totals = Mapping[SubjectKey, Count]


def run(host: str, port: int, state: Path) -> int:
    """Serve the demo until SIGTERM or SIGINT, then print what really moved beside what was counted."""
    before = _totals(state)
    with _simulated(household(start=time.time(), refresh=LIVELY, step=LIVELY), Clock()) as (network, source):
        facts = SourceFacts(NAME, "unifi", "attached", LIVELY, MAX_RATE)
        settings = Settings(
            host=host,
            port=port,
            state=state,
            client_ttl=3600.0,
            new_series_hold=120.0,
            people={},
            banner=BANNER,
        )
        status = serve(settings, [(facts, source)])
        if status == 0:
            print_truth(network, _totals(state), before)
    return status


def run_at_speed(hours: float) -> int:
    """Live through so many hours of the simulated network in a few moments, and print truth and totals side by side.

    The exit status is 1 if anything was counted that never moved.
    """
    logging.getLogger("exporter").setLevel(logging.WARNING)  # a line for each poll would be thousands
    start = time.time()
    network = household(start=start)
    clock = Clock(wall=lambda: network.now, steady=lambda: network.now - start)
    with TemporaryDirectory() as folder, _simulated(network, clock) as (_, source):
        state = State.open(Path(folder) / "demo.db")
        facts = SourceFacts(NAME, "unifi", "attached", INTERVAL, MAX_RATE)
        committer = Committer(
            state,
            [facts],
            exposition=Exposition(),
            scrapes=Scrapes(0.0),
            client_ttl=3600.0,
            people={},
            clock=clock,
        )
        outcomes: dict[str, Outcome] = {}
        poller = Poller(NAME, source, outcomes.__setitem__, interval=INTERVAL, clock=clock)
        for turn in track(range(int(hours * 3600 / INTERVAL)), f"{hours:g} simulated hours", transient=True):
            network.advance(start + turn * INTERVAL)
            poller.poll_once()
            committer.work(outcomes)
        totals = dict(committer.runtimes[NAME].memory.totals)
        state.close()
    return 0 if print_truth(network, totals, {}) else 1


def print_truth(network: Network, totals: Totals, before: Totals) -> bool:
    """A table of what really moved and what was counted. False if more was counted than moved."""
    table = Table(title="Truth and totals, in bytes", caption=_CAPTION, box=box.SIMPLE)
    table.add_column("client", no_wrap=True)
    for column in ("moved down", "counted", "moved up", "counted", "short by"):
        table.add_column(column, justify="right")
    never_over = True
    for line in network.truth():
        key = SubjectKey("client", network.site, line.mac)
        total, base = totals.get(key, ZERO), before.get(key, ZERO)
        down, up = total.download - base.download, total.upload - base.upload
        never_over = never_over and down <= line.moved.down and up <= line.moved.up
        short = human_bytes(line.moved.down - down + line.moved.up - up)
        table.add_row(line.name or line.mac, *map(str, (line.moved.down, down, line.moved.up, up)), short)
    Console(width=max(Console().width, 100)).print(table)
    return never_over


_CAPTION = (
    "Short: bytes after the last look at a client before it left, reconnected or was restarted, and what a counter "
    "had that overtook its old value before the next look. No meter showed them to anybody. Never more than moved."
)


@contextmanager
def _simulated(network: Network, clock: Clock) -> Iterator[tuple[Network, UnifiSource]]:
    """A controller on loopback, and the source that polls it. Each start is another controller, with new counters."""
    with DemoController(network, clock=clock.wall) as controller:
        controller.identity = str(uuid.uuid4())
        settings = UnifiSettings(
            url=controller.url,
            username=controller.username,
            password=controller.password,
            ca_file=controller.ca_file,
        )
        source = UnifiSource(settings, wall=clock.wall)
        yield network, source
        source.close()


def _totals(path: Path) -> dict[SubjectKey, Count]:
    """What the demo's state holds; the state is made where there is none."""
    state = State.open(path)
    try:
        return dict(state.load(NAME).totals)
    finally:
        state.close()
