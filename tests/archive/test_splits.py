"""A meter that closes its periods at midnight while nobody reads it: what the archive says of each day is exact."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from datetime import datetime
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.accounting.buckets import Span, bucket_of
from exporter.accounting.days import date_of, day_of, day_start
from exporter.accounting.growth import Growth, stretches
from exporter.accounting.periods import Cycle, period_of
from exporter.accounting.quotas import Quota
from exporter.accounts import Terms
from exporter.committer import Success
from exporter.model import ZERO, Bounds, Closed, Collection, Count, CounterKey, Life, Poll, Reading, SubjectKey
from exporter.naming import Person
from tests.accounting.test_accounts import GB, ONE, TWO, House
from tests.archive.house import Archived
from tests.scripted import SITE, client_key

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
SITE_KEY = SubjectKey("site", SITE, "")
DAILY = """
    SELECT kind, subject, day, download, upload FROM v_usage_daily
    WHERE class = 'all' AND kind IN ('client', 'site', 'owner') AND download + upload > 0
"""
PROTOCOL = "SELECT day, sum(download), sum(upload) FROM v_usage_daily WHERE class = 'ipv4|quic' GROUP BY day"
MONTHLY = """
    SELECT month, download, upload FROM v_usage_month WHERE kind = 'client' AND subject = ? AND class = 'all'
    ORDER BY month
