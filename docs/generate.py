"""Writes the pages that are made from the code. `make docs` runs it, and tests compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Final

from docs import configuration_page
from exporter.metrics import FAMILIES, OWN_FAMILIES, Family
from exporter.sources import REASONS as FAILURES

PAGE: Final = Path(__file__).parent / "metrics.md"

EVENTS: Final[Mapping[str, str]] = {
    "baseline": "First sight of a counter, or of another meter at the same address. Its value so far is not counted: "
    "nobody knows when it moved.",
    "duplicate": "The meter showed one counter twice in a poll. The record it heard last was taken.",
    "new": "First sight of a client that was not there before. Its first bytes are counted.",
    "reset": "The counter began again from 0: a reconnect, or a restart of the controller or an access point. What it "
    "shows since is counted; what moved between the last poll and the restart is lost.",
    "rollover": "The meter closed its period and began the next one. Both sides of the boundary are counted.",
    "rollback": "The meter was restored from an older copy. Only what is above that copy is counted.",
    "wrap": "A 32-bit counter passed its end. The bytes on both sides are counted.",
    "dip": "A value fell and came back. It was false, or a restart that grew past the old value while it was looked at "
    "again; what is above the old value is counted.",
    "implausible": "More bytes than the link could have carried. They are held back, and counted if the next polls "
    "make them possible. Many of these: look at the meter, or at `max_rate`.",
    "clock": "Our clock stood behind the last poll, or the clock of a meter that keeps periods is more than five "
    "minutes off ours. In the first case bytes are counted all the same, in the second the poll is not counted. Set "
    "the clocks.",
}
"""What each reason of exporter.ledger means for a person."""

OTHER_FAILURES: Final[dict[str, str]] = {"internal": "a fault in the exporter itself; its log has the traceback"}

SKIPPED: Final[Mapping[str, str]] = {
    "shape": "no JSON object",
    "mac": "no MAC address that is one",
    "port": "a port without number and name, or with those of another port of its device",
    "bytes": "a byte counter that is no whole number from 0 to 2^63 - 1",
    "packets": "a packet counter that is none",
    "gear_failed": "the devices, lines and ports of a whole site, which could not be read while its clients could; the "
    "log says why",
    "site_failed": "a whole site that could not be read, while others could; the log says why",
}
"""Why a record is skipped; the values of the label `reason` of bandwidth_source_bad_records_total."""


def metrics_page() -> str:
    """The whole of docs/metrics.md."""
    parts = [
        "# Metrics",
        "Generated from `exporter/metrics.py` by `make docs`.",
        "Download is toward the client, upload from it. Every counter ends in `_total`, every unit is a base unit, and "
        "every label is always there, empty where nothing is known. Totals go on through restarts of the meter, of the "
        "client and of the exporter. [meters.md](meters.md) says what they promise, case by case.",
        "## At a glance",
        _table(("family", "type", "labels"), map(_glance, (*FAMILIES, *OWN_FAMILIES))),
        "`process_*` comes from prometheus-client.",
        "## One by one",
        *map(_family, FAMILIES),
        "## About the process",
        *map(_family, OWN_FAMILIES),
        "## Events",
        "The label `reason` of `bandwidth_counter_events_total`. Every reason is on the page from the start, at 0.",
        _reasons(EVENTS),
        "## Failures",
        "The label `reason` of `bandwidth_source_poll_failures_total`. One appears with its first failure.",
        _reasons(dict(FAILURES) | OTHER_FAILURES),
        "## Skipped records",
        "The label `reason` of `bandwidth_source_bad_records_total`. A skipped record costs nobody else's; the bytes "
        "come with the next good one.",
        _reasons(SKIPPED),
    ]
    return "\n\n".join(map(_wrapped, parts)) + "\n"


def _wrapped(part: str) -> str:
    """Prose at the width of the other pages; tables and lists as they are."""
    return part if "\n" in part else fill(part, 120, break_long_words=False, break_on_hyphens=False)


def _glance(family: Family) -> tuple[str, str, str]:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"[`{family.name}`](#{family.name})", family.type, labels


def _family(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels) or "none"
    lines = [
        f"### {family.name}",
        "",
        family.help,
        "",
        f"- Type: {family.type}",
        f"- Labels: {labels}",
        f"- From: {family.origin}",
    ]
    return "\n".join([*lines, f"- Note: {family.note}"] if family.note else lines)


def _reasons(meanings: Mapping[str, str]) -> str:
    return _table(("reason", "means"), ((f"`{reason}`", meaning) for reason, meaning in meanings.items()))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(metrics_page(), encoding="utf-8")
    configuration_page.PAGE.write_text(configuration_page.configuration_page(), encoding="utf-8")
