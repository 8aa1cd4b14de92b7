"""From a byte to a person: a controller, the exporter, Prometheus and Alertmanager, each a program of its own, with the
shipped rules, routes and inhibitions, and a webhook at the end. Only addresses and durations are shorter.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.demo.controller import DemoController
from exporter.demo.network import Bytes, Network
from tests.e2e.asked import boards
from tests.e2e.shipped import (
    DURATIONS,
    PROMETHEUS,
    Alertmanager,
    ShippedPrometheus,
    Webhook,
    differences,
    quick,
    webhook,
)
from tests.e2e.stack import Exporter, eventually, free_port
from tests.grafana.queries import queries

LOUD, QUIET = "02:00:00:00:01:01", "02:00:00:00:01:02"
NAME = '"} 1\nup 0 <script>{{ .Foo }}'
SPEED = 400_000_000
"""Bytes a second: a rate over five minutes sees a second of it as a three hundredth part."""

LOW, HIGH = "1Mbit/s", "90Gbit/s"
CONFIG = """
web: {{listen: "127.0.0.1:{port}"}}
state: state.db
timezone: UTC
alerts: {{client_download: {threshold}}}
sources:
  - name: home
    kind: unifi
    url: {controller.url}
    username: {controller.username}
    password: "{controller.password}"
    ca_file: {controller.ca_file}
    collect: [clients]
    interval: 4s
"""


class Flow:
    """What moves: nothing, or much toward one client."""

    on = False

    def __call__(self, network: Network, seconds: float) -> None:
        network.move(QUIET, 100, 100)
        if self.on:
            network.move(LOUD, int(SPEED * seconds), 1000)


@dataclass
class Stack:
    """All that runs in the test."""

    flow: Flow
    controller: DemoController
    exporter: Exporter
    prometheus: ShippedPrometheus
    alertmanager: Alertmanager
    webhook: Webhook
    config: Path

    def set_threshold(self, threshold: str) -> None:
        """As a user does: write it down, and have it read."""
        old = yaml.safe_load(self.config.read_text())["alerts"]["client_download"]
        self.config.write_text(self.config.read_text().replace(old, threshold))
        process = self.exporter._process
        assert process is not None
        process.send_signal(signal.SIGHUP)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    flow = Flow()
    network = Network(start=time.time(), traffic=flow, step=0.5)
    network.add_client(LOUD, NAME, raw=Bytes(10**9, 10**8), age=86_400, wired=True, mbps=10_000)
    network.add_client(QUIET, "Quiet", raw=Bytes(10**9, 10**8), age=86_400)
    with ExitStack() as running:
        told = running.enter_context(webhook())
        controller = running.enter_context(DemoController(network))
        port = free_port()
        config = CONFIG.format(port=port, threshold=LOW, controller=controller)
        exporter = Exporter(tmp_path / "exporter", config, port)
        alertmanager = Alertmanager(tmp_path / "alertmanager", told.address)
        prometheus = ShippedPrometheus(tmp_path / "prometheus", f"127.0.0.1:{port}", alertmanager.address)
        for program in (exporter, alertmanager, prometheus):
            running.callback(program.end)
            program.start()
        eventually("the clients are scraped", lambda: len(prometheus.query("bandwidth_client_info")) == 2, within=60)
        yield Stack(flow, controller, exporter, prometheus, alertmanager, told, tmp_path / "exporter" / "config.yaml")


def test_a_person_is_told(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    told = stack.webhook
    stack.flow.on = True
    begun = time.monotonic()
    eventually("the alert reaches the webhook", lambda: told.alerts("ClientRateHigh", "firing"), within=15)
    took = time.monotonic() - begun
    [alert] = told.alerts("ClientRateHigh", "firing")
    assert alert["labels"]["name"] == NAME
    assert {name: alert["labels"][name] for name in ("source", "client", "severity")} == {
        "source": "home",
        "client": LOUD,
        "severity": "warning",
    }
    assert NAME in alert["annotations"]["description"]
    assert f"var-client={LOUD.replace(':', '%3A')}" in alert["annotations"]["dashboard_url"]
    assert alert["annotations"]["runbook_url"].endswith("/ClientRateHigh.md")
    with capsys.disabled():
        print(f"\nfrom the first byte to the webhook: {took:.1f} s: {alert['annotations']['description']}")

    # The dashboard says so as well, in the one panel that the demo of tests/e2e/test_dashboards.py has nothing for.
    [query] = [each for board in boards() for each in queries(board.document) if each.panel == "Alerts"]
    shown = stack.prometheus.query(query.text)
    assert any({"ClientRateHigh", NAME} <= set(each["metric"].values()) for each in shown)

    # What a user does about it: the threshold was too low.
    stack.set_threshold(HIGH)
    eventually("it is resolved", lambda: told.alerts("ClientRateHigh", "resolved"), within=60)
    since = len(told.told)
    stack.set_threshold(LOW)
    eventually("it is told again", lambda: told.alerts("ClientRateHigh", "firing", since), within=60)

    stack.controller.down = True
    eventually("the source is told of", lambda: told.alerts("SourceDown", "firing"), within=60)
    eventually("it mutes its client", lambda: muted(stack), within=60)
    stack.controller.down = False
    eventually("the source is back", lambda: told.alerts("SourceDown", "resolved"), within=60)

    assert {
        alert["labels"]["client"] for each in told.told for alert in each["alerts"] if "client" in alert["labels"]
    } == {LOUD}
    assert [rule["name"] for rule in stack.prometheus.rules() if rule["health"] != "ok"] == []


def muted(stack: Stack) -> bool:
    """Whether Alertmanager knows of the client's alert, and that the source's is why nobody is told."""
    reasons = {alert["fingerprint"] for alert in stack.alertmanager.alerts("SourceDown")}
    states: list[dict[str, Any]] = [alert["status"] for alert in stack.alertmanager.alerts("ClientRateHigh")]
    return any(state["state"] == "suppressed" and set(state["inhibitedBy"]) & reasons for state in states)


def test_only_addresses_and_durations_differ(tmp_path: Path) -> None:
    shipped = (PROMETHEUS / "rules" / "alerts.yml").read_text()
    quicker = quick(PROMETHEUS / "rules" / "alerts.yml", {})
    every = list(differences(yaml.safe_load(shipped), yaml.safe_load(quicker)))
    assert {key for key, _, _ in every} <= set(DURATIONS)
    assert len(every) > 20
    changed = tmp_path / "alerts.yml"
    changed.write_text("groups: [{name: a, rules: [{alert: A, expr: b, annotations: {summary: 'for: 5m'}}]}]")
    with pytest.raises(AssertionError, match="summary"):
        quick(changed, {})
