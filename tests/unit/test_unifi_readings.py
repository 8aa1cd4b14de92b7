from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.model import ZERO, Collection, Count, CounterKey, Poll, SubjectKey
from exporter.sources.unifi import UnifiSettings, payload
from exporter.sources.unifi.readings import REFRESH, Readings, SiteClients
from tests.unit.test_unifi_payload import WIRED, WIRELESS, document

FIXTURES = Path(__file__).parents[2].parent / "shared" / "fixtures" / "unifi"
OUR_TIME = 1_000_000.0


def poll(
    *records: dict[str, Any], site: str = "default", meter_at: float | None = OUR_TIME, exclude: tuple[str, ...] = ()
) -> Poll:
    decoded = payload.stations(document(*records))
    here = SiteClients(site, decoded.stations, meter_at, OUR_TIME)
    return Readings(frozenset(exclude)).poll([here], bad=decoded.bad.items())


def recorded(name: str) -> dict[str, Any]:
    if not FIXTURES.is_dir():
        pytest.skip("the shared recorded payloads are not beside this checkout")
    record: dict[str, Any] = json.loads((FIXTURES / name).read_text())
    return record


def test_tx_is_toward_the_client_on_cable_and_air() -> None:
    cable, air = poll(WIRED, WIRELESS).readings
    assert cable.count == Count(370, 10200, 3, 9)
    assert air.count == Count(52852089, 12867114, 66615, 54198)


def test_keys_name_the_meter_and_whom_the_bytes_belong_to() -> None:
    cable, air = poll(WIRED, WIRELESS | {"mac": "02:AA:BB:CC:DD:02"}, site="s1").readings
    assert cable.counter == CounterKey("client", "s1", "02:aa:bb:cc:dd:01|wired")
    assert air.counter == CounterKey("client", "s1", "02:aa:bb:cc:dd:02|wireless")
    assert air.subjects == (SubjectKey("client", "s1", "02:aa:bb:cc:dd:02"), SubjectKey("site", "s1", ""))


def test_nothing_is_claimed_of_a_clients_life() -> None:
    (reading,) = poll(WIRED).readings
    assert (reading.seen, reading.born, reading.session) == (1642574376, 1598100273, "1642487042")
    assert (reading.life, reading.base, reading.wraps) == (None, ZERO, False)


def test_what_is_not_there_is_not_made_up() -> None:
    bare = {"mac": "02:aa:bb:cc:dd:03", "tx_bytes": 1, "rx_bytes": 2}
    result = poll(bare)
    (reading,), (client,) = result.readings, result.clients
    assert (reading.count, reading.seen, reading.born, reading.session, reading.speed) == (
        Count(1, 2),
        0,
        None,
        "",
        None,
    )
    assert (client.connection, client.name, client.last_seen, client.signal_dbm) == ("wireless", "", None, None)


@pytest.mark.parametrize("missing", [{"tx_bytes": None}, {"rx_bytes": None}, {"tx_bytes": None, "rx_bytes": None}])
def test_a_client_without_both_directions_has_no_reading(missing: dict[str, None]) -> None:
    result = poll(WIRELESS | missing)
    assert not result.readings
    assert [client.client for client in result.clients] == [WIRELESS["mac"]]
    assert result.bad_records == {}


def test_where_the_record_does_not_say_the_counter_tells_cable_from_air() -> None:
    cable, air = poll(WIRED | {"is_wired": None}, WIRELESS | {"is_wired": None}).clients
    assert (cable.connection, air.connection) == ("wired", "wireless")


@pytest.mark.parametrize(
    ("proto", "mbits"),
    [("b", 11), ("g", 54), ("a", 54), ("ng", 600), ("NA", 600), ("ac", 6933), ("ax", 9608), ("be", 46120)],
)
def test_wireless_speed_is_the_generations_maximum(proto: str, mbits: int) -> None:
    (reading,) = poll(WIRELESS | {"radio_proto": proto, "tx_rate": 6000}).readings
    assert reading.speed == mbits * 125_000


