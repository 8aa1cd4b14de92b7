"""The tables, as the newest migration leaves them. Types are those that SQLite and PostgreSQL share.

Four texts name a counter or a subject, but the exporter finds its row by `id`: finding 20,000 rows a poll by texts
takes longer than writing them. Bytes, packets and seconds are as in `exporter.model`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()

# Only "INTEGER" is SQLite's own row number, and it has 64 bits.
Id = BigInteger().with_variant(Integer(), "sqlite")

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

source = Table(
    "source",
    metadata,
    Column("name", Text, primary_key=True),
    Column("identity", Text),
    Column("number", BigInteger, nullable=False),
    Column("tick", Double, nullable=False),
    Column("at", Double, nullable=False),
    Column("gaps", BigInteger, nullable=False),
)

collection = Table(
    "collection",
    metadata,
    Column("source", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("site", Text, primary_key=True),
    Column("tick", Double, nullable=False),
    Column("meter_at", Double),
    Column("mark", Text, nullable=False),
)

counter = Table(
    "counter",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("download", BigInteger, nullable=False, server_default="0"),
    Column("upload", BigInteger, nullable=False, server_default="0"),
    Column("download_packets", BigInteger, nullable=False, server_default="0"),
    Column("upload_packets", BigInteger, nullable=False, server_default="0"),
    Column("moved", Double, nullable=False, server_default="0"),
    Column("speed", Double),
    Column("mark", Text, nullable=False, server_default=text("''")),
    Column("age", Double),
    Column("aged", Double, nullable=False, server_default="0"),
    Column("session", Text, nullable=False, server_default=text("''")),
    Column("wide", Boolean, nullable=False, server_default=false()),
    # NULL: nothing is held.
    Column("held_download", BigInteger),
    Column("held_upload", BigInteger),
    Column("held_download_packets", BigInteger),
    Column("held_upload_packets", BigInteger),
    Column("held_at", Double, nullable=False, server_default="0"),
    Column("doubt", Text, nullable=False, server_default=text("''")),
    UniqueConstraint("source", "kind", "site", "key", name="counter_name"),
)

subject = Table(
    "subject",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("key", Text, nullable=False),
    # NULL: no total yet.
    Column("download", BigInteger),
    Column("upload", BigInteger),
    Column("download_packets", BigInteger),
    Column("upload_packets", BigInteger),
    # NULL: the series shows its total.
    Column("shown_download", BigInteger),
    Column("shown_upload", BigInteger),
    Column("shown_download_packets", BigInteger),
    Column("shown_upload_packets", BigInteger),
    # What the total was before there was an archive.
    Column("opening_download", BigInteger, nullable=False, server_default="0"),
    Column("opening_upload", BigInteger, nullable=False, server_default="0"),
    # Unix seconds at which a client was first seen. NULL: it was there before anybody looked, or it is no client.
    Column("since", BigInteger),
    UniqueConstraint("source", "kind", "site", "key", name="subject_name"),
)


def _history(name: str, *when: Column[int]) -> Table:
    """Bytes by time, subject and class (`all` or a protocol).

    Time comes first in the key: what a poll changes lies side by side, and what is pruned does.
    """
    return Table(
        name,
        metadata,
        *when,
        Column("subject", BigInteger, primary_key=True, autoincrement=False),
        Column("class", Text, primary_key=True),
        Column("download", BigInteger, nullable=False),
        Column("upload", BigInteger, nullable=False),
        Column("flags", Integer, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )


def _bucket() -> Column[int]:
    return Column("bucket", BigInteger, primary_key=True, autoincrement=False)


usage = _history("usage", _bucket())
hourly = _history("hourly", _bucket())
daily = _history("daily", Column("day", BigInteger, primary_key=True, autoincrement=False))
gap = _history(
    "gap",
    Column("began", BigInteger, primary_key=True, autoincrement=False),
    Column("ended", BigInteger, nullable=False),
)

# How often something happened to a subject in five minutes (exporter.events).
event = Table(
    "event",
    metadata,
    _bucket(),
    Column("subject", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Index("event_reason", "reason", "bucket"),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", BigInteger, primary_key=True, autoincrement=False),
    Column("class", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("gap_ended", gap.c.ended)

# What SQL cannot know: where the days begin and end by the time zone that they are cut by (exporter.store.calendar).
calendar = Table(
    "calendar",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("date", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Index("calendar_date", "date"),
    Index("calendar_month", "month"),
    sqlite_with_rowid=False,
)
