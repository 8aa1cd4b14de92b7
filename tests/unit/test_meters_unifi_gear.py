"""The cases of docs/meters.md for devices, lines and ports, each to the byte, from the controller's JSON to the totals.

Every test reads the demo's records as a real poll would: JSON, payload, readings, ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from exporter import ledger
from exporter.demo.gear import GATEWAY, SWITCH, Pair
from exporter.demo.life import household
from exporter.demo.network import Network
from exporter.model import Collection, Count, Memory, Moment, Parts, Poll, SubjectKey
from exporter.sources.unifi import device_payload
from exporter.sources.unifi.gear import SiteDevices, beside, gather
from exporter.sources.unifi.readings import REFRESH

PHONE, TV = "02:00:00:00:00:01", "02:00:00:00:00:02"
START, INTERVAL = 1_700_000_000.0, 30.0
GIGABIT = 125_000_000  # bytes per second
OWN = Pair(150 * 30, 60 * 30)  # what a device that talks to its controller moves between two polls


def quiet() -> Network:
    """A network with a phone on its first access point and a TV on a cable, which have moved something before."""
    network = Network(start=START, step=INTERVAL)
    network.add_client(PHONE)
    network.add_client(TV, wired=True)
    network.move(PHONE, 1_000_000, 100_000)
    network.move(TV, 5_000_000, 500_000)
    return network


class Site:
    """A site whose gear has been counting for a while, read once."""

    def __init__(self, network: Network | None = None) -> None:
        self.network = network or quiet()
        self.ap = self.network.aps[0]
        self.memory = Memory()
        self.events: dict[tuple[str, str], int] = {}
        self.splits: Mapping[SubjectKey, Parts] = {}
        self.before: dict[tuple[str, str], Pair] = {}
        self.number = 0
        self.poll()
        self.since = self.network.gear.moved()

    def poll(self, *, change: dict[str, dict[str, Any]] | None = None, identity: str = "c") -> dict[str, Pair]:
        """One interval later: what this poll counts, by subject, the gear's own traffic left out.

        change: fields that the controller shows in place of the true ones, by MAC.
        """
        self.network.advance(self.network.now + INTERVAL)
        records = [record | (change or {}).get(record["mac"], {}) for record in self.network.device_records()]
        decoded = device_payload.devices(json.dumps({"meta": {"rc": "ok"}, "data": records}).encode())
        poll = beside(Poll(identity=identity, refresh=REFRESH), gather([SiteDevices("default", decoded.devices)]))
        self.number += 1
        moment = Moment(self.number, self.network.now, self.network.now)
        changes = ledger.advance(self.memory, poll, moment, interval=INTERVAL, max_rate=100 * GIGABIT)
        self.memory.take(changes, {})
        self.events, self.splits = dict(changes.events), changes.splits
        return {
            f"{subject.kind} {subject.key}": Pair(increase.download, increase.upload)
            for subject, increase in changes.increases.items()
        }

    def counted(self, kind: str, key: str, **how: Any) -> Pair:
        return self.poll(**how)[f"{kind} {key}"]

    def total(self, kind: str, key: str) -> Count:
        return self.memory.totals[SubjectKey(kind, "default", key)]

    def never_over(self) -> None:
        """No total is more than what passed since the first poll."""
        now = self.network.gear.moved()
        for subject, total in self.memory.totals.items():
            who = subject.kind, subject.key
            moved, since = now.get(who, Pair()), self.since.get(who, Pair())
            assert total.download <= moved.download - since.download, subject
            assert total.upload <= moved.upload - since.upload, subject


@pytest.fixture
def site() -> Site:
    return Site()


def with_own(down: int, up: int, devices: int) -> Pair:
    return Pair(down + devices * OWN.download, up + devices * OWN.upload)


def test_first_poll_counts_nothing(site: Site) -> None:
    assert {subject.kind for subject in site.memory.totals} == {"device", "wan", "port"}
    assert set(site.memory.totals.values()) == {Count()}
    assert {reason for _, reason in site.events} == {"baseline"}
    assert set(site.memory.collections) == {Collection(kind, "default") for kind in ("device", "wan", "port")}


def test_what_a_client_moves_passes_every_device_in_its_way(site: Site) -> None:
    site.network.move(PHONE, 7000, 300)
    counted = site.poll()
    assert counted[f"device {site.ap}"] == Pair(7000, 300)
    assert counted[f"port {site.ap}|1"] == Pair(300 + OWN.upload, 7000 + OWN.download)  # toward the switch
    assert counted[f"port {SWITCH}|3"] == with_own(7000, 300, 1)
    assert counted[f"device {SWITCH}"] == with_own(7000, 300, 3)
    assert counted[f"port {SWITCH}|1"] == Pair(*reversed(with_own(7000, 300, 3)))
    assert counted["wan wan1"] == counted[f"device {GATEWAY}"] == with_own(7000, 300, 4)
    assert counted["wan wan2"] == OWN
    assert site.events == {}


def test_an_access_point_restart_is_proved_and_counts_at_once(site: Site) -> None:
    site.network.gear.restart(site.ap, site.network.now)
    site.network.move(PHONE, 7000, 300)
    assert site.counted("device", site.ap) == Pair(7000, 300)
    assert site.events["device", "reset"] == 1


def test_an_access_point_that_restarted_unseen_tells_since_when_its_bytes_moved(site: Site) -> None:
    network, ap = site.network, SubjectKey("device", "default", site.ap)
    network.move(PHONE, 50_000, 0)
    network.advance(network.now + 3 * INTERVAL)
    restarted = network.now
    network.gear.restart(site.ap, restarted)
    network.move(PHONE, 7000, 300)
    network.advance(restarted + INTERVAL)
    assert site.counted("device", site.ap) == Pair(7000, 300)
    (bounds,) = site.splits[ap]
    assert site.splits.keys() == {ap}
    assert bounds == (restarted - REFRESH, None)


def test_an_access_point_restart_that_overtook_the_old_value_counts_whole(site: Site) -> None:
    site.network.gear.restart(site.ap, site.network.now)
    site.network.move(PHONE, 9_000_000, 900_000)
    assert site.counted("device", site.ap) == Pair(9_000_000, 900_000)
    assert site.events["device", "reset"] == 1


def test_a_controller_restart_counts_an_access_point_anew_and_no_interface(site: Site) -> None:
    site.network.gear.restart_controller(site.network.now)
    site.network.move(PHONE, 7000, 300)
    counted = site.poll()
    assert counted[f"device {site.ap}"] == Pair(7000, 300)
    assert counted[f"device {SWITCH}"] == with_own(7000, 300, 3)
    assert counted["wan wan1"] == with_own(7000, 300, 4)
    assert site.events == {("device", "reset"): 2}  # of both access points


def test_a_lower_value_in_the_same_life_is_false(site: Site) -> None:
    for _ in range(2):
        low = _ap_shows(site, 10, 1)
        assert site.counted("device", site.ap, change=low) == Pair()
        assert site.events["device", "dip"] == 1
    site.network.move(PHONE, 7000, 300)
    assert site.counted("device", site.ap) == Pair(7000, 300)


def test_a_lower_value_of_which_nothing_is_proved_is_held(site: Site) -> None:
    low = {site.ap: {"tx_bytes": 10, "rx_bytes": 1}}  # what was added up stands, so that it is another counter
    assert site.counted("device", site.ap, change=low) == Pair()
    site.network.move(PHONE, 7000, 300)
    assert site.counted("device", site.ap) == Pair(7000, 300)


def test_an_old_controller_that_says_it_flatly_proves_the_same(site: Site) -> None:
    site.network.gear.flat = True
    site.network.gear.restart(site.ap, site.network.now)
    site.network.move(PHONE, 9_000_000, 900_000)
    assert site.counted("device", site.ap) == Pair(9_000_000, 900_000)


def test_an_access_point_on_another_uplink_goes_on(site: Site) -> None:
    site.network.move(PHONE, 7000, 300)
    mesh = {site.ap: {"uplink": {"type": "wireless", "up": True}}}
    assert site.counted("device", site.ap, change=mesh) == Pair(7000, 300)


def test_a_switch_restart_is_held_for_one_poll(site: Site) -> None:
    site.network.gear.restart(SWITCH, site.network.now)
    site.network.move(TV, 7000, 300)
    counted = site.poll()
    assert counted[f"device {SWITCH}"] == counted[f"port {SWITCH}|5"] == Pair()
    counted = site.poll()
    assert counted[f"device {SWITCH}"] == with_own(7000, 300, 6)
    assert counted[f"port {SWITCH}|5"] == Pair(7000, 300)
    assert counted[f"port {SWITCH}|1"] == Pair(*reversed(with_own(7000, 300, 6)))


def test_a_switch_restart_that_overtook_the_old_value_is_short_by_it(site: Site) -> None:
    before = site.network.gear.moved()["port", f"{SWITCH}|5"]
    site.network.gear.restart(SWITCH, site.network.now)
    site.network.move(TV, 9_000_000, 900_000)
    assert site.counted("port", f"{SWITCH}|5") == Pair(9_000_000 - before.download, 900_000 - before.upload)
    site.never_over()


def test_another_uplink_is_another_counter(site: Site) -> None:
    site.network.gear.uplink = "2"
    site.network.move(TV, 7000, 300)
    assert site.counted("device", SWITCH) == Pair()
    assert site.events["device", "baseline"] == 1
    site.network.move(TV, 9000, 500)
    assert site.counted("device", SWITCH) == with_own(9000, 500, 3)
    site.never_over()


def test_the_old_uplink_goes_on_where_it_stood(site: Site) -> None:
    site.network.gear.uplink = "2"
    site.poll()
    site.network.gear.uplink = "1"
    site.network.move(TV, 7000, 300)
    assert site.counted("device", SWITCH) == with_own(7000, 300, 3)
    site.never_over()


def test_the_other_line_takes_over(site: Site) -> None:
    site.network.gear.line = "wan2"
    site.network.move(TV, 7000, 300)
    counted = site.poll()
    assert counted["wan wan1"] == Pair()
    assert counted["wan wan2"] == with_own(7000, 300, 5)
    assert counted[f"device {GATEWAY}"] == Pair()  # the first sight of its other interface as an uplink
    site.network.move(TV, 70, 30)
    assert site.counted("device", GATEWAY) == with_own(70, 30, 5)
    site.never_over()


def test_a_line_that_begins_anew_without_a_restart_is_held_for_one_poll(site: Site) -> None:
    """PPPoE redials. The gateway's uptime goes on, which is why it proves nothing."""
    counters = {"tx_bytes": 3, "rx_bytes": 400}
    line = {"name": "wan", "ifname": "eth0", "speed": 1000}
    assert site.counted("wan", "wan1", change={GATEWAY: {"wan1": line | counters}}) == Pair()
    counters = {"tx_bytes": 4, "rx_bytes": 500}
    assert site.counted("wan", "wan1", change={GATEWAY: {"wan1": line | counters}}) == Pair(500, 4)


