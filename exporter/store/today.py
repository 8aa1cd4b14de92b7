"""What moved since midnight, for whoever asks: the totals, less those with which the day began."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import bucket_of
from exporter.accounting.days import day_of
from exporter.model import ZERO, Count, SubjectKey


@dataclass(slots=True)
class _Source:
    day: int
    opening: Mapping[SubjectKey, Count]
    totals: dict[SubjectKey, Count]


class Today:
    """The latest day of every source. Written by the thread that commits, read by any; neither waits for a disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: dict[str, _Source] = {}

    def begin(
        self, name: str, day: int, opening: Mapping[SubjectKey, Count], totals: Mapping[SubjectKey, Count]
    ) -> None:
        """The source `name` had `opening` when the day began and has `totals` now."""
        with self._lock:
            self._sources[name] = _Source(day, opening, dict(totals))

    def take(
        self, name: str, day: int, opening: Mapping[SubjectKey, Count], changed: Mapping[SubjectKey, Count]
    ) -> None:
        """What a poll changed, once it is durable: the totals, and on the first of a day the day and its opening."""
        with self._lock:
            source = self._sources.setdefault(name, _Source(day, opening, dict(opening)))
            source.day, source.opening = day, opening
            source.totals.update(changed)

    def read(self, now: float, zone: ZoneInfo) -> dict[str, dict[SubjectKey, Count]]:
        """Bytes since midnight of every subject that moved any, by source. Packets are not in the archive."""
        day = day_of(bucket_of(ceil(now)), zone)
        with self._lock:
            known = [(name, each.opening, dict(each.totals)) for name, each in self._sources.items() if each.day >= day]
        return {name: _grown(opening, totals) for name, opening, totals in known}


def _grown(opening: Mapping[SubjectKey, Count], totals: Mapping[SubjectKey, Count]) -> dict[SubjectKey, Count]:
    grown = {}
    for subject, total in totals.items():
        begun = opening.get(subject, ZERO)
        if total is not begun and (total.download != begun.download or total.upload != begun.upload):
            grown[subject] = Count(total.download - begun.download, total.upload - begun.upload)
    return grown
