"""Percentile billing, and what other programs got wrong with it (LibreNMS, by the numbers of its reports)."""

from __future__ import annotations

import random
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.accounting.buckets import BUCKET
from exporter.accounting.percentile import Bin, Level, Percentile, Silence, percentile

START = 1_780_000_200
DAY = 86_400


def _bins(*downloads: int) -> list[Bin]:
    return [Bin(START + number * BUCKET, download, download // 10) for number, download in enumerate(downloads)]


def _of(*downloads: int, bins: int | None = None) -> Percentile:
    return percentile(START, START + BUCKET * (bins or len(downloads)), _bins(*downloads))


@pytest.mark.parametrize(
    ("bins", "expected"),
    [(1, 1), (2, 2), (19, 19), (20, 19), (21, 20), (100, 95), (288, 274), (8640, 8208), (8928, 8482)],
)
def test_the_rank(bins: int, expected: int) -> None:
    values = random.Random(1).sample(range(1, bins + 1), bins)
    assert _of(*values).download == Level(expected, expected, expected)
    assert expected == ceil(Fraction(95, 100) * bins)


def test_a_level_is_billed_that_lasts_for_more_than_a_twentieth_of_the_time() -> None:
    assert _of(*[0] * 95, *[10] * 5).download.value == 0
    assert _of(*[0] * 94, *[10] * 6).download.value == 10


def test_other_percentiles() -> None:
    values = [*range(1, 11)]
    for percent, expected in ((1, 1), (50, 5), (51, 6), (90, 9), (91, 10), (100, 10)):
        assert percentile(START, START + 10 * BUCKET, _bins(*values), percent=percent).download.value == expected


def test_bits_per_second() -> None:
    assert Level(37_500_000, 0, 0).bits_per_second == 1e6


def test_the_larger_direction() -> None:
    moved = [Bin(START + number * BUCKET, 10, 30 if number == 0 else 5) for number in range(20)]
    billed = percentile(START, START + 20 * BUCKET, moved)
    # Not the 95th of the larger of each bin, and not of the sum.
    assert (billed.download.value, billed.upload.value, billed.larger.value) == (10, 5, 10)


@pytest.mark.parametrize(
    "bounds", [(START, START), (START, START - 300), (START + 1, START + 300), (START, START + 301)]
)
def test_a_period_that_is_none(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no whole bins"):
        percentile(*bounds, [])


_values = st.lists(st.integers(0, 10**13), min_size=1, max_size=300)


@given(_values, st.randoms(use_true_random=False), st.integers(1, 100))
def test_it_is_one_of_the_bins_and_enough_are_not_above_it(
    values: list[int], chance: random.Random, percent: int
) -> None:
    end = START + BUCKET * len(values)
    bins = [each for each in _bins(*values) if each.download or each.upload]
    chance.shuffle(bins)
    outside = [Bin(START - BUCKET, 10**15, 10**15), Bin(end, 10**15, 10**15)]
    value = percentile(START, end, [*outside, *bins], percent=percent).download.value
    assert value in values
    at_most = sum(each <= value for each in values)
    below = sum(each < value for each in values)
    assert at_most * 100 >= percent * len(values) > below * 100


@given(_values, st.integers(0, 299), st.integers(0, 10**9))
def test_more_bytes_never_cost_less(values: list[int], place: int, more: int) -> None:
    larger = list(values)
    larger[place % len(values)] += more
    assert _of(*larger).download.value >= _of(*values).download.value


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=60),
    st.data(),
)
def test_the_bounds_hold_whatever_was_when_in_a_silence(values: list[int], data: st.DataObject) -> None:
    """The truth is known here; a silence hides some of it, aligned to the bins."""
    first = data.draw(st.integers(0, len(values) - 1))
    after = data.draw(st.integers(first + 1, len(values)))
    hidden = sum(values[first:after])
    seen = [0 if first <= place < after else value for place, value in enumerate(values)]
    silence = Silence(START + first * BUCKET, START + after * BUCKET, hidden, 0)
    said = percentile(START, START + BUCKET * len(values), _bins(*seen), [silence])
    truth = _of(*values).download.value
    assert said.unknown == after - first
    assert said.download.least <= truth <= said.download.most
    assert said.download.least <= said.download.value <= said.download.most


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12), st.data())
def test_the_upper_bound_can_be_reached(values: list[int], data: st.DataObject) -> None:
    """By filling up bins of the silence as the bound says; one byte more cannot be."""
    first = data.draw(st.integers(0, len(values) - 1))
    after = data.draw(st.integers(first + 1, len(values)))
    hidden = data.draw(st.integers(0, 200))
    silence = Silence(START + first * BUCKET, START + after * BUCKET, hidden, 0)
    bins = START, START + BUCKET * len(values)
    most = percentile(*bins, _bins(*values), [silence]).download.most

    def reachable(level: int) -> bool:
        need = len(values) - ceil(Fraction(95, 100) * len(values)) + 1
        free = sum(value >= level for value in values)
        costs = sorted(level - value for value in values[first:after] if value < level)
        missing = max(0, need - free)
        return len(costs) >= missing and sum(costs[:missing]) <= hidden

    assert reachable(most)
    assert not reachable(most + 1)


