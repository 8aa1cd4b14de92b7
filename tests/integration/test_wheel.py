"""The wheel, as somebody gets it who never sees this repository."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

import exporter

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT, cwd=folder)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder of programs of an environment with nothing but the wheel and what it needs."""
    folder = wheel.parent / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=wheel.parent)
    target = ("--python", folder / "bin/python", "--constraint", ROOT / "requirements.lock")
    run(sys.executable, "-m", "uv", "pip", "install", "--quiet", *target, wheel, cwd=wheel.parent)
    return folder / "bin"


def test_holds_the_package_and_the_migrations_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    written = {path.relative_to(ROOT).as_posix() for part in ("exporter", "migrations") for path in files(ROOT / part)}
    assert held >= {name.replace("migrations/", "exporter/migrations/", 1) for name in written}
    assert {name.split("/")[0] for name in held} == {"exporter"}
    assert not [name for name in held if "__pycache__" in name]


def test_the_command_runs_without_the_repository(installed: Path, tmp_path: Path) -> None:
    words = f"bandwidth-exporter {exporter.__version__}\n"
    assert run(installed / "bandwidth-exporter", "--version", cwd=tmp_path) == words
    assert run(installed / "python", "-m", "exporter", "--version", cwd=tmp_path) == words


def test_the_state_is_made_by_the_migrations_inside(installed: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    words = f"from pathlib import Path; from exporter.store import State; State.open(Path({str(state)!r})).close()"
    run(installed / "python", "-c", words, cwd=tmp_path)
    with closing(sqlite3.connect(state)) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
