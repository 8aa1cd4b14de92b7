"""UniFi controllers, read from the Network application's own API: clients (`stat/sta`) and equipment (`stat/device`).

The official Integration API has no byte counters at all (UniFi reference, §0 fact 8).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from exporter.model import Poll
from exporter.sources.base import SourceError
from exporter.sources.unifi.api import OF_ONE_SITE, Api
from exporter.sources.unifi.gear import KINDS, SiteDevices, beside, gather
from exporter.sources.unifi.logins import LOGINS, Logins
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.sources.unifi.session import Session
from exporter.sources.unifi.settings import UnifiSettings
from exporter.sources.unifi.transport import BODY_LIMIT

__all__ = ["UnifiSettings", "UnifiSource"]

REFUSED_FOR: Final = 20
"""Polls without equipment after a login did not open it. Trying again each time would burn the logins of clients."""

T = TypeVar("T")

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
        self._exclude = settings.exclude
        self._gear = settings.collect & KINDS.keys()
        self._stations = bool(settings.collect - KINDS.keys())
        self._readings = Readings(settings.exclude, settings.collect)
        self._session = Session(settings, wall, body_limit, logins)
        self._api = Api(settings, self._session)
        self._refused = 0  # polls for which equipment is not asked for
        self._failed: dict[str, str] = {}

    def poll(self) -> Poll:
        """Read what is to be collected of all chosen sites.

        A site that fails costs only itself, and equipment that cannot be read costs no clients. Raises SourceError
        where no clients could be read at all, or, where none are collected, no equipment.
        """
        self._session.begin()
        names = [site.name for site in self._api.sites()]
        identity = self._api.identity(names[0])
        errors: dict[str, SourceError] = {}
        poll = self._poll_clients(names if self._stations else [], identity, errors)
        if self._gear:
            poll = self._with_gear(poll, names, errors)
        self._report(errors)
        return poll

    def close(self) -> None:
        """Log out and free the connections."""
        self._session.close()

    def _poll_clients(self, names: Sequence[str], identity: str | None, errors: dict[str, SourceError]) -> Poll:
        answers = _each(names, self._api.clients, "site {!r} was", errors)
        if names and not answers:
            raise next(iter(errors.values()))
        bad: Counter[str] = Counter()
        for clients in answers.values():
            bad.update(clients.bad)
        if len(answers) < len(names):
            bad["site_failed"] = len(names) - len(answers)
        sites = [SiteClients(name, of.stations, of.meter_at, of.at) for name, of in answers.items()]
        return self._readings.poll(sites, identity=identity, bad=bad.items())

    def _with_gear(self, poll: Poll, names: Sequence[str], errors: dict[str, SourceError]) -> Poll:
        """The poll with the equipment. That is asked for last, so that it can take no client's time."""
        self._refused = max(0, self._refused - 1)
        asked = [] if self._refused else names
        answers = _each(asked, self._api.devices, "the equipment of site {!r} was", errors)
        if not answers and not self._stations:
            raise next(iter(errors.values()))
        if any(error.reason == "login" for error in errors.values()):
            self._refused = REFUSED_FOR
        sites = [SiteDevices(name, of.devices) for name, of in answers.items()]
        found = gather(sites, collect=self._gear, exclude=self._exclude)
        for of in answers.values():
            found.bad.update(of.bad)
        if len(answers) < len(names):
            found.bad["gear_failed"] = len(names) - len(answers)
        return beside(poll, found)

    def _report(self, errors: dict[str, SourceError]) -> None:
        """Log what went wrong with a part of the poll, once for as long as it stays the same."""
        failed = {what: str(error) for what, error in errors.items()}
        if failed != self._failed:
            for what, message in failed.items():
                _log.warning("%s not read: %s", what, message)
            self._failed = failed


def _each(names: Sequence[str], ask: Callable[[str], T], what: str, errors: dict[str, SourceError]) -> dict[str, T]:
    """The answers for these sites. What fails is put into `errors`, and ends it where the next would fail as well."""
    answers: dict[str, T] = {}
    for name in names:
        try:
            answers[name] = ask(name)
        except SourceError as error:
            errors[what.format(name)] = error
            if error.reason not in OF_ONE_SITE:
                break
    return answers
