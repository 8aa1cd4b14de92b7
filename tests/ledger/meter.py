"""A simulated meter that knows the truth: what really moved, and what nobody could read of it.

Nothing in here knows how the ledger decides. The meter moves bytes, starts lives, shows values and evidence, sometimes
lies once; for each of its rows it keeps how many bytes the ledger owes (`Row.owed`), and how many of them it may miss.
"""

from __future__ import annotations

import copy
from collections.abc import Collection as Members
from enum import Enum

from msgspec import Struct, field

from exporter import ledger
from exporter.model import (
    ZERO,
    Changes,
    Closed,
    Collection,
    Count,
    CounterKey,
    Life,
    Memory,
    Moment,
    Poll,
    Reading,
    SubjectKey,
)
from tests.ledger.truth import Row, highest, minus, part, plus, reaches, within

CLIENTS = Collection("client", "")
SUM = SubjectKey("site", "", "")
INTERVAL = 30.0
MAX_RATE = 1_000_000.0
"""Bytes per second that no link of this meter exceeds; its false high values do."""

START = 1_800_000_000.0
CLOCK_TOLERANCE = 300.0


class Proof(Enum):
    """What the meter can prove about the lives of its counters."""

    MARK = "by mark"  # nlbwmon
    AGE = "by age"  # UniFi devices
    NOTHING = "nothing"  # UniFi clients


