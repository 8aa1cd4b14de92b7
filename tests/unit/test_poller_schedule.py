"""Whole nights of polls on a clock that waits in no time: the grid, what moves it, and what must not end its thread."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

import pytest

from exporter.committer import Failure, Outcome, Success
from exporter.model import Poll
from exporter.poller import LONGEST_BACK_OFF, REFUSALS, Poller
from exporter.sources import Reason, SourceError
from tests.scripted import ManualClock

INTERVAL = 30.0
EMPTY = Poll()


class Rust(BaseException):
    """As pyo3's PanicException: no Exception."""


class Waiting(threading.Event):
    """Waits by moving the clock, so that a whole night takes no time. It is set after so many waits."""

    def __init__(self, time: ManualClock, waits: int) -> None:
        super().__init__()
        self._time, self._left = time, waits
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout >= 0
        if self.is_set() or not self._left:
            return True
        self._left -= 1
        self.waited.append(timeout)
        self._time.pass_(timeout)
        return False


@dataclass
class Meter:
    """A source whose polls take the given seconds each, and raise what is given, in turn; then it answers at once."""

    time: ManualClock
    script: list[float | BaseException] = field(default_factory=list)
    closing: BaseException | None = None
    at: list[float] = field(default_factory=list)
    closed: int = 0

    def poll(self) -> Poll:
        self.at.append(self.time.steady_at - 1000.0)
        step = self.script.pop(0) if self.script else 0.0
        if isinstance(step, BaseException):
            raise step
        self.time.pass_(step)
        return EMPTY

    def close(self) -> None:
        self.closed += 1
        if self.closing is not None:
            raise self.closing


@dataclass
class Night:
    """A poller that ran through its waits, and what it handed in."""

    meter: Meter
    waiting: Waiting
    outcomes: list[Outcome]
    poller: Poller


def run(waits: int, *script: float | BaseException, jitter: float = 0.0, closing: BaseException | None = None) -> Night:
    time = ManualClock()
    meter, waiting = Meter(time, list(script), closing), Waiting(time, waits)
    outcomes: list[Outcome] = []

    def submit(name: str, outcome: Outcome) -> None:
        assert name == "home"
        outcomes.append(outcome)

    poller = Poller("home", meter, submit, interval=INTERVAL, clock=time.clock, jitter=lambda: jitter, ending=waiting)
    poller.start()
    assert poller.join(10)
    return Night(meter, waiting, outcomes, poller)


def refused(reason: Reason = "login", retry_after: float | None = None) -> SourceError:
    return SourceError(reason, "no", retry_after)


@pytest.mark.parametrize(("jitter", "second"), [(0.0, 15.0), (0.5, 22.5), (1.0, 30.0)])
def test_first_at_once_then_on_a_grid_that_jitter_moves(jitter: float, second: float) -> None:
    night = run(4, jitter=jitter)
    assert night.meter.at == [0.0, *(second + n * INTERVAL for n in range(4))]
    assert night.meter.closed == 1
    assert night.poller.ended.is_set()


def test_how_long_a_poll_takes_does_not_move_the_grid() -> None:
    night = run(4, 1.0, 29.0, 0.5, 14.0, jitter=1.0)
    assert night.meter.at == [0.0, 30.0, 60.0, 90.0, 120.0]


def test_a_poll_longer_than_the_interval_is_followed_at_once_and_then_the_grid_goes_on() -> None:
    night = run(5, 0.0, 70.0, jitter=1.0)
    assert night.meter.at == [0.0, 30.0, 100.0, 120.0, 150.0, 180.0]


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_what_is_refused_is_tried_less_and_less_often(reason: Reason) -> None:
    night = run(8, *[refused(reason) for _ in range(7)], jitter=1.0)
    assert night.waiting.waited[:7] == [60.0, 120.0, 240.0, 480.0, *[LONGEST_BACK_OFF] * 3]
    assert night.waiting.waited[7] <= INTERVAL


def test_after_a_pause_the_grid_goes_on_and_does_not_catch_up() -> None:
    night = run(4, refused("rate_limited", retry_after=310.0), jitter=1.0)
    assert night.meter.at == [0.0, 310.0, 330.0, 360.0, 390.0]


def test_a_success_forgets_the_refusals_and_so_does_another_failure() -> None:
    night = run(6, refused(), refused(), 0.0, refused(), refused("timeout"), refused(), jitter=1.0)
    assert night.waiting.waited == [60.0, 120.0, 30.0, 60.0, 30.0, 60.0]


@pytest.mark.parametrize("reason", ["rate_limited", "unreachable"])
def test_retry_after_is_kept_where_it_is_longer(reason: Reason) -> None:
    night = run(2, refused(reason, retry_after=2000.0), refused(reason, retry_after=1.0), jitter=1.0)
    assert night.waiting.waited[0] == 2000.0
    assert night.waiting.waited[1] >= 10.0


def test_a_year_of_refusals_does_not_overflow() -> None:
    night = run(1100, *[refused() for _ in range(1100)])
    assert night.waiting.waited[-2] == LONGEST_BACK_OFF


FAULTS = [
    ValueError("x"),
    RecursionError(),
    MemoryError(),
    OSError(5, "x"),
    UnicodeError("x"),
    SystemExit(3),
    Rust(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_of_ours_fails_one_poll_and_no_more(fault: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    night = run(2, fault, jitter=1.0)
    bad, *good = night.outcomes
    assert isinstance(bad, Failure)
    assert bad.reason == "internal"
    assert type(fault).__name__ in bad.message
    assert [type(outcome) for outcome in good] == [Success, Success]
    assert night.meter.at == [0.0, 30.0, 60.0]
    assert night.poller.ended.is_set()
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info


@pytest.mark.parametrize("closing", [refused("unreachable"), ValueError("x")], ids=["outside", "ours"])
def test_a_source_that_cannot_be_closed_ends_like_any_other(
    closing: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    night = run(1, closing=closing)
    assert night.meter.closed == 1
    assert len(caplog.records) == (0 if isinstance(closing, SourceError) else 1)
