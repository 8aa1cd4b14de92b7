from __future__ import annotations

from typing import Any

import pytest

from exporter.model import Collection, Count, CounterKey, Device, Life, Port, Reading, SubjectKey, Wan
from exporter.sources.unifi.device_payload import devices
from exporter.sources.unifi.gear import Gathered, SiteDevices, gather
from exporter.sources.unifi.readings import MBIT
from tests.unit.test_unifi_device_payload import AP, GATEWAY, SWITCH
from tests.unit.test_unifi_payload import document

GIGABIT = 1000 * MBIT


def gathered(*records: dict[str, Any], **how: Any) -> Gathered:
    decoded = devices(document(*records))
    assert not decoded.bad
    return gather([SiteDevices("s", decoded.devices)], **how)


def counts(found: Gathered) -> dict[tuple[str, str], Count]:
    return {(reading.counter.kind, reading.counter.key): reading.count for reading in found.readings}


def reading(found: Gathered, kind: str) -> Reading:
    (one,) = [reading for reading in found.readings if reading.counter.kind == kind]
    return one


def device(found: Gathered) -> Device:
    (one,) = [fact for fact in found.gear if isinstance(fact, Device)]
    return one


def wans(found: Gathered) -> dict[str, Wan]:
    return {fact.wan: fact for fact in found.gear if isinstance(fact, Wan)}


def ports(found: Gathered) -> dict[str, Port]:
    return {fact.port: fact for fact in found.gear if isinstance(fact, Port)}


# Directions and keys


def test_an_access_points_tx_is_toward_its_clients() -> None:
    one = reading(gathered(AP), "device")
    assert one.counter == CounterKey("device", "s", "02:aa:bb:cc:dd:01|")
    assert one.subjects == (SubjectKey("device", "s", "02:aa:bb:cc:dd:01"),)
    assert one.count == Count(9000, 400)
    assert (one.speed, one.born, one.wraps) == (None, None, False)


def test_a_switch_is_counted_at_its_uplink_whose_rx_is_the_download() -> None:
    assert counts(gathered(SWITCH))["device", "02:aa:bb:cc:dd:02|1"] == Count(7000, 300)


def test_a_gateway_is_counted_at_its_uplink_whose_rx_is_the_download() -> None:
    found = counts(gathered(GATEWAY))
    assert found["device", "02:aa:bb:cc:dd:03|eth0"] == Count(8000, 100)
    assert found["wan", "02:aa:bb:cc:dd:03|eth0"] == Count(8000, 100)


def test_a_port_sends_what_is_downloaded_by_whoever_is_plugged_in_at_uplinks_too() -> None:
    found = counts(gathered(SWITCH, GATEWAY))
    assert found["port", "02:aa:bb:cc:dd:02|1"] == Count(300, 7000)
    assert found["port", "02:aa:bb:cc:dd:02|2"] == Count(20, 5000)
    assert found["port", "02:aa:bb:cc:dd:03|wan"] == Count(100, 8000)


def test_subjects_of_lines_and_ports() -> None:
    found = gathered(SWITCH, GATEWAY)
    subjects = {reading.counter: reading.subjects for reading in found.readings}
    assert subjects[CounterKey("wan", "s", "02:aa:bb:cc:dd:03|eth0")] == (SubjectKey("wan", "s", "wan1"),)
    key = "02:aa:bb:cc:dd:02|2"
    assert subjects[CounterKey("port", "s", key)] == (SubjectKey("port", "s", key),)
    assert ports(gathered(SWITCH))["2"].subject == SubjectKey("port", "s", key)


def test_an_access_point_on_another_uplink_is_the_same_counter() -> None:
    mesh = AP | {"uplink": {"type": "wireless", "up": True}}
    assert reading(gathered(mesh), "device").counter == reading(gathered(AP), "device").counter


