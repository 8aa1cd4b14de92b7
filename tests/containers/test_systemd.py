"""The systemd unit: systemd's own check of it, how far it is locked in, and that what it runs exists.

systemd-analyze reads the file without a running systemd.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from pathlib import Path

from typer.testing import CliRunner

from exporter.cli import app
from exporter.config import STATE_VARIABLE

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd/bandwidth-exporter.service"
LIBRARIES = ("libsystemd-shared", "libip4tc", "libkmod", "libseccomp")


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    # Unpacked and not installed, it finds neither its libraries nor the units that ours refers to by itself.
    unpacked = ROOT / ".venv/debian"
    libraries = {str(found.parent) for found in unpacked.glob("**/lib*.so*") if found.name.startswith(LIBRARIES)}
    units = [str(found) for found in unpacked.glob("**/lib/systemd/system")]
    env = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries), "SYSTEMD_UNIT_PATH": ":".join([*units, ""])}
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, env=env, check=False)


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What is said, but for the links among systemd's own units, which it finds odd where they are unpacked."""
    return [line for line in done.stderr.splitlines() if not line.startswith("Suspicious symlink")]


def unit() -> dict[str, list[str]]:
    """The values of each key."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in UNIT.read_text().splitlines():
        if match := re.fullmatch(r"([A-Za-z]+)=(.*)", line):
            found[match[1]].append(match[2])
    return found


def test_systemd_takes_it(tmp_path: Path) -> None:
    """Not its program, which stands where docs/install.md puts it."""
    installed = tmp_path / UNIT.name
    installed.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    done = analyze("verify", "--man=no", installed)
    assert (done.returncode, complaints(done)) == (0, [])


def test_a_misspelt_key_would_be_found(tmp_path: Path) -> None:
    broken = tmp_path / UNIT.name
    broken.write_text(UNIT.read_text().replace("ProtectSystem=", "ProtectSytsem="))
    assert "ProtectSytsem" in analyze("verify", "--man=no", broken).stderr


def test_it_is_locked_in() -> None:
    """systemd's measure goes from 0 to 10; a unit without any of this has 9.6. What is left is the network."""
    done = analyze("security", "--offline=true", "--no-pager", "--threshold=15", UNIT)
    assert done.returncode == 0, done.stdout


def test_what_it_runs_exists() -> None:
    (start,) = unit()["ExecStart"]
    assert (
        start == "/opt/bandwidth-exporter/.venv/bin/bandwidth-exporter run --config /etc/bandwidth-exporter/config.yaml"
    )
    told = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert told.exit_code == 0
    assert "--config" in told.output
    assert unit()["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_the_state_is_in_the_folder_that_it_may_write() -> None:
    (folder,) = unit()["StateDirectory"]
    assert unit()["Environment"] == [f"{STATE_VARIABLE}=%S/{folder}/bandwidth.db"]


def test_it_promises_nothing_that_the_exporter_does_not_do() -> None:
    """It does not speak sd_notify: no readiness and no watchdog."""
    assert unit()["Type"] == ["exec"]
    assert not {"WatchdogSec", "NotifyAccess"} & set(unit())
