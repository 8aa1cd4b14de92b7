"""What people read of `top` and `report`, word for word, over five weeks that are known hour by hour.

The files in `golden/` are what they printed when somebody last read them; `GOLDEN=write` writes them anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.commands.report import make_comparison, make_report, make_top
from exporter.commands.tables import show
from exporter.config import Config, load

KEY = ZoneInfo("Europe/Berlin")
GOLDEN = Path(__file__).parent / "golden"
MB = 1_200_000  # a twelfth is whole
SITE, LINE, KITCHEN, TV, PHONE = range(1, 6)
NAMES = {
    SITE: ("site", ""),
    LINE: ("wan", "wan"),
    KITCHEN: ("client", "02:00:00:00:00:01"),
    TV: ("client", "02:00:00:00:00:02"),
    PHONE: ("client", "02:00:00:00:00:03"),
}
NOW = datetime(2026, 7, 5, 12, tzinfo=KEY).timestamp()
PEAK = datetime(2026, 7, 2, 21, tzinfo=KEY)


def _moved(who: int, at: datetime) -> int:
    """Bytes of a client in an hour."""
    match who:
        case 3:  # a laptop that is used a little differently every day, and once for a backup
            return MB * (5000 if at == PEAK else 10 + 2 * at.hour + at.day % 4)
        case 4:  # a television in the evenings, until it broke
            return MB * (300 + at.day % 5) if 19 <= at.hour < 23 and at.date() < date(2026, 7, 4) else 0
        case _:  # a phone that came to stay on a Monday
            return MB * 4 if at.date() >= date(2026, 6, 29) else 0


def _hours() -> dict[tuple[int, int], int]:
    """What everybody moved in each hour: of a site its clients, of the line a twelfth more."""
    begin, end = int(datetime(2026, 6, 1, tzinfo=KEY).timestamp()), int(NOW)
    hours: dict[tuple[int, int], int] = defaultdict(int)
    for hour in range(begin, end, 3600):
        for who in (KITCHEN, TV, PHONE):
            moved = _moved(who, datetime.fromtimestamp(hour, KEY))
            for subject, bytes_ in ((who, moved), (SITE, moved), (LINE, moved + moved // 12)):
                hours[hour, subject] += bytes_
    return {place: moved for place, moved in hours.items() if moved}


@pytest.fixture
def config(ready: Path, tmp_path: Path) -> Config:
    state = tmp_path / "bandwidth.db"
    state.write_bytes(ready.read_bytes())
    hours, days = _hours(), dict[tuple[int, int], int]()
    for (hour, subject), moved in hours.items():
        day = datetime.fromtimestamp(hour, KEY).toordinal() - date(1970, 1, 1).toordinal()
        days[day, subject] = days.get((day, subject), 0) + moved
    rows = [(at, subject, moved - moved // 12, moved // 12) for (at, subject), moved in hours.items()]
    fine = [
        (at + 300 * part, subject, down // 12, up // 12)
        for at, subject, down, up in rows
        for part in range(12)
        if at >= NOW - 3 * 86_400
    ]
    silence = int(datetime(2026, 7, 3, 3, tzinfo=KEY).timestamp()), int(datetime(2026, 7, 3, 5, tzinfo=KEY).timestamp())
    with closing(sqlite3.connect(state)) as file, file:
        file.executemany("INSERT INTO meta VALUES (?, ?)", [("timezone", KEY.key), ("archive_hour", str(int(NOW)))])
        subjects = ((number, *names) for number, names in NAMES.items())
        file.executemany("INSERT INTO subject (id, source, kind, site, key) VALUES (?, 'attic', ?, '', ?)", subjects)
        file.executemany("INSERT INTO hourly VALUES (?, ?, 'all', ?, ?, 0)", rows)
        file.executemany("INSERT INTO usage VALUES (?, ?, 'all', ?, ?, 0)", fine)
        by_day = ((day, subject, moved - moved // 12, moved // 12) for (day, subject), moved in days.items())
        file.executemany("INSERT INTO daily VALUES (?, ?, 'all', ?, ?, 0)", by_day)
        file.executemany(
            "INSERT INTO gap VALUES (?, ?, ?, 'all', ?, 0, 0)", [(*silence, SITE, MB), (*silence, LINE, MB)]
        )
        week = int(datetime(2026, 7, 1, tzinfo=KEY).timestamp())
        file.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?)",
            [(week, SITE, "baseline", 12), (week - 300, SITE, "baseline", 999), (week, KITCHEN, "implausible", 2)],
        )
    path = tmp_path / "config.yaml"
    path.write_text(
        f"""
