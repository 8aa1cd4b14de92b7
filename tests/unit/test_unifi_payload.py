from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.unifi import payload
from exporter.sources.unifi.payload import PayloadError, Site, Station
from exporter.sources.unifi.readings import Readings, SiteClients

WIRED: dict[str, Any] = {
    "mac": "02:aa:bb:cc:dd:01",
    "is_wired": True,
    "hostname": "camera",
    "first_seen": 1598100273,
    "last_seen": 1642574376,
    "assoc_time": 1642487042,
    "wired_rate_mbps": 1000,
    "wired-tx_bytes": 370,
    "wired-rx_bytes": 10200,
    "wired-tx_packets": 3,
    "wired-rx_packets": 9,
    "satisfaction": 100,
}
WIRELESS: dict[str, Any] = {
    "mac": "02:aa:bb:cc:dd:02",
    "is_wired": False,
    "name": "Client 1",
    "oui": "Apple",
    "radio_proto": "ac",
    "tx_bytes": 52852089,
    "rx_bytes": 12867114,
    "tx_packets": 66615,
    "rx_packets": 54198,
    "tx_bytes-r": 483.5,
    "signal": -61,
}


def document(*records: object, rc: str = "ok", **meta: str) -> bytes:
    return json.dumps({"meta": {"rc": rc} | meta, "data": records}).encode()


def one(record: dict[str, Any]) -> Station:
    decoded = payload.stations(document(record))
    assert not decoded.bad
    (station,) = decoded.stations
    return station


def test_records_become_typed() -> None:
    decoded = payload.stations(document(WIRED, WIRELESS))
    wired, wireless = decoded.stations
    assert (wired.mac, wired.is_wired, wired.wired_tx_bytes, wired.wired_rx_bytes) == (WIRED["mac"], True, 370, 10200)
    assert wired.tx_bytes is None
    assert (wireless.tx_bytes, wireless.rx_bytes, wireless.tx_rate_now, wireless.signal) == (
        52852089,
        12867114,
        483.5,
        -61,
    )
    assert not decoded.bad


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("12", 12),
        ('"12"', 12),
        ("12.0", 12),
        ("1.23E7", 12_300_000),
        ("9223372036854775807", 2**63 - 1),
        ("null", None),
        ("0", 0),
    ],
)
def test_byte_fields_are_read_however_they_are_written(written: str, read: int | None) -> None:
    body = document(WIRELESS).replace(b"52852089", written.encode())
    assert payload.stations(body).stations[0].tx_bytes == read


@pytest.mark.parametrize(
    "written",
    ["-1", '"-1"', "1.5", "9223372036854775808", "1e300", "1" * 30, "true", '""', '"many"', "[]", "{}"],
)
def test_byte_fields_that_cannot_be_right_cost_their_record_only(written: str) -> None:
    body = document(WIRED, WIRELESS, WIRED).replace(b"52852089", written.encode())
    decoded = payload.stations(body)
    assert [station.mac for station in decoded.stations] == [WIRED["mac"]] * 2
    assert decoded.bad == {"bytes": 1}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (WIRED | {"wired-rx_packets": -4}, "packets"),
        (WIRED | {"mac": None}, "mac"),
        (WIRED | {"mac": 7}, "mac"),
        ([], "shape"),
        (None, "shape"),
        ("client", "shape"),
    ],
)
def test_a_bad_record_is_skipped_with_its_reason(bad: object, reason: str) -> None:
    decoded = payload.stations(document(bad, WIRELESS))
    assert [station.mac for station in decoded.stations] == [WIRELESS["mac"]]
    assert decoded.bad == {reason: 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", 5),
        ("is_guest", "tru"),
        ("is_wired", "enabled"),
        ("satisfaction", "good"),
        ("signal", "inf"),
        ("last_seen", -5),
        ("last_seen", "nan"),
        ("radio_proto", ["ac"]),
        ("tx_bytes-r", -3),
    ],
)
def test_an_odd_field_does_not_cost_its_record(name: str, value: object) -> None:
    station = one(WIRELESS | {name: value})
    assert (station.tx_bytes, station.rx_bytes) == (52852089, 12867114)
    default = {field.encode_name: field for field in msgspec.structs.fields(Station)}[name]
    assert getattr(station, default.name) is None


def test_unknown_fields_of_any_shape_are_ignored() -> None:
    assert one(WIRELESS | {"mlo_details": [{"x": [1, {}]}], "vlan": "12"}).tx_bytes == 52852089


