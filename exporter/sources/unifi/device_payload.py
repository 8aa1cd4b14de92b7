"""What `stat/device` says of the controller's own equipment, as types. Bytes in, records out; no I/O.

A record is read field by field and each field by itself: an odd one is left out and costs nothing else. What a counter
cannot be is remembered as `bad`, so that whoever would have used it can say so. Names and units are the controller's
(UniFi reference, §3.4).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct, field

from exporter.sources.unifi import payload
from exporter.sources.unifi.payload import TROUBLE, Amount, Moment, Rate

Index = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Percent = Annotated[float, Meta(ge=0, le=100)]

_is_wan = re.compile(r"wan[0-9]{1,3}").fullmatch


class Interface(Struct, gc=False):
    """An entry of `port_table`, the `uplink`, or a `wan<number>`: one interface and what passed it, seen from inside.

    speed, max_speed: Mbit/s, 0 without a link. latency: ms. bad: why its counter cannot be used, "" where nothing
    speaks against it: "shape", "bytes", or "port" for a number that is none.
    """

    port_idx: Index | None = None
    name: str | None = None
    ifname: str | None = None
    uplink_ifname: str | None = None
    is_uplink: bool | None = None
    up: bool | None = None
    speed: Rate | None = None
    max_speed: Rate | None = None
    media: str | None = None
    ip: str | None = None
    latency: Rate | None = None
    tx_bytes: Amount | None = None
    rx_bytes: Amount | None = None
    bad: str = ""


class Machine(Struct, gc=False):
    """`system-stats`, which the controller writes as text. Both are percentages."""

    cpu: Percent | None = None
    mem: Percent | None = None


class Totals(Struct, gc=False):
    """`stat`: what the controller itself has added up for a device since it began to. duration: ms that it took."""

    tx_bytes: Amount | None = None
    rx_bytes: Amount | None = None
    duration: Rate | None = None


class Device(Struct):
    """One record. uptime: seconds. bad: as of an `Interface`, for the counter of the device as a whole."""

    mac: str
    type: str | None = None
    model: str | None = None
    name: str | None = None
    version: str | None = None
    ip: str | None = None
    state: Index | None = None
    uptime: Moment | None = None
    last_seen: Moment | None = None
    num_sta: Index | None = None
    tx_bytes: Amount | None = None
    rx_bytes: Amount | None = None
    bad: str = ""
    machine: Machine = field(default_factory=Machine)
    totals: Totals = field(default_factory=Totals)
    uplink: Interface | None = None
    ports: tuple[Interface, ...] = ()
    wans: Mapping[str, Interface] = field(default_factory=dict)


class Devices(NamedTuple):
    """The usable records of a document, and how many were skipped, by reason: "shape" or "mac"."""

    devices: list[Device]
    bad: Counter[str]


class _Field(NamedTuple):
    attribute: str
    written: str
    decoder: msgspec.json.Decoder[Any]
    reason: str  # "" for a fact that may be missing


# A counter in whose record one of these is unusable cannot be read, or not be told from another.
_VITAL: Final = {"tx_bytes": "bytes", "rx_bytes": "bytes", "port_idx": "port", "mac": "mac"}
_MADE_HERE: Final = frozenset({"bad", "machine", "totals", "uplink", "ports", "wans"})


def _fields(kind: type[Struct]) -> tuple[_Field, ...]:
    return tuple(
        _Field(f.name, f.encode_name, msgspec.json.Decoder(f.type, strict=False), _VITAL.get(f.name, ""))
        for f in msgspec.structs.fields(kind)
        if f.name not in _MADE_HERE
    )


_PORT: Final = _fields(Interface)
_INTERFACE: Final = tuple(f._replace(reason="") if f.reason == "port" else f for f in _PORT)  # known by its name
_MACHINE: Final = _fields(Machine)
_TOTALS: Final = _fields(Totals)
_DEVICE: Final = _fields(Device)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_LIST: Final = msgspec.json.Decoder(list[Raw])

Given = Mapping[str, Raw]


def devices(body: bytes) -> Devices:
    """The devices in a `stat/device` document. Raises `PayloadError` where the document as a whole cannot be used."""
    good: list[Device] = []
    bad: Counter[str] = Counter()
    for raw in payload.records(body):
        device = _device(raw)
        if isinstance(device, Device):
            good.append(device)
        else:
            bad[device] += 1
    return Devices(good, bad)


def _device(raw: Raw) -> Device | str:
    """The record, or why it has to be skipped."""
    given = _object(raw)
    if given is None:
        return "shape"
    values, bad = _read(given, _DEVICE)
    if "mac" not in values:
        return "mac"
    return Device(
        **values,
        bad=bad,
        machine=Machine(**_read(_inner(given, "system-stats"), _MACHINE)[0]),
        totals=_totals(given, values.get("type")),
        uplink=_interface(given["uplink"]) if _is_there(given, "uplink") else None,
        ports=_ports(given),
        wans={
            key: wan
            for key in given
            if _is_wan(key) and _is_there(given, key) and (wan := _interface(given[key])) != Interface()
        },
    )


def _totals(given: Given, kind: str | None) -> Totals:
    """`stat` of a device: in an object of its own since version 5.11, flat before, with the MAC in that place."""
    stat = _inner(given, "stat")
    inner = {"uap": "ap", "usw": "sw"}.get(kind or "", "gw")
    return Totals(**_read(_inner(stat, inner) or stat, _TOTALS)[0])


def _ports(given: Given) -> tuple[Interface, ...]:
    if not _is_there(given, "port_table"):
        return ()
    try:
        return tuple(_interface(entry, _PORT) for entry in _LIST.decode(given["port_table"]))
    except TROUBLE:
        return (Interface(bad="shape"),)


def _interface(raw: Raw, fields: tuple[_Field, ...] = _INTERFACE) -> Interface:
    given = _object(raw)
    if given is None:
        return Interface(bad="shape")
    values, bad = _read(given, fields)
    return Interface(**values, bad=bad)


def _read(given: Given, fields: tuple[_Field, ...]) -> tuple[dict[str, Any], str]:
    """The fields that can be used, and the first reason why something vital among them cannot."""
    values: dict[str, Any] = {}
    bad = ""
    for attribute, written, decoder, reason in fields:
        if written not in given:
            continue
        try:
            values[attribute] = _value(decoder, given[written], mend=not reason)
        except TROUBLE:
            bad = bad or reason
    return values, bad


def _value(decoder: msgspec.json.Decoder[Any], raw: Raw, *, mend: bool) -> Any:
    """A field's value. Text is mended where it has to be; a number that had to be would be made up."""
    try:
        return decoder.decode(raw)
    except TROUBLE:
        if not mend:
            raise
        return decoder.decode(payload.clean(bytes(raw)))


def _object(raw: Raw) -> dict[str, Raw] | None:
    """The members of an object, None for anything else."""
    try:
        return _OBJECT.decode(raw)
    except TROUBLE:
        try:
            return _OBJECT.decode(payload.clean(bytes(raw)))
        except TROUBLE:
            return None


def _inner(given: Given, key: str) -> dict[str, Raw]:
    """The members of an object within, none where there is no such object."""
    return (_object(given[key]) if key in given else None) or {}


def _is_there(given: Given, key: str) -> bool:
    return key in given and bytes(given[key]).strip() != b"null"
