"""One exporter per state file: two would count the same bytes into it twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from exporter.store.errors import StateError, from_system


class Lock:
    """An exclusive lock on `<file>.lock`, which holds the pid of its owner.

    The kernel frees it when the owner ends, however it ends. The file itself stays: were it removed, a process that
    waits on the old one and a process that makes a new one would both hold a lock.
    """

    def __init__(self, state: Path) -> None:
        """Take the lock for the file `state`; StateError where another process holds it or it cannot be made."""
        self._path = state.with_name(state.name + ".lock")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise from_system(state, f"cannot open its lock file {self._path}", error) from error
        try:
            self._take(state)
        except BaseException:
            os.close(self._file)
            raise

    def _take(self, state: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Written over and cut afterwards, so that a full disk cannot get in between.
            pid = f"{os.getpid()}\n".encode()
            os.pwrite(self._file, pid, 0)
            os.ftruncate(self._file, len(pid))
        except BlockingIOError as error:
            raise StateError(
                f"state file {state}: another exporter (process {self._holder()}) is using it. Stop that one, or give"
                " this one its own `state` in the configuration."
            ) from error
        except OSError as error:
            raise from_system(state, f"cannot lock {self._path}", error) from error

    def _holder(self) -> str:
        return os.pread(self._file, 32, 0).decode(errors="replace").strip() or "unknown"

    def release(self) -> None:
        """Give the lock back. Call it once."""
        os.close(self._file)
