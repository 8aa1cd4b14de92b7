"""What PostgreSQL has is what the state has, row by row, whatever was sent when."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg2
import pytest

from exporter.model import SubjectKey
from exporter.privacy import Privacy
from exporter.store import Retention, State, outbox
from exporter.store.forget import Known, forget, writing
from exporter.store.postgres import feed as sending
from tests.archive.fed import Fed, theirs
from tests.archive.server import FEEDER, Database

Make = Callable[..., Fed]
DAILY = "SELECT date, source, site, kind, subject, class, download, upload, flags FROM v_usage_daily"
MONTH = "SELECT month, source, site, kind, subject, class, download, upload, flags FROM v_usage_month"
TOP = (
    "SELECT month, source, rank, site, client, download, upload, bytes, CAST(1e9 * share AS BIGINT) FROM v_top_clients"
)
SUMMARY = (
    "SELECT source, site, kind, subject, total_download, total_upload, day_download, day_upload"
    " FROM v_bandwidth_summary"
)


@pytest.fixture
def make(tmp_path: Path, archive: Database) -> Iterator[Make]:
    """Makes fed states, and takes them down."""
    made: list[Fed] = []

    def fed(name: str = "bandwidth", **settings: int) -> Fed:
        made.append(Fed(tmp_path / name / "state.db", archive, **settings))
        return made[-1]

    yield fed
    for each in made:
        each.close()


def live(fed: Fed) -> None:
    """Two days with hours that are made, a silence, and a subject that comes late."""
    for _ in range(60):
        fed.poll(after=600.0)
    fed.poll(after=40_000.0, gap=True)
    fed.clients.append(SubjectKey("client", "default", "02:00:00:00:00:ff"))
    for _ in range(10):
        fed.poll(after=2000.0)


def test_everything_is_there(make: Make, archive: Database) -> None:
    fed = make()
    for _ in range(3):
        live(fed)
        fed.drain()
        ours = fed.ours()
        assert all(ours.values())
        assert theirs(archive) == ours
    assert fed.marked() == (0, 0)


@pytest.mark.parametrize("view", [DAILY, MONTH, TOP, SUMMARY], ids=["daily", "month", "top", "summary"])
def test_views_say_the_same(make: Make, archive: Database, view: str) -> None:
    fed = make()
    live(fed)
    fed.drain()
    with closing(sqlite3.connect(fed.path)) as file:
        ours = sorted(file.execute(view).fetchall())
    assert ours
    theirs = sorted(archive.query(view))
    # SQLite cuts where PostgreSQL rounds.
    assert [row[:8] for row in theirs] == [row[:8] for row in ours]
    assert [row[8:] for row in theirs] == [pytest.approx(row[8:], abs=1) if view == TOP else row[8:] for row in ours]


def test_the_questions_of_the_docs_have_answers(make: Make, archive: Database) -> None:
    fed = make()
    live(fed)
    fed.drain()
    for page in ("archive", "accounts"):
        text = (Path(__file__).parents[2] / f"docs/{page}.md").read_text(encoding="utf-8")
        asked = [each for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL) for each in block.split(";")[:-1]]
        assert asked
        for question in asked:
            archive.query(question.replace("%", "%%"))
    late = "SELECT to_timestamp(since)::text, key FROM subject WHERE since IS NOT NULL ORDER BY since DESC LIMIT 1"
    assert archive.query(late)[0][1] == fed.clients[-1].key
    resets = "SELECT sum(count) FROM event JOIN subject ON id = event.subject WHERE reason = 'reset' AND key = %s"
    assert archive.query(resets, fed.clients[0].key) == [(fed.source.number,)]


def test_what_was_there_before_the_archive_was_configured(make: Make, archive: Database) -> None:
    fed = make()
    fed.close()
    fed.path.unlink()
    fed.marking = False
    fed.open()
    live(fed)
    assert fed.marked()[0] == 0
    fed.marking = True
    fed.reopen()
    fed.feeder.rows = 50
    fed.poll()
    fed.drain()
    assert theirs(archive) == fed.ours()


def test_what_changed_while_it_was_not_configured(make: Make, archive: Database) -> None:
    fed = make()
    live(fed)
    fed.drain()
    fed.marking = False
    fed.reopen()
    live(fed)
    assert fed.marked()[0] == 0
    fed.marking = True
    fed.reopen()
    fed.drain()
    assert theirs(archive) == fed.ours()
    assert archive.query("SELECT count(*) FROM exporter") == [(1,)]


def test_never_more_than_the_state_while_it_catches_up(make: Make, archive: Database) -> None:
    """Of every day and subject, at every commit, while hours are made and days begin."""
    fed = make(clients=1)
    fed.feeder.rows = 17
    for number in range(40):
        fed.poll(after=900.0 if number % 20 else 30_000.0, gap=not number % 20)
        fed.feeder.step()
        assert fed.feeder.trouble == ""
        _no_more(fed, archive)
    while fed.feeder.condition.pending:
        fed.feeder.step()
        _no_more(fed, archive)
    assert theirs(archive) == fed.ours()


def _no_more(fed: Fed, archive: Database) -> None:
    query = "SELECT date, kind, subject, class, download FROM v_usage_daily"
    with closing(sqlite3.connect(fed.path)) as file:
        ours = {tuple(key): download for *key, download in file.execute(query)}
    for *key, download in archive.query(query):
        assert download <= ours[tuple(key)]


def test_days_of_another_time_zone(make: Make, archive: Database) -> None:
    fed = make()
    live(fed)
    fed.drain()
    days = theirs(archive)["daily"]
    fed.close()
    fed.zone = ZoneInfo("Asia/Kolkata")
    fed.open()
    fed.drain()
    assert theirs(archive) == fed.ours()
    assert theirs(archive)["daily"] != days


def test_what_is_pruned_is_not_sent(make: Make, archive: Database) -> None:
    """And the marks of a server that is away for ever do not grow for ever."""
    fed = make()
    fed.retention = Retention(2 * 86_400.0, 3 * 86_400.0, 4 * 86_400.0)
    fed.reopen()
    sizes = []
    for _ in range(6):
        for _ in range(48):
            fed.poll(after=3600.0)
        sizes.append(fed.marked()[0])
    assert sizes[-1] == sizes[-2] == sizes[-3]
    fed.drain()
    assert theirs(archive) == fed.ours()


def test_several_exporters_feed_one_database(make: Make, archive: Database) -> None:
    first, second = make("first"), make("second", clients=5)
    for fed in (first, second, first):
        live(fed)
        fed.drain()
    second.drain()
    assert theirs(archive, f"ledger = '{first.state.exporter_id}'") == first.ours()
    assert theirs(archive, f"ledger = '{second.state.exporter_id}'") == second.ours()


def test_the_role_may_not_delete(make: Make, archive: Database) -> None:
    fed = make()
    fed.poll()
    fed.drain()
    with closing(archive.server.connect(archive.name, FEEDER)) as connection, connection.cursor() as cursor:
        for statement in ("DELETE FROM usage", "TRUNCATE usage", "DROP TABLE usage", "CREATE TABLE x (y int)"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)
            connection.rollback()


def test_pseudonyms(make: Make, archive: Database) -> None:
    """Names leave the state as they leave it elsewhere, also those that were sent as they are before."""
    fed = make()
    fed.poll()
    fed.drain()
    names = "SELECT key FROM subject WHERE kind = 'client'"
    assert {key for (key,) in archive.query(names)} == {client.key for client in fed.clients}
    fed.privacy = Privacy(hash_mac=True, key=b"0123456789abcdef")
    fed.drain()
    assert {key for (key,) in archive.query(names)} == {fed.privacy.address(client.key) for client in fed.clients}
    fed.privacy = Privacy()
    fed.drain()
    assert theirs(archive) == fed.ours()


def test_who_is_forgotten_is_nobody_there(make: Make, archive: Database) -> None:
    fed = make()
    fed.poll()
    fed.drain()
    gone, last = fed.clients[1].key, max(row[0] for row in fed.ours()["subject"])
    before = archive.query("SELECT sum(download) FROM usage")
    fed.close()
    with writing(fed.path) as connection:
        forget(connection, [Known("home", "default", client.key) for client in fed.clients[1:]])
    fed.open()
    fed.clients = [SubjectKey("client", "default", "02:00:00:00:00:aa")]
    fed.poll(after=1.0)
    fed.drain()
    assert archive.query("SELECT count(*) FROM subject WHERE key LIKE %s", f"%{gone}%") == [(0,)]
    assert (
        archive.query("SELECT kind, key, since FROM subject WHERE kind = 'forgotten'") == [("forgotten", "", None)] * 2
    )
    # An id is never another's.
    assert min(row[0] for row in fed.ours()["subject"] if row[4] == "02:00:00:00:00:aa") > last
    assert archive.query("SELECT sum(download) FROM usage") > before


@pytest.mark.parametrize("text", ["a\0b", "x" * 5000, "ü" * 300, "'; DROP TABLE usage; --", "%s %(a)s \\"])
def test_hostile_names(make: Make, archive: Database, text: str) -> None:
    fed = make(clients=1)
    fed.clients.append(SubjectKey("client", "default", text))
    fed.poll()
    fed.drain()
    key = sending.clean(text)
    assert archive.query("SELECT kind FROM subject WHERE key = %s", key) == [("client",)]
    assert [row[3:] for row in theirs(archive)["usage"]] == [row[3:] for row in fed.ours()["usage"]]


def test_a_state_without_an_archive_marks_nothing(tmp_path: Path) -> None:
    with closing(State.open(tmp_path / "state.db")) as state:
        state.mark(on=False)
        with outbox.snapshot(state.path) as file:
            assert outbox.read_feed(file) is None
            assert file.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
