"""Accounts that are read from the archive are those that were kept all the time, whatever happened."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.accounting.periods import Cycle
from exporter.accounting.quotas import Quota
from exporter.accounts import Accounts, Terms
from exporter.privacy import OPEN
from exporter.store import Retention, upkeep
from tests.archive.house import MACS, SOURCES, House, house

EXAMPLES = max(40, settings().max_examples // 4)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"]
STARTS = ["2026-03-28T22:00", "2026-10-24T21:00", "2026-04-04T12:00", "2026-10-31T17:10"]

_bytes = st.integers(0, 3_000_000)
_moves = st.tuples(st.sampled_from(list(SOURCES)), st.sampled_from(MACS), _bytes, _bytes)
_lengths = st.sampled_from([30.0, 45.5, 90.0, 300.0, 900.0, 1700.25, 2600.0, 4000.0, 30_000.0, 200_000.0])
_names = st.sampled_from([["home"], ["attic"], ["attic"], ["home", "attic"]])
_polls = st.tuples(_names, _lengths, st.lists(_moves, min_size=1, max_size=4))


def _terms(own: str, other: str) -> Terms:
    quotas = (
        Quota("days", "source", Cycle("daily", ZoneInfo(other)), 10**9, "attic"),
        Quota("weeks", "client", Cycle("sunday", ZoneInfo(other)), 10**9, subject=MACS[0]),
        Quota("months", "all", Cycle("31", ZoneInfo(other)), 10**9),
    )
    return Terms(ZoneInfo(own), quotas)


def _gauges(it: House, accounts: Accounts) -> dict[str, str]:
    text = b"".join(accounts.blocks(it.time.wall_at, OPEN).values()).decode()
    series = (line.rpartition(" ") for line in text.splitlines())
    return {name: value for name, _, value in series}


@settings(max_examples=EXAMPLES)
@given(
    begin=st.sampled_from(STARTS),
    own=st.sampled_from(ZONES),
    other=st.sampled_from(ZONES),
    history=st.lists(_polls, min_size=3, max_size=25),
)
def test_what_is_read_is_what_was_kept(
    ready: Path,
    begin: str,
    own: str,
    other: str,
    history: list[tuple[list[str], float, list[tuple[str, str, int, int]]]],
) -> None:
    terms = _terms(own, other)
    at = datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo("UTC")).timestamp()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        patch.setattr(upkeep, "SUBJECTS", 2)
        with house(Path(folder), ready, at, own, Retention.forever()) as it:
            kept = Accounts(it.state, terms)
            it.committer.keep(kept)
            for names, after, moves in history:
                for name, mac, down, up in moves:
                    it.move(name, mac, down, up)
                it.poll(*names, after=after)
                read = Accounts(it.state, terms)
                read.open(it.committer.runtimes)
                assert _gauges(it, read) == _gauges(it, kept)
