"""A configuration that is read again while controllers are polled over HTTPS: what changed changes, the rest stays."""

from __future__ import annotations

import http.client
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from html import unescape
from pathlib import Path

import pytest

from exporter.config import Config, load
from exporter.demo.controller import DemoController
from exporter.reload import Configuration, planned_of
from exporter.service import Exporter, configured
from exporter.store import Retention
from tests.consoles import MAC, START, household
from tests.e2e.stack import eventually, fetch, free_port

SUCCESSFUL = "bandwidth_exporter_config_last_reload_successful"
SUCCEEDED_AT = "bandwidth_exporter_config_last_reload_success_timestamp_seconds"


class Site:
    """A configuration file in a folder, controllers that it may name, and an exporter that runs on it."""

    def __init__(self, folder: Path, *consoles: DemoController) -> None:
        self.folder, self.consoles = folder, consoles
        self.path = folder / "config.yaml"
        self.port = free_port()

    def entry(self, name: str, console: int = 0, *more: str) -> str:
        controller = self.consoles[console]
        (self.folder / f"{console}.password").write_text(controller.password)
        lines = [
            f"name: {name}",
            "kind: unifi",
            f"url: {controller.url}",
            f"username: {controller.username}",
            f"password_file: {console}.password",
            f"fingerprint: {controller.fingerprint}",
            "collect: [clients]",
            "sites: [default]",
            *more,
        ]
        if not any(line.startswith("interval") for line in more):
            lines.append("interval: 5s")
        return "  - " + "\n    ".join(lines)

    def write(self, *entries: str, more: str = "") -> None:
        head = f"web: {{listen: 127.0.0.1:{self.port}}}\nstate: state.db\n" if "state:" not in more else ""
        self.path.write_text(f"{head}{more}\nsources:\n" + "\n".join(entries) + "\n")

    def read(self) -> Config:
        return load(self.path, {})

    @contextmanager
    def running(self) -> Iterator[Running]:
        config = self.read()
        made = Exporter(configured(config), planned_of(config), configuration=Configuration(config, self.read))
        made.start()
        try:
            yield Running(made)
        finally:
            made.stop()


class Running:
    """An exporter, and a look at its page."""

    def __init__(self, exporter: Exporter) -> None:
        self.exporter = exporter

    def page(self) -> str:
        page = self.exporter.page(None)
        assert page is not None
        return page.text().decode()

    def value(self, start: str) -> float | None:
        values = [line.rpartition(" ")[2] for line in self.page().splitlines() if line.startswith(start)]
        assert len(values) < 2
        return float(values[0]) if values else None

    def polls(self, source: str) -> float:
        return self.value(f'bandwidth_source_polls_total{{source="{source}"}}') or 0.0

    def total(self, source: str) -> float | None:
        return self.value(f'bandwidth_client_download_bytes_total{{source="{source}",site="default",client="{MAC}"}}')


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Two controllers with a phone each."""
    with ExitStack() as stack:
        consoles = [stack.enter_context(DemoController(household(), clock=lambda: START)) for _ in range(2)]
        for number, console in enumerate(consoles):
            console.identity = f"controller-{number}"
        yield Site(tmp_path, *consoles)


def post_allowed(running: Running) -> bool:
    return running.exporter.lifecycle


def said(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records)


def test_what_changed_changes_and_the_rest_is_not_touched(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter")
    site.write(site.entry("home", 0, "interval: 1h"))
    with site.running() as running:
        eventually("home is polled", lambda: running.polls("home"), within=30)
        [home] = running.exporter.pollers
        connections = site.consoles[0].connections

        site.write(site.entry("home", 0, "interval: 1h"), site.entry("attic", 1))
        assert running.exporter.reload() == ""
        eventually("attic is polled", lambda: running.polls("attic"), within=30)
        _, attic = running.exporter.pollers

        site.consoles[1].networks["default"].move(MAC, 5000, 0)
        site.write(site.entry("attic", 1, "interval: 7s"), site.entry("home", 0, "interval: 1h"))
        assert running.exporter.reload() == ""
        eventually("attic goes on", lambda: running.total("attic") == 5000, within=30)
        assert running.value('bandwidth_source_interval_seconds{source="attic"}') == 7
        assert attic.join(10)
        assert list(running.exporter.committer.runtimes) == ["attic", "home"]

        site.write(site.entry("home", 0, "interval: 1h"))
        assert running.exporter.reload() == ""
        assert 'source="attic"' not in running.page()
        assert running.exporter.page("attic") is None

        site.consoles[1].networks["default"].move(MAC, 300, 0)
        site.write(site.entry("home", 0, "interval: 1h"), site.entry("attic", 1))
        assert running.exporter.reload() == ""
        eventually("attic is back, with what moved meanwhile", lambda: running.total("attic") == 5300, within=30)

        assert running.exporter.pollers[0] is home
        assert (running.polls("home"), site.consoles[0].connections) == (1, connections)
    assert [said(caplog, f"attic: {words}") for words in ("added", "changed", "removed")] == [2, 1, 1]
    assert said(caplog, "the configuration was read again, and is in use") == 4
    assert said(caplog, "home: ") == 1


def test_what_holds_for_all_sources_holds_from_the_next_poll_on(site: Site) -> None:
    site.write(site.entry("home", 0, "interval: 1s"))
    with site.running() as running:
        eventually("home is polled", lambda: running.total("home") is not None, within=30)
        assert 'name="phone"' in running.page()
        connections = site.consoles[0].connections
        more = f"""
