"""Which database, and how it goes with it: what others know of the archive in PostgreSQL, without psycopg2."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from exporter.config.errors import one_line


class Target(Struct, frozen=True):
    """A database. url: as the user wrote it, maybe with a password in it. password: one beside it, or ""."""

    url: str
    password: str = ""

    def __repr__(self) -> str:
        return f"Target({self.place})"

    @property
    def place(self) -> str:
        """Where it is, for people."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2] or "the local socket"
        return one_line(f"PostgreSQL {host}{parts.path}")


class Condition(Struct, frozen=True):
    """How the feeding goes. up: whether the last try worked. pending: rows to send. failures: tries that did not work,
    since the start. behind: Unix seconds when nothing was left to send for the last time, None where nothing is now.
    """

    up: bool = False
    pending: int = 0
    failures: int = 0
    behind: float | None = None

    def lag(self, now: float) -> float:
        """Seconds by which the database is behind the state."""
        return 0.0 if self.behind is None else max(0.0, now - self.behind)