def test_another_uplink_of_a_switch_or_gateway_is_another_counter() -> None:
    moved = [
        {"port_idx": 1, "is_uplink": False, "tx_bytes": 300, "rx_bytes": 7000},
        {"port_idx": 9, "is_uplink": True, "tx_bytes": 4, "rx_bytes": 50},
    ]
    assert counts(gathered(SWITCH | {"port_table": moved}))["device", "02:aa:bb:cc:dd:02|9"] == Count(50, 4)
    other = GATEWAY | {"uplink": {"name": "eth2", "tx_bytes": 1, "rx_bytes": 2}}
    assert counts(gathered(other))["device", "02:aa:bb:cc:dd:03|eth2"] == Count(2, 1)


@pytest.mark.parametrize(
    ("marks", "number", "chosen"),
    [
        ((True, None), None, "1"),
        ((False, True), 1, "2"),  # where the two do not agree, the one that has the bytes is asked
        ((None, None), 2, "2"),
        ((True, True), 2, "2"),  # an aggregate
        ((True, True), None, None),
        ((None, None), None, None),
        ((None, None), 7, None),
    ],
)
def test_which_port_is_the_uplink(marks: tuple[bool | None, ...], number: int | None, chosen: str | None) -> None:
    table = [
        {"port_idx": n, "is_uplink": mark, "tx_bytes": n, "rx_bytes": n * 10} for n, mark in enumerate(marks, start=1)
    ]
    found = gathered(SWITCH | {"port_table": table, "uplink": {"port_idx": number}})
    assert [r.counter.key for r in found.readings if r.counter.kind == "device"] == (
        [f"02:aa:bb:cc:dd:02|{chosen}"] if chosen else []
    )


def test_a_switch_whose_own_counters_are_zero_is_counted_at_its_port() -> None:
    zeros = {"tx_bytes": 0, "rx_bytes": 0, "uplink": {"port_idx": 1, "tx_bytes": 0, "rx_bytes": 0}}
    assert counts(gathered(SWITCH | zeros))["device", "02:aa:bb:cc:dd:02|1"] == Count(7000, 300)


@pytest.mark.parametrize("change", [{"uplink": None}, {"uplink": {"name": "eth0"}}, {"uplink": {"rx_bytes": 5}}])
def test_a_gateway_whose_uplink_does_not_count_has_facts_only(change: dict[str, Any]) -> None:
    found = gathered(GATEWAY | change)
    assert "device" not in {reading.counter.kind for reading in found.readings}
    assert device(found).kind == "gateway"
    assert not found.bad


def test_a_device_of_an_unknown_type_has_facts_and_ports_and_no_count_of_its_own() -> None:
    found = gathered(SWITCH | {"type": "uacc"})
    assert device(found).kind == "other"
    assert {kind for kind, _ in counts(found)} == {"port"}


def test_packets_and_32_bit_counters_are_not_used() -> None:
    small = {"uplink": {"name": "eth0", "tx_bytes": 1, "rx_bytes": 2}, "vap_table": [{"tx_bytes": 3, "rx_bytes": 4}]}
    assert list(counts(gathered(AP | small)).values()) == [Count(9000, 400)]


# Lives


def test_the_life_of_an_access_points_counter_is_as_old_as_what_was_added_up() -> None:
    assert reading(gathered(AP), "device").life == Life(age=316_470)
    flat = AP | {"stat": AP["stat"]["ap"]}
    assert reading(gathered(flat), "device").life == Life(age=316_470)


@pytest.mark.parametrize(
    "stat",
    [
        None,
        {},
        {"ap": {"tx_bytes": 9000, "rx_bytes": 400}},
        {"ap": {"tx_bytes": 9001, "rx_bytes": 400, "duration": 5}},
        {"ap": {"duration": 5}},
        {"ap": {"tx_bytes": 9000, "rx_bytes": 400, "duration": -5}},
    ],
)
def test_nothing_is_proved_by_totals_of_another_counter(stat: object) -> None:
    one = reading(gathered(AP | {"stat": stat}), "device")
    assert (one.count, one.life) == (Count(9000, 400), None)


