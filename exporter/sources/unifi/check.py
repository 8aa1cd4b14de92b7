"""Tries a UniFi controller out, step by step: reach, TLS, flavour, login, sites, rights, clients, clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from exporter.check import Finding, Level
from exporter.sources.base import Reason, SourceError
from exporter.sources.unifi.api import OF_ONE_SITE, Api, Clients, described
from exporter.sources.unifi.payload import Site
from exporter.sources.unifi.session import Session
from exporter.sources.unifi.settings import UnifiSettings
from exporter.sources.unifi.wire import shown_fingerprint

CLOCKS_APART: Final = 300.0
"""Seconds between two clocks that are worth a word."""

# Whatever was tried, these say where it failed.
_SUBJECTS: Final[dict[Reason, str]] = {
    "unreachable": "reach",
    "timeout": "reach",
    "tls": "TLS",
    "login": "login",
    "rate_limited": "login",
}


def check(name: str, settings: UnifiSettings, wall: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Try the controller of the source `name`. Ends with the first error that leaves nothing to go on with."""
    trial = _Trial(name, settings, wall)
    try:
        yield from trial.run()
    except SourceError as error:
        yield trial.failed(error)
    finally:
        trial.close()


class _Trial:
    def __init__(self, name: str, settings: UnifiSettings, wall: Callable[[], float]) -> None:
        self._name = name
        self._settings = settings
        self._session = Session(settings, wall)
        self._api = Api(settings, self._session)
        self._step = ""

    def run(self) -> Iterator[Finding]:
        self._session.begin()
        self._step = "reach"
        flavour = self._session.flavour()
        yield self._said("ok", f"a {flavour.name} answers at {self._settings.base}")
        yield self._trust()
        self._step = "login"
        self._session.open()
        if not self._settings.api_key:
            yield self._said("ok", f"{self._settings.username} is logged in")
        self._step = "sites"
        sites = self._api.sites()
        if self._settings.api_key:
            yield self._said("ok", "the api_key is accepted", subject="login")
        yield self._said("ok", f"{len(sites)} to read: {described(sites)}")
        self._step = "rights"
        yield self._rights(sites)
        self._step = "clients"
        clocks: list[Clients] = []
        for site in sites:
            yield self._clients(site, clocks)
        self._step = "clock"
        yield from (self._clock(clients) for clients in clocks[:1])

    def close(self) -> None:
        self._session.close()

    def failed(self, error: SourceError, about: str = "") -> Finding:
        remedy = error.remedy
        if error.reason == "tls" and self._settings.verify_tls and not self._settings.fingerprint:
            shown = shown_fingerprint(self._settings.base, self._settings.timeout)
            pin = f"compare it on the controller, and `bandwidth-exporter pin {self._name}` writes it down"
            remedy += f". The one it shows has fingerprint: {shown}; {pin}" if shown else ""
        if error.retry_after:
            remedy = f"wait {error.retry_after:.0f} s; {remedy}"
        subject = _SUBJECTS.get(error.reason, self._step)
        return Finding("error", subject, about + error.problem, remedy, self._name)

    def _said(self, level: Level, message: str, remedy: str = "", subject: str = "") -> Finding:
        return Finding(level, subject or self._step, message, remedy, self._name)

    def _trust(self) -> Finding:
        settings = self._settings
        if not settings.verify_tls:
            shown = shown_fingerprint(settings.base, settings.timeout) or "sha256:…"
            return self._said(
                "warning",
                "the certificate is not checked (verify_tls: false), so whoever is in between could read the password",
                f"write fingerprint: {shown} instead, once you have compared it on the controller",
                "TLS",
            )
        by = "`fingerprint`" if settings.fingerprint else "`ca_file`" if settings.ca_file else "this machine"
        return self._said("ok", f"the certificate is trusted by {by}", subject="TLS")

    def _rights(self, sites: list[Site]) -> Finding:
        if self._api.identity(sites[0].name) is None:
            return self._said(
                "warning",
                "the controller does not tell this account which one it is, so another one at the same url would not "
                "be noticed",
                "nothing has to be done for the counting; an account with view rights for the whole site may read it",
            )
        if any(site.role == "admin" for site in sites):
            return self._said(
                "warning", "this account may change the network", "give the exporter one that may only view"
            )
        return self._said("ok", "this account may read what is needed")

    def _clients(self, site: Site, clocks: list[Clients]) -> Finding:
        """What the site's clients came to. Trouble with one site alone does not keep from trying the next."""
        try:
            clients = self._api.clients(site.name)
        except SourceError as error:
            if error.reason not in OF_ONE_SITE:
                raise
            return self.failed(error, f"site {site.name!r}: ")
        clocks.append(clients)
        bad = sum(clients.bad.values())
        if bad:
            return self._said(
                "warning",
                f"{len(clients.stations)} connected at {site.name!r}, and {bad} records that cannot be read",
                "please report it, with the controller's version",
            )
        return self._said("ok", f"{len(clients.stations)} connected at {site.name!r}")

    def _clock(self, clients: Clients) -> Finding:
        if clients.meter_at is None:
            return self._said("warning", "the controller does not tell the time", "a proxy may have taken it away")
        apart = clients.meter_at - clients.at
        if abs(apart) < CLOCKS_APART:
            return self._said("ok", "the controller's agrees with this machine's")
        return self._said(
            "warning",
            f"the controller's is {abs(apart) / 60:.0f} min {'ahead of' if apart > 0 else 'behind'} this machine's",
            "no byte is lost by that, but set the one that is wrong: days and months begin by this machine's",
        )