clients: {{"{MAC}": {{name: Ada's phone, owner: Ada}}}}
wans: {{home/default/wan1: {{download: 250Mbit/s}}}}
new_series_hold: 7s
client_ttl: 2h
web: {{listen: 127.0.0.1:{site.port}, enable_lifecycle: true}}
state: state.db
"""
        assert post_allowed(running) is False
        site.write(site.entry("home", 0, "interval: 1s"), more=more)
        assert running.exporter.reload() == ""
        eventually("the name is there", lambda: 'name="Ada\'s phone",owner="Ada"' in running.page(), within=30)
        assert running.value("bandwidth_wan_contract_download_bytes_per_second") == 31_250_000
        assert running.exporter.scrapes.hold == 7
        assert running.exporter.committer.runtimes["home"].stage.client_ttl == 7200
        assert post_allowed(running) is True
        assert site.consoles[0].connections == connections

        site.write(site.entry("home", 0, "interval: 1s"), more=more + "privacy: {names: false}")
        assert running.exporter.reload() == ""
        eventually("the name is hidden", lambda: "Ada's phone" not in running.page(), within=30)
        assert MAC not in running.page()
        assert "Ada's phone" not in unescape(running.exporter.status())


def test_a_fault_of_ours_keeps_what_was(site: Site) -> None:
    site.write(site.entry("home", 0, "interval: 1h"))
    config = site.read()
    faults: list[Exception] = [ZeroDivisionError("secret"), MemoryError()]

    def read() -> Config:
        if faults:
            raise faults.pop()
        return config

    exporter = Exporter(configured(config), planned_of(config), configuration=Configuration(config, read))
    exporter.start()
    try:
        for name in ("MemoryError", "ZeroDivisionError"):
            assert f"please report it ({name} at" in exporter.reload()
            assert Running(exporter).value(SUCCESSFUL) == 0
            assert "secret" not in exporter.config_trouble
        assert exporter.reload() == exporter.config_trouble == ""
    finally:
        exporter.stop()


def test_the_first_scrape_is_said_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter")
    site.write(site.entry("home", 0, "interval: 1h"))
    with site.running() as running:
        for _ in range(3):
            running.exporter.scraped(1, None)
    assert said(caplog, "Prometheus scrapes") == 1


def test_secrets_that_change_in_their_files(site: Site) -> None:
    site.write(site.entry("home", 0, "interval: 1h"))
    (site.folder / "0.password").write_text("wrong")
    with site.running() as running:
        refused = 'bandwidth_source_poll_failures_total{source="home",reason="login"}'
        eventually("home refuses", lambda: running.value(refused), within=30)
        assert running.exporter.reload() == ""
        assert running.polls("home") == 1
        (site.folder / "0.password").write_text(site.consoles[0].password + "\n")
        assert running.exporter.reload() == ""
        eventually("home is up", lambda: running.value('bandwidth_source_up{source="home"}'), within=30)
        assert site.consoles[0].password not in running.exporter.config()


def test_a_certificate_that_changes_in_its_file(site: Site) -> None:
    entry = site.entry("home", 0, "interval: 1h").replace(
        f"fingerprint: {site.consoles[0].fingerprint}", "ca_file: ca.pem"
    )
    authority = site.folder / "ca.pem"
    authority.write_bytes(Path(site.consoles[1].ca_file).read_bytes())
    site.write(entry)
    with site.running() as running:
        failed = 'bandwidth_source_poll_failures_total{source="home",reason="tls"}'
        eventually("home is not trusted", lambda: running.value(failed), within=30)
        authority.write_bytes(Path(site.consoles[0].ca_file).read_bytes())
        assert running.exporter.reload() == ""
        eventually("home is up", lambda: running.value('bandwidth_source_up{source="home"}'), within=30)


def test_a_bad_file_keeps_what_was_and_says_all_that_is_wrong(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.write(site.entry("home", 0, "interval: 1h"))
    with site.running() as running:
        eventually("home is polled", lambda: running.polls("home"), within=30)
        [home] = running.exporter.pollers
        at, config = running.value(SUCCEEDED_AT), running.exporter.config()
        assert running.value(SUCCESSFUL) == 1
        for bad in ("sources: [", site.path.read_text() + "interval: 3\nclient_ttl: soon\n", None):
            if bad is None:
                site.path.unlink()
            else:
                site.path.write_text(bad)
            caplog.clear()
            words = running.exporter.reload()
            assert str(site.path) in words
            assert running.exporter.config_trouble == words
            assert [said(caplog, line) for line in words.splitlines()] == [1] * len(words.splitlines())
            assert all("\n" not in record.getMessage() for record in caplog.records)
            assert (running.value(SUCCESSFUL), running.value(SUCCEEDED_AT)) == (0, at)
            assert "the one read before stays in use" in running.exporter.status()
            assert words.splitlines()[0].split(": ", 1)[1][:20].replace('"', "&quot;") in running.exporter.status()
        assert running.exporter.config() == config
        assert running.exporter.pollers == [home]
        site.write(site.entry("home", 0, "interval: 1h"))
        assert running.exporter.reload() == running.exporter.config_trouble == ""
        assert running.value(SUCCESSFUL) == 1
        assert "the one read before stays in use" not in running.exporter.status()
        assert (running.value(SUCCEEDED_AT) or 0.0) > (at or 0.0)


def test_what_waits_for_a_restart_is_said_for_as_long_as_it_waits(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.write(site.entry("home", 0, "interval: 1h"))
    with site.running() as running:
        config = running.exporter.config()
        keys = "web.listen and web.config_file and state"
        waiting = f"{keys} changed in the configuration file: restart to take that over"
        elsewhere = "web: {listen: 127.0.0.1:1, config_file: web.yml}\nstate: other.db\n"
        site.write(site.entry("home", 0, "interval: 1h"), more=elsewhere)
        for _ in range(2):
            assert running.exporter.reload() == ""
            words = (
                "web.listen and web.config_file and state changed in the configuration file: restart to take that over"
            )
            assert running.exporter.config_trouble == words
            assert running.exporter.config() == config
        assert said(caplog, waiting) == 2
        assert not (site.folder / "other.db").exists()
        site.write(site.entry("home", 0, "interval: 1h"))
        assert running.exporter.reload() == running.exporter.config_trouble == ""


KEPT = "SELECT count(*) FROM hourly WHERE bucket = ?1 UNION ALL SELECT count(*) FROM event WHERE bucket = ?1"


def test_history_is_kept_for_as_long_as_the_file_says_from_then_on(site: Site) -> None:
    ago = (int(time.time()) // 3600 * 3600 - 30 * 86_400,)
    site.write(site.entry("home", 0, "interval: 1s"))

    def kept() -> list[int]:
        with closing(sqlite3.connect(site.folder / "state.db")) as file:
            return [rows for (rows,) in file.execute(KEPT, ago)]

    with site.running() as running:
        eventually("home is polled", lambda: running.polls("home"), within=30)
        with closing(sqlite3.connect(site.folder / "state.db")) as file, file:
            file.execute("INSERT INTO hourly VALUES (?, 1, 'all', 5, 5, 0)", ago)
            file.execute("INSERT INTO event VALUES (?, 1, 'reset', 1)", ago)
        polls = running.polls("home")
        eventually("it is polled again", lambda: running.polls("home") > polls + 1, within=30)
        assert kept() == [1, 1]
        shorter = "archive: {retention: {five_minutes: 2d, hourly: 20d}}"
        site.write(site.entry("home", 0, "interval: 1s"), more=shorter)
        assert running.exporter.reload() == running.exporter.config_trouble == ""
        assert "hourly: 20d" in running.exporter.config()
        eventually("it is gone", lambda: kept() == [0, 0], within=30)
        there = "archive: {url: postgresql://user@127.0.0.1:1/bandwidth, password: p}"
        site.write(site.entry("home", 0, "interval: 1s"), more=there)
        assert running.exporter.reload() == ""
        assert running.exporter.config_trouble.startswith("archive.url and archive.password changed")
        assert "postgresql" not in running.exporter.config()
        assert running.exporter.settings.retention == Retention()


def test_a_state_that_cannot_be_read_changes_nothing(site: Site) -> None:
    site.write(site.entry("home", 0, "interval: 1h"))
    with site.running() as running:
        eventually("home is polled", lambda: running.polls("home"), within=30)
        [home] = running.exporter.pollers
        (site.folder / "state.db").rename(site.folder / "moved.db")
        site.write(site.entry("attic", 1))
        assert "moved or deleted" in running.exporter.reload()
        assert running.exporter.pollers == [home]
        (site.folder / "moved.db").rename(site.folder / "state.db")
        assert running.exporter.reload() == ""
        assert [poller.name for poller in running.exporter.pollers] == ["attic"]


def test_a_source_that_hangs_holds_up_neither_the_reload_of_others_nor_the_end(site: Site) -> None:
    site.write(site.entry("home", 0, "timeout: 1h"))
    site.consoles[0].fault, site.consoles[0].fault_path = "drip", "stat/sta"
    with site.running() as running:
        eventually("home hangs", lambda: any("stat/sta" in each.path for each in site.consoles[0].requests), within=30)
        site.write(site.entry("attic", 1))
        asked = threading.Thread(target=running.exporter.reload)
        asked.start()
        eventually("attic is polled", lambda: running.polls("attic"), within=10)
        assert running.polls("home") == 0
        assert "another reload" in running.exporter.reload()
        running.exporter.leave()
        asked.join(5)
        assert not asked.is_alive()
        assert running.exporter.reload() == "the exporter is ending"


def test_over_http_and_by_signal(site: Site) -> None:
    listen = f"web: {{listen: 127.0.0.1:{site.port}, enable_lifecycle: true}}\nstate: state.db\n"
    site.write(site.entry("home"), more=listen)
    url = f"http://127.0.0.1:{site.port}"
    command = [sys.executable, "-m", "exporter", "run", "--config", str(site.path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            eventually("it is ready", lambda: fetch(f"{url}/-/ready"), within=60)
            site.write(site.entry("home"), site.entry("attic", 1), more=listen)
            assert post(site.port) == (200, "reloaded\n")
            assert "name: attic" in (fetch(f"{url}/config") or "")
            site.write(site.entry("home"), site.entry("garage", 1), more=listen)
            for _ in range(3):
                process.send_signal(signal.SIGHUP)
            eventually("garage", lambda: 'source="garage"' in (fetch(f"{url}/metrics") or ""), within=30)
            eventually("no attic", lambda: 'source="attic"' not in (fetch(f"{url}/metrics") or ""), within=30)
            site.path.write_text("sources: 5")
            status, words = post(site.port)
            assert status == 500
            assert f"{site.path}:1: sources" in words
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGHUP)
            _, log = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, log
    assert "Traceback" not in log
    assert site.consoles[0].password not in log


def post(port: int) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/-/reload")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
