"""Puts the parts together: state, sources, committer, pollers and web server, and takes them apart again."""

from __future__ import annotations

import gc
import logging
import os
import platform
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct, field
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import exporter
from exporter import metrics
from exporter.accounting.quotas import Quota
from exporter.accounts import Accounts, Terms
from exporter.clock import Clock
from exporter.committer import Committer, EndedError
from exporter.config.values import Listen
from exporter.configured import Thresholds, people_of, quotas_of, target_of, thresholds_of
from exporter.exposition import Exposition, Page
from exporter.fleet import Fleet, Planned, fixed
from exporter.logs import FAULT, fault_words
from exporter.machine import SET_ZONE, local_zone, zone_trouble
from exporter.naming import People
from exporter.overview import quota_rows, source_view
from exporter.poller import Poller
from exporter.privacy import privacy_of
from exporter.reload import Configuration, Reloaded, Reloads, planned_of
from exporter.runtime import SourceFacts
from exporter.series import Scrapes
from exporter.sources import Source
from exporter.store import State, StateError
from exporter.store.postgres.target import Condition, Target
from exporter.store.upkeep import Retention
from exporter.web import make_app
from exporter.web.listening import listen, refusal
from exporter.web.server import WebServer
from exporter.web.status import Status, local_time, status_page
from exporter.web.webconfig import WebConfigFile, exposed

if TYPE_CHECKING:
    from types import FrameType

    from exporter.config import Config
    from exporter.store.postgres.feeder import Feeder

log = logging.getLogger(__name__)

ENDING = 3.0
"""Seconds that polls under way and the last commit have once the process is asked to end."""

NOT_TAKEN = "the configuration file cannot be used, and the one read before stays in use"


