"""Small examples for the rules of docs/design.md, "The ledger", that are about whole polls."""

from __future__ import annotations

import pytest

from exporter import ledger
from exporter.model import Changes, CounterKey, Moment, Poll
from tests.ledger.home import AT, CLIENTS, KEY, SUBJECT, Home, closed, life, read

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


def test_gap_is_a_collection_too_that_polls_left_out_for_longer_than_three_intervals() -> None:
    """As clients while a router's clock is wrong: the source answers, and their bytes come in one."""
    home = Home()
    home.read(100)
    for _ in range(2):
        home.poll(complete=False)
    assert not home.poll(read(130)).gap
    for _ in range(3):
        assert not home.poll(complete=False).gap
    assert home.poll(read(170)).gap
    assert home.memory.source.gaps == 1
    assert not home.poll(read(180)).gap
    assert home.poll(after=91.0, complete=False).gap


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
