"""The router's lines to the outside as readings: the counters of the devices that carry a default route. Pure.

A device's counters begin at 0 with the device, and its index is never used twice while a kernel runs (dev_new_index in
net/core/dev.c counts upward). So boot id, device and index name a life that begins at 0. A PPPoE line gets a new device
with each connection. One thing keeps its counters under a new index: a device that came back from another network
namespace. So within one boot a new index may have gone on, and then the smaller of the two counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from exporter.model import ZERO, CounterKey, Life, Reading, SubjectKey, Wan
from exporter.sources.nlbwmon.network import Interface, Network


class Line(NamedTuple):
    """A line to the outside and the device that carries it."""

    name: str
    interface: Interface


class Wans:
    """The lines of one router, as far as this process saw them."""

    def __init__(self, identity: str) -> None:
        """identity: the pinned host key's fingerprint."""
        self._identity = identity
        self._names: dict[str, str] = {}
        self._lines: dict[str, Line] = {}
        self._boot = ""
        self._first: dict[CounterKey, int] | None = None

    def read(self, network: Network, boot: str) -> tuple[tuple[Reading, ...], tuple[Wan, ...]]:
        """Readings of the lines that are up, and what is known of all of them. boot: its id, "" where it is hidden."""
        if network.interfaces is None:
            return (), ()
        up = {line.name: line for line in self._up(network.interfaces)}
        shown = {interface.name: interface for interface in network.interfaces}
        # A line that is down has no route any more: that it is one is remembered for as long as netifd shows it.
        down = {name: Line(name, shown[name]) for name in self._lines.keys() - up.keys() if name in shown}
        self._lines = down | up
        if boot != self._boot:
            self._first = {} if self._boot and boot else None
            self._boot = boot
        readings = [reading for line in up.values() if (reading := self._reading(line, network, boot))]
        return tuple(readings), tuple(_facts(line, network, up) for line in self._lines.values())

    def _up(self, interfaces: Iterable[Interface]) -> list[Line]:
        """One line for each device: with the name it had, else that of the interface whose IPv4 goes through it."""
        sharing: dict[str, list[Interface]] = {}
        for interface in interfaces:
            if interface.device:
                sharing.setdefault(interface.device, []).append(interface)
        lines = []
        for device, on_it in sharing.items():
            routed = sorted((each for each in on_it if each.up and (each.v4 or each.v6)), key=lambda each: not each.v4)
            if not routed:
                continue
            kept = self._names.get(device)
            name = kept if kept in {each.name for each in on_it} else routed[0].name
            self._names[device] = name
            lines.append(Line(name, replace(routed[0], ip=next((each.ip for each in routed if each.ip), ""))))
        return lines

    def _reading(self, line: Line, network: Network, boot: str) -> Reading | None:
        device = line.interface.device
        count, link = network.counts.get(device), network.links.get(device)
        if count is None:
            return None
        key = CounterKey("wan", "", f"{line.name}|{device}")
        life = None
        if boot and link:
            mark = f"{self._identity}|{boot}|{device}|{link.index}"
            life = Life(mark, None, ZERO, (), self._may_have_gone_on(key, link.index))
        subjects = (SubjectKey("wan", "", line.name),)
        return Reading(key, subjects, count, speed=_speed(line.interface, network), life=life, base=None, wraps=True)

    def _may_have_gone_on(self, key: CounterKey, index: int) -> bool:
        """Whether an older life of this counter may be of this very boot: only a boot that we saw begin has none."""
        return self._first is None or self._first.setdefault(key, index) != index


def _speed(interface: Interface, network: Network) -> float | None:
    links = (network.links.get(device) for device in (interface.device, interface.parent))
    return next((link.speed for link in links if link and link.speed), None)


def _facts(line: Line, network: Network, up: Mapping[str, Line]) -> Wan:
    interface = line.interface
    is_up = line.name in up
    return Wan(
        "",
        line.name,
        interface=interface.device or interface.parent,
        ip=interface.ip if is_up else "",
        up=is_up,
        link_speed=_speed(interface, network),
    )
