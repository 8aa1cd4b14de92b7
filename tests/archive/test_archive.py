"""The archive by example: where bytes go, what is made of them, and what is removed."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.accounting.buckets import CLOCK
from exporter.model import Changes, Count, Noted, Source, SubjectKey, Write
from exporter.store import Retention, State, StateError, upkeep, usage
from tests.archive.house import Archived, Bytes
from tests.scripted import client_key

BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
FOREVER = Retention.forever()
A, B, C = (client_key(f"02:00:00:00:00:0{name}") for name in "abc")
NOON = int(datetime(2026, 6, 1, 12, tzinfo=ZoneInfo("UTC")).timestamp())
MIDNIGHT = int(datetime(2026, 6, 2, 0, tzinfo=BERLIN).timestamp())


class Ledger:
    """Writes of one source, 30 s of tick apart unless the clock says more."""

    def __init__(self, state: State, name: str = "home") -> None:
        self.state, self.name = state, name
        self.source = state.load(name).source
        self.totals = state.load(name).totals

    def poll(
        self, at: float, moved: Mapping[SubjectKey, int], *, gap: bool = False, reset: SubjectKey | None = None
    ) -> None:
        """At Unix seconds `at`: so many bytes down, and a tenth of it up. reset: whose counter began again."""
        before, totals = self.source, dict(self.totals)
        for key, down in moved.items():
            known = totals.get(key, Count())
            totals[key] = Count(known.download + down, known.upload + down // 10)
        self.source = Source("id", before.number + 1, before.tick + max(30.0, at - before.at), max(at, before.at), 0)
        changed = {key: totals[key] for key in moved}
        noted = Noted(int(at), {(reset, "reset"): 1} if reset else {})
        made = Changes(self.source, {}, frozenset(), changed, {}, {}, {}, gap, noted=noted)
        self.state.commit([Write(self.name, made, {})])
        self.totals = totals

    def __getitem__(self, key: SubjectKey) -> Count:
        return self.totals[key]


@pytest.fixture
def path(ready: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(ready, tmp_path / "bandwidth.db"))


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    with closing(State.open(path)) as state:
        state.keep(BERLIN, FOREVER)
        yield state


def _ids(path: Path) -> dict[SubjectKey, int]:
    return {key: number for number, (_, key) in Archived(path).subjects.items()}


def _add_up(path: Path) -> None:
    file = Archived(path)
    assert file.sums(file.usage) == file.grown
    assert file.sums(file.hourly, file.unmade) == file.grown
    assert file.sums(file.daily, file.unmade) == file.grown


def test_bytes_go_where_they_moved(state: State, path: Path) -> None:
    home = Ledger(state)
    home.poll(NOON - 30, {A: 0})
    home.poll(NOON, {A: 100, B: 0})
    home.poll(NOON + 30, {A: 10, B: 20})
    home.poll(NOON + 60, {A: 1, B: 2})
    a, b = _ids(path)[A], _ids(path)[B]
    assert Archived(path).usage == [
        Bytes(NOON - 300, a, "all", 100, 10),
        Bytes(NOON, a, "all", 11, 1),
        Bytes(NOON, b, "all", 22, 2),
    ]


def test_nothing_is_written_for_what_did_not_move(state: State, path: Path) -> None:
    home = Ledger(state)
    for at in range(NOON, NOON + 900, 30):
        home.poll(at, {A: 0, B: 0})
    file = Archived(path)
    assert (file.usage, file.gaps) == ([], [])


def test_an_interval_over_two_buckets_is_split_by_time(state: State, path: Path) -> None:
    home = Ledger(state)
    home.poll(NOON - 20, {A: 0})
    home.poll(NOON + 10, {A: 1000})
    assert [(row.when, row.download, row.upload) for row in Archived(path).usage] == [
        (NOON - 300, 666, 66),
        (NOON, 334, 34),
    ]


def test_a_silence_is_one_interval(state: State, path: Path) -> None:
    home = Ledger(state)
    home.poll(NOON, {A: 0})
    home.poll(NOON + 7200.5, {A: 1000, B: 0}, gap=True)
    home.poll(NOON + 7230, {A: 5})
    file = Archived(path)
    assert file.gaps == [(NOON + 7201, Bytes(NOON, _ids(path)[A], "all", 1000, 100))]
    assert [row.download for row in file.usage] == [5]
    _add_up(path)


def test_a_silence_within_a_bucket_hides_nothing(state: State, path: Path) -> None:
    home = Ledger(state)
    home.poll(NOON + 1, {A: 0})
    home.poll(NOON + 200, {A: 1000}, gap=True)
    file = Archived(path)
    assert (file.gaps, [row.when for row in file.usage]) == ([], [NOON])


def test_a_clock_that_was_set_back(state: State, path: Path) -> None:
    home = Ledger(state)
    home.poll(NOON, {A: 0})
    home.poll(NOON - 3600, {A: 7})
    home.poll(NOON + 5, {A: 11})
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT bucket, download, flags FROM usage ORDER BY bucket").fetchall() == [
            (NOON - 300, 7, CLOCK),
            (NOON, 11, 0),
        ]


def test_protocols_are_classes_of_their_client_and_site(state: State, path: Path) -> None:
    site = SubjectKey("site", "default", "")
    web = SubjectKey("client_protocol", "default", f"{A.key}|https")
    home = Ledger(state)
    home.poll(NOON, {})
    home.poll(NOON + 30, {web: 5, SubjectKey("protocol", "default", "ipv6|https"): 9, A: 8})
    ids = _ids(path)
    assert {(row.subject, row.kind, row.download) for row in Archived(path).usage} == {
        (ids[A], "all", 8),
        (ids[A], "https", 5),
        (ids[site], "ipv6|https", 9),
    }
    assert state.load("home").totals.keys() == home.totals.keys()
    assert state.today(NOON + 31)["home"][web] == Count(5, 0)


def test_a_poll_that_is_committed_again_is_counted_once(state: State, path: Path) -> None:
    """As after a commit that failed but reached the disk: memory stands before it, the file behind."""
    home = Ledger(state)
    home.poll(NOON, {A: 0})
    source, totals = home.source, home.totals
    home.poll(NOON + 30, {A: 1000}, reset=A)
    state._ids.clear()
    home.source, home.totals = source, totals
    home.poll(NOON + 60, {A: 1500}, reset=A)
    assert sum(row.download for row in Archived(path).usage) == 1500
    assert Archived(path).events == {("home", "client", "reset"): 1}
    home.poll(NOON + 90, {}, reset=B)
    assert Archived(path).events == {("home", "client", "reset"): 2}


def _half_made(state: State, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Three clients moved in an hour, which is made for the first of them."""
    monkeypatch.setattr(upkeep, "SUBJECTS", 1)
    home = Ledger(state)
    home.poll(NOON, {A: 0, B: 0, C: 0})
    home.poll(NOON + 30, {A: 100, B: 200, C: 300})
    home.poll(NOON + 2000, {A: 10, B: 20, C: 30})
    home.poll(NOON + 4300, {})
    file = Archived(home.state._path)
    assert (len(file.hourly), file.made[0], file.made[1] > 0) == (1, NOON, True)
    return home