def test_a_lower_value_of_an_interface_that_comes_back_costs_nothing(site: Site) -> None:
    line = {"name": "wan", "ifname": "eth0", "speed": 1000, "tx_bytes": 3, "rx_bytes": 400}
    assert site.counted("wan", "wan1", change={GATEWAY: {"wan1": line}}) == Pair()
    site.network.move(TV, 7000, 300)
    assert site.counted("wan", "wan1") == with_own(7000, 300, 8)


def test_a_device_that_is_away_counts_nothing_and_then_all(site: Site) -> None:
    site.network.gear.leave(SWITCH)
    for _ in range(3):
        site.network.move(TV, 7000, 300)
        counted = site.poll()
        assert counted[f"device {SWITCH}"] == counted[f"port {SWITCH}|5"] == Pair()
    site.network.gear.come_back(SWITCH)
    counted = site.poll()
    assert counted[f"port {SWITCH}|5"] == Pair(21_000, 900)
    assert counted[f"device {SWITCH}"] == with_own(21_000, 900, 12)


def test_a_field_that_cannot_be_right_costs_its_counter_for_one_poll(site: Site) -> None:
    site.network.move(PHONE, 7000, 300)
    bad: dict[str, dict[str, Any]] = {
        site.ap: {"tx_bytes": -5},
        GATEWAY: {"wan1": {"ifname": "eth0", "tx_bytes": 2**63, "rx_bytes": 1}},
    }
    counted = site.poll(change=bad)
    assert f"device {site.ap}" not in counted
    assert "wan wan1" not in counted
    assert counted[f"port {SWITCH}|3"] == with_own(7000, 300, 1)
    assert site.counted("device", site.ap) == Pair(7000, 300)


