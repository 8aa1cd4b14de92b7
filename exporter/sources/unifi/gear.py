"""From the controller's device records to readings and facts. Pure: directions, units and kinds of UniFi end here.

Directions (UniFi reference, §0 fact 2 and §3.1). Every interface is seen from inside its device, so what faces the
internet (an uplink, a WAN) receives what is downloaded, and a port sends what whoever is plugged in downloads. Only the
counter of an access point is told from the client's side, where tx is the download.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection as Many
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from exporter.model import Collection, Count, CounterKey, Device, Gear, Life, Poll, Port, Reading, SubjectKey, Wan
from exporter.sources.unifi import device_payload as wire
from exporter.sources.unifi.readings import MBIT, TEXT_LIMIT, label_value

KINDS: Final = {"devices": "device", "wans": "wan", "ports": "port"}
"""What may be collected of `stat/device`, as a configuration calls it, and the kind of its subjects."""

CONNECTED: Final = 1  # of `state`; every other one is some way of not being there (reference, §3.4)
FASTEST: Final = 1_000_000.0  # Mbit/s; above it is a driver's way to say that it does not know

# Mbit/s that a medium can carry. What it is just carrying may be less: a link that has come down to 100 Mbit/s must not
# make the bytes that it moved before look impossible.
MEDIA: Final = {
    "FE": 100.0,
    "GE": 1000.0,
    "2P5GE": 2500.0,
    "2.5GE": 2500.0,
    "5GE": 5000.0,
    "10GE": 10_000.0,
    "SFP": 1000.0,
    "SFP+": 10_000.0,
    "SFP28": 25_000.0,
    "QSFP28": 100_000.0,
}

_TYPES: Final = {"uap": "ap", "usw": "switch", "ugw": "gateway", "udm": "gateway", "uxg": "gateway"}
_SOCKETS: Final = ("UP1", "UP6", "USPPDU")  # plugs say that they are access points, power strips that they are switches
_is_mac = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}").fullmatch


class SiteDevices(Struct, frozen=True):
    """One site's device records as they came home."""

    site: str
    devices: Sequence[wire.Device]


class Gathered(NamedTuple):
    """What they came to. complete: the collections that were read. bad: what cannot be used, by reason."""

    readings: list[Reading]
    gear: list[Gear]
    complete: list[Collection]
    bad: Counter[str]


def gather(
    sites: Sequence[SiteDevices], *, collect: Many[str] = tuple(KINDS), exclude: Many[str] = frozenset()
) -> Gathered:
    """Readings and facts of the devices of these sites, of the kinds named in `collect`.

    exclude: MACs in lower case that are left out altogether.
    """
    kinds = [KINDS[name] for name in collect if name in KINDS]
    found = Gathered([], [], [Collection(kind, site.site) for site in sites for kind in kinds], Counter())
    for site in sites:
        facts: dict[SubjectKey, tuple[tuple[bool, float], Gear]] = {}
        for device in site.devices:
            mac = device.mac.lower()
            if not _is_mac(mac):
                found.bad["mac"] += 1
            elif mac not in exclude:
                here = _Here(site.site, mac, device, found)
                _remember(facts, here, here.all_of(kinds))
        found.gear.extend(fact for _, fact in facts.values())
    return found


def beside(poll: Poll, found: Gathered) -> Poll:
    """The poll of the clients, with what was gathered of the gear."""
    return replace(
        poll,
        readings=(*poll.readings, *found.readings),
        gear=(*poll.gear, *found.gear),
        complete={**poll.complete, **dict.fromkeys(found.complete, "")},
        bad_records=dict(Counter(poll.bad_records) + found.bad),
    )


