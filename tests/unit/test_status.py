"""The page for people: what it says, and that whatever comes from outside stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from exporter.model import Count
from exporter.overview import ClientRow, LineRow, OwnerRow, QuotaRow, SourceView
from exporter.recent import Rate
from exporter.web.status import Status, ago, bits, percent, seconds, sold, status_page

NOW = 1_700_000_000.0
HOSTILE = ["<script>alert(1)</script>", "</table><img src=x onerror=alert(1)>", "quo\"te'", "{{ 7 * 7 }}", "x" * 5000]

VIEW = SourceView(
    name="home",
    kind="unifi",
    scope="attached",
    up=True,
    polled=True,
    error="",
    error_at=None,
    last_success=NOW - 12,
    duration=0.4,
    interval=30.0,
    notices=(),
    clients=42,
    span=61.0,
    now=Rate(6_000_000.0, 250_000.0),
    today=Count(48_000_000_000, 2_000_000_000),
    lines=(),
    top_now=(ClientRow("Kitchen laptop", "flat 3", "wireless, Home", 5_000_000.0, 100_000.0, 0.8),),
    top_today=(ClientRow("Phone", "", "wired", 4e9, 1e9, 0.1),),
    owners=(),
    held=0,
    doubts={},
    gaps=0,
    events={},
    rows=None,
    rows_limit=None,
)


class Text(HTMLParser):
    """What a reader sees of a page, and the elements it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] != "style":
            self.parts.append(data)

    def __str__(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.parts))


def shown(*sources: SourceView, **about: object) -> Text:
    return Text(status_page(replace(Status(sources), **about), NOW))


def rows(names: Iterable[str]) -> tuple[ClientRow, ...]:
    return tuple(ClientRow(name, name, name, 1.0, 1.0, 0.5) for name in names)


def test_what_is_said_of_a_source() -> None:
    text = str(shown(VIEW))
    for words in (
        "home unifi ● up",
        "Last success 12 s ago, the last poll took 400 ms. Polled every 30 s.",
        "48.0 Mbit/s down now",
        "44.7 GiB down today",
        "42 clients",
        "Kitchen laptop",
        "80% · flat 3 · wireless, Home",
        "Now is the mean of the last 61 s.",
        "These are all bytes at the air or the port, LAN included.",
    ):
        assert words in text
    assert "landed at once" not in text
    assert "wait for" not in text


def test_a_source_that_is_down_says_why_and_what_to_do() -> None:
    down = replace(VIEW, up=False, error="https://x: the log-in was refused; check username", error_at=NOW - 90)
    text = str(shown(down))
    assert "● down" in text
    assert "https://x: the log-in was refused; check username (90 s ago)" in text


def test_before_the_first_poll_nothing_is_made_up() -> None:
    new = replace(
        VIEW, up=False, polled=False, last_success=None, duration=None, span=0.0, today=None, top_now=(), clients=0
    )
    text = str(shown(new))
    assert "● waiting for its first poll" in text
    assert "Never polled with success." in text
    assert "– down now" in text
    assert "today" not in text


def test_without_any_traffic_it_says_so() -> None:
    text = str(shown(replace(VIEW, top_now=(), top_today=())))
    assert "Nobody moved a byte in the last minute." in text
    assert "Nobody moved a byte since midnight." in text


def test_what_is_held_gapped_or_implausible_is_told() -> None:
    odd = replace(
        VIEW,
        held=3,
        gaps=1,
        doubts={"implausible": 1, "fallen": 2000},
        events={"reset": 4, "wrap": 1},
        rows=9600,
        rows_limit=10_000,
        notices=("rows near the limit",),
    )
    text = str(shown(odd))
    for words in (
        "The router's table has 9,600 rows of 10,000.",
        "Once bytes of several intervals landed at once.",
        "3 series wait for Prometheus to have seen their first value.",
        "1 counter showed more than its link can carry",
        "2,000 counters fell",
        "Since the start: 4 × reset, 1 × wrap.",
        "rows near the limit",
    ):
        assert words in text


def test_a_line_beside_what_is_paid_for() -> None:
    lines = (LineRow("default wan1", True, Rate(6e6, 2.5e5), 0.19, 0.05), LineRow("wan2", False, Rate(), None, None))
    text = str(shown(replace(VIEW, lines=lines)))
    assert "Line default wan1: up, 48.0 Mbit/s down (19% of what is paid for), 2.0 Mbit/s up (5%)." in text
    assert "Line wan2: down, 0 bit/s down, 0 bit/s up." in text


