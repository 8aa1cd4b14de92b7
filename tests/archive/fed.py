"""A state that is fed to a PostgreSQL, without the threads, and both of them as plain rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from exporter.model import Changes, Count, Noted, Source, SubjectKey, Write
from exporter.privacy import OPEN, Privacy
from exporter.store import Retention, State, outbox
from exporter.store.postgres.feeder import Feeder
from exporter.store.postgres.target import Target
from tests.archive.server import FEEDER, PASSWORDS, Database
from tests.scripted import ManualClock, client_key

NOON = 1_780_315_200
"""2026-06-01T12:00Z"""

SITE = SubjectKey("site", "default", "")
_HISTORY = "SELECT {0}, subject, class, download, upload, flags FROM {1}"
TABLES = {
    "subject": "SELECT id, source, kind, site, key, coalesce(download, 0), coalesce(upload, 0), opening_download,"
    " opening_upload, coalesce(since, 0) FROM subject WHERE kind NOT IN ('protocol', 'client_protocol')",
    "usage": _HISTORY.format("bucket", "usage WHERE true"),
    "hourly": _HISTORY.format("bucket", "hourly WHERE true"),
    "daily": _HISTORY.format("day", "daily WHERE download + upload > 0"),
    "gap": _HISTORY.format("began, ended", "gap WHERE true"),
    "event": "SELECT bucket, subject, reason, count FROM event WHERE true",
    "calendar": "SELECT day, date, month, began, ended FROM calendar WHERE true",
}
"""In SQL that both understand. A day that was emptied is no row here and zeros there."""

_EXPORTERS = " AND exporter IN (SELECT number FROM exporter WHERE {0})"
Rows = dict[str, list[tuple[Any, ...]]]


class Fed:
    """A state, its feeder, and polls of one source with a few clients."""

    def __init__(self, path: Path, archive: Database, *, port: int = 0, clients: int = 3) -> None:
        self.path, self.archive = path, archive
        self.time = ManualClock(wall_at=NOON)
        self.privacy: Privacy = OPEN
        self.marking = True
        self.zone, self.retention = ZoneInfo("Europe/Berlin"), Retention.forever()
        self.clients = [client_key(f"02:00:00:00:00:{number:02x}") for number in range(clients)]
        self.target = Target(archive.url(FEEDER, port), PASSWORDS[FEEDER])
        self.open()

    def open(self) -> None:
        self.state = State.open(self.path)
        self.state.mark(on=self.marking)
        self.state.keep(self.zone, self.retention)
        self.feeder = Feeder(self.state, self.target, lambda: self.privacy, self.time.clock)
        memory = self.state.load("home")
        self.source, self.totals = memory.source, dict(memory.totals)

    def reopen(self) -> None:
        self.close()
        self.open()

    def close(self) -> None:
        """Twice does nothing."""
        self.feeder.close()
        self.state.close()

    def poll(self, down: int = 1000, after: float = 30.0, *, gap: bool = False) -> None:
        self.time.pass_(after)
        changed: dict[SubjectKey, Count] = {}
        for number, key in enumerate(self.clients):
            for subject in (key, SITE, SubjectKey("client_protocol", "default", f"{key.key}|quic")):
                known = changed.get(subject, self.totals.get(subject, Count()))
                changed[subject] = Count(known.download + down + number, known.upload + number)
        before = self.source
        self.source = Source("id", before.number + 1, before.tick + after, self.time.wall_at, 0)
        at = int(self.time.wall_at)
        new = {key: at for key in self.clients[1:] if key not in self.totals}
        noted = Noted(at, {(SITE, "baseline"): 2, (self.clients[0], "reset"): 1}, new)
        self.totals |= changed
        made = Changes(self.source, {}, frozenset(), changed, {}, {}, {}, gap, noted=noted)
        self.state.commit([Write("home", made, {})])

    def drain(self) -> None:
        """Feed until nothing is left. Fails where it does not go."""
        for _ in range(10_000):
            self.feeder.step()
            assert self.feeder.trouble == ""
            if not self.feeder.condition.pending:
                return
        raise AssertionError("it never ends")

    def ours(self) -> Rows:
        with closing(sqlite3.connect(self.path)) as file:
            return {table: sorted(file.execute(statement).fetchall()) for table, statement in TABLES.items()}

    def marked(self) -> tuple[int, int]:
        with outbox.snapshot(self.path) as file:
            return outbox.left(file, self.state.feed().walk)


def theirs(archive: Database, where: str = "current") -> Rows:
    """What PostgreSQL has of these exporters."""
    of_those = _EXPORTERS.format(where)
    return {table: sorted(archive.query(statement + of_those)) for table, statement in TABLES.items()}
