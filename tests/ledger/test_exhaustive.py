"""Every history of up to seven events, from a meter that was read once and from one that never was.

Histories that lead to the same meter, the same truth and the same memory go on as one, with the number of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.model import Count
from tests.ledger.meter import Meter, Proof, Row

LENGTH = 5
START = Count(15, 3, 3, 1)
MOVE = Count(10, 2, 2, 1)


def move(meter: Meter) -> None:
    """Every second time the meter also writes the copy that it is restored from after a crash."""
    meter.move("a", MOVE)
    if (meter.rows["a"].real.download // MOVE.download) % 2 == 0:
        meter.save()


def happenings(proof: Proof, boundary: bool, final: str) -> dict[str, Callable[[Meter], object]]:
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
    """All that can make a difference from here on. The link carries every move at once, so durations cannot."""
    row, memory = meter.rows["a"], meter.memory
    counter = memory.counters.get(meter.counter("a"))
    since = int(counter.mark or 0) if counter else 0
    return (
        (row.real, row.start, row.base, row.told, row.shown, row.saved, row.stretch, row.closed, row.tail),
        (row.origin, row.lost, row.hidden, row.slack, row.floor, row.floor_stretch, row.waiting),
        (row.lied, row.went_on, row.rolled, row.filed, row.copied),
        (meter.mark, tuple(mark for mark in meter.restarts if mark > since), meter.known_as),
        (counter.count, counter.mark, counter.held, counter.doubt) if counter else None,
        memory.totals.get(meter.subject("a")),
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


@pytest.mark.parametrize("polled", [True, False], ids=["read once", "never read"])
@pytest.mark.parametrize(
    ("proof", "boundary", "final"),
    [
        (Proof.MARK, False, "none"),
        (Proof.MARK, True, "none"),
        (Proof.MARK, True, "saved"),
        (Proof.MARK, True, "exact"),
        (Proof.NOTHING, False, "none"),
    ],
    ids=["mark", "mark-new-period", "mark-new-period-saved", "mark-new-period-closed", "nothing"],
)
def test_every_history(proof: Proof, boundary: bool, final: str, polled: bool) -> None:
    events = happenings(proof, boundary, final)
    first = fresh(proof, polled=polled)
    level = {state(first): (first, 1, "")}
    for depth in range(1, LENGTH + 1):
        following: dict[object, tuple[Meter, int, str]] = {}
        for meter, histories, path in level.values():
            for name, event in events.items():
                twin = meter.clone()
                twin.tick, twin.number = 1000.0 + 100 * depth, depth
                event(twin)
                key = state(twin)
                known = following.get(key)
                if known is None:
                    following[key] = twin, histories, f"{path} {name}"
                    check(twin, f"{path} {name}")
                else:
                    following[key] = known[0], known[1] + histories, known[2]
        level = following
        assert sum(histories for _, histories, _ in level.values()) == len(events) ** depth
    print(len(level))
