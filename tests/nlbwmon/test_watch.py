"""What is not well although the router answers: the silent zeros, full tables, wrong clocks; and whose bytes count."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exporter.model import Collection, Count, SubjectKey
from exporter.sources.nlbwmon import trouble
from exporter.sources.nlbwmon.exchange import Answer
from exporter.sources.nlbwmon.network import Interface, Network
from exporter.sources.nlbwmon.payload import json_rows
from exporter.sources.nlbwmon.readings import Readings
from exporter.sources.nlbwmon.watch import PATIENCE
from tests.nlbwmon.recorded import JSON
from tests.nlbwmon.router import ONE, TWO, Exporter, Router, row

CLIENTS = Collection("client", "")
HOSTILE = ['"} 1\nup 0', "a|b", " ", "é" * 500, "\x00", "Microsoft RDP"]


def carried(size: int) -> Network:
    return Network((Interface("wan", up=True, device="eth1", v4=True),), {"eth1": Count(size, 0)})


def watched(router: Router, polls: int = PATIENCE + 1, *, step: int = 0) -> Exporter:
    exporter = Exporter(router)
    for number in range(polls):
        router.network = carried(1_000 + number * step)
        exporter.poll()
    return exporter


def test_no_rows_are_no_sign_that_everybody_left() -> None:
    """Recorded (edge-noevents): `"data":[]` and status 0, before which there were rows."""
    router = Router("2026-11-20T12:00").shows(row(ONE, 1_000, 0))
    exporter = watched(router)
    whole = exporter.took.complete[CLIENTS]
    router.shows()
    exporter.poll()
    assert exporter.took.complete[CLIENTS] != whole
    assert exporter.memory.counters
    assert not exporter.notices
    for _ in range(PATIENCE):
        exporter.poll()
    assert exporter.notices[0].startswith("no conntrack events")
    router.shows(row(ONE, 1_500, 0))
    exporter.poll()
    assert exporter.total() == (500, 0)
    assert not exporter.notices


def test_a_router_that_never_had_rows_is_read_to_the_end() -> None:
    exporter = Exporter(Router("2026-11-20T12:00"))
    exporter.poll()
    assert exporter.took.complete


def test_rows_without_bytes() -> None:
    """Recorded (§1.6): rows with connections and 0 bytes where accounting is off."""
    exporter = watched(Router("2026-11-20T12:00").shows(row(ONE, 0, 0)))
    assert "nf_conntrack_acct" in exporter.notices[0]


@pytest.mark.parametrize(("step", "expected"), [(1_000_000, True), (10, False), (0, False)])
def test_case14_values_that_stand_still_beside_a_busy_line(step: int, expected: bool) -> None:
    exporter = watched(Router("2026-11-20T12:00").shows(row(ONE, 1_000, 0)), step=step)
    assert any("stand still" in notice for notice in exporter.notices) is expected


def test_case06_rows_near_the_limit() -> None:
    router = Router("2026-11-20T12:00").shows(*(row(ONE, 1, 1, port=port) for port in range(9)))
    for limit, expected in ((10, True), (11, False), (None, False)):
        router.limit = limit
        exporter = watched(router, 1)
        assert any("rows near the limit: 9 of 10" in notice for notice in exporter.notices) is expected
        assert (exporter.took.rows, exporter.took.rows_limit) == (9, limit)


def test_case10_a_daemon_that_does_not_stay() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1_000, 0))
    exporter = watched(router, 1)
    for _ in range(4):
        router.at += 30
        router.restarts()
        exporter.poll()
    assert any("again and again" in notice for notice in exporter.notices)


def test_cases_10_and_11_a_daemon_that_ends_at_every_start() -> None:
    """Recorded (edge-corrupt H, edge-limit L): `Numerical result out of range`, and 247 from then on."""
    error = trouble.of_status(247, "ssh://root@router:22")
    assert error.reason == "unreachable"
    assert "nlbwmon is not running, or this user may not read its socket" in str(error)
    assert "database_directory" in error.remedy
    assert "database_limit" in error.remedy


def test_case08_a_closed_period_that_changes_later_is_not_applied_again() -> None:
    """Recorded (edge-clock, E2): January's file is overwritten with February's rows."""
    router = Router("2027-01-31T23:59").shows(row(ONE, 1_000_000, 0))
    exporter = Exporter(router)
    exporter.settle()
    router.at_time("2027-02-01T00:00:10").writes("20270101", row(ONE, 1_002_982, 0)).shows(row(ONE, 0, 0))
    exporter.poll()
    assert exporter.total() == (2_982, 0)
    right = router.at + 600
    router.at_time("2027-01-25T12:00").writes("20270101", row(ONE, 5_000_000, 0)).shows(row(ONE, 40, 0))
    exporter.poll(ahead=right - router.at)
    assert "minutes behind ours" in exporter.notices[0]
    router.at = right + 60
    router.shows(row(ONE, 50, 0))
    exporter.poll()
    assert exporter.total() == (2_982 + 50, 0)


def test_case15_a_restored_database_counts_from_its_copy() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 5_000, 0))
    exporter = Exporter(router)
    exporter.settle()
    router.at += 60
    router.writes("20261101", row(ONE, 3_000, 0)).restarts(cleared=True).shows(row(ONE, 3_040, 0))
    exporter.poll()
    assert exporter.total() == (40, 0)


def test_case16_a_flow_without_a_row_is_not_counted() -> None:
    """Recorded (edge-restart): ssh rows 0 while a flow that is older than the daemon goes on."""
    router = Router("2026-11-20T12:00").shows(row(ONE, 1_003_604, 143_678))
    exporter = watched(router, 3)
    assert exporter.total() == (0, 0)


def test_case17_an_address_that_moves_to_another_mac() -> None:
    """Recorded (edge-misc, G): 300,684 stands at the unknown MAC, then a new flow has 70,476 at the known one."""
    nobody = "00:00:00:00:00:00"
    router = Router("2026-11-20T12:00").shows(row(nobody, 100_424, 544, ip="10.8.0.2"))
    exporter = Exporter(router)
    exporter.poll()
    router.shows(row(nobody, 300_684, 1_044, ip="10.8.0.2"))
    exporter.poll()
    router.shows(row(nobody, 300_684, 1_044, ip="10.8.0.2"), row(TWO, 70_476, 482, ip="10.8.0.2"))
    exporter.poll()
    assert exporter.total("10.8.0.2") == (200_260, 500)
    assert exporter.total(TWO) == (70_476, 482)


def test_cases_18_and_19_what_the_daemon_never_saw_is_missing() -> None:
    """Overrun and offload: the line carried it, no row did. That the rows stand still is said."""
    exporter = watched(Router("2026-11-20T12:00").shows(row(ONE, 1_000, 0)), step=50_000_000)
    assert exporter.total() == (0, 0)
    assert any("offloaded" in notice for notice in exporter.notices)


def test_the_routers_wrong_clock_is_said() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1_000, 0))
    exporter = Exporter(router)
    exporter.poll(ahead=-3_600)
    assert exporter.notices == (
        "the router's clock is 60 minutes ahead of ours: clients' bytes count again once it is right;"
        " check NTP on both",
    )
    assert not exporter.took.clients


def subjects(readings: Readings, router: Router) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for reading in readings.poll(router.answer(), router.at).readings:
        for subject in reading.subjects:
            found.setdefault(subject.kind, set()).add(subject.key)
    return found


def test_protocols() -> None:
    router = Router("2026-11-20T12:00").shows(*json_rows(JSON).rows)
    found = subjects(Readings("SHA256:key"), router)
    assert found["protocol"] == {
        *("ipv4|https", "ipv4|http", "ipv4|other", "ipv4|ssh", "ipv4|quic", "ipv4|dns", "ipv4|icmp"),
        *("ipv6|https", "ipv6|http", "ipv6|ipv6-icmp"),
    }
    assert "client_protocol" not in found
    found = subjects(Readings("SHA256:key", protocols=True), router)
    assert {key for key in found["client_protocol"] if key.startswith("10.8.0.3|")} == {
        "10.8.0.3|https",
        "10.8.0.3|ssh",
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_protocols(name: str) -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1, 1)._replace(layer7=name))
    (key,) = subjects(Readings("SHA256:key"), router)["protocol"]
    assert key.startswith("ipv4|")
    assert len(key) <= len("ipv4|") + 64
    assert key.removeprefix("ipv4|")


def test_a_protocol_that_is_renamed_moves_from_then_on() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1_000, 0))
    exporter = Exporter(router)
    exporter.poll()
    router.shows(row(ONE, 1_100, 0))
    exporter.poll()
    router.shows(row(ONE, 1_150, 0)._replace(layer7="Web"))
    exporter.poll()
    totals = {key.key: count.download for key, count in exporter.memory.totals.items() if key.kind == "protocol"}
    assert totals == {"ipv4|https": 100, "ipv4|web": 50}


def test_who_is_excluded_is_no_client() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1, 1), row(TWO, 2, 2, ip="192.168.1.102"))
    poll = Readings("SHA256:key", exclude=frozenset({TWO})).poll(router.answer(), router.at)
    assert [client.client for client in poll.clients] == [ONE]
    assert {reading.counter.client for reading in poll.readings} == {ONE}
    assert poll.rows == 2


def test_gone_rows_keep_their_protocol() -> None:
    exporter = Exporter(Router("2026-11-30T23:59:50").shows(row(ONE, 1_000, 0)))
    exporter.settle()
    exporter.router.at_time("2026-12-01T00:00:10").writes("20261101", row(ONE, 1_300, 0)).shows()
    exporter.poll()
    assert exporter.memory.totals[SubjectKey("protocol", "", "ipv4|https")].download == 300


def test_an_answer_that_proves_nothing_has_no_lines_to_tell() -> None:
    poll = Readings("SHA256:key").unproved(Answer(rows=(row(ONE, 1, 1),)), 0.0, lambda *_: None, ("why",))
    assert poll.notices == ("why",)
    assert not poll.gear
    assert replace(poll, notices=()).lasting
