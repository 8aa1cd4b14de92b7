"""From raw readings to bytes that moved: the rules of docs/design.md, "The ledger", and nothing else.

Pure: no I/O and no clock of its own. The numbers in the comments are the rows of that table. Where the evidence
leaves several histories open, the smallest increase counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import astuple, replace

from exporter.model import (
    ZERO,
    Bounds,
    Changes,
    Collection,
    Completed,
    Count,
    Counter,
    CounterKey,
    Life,
    Memory,
    Moment,
    Poll,
    Reading,
    SubjectKey,
)

REASONS = ("baseline", "duplicate", "new", "reset", "rollover", "rollback", "wrap", "dip", "implausible", "clock")
"""Why a counter did not simply go on; the values of the label `reason` of bandwidth_counter_events_total."""

GAP_INTERVALS = 3
"""A silence of more intervals than this hides something: rates over it are means over all of it."""

CLOCK_TOLERANCE = 300.0
"""Seconds a meter whose clock picks its periods may be off ours (nlbwmon reference, §1.5 case 7)."""

AGE_TOLERANCE = 10.0
"""Seconds by which a counter's age may lag behind the time that passed and still be the same life's."""

WRAP = 2**32

Verdict = tuple[Counter, Count, str]
"""What is remembered of the counter from now on, the increase, and the reason ("" where it simply went on)."""


def advance(memory: Memory, poll: Poll, moment: Moment, *, interval: float, max_rate: float) -> Changes:
    """What `poll`, taken at `moment`, does to `memory`, which is left as it is.

    interval: seconds between two polls of this source. max_rate: bytes per second, for counters whose link speed is
    not known. A poll that is not newer than the last one committed changes nothing.
    """
    source = memory.source
    if moment.number <= source.number:
        return _nothing(memory)
    if poll.clock_bound and poll.meter_at is not None and abs(poll.meter_at - moment.at) > CLOCK_TOLERANCE:
        return _nothing(memory, poll.readings)

    events: dict[tuple[str, str], int] = {}
    if moment.at < source.at:
        _count_all(events, poll.readings, "clock")
    another_meter = None not in (source.identity, poll.identity) and source.identity != poll.identity  # row 1
    known: Mapping[CounterKey, Counter] = {} if another_meter else memory.counters
    completed: Mapping[Collection, Completed] = {} if another_meter else memory.collections

    read = [completed[collection].tick for collection in poll.complete if collection in completed]
    before = min([source.tick, *read]) if source.number else moment.tick
    gap = moment.tick - before > GAP_INTERVALS * interval

    newest = _newest(poll.readings, events)
    counters: dict[CounterKey, Counter] = {}
    increases: dict[SubjectKey, Count] = {}
    splits: dict[SubjectKey, dict[Bounds, Count]] = {}
    met: list[tuple[Reading, str]] = []
    for key, reading in newest.items():
        counter = known.get(key)
        if counter is None:
            last = completed.get(Collection(key.kind, key.site))
            after, increase, reason = _first_sight(reading, last, moment.tick, poll.refresh, max_rate)
        else:
            after, increase, reason = _judge(counter, reading, moment.tick, poll.refresh, max_rate)
        if after is not counter:
            counters[key] = after
        if reason:
            events[key.kind, reason] = events.get((key.kind, reason), 0) + 1
            met.append((reading, reason))
        for subject in reading.subjects:
            increases[subject] = plus(increases.get(subject, ZERO), increase)
        if gap and reading.life is not None and increase != ZERO:
            last = completed.get(Collection(key.kind, key.site))
            parts = _proved(counter, reading.life, reading.count, last, moment, poll.refresh)
            add_parts(splits, reading.subjects, parts)

    totals = memory.totals
    return Changes(
        source=replace(
            source,
            identity=poll.identity or source.identity,
            number=moment.number,
            tick=moment.tick,
            at=max(moment.at, source.at),
            gaps=source.gaps + gap,
        ),
        counters=counters,
        gone=frozenset(memory.counters.keys() - newest.keys() if another_meter else _ended(memory, poll, newest)),
        totals={
            subject: plus(totals.get(subject, ZERO), increase)
            for subject, increase in increases.items()
            if increase != ZERO or subject not in totals
        },
        collections={
            # What another meter's complete readings proved is void, also where this poll was not complete.
            **{collection: Completed(moment.tick, None, "") for collection in memory.collections if another_meter},
            **{
                collection: Completed(moment.tick, _furthest(completed.get(collection), poll.meter_at), mark)
                for collection, mark in poll.complete.items()
            },
        },
        increases=increases,
        events=events,
        gap=gap,
        splits=splits,
        met=met,
    )


def plus(left: Count, right: Count) -> Count:
    """The sum of two counts."""
    if right is ZERO:
        return left
    return Count(
        left.download + right.download,
        left.upload + right.upload,
        left.download_packets + right.download_packets,
        left.upload_packets + right.upload_packets,
    )


def _nothing(memory: Memory, ignored: Iterable[Reading] = ()) -> Changes:
    events: dict[tuple[str, str], int] = {}
    _count_all(events, ignored, "clock")
    return Changes(memory.source, {}, frozenset(), {}, {}, {}, events)


def _count_all(events: dict[tuple[str, str], int], readings: Iterable[Reading], reason: str) -> None:
    for reading in readings:
        kind = reading.counter.kind
        events[kind, reason] = events.get((kind, reason), 0) + 1


def _newest(readings: Iterable[Reading], events: dict[tuple[str, str], int]) -> dict[CounterKey, Reading]:
    """Row 2: one reading for each counter, the one the meter heard last, and of two as new the smaller."""
    newest: dict[CounterKey, Reading] = {}
    for reading in readings:
        key = reading.counter
        other = newest.setdefault(key, reading)
        if other is not reading:
            events[key.kind, "duplicate"] = events.get((key.kind, "duplicate"), 0) + 1
            if reading.seen > other.seen or (reading.seen == other.seen and not _reaches(reading.count, other.count)):
                newest[key] = reading
    return newest


def _ended(memory: Memory, poll: Poll, newest: Mapping[CounterKey, Reading]) -> set[CounterKey]:
    """Counters that a complete reading of the same life does not show: their lives are over, they return from 0."""
    same = {
        collection
        for collection, mark in poll.complete.items()
        if mark and collection in memory.collections and memory.collections[collection].mark == mark
    }
    if not same:
        return set()
    return {key for key in memory.counters.keys() - newest.keys() if Collection(key.kind, key.site) in same}


def _furthest(last: Completed | None, meter_at: float | None) -> float | None:
    """A meter's clock that was set back must not make old clients look new: the furthest it ever stood counts."""
    if last is None or last.meter_at is None:
        return meter_at
    return last.meter_at if meter_at is None else max(last.meter_at, meter_at)


