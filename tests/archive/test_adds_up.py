"""Whatever happens, every level of the archive and the gaps add up to what the totals grew by, to the byte."""

from __future__ import annotations

import math
import tempfile
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from exporter.store import Retention, upkeep
from tests.archive.house import MACS, SOURCES, Archived, House, date_in, grouped, house, midnight_before

EXAMPLES = max(50, settings().max_examples // 4)
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo"]
STARTS = {
    "Europe/Berlin": ["2026-03-28T22:00", "2026-10-24T21:00"],
    "Australia/Lord_Howe": ["2026-04-04T12:00", "2026-10-03T12:00"],
    "Africa/Cairo": ["2026-04-23T21:00"],  # its clocks go forward at midnight
}
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a history commits a hundred times
COME_AND_GO = ("new_client", "gone_client")
FOREVER = Retention.forever()
SHORT = Retention(2 * 86_400.0, 4 * 86_400.0, math.inf)

_names = st.sampled_from([["home"], ["home"], ["attic"], ["home", "attic"]])
_bytes = st.integers(0, 3_000_000)
_moves = st.tuples(st.sampled_from(list(SOURCES)), st.sampled_from(MACS), _bytes, _bytes)
_lengths = st.sampled_from([1.0, 30.0, 30.0, 45.5, 90.0, 300.0, 900.0, 1700.25, 4000.0, 9000.0, 30_000.0, 200_000.0])
_polls = st.tuples(st.just("poll"), _names, _lengths, st.lists(_moves, min_size=1, max_size=4))
_others = st.one_of(
    st.tuples(st.just("reset"), st.sampled_from(list(SOURCES)), st.sampled_from(MACS)),
    st.tuples(st.just("set_clock"), st.sampled_from([-86_400.0, -4000.0, -20.0, 15.5, 4000.0, 86_400.0])),
    st.tuples(st.just("restart")),
    st.tuples(st.just("crash")),
    st.tuples(st.just("cut_days_by"), st.sampled_from(ZONES)),
)
# Of the source that is polled seldom, so that hours pass without a silence.
_steady = st.tuples(st.just("steady"), st.integers(3, 16), st.sampled_from([299.5, 300.0, 900.0, 2600.0]))
_histories = st.lists(st.one_of(_steady, _polls, _polls, _others), min_size=3, max_size=25)


@st.composite
def _begins(draw: st.DrawFn) -> tuple[str, float]:
    zone = draw(st.sampled_from(ZONES))
    starts = STARTS.get(zone, ["2026-06-01T20:00"])
    at = datetime.fromisoformat(draw(st.sampled_from(starts))).replace(tzinfo=ZoneInfo("UTC")).timestamp()
    return zone, at + draw(st.sampled_from([0.0, 12.75, 1799.0]))


def _happen(it: House, what: tuple[object, ...]) -> None:
    match what:
        case ("poll", list() as names, float(after), list() as moves):
            for name, mac, down, up in moves:
                it.move(name, mac, down, up)
            it.poll(*names, after=after)
        case ("steady", int(polls), float(after)):
            for number in range(polls):
                for mac in MACS:
                    it.move("attic", mac, 100_000 + number, 77)
                it.poll("attic", after=after)
        case (str(other), *values):
            getattr(it, other)(*values)


def _check(it: House) -> None:
    file = Archived(it.path)
    assert file.sums(file.daily, file.unmade) == file.grown
    if it.retention == FOREVER:
        assert file.sums(file.usage) == file.grown
        assert file.sums(file.hourly, file.unmade) == file.grown
        assert sorted(file.hourly) == grouped(file.made_usage, lambda at: at // 3600 * 3600)
        assert sorted(file.daily) == grouped(file.made_usage, date_in(it.zone))
        assert {event: times for event, times in file.events.items() if event[2] not in COME_AND_GO} == it.reported
    latest = max((runtime.memory.source.at for runtime in it.committer.runtimes.values()), default=0.0)
    if latest:
        now = max(latest, 1.0)
        midnight = midnight_before(math.ceil(now) - 1, it.zone)
        said = {
            source: {key: (count.download, count.upload) for key, count in each.items()}
            for source, each in it.state.today(now).items()
            if each
        }
        assert said == file.since(midnight)


@pytest.mark.parametrize("retention", [FOREVER, SHORT], ids=["kept", "pruned"])
@settings(max_examples=EXAMPLES)
@given(begin=_begins(), history=_histories)
def test_every_level_adds_up(
    ready: Path, retention: Retention, begin: tuple[str, float], history: list[tuple[object, ...]]
) -> None:
    zone, at = begin
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        patch.setattr(upkeep, "SUBJECTS", 2)
        patch.setattr(upkeep, "PRUNED", 40)
        with house(Path(folder), ready, at, zone, retention) as it:
            for what in history:
                _happen(it, what)
                _check(it)
            it.settle()
            _check(it)
            file = Archived(it.path)
            event(f"gaps: {bool(file.gaps)}, hours made: {bool(file.hourly)}")
