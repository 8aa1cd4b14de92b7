"""The state file in use: loaded at the start, committed to before anything is published."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.model import Count, Memory, SubjectKey, Write
from exporter.store import database, outbox, rows
from exporter.store.archive import Archive
from exporter.store.errors import StateError, explained, from_code, from_system, result_code
from exporter.store.lock import Lock
from exporter.store.openings import openings
from exporter.store.rows import Ids
from exporter.store.upkeep import Retention

log = logging.getLogger(__name__)

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class State:
    """The state file. Any thread may use it, one at a time: the others wait."""

    def __init__(self, path: Path, lock: Lock) -> None:
        """For `open` only."""
        self._path = path
        self._lock = lock
        self._guard = threading.Lock()
        self._ids: dict[str, Ids] = {}
        self._archive = Archive()
        self._marking = False
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        try:
            connection = self._connect()
            self._exporter_id = _exporter_id(connection)
            scraped_at = rows.get_meta(connection, "scraped_at")
            self._scraped_at = None if scraped_at is None else float(scraped_at)
        except BaseException:
            self._disconnect()
            raise

    @classmethod
    def open(cls, path: Path) -> State:
        """Open the state file, made (mode 0600, with its folder) or upgraded (after a copy) where needed.

        Raises StateError where the file cannot be used; then it is as it was before.
        """
        try:
            path = path.resolve()
        except (OSError, RuntimeError) as error:
            raise StateError(f"state file {path}: {error}. Check `state` in the configuration.") from error
        database.make_folder(path)
        lock = Lock(path)
        try:
            with explained(path, "cannot open it"):
                return cls(path, lock)
        except BaseException:
            lock.release()
            raise

    @property
    def scraped_at(self) -> float | None:
        """Unix seconds of the last scrape by a Prometheus that was committed; None where there never was one."""
        return self._scraped_at

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    @property
    def exporter_id(self) -> str:
        """The name of this ledger among others: a UUID, made with the file."""
        return self._exporter_id

    def pseudonym_key(self) -> bytes:
        """The key of the pseudonyms (exporter.privacy): made when first asked for, then always the same.

        Raises StateError.
        """
        with self._guard, explained(self._path, "cannot read the key of the pseudonyms"):
            return _pseudonym_key(self._ready())

    def load(self, name: str) -> Memory:
        """All that is remembered of the source `name`; empty where it is unknown. Raises StateError."""
        with self._guard, explained(self._path, f"cannot load the source {name!r}"):
            try:
                return self._learn(self._ready(), name)
            except BaseException as error:
                self._recover(error)
                raise

    def commit(self, writes: Sequence[Write], scraped_at: float | None = None) -> None:
        """Make all of it durable in one transaction. `scraped_at`: see the property; None leaves it as it is.

        Raises StateError, with nothing changed; the next commit may succeed when the cause is gone.
        """
        with self._guard, explained(self._path, "cannot commit"):
            try:
                self._write(self._ready(), writes, scraped_at)
            except BaseException as error:
                self._recover(error)
                # They may name rows that were rolled back.
                for write in writes:
                    self._ids.pop(write.name, None)
                self._archive.forget()
                raise
            if scraped_at is not None:
                self._scraped_at = scraped_at
            self._archive.adopt(writes)
            self._tend(writes)

    def keep(self, zone: ZoneInfo, retention: Retention) -> None:
        """By whose midnight days are cut from now on, and for how long history is kept.

        Days of another time zone are made anew where there are five minutes of them. Raises StateError, with nothing
        changed. Until it is called, days are cut as they were, or else in UTC, and nothing is removed.
        """
        with self._guard, explained(self._path, "cannot change how history is kept"):
            try:
                connection = self._ready()
                with database.transaction(connection):
                    self._archive.recut(connection, zone)
                self._archive.keep(zone, retention)
                names = list(self._ids)
                self._ids.clear()
                for name in names:
                    self._learn(connection, name)
            except BaseException as error:
                self._recover(error)
                raise

    def mark(self, on: bool) -> None:
        """Whether to mark from now on what has to be sent to PostgreSQL (exporter.store.outbox). Raises StateError."""
        with self._guard, explained(self._path, "cannot say what is to be sent to PostgreSQL"):
            connection = self._ready()
            with database.transaction(connection):
                known = outbox.read_feed(connection)
                if on and known is None:
                    outbox.write_feed(connection, outbox.Feed.new())
                elif known is not None and not on:
                    outbox.rest(connection, known)
            if on and not self._marking:
                self._marking = True
                outbox.install(connection)

    def feed(self) -> outbox.Feed:
        """How far PostgreSQL has it. Where changes are marked alone. Raises StateError."""
        with self._guard, explained(self._path, "cannot read how far PostgreSQL has it"):
            return outbox.read_feed(self._ready()) or outbox.Feed.new()

    def fed(self, feed: outbox.Feed, marks: Iterable[tuple[outbox.Key, int]] = ()) -> None:
        """Write down how far PostgreSQL has it, and take away the marks of what it took. Raises StateError."""
        with self._guard, explained(self._path, "cannot write down what was sent to PostgreSQL"):
            connection = self._ready()
            with database.transaction(connection):
                outbox.unmark(connection, marks)
                outbox.write_feed(connection, feed)

    def today(self, now: float) -> Mapping[str, Mapping[SubjectKey, Count]]:
        """Bytes since midnight, by source, of every subject that moved any. now: Unix seconds.

        Any thread may ask at any time: it waits for no commit, and no commit for it.
        """
        return self._archive.today(now)

    def openings(
        self, name: str, subjects: Collection[SubjectKey], starts: Collection[int]
    ) -> Mapping[int, Mapping[SubjectKey, Count]]:
        """What the totals of subjects of a source were at each of these moments, which are bounds of five minutes.

        Packets are 0. Subjects without a total are left out. Raises StateError.
        """
        with self._guard, explained(self._path, f"cannot read the history of the source {name!r}"):
            try:
                connection = self._ready()
                if name not in self._ids:
                    self._learn(connection, name)
                ids = {number: key for key, number in self._ids[name].subjects.items() if key in subjects}
                archive = self._archive
                return {
                    start: {
                        ids[number]: Count(*pair)
                        for number, pair in openings(connection, ids, start, archive.progress, archive.zone).items()
                    }
                    for start in starts
                }
            except BaseException as error:
                self._recover(error)
                raise

    def close(self) -> None:
        """Close the file and let another exporter have it. A second call does nothing."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            try:
                self._disconnect()
            finally:
                self._lock.release()

    def _write(self, connection: sqlite3.Connection, writes: Sequence[Write], scraped_at: float | None) -> None:
        with database.transaction(connection):
            for write in writes:
                if write.name not in self._ids:
                    self._learn(connection, write.name)
                ids = self._ids[write.name]
                rows.write(connection, write, ids, self._free)
                self._archive.add(connection, write, ids.subjects, self._free)
            if scraped_at is not None:
                rows.set_meta(connection, "scraped_at", repr(float(scraped_at)))

    def _learn(self, connection: sqlite3.Connection, name: str) -> Memory:
        memory, ids = rows.read(connection, name)
        self._archive.learn(connection, name, memory, ids.subjects)
        self._ids[name] = ids
        return memory

    def _tend(self, writes: Sequence[Write]) -> None:
        """A step of what the archive has to do now and then. The polls are durable, so its failure is not theirs."""
        if self._connection is None or not writes:
            return
        try:
            with database.transaction(self._connection):
                progress = self._archive.tend(self._connection, max(write.changes.source.at for write in writes))
        except sqlite3.Error as error:
            self._recover(error)
            log.warning("%s", from_code(self._path, "cannot make hours and days", result_code(error), str(error)))
        else:
            self._archive.progress = progress

    def _connect(self) -> sqlite3.Connection:
        connection = database.open_checked(self._path)
        try:
            self._archive.open(connection, self._path)
            self._free = rows.free_ids(connection)
            file = self._path.stat()
        except BaseException:
            connection.close()
            raise
        self._inode = (file.st_dev, file.st_ino)
        self._connection = connection
        return connection

    def _ready(self) -> sqlite3.Connection:
        if self._closed:
            raise StateError(f"state file {self._path}: it was closed. Open it again.")
        self._stay()
        return self._connection or self._connect()

    def _stay(self) -> None:
        """SQLite does not notice that its file was moved or deleted; what it then writes is lost at the next start."""
        try:
            file = self._path.stat()
        except OSError as error:
            raise from_system(self._path, "it was moved or deleted while in use", error) from error
        if (file.st_dev, file.st_ino) != self._inode:
            raise StateError(
                f"state file {self._path}: another file was put in its place while it was in use. Restart the exporter"
                " to use the new one, or put the old one back."
            )

    def _recover(self, error: BaseException) -> None:
        """Let go of a connection that is stuck in a transaction, or that keeps damaged pages in its memory.

        Any other is kept: what it wrote of a failed commit is overwritten by the next, while a new connection might
        find it in the log and take it for committed.
        """
        stuck = self._connection is not None and self._connection.in_transaction
        if stuck or result_code(error) in _DAMAGED:
            with suppress(sqlite3.Error):
                self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._ids.clear()
        if connection is not None:
            connection.close()


def _exporter_id(connection: sqlite3.Connection) -> str:
    known = rows.get_meta(connection, "exporter_id")
    if known is not None:
        return known
    made = str(uuid.uuid4())
    with database.transaction(connection):
        rows.set_meta(connection, "exporter_id", made)
    return made


def _pseudonym_key(connection: sqlite3.Connection) -> bytes:
    known = rows.get_meta(connection, rows.PSEUDONYM_KEY)
    if known is not None:
        return bytes.fromhex(known)
    made = secrets.token_bytes(32)
    with database.transaction(connection):
        rows.set_meta(connection, rows.PSEUDONYM_KEY, made.hex())
    return made
