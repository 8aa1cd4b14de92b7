"""nlbwmon as far as a client can see it: rows, periods, files, and what restarts and full disks do to them.

Facts are from the nlbwmon reference, §1; the numbers of cases are those of its §1.5. Times are on the router's own
clock, but for timers, which run on its uptime.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from exporter.demo.network import Bytes
from exporter.demo.openwrt.rows import Key, Row, Rows
from exporter.demo.openwrt.truth import Ledger, add
from exporter.sources.nlbwmon.periods import interval_of, periods

MOST_LISTED: Final = 1000  # periods that `list` walks back over
QUARTER: Final = 900  # seconds; every time zone's midnight falls on one


class Now(NamedTuple):
    """The time on a router: its clock in Unix seconds, the local time's offset ahead of UTC, its uptime in seconds."""

    clock: float
    offset: int
    uptime: float


@dataclass(slots=True)
class Options:
    """What UCI says, for the daemon that starts next. Durations are seconds."""

    interval: str = "1"
    refresh: float = 30.0
    commit: float = 86_400.0
    limit: int = 10_000
    generations: int = 10


@dataclass(slots=True)
class File:
    """One period's file. closed: what is in it is nowhere else, as after a rollover or a clean stop.

    older: it was written before the last boot.
    """

    written: float
    rows: dict[Key, Row]
    closed: bool
    corrupt: bool = False
    older: bool = False


@dataclass(slots=True)
class Disk:
    """Where files are. flash: they outlive a boot; else they are in memory. scratch: /tmp/0.db, which no boot keeps.

    inode: of that, another one each time it is made.
    """

    flash: bool = False
    full: bool = False
    files: dict[str, File] = field(default_factory=dict)
    scratch: dict[Key, Row] | None = None
    inode: int = 40


@dataclass(slots=True)
class Flow:
    """The kernel's own count of open connections since the daemon last took it. closing: it ends with the next look."""

    down: int = 0
    up: int = 0
    closing: bool = False


@dataclass(slots=True)
class Kernel:
    """Connections by the row they belong to. events: the kernel tells of new ones (§1.6)."""

    flows: dict[Key, Flow] = field(default_factory=dict)
    events: bool = True


class CorruptError(Exception):
    """The daemon cannot restore its database, and exits (cases 10 and 11)."""


