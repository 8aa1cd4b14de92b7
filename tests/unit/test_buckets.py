from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.accounting.buckets import BUCKET, CLOCK, Span, bucket_of, buckets, share, span
from exporter.accounting.days import date_of, day_of, day_start, stretches
from exporter.accounting.growth import Growth, by_bucket
from exporter.model import SubjectKey

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",  # falls back over midnight
    "Asia/Beirut",  # springs forward over midnight
    "Pacific/Apia",  # had no 2011-12-30
    "America/Scoresbysund",
    "America/Toronto",  # went from 23:30 to 0:30 in 1919
]
_times = st.integers(0, 2_000_000_000)
_spans = st.builds(lambda start, length: Span(start, start + length), _times, st.integers(0, 5000))


def _utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@given(st.lists(st.tuples(st.integers(-(2**40), 2**62), st.integers(0, 2**40)), min_size=1, max_size=3), _spans)
def test_what_moved_in_each_bucket_is_its_share_and_adds_up(amounts: list[tuple[int, int]], over: Span) -> None:
    moved = [(SubjectKey("client", "", str(number)), *both) for number, both in enumerate(amounts)]
    parts = list(by_bucket(Growth(over, moved, whole=False)))
    touched = list(buckets(over))
    assert touched[-1] == bucket_of(over.end)
    assert touched[0] <= over.start < touched[0] + BUCKET or over.start == over.end
    for subject, *both in moved:
        mine = {bucket: (down, up) for bucket, key, down, up in parts if key == subject}
        assert list(mine) == [bucket for bucket in touched if bucket in mine]
        for way, amount in enumerate(both):
            so_far = 0
            for bucket in touched:
                so_far += mine.get(bucket, (0, 0))[way]
                assert so_far == share(amount, over.start, over.end, bucket + BUCKET)
            assert so_far == amount


@given(st.integers(0, 2**62), _spans, _times, _times)
def test_shares_never_fall(amount: int, over: Span, one: int, other: int) -> None:
    first, second = sorted((one, other))
    assert 0 <= share(amount, *over[:2], first) <= share(amount, *over[:2], second) <= amount


@pytest.mark.parametrize(
    ("before", "at", "elapsed", "expected"),
    [
        (None, 600.0, 0.0, Span(600, 600)),
        (570.0, 600.0, 30.0, Span(570, 600)),
        (570.9, 600.1, 29.2, Span(570, 601)),
        (570.0, 570.0, 30.0, Span(570, 570, CLOCK)),
        (570.0, 90.0, 30.0, Span(570, 570, CLOCK)),
        (570.0, 86_400.0, 30.0, Span(86_370, 86_400)),  # set forward
        (570.0, 600.0, 4000.0, Span(570, 600)),  # set back, but not behind the last poll
    ],
)
def test_what_lies_between_two_polls(before: float | None, at: float, elapsed: float, expected: Span) -> None:
    assert span(before, at, elapsed) == expected


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        (Span(570, 600), [300]),
        (Span(600, 600), [300]),
        (Span(600, 601), [600]),
        (Span(599, 601), [300, 600]),
        (Span(300, 1200), [300, 600, 900]),
    ],
)
def test_a_bucket_ends_with_its_last_second(over: Span, expected: list[int]) -> None:
    assert list(buckets(over)) == expected


@pytest.mark.parametrize("name", ZONES)
@given(day=st.integers(-20_000, 30_000))
@example(day=15_338)  # 2011-12-30
@example(day=-18_538)  # 1919-03-31
@example(day=19_442)  # 2023-03-26
def test_a_day_is_the_buckets_of_its_date(name: str, day: int) -> None:
    zone = ZoneInfo(name)
    start, end = day_start(day, zone), day_start(day + 1, zone)
    assert start % BUCKET == 0
    assert {day_of(bucket, zone) for bucket in range(start, end, BUCKET)} <= {day}
    assert day_of(start - BUCKET, zone) < day <= day_of(start, zone)
    assert 0 <= end - start <= 25 * 3600 + 1800


@pytest.mark.parametrize(
    ("name", "date", "start", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", 25),
        ("Asia/Kolkata", "2026-03-29", "2026-03-28T18:30", 24),
        ("Asia/Kathmandu", "2026-03-29", "2026-03-28T18:15", 24),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30", 23.5),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00", 23),
        ("America/Havana", "2026-11-01", "2026-11-01T04:00", 25),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00", 0),
    ],
)
def test_where_a_day_begins(name: str, date: str, start: str, hours: float) -> None:
    zone = ZoneInfo(name)
    day = datetime.fromisoformat(date).toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()
    assert date_of(day).isoformat() == date
    assert day_start(day, zone) == _utc(start)
    assert (day_start(day + 1, zone) - day_start(day, zone)) / 3600 == hours


def test_stretches_of_an_hour_with_a_midnight_in_it() -> None:
    start = _utc("2026-03-28T18:00")
    days = [(each.start - start, each.end - start) for each in stretches(start, start + 3600, ZoneInfo("Asia/Kolkata"))]
    assert days == [(0, 1800), (1800, 3600)]
