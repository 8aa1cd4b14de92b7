"""Every row of the ledger's table is held by a test: breaking it makes one fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_every_mutant_is_noticed() -> None:
    command = [sys.executable, "-m", "tests.ledger.mutants"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0] for line in done.stdout.splitlines()}
    assert {*map(str, range(1, 11)), "absent", "late", "clock", "gaps"} <= rows
