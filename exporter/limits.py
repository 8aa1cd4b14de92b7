"""How many clients of a source may have series, and what becomes of the rest: docs/design.md, "Limits".

A flood of made-up addresses must cost neither the page nor the memory nor the state file without bound. So a client
needs a *place*. Who has one keeps it for as long as it is on the page; then come clients that have a total already,
then new ones. The bytes of a client without a place are counted into the sums that it is a part of, and only there.

Pure. `admit` comes before the ledger and leaves out of the poll what has no place, `settle` after it.
"""

from __future__ import annotations

from collections.abc import Collection as Many
from collections.abc import Iterable, Mapping
from heapq import nsmallest

from msgspec import Struct
from msgspec.structs import replace

from exporter.model import Changes, Collection, CounterKey, Memory, Poll, Reading, SubjectKey

REMEMBERED = 10
"""For each client that may have series, the state remembers so many totals, and as many counters of clients that have
none: people come and go, and whoever is over the limit is still metered."""

OVER = (
    "more clients than limits.clients ({limit}) allows: the bytes of those without a place are in the sum of their site"
    " alone. Raise limits.clients if they are yours, else look for a device that makes up addresses"
)
FULL = (
    "the state remembers {most} clients, as many as limits.clients ({limit}) allows: the bytes of new ones are in the"
    " sum of their site alone. Raise limits.clients, or forget clients that are gone for good"
)
LOST = (
    "{most} clients without a place are metered, as many as limits.clients ({limit}) allows: the bytes of the others"
    " are not counted at all. Raise limits.clients if they are yours, else look for a device that makes up addresses"
)


class Admitted(Struct, frozen=True):
    """What is left of a poll.

    gone: counters to forget. births: of each collection in which somebody has no place, the last birth that the poll
    shows there (-inf: none), on the meter's clock. lost: the collections of which readings were left out.
    """

    poll: Poll
    gone: frozenset[CounterKey] = frozenset()
    births: Mapping[Collection, float] = {}
    lost: frozenset[Collection] = frozenset()


def admit(memory: Memory, poll: Poll, present: Many[SubjectKey], limit: int) -> Admitted:
    """Give out the places. present: the subjects on the page. limit: of clients; at least 1."""
    most = REMEMBERED * limit
    shown = len(poll.clients) + len(poll.readings)
    if max(len(memory.totals), len(memory.counters)) + shown <= most and len(present) + _came(poll, present) <= limit:
        return Admitted(poll)
    clients = _clients(poll)
    placed, full = _places(memory, clients, present, limit)
    over = sum(client not in placed for client in clients)
    readings: list[Reading] = []
    strangers: list[Reading] = []
    for reading in poll.readings:
        is_stranger = reading.counter.kind == "client" and placed.isdisjoint(reading.subjects)
        (strangers if is_stranger else readings).append(reading)
    if not strangers and not over:
        return Admitted(poll)
    metered, gone, lost = _metered(memory, poll, strangers, most)
    notices = [words for words, so in ((OVER, over and not full), (FULL, full), (LOST, lost)) if so]
    return Admitted(
        replace(
            poll,
            readings=(*readings, *metered),
            clients=tuple(client for client in poll.clients if _subject(client.site, client.client) in placed),
            over=over,
            notices=(*poll.notices, *(words.format(limit=limit, most=most) for words in notices)),
        ),
        frozenset(gone),
        _births(strangers),
        lost,
    )


def settle(memory: Memory, changes: Changes, admitted: Admitted) -> Changes:
    """The ledger's answer to what was left of the poll, made fit for what was left out.

    Whoever has no counter after this poll has been seen all the same. So nothing may later prove that it was born
    since, or it would be counted from its birth: over what it moved since it was first seen, or twice.
    """
    if changes.source.number == memory.source.number or not admitted.births:
        return changes  # a poll that the ledger did not take
    collections = dict(changes.collections)
    for collection, born in admitted.births.items():
        last = collections.get(collection) or memory.collections.get(collection)
        if last is not None:
            collections[collection] = replace(
                last,
                meter_at=None if last.meter_at is None else max(last.meter_at, born),
                mark="" if collection in admitted.lost else last.mark,
            )
    return replace(changes, gone=changes.gone | admitted.gone, collections=collections)