def test_bytes_of_a_silence_are_neither_lost_nor_a_peak() -> None:
    """A steady line of 3 MB in five minutes: an outage of ours of a fifth of the time changes no bill."""
    bins = 288
    steady = _of(*[3_000_000] * bins).download.value
    seen = _bins(*[0 if 100 <= place < 160 else 3_000_000 for place in range(bins)])
    silence = Silence(START + 100 * BUCKET, START + 160 * BUCKET, 60 * 3_000_000, 0)
    said = percentile(START, START + bins * BUCKET, seen, [silence])
    assert said.download.value == steady
    assert said.unknown == 60
    left_out = percentile(START, START + bins * BUCKET, seen)
    assert said.download.least == left_out.download.value == 3_000_000
    assert said.download.most == 180_000_000 // 15


def test_a_silence_over_both_ends_of_the_period_counts_by_its_share() -> None:
    silence = Silence(START - 10 * BUCKET, START + 30 * BUCKET, 40_000, 40)
    said = percentile(START, START + 20 * BUCKET, [], [silence])
    assert (said.bins, said.unknown, said.download.value, said.upload.value) == (20, 20, 1000, 1)


def test_a_silence_from_within_a_bin_to_within_another() -> None:
    silence = Silence(START + 100, START + 500, 400, 0)
    said = percentile(START, START + 2 * BUCKET, [Bin(START, 7, 0)], [silence])
    assert said.download.value == 207
    assert said.unknown == 2


class TestLibreNms:
    """Its issues, by number."""

    def test_1128_an_outage_that_ends_is_no_spike(self) -> None:
        """Three hours of 8 Mbit/s that come in one poll. In its bin they would be 288 Mbit/s."""
        rate = 300_000_000
        seen = _bins(*[0 if 100 <= place < 136 else rate for place in range(288)])
        landed = Silence(START + 100 * BUCKET, START + 136 * BUCKET, 36 * rate, 0)
        said = percentile(START, START + DAY, seen, [landed])
        assert said.download.value == rate
        assert said.download.bits_per_second == 8e6

    def test_18481_bins_are_as_many_as_the_period_has_whatever_was_polled(self) -> None:
        """An idle line with one busy hour: bins that are not there are 0, and none is there twice."""
        busy = [Bin(START + (10 + number) * BUCKET, 9_000_000, 0) for number in range(12)]
        said = percentile(START, START + DAY, busy)
        assert (said.bins, said.download.value) == (288, 0)
        halves = [Bin(each.start, 4_500_000, 0) for each in busy for _ in range(2)]
        assert percentile(START, START + DAY, halves) == said

    def test_4318_nothing_is_clamped_to_what_a_link_says_of_its_speed(self) -> None:
        """A link that says 10 Mbit/s and moves 10 Gbit/s."""
        assert _of(*[375_000_000_000] * 288).download.bits_per_second == 1e10
