"""What the gauges of periods say: what moved, whenever the exporter was started, to the byte."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from exporter.accounting.periods import DAILY, Cycle
from exporter.accounting.quotas import Quota
from exporter.accounts import Accounts, Terms
from exporter.committer import Committer, Failure, Success
from exporter.exposition import Exposition
from exporter.model import Count, CounterKey, Reading, SubjectKey
from exporter.naming import People, Person
from exporter.privacy import Privacy
from exporter.runtime import SourceFacts
from exporter.series import Scrapes
from exporter.store import Retention, State
from tests.archive.house import Archived
from tests.scripted import SITE, ManualClock, facts, poll, reading

BERLIN, KOLKATA, HOWE = map(ZoneInfo, ("Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"))
ONE, TWO = "02:00:00:00:00:01", "02:00:00:00:00:02"
LINE = SubjectKey("wan", SITE, "wan1")
GB = 10**9
SAMPLE = re.compile(r"^bandwidth_(period_download|period_upload|quota_\w+?)_?(?:bytes)?\{(.*)\} (\S+)$", re.MULTILINE)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


class House:
    """An exporter without threads. `use` moves bytes on the meters, `poll` reads them."""

    def __init__(
        self, folder: Path, begin: float, terms: Terms, people: People | None = None, *sources: SourceFacts
    ) -> None:
        self.path = folder / "bandwidth.db"
        self.time = ManualClock(wall_at=begin, steady_at=1000.0)
        self.terms, self.people, self.privacy = terms, people or {}, Privacy()
        self.retention = Retention.forever()
        self.sources = sources or (facts("home", 60.0),)
        self.raw: dict[tuple[str, str], list[int]] = {}
        self.start()

    def start(self) -> None:
        self.state = State.open(self.path)
        self.state.keep(self.terms.zone, self.retention)
        self.exposition = Exposition()
        self.committer = Committer(
            self.state,
            self.sources,
            exposition=self.exposition,
            scrapes=Scrapes(60.0),
            client_ttl=3600.0,
            people=self.people,
            clock=self.time.clock,
            privacy=self.privacy,
        )
        self.accounts = Accounts(self.state, self.terms)
        self.committer.keep(self.accounts)

    def restart(self) -> None:
        self.state.close()
        self.start()

    def use(self, who: str, down: int, up: int = 0, source: str = "home") -> None:
        raw = self.raw.setdefault((source, who), [0, 0])
        raw[0], raw[1] = raw[0] + down, raw[1] + up

    def until(self, when: float) -> None:
        self.time.pass_(when - self.time.wall_at)

    def poll(self, *sources: str) -> None:
        outcomes = {}
        for name in sources or ("home",):
            readings = [_reading(who, *raw) for (source, who), raw in self.raw.items() if source == name]
            outcomes[name] = Success(poll(readings, clients=()), self.time.wall_at, self.time.steady_at, 0.0)
        self.committer.work(outcomes)
        assert self.committer.commit_error == ""

    def adjust(self, terms: Terms, people: People | None = None) -> None:
        self.terms, self.people = terms, self.people if people is None else people
        self.committer.adjust(3600.0, self.people, self.privacy, terms)

    def page(self, source: str | None = None) -> str:
        self.committer._drop_silent()
        page = self.exposition.page(source)
        assert page is not None
        return page.text().decode()

    def gauges(self) -> dict[tuple[str, ...], float]:
        """Download alone, by scope, source, subject and period; what is 0 is left out."""
        found: dict[tuple[str, ...], float] = {}
        for family, labels, value in SAMPLE.findall(self.page()):
            named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if family == "period_download" and float(value):
                found[named["scope"], named["source"], named["subject"], named["period"]] = int(value)
        return found

    def said(self, scope: str, subject: str = "", source: str = "home") -> dict[str, float]:
        return {
            period: value
            for (of, name, about, period), value in self.gauges().items()
            if (of, name, about) == (scope, source, subject)
        }

    def quota(self, name: str) -> dict[str, float]:
        return {
            family.removeprefix("quota_"): float(value)
            for family, labels, value in SAMPLE.findall(self.page())
            if f'quota="{name}"' in labels and "threshold" not in labels
        }


def _reading(who: str, down: int, up: int) -> Reading:
    if who == "wan1":
        return Reading(CounterKey("wan", SITE, who), (LINE,), Count(down, up))
    return reading(who, down, up)


def quota(name: str, scope: str, reset: str = "1", zone: ZoneInfo = BERLIN, **more: object) -> Quota:
    return replace(Quota(name, scope, Cycle(reset, zone), 100 * GB), **more)


@pytest.fixture
def home(tmp_path: Path) -> Iterable[House]:
    terms = Terms(BERLIN, (quota("Ann", "client", subject=ONE), quota("bill", "all", "17")))
    people = {ONE: Person(owner="ann", category="kids"), TWO: Person(owner="bob", category="kids")}
    house = House(tmp_path, at("2026-10-20T12:00"), terms, people)
    house.use(ONE, 0)
    house.use(TWO, 0)
    house.use("wan1", 0)
    house.poll()
    yield house
    house.state.close()


def spend(home: House, when: str, one: int, two: int = 0) -> None:
    """Bytes that move in the minute before `when`."""
    home.until(at(when) - 60)
    home.poll()
    home.use(ONE, one)
    home.use(TWO, two)
    home.use("wan1", one + two)
    home.until(at(when))
    home.poll()


def test_every_period_begins_at_its_own_midnight(home: House) -> None:
    spend(home, "2026-10-20T13:00", 1_000, 20)
    expected = {"today": 1_000, "week": 1_000, "month": 1_000, "Ann": 1_000}
    assert home.said("client", ONE) == expected
    assert home.said("client", TWO) == {}
    spend(home, "2026-10-25T02:30", 300)  # Sunday, 25 hours long
    assert home.said("client", ONE) == {"today": 300, "week": 1_300, "month": 1_300, "Ann": 1_300}
    spend(home, "2026-10-26T00:00", 40)
    assert home.said("client", ONE)["today"] == 340
    spend(home, "2026-10-26T00:01", 5)
    assert home.said("client", ONE) == {"today": 5, "week": 5, "month": 1_345, "Ann": 1_345}
    spend(home, "2026-11-01T00:01", 7)
    assert home.said("client", ONE) == {"today": 7, "week": 12, "month": 7, "Ann": 7}
    assert home.said("source") == {"today": 7, "week": 12, "month": 7}
    assert home.said("wan", "wan1") == {"today": 7, "week": 12, "month": 7}
    assert home.said("all", source="") == {"today": 7, "week": 12, "month": 7, "bill": 1_372}
    assert home.said("category", "kids") == {"today": 7, "week": 12, "month": 7}


def test_a_start_changes_nothing(home: House) -> None:
    for when, amount in (("2026-10-20T13:00", 7), ("2026-10-25T03:30", 11), ("2026-10-31T23:59", 13)):
        spend(home, when, amount, amount * 1_000)
        before = home.gauges()
        home.restart()
        assert home.gauges() == before
        spend(home, str(datetime.fromtimestamp(home.time.wall_at + 3600, BERLIN).replace(tzinfo=None)), 1)
        assert (
            home.said("client", ONE)["Ann"]
            == before["client", "home", ONE, "Ann"] * (home.time.wall_at < at("2026-11-01T00:00")) + 1
        )


def test_periods_end_while_a_source_is_down(home: House) -> None:
    spend(home, "2026-10-31T13:00", 1_000)
    for when, periods in (
        ("2026-10-31T23:59", {"today", "week", "month"}),
        ("2026-11-01T00:01", {"week"}),
        ("2026-11-02T00:01", set()),
    ):
        home.until(at(when))
        home.committer.work({"home": Failure("unreachable", "it is off", home.time.wall_at, 1.0)})
        assert home.said("source").keys() == periods
        assert "bandwidth_source_download_bytes_total{" not in home.page()
        assert (
            'bandwidth_period_download_bytes{scope="source",source="home",site="default",subject="",period="today"}'
            in (home.page())
        )
    assert home.said("all", source="") == {"bill": 1_000}


def test_a_silence_is_split_by_time_where_a_period_begins(home: House) -> None:
    spend(home, "2026-10-28T00:00", 1_000)
    home.use(ONE, 7_000)
    home.until(at("2026-11-04T00:00"))  # a week later
    home.poll()
    expected = {"today": 1_000, "week": 2_000, "month": 3_000, "Ann": 3_000}
    assert home.said("client", ONE) == expected
    assert home.said("all", source="")["bill"] == 8_000
    home.restart()
    assert home.said("client", ONE) == expected
    assert home.said("all", source="")["bill"] == 8_000


def test_whose_bytes_they_were_stays(home: House) -> None:
    spend(home, "2026-10-20T13:00", 1_000, 20)
    assert home.said("owner", "ann")["month"] == 1_000
    home.adjust(home.terms, {ONE: Person(owner="bob"), TWO: Person(owner="bob", category="guests")})
    spend(home, "2026-10-20T14:00", 300, 4)
    home.restart()
    assert home.said("owner", "ann")["month"] == 1_000
    assert home.said("owner", "bob")["month"] == 324
    assert home.said("category", "kids")["month"] == 1_020
    assert home.said("category", "guests")["month"] == 4


def test_a_new_quota_knows_what_was_before_it(home: House) -> None:
    spend(home, "2026-10-20T13:00", 1_000, 20)
    spend(home, "2026-10-22T13:00", 300, 4)
    home.adjust(
        Terms(BERLIN, (quota("two", "client", subject=TWO), quota("Ann's", "owner", "thursday", subject="ann")))
    )
    assert home.said("client", ONE) == {}
    assert home.said("client", TWO) == {"today": 4, "week": 24, "month": 24, "two": 24}
    assert home.said("owner", "ann") == {"today": 300, "week": 1_300, "month": 1_300, "Ann's": 300}
    assert home.quota("bill") == {}


def test_quotas_in_another_time_zone_know_their_history(home: House) -> None:
    # In Kolkata it is half past midnight on the 21st when it is 21 o'clock on the 20th in Berlin.
    spend(home, "2026-10-20T20:29", 1_000)
    spend(home, "2026-10-20T20:31", 200)
    spend(home, "2026-10-20T23:00", 30)
    quotas = (
        quota("kolkata", "client", DAILY, KOLKATA, subject=ONE),
        quota("howe", "client", DAILY, HOWE, subject=ONE),  # its 21st began at 15:00
    )
    home.adjust(Terms(BERLIN, quotas))
    expected = {"kolkata": 230, "howe": 1_230}
    for _ in range(2):
        said = home.said("client", ONE)
        assert {name: said[name] for name in expected} == expected
        home.until(home.time.wall_at + 3600)
        home.poll()
        home.until(home.time.wall_at + 1200)
        home.poll()  # by now hours are made
        home.restart()


def test_five_minutes_that_are_gone_leave_hours(tmp_path: Path) -> None:
    terms = Terms(BERLIN, (quota("kolkata", "client", subject=ONE, zone=KOLKATA),))
    home = House(tmp_path, at("2026-10-31T12:00", KOLKATA), terms, None, facts("home", 1200.0))
    home.retention = Retention(2 * 86_400.0)
    home.restart()
    home.use(ONE, 0)
    home.poll()
    for hour in range(24 * 8):
        home.use(ONE, 10 if hour in (11, 12) else 1_000)  # little moves around midnight
        home.until(home.time.wall_at + 3600)
        home.poll()
    assert home.said("client", ONE)["kolkata"] == 10 + 1_000 * (24 * 8 - 13)
    first = min(row.when for row in Archived(home.path).usage)
    assert first > at("2026-11-01T01:00", KOLKATA)
    home.restart()
    assert home.said("client", ONE)["kolkata"] == 10 + 1_000 * (24 * 8 - 13)
    home.state.close()


def test_quotas(home: House) -> None:
    spend(home, "2026-10-24T12:00", 10 * GB, 40 * GB)
    said = home.quota("bill")
    start, end = at("2026-10-17T00:00"), at("2026-11-17T00:00")
    assert (said["period_start_timestamp_seconds"], said["period_end_timestamp_seconds"]) == (start, end)
    assert (said["limit"], said["used_ratio"]) == (100 * GB, 0.5)
    assert said["projected_ratio"] == pytest.approx(0.5 * (end - start) / (at("2026-10-24T12:00") - start))
    page = home.page()
    for threshold, ratio in (("75%", "0.75"), ("90%", "0.9"), ("100%", "1.0")):
        assert f'bandwidth_quota_threshold_ratio{{quota="bill",threshold="{threshold}"}} {ratio}\n' in page
    home.until(at("2026-11-17T00:01"))
    said = home.quota("bill")
    assert (said["used_ratio"], "projected_ratio" in said) == (0.0, False)


def test_only_one_kind_of_source_counts_where_there_are_both(tmp_path: Path) -> None:
    sources = (facts("home", 60.0), SourceFacts("attic", "nlbwmon", "internet", 60.0, 12.5e9))
    quotas = (
        quota("all", "all"),
        quota("Ann", "client", subject=ONE),
        quota("home", "source", source="home"),
        quota("line", "wan", source="home", site=SITE, subject="wan1", count="upload"),
    )
    home = House(tmp_path, at("2026-10-20T12:00"), Terms(BERLIN, quotas), None, *sources)
    for name in ("home", "attic"):
        home.use(ONE, 0, source=name)
        home.use("wan1", 0, source=name)
    home.poll("home", "attic")
    home.use(ONE, 1_000, 7)
    home.use(ONE, 900, 5, source="attic")
    home.use("wan1", 50 * GB, 10 * GB)
    home.time.pass_(60)
    home.poll("home", "attic")
    used = {each.name: standing.used for each, standing in home.accounts.standings(home.time.wall_at)}
    assert used == {"all": 905, "Ann": 905, "home": 1_007, "line": 10 * GB}
    assert home.accounts.left_out() == ("home",)
    assert home.said("all", source="") == {"today": 900, "week": 900, "month": 900, "all": 900}
    assert home.said("client", ONE, "attic")["Ann"] == 900
    assert "Ann" not in home.said("client", ONE, "home")
    assert home.said("client", ONE, "home")["today"] == 1_000
    assert home.said("source")["home"] == 1_000
    assert home.said("wan", "wan1")["line"] == 50 * GB
    assert "line" not in home.said("wan", "wan1", "attic")
    home.committer.dismiss("attic")
    assert home.said("all", source="")["all"] == 1_000
    home.state.close()


def test_they_are_on_no_page_of_a_single_source(home: House) -> None:
    spend(home, "2026-10-24T12:00", 10)
    assert "bandwidth_period" in home.page()
    assert "bandwidth_period" not in home.page("home")
    assert "bandwidth_quota" not in home.page("home")


def test_names_and_addresses_as_privacy_has_them(home: House) -> None:
    spend(home, "2026-10-24T12:00", 10, 20)
    hidden = Privacy(hash_mac=True, key=b"k" * 16)
    home.privacy = hidden
    terms = Terms(BERLIN, (quota(f"phone {ONE}", "client", subject=ONE), quota('quo"te\n', "owner", subject="ann")))
    home.adjust(terms)
    page = home.page()
    assert not [line for line in page.splitlines() if re.match("bandwidth_(period|quota)", line) and ONE in line]
    assert f'scope="client",source="home",site="default",subject="{hidden.address(ONE)}",period="today"}} 10\n' in page
    assert 'period="quo\\"te\\n"} 10\n' in page


def test_where_history_cannot_be_read_that_is_said_and_tried_again(
    home: House, caplog: pytest.LogCaptureFixture
) -> None:
    spend(home, "2026-10-24T12:00", 10, 20)
    aside = home.path.with_name("aside")
    home.path.rename(aside)
    home.adjust(Terms(BERLIN, (quota("two", "client", subject=TWO),)))
    assert "home: it has no part in periods and quotas until this is mended" in caplog.text
    assert home.said("source") == {}
    aside.rename(home.path)
    home.time.pass_(31)
    assert home.said("source") == {"today": 30, "week": 30, "month": 30}
    assert home.said("client", TWO)["two"] == 20


def test_a_failed_commit_moves_nothing(home: House) -> None:
    spend(home, "2026-10-24T12:00", 10)
    before: Mapping[tuple[str, ...], float] = home.gauges()
    aside = home.path.with_name("aside")
    home.path.rename(aside)
    home.use(ONE, 500)
    home.time.pass_(60)
    with pytest.raises(AssertionError):
        home.poll()
    assert home.gauges() == before
    aside.rename(home.path)
    home.time.pass_(60)
    home.poll()
    assert home.said("client", ONE)["today"] == 510


def test_a_commit_that_reached_the_disk_and_was_said_to_fail(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive has what it brought, so a start must not change what is said of the days on either side of it."""
    spend(home, "2026-10-24T12:00", 10)
    write = home.state._write

    def reach_and_fail(*args: Any) -> None:
        write(*args)
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(home.state, "_write", reach_and_fail)
        home.use(ONE, 500)
        home.until(at("2026-10-24T20:00"))
        with pytest.raises(AssertionError):
            home.poll()
    home.use(ONE, 3_000)
    home.until(at("2026-10-25T04:00"))
    home.poll()
    said = home.gauges()
    assert home.said("client", ONE)["today"] == 1_667  # of nine hours, of which one is there twice, five after midnight
    home.restart()
    assert home.gauges() == said
