"""The cases of docs/meters.md, each to the byte, from the controller's JSON to the totals.

Every test reads the demo's records as a real poll would: JSON, payload, readings, ledger.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter import ledger
from exporter.demo.controller import DemoController
from exporter.demo.network import Bytes, Network
from exporter.model import Count, Memory, Moment, SubjectKey
from exporter.sources.unifi import UnifiSettings, UnifiSource, payload
from exporter.sources.unifi.readings import REFRESH, Readings, SiteClients

AIR, CABLE, NEW = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
START, INTERVAL, DAY = 1_700_000_000.0, 30.0, 86_400.0
GIGABIT = 125_000_000  # bytes per second


class House:
    """A site with one old client on the air (1000 down, 100 up) and one on a cable (5000, 500), read once."""

    def __init__(self, refresh: float = 0.0) -> None:
        self.network = Network(start=START, refresh=refresh, step=1.0)
        self.network.add_client(AIR, raw=Bytes(1000, 100), age=DAY)
        self.network.add_client(CABLE, raw=Bytes(5000, 500), age=DAY, wired=True)
        self.memory = Memory()
        self.events: dict[str, int] = {}
        self.number = 0
        self.ahead = 0.0  # our clock
        self._readings = Readings()
        self.poll()

    def poll(
        self,
        *,
        identity: str = "controller",
        shown: dict[str, int] | None = None,
        without: tuple[str, ...] = (),
        more: tuple[dict[str, Any], ...] = (),
        date: bool = True,
    ) -> dict[str, int]:
        """One interval later: the download of each client that this poll counts.

        shown: downloads that the controller shows instead of the true ones, with a tenth of it as upload. without:
        clients it leaves out. more: records that it shows besides. date: whether it says what time it is.
        """
        self.network.advance(self.network.now + INTERVAL)
        records = [dict(record) for record in self.network.records() if record["mac"] not in without]
        for record in records:
            if shown and record["mac"] in shown:
                link = "wired-" if record["is_wired"] else ""
                record[f"{link}tx_bytes"] = shown[record["mac"]]
                record[f"{link}rx_bytes"] = shown[record["mac"]] // 10
        return self.read([*records, *more], identity=identity, date=date)

    def read(self, records: list[dict[str, Any]], *, identity: str = "controller", date: bool = True) -> dict[str, int]:
        """A poll of these records."""
        decoded = payload.stations(json.dumps({"meta": {"rc": "ok"}, "data": records}).encode())
        here = SiteClients("default", decoded.stations, self.network.meter_now if date else None, self.network.now)
        poll = self._readings.poll([here], identity=identity, bad=decoded.bad.items())
        self.number += 1
        moment = Moment(self.number, self.network.now, self.network.now + self.ahead)
        changes = ledger.advance(self.memory, poll, moment, interval=INTERVAL, max_rate=100 * GIGABIT)
        self.memory.take(changes, {})
        self.events = {reason: number for (_, reason), number in changes.events.items()}
        return {
            subject.key: increase.download
            for subject, increase in changes.increases.items()
            if subject.kind == "client" and increase.download
        }

    def total(self, mac: str) -> Count:
        return self.memory.totals[SubjectKey("client", "default", mac)]

    def record(self, mac: str) -> dict[str, Any]:
        (record,) = [record for record in self.network.records() if record["mac"] == mac]
        return record


@pytest.fixture
def house() -> House:
    return House()


def test_first_poll_counts_nothing(house: House) -> None:
    assert house.events == {"baseline": 2}
    assert house.total(AIR) == house.total(CABLE) == Count()


def test_bytes_between_two_polls_count_on_air_and_cable(house: House) -> None:
    house.network.move(AIR, 70, 7)
    house.network.move(CABLE, 50, 5)
    assert house.poll() == {AIR: 70, CABLE: 50}
    assert house.total(AIR).upload == 7
    assert house.total(CABLE).upload == 5
    assert house.memory.totals[SubjectKey("site", "default", "")].download == 120


def test_refreshes_slower_than_polls_lose_nothing() -> None:
    house = House(refresh=60.0)
    counted = []
    for _ in range(6):
        house.network.move(CABLE, int(GIGABIT * INTERVAL), 0)  # its link is full
        counted.append(house.poll().get(CABLE, 0))
    assert 0 in counted
    assert sum(counted) == house.network.client(CABLE).moved_shown.down
    assert "implausible" not in house.events


def test_another_controller_is_a_baseline(house: House) -> None:
    house.network.move(AIR, 70, 7)
    assert house.poll(identity="another") == {}
    assert house.events == {"baseline": 2}
    house.network.move(AIR, 5, 5)
    assert house.poll(identity="another") == {AIR: 5}


def test_of_two_records_the_one_heard_last_counts(house: House) -> None:
    house.network.move(AIR, 70, 7)
    stale = house.record(AIR) | {"last_seen": int(START), "tx_bytes": 9999}
    assert house.poll(more=(stale,)) == {AIR: 70}
    assert house.events == {"duplicate": 1}


def test_of_two_records_heard_at_once_the_smaller_counts(house: House) -> None:
    house.network.move(AIR, 70, 7)
    twin = house.record(AIR) | {"last_seen": int(START + 2 * INTERVAL), "tx_bytes": 1020, "rx_bytes": 100}
    assert house.poll(more=(twin,)) == {AIR: 20}


def test_a_client_born_since_the_last_poll_counts_whole(house: House) -> None:
    house.network.advance(house.network.now + 5)
    house.network.add_client(NEW)
    house.network.move(NEW, 300, 30)
    assert house.poll() == {NEW: 300}
    assert house.events == {"new": 1}


def test_a_client_born_while_the_exporter_was_down_counts_whole(house: House) -> None:
    house.network.advance(house.network.now + DAY)
    house.network.add_client(NEW)
    house.network.move(NEW, 300, 30)
    house.network.advance(house.network.now + DAY)
    assert house.poll() == {NEW: 300}


def test_an_old_client_seen_first_is_a_baseline(house: House) -> None:
    house.network.add_client(NEW, raw=Bytes(7000, 700), age=DAY)
    assert house.poll() == {}
    assert house.events == {"baseline": 1}
    house.network.move(NEW, 5, 5)
    assert house.poll() == {NEW: 5}


def test_a_client_without_first_seen_is_a_baseline(house: House) -> None:
    house.network.add_client(NEW, raw=Bytes(7000, 700))
    record = house.record(NEW)
    del record["first_seen"]
    assert house.poll(without=(NEW,), more=(record,)) == {}


def test_a_controller_that_does_not_say_the_time_proves_no_birth() -> None:
    house = House()
    house.memory.collections.clear()
    house.poll(date=False)
    house.network.add_client(NEW)
    house.network.move(NEW, 300, 30)
    assert house.poll() == {}
    assert house.events == {"baseline": 1}


def test_a_controllers_clock_set_back_makes_no_client_new(house: House) -> None:
    house.network.skew = -7 * DAY
    house.poll()
    house.network.add_client(NEW, raw=Bytes(7000, 700), age=DAY)  # older than our reading, by the true time
    house.network.skew = -7 * DAY + 3600
    house.poll(without=(NEW,))
    assert house.poll() == {}


def test_a_record_later_than_the_reading_after_its_birth_is_a_baseline(house: House) -> None:
    house.network.advance(house.network.now + 5)
    house.network.add_client(NEW)
    house.network.move(NEW, 300, 30)
    house.poll(without=(NEW,))
    house.network.move(NEW, 5, 5)
    assert house.poll() == {}
    assert house.network.client(NEW).moved.down == 305


def test_a_client_that_moves_from_cable_to_air_begins_with_a_baseline(house: House) -> None:
    house.network.move(CABLE, 50, 5)
    assert house.poll() == {CABLE: 50}
    on_air = {
        key: value for key, value in house.record(AIR).items() if key not in ("mac", "first_seen", "tx_bytes")
    } | {"mac": CABLE, "first_seen": int(START - DAY)}
    assert house.poll(without=(CABLE,), more=(on_air | {"tx_bytes": 400},)) == {}
    assert house.poll(without=(CABLE,), more=(on_air | {"tx_bytes": 460},)) == {CABLE: 60}
    house.network.move(CABLE, 8, 0)
    assert house.poll() == {CABLE: 8}  # back on the cable, whose counter went on
    assert house.total(CABLE).download == 118


def test_a_roam_goes_on(house: House) -> None:
    house.network.move(AIR, 40, 4)
    house.network.roam(AIR)
    house.network.move(AIR, 30, 3)
    assert house.poll() == {AIR: 70}
    assert house.events == {}


def test_a_reconnect_counts_at_once(house: House) -> None:
    house.network.disconnect(AIR)
    house.network.advance(house.network.now + 5)
    house.network.connect(AIR)
    house.network.move(AIR, 60, 6)
    assert house.poll() == {AIR: 60}
    assert house.events == {"reset": 1}


def test_the_last_seconds_before_a_client_leaves_are_lost(house: House) -> None:
    house.network.move(AIR, 40, 4)
    assert house.poll() == {AIR: 40}
    house.network.move(AIR, 9, 1)  # never shown
    house.network.disconnect(AIR)
    assert house.poll() == {}
    house.network.connect(AIR)
    house.network.move(AIR, 60, 6)
    assert house.poll() == {AIR: 60}
    assert house.network.client(AIR).moved.down - house.total(AIR).download == 9


def test_a_reconnect_that_overtook_the_old_value_counts_what_is_above_it(house: House) -> None:
    house.network.disconnect(AIR)
    house.network.advance(house.network.now + 5)
    house.network.connect(AIR)
    house.network.move(AIR, 1200, 120)
    assert house.poll() == {AIR: 200}
    assert house.events == {}


def test_a_reconnect_that_shows_nothing_yet_waits(house: House) -> None:
    house.network.disconnect(AIR)
    house.network.advance(house.network.now + 5)
    house.network.connect(AIR)
    assert house.poll() == {}
    assert house.poll() == {}
    house.network.move(AIR, 60, 6)
    assert house.poll() == {AIR: 60}


def test_a_record_that_vanishes_for_a_while_goes_on(house: House) -> None:
    house.network.move(AIR, 40, 4)
    assert house.poll(without=(AIR,)) == {}
    house.network.move(AIR, 30, 3)
    assert house.poll() == {AIR: 70}
    assert house.events == {}


def test_a_controller_restart_on_the_same_session_is_held_for_one_poll(house: House) -> None:
    house.network.restart_controller(away=0)
    house.network.move(AIR, 60, 6)
    house.network.move(CABLE, 20, 2)
    assert house.poll() == {}
    house.network.move(AIR, 10, 1)
    house.network.move(CABLE, 10, 1)
    assert house.poll() == {AIR: 70, CABLE: 30}
    assert house.events == {"reset": 2}


def test_a_controller_restart_that_shows_zero_first_waits(house: House) -> None:
    house.network.restart_controller(away=0)
    for _ in range(3):
        assert house.poll() == {}
    house.network.move(AIR, 60, 6)
    house.network.move(CABLE, 20, 2)
    assert house.poll() == {AIR: 60, CABLE: 20}


def test_a_restart_overtaken_before_it_was_read_is_short_by_the_old_value(house: House) -> None:
    house.network.restart_controller(away=0)
    house.network.move(CABLE, 6000, 600)
    assert house.poll() == {CABLE: 1000}
    assert house.events == {}


def test_a_restart_overtaken_while_it_was_held_is_short_by_the_old_value(house: House) -> None:
    house.network.restart_controller(away=0)
    house.network.move(CABLE, 20, 2)
    assert house.poll() == {}
    house.network.move(CABLE, 5000, 500)
    assert house.poll() == {CABLE: 20}
    assert house.events == {"dip": 1}


def test_two_restarts_running_lose_what_was_held(house: House) -> None:
    house.network.restart_controller(away=0)
    house.network.move(CABLE, 300, 30)
    assert house.poll() == {}
    house.network.restart_controller(away=0)
    house.network.move(CABLE, 20, 2)
    assert house.poll() == {CABLE: 20}
    assert house.network.client(CABLE).moved.down == 320


def test_an_access_point_restart_with_new_sessions_counts_at_once(house: House) -> None:
    house.network.restart_ap(house.network.aps[0])
    house.network.move(AIR, 60, 6)
    house.network.move(CABLE, 20, 2)
    assert house.poll() == {AIR: 60, CABLE: 20}


def test_an_access_point_restart_on_the_same_session_is_held_for_one_poll(house: House) -> None:
    house.network.reset(AIR, Bytes(60, 6))
    assert house.poll() == {}
    assert house.poll() == {AIR: 60}


def test_both_directions_restart_together(house: House) -> None:
    house.network.reset(AIR, Bytes(60, 900))  # its upload has already overtaken the old one
    assert house.poll() == {}
    assert house.poll() == {AIR: 60}
    assert house.total(AIR).upload == 900


def test_a_value_that_dips_once_costs_nothing(house: House) -> None:
    house.network.move(AIR, 40, 4)
    assert house.poll(shown={AIR: 300}) == {}
    assert house.poll() == {AIR: 40}
    assert house.events == {"dip": 1}


def test_zeros_that_come_and_go_cost_nothing(house: House) -> None:
    for _ in range(3):
        assert house.poll(shown={AIR: 0, CABLE: 0}) == {}
    house.network.move(AIR, 40, 4)
    assert house.poll() == {AIR: 40}


def test_a_false_lower_value_twice_running_counts_too_much(house: House) -> None:
    assert house.poll(shown={AIR: 300}) == {}
    assert house.poll(shown={AIR: 300}) == {AIR: 300}
    assert house.poll() == {AIR: 700}  # nothing moved at all


def test_a_false_lower_value_in_a_new_session_counts_too_much(house: House) -> None:
    again = house.record(AIR) | {"assoc_time": int(START + 40)}
    assert house.poll(without=(AIR,), more=(again | {"tx_bytes": 300, "rx_bytes": 30},)) == {AIR: 300}
    assert house.poll(without=(AIR,), more=(again,)) == {AIR: 700}  # nothing moved at all


def test_one_false_zero_twice_running_counts_too_much(house: House) -> None:
    half = house.record(AIR) | {"tx_bytes": 0}
    assert house.poll(without=(AIR,), more=(half,)) == {}
    assert house.poll(without=(AIR,), more=(half,)) == {}
    assert house.total(AIR).upload == 100
    assert house.poll() == {AIR: 1000}  # nothing moved at all


def test_fields_that_are_missing_for_a_while_cost_nothing(house: House) -> None:
    bare = {key: value for key, value in house.record(CABLE).items() if not key.startswith("wired-")}
    house.network.move(CABLE, 50, 5)
    assert house.poll(without=(CABLE,), more=(bare,)) == {}
    assert house.poll() == {CABLE: 50}


def test_packets_that_fall_alone_follow_the_bytes(house: House) -> None:
    house.network.move(AIR, 40, 4)
    record = house.record(AIR) | {"tx_packets": 0}
    assert house.poll(without=(AIR,), more=(record,)) == {AIR: 40}
    assert house.total(AIR).download_packets == 0


def test_a_fall_past_32_bits_is_a_restart_and_no_wrap(house: House) -> None:
    assert house.poll(shown={AIR: 2**32 - 10}) == {AIR: 2**32 - 1010}
    assert house.poll(shown={AIR: 20}) == {}
    assert house.poll(shown={AIR: 30}) == {AIR: 30}


def test_a_false_high_value_counts_nothing(house: House) -> None:
    house.network.move(CABLE, 50, 5)
    assert house.poll(shown={CABLE: 10**15}) == {}
    assert house.events == {"implausible": 1}
    assert house.poll() == {CABLE: 50}


def test_a_high_level_that_stands_is_a_new_baseline(house: House) -> None:
    assert house.poll(shown={CABLE: 10**15}) == {}
    assert house.poll(shown={CABLE: 10**15 + 70}) == {}
    assert house.poll(shown={CABLE: 10**15 + 90}) == {CABLE: 20}


def test_a_little_too_fast_counts_with_the_next_poll(house: House) -> None:
    too_much = int(GIGABIT * (INTERVAL + REFRESH)) + 1
    assert house.poll(shown={CABLE: 5000 + too_much - 1}) == {CABLE: too_much - 1}
    again = 5000 + too_much - 1 + too_much
    assert house.poll(shown={CABLE: again}) == {}
    assert house.poll(shown={CABLE: again}) == {CABLE: too_much}


def test_the_fastest_link_seen_counts(house: House) -> None:
    slow = {"wired_rate_mbps": 100, "wired-tx_bytes": 5000 + GIGABIT * 60}
    assert house.poll(without=(CABLE,), more=(house.record(CABLE) | slow,)) == {CABLE: GIGABIT * 60}


def test_without_a_link_speed_max_rate_counts(house: House) -> None:
    unknown = {"radio_proto": "zz", "first_seen": int(START - DAY), "mac": NEW}
    house.poll(more=(house.record(AIR) | unknown,))
    fits, too_much = int(100 * GIGABIT * (INTERVAL + REFRESH)), 10**15
    assert house.poll(more=(house.record(AIR) | unknown | {"tx_bytes": 1000 + fits},)) == {NEW: fits}
    assert house.poll(more=(house.record(AIR) | unknown | {"tx_bytes": 1000 + fits + too_much},)) == {}


def test_our_clock_set_back_still_counts(house: House) -> None:
    house.ahead = -DAY
    house.network.move(AIR, 40, 4)
    assert house.poll() == {AIR: 40}
    assert house.events == {"clock": 2}


def test_a_controllers_wrong_clock_changes_no_count(house: House) -> None:
    for skew in (-DAY, DAY):
        house.network.skew = skew
        house.network.move(AIR, 40, 4)
        assert house.poll() == {AIR: 40}
        assert house.events == {}


def test_a_silence_loses_nothing(house: House) -> None:
    house.network.move(AIR, 40, 4)
    house.network.advance(house.network.now + 3 * DAY)
    assert house.poll() == {AIR: 40}
    assert house.memory.source.gaps == 1


def test_nothing_but_live_records_is_asked_for() -> None:
    network = Network(start=START)
    with DemoController(network, clock=lambda: network.now) as console:
        source = UnifiSource(UnifiSettings(console.url, api_key=console.api_key, ca_file=console.ca_file))
        source.poll()
        source.close()
        asked = {request.path.rpartition("/stat/")[2] for request in console.requests if "/stat/" in request.path}
        assert asked == {"sysinfo", "sta", "device"}
