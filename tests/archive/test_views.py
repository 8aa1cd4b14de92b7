"""The views say what the rows say, day by day and month by month, also of hours that are not made and of gaps."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.accounting.buckets import BUCKET
from exporter.accounting.days import date_of, day_of, day_start
from exporter.store import Retention, State, calendar
from tests.archive.house import MACS, Archived, House, house

ZONES = ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo", "Atlantic/Azores"]
FOREVER = Retention.forever()


def _ask(path: Path, query: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as file:
        file.row_factory = sqlite3.Row
        return [dict(row) for row in file.execute(query)]


def _truth(path: Path, zone: str) -> dict[tuple[str, ...], list[int]]:
    """By date, source, subject and class, from five minutes and gaps alone."""
    file, key = Archived(path), ZoneInfo(zone)
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])

    def add(at: int, subject: int, kind: str, download: int, upload: int) -> None:
        source, name = file.subjects[subject]
        date = datetime.fromtimestamp(at, key).date().isoformat()
        place = sums[date, source, name.site, name.kind, name.key, kind]
        place[:] = place[0] + download, place[1] + upload

    for row in file.usage:
        add(*row)
    for ended, row in file.gaps:
        length, before = ended - row.when, [0, 0]
        # Five minutes at a time, each in the day on whose date it begins.
        for edge in [*range(row.when // BUCKET * BUCKET + BUCKET, ended, BUCKET), ended]:
            upto = [row.download * (edge - row.when) // length, row.upload * (edge - row.when) // length]
            add((edge - 1) // BUCKET * BUCKET, row.subject, row.kind, upto[0] - before[0], upto[1] - before[1])
            before = upto
    return {place: pair for place, pair in sums.items() if pair != [0, 0]}


def _said(rows: list[dict[str, Any]], when: str) -> dict[tuple[str, ...], list[int]]:
    names = (when, "source", "site", "kind", "subject", "class")
    said = {tuple(row[name] for name in names): [row["download"], row["upload"]] for row in rows}
    assert len(said) == len(rows)
    return said


def _live(it: House, hours: float) -> None:
    """Some hours with a silence in them that goes over midnight, and one within a day."""
    steps = math.ceil(hours * 4)
    for step in range(steps):
        for source in ("home", "attic"):
            for number, mac in enumerate(MACS):
                it.move(source, mac, 1_000_003 * (number + 1) + step, 777 * step)
        it.poll("home", "attic", after=40_000.0 if step in (steps // 2, steps - 5) else 900.0)


@pytest.mark.parametrize("zone", ZONES)
def test_days_and_months_are_those_of_the_rows(ready: Path, tmp_path: Path, zone: str) -> None:
    begin = datetime(2026, 10, 24, 3, tzinfo=UTC) if zone != "Africa/Cairo" else datetime(2026, 10, 29, 9, tzinfo=UTC)
    with house(tmp_path, ready, begin.timestamp(), zone, FOREVER) as it:
        _live(it, 12)
        truth = _truth(it.path, zone)
        for minute in (0, 7, 15, 61):
            it.poll("home", after=60.0 * minute)
            assert _truth(it.path, zone) == truth
            assert len({place[0] for place in truth}) >= 2
            assert _said(_ask(it.path, "SELECT * FROM v_usage_daily"), "date") == truth
        months: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
        for (date, *place), (down, up) in truth.items():
            of = months[date[:7], *place]
            of[:] = of[0] + down, of[1] + up
        assert _said(_ask(it.path, "SELECT * FROM v_usage_month"), "month") == months
        assert all(
            row["date"] == date_of(row["day"]).isoformat() for row in _ask(it.path, "SELECT * FROM v_usage_daily")
        )


def test_another_time_zone_cuts_other_days(ready: Path, tmp_path: Path) -> None:
    with house(tmp_path, ready, datetime(2026, 12, 31, 3, tzinfo=UTC).timestamp(), "Asia/Kolkata", FOREVER) as it:
        _live(it, 12)
        it.cut_days_by("America/New_York")
        truth = _truth(it.path, "America/New_York")
        assert {place[0][:4] for place in truth} == {"2026", "2027"}
        assert _said(_ask(it.path, "SELECT * FROM v_usage_daily"), "date") == truth


def test_top_clients(ready: Path, tmp_path: Path) -> None:
    with house(tmp_path, ready, datetime(2026, 5, 31, 3, tzinfo=UTC).timestamp(), "Europe/Berlin", FOREVER) as it:
        _live(it, 30)
        rows = _ask(it.path, "SELECT * FROM v_top_clients WHERE month = '2026-06' AND source = 'home' ORDER BY rank")
        truth = {place[4]: pair for place, pair in _said(_ask(it.path, "SELECT * FROM v_usage_month"), "month").items()
                 if place[:2] == ("2026-06", "home") and place[3] == "client" and place[5] == "all"}  # fmt: skip
        assert [row["rank"] for row in rows] == [1, 2, 3]
        assert {row["client"]: [row["download"], row["upload"]] for row in rows} == truth
        assert [row["client"] for row in rows] == sorted(truth, key=lambda mac: -sum(truth[mac]))
        assert [row["bytes"] for row in rows] == [sum(truth[row["client"]]) for row in rows]
        assert math.isclose(sum(row["share"] for row in rows), 1)
        assert math.isclose(rows[0]["share"], rows[0]["bytes"] / sum(map(sum, truth.values())))


def test_summary(ready: Path, tmp_path: Path) -> None:
    with house(tmp_path, ready, datetime(2026, 5, 31, 3, tzinfo=UTC).timestamp(), "Europe/Berlin", FOREVER) as it:
        _live(it, 12)
        it.move("home", MACS[0], 10**9, 10**6)
        it.poll("home", after=200_000.0)  # a silence that ends after the newest five minutes
        rows = {
            (row["source"], row["kind"], row["subject"]): row
            for row in _ask(it.path, "SELECT * FROM v_bandwidth_summary")
        }
        assert {kind for _, kind, _ in rows} == {"client", "site"}
        file = Archived(it.path)
        until = max(row.when for row in file.usage) + BUCKET
        since = until - 86_400
        for (number, kind), (down, up) in file.grown.items():
            if kind != "all":
                continue
            source, name = file.subjects[number]
            row = rows[source, name.kind, name.key]
            assert (row["total_download"], row["total_upload"]) == (down, up)
            day = sum(
                each.download
                for each in file.usage
                if each.subject == number and each.kind == "all" and each.when >= since
            )
            for ended, each in file.gaps:
                if each.subject == number and each.kind == "all" and ended > since:
                    past, passed = (max(0, min(at, ended) - each.when) for at in (since, until))
                    length = ended - each.when
                    day += each.download * passed // length - each.download * past // length
            assert row["day_download"] == day > 0
            assert day < down


def test_a_gap_of_more_bytes_and_seconds_than_64_bits_multiply(ready: Path, tmp_path: Path) -> None:
    path = tmp_path / "bandwidth.db"
    path.write_bytes(ready.read_bytes())
    zone = ZoneInfo("Europe/Berlin")
    begun = int(datetime(2026, 3, 20, 12, tzinfo=zone).timestamp())
    bytes_, length = 10**16 + 12_345, 20 * 86_400 + 17
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("INSERT INTO subject (id, source, kind, site, key) VALUES (1, 'home', 'wan', '', 'wan')")
        file.execute("INSERT INTO gap VALUES (?, ?, 1, 'all', ?, 7, 0)", (begun, begun + length, bytes_))
        calendar.cover(file, day_of(begun, zone), day_of(begun + length, zone), zone)
    rows = _ask(path, "SELECT date, download FROM v_usage_daily ORDER BY date")
    assert len(rows) == 21
    assert sum(row["download"] for row in rows) == bytes_
    end = day_start(day_of(begun, zone) + 1, zone)
    assert rows[0] == {"date": "2026-03-20", "download": bytes_ * (end - begun) // length}


def test_the_calendar_is_that_of_the_days(ready: Path, tmp_path: Path) -> None:
    path = tmp_path / "bandwidth.db"
    path.write_bytes(ready.read_bytes())
    for zone in map(ZoneInfo, [*ZONES, "Pacific/Apia"]):
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("DELETE FROM calendar")
            for day in (day_of(1_325_000_000, zone), day_of(1_793_000_000, zone)):
                calendar.cover(file, day, day, zone)
                calendar.cover(file, day, day, zone)
        rows = _ask(path, "SELECT * FROM calendar ORDER BY day")
        assert {row["month"][:4] for row in rows} == {"2011", "2026"}
        for row in rows:
            assert row["date"] == date_of(row["day"]).isoformat()
            assert row["month"] == row["date"][:7]
            assert (row["began"], row["ended"]) == (day_start(row["day"], zone), day_start(row["day"] + 1, zone))


def test_a_file_without_a_calendar_gets_it_at_the_start(ready: Path, tmp_path: Path) -> None:
    with house(tmp_path, ready, datetime(2026, 12, 31, 3, tzinfo=UTC).timestamp(), "Asia/Kolkata", FOREVER) as it:
        _live(it, 12)
        path = it.path
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM calendar")
    with closing(State.open(path)) as state:
        state.keep(ZoneInfo("Asia/Kolkata"), FOREVER)
    assert _said(_ask(path, "SELECT * FROM v_usage_daily"), "date") == _truth(path, "Asia/Kolkata")