@pytest.mark.parametrize(
    ("record", "speed"),
    [
        (WIRED, 125_000_000),
        (WIRED | {"wired_rate_mbps": 0}, None),
        (WIRED | {"wired_rate_mbps": None}, None),
        (WIRELESS | {"radio_proto": "zz"}, None),
        (WIRELESS | {"radio_proto": None}, None),
    ],
)
def test_link_speed_where_it_is_known(record: dict[str, Any], speed: float | None) -> None:
    assert poll(record).readings[0].speed == speed


def test_facts_of_a_client() -> None:
    record = WIRELESS | {
        "network": "LAN",
        "essid": "Home",
        "ap_mac": "80:2A:A8:00:01:02",
        "ip": "192.168.0.1",
        "is_guest": True,
        "satisfaction": 87,
        "rx_bytes-r": 326,
    }
    (client,) = poll(record).clients
    assert (client.mac, client.name, client.vendor, client.network) == (WIRELESS["mac"], "Client 1", "Apple", "LAN")
    assert (client.ssid, client.ap, client.ip, client.guest) == ("Home", "80:2a:a8:00:01:02", "192.168.0.1", True)
    assert (client.connected, client.signal_dbm, client.satisfaction_ratio) == (True, -61, 0.87)
    assert (client.reported_download, client.reported_upload) == (483.5, 326)


def test_a_wired_client_has_nothing_of_the_air() -> None:
    (client,) = poll(
        WIRED | {"essid": "x", "ap_mac": "y", "signal": -3, "wired-tx_bytes-r": 5, "tx_bytes-r": 7}
    ).clients
    assert (client.ssid, client.ap, client.signal_dbm, client.reported_download) == ("", "", None, 5)


@pytest.mark.parametrize(("given", "ratio"), [(-1, None), (0, 0.0), (100, 1.0), (101, None), (None, None)])
def test_satisfaction(given: int | None, ratio: float | None) -> None:
    assert poll(WIRED | {"satisfaction": given}).clients[0].satisfaction_ratio == ratio


@pytest.mark.parametrize(
    ("names", "name"),
    [({"name": "A", "hostname": "h"}, "A"), ({"name": "", "hostname": "h"}, "h"), ({"name": None, "hostname": ""}, "")],
)
def test_the_alias_comes_before_the_host_name(names: dict[str, str | None], name: str) -> None:
    assert poll(WIRED | names).clients[0].name == name


def test_hostile_text_stays_but_not_for_ever() -> None:
    name = 'a"\\\n{}<script>\x00' + "é" * 300
    assert poll(WIRED | {"name": name}).clients[0].name == name[:256]


def test_last_seen_moves_to_our_clock() -> None:
    record = WIRED | {"last_seen": OUR_TIME + 995}
    assert poll(record, meter_at=OUR_TIME + 1000).clients[0].last_seen == OUR_TIME - 5
    assert poll(record, meter_at=None).clients[0].last_seen == OUR_TIME + 995
    assert poll(record, meter_at=OUR_TIME + 1000).readings[0].seen == OUR_TIME + 995


@pytest.mark.parametrize("mac", ["", "02:aa:bb:cc:dd", "02-aa-bb-cc-dd-01", "02:aa:bb:cc:dd:0g", "02:aa:bb:cc:dd:01\n"])
def test_a_mac_that_is_none_is_a_bad_record(mac: str) -> None:
    result = poll(WIRED | {"mac": mac}, WIRELESS)
    assert [client.mac for client in result.clients] == [WIRELESS["mac"]]
    assert result.bad_records == {"mac": 1}


def test_excluded_clients_leave_no_trace() -> None:
    result = poll(WIRED, WIRELESS, exclude=("02:AA:BB:CC:DD:01",))
    assert [client.mac for client in result.clients] == [WIRELESS["mac"]]
    assert [reading.subjects[0].key for reading in result.readings] == [WIRELESS["mac"]]
    assert result.bad_records == {}


