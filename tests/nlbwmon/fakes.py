"""The programs of a router that a shell needs to run an exchange, as scripts that replay text."""

from __future__ import annotations

from pathlib import Path

SETTINGS = "database_directory={folder}/db\ndatabase_interval={interval}\nrefresh_interval=8s\n"


def programs(folder: Path, rows: bytes, *, status: int = 0, interval: str = "1") -> None:
    """Put `nlbw`, `uci` and `pidof` into a folder. `rows` is what nlbw writes, also of the one old period there is."""
    (folder / "db").mkdir(exist_ok=True)
    (folder / "db/20261101.db.gz").write_bytes(b"")
    (folder / "rows").write_bytes(rows)
    (folder / "settings").write_text(SETTINGS.format(folder=folder, interval=interval))
    no_such_period = (
        'case "$*" in *2026-10-01* | *2999-12-31*) echo "No data available" >&2; exit 195;;'
        ' "-c list") echo 2026-11-01; exit 0;; esac'
    )
    program(folder / "nlbw", f"{no_such_period}\ncat '{folder}/rows'\nexit {status}")
    program(folder / "pidof", "echo 1")
    program(folder / "uci", f"sed -n \"s/^${{3##*.}}=//p\" '{folder}/settings'")


def program(path: Path, script: str) -> None:
    """Write an executable script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
