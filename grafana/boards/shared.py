"""What several dashboards show in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter import metrics
from exporter.metrics import Family
from grafana import names
from grafana.dashboard import CLIENT, WAN, Annotation
from grafana.panels import (
    BAR,
    BITS,
    BYTES,
    RATIO,
    UPLOADS,
    Column,
    Draw,
    Panel,
    Query,
    curves,
    days,
    link,
    of_field,
    table,
)
from grafana.promql import Vector, bits, calc, few_named, increase, matched, over, rate, scaled, select, top

CLIENT_KEYS: Final = {"name": "Client", "source": "Source", "site": "Site", "client": "Address"}
CLIENT_OF_ROW: Final = link(
    "This client",
    CLIENT,
    source="${__data.fields.Source}",
    site="${__data.fields.Site}",
    client="${__data.fields.Address}",
)
CLIENT_OF_SERIES: Final = link("This client", CLIENT, **of_field("source", "site", "client"))
WAN_OF_SERIES: Final = link("WAN and sites", WAN, **of_field("source", "site"))
CLIENT_IDENTITY: Final = ("instance", "source", "site", "client")
LINES = "{{source}} {{wan}}"

LANDED: Final = Annotation(
    "Bytes of a silence landed",
    calc(increase(select(metrics.SOURCE_GAPS), "$__rate_interval"), ">", 0),
    "{{source}} was not read for a while, or showed held series: the peak is no peak of traffic.",
    "purple",
)
LINE_DOWN: Final = Annotation("Line down", calc(select(metrics.WAN_UP), "==", 0), LINES, "red")

NO_LINE: Final = "No line is metered here: no gateway of the controller, or no interface of the router"
NO_CONTRACT: Final = "Write down under `wans` in the configuration what you pay for"
NO_RULES: Final = "Nothing yet. It needs the recording rules of prometheus/rules, and some minutes"
QUIET: Final = "No client has moved anything yet"

SHARE_BAR: Final = {**BAR, "max": 1, "color": {"mode": "fixed", "fixedColor": "blue"}}
"""A share that is neither good nor bad."""

SCOPES: Final = (
    "Of a controller (scope attached) that is traffic of clients, with what they send to each other; of a router "
    "(scope internet) it is routed traffic."
)
SHARE: Final = f"Share: of the bytes of all clients of the same source and site. {SCOPES}"


def both(download: Family, upload: Family, *matchers: str, window: str = "") -> Vector:
    """Bytes of both directions: a second, or in a window."""
    down, up = select(download, *matchers), select(upload, *matchers)
    if window:
        return calc(increase(down, window), "+", increase(up, window))
    return calc(rate(down), "+", rate(up))


def share_of_clients(part: Vector, *, window: str) -> Vector:
    """What part of the bytes that all clients of its source and site moved in a window it is."""
    whole = both(metrics.SITE_DOWNLOAD, metrics.SITE_UPLOAD, window=window)
    return matched(part, "/", calc(whole, ">", 0), ("job", "instance", "source", "site"), ())


def top_clients_now(count: int, *matchers: str) -> Panel:
    """Who moves most just now. Never a sum over sources: behind controller and router a client has two rows."""
    down, up = (select(family, *matchers) for family in (names.CLIENT_DOWNLOAD_RATE, names.CLIENT_UPLOAD_RATE))
    most = top(count, calc(calc(down, "+", up), ">", 0))
    return table(
        "Top clients now",
        "Who moved most in the last five minutes, download and upload together; a client that a controller and a "
        f"router both meter has a row for each. {SHARE}",
        CLIENT_KEYS,
        [
            Column("Rate", few_named(bits(most), metrics.CLIENT_INFO, *matchers), BITS, ("name",)),
            Column("Download", bits(matched(down, "and", most, CLIENT_IDENTITY)), BITS),
            Column("Upload", bits(matched(up, "and", most, CLIENT_IDENTITY)), BITS),
            Column("Share", share_of_clients(scaled(300, most), window="5m"), RATIO, shows=SHARE_BAR),
        ],
        f"{QUIET}. {NO_RULES}",
        order="Rate",
        links={"Client": CLIENT_OF_ROW},
    )


def top_clients_day(count: int, *matchers: str) -> Panel:
    """Who moved most in 24 hours."""
    most = top(count, calc(select(names.CLIENT_DAY, *matchers), ">", 0))
    return table(
        "Top clients in 24 hours",
        "Who moved most in the last 24 hours, download and upload together; a client that a controller and a router "
        f"both meter has a row for each. {SHARE}",
        CLIENT_KEYS,
        [
            Column("Moved", few_named(most, metrics.CLIENT_INFO, *matchers), BYTES, ("name",)),
            Column("Share", share_of_clients(most, window="1d"), RATIO, shows=SHARE_BAR),
        ],
        NO_RULES,
        order="Moved",
        links={"Client": CLIENT_OF_ROW},
    )


def line_rates() -> Panel:
    """Download and upload of every line, and what is paid for."""
    return curves(
        "Line rates",
        "What passes each line, download upward and upload downward; dashed: what is paid for, where the configuration "
        "says it. A line that two sources meter is drawn for each.",
        [
            Query(bits(rate(select(metrics.WAN_DOWNLOAD))), f"{LINES} download"),
            Query(bits(rate(select(metrics.WAN_UPLOAD))), f"{LINES} upload"),
            Query(bits(select(metrics.WAN_CONTRACT_DOWNLOAD)), f"{LINES} download paid for"),
            Query(bits(select(metrics.WAN_CONTRACT_UPLOAD)), f"{LINES} upload paid for"),
        ],
        BITS,
        NO_LINE,
        draw=Draw(below=UPLOADS, dashed=" paid for$"),
        links=[WAN_OF_SERIES],
    )


def ours(vector: Vector) -> Vector:
    """Of our exporters alone, also of one that is gone since today."""
    return matched(vector, "and", over("last_over_time", select(metrics.BUILD_INFO), "1d"), ("job", "instance"))


def line_shares() -> list[Query]:
    """What part of what is paid for each line uses, by its own counters."""
    down, up = (
        calc(rate(select(moved)), "/", calc(select(contract), ">", 0))
        for moved, contract in (
            (metrics.WAN_DOWNLOAD, metrics.WAN_CONTRACT_DOWNLOAD),
            (metrics.WAN_UPLOAD, metrics.WAN_CONTRACT_UPLOAD),
        )
    )
    return [Query(down, f"{LINES} down"), Query(up, f"{LINES} up")]


def whole_day(counter: Vector) -> Vector:
    """How much it grows in the day that begins with each point."""
    return increase(counter, "1d", "-1d")


def day_by_day(title: str, description: str, pairs: Sequence[tuple[Vector, str]], empty: str) -> Panel:
    """Bars for each day. pairs: bytes of `whole_day`, and how they are called."""
    queries = [Query(vector, legend) for vector, legend in pairs]
    text = (
        f"{description} By the day of your browser; the last bar is today so far. Prometheus has to reach back so far."
    )
    return days(title, text, queries, BYTES, empty)
