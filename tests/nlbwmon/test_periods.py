"""Labels and beginnings of nlbwmon's periods, against what the daemon was seen to do (recorded edge-interval cases)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.nlbwmon.periods import Fixed, Monthly, dashed, interval_of, periods

AUCKLAND, NEW_YORK = 13 * 3600, -5 * 3600
DAY = 86_400


def local(text: str, offset: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() - offset


def labels(interval: str, now: float, offset: int = 0, number: int = 1) -> list[str]:
    meaning = interval_of(interval, offset)
    assert meaning is not None
    return [period.label for period in periods(meaning, now, offset, number)]


def test_a_month_begins_at_local_midnight() -> None:
    before, after = local("2026-11-30T23:59:59", AUCKLAND), local("2026-12-01T00:00:00", AUCKLAND)
    assert labels("1", before, AUCKLAND) == ["20261101"]
    assert labels("1", after, AUCKLAND, 2) == ["20261201", "20261101"]
    assert periods(Monthly(1), after, AUCKLAND, 1)[0].start == after


@pytest.mark.parametrize(
    ("offset", "now", "label"),
    [
        (AUCKLAND, "2026-11-20T12:00", "20261119"),
        (AUCKLAND, "2026-11-21T00:00", "20261120"),
        (AUCKLAND, "2026-11-21T23:00", "20261121"),
        (NEW_YORK, "2026-11-20T12:00", "20261119"),
        (NEW_YORK, "2026-11-21T00:00", "20261120"),
        (NEW_YORK, "2026-11-21T23:00", "20261121"),
    ],
)
def test_days_begin_at_utc_midnight_and_have_its_local_date(offset: int, now: str, label: str) -> None:
    assert labels("2026-11-20/1", local(now, offset), offset) == [label]


def test_seven_days() -> None:
    assert labels("2026-11-16/7", local("2026-11-20T12:00")) == ["20261116"]
    assert labels("2026-11-16/7", local("2026-11-22T23:59:59")) == ["20261116"]
    assert labels("2026-11-16/7", local("2026-11-30T12:00"), number=3) == ["20261130", "20261123", "20261116"]


def test_minus_two_is_the_29th_of_a_month_with_31_days() -> None:
    assert labels("-2", local("2026-12-29T00:00")) == ["20261229"]
    assert labels("-2", local("2026-12-28T23:59")) == ["20261128"]
    assert labels("-2", local("2026-12-31T12:00"), number=4) == ["20261229", "20261128", "20261029", "20260928"]


def test_zero_is_the_last_day_of_a_month() -> None:
    assert labels("0", local("2027-02-28T00:00"), number=2) == ["20270228", "20270131"]


def test_a_day_that_a_month_does_not_have_still_labels_it() -> None:
    assert labels("31", local("2026-05-15T00:00"), number=3) == ["20260431", "20260331", "20260231"]
    assert periods(Monthly(31), local("2026-05-15T00:00"), 0, 1)[0].start == local("2026-05-01T00:00")


def test_a_first_day_in_the_future_is_taken_as_the_daemon_does() -> None:
    assert labels("2026-11-20/7", local("2026-11-18T00:00")) == ["20261120"]


@pytest.mark.parametrize("text", ["", "m", "x", "1x", "2026-13-01/7", "2026-02-30/7", "2026-01-01/0", "1999-01-01/7"])
def test_what_no_interval_is(text: str) -> None:
    assert interval_of(text, 0) is None


def test_a_label_as_nlbw_takes_it() -> None:
    assert dashed("20261101") == "2026-11-01"


@given(
    st.one_of(st.builds(Monthly, st.integers(-30, 31)), st.builds(Fixed, st.just(0), st.integers(1, 400))),
    st.integers(1_600_000_000, 2_000_000_000),
    st.integers(-12, 14),
)
def test_every_period_ends_where_the_next_begins(interval: Monthly | Fixed, now: int, hours: int) -> None:
    newest, *before = periods(interval, now, hours * 3600, 3)
    assert newest.start <= now
    for later, earlier in zip([newest, *before], before, strict=False):
        assert earlier.start < later.start
        assert earlier.label < later.label
        at_its_end = periods(interval, later.start - 1, hours * 3600, 1)[0]
        assert at_its_end == earlier
        assert periods(interval, later.start, hours * 3600, 1)[0] == later
