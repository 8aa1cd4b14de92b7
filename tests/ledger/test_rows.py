"""Small examples for rows 1 to 6 of docs/design.md, "The ledger": both sides of each condition."""

from __future__ import annotations

import pytest

from exporter.model import ZERO, Closed, CounterKey, Life
from tests.ledger.home import AT, KEY, SITE, SUBJECT, Home, closed, events, life, raw, read

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


def test_row05_restarted_from_an_older_copy_the_smallest_history_counts() -> None:
    home = Home()
    again = life("3", 0, closed("1", 0, 120), closed("2", 0, 30), restarted=True)
    assert home.live((100, life("1")), (130, again)) == [0, 20 + 30 + 10]


def test_row05_restarted_from_older_copies_each_direction_counts_the_smallest() -> None:
    home = Home()
    finals = (Closed("1", raw(0), raw(120, 10)), Closed("2", raw(0), raw(30, 50)))
    home.poll(read(raw(120, 10), life=life("1")))
    changes = home.poll(read(raw(130, 60), life=life("3", 0, *finals, restarted=True)))
    assert changes.increases[SUBJECT] == raw(30 + 10, 50 + 10)


def test_row05_restarted_with_an_unknown_base_and_below_the_last_final_counts_nothing_of_it() -> None:
    home = Home()
    again = life("3", None, closed("1", 0, 120), closed("2", 0, 200), restarted=True)
    assert home.live((100, life("1")), (130, again)) == [0, 20 + 80]


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
