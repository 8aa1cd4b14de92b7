"""SQLite: the outbox. PostgreSQL: the archive of many exporters, in the place of one exporter's state."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BEFORE = ("gap", "daily", "hourly", "usage", "subject", "counter", "collection", "source", "meta")


def _part(name: str, kind: type[sa.BigInteger] | type[sa.Integer] = sa.BigInteger) -> sa.Column[int]:
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
        sa.Column("flags", sa.Integer, nullable=False, server_default="0"),
    )


def _sqlite() -> None:
    op.create_table(
        "outbox",
        _part("level", sa.Integer),
        _part("at"),
        _part("subject"),
        sa.Column("class", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _postgresql() -> None:
    # No exporter ever wrote to these tables there: its state is always a file.
    for table in _BEFORE:
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
        *(sa.Column(f"opening_{name}", sa.BigInteger, nullable=False) for name in ("download", "upload")),
    )
    _history("usage", _part("bucket"))
    _history("hourly", _part("bucket"))
    _history("daily", _part("day"))
    _history("gap", _part("began"), sa.Column("ended", sa.BigInteger, nullable=False))


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("outbox")
    else:
        raise NotImplementedError("what many exporters sent has no place in the tables of one")
