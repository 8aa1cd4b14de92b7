"""A simulated controller and a simulated router, read by the real sources without a wire, and an exporter whose polls
go to three states that cut days by three time zones, each of them fed to one PostgreSQL.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from exporter.accounts import Accounts, Terms
from exporter.clock import Clock
from exporter.committer import Committer, Failure, Outcome, Success, marks_of
from exporter.demo.gear import GATEWAY
from exporter.demo.network import Network
from exporter.demo.openwrt import shell
from exporter.demo.openwrt.daemon import Options
from exporter.demo.openwrt.router import WAN, Router
from exporter.demo.openwrt.rows import NO_MAC, Key
from exporter.exposition import Exposition
from exporter.model import Poll, Write
from exporter.naming import Person
from exporter.privacy import OPEN
from exporter.runtime import SourceFacts
from exporter.series import Scrapes
from exporter.sources.nlbwmon import readings as rows
from exporter.sources.nlbwmon.commands import script
from exporter.sources.nlbwmon.exchange import Exchange, read
from exporter.sources.unifi import device_payload, payload
from exporter.sources.unifi.gear import SiteDevices, beside, gather
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.store import Retention, State
from exporter.store.postgres.feeder import Feeder
from exporter.store.postgres.target import Target
from tests.archive.server import FEEDER, PASSWORDS, Database
from tests.scripted import SITE

HOME, ATTIC = "home", "attic"
KINDS = {HOME: ("unifi", "attached"), ATTIC: ("nlbwmon", "internet")}
HOUR = 3600
PHONE, LAPTOP, TV, GUEST = (f"02:00:5e:00:00:{number:02x}" for number in range(1, 5))
VPN = "10.8.0.2"
USES = {
    PHONE: [(4, "TCP", 443, "https"), (6, "UDP", 443, "quic"), (4, "UDP", 53, "dns")],
    LAPTOP: [(6, "TCP", 443, "https"), (4, "TCP", 22, "ssh")],
    VPN: [(4, "TCP", 443, "https"), (4, "TCP", 80, "http")],
}
"""What who does behind the router: family, protocol, port, and the name that nlbwmon has for these."""

_TOKEN = "0" * 32


class Copied(State):
    """A state whose commits go to others as well."""

    others: Sequence[State] = ()

    def commit(self, writes: Sequence[Write], scraped_at: float | None = None) -> None:
        super().commit(writes, scraped_at)
        for other in self.others:
            other.commit(writes, scraped_at)


class Month:
    """retentions: by time zone; the first is the exporter's own, whose gauges are shown."""

    def __init__(
        self,
        folder: Path,
        ready: Path,
        begin: int,
        retentions: Mapping[str, Retention],
        terms: Terms,
        archive: Database,
    ) -> None:
        self.now = begin
        self.archive, self.retentions, self._terms = archive, retentions, terms
        self.paths = {zone: folder / zone / "bandwidth.db" for zone in retentions}
        for path in self.paths.values():
            path.parent.mkdir(parents=True)
            shutil.copy(ready, path)
            with closing(sqlite3.connect(path)) as file, file:
                file.execute("DELETE FROM meta WHERE key = 'exporter_id'")  # copies would feed one ledger
        self.log = folder / "log"
        self._written = self.log.open("w", encoding="utf-8")
        self._chance = Random(begin)
        self._clock = Clock(wall=lambda: self.now, steady=lambda: self.now - begin)
        self.people = {
            PHONE: Person("Phone", "flat 3", "phones"),
            LAPTOP: Person("Laptop", "flat 3", "computers"),
            TV: Person("", "", "screens"),
        }
        self.network = Network(start=begin, step=HOUR)
        for mac in (PHONE, LAPTOP, TV):
            self.network.add_client(mac, age=86_400.0, wired=mac == TV)
        self.router = Router(start=begin, options=Options(), flash=True, step=HOUR, seed=begin)
        for client, uses in USES.items():  # that a row is new is only proved once a router was looked at for a while
            for family, proto, port, _ in uses:
                self.router.move(_row(client, family, proto, port), 1_000_000, 100_000)
        assert self.router.daemon is not None
        self.router.daemon.refresh()
        self._lines = {HOME: self._line_of_home, ATTIC: self._lines_of_attic}
        self._shown: dict[tuple[str, str], tuple[int, int]] = {}
        for name, site in ((HOME, SITE), (ATTIC, "-")):
            self._write("source", name, site)
        self.own(self.people)
        self.start()

    def _write(self, *words: object) -> None:
        self._written.write(" ".join(map(str, words)) + "\n")

    def own(self, people: Mapping[str, Person]) -> None:
        """Clients belong to these from now on."""
        self.people = {**people}
        for mac, person in people.items():
            self._write("own", mac, *(name.replace(" ", "_") or "-" for name in (person.owner, person.category)))

    # The exporter.

    def start(self) -> None:
        self.states = {zone: Copied.open(path) for zone, path in self.paths.items()}
        for zone, state in self.states.items():
            state.mark(on=True)
            state.keep(ZoneInfo(zone), self.retentions[zone])
        own, *others = self.states.values()
        assert isinstance(own, Copied)
        own.others = others
        target = Target(self.archive.url(FEEDER), PASSWORDS[FEEDER])
        self.feeders = {zone: Feeder(state, target, lambda: OPEN, self._clock) for zone, state in self.states.items()}
        self.exposition = Exposition()
        self.committer = Committer(
            own,
            [SourceFacts(name, *KINDS[name], HOUR, 12.5e9) for name in KINDS],
            exposition=self.exposition,
            scrapes=Scrapes(0.0),
            client_ttl=HOUR,
            people=self.people,
            clock=self._clock,
        )
        self.committer.keep(Accounts(own, self._terms))
        marks = marks_of(self.committer.runtimes[ATTIC])
        self._of_controller = Readings(collect=frozenset({"clients"}))
        self._of_router = rows.Readings("SHA256:key", marks.get(rows.CLIENTS, ""), protocols=True)

    def stop(self) -> None:
        for feeder in self.feeders.values():
            feeder.close()
        for state in self.states.values():
            state.close()

    def close(self) -> None:
        self.stop()
        self._written.close()

    def poll(self, at: int, failing: Sequence[str] = (), *, idle: bool = False) -> None:
        """Let time pass, with bytes in it unless `idle`, and poll. failing: sources that do not answer."""
        self._live(at, idle)
        outcomes: dict[str, Outcome] = {}
        for name, ask in ((HOME, self._ask_controller), (ATTIC, self._ask_router)):
            if name in failing:
                outcomes[name] = Failure("unreachable", "nobody answers", at, 0.0)
                continue
            outcomes[name] = Success(ask(), at, self._clock.steady(), 0.0)
            self._lines[name]()
            self._write("poll", at, name)
        self.committer.work(outcomes)
        assert self.committer.commit_error == ""
        assert not any(each.health.bad_records for each in self.committer.runtimes.values())
        assert [name for name, each in self.committer.runtimes.items() if not each.health.up] == [*failing]
        self._written.flush()

    def adjust(self, people: Mapping[str, Person]) -> None:
        """Another configuration says whose clients are whose."""
        self.own(people)
        self.committer.adjust(HOUR, self.people, OPEN)

    def feed(self) -> bool:
        """Send all that waits; False where PostgreSQL does not take it."""
        for feeder in self.feeders.values():
            for _ in range(10_000):
                feeder.step()
                if feeder.trouble or not feeder.condition.pending:
                    break
        return not any(feeder.trouble for feeder in self.feeders.values())

    def _ask_controller(self) -> Poll:
        stations = payload.stations(_document(self.network.records())).stations
        devices = device_payload.devices(_document(self.network.device_records())).devices
        here = SiteClients(SITE, stations, self.network.meter_now, self.now)
        poll = self._of_controller.poll([here], identity="controller")
        return beside(poll, gather([SiteDevices(SITE, devices)], collect=["wans"]))

    def _ask_router(self) -> Poll:
        exchange = self._exchange()
        labels = self._of_router.ask(exchange, self.now)
        return self._of_router.poll(self._exchange(labels) if labels else exchange, self.now)

    def _exchange(self, labels: Sequence[str] = ()) -> Exchange:
        exchange = read(shell.run(self.router, script(_TOKEN, labels)).out.encode(), _TOKEN)
        assert isinstance(exchange, Exchange)
        return exchange

    # What moves.

    def _live(self, until: int, idle: bool) -> None:
        """Bytes at one or two moments between two polls, with time for the router to boot before and to look after."""
        begun, length = self.now, until - self.now
        early, late = (130, 40) if length >= 200 else (length // 3, length // 3)
        at = sorted(begun + self._chance.randint(early, max(early, length - late)) for _ in range(1 + (length > 1800)))
        for moment in at if length > 0 and not idle else ():
            self.now = moment
            self.network.advance(moment)
            self.router.advance(moment)
            self._traffic(moment)
            self.router.tick()
        self.now = until
        self.network.advance(until)
        self.router.advance(until)
        self.router.tick()

    def _traffic(self, at: int) -> None:
        for mac, connected in self.network.macs():
            if connected:
                down, up = self._chance.randrange(1, 40_000_000), self._chance.randrange(1, 4_000_000)
                self.network.move(mac, down, up)
                self._write("move", at, HOME, mac, "-", "-", down, up)
        for client, uses in USES.items():
            family, proto, port, name = self._chance.choice(uses)
            down, up = self._chance.randrange(1, 30_000_000), self._chance.randrange(1, 3_000_000)
            self.router.move(_row(client, family, proto, port), down, up)
            self._write("move", at, ATTIC, client, f"ipv{family}", name, down, up)

    def _line_of_home(self) -> None:
        for (kind, line), sums in self.network.gear.moved().items():
            if kind == "wan":
                self._line(HOME, line, *sums)

    def _lines_of_attic(self) -> None:
        self._line(ATTIC, WAN, *self.router.truth.moved.get(WAN, (0, 0)))

    def _line(self, source: str, line: str, down: int, up: int) -> None:
        before = self._shown.get((source, line), (0, 0))
        self._shown[source, line] = down, up
        self._write("line", self.now, source, line, down - before[0], up - before[1])

    # What happens, each right after a poll: what a meter counted after the last look is lost with it.

    def a_client_connects_anew(self) -> None:
        self.network.connect(LAPTOP)

    def a_guest_comes(self) -> None:
        self.network.advance(self.now + 60)
        self.network.add_client(GUEST)

    def the_access_point_restarts(self) -> None:
        self.network.restart_ap(self.network.aps[0])

    def the_gateway_restarts(self) -> None:
        self.network.gear.restart(GATEWAY, self.now)

    def the_controller_restarts(self) -> None:
        self.network.restart_controller()

    def the_router_reboots(self) -> None:
        self.router.reboot()

    def the_power_goes(self) -> None:
        self.router.cut_power()

    def the_line_dials_anew(self) -> None:
        self.router.reconnect()

    def the_daemon_is_killed(self) -> None:
        self.router.kill()
        self.router.start()

    def the_laptop_moves_out(self) -> None:
        self.adjust({**self.people, LAPTOP: Person("Laptop", "flat 4", "computers")})

    def the_exporter_restarts(self) -> None:
        self.stop()
        self.start()


Happening = Callable[[Month], None]


@contextmanager
def month(
    folder: Path, ready: Path, begin: int, retentions: Mapping[str, Retention], terms: Terms, archive: Database
) -> Iterator[Month]:
    """One that is taken down in the end."""
    it = Month(folder, ready, begin, retentions, terms, archive)
    try:
        yield it
    finally:
        it.close()


def _row(client: str, family: int, proto: str, port: int) -> Key:
    if client == VPN:
        return Key(family, proto, port, NO_MAC, VPN)
    return Key(
        family, proto, port, client, f"{'192.168.1.' if family == 4 else 'fd00:1::'}{100 + int(client[-2:], 16)}"
    )


def _document(records: object) -> bytes:
    return json.dumps({"meta": {"rc": "ok"}, "data": records}).encode()
