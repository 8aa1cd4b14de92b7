"""The archive: bytes by five minutes, hours and days, and intervals of silence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OPENING = ("opening_download", "opening_upload")


def _part(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _history(name: str, *when: sa.Column[int]) -> None:
    op.create_table(
        name,
        *when,
        _part("subject"),
        sa.Column("class", sa.Text, primary_key=True),
        sa.Column("download", sa.BigInteger, nullable=False),
        sa.Column("upload", sa.BigInteger, nullable=False),
        sa.Column("flags", sa.Integer, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    for name in _OPENING:
        op.add_column("subject", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE subject SET opening_download = coalesce(download, 0), opening_upload = coalesce(upload, 0)")
    _history("usage", _part("bucket"))
    _history("hourly", _part("bucket"))
    _history("daily", _part("day"))
    _history("gap", _part("began"), sa.Column("ended", sa.BigInteger, nullable=False))


def downgrade() -> None:
    for table in ("gap", "daily", "hourly", "usage"):
        op.drop_table(table)
    for name in _OPENING:
        op.drop_column("subject", name)
