"""An exporter that polls a simulated router over real SSH with the real source, and counts with the real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from exporter import ledger
from exporter.demo.network import NOTHING, Bytes
from exporter.demo.openwrt.router import Router
from exporter.demo.openwrt.server import DemoRouter
from exporter.model import ZERO, Memory, Moment, Poll, SubjectKey
from exporter.sources import SourceError
from exporter.sources.nlbwmon import NlbwmonSource

START = 1_795_000_000.0  # 2026-11-18, 11:06:40 UTC
MAX_RATE = 12.5e9


class Sums(NamedTuple):
    """Of one client: what the meter counted, what of it nobody was shown, and what was counted of it here."""

    metered: Bytes
    lost: Bytes
    total: Bytes

    @property
    def short(self) -> int:
        return sum(self.metered) - sum(self.lost) - sum(self.total)


class Counting:
    """Polls a router that is served, each time at the router's own time."""

    def __init__(self, demo: DemoRouter, *, interval: float = 60.0) -> None:
        self.demo = demo
        self.router = demo.router
        self.interval = interval
        self.memory = Memory()
        self.failures: list[str] = []
        self._source = NlbwmonSource(demo.settings(), wall=lambda: self.router.now)
        self._began = self.router.now
        self._number = 0

    def poll(self) -> Poll | None:
        """Poll and count; None, and a reason in `failures`, where that failed."""
        self._number += 1
        try:
            poll = self._source.poll()
        except SourceError as error:
            self.failures.append(error.reason)
            return None
        at = self.router.now
        moment = Moment(self._number, 1_000_000.0 + at - self._began, at)
        self.memory.take(ledger.advance(self.memory, poll, moment, interval=self.interval, max_rate=MAX_RATE), {})
        return poll

    def wait(self, seconds: float) -> None:
        self.router.advance(self.router.now + seconds)

    def live(self, seconds: float) -> None:
        """Let time pass and poll meanwhile, each interval."""
        until = self.router.now + seconds
        while self.router.now < until:
            self.wait(self.interval)
            self.poll()

    def settle(self) -> None:
        """Poll until all that the meter has was shown and taken."""
        for _ in range(3):
            self.wait(60)
            self.poll()

    def sums(self, client: str) -> Sums:
        truth = self.router.truth
        kind = "wan" if client == "wan" else "client"
        total = self.memory.totals.get(SubjectKey(kind, "", client), ZERO)
        counted = Bytes(total.download, total.upload)
        return Sums(truth.metered.get(client, NOTHING), truth.lost.get(client, NOTHING), counted)

    def shorts(self) -> dict[str, int]:
        """By how much each client is short of what its meter ever showed, where it is."""
        found = {client: self.sums(client).short for client in self.router.truth.moved if client != "wan"}
        return {client: short for client, short in found.items() if short}

    def over(self) -> dict[str, Sums]:
        """Clients and lines of which more was counted than the meter did."""
        found = {client: self.sums(client) for client in self.router.truth.moved}
        return {
            client: sums
            for client, sums in found.items()
            if sums.total.down > sums.metered.down or sums.total.up > sums.metered.up
        }

    def close(self) -> None:
        self._source.close()


@contextmanager
def counted(router: Router, *, interval: float = 60.0) -> Iterator[Counting]:
    """A router that is served and was polled once, so that it is known."""
    with DemoRouter(router, clock=lambda: router.now) as demo:
        counting = Counting(demo, interval=interval)
        counting.poll()
        try:
            yield counting
        finally:
            counting.close()
