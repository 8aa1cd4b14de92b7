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


MANY = """
import os, signal, sys, threading, time
from pathlib import Path
from exporter.service import Settings, serve
from tests.scripted import facts, poll, reading

class Source:
    def __init__(self, number):
        self.number = number
        self.kind = number % 4
        self.polls = 0

    def poll(self):
        self.polls += 1
        if self.kind == 1:  # never comes back
            (Path(sys.argv[1]) / str(self.number)).touch()
            threading.Event().wait()
        if self.kind == 2 and self.polls == 2:  # is in the middle of a poll when the signal comes, and comes back
            (Path(sys.argv[1]) / str(self.number)).touch()
            while not (Path(sys.argv[1]) / "signalled").exists():
                time.sleep(0.01)
        return poll([reading("02:00:00:00:00:01", 1000 * self.polls, 0)])

    def close(self):
        if self.kind == 3:  # closes never
            threading.Event().wait()
        (Path(sys.argv[1]) / f"closed-{{self.number}}").touch()

settings = Settings("127.0.0.1", {port}, Path(sys.argv[2]), 3600.0, 120.0, {{}})
sys.exit(serve(settings, [(facts(f"source-{{n}}", 0.2 if n % 4 == 2 else 3600.0), Source(n)) for n in range(40)]))
"""


def process(
    folder: Path, polling: str = "pass", closing: str = "pass", *, early: bool = False, program: str = PROGRAM
) -> subprocess.Popen[str]:
    """An exporter with one source that polls and closes as told, and sends SIGTERM first where it is `early`."""
    program = program.format(early=early, polling=polling, closing=closing, port=free_port())
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


def test_forty_sources_of_which_some_hang_end_within_five_seconds(tmp_path: Path) -> None:
    marks = tmp_path / "polled"
    marks.mkdir()
    running = process(tmp_path, program=MANY)
    hanging = {str(number) for number in range(40) if number % 4 in (1, 2)}
    eventually("they hang", lambda: {mark.name for mark in marks.iterdir()} >= hanging, within=30)
    begun = time.monotonic()
    running.send_signal(signal.SIGTERM)
    (marks / "signalled").touch()
    _, words = running.communicate(timeout=30)
    assert running.returncode == 0, words
    assert time.monotonic() - begun < 5
    assert "Traceback" not in words
    given_up = [line for line in words.splitlines() if "given up" in line]
    assert len(given_up) == 1
    assert all(f"source-{number}" in given_up[0] for number in range(1, 40, 4))
    state = State.open(tmp_path / "state.db")
    try:
        numbers = [state.load(f"source-{number}").source.number for number in range(40)]
    finally:
        state.close()
    assert [numbers[kind::4] for kind in (0, 1, 3)] == [[1] * 10, [0] * 10, [1] * 10]
    assert min(numbers[2::4]) >= 2  # the poll that was under way
    closed = {mark.name for mark in marks.iterdir()}
    assert closed >= {f"closed-{number}" for number in range(40) if number % 2 == 0}


def test_the_demo_has_nothing_to_read_again_and_goes_on(tmp_path: Path) -> None:
    running = process(tmp_path)
    eventually("it polls", (tmp_path / "polled").exists, within=30)
    for _ in range(3):
        running.send_signal(signal.SIGHUP)
    assert running.stderr is not None
    words = ""
    while "nothing is reloaded" not in words:
        line = running.stderr.readline()
        assert line, words
        words += line
    running.send_signal(signal.SIGTERM)
    _, rest = running.communicate(timeout=30)
    assert running.returncode == 0, words + rest
    assert "Traceback" not in words + rest
