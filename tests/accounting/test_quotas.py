"""How far a quota is used, and where it is heading."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.accounting.periods import Period
from exporter.accounting.quotas import BOTH, SILENT, counted, standing
from exporter.model import Count

DAY = 86_400
MONTH = Period(0, 30 * DAY)
GB = 10**9

_bytes = st.integers(0, 10**15)
_counts = st.builds(Count, _bytes, _bytes)
_ways = st.sampled_from(["download", "upload", BOTH])
_periods = st.builds(
    lambda start, length: Period(start, start + length), st.integers(0, 2 * 10**9), st.integers(300, 400 * DAY)
)
_limits = st.integers(1, 10**15)


def at(day: float, used: int, limit: int = 500 * GB) -> tuple[float | None, float | None]:
    said = standing(Count(used), MONTH, day * DAY, limit=limit)
    return said.projected, None if said.passed_at is None else said.passed_at / DAY


@pytest.mark.parametrize(("count", "used"), [("download", 7), ("upload", 2), (BOTH, 9)])
def test_which_way_counts(count: str, used: int) -> None:
    assert counted(Count(7, 2, 99, 99), count) == used
    assert standing(Count(7, 2), MONTH, DAY, limit=10, count=count).ratio == used / 10


def test_by_hand() -> None:
    assert at(10, 200 * GB) == (600 / 500, 25.0)
    assert at(15, 250 * GB) == (1.0, None)
    assert at(15, 240 * GB) == (0.96, None)
    assert at(15, 0) == (0.0, None)


def test_the_first_twentieth_says_nothing() -> None:
    assert at(1.49, 100 * GB) == (None, None)
    assert at(1.5, 100 * GB) == (4.0, 7.5)
    assert at(-1, 100 * GB) == (None, None)


def test_what_is_passed_already_is_not_foretold() -> None:
    assert at(10, 500 * GB) == (3.0, None)
    assert at(10, 501 * GB)[1] is None


def test_after_the_end_nothing_is_added() -> None:
    assert at(31, 400 * GB) == (0.8, None)


def test_the_day_of_a_real_month() -> None:
    start, end = (int(datetime(2026, month, 17, tzinfo=UTC).timestamp()) for month in (1, 2))
    said = standing(Count(300 * GB), Period(start, end), start + 12 * DAY, limit=400 * GB)
    assert said.passed_at is not None
    assert datetime.fromtimestamp(said.passed_at, UTC) == datetime(2026, 2, 2, tzinfo=UTC)


@given(_periods, _counts, _counts, _ways, _limits)
def test_used_adds_up(period: Period, one: Count, other: Count, count: str, limit: int) -> None:
    both = Count(one.download + other.download, one.upload + other.upload)
    parts = [standing(each, period, period.end, limit=limit, count=count).used for each in (one, other)]
    assert standing(both, period, period.end, limit=limit, count=count).used == sum(parts)


@given(_periods, st.floats(0, 1.2), _bytes, st.integers(0, 10**12), _limits)
def test_who_used_more_is_projected_to_use_more(period: Period, gone: float, used: int, more: int, limit: int) -> None:
    now = period.start + gone * (period.end - period.start)
    less, much = (standing(Count(each), period, now, limit=limit) for each in (used, used + more))
    if less.projected is None:
        assert gone < SILENT + 1e-9
        assert much.projected is None
        return
    assert much.projected is not None
    assert less.ratio * (1 - 1e-9) <= less.projected <= much.projected
    if less.passed_at is not None and much.passed_at is not None:
        assert much.passed_at <= less.passed_at + 1e-3


@given(_periods, st.floats(SILENT + 0.001, 0.99), st.integers(10**6, 10**15), st.floats(0.01, 0.99))
def test_at_a_steady_rate_the_limit_is_passed_when_it_was_said(
    period: Period, gone: float, used: int, part: float
) -> None:
    length = period.end - period.start
    limit = used + 1 + int((used / gone - used) * part)  # between what was used and what it comes to
    said = standing(Count(used), period, period.start + gone * length, limit=limit)
    assert said.passed_at is not None
    assert period.start + gone * length <= said.passed_at + 1e-3
    assert said.passed_at <= period.end + 1e-3
    assert used / (gone * length) * (said.passed_at - period.start) == pytest.approx(limit)


@given(_periods, _bytes, _limits)
def test_at_the_end_the_projection_is_what_was_used(period: Period, used: int, limit: int) -> None:
    said = standing(Count(used), period, period.end, limit=limit)
    assert said.projected == pytest.approx(said.ratio)
    assert said.passed_at is None
