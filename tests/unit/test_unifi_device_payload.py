from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Port
from exporter.sources.unifi.device_payload import Device, Interface, devices
from exporter.sources.unifi.gear import SiteDevices, gather
from exporter.sources.unifi.payload import PayloadError
from tests.unit.test_unifi_payload import document

AP: dict[str, Any] = {
    "mac": "02:AA:BB:CC:DD:01",
    "type": "uap",
    "state": 1,
    "tx_bytes": 9000,
    "rx_bytes": 400,
    "stat": {"ap": {"ap": "02:aa:bb:cc:dd:01", "tx_bytes": 9000.0, "rx_bytes": 400.0, "duration": 316470000.0}},
    "uplink": {"name": "eth0", "tx_bytes": 5, "rx_bytes": 6},
}
SWITCH: dict[str, Any] = {
    "mac": "02:aa:bb:cc:dd:02",
    "type": "usw",
    "state": 1,
    "tx_bytes": 7000,
    "rx_bytes": 300,
    "uplink": {"port_idx": 1},
    "port_table": [
        {"port_idx": 1, "is_uplink": True, "tx_bytes": 300, "rx_bytes": 7000},
        {"port_idx": 2, "name": "Camera", "tx_bytes": 20, "rx_bytes": 5000},
    ],
}
GATEWAY: dict[str, Any] = {
    "mac": "02:aa:bb:cc:dd:03",
    "type": "ugw",
    "state": 1,
    "tx_bytes": 8000,
    "rx_bytes": 100,
    "uplink": {"name": "eth0", "tx_bytes": 100, "rx_bytes": 8000, "latency": 12},
    "port_table": [{"name": "wan", "ifname": "eth0", "tx_bytes": 100, "rx_bytes": 8000}],
    "wan1": {"ifname": "eth0", "tx_bytes": 100, "rx_bytes": 8000},
}


def one(record: dict[str, Any]) -> Device:
    decoded = devices(document(record))
    assert not decoded.bad
    (device,) = decoded.devices
    return device


def test_a_record_becomes_typed() -> None:
    switch = one(SWITCH | {"uptime": 12, "num_sta": 4, "system-stats": {"cpu": "3.1", "mem": "27.4", "uptime": "12"}})
    assert (switch.type, switch.state, switch.uptime, switch.num_sta) == ("usw", 1, 12, 4)
    assert (switch.machine.cpu, switch.machine.mem) == (3.1, 27.4)
    assert [(port.port_idx, port.is_uplink, port.tx_bytes) for port in switch.ports] == [(1, True, 300), (2, None, 20)]
    assert switch.uplink is not None
    assert switch.uplink.port_idx == 1


def test_what_the_controller_adds_up_is_found_in_both_of_its_forms() -> None:
    nested = AP["stat"]["ap"]
    for stat in ({"ap": nested}, nested):
        totals = one(AP | {"stat": stat}).totals
        assert (totals.tx_bytes, totals.rx_bytes, totals.duration) == (9000, 400, 316_470_000)


@pytest.mark.parametrize("stat", [None, {}, [], "x", {"ap": None}, {"ap": {}}, {"sw": {"duration": 5}}, 7])
def test_no_totals_are_none(stat: object) -> None:
    assert one(AP | {"stat": stat}).totals.duration is None


def test_lines_are_read_by_their_names() -> None:
    line = {"ifname": "eth9", "tx_bytes": 1, "rx_bytes": 2}
    names = ("wan1", "wan2", "wan10", "wan", "wan1x", "wanted", "WAN1", "lan1", "wan\u0663")
    device = one({"mac": "m", "wan3": None, "wan4": {}} | dict.fromkeys(names, line))
    assert list(device.wans) == ["wan1", "wan2", "wan10"]
    assert device.wans["wan10"] == Interface(ifname="eth9", tx_bytes=1, rx_bytes=2)


@pytest.mark.parametrize(
    ("written", "read"),
    [("300", 300), ('"300"', 300), ("300.0", 300), ("1.23E7", 12_300_000), ("9223372036854775807", 2**63 - 1)],
)
def test_byte_fields_are_read_however_they_are_written(written: str, read: int) -> None:
    body = document(SWITCH).replace(b'"tx_bytes": 300', b'"tx_bytes": ' + written.encode())
    (device,) = devices(body).devices
    assert (device.ports[0].tx_bytes, device.ports[0].bad) == (read, "")


@pytest.mark.parametrize(
    "written",
    ["-1", '"-1"', "1.5", "9223372036854775808", "1" * 30, "1e300", "true", '""', '"many"', '"\\ud800"', "[]", "{}"],
)
def test_a_byte_field_that_cannot_be_right_costs_its_counter_only(written: str) -> None:
    body = document(SWITCH).replace(b'"tx_bytes": 20', b'"tx_bytes": ' + written.encode())
    found = gather([SiteDevices("s", devices(body).devices)])
    assert {reading.counter.key for reading in found.readings} == {SWITCH["mac"] + "|1"}
    assert [fact.port for fact in found.gear if isinstance(fact, Port)] == ["1", "2"]
    assert found.bad == {"bytes": 1}