def test_troubles_warnings_and_facts() -> None:
    text = str(
        shown(
            VIEW,
            banner="This is a demo.",
            troubles=("the state is full", ""),
            warnings=("no password",),
            facts=("version 1.2.3",),
        )
    )
    for words in ("This is a demo.", "the state is full", "no password", "version 1.2.3"):
        assert words in text


def test_owners_with_all_their_clients() -> None:
    owners = (OwnerRow("flat 3", 4, 10**9, 10**6), OwnerRow("flat 4", 1, 0, 0))
    text = str(shown(replace(VIEW, owners=owners)))
    assert "flat 34 clients 953.7 MiB 976.6 KiB" in text
    assert "flat 41 client 0 B 0 B" in text


BILL = QuotaRow("Line", "line home default wan1", "2026-11-17 to 2026-12-16", 310 * 10**9, 500 * 10**9, 0.62)


def test_quotas() -> None:
    soon = replace(BILL, projected=1.2, passed="will be used up on 2026-12-02")
    over = replace(BILL, name="Flat 3", ratio=1.04, used=520 * 10**9, projected=3.0, passed="used up")
    page = shown(VIEW, quotas=(BILL, soon, over))
    text = str(page)
    for words in (
        "62% of 500.0 GB line home default wan1 · 2026-11-17 to 2026-12-16 310.0 GB –",
        "62% of 500.0 GB, will be used up on 2026-12-02 ",
        "310.0 GB 600.0 GB",
        "Flat 3104% of 500.0 GB, used up ",
        "520.0 GB 1.5 TB",
    ):
        assert words in text
    assert "count routers alone" not in text
    assert 'width="100%" height="5" fill' in status_page(Status((), quotas=(over,)), NOW)
    assert "and not home, shed: controllers" in str(shown(VIEW, quotas=(BILL,), left_out=("home", "shed")))
    assert "Quotas" not in str(shown(VIEW))


def test_whatever_comes_from_outside_stays_text() -> None:
    hostile = replace(
        VIEW,
        name=HOSTILE[0],
        up=False,
        error=HOSTILE[1],
        notices=tuple(HOSTILE),
        top_now=rows(HOSTILE),
        top_today=rows(HOSTILE),
        lines=(LineRow(HOSTILE[0], True, Rate(), None, None),),
        owners=(OwnerRow(HOSTILE[0], 1, 1, 1),),
    )
    quota = replace(BILL, name=HOSTILE[0], whom=HOSTILE[0])
    page = shown(hostile, facts=(HOSTILE[0],), warnings=(HOSTILE[0],), quotas=(quota,))
    assert not {"script", "img"} & set(page.tags)
    assert str(page).count("<script>alert(1)</script>") > 10
    assert "{{ 7 * 7 }}" in str(page)


def test_half_a_character_does_not_take_the_page_away() -> None:
    assert "? half" in str(shown(replace(VIEW, top_now=rows(["\ud83d half"]))))


def test_nothing_comes_from_elsewhere() -> None:
    assert shown(VIEW).links == ["metrics", "config"]


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0, "0 bit/s"),
        (124.9, "999 bit/s"),
        (125, "1.0 kbit/s"),
        (12_500, "100 kbit/s"),
        (1e6, "8.0 Mbit/s"),
        (1.25e8, "1.0 Gbit/s"),
        (1.25e12, "10000.0 Gbit/s"),
    ],
)
def test_rates(rate: float, words: str) -> None:
    assert bits(rate) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (999_960, "1.0 MB"), (5e11, "500.0 GB"), (1.5e12, "1.5 TB"), (2e15, "2.0 PB")],
)
def test_sizes_as_they_are_sold(size: float, words: str) -> None:
    assert sold(size) == words


@pytest.mark.parametrize(("ratio", "words"), [(0, "0%"), (0.001, "<1%"), (0.5, "50%"), (1, "100%"), (1.2, "120%")])
def test_shares(ratio: float, words: str) -> None:
    assert percent(ratio) == words


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (0.412, "412 ms"),
        (0.9999, "1000 ms"),
        (9.94, "9.9 s"),
        (30, "30 s"),
        (300, "5 min"),
        (9000, "2.5 h"),
        (119.6, "120 s"),
    ],
)
def test_durations(duration: float, words: str) -> None:
    assert seconds(duration) == words


@pytest.mark.parametrize(
    ("duration", "words"), [(-5, "just now"), (0.5, "just now"), (12.7, "12 s ago"), (1_000_000, "12 days ago")]
)
def test_how_long_ago(duration: float, words: str) -> None:
    assert ago(duration) == words
