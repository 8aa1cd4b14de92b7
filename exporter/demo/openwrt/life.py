"""The same household behind a router: what it does on the internet, and what happens to the router meanwhile.

The same for the same seed. The two sources of the demo live days of their own: neither is a part of the other's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from exporter.demo.life import CAMERA, GUEST, HOUSEHOLD, LAPTOP, PHONE, PRINTER, SENSOR, SERVER, TV, Habit, evening_of
from exporter.demo.openwrt.daemon import Options
from exporter.demo.openwrt.router import Router
from exporter.demo.openwrt.rows import NO_MAC, Key, known

HOSTILE: Final = '"} 1\nup 0'
"""The name of somebody's phone."""

STRANGERS: Final = 250
LIMIT: Final = 300  # rows; the household alone has fewer than a hundred
LOOKUP: Final = (240, 90)  # bytes of a DNS answer and its question, and a little more

Uses = tuple[tuple[str, int, float], ...]

BROWSING: Final[Uses] = (("TCP", 443, 0.55), ("UDP", 443, 0.4), ("TCP", 80, 0.05))
USES: Final[Mapping[Habit, Uses]] = {
    PHONE: BROWSING,
    GUEST: BROWSING,
    LAPTOP: (("TCP", 443, 0.5), ("UDP", 443, 0.3), ("TCP", 3389, 0.1), ("TCP", 22, 0.1)),
    TV: (("TCP", 443, 0.9), ("UDP", 443, 0.1)),
    CAMERA: (("TCP", 443, 1.0),),
    PRINTER: (("TCP", 80, 1.0),),
    SENSOR: (("TCP", 443, 0.7), ("UDP", 123, 0.3)),
    SERVER: (("TCP", 443, 0.6), ("TCP", 6881, 0.4)),
}
"""Protocol, port and share of what each kind of client does."""


class Accidents(NamedTuple):
    """How often what happens, per hour.

    cuts: the power goes; late: how many of these leave the clock behind. scans: a stranger behind the VPN asks for so
    many addresses that rows are driven out.
    """

    redials: float = 1 / 24
    restarts: float = 1 / 50
    kills: float = 1 / 300
    cuts: float = 1 / 100
    late: float = 0.3
    scans: float = 1 / 400


@dataclass(slots=True)
class _Client:
    habit: Habit
    mac: str
    ip: str
    ip6: str


class RouterLife:
    """Moves a router's bytes and lets things happen to it. Give it to `Router` as its `traffic`."""

    def __init__(self, seed: int = 1, accidents: Accidents | None = None) -> None:
        self._random = Random(seed)
        self._accidents = accidents or Accidents()
        self._clients: list[_Client] = []
        self._scans = 0

    def settle(self, router: Router) -> None:
        """Move the household in, with what it moved this month already."""
        for number, (name, _, habit, _, _) in enumerate(HOUSEHOLD, 1):
            mac = f"02:00:5e:00:00:{number:02x}"
            self._join(router, habit, name.replace(" ", "-").replace("'", ""), mac, number)
        self._join(router, PHONE, HOSTILE, "02:00:5e:00:00:1f", 31)
        self._clients.append(_Client(LAPTOP, NO_MAC, "10.8.0.2", ""))
        router.hosts["10.8.0.2"] = "work-vpn"
        for client in self._clients:
            hours = self._random.uniform(1, 60)
            self._use(router, client, int(client.habit.down * hours * 90), int(client.habit.up * hours * 90))
        if router.daemon is not None:
            router.daemon.refresh()

    def __call__(self, router: Router, seconds: float) -> None:
        """Let so many seconds pass."""
        evening = evening_of(router.now)
        for client in self._clients:
            habit = client.habit
            if self._random.random() < habit.busy * (1 - habit.evening * (1 - evening)):
                load = self._random.uniform(0.2, 1.0) * seconds
                self._use(router, client, int(habit.down * load), int(habit.up * load * self._random.uniform(0.5, 1.0)))
        self._happenings(router, seconds)

    def _join(self, router: Router, habit: Habit, name: str, mac: str, number: int) -> None:
        client = _Client(habit, mac, f"192.168.1.{100 + number}", f"fd00:1::{100 + number}")
        self._clients.append(client)
        router.leases[mac, client.ip] = name

    def _use(self, router: Router, client: _Client, down: int, up: int) -> None:
        """Bytes over one connection, after a question for its name. Some of them are closed soon."""
        uses = USES[client.habit]
        proto, port, _ = self._random.choices(uses, [share for *_, share in uses])[0]
        newer = bool(client.ip6) and client.habit in (PHONE, LAPTOP, TV) and self._random.random() < 0.5
        key = _key(client, proto, port, newer=newer)
        router.move(_key(client, "UDP", 53, newer=newer), *LOOKUP)
        if self._random.random() < 0.3:
            router.open(key)  # another one
        router.move(key, down, up)
        if self._random.random() < 0.2:
            router.close(key)

    def _happenings(self, router: Router, seconds: float) -> None:
        accidents = self._accidents
        if self._happens(accidents.redials, seconds):
            router.reconnect()
        if self._happens(accidents.restarts, seconds) and router.daemon is not None:
            router.stop()
            router.start()
        if self._happens(accidents.kills, seconds) and router.daemon is not None:
            router.kill()
            router.start()
        if self._happens(accidents.cuts, seconds) and not router.away:
            late = self._random.random() < accidents.late
            router.cut_power(behind=self._random.uniform(600, 7200) if late else 0.0)
        if self._happens(accidents.scans, seconds):
            self._scan(router)

    def _scan(self, router: Router) -> None:
        """A stranger's addresses, each with a row of its own."""
        self._scans += 1
        for number in range(STRANGERS):
            key = Key(4, "TCP", 443, NO_MAC, f"10.9.{self._scans % 256}.{number}")
            router.move(key, 60, 120)
            router.close(key)

    def _happens(self, per_hour: float, seconds: float) -> bool:
        return self._random.random() < per_hour * seconds / 3600


def household_router(
    seed: int = 1,
    *,
    start: float,
    refresh: float = 30.0,
    step: float = 30.0,
    accidents: Accidents | None = None,
) -> Router:
    """A router with the household behind it, whose database is on flash."""
    life = RouterLife(seed, accidents)
    options = Options(refresh=refresh, limit=LIMIT)
    router = Router(start=start, options=options, flash=True, traffic=life, step=step, seed=seed)
    life.settle(router)
    return router


def _key(client: _Client, proto: str, port: int, *, newer: bool) -> Key:
    ip = client.ip6 if newer else client.ip
    return Key(6 if newer else 4, *known(proto, port), client.mac, ip)
