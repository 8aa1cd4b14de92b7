"""A router around its daemon: power, boots and clock, connections, interfaces, and the names of its clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from threading import RLock
from typing import Final
from uuid import UUID

from exporter.demo.network import NOTHING, PACKET, Bytes
from exporter.demo.openwrt.daemon import CorruptError, Daemon, Disk, File, Flow, Kernel, Now, Options, forget, lose
from exporter.demo.openwrt.rows import PROTOCOLS, Key
from exporter.demo.openwrt.truth import Ledger, add

BOOT: Final = 40.0  # seconds from the power's return until the kernel runs
START: Final = 20.0  # seconds from there until nlbwmon does
NTP: Final = 90.0  # seconds from there until a clock without a battery is right
UP: Final = 86_400.0  # seconds that it has been running when it is made
REDIAL: Final = 15.0  # seconds that a line is away between two PPPoE sessions
FRAME: Final = 8  # bytes that PPPoE puts around a packet
WAN: Final = "wan"
"""The line, as UCI and the truth call it."""
LINE: Final = "pppoe-wan"
"""The device that carries it."""


@dataclass(slots=True)
class Interface:
    """A network device as /proc/net/dev has it. bits: of its counters, 32 where they wrap."""

    index: int
    received: int = 0
    sent: int = 0
    bits: int = 64
    speed: int = 1000

    def shown(self) -> Bytes:
        """What it says it received and sent."""
        return Bytes(self.received % 2**self.bits, self.sent % 2**self.bits)


class Router:
    """One router. `traffic`, where given, is called after each `step` seconds of time that passes.

    What may be changed at any time: `options` (for the daemon that starts next), `disk.full`, `kernel.events`,
    `protocols` (names by protocol and port), `leases` and `hosts` (names by MAC and address, by address), `zone`
    (seconds that local time is ahead of UTC) and `error` (seconds that the clock is ahead of the true time). Every
    method may be called from any thread.
    """

    def __init__(
        self,
        *,
        start: float = 1_700_000_000.0,
        options: Options | None = None,
        flash: bool = False,
        traffic: Callable[[Router, float], None] | None = None,
        step: float = 10.0,
        seed: int = 1,
    ) -> None:
        self.now = start
        self.zone = 0
        self.error = 0.0
        self.options = options or Options()
        self.disk = Disk(flash)
        self.kernel = Kernel()
        self.truth = Ledger()
        self.protocols = dict(PROTOCOLS)
        self.leases: dict[tuple[str, str], str] = {}
        self.hosts: dict[str, str] = {}
        self.wan_bits = 64
        self.daemon: Daemon | None = None
        self.lock = RLock()
        self._traffic = traffic
        self._step = step
        self._stepped = start
        self._random = Random(seed)
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._pid = 1000
        self._line_seen = NOTHING
        self.now = start - UP
        self.boot(self.now)
        self.now += START
        self.start()
        self.now = start
        self.tick()

    @property
    def clock(self) -> Now:
        """The time, as the router knows it."""
        return Now(self.now + self.error, self.zone, self.now - self.booted)

    @property
    def away(self) -> bool:
        """Whether the power is off, or the router still boots."""
        return self.now < self.booted

    # Time and bytes.

    def advance(self, to: float) -> None:
        """Let time pass until `to`. Going back is ignored; the outcome is the same in however many calls it is done."""
        with self.lock:
            while self._stepped + self._step <= to:
                self._stepped += self._step
                self._pass(self._stepped)
                if self._traffic is not None:
                    self._traffic(self, self._step)
                self.tick()
            self._pass(to)

    def tick(self) -> None:
        """Let the daemon's timers run."""
        with self.lock:
            if self.daemon is not None:
                self.daemon.tick()

    def _pass(self, to: float) -> None:
        """Let time pass, and happen what is due by then."""
        while self._due and self._due[0][0] <= to:
            at, happen = self._due.pop(0)
            self.now = max(self.now, at)
            happen()
        self.now = max(self.now, to)

    def _later(self, at: float, happen: Callable[[], None]) -> None:
        self._due.append((at, happen))
        self._due.sort(key=lambda due: due[0])

    def open(self, key: Key) -> None:
        """A client opens a connection."""
        with self.lock:
            if not self.away:
                flow = self.kernel.flows.setdefault(key, Flow())
                flow.closing = False
                if self.daemon is not None:
                    self.daemon.opened(key)

    def close(self, key: Key) -> None:
        """A connection ends. The kernel keeps it until its last bytes were taken."""
        with self.lock:
            if key in self.kernel.flows:
                self.kernel.flows[key].closing = True

    def move(self, key: Key, down: int, up: int) -> None:
        """Let bytes pass, over a connection that is opened where there is none. Without power or a line none do."""
        with self.lock:
            if self.away or not self.up:
                return
            if key not in self.kernel.flows:
                self.open(key)
            flow = self.kernel.flows[key]
            flow.down += down
            flow.up += up
            add(self.truth.moved, key.client, down, up)
            add(self.truth.moved, WAN, down, up)
            add(self.truth.metered, WAN, down, up)
            framed = FRAME * -(-down // PACKET), FRAME * -(-up // PACKET)
            self._carry(LINE, down, up)
            self._carry("eth1", down + framed[0], up + framed[1])
            self._carry("br-lan", up, down)

    def _carry(self, name: str, received: int, sent: int) -> None:
        interface = self.interfaces[name]
        interface.received += received
        interface.sent += sent

    # What happens to it.

    def boot(self, at: float) -> None:
        """The kernel begins to run at a moment, with nothing but what flash keeps."""
        self.booted = at
        self.boot_id = str(UUID(int=self._random.getrandbits(128), version=4))
        self._index = 10
        self.kernel.flows.clear()
        self.interfaces = {
            "lo": Interface(1, speed=-1),
            "eth0": Interface(2),
            "eth1": Interface(3),
            "br-lan": Interface(7),
        }
        self.dialled = at + START
        self.up = False
        self._dial()

    def start(self) -> None:
        """Start nlbwmon. Where it cannot restore its database it is gone again at once."""
        with self.lock:
            self._pid += 1
            try:
                self.daemon = Daemon(self._pid, lambda: self.clock, self.options, self.disk, self.kernel, self.truth)
            except CorruptError:
                self.daemon = None

    def stop(self) -> None:
        """SIGTERM to nlbwmon."""
        with self.lock:
            if self.daemon is not None:
                self.daemon.stop()
            self.daemon = None

    def kill(self) -> None:
        """SIGKILL to nlbwmon. /tmp/0.db stays."""
        with self.lock:
            self.daemon = None

    def cut_power(self, *, out: float = 0.0, behind: float = 0.0, corrupt: bool = False) -> None:
        """Power goes, and comes back after `out` seconds.

        behind: seconds by which the clock is late until NTP sets it, where none keeps it. corrupt: it went in the
        middle of a commit, so the period's file is cut off.
        """
        with self.lock:
            if self.daemon is not None:
                lose(self.truth, self.daemon.rows.items())
                if corrupt:
                    label = self.daemon.today
                    forget(self.truth, self.disk.files.get(label))
                    self.disk.files[label] = File(self.clock.clock, {}, closed=False, corrupt=True)
            self._reboot(behind, out)

    def reboot(self) -> None:
        """A clean reboot."""
        with self.lock:
            self.stop()
            self._reboot()

    def _reboot(self, behind: float = 0.0, out: float = 0.0) -> None:
        self._due.clear()
        self.daemon = None
        self.disk.scratch = None
        for file in self.disk.files.values():
            file.older = True
            if not self.disk.flash:
                forget(self.truth, file)
        if not self.disk.flash:
            self.disk.files.clear()
        self._hang_up()
        self.boot(self.now + out + BOOT)
        self.error = -behind
        self._later(self.booted + START, self.start)
        if behind:
            self._later(self.booted + START + NTP, self._synchronise)

    def _synchronise(self) -> None:
        self.error = 0.0

    def reconnect(self) -> None:
        """The PPPoE session ends and another begins: the same device by name, a new one by number, from 0."""
        with self.lock:
            if self.up:
                self._hang_up()
                self._later(self.now + REDIAL, self._dial)

    def _hang_up(self) -> None:
        line = self.interfaces.pop(LINE, None)
        if line is not None:
            add(self.truth.lost, WAN, line.received - self._line_seen.down, line.sent - self._line_seen.up)
        self.up = False

    def _dial(self) -> None:
        self._index += 1
        self.interfaces[LINE] = Interface(self._index, bits=self.wan_bits, speed=-1)
        self._line_seen = NOTHING
        self.dialled = max(self.now, self.booted)
        self.up = True

    def looked_at(self) -> None:
        """Somebody looks for the first time: what is still the kernel's will be counted before their eyes."""
        if not self.truth.began:
            self.truth.begin()
            for key, flow in self.kernel.flows.items():
                add(self.truth.moved, key.client, flow.down, flow.up)

    def see_line(self) -> None:
        """Somebody is shown what the interfaces counted."""
        line = self.interfaces.get(LINE)
        if line is not None:
            self._line_seen = Bytes(line.received, line.sent)

    def repair(self) -> None:
        """Somebody deletes what cannot be read, and starts nlbwmon."""
        with self.lock:
            self.disk.files = {label: file for label, file in self.disk.files.items() if not file.corrupt}
            self.start()
