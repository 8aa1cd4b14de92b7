"""What can go wrong with the state file, said so that a person can mend it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StateError(Exception):
    """The state could not be opened, read or written. The message says what happened, to which file, and what to do."""


# By SQLite's primary result code: what happened, and what to do.
_ADVICE = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Make room on it, then it goes on from what was last committed."),
    sqlite3.SQLITE_IOERR: (
        "the disk refused to read or write",
        "Make sure that it is not full, and look at its health, its quotas and the limit on file sizes.",
    ),
    sqlite3.SQLITE_READONLY: (
        "it cannot be written to",
        "Give the user that runs the exporter write permission to the file, its -wal and -shm and its folder.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened",
        "Give the user that runs the exporter read and write permission to the file and its folder.",
    ),
    sqlite3.SQLITE_BUSY: (
        "another program keeps it locked",
        "End the program that writes to it (an sqlite3 shell, a backup), or let it finish.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "it is damaged",
        "Stop the exporter, put a backup in its place and delete its -wal and -shm (without one, totals start anew).",
    ),
    sqlite3.SQLITE_NOTADB: (
        "it is no SQLite database, or its head is damaged",
        "Check `state` in the configuration. If it is right, put a backup in its place and delete its -wal and -shm.",
    ),
}
_UNKNOWN = ("SQLite reports an error", "Nothing was changed; if it stays, restart the exporter and check the disk.")


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn what SQLite, its driver and the operating system raise while `doing` something into a StateError."""
    try:
        yield
    except sqlite3.Error as error:
        raise from_code(path, doing, result_code(error), str(error)) from error
    except OSError as error:
        raise from_system(path, doing, error) from error
    except (OverflowError, UnicodeError) as error:
        raise StateError(
            f"state file {path}: {doing}: a value cannot be stored ({error}). Whole numbers have to be below 2^63 and"
            " texts valid Unicode; nothing was changed. Look at what the source reports."
        ) from error


def result_code(error: BaseException) -> int:
    """SQLite's primary result code, or 0 where the error did not come from SQLite itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def from_code(path: Path, doing: str, code: int, detail: str) -> StateError:
    """The StateError for a primary result code of SQLite."""
    what, advice = _ADVICE.get(code, _UNKNOWN)
    return StateError(f"state file {path}: {doing}: {what} ({detail}). {advice}")


def from_system(path: Path, doing: str, error: OSError) -> StateError:
    """The StateError for what the operating system reported about `path`."""
    reason = error.strerror or str(error)
    return StateError(
        f"state file {path}: {doing}: {reason}. Check `state` in the configuration, that there is room on the disk, and"
        " that the user that runs the exporter may write to the file and its folder."
    )
