"""A simulated UniFi site: clients, their sessions, and what the controller shows of them beside what is true.

Bytes are seen from the client: *down* is toward it. Times are Unix seconds; what the controller writes is on its own
clock, `skew` seconds ahead of the true one. Every method may be called from any thread.
"""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from threading import RLock
from typing import Any, Final, NamedTuple

from exporter.demo.gear import Gear

PACKET: Final = 1100  # bytes in a packet on average
RESTART: Final = 40.0  # seconds that a restarting controller is away


class Bytes(NamedTuple):
    """A pair of directions, in bytes."""

    down: int = 0
    up: int = 0


NOTHING: Final = Bytes()


class Truth(NamedTuple):
    """One line of the comparison. `moved` counts from where an exporter could first see the client; `shown` is raw."""

    mac: str
    name: str
    connected: bool
    moved: Bytes
    shown: Bytes


@dataclass(slots=True)
class Client:
    """An end station. `raw` is the controller's counter, `moved` all bytes ever; `first_seen` is on its clock."""

    mac: str
    name: str
    hostname: str = ""
    vendor: str = ""
    wired: bool = False
    proto: str = "ax"
    mbps: int = 1000
    ap: str = ""
    ssid: str = "Home"
    network: str = "LAN"
    ip: str = ""
    guest: bool = False
    connected: bool = True
    first_seen: float = 0.0
    assoc_time: float = 0.0
    last_seen: float = 0.0
    raw: Bytes = NOTHING
    shown: Bytes = NOTHING
    moved: Bytes = NOTHING
    moved_shown: Bytes = NOTHING  # `moved` at the moment that `shown` was taken
    unseen: Bytes | None = None  # what had moved before an exporter could see the client; None: it cannot yet
    rate: tuple[float, float] = (0.0, 0.0)  # bytes per second since the last refresh


