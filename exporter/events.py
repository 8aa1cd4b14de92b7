"""What happened beside bytes that moved, as the archive keeps it: who came and went, what did not simply go on. Pure.

An event is a subject, a reason and a count. A reset says something about one counter and is kept of its subject. The
ledger's other reasons are kept of the site that the counter is in, and so is whatever happens to many at once. A site
is the sum of its clients: there the reason of another kind of counter says which, `port|reset`.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import Final, NamedTuple

from msgspec import Struct

from exporter.model import Changes, Collection, CounterKey, Device, Memory, Noted, Poll, SubjectKey, Wan

NAMED: Final = 20
"""Subjects of a site that the same happens to in a poll, each with a row of its own; more are one row of the site."""

OWN: Final = frozenset({"reset", "rollback", "implausible"})
"""Reasons of the ledger's that are kept of the subject."""

STALE: Final = 120.0
"""Seconds by which an uptime may be old when it is read, so that it is too short."""


class Seen(NamedTuple):
    """How long a device was up in a poll at `tick` and at `at` (Unix seconds). uptime: seconds."""

    uptime: float
    tick: float
    at: float


class Known(Struct, frozen=True):
    """What was last heard of gear: the uptime of devices, and whether devices and lines were up."""

    uptimes: Mapping[SubjectKey, Seen] = {}
    up: Mapping[SubjectKey, bool] = {}


class _Event(NamedTuple):
    """subject: None for what is kept of the site."""

    site: str
    kind: str
    reason: str
    subject: SubjectKey | None = None


def note(
    memory: Memory, poll: Poll, changes: Changes, left: Iterable[SubjectKey], known: Known, tick: float, at: float
) -> tuple[Noted, Known]:
    """What a poll at `tick` and at `at` (Unix seconds) tells, and what is known of gear from then on.

    memory: as it was before the poll. changes: what the ledger makes of it. left: who leaves the page with it. Where
    our clock was set back, the last good time counts.
    """
    at = max(at, memory.source.at)
    since = dict.fromkeys(_new(memory, changes), ceil(at))
    gone = (subject for subject in left if subject.kind == "client" and subject in memory.totals)
    events = [
        *_of_counters(poll, changes),
        *(_Event(site, "site", "gap") for site in _sites(memory, poll) if changes.gap),
        *(_Event(subject.site, "client", "new_client", subject) for subject in since),
        *(_Event(subject.site, "client", "gone_client", subject) for subject in gone),
    ]
    uptimes, up = dict(known.uptimes), dict(known.up)
    for piece in poll.gear:
        subject = piece.subject
        if isinstance(piece, Device) and piece.uptime is not None:
            now = Seen(piece.uptime, tick, at)
            if _rebooted(uptimes.get(subject, _at_the_last_poll(memory, subject)), now):
                events.append(_Event(piece.site, subject.kind, "reboot", subject))
            uptimes[subject] = now
        if isinstance(piece, Device | Wan) and piece.up is not None:
            if piece.up is not up.get(subject, piece.up):
                events.append(_Event(piece.site, subject.kind, "up" if piece.up else "down", subject))
            up[subject] = piece.up
    return Noted(ceil(at), _rows(events), since), Known(uptimes, up)


def _new(memory: Memory, changes: Changes) -> Iterator[SubjectKey]:
    """Clients that were not there at the first complete reading of their site by this meter."""
    if memory.source.identity not in (None, changes.source.identity):
        return
    for subject in changes.totals:
        if subject.kind != "client" or subject in memory.totals:
            continue
        if Collection("client", subject.site) in memory.collections:
            yield subject


def _of_counters(poll: Poll, changes: Changes) -> Iterator[_Event]:
    """All that the ledger counted: `changes.events`, by site or subject."""
    reasons = {reason for _, reason in changes.events}
    if "clock" in reasons:
        yield from (_Event(each.counter.site, each.counter.kind, "clock") for each in poll.readings)
    if "duplicate" in reasons:
        first: set[CounterKey] = set()
        for each in poll.readings:
            if each.counter in first:
                yield _Event(each.counter.site, each.counter.kind, "duplicate")
            first.add(each.counter)
    for reading, reason in changes.met:
        kind, site = reading.counter.kind, reading.counter.site
        of = (subject for subject in reading.subjects if subject.kind == kind) if reason in OWN else ()
        yield _Event(site, kind, reason, next(iter(of), None))


def _sites(memory: Memory, poll: Poll) -> set[str]:
    return {collection.site for collection in poll.complete or memory.collections}


def _at_the_last_poll(memory: Memory, subject: SubjectKey) -> Seen | None:
    """Of a device that was there when the process last ran: it had been up for some time."""
    return Seen(0.0, memory.source.tick, memory.source.at) if subject in memory.totals else None


def _rebooted(last: Seen | None, now: Seen) -> bool:
    """It is up for less time than before, or than has passed since: by both of our clocks, for one may be set."""
    if last is None:
        return False
    passed = min(now.tick - last.tick, now.at - last.at)
    return now.uptime < last.uptime or now.uptime + STALE < passed


def _rows(events: Iterable[_Event]) -> dict[tuple[SubjectKey, str], int]:
    """How often each happened, by subject where these are few."""
    groups: dict[tuple[str, str, str], Tally[SubjectKey | None]] = {}
    for site, kind, reason, subject in events:
        groups.setdefault((site, kind, reason), Tally())[subject] += 1
    rows: dict[tuple[SubjectKey, str], int] = {}
    for (site, kind, reason), counts in groups.items():
        of_site = SubjectKey("site", site, ""), reason if kind in ("client", "site") else f"{kind}|{reason}"
        many = len(counts) - (None in counts) > NAMED
        for subject, count in counts.items():
            row = of_site if many or subject is None else (subject, reason)
            rows[row] = rows.get(row, 0) + count
    return rows
