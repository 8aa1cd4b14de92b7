from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.store import State
from exporter.store.postgres.migrate import grant, migrate
from exporter.store.postgres.target import Target
from tests.archive.server import FEEDER, OWNER, PASSWORDS, Database, Server


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty state file: making one takes longer than a history."""
    path = tmp_path_factory.mktemp("ready") / "bandwidth.db"
    State.open(path).close()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL that runs as long as the tests. Not in pytest's folder, which only its owner may enter."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
def empty(postgres: Server) -> Iterator[Database]:
    """A database without tables."""
    database = postgres.make()
    try:
        yield database
    finally:
        database.drop()


@pytest.fixture(scope="session")
def migrated(postgres: Server) -> Database:
    """A database with the tables, and a role that may feed them. To be copied."""
    database = postgres.make()
    owner = Target(database.url(OWNER), PASSWORDS[OWNER])
    migrate(owner)
    grant(owner, FEEDER)
    return database


@pytest.fixture
def archive(postgres: Server, migrated: Database) -> Iterator[Database]:
    """A database with the tables and nothing in them."""
    database = postgres.make(template=migrated.name)
    try:
        yield database
    finally:
        database.drop()
