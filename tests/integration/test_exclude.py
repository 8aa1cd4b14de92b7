"""A client that is excluded is nowhere: not on a page, not in a total, not in the state file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from exporter.committer import Committer, Success
from exporter.exposition import Exposition
from exporter.model import Count, Poll, SubjectKey
from exporter.series import Scrapes
from exporter.sources.nlbwmon.readings import Readings as RouterReadings
from exporter.sources.unifi import payload
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.store import State
from tests.nlbwmon.router import ONE, TWO, Router, row
from tests.scripted import ManualClock, facts
from tests.unit.test_unifi_payload import WIRED, WIRELESS, document

EXCLUDED = frozenset({TWO})


def controller() -> list[Poll]:
    """Both clients move 1000 bytes toward them and none from them, one of them on the air."""
    readings = Readings(EXCLUDED)
    air = WIRELESS | {"mac": TWO.upper(), "essid": "Home", "name": "Nobody", "hostname": "Nobody"}
    polls = []
    for moved in (0, 1000):
        cable = WIRED | {"mac": ONE, "wired-tx_bytes": WIRED["wired-tx_bytes"] + moved}
        decoded = payload.stations(document(cable, air | {"tx_bytes": air["tx_bytes"] + moved}))
        polls.append(readings.poll([SiteClients("", decoded.stations, 1.7e9, 1.7e9)], identity="controller"))
    return polls


def router() -> list[Poll]:
    readings = RouterReadings("key", protocols=True, exclude=EXCLUDED)
    there = Router("2026-11-20T12:00")
    polls = []
    for moved in (0, 1000):
        there.shows(row(ONE, moved, 0), row(TWO, moved, 0, ip="192.168.1.222"))
        polls.append(readings.poll(there.answer(), there.at))
    return polls


@pytest.mark.parametrize("polls", [controller, router])
def test_it_is_nowhere(tmp_path: Path, polls: object) -> None:
    assert callable(polls)
    time = ManualClock(wall_at=Router("2026-11-20T12:00").at)
    exposition = Exposition()
    with closing(State.open(tmp_path / "state.db")) as state:
        committer = Committer(
            state,
            [facts()],
            exposition=exposition,
            scrapes=Scrapes(0.0),
            client_ttl=600.0,
            people={},
            clock=time.clock,
        )
        for poll in polls():
            committer.work({"home": Success(poll, time.wall_at, time.steady_at, 0.1)})
            time.pass_(30.0)
        totals = committer.runtimes["home"].memory.totals
        page = exposition.page()
    assert totals[SubjectKey("site", "", "")].download == 1000
    assert totals[SubjectKey("client", "", ONE)].download == 1000
    assert SubjectKey("ssid", "", "Home") not in totals
    assert all(count == Count(1000, 0, count.download_packets) for count in totals.values())
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert page is not None
    for everything in (page.text(), files):
        assert ONE.encode() in everything
        for trace in (TWO, TWO.upper(), "Nobody", "192.168.1.222"):
            assert trace.encode() not in everything
