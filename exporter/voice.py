"""What the log says of a source: a line for each poll, and one for each change of its state."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from exporter.model import Changes
from exporter.runtime import Runtime

log = logging.getLogger(__name__)

DOUBTS: Final = {
    "implausible": (
        logging.WARNING,
        "a counter shows more bytes than its link can carry; they are held back, and counted if the next polls make "
        "them possible. Where this comes again and again, look at the meter, or at max_rate",
    ),
    "fallen": (
        logging.INFO,
        "a counter fell, and nothing says why: nothing is counted of it until the next poll tells a restart from a "
        "false value",
    ),
}
"""What is said of each doubt of the ledger's, the first time that a source has one."""


def polled(runtime: Runtime, changes: Changes, clients: int) -> None:
    """What moved since the poll before, which is still the last one in memory."""
    before, now = runtime.memory.source, changes.source
    who = "1 client" if clients == 1 else f"{clients} clients"
    if not before.number:
        log.info("%s: %s at the first poll; what moves from here on is counted", runtime.facts.name, who)
        return
    sums = [count for subject, count in changes.increases.items() if subject.kind == "site"]
    log.info(
        "%s: %s, +%s down, +%s up in %.0f s",
        runtime.facts.name,
        who,
        human_bytes(sum(count.download for count in sums)),
        human_bytes(sum(count.upload for count in sums)),
        now.tick - before.tick,
    )
    _doubts(runtime, changes)


def failed(runtime: Runtime, reason: str, message: str) -> None:
    """Why a poll failed: each reason once in an outage. Faults of our own are said where they are met."""
    if reason not in runtime.health.told and reason != "internal":
        log.warning("%s: %s", runtime.facts.name, message)
    runtime.health.told.add(reason)


def answers(runtime: Runtime, now: float) -> None:
    """A source that had failed succeeded at steady time `now`."""
    since = runtime.health.down_since
    if since is not None:
        log.info("%s: answers again after %s", runtime.facts.name, human_duration(now - since))
    runtime.health.told.clear()


def noticed(runtime: Runtime, notices: Iterable[str]) -> None:
    """What is not well although polls succeed, when it begins and when it is over."""
    notices = tuple(notices)
    for notice in notices:
        if notice not in runtime.notices:
            log.warning("%s: %s", runtime.facts.name, notice)
    for notice in runtime.notices:
        if notice not in notices:
            log.info("%s: no longer so: %s", runtime.facts.name, notice)


def _doubts(runtime: Runtime, changes: Changes) -> None:
    doubts = {counter.doubt for counter in changes.counters.values()} & DOUBTS.keys()
    for doubt in sorted(doubts - runtime.doubts):
        level, words = DOUBTS[doubt]
        log.log(level, "%s: %s", runtime.facts.name, words)
    runtime.doubts |= doubts


def human_bytes(count: float) -> str:
    """1.3 GiB: IEC units, as a person reads them."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} PiB"


def human_duration(seconds: float) -> str:
    """2 h 5 min: the two largest units, whole."""
    whole = round(seconds)
    for unit, size, next_unit, next_size in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // next_size
            return f"{whole // size} {unit} {rest} {next_unit}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
