"""The truth about one row of a simulated meter: what moved, and how much of it the ledger owes."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import astuple

from exporter.model import ZERO, Closed, Count


def plus(left: Count, right: Count) -> Count:
    return Count(
        left.download + right.download,
        left.upload + right.upload,
        left.download_packets + right.download_packets,
        left.upload_packets + right.upload_packets,
    )


def minus(left: Count, right: Count) -> Count:
    return Count(
        left.download - right.download,
        left.upload - right.upload,
        left.download_packets - right.download_packets,
        left.upload_packets - right.upload_packets,
    )


def highest(left: Count, right: Count) -> Count:
    return Count(*map(max, astuple(left), astuple(right)))


def within(left: Count, right: Count) -> bool:
    """`left` is nowhere more than `right`."""
    return reaches(right, left) and (
        left.download_packets <= right.download_packets and left.upload_packets <= right.upload_packets
    )


def reaches(left: Count, right: Count) -> bool:
    return left.download >= right.download and left.upload >= right.upload


def part(count: Count, quarters: int) -> Count:
    return Count(*(value * quarters // 4 for value in astuple(count)))


class Row(Struct):
    """One counter of the meter, and the truth about it. A stretch is what the row really counted in one go.

    real: all that moved. start, base: `real` and the raw value when the stretch began; told: the base that the meter
        names; since: the tick.
    shown: how far into `real` committed readings saw.
    saved: the raw value a restored copy begins with; filed: that copy is of this period; copied: the highest one of
        this stretch.
    born: on the meter's clock; birth: `real` then. there: the meter shows the row. lied: its last reading was false.
    closed: the lives that ended and can still be read; tail: bytes that only they show.
    origin: `real` at first sight (None before it); before: its total then.
    lost: bytes that nobody could read; hidden: those of them that evidence hints at, so that a ledger may find them.
    slack: bytes that were read, but not proved to be new.
    floor: the highest value the ledger may have taken, and its stretch, age and session.
    went_on, rolled: the meter's process was restarted, or the meter rolled back, since the row was read.
    waiting: a lower value that was read once: its stretch, and whether it was false.
    """

    real: Count = ZERO
    start: Count = ZERO
    base: Count = ZERO
    told: Count = ZERO
    shown: Count = ZERO
    saved: Count = ZERO
    filed: bool = True
    copied: Count = ZERO
    stretch: int = 0
    since: float = 0.0
    born: float | None = None
    session: int = 1
    there: bool = True
    birth: Count = ZERO
    lied: bool = False
    closed: tuple[Closed, ...] = ()
    tail: Count = ZERO
    origin: Count | None = None
    before: Count = ZERO
    lost: Count = ZERO
    hidden: Count = ZERO
    slack: Count = ZERO
    floor: Count | None = None
    floor_stretch: int = 0
    floor_age: float = 0.0
    floor_session: int = 1
    went_on: bool = False
    rolled: bool = False
    waiting: tuple[int, Count, bool] | None = None

    @property
    def raw(self) -> Count:
        return plus(self.base, minus(self.real, self.start))

    def end(self, base: Count, told: Count, tick: float, *, mark: str = "") -> None:
        """The stretch is over. `mark` names its closed life where the meter keeps it."""
        tail = minus(self.real, self.shown)
        if mark:
            self.closed += (Closed(mark, self.told, self.raw),)
            self.tail = plus(self.tail, tail)
        else:
            copied = minus(highest(self.copied, self.base), self.base)
            self.lost = plus(self.lost, tail)
            self.hidden = plus(self.hidden, minus(highest(plus(self.start, copied), self.shown), self.shown))
        self.copied = ZERO
        self.start, self.base, self.told, self.shown = self.real, base, told, self.real
        self.stretch += 1
        self.since = tick

    def forget_closed(self) -> None:
        self.closed = ()
        self.lost, self.tail = plus(self.lost, self.tail), ZERO

    def first_seen(self, total: Count) -> None:
        """Nothing of the past is owed any more."""
        self.origin, self.before = self.real, total
        self.lost = self.hidden = self.slack = self.tail = ZERO

    def most(self) -> Count:
        """The most that its total may be: all that moved since first sight and that anything ever showed."""
        if self.origin is None:
            return self.before
        return plus(self.before, plus(minus(minus(self.real, self.origin), self.lost), self.hidden))

    def least(self) -> Count:
        """The least that it must be once the meter is at rest and was read."""
        if self.origin is None:
            return self.before
        least = minus(minus(self.most(), self.hidden), self.slack)
        forgotten = self.waiting is not None and self.waiting[0] != self.stretch
        return minus(least, self.waiting[1]) if self.waiting is not None and forgotten else least
