"""`migrate` and `prune`: what the owner of the archive in PostgreSQL does to it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exporter.configured import target_of
from exporter.store.postgres.target import Target
from exporter.store.upkeep import Retention

if TYPE_CHECKING:
    from exporter.config import Config


class NoArchiveError(Exception):
    """Neither the configuration nor the command names a database, or it may not be named so; the message says more."""


def target_in(config: Config) -> Target:
    """The database of the configuration. Raises NoArchiveError."""
    target = target_of(config)
    if target is None:
        raise NoArchiveError(
            "There is no archive.url in the configuration: history is in the state file, which `run` upgrades and"
            " prunes by itself."
        )
    return target


def target_at(url: str) -> Target:
    """The database of `--url`. Raises NoArchiveError."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise NoArchiveError("--url: write postgresql://owner@host/database")
    if ":" in parts.netloc.rpartition("@")[0] or "password" in parts.query.lower():
        raise NoArchiveError(
            "--url: everybody on this machine can read a password there. Leave it out, and put it into the environment"
            " variable PGPASSWORD or into ~/.pgpass."
        )
    return Target(url)


def migrate(target: Target, role: str) -> str:
    """Make or upgrade the tables, and let a role feed them unless it is "". Raises ArchiveError and StateError."""
    from exporter.store.postgres import migrate as work

    done = [work.migrate(target)]
    if role:
        done.append(work.grant(target, role))
    return "\n".join(done)


def prune(config: Config, target: Target) -> str:
    """Remove what is too old. Raises ArchiveError."""
    from exporter.store.postgres.prune import prune as work

    kept = config.archive.retention
    removed: Counter[str] = Counter()
    for table, rows in work(target, Retention(kept.five_minutes, kept.hourly, kept.daily), time.time()):
        removed[table] += rows
    gone = ", ".join(f"{rows} rows of {table}" for table, rows in removed.items() if rows)
    return f"{target.place}: " + (f"removed {gone}" if gone else "nothing is older than archive.retention says")
