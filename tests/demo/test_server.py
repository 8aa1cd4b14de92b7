"""The simulated router over real SSH, polled by the real source."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from exporter.demo.openwrt.life import HOSTILE
from exporter.demo.openwrt.router import BOOT, LINE, START, Router
from exporter.demo.openwrt.rows import NO_MAC, Key
from exporter.demo.openwrt.server import DemoRouter, Fault
from exporter.model import SubjectKey, Wan
from exporter.sources import SourceError
from exporter.sources.nlbwmon import NlbwmonSource
from tests.demo import counting
from tests.demo.counting import Counting, counted

ONE = "02:00:5e:00:00:01"
WEB = Key(4, "TCP", 443, ONE, "192.168.1.101")
WEB6 = WEB._replace(family=6, ip="fd00:1::101")
DEADLINE = 1.0  # seconds of a poll that has to fail
ENOUGH = 10.0  # seconds in which it has to have failed on the slowest machine


@pytest.fixture
def router() -> Router:
    return Router(start=counting.START, flash=True)


@pytest.fixture
def watched(router: Router) -> Iterator[Counting]:
    with counted(router) as made:
        yield made


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + ENOUGH
    while set(threading.enumerate()) - before and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert set(threading.enumerate()) == before


def test_bytes_of_both_families_and_of_the_line(watched: Counting, router: Router) -> None:
    router.move(WEB, 1_000, 10)
    router.move(WEB6, 500, 5)
    watched.settle()
    assert watched.sums(ONE).total == (1_500, 15)
    assert watched.sums("wan").total == (1_500, 15)


def test_one_connection_serves_all_polls(watched: Counting) -> None:
    watched.settle()
    assert watched.demo.connections == 1
    assert len(watched.demo.commands) >= 4


def test_names_also_hostile_ones(watched: Counting, router: Router) -> None:
    router.leases[ONE, WEB.ip] = HOSTILE
    router.hosts["10.8.0.2"] = "work-vpn"
    router.move(WEB, 1, 0)
    router.move(Key(4, "TCP", 443, NO_MAC, "10.8.0.2"), 1, 0)
    watched.wait(60)
    poll = watched.poll()
    assert poll is not None
    assert {(client.client, client.name) for client in poll.clients} == {(ONE, '"}'), ("10.8.0.2", "work-vpn")}


def test_a_line_that_dials_anew(watched: Counting, router: Router) -> None:
    router.move(WEB, 5_000, 50)
    watched.settle()
    index = router.interfaces[LINE].index
    router.reconnect()
    assert LINE not in router.interfaces
    watched.settle()
    assert router.interfaces[LINE].index > index
    router.move(WEB, 300, 3)
    watched.settle()
    assert watched.sums("wan").total == (5_300, 53)


def test_a_line_that_is_down_says_so(watched: Counting, router: Router) -> None:
    router.reconnect()
    poll = watched.poll()
    assert poll is not None
    assert [(wan.wan, wan.up) for wan in poll.gear if isinstance(wan, Wan)] == [("wan", False)]


def test_counters_of_32_bits_wrap(router: Router) -> None:
    router.wan_bits = 32
    router.boot(router.booted)
    with counted(router) as made:
        for _ in range(5):
            router.move(WEB, 2**30 + 7, 11)
            made.wait(60)
            made.poll()
        assert router.interfaces[LINE].shown().down < 2**32 < router.interfaces[LINE].received
        assert made.sums("wan").total == (5 * (2**30 + 7), 55)


def test_hostile_names_of_protocols(watched: Counting, router: Router) -> None:
    router.protocols["TCP", 443] = 'He said "hi"\\ there'
    router.move(WEB, 7, 0)
    watched.settle()
    assert watched.sums(ONE).total == (7, 0)
    assert watched.failures == []


def test_noise_before_the_output_disturbs_nothing(watched: Counting, router: Router) -> None:
    watched.demo.fault = "motd"
    router.move(WEB, 7, 0)
    watched.settle()
    assert watched.sums(ONE).total == (7, 0)


def test_a_password_is_as_good_as_a_key(router: Router) -> None:
    with DemoRouter(router, clock=lambda: router.now) as demo:
        source = NlbwmonSource(demo.settings(by_password=True), wall=lambda: router.now)
        assert source.poll().identity == demo.fingerprint
        source.close()


def test_the_password_is_wrong(router: Router) -> None:
    with DemoRouter(router, clock=lambda: router.now) as demo:
        settings = demo.settings(by_password=True)
        demo.password = "another"
        assert reason_of(NlbwmonSource(settings, wall=lambda: router.now)) == "login"


def test_the_key_is_not_taken(router: Router) -> None:
    with DemoRouter(router, clock=lambda: router.now) as demo:
        demo.authorized = False
        assert reason_of(NlbwmonSource(demo.settings(), wall=lambda: router.now)) == "login"


def test_port_and_key_stay_over_a_restart_of_the_server(router: Router) -> None:
    demo = DemoRouter(router, clock=lambda: router.now)
    with demo:
        source = NlbwmonSource(demo.settings(), wall=lambda: router.now)
        first = demo.port, source.poll().identity
        source.close()
    with demo:
        source = NlbwmonSource(demo.settings(), wall=lambda: router.now)
        assert (demo.port, source.poll().identity) == first
        source.close()


def test_another_host_key_is_refused(router: Router) -> None:
    with DemoRouter(router) as one, DemoRouter(router, clock=lambda: router.now) as other:
        (other.folder / "known_hosts").write_text(
            (one.folder / "known_hosts").read_text().replace(str(one.port), str(other.port))
        )
        assert reason_of(NlbwmonSource(other.settings())) == "host_key"


def test_a_given_host_key_is_kept(router: Router) -> None:
    one = DemoRouter(router)
    assert DemoRouter(router, host_key=one.host_key).fingerprint == one.fingerprint


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("refusing", "unreachable"),
        ("mute", "timeout"),
        ("frozen", "timeout"),
        ("dripping", "timeout"),
        ("flooding", "too_large"),
        ("cut", "unreachable"),
    ],
)
def test_faults_end_within_the_deadline(router: Router, fault: Fault, reason: str) -> None:
    with DemoRouter(router, clock=lambda: router.now) as demo:
        demo.fault = fault
        demo.drip_every = 0.05
        timeout = ENOUGH if fault == "flooding" else DEADLINE
        source = NlbwmonSource(demo.settings(timeout=timeout), wall=lambda: router.now, output_limit=1_000_000)
        began = time.monotonic()
        assert reason_of(source) == reason
        assert time.monotonic() - began < ENOUGH
        demo.fault = ""
        assert source.poll().identity == demo.fingerprint
        source.close()


def test_a_fault_in_the_middle_of_a_connection_costs_its_poll_only(watched: Counting, router: Router) -> None:
    router.move(WEB, 40, 4)
    watched.wait(60)
    watched.demo.fault = "cut"
    assert watched.poll() is None
    watched.demo.fault = ""
    watched.settle()
    assert watched.sums(ONE).total == (40, 4)


def test_without_power_there_is_nobody(watched: Counting, router: Router) -> None:
    router.cut_power()
    assert watched.poll() is None
    assert watched.failures == ["unreachable"]
    watched.wait(BOOT + START)
    assert watched.poll() is not None


def test_without_a_daemon(watched: Counting, router: Router) -> None:
    router.stop()
    assert watched.poll() is None
    assert watched.failures == ["unreachable"]
    router.start()
    assert watched.poll() is not None


def test_what_is_served_ends_while_clients_are_connected(router: Router) -> None:
    demo = DemoRouter(router, clock=lambda: router.now)
    with demo:
        source = NlbwmonSource(demo.settings(), wall=lambda: router.now)
        source.poll()
    assert reason_of(source) == "unreachable"


def test_the_sum_of_all_is_the_sum_of_each(watched: Counting, router: Router) -> None:
    router.move(WEB, 10, 1)
    router.move(Key(4, "TCP", 443, NO_MAC, "10.8.0.2"), 5, 2)
    watched.settle()
    site = watched.memory.totals[SubjectKey("site", "", "")]
    assert (site.download, site.upload) == (15, 3)


def reason_of(source: NlbwmonSource) -> str:
    with pytest.raises(SourceError) as raised:
        source.poll()
    source.close()
    return raised.value.reason
