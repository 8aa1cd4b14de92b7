"""What a user may write, as frozen types. Durations are seconds here, and rates bytes per second."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from exporter.config.scalars import (
    Bool,
    Clients,
    Database,
    Hold,
    Intervals,
    Kept,
    Lifetime,
    Line,
    ListenAddress,
    Mac,
    Name,
    Often,
    QuotaName,
    Rate,
    RelativePath,
    Reset,
    Secret,
    Size,
    Text,
    Threshold,
    TimeZone,
    Way,
)
from exporter.config.sources import OfItsKind, Section, SourceEntry, about
from exporter.config.values import Listen, Wrong

DAY = 86_400.0


def _some(sources: tuple[SourceEntry, ...]) -> tuple[SourceEntry, ...]:
    # As a length this would also be missed where every source there is has an error of its own.
    if not sources:
        raise Wrong("is empty; write at least one source")
    return sources


class Web(Section):
    """Where the exporter is to be scraped."""

    listen: Annotated[
        ListenAddress,
        about(
            "Where http://…/metrics is served: `[::1]:10477` for IPv6, `0.0.0.0:10477` for the whole network. The "
            "environment variable BANDWIDTH_LISTEN goes before it.",
            '"[::1]:10477"',
        ),
    ] = Listen("127.0.0.1", 10477)
    config_file: Annotated[
        RelativePath | None,
        about("TLS and basic auth, in the format of Prometheus' own web configuration file.", "web.yml"),
    ] = None
    enable_lifecycle: Annotated[
        Bool, about("Whether `POST /-/reload` reads this file again, as SIGHUP does.", "true")
    ] = False


class Limits(Section):
    """How much of the page a source may take."""

    clients: Annotated[
        Clients,
        about(
            "How many clients of a source have series. The bytes of more are in the source's sum alone.",
            "5000",
        ),
    ] = 20_000


class Privacy(Section):
    """What is seen of people."""

    names: Annotated[
        Bool, about("Whether names and MAC addresses are shown, or pseudonyms everywhere but in the state.", "false")
    ] = True
    hash_mac: Annotated[
        Bool, about("Whether a keyed hash stands in place of each MAC address. It stays the same.", "true")
    ] = False


class KnownClient(Section):
    """What the user knows of a client better than the controller does. "" where nothing is said."""

    name: Annotated[Text, about("What the client is called.", "Kitchen laptop")] = ""
    owner: Annotated[Text, about("Whose it is.", "flat 3")] = ""
    category: Annotated[Text, about("What to group it by.", "tenants")] = ""


class Contract(Section):
    """What is paid for on a line. None where nothing is said."""

    download: Annotated[Rate | None, about("What the line is sold as, toward you.", "250Mbit/s")] = None
    upload: Annotated[Rate | None, about("What the line is sold as, from you.", "40Mbit/s")] = None


def _rising(thresholds: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(thresholds)) < len(thresholds):
        raise Wrong("holds the same share twice; write each once")
    return tuple(sorted(thresholds))


class Quota(Section):
    """What may be used in a period. One of `client`, `owner`, `category`, `wan`, `source` and `all` is set."""

    name: Annotated[
        QuotaName, about("The label `quota` of its metrics, and `period` of what it counts.", "Line at home")
    ]
    client: Annotated[Mac | None, about("Whose bytes count: those of a client.", '"02:aa:bb:cc:dd:01"')] = None
    owner: Annotated[Text | None, about("Those of all clients that have it under `clients`.", "flat 3")] = None
    category: Annotated[Text | None, about("Those of all clients that have it under `clients`.", "tenants")] = None
    wan: Annotated[Line | None, about("Those of a line, as `source/site/wan`.", "home/default/wan1")] = None
    source: Annotated[Name | None, about("Those of all clients of a source.", "home")] = None
    all: Annotated[
        Bool,
        about(
            "Those of all clients of all sources: of routers alone where there are routers, since a controller counts "
            "the same bytes again.",
            "true",
        ),
    ] = False
    reset: Annotated[
        Reset,
        about(
            "When it begins anew: a day of the month (the last one where the month is shorter), a day of the week, or "
            "`daily`.",
            "17",
        ),
    ] = "1"
    timezone: Annotated[
        TimeZone | None,
        about("By whose midnight it begins. Without it, by that of the file's own `timezone`.", "Asia/Kolkata"),
    ] = None
    count: Annotated[Way, about("Which way counts.", "download")] = "both"
    limit: Annotated[Size, about("How much may be used in a period.", "500GB")]
    thresholds: Annotated[
        tuple[Threshold, ...],
        AfterValidator(_rising),
        about("Shares of the limit that you want to be told of.", "[50%, 100%]"),
    ] = (0.75, 0.9, 1.0)


class Alerts(Section):
    """What you want to be told of: thresholds for the alerts of Prometheus. None where nothing is said."""

    client_download: Annotated[
        Rate | None, about("A client that downloads faster than this, for a while. Without it, none.", "100Mbit/s")
    ] = None
    client_upload: Annotated[
        Rate | None, about("A client that uploads faster than this, for a while. Without it, none.", "20Mbit/s")
    ] = None
    client_day: Annotated[
        Size | None, about("A client that moves more than this in 24 hours. Without it, none.", "50GB")
    ] = None
    wan_utilisation: Annotated[
        Threshold, about("A line that is used up to this share of what is paid for (`wans`).", "80%")
    ] = 0.9
    poll_duration: Annotated[Threshold, about("Polls that take this share of their interval.", "50%")] = 0.8
    stale_after: Annotated[Intervals, about("So many intervals in which no poll of a source succeeded.", "10")] = 5
    unusual: Annotated[
        Threshold, about("A client that moves this share of what it did in the same hour of past weeks.", "1000%")
    ] = 4.0
    unusual_from: Annotated[Size, about("In an hour with less than this nothing is unusual.", "5GB")] = 10**9
    resets: Annotated[
        Often, about("Restarts of counters in an hour, for each client of a source: a meter that flaps.", "10")
    ] = 3
    nlbwmon_rows: Annotated[Threshold, about("A router's table that is filled up to this share.", "80%")] = 0.9
    archive_lag: Annotated[Lifetime, about("An archive in PostgreSQL that is so far behind.", "6h")] = 3600.0


class Retention(Section):
    """How long history is kept, in seconds; infinite for ever."""

    five_minutes: Annotated[Kept, about("How long every five minutes are kept.", "30d")] = 14 * DAY
    hourly: Annotated[Kept, about("How long hours and events are kept: at least as long as `five_minutes`.", "2y")] = (
        400 * DAY
    )
    daily: Annotated[Kept, about("How long days are kept: at least as long as `hourly`.", "10y")] = math.inf


class Archive(Section):
    """Where history is kept. Without `url`, in the state file."""

    url: Annotated[
        Database | None,
        about("A PostgreSQL database. Without it, history is in the state file.", "postgresql://user@host/bandwidth"),
    ] = None
    password: Annotated[
        Secret | None, about("The database user's password, instead of one in `url`.", "${ARCHIVE_PASSWORD}")
    ] = None
    retention: Annotated[Retention, Field(description="How long history is kept.")] = Retention()


class Config(Section):
    """A whole configuration. `timezone` is None for the machine's own."""

    web: Annotated[Web, Field(description="Where the exporter is to be scraped, and by whom.")] = Web()
    state: Annotated[
        RelativePath,
        about(
            "The SQLite file with the totals. Keep it: without it they begin again from 0. The environment variable "
            "BANDWIDTH_STATE goes before it, as in the container.",
            "/var/lib/bandwidth.db",
        ),
    ] = Path("data/bandwidth.db")
    timezone: Annotated[
        TimeZone | None,
        about("Days and months begin by this clock. Without it, by the machine's.", "Europe/Berlin"),
    ] = None
    max_rate: Annotated[
        Rate,
        about("No meter is believed to be faster than this where the speed of its link is unknown.", "10Gbit/s"),
    ] = 12.5e9
    client_ttl: Annotated[
        Lifetime,
        about(
            "A client unseen for so long leaves /metrics. Its total stays in the state, and goes on when it is back.",
            "6h",
        ),
    ] = 3600.0
    new_series_hold: Annotated[
        Hold,
        about(
            "How long a new series stands at its first value for Prometheus to see it. At least twice the longest "
            "scrape interval.",
            "5m",
        ),
    ] = 120.0
    limits: Annotated[Limits, Field(description="How much of the page a source may take.")] = Limits()
    privacy: Annotated[Privacy, Field(description="What is seen of people.")] = Privacy()
    sources: Annotated[
        tuple[OfItsKind, ...],
        AfterValidator(_some),
        about(
            "What is polled: a list with at least one source.",
            "[{name: home, kind: unifi, url: https://192.168.1.1, api_key_file: key.txt}]",
        ),
    ]
    wans: Annotated[
        Mapping[Line, Contract],
        about(
            "What you pay for, line by line, under `source/site/wan`: the three labels of its metrics. Routers have no "
            "site: `attic//wan`.",
            "{home/default/wan1: {download: 250Mbit/s, upload: 40Mbit/s}}",
        ),
    ] = {}
    clients: Annotated[
        Mapping[Mac, KnownClient],
        about(
            "What you know better than the controller or router does, under the client's MAC address.",
            '{"02:aa:bb:cc:dd:01": {name: Kitchen laptop}}',
        ),
    ] = {}
    quotas: Annotated[
        tuple[Quota, ...],
        about(
            "What may be used in a period, by whom. [quotas.md](quotas.md) tells how it is counted.",
            "[{name: Line at home, wan: home/default/wan1, reset: 17, limit: 500GB}]",
        ),
    ] = ()
    alerts: Annotated[
        Alerts, Field(description="What you want to be told of. The rules of Prometheus compare with these values.")
    ] = Alerts()
    archive: Annotated[Archive, Field(description="Where history is kept, and for how long.")] = Archive()
