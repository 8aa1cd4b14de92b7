from __future__ import annotations

from typing import Any

import pytest

from exporter.demo.gear import GATEWAY, OWN, SWITCH, WRAP, Gear, Pair
from exporter.demo.network import Bytes, Network

AP, CLIENT = "02:00:5e:00:01:01", "02:00:00:00:00:01"
START = 1_700_000_000.0


def record(gear: Gear, mac: str, now: float = START, *, renew: bool = True) -> dict[str, Any]:
    (one,) = [record for record in gear.records(now, 2.5, renew=renew) if record["mac"] == mac]
    return one


@pytest.fixture
def gear() -> Gear:
    return Gear([AP], START, age=100.0)


def test_an_access_point_has_counters_of_three_kinds(gear: Gear) -> None:
    gear.carry(CLIENT, AP, WRAP + 7, 3)
    shown = record(gear, AP)
    assert (shown["tx_bytes"], shown["rx_bytes"]) == (WRAP + 7, 3)
    assert shown["stat"]["ap"]["tx_bytes"] == WRAP + 7
    assert (shown["vap_table"][0]["tx_bytes"], shown["uplink"]["rx_bytes"]) == (7, 7)  # 32 bits
    port = shown["port_table"][0]
    assert (port["rx_bytes"], port["tx_bytes"]) == (WRAP + 7, 3)


def test_the_device_level_and_its_uplink_are_seen_from_two_sides(gear: Gear) -> None:
    gear.carry(CLIENT, "", 70, 30)
    switch, gateway = record(gear, SWITCH), record(gear, GATEWAY)
    assert (switch["tx_bytes"], switch["uplink"]["rx_bytes"], switch["port_table"][0]["rx_bytes"]) == (70, 70, 70)
    assert (gateway["tx_bytes"], gateway["uplink"]["rx_bytes"], gateway["wan1"]["rx_bytes"]) == (70, 70, 70)
    assert [port["tx_bytes"] for port in switch["port_table"] if port["tx_bytes"]] == [30, 70]
    assert switch["port_table"][0]["is_uplink"]


def test_devices_talk_to_their_controller(gear: Gear) -> None:
    record(gear, AP, START + 10)
    down, up = (rate * 10 for rate in OWN)
    assert gear.moved()["wan", "wan1"] == Pair(3 * down, 3 * up)
    assert gear.moved()["port", f"{AP}|1"] == Pair(up, down)


def test_a_restart_begins_everything_anew_and_a_controller_restart_only_what_is_added_up(gear: Gear) -> None:
    gear.carry(CLIENT, AP, 70, 30)
    gear.restart_controller(START)
    shown = record(gear, AP, START + 5)
    assert (shown["tx_bytes"], shown["stat"]["ap"]["duration"], shown["uptime"]) == (0, 5000, 105)
    assert shown["vap_table"][0]["tx_bytes"] == 70
    gear.restart(AP, START + 5)
    shown = record(gear, AP, START + 8)
    assert (shown["stat"]["ap"]["duration"], shown["uptime"], shown["system-stats"]["uptime"]) == (3000, 3, "3")
    assert shown["vap_table"][0]["tx_bytes"] == 0


def test_a_device_that_is_away_keeps_its_record(gear: Gear) -> None:
    before = record(gear, AP)
    gear.leave(AP)
    gear.carry(CLIENT, AP, 70, 30)
    assert record(gear, AP, START + 50) == before | {"state": 0}
    gear.come_back(AP)
    assert record(gear, AP, START + 60)["tx_bytes"] == 70


def test_an_old_controller_is_flat(gear: Gear) -> None:
    gear.flat = True
    assert record(gear, AP)["stat"] == {"ap": AP, "duration": 100_000.0, "tx_bytes": 0.0, "rx_bytes": 0.0}


def test_a_site_with_more_clients_than_ports(gear: Gear) -> None:
    for number in range(40):
        gear.carry(f"02:00:00:00:01:{number:02x}", "", 1, 0)
    last = record(gear, SWITCH)["port_table"][-1]
    assert (last["port_idx"], last["tx_bytes"]) == (16, 40 - 12)  # two uplinks and an access point have the first three


def test_a_networks_gear_follows_its_clients_and_is_renewed_with_them() -> None:
    network = Network(start=START, refresh=20.0, step=1.0)
    network.add_client(CLIENT, raw=Bytes(5, 5), age=9.0)
    network.device_records()
    network.move(CLIENT, 70, 30)
    assert network.gear.moved()["device", AP] == Pair(70, 30)
    assert network.device_records()[2]["tx_bytes"] == 0
    network.advance(START + 20)
    assert network.device_records()[2]["tx_bytes"] == 70
    network.restart_ap(AP)
    network.restart_controller()
    network.advance(START + 40)
    assert network.device_records()[2]["tx_bytes"] == 0
