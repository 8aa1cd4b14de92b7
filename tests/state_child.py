"""What the tests of the state's faults do in a process of their own: `python -m tests.state_child <what> <folder>`.

A process is what a full disk, a missing permission, a limit and a kill happen to. An assertion that fails ends it with
a traceback, which the test shows.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from io import FileIO
from pathlib import Path

import pytest

from exporter.model import Memory
from exporter.store import State, StateError
from tests.states import poll

NOBODY = 65534


def refusal(act: Callable[[], object]) -> str:
    """What the StateError says that `act` has to raise."""
    try:
        act()
    except StateError as error:
        return str(error)
    raise AssertionError("no StateError")


def remembered(number: int, clients: int = 3) -> Memory:
    """What is remembered after `poll(…, number, clients)`."""
    memory, write = Memory(), poll("home", number, clients)
    memory.take(write.changes, write.shown)
    return memory


def disk_full_at_commit(folder: Path) -> None:
    """In a file system of 2 MB."""
    file, ballast = folder / "bandwidth.db", folder / "ballast"
    with closing(State.open(file)) as state:
        state.commit([poll("home", 1)], scraped_at=1.0)
        _fill(ballast)
        for _ in range(2):
            said = refusal(lambda: state.commit([poll("home", 2, clients=2000)], scraped_at=2.0))
            assert "the disk is full" in said, said
            assert str(file) in said, said
            assert (state.load("home"), state.scraped_at) == (remembered(1), 1.0)
        ballast.unlink()
        state.commit([poll("home", 3, clients=500)])
        assert state.load("home") == remembered(3, clients=500)
    with closing(State.open(file)) as state:
        assert (state.load("home"), state.scraped_at) == (remembered(3, clients=500), 1.0)


def disk_full_at_open(folder: Path) -> None:
    """In a file system of 2 MB, without room for a new file or for the log of an old one."""
    old, ballast = folder / "old.db", folder / "ballast"
    with closing(State.open(old)) as state:
        state.commit([poll("home", 1)])
    _fill(ballast)
    said = refusal(lambda: State.open(folder / "data" / "new.db"))
    assert "No space left" in said or "the disk is full" in said, said
    said = refusal(lambda: _commit_once(old, 2, 2000))
    assert "full" in said, said
    ballast.unlink()
    for file, memory in ((old, remembered(1)), (folder / "data" / "new.db", Memory())):
        with closing(State.open(file)) as state:
            assert state.load("home") == memory
            state.commit([poll("home", 2)])
            assert state.load("home") == remembered(2)


def disk_full_while_made(folder: Path) -> None:
    """In a file system of 2 MB, with less room than an empty state takes."""
    file, ballast = folder / "bandwidth.db", folder / "ballast"
    _fill(ballast, leave=24 * 1024)
    said = refusal(lambda: State.open(file))
    assert "the disk is full" in said, said
    ballast.unlink()
    _commit_once(file, 1, 3)
    with closing(State.open(file)) as state:
        assert state.load("home") == remembered(1)


def file_too_large(folder: Path) -> None:
    """A limit on the size of files stops the log."""
    file = folder / "bandwidth.db"
    with closing(State.open(file)) as state:
        state.commit([poll("home", 1)])
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
        said = refusal(lambda: state.commit([poll("home", 2, clients=5000)]))
        assert "limit on file sizes" in said, said
        assert state.load("home") == remembered(1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        state.commit([poll("home", 3, clients=5000)])
        assert state.load("home") == remembered(3, clients=5000)


def no_permission(folder: Path) -> None:
    """As a user who is not root, in a folder of their own."""
    State.open(folder / "warm" / "bandwidth.db").close()  # all that is imported, while it may be read
    home = folder / "home"
    home.mkdir()
    _drop_root(home)
    file = home / "bandwidth.db"
    _commit_once(file, 1, 3)
    before = file.read_bytes()
    for locked, mode in ((file, 0o400), (file, 0o000), (home / "bandwidth.db.lock", 0o400), (home, 0o500), (home, 0)):
        was = locked.stat().st_mode
        locked.chmod(mode)
        said = refusal(lambda: State.open(file))
        assert f"state file {file}" in said, said
        assert "the user that runs the exporter" in said, said
        locked.chmod(was)
        assert file.read_bytes() == before
        with closing(State.open(file)) as state:
            assert state.load("home") == remembered(1)
    home.chmod(0o500)
    said = refusal(lambda: State.open(home / "sub" / "bandwidth.db"))
    assert f"cannot make its folder {home / 'sub'}" in said, said
    assert "Permission denied" in said, said


def hold(folder: Path) -> None:
    """Keep the state open until the standard input ends."""
    with closing(State.open(folder / "bandwidth.db")) as state:
        state.commit([poll("home", 1)])
        print("open", flush=True)
        sys.stdin.read()


def write_elsewhere(folder: Path) -> None:
    """Keep others from writing to the file, as a forgotten sqlite3 shell does, until the standard input ends."""
    with closing(sqlite3.connect(folder / "bandwidth.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        print("writing", flush=True)
        sys.stdin.read()


def commit_on(folder: Path) -> None:
    """Commit for ever, and say the number of each poll once it is durable."""
    with closing(State.open(folder / "bandwidth.db")) as state:
        number = state.load("home").source.number
        while True:
            number += 1
            state.commit([poll("home", number, clients=200)])
            print(number, flush=True)


def upgrade(folder: Path) -> None:
    """Open what is there, with whatever migrations are installed."""
    State.open(folder / "bandwidth.db").close()


def damage(folder: Path) -> None:
    """Overwrite all pages but the first, behind the back of the process that has the file open."""
    file = folder / "bandwidth.db"
    with closing(sqlite3.connect(file)) as connection:
        # A commit of another process makes the first one drop the pages it has in memory.
        connection.execute("PRAGMA user_version = 1")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (folder / "good").write_bytes(file.read_bytes())
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        with file.open("r+b") as raw:
            raw.seek(size)
            raw.write(b"\xa5" * (file.stat().st_size - size))


def mend(folder: Path) -> None:
    """Take `damage` back."""
    with (folder / "bandwidth.db").open("r+b") as raw:
        raw.write((folder / "good").read_bytes())


def _commit_once(file: Path, number: int, clients: int) -> None:
    with closing(State.open(file)) as state:
        state.commit([poll("home", number, clients)])


def _fill(ballast: Path, leave: int = 0) -> None:
    with ballast.open("wb", buffering=0) as file:
        with pytest.raises(OSError, match="No space left"):
            _write_on(file)
        file.truncate(file.tell() - leave)


def _write_on(file: FileIO) -> None:
    while True:
        file.write(b"\0" * 4096)


def _drop_root(home: Path) -> None:
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
