"""OpenWrt routers: the rows of nlbwmon, read over SSH with `nlbw`."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping

from exporter.model import Collection, Poll
from exporter.sources.base import SourceError
from exporter.sources.nlbwmon import trouble
from exporter.sources.nlbwmon.commands import Format, forced_command, script
from exporter.sources.nlbwmon.exchange import Answer, Exchange, ExitError, NoShellError, read
from exporter.sources.nlbwmon.lives import VoidError
from exporter.sources.nlbwmon.payload import PayloadError
from exporter.sources.nlbwmon.plain import NO_DATA, Plain
from exporter.sources.nlbwmon.readings import CLIENTS, Readings
from exporter.sources.nlbwmon.router import OUTPUT_LIMIT, Router
from exporter.sources.nlbwmon.settings import NlbwmonSettings

__all__ = ["NlbwmonSettings", "NlbwmonSource", "forced_command"]

ATTEMPTS = 3
"""How often a poll is begun anew because the daemon restarted or rolled over in its middle."""

_MEANING = "restarts and rollovers are guessed from values that fall, and their last bytes are lost: nothing proved"
_REMEDY = "docs/openwrt.md has the command for the key that proves them"

_log = logging.getLogger(__name__)


class NlbwmonSource:
    """One OpenWrt router.

    `wall` is our clock (Unix seconds), `output_limit` caps what each command may write, in bytes. `resumed`: the marks
    of the collections that were last committed, so that what happened on the router meanwhile is seen.
    """

    def __init__(
        self,
        settings: NlbwmonSettings,
        wall: Callable[[], float] = time.time,
        output_limit: int = OUTPUT_LIMIT,
        resumed: Mapping[Collection, str] | None = None,
    ) -> None:
        self._settings = settings
        self._wall = wall
        self._router = Router(settings, output_limit)
        self._plain = Plain(self._router, settings.where)
        self._readings: tuple[str, Readings] | None = None
        self._resumed = (resumed or {}).get(CLIENTS, "")
        self._form: Format = "json"
        self._shell_refused = 0

    def poll(self) -> Poll:
        """Read the rows and, where a life began, the periods that closed. Raises SourceError."""
        self._router.begin()
        for _ in range(ATTEMPTS):
            try:
                return self._read()
            except VoidError:
                continue
        remedy = "`logread -e nlbwmon` on the router says why"
        raise SourceError("protocol", f"{self._settings.where}: nlbwmon restarts whenever it is read", remedy=remedy)

    def close(self) -> None:
        """Free the connection."""
        self._router.close()

    def _read(self) -> Poll:
        if self._router.fingerprint and self._shell_refused == self._router.connections:
            return self._read_plainly()
        try:
            exchange = self._ask(())
        except NoShellError:
            poll = self._read_plainly()
            self._shell_refused = self._router.connections  # a new connection may allow more
            return poll
        readings, at = self._readings_of(self._router.fingerprint), self._wall()
        if not isinstance(exchange, Exchange):
            return self._unproved(exchange, at, f"the router does not say {' and '.join(exchange.missing)}")
        wanted = readings.ask(exchange, at)
        if wanted:
            asked, at = self._ask(wanted), self._wall()
            if not isinstance(asked, Exchange) or set(readings.ask(asked, at)) - asked.closed.keys():
                raise VoidError
            exchange = asked
        self._plain.forget()
        return readings.poll(exchange, at)

    def _read_plainly(self) -> Poll:
        """By `nlbw` alone, where the key runs no more than that."""
        rows = self._plain.rows()
        answer = Answer(rows=tuple(rows.rows), bad=dict(rows.bad))
        only = "nlbw alone" if self._plain.dated else "one fixed command"
        return self._unproved(answer, self._wall(), f"the key runs {only}, which tells neither clock nor process")

    def _unproved(self, answer: Answer, at: float, why: str) -> Poll:
        base = self._plain.bases(answer.rows, at)
        readings = self._readings_of(self._router.fingerprint)
        return readings.unproved(answer, at, base, (f"{why}: {_MEANING}; {_REMEDY}",))

    def _readings_of(self, fingerprint: str) -> Readings:
        """What is remembered of the router with this host key: another key is another router."""
        if self._readings is None or self._readings[0] != fingerprint:
            settings, resumed, self._resumed = self._settings, self._resumed, ""
            self._readings = (
                fingerprint,
                Readings(fingerprint, resumed, protocols=settings.protocols, exclude=settings.exclude),
            )
        return self._readings[1]

    def _ask(self, labels: tuple[str, ...]) -> Answer:
        try:
            return self._exchange(labels)
        except NoShellError:
            raise
        except PayloadError as error:
            if self._form == "csv":
                self._form = "json"
                raise self._unusable(error) from None
        self._form = "csv"  # names of protocols may spoil the JSON, and only that (nlbwmon reference, §1.1)
        try:
            exchange = self._exchange(labels)
        except PayloadError as error:
            self._form = "json"
            raise self._unusable(error) from None
        _log.warning("%s: its JSON cannot be read, so CSV is read instead", self._settings.where)
        return exchange

    def _exchange(self, labels: tuple[str, ...]) -> Answer:
        try:
            return self._exchange_once(labels)
        except ExitError as error:
            status = error.status
        if status != NO_DATA:
            raise trouble.of_status(status, self._settings.where)
        try:
            return self._exchange_once(labels)  # without -t it passes (nlbwmon reference, §1.4)
        except ExitError as error:
            raise trouble.of_status(error.status, self._settings.where) from None

    def _exchange_once(self, labels: tuple[str, ...]) -> Answer:
        token = secrets.token_hex(16)
        return read(self._router.run(script(token, labels, self._form)), token, self._form)

    def _unusable(self, error: PayloadError) -> SourceError:
        remedy = "check that it is an OpenWrt router, and `uci show nlbwmon` there"
        return SourceError("protocol", f"{self._settings.where}: {error}", remedy=remedy)
