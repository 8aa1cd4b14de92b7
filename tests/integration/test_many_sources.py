"""Thirty controllers, a third of them sick: the others are polled on their grid, whatever the sick ones do."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from benchmarks.sources import HEALTHY, SICK, controllers, crowd, running
from tests.e2e.stack import eventually

POLLS = 8


def test_healthy_sources_are_polled_on_their_grid_while_others_hang(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter")
    before = set(threading.enumerate())
    with controllers() as reach:
        sources = crowd(reach, 30, timeout=300.0)
        healthy = [source for source in sources if source.group == HEALTHY]
        sick = [source for source in sources if source.group not in (HEALTHY, "refused")]
        assert {source.group for source in sources} == {HEALTHY, *SICK}
        with running(tmp_path, sources, 1.0) as exporter:
            eventually("one was polled", lambda: any(source.succeeded >= POLLS for source in healthy), within=60)
            counts = [source.succeeded for source in healthy]
            assert min(counts) >= POLLS - 2, counts
            assert [len(source.began) for source in sick] == [1] * len(sick)
            page = exporter.page(None)
            assert page is not None
            up = page.text().decode().count("bandwidth_source_up{")
            assert up == 30
            assert exporter.ready().startswith("waiting for the first poll of: source-")
    assert sum("the polls under way are given up" in record.getMessage() for record in caplog.records) == 1
    # What a source hangs on ends with the controllers.
    eventually("no thread is left", lambda: not set(threading.enumerate()) - before, within=90)
