"""PostgreSQL cut off, killed, put back, emptied and frozen: the sums are equal afterwards, and nothing is doubled."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import exporter
from exporter.store import outbox
from exporter.store.outbox import START, Feed
from exporter.store.postgres import connection, feeder
from exporter.store.postgres import feed as sending
from exporter.store.postgres.feed import Again, Go, Known, Wait, decide
from exporter.store.postgres.migrate import TABLES
from exporter.store.postgres.target import Target
from tests.archive.fed import Fed, theirs
from tests.archive.server import FEEDER, PASSWORDS, Database, Proxy, Server, proxy

PACKAGE = str(Path(exporter.__file__).parent)
KEEP = "CREATE TABLE old_{0} AS SELECT * FROM {0}"
PUT_BACK = "INSERT INTO {0} OVERRIDING SYSTEM VALUE SELECT * FROM old_{0}"


@pytest.fixture
def fed(tmp_path: Path, archive: Database) -> Iterator[Fed]:
    it = Fed(tmp_path / "here" / "state.db", archive)
    for _ in range(20):
        it.poll(after=400.0)
    yield it
    it.close()


@pytest.fixture
def cutter(postgres: Server) -> Iterator[Proxy]:
    with proxy(postgres.port) as it:
        yield it


def through(fed: Fed, cutter: Proxy) -> None:
    fed.target = Target(fed.archive.url(FEEDER, cutter.port), PASSWORDS[FEEDER])
    fed.reopen()


def sums(archive: Database) -> list[tuple[Any, ...]]:
    """By name, over all exporters that count."""
    return archive.query(
        "SELECT source, kind, subject, class, CAST(sum(download) AS BIGINT), CAST(sum(upload) AS BIGINT)"
        " FROM v_usage_daily GROUP BY source, kind, subject, class ORDER BY 1, 2, 3, 4"
    )


# Killed, and cut off.


def test_killed_at_any_line(fed: Fed, archive: Database) -> None:
    """Before 50 lines of the package (SOAK=1: 400), spread over a whole batch, each in a process of its own."""
    fed.feeder.rows = 150
    fed.feeder.step()
    lines = _lines(fed)
    assert lines > 400
    stride = lines // (400 if os.environ.get("SOAK") else 50)
    ends = []
    for line in range(1, lines, stride):
        fed.poll(after=400.0)
        fed.close()
        ends.append(_die(fed, line))
        fed.open()
    assert set(ends) <= {signal.SIGKILL, 0}
    assert ends.count(signal.SIGKILL) >= 45
    assert sums(archive)
    fed.drain()
    assert theirs(archive) == fed.ours()
    assert archive.query("SELECT count(*) FROM exporter") == [(1,)]


def _lines(fed: Fed) -> int:
    """Of a batch, with the connection."""
    fed.reopen()
    fed.poll(after=400.0)
    count = [0]
    _traced(fed.feeder.step, lambda: count.__setitem__(0, count[0] + 1))
    assert fed.feeder.trouble == ""
    return count[0]


def _traced(work: Callable[[], object], at_line: Callable[[], None]) -> None:
    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            at_line()
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)


def _die(fed: Fed, line: int) -> int:
    """In a child that feeds. The signal that ended it, 0 where it came to its end before."""
    child = os.fork()
    if child == 0:
        left = [line]

        def count() -> None:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        fed.open()
        _traced(fed.feeder.step, count)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def test_cut_between_a_commit_and_its_answer(fed: Fed, cutter: Proxy, archive: Database) -> None:
    """Nobody tells the exporter that it was done. Bytes that come meanwhile are neither lost nor sent twice."""
    through(fed, cutter)
    fed.drain()
    for number in range(10):
        fed.poll(after=200.0)
        marked, before = fed.marked(), archive.query("SELECT batch FROM exporter")
        cutter.cuts = _at_the_commit(lambda: True)
        fed.feeder.step()
        assert "server closed the connection" in fed.feeder.trouble
        assert fed.marked() == marked
        assert archive.query("SELECT batch FROM exporter") > before
        cutter.cuts = lambda _: False
        if number % 2:
            fed.reopen()
            fed.poll(down=10**12, after=1.0)
        if number % 3:
            fed.drain()
            assert theirs(archive) == fed.ours()
    assert cutter.cut == 10
    fed.drain()
    assert theirs(archive) == fed.ours()
    assert archive.query("SELECT count(*) FROM exporter") == [(1,)]


def test_cut_anywhere(fed: Fed, cutter: Proxy, archive: Database) -> None:
    """After the n-th piece that the exporter sends, for every n of a batch."""
    through(fed, cutter)
    for number in range(1, 60):
        cutter.cuts = _after(number)
        fed.poll(after=200.0)
        fed.feeder.close()
        fed.feeder.step()
        cutter.cuts = lambda _: False
        if not fed.feeder.trouble:
            break
    else:
        raise AssertionError("a batch that never comes to its end")
    assert cutter.cut > 8
    fed.drain()
    assert theirs(archive) == fed.ours()


def _at_the_commit(what: Callable[[], bool]) -> Callable[[bytes], bool]:
    """Of a batch, and not of what only looks."""
    written: list[bool] = []

    def cuts(piece: bytes) -> bool:
        written.extend([True] * (b"UPDATE exporter SET batch" in piece))
        return bool(written) and b"COMMIT" in piece and what()

    return cuts


def _after(pieces: int) -> Callable[[bytes], bool]:
    left = iter(range(pieces))
    return lambda _: next(left, None) is None


def test_an_older_batch_that_is_still_under_way_is_waited_for(fed: Fed, archive: Database) -> None:
    """Its connection broke, and the server does not know yet."""
    fed.drain()
    fed.poll()
    stuck = connection.connect(fed.target)
    with stuck.cursor() as cursor:
        sending.look(cursor, fed.state.exporter_id)
        cursor.execute("UPDATE exporter SET batch = batch + 1, token = 'unknown'")
    seen: list[bool] = []

    def release(*_: object) -> None:
        seen.append(True)
        stuck.rollback()

    signal.signal(signal.SIGALRM, release)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        fed.drain()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        stuck.close()
    assert seen
    assert theirs(archive) == fed.ours()


# Away.


def test_away_and_back(fed: Fed, archive: Database, postgres: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fed.drain()
    postgres.stop()
    try:
        pauses = []
        for _ in range(8):
            for _ in range(3):
                fed.poll(after=100.0)
            pauses.append(fed.feeder.step())
        assert pauses == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0, 60.0]
        condition = fed.feeder.condition
        assert (condition.up, condition.failures) == (False, 8)
        assert condition.lag(fed.time.wall_at) == pytest.approx(2400.0)
        assert condition.pending == fed.marked()[0]
        # A row that changes a hundred times is one row.
        for _ in range(100):
            fed.poll(after=0.001)
        assert fed.marked()[0] <= condition.pending + 8
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "To mend it: check host and port in `archive.url`" in warnings[0].getMessage()
    finally:
        postgres.start()
    fed.drain()
    assert theirs(archive) == fed.ours()
    assert (fed.feeder.condition.up, fed.feeder.condition.lag(fed.time.wall_at)) == (True, 0.0)
    assert "works again" in caplog.records[-1].getMessage()


def test_a_server_that_froze(fed: Fed, cutter: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes what is sent and says nothing, for ever."""
    through(fed, cutter)
    fed.drain()
    fed.poll()
    monkeypatch.setattr(connection, "SILENCE", 0.5)
    monkeypatch.setattr(connection, "REACH", 0.5)
    cutter.frozen = True
    fed.feeder.step()
    assert "the server does not answer" in fed.feeder.trouble
    fed.feeder.step()
    assert "cannot connect: the server does not answer" in fed.feeder.trouble
    cutter.frozen = False
    fed.drain()


