"""Devices, lines, ports and wireless networks on the page: values, labels, and what is unknown."""

from __future__ import annotations

from exporter.gear_lines import render_gear
from exporter.model import Count, Device, Gear, Port, Ssid, SubjectKey, Wan

MAC = "02:00:00:00:01:01"


def lines(kind: str, count: Count | None, piece: Gear | None, subject: SubjectKey | None = None) -> list[str]:
    """The samples of one piece of gear."""
    key = piece.subject if piece is not None else subject
    assert key is not None
    return b"".join(render_gear("home", kind, [(key, count, piece)]).values()).decode().splitlines()


def test_device() -> None:
    device = Device("default", MAC, name='Flur "1"', model="U6", kind="ap", up=False, uptime=61.5, clients=0)
    who = f'source="home",site="default",device="{MAC}"'
    assert lines("device", Count(7, 8), device) == [
        f"bandwidth_device_download_bytes_total{{{who}}} 7",
        f"bandwidth_device_upload_bytes_total{{{who}}} 8",
        f'bandwidth_device_info{{{who},name="Flur \\"1\\"",model="U6",class="ap",version="",ip=""}} 1',
        f"bandwidth_device_up{{{who}}} 0",
        f"bandwidth_device_uptime_seconds{{{who}}} 61.5",
        f"bandwidth_device_clients{{{who}}} 0",
    ]


def test_device_without_a_name_goes_by_its_mac() -> None:
    assert f'name="{MAC}"' in lines("device", None, Device("default", MAC))[0]


def test_line() -> None:
    who = 'source="home",site="default",wan="wan1"'
    wan = Wan("default", "wan1", device=MAC, interface="eth8", ip="203.0.113.9", up=True, latency=0.012)
    assert lines("wan", Count(1, 2), wan) == [
        f"bandwidth_wan_download_bytes_total{{{who}}} 1",
        f"bandwidth_wan_upload_bytes_total{{{who}}} 2",
        f'bandwidth_wan_info{{{who},device="{MAC}",interface="eth8",ip="203.0.113.9"}} 1',
        f"bandwidth_wan_up{{{who}}} 1",
        f"bandwidth_wan_latency_seconds{{{who}}} 0.012",
    ]


def test_port_has_the_labels_of_its_device() -> None:
    who = f'source="home",site="default",device="{MAC}",port="SFP+ 1|a"'
    assert lines("port", None, Port("default", MAC, "SFP+ 1|a", uplink=True, link_speed=1.25e9)) == [
        f'bandwidth_port_info{{{who},name="SFP+ 1|a",uplink="true"}} 1',
        f"bandwidth_port_link_speed_bytes_per_second{{{who}}} 1250000000.0",
    ]


def test_wireless_network_of_a_hostile_name() -> None:
    piece = Ssid("default", 'a|"}\n', clients=3)
    who = 'source="home",site="default",ssid="a|\\"}\\n"'
    assert lines("ssid", None, piece) == [f"bandwidth_ssid_clients{{{who}}} 3"]


def test_gear_of_which_only_the_bytes_are_known() -> None:
    [down, up] = lines("wan", Count(1, 2), None, SubjectKey("wan", "default", "wan2"))
    assert 'wan="wan2"' in down
    assert up.endswith(" 2")
