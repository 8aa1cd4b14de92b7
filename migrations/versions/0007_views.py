"""Views that look at what is in no day yet by itself: the same rows as before, in a fraction of the time.

Days on which nothing moved but what `daily` says, by far the most, are taken as they are. Views that stay keep their
columns, so in PostgreSQL they keep the rights that were granted on them.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Bytes of a gap up to a moment, as exporter.accounting.buckets.share has them, without a product beyond 64 bits.
_UNTIL = "({0} / length * {1} + {0} % length * {1} / length)"
# The days that a silence touches, of which midnight may be 26 hours from that of UTC.
_TOUCHED = """c.day BETWEEN v.began / 86400 - 2 AND v.ended / 86400 + 2 AND c.began < v.ended AND c.ended > v.began"""

# How far days are made (exporter.store.upkeep).
_HOUR = "coalesce((SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'archive_hour'), 0)"
_SUBJECT = "coalesce((SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'archive_subject'), 0)"
_LATER = "CASE WHEN {0} > {1} THEN {0} ELSE {1} END"
_EARLIER = "CASE WHEN {0} < {1} THEN {0} ELSE {1} END"
# The 24 hours before the end of the newest five minutes, and the first full hour of them.
_SINCE = "(SELECT max(bucket) - 86100 FROM usage)"
_FULL = f"({_SINCE} + 3599) / 3600 * 3600"

_SUMS = """
    CAST(sum({0}.download) AS BIGINT) AS download, CAST(sum({0}.upload) AS BIGINT) AS upload,
    max({0}.flags & 1) | max({0}.flags & 2) AS flags
"""
_BOTH = """
    {0}.download + coalesce(l.download, 0) AS download, {0}.upload + coalesce(l.upload, 0) AS upload,
    {0}.flags | coalesce(l.flags, 0) AS flags
"""
_MOVED = "({0}.download + coalesce(l.download, 0) <> 0 OR {0}.upload + coalesce(l.upload, 0) <> 0)"

# From one silence to the next one that ends later: a few steps along an index, however many subjects have it.
_SILENCE = """
    CREATE VIEW v_silence AS
    WITH RECURSIVE silence (ended) AS (
        SELECT min(ended) FROM gap
        UNION ALL
        SELECT (SELECT min(g.ended) FROM gap g WHERE g.ended > silence.ended) FROM silence WHERE ended IS NOT NULL
    )
    SELECT (SELECT min(g.began) FROM gap g WHERE g.ended = silence.ended) AS began, ended
    FROM silence WHERE ended IS NOT NULL
"""
# The days of which `daily` does not say all.
_OPEN = """
    CREATE VIEW v_open_day AS
    SELECT day FROM calendar WHERE ended > {hour}
    UNION
    SELECT c.day FROM v_silence v CROSS JOIN calendar c WHERE {touched}
"""
# What `daily` does not say, by day: five minutes whose hour is not made yet, and gaps. CROSS JOIN keeps SQLite from
# going through `usage` or `gap` for each day.
_PART = """
    CREATE VIEW v_open_part AS
    SELECT c.day, c.date, c.month, u.subject, u.class, u.download, u.upload, u.flags
    FROM calendar c CROSS JOIN usage u
    WHERE c.ended > {hour} AND u.bucket >= {day_or_hour} AND u.bucket < c.ended
        AND (u.bucket + 0 >= {hour} + 3600 OR u.subject + 0 >= {subject})
    UNION ALL
    SELECT day, date, month, subject, class, {download_hi} - {download_lo}, {upload_hi} - {upload_lo}, flags
    FROM (
        SELECT c.day, c.date, c.month, g.subject, g.class, g.download, g.upload, g.flags, g.ended - g.began AS length,
            {day_or_gap} - g.began AS lo,
            {day_or_gap_end} - g.began AS hi
        FROM v_silence v CROSS JOIN calendar c CROSS JOIN gap g
        WHERE {touched} AND g.ended = v.ended AND g.began < c.ended
    ) AS shares
