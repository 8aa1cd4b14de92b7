"""What is asked of the Network application, and what is made of its answers before readings come of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from exporter.sources.base import SourceError
from exporter.sources.unifi import device_payload, payload
from exporter.sources.unifi.device_payload import Devices
from exporter.sources.unifi.payload import Site, Station
from exporter.sources.unifi.session import Session
from exporter.sources.unifi.settings import UnifiSettings
from exporter.sources.unifi.transport import Answer

T = TypeVar("T")

OF_ONE_SITE = frozenset({"forbidden", "protocol", "too_large"})
"""Trouble with one site alone. Anything else meets every site, and asking on would only burn time and logins."""


class Clients(NamedTuple):
    """A site's clients. bad: skipped records by reason. meter_at, at: the controller's clock and ours, then."""

    stations: list[Station]
    bad: dict[str, int]
    meter_at: float | None
    at: float


class Api:
    """The questions to one controller. Each raises SourceError."""

    def __init__(self, settings: UnifiSettings, session: Session) -> None:
        self._settings = settings
        self._session = session

    def sites(self) -> list[Site]:
        """The sites to read: all that the account may see, or those of the settings if it may see them all."""
        _, existing = self._get("/api/self/sites", payload.sites)
        by_name = {site.name: site for site in existing}
        wanted = dict.fromkeys(self._settings.sites or by_name)
        missing = [name for name in wanted if name not in by_name]
        if missing:
            raise SourceError(
                "forbidden",
                f"{self._settings.base}: no site {_listed(missing)} for this account; it may see "
                f"{described(existing) or 'none'}",
                remedy="write short names in `sites`, as in the address bar of the controller's pages",
            )
        if not wanted:
            raise SourceError(
                "forbidden",
                f"{self._settings.base}: this account may see no site at all",
                remedy="give it view rights for Network and its sites",
            )
        return [by_name[name] for name in wanted]

    def identity(self, site: str) -> str | None:
        """Which controller this is. None where the account may not read that, which takes no view right away."""
        try:
            return self._get(_of_site(site, "stat/sysinfo"), payload.identity)[1]
        except SourceError as error:
            if error.reason in OF_ONE_SITE:
                return None
            raise

    def clients(self, site: str) -> Clients:
        """The clients that are connected at a site."""
        answer, decoded = self._get(_of_site(site, "stat/sta"), payload.stations)
        return Clients(decoded.stations, decoded.bad, _date(answer.headers.get("date", "")), answer.at)

    def devices(self, site: str) -> Devices:
        """The controller's own equipment at a site."""
        return self._get(_of_site(site, "stat/device"), device_payload.devices)[1]

    def _get(self, path: str, decode: Callable[[bytes], T]) -> tuple[Answer, T]:
        answer = self._session.get(path)
        try:
            return answer, decode(answer.body)
        except payload.PayloadError as error:
            raise SourceError(
                "protocol",
                f"{self._session.url(path)}: {error}",
                remedy="wait if the controller is starting; if it stays so, its version may be too new for this one",
            ) from None


def described(sites: Iterable[Site]) -> str:
    """Sites as a person knows them: the short name, and what they are called."""
    return ", ".join(f"{site.name[:80]!r}" + (f" ({site.desc[:80]})" if site.desc else "") for site in sites)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:80]) for name in names)


def _of_site(site: str, what: str) -> str:
    return f"/api/s/{quote(site, safe='')}/{what}"


def _date(text: str) -> float | None:
    """An HTTP date as Unix seconds, None where it is absent or unreadable."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
