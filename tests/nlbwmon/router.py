"""A router as its answers show it: a daemon, its files and its clock, and an exporter that counts what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import takewhile
from typing import Literal

from exporter import ledger
from exporter.model import Changes, Count, Memory, Moment, Poll
from exporter.model import SubjectKey as Subject
from exporter.sources.nlbwmon.exchange import LOOK_BACK, Answer, Exchange, Facts
from exporter.sources.nlbwmon.lives import OFFERED
from exporter.sources.nlbwmon.network import Network
from exporter.sources.nlbwmon.payload import Row
from exporter.sources.nlbwmon.periods import dashed, interval_of, periods
from exporter.sources.nlbwmon.plain import Plain
from exporter.sources.nlbwmon.readings import CLIENTS, Readings
from tests.nlbwmon.recorded import COLUMNS

Tier = Literal["facts", "hidden", "nlbw", "fixed"]
"""What a key allows: all that proves, all but a fact, `nlbw` alone, or one call of it whatever is asked."""

ONE, TWO = "02:aa:bb:cc:dd:01", "02:aa:bb:cc:dd:02"
MAX_RATE = 125_000_000.0


def clock(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def row(mac: str, rx: int, tx: int, *, port: int = 443, ip: str = "192.168.1.101") -> Row:
    return Row(4, "TCP", port, mac, ip, rx, rx // 100, tx, tx // 100, "HTTPS")


class Router:
    """What a router would answer. Everything in it is set by the test; nothing happens by itself."""

    def __init__(self, at: str, *, interval: str = "1") -> None:
        self.at = clock(at)
        self.interval = interval
        self.boot, self.pid = "boot-1", "100"
        self.started: float | None = self.at - 86_400
        self.after_boot = 20.0
        self.scratch: str | None = "7"
        self.files: dict[str, tuple[float, tuple[Row, ...]]] = {}
        self.rows: tuple[Row, ...] = ()
        self.limit: int | None = 10_000
        self.network = Network()
        self.asked: list[tuple[str, ...]] = []

    def shows(self, *rows: Row) -> Router:
        self.rows = rows
        return self

    def at_time(self, text: str) -> Router:
        self.at = clock(text)
        return self

    def writes(self, label: str, *rows: Row) -> Router:
        """The daemon writes a period's file now."""
        self.files[label] = (self.at, rows)
        return self

    def restarts(self, *, reboot: bool = False, cleared: bool = False) -> Router:
        """cleared: it was stopped, and took /tmp/0.db away."""
        if cleared or reboot:
            self.scratch = ""
        self.pid = str(int(self.pid) + 1)
        self.started = self.at
        self.boot = f"boot-{self.pid}" if reboot else self.boot
        self.after_boot = 20.0 if reboot else 5_000.0
        return self

    def listed(self) -> list[str]:
        """As `nlbw -c list` goes: back from today, to the first period without a file."""
        interval = interval_of(self.interval, 0)
        assert interval is not None
        labels = [period.label for period in periods(interval, self.at, 0, LOOK_BACK)]
        return list(takewhile(lambda label: label in self.files, labels))

    def answer(self, labels: tuple[str, ...] = ()) -> Exchange:
        self.asked.append(labels)
        written = {label: at for label, (at, _) in self.files.items()}
        facts = Facts(self.at, 0, self.boot, self.pid, self.started, written, self.after_boot, self.scratch)
        interval = interval_of(self.interval, 0)
        assert interval is not None
        closed = {label: self.files[label][1] if label in self.files else None for label in labels}
        return Exchange(
            before=facts,
            after=facts,
            periods=tuple(periods(interval, self.at, 0, LOOK_BACK)),
            rows=self.rows,
            closed=closed,
            limit=self.limit,
            at=self.at,
            boot=self.boot,
            network=self.network,
        )


class Commands:
    """The router's `nlbw`, as a key that is bound to it or to one call of it lets it be run."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.tier: Tier = "nlbw"
        self.connections = 0
        self.status: int | None = None

    def run(self, command: str) -> bytes:
        words = command.split()
        self.status = 0
        if self.tier == "fixed" or words[1:] == ["-c", "json"]:
            return document(self.router.rows)
        if words[1:] == ["-c", "list"]:
            return "".join(f"{dashed(label)}\n" for label in self.router.listed()).encode()
        assert words[1:4] == ["-c", "json", "-t"]
        label = words[4].replace("-", "")
        if label in self.router.files:
            return document(self.router.files[label][1])
        self.status = 195
        return b"Error while processing command: No data available\n"


def document(rows: tuple[Row, ...]) -> bytes:
    """The rows as `nlbw -c json` writes them."""
    data = [
        [r.family, r.proto, r.port, r.mac, r.ip, 1, r.rx_bytes, r.rx_packets, r.tx_bytes, r.tx_packets, r.layer7]
        for r in rows
    ]
    return json.dumps({"columns": COLUMNS, "data": data}, separators=(",", ":")).encode()


class Exporter:
    """Counts what a router answers, each poll at the router's own time unless `ahead` says otherwise.

    timed: by that time it is also known how long it was away, as one that polls twice a minute. Else nothing is a
    silence.
    """

    def __init__(self, router: Router, *, timed: bool = False) -> None:
        self.timed = timed
        self.router = router
        self.memory = Memory()
        self.readings = Readings("SHA256:key")
        self.tier: Tier = "facts"
        self.commands = Commands(router)
        self.plain = Plain(self.commands, "here")
        self.took = Poll()
        self.number, self.began = 0, router.at
        self.last: Changes | None = None
        self.notices: tuple[str, ...] = ()

    def settle(self) -> None:
        """Poll until nothing of what was before is offered any longer."""
        for _ in range(OFFERED + 1):
            self.poll()

    def restart(self) -> None:
        completed = self.memory.collections.get(CLIENTS)
        self.readings = Readings("SHA256:key", completed.mark if completed else "")
        self.plain = Plain(self.commands, "here")

    def poll(self, *, ahead: float = 0.0, committed: bool = True) -> Changes:
        self.number += 1
        at = self.router.at + ahead
        poll = self._proved(at) if self.tier == "facts" else self._unproved(at)
        self.notices, self.took = poll.notices, poll
        passed, interval = (self.router.at - self.began, 30.0) if self.timed else (self.number * 3_600, 3_600.0)
        moment = Moment(self.number, 1_000_000.0 + passed, at)
        changes = ledger.advance(self.memory, poll, moment, interval=interval, max_rate=MAX_RATE)
        if committed:
            self.memory.take(changes, {})
        self.last = changes
        return changes

    def _proved(self, at: float) -> Poll:
        exchange = self.router.answer()
        asked = self.readings.ask(exchange, at)
        if asked:
            exchange = self.router.answer(asked)
        self.plain.forget()
        return self.readings.poll(exchange, at)

    def _unproved(self, at: float) -> Poll:
        self.commands.tier = self.tier
        self.commands.connections += 1  # each key is one of a new connection
        exchange = self.router.answer()
        answer = Answer(rows=exchange.rows)
        if self.tier == "hidden":
            answer = Answer(rows=exchange.rows, at=exchange.at, boot=exchange.boot, missing=("its clock",))
        return self.readings.unproved(answer, at, self.plain.bases(answer.rows, at), ())

    def total(self, client: str = ONE) -> tuple[int, int]:
        count = self.memory.totals.get(Subject("client", "", client), Count())
        return count.download, count.upload

    def event(self) -> set[str]:
        assert self.last is not None
        return {reason for _, reason in self.last.events}
