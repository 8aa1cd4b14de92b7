"""Small examples for rows 7 to 10 of docs/design.md, "The ledger": values that fell, or rose too far."""

from __future__ import annotations

import pytest

from exporter.model import ZERO, Count, Life
from tests.ledger.home import KEY, SUBJECT, WRAP, Home, closed, events, life, raw, read, reasons

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


def test_row08_a_full_table_drove_the_counter_out() -> None:
    home = Home()
    full = Life(mark="1", evicts=True)
    assert home.live((100, full), (90, full), (95, full)) == [0, 90, 5]


def test_row08_what_was_driven_out_is_said() -> None:
    home = Home()
    full = Life(mark="1", evicts=True)
    home.live((100, full))
    assert events(home.poll(read(90, life=full), mark="1")) == {"reset"}


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