"""
_DAILY = """
    CREATE VIEW v_usage_daily AS
    WITH part AS MATERIALIZED (
        SELECT p.day, p.date, p.subject, p.class, {sums_p} FROM v_open_part p
        GROUP BY p.day, p.date, p.subject, p.class
    )
    SELECT c.day, c.date, s.source, s.site, s.kind, s.key AS subject, d.class, d.download, d.upload, d.flags
    FROM calendar c CROSS JOIN daily d ON d.day = c.day CROSS JOIN subject s ON s.id = d.subject
    WHERE c.day NOT IN (SELECT day FROM v_open_day) AND (d.download <> 0 OR d.upload <> 0)
    UNION ALL
    SELECT c.day, c.date, s.source, s.site, s.kind, s.key, d.class, {both_d}
    FROM calendar c CROSS JOIN daily d ON d.day = c.day CROSS JOIN subject s ON s.id = d.subject
    LEFT JOIN part l ON l.day = d.day AND l.subject = d.subject AND l.class = d.class
    WHERE c.day IN (SELECT day FROM v_open_day) AND {moved_d}
    UNION ALL
    SELECT l.day, l.date, s.source, s.site, s.kind, s.key, l.class, l.download, l.upload, l.flags
    FROM part l JOIN subject s ON s.id = l.subject
    WHERE (l.download <> 0 OR l.upload <> 0) AND NOT EXISTS (
        SELECT 1 FROM daily d WHERE d.day = l.day AND d.subject = l.subject AND d.class = l.class
    )
"""
_MONTH = """
    CREATE VIEW v_usage_month AS
    WITH part AS MATERIALIZED (
        SELECT p.month, p.subject, p.class, {sums_p} FROM v_open_part p
        GROUP BY p.month, p.subject, p.class
    )
    SELECT m.month, s.source, s.site, s.kind, s.key AS subject, m.class, {both_m}
    FROM (
        SELECT c.month, d.subject, d.class, {sums_d} FROM calendar c CROSS JOIN daily d ON d.day = c.day
        GROUP BY c.month, d.subject, d.class
    ) AS m JOIN subject s ON s.id = m.subject
    LEFT JOIN part l ON l.month = m.month AND l.subject = m.subject AND l.class = m.class
    WHERE {moved_m}
    UNION ALL
    SELECT l.month, s.source, s.site, s.kind, s.key, l.class, l.download, l.upload, l.flags
    FROM part l JOIN subject s ON s.id = l.subject
    WHERE (l.download <> 0 OR l.upload <> 0) AND NOT EXISTS (
        SELECT 1 FROM calendar c JOIN daily d ON d.day = c.day
        WHERE c.month = l.month AND d.subject = l.subject AND d.class = l.class
    )
"""
# Hours that are made stand for their five minutes. "+ 0" keeps SQLite from another way into the index.
_SUMMARY = """
    CREATE VIEW v_bandwidth_summary AS
    SELECT s.source, s.site, s.kind, s.key AS subject,
        coalesce(s.download, 0) AS total_download, coalesce(s.upload, 0) AS total_upload,
        coalesce(d.download, 0) AS day_download, coalesce(d.upload, 0) AS day_upload
    FROM subject s LEFT JOIN (
        SELECT subject, CAST(sum(download) AS BIGINT) AS download, CAST(sum(upload) AS BIGINT) AS upload FROM (
            SELECT subject, download, upload FROM usage
            WHERE bucket >= {since} AND bucket < {full} AND class = 'all'
            UNION ALL
            SELECT subject, download, upload FROM hourly
            WHERE bucket >= {full} AND class = 'all'
                AND (bucket + 0 < {hour} OR (bucket + 0 = {hour} AND subject + 0 < {subject}))
            UNION ALL
            SELECT subject, download, upload FROM usage
            WHERE bucket >= {full_or_hour} AND class = 'all'
                AND (bucket + 0 >= {hour} + 3600 OR subject + 0 >= {subject})
            UNION ALL
            SELECT subject, {download_hi} - {download_lo}, {upload_hi} - {upload_lo} FROM (
                SELECT subject, download, upload, ended - began AS length,
                    {since_or_gap} - began AS lo, {until_or_gap} - began AS hi
                FROM gap WHERE ended > {since} AND began + 0 < {since} + 86400 AND class = 'all'
            ) AS silence
        ) AS moved GROUP BY subject
    ) AS d ON d.subject = s.id
    WHERE s.kind NOT IN ('protocol', 'client_protocol')
"""

# PostgreSQL cannot know how few rows the end of a table has, and compiles plans for millions. So moments are looked for
# one by one, and their rows by name.
_PG_SILENCE = """
    CREATE VIEW v_silence AS
    WITH RECURSIVE silence (exporter, ended) AS (
        SELECT e.number, (SELECT min(g.ended) FROM gap g WHERE g.exporter = e.number) FROM exporter e WHERE e.current
        UNION ALL
        SELECT exporter, (SELECT min(g.ended) FROM gap g WHERE g.exporter = s.exporter AND g.ended > s.ended)
        FROM silence s WHERE ended IS NOT NULL
    )
    SELECT exporter, (SELECT min(g.began) FROM gap g WHERE g.exporter = s.exporter AND g.ended = s.ended) AS began,
        ended FROM silence s WHERE ended IS NOT NULL
