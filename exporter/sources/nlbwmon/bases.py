"""Where rows began whose lives nothing proves, from what `nlbw -c list` and `nlbw -t` show. Pure.

A row that fell began again: from 0, or from the copy that the daemon was loaded with. Where several values are
possible, the highest one counts, which is the smallest increase; where none is certain, none is given.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Final

from exporter.model import ZERO, Count

SOON: Final = 12 * 3_600.0
"""Seconds without a reading within which no more than one period can have ended."""

NEWEST: Final = 2
"""Files that a daemon may have been loaded with: its clock may have stood in the period before (§1.5 case 7)."""

Counts = Mapping[str, Count]
_LABEL: Final = re.compile(rb"^([0-9]{4})-([0-9]{2})-([0-9]{2})\s*$", re.MULTILINE)


def labels_of(text: bytes) -> tuple[str, ...]:
    """The labels of periods that `nlbw -c list` wrote, newest first, each once."""
    return tuple(dict.fromkeys(b"".join(found).decode() for found in _LABEL.findall(text)))


class Bases:
    """What this process saw of one daemon's rows. Ask `fell`, then `learn` where it is so, then `see`."""

    def __init__(self) -> None:
        self._counts: Counts | None = None
        self._at = 0.0
        self._loaded: tuple[Counts, ...] = ()
        self._cleared = False
        self._label = ""

    def fell(self, counts: Counts) -> bool:
        """Whether a row shows less than before; also true of the first rows there are, for who saw none before them."""
        last = self._counts
        return last is None or any(not _reaches(count, last.get(key, ZERO)) for key, count in counts.items())

    def candidates(self, listed: Sequence[str], at: float) -> tuple[str, ...]:
        """The periods whose files may tell more. listed: newest first. at: our clock, Unix seconds."""
        today = time.gmtime(at)
        months = [f"{today.tm_year:04}{today.tm_mon:02}01", _month_before(today.tm_year, today.tm_mon)]
        older = [self._label] if self._label else []
        guessed = [] if listed else [*older, *months]  # a wrong guess has no file, or one that proves nothing
        return tuple(dict.fromkeys([*listed[:NEWEST], *guessed]))[: NEWEST + 1]

    def learn(self, counts: Counts, listed: Sequence[str], files: Mapping[str, Counts], at: float) -> None:
        """Take in the files of the periods. listed: the labels that `nlbw -c list` shows. at: our clock."""
        last = self._counts or {}
        fallen = {key: last[key] for key in counts.keys() & last.keys() if not _reaches(counts[key], last[key])}
        # A file that holds more than we saw was written after it. The rows have less, so they were not loaded from it:
        # the period was closed, and they were cleared (database_archive() in database.c).
        closed = any(
            all(_reaches(file.get(key, ZERO), count) for key, count in fallen.items()) for file in files.values()
        )
        self._cleared = bool(fallen) and closed and 0 <= at - self._at <= SOON
        self._loaded = tuple(files[label] for label in listed[:NEWEST] if label in files)
        self._label = listed[0] if listed else self._label

    def forget(self) -> None:
        """What was learnt holds no longer, and nothing came in its place."""
        self._loaded, self._cleared = (), False

    def see(self, counts: Counts, at: float) -> None:
        """Remember the rows of a reading. at: our clock."""
        self._counts, self._at = counts, at

    def base(self, key: str, count: Count) -> Count | None:
        """Where the row began, None where nobody can tell."""
        values = [file[key] for file in self._loaded if key in file]
        below = [value for value in values if _reaches(count, value)]
        if below:
            return Count(max(value.download for value in below), max(value.upload for value in below))
        return ZERO if self._cleared or (self._loaded and not values) else None


def _month_before(year: int, month: int) -> str:
    return f"{year - 1:04}1201" if month == 1 else f"{year:04}{month - 1:02}01"


def _holds(file: Counts, counts: Counts) -> bool:
    return all(_reaches(file.get(key, ZERO), count) for key, count in counts.items())


def _reaches(count: Count, floor: Count) -> bool:
    return count.download >= floor.download and count.upload >= floor.upload