def test_a_state_that_is_away_when_the_answer_comes(fed: Fed, cutter: Proxy, archive: Database) -> None:
    """The batch was taken, and the marks stay: it is sent again, and found out about."""
    through(fed, cutter)
    fed.drain()
    fed.poll()
    aside = fed.path.with_name("aside")

    def hide() -> bool:
        fed.path.rename(aside)
        return False

    cutter.cuts = _at_the_commit(hide)
    fed.feeder.step()
    assert "moved or deleted" in fed.feeder.trouble
    cutter.cuts = lambda _: False
    aside.rename(fed.path)
    fed.poll()
    fed.drain()
    assert theirs(archive) == fed.ours()


# Put back, lost and copied.


def test_a_state_put_back_from_a_backup(
    fed: Fed, archive: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fed.drain()
    before = fed.ours()
    backup = _copy(fed, tmp_path / "backup")
    for _ in range(9):
        fed.poll(after=500.0)
    fed.drain()
    was = theirs(archive)
    fed.close()
    shutil.rmtree(fed.path.parent)
    shutil.copytree(backup, fed.path.parent)
    fed.open()
    assert fed.ours() == before
    # The meters are cumulative: what moved meanwhile comes with the next poll.
    fed.poll(down=9 * 1000 + 77, after=600.0, gap=True)
    fed.feeder.step()
    assert "it goes on 15 minutes after the last batch" in fed.feeder.trouble
    assert theirs(archive) == was
    fed.feeder.lease = 0.0
    fed.drain()
    assert "which was put back from a backup" in caplog.text
    assert theirs(archive) == fed.ours()
    assert theirs(archive, "NOT current") == was
    client = fed.clients[0].key
    assert ("home", "client", client, "all", 29 * 1000 + 77, 0) in sums(archive)
    fed.poll()
    fed.drain()
    assert theirs(archive) == fed.ours()
    assert archive.query("SELECT current FROM exporter ORDER BY number") == [(False,), (True,)]


def test_put_back_twice_and_away_in_between(fed: Fed, archive: Database, tmp_path: Path) -> None:
    """Also where the state came further than it was, before it saw the database again."""
    fed.feeder.lease = 0.0
    fed.drain()
    backup = _copy(fed, tmp_path / "backup")
    for polls in (3, 30, 3):
        for _ in range(4):
            fed.poll(after=500.0)
        fed.feeder.rows = 3
        fed.drain()
        fed.close()
        shutil.rmtree(fed.path.parent)
        shutil.copytree(backup, fed.path.parent)
        fed.open()
        fed.feeder.lease = 0.0
        for _ in range(polls):
            fed.poll(after=700.0)
        fed.drain()
        assert theirs(archive) == fed.ours()
    assert archive.query("SELECT count(*) FROM exporter WHERE current") == [(1,)]


def test_a_lost_state(fed: Fed, archive: Database) -> None:
    """The new one counts from 0: both are the truth, of one time each."""
    fed.drain()
    before = sums(archive)
    fed.close()
    shutil.rmtree(fed.path.parent)
    fed.time.pass_(3600.0)
    fed.open()
    fed.poll(down=5)
    fed.poll(down=6)
    fed.drain()
    added = [(*row[:4], row[4] + new[4], row[5] + new[5]) for row, new in zip(before, _as_sums(fed), strict=True)]
    assert sums(archive) == added


def _as_sums(fed: Fed) -> list[tuple[Any, ...]]:
    whose = f"ledger = '{fed.state.exporter_id}'"
    subjects = {row[0]: row[1:5] for row in theirs(fed.archive, whose)["subject"]}
    rows = theirs(fed.archive, whose)["usage"]
    names = {(subjects[row[1]][0], subjects[row[1]][1], subjects[row[1]][3], row[2]) for row in rows}
    found = []
    for name in sorted(names):
        mine = [r for r in rows if (*_named(subjects[r[1]]), r[2]) == name]
        found.append((*name, sum(r[3] for r in mine), sum(r[4] for r in mine)))
    return found


def _named(subject: tuple[Any, ...]) -> tuple[Any, ...]:
    return subject[0], subject[1], subject[3]


def test_a_copy_in_use_elsewhere_waits(fed: Fed, archive: Database, tmp_path: Path) -> None:
    fed.drain()
    copy = Fed(_copy(fed, tmp_path / "copy") / "state.db", archive)
    try:
        for _ in range(3):
            fed.poll()
            fed.drain()
            copy.poll(down=5)
            copy.feeder.step()
            assert "If a copy of the state file is in use elsewhere, stop it" in copy.feeder.trouble
        assert theirs(archive) == fed.ours()
        assert archive.query("SELECT count(*) FROM exporter") == [(1,)]
    finally:
        copy.close()


def test_a_state_that_moved_goes_on(fed: Fed, archive: Database, tmp_path: Path) -> None:
    fed.drain()
    fed.close()
    fed.path = _copy(fed, tmp_path / "moved") / "state.db"
    fed.open()
    fed.poll()
    fed.drain()
    assert theirs(archive) == fed.ours()
    assert archive.query("SELECT count(*) FROM exporter") == [(1,)]


def test_a_database_put_back(fed: Fed, archive: Database, caplog: pytest.LogCaptureFixture) -> None:
    fed.drain()
    for table in TABLES:
        archive.query(KEEP.format(table))
    for _ in range(9):
        fed.poll(after=700.0)
        fed.drain()
    for table in TABLES:
        archive.query(f"TRUNCATE {table}")
        archive.query(PUT_BACK.format(table))
    fed.poll()
    fed.drain()
    assert "put back to an earlier time" in caplog.text
    assert theirs(archive) == fed.ours()
    assert archive.query("SELECT count(*) FROM exporter") == [(1,)]


def test_an_emptied_database(fed: Fed, archive: Database, caplog: pytest.LogCaptureFixture) -> None:
    fed.drain()
    for table in TABLES:
        archive.query(f"TRUNCATE {table}")
    fed.poll()
    fed.drain()
    assert "does not know this exporter any more" in caplog.text
    assert theirs(archive) == fed.ours()


def _copy(fed: Fed, to: Path) -> Path:
    """What a backup takes."""
    with outbox.snapshot(fed.path):
        shutil.copytree(fed.path.parent, to)
    return to


MINE = Known(1, "me", True, 5, "t5", "", 10.0)
OTHER = Known(2, "you", True, 9, "x", "", 10.0)
FED = Feed("me", 5, "t5", walk=None)


@pytest.mark.parametrize(
    ("feed", "known", "kind"),
    [
        (Feed("me"), [], Go),
        (FED, [MINE], Go),
        (Feed("me", 4, "t4", "t5"), [MINE], Go),  # the answer was lost
        (Feed("me", 5, "t5", "t6"), [MINE], Go),  # it never came there
        (Feed("me", 4, "t4", "t9"), [MINE], Wait),  # put back, or a copy
        (Feed("me", 4, "t4"), [MINE._replace(idle=900.0)], Again),
        (Feed("me", 6, "t6"), [MINE], Again),  # the database was put back
        (FED, [], Again),
        (FED, [MINE._replace(current=False), OTHER], Wait),
        (FED, [MINE._replace(current=False), OTHER._replace(idle=901.0)], Again),
        (Feed("new"), [MINE], Wait),
        (Feed("new"), [MINE._replace(idle=1e6)], Go),
    ],
)
def test_whose_turn_it_is(feed: Feed, known: list[Known], kind: type) -> None:
    verdict = decide(feed, known)
    assert type(verdict) is kind
    if isinstance(verdict, Again):
        assert verdict.feed.walk == START
        assert verdict.feed.batch <= feed.batch
    if isinstance(verdict, Go) and verdict.row is not None:
        assert (verdict.feed.batch, verdict.feed.token, verdict.feed.sending) == (5, "t5", "")


def test_nobody_waits_for_it_at_the_end(fed: Fed, cutter: Proxy) -> None:
    """A thread that hangs in the network does not hold up the end."""
    through(fed, cutter)
    cutter.frozen = True
    it = feeder.Feeder(fed.state, fed.target, lambda: fed.privacy, fed.time.clock)
    it.start()
    it.stop(0.1)
    assert not it.condition.up
