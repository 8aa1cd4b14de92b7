"""docs/install.md: what it says to copy, mount, set and read is there under that name."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from exporter.config import LISTEN_VARIABLE, STATE_VARIABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/install.md").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
UNIT = (ROOT / "systemd/bandwidth-exporter.service").read_text()


def test_the_examples_are_yaml_with_the_names_that_are_shipped() -> None:
    archive, prometheus, grafana = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    shipped = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())
    assert archive["archive"]["password_file"] == "/run/secrets/archive"
    assert [job["job_name"] for job in prometheus["scrape_configs"]] == [
        job["job_name"] for job in shipped["scrape_configs"]
    ]
    (provider,) = grafana["providers"]
    (own,) = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/bandwidth.yml").read_text())["providers"]
    assert {key: own[key] for key in provider} == provider


def test_ports_and_variables_are_those_of_the_compose_file() -> None:
    rows = re.findall(r"<http://localhost:(\d+)> \| `(\w+)` \|", PAGE)
    assert len(rows) == 4
    for port, variable in rows:
        assert f"127.0.0.1:${{{variable}:-{port}}}:{port}" in COMPOSE
    assert "PROMETHEUS_RETENTION:-100d" in COMPOSE
    assert "`PROMETHEUS_RETENTION` (100d)" in PAGE
    assert LISTEN_VARIABLE in PAGE
    assert STATE_VARIABLE in PAGE


def test_services_that_are_named_exist() -> None:
    named = re.findall(r"docker compose (?:--profile postgres )?(?:exec|restart|run --rm|kill -s HUP) ([a-z]+)", PAGE)
    assert {"grafana", "exporter", "owner", "prometheus"} <= set(named)
    assert set(named) <= set(SERVICES)


def test_the_unit_is_put_where_it_looks() -> None:
    for path in ("/opt/bandwidth-exporter/.venv", "/opt/bandwidth-exporter/README.md"):
        assert path in UNIT
    assert "sudo python3 -m venv /opt/bandwidth-exporter/.venv" in PAGE
    assert "/etc/bandwidth-exporter/config.yaml" in UNIT
    assert "/etc/bandwidth-exporter/config.yaml" in PAGE
    for source in re.findall(r"sudo cp (\S+) ", PAGE):
        assert (ROOT / source).exists(), source
