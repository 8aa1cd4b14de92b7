"""The wheel, as somebody gets it who never sees this repository."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


def collect(package: Distribution, extras: set[str], found: dict[str, Distribution]) -> None:
    """Add to `found` what a package says it needs, what that needs in turn, and so on."""
    for text in package.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras})
        if wanted and requirement.name not in found:
            found[requirement.name] = distribution(requirement.name)
            collect(found[requirement.name], requirement.extras, found)


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder of programs of an environment with nothing but the wheel and what it says it needs.

    The packages are copied from the environment of the tests: the locked ones, without asking an index again.
    """
    folder = wheel.parent / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=wheel.parent)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin/python")
    run(*pip, "install", "--quiet", "--no-deps", wheel, cwd=wheel.parent)
    (target,) = folder.glob("lib/python*/site-packages")
    (ours,) = distributions(path=[str(target)])
    packages: dict[str, Distribution] = {}
    collect(ours, set(), packages)
    for package in packages.values():
        for file in package.files or ():
            if ".." not in file.parts:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(package.locate_file(file)), target / file)
    run(*pip, "check", cwd=wheel.parent)
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
