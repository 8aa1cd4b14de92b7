"""When the bytes moved that a silence of the exporter hid: what a router's closed periods prove, and no more."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from exporter.model import Bounds, Changes, SubjectKey
from exporter.sources.nlbwmon.lives import SLACK
from exporter.sources.nlbwmon.periods import closed_at
from tests.nlbwmon.router import ONE, TWO, Exporter, Router, clock, row
from tests.nlbwmon.test_never_over import STEPS, Daemon

OCT, NOV = "20261001", "20261101"
MIDNIGHT = clock("2026-11-01T00:00")
LATE = 65.0  # two refreshes and the slack
SITE = SubjectKey("site", "", "")
DAY = 86_400.0


def october() -> Exporter:
    router = Router("2026-10-29T12:00").shows(row(ONE, 5_000, 500))
    exporter = Exporter(router, timed=True)
    exporter.settle()
    return exporter


def parts(changes: Changes, subject: SubjectKey = SITE) -> dict[Bounds, tuple[int, int]]:
    return {bounds: (part.download, part.upload) for bounds, part in changes.splits.get(subject, {}).items()}


def test_october_is_before_midnight_and_november_after() -> None:
    exporter = october()
    exporter.router.at_time("2026-11-01T00:00:17").writes(OCT, row(ONE, 6_300, 520))
    exporter.router.at_time("2026-11-02T09:00").shows(row(ONE, 70, 7), row(TWO, 9, 1))
    changes = exporter.poll()
    assert parts(changes) == {(None, MIDNIGHT): (1_300, 20), (MIDNIGHT, None): (79, 8)}
    assert parts(changes, SubjectKey("client", "", TWO)) == {(MIDNIGHT, None): (9, 1)}


def test_an_exporter_that_was_away_knows_it_from_the_mark() -> None:
    exporter = october()
    exporter.restart()
    exporter.router.at_time("2026-11-01T00:00:17").writes(OCT, row(ONE, 6_300, 520))
    exporter.router.at_time("2026-11-02T09:00").shows(row(ONE, 70, 7))
    assert parts(exporter.poll()) == {(None, MIDNIGHT): (1_300, 20), (MIDNIGHT, None): (70, 7)}


def test_a_month_in_between_has_both_bounds() -> None:
    exporter = october()
    december = clock("2026-12-01T00:00")
    exporter.router.at_time("2026-11-01T00:00:17").writes(OCT, row(ONE, 6_300, 520))
    exporter.router.at_time("2026-12-01T00:00:03").writes(NOV, row(ONE, 800, 80), row(TWO, 5, 5))
    exporter.router.at_time("2026-12-02T09:00").shows(row(ONE, 70, 7))
    assert parts(exporter.poll()) == {
        (None, MIDNIGHT): (1_300, 20),
        (MIDNIGHT, december): (805, 85),
        (december, None): (70, 7),
    }


def test_a_full_disk_closes_the_period_late() -> None:
    exporter = october()
    exporter.router.at_time("2026-11-01T15:20").writes(OCT, row(ONE, 6_300, 520))
    exporter.router.at_time("2026-11-02T09:00").shows(row(ONE, 70, 7))
    closed = clock("2026-11-01T15:20")
    assert parts(exporter.poll()) == {(None, closed): (1_300, 20), (closed, None): (70, 7)}


def test_a_router_that_was_off_at_midnight_counted_until_its_file_and_since_its_start() -> None:
    exporter = october()
    exporter.router.at_time("2026-10-30T09:00").writes(OCT, row(ONE, 6_300, 520))
    exporter.router.at_time("2026-11-01T10:00").restarts(reboot=True)
    exporter.router.at_time("2026-11-02T09:00").shows(row(ONE, 70, 7))
    bounds = clock("2026-10-30T09:00"), clock("2026-11-01T10:00")
    assert parts(exporter.poll()) == {(None, bounds[0]): (1_300, 20), (bounds[1], None): (70, 7)}


def test_without_a_silence_nothing_is_split() -> None:
    exporter = october()
    exporter.router.at_time("2026-10-31T23:59:40").shows(row(ONE, 5_100, 500))
    exporter.poll()
    exporter.router.at_time("2026-11-01T00:00:17").writes(OCT, row(ONE, 6_300, 520)).shows(row(ONE, 70, 7))
    exporter.router.at += 3
    changes = exporter.poll()
    assert changes.increases[SITE].download == 1_270
    assert changes.splits == {}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (0.0, 0.0),
        (LATE, 0.0),
        (LATE + 1, LATE + 1),  # a full disk
        (-1.0, -1.0),  # its last file before a power cut
        (3_620.0, 3_600.0),  # the router's offset was another one then
        (-3_580.0, -3_600.0),
    ],
)
def test_when_a_period_ended(written: float, expected: float) -> None:
    assert closed_at(DAY, DAY + written, LATE) == DAY + expected


class Timed(Daemon):
    """Notes when bytes moved, and holds what each poll says of it against that."""

    def __init__(self) -> None:
        self.when: list[tuple[float, str, int]] = []
        super().__init__()
        self.exporter = Exporter(self.router, timed=True)
        self.exporter.settle()

    def move(self, mac: str, amount: int) -> None:
        super().move(mac, amount)
        self.when.append((self.router.at, mac, amount))

    def poll(self, *, committed: bool = True) -> None:
        before = {mac: self.exporter.total(mac)[0] for mac in self.moved} if self.when else {}
        super().poll(committed=committed)
        changes = self.exporter.last
        assert changes is not None
        for mac, total in before.items():
            found = changes.splits.get(SubjectKey("client", "", mac), {})
            increase = changes.increases.get(SubjectKey("client", "", mac))
            assert not found or (increase and sum(part.download for part in found.values()) <= increase.download)
            for (after, until), part in found.items():
                assert part.download <= self._moved(mac, after, until)
                assert after is not None or total + part.download <= self._moved(mac, None, until)
                event("before a bound" if after is None else "after one" if until is None else "between two")

    def _moved(self, mac: str, after: float | None, until: float | None) -> int:
        first = 0.0 if after is None else after
        last = self.router.at if until is None else until + 60.0 + SLACK
        return sum(amount for at, whose, amount in self.when if whose == mac and first <= at <= last)


MOVES = st.sampled_from(["move a little", "move a lot", "move another"])
WAITS = st.sampled_from(["wait an hour", "wait over midnight", "wait days"])
ENDS = st.sampled_from(["refresh", "refresh", "commit", "stop and start", "kill", "cut power"])
ANY = st.sampled_from(sorted(STEPS))


@settings(max_examples=max(100, settings().max_examples // 4))
@given(st.lists(st.tuples(MOVES, WAITS, MOVES, ENDS, MOVES, ANY), min_size=1, max_size=6))
def test_no_more_is_said_to_have_moved_between_two_bounds_than_did(history: list[tuple[str, ...]]) -> None:
    daemon = Timed()
    for steps in history:
        for step in steps:
            STEPS[step](daemon)
            daemon.router.at += 1
    daemon.poll()
