"""The state: what is remembered of each source, its counters and its subjects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _name() -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in ("source", "kind", "site", "key")]


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True)


def _counts(prefix: str = "") -> list[sa.Column[int]]:
    names = ("download", "upload", "download_packets", "upload_packets")
    return [sa.Column(prefix + name, sa.BigInteger) for name in names]


def upgrade() -> None:
    op.create_table("meta", sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "source",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("identity", sa.Text),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("tick", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("gaps", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "collection",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("tick", sa.Double, nullable=False),
        sa.Column("meter_at", sa.Double),
        sa.Column("mark", sa.Text, nullable=False),
    )
    op.create_table(
        "counter",
        _id(),
        *_name(),
        sa.Column("download", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("upload", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("download_packets", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("upload_packets", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("moved", sa.Double, nullable=False, server_default="0"),
        sa.Column("speed", sa.Double),
        sa.Column("mark", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("age", sa.Double),
        sa.Column("aged", sa.Double, nullable=False, server_default="0"),
        sa.Column("session", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("wide", sa.Boolean, nullable=False, server_default=sa.false()),
        *_counts("held_"),
        sa.Column("held_at", sa.Double, nullable=False, server_default="0"),
        sa.Column("doubt", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.UniqueConstraint("source", "kind", "site", "key", name="counter_name"),
    )
    op.create_table(
        "subject",
        _id(),
        *_name(),
        *_counts(),
        *_counts("shown_"),
        sa.UniqueConstraint("source", "kind", "site", "key", name="subject_name"),
    )


def downgrade() -> None:
    for table in ("subject", "counter", "collection", "source", "meta"):
        op.drop_table(table)
