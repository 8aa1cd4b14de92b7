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

_PERCENTILE = """WITH line AS (
    SELECT e.number, s.id, s.source, s.site, s.key,
        greatest($__unixEpochFrom(), (SELECT min(bucket) FROM usage u WHERE u.exporter = e.number)) AS began,
        least($__unixEpochTo(), (SELECT max(bucket) + 300 FROM usage u WHERE u.exporter = e.number)) AS ended
    FROM exporter e JOIN subject s ON s.exporter = e.number
    WHERE e.current AND s.kind = 'wan'
        AND s.source ~ '^(${source:regex})$' AND s.site ~ '^(${site:regex})$'
), silence AS MATERIALIZED (
    SELECT g.exporter, g.subject, g.began, g.ended, g.download, g.upload
    FROM line JOIN gap g ON g.exporter = line.number AND g.subject = line.id AND g.class = 'all'
        AND g.began < line.ended AND g.ended > line.began
), moved AS (
    SELECT line.number, line.source, line.site, line.key,
        coalesce(u.download, 0) + coalesce(g.download, 0) AS download,
        coalesce(u.upload, 0) + coalesce(g.upload, 0) AS upload
    FROM line CROSS JOIN generate_series((line.began + 299) / 300 * 300, line.ended / 300 * 300 - 300, 300) AS bin
    LEFT JOIN usage u ON u.exporter = line.number AND u.bucket = bin AND u.subject = line.id AND u.class = 'all'
    LEFT JOIN LATERAL (
        SELECT sum(download * part) AS download, sum(upload * part) AS upload
        FROM (
            SELECT download, upload, (least(ended, bin + 300) - greatest(began, bin))::float8 / (ended - began) AS part
            FROM silence s WHERE s.exporter = line.number AND s.subject = line.id AND began < bin + 300 AND ended > bin
        ) AS parts
    ) AS g ON true
)
SELECT number AS "Exporter", source AS "Source", site AS "Site", key AS "Line", count(*) AS "Bins",
    percentile_disc(0.95) WITHIN GROUP (ORDER BY download) * 8 / 300 AS "Download",
    percentile_disc(0.95) WITHIN GROUP (ORDER BY upload) * 8 / 300 AS "Upload"
FROM moved GROUP BY number, source, site, key ORDER BY number, source, site, key"""

_EVENTS = """SELECT to_timestamp(v.bucket) AS "Time", s.source AS "Source", s.site AS "Site", s.kind AS "Kind",
    s.key AS "Whose", v.reason AS "What", v.count AS "Times"
FROM exporter e JOIN event v ON v.exporter = e.number
JOIN subject s ON s.exporter = e.number AND s.id = v.subject
WHERE e.current AND v.reason IN ('new_client', 'gone_client', 'reboot', 'down', 'up', 'gap')
    AND v.bucket BETWEEN $__unixEpochFrom() AND $__unixEpochTo()
    AND s.source ~ '^(${source:regex})$' AND s.site ~ '^(${site:regex})$'
ORDER BY v.bucket DESC LIMIT 500"""

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
            draw=Draw(dashed=" projected$"),
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
                    "Percentile for the bill",
                    "The 95th percentile of each line over bins of five minutes in the chosen time, as providers bill "
                    "it: nearest rank, empty bins are 0, silences are spread evenly. It begins where five minutes are "
                    "still kept (archive.retention), 14 days back if nothing else is configured.",
                    _PERCENTILE,
                    {"Download": BITS, "Upload": BITS},
                    NO_SQL,
                ),
                sql_table(
                    "What happened",
                    "New clients and such as left, devices that started again, lines that went down or came back, and "
                    "silences of sources, in the chosen time, to five minutes.",
                    _EVENTS,
                    {},
                    "Nothing in the chosen time",
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
