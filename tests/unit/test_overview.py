"""What the page for people is told about a source."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from exporter.accounting.periods import DAILY, Cycle, period_of
from exporter.accounting.quotas import Quota, standing
from exporter.committer import Committer, Failure, Success
from exporter.exposition import Exposition
from exporter.model import Client, Contract, Count, CounterKey, Reading, SubjectKey, Wan
from exporter.naming import Person
from exporter.overview import TOP, OwnerRow, SourceView, quota_rows, source_view
from exporter.privacy import OPEN, Privacy
from exporter.recent import Rate
from exporter.series import Scrapes
from tests.scripted import SITE, ManualClock, client_key, facts, poll, reading
from tests.watched import MemoryState

LINE = SubjectKey("wan", SITE, "wan1")
INTERVAL = 30.0


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


class Site:
    """A source with so many clients, called Client 0 and so on. Each poll sets where their downloads stand."""

    def __init__(self, clients: int) -> None:
        self.time = ManualClock()
        self.committer = Committer(
            MemoryState(),
            [replace(facts(), contracts=(Contract(SITE, "wan1", download=1000.0),))],
            exposition=Exposition(),
            scrapes=Scrapes(60.0),
            client_ttl=600.0,
            people={mac(1): Person("", "flat 3")},
            clock=self.time.clock,
        )
        self.clients = [
            Client(SITE, mac(n), mac(n), name=f"Client {n}", connection="wireless", ssid="Home", connected=True)
            for n in range(clients)
        ]
        self.runtime = self.committer.runtimes["home"]

    def poll(self, *counts: int, line: int = 0) -> None:
        self.time.pass_(INTERVAL)
        readings = [reading(mac(number), count, 0) for number, count in enumerate(counts)]
        readings.append(Reading(CounterKey(*LINE), (LINE,), Count(line, 0)))
        found = replace(
            poll(readings, clients=self.clients), gear=(Wan(SITE, "wan1", up=True),), notices=("rows near the limit",)
        )
        self.committer.work({"home": Success(found, self.time.wall_at, self.time.steady_at, 0.1)})

    def fail(self, words: str) -> None:
        self.time.pass_(INTERVAL)
        self.committer.work({"home": Failure("timeout", words, self.time.wall_at, 1.0)})

    def view(self, today: dict[SubjectKey, Count] | None = None) -> SourceView:
        return source_view(self.runtime, self.committer._people, OPEN, today)


def test_before_the_first_poll() -> None:
    view = Site(1).view()
    assert (view.up, view.polled, view.clients, view.span, view.now, view.today) == (False, False, 0, 0, Rate(), None)


def test_rates_come_from_the_last_polls_and_the_busiest_client_is_first() -> None:
    site = Site(3)
    site.poll(0, 0, 0)
    site.poll(300, 900, 0)
    view = site.view()
    assert (view.span, view.now) == (INTERVAL, Rate(40.0, 0.0))
    assert [(row.name, row.owner, row.download, row.share) for row in view.top_now] == [
        ("Client 1", "flat 3", 30.0, 0.75),
        ("Client 0", "", 10.0, 0.25),
    ]
    assert view.top_now[0].where == "wireless, Home"
    assert view.notices == ("rows near the limit",)


def test_today_is_what_it_is_given() -> None:
    site = Site(2)
    site.poll(0, 0)
    today = {
        client_key(mac(0)): Count(3, 3),
        client_key(mac(1)): Count(1, 1),
        SubjectKey("site", SITE, ""): Count(4, 4),
    }
    view = site.view(today)
    assert view.today == Count(4, 4)
    assert [(row.name, row.download, row.upload, row.share) for row in view.top_today] == [
        ("Client 0", 3, 3, 0.75),
        ("Client 1", 1, 1, 0.25),
    ]


def test_a_client_that_left_today_is_still_in_the_list() -> None:
    site = Site(1)
    site.poll(0)
    assert [row.name for row in site.view({client_key(mac(9)): Count(3, 3)}).top_today] == ["randomised 00:00:09"]


def test_owners_are_summed_over_their_clients_here_or_gone() -> None:
    site = Site(1)
    site.committer._people = {mac(number): Person("", "flat 3") for number in range(3)}
    site.poll(0)
    today = {client_key(mac(0)): Count(3, 3), client_key(mac(2)): Count(4, 1), client_key(mac(5)): Count(100, 100)}
    assert site.view(today).owners == (OwnerRow("flat 3", 2, 7, 4),)


def test_no_more_than_the_top() -> None:
    site = Site(TOP + 5)
    site.poll(*[0] * (TOP + 5))
    site.poll(*range(TOP + 5))
    assert [row.name for row in site.view().top_now] == [f"Client {number}" for number in range(TOP + 4, 4, -1)]


def test_a_line_is_compared_with_what_is_paid_for() -> None:
    site = Site(0)
    site.poll(line=0)
    site.poll(line=15_000)
    (line,) = site.view().lines
    assert (line.name, line.up, line.now.download, line.used_download, line.used_upload) == (
        f"{SITE} wan1",
        True,
        500.0,
        0.5,
        None,
    )


def test_a_source_that_fails_shows_no_rate_of_the_past_as_of_now() -> None:
    site = Site(1)
    site.poll(0)
    site.poll(900)
    site.fail("no answer; check that it is up")
    view = site.view()
    assert (view.up, view.span, view.now, view.top_now) == (False, 0, Rate(), ())
    assert view.error == "no answer; check that it is up"
    assert view.clients == 1


def test_what_is_not_believed_yet_is_counted_by_why() -> None:
    site = Site(2)
    site.poll(1000, 1000)
    site.poll(500, 2000)
    assert site.view().doubts == {"fallen": 1}
    site.poll(600, 3000)
    assert site.view().doubts == {}
    assert site.view().events == {"reset": 1}


def test_what_waits_for_prometheus_is_counted() -> None:
    site = Site(1)
    site.committer._scrapes.answered(1, None, site.time.steady_at)
    site.poll(1000)
    assert site.view().held > 0


def test_quotas_in_words() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    now = datetime(2026, 10, 27, 12, tzinfo=zone).timestamp()
    quotas = [
        Quota("Line", "wan", Cycle("17", zone), 1000, "home", SITE, "wan1"),
        Quota("Attic", "wan", Cycle("17", zone), 400, "attic", "", "wan"),
        Quota("Flat 3", "owner", Cycle(DAILY, zone), 250, subject="flat 3", count="upload"),
        Quota("Phone", "client", Cycle("monday", zone), 1000, subject=mac(1)),
        Quota("House", "source", Cycle("31", zone), 10**6, "home"),
        Quota("All", "all", Cycle("1", zone), 10**6),
    ]
    standings = [
        (each, standing(Count(600, 200), period_of(each.cycle, now), now, limit=each.limit, count=each.count))
        for each in quotas
    ]
    people = {mac(1): Person("Tim's phone")}
    rows = quota_rows(standings, people, OPEN)
    assert [(row.name, row.whom, row.days, row.used, row.passed) for row in rows] == [
        ("Line", "line home default wan1", "2026-10-17 to 2026-11-16", 800, "will be used up on 2026-10-30"),
        ("Attic", "line attic wan", "2026-10-17 to 2026-11-16", 800, "used up"),
        ("Flat 3", "owner flat 3, upload alone", "2026-10-27", 200, "will be used up on 2026-10-27"),
        ("Phone", "Tim's phone", "2026-10-26 to 2026-11-01", 800, "will be used up on 2026-10-27"),
        ("House", "all clients of home", "2026-09-30 to 2026-10-30", 800, ""),
        ("All", "all clients", "2026-10-01 to 2026-10-31", 800, ""),
    ]
    hidden = Privacy(names=False, key=b"k" * 16)
    assert quota_rows(standings, people, hidden)[3].whom == f"randomised {hidden.address(mac(1))[-6:]}"
