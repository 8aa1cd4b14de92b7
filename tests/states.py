"""Writes for the tests of the state."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.model import Changes, Collection, Completed, Count, Counter, CounterKey, Source, SubjectKey, Write

SITE = SubjectKey("site", "default", "")


def changes(
    number: int = 1,
    counters: Mapping[CounterKey, Counter] | None = None,
    totals: Mapping[SubjectKey, Count] | None = None,
    gone: frozenset[CounterKey] = frozenset(),
    collections: Mapping[Collection, Completed] | None = None,
) -> Changes:
    """What poll `number` does."""
    return Changes(
        source=Source("controller", number, number * 30.0, 1.7e9 + number, 0),
        counters=counters or {},
        gone=gone,
        totals=totals or {},
        collections=collections or {},
        increases={},
        events={},
    )


def poll(name: str, number: int, clients: int = 3) -> Write:
    """Poll `number` of a source whose every count is `number`, so that a half-written one shows."""
    count = Count(number, number, number, number)
    macs = [f"02:aa:bb:00:{client >> 8:02x}:{client & 255:02x}" for client in range(clients)]
    counters = {CounterKey("client", "default", f"{mac}|wireless"): Counter(count, moved=number * 30.0) for mac in macs}
    totals = {SubjectKey("client", "default", mac): count for mac in macs}
    done = {Collection("client", "default"): Completed(number * 30.0, 1.7e9 + number, "")}
    return Write(name, changes(number, counters, {**totals, SITE: count}, collections=done), {SITE: count})