class Settings(Struct, frozen=True):
    """What a running exporter needs beside its sources. Durations are seconds. banner: words for the status page.

    names, hash_mac: see exporter.privacy. web_config: the file for TLS and passwords. zone: by whose midnight days
    begin. zone_trouble: "" or why that is not what one would expect. retention: how long history is kept. quotas: see
    exporter.accounts. thresholds: see exporter.configured. archive: the PostgreSQL to feed, if any.
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
    web_config: Path | None = None
    zone: ZoneInfo = field(default_factory=local_zone)
    zone_trouble: str = ""
    retention: Retention = Retention()
    quotas: tuple[Quota, ...] = ()
    thresholds: Thresholds = {}
    archive: Target | None = None


class Own(Collector):
    """The metrics about the process itself, rendered by prometheus-client."""

    def __init__(
        self,
        commit_failures: Callable[[], int],
        reloaded: Callable[[], Reloaded],
        archive: Callable[[], Condition | None] = lambda: None,
        thresholds: Callable[[], Thresholds] = dict,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """archive: None where no PostgreSQL is fed."""
        self._commit_failures = commit_failures
        self._reloaded = reloaded
        self._archive = archive
        self._thresholds = thresholds
        self._wall = wall
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
        last = self._reloaded()
        for family, value in (
            (metrics.RELOAD_SUCCESSFUL, float(last.successful)),
            (metrics.RELOAD_SUCCESS_TIMESTAMP, last.at),
        ):
            yield GaugeMetricFamily(family.name, family.help, value=value)
        archive = self._archive()
        if archive is not None:
            for family, value in (
                (metrics.ARCHIVE_UP, float(archive.up)),
                (metrics.ARCHIVE_LAG, archive.lag(self._wall())),
                (metrics.ARCHIVE_PENDING, archive.pending),
            ):
                yield GaugeMetricFamily(family.name, family.help, value=value)
            failures = metrics.ARCHIVE_FAILURES
            yield CounterMetricFamily(failures.name, failures.help, value=archive.failures)
        for family, threshold in self._thresholds().items():
            if threshold is not None:
                yield GaugeMetricFamily(family.name, family.help, value=threshold)

    def render(self) -> bytes:
        """The samples, in the text format 0.0.4."""
        return generate_latest(self._registry)


class Exporter:
    """The running whole. `start`, then serve `app`, then `stop`."""

    def __init__(
        self,
        settings: Settings,
        sources: Iterable[tuple[SourceFacts, Source] | Planned],
        clock: Clock | None = None,
        configuration: Configuration | None = None,
    ) -> None:
        """Opens the state; raises StateError with words for the user. configuration: None where nothing is reloaded."""
        clock = clock or Clock()
        planned = [each if isinstance(each, Planned) else fixed(*each) for each in sources]
        self.settings = settings
        self.state = State.open(settings.state)
        try:
            self.state.mark(on=settings.archive is not None)
            self.state.keep(settings.zone, settings.retention)
        except StateError:
            self.state.close()
            raise
        self._clock = clock
        self._configuration = configuration
        self._reloads = Reloads(self._reload)
        self._reloaded = Reloaded(successful=True, at=clock.wall())
        self._scraped = False
        self.warnings: Callable[[], tuple[str, ...]] = tuple
        self.privacy = privacy_of(settings.names, settings.hash_mac, self.state.pseudonym_key)
        self.scrapes = Scrapes(settings.new_series_hold, _steady_of(self.state.scraped_at, clock))
        self._feeder = self._feeder_of(settings.archive)
        own = Own(
            lambda: self.committer.commit_failures,
            lambda: self._reloaded,
            lambda: self._feeder.condition if self._feeder is not None else None,
            lambda: self.settings.thresholds,
            clock.wall,
        )
        self.exposition = Exposition(own.render)
        self.committer = Committer(
            self.state,
            [each.facts for each in planned],
            exposition=self.exposition,
            scrapes=self.scrapes,
            client_ttl=settings.client_ttl,
            people=settings.people,
            clock=clock,
            privacy=self.privacy,
        )
        self.accounts = Accounts(self.state, Terms(settings.zone, settings.quotas))
        self.committer.keep(self.accounts)
        self._first = [each.facts.name for each in planned]
        self._fleet = Fleet(self.committer, planned, clock)

    def _feeder_of(self, target: Target | None) -> Feeder | None:
        if target is None:
            return None
        from exporter.store.postgres.feeder import Feeder

        return Feeder(self.state, target, lambda: self.privacy, self._clock)

    @property
    def pollers(self) -> list[Poller]:
        """One for each source."""
        return list(self._fleet.pollers.values())

    def start(self) -> None:
        """Begin to poll and to count."""
        self._tell_left_out()
        self.committer.start()
        self._fleet.start()
        self._reloads.start()
        if self._feeder is not None:
            self._feeder.start()

    def leave(self) -> None:
        """Take no reload any longer, for `stop` follows. Fit for a signal handler."""
        self._reloads.end()

    def stop(self) -> None:
        """Let polls under way come in, commit them, close the state."""
        deadline = time.monotonic() + ENDING
        self.leave()
        self._fleet.stop(deadline - 1.0)
        if self.committer.stop(max(1.0, deadline - time.monotonic())):
            if self._feeder is not None:
                self._feeder.stop(0.5)
            self.state.close()
            log.info("ended; what came in is in the state")
        else:
            log.warning("the last commit did not come to its end; the next start counts its bytes")
        self._fleet.join(deadline)

    @property
    def lifecycle(self) -> bool:
        """Whether a reload may be asked for over HTTP."""
        return self._configuration is not None and self._configuration.config.web.enable_lifecycle

    def config(self) -> str:
        """The configuration in use, without its secrets."""
        if self._configuration is None:
            return "# There is no configuration file.\n"
        from exporter.config.effective import effective

        return effective(self._configuration.config)

    @property
    def config_trouble(self) -> str:
        """ "" or what is wrong with the configuration file, or what of it waits for a restart."""
        return self._reloaded.words

    @property
    def archive_trouble(self) -> str:
        """ "" or what is wrong with the archive in PostgreSQL."""
        trouble = self._feeder.trouble if self._feeder is not None else ""
        return f"The archive is not fed, its rows wait in the state: {trouble}" if trouble else ""

    def ask_reload(self) -> None:
        """Read the configuration again, soon. Fit for a signal handler."""
        self._reloads.ask()

    def reload(self) -> str:
        """Read the configuration again: "" or what went wrong."""
        return self._reloads.reload()

    def _reload(self) -> str:
        if self._configuration is None:
            log.warning("there is no configuration file to read again: nothing is reloaded")
            return "there is no configuration file to read again"
        try:
            words = self._read_again(self._configuration)
            self.committer.perform(partial(self.exposition.publish, {}))  # how it went is on the page
        except EndedError:
            return "the exporter is ending"
        return words

    def _read_again(self, configuration: Configuration) -> str:
        from exporter.config import ConfigError

        try:
            config = configuration.read()
            self._take(config)
        except ConfigError as error:
            return self._refused(error.messages)
        except StateError as error:
            return self._refused([str(error)])
        except EndedError:
            raise
        except Exception as error:
            log.exception(FAULT)
            return self._refused([fault_words(error)])
        waiting = configuration.take(config)
        words = f"{' and '.join(waiting)} changed in the configuration file: restart to take that over"
        if waiting:
            log.warning("%s", words)
        self._reloaded = Reloaded(successful=True, at=self._clock.wall(), words=words if waiting else "")
        log.info("the configuration was read again, and is in use")
        return ""

    def _take(self, config: Config) -> None:
        new, old = configured(config), self.settings
        settings = replace(new, host=old.host, port=old.port, state=old.state, web_config=old.web_config)
        settings = replace(settings, archive=old.archive)
        if (settings.zone.key, settings.retention) != (old.zone.key, old.retention):
            self.state.keep(settings.zone, settings.retention)
        same = (settings.names, settings.hash_mac) == (old.names, old.hash_mac)
        privacy = self.privacy if same else privacy_of(settings.names, settings.hash_mac, self.state.pseudonym_key)

        def adjust() -> None:
            terms = Terms(settings.zone, settings.quotas)
            self.committer.adjust(settings.client_ttl, settings.people, privacy, terms)
            self.scrapes.hold = settings.new_series_hold
            self.settings, self.privacy = settings, privacy

        self._fleet.change(planned_of(config), adjust)
        self._tell_left_out()

    def _tell_left_out(self) -> None:
        left_out = self.accounts.left_out()
        if left_out:
            names = ", ".join(left_out)
            log.warning(
                "quotas over several sources count routers alone, and not %s: controllers count the same bytes again,"
                " and the LAN; write source or wan in a quota where you mean these",
                names,
            )

    def _refused(self, messages: Iterable[str]) -> str:
        """The configuration that is in use stays so."""
        lines = list(messages)
        log.error(NOT_TAKEN)
        for line in lines:
            log.error("%s", line)
        words = "\n".join(lines)
        self._reloaded = replace(self._reloaded, successful=False, words=words)
        return words

    def page(self, source: str | None) -> Page | None:
        """See exporter.exposition."""
        return self.exposition.page(source)

    def scraped(self, generation: int, source: str | None) -> None:
        """A Prometheus server was shown a whole page."""
        if not self._scraped:
            self._scraped = True
            log.info("Prometheus scrapes")
        self.scrapes.answered(generation, source, self._clock.steady())

    def healthy(self) -> str:
        """ "" or what is wrong with the process itself."""
        return "" if self.committer.alive else "the committer has ended: nothing is counted; see the log and restart"

    def ready(self) -> str:
        """ "" or what is still waited for."""
        runtimes, worked = self.committer.runtimes, self.committer.worked
        waiting = [name for name in self._first if name in runtimes and name not in worked]
        return f"waiting for the first poll of: {', '.join(waiting)}" if waiting else self.healthy()

    def status(self) -> str:
        """The page for people."""
        people, privacy = self.settings.people, self.privacy
        runtimes = list(self.committer.runtimes.values())
        today = self.state.today(self._clock.wall())
        facts = [
            f"version {exporter.__version__}",
            f"Python {platform.python_version()}",
            f"state {self.settings.state}",
        ]
        if self._configuration is not None:
            facts.append(f"configuration read {local_time(self._reloaded.at, self.settings.zone)}")
        config = self.config_trouble if self._reloaded.successful else f"{NOT_TAKEN}:\n{self.config_trouble}"
        own = (config, self.settings.zone_trouble, self.archive_trouble)
        status = Status(
            sources=tuple(
                source_view(runtime, people, privacy, today.get(runtime.facts.name, {})) for runtime in runtimes
            ),
            banner=self.settings.banner,
            troubles=tuple(map(privacy.text, (self.healthy(), self.committer.commit_error))),
            warnings=tuple(map(privacy.text, (*own, *self.warnings()))),
            facts=tuple(facts),
            quotas=quota_rows(self.accounts.standings(self._clock.wall()), people, privacy),
            left_out=self.accounts.left_out(),
        )
        return status_page(status, self._clock.wall())


def _steady_of(wall: float | None, clock: Clock) -> float | None:
    """A remembered wall time on the steady clock. One that lies ahead was written before our clock was set back."""
    return None if wall is None else clock.steady() - max(0.0, clock.wall() - wall)


class _Server(WebServer):
    """Says that it is about to end as soon as the signal comes, before it waits for what is being answered."""

    leaving: Callable[[], None] = staticmethod(lambda: None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.leaving()
        super().handle_exit(sig, frame)


def serve(
    settings: Settings,
    sources: Iterable[tuple[SourceFacts, Source] | Planned],
    configuration: Configuration | None = None,
) -> int:
    """Run until SIGTERM or SIGINT. The exit status: 1 where socket, state or web config cannot be had, which is said.

    configuration: what SIGHUP reads again.
    """
    from exporter.config.errors import ConfigError

    with ExitStack() as stack:
        try:
            web = WebConfigFile(settings.web_config) if settings.web_config is not None else None
            listener = stack.enter_context(_listen(Listen(settings.host, settings.port)))
            running = Exporter(settings, sources, configuration=configuration)
        except (OSError, StateError, ConfigError) as error:
            for line in str(error).splitlines():
                log.critical("%s", line)
            return 1
        running.warnings = lambda: _warnings(settings.host, web)
        server = _Server(make_app(running, running), listener, web)
        server.leaving = running.leave

        def end(*_: object) -> None:
            server.should_exit = True

        # For a signal that comes before uvicorn takes them over; it hands them on once it has ended.
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, end)
        signal.signal(signal.SIGHUP, lambda *_: running.ask_reload())
        stack.callback(running.stop)
        # What lives as long as the process is not looked through again, and a poll's thousands of objects are no
        # reason to look: they hold no cycles. docs/performance.md has what it saves.
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)
        running.start()
        safe = web.current() if web is not None else None
        scheme = "https" if safe is not None and safe.tls else "http"
        log.info("bandwidth-exporter %s begins, with its state in %s", exporter.__version__, settings.state)
        log.info("%s://%s/ serves the status page, and /metrics", scheme, Listen(*listener.getsockname()[:2]))
        for warning in (exposed(settings.host, safe), settings.zone_trouble):
            if warning:
                log.warning("%s", warning)
        server.run()
    return 0


def _warnings(host: str, web: WebConfigFile | None) -> tuple[str, ...]:
    """What of the web server should be mended."""
    if web is None:
        return (exposed(host, None),)
    return web.problem, exposed(host, web.current())


def _listen(place: Listen) -> socket.socket:
    try:
        return listen(place)
    except OSError as error:
        words, remedy = refusal(error)
        raise OSError(f"cannot listen on {place}: {words}; {remedy}") from error


def configured(config: Config) -> Settings:
    """What a configuration says, beside its sources."""
    kept = config.archive.retention
    zone = config.timezone or local_zone()
    trouble = "" if config.timezone else zone_trouble(os.environ)
    return Settings(
        host=config.web.listen.host,
        port=config.web.listen.port,
        state=config.state,
        client_ttl=config.client_ttl,
        new_series_hold=config.new_series_hold,
        people=people_of(config),
        names=config.privacy.names,
        hash_mac=config.privacy.hash_mac,
        web_config=config.web.config_file,
        zone=zone,
        zone_trouble=f"{trouble}; {SET_ZONE}" if trouble else "",
        retention=Retention(kept.five_minutes, kept.hourly, kept.daily),
        archive=target_of(config),
        quotas=quotas_of(config, zone),
        thresholds=thresholds_of(config.alerts),
    )


def run(config: Config, read: Callable[[], Config]) -> int:
    """Run the sources of a configuration. read: reads its file again; raises ConfigError."""
    return serve(configured(config), planned_of(config), Configuration(config, read))