@pytest.mark.parametrize("bad", [[], None, "device", 5])
def test_what_is_no_record_is_skipped(bad: object) -> None:
    decoded = devices(document(bad, AP))
    assert [device.mac for device in decoded.devices] == [AP["mac"]]
    assert decoded.bad == {"shape": 1}


@pytest.mark.parametrize("mac", [None, 7, [], {}])
def test_a_mac_that_is_no_text_is_skipped(mac: object) -> None:
    assert devices(document(AP | {"mac": mac}, SWITCH)).bad == {"mac": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5),
        ("state", "on"),
        ("uptime", -3),
        ("num_sta", 4.5),
        ("system-stats", ["3.1"]),
        ("uplink", "eth0"),
        ("type", None),
        ("last_seen", "yesterday"),
        ("tx_retries", 4294967320),
        ("aggregated_by", 0),
    ],
)
def test_an_odd_field_does_not_cost_its_record(field: str, value: object) -> None:
    device = one(SWITCH | {field: value})
    assert (device.tx_bytes, [port.bad for port in device.ports]) == (7000, ["", ""])


@pytest.mark.parametrize("value", ["tru", "enabled", "maybe", 2, []])
def test_an_odd_yes_or_no_is_unknown(value: object) -> None:
    (port,) = one(SWITCH | {"port_table": [{"port_idx": 1, "up": value, "tx_bytes": 1, "rx_bytes": 2}]}).ports
    assert (port.up, port.tx_bytes, port.bad) == (None, 1, "")


@pytest.mark.parametrize("table", ["x", {"1": {}}, 5])
def test_a_port_table_that_is_none_is_said(table: object) -> None:
    assert one(SWITCH | {"port_table": table}).ports == (Interface(bad="shape"),)
    assert one(SWITCH | {"port_table": None}).ports == ()


def test_text_that_is_malformed_is_mended() -> None:
    body = document(SWITCH).replace(b'"Camera"', rb'"a\ud800b"')
    assert devices(body).devices[0].ports[1].name == "a?b"
    body = document(SWITCH).replace(b'"Camera"', b'"a\xffb", "x": NaN')
    assert devices(body).devices[0].ports[1].name == "a\ufffdb"


def test_a_document_that_is_none_says_so() -> None:
    for body in (b"", b"<html>", b"[]", document(rc="error", msg="api.err.NoPermission"), document(AP)[:-9]):
        with pytest.raises(PayloadError):
            devices(body)


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True)
    | st.text(st.characters(), max_size=300)
    | st.sampled_from(["", "\ud800", "nan", "-1", "1e999", "9" * 400, "uap", "usw", "udm", "02:aa:bb:cc:dd:02"])
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A device in which some value somewhere is another one."""
    record = json.loads(json.dumps(draw(st.sampled_from([AP, SWITCH, GATEWAY]))))
    for _ in range(draw(st.integers(0, 4))):
        place: Any = record
        key: Any = draw(st.sampled_from(sorted(place)))
        while isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
            place = place[key]
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        place[key] = draw(_values)
    return record


def check(body: bytes) -> None:
    """Nothing but PayloadError comes of any document, and nothing negative, too large, or twice."""
    try:
        decoded = devices(body)
    except PayloadError:
        return
    found = gather([SiteDevices("s", decoded.devices)])
    for reading in found.readings:
        assert 0 <= reading.count.download < 2**63
        assert 0 <= reading.count.upload < 2**63
        assert reading.speed is None or reading.speed > 0
        assert (reading.born, reading.wraps, len(reading.counter.key) < 300) == (None, False, True)
    subjects = [fact.subject for fact in found.gear]
    assert len(subjects) == len(set(subjects))


@given(st.lists(mutated() | _values, max_size=3))
def test_any_records(records: list[Any]) -> None:
    check(json.dumps({"meta": {"rc": "ok"}, "data": records}).encode())


# Which way the numbers of these records go; any other pair would be a direction made up.
DOWN = {("device", 9000, 400), ("device", 7000, 300), ("device", 8000, 100), ("wan", 8000, 100)}
PORTS = {("port", 300, 7000), ("port", 20, 5000), ("port", 100, 8000)}
_neither = st.none() | st.booleans() | st.text(max_size=5).filter(lambda text: not text.strip().isdigit())


@given(st.sampled_from([AP, SWITCH, GATEWAY]), st.data())
def test_whatever_is_missing_no_direction_is_swapped(base: dict[str, Any], data: st.DataObject) -> None:
    record = json.loads(json.dumps(base))
    places = [record, *(v for v in record.values() if isinstance(v, dict)), *record.get("port_table", [])]
    for place in places:
        for key in data.draw(st.sets(st.sampled_from(sorted(place)))) - {"mac", "type"}:
            place[key] = data.draw(_neither)
    found = gather([SiteDevices("s", devices(document(record)).devices)])
    assert {(r.counter.kind, r.count.download, r.count.upload) for r in found.readings} <= DOWN | PORTS
    assert len({reading.counter for reading in found.readings}) == len(found.readings)


@given(st.data())
def test_any_damage_to_the_text(data: st.DataObject) -> None:
    body = bytearray(document(AP, SWITCH, GATEWAY))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(at, min(len(body), at + 30)))
        body[at:end] = data.draw(st.binary(max_size=8) | st.sampled_from([b"-", b"1e400", b"null", b'"', b"\\ud800"]))
    check(bytes(body))
