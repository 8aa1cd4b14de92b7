"""What the web server is made of, without a socket: what a header allows, and what the page for people holds."""

from __future__ import annotations

import pytest

from exporter.clock import Clock
from exporter.committer import Committer, Failure, Success
from exporter.exposition import Exposition
from exporter.model import Client
from exporter.series import Scrapes
from exporter.service import _steady_of
from exporter.web.app import accepts_gzip
from exporter.web.status import TOP, status_page
from tests.scripted import SITE, ManualClock, facts, poll, reading
from tests.watched import MemoryState

HOSTILE = ["<script>alert(1)</script>", "</table><img src=x onerror=alert(1)>", "\ud83d half", "quo\"te'", "x" * 5000]


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("", False),
        ("gzip", True),
        ("GZip", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", True),
        ("*;q=0, gzip", True),
        ("*", True),
        ("*, gzip;q=0", False),
        ("gzip;q=0", False),
        ("gzip; q = 0.000", False),
        ("*;q=0", False),
        ("identity", False),
        ("x-gzipped, br", False),
        (",;,", False),
    ],
)
def test_what_a_header_allows(header: str, allowed: bool) -> None:
    assert accepts_gzip(header) is allowed


def committer(*names: str, failure: str = "") -> Committer:
    time = ManualClock()
    made = Committer(
        MemoryState(),
        [facts()],
        exposition=Exposition(),
        scrapes=Scrapes(60.0),
        client_ttl=600.0,
        people={},
        clock=time.clock,
    )
    macs = [f"02:00:00:00:00:{number:02x}" for number in range(len(names))]
    clients = [Client(SITE, mac, mac, name=name, connected=True) for mac, name in zip(macs, names, strict=True)]
    for moved in (0, 1000):
        readings = [reading(mac, 1000 * place * moved, 0) for place, mac in enumerate(macs, 1)]
        time.pass_(30)
        made.work({"home": Success(poll(readings, clients=clients), time.wall_at, time.steady_at, 0.1)})
    if failure:
        made.work({"home": Failure("protocol", failure, time.wall_at, 0.1)})
    return made


def page(made: Committer, banner: str = "", trouble: str = "") -> str:
    text = status_page(made.runtimes.values(), {}, version="1", banner=banner, trouble=trouble)
    return text.encode().decode()  # what the server does to it


def test_the_page_for_people_escapes_whatever_comes_from_outside() -> None:
    for text in (page(committer(*HOSTILE)), page(committer(failure=HOSTILE[0]), *HOSTILE[:2])):
        assert "<script" not in text
        assert "<img" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert len(text) < 5000


def test_half_a_character_of_a_name_or_an_answer_does_not_take_the_page_away() -> None:
    assert "? half" in page(committer("\ud83d half"))
    down = committer()
    health = down.runtimes["home"].health
    health.up, health.last_error = False, "\ud83d half"  # not by way of the log: pytest-xdist cannot pass it on
    assert "down: ? half" in page(down)


def test_the_top_clients_come_first_and_no_more_of_them() -> None:
    text = page(committer(*[f"Client {number:02}." for number in range(TOP + 5)]))
    places = [text.find(f"Client {number:02}.") for number in reversed(range(TOP + 5))]
    assert places[:TOP] == sorted(places[:TOP])
    assert set(places[TOP:]) == {-1}


@pytest.mark.parametrize(("wall", "steady"), [(None, None), (1000.0, 49.0), (1001.0, 50.0), (9999.0, 50.0)])
def test_the_last_scrape_on_the_steady_clock(wall: float | None, steady: float | None) -> None:
    """One that lies ahead of a clock that was set back counts as one just now."""
    assert _steady_of(wall, Clock(wall=lambda: 1001.0, steady=lambda: 50.0)) == steady
