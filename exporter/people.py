"""Whose devices moved how much: clients by owner, as the configuration names them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from exporter.ledger import plus
from exporter.model import ZERO, Client, Count
from exporter.naming import People, person_of

Row = tuple[Client, Count | None]
"""A client, and the count that its series show."""


class Group(NamedTuple):
    """Clients that belong together. name: as the user wrote it, "" for those that belong to nobody.

    It may hold any character: whoever writes it into a page escapes it. total: the sum over clients that have one.
    """

    name: str
    clients: int
    total: Count


def by_owner(rows: Iterable[Row], people: People) -> list[Group]:
    """One group for each owner, the one that moved most bytes first, and those that belong to nobody last.

    Names differ as their labels on the page do, but for white space around them.
    """
    groups: dict[str, Group] = {}
    for client, count in rows:
        name = person_of(client, people).owner.strip()
        group = groups.get(name, Group(name, 0, ZERO))
        groups[name] = Group(name, group.clients + 1, plus(group.total, count or ZERO))
    return sorted(groups.values(), key=lambda group: (not group.name, -_bytes(group.total), group.name))


def _bytes(count: Count) -> int:
    return count.download + count.upload
