"""Owner: somebody's clients together, and each of them."""

from __future__ import annotations

from typing import Final

from exporter import metrics
from exporter.metrics import Family
from grafana.boards.client import PICKED, client_days, client_protocols, client_rates
from grafana.boards.shared import (
    CLIENT_KEYS,
    CLIENT_OF_ROW,
    LANDED,
    SCOPES,
    SHARE,
    SHARE_BAR,
    both,
    day_by_day,
    whole_day,
)
from grafana.dashboard import OWNER, SELECTION, Dashboard, Variable, clients
from grafana.panels import BITS, BYTES, MIRRORED, RATIO, Column, Panel, Query, Row, curves, stat, table
from grafana.promql import Vector, aggregate, bits, calc, matched, named, named_at_end, rate, select

NO_OWNER: Final = "No owner: write down under `clients` in the configuration whose a client is"
_OWNED: Final = 'owner=~"$owner"'
_OWNERS: Final = select(metrics.CLIENT_INFO, 'owner=~".+"')
_VARIABLE: Final = Variable("owner", "Owner", f"label_values({_OWNERS.text}, owner)", every=None)
WHOSE: Final = "{{owner}} ({{source}})"
_SOURCE: Final = ("instance", "source")
_pair = (metrics.CLIENT_DOWNLOAD_BYTES, metrics.CLIENT_UPLOAD_BYTES)


def _by_owner(vector: Vector) -> Vector:
    owned = named(vector, metrics.CLIENT_INFO, PICKED, _OWNED, bring=("owner",))
    return aggregate("sum", ("instance", "source", "owner"), owned)


def _rate(family: Family) -> Vector:
    return bits(_by_owner(rate(select(family, PICKED))))


def _share() -> Vector:
    """Of a source, as an owner's clients may be on several of its sites."""
    whole = aggregate("sum", _SOURCE, both(metrics.SITE_DOWNLOAD, metrics.SITE_UPLOAD, window="$__range"))
    return matched(_by_owner(both(*_pair, PICKED, window="$__range")), "/", calc(whole, ">", 0), _SOURCE, ())


def _days(family: Family) -> Vector:
    owned = named_at_end(
        whole_day(select(family, PICKED)), metrics.CLIENT_INFO, "14d", PICKED, _OWNED, bring=("owner",)
    )
    return aggregate("sum", ("instance", "source", "owner"), owned)


def _accounts(title: str, period: str, before: str) -> Panel:
    chosen = (f'period="{period}"', 'scope="owner"', 'subject=~"$owner"')
    down, up = select(metrics.PERIOD_DOWNLOAD, *chosen), select(metrics.PERIOD_UPLOAD, *chosen)
    sources = (f'period="{period}"', 'scope="source"')
    whole = calc(select(metrics.PERIOD_DOWNLOAD, *sources), "+", select(metrics.PERIOD_UPLOAD, *sources))
    by_source = ("instance", "source", "site")
    share = matched(calc(down, "+", up), "/", calc(aggregate("max", by_source, whole), ">", 0), by_source, ())
    return table(
        title,
        f"Bytes of the chosen owners {before}, as they were credited when they moved, by the exporter's own accounts. "
        f"{SHARE}",
        {"subject": "Owner", "source": "Source", "site": "Site"},
        [
            Column("Download", down, BYTES),
            Column("Upload", up, BYTES),
            Column("Share", share, RATIO, shows=SHARE_BAR),
        ],
        NO_OWNER,
        order="Download",
    ).sized(12, 7)


BOARD: Final = Dashboard(
    OWNER,
    "Bandwidth: Owner",
    "What somebody's clients move together, and each of them. Sources are never added up.",
    [
        stat(
            "Download",
            "What the clients of each chosen owner download just now, by source.",
            [Query(_rate(metrics.CLIENT_DOWNLOAD_BYTES), WHOSE)],
            BITS,
            NO_OWNER,
        ).of_now(),
        stat(
            "Upload",
            "What the clients of each chosen owner upload just now, by source.",
            [Query(_rate(metrics.CLIENT_UPLOAD_BYTES), WHOSE)],
            BITS,
            NO_OWNER,
        ).of_now(),
        stat(
            "Share of all clients",
            "What part of the bytes of all clients of the same source, in the chosen sites, was theirs in the time "
            f"range. {SCOPES}",
            [Query(_share(), WHOSE)],
            RATIO,
            NO_OWNER,
            history=False,
        ).sized(12, 5),
        curves(
            "Rates by owner",
            "What the clients of each owner move together, download upward and upload downward; by source, as a "
            "client that two sources meter would count twice.",
            [
                Query(_rate(metrics.CLIENT_DOWNLOAD_BYTES), f"{WHOSE} download"),
                Query(_rate(metrics.CLIENT_UPLOAD_BYTES), f"{WHOSE} upload"),
            ],
            BITS,
            NO_OWNER,
            draw=MIRRORED,
        ).sized(24, 9),
        _accounts("Today", "today", "since midnight"),
        _accounts("This month", "month", "since the month began"),
        day_by_day(
            "Day by day by owner",
            "Bytes that their clients of today moved on each of the last 14 days.",
            [
                (_days(metrics.CLIENT_DOWNLOAD_BYTES), f"{WHOSE} download"),
                (_days(metrics.CLIENT_UPLOAD_BYTES), f"{WHOSE} upload"),
            ],
            NO_OWNER,
        ),
        table(
            "Clients",
            "The clients of the chosen owners, and what they moved in the time range.",
            {"owner": "Owner", **CLIENT_KEYS},
            [
                Column(
                    "Moved",
                    named(
                        both(*_pair, PICKED, window="$__range"),
                        metrics.CLIENT_INFO,
                        PICKED,
                        _OWNED,
                        bring=("name", "owner"),
                    ),
                    BYTES,
                ),
            ],
            NO_OWNER,
            order="Moved",
            links={"Client": CLIENT_OF_ROW},
        ),
        Row("Each client", (client_rates(), client_days(), client_protocols())),
    ],
    variables=(*SELECTION, _VARIABLE, clients(_OWNED, every=None, listed=True)),
    annotations=(LANDED,),
)