class Meter(Struct):
    """The meter, our clock, and the exporter's memory of it.

    off: our clock's error. meter_off: the meter's. mark: number of the running life; restarts: the marks that began
    with a restart of the meter's process. settled: completeness as the truth knows it (identity, mark, furthest clock).
    jumped: a row's level was once falsely raised for good, so that only "never over" can be asked.
    """

    proof: Proof
    rows: dict[str, Row]
    memory: Memory = field(default_factory=Memory)
    tick: float = 1000.0
    off: float = 0.0
    meter_off: float = 0.0
    identity: str = "meter-0"
    known_as: str = ""
    mark: int = 1
    restarts: tuple[int, ...] = ()
    complete_mark: str = ""
    furthest: float | None = None
    was_complete: bool = False
    number: int = 0
    jumped: bool = False
    seen_total: dict[SubjectKey, Count] = field(default_factory=dict)

    def clone(self) -> Meter:
        """A twin that goes its own way."""
        twin = copy.copy(self)
        twin.rows = {key: copy.copy(row) for key, row in self.rows.items()}
        twin.memory = Memory(
            self.memory.source,
            dict(self.memory.counters),
            dict(self.memory.totals),
            dict(self.memory.shown),
            dict(self.memory.collections),
        )
        twin.seen_total = dict(self.seen_total)
        return twin

    # What happens to the meter.

    def move(self, key: str, bytes_moved: Count, seconds: float = 10.0) -> None:
        self.tick += seconds
        row = self.rows[key]
        if row.there:
            row.real = plus(row.real, bytes_moved)

    def save(self) -> None:
        """The meter writes a copy of itself, from which it is restored after a crash."""
        for row in self.rows.values():
            row.saved, row.copied, row.filed = row.raw, row.raw, True

    def reset(self, keys: Members[str], *, restarted: bool = False, reconnects: bool = False) -> None:
        """Counters begin again from 0. A meter that names its lives loses all of them at once, closed ones too."""
        self._next_life(restarted=restarted)
        for key in self._affected(keys):
            row = self.rows[key]
            row.end(ZERO, ZERO, self.tick)
            row.forget_closed()
            row.saved, row.filed, row.session = ZERO, False, row.session + reconnects

    def roll_over(self, *, readable: bool = True) -> None:
        """The meter closes its period and begins the next."""
        old = str(self.mark)
        self._next_life()
        for row in self.rows.values():
            row.end(ZERO, ZERO, self.tick, mark=old if readable and self.proof is Proof.MARK else "")
            row.saved, row.filed = ZERO, False

    def roll_back(self, *, restarted: bool = False) -> None:
        """A crash: the meter is restored from its last copy and goes on from there."""
        self._next_life(restarted=restarted)
        for row in self.rows.values():
            row.end(row.saved, row.saved, self.tick)
            row.rolled = True

    def go_on(self, *, boundary: bool = False, final: str = "none") -> None:
        """The meter's process is restarted and old totals go on.

        `boundary`: in a new period, whose file does not exist. No new period where the meter was rolled back since it
        was read: without a file of either, nothing would tell of the copy.
        `final`: what the old period's file holds: "none" (no file), "saved" (its last commit) or "exact".
        """
        old = str(self.mark)
        self._next_life(restarted=True)
        boundary = boundary and not any(row.rolled for row in self.rows.values())
        for row in self.rows.values():
            if boundary and self.proof is Proof.MARK and (final == "exact" or (final == "saved" and row.filed)):
                held = row.raw if final == "exact" else row.saved
                row.closed += (Closed(old, row.told, held),)
                row.copied = highest(row.copied, held)
            if boundary:
                row.saved, row.filed = ZERO, False
            row.told, row.went_on = row.saved, True
            if self.proof is Proof.NOTHING or row.stretch != row.floor_stretch:
                row.slack = plus(row.slack, row.saved)  # a fallen value is taken to have begun from that copy

    def prune(self) -> None:
        """Closed periods can no longer be read."""
        for row in self.rows.values():
            row.forget_closed()

    def evict(self, key: str) -> None:
        """The row leaves the meter (nlbwmon: its table is full). It comes back from 0."""
        row = self.rows[key]
        row.end(ZERO, ZERO, self.tick)
        row.forget_closed()
        row.there, row.saved = False, ZERO

    def bear(self, key: str, *, before: Count = ZERO) -> None:
        """A subject the meter never saw until now. `before`: in truth it is an old one, with so much on its counter."""
        born = self.clock - (0.0 if before == ZERO else 10_000_000.0)
        row = Row(born=born if self.proof is Proof.NOTHING else None, since=self.tick)
        row.base = before
        self.rows[key] = row

    def jump(self, key: str) -> None:
        """A false level that stands: the row goes on from a value that no link could have carried."""
        row = self.rows[key]
        row.base = plus(row.base, Count(10**13, 10**13, 10**10, 10**10))
        self.jumped = True

    def replace(self) -> None:
        """Another meter stands at the same address, with other counters and other lives."""
        self.identity = f"meter-{self.tick}"
        self._next_life()
        self.rows = {key: row for key, row in self.rows.items() if row.there}
        for row in self.rows.values():
            base = Count(7000, 500, 70, 5)
            row.end(base, base, self.tick)
            row.forget_closed()
            row.saved, row.birth = base, row.real

    def _next_life(self, *, restarted: bool = False) -> None:
        self.mark += 1
        if restarted:
            self.restarts += (self.mark,)

    def _affected(self, keys: Members[str]) -> Members[str]:
        return keys if self.proof is Proof.NOTHING else self.rows.keys()

    # What the meter shows.

    @property
    def clock(self) -> float:
        return START + self.tick + self.meter_off

    def counter(self, key: str) -> CounterKey:
        return CounterKey("client", "", key)

    def subject(self, key: str) -> SubjectKey:
        return SubjectKey("client", "", key)

    def _life(self, key: str, row: Row) -> Life | None:
        if self.proof is Proof.NOTHING:
            return None
        if self.proof is Proof.AGE:
            return Life(age=self.tick - row.since, base=ZERO)
        counter = self.memory.counters.get(self.counter(key))
        completed = self.memory.collections.get(CLIENTS)
        last = counter.mark if counter else completed.mark if completed else ""
        since = int(last or self.mark)
        return Life(
            mark=str(self.mark),
            base=row.told,
            closed=tuple(closed for closed in row.closed if int(closed.mark) >= since),
            restarted=any(mark > since for mark in self.restarts),
        )

    def reading(self, key: str, shown: Count | None = None) -> Reading:
        row = self.rows[key]
        return Reading(
            counter=self.counter(key),
            subjects=(self.subject(key), SUM),
            count=row.raw if shown is None else shown,
            seen=self.tick,
            born=row.born,
            life=self._life(key, row),
            base=row.told,
            session=str(row.session) if self.proof is Proof.NOTHING else "",
        )

    # A poll.

    def may_lie(self, key: str, lie: str) -> bool:
        """One false reading is inside the promise: not two running, none that a restart hides, none unasked for."""
        row = self.rows[key]
        if not row.there or row.lied or row.floor is None or self.known_as != self.identity:
            return False
        return lie == "high" or (not row.went_on and row.session == row.floor_session)

    def lie(self, key: str, lie: str) -> Count:
        row = self.rows[key]
        if lie == "high":
            return plus(row.raw, Count(10**12, 10**12, 10**9, 10**9))
        same = row.floor is not None and row.stretch == row.floor_stretch
        return part(row.floor if same and row.floor is not None else row.raw, 2)

    def poll(
        self,
        *,
        lies: dict[str, str] | None = None,
        missing: Members[str] = (),
        doubled: Members[str] = (),
        fate: str = "taken",
        seconds: float = INTERVAL,
    ) -> Changes:
        """Read the meter. `fate`: "taken", "killed" (before the commit) or "late" (another poll overtook it)."""
        self.tick += seconds
        lies = {key: lie for key, lie in (lies or {}).items() if self.may_lie(key, lie) and key not in missing}
        read = [key for key, row in self.rows.items() if row.there and key not in missing]
        readings = [self.reading(key, self.lie(key, lies[key]) if key in lies else None) for key in read]
        for key in doubled:
            if key in read:
                old = self.reading(key, part(self.rows[key].raw, 3))
                readings.insert(0, Reading(old.counter, old.subjects, old.count, seen=old.seen - 5, life=old.life))
        complete = not any(self.rows[key].there for key in missing if key in self.rows)
        mark = str(self.mark) if self.proof is Proof.MARK else ""
        poll = Poll(
            identity=self.identity,
            readings=tuple(readings),
            complete={CLIENTS: mark} if complete else {},
            meter_at=self.clock,
            clock_bound=self.proof is Proof.MARK,
        )
        self.number += fate != "late"
        at = START + self.tick + self.off
        moment = Moment(self.number, self.tick, at)
        before = {key: self.total(key) for key in self.rows}
        changes = ledger.advance(self.memory, poll, moment, interval=INTERVAL, max_rate=MAX_RATE)
        if fate == "killed":
            return changes
        self.memory.take(changes, {})
        if fate == "taken" and not (poll.clock_bound and abs(self.clock - at) > CLOCK_TOLERANCE):
            self._was_read(before, read, lies, complete=complete)
        return changes

    def _was_read(self, before: dict[str, Count], read: list[str], lies: dict[str, str], *, complete: bool) -> None:
        if self.known_as != self.identity:
            for key, row in self.rows.items():
                if not self.known_as:
                    continue
                row.first_seen(before[key])
                row.origin, row.floor, row.waiting, row.lied = None, None, None, False
            self.known_as, self.was_complete, self.complete_mark, self.furthest = self.identity, False, "", None
        for key in read:
            row = self.rows[key]
            if row.origin is None and not self._birth_is_proved(row):
                row.first_seen(before[key])
            elif row.origin is None:
                row.origin, row.before = row.birth, before[key]
            Witness(self, row).take(row.raw if key not in lies else self.lie(key, lies[key]), lies.get(key, ""))
        if complete:
            self.was_complete = True
            self.complete_mark = str(self.mark) if self.proof is Proof.MARK else ""
            self.furthest = self.clock if self.furthest is None else max(self.furthest, self.clock)

    def _birth_is_proved(self, row: Row) -> bool:
        if not self.was_complete:
            return False
        if self.proof is Proof.MARK:
            return True
        return row.born is not None and self.furthest is not None and row.born > self.furthest

    def total(self, key: str) -> Count:
        return self.memory.totals.get(self.subject(key), ZERO)

    def settle(self) -> None:
        """All clocks are right again, nothing moves, and the meter is read until all that was held is decided."""
        self.off = self.meter_off = 0.0
        for _ in range(3):
            self.poll(seconds=3600.0)

    # What must hold.

    def check(self) -> None:
        """The first part of the promise, and that totals only grow: true at any instant."""
        for key, row in self.rows.items():
            total, most = self.total(key), row.most()
            assert within(total, most), f"over: {key} has {total}, but only {most} moved"
        for subject, total in self.memory.totals.items():
            assert within(self.seen_total.get(subject, ZERO), total), f"{subject} went down"
            self.seen_total[subject] = total
        clients = [total for subject, total in self.memory.totals.items() if subject != SUM]
        whole = ZERO
        for total in clients:
            whole = plus(whole, total)
        assert whole == self.memory.totals.get(SUM, ZERO)

    def check_at_rest(self) -> None:
        """The second and the third part: nothing is missing but what nobody read, or what was not proved to be new."""
        self.check()
        for key, row in self.rows.items():
            if row.there and not self.jumped:
                total, least = self.total(key), row.least()
                assert within(least, total), f"short: {key} has {total}, but {least} was read and proved"


