"""Connections to PostgreSQL: in words, with time limits, and without a password in anything that is said."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg2
import psycopg2.extensions

from exporter.config.errors import one_line
from exporter.store import history
from exporter.store.postgres.target import Target

REACH: Final = 10
"""Seconds within which a server has to answer at the start."""

STATEMENT: Final = 60
"""Seconds that a statement may take, and LOCK those that it may wait for somebody else's."""
LOCK: Final = 10

SILENCE: Final = STATEMENT + 30
"""Seconds without a word from the server after which we hang up: it hangs, or the network between does."""

_GRANT: Final = "let its owner run: bandwidth-exporter migrate --url postgresql://OWNER@HOST/DATABASE --grant {user}"

# By SQLSTATE, or by its class.
_ADVICE: Final = {
    "28P01": "check `password` under `archive`",
    "28": "check user and password under `archive`, and the server's pg_hba.conf",
    "3D000": "make the database, or check its name in `archive.url`: docs/archive.md",
    "42501": _GRANT,
    "42P01": _GRANT,
    "53100": "make room on the server's disk",
    "53": "give the server more room or connections",
    "25006": "the server only lets read: write the address of the primary into `archive.url`",
    "57P": "it is starting or ending; it is tried again",
    "57014": "the server is busy; it is tried again",
    "55P03": "somebody holds a lock on its tables: a migration, a dump or a forgotten psql",
}
_UNREACHABLE: Final = "check host and port in `archive.url`, that the server runs and listens there, and its firewall"


class ArchiveError(Exception):
    """The archive could not be used. The message says what happened, where, and what to do; never a password."""


def parameters_of(target: Target) -> dict[str, str]:
    """What libpq is told. Raises ArchiveError."""
    try:
        parsed: dict[str, str] = psycopg2.extensions.parse_dsn(target.url)
    except psycopg2.Error:
        # Its words may quote the password.
        raise ArchiveError(
            f"{target.place}: the address cannot be read. Write it as postgresql://user@host/database, with special"
            " characters escaped: % as %25"
        ) from None
    return parsed | ({"password": target.password} if target.password else {})


def connect(target: Target, *, limits: bool = True) -> Any:
    """A connection of psycopg2. limits: whether statements may only take so long. Raises ArchiveError."""
    parameters = parameters_of(target)
    defaults = {
        "connect_timeout": str(REACH),
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "30000",
        "application_name": "bandwidth-exporter",
    }
    if limits:
        psycopg2.extensions.set_wait_callback(_wait)
    with explained(target, "cannot connect"):
        connection = psycopg2.connect(**(defaults | parameters))
    try:
        with explained(target, "cannot begin"), connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("SET TIME ZONE 'UTC'; SET client_encoding = 'UTF8'; SET synchronous_commit = on")
            if limits:
                cursor.execute(
                    "SET statement_timeout = %s; SET lock_timeout = %s; SET idle_in_transaction_session_timeout = %s",
                    (STATEMENT * 1000, LOCK * 1000, STATEMENT * 1000),
                )
            connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection


def _wait(connection: Any) -> None:
    """Wait for the server as psycopg2 would, but not for ever."""
    deadline = time.monotonic() + (SILENCE if connection.status != psycopg2.extensions.STATUS_SETUP else REACH)
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        poller = select.poll()
        poller.register(
            connection.fileno(), select.POLLIN if state == psycopg2.extensions.POLL_READ else select.POLLOUT
        )
        left = deadline - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            raise psycopg2.OperationalError("the server does not answer")


@contextmanager
def transaction(connection: Any) -> Iterator[Any]:
    """A cursor; all or nothing of what it does."""
    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise


@contextmanager
def explained(target: Target, doing: str) -> Iterator[None]:
    """Turn what psycopg2 raises while `doing` something into an ArchiveError."""
    try:
        yield
    except psycopg2.Error as error:
        raise ArchiveError(f"{target.place}: {doing}: {words(error, target)}") from None
    except UnicodeError:
        raise ArchiveError(
            f"{target.place}: {doing}: its answer is no valid text; check the server's encoding"
        ) from None


def words(error: psycopg2.Error, target: Target) -> str:
    """What the server said and what to do about it, in one line, without a password."""
    diagnosis = getattr(error, "diag", None)
    said = str(getattr(diagnosis, "message_primary", None) or error).strip() or "the connection broke"
    said = one_line(said.splitlines()[0].strip().rstrip("."))[:300]
    parameters = parameters_of(target)
    for secret in {parameters.get("password"), parameters.get("sslpassword")} - {None, ""}:
        said = said.replace(str(secret), "<secret>")
    code = str(error.pgcode or "")
    advice = next((_ADVICE[key] for key in (code, code[:3], code[:2]) if key in _ADVICE), "")
    if not code:
        advice = _login_advice(said)
    return f"{said}. To mend it: {advice.format(user=parameters.get('user', 'ROLE'))}" if advice else said


def _login_advice(said: str) -> str:
    """What a refusal at the start means: libpq hands on its words, and no code."""
    for part, code in (
        ("password", "28P01"),
        ("authentication", "28"),
        ("pg_hba.conf", "28"),
        ("role ", "28"),
        ("database ", "3D000"),
        ("too many", "53"),
        ("starting up", "57P"),
        ("shutting down", "57P"),
    ):
        if part in said:
            return _ADVICE[code]
    if "SSL" in said or "certificate" in said:
        return "check `sslmode` and `sslrootcert` in `archive.url`, and the server's certificate"
    return _UNREACHABLE


def revision_trouble(cursor: Any, target: Target) -> str:
    """What is wrong with the schema that the database has, or ""."""
    known = history.revisions(history.migrations())
    found = revision(cursor)
    if found is None:
        return f"{target.place}: it has no tables of the exporter yet; {_GRANT.format(user=_user(target))}"
    if found not in known:
        return (
            f"{target.place}: it was migrated by a newer version of the exporter (schema {found}, this version knows"
            f" them up to {known[-1]}); run that version or a newer one"
        )
    if found != known[-1]:
        return (
            f"{target.place}: its tables are those of an older version (schema {found} instead of {known[-1]});"
            f" {_GRANT.format(user=_user(target))}"
        )
    return ""


def revision(cursor: Any) -> str | None:
    """The schema's revision; None where there is none."""
    cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
    if not cursor.fetchone()[0]:
        return None
    cursor.execute("SELECT version_num FROM alembic_version")
    row = cursor.fetchone()
    return None if row is None else str(row[0])


def _user(target: Target) -> str:
    return parameters_of(target).get("user", "ROLE")
