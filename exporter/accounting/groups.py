"""Bytes of owners and categories, as the configuration has them when the bytes move. Pure.

They are totals like any other, in the state and in the archive. So what was counted for somebody stays his when the
configuration says something else later.
"""

from __future__ import annotations

from msgspec.structs import replace

from exporter.ledger import add_parts, plus
from exporter.model import ZERO, Bounds, Changes, Count, SubjectKey
from exporter.naming import People

GROUPS = ("owner", "category")
"""Kinds of subjects that are sums over clients; each is a field of exporter.naming.Person."""


def credit(changes: Changes, totals: dict[SubjectKey, Count], people: People) -> Changes:
    """The changes with owners and categories in them, and when their bytes moved as far as that is proved.

    totals: as they were before the poll.
    """
    if not people:
        return changes
    grown: dict[SubjectKey, Count] = {}
    splits: dict[SubjectKey, dict[Bounds, Count]] = {}
    for client, increase in changes.increases.items():
        person = people.get(client.key) if client.kind == "client" else None
        if person is None:
            continue
        for kind in GROUPS:
            name = str(getattr(person, kind)).strip()
            group = SubjectKey(kind, client.site, name)
            if name and (increase != ZERO or group not in totals):
                grown[group] = plus(grown.get(group) or totals.get(group, ZERO), increase)
                add_parts(splits, (group,), changes.splits.get(client, {}).items())
    if not grown:
        return changes
    return replace(changes, totals={**changes.totals, **grown}, splits={**changes.splits, **splits})
