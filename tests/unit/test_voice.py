"""What the log says of a source: each change of its state once."""

from __future__ import annotations

import io
import json
import logging

import pytest
from msgspec.structs import replace

from exporter.committer import Failure
from exporter.logs import JsonFormatter
from exporter.model import Client, Poll
from exporter.poller import Poller
from exporter.sources import SourceError
from exporter.voice import DOUBTS, human_bytes, human_duration
from tests.e2e.stack import eventually
from tests.scripted import SITE, poll, reading
from tests.unit.test_committer import MAC, NONSENSE, OTHER, Bench, one
from tests.watched import MemoryState


@pytest.fixture
def bench(caplog: pytest.LogCaptureFixture) -> Bench:
    caplog.set_level(logging.INFO, "exporter")
    return Bench(MemoryState())


def said(caplog: pytest.LogCaptureFixture, *levels: str) -> list[str]:
    """What was said at these levels since the last look."""
    records = [record.getMessage() for record in caplog.records if record.levelname in levels]
    caplog.clear()
    return records


def failure(reason: str, message: str) -> Failure:
    return Failure(reason, message, 0.0, 5.0)


def test_an_outage_is_said_once_for_each_reason_and_its_end_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.poll(one(1000))
    assert said(caplog, "INFO") == ["home: 1 client at the first poll; what moves from here on is counted"]
    for number in range(10):
        bench.poll(failure("timeout", f"no answer within {number} s; check that it is up"))
        bench.poll(failure("unreachable", "no connection"))
    assert said(caplog, "WARNING") == ["home: no answer within 0 s; check that it is up", "home: no connection"]
    bench.poll(one(1500))
    again, polled = said(caplog, "INFO")
    assert again == "home: answers again after 10 min 5 s"
    assert polled == "home: 1 client, +500 B down, +0 B up in 630 s"
    bench.poll(failure("timeout", "no answer"))
    assert said(caplog, "WARNING") == ["home: no answer"]


def test_a_source_that_never_answered_yet_says_so_when_it_does(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.poll(failure("login", "wrong password"))
    bench.poll(one(1000))
    assert "home: answers again after 35 s" in said(caplog, "INFO")


def test_a_fault_of_ours_is_not_said_twice(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.poll(replace(one(1000), readings=(replace(reading(MAC, 1, 1), count=NONSENSE),)))
    [words] = said(caplog, "WARNING", "ERROR", "CRITICAL")
    assert words == "home: a fault in the exporter itself; please report it"
    assert "AttributeError at" in bench.committer.runtimes["home"].health.last_error
    bench.poll(one(1000))
    assert "home: answers again after 30 s" in said(caplog, "INFO")


def test_doubts_are_said_when_a_source_first_has_them(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for download in (1000, 10**15, 10**15, 2 * 10**15, 2 * 10**15):
        bench.poll(one(download))
    assert said(caplog, "WARNING") == [f"home: {DOUBTS['implausible'][1]}"]
    for download in (100, 100, 50, 40):
        bench.poll(one(2 * 10**15 + download))
    for download in (500, 400, 300, 200):
        bench.poll(one(download, OTHER))
    assert said(caplog, "INFO").count(f"home: {DOUBTS['fallen'][1]}") == 1


def test_notices_are_said_when_they_come_and_when_they_go(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    full, slow = "the table is nearly full; raise its limit", "the clock is off"
    for notices in ((), (full,), (full, slow), (slow,), (slow,), ()):
        bench.poll(replace(one(1000), notices=notices))
    assert said(caplog, "WARNING") == [f"home: {full}", f"home: {slow}"]


def test_the_end_of_a_notice(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for notices in (("the clock is off",), (), ()):
        bench.poll(replace(one(1000), notices=notices))
    assert [line for line in said(caplog, "INFO") if " client" not in line] == ["home: no longer so: the clock is off"]


def test_no_line_has_a_mac_or_a_name(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(SITE, MAC, MAC, name="Ada's phone", connected=True)
    for download in (1000, 10**15, 500, 600):
        bench.poll(poll([reading(MAC, download, 0)], clients=[client]))
    bench.poll(failure("timeout", "no answer"))
    lines = said(caplog, "INFO", "WARNING", "ERROR")
    assert len(lines) > 4
    assert not [line for line in lines if MAC in line or "Ada" in line]


class Chatty:
    """A source that has something to say about itself while it is polled."""

    def poll(self) -> Poll:
        logging.getLogger("exporter.sources.chatty").warning("a site was not read")
        raise SourceError("timeout", "no answer")

    def close(self) -> None:
        """There is nothing to close."""


def test_every_line_about_a_source_says_which_in_json() -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("exporter")
    logger.addHandler(handler)
    try:
        bench = Bench(MemoryState(), "home", "attic")
        bench.committer.start()
        poller = Poller("attic", Chatty(), bench.committer.submit, interval=3600.0, clock=bench.time.clock)
        poller.start()
        eventually("the poll is worked off", lambda: "attic" in bench.committer.worked, within=10)
        poller.stop()
        assert poller.join(5)
        bench.committer.submit("home", failure("login", "wrong password"))
        assert bench.committer.stop(5)
    finally:
        logger.removeHandler(handler)
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["source"], line["message"]) for line in said] == [
        ("attic", "a site was not read"),
        ("attic", "attic: no answer"),
        ("home", "home: wrong password"),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (150, "2 min 30 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_400 * 3 + 7200, "3 d 2 h"),
    ],
)
def test_durations_as_a_person_says_them(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words


def test_bytes_as_a_person_says_them() -> None:
    assert [human_bytes(count) for count in (0, 1023, 1536, 1.3 * 2**30, 2**50)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "1.3 GiB",
        "1.0 PiB",
    ]
