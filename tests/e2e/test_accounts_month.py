"""More than a month of a simulated controller and router, polled by the real sources, in three time zones across both
changes of the clocks in October: the gauges state what moved, to the byte, at every poll, and after every start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.accounting.periods import Cycle, period_of
from exporter.accounting.quotas import Quota
from exporter.accounts import Accounts, Terms
from exporter.clock import Clock
from exporter.committer import Committer, Outcome
from exporter.demo.network import Network
from exporter.demo.openwrt.life import Accidents, household_router
from exporter.demo.openwrt.router import WAN, Router
from exporter.demo.run import ATTIC, HOME, MAX_RATE, _simulated
from exporter.exposition import Exposition
from exporter.poller import Poller
from exporter.privacy import OPEN
from exporter.runtime import SourceFacts
from exporter.series import Scrapes
from exporter.sources.nlbwmon.lives import OFFERED
from exporter.store import Retention, State

ZONES = {name: ZoneInfo(name) for name in ("Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")}
OWN = "Europe/Berlin"
START = datetime(2026, 9, 29, 12, tzinfo=UTC)
END = datetime(2026, 11, 2, 12, tzinfo=UTC)
BUSY = [datetime(2026, 10, day, tzinfo=UTC) for day in (1, 4, 25)]  # polled often: a month begins, clocks are changed
INTERVAL = 1800.0
CLIENTS = [f"02:00:5e:00:00:{number:02x}" for number in range(3)]
QUIET = Accidents(redials=0, restarts=0, kills=0, cuts=0, scans=0)
RESETS = {"today": "daily", "week": "monday", "month": "1"}
GAUGE = re.compile(
    r'^bandwidth_period_(down|up)load_bytes\{scope="(source|wan)",source="(\S+)",site="\w*",subject="(\w*)",period="(.*)"\}'
    r" (\d+)$",
    re.MULTILINE,
)

Key = tuple[str, str, str, str]
"""Direction, scope, source, subject."""


def traffic(network: Network, _seconds: float) -> None:
    """Bytes that differ from step to step and from client to client."""
    step = int(network.now // 600)
    for number, mac in enumerate(CLIENTS, 1):
        network.move(mac, step * 7919 * number % 1_000_003 * 40, step * 104_729 * number % 99_991)


def moments() -> Iterator[float]:
    """Every six hours, every half an hour on busy days, and every midnight of the three zones."""
    found = set()
    at = START
    while at <= END:
        hours = at.hour % 6 == 0 and at.minute == 0
        busy = any(day - timedelta(hours=16) <= at <= day + timedelta(hours=16) for day in BUSY)
        midnight = any(at.astimezone(zone).time().isoformat() == "00:00:00" for zone in ZONES.values())
        if hours or busy or midnight:
            found.add(at.timestamp())
        at += timedelta(minutes=30)
    yield from sorted(found)


def moved(network: Network, router: Router) -> dict[Key, int]:
    """What really did, since the beginning."""
    clients = [each.moved for each in network.truth()]
    lines = network.gear.moved()
    attic = router.truth.moved
    found: dict[Key, int] = {}
    for way, place in (("down", 0), ("up", 1)):
        found[way, "source", HOME, ""] = sum(each[place] for each in clients)
        found[way, "source", ATTIC, ""] = sum(each[place] for whose, each in attic.items() if whose != WAN)
        found[way, "wan", ATTIC, "wan"] = attic[WAN][place]
        for line in ("wan1", "wan2"):
            found[way, "wan", HOME, line] = lines["wan", line][place]
    return found


def terms() -> Terms:
    """The exporter's own days are Berlin's; quotas have those of the other zones."""
    quotas = []
    for name, zone in ZONES.items():
        for period, reset in RESETS.items():
            if name != OWN:
                cycle, label = Cycle(reset, zone), f"{period} {name}"
                quotas += [Quota(f"{label} {source}", "source", cycle, 10**12, source) for source in (HOME, ATTIC)]
                quotas.append(Quota(f"{label} line", "wan", cycle, 10**12, HOME, "default", "wan1"))
                quotas.append(Quota(f"{label} attic line", "wan", cycle, 10**12, ATTIC, "", "wan"))
    return Terms(ZONES[OWN], tuple(quotas))


def stated(page: str) -> dict[tuple[Key, str, str], int]:
    """By what, period and zone."""
    found = {}
    for way, scope, source, subject, period, value in GAUGE.findall(page):
        name, _, rest = period.partition(" ")
        found[(way, scope, source, subject), name, rest.partition(" ")[0] or OWN] = int(value)
    return found


def expected(snapshots: Mapping[float, Mapping[Key, int]], now: float) -> dict[tuple[Key, str, str], int]:
    """What moved in every period that began since we look."""
    found: dict[tuple[Key, str, str], int] = {}
    for name, zone in ZONES.items():
        for period, reset in RESETS.items():
            start = period_of(Cycle(reset, zone), now).start
            if start >= min(snapshots):
                found |= {(key, period, name): value - snapshots[start][key] for key, value in snapshots[now].items()}
    return found


def test_a_month_to_the_byte_in_three_zones(tmp_path: Path) -> None:
    start = START.timestamp() - 3600
    network = Network(start=start, traffic=traffic, step=600.0)
    for mac in CLIENTS:
        network.add_client(mac, mac[-2:], age=86_400.0)
    router = household_router(start=start, step=300.0, accidents=QUIET)
    clock = Clock(wall=lambda: network.now, steady=lambda: network.now - start)
    checked = 0
    with _simulated(network, router, clock) as sources:
        kinds = {HOME: ("unifi", "attached"), ATTIC: ("nlbwmon", "internet")}
        configured = [SourceFacts(name, *kinds[name], INTERVAL, MAX_RATE) for name in sources]
        outcomes: dict[str, Outcome] = {}
        pollers = [
            Poller(name, source, outcomes.__setitem__, interval=INTERVAL, clock=clock)
            for name, source in sources.items()
        ]

        def begin() -> tuple[State, Exposition, Committer]:
            state, exposition = State.open(tmp_path / "bandwidth.db"), Exposition()
            state.keep(ZONES[OWN], Retention.forever())
            committer = Committer(
                state,
                configured,
                exposition=exposition,
                scrapes=Scrapes(0.0),
                client_ttl=3600.0,
                people={},
                clock=clock,
            )
            committer.keep(Accounts(state, terms()))
            return state, exposition, committer

        def poll(at: float) -> None:
            network.advance(at)
            router.advance(at)
            outcomes.clear()
            for poller in pollers:
                poller.poll_once()
            committer.work(outcomes)
            assert all(runtime.health.up for runtime in committer.runtimes.values())

        state, exposition, committer = begin()
        for turn in range(OFFERED + 2):  # what the router had before us is offered for so long
            poll(start + 60 * turn)
        snapshots: dict[float, dict[Key, int]] = {}
        for turn, at in enumerate(moments()):
            poll(at)
            snapshots[at] = moved(network, router)
            if turn % 97 == 50:
                state.close()
                state, exposition, committer = begin()
            page = exposition.page()
            assert page is not None
            said, truth = stated(page.text().decode()), expected(snapshots, at)
            lines = {name: value for name, value in truth.items() if name in said}
            assert {name: said[name] for name in lines} == lines
            assert {name for name in truth if name not in said} <= {
                name for name in truth if name[0][3] == "wan2" and name[2] != OWN
            }
            checked += len(lines)
            if turn % 29 == 0:
                fresh = Accounts(state, terms())
                fresh.open(committer.runtimes)
                again = b"".join(fresh.blocks(at, OPEN).values()).decode()
                assert stated(again) == said
        state.close()
    assert checked > 10_000
