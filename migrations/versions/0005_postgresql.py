"""PostgreSQL: the archive of many exporters, in the place of one exporter's state. SQLite stays as it is.

`exporter` says of each how far it was fed and how far its days are made. Of a ledger one row is current; the others
were replaced by it, and no view counts them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_VIEWS = ("v_bandwidth_summary", "v_top_clients", "v_usage_month", "v_usage_daily", "v_day_part")
_TABLES = (
    "calendar",
    "outbox",
    "gap",
    "daily",
    "hourly",
    "usage",
    "subject",
    "counter",
    "collection",
    "source",
    "meta",
)

# Bytes of a gap up to a moment, as exporter.accounting.buckets.share has them, without a product beyond 64 bits.
_UNTIL = "({0} / length * {1} + {0} % length * {1} / length)"
# OFFSET 0 keeps the planner from going through all of `usage` for the little that is in no day yet.
_PARTS = """
    CREATE VIEW v_day_part AS
    SELECT e.number AS exporter, c.day, c.date, c.month, s.id, s.source, s.site, s.kind, s.key, d.class, d.download,
        d.upload, d.flags
    FROM exporter e JOIN calendar c ON c.exporter = e.number
    JOIN daily d ON d.exporter = e.number AND d.day = c.day
    JOIN subject s ON s.exporter = e.number AND s.id = d.subject
    WHERE e.current
    UNION ALL
    SELECT e.number, c.day, c.date, c.month, s.id, s.source, s.site, s.kind, s.key, u.class, u.download, u.upload,
        u.flags
    FROM exporter e JOIN calendar c ON c.exporter = e.number AND c.ended > e.made_hour
    CROSS JOIN LATERAL (
        SELECT * FROM usage u WHERE u.exporter = e.number AND u.bucket >= greatest(c.began, e.made_hour)
            AND u.bucket < c.ended AND (u.bucket >= e.made_hour + 3600 OR u.subject >= e.made_subject) OFFSET 0
    ) AS u
    JOIN subject s ON s.exporter = e.number AND s.id = u.subject
    WHERE e.current
    UNION ALL
    SELECT exporter, day, date, month, id, source, site, kind, key, class,
        {download_hi} - {download_lo}, {upload_hi} - {upload_lo}, flags
    FROM (
        SELECT e.number AS exporter, c.day, c.date, c.month, s.id, s.source, s.site, s.kind, s.key, g.class, g.download,
            g.upload, g.flags, g.ended - g.began AS length, greatest(c.began, g.began) - g.began AS lo,
            least(c.ended, g.ended) - g.began AS hi
        FROM exporter e JOIN gap g ON g.exporter = e.number
        JOIN calendar c ON c.exporter = e.number AND c.day BETWEEN g.began / 86400 - 2 AND g.ended / 86400 + 2
            AND c.began < g.ended AND c.ended > g.began
        JOIN subject s ON s.exporter = e.number AND s.id = g.subject
        WHERE e.current
    ) AS shares
"""
_DAILY = """
    CREATE VIEW v_usage_daily AS
    SELECT exporter, day, date, source, site, kind, key AS subject, class, CAST(sum(download) AS BIGINT) AS download,
        CAST(sum(upload) AS BIGINT) AS upload, bit_or(flags) AS flags
    FROM v_day_part GROUP BY exporter, day, id, class, date, source, site, kind, key
"""
_MONTH = """
    CREATE VIEW v_usage_month AS
    SELECT exporter, month, source, site, kind, key AS subject, class, CAST(sum(download) AS BIGINT) AS download,
        CAST(sum(upload) AS BIGINT) AS upload, bit_or(flags) AS flags
    FROM v_day_part GROUP BY exporter, month, id, class, source, site, kind, key
"""
_TOP = """
    CREATE VIEW v_top_clients AS
    SELECT exporter, month, source,
        rank() OVER (PARTITION BY exporter, month, source ORDER BY download + upload DESC) AS rank, site,
        subject AS client, download, upload, download + upload AS bytes,
        CAST(download + upload AS DOUBLE PRECISION)
            / nullif(sum(download + upload) OVER (PARTITION BY exporter, month, source), 0) AS share
    FROM v_usage_month WHERE kind = 'client' AND class = 'all'
