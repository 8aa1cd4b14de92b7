"""docker-compose.yml: every service is careful, nothing listens to the world, and what it names is there.

What an engine makes of it is in test_engine.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from exporter.cli import app

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"passwords", "owner"}
"""Services that do one thing and end."""

KEYS = {
    "build", "cap_add", "cap_drop", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image",
    "logging", "network_mode", "ports", "profiles", "read_only", "restart", "security_opt", "shm_size",
    "stop_grace_period", "tmpfs", "user", "volumes",
}  # fmt: skip
"""Keys of the compose specification that this file uses: a misspelt one is none of them."""

every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_a_service_has_known_keys_only(name: str) -> None:
    assert set(SERVICES[name]) <= KEYS


@every_service
def test_a_service_can_do_as_little_as_possible(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert service["logging"]["options"]["max-size"]
    assert not {"privileged", "devices", "pid", "ipc"} & set(service)


def test_only_who_makes_the_passwords_is_root_and_it_talks_to_nobody() -> None:
    rooted = {name for name, service in SERVICES.items() if str(service.get("user", "")).startswith("0")}
    assert rooted == {"passwords"} == {name for name, service in SERVICES.items() if "cap_add" in service}
    assert SERVICES["passwords"]["network_mode"] == "none"
    assert SERVICES["passwords"]["cap_add"] == ["CHOWN"]


@every_service
def test_an_image_is_built_here_or_pinned_to_a_version(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert service["image"] == "bandwidth-exporter:local"
    else:
        assert re.fullmatch(r"[a-z]+(/[a-z]+)?:v?\d+\.\d+(\.\d+)?(-[a-z]+)?", service["image"])


@every_service
def test_a_port_is_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-(\d+)\}:\1", port), port


@every_service
def test_what_is_mounted_from_this_folder_is_there_and_cannot_be_written(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = volume.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"], volume
        else:
            assert source in COMPOSE["volumes"]


def test_every_volume_has_a_user() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert set(COMPOSE["volumes"]) <= used


@every_service
def test_a_service_waits_for_what_is_well_or_done(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert set(SERVICES[other].get("profiles", [])) <= set(SERVICES[name].get("profiles", [])), other
        assert how == {"condition": "service_completed_successfully" if other in ONCE else "service_healthy"}


@every_service
def test_what_goes_on_is_looked_after(name: str) -> None:
    check = SERVICES[name].get("healthcheck", {})
    if name in ONCE:
        assert check == {"disable": True}
    elif name != "exporter":  # its own is in its image
        assert check["test"][0] == "CMD"
        assert {"interval", "timeout", "retries", "start_period"} <= set(check)


def test_no_password_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert "PASSWORD" not in key or (key.endswith("_FILE") and value.startswith("/run/secrets/")), key


def test_who_reads_a_password_has_its_volume() -> None:
    made = (ROOT / "containers/passwords.sh").read_text()
    for name, service in SERVICES.items():
        script = (ROOT / "containers/postgres-roles.sh").read_text() if name == "postgres" else ""
        for place, secret in re.findall(r"(/run/(?:secrets|owner))/(\w+)", f"{service} {script}"):
            (volume,) = [each for each in service["volumes"] if each.endswith(f":{place}:ro")]
            assert re.search(rf"\b{volume.split('-')[0]}/{secret} ", made), (name, secret)


def test_the_archive_is_made_by_a_command_there_is() -> None:
    *_, script, _ = SERVICES["owner"]["entrypoint"]
    for command in (SERVICES["owner"]["command"], ["prune"]):
        told = CliRunner().invoke(app, [command[0], "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
        assert all(option in told for option in re.findall(r"--[a-z]+", f"{script} {command}"))


def test_prometheus_and_grafana_find_what_is_mounted() -> None:
    prometheus = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())
    targets = [
        target for job in prometheus["scrape_configs"] for group in job["static_configs"] for target in group["targets"]
    ]
    assert "exporter:10477" in targets
    (managers,) = prometheus["alerting"]["alertmanagers"]
    assert managers["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    mounted = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    for file in (ROOT / "grafana/provisioning/dashboards").glob("*.yml"):
        for provider in yaml.safe_load(file.read_text())["providers"]:
            assert provider["options"]["path"] in mounted


def test_alertmanager_remembers_for_longer_than_it_keeps_silent() -> None:
    told = yaml.safe_load((ROOT / "prometheus/alertmanager.yml").read_text())["route"]
    hours = {"h": 1, "d": 24}
    silent = [route["repeat_interval"] for route in (told, *told["routes"]) if "repeat_interval" in route]
    (kept,) = [each for each in SERVICES["alertmanager"]["command"] if each.startswith("--data.retention=")]
    assert int(kept.removeprefix("--data.retention=")[:-1]) > max(int(each[:-1]) * hours[each[-1]] for each in silent)


def test_grafana_leaves_its_data_sources_alone() -> None:
    """They are plugins beside it since version 13: its installer unloads one that it then cannot replace."""
    grafana = SERVICES["grafana"]
    assert grafana["read_only"] is True
    assert grafana["environment"]["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
