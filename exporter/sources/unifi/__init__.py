"""UniFi OS consoles: the clients of their sites, read from the Network application's own API (`stat/sta`).

The official Integration API has no byte counters at all (UniFi reference, §0 fact 8).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import quote

from exporter.model import Poll
from exporter.sources.base import SourceError
from exporter.sources.unifi import payload
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.sources.unifi.session import NETWORK, Session
from exporter.sources.unifi.settings import UnifiSettings
from exporter.sources.unifi.transport import BODY_LIMIT, Answer

__all__ = ["UnifiSettings", "UnifiSource"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

# Trouble with one site alone. Anything else meets every site, and asking on would only burn time and logins.
_OF_ONE_SITE = frozenset({"forbidden", "protocol", "too_large"})


class UnifiSource:
    """One UniFi OS console. `wall` is our clock (Unix seconds), `body_limit` caps each answer, in bytes."""

    def __init__(
        self, settings: UnifiSettings, wall: Callable[[], float] = time.time, body_limit: int = BODY_LIMIT
    ) -> None:
        self._settings = settings
        self._readings = Readings(settings.exclude)
        self._session = Session(settings, wall, body_limit)
        self._failed: dict[str, str] = {}

    def poll(self) -> Poll:
        """Read the clients of all chosen sites. A site that fails costs only itself; raises SourceError if all do."""
        self._session.begin()
        names = self._sites()
        identity = self._identity(names[0])
        good: list[SiteClients] = []
        bad: Counter[str] = Counter()
        errors: dict[str, SourceError] = {}
        for name in names:
            try:
                good.append(self._clients(name, bad))
            except SourceError as error:
                errors[name] = error
                if error.reason not in _OF_ONE_SITE:
                    break
        if not good:
            raise next(iter(errors.values()))
        self._report(errors)
        if len(good) < len(names):
            bad["site_failed"] = len(names) - len(good)
        return self._readings.poll(good, identity=identity, bad=bad.items())

    def close(self) -> None:
        """Log out and free the connections."""
        self._session.close()

    def _get(self, path: str, decode: Callable[[bytes], T]) -> tuple[Answer, T]:
        answer = self._session.get(path)
        try:
            return answer, decode(answer.body)
        except payload.PayloadError as error:
            url = self._settings.base + NETWORK + path
            raise SourceError("protocol", f"{url}: {error}; is the controller starting, or its version new?") from None

    def _sites(self) -> list[str]:
        """The short names to read. All that the account may see, or those of the settings if it may see them all."""
        _, existing = self._get("/api/self/sites", payload.sites)
        wanted = list(dict.fromkeys(self._settings.sites or existing))
        missing = [name for name in wanted if name not in existing]
        if missing or not wanted:
            raise SourceError(
                "forbidden",
                f"{self._settings.base}: no site {_listed(missing) or 'at all'} for this account; "
                f"it may see {_listed(existing) or 'none'} (short names, as in the console's address bar)",
            )
        return wanted

    def _identity(self, site: str) -> str | None:
        """Which controller this is. None where the account may not read that, which takes no view right away."""
        try:
            return self._get(f"/api/s/{quote(site, safe='')}/stat/sysinfo", payload.identity)[1]
        except SourceError as error:
            if error.reason in _OF_ONE_SITE:
                return None
            raise

    def _clients(self, site: str, bad: Counter[str]) -> SiteClients:
        answer, decoded = self._get(f"/api/s/{quote(site, safe='')}/stat/sta", payload.stations)
        bad.update(decoded.bad)
        return SiteClients(site, decoded.stations, _date(answer.headers.get("date", "")), answer.at)

    def _report(self, errors: dict[str, SourceError]) -> None:
        """Log what went wrong with single sites, once for as long as it stays the same."""
        failed = {site: str(error) for site, error in errors.items()}
        if failed != self._failed:
            for site, message in failed.items():
                _log.warning("site %r was not read: %s", site, message)
            self._failed = failed


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name[:80]) for name in names)


def _date(text: str) -> float | None:
    """An HTTP date as Unix seconds, None where it is absent or unreadable."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
