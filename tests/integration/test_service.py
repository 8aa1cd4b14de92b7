"""The process: a signal at any moment ends it, and what was polled is committed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter.store import State
from tests.e2e.stack import eventually, free_port

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
from exporter.service import Settings, serve
from tests.scripted import facts, poll, reading

class Source:
    def poll(self):
        if {early}:
            os.kill(os.getpid(), signal.SIGTERM)
        Path(sys.argv[1]).touch()
        {polling}
        return poll([reading("02:00:00:00:00:01", 1000, 100)])

    def close(self):
        {closing}

settings = Settings("127.0.0.1", {port}, Path(sys.argv[2]), 3600.0, 120.0, {{}})
sys.exit(serve(settings, [(facts(), Source())]))
"""


def process(
    folder: Path, polling: str = "pass", closing: str = "pass", *, early: bool = False
) -> subprocess.Popen[str]:
    """An exporter with one source that polls and closes as told, and sends SIGTERM first where it is `early`."""
    program = PROGRAM.format(early=early, polling=polling, closing=closing, port=free_port())
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder / "polled"), str(folder / "state.db")],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def polls(folder: Path) -> int:
    """How many are in the state."""
    state = State.open(folder / "state.db")
    try:
        return state.load("home").source.number
    finally:
        state.close()


def test_a_signal_during_the_start_is_not_lost(tmp_path: Path) -> None:
    running = process(tmp_path, early=True)
    _, words = running.communicate(timeout=30)
    assert running.returncode == 0, words
    assert "Traceback" not in words
    assert polls(tmp_path) == 1


@pytest.mark.parametrize(
    ("polling", "closing", "committed"),
    [
        ("time.sleep(1.0)", "pass", 1),  # comes in while it is waited for
        ("time.sleep(60)", "pass", 0),  # is given up
        ("pass", "time.sleep(60)", 1),
        ("pass", "raise ValueError", 1),
    ],
    ids=["slow poll", "hanging poll", "hanging close", "faulty close"],
)
def test_within_five_seconds_whatever_the_source_does(
    polling: str, closing: str, committed: int, tmp_path: Path
) -> None:
    running = process(tmp_path, polling, closing)
    eventually("it polls", (tmp_path / "polled").exists, within=30)
    begun = time.monotonic()
    running.send_signal(signal.SIGTERM)
    running.send_signal(signal.SIGTERM)  # an impatient supervisor
    _, words = running.communicate(timeout=30)
    assert running.returncode == 0, words
    assert time.monotonic() - begun < 5
    assert polls(tmp_path) == committed
