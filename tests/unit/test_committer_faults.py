"""The committer's thread goes on through everything, and what one source does costs no other source anything."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from exporter.clock import Clock
from exporter.committer import Committer, Failure, Outcome, Success
from exporter.exposition import Exposition
from exporter.model import Client, Poll, Write
from exporter.series import Scrapes
from tests.scripted import SITE, ManualClock, facts, poll, reading
from tests.watched import HOLD, MemoryState

MAC = "02:00:00:00:00:01"
DOWNLOAD, GAPS = "bandwidth_client_download_bytes_total", "bandwidth_source_gaps_total"
NO_TEXT: Any = 5


class Bench:
    """A committer, with or without its thread."""

    def __init__(self, state: MemoryState | None = None, time: ManualClock | None = None, clock: Clock | None = None):
        self.time = time or ManualClock()
        self.state = state or MemoryState()
        self.scrapes = Scrapes(HOLD, None if self.state.scraped_at is None else self.time.steady_at)
        self.exposition = Exposition()
        self.committer = Committer(
            self.state,
            [facts("home"), facts("attic")],
            exposition=self.exposition,
            scrapes=self.scrapes,
            client_ttl=3600.0,
            people={},
            clock=clock or self.time.clock,
        )

    def outcome(self, download: int, *, name: str = "", duration: float = 0.25) -> Success:
        client = Client(SITE, MAC, MAC, name=name, connected=True)
        what = poll([reading(MAC, download, 0)], clients=[client])
        return Success(what, self.time.wall_at, self.time.steady_at, duration)

    def work(self, **outcomes: Outcome) -> None:
        self.committer.work(outcomes)
        self.committer._drop_silent()

    def value(self, family: str, source: str = "home") -> int | None:
        page = self.exposition.page(source)
        assert page is not None
        values = [line.rpartition(" ")[2] for line in page.text().decode().splitlines() if line.startswith(family)]
        return int(values[0]) if values else None


def test_polls_that_take_longer_than_three_intervals_stay_on_the_page_and_are_no_gap() -> None:
    bench = Bench()
    for number in range(1, 6):
        bench.time.pass_(0.5)
        outcome = bench.outcome(1000 * number, duration=100.0)
        bench.time.pass_(100.0)
        bench.committer._drop_silent()
        bench.work(home=outcome)
        assert bench.value(DOWNLOAD) == 1000 * (number - 1)
        assert bench.value(GAPS) == 0
    bench.time.pass_(301.0)
    bench.committer._drop_silent()
    assert bench.value(DOWNLOAD) is None


def test_a_state_that_fails_like_no_state_should_is_a_failed_commit(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.work(home=bench.outcome(1000))
    bench.state.broken = RuntimeError("not a word about it")
    for _ in range(3):
        bench.time.pass_(10)
        bench.work(home=bench.outcome(1500))
        assert bench.value(DOWNLOAD) == 0
    assert bench.committer.commit_failures == 3
    assert "RuntimeError at watched.py" in bench.committer.commit_error
    assert [record.levelno for record in caplog.records].count(logging.CRITICAL) == 1
    bench.state.broken = None
    bench.work(home=bench.outcome(1600))
    assert bench.value(DOWNLOAD) == 600
    assert bench.committer.commit_error == ""


def test_a_source_that_cannot_be_rendered_leaves_and_the_others_stay(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(MemoryState(scraped_at=1_700_000_000.0))
    bench.work(home=bench.outcome(1000), attic=bench.outcome(1000))
    bench.work(home=bench.outcome(1500, name=NO_TEXT), attic=bench.outcome(1500))
    assert (bench.value("bandwidth_source_up{"), bench.value(DOWNLOAD)) == (0, None)
    assert (bench.value("bandwidth_source_up{", "attic"), bench.value(DOWNLOAD, "attic")) == (1, 0)
    assert bench.value('bandwidth_source_poll_failures_total{source="home",reason="internal"}') == 1
    assert "please report it" in caplog.text
    bench.time.pass_(30)
    bench.work(home=bench.outcome(1600))
    assert (bench.value("bandwidth_source_up{"), bench.value(DOWNLOAD)) == (1, 0)  # held, as after any outage


def test_the_thread_goes_on_after_a_fault_of_any_kind(caplog: pytest.LogCaptureFixture) -> None:
    time = ManualClock()
    ticks = iter([time.steady_at] * 2)  # one for each source at the start

    def steady() -> float:
        return next(ticks, time.steady_at) if not broken else broken.pop()()

    def fail() -> float:
        raise ZeroDivisionError

    broken: list[Any] = []
    bench = Bench(time=time, clock=Clock(wall=lambda: time.wall_at, steady=steady))
    broken.append(fail)
    first = bench.committer
    first.submit("home", bench.outcome(1000))
    first.submit("home", bench.outcome(1000))
    first.submit("home", bench.outcome(1700))
    first.start()
    assert first.alive
    assert first.stop(10)
    assert bench.value(DOWNLOAD) == 700
    assert "please report it" in caplog.text


def test_a_day_of_outage_does_not_forget_who_scrapes() -> None:
    bench = Bench(MemoryState(scraped_at=1_700_000_000.0))
    bench.work(home=bench.outcome(1000))
    for _ in range(26 * 60):
        bench.time.pass_(60.0)
        bench.scrapes.answered(bench.exposition.generation, None, bench.time.steady_at)
        bench.work(home=Failure("unreachable", "no answer", bench.time.wall_at, 20.0))
    assert bench.state.scraped_at is not None
    assert bench.time.wall_at - bench.state.scraped_at < 120.0
    assert len(bench.state.commits) < 26 * 60 + 2


def test_a_scrape_that_is_no_news_costs_no_commit() -> None:
    bench = Bench()
    bench.scrapes.answered(1, None, bench.time.steady_at)
    for _ in range(20):
        bench.time.pass_(2.0)
        bench.scrapes.answered(1, None, bench.time.steady_at)
        bench.work(home=Failure("unreachable", "no answer", bench.time.wall_at, 0.1))
    assert bench.state.commits == [[]]


@pytest.mark.parametrize("jump", [-86_400.0, -59.0, 59.0, 86_400.0])
def test_a_clock_that_jumps_changes_no_number(jump: float) -> None:
    bench = Bench(MemoryState(scraped_at=1_700_000_000.0))
    shown: list[int | None] = []
    for number in range(1, 21):
        bench.time.pass_(30.0)
        if number == 10:
            bench.time.wall_at += jump
        bench.work(home=bench.outcome(1000 * number))
        bench.scrapes.answered(bench.exposition.generation, None, bench.time.steady_at)
        shown.append(bench.value(DOWNLOAD))
        assert bench.value(GAPS) == (1 if shown[-1] else 0)  # what was held moved on, and nothing else
    assert shown == [0] * 4 + [1000 * number for number in range(4, 20)]


def test_a_second_silence_while_the_bytes_of_the_first_are_held_is_one_more_gap() -> None:
    bench = Bench(MemoryState(scraped_at=1_700_000_000.0))
    seen: list[int | None] = []

    def turn(download: int, after: float) -> None:
        bench.time.pass_(after)
        bench.committer._drop_silent()
        bench.work(home=bench.outcome(download))
        bench.scrapes.answered(bench.exposition.generation, None, bench.time.steady_at)
        seen.append(bench.value(GAPS))

    for number, after in enumerate([30.0, 30.0, 130.0, 100.0, 100.0, *[30.0] * 5]):
        turn(1000 * number, after)
    assert seen == [0, 0, 0, 1, 2, 2, 2, 2, 3, 3]  # the last one with its bytes, the others when the next one came
    assert bench.value(DOWNLOAD) == 9000


def test_nothing_is_kept_of_clients_that_left() -> None:
    bench = Bench()
    for number in range(300):
        bench.time.pass_(30.0)
        mac = f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"
        what: Poll = poll([reading(mac, 1000, 0)])
        bench.work(home=Success(what, bench.time.wall_at, bench.time.steady_at, 0.25))
    runtime = bench.committer.runtimes["home"]
    assert len(runtime.clients) == len(runtime.lines._texts) == 120
    assert len(runtime.stage.present) == 121  # and the site's sum


class Slow(MemoryState):
    """A state whose commits look at what is published meanwhile."""

    bench: Bench | None = None

    def commit(self, writes: Sequence[Write], scraped_at: float | None = None) -> None:
        before = [] if self.bench is None else [self.bench.value(DOWNLOAD)]
        super().commit(writes, scraped_at)
        if self.bench is not None and len(self.commits) == 1:
            assert self.bench.committer.worked == set()
        if self.bench is not None:
            assert [self.bench.value(DOWNLOAD)] == before


def test_nothing_is_published_while_the_commit_is_not_through() -> None:
    state = Slow()
    state.bench = bench = Bench(state)
    for number in range(1, 5):
        bench.time.pass_(30.0)
        bench.work(home=bench.outcome(1000 * number))
        assert bench.value(DOWNLOAD) == 1000 * (number - 1)
        assert bench.committer.worked == {"home"}
    assert bench.committer.commit_failures == 0
