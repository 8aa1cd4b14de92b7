"""The shipped Alertmanager configuration: what amtool says of it, its routes, and what mutes what in a real one."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e.shipped import alertmanager as program_and_home
from tests.e2e.stack import Process, eventually, fetch, free_port

SHIPPED: Final = Path(__file__).parents[2] / "prometheus"
CONFIG: Final = SHIPPED / "alertmanager.yml"
EXAMPLE: Final = SHIPPED / "alertmanager.example.yml"
HOME: Final = {"job": "bandwidth", "instance": "a:10477", "source": "home"}
ATTIC: Final = HOME | {"source": "attic"}
SECOND: Final = HOME | {"instance": "b:10477"}
PROCESS: Final = {"job": "bandwidth", "instance": "a:10477"}


def amtool(*arguments: str | Path) -> None:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [CONFIG, EXAMPLE], ids=lambda path: path.stem)
def test_amtool_takes_it(path: Path) -> None:
    amtool("check-config", path)


@pytest.mark.parametrize("path", [CONFIG, EXAMPLE], ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("severity", "receiver"),
    [("critical", "critical"), ("warning", "warning"), ("info", "info"), ("page", "warning")],
)
def test_a_severity_has_its_receiver(path: Path, severity: str, receiver: str) -> None:
    labels = ["alertname=SourceDown", "job=bandwidth", "source=home", f"severity={severity}"]
    amtool("config", "routes", "test", f"--config.file={path}", f"--verify.receivers={receiver}", *labels)


def test_as_shipped_it_tells_nobody_and_the_example_differs_in_addresses_and_nights_alone() -> None:
    shipped, example = (yaml.safe_load(path.read_text()) for path in (CONFIG, EXAMPLE))
    assert all(receiver.keys() == {"name"} for receiver in shipped["receivers"])
    for route in example["route"]["routes"]:
        route.pop("mute_time_intervals", None)
    assert example["route"] == shipped["route"]
    assert example["inhibit_rules"] == shipped["inhibit_rules"]
    assert [each["name"] for each in example["receivers"]] == [each["name"] for each in shipped["receivers"]]


class Alertmanager(Process):
    """A real one, with the shipped configuration."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        program, home = program_and_home(folder)
        command = [program, f"--config.file={CONFIG}", f"--storage.path={folder / 'data'}"]
        command += [f"--web.listen-address={self.url.removeprefix('http://')}", "--cluster.listen-address="]
        super().__init__(command, folder / "log", f"{self.url}/-/ready", cwd=home)

    def tell(self, *alerts: dict[str, str], over: bool = False) -> None:
        """Alerts by their labels, as Prometheus sends them; over: they have ended."""
        ends = {"endsAt": "2001-01-01T00:00:00Z", "startsAt": "2000-01-01T00:00:00Z"} if over else {}
        body = json.dumps([{"labels": labels} | ends for labels in alerts]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def states(self) -> dict[str, str]:
        """Every alert's state, `active` or `suppressed`, by what the test calls it."""
        body = fetch(f"{self.url}/api/v2/alerts")
        assert body is not None
        listed: list[dict[str, Any]] = json.loads(body)
        return {each["labels"]["case"]: each["status"]["state"] for each in listed}


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    server = Alertmanager(tmp_path_factory.mktemp("alertmanager"))
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.mark.parametrize(
    ("cause", "muted", "told"),
    [
        pytest.param(
            {"alertname": "ExporterDown", **PROCESS},
            [
                {"alertname": "SourceDown", **HOME},
                {"alertname": "ClientRateHigh", **ATTIC},
                {"alertname": "QuotaProjected", **PROCESS},
            ],
            [
                {"alertname": "SourceDown", **SECOND},
                {"alertname": "ExporterDown", "job": "bandwidth", "instance": "c:10477"},
                {"alertname": "Other", "job": "bandwidth"},
            ],
            id="exporter",
        ),
        pytest.param(
            {"alertname": "SourceDown", **HOME},
            [
                {"alertname": "ClientRateHigh", "client": "02:aa:00:00:00:01", **HOME},
                {"alertname": "WanDown", "wan": "wan1", **HOME},
                {"alertname": "DeviceGone", "device": "02:dd:00:00:00:01", **HOME},
                {"alertname": "SourceStale", **HOME},
            ],
            [
                {"alertname": "ClientRateHigh", "client": "02:aa:00:00:00:01", **ATTIC},
                {"alertname": "ClientRateHigh", "client": "02:aa:00:00:00:01", **SECOND},
                {"alertname": "QuotaProjected", **PROCESS},
                {"alertname": "ArchiveDown", **PROCESS},
            ],
            id="source",
        ),
        pytest.param(
            {"alertname": "CommitFailing", **PROCESS},
            [{"alertname": "SourceStale", **HOME}],
            [{"alertname": "SourceDown", **HOME}, {"alertname": "SourceStale", **SECOND}],
            id="commit",
        ),
        pytest.param(
            {"alertname": "ArchiveDown", **PROCESS},
            [{"alertname": "ArchiveBehind", **PROCESS}],
            [{"alertname": "ArchiveBehind", "job": "bandwidth", "instance": "b:10477"}],
            id="archive",
        ),
    ],
)
def test_a_cause_mutes_what_comes_of_it_and_nothing_else(
    alertmanager: Alertmanager, cause: dict[str, str], muted: list[dict[str, str]], told: list[dict[str, str]]
) -> None:
    effects = {f"muted {at}": labels for at, labels in enumerate(muted)}
    others = {f"told {at}": labels for at, labels in enumerate(told)}
    alerts = [labels | {"case": case} for case, labels in ({"cause": cause} | effects | others).items()]
    expected = dict.fromkeys(["cause", *others], "active") | dict.fromkeys(effects, "suppressed")
    alertmanager.tell(*alerts)
    try:
        eventually("the cause mutes its effects", lambda: alertmanager.states() == expected, within=30)
    finally:
        alertmanager.tell(*alerts, over=True)
    eventually("all is over", lambda: alertmanager.states() == {}, within=30)
