"""When a client was first seen: on the page, in the state, over restarts and absences, and under every setting."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from math import ceil
from pathlib import Path

import pytest

from exporter.committer import Committer, Success
from exporter.exposition import Exposition
from exporter.model import Client
from exporter.privacy import OPEN, Privacy
from exporter.series import Scrapes
from exporter.store import State
from exporter.store.forget import Known, forget, writing
from tests.scripted import SITE, ManualClock, client_key, facts, poll, reading

OLD, NEW = "02:00:00:00:00:01", "02:00:00:00:00:02"
HASHED = Privacy(hash_mac=True, key=bytes(32))
SERIES = re.compile(r"^bandwidth_client_first_seen_timestamp_seconds\{(.*)\} (\d+)$", re.MULTILINE)


class Home:
    """One source and a real state."""

    def __init__(self, path: Path) -> None:
        self.path, self.time, self.privacy = path, ManualClock(), OPEN
        self.start()

    def start(self) -> None:
        self.state = State.open(self.path)
        self.exposition = Exposition()
        self.committer = Committer(
            self.state,
            [facts()],
            exposition=self.exposition,
            scrapes=Scrapes(0.0),
            client_ttl=100.0,
            people={},
            clock=self.time.clock,
            privacy=self.privacy,
        )

    def poll(self, *macs: str, idle: tuple[str, ...] = (), after: float = 30.0) -> dict[str, int]:
        """What the page says then, by client. idle: clients of which the meter has no counter."""
        self.time.pass_(after)
        taken = [reading(mac, int(self.time.steady_at), 0) for mac in macs]
        clients = [Client(SITE, mac, mac, connected=True) for mac in (*macs, *idle)]
        self.committer.work({"home": Success(poll(taken, clients=clients), self.time.wall_at, self.time.steady_at, 0)})
        assert not self.committer.commit_error
        return self.page()

    def page(self) -> dict[str, int]:
        whole = self.exposition.page()
        assert whole is not None
        said = SERIES.findall(whole.text().decode())
        return {re.sub(r'.*client="(.*)"', r"\1", labels): int(value) for labels, value in said}

    def events(self) -> list[tuple[str, str, int]]:
        with closing(sqlite3.connect(self.path)) as file:
            query = "SELECT kind, reason, count FROM event JOIN subject ON id = subject ORDER BY bucket, reason"
            return file.execute(query).fetchall()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    it = Home(tmp_path / "bandwidth.db")
    yield it
    it.state.close()


def test_only_who_came_later_has_a_series_and_keeps_it(home: Home) -> None:
    assert home.poll(OLD) == {}
    came = {NEW: ceil(home.time.wall_at + 30)}
    assert home.poll(OLD, NEW) == came
    home.state.close()
    home.start()
    assert home.poll(OLD, NEW) == came
    for _ in range(4):
        home.poll(OLD)
    assert home.page() == {}
    assert home.poll(OLD, NEW) == came
    came_and_went = [("client", "gone_client", 1), ("client", "new_client", 1), ("site", "baseline", 2)]
    assert sorted(home.events()) == came_and_went


def test_a_client_without_a_counter_is_seen_with_its_first_reading(home: Home) -> None:
    home.poll(OLD, idle=(NEW,))
    assert home.page() == {}
    assert home.poll(OLD, NEW) == {NEW: ceil(home.time.wall_at)}


def test_it_names_clients_as_all_series_do(home: Home) -> None:
    home.privacy = HASHED
    home.state.close()
    home.start()
    home.poll(OLD)
    assert list(home.poll(OLD, NEW)) == [HASHED.address(NEW)]


def test_a_forgotten_client_leaves_nothing_and_is_not_new_when_it_returns(home: Home) -> None:
    home.poll(OLD)
    home.poll(OLD, NEW)
    home.state.close()
    with writing(home.path) as file:
        forget(file, [Known("home", SITE, NEW)])
    home.start()
    assert {event[0] for event in home.events()} == {"site"}
    assert home.poll(OLD, NEW) == {}
    assert client_key(NEW) in home.committer.runtimes["home"].memory.totals


def test_a_commit_that_failed_says_it_once(home: Home) -> None:
    home.poll(OLD)
    with closing(sqlite3.connect(home.path)) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(AssertionError):
        home.poll(OLD, NEW)
    with closing(sqlite3.connect(home.path)) as other:
        other.execute("DROP TRIGGER full")
    assert home.poll(OLD, NEW) == {NEW: ceil(home.time.wall_at)}
    assert [event for event in home.events() if event[1] == "new_client"] == [("client", "new_client", 1)]
