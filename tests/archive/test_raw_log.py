"""A simulated network over both days on which clocks change: a script that knows only its raw log says the same."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.accounting.days import date_of
from exporter.committer import Committer, Success
from exporter.demo.network import Network
from exporter.exposition import Exposition
from exporter.model import Poll, SubjectKey
from exporter.series import Scrapes
from exporter.sources.unifi import payload
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.store import Retention, State
from tests.archive.house import Archived, Bytes
from tests.scripted import SITE, ManualClock, facts

MACS = [f"02:00:00:00:00:{number:02x}" for number in range(6)]
SCRIPT = Path(__file__).with_name("sum_log.py")
STEP = 300


class Site:
    """A simulated site that is polled every five minutes, at the full minute, and writes down all that moves."""

    def __init__(self, path: Path, zone: str, begin: float, log: Path) -> None:
        self._chance = random.Random(f"{zone} {begin}")
        self._network = Network(start=begin)
        self._time = ManualClock(wall_at=begin)
        self._readings = Readings()
        self._log = log.open("w", encoding="utf-8")
        self.state = State.open(path)
        self.state.keep(ZoneInfo(zone), Retention.forever())
        self._committer = Committer(
            self.state,
            [facts(interval=STEP)],
            exposition=Exposition(),
            scrapes=Scrapes(60.0),
            client_ttl=3600.0,
            people={},
            clock=self._time.clock,
        )
        for mac in MACS:
            self._network.add_client(mac, age=86_400.0)
        self._poll()

    def step(self) -> None:
        """Five minutes: packets at any moment of them, now and then a counter that begins anew, then a poll."""
        for mac in MACS:
            for _ in range(self._chance.choice([0, 0, 1, 3])):
                at = self._time.wall_at + self._chance.uniform(1.0, STEP - 1.0)
                down, up = self._chance.randrange(5_000_000), self._chance.randrange(500_000)
                self._network.move(mac, down, up)
                self._log.write(f"{at:.3f} {mac} {down} {up}\n")
        self._time.pass_(STEP)
        self._network.advance(self._time.wall_at)
        self._poll()

    def _poll(self) -> None:
        document = json.dumps({"meta": {"rc": "ok"}, "data": self._network.records()}).encode()
        here = SiteClients(SITE, payload.stations(document).stations, self._network.meter_now, self._time.wall_at)
        poll: Poll = self._readings.poll([here], identity="controller", bad={}.items())
        self._committer.work({"home": Success(poll, self._time.wall_at, self._time.steady_at, 0.0)})
        assert self._committer.commit_error == ""

    def close(self) -> None:
        self.state.close()
        self._log.close()


@pytest.mark.parametrize(
    ("zone", "date"),
    [
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25"),
        ("Asia/Kolkata", "2026-03-29"),
        ("Asia/Kolkata", "2026-10-25"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Australia/Lord_Howe", "2026-10-04"),
    ],
)
def test_hours_and_days_are_those_of_the_raw_log(ready: Path, tmp_path: Path, zone: str, date: str) -> None:
    path, log = Path(shutil.copy(ready, tmp_path / "bandwidth.db")), tmp_path / "log"
    begin = datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) - timedelta(hours=3)
    with closing(Site(path, zone, begin.timestamp(), log)) as site:
        for _ in range(32 * 3600 // STEP):
            site.step()
    truth = json.loads(
        subprocess.run([sys.executable, SCRIPT, log, zone], capture_output=True, text=True, check=True).stdout
    )
    file = Archived(path)
    made = {_hour(row.when): row.when for row in file.hourly}
    assert len(made) >= 30
    hourly = {f"{_hour(row.when)}|{_mac(file, row)}": [row.download, row.upload] for row in _clients(file, file.hourly)}
    assert hourly == {name: sums for name, sums in truth["hours"].items() if name.split("|")[0] in made}
    daily = {f"{date_of(row.when)}|{_mac(file, row)}": [row.download, row.upload] for row in _clients(file, file.daily)}
    # The day before and the day of the change are over; of the day after, hours are still to be made.
    over = {name for name in truth["days"] if name.split("|")[0] <= date}
    assert len(over) == 2 * len(MACS)
    assert {name: daily[name] for name in over} == {name: truth["days"][name] for name in over}
    today = site.state.today(site._time.wall_at)["home"]
    assert {mac: [today[key].download, today[key].upload] for mac in MACS if (key := _key(mac)) in today} == {
        name.split("|")[1]: sums for name, sums in truth["days"].items() if name.split("|")[0] > date
    }


def _key(mac: str) -> SubjectKey:
    return SubjectKey("client", SITE, mac)


def _hour(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H")


def _mac(file: Archived, row: Bytes) -> str:
    return file.subjects[row.subject][1].key


def _clients(file: Archived, rows: list[Bytes]) -> list[Bytes]:
    return [row for row in rows if file.subjects[row.subject][1].kind == "client"]