def test_a_mac_listed_twice_gives_two_readings_and_the_newer_client() -> None:
    older = WIRED | {"last_seen": 10, "name": "old"}
    newer = WIRELESS | {"mac": WIRED["mac"], "last_seen": 20, "name": "new"}
    for records in ((older, newer), (newer, older)):
        result = poll(*records)
        assert {reading.counter.key for reading in result.readings} == {
            f"{WIRED['mac']}|{k}" for k in ("wired", "wireless")
        }
        assert [(client.name, client.connection) for client in result.clients] == [("new", "wireless")]


def test_several_sites_in_one_poll() -> None:
    stations = payload.stations(document(WIRED)).stations
    sites = [
        SiteClients("a", stations, 50.0, 60.0),
        SiteClients("b", stations, 40.0, 60.0),
        SiteClients("c", [], None, 60),
    ]
    result = Readings().poll(sites, identity="x", bad=[("bytes", 2)])
    assert (result.identity, result.meter_at, result.refresh) == ("x", 40.0, REFRESH)
    assert result.complete == {Collection("client", site): "" for site in "abc"}
    assert [client.site for client in result.clients] == ["a", "b"]
    assert result.bad_records == {"bytes": 2}


def test_keys_are_kept_from_poll_to_poll() -> None:
    readings = Readings()
    sites = [SiteClients("a", payload.stations(document(WIRED)).stations, None, 0)]
    first, second = readings.poll(sites).readings[0], readings.poll(sites).readings[0]
    assert first == second
    assert first.counter is second.counter


def test_recorded_wired_client() -> None:
    (reading,) = (result := poll(recorded("wired_client.json"))).readings
    assert reading.counter.key == "ac:cc:de:12:34:56|wired"
    assert (reading.count, reading.speed, reading.session) == (ZERO, 125_000_000, "1642487042")
    (client,) = result.clients
    assert (client.name, client.vendor, client.connection) == ("camera-acccde123456", "Manu", "wired")
    assert client.reported_download == 0


def test_recorded_wireless_client() -> None:
    (reading,) = (result := poll(recorded("wireless_client.json"))).readings
    assert reading.counter.key == "00:00:00:00:00:01|wireless"
    assert reading.count == Count(52852089, 12867114, 66615, 54198)
    (client,) = result.clients
    assert (client.name, client.ssid, client.ap, client.signal_dbm) == ("Client 1", "SSID", "80:2a:a8:00:01:02", -61)
    assert (client.reported_download, client.reported_upload, client.satisfaction_ratio) == (483, 326, 1.0)


def test_recorded_site_and_controller() -> None:
    (site,) = payload.sites(json.dumps(recorded("site_response.json")).encode())
    assert (site.name, site.desc, site.role) == ("default", "Default", "admin")
    controller = payload.identity(document(recorded("system_information.json")))
    assert controller == "24f81231-a456-4c32-abcd-f5612345385f"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://h"}, "https"),
        ({"url": "h"}, "https"),
        ({"url": "https://"}, "https"),
        ({"url": "https://u:p@h"}, "user"),
        ({"url": "https://h/x"}, "after the host"),
        ({"url": "https://h:0"}, "port"),
        ({"url": "https://h:99999"}, "[Pp]ort"),
        ({"password": ""}, "api_key"),
        ({"api_key": "ké"}, "ASCII"),
        ({"api_key": "a\nb"}, "ASCII"),
        ({"password": "a\udcff"}, "UTF-8"),
        ({"timeout": 0}, "timeout"),
        ({"fingerprint": "sha256:aabb"}, "64 hex digits"),
        ({"fingerprint": "sha256:" + "0f" * 32, "verify_tls": False}, "of no use"),
        ({"fingerprint": "sha256:" + "0f" * 32, "ca_file": "ca.pem"}, "of no use"),
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        UnifiSettings(**{"url": "https://h", "username": "u", "password": "p"} | change)


def test_settings_never_show_secrets() -> None:
    shown = repr(UnifiSettings("https://h", username="u", password="hunter2", api_key="k3y"))
    assert "hunter2" not in shown
    assert "k3y" not in shown