"""
# Five minutes whose hour is not made yet, for the subjects from this one on.
_PG_LIVE = """
    CREATE VIEW v_open_bucket AS
    WITH RECURSIVE live (exporter, made_hour, made_subject, bucket) AS (
        SELECT e.number, e.made_hour, e.made_subject,
            (SELECT min(u.bucket) FROM usage u WHERE u.exporter = e.number AND u.bucket >= e.made_hour)
        FROM exporter e WHERE e.current
        UNION ALL
        SELECT exporter, made_hour, made_subject,
            (SELECT min(u.bucket) FROM usage u WHERE u.exporter = l.exporter AND u.bucket > l.bucket)
        FROM live l WHERE bucket IS NOT NULL
    )
    SELECT exporter, bucket, CASE WHEN bucket < made_hour + 3600 THEN made_subject ELSE 0 END AS subject
    FROM live WHERE bucket IS NOT NULL
"""
_PG_OPEN = """
    CREATE VIEW v_open_day AS
    SELECT c.exporter, c.day FROM exporter e JOIN calendar c ON c.exporter = e.number
    WHERE e.current AND c.ended > e.made_hour
    UNION
    SELECT c.exporter, c.day FROM v_silence v JOIN calendar c ON c.exporter = v.exporter AND {touched}
"""
_PG_PART = """
    CREATE VIEW v_open_part AS
    SELECT b.exporter, c.day, c.date, c.month, u.subject, u.class, u.download, u.upload, u.flags
    FROM v_open_bucket b JOIN calendar c ON c.exporter = b.exporter
        AND c.day BETWEEN b.bucket / 86400 - 2 AND b.bucket / 86400 + 2 AND c.began <= b.bucket AND c.ended > b.bucket
    JOIN usage u ON u.exporter = b.exporter AND u.bucket = b.bucket AND u.subject >= b.subject
    UNION ALL
    SELECT exporter, day, date, month, subject, class,
        {download_hi} - {download_lo}, {upload_hi} - {upload_lo}, flags
    FROM (
        SELECT v.exporter, c.day, c.date, c.month, g.subject, g.class, g.download, g.upload, g.flags,
            g.ended - g.began AS length, greatest(c.began, g.began) - g.began AS lo,
            least(c.ended, g.ended) - g.began AS hi
        FROM v_silence v JOIN calendar c ON c.exporter = v.exporter AND {touched}
        JOIN gap g ON g.exporter = v.exporter AND g.ended = v.ended AND g.began < c.ended
    ) AS shares
"""
_PG_DAILY = """
    CREATE OR REPLACE VIEW v_usage_daily AS
    SELECT e.number AS exporter, c.day, c.date, s.source, s.site, s.kind, s.key AS subject, d.class, d.download,
        d.upload, d.flags
    FROM exporter e JOIN calendar c ON c.exporter = e.number
    JOIN daily d ON d.exporter = e.number AND d.day = c.day
    JOIN subject s ON s.exporter = e.number AND s.id = d.subject
    WHERE e.current AND (d.download <> 0 OR d.upload <> 0)
        AND NOT EXISTS (SELECT 1 FROM v_open_day o WHERE o.exporter = c.exporter AND o.day = c.day)
    UNION ALL
    SELECT l.exporter, l.day, l.date, s.source, s.site, s.kind, s.key, l.class, l.download, l.upload, l.flags
    FROM (
        SELECT exporter, day, date, subject, class, {sums_p} FROM (
            SELECT o.exporter, o.day, c.date, d.subject, d.class, d.download, d.upload, d.flags
            FROM v_open_day o JOIN calendar c ON c.exporter = o.exporter AND c.day = o.day
            JOIN daily d ON d.exporter = o.exporter AND d.day = o.day
            UNION ALL
            SELECT exporter, day, date, subject, class, download, upload, flags FROM v_open_part
        ) AS p GROUP BY exporter, day, date, subject, class
    ) AS l JOIN subject s ON s.exporter = l.exporter AND s.id = l.subject
    WHERE l.download <> 0 OR l.upload <> 0
"""
_PG_MONTH = """
    CREATE OR REPLACE VIEW v_usage_month AS
    SELECT m.exporter, m.month, s.source, s.site, s.kind, s.key AS subject, m.class, m.download, m.upload, m.flags
    FROM (
        SELECT exporter, month, subject, class, {sums_p} FROM (
            SELECT e.number AS exporter, c.month, d.subject, d.class, d.download, d.upload, d.flags
            FROM exporter e JOIN calendar c ON c.exporter = e.number
            JOIN daily d ON d.exporter = e.number AND d.day = c.day
            WHERE e.current
            UNION ALL
            SELECT exporter, month, subject, class, download, upload, flags FROM v_open_part
        ) AS p GROUP BY exporter, month, subject, class
    ) AS m JOIN subject s ON s.exporter = m.exporter AND s.id = m.subject
    WHERE m.download <> 0 OR m.upload <> 0
