"""The dashboard Quotas and billing: every statement of its row from PostgreSQL, on an archive that was fed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exporter.accounting.percentile import Bin, Silence, percentile
from exporter.model import SubjectKey
from grafana.files import FOLDER
from tests.archive.fed import NOON, Fed
from tests.archive.server import Database
from tests.grafana.queries import queries

LINE = SubjectKey("wan", "default", "wan1")
END = NOON + 3 * 3600


@pytest.fixture
def fed(tmp_path: Path, archive: Database) -> Iterator[Fed]:
    """Three hours of a line and a client: bursts, a silence of 50 minutes, and nothing for a while."""
    fed = Fed(tmp_path / "bandwidth.db", archive, clients=2)
    with closing(fed):
        fed.clients[0] = LINE
        for number in range(15):
            fed.poll(down=1_000_000 * (number % 7), after=240)
        fed.poll(down=90_000_000, after=3000, gap=True)
        for number in range(15):
            fed.poll(down=5_000_000 if number < 5 else 0, after=240)
        fed.drain()
        yield fed


def answers(archive: Database, source: str = ".+") -> dict[str, list[tuple[Any, ...]]]:
    """What each panel shows."""
    board = json.loads((FOLDER / "bandwidth-quotas.json").read_text(encoding="utf-8"))
    asked = queries(board, {"source": source}, span=3 * 3600, end=END)
    # As Grafana's role has it: compiling a view takes seconds, and running it milliseconds.
    return {query.panel: archive.query(f"SET jit = off; {query.text}") for query in asked if query.language == "sql"}


def test_every_statement_says_what_was_fed(fed: Fed, archive: Database) -> None:
    archive.query("INSERT INTO event SELECT 1, %s, id, 'down', 2 FROM subject WHERE kind = 'wan'", NOON + 3600)
    shown = answers(archive)
    total = fed.totals[LINE]
    ((_, month, *_, line, download, upload, both),) = shown["Lines by month"]
    assert (month, line, download, upload, both) == (
        "2026-06", "wan1", total.download, total.upload, total.download + total.upload,
    )  # fmt: skip
    assert sum(row[5] for row in shown["Lines by day"]) == total.download
    ((_, _, _, rank, client, *_, share),) = shown["Top clients of the month"]
    assert (rank, client, share) == (1, fed.clients[1].key, 1.0)
    assert shown["Owners and categories by month"] == []
    ((at, *what),) = shown["What happened"]
    assert at.timestamp() == NOON + 3600
    assert what == ["home", "default", "wan", "wan1", "down", 2]
    assert all(rows == [] for rows in answers(archive, "attic").values())


def test_the_percentile_is_that_of_the_report(fed: Fed, archive: Database) -> None:
    rows = fed.ours()
    (line,) = (row[0] for row in rows["subject"] if row[2] == "wan")
    bins = [Bin(row[0], row[3], row[4]) for row in rows["usage"] if row[1:3] == (line, "all")]
    silences = [Silence(row[0], row[1], row[4], row[5]) for row in rows["gap"] if row[2:4] == (line, "all")]
    assert len(bins) > 10
    assert len(silences) == 1
    last = max(row[0] for row in rows["usage"]) + 300
    expected = percentile(bins[0].start, last, bins, silences)

    ((exporter, source, site, key, count, download, upload),) = answers(archive)["Percentile for the bill"]
    assert (exporter, source, site, key) == (1, "home", "default", "wan1")
    assert count == expected.bins
    assert download == pytest.approx(expected.download.bits_per_second, rel=1e-6)
    assert upload == pytest.approx(expected.upload.bits_per_second, rel=1e-6)
    assert download > 0
