"""A process killed at any line of a poll loses nothing, and no scraped value ever falls.

For every line k that a poll executes in the package, a child process is killed by SIGKILL just before it. What its page
showed at that moment is what Prometheus may have seen. Then the exporter starts again on what is left and polls on.
`SOAK=1` kills at every line, otherwise at a sample of them that moves with the line count.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

import exporter
from exporter.committer import Committer, Outcome
from exporter.exposition import Exposition
from exporter.model import Poll
from exporter.poller import Poller
from exporter.series import Scrapes
from exporter.store import State
from tests.scripted import ManualClock, ScriptedSource, facts, poll, reading

PACKAGE = str(Path(exporter.__file__).parent)
OLD, NEW = "02:00:00:00:00:01", "02:00:00:00:00:02"
HOLD = 5.0
STRIDE = 1 if os.environ.get("SOAK") else 41


class Scenario(NamedTuple):
    """before: polls that were committed. traced: the one that is killed. after: the polls after the restart.

    truth: the total download of both clients at the end, when every poll before was seen or its bytes shown later.
    """

    before: list[Poll]
    traced: Poll
    after: list[Poll]
    truth: dict[str, int]


def scenarios() -> dict[str, Scenario]:
    """The three polls of interest. Meter time is 100 s for each poll; NEW is born between the first and the second."""

    def at(number: int, **downloads: int) -> Poll:
        macs = {"old": OLD, "new": NEW}
        born = {"old": None, "new": 150.0}
        return poll(
            [reading(macs[who], bytes_, bytes_ // 10, born=born[who]) for who, bytes_ in downloads.items()],
            meter_at=100.0 * number,
        )

    return {
        "first sight": Scenario(
            [at(1, old=1000)], at(2, old=1500, new=700), [at(3, old=1600, new=900)], {OLD: 600, NEW: 900}
        ),
        "growing": Scenario(
            [at(1, old=1000), at(2, old=1500, new=700)],
            at(3, old=2500, new=900),
            [at(4, old=2600, new=1000)],
            {OLD: 1600, NEW: 1000},
        ),
        "resetting": Scenario(
            [at(1, old=1000), at(2, old=1500), at(3, old=200)],
            at(4, old=300),
            [at(5, old=350), at(6, old=400)],
            {OLD: 500 + 400},
        ),
    }


class Part:
    """The exporter without its threads, on one state file; `now` is counted in polls of 30 s."""

    def __init__(self, path: Path, now: int, *, watched: bool) -> None:
        self.time = ManualClock(wall_at=1_700_000_000.0 + 30 * now, steady_at=1000.0 + 30 * now)
        self.state = State.open(path)
        self.scrapes = Scrapes(HOLD, self.time.steady_at if watched else None)
        self.watched = watched
        self.exposition = Exposition()
        self.committer = Committer(
            self.state,
            [facts()],
            exposition=self.exposition,
            scrapes=self.scrapes,
            client_ttl=3600.0,
            people={},
            clock=self.time.clock,
        )

    def poll(self, what: Poll) -> None:
        """One turn of the poller and of the committer."""
        self.time.pass_(30)
        outcomes: list[tuple[str, Outcome]] = []
        source = ScriptedSource([what])
        poller = Poller("home", source, lambda *item: outcomes.append(item), interval=30.0, clock=self.time.clock)
        poller.poll_once()
        self.committer.work(dict(outcomes))

    def scrape(self) -> None:
        """A Prometheus server reads the page."""
        self.scrapes.answered(self.exposition.generation, None, self.time.steady_at)

    def shown(self) -> dict[str, int]:
        """Download of each client as the published page has it, without taking any lock."""
        block = self.exposition._blocks["home"].get("bandwidth_client_download_bytes_total", b"").decode()
        return {line.split('client="')[1][:17]: int(line.rsplit(" ", 1)[1]) for line in block.splitlines()}


@contextmanager
def killed_at(line: int, last_words: Callable[[], None]) -> Iterator[list[int]]:
    """Kill this process before the `line`-th line of the package is executed; 0 only counts the lines."""
    count = [0]

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            count[0] += 1
            if count[0] == line:
                sys.settrace(None)
                last_words()
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(None)


def run_and_die(path: Path, scenario: Scenario, line: int, *, watched: bool) -> dict[str, int]:
    """In a child: start on the state, poll, and be killed at the line. What the page showed in that moment."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        part = Part(path, len(scenario.before), watched=watched)

        def last_words() -> None:
            for mac, value in part.shown().items():
                os.write(writer, mac.encode() + struct.pack("q", value))

        with killed_at(line, last_words):
            part.poll(scenario.traced)
        os._exit(7)  # the line count was wrong
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        words = pipe.read()
    assert os.WIFSIGNALED(status), "the poll ended before its line"
    assert os.WTERMSIG(status) == signal.SIGKILL
    size = 17 + 8
    records = [words[start : start + size] for start in range(0, len(words), size)]
    return {record[:17].decode(): struct.unpack("q", record[17:])[0] for record in records}


@pytest.mark.parametrize("watched", [False, True], ids=["nobody scrapes", "prometheus scrapes"])
@pytest.mark.parametrize("name", list(scenarios()))
def test_killed_at_any_line(
    name: str, watched: bool, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    scenario = scenarios()[name]
    ready, work = tmp_path / "ready.db", tmp_path / "work.db"
    part = Part(ready, 0, watched=watched)
    for each in scenario.before:
        part.poll(each)
        part.scrape()
    part.state.close()

    lines = 0
    for _ in range(2):  # the second time counts: what is kept in caches is made only once
        shutil.copy(ready, work)
        part = Part(work, len(scenario.before), watched=watched)
        with killed_at(0, lambda: None) as count:
            part.poll(scenario.traced)
        part.state.close()
        lines = count[0]
        for stale in tmp_path.glob("work.db*"):
            stale.unlink()
    assert lines > 200
    offset = lines % STRIDE
    for line in range(1 + offset, lines + 1, STRIDE):
        for stale in tmp_path.glob("work.db*"):
            stale.unlink()
        shutil.copy(ready, work)
        scraped = run_and_die(work, scenario, line, watched=watched)

        part = Part(work, len(scenario.before) + 1, watched=watched)
        for each in scenario.after:
            part.poll(each)
            for mac, value in scraped.items():
                assert part.shown()[mac] >= value, f"line {line}: {mac} fell"
            scraped |= part.shown()
            part.scrape()
        part.poll(scenario.after[-1])  # what was held moves on
        assert part.shown() == scenario.truth, f"line {line}"
        part.state.close()
    record_property("lines", lines)
    print(f"{name}, watched={watched}: {lines} lines, killed at every {STRIDE}")
