"""What the owner does: migrate, grant, prune. And what `check` and the running exporter say."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exporter import check
from exporter.cli import app
from exporter.config import load
from exporter.service import Exporter, Settings
from exporter.store import Retention, history
from exporter.store.postgres import connection
from exporter.store.postgres.check import check as check_archive
from exporter.store.postgres.connection import ArchiveError, connect
from exporter.store.postgres.migrate import grant, migrate
from exporter.store.postgres.prune import prune
from exporter.store.postgres.target import Target
from tests.archive.fed import Fed, theirs
from tests.archive.server import FEEDER, OWNER, PASSWORDS, Database
from tests.e2e.stack import eventually
from tests.scripted import ScriptedSource, facts, poll, reading

REVISIONS = history.revisions(history.migrations())
DAY = 86_400.0


def owner(database: Database) -> Target:
    return Target(database.url(OWNER), PASSWORDS[OWNER])


def feeder(database: Database) -> Target:
    return Target(database.url(FEEDER), PASSWORDS[FEEDER])


@pytest.fixture
def fed(tmp_path: Path, archive: Database) -> Iterator[Fed]:
    it = Fed(tmp_path / "state.db", archive)
    yield it
    it.close()


# Migrations.


def test_from_every_revision(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One migration more each time; the words say what was done."""
    folder = tmp_path / "migrations"
    shutil.copytree(history.migrations(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    files = sorted((folder / "versions").glob("0*.py"))
    aside = tmp_path / "aside"
    aside.mkdir()
    for file in files:
        file.rename(aside / file.name)
    monkeypatch.setattr(history, "migrations", lambda: folder)
    before = "to"
    for file, revision in zip(files, REVISIONS, strict=True):
        (aside / file.name).rename(file)
        assert migrate(owner(empty)).endswith(f"was brought {before} schema {revision}")
        assert empty.query("SELECT version_num FROM alembic_version") == [(revision,)]
        before = f"from {revision} to"
    assert migrate(owner(empty)).endswith(f"has the newest schema already ({REVISIONS[-1]})")
    grant(owner(empty), FEEDER)
    assert {finding.level for finding in check_archive(feeder(empty))} == {"ok"}


@pytest.mark.parametrize("revision", range(1, len(REVISIONS)))
def test_from_an_earlier_revision_at_once(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: int
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(history.migrations(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    for later in sorted((folder / "versions").glob("0*.py"))[revision:]:
        later.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(history, "migrations", lambda: folder)
        migrate(owner(empty))
    (found,) = [finding for finding in check_archive(owner(empty)) if finding.subject == "archive schema"]
    assert f"those of an older version (schema {REVISIONS[revision - 1]} instead of {REVISIONS[-1]})" in found.message
    migrate(owner(empty))
    assert empty.query("SELECT version_num FROM alembic_version") == [(REVISIONS[-1],)]


def test_who_could_feed_it_before_a_migration_still_can(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(history.migrations(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    for later in sorted((folder / "versions").glob("0*.py"))[5:]:
        later.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(history, "migrations", lambda: folder)
        migrate(owner(empty))
    empty.query(f"GRANT SELECT, INSERT, UPDATE ON exporter, subject, calendar, usage, hourly, daily, gap TO {FEEDER}")
    migrate(owner(empty))
    with closing(Fed(tmp_path / "state.db", empty)) as fed:
        fed.poll()
        fed.drain()
        assert theirs(empty) == fed.ours()


def test_at_the_same_time(empty: Database) -> None:
    """One works, the others wait for it."""
    done: list[str] = []
    threads = [threading.Thread(target=lambda: done.append(migrate(owner(empty)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted("newest schema already" in words for words in done) == [False, True, True]


def test_a_newer_schema(fed: Fed, archive: Database) -> None:
    archive.query("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ArchiveError, match=r"by a newer version of the exporter \(schema 9999, .* nothing was changed"):
        migrate(owner(archive))
    fed.poll()
    fed.feeder.step()
    assert "newer version of the exporter (schema 9999" in fed.feeder.trouble
    assert "run that version or a newer one" in fed.feeder.trouble
    assert theirs(archive)["usage"] == []


def test_a_failed_migration_changes_nothing(archive: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(history.migrations(), folder)
    (folder / "versions/9999_later.py").write_text(
        f'from alembic import op\nrevision, down_revision = "9999", "{REVISIONS[-1]}"\n'
        'def upgrade() -> None:\n    op.execute("DROP VIEW v_top_clients")\n    op.execute("no SQL")\n'
    )
    monkeypatch.setattr(history, "migrations", lambda: folder)
    with pytest.raises(ArchiveError, match="cannot migrate: syntax error"):
        migrate(owner(archive))
    assert archive.query("SELECT version_num FROM alembic_version") == [(REVISIONS[-1],)]
    assert archive.query("SELECT * FROM v_top_clients") == []


# Pruning.


def test_prune(fed: Fed, archive: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is untouched; it may be interrupted anywhere, and done again."""
    monkeypatch.setattr("exporter.store.postgres.prune.ROWS", 13)
    for number in range(120):
        fed.poll(after=3600.0 if number % 30 else 90_000.0, gap=not number % 30)
    fed.drain()
    before, now = fed.ours(), fed.time.wall_at
    keep = Retention(DAY, 3 * DAY, 5 * DAY)
    pruning = prune(owner(archive), keep, now)
    assert next(pruning).rows > 13
    pruning.close()
    removed = dict(prune(owner(archive), keep, now))
    assert [table for table, rows in removed.items() if rows] == ["hourly", "event", "daily", "gap"]
    after = theirs(archive)
    for table, bound in (("usage", DAY), ("hourly", 3 * DAY), ("event", 3 * DAY), ("gap", 5 * DAY)):
        assert after[table] == [row for row in before[table] if row[0] >= (now - bound) // 3600 * 3600], table
    first = int((now - 5 * DAY) // DAY)
    assert after["daily"] == [row for row in before["daily"] if row[0] >= first]
    assert after["subject"] == before["subject"]
    assert not any(dict(prune(owner(archive), keep, now)).values())


def test_prune_keeps_five_minutes_that_are_in_no_day_yet(fed: Fed, archive: Database) -> None:
    fed.poll()
    fed.drain()
    dict(prune(owner(archive), Retention(DAY, DAY, DAY), fed.time.wall_at + 9 * DAY))
    assert theirs(archive)["usage"] == fed.ours()["usage"] != []


def test_the_role_of_the_exporter_cannot_prune(fed: Fed, archive: Database) -> None:
    fed.poll()
    fed.drain()
    with pytest.raises(ArchiveError, match="permission denied for table"):
        list(prune(feeder(archive), Retention(DAY, DAY, DAY), 2e9))


# Words.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wr0ng secret"}, "password authentication failed .* check `password` under `archive`"),
        ({"url": "postgresql://feeder@127.0.0.1:1/x"}, "Connection refused.*check host and port in `archive.url`"),
        ({"url": "postgresql://feeder@127.0.0.1:{port}/nowhere"}, 'database "nowhere" does not exist.*docs/archive.md'),
        ({"url": "{url}?sslmode=require"}, "SSL.*check `sslmode`"),
        ({"url": "postgresql://fee%der:secr%et@host/x"}, "the address cannot be read"),
        ({"url": "postgresql://feeder:pass:secret@127.0.0.1:{port}/x"}, "password authentication failed"),
        ({"url": "{url}?sslmode=nonsense"}, "sslmode"),
    ],
)
def test_what_cannot_be_reached(
    archive: Database, change: dict[str, str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = change.get("url", "{url}").format(url=archive.url(), port=archive.server.port)
    password = change.get("password", "" if "secr" in url else PASSWORDS[FEEDER])
    with pytest.raises(ArchiveError, match=words) as raised:
        connect(Target(url, password))
    for secret in ("secr", PASSWORDS[FEEDER]):
        assert secret not in str(raised.value) + repr(Target(url, password)) + caplog.text
    assert "\n" not in str(raised.value)


def test_no_tables_and_no_rights(empty: Database, tmp_path: Path) -> None:
    fed = Fed(tmp_path / "state.db", empty)
    fed.poll()
    try:
        fed.feeder.step()
        assert (
            "it has no tables of the exporter yet; let its owner run: bandwidth-exporter migrate" in fed.feeder.trouble
        )
        migrate(owner(empty))
        fed.feeder.step()
        assert "permission denied for table alembic_version. To mend it: let its owner run:" in fed.feeder.trouble
        assert "--grant feeder" in fed.feeder.trouble
        grant(owner(empty), FEEDER)
        fed.drain()
        assert theirs(empty) == fed.ours()
    finally:
        fed.close()


def test_words_of_check(archive: Database, fed: Fed) -> None:
    lines = [str(finding) for finding in check_archive(feeder(archive))]
    assert [line.split(":")[0] for line in lines] == [
        f"ok      archive {step}" for step in ("reach", "version", "schema", "rights", "clock")
    ]
    assert "feeder may select, insert and update" in lines[3]
    late = list(check_archive(feeder(archive), wall=lambda: 1e9))[-1]
    assert (late.level, late.subject) == ("warning", "archive clock")
    archive.query(f"REVOKE UPDATE ON usage FROM {FEEDER}")
    (wrong,) = [finding for finding in check_archive(feeder(archive)) if finding.level == "error"]
    assert wrong.message == "feeder lacks SELECT, INSERT or UPDATE on usage"
    assert "--grant feeder" in wrong.remedy
    root = Target(archive.url("postgres"), PASSWORDS["postgres"])
    (found,) = [finding for finding in check_archive(root) if finding.level != "ok"]
    assert "postgres is a superuser" in found.message
    (found,) = check_archive(Target(archive.url(), "wrong"))
    assert (found.level, found.subject) == ("error", "archive reach")
    assert fed.state.feed().batch == 0


# Commands.


@pytest.fixture
def config(tmp_path: Path, archive: Database) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        "web: {listen: '127.0.0.1:0'}\nstate: state/bandwidth.db\n"
        "sources: [{name: home, kind: unifi, url: 'https://127.0.0.1:1', api_key: k, interval: 1s}]\n"
        f"archive:\n  url: {archive.url()}\n  password: {PASSWORDS[FEEDER]!r}\n  retention: {{five_minutes: 2d}}\n"
    )
    return path


def test_migrate_and_prune_from_the_command_line(
    empty: Database, archive: Database, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = CliRunner()
    monkeypatch.setenv("PGPASSWORD", PASSWORDS[OWNER])
    done = runner.invoke(app, ["migrate", "--url", empty.url(OWNER), "--grant", FEEDER])
    assert done.exit_code == 0, done.output
    assert f"was brought to schema {REVISIONS[-1]}" in done.output
    assert "feeder may feed the archive" in done.output
    done = runner.invoke(app, ["prune", "--config", str(config), "--url", archive.url(OWNER)])
    assert (done.exit_code, "nothing is older than archive.retention says" in done.output) == (0, True), done.output
    done = runner.invoke(app, ["migrate", "--url", "postgresql://owner:topsecret@host/x"])
    assert (done.exit_code, "PGPASSWORD" in done.output, "topsecret" in done.output) == (2, True, False)
    done = runner.invoke(app, ["migrate", "--config", str(config)])
    assert (done.exit_code, "newest schema already" in done.output) == (0, True), done.output
    config.write_text(config.read_text().partition("archive:")[0])
    done = runner.invoke(app, ["migrate", "--config", str(config)])
    assert (done.exit_code, "There is no archive.url" in done.output) == (2, True)


def test_check_tries_the_archive(config: Path) -> None:
    found = [finding.subject for finding in check.findings(load(config, {}))]
    assert [subject for subject in found if subject.startswith("archive")] == [
        f"archive {step}" for step in ("reach", "version", "schema", "rights", "clock")
    ]


# The running exporter.


def test_the_exporter_feeds_it(
    tmp_path: Path, archive: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without tables first, which the page says; then it is fed, and shows how it goes."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("exporter.store.postgres.feeder.PAUSE", 0.05)
    monkeypatch.setattr("exporter.store.postgres.feeder.LONGEST_PAUSE", 0.05)
    archive.query("UPDATE alembic_version SET version_num = '9999'")
    mac = "02:00:00:00:00:01"
    polls = [poll([reading(mac, 1000 * number, 7)], meter_at=100.0) for number in range(1, 500)]
    settings = Settings(
        host="127.0.0.1", port=0, state=tmp_path / "state.db", client_ttl=3600.0, new_series_hold=0.0, people={},
        archive=feeder(archive),
    )  # fmt: skip
    running = Exporter(settings, [(facts(interval=0.05), ScriptedSource(list(polls)))])
    try:
        running.start()
        eventually("the page warns", lambda: "newer version of the exporter" in running.status(), within=20)
        eventually("the metrics say so", lambda: _metric(running, "bandwidth_archive_pending_rows") > 0, within=20)
        assert _metric(running, "bandwidth_archive_up") == 0
        assert _metric(running, "bandwidth_archive_failures_total") > 0
        archive.query("UPDATE alembic_version SET version_num = %s", REVISIONS[-1])
        eventually("it is fed", lambda: _metric(running, "bandwidth_archive_up") == 1, within=20)
        eventually("rows are there", lambda: archive.query("SELECT 1 FROM usage LIMIT 1"), within=20)
        assert "newer version" not in running.status()
    finally:
        running.stop()
    assert "the archive in PostgreSQL" in caplog.text
    for secret in (PASSWORDS[FEEDER], "p@ss"):
        assert secret not in caplog.text + repr(settings)


def _metric(running: Exporter, name: str) -> float:
    page = running.page(None)
    assert page is not None
    lines = [line for line in page.text().decode().splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].split()[1]) if lines else -1.0


def test_psycopg2_is_loaded_where_it_is_needed_alone() -> None:
    words = "import sys, exporter.service, exporter.cli, exporter.check; print('psycopg2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], capture_output=True, check=True).stdout == b"False\n"


def test_a_connection_has_limits(archive: Database) -> None:
    with closing(connect(feeder(archive))) as it, it.cursor() as cursor:
        shown = {}
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone"):
            cursor.execute(f"SHOW {name}")
            shown[name] = cursor.fetchone()[0]
    assert shown == {
        "statement_timeout": f"{connection.STATEMENT // 60}min",
        "lock_timeout": f"{connection.LOCK}s",
        "idle_in_transaction_session_timeout": f"{connection.STATEMENT // 60}min",
        "TimeZone": "UTC",
    }
