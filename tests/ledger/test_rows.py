"""Small examples for every row of docs/design.md, "The ledger": both sides of each condition."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exporter import ledger
from exporter.model import ZERO, Changes, Closed, Collection, Count, CounterKey, Life, Memory, Moment, Poll, Reading
from exporter.model import SubjectKey as Subject

CLIENTS = Collection("client", "default")
KEY = CounterKey("client", "default", "a|wireless")
SUBJECT = Subject("client", "default", "a")
SITE = Subject("site", "default", "")
WRAP = 2**32
AT = 1_800_000_000.0


def raw(download: int, upload: int = 0, down_packets: int = 0, up_packets: int = 0) -> Count:
    return Count(download, upload, down_packets, up_packets)


def read(
    count: Count | int,
    key: CounterKey = KEY,
    *,
    seen: float = 0.0,
    born: float | None = None,
    speed: float | None = None,
    life: Life | None = None,
    base: Count | None = ZERO,
    session: str = "",
    wraps: bool = False,
) -> Reading:
    count = raw(count) if isinstance(count, int) else count
    return Reading(key, (SUBJECT, SITE), count, seen, born, speed, life, base, session, wraps)


def life(mark: str, base: Count | int | None = 0, *closed: Closed, restarted: bool = False) -> Life:
    return Life(mark, None, raw(base) if isinstance(base, int) else base, closed, restarted)


def closed(mark: str, base: int, final: int) -> Closed:
    return Closed(mark, raw(base), raw(final))


class Home:
    """A source and what is remembered of it. Each poll is 30 s after the one before, unless told otherwise."""

    def __init__(self, *, max_rate: float = 1_000.0) -> None:
        self.memory = Memory()
        self.max_rate = max_rate
        self.number, self.tick, self.off = 0, 1_000.0, 0.0

    def poll(
        self,
        *readings: Reading,
        after: float = 30.0,
        identity: str | None = "controller",
        mark: str = "",
        complete: bool = True,
        meter_off: float = 0.0,
        bound: bool = False,
        refresh: float = 0.0,
        number: int | None = None,
    ) -> Changes:
        self.tick += after
        self.number = self.number + 1 if number is None else number
        at = AT + self.tick + self.off
        poll = Poll(
            identity=identity,
            readings=readings,
            complete={CLIENTS: mark} if complete else {},
            refresh=refresh,
            meter_at=AT + self.tick + meter_off,
            clock_bound=bound,
        )
        moment = Moment(self.number, self.tick, at)
        changes = ledger.advance(self.memory, poll, moment, interval=30.0, max_rate=self.max_rate)
        self.memory.take(changes, {})
        return changes

    def read(self, *counts: Count | int) -> list[int]:
        """The download increases of so many polls of one reading each."""
        return [self.poll(read(count)).increases[SUBJECT].download for count in counts]

    def live(self, *lives: tuple[int, Life]) -> list[int]:
        """The same with evidence."""
        return [self.poll(read(count, life=life), mark=life.mark).increases[SUBJECT].download for count, life in lives]


def events(changes: Changes) -> set[str]:
    return {reason for _, reason in changes.events}


def reasons(changes: Sequence[Changes]) -> list[set[str]]:
    return [events(one) for one in changes]


# Row 1: another source answered.


def test_row01_another_meter_is_a_baseline() -> None:
    home = Home()
    home.read(100, 150)
    changes = home.poll(read(170), identity="another")
    assert changes.increases[SUBJECT] == ZERO
    assert changes.events == {("client", "baseline"): 1}
    assert home.read(175) == [0]  # the first meter again: another one once more
    assert home.memory.totals[SUBJECT].download == 50


def test_row01_counts_go_on_from_the_new_baseline() -> None:
    home = Home()
    home.read(100)
    home.poll(read(500), identity="another")
    assert home.poll(read(530), identity="another").increases[SUBJECT].download == 30


def test_row01_counters_it_does_not_show_are_forgotten() -> None:
    home = Home()
    other = CounterKey("client", "default", "b|wired")
    home.poll(read(100), read(10, other))
    changes = home.poll(read(100), identity="another")
    assert changes.gone == {other}
    assert home.poll(read(90, other), identity="another").increases[SUBJECT] == ZERO


def test_row01_a_meter_that_does_not_say_is_the_same() -> None:
    home = Home()
    home.read(100)
    assert home.poll(read(130), identity=None).increases[SUBJECT].download == 30
    assert home.memory.source.identity == "controller"
    assert home.read(160) == [30]


def test_row01_a_meter_first_named_now_is_the_same() -> None:
    home = Home()
    home.poll(read(100), identity=None)
    assert home.read(130) == [30]


def test_row01_complete_readings_of_the_other_meter_prove_no_birth() -> None:
    home = Home()
    home.poll(read(100, life=life("1")), mark="1")
    home.poll(identity="another", complete=False)
    changes = home.poll(read(70, life=life("2")), identity="another", mark="2")
    assert changes.increases[SUBJECT] == ZERO
    assert events(changes) == {"baseline"}


def test_row01_the_other_meters_clock_proves_no_birth() -> None:
    home = Home()
    home.poll()
    home.poll(identity="another", complete=False)
    changes = home.poll(read(70, born=AT + home.tick), identity="another")
    assert changes.increases[SUBJECT] == ZERO


# Row 2: two readings of one counter.


@pytest.mark.parametrize("newest_first", [True, False])
def test_row02_the_newest_of_two_readings_counts(newest_first: bool) -> None:
    home = Home()
    home.read(100)
    two = [read(180, seen=9.0), read(150, seen=5.0)]
    changes = home.poll(*(two if newest_first else reversed(two)))
    assert changes.increases[SUBJECT].download == 80
    assert changes.events == {("client", "duplicate"): 1}


@pytest.mark.parametrize("newest_first", [True, False])
def test_row02_the_newest_counts_although_it_is_lower(newest_first: bool) -> None:
    home = Home()
    home.read(100)
    two = [read(130, seen=9.0), read(150, seen=5.0)]
    assert home.poll(*(two if newest_first else reversed(two))).increases[SUBJECT].download == 30


@pytest.mark.parametrize("values", [(130, 150), (150, 130)])
def test_row02_of_two_equally_new_the_smaller_counts(values: tuple[int, int]) -> None:
    home = Home()
    home.read(100)
    assert home.poll(*(read(value) for value in values)).increases[SUBJECT].download == 30


def test_row02_two_counters_of_one_subject_are_no_duplicates() -> None:
    home = Home()
    wired = CounterKey("client", "default", "a|wired")
    home.poll(read(100), read(10, wired))
    changes = home.poll(read(130), read(15, wired))
    assert changes.increases == {SUBJECT: raw(35), SITE: raw(35)}
    assert changes.events == {}


# Rows 3 and 4: first sight.


def test_row03_a_client_born_after_the_last_complete_reading_counts_whole() -> None:
    home = Home()
    home.poll()
    changes = home.poll(read(400, born=AT + home.tick + 10))
    assert changes.increases[SUBJECT].download == 400
    assert events(changes) == {"new"}


def test_row03_gap_or_not() -> None:
    home = Home()
    home.poll()
    changes = home.poll(read(4_000, born=AT + home.tick + 10), after=3_600.0)
    assert changes.increases[SUBJECT].download == 4_000
    assert home.memory.source.gaps == 1


def test_row03_counts_from_its_base() -> None:
    home = Home()
    home.poll()
    assert home.poll(read(400, born=AT + home.tick + 10, base=raw(150))).increases[SUBJECT].download == 250


def test_row03_a_base_above_the_value_is_unknown() -> None:
    home = Home()
    home.poll()
    assert home.poll(read(400, born=AT + home.tick + 10, base=raw(450))).increases[SUBJECT].download == 0


def test_row03_a_row_absent_from_a_complete_reading_of_its_life_is_born() -> None:
    home = Home()
    home.poll(mark="1")
    changes = home.poll(read(400, life=life("1", 30)), mark="1")
    assert changes.increases[SUBJECT].download == 400
    assert events(changes) == {"new"}


def test_row03_a_row_absent_from_an_earlier_life_counts_closed_ones_too() -> None:
    home = Home()
    home.poll(mark="1")
    lives = life("3", 50, closed("1", 0, 100), closed("2", 20, 60))
    assert home.poll(read(90, life=lives), mark="3").increases[SUBJECT].download == 100 + 40 + 40


def test_row03_the_collection_must_be_that_of_the_counter() -> None:
    home = Home()
    home.poll(mark="1")
    elsewhere = CounterKey("client", "guests", "a")
    assert home.poll(read(70, elsewhere, life=life("1")), mark="1").increases[SUBJECT] == ZERO


def test_row03_an_implausible_birth_is_held_from_its_base() -> None:
    home = Home()
    home.poll()
    born = AT + home.tick + 10
    changes = home.poll(read(10**9, born=born))
    assert changes.increases[SUBJECT] == ZERO
    assert events(changes) == {"implausible"}
    assert home.read(500) == [500]


def test_row04_the_first_poll_is_a_baseline() -> None:
    home = Home()
    changes = home.poll(read(400, born=AT + 10**6))
    assert changes.increases == {SUBJECT: ZERO, SITE: ZERO}
    assert changes.totals == {SUBJECT: ZERO, SITE: ZERO}
    assert events(changes) == {"baseline"}
    assert home.read(450) == [50]


def test_row04_an_old_client_is_a_baseline() -> None:
    home = Home()
    home.poll()
    changes = home.poll(read(400, born=AT + home.tick))  # at that very moment it may have been there
    assert changes.increases[SUBJECT] == ZERO
    assert events(changes) == {"baseline"}


def test_row04_a_client_without_a_birth_is_a_baseline() -> None:
    home = Home()
    home.poll()
    assert home.poll(read(400)).increases[SUBJECT] == ZERO


def test_row04_incomplete_readings_prove_nothing() -> None:
    home = Home()
    home.poll()
    born = AT + home.tick - 10
    home.poll(complete=False)
    assert home.poll(read(400, born=born)).increases[SUBJECT] == ZERO


def test_row04_a_birth_after_the_last_complete_reading_is_one_although_an_incomplete_one_followed() -> None:
    home = Home()
    home.poll()
    born = AT + home.tick + 10
    home.poll(complete=False)
    assert home.poll(read(400, born=born)).increases[SUBJECT].download == 400


def test_row04_a_meters_clock_set_back_makes_no_births() -> None:
    home = Home()
    home.poll(meter_off=86_400.0)
    home.poll()
    assert home.poll(read(400, born=AT + home.tick + 10)).increases[SUBJECT] == ZERO


def test_row04_a_life_without_a_complete_reading_of_a_life_is_a_baseline() -> None:
    home = Home()
    home.poll()
    assert home.poll(read(400, life=life("1")), mark="1").increases[SUBJECT] == ZERO


# Row 5: a new life is proved.


def test_row05_reset_counts_from_zero() -> None:
    home = Home()
    assert home.live((100, life("1")), (140, life("2"))) == [0, 140]
    assert home.live((150, life("2"))) == [10]


def test_row05_rollover_counts_the_tail() -> None:
    home = Home()
    assert home.live((100, life("1")), (30, life("2", 0, closed("1", 0, 170)))) == [0, 100]
    assert home.memory.counters[KEY].mark == "2"


def test_row05_a_final_below_the_last_value_is_no_tail() -> None:
    home = Home()
    assert home.live((100, life("1")), (30, life("2", 0, closed("1", 0, 90)))) == [0, 30]


def test_row05_a_final_must_reach_the_last_value_in_both_directions() -> None:
    home = Home()
    home.poll(read(raw(100, 50), life=life("1")), mark="1")
    half = Closed("1", ZERO, raw(170, 40))
    changes = home.poll(read(raw(30, 3), life=life("2", 0, half)), mark="2")
    assert changes.increases[SUBJECT] == raw(30, 3)


def test_row05_whole_lives_between_count_from_their_bases() -> None:
    home = Home()
    between = life("4", 0, closed("1", 0, 120), closed("2", 0, 60), closed("3", 20, 50))
    assert home.live((100, life("1")), (7, between)) == [0, 20 + 60 + 30 + 7]


def test_row05_rollback_counts_from_the_restored_copy() -> None:
    home = Home()
    assert home.live((100, life("1")), (75, life("2", 60)), (80, life("2", 60))) == [0, 15, 5]


def test_row05_an_unknown_base_counts_nothing() -> None:
    home = Home()
    assert home.live((100, life("1")), (130, life("2", None)), (135, life("2", None))) == [0, 0, 5]


def test_row05_an_unknown_base_still_counts_the_tail() -> None:
    home = Home()
    assert home.live((100, life("1")), (130, life("2", None, closed("1", 0, 104)))) == [0, 4]


def test_row05_a_value_below_its_base_waits_for_the_next_reading() -> None:
    home = Home()
    assert home.live((100, life("1")), (20, life("2", 60)), (70, life("2", 60))) == [0, 0, 10]


def test_row05_a_base_twice_above_the_value_is_unknown() -> None:
    home = Home()
    assert home.live((100, life("1")), (20, life("2", 60)), (25, life("2", 60)), (31, life("2", 60))) == [0, 0, 0, 6]


def test_row05_restarted_old_totals_go_on() -> None:
    home = Home()
    again = life("2", 0, closed("1", 0, 120), restarted=True)
    assert home.live((100, life("1")), (130, again)) == [0, 30]


def test_row05_restarted_old_totals_go_on_from_the_copy() -> None:
    home = Home()
    assert home.live((100, life("1")), (130, life("2", 120, restarted=True))) == [0, 30]


def test_row05_restarted_and_no_final_known_the_smaller_history_counts() -> None:
    home = Home()
    assert home.live((100, life("1")), (130, life("2", restarted=True))) == [0, 30]


def test_row05_restarted_and_an_old_final_the_smaller_history_counts() -> None:
    home = Home()
    again = life("2", 0, closed("1", 0, 80), restarted=True)
    assert home.live((100, life("1")), (130, again)) == [0, 30]


def test_row05_restarted_between_closed_lives_the_smaller_history_counts() -> None:
    home = Home()
    again = life("3", 0, closed("1", 0, 105), closed("2", 0, 125), restarted=True)
    assert home.live((100, life("1")), (9, again)) == [0, 5 + 20 + 9]


def test_row05_restarted_with_lower_values_is_a_new_life() -> None:
    home = Home()
    again = life("2", 0, closed("1", 0, 120), restarted=True)
    assert home.live((100, life("1")), (110, again)) == [0, 20 + 110]


def test_row05_reset_restarted_with_an_unknown_base_counts_nothing() -> None:
    home = Home()
    assert home.live((100, life("1")), (130, life("2", None, restarted=True))) == [0, 0]


def test_row05_not_restarted_old_totals_do_not_go_on() -> None:
    home = Home()
    assert home.live((100, life("1")), (130, life("2", 0, closed("1", 0, 120)))) == [0, 150]


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (life("2"), "rollover"),
        (life("2", 60), "rollover"),
        (life("2", 0, restarted=True), "reset"),
        (life("2", 60, restarted=True), "rollback"),
    ],
)
def test_row05_events(proof: Life, reason: str) -> None:
    home = Home()
    home.live((100, life("1")))
    assert events(home.poll(read(70, life=proof), mark="2")) == {reason}


def test_row05_a_lower_age_is_a_new_life() -> None:
    home = Home()
    home.poll(read(100, life=Life(age=500.0)))
    changes = home.poll(read(120, life=Life(age=20.0)))
    assert changes.increases[SUBJECT].download == 120
    assert events(changes) == {"reset"}


def test_row05_packets_restart_with_the_bytes() -> None:
    home = Home()
    home.poll(read(raw(100, 50, 10, 5), life=life("1")), mark="1")
    changes = home.poll(read(raw(140, 60, 3, 2), life=life("2")), mark="2")
    assert changes.increases[SUBJECT] == raw(140, 60, 3, 2)


# Row 6: it goes on.


def test_row06_counts_the_difference() -> None:
    home = Home()
    home.poll(read(raw(100, 50, 10, 5)))
    changes = home.poll(read(raw(130, 57, 12, 6)))
    assert changes.increases == {SUBJECT: raw(30, 7, 2, 1), SITE: raw(30, 7, 2, 1)}
    assert changes.events == {}


def test_row06_an_unmoved_counter_is_no_change() -> None:
    home = Home()
    home.read(100)
    changes = home.poll(read(100))
    assert changes.increases == {SUBJECT: ZERO, SITE: ZERO}
    assert (changes.counters, changes.totals) == ({}, {})


def test_row06_one_direction_alone_may_move() -> None:
    home = Home()
    home.poll(read(raw(100, 50)))
    assert home.poll(read(raw(100, 51))).increases[SUBJECT] == raw(0, 1)


def test_row06_packets_that_fall_alone_begin_anew() -> None:
    home = Home()
    home.poll(read(raw(100, 50, 10, 5)))
    assert home.poll(read(raw(130, 57, 4, 6))).increases[SUBJECT] == raw(30, 7, 0, 1)
    assert home.poll(read(raw(140, 57, 6, 6))).increases[SUBJECT] == raw(10, 0, 2, 0)


# Row 7: 32 bits.


def near_the_end(before: int = WRAP - 100) -> Home:
    home = Home()
    home.poll(read(raw(before, 50, 10, 5), wraps=True))
    return home


def test_row07_a_32_bit_value_passes_its_end() -> None:
    home = near_the_end()
    changes = home.poll(read(raw(23, 51, 12, 6), wraps=True))
    assert changes.increases[SUBJECT] == raw(123, 1, 2, 1)
    assert changes.events == {("client", "wrap"): 1}
    assert home.poll(read(raw(30, 51, 13, 6), wraps=True)).increases[SUBJECT].download == 7


def test_row07_upload_wraps_alone() -> None:
    home = Home()
    home.poll(read(raw(50, WRAP - 100, 5, 10), wraps=True))
    assert home.poll(read(raw(60, 23, 6, 12), wraps=True)).increases[SUBJECT] == raw(10, 123, 1, 2)


def test_row07_same_life_or_not() -> None:
    home = Home()
    home.poll(read(raw(WRAP - 100, 50, 10, 5), life=Life(age=100.0), wraps=True))
    assert home.poll(read(raw(23, 51, 12, 6), life=Life(age=130.0), wraps=True)).increases[SUBJECT].download == 123


def test_row07_not_of_another_kind() -> None:
    home = near_the_end()
    assert home.poll(read(raw(23, 51, 12, 6))).increases[SUBJECT] == ZERO


@pytest.mark.parametrize("packets", [9, 10])
def test_row07_not_where_download_packets_did_not_rise(packets: int) -> None:
    home = near_the_end()
    assert home.poll(read(raw(23, 51, packets, 6), wraps=True)).increases[SUBJECT] == ZERO


def test_row07_not_where_upload_packets_did_not_rise() -> None:
    home = Home()
    home.poll(read(raw(50, WRAP - 100, 5, 10), wraps=True))
    assert home.poll(read(raw(60, 23, 6, 10), wraps=True)).increases[SUBJECT] == ZERO


@pytest.mark.parametrize(("first", "wider"), [(raw(WRAP), True), (raw(0, WRAP), True), (raw(WRAP - 1), False)])
def test_row07_not_where_it_was_ever_wider(first: Count, wider: bool) -> None:
    home = Home(max_rate=1e12)
    home.poll(read(first, life=Life(age=100.0), wraps=True))
    home.poll(read(raw(WRAP - 100, 50, 10, 5), life=Life(age=10.0), wraps=True))  # a new life, which counts from 0
    fallen = home.poll(read(raw(23, 51, 12, 6), wraps=True))
    assert fallen.increases[SUBJECT].download == (0 if wider else 123)


def test_row07_not_to_a_wide_value() -> None:
    home = Home(max_rate=1e12)
    home.poll(read(raw(WRAP - 100, 50, 10, 5), wraps=True))
    assert home.poll(read(raw(WRAP, 49, 12, 6), wraps=True)).increases[SUBJECT] == ZERO
    assert home.memory.counters[KEY].wide


def test_row07_not_faster_than_its_link() -> None:
    home = near_the_end(before=WRAP - 30_000)
    assert home.poll(read(raw(1, 51, 12, 6), wraps=True)).increases[SUBJECT] == ZERO
    home = near_the_end(before=WRAP - 30_000)
    assert home.poll(read(raw(0, 51, 12, 6), wraps=True)).increases[SUBJECT].download == 30_000


def test_row07_what_its_link_could_not_carry_is_a_fall() -> None:
    home = near_the_end(before=WRAP - 10**6)
    home.poll(read(raw(1, 51, 12, 6), wraps=True))
    changes = home.poll(read(raw(5, 51, 13, 6), wraps=True))
    assert changes.increases[SUBJECT].download == 5
    assert events(changes) == {"reset"}


# Row 8: lower, in the same life.


def test_row08_same_life_is_a_dip() -> None:
    home = Home()
    assert home.live((100, life("1")), (90, life("1")), (95, life("1")), (104, life("1"))) == [0, 0, 0, 4]


def test_row08_is_said() -> None:
    home = Home()
    home.live((100, life("1")))
    assert events(home.poll(read(90, life=life("1")), mark="1")) == {"dip"}


def test_row08_one_direction_is_enough() -> None:
    home = Home()
    home.poll(read(raw(100, 50), life=life("1")), mark="1")
    assert home.poll(read(raw(120, 49), life=life("1")), mark="1").increases[SUBJECT] == ZERO
    assert home.poll(read(raw(130, 51), life=life("1")), mark="1").increases[SUBJECT] == raw(30, 1)


def test_row08_an_age_that_rose_with_time_is_the_same_life() -> None:
    home = Home()
    home.poll(read(100, life=Life(age=500.0)))
    for age in (521.0, 560.0):  # nine seconds behind, then in time
        assert events(home.poll(read(40, life=Life(age=age)))) == {"dip"}
    assert home.poll(read(103, life=Life(age=590.0))).increases[SUBJECT].download == 3


def test_row08_an_age_that_lags_proves_nothing() -> None:
    home = Home()
    home.poll(read(100, life=Life(age=500.0)))
    assert home.poll(read(40, life=Life(age=519.0))).increases[SUBJECT] == ZERO
    changes = home.poll(read(45, life=Life(age=545.0)))
    assert changes.increases[SUBJECT].download == 45
    assert events(changes) == {"reset"}


# Row 9: lower, and nothing is proved.


def test_row09_a_fallen_value_counts_at_the_next_reading() -> None:
    home = Home()
    assert home.read(100, 40, 55, 60) == [0, 0, 55, 5]


def test_row09_reset_is_said_when_it_is_counted() -> None:
    home = Home()
    home.read(100)
    assert reasons([home.poll(read(40)), home.poll(read(55))]) == [set(), {"reset"}]


def test_row09_a_dip_counts_from_the_last_value() -> None:
    home = Home()
    home.read(100)
    changes = [home.poll(read(40)), home.poll(read(104))]
    assert [one.increases[SUBJECT].download for one in changes] == [0, 4]
    assert reasons(changes) == [set(), {"dip"}]


def test_row09_back_at_the_last_value_is_a_dip() -> None:
    home = Home()
    assert home.read(100, 40, 100, 101) == [0, 0, 0, 1]


def test_row09_a_dip_must_be_over_in_both_directions() -> None:
    home = Home()
    home.poll(read(raw(100, 50)))
    home.poll(read(raw(40, 10)))
    assert home.poll(read(raw(120, 20))).increases[SUBJECT] == raw(120, 20)


def test_row09_zero_is_held_on() -> None:
    home = Home()
    assert home.read(100, 0, 0, 0, 7, 9) == [0, 0, 0, 0, 7, 2]
    assert home.read(0, 0, 12) == [0, 0, 3]


def test_row09_a_second_fall_after_a_dip_is_held_again() -> None:
    home = Home()
    assert home.read(100, 40, 110, 50, 115) == [0, 0, 10, 0, 5]


def test_row09_counts_from_the_base() -> None:
    home = Home()
    home.poll(read(100))
    home.poll(read(70, base=raw(60)))
    assert home.poll(read(75, base=raw(60))).increases[SUBJECT].download == 15


def test_row09_an_unknown_base_counts_nothing() -> None:
    home = Home()
    home.poll(read(100))
    home.poll(read(70, base=None))
    assert home.poll(read(75, base=None)).increases[SUBJECT] == ZERO
    assert home.poll(read(80, base=None)).increases[SUBJECT].download == 5


def test_row09_a_value_below_its_base_is_held_on() -> None:
    home = Home()
    home.poll(read(100))
    home.poll(read(70, base=raw(60)))
    assert home.poll(read(30, base=raw(60))).increases[SUBJECT] == ZERO
    assert home.poll(read(75, base=raw(60))).increases[SUBJECT].download == 15


def test_row09_a_new_session_counts_at_once() -> None:
    home = Home()
    home.poll(read(100, session="8:00"))
    changes = home.poll(read(40, session="9:00"))
    assert changes.increases[SUBJECT].download == 40
    assert events(changes) == {"reset"}
    assert home.poll(read(41, session="9:00")).increases[SUBJECT].download == 1


def test_row09_a_new_session_at_zero_is_held() -> None:
    home = Home()
    home.poll(read(100, session="8:00"))
    assert home.poll(read(0, session="9:00")).increases[SUBJECT] == ZERO
    assert home.poll(read(104, session="9:00")).increases[SUBJECT].download == 4


@pytest.mark.parametrize(("before", "after"), [("8:00", "8:00"), ("", "9:00"), ("8:00", "")])
def test_row09_no_other_session_is_held(before: str, after: str) -> None:
    home = Home()
    home.poll(read(100, session=before))
    assert home.poll(read(40, session=after)).increases[SUBJECT] == ZERO


def test_row09_a_new_session_is_no_restart() -> None:
    home = Home()
    home.poll(read(100, session="8:00"))
    assert home.poll(read(140, session="9:00")).increases[SUBJECT].download == 40


def test_row09_the_hold_is_in_the_state() -> None:
    home = Home()
    home.read(100)
    held = home.poll(read(40)).counters[KEY]
    assert (held.count, held.held, held.doubt) == (raw(100), raw(40), "fallen")
    taken = home.poll(read(45)).counters[KEY]
    assert (taken.count, taken.held, taken.doubt) == (raw(45), None, "")


# Row 10: more than the link can carry.


def test_row10_a_false_high_value_is_forgotten() -> None:
    home = Home()
    home.read(100)
    changes = [home.poll(read(10**9)), home.poll(read(150))]
    assert [one.increases[SUBJECT].download for one in changes] == [0, 50]
    assert reasons(changes) == [{"implausible"}, set()]
    assert home.memory.counters[KEY].held is None


def test_row10_up_to_what_the_link_can_carry() -> None:
    assert Home().read(100, 30_100) == [0, 30_000]
    assert Home().read(100, 30_101) == [0, 0]


def test_row10_each_direction_by_itself() -> None:
    home = Home()
    home.poll(read(raw(100, 50)))
    assert home.poll(read(raw(20_100, 20_050))).increases[SUBJECT] == raw(20_000, 20_000)
    assert home.poll(read(raw(20_101, 10**6))).increases[SUBJECT] == ZERO


def test_row10_one_refresh_of_the_meter_is_allowed() -> None:
    home = Home()
    home.read(100)
    assert home.poll(read(40_100), refresh=10.0).increases[SUBJECT].download == 40_000


def test_row10_time_counts_from_when_the_value_last_moved() -> None:
    home = Home()
    assert home.read(100, 100, 60_100) == [0, 0, 60_000]
    assert home.read(120_100) == [0]


def test_row10_plausible_over_the_longer_time_counts() -> None:
    home = Home()
    assert home.read(100, 50_100, 50_100) == [0, 0, 50_000]


def test_row10_a_level_that_stands_is_a_new_baseline() -> None:
    home = Home()
    home.read(100, 10**9)
    changes = home.poll(read(10**9 + 10))
    assert changes.increases[SUBJECT] == ZERO
    assert events(changes) == {"implausible"}
    assert home.read(10**9 + 15) == [5]


def test_row10_a_level_that_leaps_on_does_not_stand() -> None:
    home = Home()
    home.read(100, 10**9)
    assert home.read(10**12, 130) == [0, 30]


def test_row10_the_links_own_speed_counts() -> None:
    home = Home()
    home.poll(read(100, speed=10_000.0))
    assert home.poll(read(300_100, speed=10_000.0)).increases[SUBJECT].download == 300_000
    home = Home()
    home.poll(read(100, speed=10.0))
    assert home.poll(read(401, speed=10.0)).increases[SUBJECT] == ZERO


def test_row10_the_fastest_link_seen_counts() -> None:
    home = Home()
    home.poll(read(100, speed=10_000.0))
    assert home.poll(read(300_100, speed=1.0)).increases[SUBJECT].download == 300_000
    home = Home()
    home.poll(read(100, speed=1.0))
    assert home.poll(read(300_100, speed=10_000.0)).increases[SUBJECT].download == 300_000


def test_row10_judges_new_lives() -> None:
    home = Home()
    assert home.live((100, life("1")), (10**9, life("2")), (40, life("2", 0, closed("1", 0, 110)))) == [0, 0, 50]


def test_row10_judges_resets() -> None:
    home = Home(max_rate=1.0)
    assert home.read(1_000, 400, 500) == [0, 0, 0]


# Rows of nlbwmon that a complete reading does not show.


def test_absent_row_of_the_same_life_ends_and_returns_from_zero() -> None:
    home = Home()
    home.live((100, life("1")))
    changes = home.poll(mark="1")
    assert changes.gone == {KEY}
    assert home.live((120, life("1"))) == [120]


def test_absent_row_of_an_incomplete_reading_stays() -> None:
    home = Home()
    home.live((100, life("1")))
    assert home.poll(complete=False).gone == frozenset()
    assert home.live((120, life("1"))) == [20]


def test_absent_row_of_another_life_stays() -> None:
    home = Home()
    home.live((100, life("1")))
    assert home.poll(mark="2").gone == frozenset()
    assert home.live((30, life("2", 0, closed("1", 0, 105)))) == [35]


def test_absent_row_without_a_life_stays() -> None:
    home = Home()
    home.read(100)
    assert home.poll().gone == frozenset()
    assert home.read(120) == [20]


def test_absent_row_of_another_collection_stays() -> None:
    home = Home()
    elsewhere = CounterKey("client", "guests", "a")
    home.poll(read(100, elsewhere, life=life("1")), mark="1")
    assert home.poll(mark="1").gone == frozenset()


# Late polls, clocks and gaps.


@pytest.mark.parametrize("number", [1, 2])
def test_late_poll_changes_nothing(number: int) -> None:
    home = Home()
    home.read(100, 150)
    before = home.memory.source
    changes = home.poll(read(170), number=number)
    assert changes == Changes(before, {}, frozenset(), {}, {}, {}, {})


def test_late_polls_are_not_told_by_clocks() -> None:
    home = Home()
    home.read(100)
    home.off = -86_400.0
    assert home.poll(read(170)).increases[SUBJECT].download == 70


def test_clock_of_ours_behind_counts_in_the_last_good_time() -> None:
    home = Home()
    home.read(100)
    good = home.memory.source.at
    home.off = -3_600.0
    changes = home.poll(read(170))
    assert changes.increases[SUBJECT].download == 70
    assert changes.events == {("client", "clock"): 1}
    assert changes.source.at == good


def test_clock_of_ours_in_time_is_not_said() -> None:
    home = Home()
    home.read(100)
    home.off = -30.0
    changes = home.poll(read(170))
    assert changes.events == {}
    assert changes.source.at == AT + home.tick - 30.0


@pytest.mark.parametrize("off", [301.0, -301.0, 10**7])
def test_clock_of_a_router_far_off_is_no_reading(off: float) -> None:
    home = Home()
    home.poll(read(100, life=life("1")), mark="1", bound=True)
    before = home.memory.source
    changes = home.poll(read(170, life=life("2")), mark="2", bound=True, meter_off=off)
    assert changes == Changes(before, {}, frozenset(), {}, {}, {}, {("client", "clock"): 1})


@pytest.mark.parametrize("off", [300.0, -300.0])
def test_clock_of_a_router_a_little_off_is_fine(off: float) -> None:
    home = Home()
    home.poll(read(100, life=life("1")), mark="1", bound=True)
    changes = home.poll(read(170, life=life("1")), mark="1", bound=True, meter_off=off)
    assert changes.increases[SUBJECT].download == 70


def test_clock_of_a_controller_binds_nothing() -> None:
    home = Home()
    home.read(100)
    assert home.poll(read(170), meter_off=10**7).increases[SUBJECT].download == 70


def test_gap_is_a_silence_of_more_than_three_intervals() -> None:
    home = Home()
    home.poll(read(100), after=5_000.0)
    home.poll(read(150), after=90.0)
    assert home.memory.source.gaps == 0
    assert home.poll(read(200), after=90.5).increases[SUBJECT].download == 50
    assert home.memory.source.gaps == 1


def test_memory_is_left_as_it_is() -> None:
    home = Home()
    home.read(100)
    before = (home.memory.source, dict(home.memory.counters), dict(home.memory.totals))
    poll = Poll(identity="another", readings=(read(170),), complete={CLIENTS: ""})
    ledger.advance(home.memory, poll, Moment(2, 2_000.0, AT), interval=30.0, max_rate=1e9)
    assert (home.memory.source, home.memory.counters, home.memory.totals) == before


def test_reasons_are_all_told() -> None:
    told = "baseline duplicate new reset rollover rollback wrap dip implausible clock"
    assert told.split() == list(ledger.REASONS)
