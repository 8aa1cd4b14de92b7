"""The history of the schema: where its migrations are, and how the state file is brought to the newest."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.store.errors import StateError

if TYPE_CHECKING:
    from sqlalchemy import Connection

# "BWEX" in the file's header says that it is ours: other programs use Alembic, and revisions named 0001, too.
APPLICATION_ID = 0x42574558


def migrations() -> Path:
    """The folder of the migrations: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise StateError(
        f"the migrations are neither in {package} nor beside it: the installation is damaged. Install it again."
    )


def revisions(folder: Path) -> list[str]:
    """All revisions, oldest first. The history is one line, and every file is named `<revision>_<what>.py`.

    Alembic would say the same, but loading it takes longer than opening a file that needs no upgrade.
    """
    return sorted(file.name.split("_")[0] for file in (folder / "versions").glob("[0-9]*_*.py"))


def migrate(connection: Connection, folder: Path) -> None:
    """Bring a database of either kind to the newest revision, inside the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def upgrade(connect: Callable[[], sqlite3.Connection], folder: Path) -> None:
    """Bring the database to the newest revision in one transaction. Raises sqlite3.Error, with nothing changed."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    # Python's sqlite3 begins no transaction before DDL, so each is begun by hand.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            migrate(connection, folder)
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise error.orig from error
        raise
