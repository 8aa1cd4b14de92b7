"""Every fault of the state file is real here: a full disk, a missing permission, damage, a second process, a kill."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from exporter.store import State, history
from tests.state_child import refusal, remembered
from tests.states import poll

ROOT = Path(__file__).parents[2]
NEWEST = history.revisions(history.migrations())[-1]


def _command(what: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "tests.state_child", what, str(folder)]


def _finish(command: list[str], root: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def _child(what: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(_command(what, folder), cwd=ROOT, text=True, stdin=pipe, stdout=pipe) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A state that remembers one poll, closed."""
    file = tmp_path / "bandwidth.db"
    with closing(State.open(file)) as state:
        state.commit([poll("home", 1, clients=300)])
    return file


@pytest.fixture
def installation() -> Iterator[Path]:
    """A copy of the program in a folder that every user may read, with a folder `data` for its state."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        for folder in ("exporter", "migrations", "tests"):
            shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
        (root / "data").mkdir()
        yield root


def _is_whole(file: Path) -> None:
    """What was committed before is all there, and the next commit works."""
    with closing(State.open(file)) as state:
        assert state.load("home") == remembered(1, clients=300)
        state.commit([poll("home", 2, clients=300)])
        assert state.load("home") == remembered(2, clients=300)


@pytest.mark.parametrize("what", ["disk_full_at_commit", "disk_full_at_open", "disk_full_while_made"])
def test_full_disk(what: str, tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"'
    # Root may mount in a namespace of its own even where users may not have one of theirs.
    namespace = "-m" if os.geteuid() == 0 else "-rm"
    _finish(["unshare", namespace, "sh", "-c", mount, str(tmp_path), *_command(what, tmp_path)])


def test_limit_on_file_sizes(tmp_path: Path) -> None:
    _finish(_command("file_too_large", tmp_path))


def test_missing_permissions(installation: Path) -> None:
    _finish(_command("no_permission", installation / "data"), installation)


def test_second_exporter(tmp_path: Path) -> None:
    file = tmp_path / "bandwidth.db"
    with _child("hold", tmp_path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        link = tmp_path / "link.db"
        link.symlink_to(file)
        for path in (file, link):
            said = refusal(partial(State.open, path))
            assert f"state file {file}: another exporter (process {holder.pid}) is using it" in said
            assert "Stop that one" in said
        holder.kill()
        holder.wait()
        with closing(State.open(file)) as state:
            assert state.load("home") == remembered(1)
            assert f"process {os.getpid()}" in refusal(lambda: State.open(file))
    State.open(file).close()


def test_another_program_keeps_it_locked(file: Path) -> None:
    with closing(State.open(file)) as state:
        with _child("write_elsewhere", file.parent) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "writing\n"
            assert "another program keeps it locked" in refusal(lambda: state.commit([poll("home", 2, clients=300)]))
            assert state.load("home") == remembered(1, clients=300)
        state.commit([poll("home", 3, clients=300)])
        assert state.load("home") == remembered(3, clients=300)


def test_kill_at_any_moment_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    durable = 0
    for round_ in range(5):
        with _child("commit_on", tmp_path) as child:
            assert child.stdout is not None
            for _ in range(3 * round_ + 1):
                durable = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            durable = max([durable, *(int(line) for line in child.stdout if line.endswith("\n"))])
        with closing(State.open(tmp_path / "bandwidth.db")) as state:
            number = state.load("home").source.number
            assert durable <= number <= durable + 1
            assert state.load("home") == remembered(number, clients=200)


@pytest.mark.parametrize(("garbage", "kept"), [(b"hi", 0), (b"no database\n" * 500, 0), (b"\xa5" * 100, 100)])
def test_garbage_instead_of_a_database(file: Path, garbage: bytes, kept: int) -> None:
    good = file.read_bytes()
    bad = garbage + (good[kept:] if kept else b"")
    file.write_bytes(bad)
    said = refusal(lambda: State.open(file))
    assert f"state file {file}: cannot open it: it is no SQLite database, or its head is damaged" in said
    assert file.read_bytes() == bad
    file.write_bytes(good)
    _is_whole(file)


@pytest.mark.parametrize("part", ["page", "end"])
def test_damage_that_only_a_check_finds(file: Path, part: str) -> None:
    good = file.read_bytes()
    middle = len(good) // 2 // 4096 * 4096
    file.write_bytes(good[:middle] + (b"\xa5" * 4096 + good[middle + 4096 :] if part == "page" else b""))
    bad = file.read_bytes()
    said = refusal(lambda: State.open(file))
    assert f"state file {file}: cannot open it: it is damaged" in said
    assert "backup" in said
    assert file.read_bytes() == bad
    file.write_bytes(good)
    _is_whole(file)


def test_damage_while_it_is_in_use(file: Path) -> None:
    with closing(State.open(file)) as state:
        _finish(_command("damage", file.parent))
        for act in (lambda: state.commit([poll("home", 2, clients=400)]), lambda: state.load("home")):
            said = refusal(act)
            assert f"state file {file}" in said
            assert "it is damaged" in said
        _finish(_command("mend", file.parent))
        assert state.load("home") == remembered(1, clients=300)
        state.commit([poll("home", 3, clients=300)])
        assert state.load("home") == remembered(3, clients=300)
    with closing(State.open(file)) as state:
        assert state.load("home") == remembered(3, clients=300)


def test_newer_file(installation: Path) -> None:
    """The newer version is this one with one migration more. Its upgrade leaves a copy, which is the way back."""
    file = installation / "data" / "bandwidth.db"
    with closing(State.open(file)) as state:
        state.commit([poll("home", 1, clients=300)])
    (installation / "migrations/versions/9999_later.py").write_text(
        f'from alembic import op\nrevision, down_revision = "9999", "{NEWEST}"\n'
        'def upgrade() -> None:\n    op.execute("ALTER TABLE source ADD COLUMN later TEXT")\n'
    )
    _finish(_command("upgrade", file.parent), installation)
    copy = file.with_name(f"bandwidth.db.bak-{NEWEST}")
    assert copy.stat().st_mode & 0o777 == 0o600
    newer = file.read_bytes()
    said = refusal(lambda: State.open(file))
    assert f"state file {file}: it was written by a newer version of the exporter (schema 9999" in said
    assert f"put back the copy {copy}" in said
    assert file.read_bytes() == newer
    copy.replace(file)
    _is_whole(file)


def test_migrations_inside_the_package(installation: Path) -> None:
    """As a wheel has them."""
    (installation / "migrations").rename(installation / "exporter" / "migrations")
    _finish(_command("upgrade", installation / "data"), installation)
    with closing(State.open(installation / "data" / "bandwidth.db")) as state:
        state.commit([poll("home", 1)])


def test_failed_upgrade_changes_nothing(installation: Path) -> None:
    file = installation / "data" / "bandwidth.db"
    with closing(State.open(file)) as state:
        state.commit([poll("home", 1, clients=300)])
    (installation / "migrations/versions/9999_later.py").write_text(
        f'from alembic import op\nrevision, down_revision = "9999", "{NEWEST}"\n'
        'def upgrade() -> None:\n    op.execute("DROP TABLE counter")\n    op.execute("no SQL")\n'
    )
    done = subprocess.run(
        _command("upgrade", file.parent), cwd=installation, capture_output=True, text=True, check=False
    )
    assert f"StateError: state file {file}: cannot open it" in done.stderr
    _is_whole(file)


@pytest.mark.parametrize(
    "tables", [["photo (id INTEGER)"], ["alembic_version (version_num TEXT)", "photo (id INTEGER)"]]
)
def test_database_of_another_program(tmp_path: Path, tables: list[str]) -> None:
    file = tmp_path / "photos.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table}")
    before = file.read_bytes()
    said = refusal(lambda: State.open(file))
    assert f"state file {file}: it is a database of another program" in said
    assert file.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"photos.db", "photos.db.lock"}


def test_path_is_a_folder(tmp_path: Path) -> None:
    assert f"state file {tmp_path}: it is a folder" in refusal(lambda: State.open(tmp_path))


def test_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refusal(lambda: State.open(tmp_path / "file" / "bandwidth.db"))
    assert f"cannot make its folder {tmp_path / 'file'}" in said


def test_deleted_or_replaced_while_in_use(file: Path) -> None:
    with closing(State.open(file)) as state:
        aside = file.rename(file.with_name("aside.db"))
        assert "it was moved or deleted while in use" in refusal(lambda: state.commit([poll("home", 2)]))
        file.write_bytes(b"")
        assert "another file was put in its place" in refusal(lambda: state.commit([poll("home", 2)]))
        aside.replace(file)
        state.commit([poll("home", 3, clients=300)])
    with closing(State.open(file)) as state:
        assert state.load("home") == remembered(3, clients=300)
