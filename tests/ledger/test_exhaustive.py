"""Every history of up to seven events: of a meter that names its lives, and of one that proves nothing.

Histories that lead to the same meter, the same truth and the same memory go on as one; that all are covered is counted.
The variants (a meter never read before, restarts in a new period) take five events, and seven in the long run.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from exporter.model import Count
from tests.ledger.meter import Meter, Proof
from tests.ledger.truth import Row, minus

LENGTH = 7
VARIANTS = LENGTH if os.environ.get("SOAK") else 5
START = Count(15, 3, 3, 1)
MOVE = Count(10, 2, 2, 1)


def move(meter: Meter) -> None:
    """Every second time the meter also writes the copy that it is restored from after a crash."""
    meter.move("a", MOVE)
    if (meter.rows["a"].real.download // MOVE.download) % 2 == 0:
        meter.save()


def happenings(proof: Proof, *, boundary: bool = False, final: str = "none") -> dict[str, Callable[[Meter], object]]:
    """The eight events: move, poll, reset, rollover, rollback, continue, dip, kill."""

    def rollover(meter: Meter) -> None:
        if proof is Proof.MARK:
            meter.roll_over()
        else:
            meter.reset(["a"])  # without a name for its periods a rollover is a reset

    return {
        "move": move,
        "poll": lambda meter: meter.poll(),
        "reset": lambda meter: meter.reset(["a"]),
        "rollover": rollover,
        "rollback": lambda meter: meter.roll_back(),
        "continue": lambda meter: meter.go_on(boundary=boundary, final=final),
        "dip": lambda meter: meter.poll(lies={"a": "low"}),
        "kill": lambda meter: meter.poll(fate="killed"),
    }


def state(meter: Meter) -> object:
    """All that can make a difference from here on: of sums only how far they are apart, of names which are the same.

    The link carries every move at once, so durations make none.
    """
    row, memory = meter.rows["a"], meter.memory
    counter = memory.counters.get(meter.counter("a"))
    since = int(counter.mark or 0) if counter else 0
    return (
        (row.real.download // MOVE.download % 2, row.raw, row.base, row.told, row.saved, row.copied, row.filed),
        (minus(row.real, row.shown), row.tail, minus(row.most(), meter.total("a")), row.hidden, row.slack),
        (row.lied, row.went_on, row.rolled, row.floor, row.stretch - row.floor_stretch, row.origin is None),
        (row.stretch - row.waiting[0], *row.waiting[1:]) if row.waiting else None,
        tuple((meter.mark - int(old.mark), old.base, old.final) for old in row.closed if int(old.mark) >= since),
        tuple(meter.mark - mark for mark in meter.restarts if mark > since),
        (counter.count, counter.mark and meter.mark - since, counter.held, counter.doubt) if counter else None,
        bool(memory.collections),
    )


def fresh(proof: Proof, *, polled: bool) -> Meter:
    row = Row(base=START, told=Count(), saved=START)
    meter = Meter(proof, {"a": row})
    if polled:
        meter.poll()
    return meter


def check(meter: Meter, path: str) -> None:
    """The promise, now and after some quiet polls."""
    resting = meter.clone()
    try:
        meter.check()
        resting.settle()
        resting.check_at_rest()
    except AssertionError as error:
        error.add_note(f"after:{path}")
        raise


@pytest.mark.parametrize("proof", [Proof.MARK, Proof.NOTHING])
def test_every_history_of_seven_events(proof: Proof) -> None:
    assert explore(fresh(proof, polled=True), happenings(proof), LENGTH) == 8**7 == 2_097_152


@pytest.mark.parametrize("polled", [True, False], ids=["read-once", "never-read"])
@pytest.mark.parametrize(
    ("proof", "boundary", "final"),
    [
        (Proof.MARK, False, "none"),
        (Proof.MARK, True, "none"),
        (Proof.MARK, True, "saved"),
        (Proof.MARK, True, "exact"),
        (Proof.NOTHING, False, "none"),
    ],
    ids=["mark", "new-period-without-file", "new-period-and-old-copy", "new-period-and-closed-one", "nothing"],
)
def test_every_history_of_a_variant(proof: Proof, boundary: bool, final: str, polled: bool) -> None:
    events = happenings(proof, boundary=boundary, final=final)
    assert explore(fresh(proof, polled=polled), events, VARIANTS) == 8**VARIANTS


def explore(first: Meter, events: dict[str, Callable[[Meter], object]], length: int) -> int:
    """Check the promise after every history of up to `length` events; how many of the full length there are."""
    states = {state(first): 0}
    following: list[list[int]] = []  # for every state, the states that the eight events lead to
    newest = [(first, "")]
    for depth in range(length):
        found = []
        for meter, path in newest:
            following.append([])
            for name, event in events.items():
                twin = meter.clone()
                twin.tick, twin.number = 2000.0 + 100 * depth, depth + 1
                event(twin)
                key = state(twin)
                if key not in states:  # one met before, after fewer events, has shown already where it leads
                    states[key] = len(states)
                    found.append((twin, f"{path} {name}"))
                    check(*found[-1])
                following[-1].append(states[key])
        newest = found
    return histories(following, length)


def histories(following: list[list[int]], length: int) -> int:
    """How many histories of the full length the states and what follows them stand for."""
    counts = {0: 1}
    for _ in range(length):
        after: dict[int, int] = {}
        for number, count in counts.items():
            for state_after in following[number]:
                after[state_after] = after.get(state_after, 0) + count
        counts = after
    return sum(counts.values())
