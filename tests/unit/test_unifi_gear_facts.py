"""What is told of devices, lines and ports beside their bytes."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.model import Count, Port, Wan
from exporter.sources.unifi.readings import MBIT
from tests.unit.test_unifi_device_payload import AP, GATEWAY, SWITCH
from tests.unit.test_unifi_gear import counts, device, gathered, ports, wans

GIGABIT = 1000 * MBIT


def test_facts_of_a_device() -> None:
    about = {
        "name": "Attic",
        "model": "US8",
        "version": "4.0.66",
        "ip": "192.168.0.8",
        "uptime": "3971894",
        "num_sta": 4,
        "system-stats": {"cpu": "56.3", "mem": "49"},
    }
    told = device(gathered(SWITCH | about))
    assert (told.site, told.device, told.name, told.model, told.kind) == ("s", SWITCH["mac"], "Attic", "US8", "switch")
    assert (told.version, told.ip, told.up, told.uptime, told.clients) == ("4.0.66", "192.168.0.8", True, 3971894, 4)
    assert (told.cpu_ratio, told.memory_ratio) == (0.563, 0.49)


@pytest.mark.parametrize(
    ("kind", "model", "expected"),
    [
        ("uap", "U7PG2", "ap"),
        ("usw", "US8", "switch"),
        ("ugw", "UGW3", "gateway"),
        ("udm", "UDMPRO", "gateway"),
        ("uxg", "UXGPRO", "gateway"),
        ("uap", "UP1", "other"),
        ("uap", "UP6", "other"),
        ("usw", "USPPDUP", "other"),
        ("uacc", "", "other"),
        (None, None, "other"),
    ],
)
def test_the_kind_of_a_device(kind: str | None, model: str | None, expected: str) -> None:
    assert device(gathered(SWITCH | {"type": kind, "model": model})).kind == expected


def test_outlets_are_no_ports() -> None:
    outlets = [{"index": 1, "name": "Outlet 1", "relay_state": True}]
    assert not ports(gathered(AP | {"model": "UP1", "outlet_table": outlets}))


@pytest.mark.parametrize(("state", "up"), [(1, True), ("1", True), (0, False), (4, False), (None, None), ("on", None)])
def test_a_device_is_up_where_its_state_is_1(state: object, up: bool | None) -> None:
    assert device(gathered(SWITCH | {"state": state})).up is up


def test_a_device_that_is_away_keeps_its_name_and_counters_and_nothing_that_may_have_changed() -> None:
    alive = {"name": "Attic", "uptime": 5, "num_sta": 3, "system-stats": {"cpu": "5", "mem": "6"}}
    line = {"ip": "203.0.113.1", "up": True, "speed": 1000, "latency": 5}
    gone = GATEWAY | alive | {"state": 0, "wan1": GATEWAY["wan1"] | line}
    found = gathered(gone)
    told, wan, port = device(found), wans(found)["wan1"], ports(found)["wan"]
    assert (told.name, told.up, told.uptime, told.clients, told.cpu_ratio) == ("Attic", False, None, None, None)
    assert (wan.ip, wan.up, wan.latency, wan.link_speed) == ("203.0.113.1", None, None, None)
    assert (port.up, port.link_speed) == (None, None)
    assert counts(found) == counts(gathered(gone | {"state": 1}))


def test_facts_of_a_line() -> None:
    line = GATEWAY["wan1"] | {"ip": "203.0.113.1", "up": True, "speed": 1000}
    found = wans(gathered(GATEWAY | {"wan1": line, "wan2": {"ifname": "eth2", "up": False, "ip": "0.0.0.0"}}))
    assert found["wan1"] == Wan("s", "wan1", GATEWAY["mac"], "eth0", "203.0.113.1", True, 0.012, GIGABIT)
    assert found["wan2"] == Wan("s", "wan2", GATEWAY["mac"], "eth2", "", False)


@pytest.mark.parametrize(
    ("line", "uplink", "latency"),
    [
        ({"latency": 7}, {"name": "eth0", "latency": 12}, 0.007),
        ({}, {"name": "eth0", "latency": "12"}, 0.012),
        ({"uplink_ifname": "ppp0"}, {"name": "ppp0", "latency": 12}, 0.012),
        ({}, {"name": "eth2", "latency": 12}, None),
        ({}, {"name": "eth0", "latency": 0}, None),
        ({"latency": -1}, None, None),
    ],
)
def test_latency(line: dict[str, Any], uplink: object, latency: float | None) -> None:
    found = gathered(GATEWAY | {"wan1": GATEWAY["wan1"] | line, "uplink": uplink})
    assert wans(found)["wan1"].latency == latency


def test_a_line_without_an_interface_is_known_by_its_own_name() -> None:
    found = gathered(GATEWAY | {"wan1": {"tx_bytes": 1, "rx_bytes": 2}})
    assert counts(found)["wan", "02:aa:bb:cc:dd:03|wan1"] == Count(2, 1)


def test_of_two_gateways_with_one_line_the_one_that_is_there_is_told() -> None:
    spare = GATEWAY | {"mac": "02:aa:bb:cc:dd:04", "state": 0}
    for records in ((GATEWAY, spare), (spare, GATEWAY)):
        found = gathered(*records)
        assert wans(found)["wan1"].device == GATEWAY["mac"]
        assert {key for kind, key in counts(found) if kind == "wan"} == {f"{r['mac']}|eth0" for r in records}


def test_facts_of_a_port() -> None:
    port = {"port_idx": 3, "name": "Camera", "up": True, "speed": 100}
    found = gathered(SWITCH | {"port_table": [port]})
    assert ports(found) == {"3": Port("s", SWITCH["mac"], "3", "Camera", up=True, link_speed=100 * MBIT)}
    assert not found.readings


def test_ports_without_a_number_are_known_by_their_names() -> None:
    table = [{"name": "lan", "ifname": "eth1"}, {"ifname": "eth2"}, {"port_idx": "4", "name": "four"}]
    assert list(ports(gathered(GATEWAY | {"port_table": table}))) == ["lan", "eth2", "4"]


def test_ports_that_cannot_be_told_apart_are_not_counted() -> None:
    twice = {"name": "lan", "tx_bytes": 1, "rx_bytes": 2}
    table = [twice, twice, {"tx_bytes": 1, "rx_bytes": 2}, {"port_idx": -1, "name": "x"}, "port", {"name": "wan"}]
    found = gathered(GATEWAY | {"port_table": table})
    assert list(ports(found)) == ["wan"]
    assert found.bad == {"port": 4, "shape": 1}


def test_hostile_text_stays_but_not_for_ever() -> None:
    name = 'a"\\\n{}|<script>\x00' + "é" * 300
    found = gathered(GATEWAY | {"name": name, "uplink": None, "port_table": [{"name": name}]})
    assert device(found).name == name[:256]
    # What tells ports apart is as the page shows it: two names that look the same there would be one series twice.
    assert list(ports(found)) == [name[:256].replace("\x00", "\N{REPLACEMENT CHARACTER}")]