def _first_sight(reading: Reading, last: Completed | None, tick: float, refresh: float, max_rate: float) -> Verdict:
    """Rows 3 and 4: bytes of a first sight count only where it is proved that we missed nothing before them."""
    life, count = reading.life, reading.count
    base, increase = ZERO, None
    if last is not None and life is not None and life.mark and last.mark:
        if life.mark == last.mark:  # a complete reading of this very life did not show it yet
            increase = count
        else:
            base = life.base or ZERO
            increase, _ = _over_lives(ZERO, last.mark, count, life)
    elif last is not None and last.meter_at is not None and reading.born is not None and reading.born > last.meter_at:
        base = reading.base or ZERO
        increase = _minus(count, base) if _reaches(count, base) else ZERO
    if last is None or increase is None:
        return _taken(Counter(count, tick), reading, tick), ZERO, "baseline"
    begun = replace(_taken(Counter(count, tick), reading, tick), count=base, moved=last.tick)
    if not _plausible(increase, begun, reading, tick, refresh, max_rate):
        return _hold(begun, reading, tick, "implausible"), ZERO, "implausible"
    return _taken(Counter(count, tick), reading, tick), increase, "new"


def _judge(counter: Counter, reading: Reading, tick: float, refresh: float, max_rate: float) -> Verdict:
    """Rows 5 to 10 for a counter that was seen before."""
    before, count = counter.count, reading.count
    new_life = _is_new_life(counter, reading.life, tick)
    if new_life and reading.life is not None:  # row 5
        base = reading.life.base
        if base is not None and not _reaches(count, base) and counter.doubt != "fallen":
            return _hold(counter, reading, tick, "fallen"), ZERO, ""  # lower than it began: false, or the base is
        increase, reason = _over_lives(before, counter.mark, count, reading.life)
    elif _reaches(count, before):  # row 6, and the end of a dip of row 9
        increase = _minus(count, before)
        reason = "dip" if counter.doubt == "fallen" else ""
    elif _wrapped(counter, reading, tick, refresh, max_rate):  # row 7
        increase, reason = _around(before, count), "wrap"
    elif new_life is False:  # row 8
        if not _may_be_evicted(reading):
            return _forget_held(counter), ZERO, "dip"
        increase, reason = count, "reset"
    elif _restarted(counter, reading):  # row 9
        base = reading.base
        increase = ZERO if base is None else _minus(count, base)
        reason = "reset"
    else:
        return _hold(counter, reading, tick, "fallen"), ZERO, ""

    if not _plausible(increase, counter, reading, tick, refresh, max_rate):  # row 10
        if _stands(counter, reading, tick, refresh, max_rate):
            return _taken(counter, reading, tick), ZERO, "implausible"
        return _hold(counter, reading, tick, "implausible"), ZERO, "implausible"
    return _taken(counter, reading, tick), increase, reason


