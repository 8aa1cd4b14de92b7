"""A state file from before there was an archive: all its totals stay, and are where the archive begins."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from exporter.model import Count, Memory, Noted, SubjectKey, Write
from exporter.store import Retention, State, database, history
from tests.archive.house import Archived
from tests.states import SITE, changes, poll

ADD = """
    INSERT INTO subject (id, source, kind, site, key, download, upload, download_packets, upload_packets,
        shown_download, shown_upload, shown_download_packets, shown_upload_packets) VALUES (?, 'home', ?, ?, ?,
        ?, ?, ?, ?, ?, ?, ?, ?)
"""
OLD, SHOWN, PROTOCOL = (
    SubjectKey("client", "default", "02:aa:bb:00:00:00"),
    SubjectKey("client", "default", "02:aa:bb:00:00:77"),
    SubjectKey("client_protocol", "default", "02:aa:bb:00:00:00|quic"),
)
MOST = 2**63 - 1
VIEWS = (
    "SELECT * FROM v_bandwidth_summary",
    "SELECT * FROM v_top_clients",
    "SELECT * FROM v_usage_month",
    "SELECT * FROM v_usage_daily",
)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A file as the first revision made it, with a source, a total, a protocol's, and a series without a total."""
    folder, path = tmp_path / "migrations", tmp_path / "bandwidth.db"
    shutil.copytree(history.migrations(), folder, ignore=shutil.ignore_patterns("000[2-9]*", "__pycache__"))
    assert history.revisions(folder) == ["0001"]
    database.prepare(path)
    history.upgrade(partial(sqlite3.connect, path, isolation_level=None), folder)
    with closing(sqlite3.connect(path)) as file, file:
        assert {name for (name,) in file.execute("SELECT name FROM sqlite_master")}.isdisjoint({"usage", "gap"})
        file.execute("INSERT INTO source VALUES ('home', 'controller', 5, 150.0, 1700000000.0, 2)")
        file.execute(ADD, (3, *OLD, 1000, 100, 10, 1, 900, 90, 9, 0))
        file.execute(ADD, (7, *SHOWN, None, None, None, None, 1, 2, 3, 4))
        file.execute(ADD, (9, *PROTOCOL, MOST, 0, 0, 0, None, None, None, None))
    return path


def test_totals_are_kept_and_the_archive_begins_at_them(before: Path) -> None:
    with closing(State.open(before)) as state:
        state.keep(ZoneInfo("Europe/Berlin"), Retention())
        memory = state.load("home")
        assert memory.totals == {OLD: Count(1000, 100, 10, 1), PROTOCOL: Count(MOST)}
        assert memory.shown == {OLD: Count(900, 90, 9), SHOWN: Count(1, 2, 3, 4)}
        assert (memory.source.number, memory.source.gaps) == (5, 2)
        file = Archived(before)
        assert (file.grown, file.usage, file.gaps) == ({}, [], [])
        assert state.today(1.7e9)["home"] == {}
        totals = {OLD: Count(1500, 160, 20, 2), SHOWN: Count(40, 4)}
        state.commit([Write("home", changes(6, totals=totals), {})])
        file = Archived(before)
        assert {place: row for place, row in file.grown.items() if row != (0, 0)} == {
            (3, "all"): (500, 60),
            (7, "all"): (40, 4),
        }
        assert file.sums(file.usage) == file.grown
        assert state.today(1.7e9)["home"] == {OLD: Count(500, 60), SHOWN: Count(40, 4)}


def test_nobody_is_new_for_having_been_there_before_it_was_written_down(before: Path) -> None:
    with closing(State.open(before)) as state:
        assert state.load("home").since == {}
        noted = Noted(1_700_000_000, {(OLD, "reset"): 2}, {SHOWN: 1_700_000_000})
        state.commit([Write("home", replace(changes(6, totals={SHOWN: Count(1)}), noted=noted), {})])
    with closing(State.open(before)) as state:
        assert state.load("home").since == {SHOWN: 1_700_000_000}
    with closing(sqlite3.connect(before)) as file:
        assert file.execute("SELECT * FROM event").fetchall() == [(1_699_999_800, 3, "reset", 2)]
        for view in VIEWS:
            file.execute(view)


def test_the_file_is_copied_before_its_upgrade(before: Path) -> None:
    old = before.read_bytes()
    State.open(before).close()
    copy = before.with_name("bandwidth.db.bak-0001")
    with closing(sqlite3.connect(copy)) as file:
        assert file.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert file.execute("SELECT id, download, upload FROM subject").fetchall() == [
            (3, 1000, 100),
            (7, None, None),
            (9, MOST, 0),
        ]
    assert before.read_bytes() != old


def test_ids_are_kept(before: Path) -> None:
    with closing(State.open(before)) as state:
        state.commit([poll("home", 6, clients=2)])
    subjects = {names: number for number, names in Archived(before).subjects.items()}
    assert (subjects["home", OLD], subjects["home", SHOWN], subjects["home", PROTOCOL]) == (3, 7, 9)
    assert subjects["home", SITE] > 9


def test_a_new_file_has_nothing_to_begin_with(tmp_path: Path) -> None:
    with closing(State.open(tmp_path / "new.db")) as state:
        assert (state.load("home"), state.today(1.7e9)) == (Memory(), {})
