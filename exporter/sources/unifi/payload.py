"""What comes over the wire from the Network application, as types. Bytes in, records out; no I/O.

The typed decoder takes a whole document at once. Where that fails, each record is decoded by itself and each field
leniently, so that one bad record never costs the rest and one odd field never costs its record.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

T = TypeVar("T")

Amount = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Moment = Annotated[float, Meta(ge=0, le=1e11)]  # Unix seconds
Rate = Annotated[float, Meta(ge=0, le=1e15)]
Level = Annotated[float, Meta(ge=-1000, le=1000)]

TROUBLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""All that decoders raise for bad text or wrong types."""

_ERROR_SIZE = 4096  # bytes; an envelope that carries an error is short


class PayloadError(ValueError):
    """A document that cannot be used at all. The message says why and quotes nothing of it but `meta.msg`."""


class Station(Struct, gc=False):
    """One record of `stat/sta`: a client that is connected. Names and units are the controller's (reference, §3.3)."""

    mac: str = ""
    is_wired: bool | None = None
    tx_bytes: Amount | None = None
    rx_bytes: Amount | None = None
    tx_packets: Amount | None = None
    rx_packets: Amount | None = None
    wired_tx_bytes: Amount | None = field(default=None, name="wired-tx_bytes")
    wired_rx_bytes: Amount | None = field(default=None, name="wired-rx_bytes")
    wired_tx_packets: Amount | None = field(default=None, name="wired-tx_packets")
    wired_rx_packets: Amount | None = field(default=None, name="wired-rx_packets")
    tx_rate_now: Rate | None = field(default=None, name="tx_bytes-r")
    rx_rate_now: Rate | None = field(default=None, name="rx_bytes-r")
    wired_tx_rate_now: Rate | None = field(default=None, name="wired-tx_bytes-r")
    wired_rx_rate_now: Rate | None = field(default=None, name="wired-rx_bytes-r")
    wired_rate_mbps: Rate | None = None
    radio_proto: str | None = None
    assoc_time: Amount | None = None
    first_seen: Moment | None = None
    last_seen: Moment | None = None
    name: str | None = None
    hostname: str | None = None
    oui: str | None = None
    network: str | None = None
    essid: str | None = None
    ap_mac: str | None = None
    ip: str | None = None
    is_guest: bool | None = None
    signal: Level | None = None
    satisfaction: Level | None = None


# A record in which one of these is unusable cannot be counted. Everything else only describes the client.
_VITAL = {"mac": "mac"} | {
    f"{link}{way}_{unit}": unit for link in ("", "wired_") for way in ("tx", "rx") for unit in ("bytes", "packets")
}
_FIELDS = tuple(
    (f.name, f.encode_name, msgspec.json.Decoder(f.type, strict=False), _VITAL.get(f.name, ""))
    for f in msgspec.structs.fields(Station)
)


class Site(Struct):
    """One record of `self/sites`: a site that the account may see. name: as in URLs. desc: as people know it."""

    name: str
    desc: str = ""
    role: str = ""


class SystemInformation(Struct):
    """The record of `stat/sysinfo`, as far as it names the controller."""

    anonymous_controller_id: str | None = None
    uuid: str | None = None


class _Meta(Struct):
    rc: str = ""
    msg: str = ""


class _Envelope(Struct, Generic[T]):
    meta: _Meta
    data: list[T]


class _Failure(Struct):
    meta: _Meta


class Stations(NamedTuple):
    """The usable records of a document, and how many were skipped, by reason: "shape", "mac", "bytes", "packets"."""

    stations: list[Station]
    bad: Counter[str]


_STATIONS = msgspec.json.Decoder(_Envelope[Station], strict=False)
_RECORDS = msgspec.json.Decoder(_Envelope[Raw], strict=False)
_RECORD = msgspec.json.Decoder(Station, strict=False)
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_FAILURE = msgspec.json.Decoder(_Failure, strict=False)
_SITES = msgspec.json.Decoder(_Envelope[Site], strict=False)
_SYSTEM = msgspec.json.Decoder(_Envelope[SystemInformation], strict=False)


def error_code(body: bytes) -> str:
    """The `api.err.…` code of a document that reports an error, "" for any other: errors may come with HTTP 200."""
    if len(body) > _ERROR_SIZE:
        return ""
    try:
        meta = _FAILURE.decode(body).meta
    except TROUBLE:
        return ""
    return "" if meta.rc == "ok" else _quote(meta.msg or "meta.rc " + meta.rc)


def succeeded(body: bytes) -> bool:
    """Whether a document is an envelope of the Network application that reports no error."""
    try:
        return _FAILURE.decode(body).meta.rc == "ok"
    except TROUBLE:
        return False


def stations(body: bytes) -> Stations:
    """The clients in a `stat/sta` document. Raises `PayloadError` where the document as a whole cannot be used."""
    try:
        return Stations(_checked(_STATIONS.decode(body)), Counter())
    except PayloadError:
        raise
    except TROUBLE:
        return _one_by_one(records(body))


def sites(body: bytes) -> list[Site]:
    """The sites in a `self/sites` document. Raises `PayloadError`."""
    return _small(_SITES, body)


def identity(body: bytes) -> str | None:
    """Which controller wrote a `stat/sysinfo` document, None where it does not say. Raises `PayloadError`."""
    for record in _small(_SYSTEM, body):
        return record.anonymous_controller_id or record.uuid or None
    return None


def _checked(envelope: _Envelope[T]) -> list[T]:
    if envelope.meta.rc != "ok":
        raise PayloadError(f"the controller reports {_quote(envelope.meta.msg or 'an error')}")
    return envelope.data


def _small(decoder: msgspec.json.Decoder[_Envelope[T]], body: bytes) -> list[T]:
    try:
        try:
            return _checked(decoder.decode(body))
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _checked(decoder.decode(clean(body)))
    except PayloadError:
        raise
    except TROUBLE:
        raise PayloadError("not the JSON document that belongs here") from None


def records(body: bytes) -> list[Raw]:
    """The records of a document, each as its own text. Raises `PayloadError`."""
    return _small(_RECORDS, body)


def _one_by_one(raws: list[Raw]) -> Stations:
    good: list[Station] = []
    bad: Counter[str] = Counter()
    for raw in raws:
        try:
            good.append(_RECORD.decode(raw))
        except TROUBLE:
            station = _lenient(raw)
            if isinstance(station, Station):
                good.append(station)
            else:
                bad[station] += 1
    return Stations(good, bad)


def _lenient(raw: Raw) -> Station | str:
    """The record with its unusable fields left out, or why it has to be skipped."""
    try:
        given = _OBJECT.decode(clean(bytes(raw)))
    except TROUBLE:
        return "shape"
    values: dict[str, Any] = {}
    for name, wire_name, decoder, vital in _FIELDS:
        if wire_name in given:
            try:
                values[name] = decoder.decode(given[wire_name])
            except TROUBLE:
                if vital:
                    return vital
    return Station(**values)


def clean(text: bytes) -> bytes:
    """The same JSON without what strict decoders refuse: lone surrogates, bytes that are no UTF-8, NaN, infinities."""
    value = json.loads(text.decode("utf-8", "replace"), parse_constant=lambda _: None, parse_float=_finite)
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _quote(code: str) -> str:
    """A controller's error code, fit for a message: it is text from outside."""
    return "".join(character if character.isalnum() or character in "._- " else "?" for character in code[:80])
