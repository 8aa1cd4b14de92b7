"""What is counted of a simulated router beside what is true: over generated days, and over months of a household.

Never over, whatever happens. To the byte where nothing but rollovers, power cuts and new PPPoE sessions happens, for
these prove themselves. SOAK=1 lives longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.demo.life import household
from exporter.demo.openwrt.daemon import Options
from exporter.demo.openwrt.life import Accidents, household_router
from exporter.demo.openwrt.router import Router
from exporter.demo.openwrt.rows import NO_MAC, Key
from exporter.demo.run import ATTIC, HOME, count_at_speed, print_truth, truth
from exporter.sources.nlbwmon.lives import OFFERED
from tests.demo.counting import START, Counting, counted

SOAK = bool(os.environ.get("SOAK"))
HOUR = 3_600.0
ONE, TWO = "02:00:5e:00:00:01", "02:00:5e:00:00:02"
KEYS = (
    Key(4, "TCP", 443, ONE, "192.168.1.101"),
    Key(6, "UDP", 443, ONE, "fd00:1::101"),
    Key(4, "UDP", 53, TWO, "192.168.1.102"),
    Key(4, "IP", 0, NO_MAC, "10.8.0.2"),
)
QUIET = Accidents(redials=0, restarts=0, kills=0, cuts=0, scans=0)
PROVED = Accidents(redials=1 / 24, restarts=0, kills=0, cuts=1 / 40, late=0.0, scans=0)

Step = Callable[[Counting], object]


def use(number: int, down: int, up: int) -> Step:
    return lambda counting: counting.router.move(KEYS[number], down, up)


def wait(seconds: float) -> Step:
    return lambda counting: counting.wait(seconds)


def restart(counting: Counting) -> None:
    counting.router.stop()
    counting.router.start()


def kill(counting: Counting) -> None:
    counting.router.kill()
    counting.router.start()


def commit(counting: Counting) -> None:
    if counting.router.daemon is not None:
        counting.router.daemon.commit()


def fill_or_empty(counting: Counting) -> None:
    counting.router.disk.full = not counting.router.disk.full


PROVING: dict[str, Step] = {
    "use one": use(0, 5_000, 70),
    "use one by IPv6": use(1, 300, 40),
    "use two": use(2, 90, 900),
    "use the VPN": use(3, 7_000, 1),
    "close": lambda counting: counting.router.close(KEYS[0]),
    "wait a minute": wait(60),
    "wait hours": wait(7 * HOUR),
    "poll": Counting.poll,
    "dial": lambda counting: counting.router.reconnect(),
}
ALL: dict[str, Step] = PROVING | {
    "use one a lot": use(0, 800_000, 9_000),
    "wait days": wait(50 * HOUR),
    "restart": restart,
    "kill": kill,
    "commit": commit,
    "cut power": lambda counting: counting.router.cut_power(),
    "cut power, and the clock is days behind": lambda counting: counting.router.cut_power(behind=60 * HOUR),
    "cut power, and the clock is a little behind": lambda counting: counting.router.cut_power(behind=600.0),
    "reboot": lambda counting: counting.router.reboot(),
    "fill the disk, or empty it": fill_or_empty,
}


def daily(*, flash: bool, limit: int = 10_000) -> Router:
    """A router whose periods are days, and that has counted before anybody looked."""
    router = Router(start=START, flash=flash, options=Options(interval="2026-11-16/1", limit=limit), step=30.0)
    for key in KEYS:
        router.move(key, 5_000, 500)
    router.advance(START + 60)
    return router


@settings(max_examples=500 if SOAK else 40)
@given(st.lists(st.sampled_from(sorted(ALL)), max_size=25), st.booleans(), st.sampled_from([3, 10_000]))
def test_never_over(steps: list[str], flash: bool, limit: int) -> None:
    with counted(daily(flash=flash, limit=limit)) as counting:
        for step in steps:
            ALL[step](counting)
            assert counting.over() == {}
        counting.settle()
        assert counting.over() == {}


@settings(max_examples=300 if SOAK else 20)
@given(st.lists(st.sampled_from(sorted(PROVING)), max_size=25), st.booleans())
def test_to_the_byte_over_days(steps: list[str], flash: bool) -> None:
    with counted(daily(flash=flash)) as counting:
        for _ in range(OFFERED + 1):  # what was before us is offered for so long, and counts the less
            counting.poll()
        for step in steps:
            PROVING[step](counting)
        counting.settle()
        assert counting.shorts() == {}
        assert counting.over() == {}


def test_what_a_power_cut_takes_is_all_that_is_missing() -> None:
    with counted(daily(flash=True)) as counting:
        commit(counting)
        use(0, 5_000, 50)(counting)
        counting.wait(60)
        counting.poll()
        use(0, 300, 3)(counting)
        counting.wait(60)
        counting.router.cut_power()
        counting.wait(120)
        use(0, 40, 4)(counting)
        counting.settle()
        assert counting.sums(ONE) == ((5_340, 57), (300, 3), (5_040, 54))
        assert counting.shorts() == {}


@pytest.mark.parametrize("seed", range(4 if SOAK else 1))
def test_ends_of_months_and_power_cuts_to_the_byte(seed: int) -> None:
    start = START if SOAK else START + 9 * 24 * HOUR
    router = household_router(seed, start=start, step=120.0, accidents=PROVED)
    with counted(router, interval=1_800.0) as counting:
        counting.live(2_000 * HOUR if SOAK else 150 * HOUR)
        counting.settle()
        assert router.disk.files.keys() >= ({"20261101", "20261201", "20270101"} if SOAK else {"20261101"})
        assert counting.over() == {}
        assert counting.shorts() == {}
        assert sum(sums.down for sums in router.truth.lost.values()) > 0


@pytest.mark.parametrize("seed", range(4 if SOAK else 1))
def test_whatever_happens_to_a_household_is_never_over(seed: int) -> None:
    often = Accidents(redials=1 / 5, restarts=1 / 9, kills=1 / 20, cuts=1 / 15, late=0.5, scans=1 / 30)
    with counted(household_router(seed, start=START, step=120.0, accidents=often), interval=900.0) as counting:
        for _ in range(100 if SOAK else 5):
            counting.live(20 * HOUR)
            assert counting.over() == {}
        assert any(client.startswith("10.9.") for client in counting.router.truth.moved)


def test_the_same_seed_lives_the_same_days() -> None:
    first, second = (household_router(7, start=START) for _ in range(2))
    first.looked_at()
    second.looked_at()
    first.advance(START + 20 * HOUR)
    for hour in range(1, 21):
        second.advance(START + hour * HOUR)
    assert first.truth.moved == second.truth.moved
    assert first.truth.metered == second.truth.metered
    assert first.boot_id == second.boot_id


def test_both_sources_at_speed() -> None:
    network, router = household(start=START), household_router(start=START, accidents=QUIET)
    totals = count_at_speed(network, router, 0.2 * HOUR)
    lines = truth(network, router)
    assert totals.keys() == lines.keys() == {HOME, ATTIC}
    for name in (HOME, ATTIC):
        assert print_truth(name, lines[name], totals[name], {})
    for line in lines[ATTIC]:
        count = totals[ATTIC][line.subject]
        assert (count.download, count.upload) == line.moved


def test_a_byte_too_many_is_said() -> None:
    network, router = household(start=START), household_router(start=START, accidents=QUIET)
    totals = count_at_speed(network, router, 120.0)
    lines = truth(network, router)[ATTIC]
    line = lines[0]
    over = [line._replace(metered=line.metered._replace(up=line.metered.up - 1)), *lines[1:]]
    assert not print_truth(ATTIC, over, totals[ATTIC], {})
