"""What somebody wants to be told of: gauges that hold at once where the configuration changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import metrics
from exporter.demo.controller import DemoController
from tests.consoles import START, household
from tests.integration.test_reload import Running, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with DemoController(household(), clock=lambda: START) as console:
        yield Site(tmp_path, console)


def thresholds(running: Running) -> dict[str, float]:
    lines = (line.split() for line in running.page().splitlines() if line.startswith("bandwidth_threshold_"))
    return {name.removeprefix("bandwidth_threshold_"): float(value) for name, value in lines}


DEFAULTS = {
    "wan_utilisation_ratio": 0.9,
    "poll_duration_ratio": 0.8,
    "source_stale_intervals": 5,
    "client_unusual_ratio": 4,
    "client_unusual_bytes": 1e9,
    "client_resets_per_hour": 3,
    "nlbwmon_rows_ratio": 0.9,
    "archive_lag_seconds": 3600,
}


def test_thresholds_are_those_of_the_file(site: Site) -> None:
    entry = site.entry("home", 0, "interval: 1s")
    site.write(entry, more="state: state.db")
    with site.running() as running:
        assert thresholds(running) == DEFAULTS

        alerts = """
alerts:
  client_download: 100Mbit/s
  client_upload: 20kB/s
  client_day: 50GiB
  wan_utilisation: 85.5%
  poll_duration: 50%
  stale_after: 10
  unusual: 1000%
  unusual_from: 2GB
  resets: 7
  nlbwmon_rows: 80%
  archive_lag: 6h"""
        site.write(entry, more=f"state: state.db{alerts}")
        assert running.exporter.reload() == ""
        assert thresholds(running) == {
            "client_download_bytes_per_second": 12.5e6,
            "client_upload_bytes_per_second": 20e3,
            "client_day_bytes": 50 * 2**30,
            "wan_utilisation_ratio": 0.855,
            "poll_duration_ratio": 0.5,
            "source_stale_intervals": 10,
            "client_unusual_ratio": 10,
            "client_unusual_bytes": 2e9,
            "client_resets_per_hour": 7,
            "nlbwmon_rows_ratio": 0.8,
            "archive_lag_seconds": 21_600,
        }
        assert len(thresholds(running)) == sum("_threshold_" in family.name for family in metrics.OWN_FAMILIES)

        site.write(entry, more="state: state.db\nalerts: {client_day: lots}")
        assert "no size" in running.exporter.reload()
        assert thresholds(running)["client_day_bytes"] == 50 * 2**30
