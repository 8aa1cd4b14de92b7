"""Generated histories of a daemon, its files and the exporter: never is more counted than what moved.

The daemon does what was recorded and read of the real one: it writes the old period's file before it clears its rows,
commits under the clock's label, also where it is stopped before it rolled over, keeps its rows over a kill in
/tmp/0.db, which is as old as its last refresh but for one that rolled over, and loads the clock's period otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.sources.nlbwmon.exchange import LOOK_BACK
from exporter.sources.nlbwmon.periods import interval_of, periods
from tests.nlbwmon.router import ONE, TWO, Exporter, Router, Tier, row


class Daemon:
    """A daemon with periods of one day, and the truth about what moved since the exporter first looked.

    lags: /tmp/0.db is only as new as the last refresh.
    """

    def __init__(self, *, lags: bool = False) -> None:
        self.lags = lags
        self.router = Router("2026-11-20T12:00", interval="2026-11-16/1")
        self.router.started = self.router.at - 600
        self.router.limit = 2
        self.raw = {ONE: 5_000}
        self.scratch: dict[str, int] | None = {ONE: 5_000}
        self.label = self.today
        self.moved = {ONE: 0, TWO: 0}
        self.exporter = Exporter(self.router)
        self.poll()

    @property
    def today(self) -> str:
        interval = interval_of(self.router.interval, 0)
        assert interval is not None
        return periods(interval, self.router.at, 0, 1)[0].label

    def move(self, mac: str, amount: int) -> None:
        self.raw[mac] = self.raw.get(mac, 0) + amount
        self.moved[mac] += amount

    def wait(self, hours: float) -> None:
        if self.behind < LOOK_BACK - 4:
            self.router.at += hours * 3_600

    @property
    def behind(self) -> int:
        """By how many periods the daemon has not rolled over yet, as on a full disk."""
        interval = interval_of(self.router.interval, 0)
        assert interval is not None
        known = periods(interval, self.router.at, 0, LOOK_BACK)
        return sum(period.label > self.label for period in known)

    def archive(self) -> bool:
        if self.today == self.label:
            return False
        self.write(self.label)
        self.raw, self.label = {}, self.today
        return True

    def refresh(self) -> None:
        if self.archive():
            return  # and /tmp/0.db stays as it was
        if self.scratch is None:
            self.router.scratch = f"{self.router.at}"
        self.scratch = dict(self.raw)

    def write(self, label: str) -> None:
        self.router.writes(label, *(row(mac, raw, 0) for mac, raw in self.raw.items()))

    def commit(self) -> None:
        self.write(self.today)

    def stop_and_start(self) -> None:
        self.commit()
        self._start(cleared=True)

    def kill(self) -> None:
        if not self.lags:
            self.scratch = dict(self.raw)
        self._start()

    def evict(self) -> None:
        """In a full table another row takes the place of this one, which begins again from 0."""
        if len(self.raw) == self.router.limit:
            self.raw.pop(ONE, None)

    def cut_power(self) -> None:
        self._start(reboot=True, cleared=True)

    def reboot_in_memory(self) -> None:
        self.router.files.clear()
        self._start(reboot=True, cleared=True)

    def _start(self, *, reboot: bool = False, cleared: bool = False) -> None:
        self.router.at += 60 if cleared else 0
        self.router.restarts(reboot=reboot, cleared=cleared)
        self.label = self.today
        if cleared:
            self.scratch = None
        _, rows = self.router.files.get(self.label, (0.0, ()))
        self.raw = {row.mac: row.rx_bytes for row in rows} if self.scratch is None else dict(self.scratch)

    def poll(self, *, committed: bool = True) -> None:
        self.router.at += 1
        self.router.shows(*(row(mac, raw, 0) for mac, raw in self.raw.items()))
        self.exporter.poll(committed=committed)

    def restart_exporter(self) -> None:
        self.exporter.restart()

    def allow(self, tier: Tier) -> None:
        """What the exporter's key allows from now on, on a new connection."""
        self.exporter.tier = tier

    def check(self) -> None:
        for mac, moved in self.moved.items():
            assert self.exporter.total(mac)[0] <= moved


Step = Callable[[Daemon], None]
History = list[tuple[str, int]]

STEPS: dict[str, Step] = {
    "move a little": lambda daemon: daemon.move(ONE, 10),
    "move a lot": lambda daemon: daemon.move(ONE, 20_000),
    "move another": lambda daemon: daemon.move(TWO, 300),
    "wait an hour": lambda daemon: daemon.wait(1),
    "wait over midnight": lambda daemon: daemon.wait(13),
    "wait days": lambda daemon: daemon.wait(24 * 3),
    "refresh": Daemon.refresh,
    "commit": Daemon.commit,
    "stop and start": Daemon.stop_and_start,
    "kill": Daemon.kill,
    "cut power": Daemon.cut_power,
    "reboot in memory": Daemon.reboot_in_memory,
    "evict": Daemon.evict,
    "poll": Daemon.poll,
    "poll in vain": lambda daemon: daemon.poll(committed=False),
    "restart the exporter": Daemon.restart_exporter,
}

