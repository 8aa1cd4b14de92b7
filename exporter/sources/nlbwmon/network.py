"""What a router says of its lines: interfaces, byte counters, links, default routes. Text in, records out; no I/O.

All of it comes from outside and may be missing, cut off or hostile: what cannot be read is left out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from exporter.model import Count
from exporter.sources.nlbwmon.payload import MOST

NAME_LIMIT: Final = 64  # characters; netifd's own limit on the names of interfaces is lower
MEGABIT: Final = 125_000.0  # bytes per second

_DEVICE: Final = rb"[0-9A-Za-z._-]{1,15}"
_LINK: Final = re.compile(rb"^(%b) ([0-9]{1,9}) (-?[0-9]{1,9})$" % _DEVICE, re.MULTILINE)
_NET: Final = re.compile(rb"^ *(%b): *((?:[0-9]{1,20} +){15}[0-9]{1,20})\s*$" % _DEVICE, re.MULTILINE)
_ROUTE4: Final = re.compile(
    rb"^(%b)\s+00000000\s+[0-9A-F]{8}\s+([0-9A-F]{4})(?:\s+\S+){3}\s+00000000\s" % _DEVICE, re.MULTILINE
)
_ROUTE6: Final = re.compile(rb"^0{32} 00 (?:\S+ +){6}([0-9a-f]{8}) +(%b)$" % _DEVICE, re.MULTILINE)
_REJECT: Final = 0x0200  # RTF_REJECT of route.h
_UP: Final = 0x0001
_ANY: Final = str(ipaddress.IPv4Address(0))
_is_device = re.compile(_DEVICE.decode()).fullmatch
_is_name = re.compile(r"[^\x00-\x1f|\ud800-\udfff]{1,64}").fullmatch


class Link(Struct, frozen=True):
    """A network device. index: of the device as the kernel made it; never used twice while a kernel runs.

    speed: bytes per second, None where it has none.
    """

    index: int
    speed: float | None


class Interface(Struct, frozen=True):
    """One of netifd's interfaces. device: what its packets go through ("" while it is down). parent: what that is on.

    v4, v6: whether a default route goes through it. known: whether netifd told it, and not the routing table alone.
    """

    name: str
    up: bool
    device: str = ""
    parent: str = ""
    ip: str = ""
    v4: bool = False
    v6: bool = False
    known: bool = True


class Network(Struct, frozen=True):
    """What one exchange told of the router's lines. interfaces: in netifd's order; None where it could not be asked.

    counts: by device; received is download, as seen from the router's network. links: by device.
    """

    interfaces: tuple[Interface, ...] | None = None
    counts: Mapping[str, Count] = {}
    links: Mapping[str, Link] = {}


def network(interfaces: bytes, net: bytes, links: bytes, routes: bytes) -> Network:
    """The sections of an exchange as records. Where netifd says nothing, devices with a default route stand in."""
    told = _interfaces(interfaces)
    return Network(tuple(_routed(routes)) if told is None else told, dict(_counts(net)), dict(_links(links)))


def _interfaces(text: bytes) -> tuple[Interface, ...] | None:
    try:
        document: Any = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    listed = document.get("interface") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return None
    found = (_interface(entry) for entry in listed if isinstance(entry, dict))
    return tuple(interface for interface in found if interface)


def _interface(entry: Mapping[str, Any]) -> Interface | None:
    name = entry.get("interface")
    if not isinstance(name, str) or not _is_name(name):
        return None
    parent, device = (_device(entry.get(key)) for key in ("device", "l3_device"))
    addresses = [*_listed(entry, "ipv4-address"), *_listed(entry, "ipv6-address")]
    targets = [route.get("target") for route in _listed(entry, "route") if route.get("mask") == 0]
    return Interface(
        name,
        entry.get("up") is True,
        device,
        parent,
        next((text for each in addresses if (text := _address(each.get("address")))), ""),
        _ANY in targets,
        "::" in targets,
    )


def _listed(entry: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = entry.get(key)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _device(value: object) -> str:
    return value if isinstance(value, str) and _is_device(value) else ""


def _address(value: object) -> str:
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) and "%" not in value else ""
    except ValueError:
        return ""


def _routed(text: bytes) -> Iterator[Interface]:
    """Devices with a default route, of /proc/net/route and /proc/net/ipv6_route."""
    v4 = [device.decode() for device, flags in _ROUTE4.findall(text) if _usable(flags)]
    v6 = [device.decode() for flags, device in _ROUTE6.findall(text) if _usable(flags)]
    for device in dict.fromkeys([*v4, *v6]):
        if device != "lo":
            yield Interface(device, True, device, "", "", device in v4, device in v6, known=False)


def _usable(flags: bytes) -> bool:
    value = int(flags, 16)
    return bool(value & _UP) and not value & _REJECT


def _counts(text: bytes) -> Iterable[tuple[str, Count]]:
    """/proc/net/dev: 8 numbers of what was received, then 8 of what was sent; bytes and packets come first."""
    for device, numbers in _NET.findall(text):
        values = [int(number) for number in numbers.split()]
        count = Count(values[0], values[8], values[1], values[9])
        if max(count.download, count.upload, count.download_packets, count.upload_packets) <= MOST:
            yield device.decode(), count


def _links(text: bytes) -> Iterable[tuple[str, Link]]:
    for device, index, speed in _LINK.findall(text):
        rate = int(speed)
        yield device.decode(), Link(int(index), rate * MEGABIT if rate > 0 else None)
