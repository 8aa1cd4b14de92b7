"""From what a user wrote to what the parts take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, overload

from exporter import metrics
from exporter.accounting.periods import Cycle
from exporter.accounting.quotas import Quota
from exporter.metrics import Family
from exporter.model import Contract
from exporter.naming import People, Person
from exporter.runtime import SourceFacts
from exporter.store.postgres.target import Target

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from pydantic import SecretStr

    from exporter.config import Config, NlbwmonSource, SourceEntry, UnifiSource
    from exporter.config.schema import Alerts
    from exporter.config.schema import Quota as QuotaEntry
    from exporter.sources.nlbwmon import NlbwmonSettings
    from exporter.sources.unifi import UnifiSettings

SCOPES: Final[Mapping[str, str]] = {"unifi": "attached", "nlbwmon": "internet"}
"""What each kind of source meters; the label `scope` of bandwidth_source_info."""

Thresholds = Mapping[Family, float | None]
"""Gauges without labels; None: not set."""


@overload
def settings_of(entry: UnifiSource) -> UnifiSettings: ...
@overload
def settings_of(entry: NlbwmonSource) -> NlbwmonSettings: ...
def settings_of(entry: SourceEntry) -> UnifiSettings | NlbwmonSettings:
    """How the source reaches what it polls."""
    return _unifi(entry) if entry.kind == "unifi" else _nlbwmon(entry)


def facts_of(config: Config, entry: SourceEntry) -> SourceFacts:
    """What does not change while the source is configured."""
    return SourceFacts(
        entry.name,
        entry.kind,
        SCOPES[entry.kind],
        entry.interval,
        entry.max_rate or config.max_rate,
        _contracts(config, entry.name),
        config.limits.clients,
    )


def people_of(config: Config) -> People:
    """Who the clients are, by MAC."""
    return {mac: Person(who.name, who.owner, who.category) for mac, who in config.clients.items()}


def quotas_of(config: Config, zone: ZoneInfo) -> tuple[Quota, ...]:
    """What may be used in a period. zone: by whose midnight days begin where a quota does not say."""
    return tuple(_quota(entry, entry.timezone or zone) for entry in config.quotas)


def _quota(entry: QuotaEntry, zone: ZoneInfo) -> Quota:
    scope, subject = "all", ""
    for key in ("client", "owner", "category", "wan", "source"):
        written = getattr(entry, key)
        if written is not None:
            scope, subject = key, written.strip()
    source = site = ""
    if scope == "wan":
        source, site, subject = subject.split("/")
    elif scope == "source":
        source, subject = subject, ""
    cycle = Cycle(entry.reset, zone)
    return Quota(entry.name, scope, cycle, entry.limit, source, site, subject, entry.count, entry.thresholds)


def thresholds_of(alerts: Alerts) -> Thresholds:
    """What the rules of Prometheus compare with: bytes, bytes per second, seconds, shares and counts."""
    return {
        metrics.THRESHOLD_CLIENT_DOWNLOAD: alerts.client_download,
        metrics.THRESHOLD_CLIENT_UPLOAD: alerts.client_upload,
        metrics.THRESHOLD_CLIENT_DAY: alerts.client_day,
        metrics.THRESHOLD_WAN_UTILISATION: alerts.wan_utilisation,
        metrics.THRESHOLD_POLL_DURATION: alerts.poll_duration,
        metrics.THRESHOLD_STALE: alerts.stale_after,
        metrics.THRESHOLD_UNUSUAL: alerts.unusual,
        metrics.THRESHOLD_UNUSUAL_BYTES: alerts.unusual_from,
        metrics.THRESHOLD_RESETS: alerts.resets,
        metrics.THRESHOLD_ROWS: alerts.nlbwmon_rows,
        metrics.THRESHOLD_ARCHIVE_LAG: alerts.archive_lag,
    }


def _contracts(config: Config, source: str) -> tuple[Contract, ...]:
    lines = [(key.split("/"), contract) for key, contract in config.wans.items()]
    return tuple(
        Contract(site, wan, contract.download, contract.upload)
        for (name, site, wan), contract in lines
        if name == source
    )


def target_of(config: Config) -> Target | None:
    """The PostgreSQL that is fed, None where there is none."""
    archive = config.archive
    return None if archive.url is None else Target(archive.url.get_secret_value(), _revealed(archive.password))


# Either kind is imported where it is configured: paramiko alone takes longer than all of ours.


def _unifi(entry: UnifiSource) -> UnifiSettings:
    from exporter.sources.unifi import UnifiSettings

    return UnifiSettings(
        url=entry.url,
        username=entry.username or "",
        password=_revealed(entry.password),
        api_key=_revealed(entry.api_key),
        sites=entry.sites,
        timeout=entry.timeout,
        verify_tls=entry.verify_tls,
        ca_file=str(entry.ca_file or ""),
        fingerprint=entry.fingerprint or "",
        collect=entry.collect,
        exclude=entry.exclude,
    )


def _nlbwmon(entry: NlbwmonSource) -> NlbwmonSettings:
    from exporter.sources.nlbwmon import NlbwmonSettings

    return NlbwmonSettings(
        host=entry.host,
        known_hosts=str(entry.known_hosts),
        port=entry.port,
        username=entry.username,
        password=_revealed(entry.password),
        key_file=str(entry.key_file or ""),
        passphrase=_revealed(entry.passphrase),
        timeout=entry.timeout,
        protocols=entry.protocols,
        exclude=entry.exclude,
    )


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
