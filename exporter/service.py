"""Puts the parts together: state, sources, committer, pollers and web server, and takes them apart again."""

from __future__ import annotations

import gc
import logging
import platform
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import exporter
from exporter import metrics
from exporter.clock import Clock
from exporter.committer import Committer
from exporter.configured import facts_of, people_of, settings_of
from exporter.exposition import Exposition, Page
from exporter.naming import People
from exporter.poller import Poller
from exporter.privacy import privacy_of
from exporter.runtime import SourceFacts
from exporter.series import Scrapes
from exporter.sources import SOURCES, Source
from exporter.store import State, StateError
from exporter.web import make_app
from exporter.web.server import WebServer
from exporter.web.status import status_page

if TYPE_CHECKING:
    from exporter.config import Config

log = logging.getLogger(__name__)

ENDING = 4.0
"""Seconds that polls under way and the last commit have once the process is asked to end."""

UNSENT = 16 * 1024
"""Bytes that the system may keep for a peer that is not ready for them."""


class Settings(Struct, frozen=True):
    """What a running exporter needs beside its sources. Durations are seconds. banner: words for the status page.

    names, hash_mac: see exporter.privacy.
    """

    host: str
    port: int
    state: Path
    client_ttl: float
    new_series_hold: float
    people: People
    banner: str = ""
    names: bool = True
    hash_mac: bool = False


class Own(Collector):
    """The metrics about the process itself, rendered by prometheus-client."""

    def __init__(self, commit_failures: Callable[[], int]) -> None:
        self._commit_failures = commit_failures
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def collect(self) -> Iterator[Metric]:
        """Fresh families, for prometheus-client."""
        build, failures = metrics.BUILD_INFO, metrics.COMMIT_FAILURES
        info = GaugeMetricFamily(build.name, build.help, labels=build.labels)
        info.add_metric((exporter.__version__, platform.python_version()), 1)
        yield info
        yield CounterMetricFamily(failures.name, failures.help, value=self._commit_failures())

    def render(self) -> bytes:
        """The samples, in the text format 0.0.4."""
        return generate_latest(self._registry)


class Exporter:
    """The running whole. `start`, then serve `app`, then `stop`."""

    def __init__(
        self, settings: Settings, sources: Iterable[tuple[SourceFacts, Source]], clock: Clock | None = None
    ) -> None:
        """Opens the state; raises StateError with words for the user."""
        clock = clock or Clock()
        pairs = list(sources)
        self.settings = settings
        self.state = State.open(settings.state)
        self._clock = clock
        self.privacy = privacy_of(settings.names, settings.hash_mac, self.state.pseudonym_key)
        self.scrapes = Scrapes(settings.new_series_hold, _steady_of(self.state.scraped_at, clock))
        self.exposition = Exposition(Own(lambda: self.committer.commit_failures).render)
        self.committer = Committer(
            self.state,
            [facts for facts, _ in pairs],
            exposition=self.exposition,
            scrapes=self.scrapes,
            client_ttl=settings.client_ttl,
            people=settings.people,
            clock=clock,
            privacy=self.privacy,
        )
        self.pollers = [
            Poller(facts.name, source, self.committer.submit, interval=facts.interval, clock=clock)
            for facts, source in pairs
        ]

    def start(self) -> None:
        """Begin to poll and to count."""
        self.committer.start()
        for poller in self.pollers:
            poller.start()

    def stop(self) -> None:
        """Let polls under way come in, commit them, close the state."""
        for poller in self.pollers:
            poller.stop()
        deadline = time.monotonic() + ENDING
        for poller in self.pollers:
            if not poller.join(max(0.0, deadline - time.monotonic() - 1.0)):
                log.warning("%s: the poll under way is given up; the next start counts its bytes", poller.name)
        if self.committer.stop(max(1.0, deadline - time.monotonic())):
            self.state.close()
        else:
            log.warning("the last commit did not come to its end; the next start counts its bytes")

    def page(self, source: str | None) -> Page | None:
        """See exporter.exposition."""
        return self.exposition.page(source)

    def scraped(self, generation: int, source: str | None) -> None:
        """A Prometheus server was shown a whole page."""
        self.scrapes.answered(generation, source, self._clock.steady())

    def healthy(self) -> str:
        """ "" or what is wrong with the process itself."""
        return "" if self.committer.alive else "the committer has ended: nothing is counted; see the log and restart"

    def ready(self) -> str:
        """ "" or what is still waited for."""
        waiting = [poller.name for poller in self.pollers if not poller.polled.is_set()]
        return f"waiting for the first poll of: {', '.join(waiting)}" if waiting else self.healthy()

    def status(self) -> str:
        """The page for people."""
        return status_page(
            list(self.committer.runtimes.values()),
            self.settings.people,
            version=exporter.__version__,
            banner=self.settings.banner,
            trouble=self.healthy() or self.committer.commit_error,
            privacy=self.privacy,
        )


def _steady_of(wall: float | None, clock: Clock) -> float | None:
    """A remembered wall time on the steady clock. One that lies ahead was written before our clock was set back."""
    return None if wall is None else clock.steady() - max(0.0, clock.wall() - wall)


def serve(settings: Settings, sources: Iterable[tuple[SourceFacts, Source]]) -> int:
    """Run until SIGTERM or SIGINT. The exit status: 1 where socket or state cannot be had, which is said."""
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(_listen(settings.host, settings.port))
            running = Exporter(settings, sources)
        except (OSError, StateError) as error:
            log.critical("%s", error)
            return 1
        server = WebServer(make_app(running), listener)

        def end(*_: object) -> None:
            server.should_exit = True

        # For a signal that comes before uvicorn takes them over; it hands them on once it has ended.
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, end)
        stack.callback(running.stop)
        # What lives as long as the process is not looked through again, and a poll's thousands of objects are no
        # reason to look: they hold no cycles. docs/performance.md has what it saves.
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)
        running.start()
        log.info("http://%s:%d/ serves the status page, and /metrics", *listener.getsockname()[:2])
        server.run()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise OSError(
            f"cannot listen on {host}:{port}: {error.strerror}. Is another exporter running there? "
            "Choose another place with web.listen"
        ) from error
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Connections inherit it. Without it the system takes megabytes for us that the peer may never read, and a
        # scrape that broke off would count as answered.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    return listener


def run(config: Config) -> int:
    """Run the sources of a configuration."""
    settings = Settings(
        host=config.web.listen.host,
        port=config.web.listen.port,
        state=config.state,
        client_ttl=config.client_ttl,
        new_series_hold=config.new_series_hold,
        people=people_of(config),
        names=config.privacy.names,
        hash_mac=config.privacy.hash_mac,
    )
    return serve(
        settings,
        [(facts_of(config, entry), SOURCES[entry.kind](settings_of(entry))) for entry in config.sources],
    )
