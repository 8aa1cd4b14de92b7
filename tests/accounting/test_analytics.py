from __future__ import annotations

import math
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.accounting.analytics import ENOUGH, Direction, Moved, anomaly, compare, top, trend

MB = 1_000_000


def test_top_and_its_shares() -> None:
    rows = [Moved("b", 30, 10), Moved("a", 20, 20), Moved("idle", 0, 0), Moved("c", 100, 0), Moved("d", 10, 10)]
    ranked = top(rows, 3)
    assert [(each.rank, each.moved.name, each.share) for each in ranked] == [
        (1, "c", 0.5),
        (2, "a", 0.2),
        (2, "b", 0.2),
    ]
    assert [each.rank for each in top(rows, 9)] == [1, 2, 2, 4]
    assert top([], 3) == top([Moved("idle", 0, 0)], 3) == []


_moved = st.lists(st.builds(Moved, st.text(max_size=3), st.integers(0, 10**15), st.integers(0, 10**15)), max_size=30)


@given(_moved, st.integers(1, 40))
def test_shares_are_of_all_rows(rows: list[Moved], most: int) -> None:
    ranked, whole = top(rows, most), sum(row.both for row in rows)
    assert len(ranked) == min(most, sum(row.both > 0 for row in rows))
    assert all(math.isclose(each.share * whole, each.moved.both) for each in ranked)
    assert sum(each.share for each in ranked) <= 1 + 1e-9
    assert all(first.moved.both >= second.moved.both for first, second in pairwise(ranked))


@pytest.mark.parametrize(
    ("now", "before", "direction", "change"),
    [
        (100, 100, Direction.STEADY, 0.0),
        (120, 100, Direction.STEADY, 0.2),
        (121, 100, Direction.UP, 0.21),
        (80, 100, Direction.STEADY, -0.2),
        (79, 100, Direction.DOWN, -0.21),
        (0, 100, Direction.DOWN, -1.0),
        (0, 0, Direction.STEADY, None),
        (1, 0, Direction.NEW, None),
        (1, None, Direction.UNKNOWN, None),
        (0, None, Direction.UNKNOWN, None),
        (12 * 10**17 + 1, 10**18, Direction.UP, 1.2 - 1),
    ],
)
def test_trend(now: int, before: int | None, direction: Direction, change: float | None) -> None:
    said = trend(now, before)
    assert said.direction is direction
    assert said.change == (None if change is None else pytest.approx(change))


def test_compare() -> None:
    before = [Moved("gone", 50, 0), Moved("same", 10, 0), Moved("twice", 1, 1), Moved("idle", 0, 0)]
    now = [Moved("same", 5, 6), Moved("new", 70, 0), Moved("twice", 2, 0), Moved("twice", 0, 2)]
    assert [(each.name, each.before, each.now, each.change, each.trend.direction) for each in compare(before, now)] == [
        ("new", 0, 70, 70, Direction.NEW),
        ("gone", 50, 0, -50, Direction.DOWN),
        ("twice", 2, 4, 2, Direction.UP),
        ("same", 10, 11, 1, Direction.STEADY),
    ]


@given(_moved, _moved)
def test_changes_add_up(before: list[Moved], now: list[Moved]) -> None:
    compared = compare(before, now)
    assert sum(each.change for each in compared) == sum(row.both for row in now) - sum(row.both for row in before)


def test_silent_until_there_are_enough() -> None:
    assert anomaly(10**12, [100] * (ENOUGH - 1)) is None
    assert anomaly(10**12, [100] * ENOUGH) is not None


def test_an_unusual_hour() -> None:
    earlier = [(100 + 10 * (day % 5)) * MB for day in range(28)]
    usual = anomaly(130 * MB, earlier)
    assert usual is not None
    assert not usual.unusual
    spike = anomaly(900 * MB, earlier)
    assert spike is not None
    assert spike.unusual
    assert spike.median == median(earlier) == 120 * MB
    assert spike.score == pytest.approx(0.6745 * 780 / 10)
    drop = anomaly(0, earlier)
    assert drop is not None
    assert drop.unusual
    assert drop.score == pytest.approx(-0.6745 * 120 / 10)


def test_one_spike_before_does_not_hide_the_next() -> None:
    """That is why it is the median, and not the mean."""
    earlier = [*[(100 + day) * MB for day in range(27)], 90_000 * MB]
    said = anomaly(900 * MB, earlier)
    assert said is not None
    assert said.unusual


def test_more_than_half_the_same() -> None:
    earlier = [*[0] * 20, *[100 * MB] * 8]
    said = anomaly(150 * MB, earlier)
    assert said is not None
    assert said.score == pytest.approx(0.7979 * 150 / (800 / 28))
    assert said.unusual
    again = anomaly(100 * MB, earlier)
    assert again is not None
    assert not again.unusual


def test_all_the_same() -> None:
    for moved, score, unusual in ((0, 0.0, False), (60 * MB, math.inf, True), (40 * MB, math.inf, False)):
        said = anomaly(moved, [0] * 28)
        assert said is not None
        assert (said.score, said.unusual) == (score, unusual)
    low = anomaly(0, [60 * MB] * 28)
    assert low is not None
    assert (low.score, low.unusual) == (-math.inf, True)


def test_ten_times_next_to_nothing_is_nothing() -> None:
    said = anomaly(10_000, [1000 + day for day in range(28)])
    assert said is not None
    assert said.score > 3.5
    assert not said.unusual
