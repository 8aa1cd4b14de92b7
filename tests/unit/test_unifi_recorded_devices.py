"""Every recorded device, with the numbers of its file. Skipped where the recordings are not beside this checkout."""

from __future__ import annotations

import pytest

from exporter.model import Count, Life
from exporter.sources.unifi.readings import MBIT
from tests.unit.test_unifi_gear import counts, device, gathered, ports, reading, wans
from tests.unit.test_unifi_readings import recorded

GIGABIT = 1000 * MBIT


def test_access_point() -> None:
    found = gathered(recorded("access_point_ac_pro.json"))
    whole = reading(found, "device")
    assert whole.counter.key == "80:2a:a8:00:01:02|"
    assert (whole.count, whole.life, whole.speed) == (Count(198524031529, 4049050176), Life(age=316470.0), None)
    told = device(found)
    assert (told.name, told.model, told.kind, told.version) == ("ACCESS POINT AC PRO", "U7PG2", "ap", "4.0.69.10871")
    assert (told.ip, told.up, told.uptime, told.clients) == ("192.168.0.4", True, 3971849, 12)
    assert (told.cpu_ratio, told.memory_ratio) == (0.031, 0.274)
    # Its cable leads to the switch, which is what downloads from it.
    assert counts(found)["port", "80:2a:a8:00:01:02|1"] == Count(53516753422, 2275836363755)
    assert counts(found)["port", "80:2a:a8:00:01:02|2"] == Count(0, 0)


def test_gateway() -> None:
    found = gathered(recorded("gateway_usg3.json"))
    mac = "78:8a:20:33:44:55"
    down, up = 1107294012155, 96813272238
    assert counts(found) == {
        ("device", f"{mac}|eth0"): Count(down, up),
        ("wan", f"{mac}|eth0"): Count(down, up),
        ("wan", f"{mac}|eth1"): Count(500000000, 200000000),
        ("port", f"{mac}|wan"): Count(up, down),
        ("port", f"{mac}|lan"): Count(1105756381870, 98681321728),
        ("port", f"{mac}|lan2"): Count(0, 0),
    }
    assert {one.life for one in found.readings} == {None}
    line = wans(found)["wan1"]
    assert (line.interface, line.ip, line.up, line.latency, line.link_speed) == (
        "eth0",
        "1.2.3.4",
        True,
        0.001,
        GIGABIT,
    )
    assert (wans(found)["wan2"].ip, wans(found)["wan2"].latency) == ("10.0.0.2", None)
    assert (device(found).kind, device(found).clients, device(found).cpu_ratio) == ("gateway", 20, 0.0)
    assert (ports(found)["lan2"].up, ports(found)["lan2"].link_speed) == (False, None)


def test_eight_port_switch() -> None:
    found = gathered(recorded("switch_8_port.json"))
    mac = "f0:9f:11:22:33:44"
    assert counts(found)["device", f"{mac}|2"] == Count(1109019728759, 100334873692)
    assert counts(found)["port", f"{mac}|2"] == Count(100334873692, 1109019728759)
    assert counts(found)["port", f"{mac}|7"] == Count(400026198993, 1602876591571)  # from a camera's recorder, mostly
    assert [port.port for port in ports(found).values() if port.uplink] == ["2"]
    assert len(ports(found)) == 8


def test_the_access_points_cable_is_seen_alike_from_both_ends() -> None:
    ends = counts(gathered(recorded("access_point_ac_pro.json"), recorded("switch_8_port.json")))
    ap, switch = ends["port", "80:2a:a8:00:01:02|1"], ends["port", "f0:9f:11:22:33:44|6"]
    assert switch.download == pytest.approx(ap.upload, rel=1e-5)
    assert switch.upload == pytest.approx(ap.download, rel=1e-5)


def test_sixteen_port_switch() -> None:
    found = gathered(recorded("switch_16_port_poe.json"))
    mac = "fc:ec:da:11:22:33"
    assert counts(found)["device", f"{mac}|1"] == Count(2027844548, 1832127075)
    assert counts(found)["port", f"{mac}|4"] == Count(1895681324, 288074224)
    speeds = {one.counter.key: one.speed for one in found.readings if one.counter.kind == "port"}
    assert speeds[f"{mac}|4"] == GIGABIT  # the port can do it, and its link is just at 100 Mbit/s
    assert ports(found)["4"].link_speed == 100 * MBIT
    assert (device(found).cpu_ratio, ports(found)["17"].name) == (1.0, "SFP 1")


def test_small_switch_whose_own_counters_are_zero() -> None:
    found = gathered(recorded("switch_flex_mini_5_port.json"))
    assert counts(found)["device", "74:ac:b9:a1:01:01|1"] == Count(6147696151, 1243754733)
    assert counts(found)["port", "74:ac:b9:a1:01:01|1"] == Count(1243754733, 6147696151)
    assert (device(found).cpu_ratio, device(found).memory_ratio, device(found).uptime) == (None, None, 9273422)


def test_power_strip_is_no_switch_but_has_a_port() -> None:
    found = gathered(recorded("pdu_pro.json"))
    mac = "00:00:00:00:00:84"
    assert counts(found) == {
        ("device", f"{mac}|1"): Count(538000102, 114523726),
        ("port", f"{mac}|1"): Count(114523726, 538000102),
    }
    assert (device(found).kind, list(ports(found))) == ("other", ["1"])
    assert reading(found, "port").speed == 100 * MBIT


@pytest.mark.parametrize(("name", "mac"), [("plug_up1", "fc:ec:da:76:4f:5f"), ("strip_up6", "78:45:58:fc:16:7d")])
def test_plugs_are_no_access_points_and_have_no_ports(name: str, mac: str) -> None:
    found = gathered(recorded(f"{name}.json"))
    assert counts(found) == {("device", f"{mac}|"): Count(0, 0)}
    assert (device(found).kind, device(found).device, ports(found)) == ("other", mac, {})