def test_nothing_is_proved_of_interfaces() -> None:
    """Their device's uptime does not tell: a line may begin anew without it (reference, §3.2)."""
    stat = {"sw": {"duration": 5000.0, "tx_bytes": 7000, "rx_bytes": 300}}
    found = gathered(SWITCH | {"stat": stat, "uptime": 50}, GATEWAY | {"stat": {"gw": {"duration": 5000.0}}})
    assert {reading.life for reading in found.readings} == {None}


# Speeds


@pytest.mark.parametrize(
    ("facts", "mbits"),
    [
        ({"speed": 1000}, 1000),
        ({"speed": "100"}, 100),
        ({"speed": 100, "max_speed": 1000}, 1000),
        ({"speed": 100, "media": "GE"}, 1000),
        ({"speed": 2500, "media": "GE"}, 2500),
        ({"speed": 0, "media": "sfp+"}, 10_000),
        ({"speed": 0}, None),
        ({"speed": -1}, None),
        ({"speed": 4294967295, "max_speed": 1000}, 1000),
        ({"speed": 10, "media": "?"}, 10),
        ({}, None),
    ],
)
def test_the_speed_is_the_most_that_the_link_can_be_brought_to(facts: dict[str, Any], mbits: int | None) -> None:
    port = {"port_idx": 1, "is_uplink": True, "tx_bytes": 1, "rx_bytes": 2} | facts
    line = {"ifname": "eth0", "tx_bytes": 1, "rx_bytes": 2} | facts
    found = gathered(
        SWITCH | {"port_table": [port]},
        GATEWAY | {"wan1": line, "uplink": line, "port_table": []},
    )
    assert {one.speed for one in found.readings} == {mbits and mbits * MBIT}
    assert len(found.readings) == 4


def test_the_link_speed_is_told_as_it_stands() -> None:
    table = [{"port_idx": 1, "speed": 100, "max_speed": 1000}, {"port_idx": 2, "speed": 0, "media": "GE"}]
    told = ports(gathered(SWITCH | {"port_table": table}))
    assert (told["1"].link_speed, told["2"].link_speed) == (100 * MBIT, None)


# What is collected


def test_only_what_is_asked_for_is_collected() -> None:
    for name, kind in (("devices", "device"), ("wans", "wan"), ("ports", "port")):
        found = gathered(GATEWAY, collect=("clients", "ssids", name))
        assert {reading.counter.kind for reading in found.readings} == {kind}
        assert {fact.subject.kind for fact in found.gear} == {kind}
        assert found.complete == [Collection(kind, "s")]


def test_several_sites() -> None:
    decoded = devices(document(GATEWAY)).devices
    found = gather([SiteDevices("a", decoded), SiteDevices("b", []), SiteDevices("c", decoded)])
    assert {key for key in found.complete if key.kind == "wan"} == {Collection("wan", site) for site in "abc"}
    assert [fact.site for fact in found.gear if isinstance(fact, Wan)] == ["a", "c"]


def test_excluded_devices_leave_no_trace() -> None:
    found = gathered(AP, SWITCH, exclude=frozenset({"02:aa:bb:cc:dd:02"}))
    assert {fact.subject.key for fact in found.gear} == {"02:aa:bb:cc:dd:01"}
    assert {key for _, key in counts(found)} == {"02:aa:bb:cc:dd:01|"}


@pytest.mark.parametrize("mac", ["", "02:aa:bb:cc:dd", "02:aa:bb:cc:dd:0g", "02:aa:bb:cc:dd:01\n"])
def test_a_mac_that_is_none_is_a_bad_record(mac: str) -> None:
    found = gathered(AP | {"mac": mac}, SWITCH)
    assert device(found).device == SWITCH["mac"]
    assert found.bad == {"mac": 1}