def test_more_than_the_link_can_carry_is_not_believed(site: Site) -> None:
    line = {"name": "wan", "ifname": "eth0", "speed": 1000, "tx_bytes": 10**9, "rx_bytes": 10**15}
    assert site.counted("wan", "wan1", change={GATEWAY: {"wan1": line}}) == Pair()
    assert site.events["wan", "implausible"] == 1


def test_a_link_that_came_down_to_a_lower_speed_is_believed(site: Site) -> None:
    full = int(1.25e9) * 2  # 20 s at 1 Gbit/s
    site.network.move(TV, full, 0)
    ports = [port | {"speed": 10, "up": False} for port in site.network.device_records()[1]["port_table"]]
    assert site.counted("port", f"{SWITCH}|5", change=switch_shows(ports)) == Pair(full, 0)


def test_another_controller_is_a_baseline(site: Site) -> None:
    site.network.move(TV, 7000, 300)
    assert set(site.poll(identity="another").values()) == {Pair()}


def test_a_silence_loses_nothing(site: Site) -> None:
    for _ in range(40):
        site.network.advance(site.network.now + INTERVAL)
        site.network.move(PHONE, 700, 30)
    counted = site.poll()
    assert counted[f"device {site.ap}"] == Pair(28_000, 1200)
    assert counted["wan wan1"] == with_own(28_000, 1200, 41 * 4)


