"""UniFi controllers: the clients of their sites, read from the Network application's own API (`stat/sta`).

The official Integration API has no byte counters at all (UniFi reference, §0 fact 8).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from exporter.model import Poll
from exporter.sources.base import SourceError
from exporter.sources.unifi.api import OF_ONE_SITE, Api
from exporter.sources.unifi.logins import LOGINS, Logins
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.sources.unifi.session import Session
from exporter.sources.unifi.settings import UnifiSettings
from exporter.sources.unifi.transport import BODY_LIMIT

__all__ = ["UnifiSettings", "UnifiSource"]

_log = logging.getLogger(__name__)


class UnifiSource:
    """One UniFi controller, of whatever flavour.

    `wall` is our clock (Unix seconds), `body_limit` caps each answer, in bytes, and `logins` knows which accounts have
    to wait; all sources of a process share it.
    """

    def __init__(
        self,
        settings: UnifiSettings,
        wall: Callable[[], float] = time.time,
        body_limit: int = BODY_LIMIT,
        logins: Logins = LOGINS,
    ) -> None:
        self._readings = Readings(settings.exclude)
        self._session = Session(settings, wall, body_limit, logins)
        self._api = Api(settings, self._session)
        self._failed: dict[str, str] = {}

    def poll(self) -> Poll:
        """Read the clients of all chosen sites. A site that fails costs only itself; raises SourceError if all do."""
        self._session.begin()
        names = [site.name for site in self._api.sites()]
        identity = self._api.identity(names[0])
        good: list[SiteClients] = []
        bad: Counter[str] = Counter()
        errors: dict[str, SourceError] = {}
        for name in names:
            try:
                clients = self._api.clients(name)
            except SourceError as error:
                errors[name] = error
                if error.reason not in OF_ONE_SITE:
                    break
            else:
                bad.update(clients.bad)
                good.append(SiteClients(name, clients.stations, clients.meter_at, clients.at))
        if not good:
            raise next(iter(errors.values()))
        self._report(errors)
        if len(good) < len(names):
            bad["site_failed"] = len(names) - len(good)
        return self._readings.poll(good, identity=identity, bad=bad.items())

    def close(self) -> None:
        """Log out and free the connections."""
        self._session.close()

    def _report(self, errors: dict[str, SourceError]) -> None:
        """Log what went wrong with single sites, once for as long as it stays the same."""
        failed = {site: str(error) for site, error in errors.items()}
        if failed != self._failed:
            for site, message in failed.items():
                _log.warning("site %r was not read: %s", site, message)
            self._failed = failed