@pytest.mark.parametrize(
    ("malformed", "name"),
    [(rb'"name": "a\ud800b"', "a?b"), (b'"name": "a\xffb"', "a�b"), (b'"name": "ok", "x": NaN', "ok")],
)
def test_malformed_text_is_mended(malformed: bytes, name: str) -> None:
    body = document(WIRED, WIRELESS).replace(b'"name": "Client 1"', malformed)
    decoded = payload.stations(body)
    assert [station.name for station in decoded.stations] == [None, name]
    assert decoded.stations[1].tx_bytes == 52852089
    assert not decoded.bad


def test_numbers_that_no_computer_holds_are_no_numbers() -> None:
    body = document(WIRELESS | {"x": 1}).replace(b'"x": 1', b'"x": [NaN, 1e999, -Infinity]')
    assert payload.stations(body).stations[0].tx_bytes == 52852089


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"data": []}',
        b'{"meta": {"rc": "ok"}}',
        b'{"meta": {"rc": "ok"}, "data": null}',
        b'{"meta": {"rc": "ok"}, "data": {}}',
        b'{"meta": {}, "data": []}',
        document(WIRED, WIRELESS)[:-20],
        b"[" * 100_000,
        b'{"meta": {"rc": "ok"}, "data": [' + b"[" * 100_000,
        b'{"meta": {"rc": "ok"}, "data": [' + b"9" * 5000 + b", NaN]}",
    ],
)
def test_a_document_that_is_none_says_so(body: bytes) -> None:
    with pytest.raises(PayloadError):
        payload.stations(body)


def test_an_error_with_http_200_is_an_error() -> None:
    body = document(rc="error", msg="api.err.NoPermission")
    assert payload.error_code(body) == "api.err.NoPermission"
    with pytest.raises(PayloadError, match=r"api\.err\.NoPermission"):
        payload.stations(body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (document(), ""),
        (document(WIRED), ""),
        (b"", ""),
        (b"<html>", ""),
        (b'{"error": {"code": 401}}', ""),
        (document(rc="error"), "meta.rc error"),
        (document(rc="error", msg="a\nb\x1b[0m"), "a?b??0m"),
        (document(rc="error", msg="x" * 5000), ""),
    ],
)
def test_error_codes_are_found_and_safe_to_show(body: bytes, code: str) -> None:
    assert payload.error_code(body) == code


def test_sites_and_identity() -> None:
    sites = payload.sites(document({"name": "default", "desc": "Home", "role": "readonly"}, {"name": "x1"}))
    assert sites == [Site("default", "Home", "readonly"), Site("x1")]
    assert payload.identity(document({"anonymous_controller_id": "a", "uuid": "b"})) == "a"
    assert payload.identity(document({"uuid": "b"})) == "b"
    assert payload.identity(document({"version": "7"})) is None
    assert payload.identity(document()) is None
    with pytest.raises(PayloadError):
        payload.sites(document({"desc": "no name"}))


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True)
    | st.text(st.characters(), max_size=300)
    | st.sampled_from(["", "\ud800", "nan", "-1", "1e999", "9" * 400])
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
_changes = st.dictionaries(st.sampled_from(sorted(WIRED | WIRELESS)), _values, max_size=6)
_records = st.builds(lambda base, change: base | change, st.sampled_from([WIRED, WIRELESS]), _changes) | _values


def usable_or_refused(body: bytes) -> None:
    """Nothing but PayloadError comes out of any document, and nothing negative or too large."""
    try:
        decoded = payload.stations(body)
    except PayloadError:
        return
    poll = Readings().poll([SiteClients("s", decoded.stations, 5.0, 7.0)], bad=decoded.bad.items())
    for reading in poll.readings:
        count = reading.count
        assert min(count.download, count.upload, count.download_packets, count.upload_packets) >= 0
        assert max(count.download, count.upload, count.download_packets, count.upload_packets) < 2**63
    for client in poll.clients:
        for text in (client.name, client.vendor, client.network, client.ssid, client.ap, client.ip):
            assert len(text.encode()) <= 4 * 256


@given(st.lists(_records, max_size=5))
def test_any_records(records: list[Any]) -> None:
    body = json.dumps({"meta": {"rc": "ok"}, "data": records}).encode()
    usable_or_refused(body)
    decoded = payload.stations(body) if "\\u" not in body.decode() and b"999" not in body else None
    if decoded is not None:
        assert len(decoded.stations) + decoded.bad.total() == len(records)


@given(st.data())
def test_any_damage_to_the_text(data: st.DataObject) -> None:
    body = bytearray(document(WIRED, WIRELESS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(at, min(len(body), at + 30)))
        body[at:end] = data.draw(
            st.binary(max_size=8) | st.sampled_from([b"-", b"1e400", b"null", b'"', b"{", b"\\ud800"])
        )
    usable_or_refused(bytes(body))
