"""Views over the archive, in SQL that SQLite and PostgreSQL share, and the calendar that tells them where days begin.

A later migration that makes one of their tables anew (SQLite) or changes a column of theirs (PostgreSQL) drops the
views first and makes them again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_VIEWS = ("v_bandwidth_summary", "v_top_clients", "v_usage_month", "v_usage_daily", "v_day_part")

# How far days are made (exporter.store.upkeep).
_HOUR = "coalesce((SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'archive_hour'), 0)"
_SUBJECT = "coalesce((SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'archive_subject'), 0)"

_LATER = "CASE WHEN {0} > {1} THEN {0} ELSE {1} END"
_EARLIER = "CASE WHEN {0} < {1} THEN {0} ELSE {1} END"
# Bytes of a gap up to a moment, as exporter.accounting.buckets.share has them, without a product beyond 64 bits.
_UNTIL = "({0} / length * {1} + {0} % length * {1} / length)"
_SUMS = """
    CAST(sum({0}.download) AS BIGINT) AS download, CAST(sum({0}.upload) AS BIGINT) AS upload,
    max({0}.flags & 1) | max({0}.flags & 2) AS flags
"""
# What a row of days or months has, and what goes on in it: most have nothing of that.
_BOTH = """
    {0}.download + coalesce(l.download, 0) AS download, {0}.upload + coalesce(l.upload, 0) AS upload,
    {0}.flags | coalesce(l.flags, 0) AS flags
"""
_MOVED = "({0}.download + coalesce(l.download, 0) <> 0 OR {0}.upload + coalesce(l.upload, 0) <> 0)"

# By day, what is in no row of `daily`: five minutes whose hour is not made yet, and gaps. CROSS JOIN keeps SQLite from
# going through `usage` for each day.
_PART = """
    CREATE VIEW v_day_part AS
    SELECT day, subject, class, {sums} FROM (
        SELECT c.day, u.subject, u.class, u.download, u.upload, u.flags
        FROM calendar c CROSS JOIN usage u
        WHERE c.ended > {hour} AND u.bucket >= {day_or_hour} AND u.bucket < c.ended
            AND (u.bucket >= {hour} + 3600 OR u.subject >= {subject})
        UNION ALL
        SELECT day, subject, class, {download_hi} - {download_lo}, {upload_hi} - {upload_lo}, flags
        FROM (
            SELECT c.day, g.subject, g.class, g.download, g.upload, g.flags, g.ended - g.began AS length,
                {day_or_gap} - g.began AS lo, {day_or_gap_end} - g.began AS hi
            FROM gap g JOIN calendar c ON c.day BETWEEN g.began / 86400 - 2 AND g.ended / 86400 + 2
                AND c.began < g.ended AND c.ended > g.began
        ) AS shares
    ) AS parts
    GROUP BY day, subject, class
"""
_DAILY = """
    CREATE VIEW v_usage_daily AS
    SELECT c.day, c.date, s.source, s.site, s.kind, s.key AS subject, d.class, {both_d}
    FROM calendar c JOIN daily d ON d.day = c.day JOIN subject s ON s.id = d.subject
    LEFT JOIN v_day_part l ON l.day = d.day AND l.subject = d.subject AND l.class = d.class
    WHERE {moved_d}
    UNION ALL
    SELECT c.day, c.date, s.source, s.site, s.kind, s.key, l.class, l.download, l.upload, l.flags
    FROM v_day_part l JOIN calendar c ON c.day = l.day JOIN subject s ON s.id = l.subject
    WHERE (l.download <> 0 OR l.upload <> 0) AND NOT EXISTS (
        SELECT 1 FROM daily d WHERE d.day = l.day AND d.subject = l.subject AND d.class = l.class
    )
