"""The image and the compose file in a real engine, which takes minutes: in the soak, or by `make containers`.

Prometheus, Alertmanager and PostgreSQL are Debian's, Grafana a stand-in (standins/README.md).
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.containers.engine import RELEASE, Engine, NoEngineError, base, engine, stand_in, unpacked
from tests.e2e.stack import eventually, fetch, free_port

PROJECT = (
    ".dockerignore", "Dockerfile", "README.md", "config", "containers", "docker-compose.yml", "exporter", "grafana",
    "migrations", "prometheus", "pyproject.toml", "requirements.lock", "scripts",
)  # fmt: skip

ARCHIVED = """\
archive: {url: "postgresql://bandwidth@postgres/bandwidth", password_file: /run/secrets/archive}
sources:
  - {name: home, kind: unifi, url: "https://192.0.2.1", username: exporter, password_file: password.txt}
"""

CAREFUL = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of this repository that an image or a container sees, to be changed."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def test_the_whole_picture_in_a_real_engine(tmp_path: Path, project: Path) -> None:
    try:
        with engine() as made:
            the_image(made, project)
            the_compose_file(made, tmp_path, project)
    except NoEngineError as reason:
        pytest.skip(f"no engine can be started here: {reason}")


@contextmanager
def stage(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


def the_image(made: Engine, project: Path) -> None:
    (name, *_) = re.findall(r"^FROM (\S+)", (project / "Dockerfile").read_text(), re.MULTILINE)
    assert name.endswith(f"-{RELEASE}")
    with stage("a base of Debian"):
        archive = base(unpacked())
        made.docker("import", archive, name)
    with stage("the image, unmodified"):
        made.docker("build", "--tag=bandwidth-exporter:local", project)
    added = size(made, "bandwidth-exporter:local") - size(made, name)
    print(f"          {added / 1e6:.0f} MB above its base")
    assert added < 200e6

    port = free_port()
    with stage("healthy, as nobody in particular, with a root that is read-only"):
        how = ["--detach", "--name=alone", f"--publish=127.0.0.1:{port}:10477", *CAREFUL]
        made.docker("run", *how, "bandwidth-exporter:local")
        eventually("it is healthy", lambda: health(made, "alone") == "healthy", within=60)
        status = made.docker("exec", "alone", "cat", "/proc/1/status")
        assert re.search(r"^Uid:\s+10477\s+10477\s+10477\s+10477$", status, re.MULTILINE)
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    page = fetch(f"http://127.0.0.1:{port}/") or ""
    assert "This is a demo" in page
    before = total(port)
    with stage("restarted: totals go on"):
        eventually("something moves", lambda: total(port) > before, within=30)
        before = total(port)
        made.docker("restart", "--time=10", "alone")
        eventually("it is back", lambda: fetch(f"http://127.0.0.1:{port}/-/ready") is not None, within=60)
        assert total(port) >= before
        eventually("and moves on", lambda: total(port) > before, within=30)
    began = time.monotonic()
    made.docker("stop", "--time=10", "alone")
    print(f"          SIGTERM ended it in {time.monotonic() - began:.1f} s")
    assert made.docker("inspect", "--format={{.State.ExitCode}}", "alone") == "0"
    assert "what came in is in the state" in made.docker("logs", "alone")
    made.docker("rm", "--volumes", "alone")


def size(made: Engine, image: str) -> int:
    return int(made.docker("image", "inspect", "--format={{.Size}}", image))


def health(made: Engine, container: str) -> str:
    return made.docker("inspect", "--format={{.State.Health.Status}}", container)


def total(port: int) -> float:
    """Bytes of all clients."""
    page = fetch(f"http://127.0.0.1:{port}/metrics") or ""
    return sum(map(float, re.findall(r"^bandwidth_source_download_bytes_total\S* (\S+)$", page, re.MULTILINE)))


def the_compose_file(made: Engine, tmp_path: Path, project: Path) -> None:
    made.compose(project, "--profile", "postgres", "config", "--quiet")
    (project / "wrong.yml").write_text("services: {exporter: {imaje: x}}")
    with pytest.raises(AssertionError, match="imaje"):
        made.compose(project, "-f", "docker-compose.yml", "-f", "wrong.yml", "config", "--quiet")

    services = yaml.safe_load((project / "docker-compose.yml").read_text())["services"]
    images = {name: service["image"] for name, service in services.items() if "build" not in service}
    (name, *_) = re.findall(r"^FROM (\S+)", (project / "Dockerfile").read_text(), re.MULTILINE)
    with stage("stand-ins for the other images"):
        stand_in(made, tmp_path, images, name)
    ports = {name: str(free_port()) for name in ("BANDWIDTH", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")}
    variables = {f"{name}_PORT": port for name, port in ports.items()}

    def compose(*words: str) -> str:
        return made.compose(project, "--profile", "postgres", *words, **variables)

    try:
        with stage("up: everything healthy, in its order"):
            made.compose(project, "up", "--detach", **variables)
            order = ["passwords", "exporter", "prometheus", "grafana"]
            began = [started(made, service) for service in order]
            assert began == sorted(began)
            eventually("Grafana is healthy", lambda: health(made, "bandwidth-grafana-1") == "healthy", within=60)
        prometheus = f"http://127.0.0.1:{ports['PROMETHEUS']}"
        eventually("the exporter is scraped", lambda: targets(prometheus) == {"exporter:10477": "up"}, within=60)
        rules = json.loads(fetch(f"{prometheus}/api/v1/rules") or "")["data"]["groups"]
        assert all(rule["health"] != "err" for group in rules for rule in group["rules"])
        assert len(rules) > 2
        assert '"activeAlertmanagers":[{' in (fetch(f"{prometheus}/api/v1/alertmanagers") or "")
        mounted = made.docker("logs", "bandwidth-grafana-1")
        assert {path.name for path in (ROOT / "grafana/dashboards").glob("*.json")} <= set(mounted.split())
        first = password(compose)
        assert re.fullmatch(r"[\w-]{32}", first)

        (project / "config/config.yaml").write_text(ARCHIVED)
        (project / "config/password.txt").write_text("hello")
        for each in ("config.yaml", "password.txt"):
            (project / "config" / each).chmod(0o640)
            shutil.chown(project / "config" / each, group=10477)
        with stage("with a configuration, and PostgreSQL"):
            compose("up", "--detach")
            compose("restart", "exporter")
            where = f"http://127.0.0.1:{ports['BANDWIDTH']}/metrics"
            fed = "bandwidth_archive_up 1.0"
            eventually("the archive is fed", lambda: fed in (fetch(where) or ""), within=60)
            assert "nothing is older" in compose("run", "--rm", "owner", "prune")
            check = ["exec", "-T", "exporter", "sh", "-c", "bandwidth-exporter check; true"]
            assert "ok      archive rights: bandwidth may select, insert and update" in compose(*check)
        with stage("down and up again: the same passwords"):
            compose("down", "--timeout=10")
            compose("up", "--detach")
            assert password(compose) == first
            eventually("the archive is fed", lambda: fed in (fetch(where) or ""), within=60)
    finally:
        compose("down", "--volumes", "--timeout=5")


def started(made: Engine, service: str) -> str:
    return made.docker("inspect", "--format={{.State.StartedAt}}", f"bandwidth-{service}-1")


def targets(prometheus: str) -> dict[str, str]:
    found: list[dict[str, Any]] = json.loads(fetch(f"{prometheus}/api/v1/targets") or "{}")["data"]["activeTargets"]
    return {each["labels"]["instance"]: each["health"] for each in found}


def password(compose: Callable[..., str]) -> str:
    return compose("exec", "-T", "grafana", "cat", "/run/secrets/admin")
