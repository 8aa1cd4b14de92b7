"""A meter that goes on showing clients that left (nlbwmon): only bytes that move tell who is there."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from exporter.committer import Committer, Success
from exporter.exposition import Exposition
from exporter.model import Client, Count, CounterKey, Poll, Reading, SubjectKey
from exporter.series import Scrapes
from tests.scripted import ManualClock, facts
from tests.watched import MemoryState

PHONE, LAPTOP = "02:00:00:00:00:01", "02:00:00:00:00:02"
TTL, INTERVAL = 600.0, 30.0
HOSTILE = '"} 1\nup 0|\\'


class Router:
    """Polls of one router through a committer, with nobody scraping."""

    def __init__(self) -> None:
        self.time = ManualClock()
        self.exposition = Exposition()
        self.committer = Committer(
            MemoryState(),
            [facts(interval=INTERVAL)],
            exposition=self.exposition,
            scrapes=Scrapes(0.0),
            client_ttl=TTL,
            people={},
            clock=self.time.clock,
        )

    def poll(self, counts: Mapping[tuple[str, str], int], **facts_of_poll: object) -> str:
        """The page after a poll whose rows, by client and protocol, stand at these downloads."""
        self.time.pass_(INTERVAL)
        readings = [
            Reading(
                CounterKey("client", "", f"4|{protocol}|{client}"),
                (
                    SubjectKey("client", "", client),
                    SubjectKey("site", "", ""),
                    SubjectKey("protocol", "", f"ipv4|{protocol}"),
                    SubjectKey("client_protocol", "", f"{client}|{protocol}"),
                ),
                Count(count, 0),
            )
            for (client, protocol), count in counts.items()
        ]
        clients = [Client("", client, client) for client in dict.fromkeys(client for client, _ in counts)]
        poll = Poll(identity="router", readings=tuple(readings), clients=tuple(clients), lasting=True)
        poll = replace(poll, **facts_of_poll)
        self.committer.work({"home": Success(poll, self.time.wall_at, self.time.steady_at, 0.1)})
        page = self.exposition.page()
        assert page is not None
        return page.text().decode()


def test_a_client_whose_row_stays_leaves_once_its_bytes_stand_still() -> None:
    router = Router()
    counts = {(PHONE, "https"): 100, (LAPTOP, "https"): 100}
    page = router.poll(counts)
    assert PHONE in page
    for _ in range(int(TTL / INTERVAL) + 1):
        counts[LAPTOP, "https"] += 10
        page = router.poll(counts)
    assert PHONE not in page
    assert LAPTOP in page
    assert PHONE not in router.poll(counts)


def test_it_comes_back_with_its_bytes_and_its_total_goes_on() -> None:
    router = Router()
    for _ in range(int(TTL / INTERVAL) + 2):
        router.poll({(PHONE, "https"): 100})
    page = router.poll({(PHONE, "https"): 107})
    assert f'bandwidth_client_download_bytes_total{{source="home",site="",client="{PHONE}"}} 7\n' in page
    assert (
        f'bandwidth_client_protocol_download_bytes_total{{source="home",client="{PHONE}",protocol="https"}} 7' in page
    )


def test_the_sums_of_the_site_and_of_a_protocol_never_leave() -> None:
    router = Router()
    page = ""
    for _ in range(int(TTL / INTERVAL) + 2):
        page = router.poll({(PHONE, "https"): 100})
    assert 'bandwidth_source_download_bytes_total{source="home",site=""} 0\n' in page
    assert 'bandwidth_protocol_download_bytes_total{source="home",family="ipv4",protocol="https"} 0\n' in page


def test_last_seen_is_when_bytes_last_moved() -> None:
    router = Router()
    family = "bandwidth_client_last_seen_timestamp_seconds"
    assert family not in router.poll({(PHONE, "https"): 100})
    router.poll({(PHONE, "https"): 101})
    moved = router.time.wall_at
    page = router.poll({(PHONE, "https"): 101})
    assert f'{family}{{source="home",site="",client="{PHONE}"}} {moved!r}\n' in page


def test_a_hostile_name_of_a_protocol_stays_in_its_quotes() -> None:
    page = Router().poll({(PHONE, HOSTILE): 100})
    assert 'family="ipv4",protocol="\\"} 1\\nup 0|\\\\"} 0\n' in page
    assert "\nup 0" not in page


def test_rows_and_their_limit_are_on_the_page() -> None:
    page = Router().poll({(PHONE, "https"): 1}, rows=3, rows_limit=10)
    assert 'bandwidth_nlbwmon_rows{source="home"} 3\n' in page
    assert 'bandwidth_nlbwmon_rows_limit{source="home"} 10\n' in page


def test_a_notice_is_logged_once_for_as_long_as_it_stands(caplog: pytest.LogCaptureFixture) -> None:
    router = Router()
    for notices in (("rows are near the limit",), ("rows are near the limit",), (), ("rows are near the limit",)):
        router.poll({(PHONE, "https"): 1}, notices=notices)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "home: rows are near the limit"
    ] * 2