"""
_PART_OF_MONTH = """(
    SELECT c.month, l.subject, l.class, {sums_l} FROM v_day_part l JOIN calendar c ON c.day = l.day
    GROUP BY c.month, l.subject, l.class
)"""
_MONTH = """
    CREATE VIEW v_usage_month AS
    SELECT m.month, s.source, s.site, s.kind, s.key AS subject, m.class, {both_m}
    FROM (
        SELECT c.month, d.subject, d.class, {sums_d} FROM calendar c JOIN daily d ON d.day = c.day
        GROUP BY c.month, d.subject, d.class
    ) AS m JOIN subject s ON s.id = m.subject
    LEFT JOIN {part_of_month} AS l ON l.month = m.month AND l.subject = m.subject AND l.class = m.class
    WHERE {moved_m}
    UNION ALL
    SELECT l.month, s.source, s.site, s.kind, s.key, l.class, l.download, l.upload, l.flags
    FROM {part_of_month} AS l JOIN subject s ON s.id = l.subject
    WHERE (l.download <> 0 OR l.upload <> 0) AND NOT EXISTS (
        SELECT 1 FROM calendar c JOIN daily d ON d.day = c.day
        WHERE c.month = l.month AND d.subject = l.subject AND d.class = l.class
    )
"""
_TOP = """
    CREATE VIEW v_top_clients AS
    SELECT month, source, rank() OVER (PARTITION BY month, source ORDER BY download + upload DESC) AS rank,
        site, subject AS client, download, upload, download + upload AS bytes,
        CAST(download + upload AS DOUBLE PRECISION)
            / nullif(sum(download + upload) OVER (PARTITION BY month, source), 0) AS share
    FROM v_usage_month WHERE kind = 'client' AND class = 'all'
"""
# The 24 hours before the end of the newest five minutes.
_SINCE = "(SELECT max(bucket) - 86100 FROM usage)"
_SUMMARY = """
    CREATE VIEW v_bandwidth_summary AS
    SELECT s.source, s.site, s.kind, s.key AS subject,
        coalesce(s.download, 0) AS total_download, coalesce(s.upload, 0) AS total_upload,
        coalesce(d.download, 0) AS day_download, coalesce(d.upload, 0) AS day_upload
    FROM subject s LEFT JOIN (
        SELECT subject, CAST(sum(download) AS BIGINT) AS download, CAST(sum(upload) AS BIGINT) AS upload FROM (
            SELECT subject, download, upload FROM usage WHERE bucket >= {since} AND class = 'all'
            UNION ALL
            SELECT subject, download - {download_lo}, upload - {upload_lo} FROM (
                SELECT subject, download, upload, ended - began AS length, {since_or_gap} - began AS lo
                FROM gap WHERE ended > {since} AND class = 'all'
            ) AS silence
        ) AS moved GROUP BY subject
    ) AS d ON d.subject = s.id
    WHERE s.kind NOT IN ('protocol', 'client_protocol')
"""
_NAMES = {
    "hour": _HOUR,
    "subject": _SUBJECT,
    "since": _SINCE,
    "day_or_hour": _LATER.format("c.began", _HOUR),
    "day_or_gap": _LATER.format("c.began", "g.began"),
    "day_or_gap_end": _EARLIER.format("c.ended", "g.ended"),
    "since_or_gap": _LATER.format(_SINCE, "began"),
    **{f"{name}_{end}": _UNTIL.format(name, end) for name in ("download", "upload") for end in ("lo", "hi")},
    "sums": _SUMS.format("parts"),
    **{f"sums_{row}": _SUMS.format(row) for row in "dl"},
    **{f"both_{row}": _BOTH.format(row) for row in "dm"},
    **{f"moved_{row}": _MOVED.format(row) for row in "dm"},
    "part_of_month": _PART_OF_MONTH.format(sums_l=_SUMS.format("l")),
}


def upgrade() -> None:
    op.create_table(
        "calendar",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("date", sa.Text, nullable=False),
        sa.Column("month", sa.Text, nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("calendar_date", "calendar", ["date"])
    op.create_index("calendar_month", "calendar", ["month"])
    op.create_index("gap_ended", "gap", ["ended"])
    for view in (_PART, _DAILY, _MONTH, _TOP, _SUMMARY):
        op.execute(view.format_map(_NAMES))


def downgrade() -> None:
    for view in _VIEWS:
        op.execute(f"DROP VIEW {view}")
    op.drop_index("gap_ended", "gap")
    op.drop_table("calendar")
