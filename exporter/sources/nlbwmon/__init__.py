"""OpenWrt routers: the rows of nlbwmon, read over SSH with `nlbw`."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from exporter.model import Poll
from exporter.sources.base import SourceError
from exporter.sources.nlbwmon import trouble
from exporter.sources.nlbwmon.commands import Format, forced_command, script
from exporter.sources.nlbwmon.exchange import Exchange, ExitError, read
from exporter.sources.nlbwmon.lives import VoidError
from exporter.sources.nlbwmon.payload import PayloadError
from exporter.sources.nlbwmon.readings import Readings
from exporter.sources.nlbwmon.router import OUTPUT_LIMIT, Router
from exporter.sources.nlbwmon.settings import NlbwmonSettings

__all__ = ["NlbwmonSettings", "NlbwmonSource", "forced_command"]

ATTEMPTS = 3
"""How often a poll is begun anew because the daemon restarted or rolled over in its middle."""

_log = logging.getLogger(__name__)


class NlbwmonSource:
    """One OpenWrt router.

    `wall` is our clock (Unix seconds), `output_limit` caps what each command may write, in bytes.
    """

    def __init__(
        self,
        settings: NlbwmonSettings,
        wall: Callable[[], float] = time.time,
        output_limit: int = OUTPUT_LIMIT,
    ) -> None:
        self._settings = settings
        self._wall = wall
        self._router = Router(settings, output_limit)
        self._readings: tuple[str, Readings] | None = None
        self._form: Format = "json"

    def poll(self) -> Poll:
        """Read the rows and, where a life began, the periods that closed. Raises SourceError."""
        self._router.begin()
        for _ in range(ATTEMPTS):
            try:
                return self._read()
            except VoidError:
                continue
        raise SourceError("protocol", f"{self._settings.where}: nlbwmon restarts whenever it is read")

    def close(self) -> None:
        """Free the connection."""
        self._router.close()

    def _read(self) -> Poll:
        exchange = self._ask(())
        readings, at = self._readings_of(self._router.fingerprint), self._wall()
        wanted = readings.ask(exchange, at)
        if wanted:
            exchange, at = self._ask(wanted), self._wall()
            if set(readings.ask(exchange, at)) - exchange.closed.keys():
                raise VoidError
        return readings.poll(exchange, at)

    def _readings_of(self, fingerprint: str) -> Readings:
        """What is remembered of the router with this host key: another key is another router."""
        if self._readings is None or self._readings[0] != fingerprint:
            self._readings = fingerprint, Readings(fingerprint)
        return self._readings[1]

    def _ask(self, labels: tuple[str, ...]) -> Exchange:
        try:
            return self._exchange(labels)
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

    def _exchange(self, labels: tuple[str, ...]) -> Exchange:
        token = secrets.token_hex(16)
        output = self._router.run(script(token, labels, self._form))
        try:
            return read(output, token, self._form)
        except ExitError as error:
            raise trouble.of_status(error.status, self._settings.where) from None

    def _unusable(self, error: PayloadError) -> SourceError:
        return SourceError("protocol", f"{self._settings.where}: {error}", remedy="check that it is an OpenWrt router")
