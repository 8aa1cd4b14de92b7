"""`migrate`: the tables of the archive, made or brought to the newest schema by their owner."""

from __future__ import annotations

from typing import Any, Final

import psycopg2
from psycopg2 import sql
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from exporter.store import history
from exporter.store.postgres.connection import ArchiveError, connect, explained, revision, transaction
from exporter.store.postgres.target import Target

KEY: Final = 0x42574558
"""Of the advisory lock under which a database is migrated."""

PATIENCE: Final = 60
"""Seconds to wait for another migration, or for an exporter in the middle of a batch."""

TABLES: Final = ("exporter", "subject", "calendar", "usage", "hourly", "daily", "gap", "event")
"""What an exporter writes to."""

READ: Final = (
    "alembic_version",
    "v_silence",
    "v_open_bucket",
    "v_open_day",
    "v_open_part",
    "v_usage_daily",
    "v_usage_month",
    "v_top_clients",
    "v_bandwidth_summary",
)
"""What it may read besides."""

_FEEDERS: Final = """
    SELECT DISTINCT grantee FROM information_schema.role_table_grants
    WHERE table_schema = current_schema() AND table_name = 'usage' AND privilege_type = 'INSERT'
        AND grantee NOT IN (current_user, 'PUBLIC')
"""


def migrate(target: Target) -> str:
    """What was done, in words. Who could feed the archive still can then. Raises ArchiveError, with nothing changed."""
    folder = history.migrations()
    known = history.revisions(folder)
    engine = create_engine("postgresql+psycopg2://", creator=lambda: connect(target, limits=False), poolclass=NullPool)
    try:
        with explained(target, "cannot migrate"), engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({KEY})")
            cursor: Any = connection.connection.cursor()
            before = revision(cursor)
            if before is not None and before not in known:
                raise ArchiveError(
                    f"{target.place}: it was migrated by a newer version of the exporter (schema {before}, this version"
                    f" knows them up to {known[-1]}). Run that version or a newer one; nothing was changed"
                )
            cursor.execute(_FEEDERS)
            feeders = [role for (role,) in cursor.fetchall()]
            history.migrate(connection, folder)
            for role in feeders:  # there may be tables and views that it has no rights to yet
                _grant(cursor, role)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg2.Error):
            with explained(target, "cannot migrate"):
                raise error.orig from None
        raise
    if before == known[-1]:
        return f"{target.place} has the newest schema already ({before})"
    came = f"from {before} to" if before is not None else "to"
    return f"{target.place} was brought {came} schema {known[-1]}"


def grant(target: Target, role: str) -> str:
    """Let a role feed the archive: what was done, in words. Raises ArchiveError."""
    connection: Any = connect(target)
    try:
        with explained(target, f"cannot grant rights to {role}"), transaction(connection) as cursor:
            _grant(cursor, role)
    finally:
        connection.close()
    return f"{role} may feed the archive: SELECT, INSERT and UPDATE on its tables"


def _grant(cursor: Any, role: str) -> None:
    for rights, names in (("SELECT, INSERT, UPDATE", TABLES), ("SELECT", READ)):
        cursor.execute(
            sql.SQL("GRANT {} ON {} TO {}").format(
                sql.SQL(rights), sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(role)
            )
        )
