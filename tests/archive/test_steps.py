"""How much a commit does besides its poll is bounded, whatever waits."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from exporter.store import Retention, upkeep
from tests.archive.house import MACS, House, house

SIZES = "SELECT (SELECT count(*) FROM usage), (SELECT count(*) FROM hourly)"


def _sizes(it: House) -> tuple[int, int]:
    with closing(sqlite3.connect(it.path)) as file:
        five_minutes, hours = file.execute(SIZES).fetchone()
        return five_minutes, hours


@pytest.mark.parametrize(("after", "both"), [(30.0, False), (upkeep.SELDOM, True)])
def test_a_commit_makes_hours_or_removes_rows(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: float, both: bool
) -> None:
    begin = datetime(2026, 5, 31, 3, tzinfo=UTC).timestamp()
    with house(tmp_path, ready, begin, "Europe/Berlin", Retention.forever()) as it:
        for step in range(24):
            for mac in MACS:
                it.move("attic", mac, 1_000 + step, step)
            it.poll("attic", after=900.0)
        it.settle()
        for mac in MACS:
            it.move("attic", mac, 7, 7)
        it.poll("attic")
        monkeypatch.setattr(upkeep, "SUBJECTS", 1)
        monkeypatch.setattr(upkeep, "PRUNED", 2)
        it.retention = Retention(five_minutes=3600.0)
        it.state.keep(it.zone, it.retention)
        it.time.pass_(4_000.0)
        steps = [_sizes(it)]
        for _ in range(120):
            it.poll("attic", after=after)
            steps.append(_sizes(it))
        pairs = [(before[0] - now[0], now[1] - before[1]) for before, now in pairwise(steps)]
        assert max(removed for removed, _ in pairs) <= 2
        assert sum(removed for removed, _ in pairs) > 100
        assert sum(made for _, made in pairs) > 3
        assert any(removed and made for removed, made in pairs) == both
