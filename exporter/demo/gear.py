"""The simulated site's own equipment: a gateway with two lines, a switch and access points, as `stat/device` shows it.

What clients move passes all of it, and every device has some traffic of its own. `down` is toward the clients, as in
`demo.network`; an interface knows only what it sent and received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

WRAP: Final = 2**32
GATEWAY: Final = "02:00:5e:00:03:01"
SWITCH: Final = "02:00:5e:00:03:02"
UPLINKS: Final = ("1", "2")  # ports of the switch that lead to the gateway; one of them carries
SWITCH_PORTS: Final = 16
LINES: Final = {"wan1": "wan", "wan2": "wan2"}  # and the gateway's port that each is plugged in
OWN: Final = (150, 60)  # bytes per second, down and up, of a device that talks to its controller

_AP_PORTS: Final = {"1": "Main", "2": "Secondary"}
_GATEWAY_PORTS: Final = {"wan": "eth0", "lan": "eth1", "wan2": "eth2"}


class Pair(NamedTuple):
    """Download and upload of a subject, in bytes."""

    download: int = 0
    upload: int = 0


NOTHING: Final = Pair()

Subject = tuple[str, str]
"""Whose bytes they are: "device", "wan" or "port", and its key as the exporter has it."""


@dataclass(slots=True)
class Interface:
    """What an interface sent and received since its device booted."""

    sent: int = 0
    received: int = 0

    def counters(self) -> dict[str, int]:
        """Its byte fields."""
        return {"tx_bytes": self.sent, "rx_bytes": self.received}


@dataclass(slots=True)
class Box:
    """A device. added: what the controller added up for it since `added_since`; air: what its radios count, in 32 bits.

    Where `away`, the device is not heard from and its record stays as it was.
    """

    mac: str
    name: str
    kind: str
    model: str
    booted: float
    added_since: float
    ports: dict[str, Interface]
    added: Pair = NOTHING
    air: Pair = NOTHING
    away: bool = False


class Gear:
    """The equipment of one site, `age` seconds after its last start. Used under the lock of its network.

    line: the one of `LINES` in use. uplink: the one of `UPLINKS`. flat: the controller is so old that what it adds up
    has no object of its own in `stat`. All three may be changed at any time.
    """

    def __init__(self, aps: Sequence[str], start: float, age: float = 40 * 86400.0) -> None:
        self.line = "wan1"
        self.uplink = UPLINKS[0]
        self.flat = False
        self._boxes: dict[str, Box] = {}
        self._add(GATEWAY, "Gateway", "ugw", "UGW3", start - age, _GATEWAY_PORTS)
        self._add(SWITCH, "Switch", "usw", "US16P150", start - age, [str(n) for n in range(1, SWITCH_PORTS + 1)])
        for number, ap in enumerate(aps, 1):
            self._add(ap, f"Access point {number}", "uap", "U7PG2", start - age, _AP_PORTS)
        self._plugged = {ap: str(number) for number, ap in enumerate(aps, len(UPLINKS) + 1)}
        self._moved: dict[Subject, Pair] = {}
        self._lived = start
        self._shown: dict[str, dict[str, Any]] = {}

    def _add(
        self, mac: str, name: str, kind: str, model: str, booted: float, ports: Sequence[str] | Mapping[str, str]
    ) -> None:
        self._boxes[mac] = Box(mac, name, kind, model, booted, booted, {port: Interface() for port in ports})

    @property
    def macs(self) -> list[str]:
        """All devices."""
        return list(self._boxes)

    def carry(self, mac: str, ap: str, down: int, up: int) -> None:
        """Let a client's bytes pass: over its access point, or over its port of the switch where `ap` is none."""
        box = self._boxes.get(ap)
        if box is not None:
            box.added = Pair(box.added.download + down, box.added.upload + up)
            box.air = Pair((box.air.download + down) % WRAP, (box.air.upload + up) % WRAP)
            self._tell(("device", ap), down, up)
            self._pass(ap, "1", up, down)
        self._pass(SWITCH, self._port_of(mac if box is None else ap), down, up)
        self._rise(down, up)

    def live(self, now: float) -> None:
        """Let the devices' own traffic pass, up to a moment."""
        seconds = max(0, int(now - self._lived))
        self._lived += seconds
        down, up = (rate * seconds for rate in OWN)
        for mac, box in self._boxes.items():
            if box.kind == "uap":
                self._pass(mac, "1", up, down)
                self._pass(SWITCH, self._port_of(mac), down, up)
            if box.kind == "ugw":
                self._leave(down, up)
            else:
                self._rise(down, up)
        self._pass(GATEWAY, "wan2", up, down)  # a line that nobody uses is looked at, to see whether it is there
        self._tell(("wan", "wan2"), down, up)
        if self.line == "wan2":
            self._tell(("device", GATEWAY), down, up)

    def restart(self, mac: str, now: float) -> None:
        """Restart a device: what it counts begins anew, and what the controller adds up for it."""
        self.live(now)
        box = self._boxes[mac]
        box.booted = now
        box.air = NOTHING
        box.ports = {port: Interface() for port in box.ports}
        box.added, box.added_since = NOTHING, now

    def restart_controller(self, now: float) -> None:
        """Restart the controller: it adds up anew, while the devices count on."""
        for box in self._boxes.values():
            box.added, box.added_since = NOTHING, now

    def leave(self, mac: str) -> None:
        """Let a device be heard of no more. What it does meanwhile still counts, once it is back."""
        self._boxes[mac].away = True

    def come_back(self, mac: str) -> None:
        """Let it be heard of again."""
        self._boxes[mac].away = False

    def moved(self) -> dict[Subject, Pair]:
        """What really passed, by subject, since the beginning."""
        return dict(self._moved)

    def records(self, now: float, skew: float, *, renew: bool) -> list[dict[str, Any]]:
        """The `stat/device` records: with `renew` as things stand, else as they were last shown.

        That of a device that is away stays as it was, but for its state. `skew`: as of the network.
        """
        self.live(now)
        for mac, box in self._boxes.items():
            if mac not in self._shown or (renew and not box.away):
                self._shown[mac] = self._record(box, now) | {"last_seen": int(now + skew)}
        return [self._shown[mac] | ({"state": 0} if box.away else {}) for mac, box in self._boxes.items()]

    def _port_of(self, what: str) -> str:
        """The switch's port that something is plugged in. All that finds none free shares the last one."""
        free = len(UPLINKS) + len(self._plugged) + 1
        return self._plugged.setdefault(what, str(min(free, SWITCH_PORTS)))

    def _rise(self, down: int, up: int) -> None:
        """Through the switch's uplink and the gateway."""
        self._pass(SWITCH, self.uplink, up, down)
        self._tell(("device", SWITCH), down, up)
        self._pass(GATEWAY, "lan", down, up)
        self._leave(down, up)

    def _leave(self, down: int, up: int) -> None:
        """Through the line in use."""
        self._pass(GATEWAY, LINES[self.line], up, down)
        self._tell(("wan", self.line), down, up)
        self._tell(("device", GATEWAY), down, up)

    def _pass(self, mac: str, port: str, sent: int, received: int) -> None:
        interface = self._boxes[mac].ports[port]
        interface.sent += sent
        interface.received += received
        self._tell(("port", f"{mac}|{port}"), sent, received)  # to whoever is plugged in, sent is downloaded

    def _tell(self, subject: Subject, download: int, upload: int) -> None:
        before = self._moved.get(subject, NOTHING)
        self._moved[subject] = Pair(before.download + download, before.upload + upload)

    def _record(self, box: Box, now: float) -> dict[str, Any]:
        """One record with the field names of the recorded payloads (UniFi reference, §3.4)."""
        about = {"uap": self._of_ap, "usw": self._of_switch, "ugw": self._of_gateway}[box.kind](box)
        return {
            "mac": box.mac,
            "name": box.name,
            "type": box.kind,
            "model": box.model,
            "version": "6.6.65",
            "ip": f"192.168.1.{1 + list(self._boxes).index(box.mac)}",
            "state": 1,
            "uptime": int(now - box.booted),
            "system-stats": {"cpu": "3.1", "mem": "27.4", "uptime": str(int(now - box.booted))},
            "stat": self._stat(box, now),
        } | about

    def _stat(self, box: Box, now: float) -> dict[str, Any]:
        name = box.kind[1:]
        stat = {
            name: box.mac,
            "duration": float(round((now - box.added_since) * 1000)),
            "tx_bytes": float(box.added.download),
            "rx_bytes": float(box.added.upload),
        }
        return stat if self.flat else {name: stat}

    def _of_ap(self, box: Box) -> dict[str, Any]:
        down, up = box.air
        return {
            "tx_bytes": box.added.download,
            "rx_bytes": box.added.upload,
            "uplink": {
                "name": "eth0",
                "type": "wire",
                "speed": 1000,
                "max_speed": 1000,
                "tx_bytes": up,
                "rx_bytes": down,
            },
            "vap_table": [{"essid": "Home", "tx_bytes": down, "rx_bytes": up}],
            "port_table": [
                _port(number, box.ports[number], name=name, up=number == "1") for number, name in _AP_PORTS.items()
            ],
        }

    def _of_switch(self, box: Box) -> dict[str, Any]:
        uplink = box.ports[self.uplink]
        used = {self.uplink, *self._plugged.values()}
        return {
            "tx_bytes": uplink.received,
            "rx_bytes": uplink.sent,
            "uplink": {"name": "eth0", "port_idx": int(self.uplink), "speed": 1000} | uplink.counters(),
            "port_table": [
                _port(number, port, name=f"Port {number}", up=number in used, is_uplink=number == self.uplink)
                for number, port in box.ports.items()
            ],
        }

    def _of_gateway(self, box: Box) -> dict[str, Any]:
        lines = {
            line: {"name": port, "ifname": _GATEWAY_PORTS[port], "ip": f"203.0.113.{n}", "up": True, "speed": 1000}
            | box.ports[port].counters()
            for n, (line, port) in enumerate(LINES.items(), 1)
        }
        used = box.ports[LINES[self.line]]
        return {
            "tx_bytes": used.received,
            "rx_bytes": used.sent,
            "uplink": lines[self.line] | {"name": _GATEWAY_PORTS[LINES[self.line]], "latency": 12},
            "port_table": [
                {"name": name, "ifname": ifname, "up": True, "speed": 1000} | box.ports[name].counters()
                for name, ifname in _GATEWAY_PORTS.items()
            ],
        } | lines


def _port(number: str, port: Interface, *, name: str, up: bool, is_uplink: bool = False) -> dict[str, Any]:
    return {
        "port_idx": int(number),
        "name": name,
        "media": "GE",
        "up": up,
        "speed": 1000 if up else 0,
        "is_uplink": is_uplink,
    } | port.counters()
