"""Which life nlbwmon's rows are counting in, and which lives closed before it. Pure.

A life is named by the router's host key, its boot id, the daemon's pid and the period. The period is the daemon's own,
not the clock's: it closes one only when it has written its file, which may be a refresh after midnight or, on a full
disk, days (nlbwmon reference, §1.5 cases 9 and 14). What tells: database_archive() in database.c writes the old
period's file first and clears the rows then. So where a file of an older period was written after the boundary, or the
daemon was started after it, the daemon is past it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sized
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from exporter.model import ZERO, Closed, Count, Life
from exporter.sources.nlbwmon.exchange import Exchange, Facts
from exporter.sources.nlbwmon.payload import Row
from exporter.sources.nlbwmon.periods import Period, closed_at

OFFERED: Final = 20
"""Polls for which closed lives are offered: the ledger takes them with the first that is committed."""

SETTLED: Final = 2 * 86_400.0
SUMMER: Final = 3_600.0
"""A period that began more than SETTLED seconds ago may have begun an hour earlier than the offset of today says."""

SLACK: Final = 5.0
"""Seconds that a refresh of the daemon may come late."""

CROWDED: Final = 0.9
"""Share of database_limit from which a refresh may fill the table."""

FIRST: Final = 60.0
"""Seconds after a boot within which a daemon is its first; what another counted before it was no more than that."""

_LIFE: Final = "boot", "pids", "label"  # what a mark holds beside the host key
_MERGED: Final = "+"  # behind the label, where a file was added to the rows of this life

Counts = Mapping[str, Count]


class Standing(Struct, frozen=True):
    """Where a daemon stands: the period it counts in, and whether it came there by a rollover or was started in it."""

    period: Period
    rolled: bool


class Closing(Struct, frozen=True):
    """A life that closed. bases, finals: by row; without an entry a row began at 0. `bases` is None if not known.

    began, ended: Unix seconds on the router's clock, None where nothing tells.
    """

    mark: str
    bases: Counts | None
    finals: Counts
    began: float | None = None
    ended: float | None = None


class VoidError(Exception):
    """The daemon restarted or rolled over while it was read."""


def standing(facts: Facts, known: tuple[Period, ...]) -> Standing:
    """The period that the daemon counts in."""
    for period in known:
        if facts.started is not None and facts.started >= period.start:
            return Standing(period, rolled=False)
        start = period.start - (SUMMER if facts.at - period.start > SETTLED else 0.0)
        if any(at >= start for label, at in facts.files.items() if label < period.label):
            return Standing(period, rolled=True)
    # Neither: it was started before all that we look back over, or it does not say when.
    return Standing(known[-1] if facts.started is not None else known[0], rolled=False)


def _is_its_own(facts: Facts, label: str) -> bool:
    """Whether a period's file holds that period.

    A commit between midnight and the rollover writes the old totals into the new period's file (nlbwmon reference,
    §1.5 case 9), and after a crash they stay there. Such a file is not younger than the old period's.
    """
    written = facts.files.get(label)
    return written is None or all(at < written for other, at in facts.files.items() if other < label)


def closed_since_start(facts: Facts, label: str) -> bool:
    """Whether the daemon, for all that its clock says, closed a period older than this one since it was started."""
    if facts.started is None:
        return False
    return any(facts.started <= at <= facts.at for older, at in facts.files.items() if older < label)


def counts_of(rows: tuple[Row, ...]) -> dict[str, Count]:
    """Raw values by row. rx is toward the local host, which is download (nlbwmon reference, §1.2)."""
    return {row.key: Count(row.rx_bytes, row.tx_bytes, row.rx_packets, row.tx_packets) for row in rows}


class Lives:
    """The lives of one daemon's rows, as far as this process saw them. `ask` what to read, then `enter` what came."""

    def __init__(self, identity: str, resumed: str = "") -> None:
        """identity: the pinned host key's fingerprint. resumed: the mark of the life that rows were last taken in; ""
        where there is none, or rows were taken since of which nothing is proved.
        """
        self._identity = identity
        self.mark = ""
        self.daemon: tuple[str, str] | None = None
        self._label = ""
        self._bases: Counts | None = None
        self._began: float | None = None
        self._restarted = False
        self._unsure = True
        self._counts: Counts = {}
        self._closings: tuple[Closing, ...] = ()
        self._left = 0
        self._behind = False
        self._resumed = False
        self._entered = 0
        self._life = ""
        self._merged = ""
        self._foreign: float | None = None
        self._in_foreign: Counts = {}
        self._had_file = False
        self._scratch: str | None = None
        self._alive = 0.0
        self._evicts = False
        key, *life = resumed.split("|")
        if key == identity and len(_LIFE) <= len(life) <= len(_LIFE) + 1:
            self.mark, self.daemon, self._label = "|".join((key, *life[:3])), (life[0], life[1]), life[2][:8]
            self._merged = life[2][8:]
            self._life = self.mark.removesuffix(self._merged)
            self._restarted, self._unsure = True, False  # for a row that was last taken before this life
            self._resumed = True
            self._alive = math.inf if len(life) == len(_LIFE) else 0.0

    def ask(self, exchange: Exchange) -> tuple[str, ...]:
        """The labels of the periods that have to be read along with the rows. Raises VoidError."""
        here = self._stand(exchange)
        if self._mark(exchange.before, here.period.label) == self._life:
            return ()
        base = () if here.rolled else (here.period.label,)
        return (*self._closed(exchange, here), *base)

    def enter(self, exchange: Exchange) -> None:
        """Take over the life that the rows were read in. `exchange` has the periods that `ask` names."""
        here = self._stand(exchange)
        if self._began_anew(exchange, here):
            here = Standing(here.period, rolled=True)
        facts = exchange.before
        life = self._mark(facts, here.period.label)
        if life != self._life:
            self._restarted = self._may_go_on(facts, here) or self._may_be_a_copy(exchange, here)
            restarted = self._restarted and not here.rolled
            behind = restarted and not self._is_cleared(facts)
            # What closed before the last reading counts no more, but for a counter that was last taken in it. Where old
            # totals may go on, even the order of lives would: then it is left out.
            older = () if self._restarted else self._closings
            older = tuple(replace(closing, bases=None) for closing in older)
            self._closings = (*older, *self._newly_closed(exchange, here)) if self._is_sound(facts, here) else ()
            self._unsure = self.daemon is None
            self._began = self._began_at(exchange, here)
            base = None if here.rolled else exchange.closed.get(here.period.label)
            unknown = (
                not self._is_sound(facts, here)
                or self._may_be_a_copy(exchange, here)
                or (restarted and self._may_be_twice(exchange, here.period.label))
                or (behind and self._is_crowded(exchange, exchange.rows))
                or (restarted and self._foreign is not None)
            )
            self._bases = None if unknown else counts_of(base or ())
            self._behind = behind
            self._left, self._merged = OFFERED, ""
        elif self._has_merged(exchange):
            self._bases, self._closings, self._restarted = None, (), False
            self._merged += _MERGED
        elif self._resumed and facts.started is not None and facts.started < here.period.start:
            self._bases, self._restarted = {}, False  # who was there before its period began has rolled over into it
        elif self._left:
            self._left -= 1
            if not self._left:
                self._closings = ()
        self._watch_file(exchange, here.period.label, is_new=life != self._life)
        self._life, self.mark = life, life + self._merged
        self.daemon, self._label = (facts.boot, facts.pids), here.period.label
        self._resumed = False
        self._entered += 1
        self._scratch, self._alive = exchange.after.scratch, exchange.after.at
        counts = counts_of(exchange.rows)
        most = max(len(self._counts), len(counts))
        self._evicts = exchange.limit is not None and most >= exchange.limit
        self._counts = counts

    def life(self, key: str, count: Count) -> Life:
        """What is proved about the life of a row, which shows `count` now."""
        closed = tuple(
            Closed(closing.mark, _base(closing, key), closing.finals[key], closing.began, closing.ended)
            for closing in self._closings
            if key in closing.finals
        )
        base = None if self._bases is None else count if self._behind else self._bases.get(key, ZERO)
        return Life(self.mark, None, base, closed, self._restarted, self._evicts, self._began)

    @property
    def shared(self) -> Life | None:
        """The life that is every row's, where all are alike: the usual case, and one object for all of them."""
        if self._closings or self._bases or (self._behind and self._left):
            return None
        base = None if self._bases is None else ZERO
        return Life(self.mark, None, base, (), self._restarted, self._evicts, self._began)

    def tentative(self, exchange: Exchange) -> str:
        """The mark of the reading that was entered last, where it proves of no row that it ended or was not there.

        A life goes on from it, but it is equal to no other.
        """
        return f"{self.mark}|{exchange.after.at:.0f} {self._entered}"

    def is_settled(self, exchange: Exchange) -> bool:
        """Whether a daemon that goes on from this one's /tmp/0.db could have no rows of the period before."""
        return not self._may_be_twice(exchange, self._label)

    @property
    def closed_keys(self) -> frozenset[str]:
        """Rows of lives whose ends are still offered."""
        return frozenset().union(*(closing.finals for closing in self._closings))

    def _stand(self, exchange: Exchange) -> Standing:
        here, there = (standing(facts, exchange.periods) for facts in (exchange.before, exchange.after))
        if self._mark(exchange.before, here.period.label) != self._mark(exchange.after, there.period.label):
            raise VoidError
        if self.daemon == (exchange.before.boot, exchange.before.pids):
            return self._went_on(exchange, here.period)
        return here

    def _may_go_on(self, facts: Facts, here: Standing) -> bool:
        """Whether totals of a life before may go on in this one: /tmp/0.db outlives the daemon, but no boot."""
        if not self._is_sound(facts, here):
            return False
        if self.daemon is None:
            return True  # who did not see the life before cannot say
        boot, pids = self.daemon
        if boot != facts.boot:
            return False
        # For some polls the ledger may not have taken the life before.
        return pids != facts.pids or (self._restarted and self._left > 0)

    @staticmethod
    def _is_sound(facts: Facts, here: Standing) -> bool:
        """Whether what a life was loaded with is its own. Else nothing counts until the next reading."""
        if here.rolled:
            return True
        # A file of a day to come was written, and may have been loaded, while the clock was ahead.
        today = time.strftime("%Y%m%d", time.gmtime(facts.at + facts.offset))
        return _is_its_own(facts, here.period.label) and not any(label > today for label in facts.files)

    @staticmethod
    def _began_anew(exchange: Exchange, here: Standing) -> bool:
        """Whether a daemon that was started in this period came into it by a rollover all the same.

        Its clock was in an older period at first (nlbwmon reference, §1.5 case 7). It closed that one after its start,
        and a row is below the file from before, so that it did not go on from there.
        """
        label = here.period.label
        file = exchange.closed.get(label)
        if here.rolled or not file or not closed_since_start(exchange.before, label):
            return False
        return _fell(counts_of(file), counts_of(exchange.rows), exchange.limit)

    def _may_be_a_copy(self, exchange: Exchange, here: Standing) -> bool:
        """Whether rows may go on from a copy that nothing tells of.

        A boot that was not seen may have loaded an old period's file, and a kill after the boundary carried its rows
        into a period that has no file. The first daemon of a boot cannot have come that way.
        """
        facts, before = exchange.before, self.daemon
        if here.rolled or exchange.closed.get(here.period.label) is not None:
            return False
        if _is_first(facts):
            return False
        return before is None or before[0] != facts.boot

    def _is_cleared(self, facts: Facts) -> bool:
        """Whether the daemon before took its own copy, /tmp/0.db, away when it stopped, so that nothing went on.

        That is a new file then. A daemon that is killed leaves the old one, which is a refresh behind.
        """
        return bool(self._scratch) and facts.scratch is not None and facts.scratch != self._scratch

    def _watch_file(self, exchange: Exchange, label: str, *, is_new: bool) -> None:
        """Look whether the period's file is one that the daemon was not loaded with, as it was not there in time.

        The rows are below it then, or it came to light later than the daemon, and is older. Who closed a period since
        the start has written a file, and adds none any more.
        """
        facts, rows = exchange.before, exchange.closed.get(label)
        written = facts.files.get(label)
        if is_new or written is not None:
            self._foreign = self._foreign if not is_new and written == self._foreign else None
        if written is not None and self._foreign is None and not closed_since_start(facts, label):
            older = facts.started is not None and written < facts.started
            if is_new and rows and _fell(counts_of(rows), counts_of(exchange.rows), None):
                self._foreign, self._in_foreign = written, counts_of(rows)
            elif older and (self._resumed or not (is_new or self._had_file)):
                self._foreign, self._in_foreign = written, {}
        self._had_file = written is not None

    def _has_merged(self, exchange: Exchange) -> bool:
        """Whether the daemon has written a file that it was not loaded with.

        It adds what that holds to its rows first (save_persistent() in nlbwmon.c), unless it rolled over before.
        """
        if exchange.before.files.get(self._label, self._foreign) == self._foreign:
            return False
        return self._foreign is not None and not _fell(self._in_foreign, counts_of(exchange.rows), None)

    def _is_crowded(self, exchange: Exchange, rows: Sized) -> bool:
        """Whether an older copy may bring back the old value of a row that was driven out since.

        rows: those that the table held beside the ones that were read last.
        """
        most = max(len(self._counts), len(rows))
        return exchange.limit is not None and most >= CROWDED * exchange.limit

    def _may_be_twice(self, exchange: Exchange, label: str) -> bool:
        """Whether a period's rows may be those of the one before it, which its file has as well.

        A rollover leaves /tmp/0.db as it was until the refresh after it. Whoever goes on from there when the daemon was
        killed by then has all in it again.
        """
        facts = exchange.before
        closed = max((at for older, at in facts.files.items() if older < label), default=None)
        if closed is None:
            return False
        return self._alive < closed + 2 * exchange.refresh + SLACK

    def _went_on(self, exchange: Exchange, shown: Period) -> Standing:
        """Where a running daemon stands. It never goes back, whatever clocks and files say (database_archive())."""
        newest = exchange.periods[0]
        if shown.label <= self._label < newest.label and _fell(self._counts, counts_of(exchange.rows), exchange.limit):
            return Standing(newest, rolled=True)  # its file was deleted, or files do not say when they were written
        if shown.label < self._label:
            return Standing(Period(self._label, shown.start), rolled=True)
        return Standing(shown, rolled=True)

    def _closed(self, exchange: Exchange, here: Standing) -> tuple[str, ...]:
        """Labels of periods that closed since the last reading, oldest first: our last one, and those in between."""
        if self.daemon is None or self._label >= here.period.label:
            return ()
        older = [period.label for period in reversed(exchange.periods) if period.label < here.period.label]
        between = [label for label in older if label > self._label] if here.rolled else []
        return (self._label, *between)

    def _newly_closed(self, exchange: Exchange, here: Standing) -> list[Closing]:
        facts = exchange.before
        gone = self.daemon != (facts.boot, facts.pids)
        if self._foreign is not None or (gone and self._may_be_twice(exchange, self._label)):
            return []
        starts = {period.label: period.start for period in exchange.periods}
        found: list[Closing] = []
        followed, began = True, None
        for label in self._closed(exchange, here):
            after, began, ended = began, self._ended(exchange, label, closed=True), self._ended(exchange, label)
            rows = exchange.closed.get(label) if _is_its_own(facts, label) else None
            mine = label == self._label
            if rows is None:
                # A daemon that was in this period has written its file. Where it is gone, the daemon may have been
                # further on than it seemed, and what came next may hold bytes that are counted already.
                followed = followed and not mine
                continue
            if mine and self._may_be_from_before(exchange, label):
                continue
            if mine:
                unknown = self._unsure or self._behind
                found.append(Closing(self.mark, None if unknown else self._bases, counts_of(rows), None, ended))
                continue
            born_by_rollover = followed and facts.started is not None and facts.started < starts[label]
            bases: Counts | None = {} if born_by_rollover else None
            found.append(Closing(self._mark(facts, label), bases, counts_of(rows), after, ended))
        return found

    def _may_be_from_before(self, exchange: Exchange, label: str) -> bool:
        """Whether the file of our last period may show more of a row than was left of it when it was last read.

        In a full table others may have driven it out since. What a rollover of the same daemon wrote is younger than
        any reading; another daemon may have been loaded with an older file and have written that again.
        """
        facts, rows = exchange.before, exchange.closed.get(label) or ()
        if not self._is_crowded(exchange, rows):
            return False
        if self.daemon != (facts.boot, facts.pids):
            return True
        written = facts.files.get(label, 0.0)
        is_rollover = any(period.label > label and period.start <= written for period in exchange.periods)
        return not is_rollover and (self._resumed or written <= self._alive)

    def _began_at(self, exchange: Exchange, here: Standing) -> float | None:
        """After when all that rows have above their bases was counted; None where nothing tells."""
        facts = exchange.before
        if here.rolled:
            earlier = max((label for label in facts.files if label < here.period.label), default="")
            return self._ended(exchange, earlier, closed=True)
        if _is_first(facts):
            return facts.started
        return facts.files.get(here.period.label)  # from /tmp/0.db it may have what one that nobody saw counted

    @staticmethod
    def _ended(exchange: Exchange, label: str, *, closed: bool = False) -> float | None:
        """When the period with this label was closed, or last written; None where its file does not say.

        closed: only where it is the daemon's rollover that wrote it, so that the next one's rows began at 0 then.
        """
        written = exchange.before.files.get(label)
        start = min((period.start for period in exchange.periods if period.label > label), default=math.inf)
        if written is None or start == math.inf or (closed and written < start - SUMMER):
            return None
        return closed_at(start, written, 2 * exchange.refresh + SLACK)

    def _mark(self, facts: Facts, label: str) -> str:
        return f"{self._identity}|{facts.boot}|{facts.pids}|{label}"


def _is_first(facts: Facts) -> bool:
    """Whether the daemon is the first one of its boot, which finds nothing in /tmp."""
    return facts.after_boot is not None and facts.after_boot < FIRST


def _fell(before: Counts, counts: Counts, limit: int | None) -> bool:
    """Whether a row is lower than before that no other can have driven out (nlbwmon reference, §1.5 case 6)."""
    if limit is not None and len(before) >= limit:
        return False
    return any(
        now.download < then.download or now.upload < then.upload
        for now, then in ((counts.get(key, ZERO), then) for key, then in before.items())
    )


def _base(closing: Closing, key: str) -> Count:
    """Where a row's life began. Where that is not known: where it ended, so that nothing of it counts."""
    return closing.finals[key] if closing.bases is None else closing.bases.get(key, ZERO)