class Daemon:
    """One process of nlbwmon. It loads its rows when it is made, and may raise CorruptError then."""

    def __init__(
        self, pid: int, now: Callable[[], Now], options: Options, disk: Disk, kernel: Kernel, truth: Ledger
    ) -> None:
        self.pid = pid
        self.started = now().uptime
        self.options = options
        self.frozen = False
        self.rows: dict[Key, Row] = {}
        self._now = now
        self._disk = disk
        self._kernel = kernel
        self._truth = truth
        self._next = 0  # the row that is driven out next
        self._label = -1, 0, ""
        self._refreshed = self._committed = self.started
        self.period = self.today
        self._delete_old()
        self._load()

    @property
    def today(self) -> str:
        """The label of the period that the clock is in. Raises ValueError for an interval that is none."""
        now = self._now()
        quarter = int(now.clock) // QUARTER
        if self._label[:2] != (quarter, now.offset):
            interval = interval_of(self.options.interval, now.offset)
            if interval is None:
                raise ValueError(self.options.interval)
            self._label = quarter, now.offset, periods(interval, now.clock, now.offset, 1)[0].label
        return self._label[2]

    def tick(self) -> None:
        """Do what the timers say: take the kernel's counts, and commit."""
        uptime, options = self._now().uptime, self.options
        if uptime - self._refreshed >= options.refresh:
            self._refreshed += options.refresh * math.floor((uptime - self._refreshed) / options.refresh)
            self.refresh()
        if uptime - self._committed >= options.commit:
            self._committed += options.commit * math.floor((uptime - self._committed) / options.commit)
            self.commit()

    def opened(self, key: Key) -> None:
        """The kernel tells of a new connection."""
        if self._kernel.events:
            self._archive()
            self._insert(key).conns += 1

    def refresh(self) -> None:
        """Take what the kernel counted. Bytes without a row are gone (cases 16 and 17); a full disk leaves them there.

        Values move in here alone.
        """
        if not self._archive():
            return
        for key, flow in list(self._kernel.flows.items()):
            row = self.rows.get(key)
            if row is not None and (flow.down or flow.up):
                row.add(flow.down, flow.up)
                add(self._truth.metered, key.client, flow.down, flow.up)
            flow.down = flow.up = 0
            if flow.closing:
                del self._kernel.flows[key]

    def commit(self) -> bool:
        """Write the rows under the clock's label, which may not be theirs (cases 8 and 9). False on a full disk."""
        if self._disk.full:
            return False
        self._write(self.today, closed=False)
        return True

    def stop(self) -> None:
        """SIGTERM: commit, and clean up."""
        self._archive()
        if self._disk.full:
            lose(self._truth, self.rows.items())
        else:
            self._write(self.today, closed=True)
        self._disk.scratch = None

    def show(self) -> Rows:
        """The rows, to somebody who sees them."""
        see(self.rows)
        return self.rows

    def show_file(self, label: str) -> Rows | None:
        """A period's file, None where there is none that can be read."""
        file = self._disk.files.get(label)
        if file is None or file.corrupt:
            return None
        if file.closed:
            see(file.rows)
        return file.rows

    def listed(self) -> list[str]:
        """`nlbw -c list`: back from today, as far as there is a file for every period (§0.3)."""
        now = self._now()
        interval = interval_of(self.options.interval, now.offset)
        found: list[str] = []
        for period in periods(interval, now.clock, now.offset, MOST_LISTED) if interval else ():
            if self.show_file(period.label) is None:
                break
            found.append(period.label)
        return found

    def _archive(self) -> bool:
        """Close the period where the clock is past it: write its file, then begin anew. False where that fails.

        A clock that was set back closes nothing. What is open goes on in a row of the new period, as a new connection.
        """
        if self.today <= self.period:
            self.frozen = False
            return True
        self.frozen = self._disk.full
        if self.frozen:
            return False
        self._write(self.period, closed=True)
        self.period, self._next = self.today, 0
        self._hold({key: Row(conns=1) for key in list(self._kernel.flows)[: self.options.limit or None]})
        return True

    def _insert(self, key: Key) -> Row:
        """The row of a key. Where there is no room for one more, the next in turn is driven out (case 6)."""
        row = self.rows.get(key)
        if row is None:
            row = Row()
            if 0 < self.options.limit <= len(self.rows):
                kept = list(self.rows.items())
                place = self._next % len(kept)
                self._next += 1
                lose(self._truth, [kept[place]])
                kept[place] = key, row
                self._hold(dict(kept))
            else:
                self.rows[key] = row
        return row

    def _write(self, label: str, *, closed: bool) -> None:
        forget(self._truth, self._disk.files.get(label))
        rows = dict(self.rows) if closed else {key: row.kept() for key, row in self.rows.items()}
        self._disk.files[label] = File(self._now().clock, rows, closed)

    def _hold(self, rows: dict[Key, Row]) -> None:
        self._disk.inode += self._disk.scratch is None
        self.rows = self._disk.scratch = rows

    def _load(self) -> None:
        """Go on from /tmp/0.db, which only a kill leaves, or from the period's file."""
        file = self._disk.files.get(self.period)
        if self._disk.scratch is not None or file is None:
            self._hold(self._disk.scratch or {})
            return
        if file.corrupt or 0 < self.options.limit < len(file.rows):
            raise CorruptError
        kept = {key: row.kept() for key, row in file.rows.items()}
        if file.closed and file.older:  # nothing proves that what nobody was shown before the boot is not from after it
            lose(self._truth, file.rows.items())
        self._hold(file.rows if file.closed and not file.older else {key: row.kept() for key, row in kept.items()})
        file.rows, file.closed = kept, False

    def _delete_old(self) -> None:
        """Old files go when a daemon starts, and at no other time."""
        kept = sorted(self._disk.files)[-self.options.generations :]
        for label in set(self._disk.files) - set(kept):
            forget(self._truth, self._disk.files.pop(label))


def see(rows: Rows) -> None:
    """Remember that somebody was shown these rows."""
    for row in rows.values():
        if (row.down, row.up) != row.seen:
            row.seen = Bytes(row.down, row.up)


def lose(truth: Ledger, rows: Iterable[tuple[Key, Row]]) -> None:
    """These rows are gone for ever: what of them nobody was shown is lost."""
    for key, row in rows:
        add(truth.lost, key.client, row.down - row.seen.down, row.up - row.seen.up)


def forget(truth: Ledger, file: File | None) -> None:
    """A file is gone for ever."""
    if file is not None and file.closed:
        lose(truth, file.rows.items())
