"""The "Timeline Example" that the project began with, minute by minute.

One thing is better than in it: bytes that moved after the reboot count too, at once where the meter proves the new
life, else with the next fetch (row 9).
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exporter import ledger
from exporter.model import Collection, Count, CounterKey, Life, Memory, Moment, Poll, Reading, SubjectKey

ROUTER = "aa:bb:cc:dd:ee:01"
SUBJECT = SubjectKey("device", "default", ROUTER)
KB, MB = 1_000, 1_000_000

FETCHES = {  # when: the raw counters
    "20:00:05": (4_999 * MB, 1_999_500 * KB),
    "20:01:05": (5_000 * MB, 2_000_000 * KB),
    "20:02:05": (5_002 * MB, 2_001_000 * KB),
    "20:03:05": (250 * KB, 90 * KB),  # the router has just rebooted
    "20:04:05": (750 * KB, 390 * KB),
}


def deltas(ages: dict[str, float] | None = None) -> tuple[dict[str, tuple[int, int]], Memory]:
    """What each fetch adds, and what is remembered at the end. `ages`: the uptime, where the meter proves its lives."""
    memory = Memory()
    added = {}
    for number, (when, (rx, tx)) in enumerate(FETCHES.items(), 1):
        at = datetime.fromisoformat(f"2026-11-21T{when}").replace(tzinfo=UTC).timestamp()
        reading = Reading(
            CounterKey("device", "default", ROUTER),
            (SUBJECT,),
            Count(rx, tx),
            life=Life(age=ages[when]) if ages else None,
        )
        poll = Poll(identity="controller", readings=(reading,), complete={Collection("device", "default"): ""})
        changes = ledger.advance(memory, poll, Moment(number, at, at), interval=60.0, max_rate=125.0 * MB)
        memory.take(changes, {})
        increase = changes.increases[SUBJECT]
        added[when] = (increase.download, increase.upload)
    return added, memory


def test_the_first_fetch_is_a_baseline() -> None:
    assert deltas()[0]["20:00:05"] == (0, 0)


def test_the_second_and_third_fetch_add_what_moved() -> None:
    added, _ = deltas()
    assert added["20:01:05"] == (1 * MB, 500 * KB)
    assert added["20:02:05"] == (2 * MB, 1 * MB)


def test_a_reboot_that_nothing_proves_is_held_and_counts_with_the_next_fetch() -> None:
    added, _ = deltas()
    assert added["20:03:05"] == (0, 0)
    assert added["20:04:05"] == (750 * KB, 390 * KB)  # the timeline's 500 KB and 300 KB, and what moved before them


def test_a_reboot_that_the_uptime_proves_counts_at_once() -> None:
    uptime = dict(zip(FETCHES, (86_400.0, 86_460.0, 86_520.0, 12.0, 72.0), strict=True))
    added, _ = deltas(uptime)
    assert added["20:03:05"] == (250 * KB, 90 * KB)
    assert added["20:04:05"] == (500 * KB, 300 * KB)


@pytest.mark.parametrize("proved", [True, False])
def test_the_totals_are_the_same_either_way(proved: bool) -> None:
    uptime = dict(zip(FETCHES, (86_400.0, 86_460.0, 86_520.0, 12.0, 72.0), strict=True))
    _, memory = deltas(uptime if proved else None)
    assert memory.totals == {SUBJECT: Count(3_750 * KB, 1_890 * KB)}
