"""Quotas that are changed while the exporter runs: they hold at once, and know what was before them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.demo.controller import DemoController
from tests.consoles import MAC, START, household
from tests.e2e.stack import eventually
from tests.integration.test_reload import Running, Site

PERIOD = 'bandwidth_period_download_bytes{scope="%s",source="home",site="default",subject="%s",period="%s"}'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with DemoController(household(), clock=lambda: START) as console:
        yield Site(tmp_path, console)


def counted(running: Running, total: int) -> bool:
    return running.total("home") == total


def test_a_quota_that_comes_knows_this_period(site: Site) -> None:
    people = f'timezone: Asia/Kolkata\nclients: {{"{MAC}": {{owner: flat 3}}}}'
    entry = site.entry("home", 0, "interval: 1s")
    site.write(entry, more=f"state: state.db\n{people}")
    with site.running() as running:
        eventually("home is polled", lambda: running.total("home") is not None, within=30)
        site.consoles[0].networks["default"].move(MAC, 5000, 70)
        eventually("bytes are counted", lambda: counted(running, 5000), within=30)
        assert running.value(PERIOD % ("client", MAC, "today")) is None
        assert running.value(PERIOD % ("owner", "flat 3", "month")) == 5000

        quotas = f"""
quotas:
  - {{name: phone, client: {MAC}, reset: daily, timezone: Europe/Berlin, limit: 10kB, thresholds: [50%]}}
  - {{name: flat, owner: flat 3, reset: 31, limit: 20kB, count: upload}}"""
        site.write(entry, more=f"state: state.db\n{people}{quotas}")
        assert running.exporter.reload() == ""
        assert running.value(PERIOD % ("client", MAC, "phone")) == 5000
        assert running.value(PERIOD % ("client", MAC, "today")) == 5000
        assert running.value('bandwidth_quota_used_ratio{quota="phone"}') == 0.507
        assert running.value('bandwidth_quota_used_ratio{quota="flat"}') == 70 / 20_000
        assert "phone" in running.exporter.status()

        site.write(entry, more=f"state: state.db\n{people}{quotas.replace('10kB', '1kB').replace('flat 3', 'nobody')}")
        assert "is the owner of no client" in running.exporter.reload()
        assert running.value('bandwidth_quota_limit_bytes{quota="phone"}') == 10_000

        site.write(entry, more=f"state: state.db\n{people.replace('Kolkata', 'Tokyo')}{quotas.replace('10kB', '1kB')}")
        assert running.exporter.reload() == ""
        assert running.value('bandwidth_quota_limit_bytes{quota="phone"}') == 1_000
        assert running.value('bandwidth_quota_used_ratio{quota="phone"}') == 5.07

        site.write(entry, more=f"state: state.db\n{people}")
        assert running.exporter.reload() == ""
        assert "bandwidth_quota" not in running.page()
        assert running.value(PERIOD % ("client", MAC, "today")) is None


def test_a_start_knows_what_was_before_it(site: Site) -> None:
    more = f"state: state.db\nquotas: [{{name: phone, client: {MAC}, limit: 10kB}}]"
    site.write(site.entry("home", 0, "interval: 1s"), more=more)
    with site.running() as running:
        eventually("home is polled", lambda: running.total("home") is not None, within=30)
        site.consoles[0].networks["default"].move(MAC, 5000, 0)
        eventually("bytes are counted", lambda: counted(running, 5000), within=30)
    with site.running() as running:
        assert running.value(PERIOD % ("client", MAC, "phone")) == 5000
        assert running.total("home") is None  # it was not polled yet