class Network:
    """One site. `traffic`, where given, is called after each `step` seconds of time that passes (see `demo.life`)."""

    def __init__(
        self,
        *,
        site: str = "default",
        start: float = 1_700_000_000.0,
        refresh: float = 0.0,
        traffic: Callable[[Network, float], None] | None = None,
        step: float = 10.0,
    ) -> None:
        self.site = site
        self.now = start
        self.skew = 0.0
        self.away_until = -math.inf
        self.aps = ["02:00:5e:00:01:01", "02:00:5e:00:01:02"]
        self.gear = Gear(self.aps, start)
        self._refresh = refresh
        self._traffic = traffic
        self._step = step
        self._stepped = start
        self._refreshed = start
        self._lock = RLock()
        self._served = False
        self._clients: dict[str, Client] = {}

    @property
    def meter_now(self) -> float:
        """The controller's clock."""
        return self.now + self.skew

    @property
    def away(self) -> bool:
        """Whether the controller is just restarting and cannot be reached."""
        return self.now < self.away_until

    def client(self, mac: str) -> Client:
        """A copy of a client as it is now. Raises KeyError for an unknown MAC."""
        with self._lock:
            return copy(self._clients[mac])

    def macs(self) -> list[tuple[str, bool]]:
        """All clients in the order they came, and whether each is connected."""
        with self._lock:
            return [(client.mac, client.connected) for client in self._clients.values()]

    def add_client(self, mac: str, name: str = "", *, raw: Bytes = NOTHING, age: float = 0.0, **facts: Any) -> None:
        """Let a client appear. `raw` is where its counters stand, `age` how long ago it was first seen."""
        with self._lock:
            born = self.meter_now - age
            client = Client(mac, name, first_seen=born, assoc_time=born, last_seen=self.meter_now, **facts)
            client.raw = client.shown = Bytes(*raw)
            client.unseen = NOTHING if self._served and age == 0 else None
            if not client.wired and not client.ap:
                client.ap = self.aps[0]
            self._clients[mac] = client

    def move(self, mac: str, down: int, up: int) -> None:
        """Let bytes pass. A client that is not connected moves none."""
        with self._lock:
            client = self._clients[mac]
            if client.connected:
                client.raw = Bytes(client.raw.down + down, client.raw.up + up)
                client.moved = Bytes(client.moved.down + down, client.moved.up + up)
                self.gear.carry(mac, "" if client.wired else client.ap, down, up)
                self._show_at_once(client)

    def reset(self, mac: str, raw: Bytes = NOTHING) -> None:
        """Restart a client's counters, with nothing else that would tell."""
        with self._lock:
            client = self._clients[mac]
            client.raw = Bytes(*raw)
            self._show(client)

    def disconnect(self, mac: str) -> None:
        """Take a client away: its record vanishes with the bytes that were not yet shown."""
        with self._lock:
            self._clients[mac].connected = False

    def connect(self, mac: str) -> None:
        """Bring a client back in a new session: its counters restart and `assoc_time` moves."""
        with self._lock:
            client = self._clients[mac]
            client.connected = True
            client.assoc_time = client.last_seen = self.meter_now
            self.reset(mac)

    def roam(self, mac: str) -> None:
        """Move a wireless client to the next access point. Its session and counters go on."""
        with self._lock:
            client = self._clients[mac]
            if not client.wired:
                client.ap = self.aps[(self.aps.index(client.ap) + 1) % len(self.aps)]

    def restart_ap(self, ap: str) -> None:
        """Restart an access point: the sessions of its clients begin anew."""
        with self._lock:
            self.gear.restart(ap, self.now)
            for client in self._clients.values():
                if client.connected and not client.wired and client.ap == ap:
                    self.connect(client.mac)

    def restart_controller(self, away: float = RESTART) -> None:
        """Restart the controller: all counters restart while `assoc_time` stays; it is gone for `away` seconds."""
        with self._lock:
            for client in self._clients.values():
                self.reset(client.mac)
            self.gear.restart_controller(self.now)
            self.away_until = self.now + away

    def advance(self, to: float) -> None:
        """Let time pass until `to`. Going back is ignored; the outcome is the same in however many calls it is done."""
        with self._lock:
            while self._stepped + self._step <= to:
                self._stepped += self._step
                self.now = self._stepped
                if self._traffic is not None:
                    self._traffic(self, self._step)
                self._refresh_due()
            self.now = max(self.now, to)

    def records(self) -> list[dict[str, Any]]:
        """The site's `stat/sta` records: what the controller shows now. Whoever asks has seen these clients."""
        with self._lock:
            self._served = True
            present = [client for client in self._clients.values() if client.connected]
            for client in present:
                if client.unseen is None:
                    client.unseen = client.moved_shown
                if self._refresh <= 0:
                    client.last_seen = self.meter_now
            return [self._record(client) for client in present]

    def device_records(self) -> list[dict[str, Any]]:
        """The site's `stat/device` records: what the controller shows now."""
        with self._lock:
            at = Tally("" if client.wired else client.ap for client in self._clients.values() if client.connected)
            records = self.gear.records(self.now, self.skew, renew=self._refresh <= 0)
            return [record | {"num_sta": at["" if record["type"] == "usw" else record["mac"]]} for record in records]

    def truth(self) -> list[Truth]:
        """What really moved, beside the raw values shown. Nothing counts before an exporter could see the client."""
        with self._lock:
            return [
                Truth(
                    client.mac,
                    client.name,
                    client.connected,
                    Bytes(client.moved.down - client.unseen.down, client.moved.up - client.unseen.up)
                    if client.unseen is not None
                    else NOTHING,
                    client.shown,
                )
                for client in self._clients.values()
            ]

    def _refresh_due(self) -> None:
        """Renew what is shown, where a whole refresh interval has passed. Happens at the ends of steps."""
        if self._refresh > 0 and self.now - self._refreshed >= self._refresh:
            passed = self.now - self._refreshed
            for client in self._clients.values():
                before = client.moved_shown
                self._show(client)
                client.rate = (client.moved.down - before.down) / passed, (client.moved.up - before.up) / passed
                if client.connected:
                    client.last_seen = self.meter_now
            self.gear.records(self.now, self.skew, renew=True)
            self._refreshed += self._refresh * math.floor(passed / self._refresh)

    def _show_at_once(self, client: Client) -> None:
        if self._refresh <= 0:
            self._show(client)

    @staticmethod
    def _show(client: Client) -> None:
        client.shown = client.raw
        client.moved_shown = client.moved

    def _record(self, client: Client) -> dict[str, Any]:
        """One record with the field names of Network 9 (UniFi reference, §3.3)."""
        link = "wired-" if client.wired else ""
        down, up = client.shown
        record: dict[str, Any] = {
            "mac": client.mac,
            "hostname": client.hostname,
            "oui": client.vendor,
            "is_wired": client.wired,
            "is_guest": client.guest,
            "network": client.network,
            "ip": client.ip,
            "first_seen": int(client.first_seen),
            "assoc_time": int(client.assoc_time),
            "last_seen": int(client.last_seen),
            "uptime": int(client.last_seen - client.assoc_time),
            "satisfaction": 98,
            link + "tx_bytes": down,
            link + "rx_bytes": up,
            link + "tx_packets": -(-down // PACKET),
            link + "rx_packets": -(-up // PACKET),
            link + "tx_bytes-r": client.rate[0],
            link + "rx_bytes-r": client.rate[1],
        }
        if client.name:
            record["name"] = client.name
        if client.wired:
            record |= {"wired_rate_mbps": client.mbps}
        else:
            record |= {"essid": client.ssid, "ap_mac": client.ap, "radio_proto": client.proto, "signal": -58}
        return record