def _is_new_life(counter: Counter, life: Life | None, tick: float) -> bool | None:
    """True: a new life is proved. False: the same life is. None: nothing is."""
    if life is None:
        return None
    if life.mark and counter.mark:
        return life.mark != counter.mark
    if life.age is None or counter.age is None:
        return None
    if life.age < counter.age:
        return True
    return False if life.age - counter.age >= tick - counter.aged - AGE_TOLERANCE else None


def _may_be_evicted(reading: Reading) -> bool:
    """Row 8: where the meter's table is full, a counter that fell was driven out of it and began again from 0."""
    return reading.life is not None and reading.life.evicts


def _over_lives(before: Count, mark: str, count: Count, life: Life) -> tuple[Count, str]:
    """Row 5: what moved since `before` was read in the life `mark`, over lives that closed since, up to `count`."""
    parts, went_on = _life_by_life(before, mark, count, life)
    increase = ZERO
    for _, part in parts:
        increase = plus(increase, part)
    if went_on:
        return increase, ""
    if life.mark and not life.restarted:
        return increase, "rollover"
    return increase, "rollback" if life.base is not None and life.base != ZERO else "reset"


def _life_by_life(before: Count, mark: str, count: Count, life: Life) -> tuple[list[tuple[Bounds, Count]], bool]:
    """The same life by life, with when it moved; and whether the old total may have gone on in the last one."""
    parts: list[tuple[Bounds, Count]] = []
    totals, since, went_on, final_known = [before], None, False, False
    finals = [(closed.final, closed.ended) for closed in life.closed if closed.mark == mark]
    lives: list[tuple[Count | None, Count, Bounds]] = [
        (closed.base, closed.final, (closed.began, closed.ended)) for closed in life.closed if closed.mark != mark
    ]
    for final, ended in finals:
        if _reaches(final, before):
            parts = [((None, ended), _minus(final, before))]
            totals, since, final_known = [final], ended, True
    for base, final, bounds in [*lives, (life.base, count, (life.began, None))]:
        reached = [total for total in totals if _reaches(final, total)]
        told = base is not None or (final_known and _reaches(final, totals[-1]))
        went_on = life.restarted and told and reached != []
        if went_on:  # any of the old totals may have gone on, and none is more than what a new one would have counted
            floor = _highest(reached)
            parts.append(((since if floor == totals[-1] else None, bounds[1]), _minus(final, floor)))
        elif base is not None and _reaches(final, base):
            parts.append((bounds, _minus(final, base)))
        totals, since, final_known = [*totals, final], bounds[1], True
    return parts, went_on


def _proved(
    counter: Counter | None, life: Life, count: Count, last: Completed | None, moment: Moment, refresh: float
) -> list[tuple[Bounds, Count]]:
    """The parts of an increase over lives whose time is proved. What goes on in one life has none."""
    if counter is not None:
        if not _is_new_life(counter, life, moment.tick):
            return []
        before, mark = counter.count, counter.mark
    elif last is not None and life.mark and last.mark and life.mark != last.mark:
        before, mark = ZERO, last.mark
    else:
        return []
    if life.age is not None and life.began is None:  # the reading may be as old as a refresh
        life = replace(life, began=moment.at - life.age - refresh)
    parts, _ = _life_by_life(before, mark, count, life)
    return [(bounds, part) for bounds, part in parts if bounds != (None, None) and part != ZERO]


def add_parts(
    splits: dict[SubjectKey, dict[Bounds, Count]],
    subjects: Iterable[SubjectKey],
    parts: Iterable[tuple[Bounds, Count]],
) -> None:
    """Let the subjects have moved these parts as well, bound by bound."""
    for bounds, part in parts:
        for subject in subjects:
            known = splits.setdefault(subject, {})
            known[bounds] = plus(known.get(bounds, ZERO), part)


