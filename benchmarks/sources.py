"""Many controllers at once, a third of them sick: does every other one keep its interval?"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

from exporter.demo.controller import DemoController
from exporter.demo.network import Bytes, Network
from exporter.fleet import fixed
from exporter.model import Poll
from exporter.runtime import SourceFacts
from exporter.service import Exporter, Settings
from exporter.sources import Source
from exporter.sources.unifi import UnifiSettings, UnifiSource

SICK: Final = ("refused", "blackholed", "frozen", "dripping")
"""Nobody listens; packets are dropped; the connection is taken and nothing more; one byte a second."""

HEALTHY: Final = "healthy"
CLIENTS: Final = 20


class Reach(NamedTuple):
    """How a source reaches the controllers of its group."""

    url: str
    api_key: str
    ca_file: str


class Watched:
    """A source that remembers when each of its polls began (monotonic), and how many succeeded."""

    def __init__(self, source: Source, group: str) -> None:
        self._source = source
        self.group = group
        self.began: list[float] = []
        self.succeeded = 0

    def poll(self) -> Poll:
        self.began.append(time.monotonic())
        poll = self._source.poll()
        self.succeeded += 1
        return poll

    def close(self) -> None:
        self._source.close()


class Kept(NamedTuple):
    """Of a group: its sources, polls, polls that succeeded, and the seconds between the beginnings of two polls."""

    group: str
    sources: int
    polls: int
    succeeded: int
    distances: list[float]

    @property
    def p99(self) -> float:
        """The distance that one in a hundred exceeds."""
        return sorted(self.distances)[int(len(self.distances) * 0.99)]


@contextmanager
def controllers() -> Iterator[dict[str, Reach]]:
    """A healthy controller and one for each way to be sick, on loopback, by group."""
    with ExitStack() as stack:
        network = Network(start=time.time())
        for number in range(CLIENTS):
            network.add_client(f"02:00:00:00:00:{number:02x}", raw=Bytes(1000, 100), age=86_400)
        healthy, dripping = (stack.enter_context(DemoController(network)) for _ in range(2))
        dripping.fault, dripping.fault_path = "drip", "stat/sta"

        def at(listener: socket.socket) -> Reach:
            return Reach(f"https://127.0.0.1:{listener.getsockname()[1]}", healthy.api_key, healthy.ca_file)

        closed = socket.create_server(("127.0.0.1", 0))
        refused = at(closed)
        closed.close()
        frozen = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # what the backlog takes; then the system drops every further SYN
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield {
            HEALTHY: Reach(healthy.url, healthy.api_key, healthy.ca_file),
            "refused": refused,
            "blackholed": at(full),
            "frozen": at(frozen),
            "dripping": Reach(dripping.url, dripping.api_key, dripping.ca_file),
        }


def crowd(reach: Mapping[str, Reach], count: int, timeout: float) -> list[Watched]:
    """So many sources, of which every third is sick, in turn in each way."""
    groups = [SICK[number // 3 % len(SICK)] if number % 3 == 0 else HEALTHY for number in range(count)]
    collect = frozenset({"clients"})
    return [
        Watched(
            UnifiSource(
                UnifiSettings(
                    reach[group].url,
                    api_key=reach[group].api_key,
                    ca_file=reach[group].ca_file,
                    timeout=timeout,
                    sites=("default",),
                    collect=collect,
                )
            ),
            group,
        )
        for group in groups
    ]


@contextmanager
def running(folder: Path, sources: Sequence[Watched], interval: float) -> Iterator[Exporter]:
    """The real exporter, without its web server, on these sources."""
    settings = Settings("127.0.0.1", 1, folder / "state.db", 3600.0, 120.0, {})
    planned = [
        fixed(SourceFacts(f"source-{number}", "unifi", "attached", interval, 12.5e9), source)
        for number, source in enumerate(sources)
    ]
    exporter = Exporter(settings, planned)
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.stop()


def kept(sources: Sequence[Watched], group: str) -> Kept:
    """How a group kept its interval. The first two polls of each are left out: their distance is chance."""
    those = [source for source in sources if source.group == group]
    distances = [later - earlier for source in those for earlier, later in pairwise(source.began[1:])]
    return Kept(
        group,
        len(those),
        sum(len(source.began) for source in those),
        sum(source.succeeded for source in those),
        distances,
    )


def main(count: int, seconds: float, interval: float, timeout: float) -> None:
    """Measure for so many seconds, and print a table."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    try:
        reach: dict[str, Reach] = ours.recv()
        sources = crowd(reach, count, timeout)
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            spent, begun = time.process_time(), time.monotonic()
            with running(Path(folder), sources, interval):
                time.sleep(seconds)
                spent, ended = time.process_time() - spent, time.monotonic()
            closing = time.monotonic() - ended
    finally:
        ours.send(None)
        process.join()
    print(f"{count} sources every {interval:g} s, time-out {timeout:g} s, watched for {ended - begun:.0f} s")
    print("| group | sources | polls | succeeded | min | median | p99 | max |")
    print("|---|---|---|---|---|---|---|---|")
    for group in (HEALTHY, *SICK):
        it = kept(sources, group)
        numbers = (min(it.distances), statistics.median(it.distances), it.p99, max(it.distances))
        shown = " | ".join(f"{number:.2f} s" for number in numbers)
        print(f"| {group} | {it.sources} | {it.polls} | {it.succeeded} | {shown} |")
    print(f"{spent / (ended - begun):.1%} of a core; it ended within {closing:.1f} s")


def _serve(pipe: Connection) -> None:
    """The controllers, in a process of their own, until they are told to end."""
    with controllers() as reach:
        pipe.send(reach)
        pipe.recv()
