"""Where periods begin and end: short months, days of 23 and 25 hours, zones with odd offsets."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.accounting.buckets import BUCKET
from exporter.accounting.periods import DAILY, WEEKDAYS, Cycle, Period, period_of

# Half and quarter hours, changes at midnight and by half an hour, a skipped day, every kind of DST and none of it.
ZONES = [
    "UTC", "Europe/Berlin", "Europe/Dublin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo",
    "Africa/Casablanca", "America/New_York", "America/St_Johns", "America/Havana", "America/Sao_Paulo",
    "America/Asuncion", "America/Caracas", "Asia/Beirut", "Asia/Gaza", "Asia/Pyongyang", "Asia/Tehran", "Pacific/Apia",
    "Pacific/Chatham", "Pacific/Kiritimati", "Antarctica/Troll", "Antarctica/Casey", "America/Scoresbysund",
    "Etc/GMT+12",
]  # fmt: skip
RESETS = [DAILY, *WEEKDAYS, *map(str, range(1, 32))]

cycles = st.builds(Cycle, st.sampled_from(RESETS), st.sampled_from(ZONES).map(ZoneInfo))
moments = st.integers(946_684_800, 2_145_916_800)  # 2000 to 2038


def at(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def period(reset: str, zone: str, when: str) -> Period:
    return period_of(Cycle(reset, ZoneInfo(zone)), at(when, zone))


@given(cycles, moments)
def test_a_moment_is_in_its_period_and_periods_leave_no_hole(cycle: Cycle, moment: int) -> None:
    it = period_of(cycle, moment)
    assert it.start < moment <= it.end
    assert it.start % BUCKET == it.end % BUCKET == 0
    assert period_of(cycle, it.start + 1) == period_of(cycle, it.end) == it
    assert period_of(cycle, it.start).end == it.start
    assert period_of(cycle, it.end + 1).start == it.end


@given(cycles, moments)
def test_a_period_begins_on_the_date_it_says(cycle: Cycle, moment: int) -> None:
    it = period_of(cycle, moment)
    first = datetime.fromtimestamp(it.start, cycle.zone)
    before = datetime.fromtimestamp(it.start - BUCKET, cycle.zone)
    assert before.date() < first.date()
    # On a date that the zone skipped nothing begins; then it is the one after it.
    wanted = [first.date() - timedelta(days=days) for days in range((first.date() - before.date()).days)]
    if cycle.reset in WEEKDAYS:
        assert cycle.reset in [WEEKDAYS[day.weekday()] for day in wanted]
    elif cycle.reset != DAILY:
        assert any(
            day.day == int(cycle.reset) or (day.day < int(cycle.reset) and (day + timedelta(days=1)).day == 1)
            for day in wanted
        )


@given(cycles, moments)
def test_how_long_periods_are(cycle: Cycle, moment: int) -> None:
    it = period_of(cycle, moment)
    days = (it.end - it.start) / 86_400
    shortest, longest = (1, 1) if cycle.reset == DAILY else (7, 7) if cycle.reset in WEEKDAYS else (28, 31)
    assert shortest - 1.1 <= days <= longest + 0.1


@pytest.mark.parametrize(
    ("reset", "when", "start", "end"),
    [
        ("31", "2026-02-27T12:00", "2026-01-31", "2026-02-28"),
        ("31", "2026-02-28T12:00", "2026-02-28", "2026-03-31"),
        ("31", "2028-02-28T12:00", "2028-01-31", "2028-02-29"),
        ("31", "2028-02-29T00:01", "2028-02-29", "2028-03-31"),
        ("30", "2026-03-01T12:00", "2026-02-28", "2026-03-30"),
        ("31", "2026-04-30T12:00", "2026-04-30", "2026-05-31"),
        ("17", "2026-01-03T12:00", "2025-12-17", "2026-01-17"),
        ("17", "2026-12-31T12:00", "2026-12-17", "2027-01-17"),
        ("1", "2026-12-31T12:00", "2026-12-01", "2027-01-01"),
        ("monday", "2026-03-29T12:00", "2026-03-23", "2026-03-30"),
        ("sunday", "2026-03-29T12:00", "2026-03-29", "2026-04-05"),
        (DAILY, "2026-03-29T12:00", "2026-03-29", "2026-03-30"),
    ],
)
def test_by_example(reset: str, when: str, start: str, end: str) -> None:
    assert period(reset, "Europe/Berlin", when) == (at(start, "Europe/Berlin"), at(end, "Europe/Berlin"))


@pytest.mark.parametrize(
    ("zone", "date", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23.0),
        ("Europe/Berlin", "2026-10-25", 25.0),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Africa/Cairo", "2026-04-24", 23.0),  # it begins at one o'clock
        ("Asia/Kolkata", "2026-03-29", 24.0),
    ],
)
def test_days_on_which_clocks_are_changed(zone: str, date: str, hours: float) -> None:
    day = period(DAILY, zone, f"{date}T12:00")
    assert (day.end - day.start) / 3600 == hours
    month = period("1", zone, f"{date}T12:00")
    assert month.start <= day.start < day.end <= month.end


def test_midnight_itself_ends_the_day_before() -> None:
    midnight = at("2026-06-02T00:00", "Asia/Kolkata")
    assert period_of(Cycle(DAILY, ZoneInfo("Asia/Kolkata")), midnight).end == midnight
    assert period_of(Cycle(DAILY, ZoneInfo("Asia/Kolkata")), midnight + 0.5).start == midnight


def test_a_day_that_a_zone_skipped_is_in_no_period() -> None:
    # Samoa went from 29 to 31 December 2011.
    zone = "Pacific/Apia"
    before, after = (period(DAILY, zone, f"2011-12-{day}T12:00") for day in (29, 31))
    assert before.end == after.start
    assert period("30", zone, "2011-12-31T12:00").start == before.end