"""
_SUMMARY = """
    CREATE VIEW v_bandwidth_summary AS
    WITH last AS (
        SELECT e.number, (SELECT max(bucket) + 300 FROM usage WHERE exporter = e.number) AS at FROM exporter e
        WHERE e.current
    )
    SELECT s.exporter, s.source, s.site, s.kind, s.key AS subject, coalesce(s.download, 0) AS total_download,
        coalesce(s.upload, 0) AS total_upload, coalesce(d.download, 0) AS day_download,
        coalesce(d.upload, 0) AS day_upload
    FROM exporter e JOIN subject s ON s.exporter = e.number LEFT JOIN (
        SELECT exporter, subject, CAST(sum(download) AS BIGINT) AS download, CAST(sum(upload) AS BIGINT) AS upload
        FROM (
            SELECT u.exporter, u.subject, u.download, u.upload FROM last JOIN usage u ON u.exporter = last.number
                AND u.bucket >= last.at - 86400 WHERE u.class = 'all'
            UNION ALL
            SELECT exporter, subject, download - {download_lo}, upload - {upload_lo} FROM (
                SELECT g.exporter, g.subject, g.download, g.upload, g.ended - g.began AS length,
                    greatest(last.at - 86400, g.began) - g.began AS lo
                FROM last JOIN gap g ON g.exporter = last.number AND g.ended > last.at - 86400 WHERE g.class = 'all'
            ) AS silence
        ) AS moved GROUP BY exporter, subject
    ) AS d ON d.exporter = s.exporter AND d.subject = s.id
    WHERE e.current AND s.kind NOT IN ('protocol', 'client_protocol', 'forgotten')
"""


def _part(name: str, kind: type[sa.BigInteger | sa.Integer] = sa.BigInteger) -> sa.Column[int]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _history(name: str, *when: sa.Column[int]) -> None:
    op.create_table(
        name,
        _part("exporter", sa.Integer),
        *when,
        _part("subject"),
        sa.Column("class", sa.Text, primary_key=True),
        sa.Column("download", sa.BigInteger, nullable=False),
        sa.Column("upload", sa.BigInteger, nullable=False),
        sa.Column("flags", sa.Integer, nullable=False),
    )


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    # No exporter ever wrote to these there: its state is always a file.
    for view in _VIEWS:
        op.execute(f"DROP VIEW {view}")
    for table in _TABLES:
        op.drop_table(table)
    op.create_table(
        "exporter",
        sa.Column("number", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("ledger", sa.Text, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("batch", sa.BigInteger, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("calendar", sa.Text, nullable=False),
        sa.Column("made_hour", sa.BigInteger, nullable=False),
        sa.Column("made_subject", sa.BigInteger, nullable=False),
        sa.Column("fed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("exporter_current", "exporter", ["ledger"], unique=True, postgresql_where=sa.text("current"))
    op.create_table(
        "subject",
        _part("exporter", sa.Integer),
        _part("id"),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("source", "kind", "site", "key")),
        *(sa.Column(name, sa.BigInteger) for name in ("download", "upload")),
        *(sa.Column(f"opening_{name}", sa.BigInteger, nullable=False) for name in ("download", "upload")),
    )
    op.create_table(
        "calendar",
        _part("exporter", sa.Integer),
        _part("day"),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("date", "month")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("began", "ended")),
    )
    op.create_index("calendar_date", "calendar", ["date"])
    op.create_index("calendar_month", "calendar", ["month"])
    _history("usage", _part("bucket"))
    _history("hourly", _part("bucket"))
    _history("daily", _part("day"))
    _history("gap", _part("began"), sa.Column("ended", sa.BigInteger, nullable=False))
    op.create_index("gap_ended", "gap", ["exporter", "ended"])
    shares = {
        f"{amount}_{end}": _UNTIL.format(amount, end) for amount in ("download", "upload") for end in ("lo", "hi")
    }
    for view in (_PARTS, _DAILY, _MONTH, _TOP, _SUMMARY):
        op.execute(view.format(**shares))


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        raise NotImplementedError("what many exporters sent has no place in the tables of one")