"""
_PG_SUMMARY = """
    CREATE OR REPLACE VIEW v_bandwidth_summary AS
    WITH newest AS (
        SELECT e.number, e.made_hour, e.made_subject,
            (SELECT max(bucket) + 300 - 86400 FROM usage WHERE exporter = e.number) AS since
        FROM exporter e WHERE e.current
    ), last AS (
        SELECT number, made_hour, made_subject, since, (since + 3599) / 3600 * 3600 AS full_hour FROM newest
    )
    SELECT s.exporter, s.source, s.site, s.kind, s.key AS subject, coalesce(s.download, 0) AS total_download,
        coalesce(s.upload, 0) AS total_upload, coalesce(d.download, 0) AS day_download,
        coalesce(d.upload, 0) AS day_upload
    FROM exporter e JOIN subject s ON s.exporter = e.number LEFT JOIN (
        SELECT exporter, subject, CAST(sum(download) AS BIGINT) AS download, CAST(sum(upload) AS BIGINT) AS upload
        FROM (
            SELECT u.exporter, u.subject, u.download, u.upload
            FROM last CROSS JOIN generate_series(0, 11) AS n
            JOIN usage u ON u.exporter = last.number AND u.bucket = last.since + n * 300
            WHERE last.since + n * 300 < last.full_hour AND u.class = 'all'
            UNION ALL
            SELECT h.exporter, h.subject, h.download, h.upload
            FROM last CROSS JOIN generate_series(0, 23) AS n
            JOIN hourly h ON h.exporter = last.number AND h.bucket = last.full_hour + n * 3600
            WHERE h.class = 'all' AND (h.bucket < last.made_hour
                OR (h.bucket = last.made_hour AND h.subject < last.made_subject))
            UNION ALL
            SELECT u.exporter, u.subject, u.download, u.upload
            FROM last JOIN v_open_bucket b ON b.exporter = last.number AND b.bucket >= last.full_hour
            JOIN usage u ON u.exporter = b.exporter AND u.bucket = b.bucket AND u.subject >= b.subject
            WHERE u.class = 'all'
            UNION ALL
            SELECT exporter, subject, {download_hi} - {download_lo}, {upload_hi} - {upload_lo} FROM (
                SELECT g.exporter, g.subject, g.download, g.upload, g.ended - g.began AS length,
                    greatest(last.since, g.began) - g.began AS lo,
                    least(last.since + 86400, g.ended) - g.began AS hi
                FROM last JOIN gap g ON g.exporter = last.number AND g.ended > last.since
                WHERE g.began + 0 < last.since + 86400 AND g.class = 'all'
            ) AS silence
        ) AS moved GROUP BY exporter, subject
    ) AS d ON d.exporter = s.exporter AND d.subject = s.id
    WHERE e.current AND s.kind NOT IN ('protocol', 'client_protocol', 'forgotten')
"""
_NAMES = {
    "touched": _TOUCHED,
    "hour": _HOUR,
    "subject": _SUBJECT,
    "since": _SINCE,
    "full": _FULL,
    "day_or_hour": _LATER.format("c.began", _HOUR),
    "day_or_gap": _LATER.format("c.began", "g.began"),
    "day_or_gap_end": _EARLIER.format("c.ended", "g.ended"),
    "full_or_hour": _LATER.format(_FULL, _HOUR),
    "since_or_gap": _LATER.format(_SINCE, "began"),
    "until_or_gap": _EARLIER.format(f"{_SINCE} + 86400", "ended"),
    **{f"{name}_{end}": _UNTIL.format(name, end) for name in ("download", "upload") for end in ("lo", "hi")},
    **{f"sums_{row}": _SUMS.format(row) for row in "pd"},
    **{f"both_{row}": _BOTH.format(row) for row in "dm"},
    **{f"moved_{row}": _MOVED.format(row) for row in "dm"},
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for view in ("v_bandwidth_summary", "v_usage_month", "v_usage_daily", "v_day_part"):
            op.execute(f"DROP VIEW {view}")
        for view in (_SILENCE, _OPEN, _PART, _DAILY, _MONTH, _SUMMARY):
            op.execute(view.format_map(_NAMES))
        return
    op.drop_index("gap_ended", "gap")
    op.create_index("gap_ended", "gap", ["exporter", "ended", "began"])
    for view in (_PG_SILENCE, _PG_LIVE, _PG_OPEN, _PG_PART, _PG_DAILY, _PG_MONTH, _PG_SUMMARY):
        op.execute(view.format_map(_NAMES))
    op.execute("DROP VIEW v_day_part")


def downgrade() -> None:
    raise NotImplementedError("the views of before say the same: put back the copy from before the upgrade")