def test_a_port_that_was_no_uplink_meanwhile_counts_what_passed_it_then(site: Site) -> None:
    """The limit of naming a counter by its port: what went to somebody else there looks like the device's own."""
    table = site.network.device_records()[1]["port_table"]
    here = _uplink_at(table, 1)
    there = _uplink_at(table, 2)
    later = [port | ({"tx_bytes": port["tx_bytes"] + 50} if port["port_idx"] == 1 else {}) for port in here]
    assert site.counted("device", SWITCH, change=switch_shows(here)) == Pair()
    assert site.counted("device", SWITCH, change=switch_shows(there)) == Pair()
    assert site.counted("device", SWITCH, change=switch_shows(later)) == Pair(0, 50)


def test_no_total_is_ever_more_than_what_passed() -> None:
    chance = Random(7)
    site = Site(household(start=START, refresh=0.0, step=INTERVAL))
    gear = site.network.gear
    for _ in range(400):
        if chance.random() < 0.1:
            gear.restart(chance.choice(gear.macs), site.network.now)
        if chance.random() < 0.05:
            gear.restart_controller(site.network.now)
        if chance.random() < 0.1:
            gear.uplink = chance.choice(["1", "2"])
        if chance.random() < 0.1:
            chance.choice([gear.leave, gear.come_back])(chance.choice(gear.macs))
        site.poll()
        site.never_over()
    assert site.total("device", site.ap).download > 10**9


def switch_shows(table: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {SWITCH: {"port_table": table}}


def _uplink_at(table: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    return [port | {"is_uplink": port["port_idx"] == number} for port in table]


def _ap_shows(site: Site, down: int, up: int) -> dict[str, dict[str, Any]]:
    """The access point's counter at another value, in the same life."""
    record = next(record for record in site.network.device_records() if record["mac"] == site.ap)
    age = record["stat"]["ap"]["duration"] + INTERVAL * 1000
    stat = {"tx_bytes": float(down), "rx_bytes": float(up), "duration": age}
    return {site.ap: {"tx_bytes": down, "rx_bytes": up, "stat": {"ap": stat}}}