class Witness(Struct):
    """Notes what a committed reading lets the ledger know, given the truth about the row."""

    meter: Meter
    row: Row

    def take(self, shown: Count, lie: str) -> None:
        row = self.row
        row.lied = bool(lie)
        if lie == "high":
            if row.waiting is not None:
                row.slack, row.waiting = plus(row.slack, row.waiting[1]), None
            return
        proved = self._proved()
        if row.floor is None or proved:
            self._take_proved(shown, lie)
        else:
            self._take_unproved(shown, lie)
        row.went_on, row.rolled, row.floor_session = False, row.rolled and bool(lie), row.session

    def _proved(self) -> bool:
        row, meter = self.row, self.meter
        if meter.proof is Proof.AGE:
            return row.stretch == row.floor_stretch or meter.tick - row.since < row.floor_age
        return meter.proof is Proof.MARK

    def _take_proved(self, shown: Count, lie: str) -> None:
        row = self.row
        if lie and row.stretch == row.floor_stretch:
            return
        if row.floor is not None and row.stretch != row.floor_stretch and self.meter.restarts:
            self._allow_for_a_restart(shown, row.floor)
        self._note_shown(shown, lie)
        if not lie or reaches(shown, row.told):
            row.closed, row.tail = (), ZERO
            self._stand_at(shown)

    def _note_shown(self, shown: Count, lie: str) -> None:
        """A lower value than the true one, too, shows the bytes up to it."""
        row = self.row
        if not lie:
            row.shown = row.real
        elif reaches(shown, row.base):
            row.shown = highest(row.shown, plus(row.start, minus(shown, row.base)))

    def _allow_for_a_restart(self, shown: Count, floor: Count) -> None:
        """After a restart of the process, a value that is not lower may be the old total going on."""
        row = self.row
        if row.closed or reaches(shown, floor):
            for final in (floor, *(closed.final for closed in row.closed)):
                row.slack = plus(row.slack, final)

    def _take_unproved(self, shown: Count, lie: str) -> None:
        row = self.row
        floor = row.floor or ZERO
        if not lie:
            row.shown = row.real
        if reaches(shown, floor):
            if row.stretch != row.floor_stretch:
                row.slack = plus(row.slack, floor)
            self._leave_waiting()
            self._note_shown(shown, lie)
            self._stand_at(shown)
        elif row.waiting is None:
            row.waiting = (row.stretch, shown, bool(lie))
        elif (shown.download or shown.upload) and reaches(shown, row.told):
            self._leave_waiting(lie)
            self._note_shown(shown, lie)
            self._stand_at(shown)
        if self.meter.proof is Proof.AGE and row.stretch != row.floor_stretch:
            row.slack = plus(row.slack, floor)

    def _leave_waiting(self, lie: str = "") -> None:
        """A lower value of a stretch that is over now was read and never taken; one that a lie follows, not in full."""
        row = self.row
        if row.waiting is not None and not row.waiting[2] and (lie or row.waiting[0] != row.stretch):
            row.slack = plus(row.slack, row.waiting[1])
        row.waiting = None

    def _stand_at(self, shown: Count) -> None:
        row = self.row
        row.floor, row.floor_stretch, row.floor_age = shown, row.stretch, self.meter.tick - row.since