state: {state}
timezone: {KEY.key}
sources:
  - {{name: attic, kind: nlbwmon, host: 192.0.2.1, password: secret}}
clients:
  "{NAMES[KITCHEN][1]}": {{name: Kitchen laptop, owner: flat 3}}
  "{NAMES[TV][1]}": {{name: Television, owner: flat 3}}
"""
    )
    return load(path, {})


@pytest.mark.parametrize("name", ["report", "report-first-days", "top-week", "top-against", "top-today"])
def test_what_people_read(
    name: str, config: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    match name:
        case "report":
            show(make_report(config, "2026-07", "attic", 8, NOW))
        case "report-first-days":
            show(make_report(config, "2026-06-03..2026-06-05", "attic", 8, NOW))
        case "top-week":
            show(make_top(config, "week", "client", None, 2, NOW))
        case "top-against":
            show(make_comparison(config, "2026-07-01..2026-07-04", "2026-06-01..2026-06-04", "client", None, 2, NOW))
        case _:
            show(make_top(config, "today", "client", None, 10, NOW))
    said = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()) + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_narrow_terminal_cuts_nothing_off(
    columns: str, config: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    show(make_top(config, "2026-06", "client", None, 10, NOW))
    show(make_comparison(config, "2026-07-01..2026-07-04", "2026-06-01..2026-06-04", "client", None, 10, NOW))
    show(make_report(config, "2026-07", "attic", 8, NOW))
    said = capsys.readouterr().out
    assert "…" not in said
    assert all(said.count(NAMES[who][1]) >= 3 for who in (KITCHEN, TV, PHONE))
    assert {"nothing", "compare", "with"} <= {*said.split()}


def test_unusual_hours_are_the_peak_and_the_evenings_without_television(config: Config) -> None:
    said = make_report(config, "2026-07", "attic", 1000, NOW)
    client = [each for each in said.unusual.hours if each.address]
    assert [(each.who, each.hour) for each in client if each.who == "Kitchen laptop"] == [
        ("Kitchen laptop", int(PEAK.timestamp()))
    ]
    assert {
        datetime.fromtimestamp(each.hour, KEY).strftime("%d %H") for each in client if each.who == "Television"
    } == {f"04 {hour}" for hour in (19, 20, 21, 22)}
    assert said.unusual.hours[0].moved - said.unusual.hours[0].usual == pytest.approx(5000 * MB, rel=0.1)
    assert said.unusual.others == 0
    assert not {each.who for each in client} - {"Kitchen laptop", "Television"}, "the phone is there for too few days"


def test_the_trend_of_a_month_is_that_of_its_days_that_are_over(config: Config) -> None:
    said = make_report(config, "2026-07", "attic", 8, NOW)
    hours = _hours()

    def of(subject: int, month: int) -> int:
        days = [datetime(2026, month, day, tzinfo=KEY).timestamp() for day in (1, 5)]
        return sum(moved for (at, who), moved in hours.items() if who == subject and days[0] <= at < days[1])

    for heading, subject in zip(said.trends, (SITE, LINE), strict=True):
        now = of(subject, 7) + MB
        assert heading.change == pytest.approx((now - of(subject, 6)) / of(subject, 6))
    assert [heading.of for heading in said.trends] == ["all clients", "the line"]
