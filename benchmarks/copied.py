"""An archive in PostgreSQL as the exporter would have fed it, copied there in bulk. Durability is off: it is a server
for a few minutes.
"""

from __future__ import annotations

import io
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg2.extensions
from msgspec.structs import replace

from exporter.store import outbox
from exporter.store.outbox import TABLES, Feed
from exporter.store.postgres.migrate import grant, migrate
from exporter.store.postgres.target import Target
from exporter.store.upkeep import read_progress
from tests.archive.server import FEEDER, OWNER, PASSWORDS, Database, Server

_SUBJECTS: Final = """
    SELECT id, source, kind, site, key, coalesce(download, 0), coalesce(upload, 0), opening_download, opening_upload
    FROM subject
"""
_SUBJECT_COLUMNS: Final = "id, source, kind, site, key, download, upload, opening_download, opening_upload"
_DAY: Final = "day, date, month, began, ended"
_DAYS: Final = "SELECT day, date, month, began, ended FROM calendar"
_ROWS: Final = "SELECT {columns} FROM {table} WHERE {begun} < ?"
_MARK: Final = "INSERT INTO outbox SELECT {level}, {at}, subject, {kind}, 1 FROM {table} WHERE {begun} >= ?"
_EXPORTER: Final = """
    INSERT INTO exporter (id, ledger, current, batch, token, timezone, calendar, made_hour, made_subject, fed_at)
    VALUES (%s, %s, true, %s, %s, %s, %s, %s, %s, clock_timestamp()) RETURNING number
"""


@contextmanager
def server() -> Iterator[Database]:
    """A PostgreSQL with an empty archive in it, and the role that may feed it."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = Server(Path(folder))
        try:
            postgres.start()
            database = postgres.make()
            migrate(of(database, OWNER))
            grant(of(database, OWNER), FEEDER)
            yield database
        finally:
            postgres.stop()


def of(database: Database, role: str) -> Target:
    """The database for a role."""
    return Target(database.url(role), PASSWORDS[role])


def copy(path: Path, database: Database, until: int | None = None) -> None:
    """Copy what a state file has to an empty archive, and write down in the file that it is there.

    until: Unix seconds; what came later is marked instead: the database was away since then.
    """
    # COPY knows no callbacks.
    psycopg2.extensions.set_wait_callback(None)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN")
        (ledger,) = file.execute("SELECT value FROM meta WHERE key = 'exporter_id'").fetchone()
        batch = outbox.read(file, outbox.START, 1)
        feed = replace(Feed.new(), batch=1, token=str(uuid.uuid4()), walk=None)
        made = read_progress(file) if until is None else (until // 3600 * 3600, 0)
        with closing(database.server.connect(database.name, OWNER)) as connection, connection.cursor() as cursor:
            known = (feed.id, ledger, feed.batch, feed.token, batch.zone, batch.calendar, *made)
            cursor.execute(_EXPORTER, known)
            (number,) = cursor.fetchone()
            for place, query in (
                (f"subject (exporter, {_SUBJECT_COLUMNS})", file.execute(_SUBJECTS)),
                (f"calendar (exporter, {_DAY})", file.execute(_DAYS)),
                *_history(file, latest := 2**62 if until is None else until),
            ):
                cursor.copy_expert(f"COPY {place} FROM STDIN", _Text(number, query))
            for level, (table, at, kind, _) in TABLES.items():
                file.execute(_MARK.format(level=level, at=at, kind=kind, table=table, begun=_begun(at)), (latest,))
            connection.commit()
            connection.autocommit = True
            cursor.execute("VACUUM ANALYZE")
        outbox.write_feed(file, feed)
        file.execute("COMMIT")


def _history(file: sqlite3.Connection, until: int) -> Iterator[tuple[str, sqlite3.Cursor]]:
    for table, at, kind, values in TABLES.values():
        columns = ", ".join((at, "subject", kind, *values))
        query = _ROWS.format(columns=columns, table=table, begun=_begun(at))
        yield f"{table} (exporter, {columns})", file.execute(query, (until,))


def _begun(at: str) -> str:
    return "day * 86400" if at == "day" else at


class _Text(io.TextIOBase):
    """Rows in PostgreSQL's text format. None of ours has a tab or a NULL in it."""

    def __init__(self, exporter: int, rows: sqlite3.Cursor) -> None:
        self._exporter, self._rows, self._left = exporter, rows, ""

    def read(self, size: int | None = -1, /) -> str:
        """At most so many characters; "" at the end."""
        size = size or -1
        while size < 0 or len(self._left) < size:
            some = self._rows.fetchmany(5_000)
            if not some:
                break
            self._left += "".join(["\t".join(map(str, (self._exporter, *row))) + "\n" for row in some])
        size = len(self._left) if size < 0 else size
        text, self._left = self._left[:size], self._left[size:]
        return text