def test_hours_and_days_are_made_a_step_at_a_time(state: State, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = _half_made(state, monkeypatch)
    _add_up(path)
    for number in (2, 3):
        home.poll(NOON + 4300 + number, {})
        assert len(Archived(path).hourly) == number
        _add_up(path)
    file = Archived(path)
    assert [(row.when, row.download) for row in file.hourly] == [(NOON, 110), (NOON, 220), (NOON, 330)]
    assert [row.download for row in file.daily] == [110, 220, 330]
    assert file.unmade == []


def test_what_comes_late_is_in_every_level(state: State, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = _half_made(state, monkeypatch)
    attic = Ledger(state, "attic")
    attic.poll(NOON + 60, {A: 0})
    attic.poll(NOON + 90, {A: 5})
    late = Ledger(state)
    late.source = Source("id", home.source.number, home.source.tick, NOON + 2000.0, 0)
    state._archive._kept["home"].source = late.source
    late.poll(NOON + 2030, {A: 1000, B: 2000, C: 3000})
    _add_up(path)
    for number in range(6):
        home.source = late.source
        home.poll(NOON + 4400 + number, {})
        _add_up(path)
    assert [row.download for row in Archived(path).hourly] == [1110, 2220, 3330, 5]


def test_days_are_cut_anew_by_another_time_zone(state: State, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of an hour that is made for some subjects only. In Kolkata 2026-06-02 begins at 18:30 UTC."""
    noon = NOON + 6 * 3600
    monkeypatch.setattr(upkeep, "SUBJECTS", 1)
    home = Ledger(state)
    home.poll(noon, {A: 0, B: 0})
    home.poll(noon + 1800, {A: 100, B: 200})
    home.poll(noon + 3000, {A: 10, B: 20})
    home.poll(noon + 4300, {})
    assert [row.download for row in Archived(path).daily] == [110]
    state.keep(KOLKATA, FOREVER)
    first = Archived(path).daily[0].when
    assert [(row.when - first, row.download) for row in Archived(path).daily] == [(0, 100), (1, 10)]
    home.poll(noon + 4301, {})
    days = [(row.when - first, row.download) for row in Archived(path).daily]
    assert sorted(days) == [(0, 100), (0, 200), (1, 10), (1, 20)]
    state.keep(BERLIN, FOREVER)
    assert [row.download for row in Archived(path).daily] == [110, 220]
    _add_up(path)


def test_bytes_whose_five_minutes_are_gone_stay_on_their_day(state: State, path: Path) -> None:
    state.keep(BERLIN, Retention(3600.0, FOREVER.hourly, FOREVER.daily))
    home = Ledger(state)
    home.poll(MIDNIGHT - 9000, {A: 0})
    home.poll(MIDNIGHT - 8970, {A: 100})
    home.poll(MIDNIGHT - 1000, {A: 30}, gap=True)
    home.poll(MIDNIGHT - 970, {A: 10})
    home.poll(MIDNIGHT + 660, {})
    assert [row.download for row in Archived(path).usage] == [10]
    state.keep(KOLKATA, FOREVER)
    file = Archived(path)
    assert [row.download for row in file.daily] == [100, 10]
    assert file.sums(file.daily, file.unmade) == file.grown


def test_a_time_zone_that_this_machine_does_not_know(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("INSERT INTO meta VALUES ('timezone', 'Europe/Nowhere')")
    with pytest.raises(
        StateError, match=r"bandwidth.db: .* time zone 'Europe/Nowhere', which this machine does not know.*tzdata"
    ):
        State.open(path)


def test_five_minutes_are_not_removed_before_their_hour_is_made(
    state: State, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month later one step makes the hour of one subject; all that is old enough is removed but the others."""
    state.keep(BERLIN, Retention(3600.0, FOREVER.hourly, FOREVER.daily))
    monkeypatch.setattr(upkeep, "SUBJECTS", 1)
    home = Ledger(state)
    home.poll(NOON, {A: 0, B: 0})
    home.poll(NOON + 30, {A: 100, B: 200})
    for number in range(5):
        home.poll(NOON + 30 * 86_400 + number, {})
        file = Archived(path)
        assert file.sums(file.hourly, file.unmade) == file.grown == file.sums(file.daily, file.unmade)
    file = Archived(path)
    assert (file.usage, [row.download for row in file.hourly]) == ([], [100, 200])


def test_every_level_is_kept_as_long_as_it_says(state: State, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = 86_400.0
    state.keep(BERLIN, Retention(2 * day, 5 * day, 9 * day))
    monkeypatch.setattr(upkeep, "PRUNED", 1)
    home = Ledger(state)
    home.poll(NOON, {A: 0, B: 0})
    home.poll(NOON + 900, {A: 1000}, gap=True)
    home.poll(NOON + 930, {A: 100, B: 200}, reset=A)
    home.poll(NOON + 1500, {A: 100, B: 200}, reset=B)
    kept = []
    for days in range(12):
        before = len(Archived(path).usage)
        for number in range(12):
            home.poll(NOON + days * day + 5000 + number, {})
            after = len(Archived(path).usage)
            assert before - after <= 1
            before = after
        file = Archived(path)
        kept.append((bool(file.usage), bool(file.hourly), bool(file.daily), bool(file.gaps), bool(file.events)))
    assert kept == [(day < 2, day < 5, day < 10, day < 9, day < 5) for day in range(12)]


def test_upkeep_that_fails_fails_no_poll(state: State, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = Ledger(state)
    home.poll(NOON, {A: 0})
    home.poll(NOON + 30, {A: 100})
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("ALTER TABLE hourly RENAME TO aside")
    home.poll(NOON + 8000, {A: 1})
    assert "cannot make hours and days" in caplog.text
    assert state.load("home").totals[A].download == 101
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("ALTER TABLE aside RENAME TO hourly")
    home.poll(NOON + 8030, {})
    assert [row.download for row in Archived(path).hourly] == [100]
    _add_up(path)


def test_today_begins_at_midnight(state: State, path: Path) -> None:
    home = Ledger(state)
    home.poll(MIDNIGHT - 60, {A: 0, B: 0})
    home.poll(MIDNIGHT - 30, {A: 5, B: 7})
    assert state.today(MIDNIGHT)["home"] == {A: Count(5), B: Count(7)}
    assert state.today(MIDNIGHT + 0.5) == {}
    home.poll(MIDNIGHT, {A: 50})
    assert state.today(MIDNIGHT)["home"] == {A: Count(55, 5), B: Count(7)}
    home.poll(MIDNIGHT + 30, {A: 500})
    assert state.today(MIDNIGHT + 31)["home"] == {A: Count(500, 50)}
    home.poll(MIDNIGHT + 60, {C: 1})
    state.close()
    with closing(State.open(path)) as again:
        again.load("home")
        assert again.today(MIDNIGHT + 90)["home"] == {A: Count(500, 50), C: Count(1)}
        again.keep(KOLKATA, FOREVER)
        assert again.today(MIDNIGHT + 90)["home"] == {A: Count(555, 55), B: Count(7), C: Count(1)}


@pytest.mark.parametrize("gap", [False, True])
def test_a_silence_over_midnight_counts_by_its_share(state: State, path: Path, gap: bool) -> None:
    home = Ledger(state)
    home.poll(MIDNIGHT - 300, {A: 0})
    home.poll(MIDNIGHT + 600, {A: 1000}, gap=gap)
    expected = {A: Count(667, 67)}
    assert state.today(MIDNIGHT + 600)["home"] == expected
    state.close()
    with closing(State.open(path)) as again:
        again.load("home")
        assert again.today(MIDNIGHT + 600)["home"] == expected


def test_today_waits_for_no_commit(state: State) -> None:
    home = Ledger(state)
    home.poll(NOON, {A: 0})
    home.poll(NOON + 30, {A: 5})
    said: list[Mapping[str, Mapping[SubjectKey, Count]]] = []
    asking = threading.Thread(target=lambda: said.append(state.today(NOON + 31)))
    with state._guard:  # as a commit holds it
        asking.start()
        asking.join(30)
    assert said == [{"home": {A: Count(5)}}]


def test_what_cannot_be_committed_is_not_in_today(state: State) -> None:
    home = Ledger(state)
    home.poll(NOON, {A: 0})
    home.poll(NOON + 30, {A: 5})
    source, totals = home.source, home.totals
    with pytest.raises(StateError):
        home.poll(NOON + 60, {A: 2**63})
    assert state.today(NOON + 61)["home"] == {A: Count(5)}
    home.source, home.totals = source, totals
    home.poll(NOON + 90, {A: 20})
    assert state.today(NOON + 91)["home"] == {A: Count(25, 2)}


@pytest.mark.parametrize(
    "query",
    [
        *(upkeep._NTH, upkeep._FIRST, upkeep._MAKE_HOURLY, upkeep._MAKE_DAILY, upkeep._MOVE_DAY),
        *(upkeep._PRUNE_USAGE, upkeep._PRUNE_HOURLY, upkeep._PRUNE_DAILY, upkeep._PRUNE_GAP),
        *(usage._SINCE_DAILY, usage._SINCE_USAGE),
    ],
)
def test_no_step_looks_at_more_than_it_needs(state: State, query: str) -> None:
    assert state._connection is not None
    values = [1] * max(query.count("?"), 1)
    values = values[: 5 if "?5" in query else 2 if "?1" in query else len(values)]
    plan = state._connection.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
    assert [step for *_, step in plan if step.startswith("SCAN") and "json_each" not in step] == []
