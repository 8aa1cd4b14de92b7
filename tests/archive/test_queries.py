"""What the queries say is what the rows say, and no query goes through a whole table of history."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from exporter.accounting.buckets import BUCKET, HOUR
from exporter.accounting.days import day_of, day_start
from exporter.accounting.percentile import percentile
from exporter.store import Retention, StateError, queries
from tests.archive.fed import NOON, Fed
from tests.archive.house import MACS, Archived, House, house
from tests.archive.server import FEEDER, PASSWORDS, Database

FOREVER = Retention.forever()
ZONE = "Asia/Kolkata"
KEY = ZoneInfo(ZONE)
BEGIN = datetime(2026, 10, 24, 3, tzinfo=UTC).timestamp()


@pytest.fixture
def lived(ready: Path, tmp_path: Path) -> Iterator[House]:
    """Three days, with silences in them, and hours that are not made yet."""
    with house(tmp_path, ready, BEGIN, ZONE, FOREVER) as it:
        for step in range(120):
            for source in ("home", "attic"):
                for number, mac in enumerate(MACS):
                    it.move(source, mac, 1_000_003 * (number + 1) + step, 777 * step)
            it.poll("home", "attic", after=40_000.0 if step in (60, 112) else 900.0)
        yield it


def _truth(path: Path, start: int, end: int, classes: bool) -> dict[queries.Place, queries.Pair]:
    file = Archived(path)
    sums: dict[queries.Place, list[int]] = defaultdict(lambda: [0, 0])
    for row in file.usage:
        if start <= row.when < end and (row.kind != "all") == classes:
            of = sums[row.subject, row.kind]
            of[:] = of[0] + row.download, of[1] + row.upload
    for ended, row in file.gaps:
        low, high, length = max(row.when, start), min(ended, end), ended - row.when
        if low < high and (row.kind != "all") == classes:
            of = sums[row.subject, row.kind]
            shares = [
                amount * (high - row.when) // length - amount * (low - row.when) // length
                for amount in (row.download, row.upload)
            ]
            of[:] = of[0] + shares[0], of[1] + shares[1]
    return {place: (pair[0], pair[1]) for place, pair in sums.items() if pair != [0, 0]}


def _periods() -> Iterator[tuple[int, int]]:
    today = day_of(int(BEGIN), KEY)
    for first, last in ((today, today + 1), (today + 1, today + 3), (today, today + 4), (today - 3, today - 1)):
        yield day_start(first, KEY), day_start(last, KEY)
    hour = int(BEGIN) // HOUR * HOUR
    yield hour + 5 * HOUR, hour + 17 * HOUR
    yield hour + 2 * HOUR, hour + 100 * HOUR
    yield hour + 300, hour + 9 * HOUR + 600
    yield hour + 40 * HOUR - 600, hour + 90 * HOUR + 300


@pytest.mark.parametrize("classes", [False, True])
def test_totals_of_any_period(lived: House, classes: bool) -> None:
    for minutes in (0, 8, 70):
        lived.poll("home", after=60.0 * minutes)
        with queries.reading(lived.path) as history:
            for start, end in _periods():
                said = queries.totals(history, start, end, classes=classes)
                assert {place: pair for place, pair in said.items() if pair != (0, 0)} == _truth(
                    lived.path, start, end, classes
                )


def test_days_of_some_subjects(lived: House) -> None:
    with queries.reading(lived.path) as history:
        named = queries.subjects(history, ["client"], "home")
        assert {each.key for each in named.values()} == set(MACS)
        first = day_of(int(BEGIN), KEY) - 1
        said = queries.days(history, list(named), first, first + 6)
        for day in range(first, first + 7):
            truth = _truth(lived.path, day_start(day, KEY), day_start(day + 1, KEY), classes=False)
            mine = [pair for (subject, _), pair in truth.items() if subject in named]
            assert said.get(day, (0, 0)) == (sum(pair[0] for pair in mine), sum(pair[1] for pair in mine))


def test_bins_and_silences_are_all_that_moved(lived: House) -> None:
    with queries.reading(lived.path) as history:
        ((number, _),) = queries.subjects(history, ["site"], "home").items()
        start, end = day_start(day_of(int(BEGIN), KEY), KEY), int(lived.time.wall_at) // BUCKET * BUCKET + BUCKET
        bins = queries.bins(history, [number], start, end)
        silences = queries.silences(history, [number], start, end)
        whole = sum(each.download for each in bins) + sum(each.download for each in silences)
        assert whole == queries.totals(history, start, end)[number, "all"][0]
        assert whole == _truth(lived.path, start, end, classes=False)[number, "all"][0]
        billed = percentile(start, end, bins, silences)
        assert (billed.bins, billed.unknown > 250) == ((end - start) // BUCKET, True)
        # A poll every 15 minutes moves 6 million bytes, over three bins; the silences are 40,000 s long.
        assert 2_000_000 <= billed.download.value <= 2_001_000
        assert billed.download.least <= billed.download.value <= billed.download.most


def test_a_total_taken_for_an_increase_is_no_peak(ready: Path, tmp_path: Path) -> None:
    """LibreNMS 2799: a meter that has counted a petabyte before it is seen for the first time, and is seen anew."""
    with house(tmp_path, ready, BEGIN, ZONE, FOREVER) as it:
        it.move("home", MACS[0], 10**15, 10**15)
        for step in range(30):
            it.move("home", MACS[0], 3000, 300)
            it.poll("home", after=30.0)
            if step in (10, 20):
                it.restart()
        start = int(BEGIN) // BUCKET * BUCKET
        with queries.reading(it.path) as history:
            (number,) = queries.subjects(history, ["site"])
            bins = queries.bins(history, [number], start, start + 3 * BUCKET)
            assert percentile(start, start + 3 * BUCKET, bins).download.most == 30_000


def test_the_same_hour_on_other_days() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    hour = int(datetime(2026, 10, 26, 20, tzinfo=berlin).timestamp())
    named = queries.same_hours(hour, berlin, 3)
    assert [datetime.fromtimestamp(each, berlin).isoformat()[:16] for each in named] == [
        "2026-10-25T20:00",
        "2026-10-24T20:00",
        "2026-10-23T20:00",
    ]
    assert hour - named[1] == 49 * HOUR
    quarter = int(datetime(2026, 3, 3, 9, 30, tzinfo=KEY).timestamp())
    assert queries.same_hours(quarter, KEY, 28) == [quarter - 86_400 * back for back in range(1, 29)]


def test_earlier_hours_know_silences_and_births(ready: Path, tmp_path: Path) -> None:
    path = tmp_path / "bandwidth.db"
    path.write_bytes(ready.read_bytes())
    hour = int(datetime(2026, 5, 20, 12, tzinfo=UTC).timestamp())
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("INSERT INTO subject (id, source, kind, site, key) VALUES (1, 'home', 'client', '', 'a')")
        for back in (1, 2, 5, 9):
            file.execute("INSERT INTO hourly VALUES (?, 1, 'all', ?, 1, 0)", (hour - back * 86_400, 1000 * back))
            file.execute("INSERT INTO daily VALUES (?, 1, 'all', ?, 1, 0)", (hour // 86_400 - back, 1000 * back))
        file.execute("INSERT INTO hourly VALUES (?, 2, 'all', 7, 7, 0)", (hour - 20 * 86_400,))
        silent = hour - 3 * 86_400 - 1800
        file.execute("INSERT INTO gap VALUES (?, ?, 1, 'all', 5, 5, 0)", (silent, silent + 3600))
    with queries.reading(path) as history:
        earlier = [1001, 2001, 0, 5001, 0, 0, 0, 9001]
        assert [*queries.beside_earlier(history, [3], [hour], 28)] == [(hour, 0, [])]
        silent_hour, born = hour - 3 * 86_400, hour - 9 * 86_400
        beside = {each.hour: each for each in queries.beside_earlier(history, [1], [hour, silent_hour, born], 28)}
        assert beside[hour] == (hour, 0, earlier)
        assert beside[silent_hour] == (silent_hour, None, [0, 5001, 0, 0, 0, 9001])
        assert beside[born] == (born, 9001, [])


def _everything(history: queries.History) -> None:
    first = day_of(int(BEGIN), KEY)
    for start, end in _periods():
        for classes in (False, True):
            queries.totals(history, start, end, classes=classes)
    queries.subjects(history, ["client"], "home")
    queries.bins(history, [1, 2], int(BEGIN) // 300 * 300, int(BEGIN) // 300 * 300 + 30 * 86_400)
    queries.hours(history, [1], [3600, 7200])
    queries.days(history, [1], first, first + 30)
    queries.silences(history, [1], 300, 600)
    clients = [*queries.subjects(history, ["client"])]
    [*queries.beside_earlier(history, clients, [int(BEGIN) // HOUR * HOUR + 86_400], 28)]
    [*queries.beside_earlier(history, [1, 2], range(3600, 90 * 3600, 3600), 28)]
    queries.happened(history, "home", ("baseline", "implausible"), 300, 30 * 86_400)
    queries.kept_since(history)


def test_no_query_goes_through_a_whole_table(lived: House) -> None:
    asked: list[tuple[str, Any]] = []
    with queries.reading(lived.path) as history:
        sa.event.listen(
            history.connection, "before_cursor_execute", lambda _c, _u, query, values, *_: asked.append((query, values))
        )
        _everything(history)
        assert len(asked) > 30
        for query, values in asked[:]:
            plan = history.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)
            steps = [str(row[3]) for row in plan]
            assert [step for step in steps if "SCAN" in step and "subject" not in step] == [], query


DAYS = [
    "v_usage_daily WHERE date = '2026-10-25'",
    "v_usage_daily WHERE date >= '2026-10-01' AND date < '2026-11-01' AND kind = 'client'",
    "v_usage_daily WHERE day BETWEEN 20000 AND 20030",
    "v_usage_month WHERE month = '2026-10'",
    "v_top_clients WHERE month = '2026-10' AND source = 'home' AND rank <= 10",
]
"""Parts of the archive that people ask for."""

VIEWS = [*DAYS, "v_usage_daily WHERE subject = 'x'", "v_usage_daily", "v_usage_month", "v_bandwidth_summary"]
HISTORY = {"usage", "hourly", "daily", "gap"}
ASK = "SELECT * FROM {}"
PLAN = "EXPLAIN QUERY PLAN SELECT * FROM {}"
_SORTED = "SELECT {0} FROM {1} ORDER BY {0}"
PG_PLAN = "EXPLAIN (FORMAT JSON) SELECT * FROM {}"


@pytest.mark.parametrize("view", DAYS)
def test_a_view_of_a_day_or_a_month_does_not_go_through_all_days(lived: House, view: str) -> None:
    with closing(sqlite3.connect(lived.path)) as file:
        steps = [row[3] for row in file.execute(PLAN.format(view))]
        assert not {"SCAN d", "SCAN u", "SCAN g", *(f"SCAN {table}" for table in HISTORY)} & set(steps)
        assert any(step.startswith("SEARCH d USING PRIMARY KEY (day") for step in steps)


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_goes_through_all_five_minutes_or_hours(lived: House, view: str) -> None:
    with closing(sqlite3.connect(lived.path)) as file:
        steps = [row[3] for row in file.execute(PLAN.format(view))]
        assert not {"SCAN u", "SCAN g", "SCAN usage", "SCAN hourly", "SCAN gap"} & set(steps)
        found = [step for step in steps if step.startswith(("SEARCH u ", "SEARCH usage ", "SEARCH hourly "))]
        assert found
        # Where nothing is in brackets, it looks for the newest or the oldest alone.
        assert [step for step in found if "(" in step and "(bucket>? AND bucket<?)" not in step] == [
            step for step in found if step.endswith("(bucket>?)")
        ]


def test_a_view_does_not_cost_more_where_there_are_more_five_minutes(lived: House) -> None:
    """In steps of SQLite's machine, of which ten thousand rows would take more than there are at all."""
    with closing(sqlite3.connect(lived.path)) as file:
        before = {view: _steps(file, view) for view in VIEWS}
        (number, oldest) = file.execute("SELECT subject, min(bucket) FROM usage").fetchone()
        earlier = ((oldest // HOUR * HOUR - back * BUCKET, number) for back in range(1, 10_001))
        file.executemany("INSERT INTO usage VALUES (?, ?, 'all', 1, 1, 0)", earlier)
        assert [view for view in VIEWS if abs(_steps(file, view) - before[view]) > 50] == []


def _steps(file: sqlite3.Connection, view: str) -> int:
    """Hundreds of them."""
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    file.set_progress_handler(step, 100)
    file.execute(ASK.format(view)).fetchall()
    file.set_progress_handler(None, 0)
    return taken


_MANY = """
    INSERT INTO exporter (id, ledger, current, batch, token, timezone, calendar, made_hour, made_subject, fed_at)
    VALUES ('a', 'b', true, 1, 'c', 'UTC', '', {hour}, 5, clock_timestamp());
    INSERT INTO subject (exporter, id, source, kind, site, key, download, upload, opening_download, opening_upload)
        SELECT 1, n, 'home', 'client', '', 'mac' || n, 0, 0, 0, 0 FROM generate_series(0, 19) AS n;
    INSERT INTO calendar SELECT 1, n, CAST(DATE '1970-01-01' + n AS TEXT),
        to_char(DATE '1970-01-01' + n, 'YYYY-MM'), n * 86400, (n + 1) * 86400
        FROM generate_series({day} - 90, {day} + 200) AS n;
    INSERT INTO usage SELECT 1, at, n, 'all', 1, 1, 0
        FROM generate_series({hour} - 2400000, {hour} + 4200, 300) AS at, generate_series(0, 19) AS n;
    INSERT INTO hourly SELECT 1, at, n, 'all', 1, 1, 0
        FROM generate_series({hour} - 4000 * 3600, {hour} - 3600, 3600) AS at, generate_series(0, 19) AS n;
    INSERT INTO daily SELECT 1, day, n, 'all', 1, 1, 0
        FROM generate_series({day} - 90, {day}) AS day, generate_series(0, 19) AS n;
    INSERT INTO gap (exporter, began, ended, subject, class, download, upload, flags)
        SELECT 1, at, at + 7200, n, 'all', 1, 1, 0
        FROM generate_series({hour} - 8000000, {hour} - 100000, 900000) AS at, generate_series(0, 19) AS n;
    ANALYZE usage, hourly, daily, gap, calendar, subject, exporter;
"""


def test_no_view_in_postgresql_goes_through_all_five_minutes_or_hours(archive: Database) -> None:
    archive.query(_MANY.format(hour=NOON, day=NOON // 86_400))
    for view in VIEWS:
        scans = [
            (how, condition)
            for table, how, condition in _scans(archive, view.replace("2026-10", "2026-06"))
            if table in ("usage", "hourly")
        ]
        assert scans
        assert [scan for scan in scans if scan[0] == "Seq Scan" or "(bucket " not in scan[1]] == [], view


def _scans(archive: Database, view: str) -> Iterator[tuple[str, str, str]]:
    """Of a plan: each table, how it is looked at, and the condition by which its rows are found."""
    ((plan,),) = archive.query(PG_PLAN.format(view))
    waiting = [plan[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if "Relation Name" in node:
            inner = "".join(str(each.get("Index Cond", "")) for each in node.get("Plans", []))
            yield str(node["Relation Name"]), str(node["Node Type"]), str(node.get("Index Cond", "")) + inner


_COMPARED = {
    "v_usage_daily": "day, date, source, site, kind, subject, class, download, upload, flags",
    "v_usage_month": "month, source, site, kind, subject, class, download, upload, flags",
    "v_top_clients": "month, source, rank, site, client, download, upload, bytes, share",
    "v_bandwidth_summary": "source, site, kind, subject, total_download, total_upload, day_download, day_upload",
}


def test_postgresql_says_the_same(tmp_path: Path, archive: Database) -> None:
    with closing(Fed(tmp_path / "state.db", archive)) as fed:
        fed.zone = KEY
        fed.state.keep(fed.zone, fed.retention)
        for number in range(150):
            fed.poll(after=40_000.0 if number % 40 == 39 else 900.0, gap=number % 40 == 39)
        fed.drain()
        ledger = fed.state.exporter_id
    first, hour = day_of(NOON, KEY), NOON // HOUR * HOUR

    def said(history: queries.History) -> list[object]:
        named = queries.subjects(history, ["client", "site"])
        return [
            history.zone,
            history.progress,
            named,
            *(
                queries.totals(history, *period, classes=classes)
                for period in (
                    (day_start(first, KEY), day_start(first + 2, KEY)),
                    (day_start(first + 1, KEY), day_start(first + 9, KEY)),
                    (hour, hour + 9 * HOUR),
                    (hour + 300, hour + 900),
                )
                for classes in (False, True)
            ),
            queries.days(history, list(named), first, first + 9),
            sorted(queries.bins(history, list(named), hour, hour + 86_400)),
            queries.hours(history, list(named), range(hour, hour + 86_400, HOUR)),
            sorted(queries.silences(history, list(named), hour, hour + 86_400)),
            [*queries.beside_earlier(history, list(named), range(hour, hour + 3 * 86_400, HOUR), 28)],
            queries.happened(history, "home", ("baseline", "reset"), hour + 300, hour + 86_400),
            queries.kept_since(history),
        ]

    for view, names in _COMPARED.items():
        query = _SORTED.format(names, view)
        with closing(sqlite3.connect(tmp_path / "state.db")) as file:
            ours_say = file.execute(query).fetchall()
        assert ours_say
        assert archive.query(query) == ours_say
    with queries.reading(tmp_path / "state.db") as history:
        ours = said(history)
    assert [place for place, each in enumerate(ours) if not each] == []
    engine = sa.create_engine(archive.url(FEEDER).replace("postgresql://", "postgresql+psycopg2://"),
                              connect_args={"password": PASSWORDS[FEEDER]})  # fmt: skip
    with engine.connect() as connection:
        found = queries.History.of_ledger(connection, ledger)
        assert found is not None
        assert said(found) == ours
        assert queries.History.of_ledger(connection, "another") is None
    engine.dispose()


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is none"), queries.reading(tmp_path / "none.db"):
        pass


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StateError, match="no SQLite database"), queries.reading(path):
        pass


def test_what_happened_to_clients_and_lines_of_a_source(ready: Path, tmp_path: Path) -> None:
    path = tmp_path / "bandwidth.db"
    path.write_bytes(ready.read_bytes())
    kinds = ("site", "client", "wan", "port", "device")
    with closing(sqlite3.connect(path)) as file, file:
        for number, kind in enumerate(kinds):
            for source, first in (("home", 1), ("attic", 11)):
                names = (first + number, source, kind, f"{kind}-1")
                file.execute("INSERT INTO subject (id, source, kind, site, key) VALUES (?, ?, ?, '', ?)", names)
        file.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?)",
            [
                (300, 1, "baseline", 10_000),
                (300, 1, "wan|baseline", 2),
                (300, 1, "port|baseline", 500),
                (300, 1, "implausible", 30),
                (600, 2, "implausible", 4),
                (600, 3, "implausible", 1),
                (600, 4, "implausible", 70),
                (600, 2, "reset", 70),
                (900, 2, "implausible", 900),
                (600, 12, "implausible", 80),
            ],
        )
    with queries.reading(path) as history:
        asked = ("baseline", "implausible", "wrap")
        assert queries.happened(history, "home", asked, 300, 900) == {"baseline": 10_002, "implausible": 35, "wrap": 0}
        assert queries.happened(history, "home", asked, 900, 1200) == {"baseline": 0, "implausible": 900, "wrap": 0}
