"""Rule 3: a series appears at the value Prometheus last saw, whatever happens to scrapes, clients and the exporter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.ledger import plus
from exporter.model import ZERO, Changes, Count, Memory, Source, SubjectKey
from exporter.series import WATCHED, Plan, Scrapes, Stage, shown_count
from tests.watched import HOLD, SOURCES, Habit, World

MACS = [f"02:00:00:00:00:{number:02x}" for number in range(4)]

fate = st.sampled_from(["good", "good", "slow", "cut", "lost"])
# A server whose scrape interval is half the hold is the hardest to serve.
habit = st.builds(
    Habit,
    st.sampled_from([7, 15, 30, 59, 60]),
    st.sampled_from([None, None, *SOURCES]),
    st.lists(fate, min_size=1, max_size=7),
)
habits = st.lists(habit, min_size=1, max_size=3)
source = st.sampled_from(SOURCES)
some = st.sampled_from([SOURCES, SOURCES, *((name,) for name in SOURCES)])
pace = st.sampled_from([5, 30, 45])
mac = st.sampled_from(MACS)
moves = st.lists(st.sampled_from([0, 1, 1000]), min_size=len(MACS), max_size=len(MACS))

Action = tuple[Callable[..., None], *tuple[Any, ...]]


def polls(world: World, some: Sequence[str], times: int, moved: list[int], pace: float, *, commit: bool = True) -> None:
    for _ in range(times):
        for name in some:
            world.poll(name, moved, commits=commit)
        world.advance(pace)


def commits_fail(world: World, some: Sequence[str], times: int, moved: list[int], pace: float) -> None:
    polls(world, some, times, moved, pace, commit=False)


def polls_fail(world: World, some: Sequence[str], times: int) -> None:
    for _ in range(times):
        for name in some:
            world.fail(name)
        world.advance(30)


def add(world: World, name: str, mac: str, raw: int, known: bool) -> None:
    if (name, mac) not in world.raw:
        world.add(name, mac, raw, known=known)


def leave(world: World, name: str, mac: str) -> None:
    world.away.add((name, mac))


def come_back(world: World, name: str, mac: str) -> None:
    world.away.discard((name, mac))


def silence(world: World, seconds: float) -> None:
    world.advance(seconds)


def restart(world: World, seconds: float) -> None:
    world.die()
    world.advance(seconds)
    world.start()


def clock_jumps(world: World, seconds: float) -> None:
    world.time.wall_at += seconds


actions = st.one_of(
    st.tuples(st.just(polls), some, st.integers(1, 12), moves, pace),
    st.tuples(st.just(polls), some, st.integers(1, 12), moves, pace),
    st.tuples(st.just(add), source, mac, st.sampled_from([0, 700]), st.booleans()),
    st.tuples(st.just(leave), source, mac),
    st.tuples(st.just(come_back), source, mac),
    st.tuples(st.just(commits_fail), some, st.integers(1, 6), moves, pace),
    st.tuples(st.just(polls_fail), some, st.integers(1, 6)),
    st.tuples(st.just(silence), st.sampled_from([1, 31, 91, 130, 700])),
    st.tuples(st.just(restart), st.sampled_from([0, 1, 40, 130, 700])),
    st.tuples(st.just(clock_jumps), st.sampled_from([-3600, -7, 7, 3600])),
)

NEW, OTHER = MACS[:2]
STEADY = (polls, SOURCES, 12, [1000] * 4, 30)
QUICK = (polls, SOURCES, 40, [1000] * 4, 5)
FIRST = (polls, SOURCES, 1, [0] * 4, 1)
ONCE = (polls, SOURCES, 1, [1000] * 4, 5)
BORN = (add, "home", NEW, 700, False)
AWAY, BACK = (leave, "home", NEW), (come_back, "home", NEW)
FREQUENT, SELDOM = Habit(7), Habit(60, fates=["good", "lost"])


@given(habits, st.sampled_from([60.0, 300.0]), st.lists(actions, max_size=25))
# The page changes just after the seldom server looked, which loses its next scrape: it sees it as late as can be.
@example([SELDOM, Habit(1)], 300.0, [FIRST, BORN, QUICK])
@example([SELDOM, Habit(1)], 300.0, [(silence, 100), (polls, SOURCES, 1, [0] * 4, 30), BORN, QUICK])
@example([FREQUENT, SELDOM], 60.0, [FIRST, BORN, STEADY, AWAY, QUICK, STEADY, BACK, QUICK, STEADY])
@example([FREQUENT, SELDOM], 60.0, [FIRST, BORN, ONCE, AWAY, QUICK, STEADY, BACK, QUICK])
@example([FREQUENT], 300.0, [BORN, STEADY, (restart, 1), STEADY, (restart, 700), STEADY])
@example([Habit(59, "home"), Habit(15, "attic")], 300.0, [FIRST, BORN, STEADY, (silence, 700), STEADY])
@example([SELDOM], 300.0, [FIRST, BORN, (commits_fail, SOURCES, 6, [1000] * 4, 30), STEADY])
@example([SELDOM], 300.0, [(add, "home", OTHER, 700, True), (polls_fail, SOURCES, 6), STEADY, BORN, STEADY])
def test_every_server_sees_every_byte(habits: list[Habit], client_ttl: float, history: list[Action]) -> None:
    world = World(habits, client_ttl=client_ttl)
    for act, *how in history:
        act(world, *how)
    world.rest()
    world.check()


SUBJECT = SubjectKey("client", "", "c")
NOTHING, OLD, MORE = Count(), Count(100, 10, 3, 1), Count(5, 5, 1, 1)


class Room:
    """One stage with its memory, polled by hand at steady times."""

    def __init__(self, *, ttl: float = 300.0, last_at: float | None = 0.0, total: Count | None = OLD) -> None:
        self.scrapes = Scrapes(HOLD, last_at)
        self.stage = Stage("home", self.scrapes, ttl)
        self.memory = Memory(totals={} if total is None else {SUBJECT: total})
        self.generation = 0

    def poll(
        self, now: float, increase: Count | None = None, *, others: Sequence[SubjectKey] = (), commits: bool = True
    ) -> Plan:
        """A poll that shows the subject with an increase, or does not show it."""
        increases = {} if increase is None else {SUBJECT: increase}
        totals = {key: plus(self.memory.totals.get(key, ZERO), moved) for key, moved in increases.items()}
        changes = Changes(Source(), {}, frozenset(), totals, {}, increases, {})
        self.generation += 1
        plan = self.stage.plan(self.memory, changes, others, self.generation, now)
        if commits:
            self.memory.take(changes, plan.shown)
            self.stage.adopt(plan)
        return plan

    def scrape(self, now: float, source: str | None = None) -> None:
        self.scrapes.answered(self.generation, source, now)

    def shown(self) -> Count | None:
        """What the page shows of the subject; None where it is not there."""
        return shown_count(self.memory, SUBJECT) if SUBJECT in self.stage.present else None


@pytest.mark.parametrize("last_at", [None, 1000.0 - WATCHED], ids=["never scraped", "not for a day"])
def test_nothing_is_held_where_nobody_scrapes(last_at: float | None) -> None:
    room = Room(last_at=last_at)
    assert room.poll(1000.0, MORE).shown == {}
    assert room.shown() == plus(OLD, MORE)


def test_a_value_held_by_the_process_before_is_let_go_where_nobody_scrapes_any_longer() -> None:
    room = Room(last_at=None)
    room.memory.shown[SUBJECT] = ZERO
    room.poll(1000.0, MORE)
    assert room.shown() == plus(OLD, MORE)
    assert room.memory.shown == {}


def test_what_is_held_is_let_go_when_the_last_server_stays_away_for_a_day() -> None:
    room = Room(last_at=999.0)
    room.poll(1000.0, MORE)
    assert room.shown() == OLD
    room.poll(998.0 + WATCHED, NOTHING)
    assert room.shown() == OLD
    room.poll(999.0 + WATCHED, NOTHING)
    assert room.shown() == plus(OLD, MORE)


def test_a_server_that_comes_first_finds_live_values_and_starts_the_holding() -> None:
    room = Room(last_at=None)
    room.poll(1000.0, MORE)
    room.scrape(1001.0)
    room.poll(1030.0, MORE)
    assert room.shown() == plus(plus(OLD, MORE), MORE)
    assert room.scrapes.watching(1030.0)


def test_held_for_the_hold_from_the_first_scrape_of_the_generation_on() -> None:
    room = Room()
    room.scrape(999.0)  # of a page without the subject
    room.poll(1000.0, MORE)
    room.poll(1000.0 + HOLD, NOTHING)
    assert room.shown() == OLD
    room.scrape(1200.0)
    room.scrape(1300.0)  # another one, which starts nothing anew
    room.poll(1199.9 + HOLD, NOTHING)
    assert room.shown() == OLD
    room.poll(1200.0 + HOLD, NOTHING)
    assert room.shown() == plus(OLD, MORE)
    assert room.memory.shown == {}


def test_a_new_subject_begins_at_0_and_keeps_what_moves_meanwhile() -> None:
    room = Room(total=None)
    plan = room.poll(1000.0, MORE)
    assert plan.shown == {SUBJECT: ZERO}
    room.scrape(1001.0)
    room.poll(1030.0, MORE)
    assert room.shown() == ZERO
    room.poll(1001.0 + HOLD, MORE)
    assert room.shown() == Count(15, 15, 3, 3)


def test_a_scrape_of_another_source_lets_nothing_go_and_one_of_this_source_does() -> None:
    room = Room()
    room.poll(1000.0, MORE)
    room.scrape(1001.0, "attic")
    room.poll(1001.0 + 2 * HOLD, NOTHING)
    assert room.shown() == OLD
    room.scrape(2000.0, "home")
    room.poll(2000.0 + HOLD, NOTHING)
    assert room.shown() == plus(OLD, MORE)


def test_a_held_subject_does_not_leave_and_what_it_shows_at_last_stays_for_the_hold() -> None:
    room = Room(ttl=10.0)
    room.poll(1000.0, MORE)
    for now in range(1030, 2000, 30):
        room.poll(float(now))  # nobody sees it: no scrape yet
        assert room.shown() == OLD
    room.scrape(2000.0)
    room.poll(2000.0 + HOLD)
    assert room.shown() == plus(OLD, MORE)
    room.poll(1999.9 + 2 * HOLD)
    assert room.shown() == plus(OLD, MORE)
    room.poll(2000.0 + 2 * HOLD)
    assert SUBJECT not in room.stage.present


def test_what_moved_last_stays_for_the_hold_and_what_rests_leaves_with_client_ttl() -> None:
    room = Room(ttl=10.0, last_at=None)
    room.poll(1000.0, NOTHING)
    room.scrape(1000.5)
    room.poll(1200.0, MORE)
    room.poll(1199.9 + HOLD)
    assert room.shown() == plus(OLD, MORE)
    room.poll(1200.0 + HOLD)
    assert room.shown() is None
    room.poll(1400.0, NOTHING)
    room.scrape(1401.0)
    room.poll(1600.0, NOTHING)  # let go, at the same value
    room.poll(1800.0, NOTHING)
    room.poll(1809.9)
    assert room.shown() is not None
    room.poll(1810.0)
    assert room.shown() is None


@pytest.mark.parametrize(("kind", "marked"), [("site", True), ("wan", True), ("client", False)])
def test_sums_of_a_site_and_lines_are_marked_when_they_come_and_when_they_move_on(kind: str, marked: bool) -> None:
    scrapes = Scrapes(HOLD, 0.0)
    stage, memory = Stage("home", scrapes, 300.0), Memory()
    who = SubjectKey(kind, "", "one")
    changes = Changes(Source(), {}, frozenset(), {who: Count(70, 7)}, {}, {who: Count(70, 7)}, {})
    comes = stage.plan(memory, changes, (), 1, 10.0)
    memory.take(changes, comes.shown)
    stage.adopt(comes)
    scrapes.answered(1, None, 11.0)
    moves_on = stage.plan(memory, changes, (), 2, 11.0 + HOLD)
    assert (comes.came, comes.landed) == (marked, False)
    assert (moves_on.came, moves_on.landed) == (False, marked)


def test_a_plan_that_is_not_committed_leaves_everything_as_it_was() -> None:
    room = Room()
    first = room.poll(1000.0, MORE, commits=False)
    room.scrape(1001.0)  # the page without it
    assert room.stage.present == {}
    assert room.memory.shown == {}
    second = room.poll(1001.0 + HOLD, MORE)
    assert first.shown == second.shown == {SUBJECT: OLD}
    assert room.shown() == OLD


def test_a_subject_without_any_reading_is_present_and_is_held_from_its_first_reading_on() -> None:
    room = Room(total=None)
    room.poll(1000.0, others=(SUBJECT,))
    assert SUBJECT in room.stage.present
    assert room.shown() is None
    room.scrape(1001.0)
    room.poll(1200.0, MORE, others=(SUBJECT,))
    assert room.shown() == ZERO
    room.scrape(1201.0)
    room.poll(1201.0 + HOLD, NOTHING)
    assert room.shown() == MORE


def test_an_outage_keeps_the_shown_value_in_the_state() -> None:
    room = Room()
    room.poll(1000.0, MORE)
    room.stage.clear()
    assert room.memory.shown == {SUBJECT: OLD}
    room.scrape(1001.0)
    room.poll(2000.0, MORE)
    assert room.shown() == OLD


def test_scrapes_remember_no_more_than_the_generations_of_one_hold() -> None:
    scrapes = Scrapes(HOLD)
    for generation in range(10_000):
        scrapes.answered(generation, None, float(generation))
        scrapes.answered(generation, None, float(generation))
        scrapes.answered(generation - 5, "home", float(generation))  # read slowly
    assert sum(map(len, scrapes._waiting.values())) <= 2 * HOLD
    assert scrapes.seen("home", 10_000.0) == 10_000 - HOLD
    assert scrapes.seen("home", 20_000.0) == 9_999
    assert scrapes.last_at == 9_999.0


def test_an_older_page_read_late_takes_nothing_back() -> None:
    scrapes = Scrapes(HOLD)
    scrapes.answered(7, None, 0.0)
    scrapes.answered(6, None, 1.0)
    assert scrapes.seen("home", HOLD + 1) == 7


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 50)), max_size=40))
def test_seen_never_falls(answers: list[tuple[int, float]]) -> None:
    scrapes, now, seen = Scrapes(HOLD), 0.0, -1
    for generation, later in answers:
        now += later
        scrapes.answered(generation, None, now)
        assert seen <= (seen := scrapes.seen("home", now))