def _remember(facts: dict[SubjectKey, tuple[tuple[bool, float], Gear]], here: _Here, gear: Iterator[Gear]) -> None:
    """One fact for each subject. Two gateways may both have a `wan1`: the one that is there is told, or heard last."""
    rank = (here.up is True, here.device.last_seen or 0.0)
    for fact in gear:
        known = facts.get(fact.subject)
        if known is None or rank > known[0]:
            facts[fact.subject] = rank, fact


class _Here:
    """One record on its way to readings, which go to `found`, and facts."""

    def __init__(self, site: str, mac: str, device: wire.Device, found: Gathered) -> None:
        self.site = site
        self.mac = mac
        self.device = device
        self.up = None if device.state is None else device.state == CONNECTED
        self._found = found
        self._uplink = uplink_port(device)

    def all_of(self, kinds: Many[str]) -> Iterator[Gear]:
        """The facts of these kinds."""
        if "device" in kinds:
            self._count_device()
            yield self._device()
        if "wan" in kinds:
            for name, wan in self.device.wans.items():
                yield self._wan(name, wan)
        if "port" in kinds:
            yield from self._ports()

    def _device(self) -> Device:
        device, machine = self.device, self.device.machine
        there = self.up is True  # a device that is not there is listed with what was true once
        return Device(
            self.site,
            self.mac,
            name=_text(device.name),
            model=_text(device.model),
            kind=kind_of(device),
            version=_text(device.version),
            ip=_address(device.ip),
            up=self.up,
            uptime=device.uptime if there else None,
            clients=device.num_sta if there else None,
            cpu_ratio=_ratio(machine.cpu) if there else None,
            memory_ratio=_ratio(machine.mem) if there else None,
        )

    def _wan(self, name: str, wan: wire.Interface) -> Wan:
        interface = _text(wan.ifname or wan.name) or name
        there = self.up is True
        fact = Wan(
            self.site,
            name,
            device=self.mac,
            interface=interface,
            ip=_address(wan.ip),
            up=wan.up if there else None,
            latency=self._latency(wan) if there else None,
            link_speed=link_speed(wan) if there else None,
        )
        self._count(fact.subject, interface, _received(wan), wan.bad, speed=fastest(wan))
        return fact

    def _latency(self, wan: wire.Interface) -> float | None:
        """Seconds. The uplink is the line in use; what is measured over it is told there. 0 is not measured."""
        uplink = self.device.uplink
        names = {wan.ifname, wan.name, wan.uplink_ifname} - {None, ""}
        in_use = uplink is not None and uplink.name in names
        latency = wan.latency or (uplink.latency if uplink is not None and in_use else None)
        return latency / 1000 if latency else None

    def _ports(self) -> Iterator[Port]:
        labels = [_label(port) for port in self.device.ports]
        times = Counter(labels)
        for label, port in zip(labels, self.device.ports, strict=True):
            if not label or times[label] > 1 or port.bad in ("port", "shape"):
                self._found.bad[port.bad or "port"] += 1
                continue
            fact = Port(
                self.site,
                self.mac,
                label,
                name=_text(port.name),
                uplink=port.is_uplink is True or port is self._uplink,
                up=port.up if self.up is True else None,
                link_speed=link_speed(port) if self.up is True else None,
            )
            # tx is toward what is plugged in: a client, another device, or, at an uplink, the rest of the network.
            count = None if port.tx_bytes is None or port.rx_bytes is None else Count(port.tx_bytes, port.rx_bytes)
            self._count(fact.subject, label, count, port.bad, speed=fastest(port))
            yield fact

    def _count_device(self) -> None:
        """The bytes of the device as a whole: of its radios, or of the interface that it is attached by.

        A device of a type that we do not know has none: nobody has seen which way its counters go.
        """
        device, subject = self.device, SubjectKey("device", self.site, self.mac)
        match _TYPES.get(device.type or ""):
            case "ap":
                # Not an interface's counter: it goes on over another uplink, and so does its key.
                self._count(subject, "", _sent(device), device.bad, life=proved_life(device))
            case "switch" if self._uplink is not None:
                port = self._uplink
                self._count(subject, _label(port), _received(port), port.bad, speed=fastest(port))
            case "gateway" if device.uplink is not None:
                uplink = device.uplink
                name = _text(uplink.name) or _label(uplink)
                self._count(subject, name, _received(uplink), uplink.bad, speed=fastest(uplink))

    def _count(
        self,
        subject: SubjectKey,
        meter: str,
        count: Count | None,
        bad: str,
        *,
        speed: float | None = None,
        life: Life | None = None,
    ) -> None:
        """Add a reading of the counter `meter` of this device, or say why there can be none."""
        if bad:
            self._found.bad[bad] += 1
        elif count is not None:
            key = CounterKey(subject.kind, self.site, f"{self.mac}|{meter}")
            seen = self.device.last_seen or 0.0
            self._found.readings.append(Reading(key, (subject,), count, seen, speed=speed, life=life))


