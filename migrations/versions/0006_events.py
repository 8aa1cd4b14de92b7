"""Events: when counters did not simply go on, clients came and went, and devices and lines did; when a client was new.

`subject.since` is NULL for all that was there before: nobody wrote down when it was first seen.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _part(name: str, kind: type[sa.BigInteger | sa.Integer] = sa.BigInteger) -> sa.Column[int]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def upgrade() -> None:
    # In PostgreSQL many exporters feed one archive, and every row carries the number of its own.
    many = op.get_bind().dialect.name != "sqlite"
    op.add_column("subject", sa.Column("since", sa.BigInteger))
    op.create_table(
        "event",
        *([_part("exporter", sa.Integer)] if many else []),
        _part("bucket"),
        _part("subject"),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("event_reason", "event", [*(["exporter"] if many else []), "reason", "bucket"])


def downgrade() -> None:
    op.drop_table("event")
    op.drop_column("subject", "since")
