"""The committer: what a commit carries, what its failure leaves, and what a silent or faulty source costs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.committer import UNKNOWN_SILENCE, Committer, Failure, Outcome, Success
from exporter.exposition import Exposition
from exporter.model import Client, Collection, Poll
from exporter.naming import Person
from exporter.series import Scrapes
from exporter.store import StateError
from tests.scripted import SITE, ManualClock, client_key, facts, poll, reading
from tests.watched import MemoryState

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
DOWNLOAD = "bandwidth_client_download_bytes_total"
NONSENSE: Any = "not a count"


class Bench:
    """A committer without its thread."""

    def __init__(
        self,
        state: MemoryState,
        *names: str,
        time: ManualClock | None = None,
        people: Mapping[str, Person] | None = None,
    ) -> None:
        self.time = time or ManualClock()
        self.scrapes = Scrapes(60.0)
        self.exposition = Exposition()
        self.committer = Committer(
            state,
            [facts(name) for name in names or ("home",)],
            exposition=self.exposition,
            scrapes=self.scrapes,
            client_ttl=600.0,
            people=people or {},
            clock=self.time.clock,
        )

    def poll(self, what: Poll | Failure, name: str = "home", *, after: float = 30.0) -> None:
        self.time.pass_(after)
        self.committer.work({name: self.outcome(what)})

    def outcome(self, what: Poll | Failure) -> Outcome:
        if isinstance(what, Failure):
            return what
        return Success(what, self.time.wall_at, self.time.steady_at, 0.1)

    def scrape(self) -> None:
        self.scrapes.answered(self.exposition.generation, None, self.time.steady_at)

    def page(self) -> str:
        page = self.exposition.page()
        assert page is not None
        return page.text().decode()

    def value(self, start: str) -> str | None:
        lines = [line for line in self.page().splitlines() if line.startswith(start)]
        assert len(lines) < 2
        return lines[0].rpartition(" ")[2] if lines else None


def one(download: int, mac: str = MAC) -> Poll:
    return poll([reading(mac, download, 0)], meter_at=float(download))


def broken(message: str = "no answer") -> Failure:
    return Failure("unreachable", message, 0.0, 20.0)


def test_what_cannot_be_committed_is_not_published_and_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    state = MemoryState()
    bench = Bench(state)
    bench.poll(one(1000))
    bench.poll(one(1500))
    state.broken = StateError("the disk is full")
    for download in (1600, 1700):
        bench.poll(one(download))
        assert bench.value(DOWNLOAD) == "500"
    assert bench.committer.commit_failures == 2
    assert bench.committer.commit_error == "the disk is full"
    assert [record.levelname for record in caplog.records].count("CRITICAL") == 1
    state.broken = None
    bench.poll(one(1800))
    assert bench.value(DOWNLOAD) == "800"
    assert state.kept("home").totals[client_key(MAC)].download == 800
    assert bench.committer.commit_error == ""


def test_totals_that_cannot_be_committed_leave_after_three_intervals() -> None:
    state = MemoryState()
    bench = Bench(state)
    bench.poll(one(1000))
    state.broken = StateError("the disk is full")
    bench.poll(one(1100), after=91.0)
    bench.committer._drop_silent()
    assert bench.value(DOWNLOAD) is None


def test_sources_share_a_commit() -> None:
    state = MemoryState()
    bench = Bench(state, "home", "attic")
    bench.committer.work({name: bench.outcome(one(1000)) for name in ("home", "attic")})
    assert state.commits == [["home", "attic"]]
    assert bench.exposition.generation == 2


def test_two_polls_of_a_source_are_taken_in_their_order() -> None:
    bench = Bench(MemoryState())
    for download in (1000, 1100, 1300):
        bench.time.pass_(30)
        bench.committer.submit("home", bench.outcome(one(download)))
    bench.committer.start()
    assert bench.committer.stop(5)
    assert not bench.committer.alive
    assert bench.value(DOWNLOAD) == "300"
    assert bench.value("bandwidth_source_polls_total") == "3"


def test_a_failure_keeps_the_last_values_for_three_intervals(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(MemoryState())
    bench.poll(one(1000))
    bench.poll(one(1500))
    for _ in range(3):
        bench.poll(broken())
        bench.committer._drop_silent()
        assert bench.value(DOWNLOAD) == "500"
        assert bench.value("bandwidth_source_up{") == "0"
    bench.poll(broken())
    bench.committer._drop_silent()
    assert bench.value(DOWNLOAD) is None
    assert bench.value("bandwidth_source_download_bytes_total") is None
    assert bench.value('bandwidth_source_poll_failures_total{source="home",reason="unreachable"}') == "4"
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == ["home: no answer"]
    caplog.set_level(logging.INFO)
    bench.poll(one(1900))
    assert [record.message for record in caplog.records][-2:] == [
        "home: answers again after 2 min 20 s",
        "home: 1 client, +400 B down, +0 B up in 150 s",
    ]
    assert bench.value(DOWNLOAD) == "900"
    assert bench.value("bandwidth_source_gaps_total") == "1"


def test_a_source_that_comes_back_is_held_where_prometheus_scrapes() -> None:
    bench = Bench(MemoryState())
    bench.scrape()
    bench.poll(one(1000))
    bench.poll(one(1500))
    assert bench.value(DOWNLOAD) == "0"
    bench.scrape()
    bench.poll(one(1600), after=61.0)
    assert bench.value(DOWNLOAD) == "600"
    bench.poll(broken(), after=100.0)
    bench.committer._drop_silent()
    bench.poll(one(2000))
    assert (bench.value(DOWNLOAD), bench.value("bandwidth_source_gaps_total")) == ("600", "1")
    bench.scrape()
    bench.poll(one(2100), after=61.0)
    assert (bench.value(DOWNLOAD), bench.value("bandwidth_source_gaps_total")) == ("1100", "2")


def test_a_fault_of_one_source_costs_only_its_own_poll(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(MemoryState(), "home", "attic")
    impossible = replace(one(1000), readings=(replace(reading(MAC, 1, 1), count=NONSENSE),))
    for what in (one(1000), impossible):
        bench.time.pass_(30)
        bench.committer.work({"home": bench.outcome(what), "attic": bench.outcome(one(1000))})
    assert bench.value('bandwidth_source_up{source="home"}') == "0"
    assert bench.value('bandwidth_source_up{source="attic"}') == "1"
    assert bench.value('bandwidth_source_poll_failures_total{source="home",reason="internal"}') == "1"
    assert "please report it" in caplog.text


def test_a_start_with_our_clock_behind_takes_the_silence_as_long() -> None:
    state = MemoryState()
    first = Bench(state)
    first.poll(one(1000))
    at = state.kept("home").source
    behind = Bench(state, time=ManualClock(wall_at=at.at - 5000.0))
    behind.poll(one(2 * 10**12), after=1.0)
    assert behind.value(DOWNLOAD) == str(2 * 10**12 - 1000)
    assert behind.value('bandwidth_counter_events_total{source="home",kind="client",reason="clock"}') == "1"
    assert state.kept("home").source.tick >= at.tick + UNKNOWN_SILENCE
    assert state.kept("home").source.at == at.at


def test_a_start_counts_the_time_that_passed_meanwhile() -> None:
    state = MemoryState()
    first = Bench(state)
    first.poll(one(1000))
    at = state.kept("home").source
    later = Bench(state, time=ManualClock(wall_at=at.at + 1000.0, steady_at=5.0))
    later.poll(one(1100), after=30.0)
    assert state.kept("home").source.tick == at.tick + 1030.0
    assert state.kept("home").source.gaps == 1


def test_clients_that_left_are_marked_and_leave_after_their_time() -> None:
    bench = Bench(MemoryState())
    here = Client(SITE, MAC, MAC, connected=True, signal_dbm=-50.0)
    bench.poll(poll([reading(MAC, 1000, 0)], clients=[here]))
    connected = f'bandwidth_client_connected{{source="home",site="default",client="{MAC}"}}'
    assert bench.value(connected) == "1"
    bench.poll(replace(one(10, OTHER), complete={Collection("device", SITE): ""}))
    assert bench.value(connected) == "1"
    bench.poll(one(20, OTHER))
    assert bench.value(connected) == "0"
    assert bench.value("bandwidth_client_signal_dbm") is None
    bench.poll(one(30, OTHER), after=541.0)
    assert bench.value(connected) is None
    assert bench.committer.runtimes["home"].clients.keys() == {client_key(OTHER)}


def test_names_from_the_configuration_go_first() -> None:
    bench = Bench(MemoryState(), people={MAC: Person("Kitchen", "flat 3", "tenants")})
    bench.poll(poll([reading(MAC, 1, 1)], clients=[Client(SITE, MAC, MAC, name="android-1234")]))
    assert 'name="Kitchen",owner="flat 3",vendor="randomised",category="tenants"' in bench.page()