LOADS = {"cut power", "stop and start", "reboot in memory"}
"""After these the daemon has the values of a file. Of a row that was driven out before, they may be higher."""

TIERS: dict[str, Step] = {
    "allow all": lambda daemon: daemon.allow("facts"),
    "hide a fact": lambda daemon: daemon.allow("hidden"),
    "allow nlbw": lambda daemon: daemon.allow("nlbw"),
    "fix a command": lambda daemon: daemon.allow("fixed"),
}


def histories(steps: Iterable[str]) -> st.SearchStrategy[History]:
    """What happens, and how often it is looked at after each."""
    return st.lists(st.tuples(st.sampled_from(sorted(steps)), st.integers(0, 3)), max_size=30)


AWAY = """
move a little, wait over midnight, move a little, refresh, move a little, commit,
move a little, wait days, move a little, refresh, move a little, commit,
move a little, wait an hour, move a little, kill, move a little, commit,
move a little, wait days, move a little, refresh, move a little, commit
"""


def test_a_kill_brings_an_older_period_back_while_nobody_looks() -> None:
    daemon = Daemon(lags=True)
    daemon.exporter.settle()
    for step in AWAY.split(","):
        STEPS[step.strip()](daemon)
        daemon.router.at += 1
    daemon.poll()
    assert daemon.exporter.total()[0] <= daemon.moved[ONE]


AGAIN = "cut power, wait over midnight, refresh"
"""Who was loaded with the file writes what it says of the row once more, at the rollover."""


@pytest.mark.parametrize("away", ["", "restart the exporter"])
@pytest.mark.parametrize("end", ["wait days, cut power", "wait days, stop and start", "wait days, kill", AGAIN])
def test_a_row_driven_out_after_its_file_was_written_does_not_count_again(end: str, away: str) -> None:
    """The period ended while the router was off, so its file is from before the row began again from 0."""
    daemon = Daemon()
    before = ["move a lot", "move another", "commit", "poll", "evict", "move a little", "poll"]
    for step in [*before, *([away] if away else []), *end.split(", ")]:
        STEPS[step](daemon)
        daemon.router.at += 1
    for _ in range(2):
        daemon.move(ONE, 1)
        daemon.poll()
        daemon.check()


@settings(max_examples=600)
@given(histories(STEPS))
def test_never_over(history: History) -> None:
    run(Daemon(lags=True), history)


@pytest.mark.parametrize("tier", ["hidden", "nlbw", "fixed"])
@settings(max_examples=300)
@given(history=histories(STEPS.keys() - {"evict"}) | histories(STEPS.keys() - LOADS))
def test_never_over_where_nothing_is_proved(tier: Tier, history: History) -> None:
    daemon = Daemon()
    daemon.allow(tier)
    daemon.poll()
    run(daemon, history)


@settings(max_examples=600)
@given(histories((STEPS | TIERS).keys() - {"evict"}) | histories((STEPS | TIERS).keys() - LOADS))
def test_never_over_where_the_key_allows_now_more_now_less(history: History) -> None:
    run(Daemon(), history)


def test_the_limit_where_nothing_is_proved() -> None:
    """A row that others drove out of a full table, and a power cut that brings its old value back, look like bytes."""
    daemon = Daemon()
    daemon.allow("fixed")
    daemon.move(TWO, 300)
    daemon.poll()
    daemon.commit()
    daemon.evict()
    daemon.move(ONE, 2)
    daemon.poll()
    daemon.poll()
    daemon.cut_power()
    daemon.poll()
    assert daemon.exporter.total(ONE)[0] == 5_000 - 2


def run(daemon: Daemon, history: History) -> None:
    for step, polls in history:
        (STEPS | TIERS)[step](daemon)
        daemon.check()
        for _ in range(polls):
            daemon.move(ONE, 1)  # a value that stands at 0 is looked at for ever
            daemon.poll()
            daemon.check()
    daemon.poll()
    daemon.check()


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(["move a little", "move a lot", "move another", "refresh", "poll", "restart the exporter"]),
        max_size=30,
    )
)
def test_to_the_byte_where_nothing_but_rollovers_happens(steps: list[str]) -> None:
    daemon = Daemon()
    daemon.exporter.settle()
    for step in steps:
        if step == "refresh":
            daemon.wait(24)
        STEPS[step](daemon)
        daemon.poll()
        daemon.check()
    for mac, moved in daemon.moved.items():
        assert daemon.exporter.total(mac)[0] == moved
