"""A household's day: who uses the network when, and what goes wrong with it meanwhile. The same for the same seed."""

from __future__ import annotations

import math
from random import Random
from typing import Final, NamedTuple

from exporter.demo.network import Bytes, Network

DAY: Final = 86400.0  # seconds
MBIT: Final = 125_000  # bytes per second
REFRESH: Final = 20.0  # seconds; real controllers take 21 to 63


class Habit(NamedTuple):
    """How a kind of client behaves. Speeds in bytes per second while busy, chances per hour, `evening` from 0 to 1."""

    down: int
    up: int
    busy: float  # share of the time, at its best hour
    evening: float  # how much of that needs the right hour of the day
    roams: float = 0.0
    reconnects: float = 0.0
    sleeps: float = 0.0


PHONE: Final = Habit(6 * MBIT, MBIT // 2, 0.3, 0.9, roams=6, reconnects=2, sleeps=2)
LAPTOP: Final = Habit(25 * MBIT, 3 * MBIT, 0.5, 0.9, roams=2, reconnects=1, sleeps=0.5)
TV: Final = Habit(18 * MBIT, MBIT // 4, 0.7, 1.0)
CAMERA: Final = Habit(20_000, 4 * MBIT, 1.0, 0.0, reconnects=0.1)
PRINTER: Final = Habit(MBIT // 4, MBIT // 40, 0.02, 1.0, sleeps=0.5)
SENSOR: Final = Habit(200, 2_500, 0.9, 0.0, reconnects=0.3)
SERVER: Final = Habit(30 * MBIT, 20 * MBIT, 0.4, 0.3)
GUEST: Final = Habit(8 * MBIT, MBIT, 0.4, 0.7, roams=2, sleeps=3)

# name, vendor, habit, on a cable, its radio or its link in Mbit/s
HOUSEHOLD: Final[tuple[tuple[str, str, Habit, bool, str | int], ...]] = (
    ("Anna's phone", "Apple", PHONE, False, "ax"),
    ("Ben's phone", "Samsung", PHONE, False, "ax"),
    ("Mia's tablet", "Apple", PHONE, False, "ac"),
    ("Kitchen laptop", "Lenovo", LAPTOP, False, "ax"),
    ("Work laptop", "Dell", LAPTOP, False, "be"),
    ("Gaming PC", "ASUSTek", LAPTOP, True, 2500),
    ("Living room TV", "LG Electronics", TV, True, 100),
    ("Front door camera", "Axis", CAMERA, True, 100),
    ("Printer", "Brother", PRINTER, False, "ng"),
    ("Weather station", "Espressif", SENSOR, False, "ng"),
    ("", "Espressif", SENSOR, False, "ng"),  # a plug that nobody gave a name
    ("NAS", "Synology", SERVER, True, 1000),
)
MAX_GUESTS: Final = 6
GUESTS_PER_HOUR: Final = 1.0
AP_RESTARTS_PER_HOUR: Final = 0.3
CONTROLLER_RESTARTS_PER_HOUR: Final = 0.15
WAKES_PER_HOUR: Final = 6.0


class Life:
    """Moves a network's bytes and lets things happen to it. Give it to `Network` as its `traffic`."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)
        self._habits: dict[str, Habit] = {}
        self._guests = 0

    def settle(self, network: Network) -> None:
        """Move the household in: known for months, with counters that have been running for a while."""
        for number, (name, vendor, habit, wired, link) in enumerate(HOUSEHOLD, 1):
            mac = f"02:00:5e:00:00:{number:02x}"
            self._habits[mac] = habit
            hours = self._random.uniform(1, 60)
            network.add_client(
                mac,
                name,
                raw=Bytes(int(habit.down * hours * 90), int(habit.up * hours * 90)),
                age=self._random.uniform(30, 300) * DAY,
                hostname=name.replace(" ", "-").replace("'", "") or "espressif",
                vendor=vendor,
                wired=wired,
                ip=f"192.168.1.{100 + number}",
                proto=link if isinstance(link, str) else "",
                mbps=link if isinstance(link, int) else 0,
                ap="" if wired else network.aps[number % len(network.aps)],
                network="IoT" if habit is SENSOR or habit is CAMERA else "LAN",
            )

    def __call__(self, network: Network, seconds: float) -> None:
        """Let so many seconds pass."""
        evening = evening_of(network.now)
        for mac, connected in network.macs():
            if connected:
                self._use(network, mac, seconds, evening)
            elif self._happens(WAKES_PER_HOUR * evening, seconds):
                network.connect(mac)
        self._accidents(network, seconds)
        if self._guests < MAX_GUESTS and self._happens(GUESTS_PER_HOUR * evening, seconds):
            self._welcome(network)

    def _use(self, network: Network, mac: str, seconds: float, evening: float) -> None:
        habit = self._habits[mac]
        if self._random.random() < habit.busy * (1 - habit.evening * (1 - evening)):
            load = self._random.uniform(0.2, 1.0) * seconds
            network.move(mac, int(habit.down * load), int(habit.up * load * self._random.uniform(0.5, 1.0)))
        if self._happens(habit.roams, seconds):
            network.roam(mac)
        if self._happens(habit.reconnects, seconds):
            network.connect(mac)
        if self._happens(habit.sleeps * (1.5 - evening), seconds):
            network.disconnect(mac)

    def _accidents(self, network: Network, seconds: float) -> None:
        for ap in network.aps:
            if self._happens(AP_RESTARTS_PER_HOUR, seconds):
                network.restart_ap(ap)
        if self._happens(CONTROLLER_RESTARTS_PER_HOUR, seconds):
            network.restart_controller()

    def _welcome(self, network: Network) -> None:
        self._guests += 1
        mac = f"02:00:5e:00:02:{self._guests:02x}"
        self._habits[mac] = GUEST
        network.add_client(
            mac,
            hostname=f"guest-{self._guests}",
            vendor=self._random.choice(["Apple", "Samsung", "Google", ""]),
            ip=f"192.168.2.{100 + self._guests}",
            ssid="Guests",
            network="Guests",
            guest=True,
            ap=self._random.choice(network.aps),
        )

    def _happens(self, per_hour: float, seconds: float) -> bool:
        return self._random.random() < per_hour * seconds / 3600


def household(
    seed: int = 1, *, start: float, refresh: float = REFRESH, skew: float = 2.5, step: float = 10.0
) -> Network:
    """A network with a household in it whose controller's clock is a little ahead."""
    life = Life(seed)
    network = Network(start=start, refresh=refresh, traffic=life, step=step)
    network.skew = skew
    life.settle(network)
    return network


def evening_of(now: float) -> float:
    """How much of an evening it is, from 0.1 in the small hours to 1 at eight (UTC: the demo knows no zones)."""
    hour = now % DAY / 3600
    return 0.55 + 0.45 * math.cos((hour - 20) / 24 * 2 * math.pi)