def _subject(site: str, client: str) -> SubjectKey:
    return SubjectKey("client", site, client)


def _came(poll: Poll, present: Many[SubjectKey]) -> int:
    """At most so many clients come onto the page. Fast, for this is asked at every poll."""
    subjects: set[tuple[str, str, str]] = {subject for reading in poll.readings for subject in reading.subjects}
    subjects.update([("client", client.site, client.client) for client in poll.clients])
    return len(subjects.difference(present))


def _clients(poll: Poll) -> dict[SubjectKey, None]:
    """Every client of the poll, in its order."""
    clients = dict.fromkeys(_subject(client.site, client.client) for client in poll.clients)
    for reading in poll.readings:
        for subject in reading.subjects:
            if subject.kind == "client":
                clients[subject] = None
    return clients


def _places(
    memory: Memory, clients: Iterable[SubjectKey], present: Iterable[SubjectKey], limit: int
) -> tuple[set[SubjectKey], bool]:
    """Who has a place, and whether somebody has none because the state may not remember more."""
    placed = {subject for subject in present if subject.kind == "client"}
    known: list[SubjectKey] = []
    new: list[SubjectKey] = []
    for client in clients:
        if client not in placed:
            (known if client in memory.totals else new).append(client)
    remembered = sum(subject.kind == "client" for subject in memory.totals) if new else 0
    remembered += sum(subject not in memory.totals for subject in placed)
    free = max(0, limit - len(placed))
    placed.update(known[:free])
    free = max(0, free - len(known))
    rest = max(0, REMEMBERED * limit - remembered)
    placed.update(new[: min(free, rest)])
    return placed, rest < min(free, len(new))


def _metered(
    memory: Memory, poll: Poll, strangers: Iterable[Reading], most: int
) -> tuple[list[Reading], list[CounterKey], frozenset[Collection]]:
    """What is still metered of clients without a place, without them as subjects; the counters that make room for it,
    and the collections of which something is left out.

    A counter that a poll shows is never forgotten for another one: where more are shown than there is room for, they
    would push each other out at every poll, and nobody would be metered.
    """
    counters = memory.counters
    metered = [_without_client(reading) for reading in strangers if reading.counter in counters]
    fresh: dict[CounterKey, list[Reading]] = {}
    for reading in strangers:
        if reading.counter not in counters:
            fresh.setdefault(reading.counter, []).append(reading)
    if not fresh:
        return metered, [], frozenset()
    totals = memory.totals
    loose = [key for key in counters if key.kind == "client" and _subject(key.site, key.client) not in totals]
    room = most - len(loose)
    gone: list[CounterKey] = []
    if room < len(fresh):
        in_poll = {reading.counter for reading in poll.readings}
        # Only what a reading to the end does not show is surely away: else its row would return as one that is born.
        away = [key for key in loose if key not in in_poll and Collection("client", key.site) in poll.complete]
        gone = nsmallest(len(fresh) - room, away, key=lambda key: counters[key].moved)
        room += len(gone)
    keys = list(fresh)
    for key in keys[: max(0, room)]:
        metered += map(_without_client, fresh[key])
    lost = frozenset(Collection(key.kind, key.site) for key in keys[max(0, room) :])
    return metered, gone, lost


def _without_client(reading: Reading) -> Reading:
    sums = tuple(subject for subject in reading.subjects if subject.kind not in ("client", "client_protocol"))
    return reading if len(sums) == len(reading.subjects) else replace(reading, subjects=sums)


def _births(strangers: Iterable[Reading]) -> dict[Collection, float]:
    births: dict[Collection, float] = {}
    for reading in strangers:
        collection = Collection(reading.counter.kind, reading.counter.site)
        born = float("-inf") if reading.born is None else reading.born
        births[collection] = max(born, births.get(collection, born))
    return births