def _wrapped(counter: Counter, reading: Reading, tick: float, refresh: float, max_rate: float) -> bool:
    """Row 7: every direction that fell did so by passing 2^32, for all we can see."""
    before, count = counter.count, reading.count
    if not reading.wraps or counter.wide or _is_wide(count):
        return False
    if count.download < before.download and count.download_packets <= before.download_packets:
        return False
    if count.upload < before.upload and count.upload_packets <= before.upload_packets:
        return False
    return _plausible(_around(before, count), counter, reading, tick, refresh, max_rate)


def _around(before: Count, count: Count) -> Count:
    straight = _minus(count, before)
    return replace(
        straight,
        download=(count.download - before.download) % WRAP,
        upload=(count.upload - before.upload) % WRAP,
    )


def _restarted(counter: Counter, reading: Reading) -> bool:
    """Row 9: a fallen counter restarted if it is still fallen at the next reading or the client connected anew.

    All zero is the commonest false value, and as a true one it has no bytes to count: it can wait. So can a value
    that is lower than the one a restart would have begun from.
    """
    count, base = reading.count, reading.base
    if not (count.download or count.upload) or (base is not None and not _reaches(count, base)):
        return False
    still_fallen = counter.held is not None and not _reaches(counter.held, counter.count)
    return still_fallen or (reading.session != counter.session and "" not in (reading.session, counter.session))


def _plausible(
    increase: Count, counter: Counter, reading: Reading, tick: float, refresh: float, max_rate: float
) -> bool:
    """Row 10: the link could carry the increase since the value last moved and one refresh of the meter."""
    most = _speed(counter, reading, max_rate) * (tick - counter.moved + refresh)
    return increase.download <= most and increase.upload <= most


def _stands(counter: Counter, reading: Reading, tick: float, refresh: float, max_rate: float) -> bool:
    """Row 10: the implausible value was no slip; the counter goes on from it at a speed its link can carry."""
    held = counter.held
    if held is None or counter.doubt != "implausible" or not _reaches(reading.count, held):
        return False
    since = replace(counter, moved=counter.held_at)
    return _plausible(_minus(reading.count, held), since, reading, tick, refresh, max_rate)


def _speed(counter: Counter, reading: Reading, max_rate: float) -> float:
    return _faster(counter.speed, reading.speed) or max_rate


def _faster(left: float | None, right: float | None) -> float | None:
    return right if left is None else left if right is None else max(left, right)


def _taken(counter: Counter, reading: Reading, tick: float) -> Counter:
    """The reading is believed: its values are the last ones taken. Unchanged, the counter itself comes back."""
    count, life = reading.count, reading.life
    mark, age, aged = counter.mark, counter.age, counter.aged
    if life is not None:
        mark, age, aged = life.mark, life.age, tick if life.age is not None else 0.0
    speed = _faster(counter.speed, reading.speed)
    session = reading.session or counter.session
    moved = counter.moved if count == counter.count else tick
    after = Counter(count, moved, speed, mark, age, aged, session, counter.wide or _is_wide(count))
    return counter if after == counter else after


def _hold(counter: Counter, reading: Reading, tick: float, doubt: str) -> Counter:
    wide = counter.wide or _is_wide(reading.count)
    return replace(counter, held=reading.count, held_at=tick, doubt=doubt, wide=wide)


def _forget_held(counter: Counter) -> Counter:
    return counter if counter.held is None else replace(counter, held=None, held_at=0.0, doubt="")


def _is_wide(count: Count) -> bool:
    return count.download >= WRAP or count.upload >= WRAP


def _reaches(count: Count, floor: Count) -> bool:
    """Both directions are at least as far; packets follow the bytes, for they restart with them."""
    return count.download >= floor.download and count.upload >= floor.upload


def _highest(counts: Sequence[Count]) -> Count:
    """The furthest of each direction."""
    return Count(*map(max, zip(*map(astuple, counts), strict=True)))


def _minus(count: Count, floor: Count) -> Count:
    """From `floor` to `count`. Packets that fell while bytes rose are taken to begin anew, with nothing to count."""
    if count == floor:
        return ZERO
    return Count(
        count.download - floor.download,
        count.upload - floor.upload,
        max(0, count.download_packets - floor.download_packets),
        max(0, count.upload_packets - floor.upload_packets),
    )
