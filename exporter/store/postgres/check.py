"""Tries the archive out without changing it: reach, version, schema, rights, clock, and whether it takes part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from exporter.check import Finding, Level
from exporter.store.postgres.connection import ArchiveError, connect, explained, revision, revision_trouble, transaction
from exporter.store.postgres.migrate import TABLES
from exporter.store.postgres.target import Target

OLDEST: Final = 130_000
"""PostgreSQL 13, as its own `server_version_num`: the oldest that still had security fixes when this was written."""

SKEW: Final = 300.0
"""Seconds that the two clocks may differ without a word."""

_RIGHTS: Final = """
    SELECT name FROM unnest(%s) AS name
    WHERE NOT (has_table_privilege(name, 'SELECT') AND has_table_privilege(name, 'INSERT')
        AND has_table_privilege(name, 'UPDATE'))
"""
_ROLE: Final = """
    SELECT current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
        current_setting('default_transaction_read_only') = 'on' OR pg_is_in_recovery()
"""


def check(target: Target, wall: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Try the archive of a configuration."""
    try:
        connection = connect(target)
    except ArchiveError as error:
        yield _said("error", "reach", str(error))
        return
    try:
        with explained(target, "cannot look at it"), transaction(connection) as cursor:
            found = list(_look(cursor, target, wall))
    except ArchiveError as error:
        found = [_said("error", "look", str(error))]
    finally:
        connection.close()
    yield from found


def _look(cursor: Any, target: Target, wall: Callable[[], float]) -> Iterator[Finding]:
    cursor.execute("SELECT current_setting('server_version'), current_setting('server_version_num')::int")
    version, number = cursor.fetchone()
    yield _said("ok", "reach", f"{target.place} answers")
    if number < OLDEST:
        yield _said(
            "warning", "version", f"PostgreSQL {version} is older than what is tested", "upgrade to 13 or later"
        )
    else:
        yield _said("ok", "version", f"PostgreSQL {version}")
    trouble = revision_trouble(cursor, target)
    if trouble:
        yield _said("error", "schema", trouble)
        return
    yield _said("ok", "schema", f"revision {revision(cursor)}")
    yield from _rights(cursor)
    yield _clock(cursor, wall)


def _rights(cursor: Any) -> Iterator[Finding]:
    cursor.execute(_ROLE)
    role, superuser, read_only = cursor.fetchone()
    cursor.execute(_RIGHTS, (list(TABLES),))
    missing = [name for (name,) in cursor.fetchall()]
    if missing:
        yield _said(
            "error",
            "rights",
            f"{role} lacks SELECT, INSERT or UPDATE on {', '.join(missing)}",
            f"let the owner run: bandwidth-exporter migrate --url postgresql://OWNER@HOST/DATABASE --grant {role}",
        )
    elif read_only:
        yield _said("error", "rights", "the database only lets read", "write the address of the primary into the url")
    elif superuser:
        yield _said(
            "warning",
            "rights",
            f"{role} is a superuser, and the exporter needs SELECT, INSERT and UPDATE alone",
            "make a role for it: docs/archive.md",
        )
    else:
        yield _said("ok", "rights", f"{role} may select, insert and update")


def _clock(cursor: Any, wall: Callable[[], float]) -> Finding:
    cursor.execute("SELECT CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)")
    skew = cursor.fetchone()[0] - wall()
    if abs(skew) > SKEW:
        return _said(
            "warning",
            "clock",
            f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours; history is kept by ours",
            "set the clocks",
        )
    return _said("ok", "clock", "it agrees with ours")


def _said(level: Level, step: str, message: str, remedy: str = "") -> Finding:
    return Finding(level, f"archive {step}", message, remedy)