"""


class Periodic(House):
    """It knows on which day every byte moved. Its meter begins anew at midnight in `zone`: each, or `monthly` ones."""

    def __init__(self, folder: Path, begin: float, zone: ZoneInfo, *, monthly: bool = False) -> None:
        self.monthly = monthly
        quotas = tuple(Quota(who, "client", Cycle("1", zone), GB, subject=who) for who in (ONE, TWO))
        self.truth: Counter[tuple[str, str, int, int]] = Counter()
        self.began = begin
        self.closed: dict[str, list[Closed]] = {ONE: [], TWO: []}
        super().__init__(folder, begin, Terms(zone, quotas), {ONE: Person(owner="ann"), TWO: Person(owner="ann")})
        self.use(ONE, 0)
        self.use(TWO, 0)
        self.poll()

    @property
    def today(self) -> int:
        return day_of(bucket_of(ceil(self.time.wall_at)), self.terms.zone)

    def use(self, who: str, down: int, up: int = 0, source: str = "home") -> None:
        super().use(who, down, up, source)
        for kind, whose in (("client", who), ("site", ""), ("owner", "ann")):
            self.truth[kind, whose, self.today, 0] += down
            self.truth[kind, whose, self.today, 1] += up

    def until(self, when: float) -> None:
        while (midnight := day_start(self.today + 1, self.terms.zone)) < when:
            super().until(midnight + 1)
            if not self.monthly or date_of(self.today).day == 1:
                self._roll_over(midnight)
        super().until(when)

    def _roll_over(self, at: float) -> None:
        for who, closed in self.closed.items():
            raw = self.raw["home", who]
            closed.append(Closed(str(self.began), ZERO, Count(*raw), self.began, at))
            raw[:] = [0, 0]
        self.began = at

    def poll(self, *sources: str) -> None:
        assert not sources  # there is one alone
        mark = str(self.began)
        readings = []
        for (_, who), raw in self.raw.items():
            life = Life(mark, None, ZERO, tuple(self.closed[who]), began=self.began)
            subjects = client_key(who), SITE_KEY, SubjectKey("protocol", SITE, "ipv4|quic")
            readings.append(Reading(CounterKey("client", SITE, f"{who}|row"), subjects, Count(*raw), life=life))
        answer = Poll("router", tuple(readings), complete={Collection("client", SITE): mark})
        self.committer.work({"home": Success(answer, self.time.wall_at, self.time.steady_at, 0.0)})
        assert self.committer.commit_error == ""
        self.closed = {who: [] for who in self.closed}

    def check(self) -> None:
        truth: dict[tuple[str, str, int], tuple[int, int]] = {}
        for kind, who, day, _ in self.truth:
            both = self.truth[kind, who, day, 0], self.truth[kind, who, day, 1]
            if any(both):
                truth[kind, who, day] = both
        with closing(sqlite3.connect(self.path)) as file:
            said = {(kind, who, day): (down, up) for kind, who, day, down, up in file.execute(DAILY)}
            of_site = {("site", "", day): (down, up) for day, down, up in file.execute(PROTOCOL) if down or up}
        assert said == truth
        assert of_site == {key: both for key, both in truth.items() if key[0] == "site"}
        file_says = Archived(self.path)
        assert file_says.sums(file_says.daily, file_says.unmade) == file_says.grown
        assert file_says.sums(file_says.usage) == file_says.grown
        today = self.state.today(self.time.wall_at).get("home", {})
        assert today.get(SITE_KEY, ZERO).download == self.truth["site", "", self.today, 0]
        for scope, who, kind in (("client", ONE, "client"), ("source", "", "site"), ("owner", "ann", "owner")):
            for name, cycle in self.terms.periods().items():
                period = period_of(cycle, self.time.wall_at)
                days = range(day_of(period.start, self.terms.zone), self.today + 1)
                expected = sum(self.truth[kind, who, day, 0] for day in days)
                assert self.said(scope, who).get(name, 0) == expected


_uses = st.tuples(st.sampled_from([ONE, TWO]), st.integers(0, 3_000_000), st.integers(0, 90_000))
_steps = st.tuples(st.sampled_from([0.3, 5.0, 11.0, 26.0, 40.0]), _uses, st.sampled_from(["", "", "poll", "restart"]))


@settings(max_examples=max(12, settings().max_examples // 8))
@given(
    st.sampled_from([("Europe/Berlin", "2026-10-23T09:10"), ("Asia/Kathmandu", "2026-10-30T22:31")]),
    st.lists(_steps, min_size=2, max_size=12),
)
def test_every_day_has_what_moved_on_it(
    begin: tuple[str, str], steps: list[tuple[float, tuple[str, int, int], str]]
) -> None:
    zone = ZoneInfo(begin[0])
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        home = Periodic(Path(folder), datetime.fromisoformat(begin[1]).replace(tzinfo=zone).timestamp(), zone)
        for hours, use, then in [*steps, (0.2, (ONE, 1, 1), "poll")]:
            home.until(home.time.wall_at + hours * 3600 + 17)
            home.use(*use)
            if then:
                home.until(home.time.wall_at + 900)
                home.poll()
                home.check()
            if then == "restart":
                home.restart()
                home.check()
        home.state.close()


def test_a_silence_over_the_end_of_a_month(tmp_path: Path) -> None:
    """The exporter is away from 30 October to 3 November; the router closed October at midnight."""
    zone = ZoneInfo("Europe/Berlin")
    home = Periodic(tmp_path, datetime(2026, 10, 30, 12, tzinfo=zone).timestamp(), zone, monthly=True)
    home.use(ONE, 1_000, 10)
    home.until(datetime(2026, 10, 30, 12, 1, tzinfo=zone).timestamp())
    home.poll()
    home.until(datetime(2026, 10, 31, 23, 59, 40, tzinfo=zone).timestamp())
    home.use(ONE, 7_000_000_001, 11)
    home.until(datetime(2026, 11, 3, 8, tzinfo=zone).timestamp())
    home.use(ONE, 333, 3)
    home.use(TWO, 5, 0)
    home.poll()
    for _ in range(2):
        assert home.said("client", ONE) == {"month": 333, ONE: 333, "week": 191, "today": 48}
        assert home.quota(ONE)["used_ratio"] == pytest.approx(336 / GB)
        assert home.said("source")["month"] == home.said("owner", "ann")["month"] == 338
        with closing(sqlite3.connect(home.path)) as file:
            months = file.execute(MONTHLY, (ONE,)).fetchall()
        assert months == [("2026-10", 7_000_001_001, 21), ("2026-11", 333, 3)]
        total = f'bandwidth_client_download_bytes_total{{source="home",site="default",client="{ONE}"}} 7000001334'
        assert home.committer.runtimes["home"].memory.totals[client_key(ONE)].download == 7_000_001_334
        assert total in home.page()
        home.restart()
        home.poll()
    home.state.close()


OVER = Span(1_000, 11_000)
KEY = client_key(ONE)


@pytest.mark.parametrize(
    ("moved", "parts", "expected"),
    [
        ((500, 60), {}, [(1_000, 11_000, 500, 60)]),
        (
            (500, 60),
            {(None, 4_000.0): Count(400, 50), (4_000.0, None): Count(100, 10)},
            [(1_000, 4_000, 400, 50), (4_000, 11_000, 100, 10)],
        ),
        ((500, 60), {(4_000.9, None): Count(500, 60)}, [(4_000, 11_000, 500, 60)]),
        ((500, 60), {(None, 4_000.0): Count(500, 60)}, [(1_000, 4_000, 500, 60)]),
        (  # what nothing is proved of lies on both sides
            (501, 60),
            {(6_000.0, None): Count(100, 60)},
            [(1_000, 6_000, 200, 0), (6_000, 11_000, 301, 60)],
        ),
        (
            (90, 0),
            {(None, 5_000.0): Count(40), (3_000.0, 7_000.0): Count(40), (9_000.0, None): Count(10)},
            [(1_000, 3_000, 20, 0), (3_000, 5_000, 40, 0), (5_000, 7_000, 20, 0), (9_000, 11_000, 10, 0)],
        ),
        ((500, 60), {(None, 900.0): Count(500, 60)}, [(1_000, 11_000, 500, 60)]),  # our clock says otherwise
        ((500, 60), {(12_000.0, None): Count(500, 60)}, [(1_000, 11_000, 500, 60)]),
        ((500, 60), {(900.0, 11_500.0): Count(500, 60)}, [(1_000, 11_000, 500, 60)]),
        ((300, 60), {(None, 4_000.0): Count(400, 50)}, [(1_000, 11_000, 300, 60)]),  # some of it is in the file already
    ],
)
def test_the_intervals_that_bytes_are_kept_as(
    moved: tuple[int, int], parts: dict[Bounds, Count], expected: list[tuple[int, int, int, int]]
) -> None:
    assert stretches(Growth(OVER, [(KEY, *moved)], whole=True, splits={KEY: parts}), (KEY, *moved)) == expected


_bounds = st.tuples(*2 * [st.none() | st.floats(0, 12_000)])
_parts = st.dictionaries(_bounds, st.builds(Count, st.integers(0, 999), st.integers(0, 999)), max_size=5)


@settings(max_examples=50)
@given(_parts, st.integers(-10, 6_000), st.integers(0, 6_000))
def test_the_intervals_add_up(parts: dict[Bounds, Count], down: int, up: int) -> None:
    found = stretches(Growth(OVER, [(KEY, down, up)], whole=True, splits={KEY: parts}), (KEY, down, up))
    assert (sum(each[2] for each in found), sum(each[3] for each in found)) == (down, up)
    bounds = [moment for each in found for moment in each[:2]]
    assert bounds == sorted(bounds)
    assert all(OVER.start <= each[0] < each[1] <= OVER.end for each in found)
