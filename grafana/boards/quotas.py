"""Quotas and billing: how they stand, when they will be passed; months and percentiles from PostgreSQL."""

from __future__ import annotations

from typing import Final

from exporter import metrics
from grafana import names
from grafana.boards.shared import NO_LINE, NO_RULES
from grafana.dashboard import QUOTAS, SELECTION, SQL, Dashboard
from grafana.panels import (
    BITS,
    BYTES,
    FULLNESS,
    MOMENT,
    RATIO,
    Column,
    Draw,
    Panel,
    Query,
    Row,
    curves,
    gauges,
    sql_table,
    table,
)
from grafana.promql import Vector, age, bits, calc, matched, percentile, scaled, select

NO_QUOTA: Final = "No quota: write down under `quotas` in the configuration what may be used"
NO_SQL: Final = "Nothing yet. It needs `archive.url`, and a data source for that PostgreSQL"

_USED = select(metrics.QUOTA_USED)
_PROJECTED = select(metrics.QUOTA_PROJECTED)
_START = select(metrics.QUOTA_PERIOD_START)
_END = select(metrics.QUOTA_PERIOD_END)


def _passed_at() -> Vector:
    """When the mean of the period so far crosses the limit, where that is before its end."""
    crossing = calc(_START, "+", calc(age(_START), "/", calc(_USED, ">", 0)))
    return matched(scaled(1000, crossing), "and", calc(_PROJECTED, ">", 1), ("job", "instance", "quota"))


def quota_bars() -> Panel:
    """What is used of each quota."""
    return gauges(
        "Quotas",
        "What was used of each quota in its period, as a share of its limit.",
        [Query(_USED, "{{quota}}")],
        RATIO,
        NO_QUOTA,
        highest=1,
    ).sized(8, 8)


def quota_table() -> Panel:
    """How each quota stands."""
    return table(
        "How quotas stand",
        "What is used and, at the mean rate of the period so far, what will have been used at its end and when the "
        "limit is passed. In the first twentieth of a period nothing is projected.",
        {"quota": "Quota"},
        [
            Column("Limit", select(metrics.QUOTA_LIMIT), BYTES),
            Column("Used", calc(select(metrics.QUOTA_LIMIT), "*", _USED), BYTES),
            Column("Share of limit", _USED, RATIO, shows=FULLNESS),
            Column("Projected", _PROJECTED, RATIO, shows={"decimals": 0}),
            Column("Passed on", _passed_at(), MOMENT),
            Column("Began", scaled(1000, _START), MOMENT),
            Column("Ends", scaled(1000, _END), MOMENT),
        ],
        NO_QUOTA,
        order="Share of limit",
    ).sized(16, 8)


_MONTHS = """SELECT exporter AS "Exporter", month AS "Month", source AS "Source", site AS "Site", subject AS "Line",
    download AS "Download", upload AS "Upload", download + upload AS "Both"
FROM v_usage_month
WHERE kind = 'wan' AND class = 'all' AND source ~ '^(${source:regex})$' AND site ~ '^(${site:regex})$'
ORDER BY month DESC, exporter, source, site, subject LIMIT 200"""

_DAYS = """SELECT exporter AS "Exporter", date AS "Day", source AS "Source", site AS "Site", subject AS "Line",
    download AS "Download", upload AS "Upload", download + upload AS "Both"
FROM v_usage_daily
WHERE kind = 'wan' AND class = 'all' AND source ~ '^(${source:regex})$' AND site ~ '^(${site:regex})$'
    AND day >= $__unixEpochFrom() / 86400 AND day <= $__unixEpochTo() / 86400
ORDER BY date DESC, exporter, source, site, subject LIMIT 1000"""

_TOP = """SELECT exporter AS "Exporter", month AS "Month", source AS "Source", rank AS "Rank", client AS "Address",
    download AS "Download", upload AS "Upload", share AS "Share of clients"
FROM v_top_clients
WHERE month = to_char(to_timestamp($__unixEpochTo()), 'YYYY-MM') AND rank <= 20
    AND source ~ '^(${source:regex})$' AND site ~ '^(${site:regex})$'
ORDER BY exporter, source, rank LIMIT 200"""

_OWNERS = """SELECT exporter AS "Exporter", month AS "Month", source AS "Source", kind AS "Kind", subject AS "Whose",
    download AS "Download", upload AS "Upload", download + upload AS "Both"
FROM v_usage_month
WHERE kind IN ('owner', 'category') AND class = 'all' AND source ~ '^(${source:regex})$' AND site ~ '^(${site:regex})$'
ORDER BY month DESC, exporter, source, kind, download + upload DESC LIMIT 200"""

_UNITS: Final = {"Download": BYTES, "Upload": BYTES, "Both": BYTES, "Share of clients": RATIO}

BOARD: Final = Dashboard(
    QUOTAS,
    "Bandwidth: Quotas and billing",
    "How quotas stand and when they will be passed; the 95th percentile; months, days and owners from PostgreSQL.",
    [
        quota_bars(),
        quota_table(),
        curves(
            "Quotas over time",
            "What was used of each quota, as a share of its limit. It falls to 0 where a period begins.",
            [Query(_USED, "{{quota}}"), Query(_PROJECTED, "{{quota}} projected")],
            RATIO,
            NO_QUOTA,
            draw=Draw(dashed="projected"),
        ).sized(12, 8),
        table(
            "95th percentile of the lines",
            "The rate that each line was below for 95 % of the chosen time, over its last five minutes at every moment "
            "that Prometheus has. Outages of the exporter are left out. For a bill take `bandwidth-exporter report`, "
            "which cuts time into bins as providers do, and says what it cannot know.",
            {"wan": "Line", "source": "Source", "site": "Site"},
            [
                Column("Download", bits(percentile(0.95, select(names.WAN_DOWNLOAD_RATE), "$__range")), BITS),
                Column("Upload", bits(percentile(0.95, select(names.WAN_UPLOAD_RATE), "$__range")), BITS),
            ],
            f"{NO_LINE}. {NO_RULES}",
            order="Download",
        ).sized(12, 8),
        Row(
            "From PostgreSQL: only where archive.url is set and Grafana has a data source for it",
            (
                sql_table(
                    "Lines by month",
                    "Bytes of each line in each month of the exporter's time zone, silences by their share of time.",
                    _MONTHS,
                    _UNITS,
                    NO_SQL,
                ),
                sql_table(
                    "Lines by day",
                    "Bytes of each line on each day of the exporter's time zone, in the chosen time.",
                    _DAYS,
                    _UNITS,
                    NO_SQL,
                ),
                sql_table(
                    "Top clients of the month",
                    "The clients of each source that moved most in the month in which the chosen time ends. Share: of "
                    "the bytes of all clients of that source. Names are not in the database.",
                    _TOP,
                    _UNITS,
                    NO_SQL,
                ),
                sql_table(
                    "Owners and categories by month",
                    "Bytes that were credited to each owner and category when they moved, by month and source.",
                    _OWNERS,
                    _UNITS,
                    NO_SQL,
                ),
            ),
            collapsed=True,
        ),
    ],
    variables=(*SELECTION, SQL),
    time="now-7d",
)
