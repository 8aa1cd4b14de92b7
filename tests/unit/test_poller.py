"""When a source is polled, and what its failures do to that."""

from __future__ import annotations

import threading

import pytest

from exporter.clock import Clock
from exporter.committer import Failure, Outcome, Success
from exporter.model import Poll
from exporter.poller import LONGEST_BACK_OFF, Poller
from exporter.sources import Source, SourceError
from tests.e2e.stack import eventually
from tests.scripted import ManualClock, ScriptedSource, poll


class Inbox(list[Outcome]):
    """What was handed in."""

    def submit(self, name: str, outcome: Outcome) -> None:
        assert name == "home"
        self.append(outcome)


def poller_of(source: Source, inbox: Inbox, interval: float = 30.0, clock: ManualClock | None = None) -> Poller:
    time = clock or ManualClock()
    return Poller("home", source, inbox.submit, interval=interval, clock=time.clock, jitter=lambda: 1.0)


def test_a_poll_is_handed_in_with_its_times() -> None:
    time, inbox = ManualClock(), Inbox()
    began = time.wall_at, time.steady_at

    class Slow(ScriptedSource):
        def poll(self) -> Poll:
            time.pass_(2.5)
            return super().poll()

    what = poll([])
    assert poller_of(Slow([what]), inbox, clock=time).poll_once() == 0.0
    assert inbox == [Success(what, *began, 2.5)]


def test_a_refusal_backs_off_ever_longer_and_forgets_after_a_success() -> None:
    inbox = Inbox()
    refusals = [SourceError("login", "wrong password") for _ in range(7)]
    poller = poller_of(ScriptedSource([*refusals, poll([]), SourceError("login", "wrong password")]), inbox)
    pauses = [poller.poll_once() for _ in range(9)]
    assert pauses == [60.0, 120.0, 240.0, 480.0, LONGEST_BACK_OFF, LONGEST_BACK_OFF, LONGEST_BACK_OFF, 0.0, 60.0]


def test_the_longer_of_back_off_and_what_the_source_asks_for() -> None:
    asked = [SourceError("rate_limited", "slow down", retry_after=pause) for pause in (300.0, 10.0)]
    poller = poller_of(ScriptedSource([*asked]), Inbox())
    assert [poller.poll_once() for _ in asked] == [300.0, 120.0]


def test_an_outage_is_tried_again_at_the_next_interval() -> None:
    poller = poller_of(ScriptedSource([]), Inbox())
    assert [poller.poll_once() for _ in range(5)] == [0.0] * 5


def test_a_fault_of_our_own_is_handed_in_as_one(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(ScriptedSource):
        def poll(self) -> Poll:
            raise ZeroDivisionError

    inbox = Inbox()
    poller_of(Faulty(), inbox).poll_once()
    [outcome] = inbox
    assert isinstance(outcome, Failure)
    assert outcome.reason == "internal"
    assert "please report it" in caplog.text


def test_stop_ends_the_wait_at_once_and_closes_the_source() -> None:
    source, inbox = ScriptedSource([poll([])]), Inbox()
    poller = poller_of(source, inbox, interval=3600.0)
    poller.start()
    eventually("the first poll", lambda: len(inbox), within=5)
    poller.stop()
    assert poller.join(2)
    assert source.closed
    assert len(inbox) == 1


def test_polls_of_a_slow_source_never_overlap() -> None:
    running, overlapped, polls = threading.Lock(), [], threading.Semaphore(0)

    class Watched(ScriptedSource):
        def poll(self) -> Poll:
            overlapped.append(not running.acquire(blocking=False))
            threading.Event().wait(0.02)
            running.release()
            polls.release()
            return poll([])

    poller = Poller("home", Watched(), Inbox().submit, interval=0.001, clock=Clock())
    poller.start()
    for _ in range(5):
        assert polls.acquire(timeout=5)
    poller.stop()
    assert poller.join(2)
    assert not any(overlapped)