def kind_of(device: wire.Device) -> str:
    """The kind of a device, as `model.Device` has it. Sockets are neither access points nor switches."""
    model = device.model or ""
    if model in _SOCKETS or model.startswith("USPPDU"):
        return "other"
    return _TYPES.get(device.type or "", "other")


def uplink_port(device: wire.Device) -> wire.Interface | None:
    """The port that a device is attached by, as far as it can be told.

    Its counters are those of the device: what `uplink` and the device itself say is the same in most records, but 0 for
    a USMINI, and for a power strip a thousandth of what passed the port (UniFi reference, §3.4; recorded payloads).
    """
    marked = [port for port in device.ports if port.is_uplink]
    if len(marked) == 1:
        return marked[0]
    number = device.uplink.port_idx if device.uplink is not None else None
    named = [port for port in marked or device.ports if port.port_idx is not None and port.port_idx == number]
    return named[0] if len(named) == 1 else None


def proved_life(device: wire.Device) -> Life | None:
    """What `stat.ap` proves of an access point's counter, None where that is not the very counter it speaks of.

    It begins again at 0 whenever the controller begins to add up, and `duration` with it (UniFi reference, §3.2).
    """
    totals = device.totals
    same = totals.tx_bytes == device.tx_bytes and totals.rx_bytes == device.rx_bytes
    return Life(age=totals.duration / 1000) if same and totals.duration is not None else None


def link_speed(interface: wire.Interface) -> float | None:
    """Bytes per second of the link as it stands; None without one, or where it is not known."""
    speed = interface.speed or 0.0
    return speed * MBIT if 0 < speed <= FASTEST else None


def fastest(interface: wire.Interface) -> float | None:
    """Bytes per second that the link can be brought to by all that is known of it, None where nothing is."""
    known = (interface.speed, interface.max_speed, MEDIA.get((interface.media or "").upper()))
    return max((speed * MBIT for speed in known if speed and speed <= FASTEST), default=None)


def _sent(device: wire.Device) -> Count | None:
    """The counter of an access point: tx is toward its clients (download)."""
    return None if device.tx_bytes is None or device.rx_bytes is None else Count(device.tx_bytes, device.rx_bytes)


def _received(interface: wire.Interface) -> Count | None:
    """The counter of what faces the internet: rx comes from there (download)."""
    down, up = interface.rx_bytes, interface.tx_bytes
    return None if down is None or up is None else Count(down, up)


def _label(port: wire.Interface) -> str:
    """A port's number, or its name where it has none; gateways of the old kind number nothing."""
    return str(port.port_idx) if port.port_idx is not None else label_value(port.name or port.ifname or "")


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else round(percent / 100, 6)  # 27.4 % is 0.274, and not 0.27399999999999997


def _text(text: str | None) -> str:
    return (text or "")[:TEXT_LIMIT]


def _address(ip: str | None) -> str:
    """An address, "" for the one that stands for none."""
    return _text(ip) if (ip or "").strip("0.:") else ""
