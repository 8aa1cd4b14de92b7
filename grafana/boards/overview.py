"""Overview: the line now, today and this month, who uses it, what changed, and how quotas stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from exporter import metrics
from exporter.metrics import Family
from grafana import names
from grafana.boards.quotas import quota_bars, quota_table
from grafana.boards.shared import (
    CLIENT_KEYS,
    CLIENT_OF_ROW,
    CLIENT_OF_SERIES,
    LANDED,
    LINE_DOWN,
    LINES,
    NO_CONTRACT,
    NO_LINE,
    NO_RULES,
    QUIET,
    WAN_OF_SERIES,
    line_rates,
    line_shares,
    ours,
    top_clients_day,
    top_clients_now,
)
from grafana.dashboard import OVERVIEW, SELECTION, Dashboard, Variable, clients
from grafana.panels import (
    AGO,
    BITS,
    BYTES,
    COUNT,
    RATIO,
    SECONDS,
    UP_OR_DOWN,
    Column,
    Panel,
    Query,
    Row,
    curves,
    gauges,
    stat,
    table,
)
from grafana.promql import (
    Vector,
    aggregate,
    before,
    bits,
    calc,
    few_named,
    joined,
    month_before,
    named,
    over,
    rate,
    scaled,
    select,
    top,
)

_PICKED = 'client=~"$client"'
_TOP = Variable(
    "top",
    "Top clients",
    f"query_result({top(10, aggregate('max', ('client',), select(names.CLIENT_HOUR, _PICKED))).text})",
    '/client="([^"]+)"/',
    every=None,
    hidden=True,
    listed=True,
)
_SUBJECT: Final = {"subject": "Line", "source": "Source", "site": "Site"}


def _period(family: Family, scope: str, period: str) -> Vector:
    return select(family, f'scope="{scope}"', f'period="{period}"')


def _so_far(scope: str, period: str, back: Callable[[Vector], Vector]) -> tuple[Vector, Vector, Vector, Vector]:
    """Down, up, both so long ago, and by how much it is more now."""
    down, up = _period(metrics.PERIOD_DOWNLOAD, scope, period), _period(metrics.PERIOD_UPLOAD, scope, period)
    then = calc(back(down), "+", back(up))
    change = calc(calc(calc(down, "+", up), "/", calc(then, ">", 0)), "-", 1)
    return down, up, then, change


def _against(scope: str, title: str, description: str, keys: dict[str, str], empty: str) -> Panel:
    today = _so_far(scope, "today", lambda gauge: before(gauge, "1d"))
    month = _so_far(scope, "month", month_before)
    return table(
        title,
        f"{description} By the days and months of the exporter's time zone, from its own accounts. Before: yesterday "
        "and last month up to the same day and hour; no column where Prometheus does not reach back so far.",
        keys,
        [
            Column("Today down", today[0], BYTES),
            Column("Today up", today[1], BYTES),
            Column("Yesterday by now", today[2], BYTES),
            Column("vs yesterday", today[3], RATIO, shows={"decimals": 0}),
            Column("Month down", month[0], BYTES),
            Column("Month up", month[1], BYTES),
            Column("Last month by now", month[2], BYTES),
            Column("vs last month", month[3], RATIO, shows={"decimals": 0}),
        ],
        empty,
        order="Month down",
    ).sized(24, 5)


_DOWN = rate(select(metrics.WAN_DOWNLOAD))
_UP = rate(select(metrics.WAN_UPLOAD))

_FIRING = joined(ours(select(names.ALERTS, 'alertstate="firing"', everything=True)), "whose", "name", "wan", "quota")
"""Alerts of our own rules, also where the exporter is gone. One is of a client or device, of a line or of a quota."""


def _new_clients() -> Vector:
    seen = select(metrics.CLIENT_FIRST_SEEN, _PICKED)
    return few_named(scaled(1000, calc(seen, ">", "time() - $__range_s")), metrics.CLIENT_INFO, _PICKED)


BOARD: Final = Dashboard(
    OVERVIEW,
    "Bandwidth: Overview",
    "Who uses the line, now, today and this month; what changed, and how quotas stand.",
    [
        stat(
            "Download now",
            "What comes over each line, by its gateway's counters. A line that two sources meter is shown for each.",
            [Query(bits(_DOWN), LINES)],
            BITS,
            NO_LINE,
            defaults={"links": [WAN_OF_SERIES]},
        ).of_now(),
        stat(
            "Upload now",
            "What goes over each line, by its gateway's counters. A line that two sources meter is shown for each.",
            [Query(bits(_UP), LINES)],
            BITS,
            NO_LINE,
            defaults={"links": [WAN_OF_SERIES]},
        ).of_now(),
        gauges(
            "Share of what is paid for",
            "How much of the line's contract is used just now, by direction. A share of the line, not of its port.",
            line_shares(),
            RATIO,
            NO_CONTRACT,
            highest=1,
        ).of_now(),
        stat(
            "Lines",
            "Whether each line is up, as its gateway says.",
            [Query(select(metrics.WAN_UP), LINES)],
            COUNT,
            NO_LINE,
            history=False,
            defaults={"mappings": [UP_OR_DOWN], "links": [WAN_OF_SERIES]},
        ),
        line_rates().sized(24, 9),
        _against("wan", "Lines today and this month", "Bytes of each line.", _SUBJECT, NO_LINE),
        _against(
            "source",
            "Clients today and this month",
            "Bytes of all clients of each source and site together. Of a controller that includes what they send to "
            "each other, so it is no share of the line.",
            {"source": "Source", "site": "Site"},
            QUIET,
        ),
        Row(
            "Who",
            (
                top_clients_now(10, _PICKED),
                top_clients_day(10, _PICKED),
                curves(
                    "Top clients over time",
                    "Download of the ten who moved most in the last hour. It needs the recording rules to know them.",
                    [
                        Query(
                            named(
                                bits(rate(select(metrics.CLIENT_DOWNLOAD_BYTES, 'client=~"$top"'))),
                                metrics.CLIENT_INFO,
                                'client=~"$top"',
                            ),
                            "{{name}} ({{source}})",
                        )
                    ],
                    BITS,
                    NO_RULES,
                    links=[CLIENT_OF_SERIES],
                ).sized(24, 9),
            ),
        ),
        Row(
            "What changed",
            (
                table(
                    "New clients",
                    "Clients that the exporter saw for the first time in the chosen time.",
                    CLIENT_KEYS,
                    [Column("First seen", _new_clients(), AGO, ("name",))],
                    "None",
                    order="First seen",
                    links={"Client": CLIENT_OF_ROW},
                ).sized(12, 6),
                table(
                    "Devices that started again",
                    "Access points, switches and gateways that started in the chosen time.",
                    {"name": "Device", "source": "Source", "site": "Site", "device": "Address"},
                    [
                        Column(
                            "Up for",
                            named(calc(select(metrics.DEVICE_UPTIME), "<", "$__range_s"), metrics.DEVICE_INFO),
                            SECONDS,
                            ("name",),
                        )
                    ],
                    "None",
                ).sized(12, 6),
                table(
                    "Lines that went down or came back",
                    "How often each line changed between up and down in the chosen time.",
                    {"wan": "Line", "source": "Source", "site": "Site"},
                    [Column("Changes", calc(over("changes", select(metrics.WAN_UP), "$__range"), ">", 0), COUNT)],
                    "None",
                ).sized(12, 6),
                table(
                    "Alerts",
                    "Alerts that fire now, and the client, device, line or quota that each is about. They come from "
                    "prometheus/rules.",
                    {"alertname": "Alert", "severity": "Severity", "whose": "Whose", "source": "Source"},
                    [Column("", _FIRING)],
                    "None",
                ).sized(12, 6),
            ),
        ),
        Row("Quotas", (quota_bars(), quota_table())),
    ],
    variables=(*SELECTION, clients(), _TOP),
    annotations=(LINE_DOWN, LANDED),
)
