"""The router's lines: from netifd's words and the kernel's counters to what a line carried, to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import ledger
from exporter.model import Count, Memory, Moment, Poll, SubjectKey, Wan
from exporter.sources.nlbwmon.network import Network, network
from exporter.sources.nlbwmon.readings import Readings
from exporter.sources.nlbwmon.wans import Wans
from tests.nlbwmon.router import ONE, Exporter, Router, row

GIGABIT = 125_000_000.0
V4 = {"target": "0.0.0.0", "mask": 0, "nexthop": "192.0.2.1", "source": "192.0.2.7/32"}
V6 = {"target": "::", "mask": 0, "nexthop": "fe80::1", "source": "2001:db8::/56"}
HEADER = b"""\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
"""
NOWHERE = b"0" * 32 + b" 00 "
ROUTES = (
    b"eth1\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    b"eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    + NOWHERE
    + NOWHERE
    + b"fe800000000000000000000000000001 00000400 00000000 00000000 00000003    wwan0\n"
    + NOWHERE
    + NOWHERE
    + b"00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
)


def interface(name: str, device: str = "", *routes: Any, up: bool = True, parent: str = "", ip: str = "") -> Any:
    """As `ubus call network.interface dump` tells of one."""
    entry = {"interface": name, "up": up, "route": list(routes), "ipv4-address": [], "ipv6-address": []}
    if ip:
        entry["ipv6-address" if ":" in ip else "ipv4-address"] = [{"address": ip, "mask": 24}]
    return entry | ({"l3_device": device} if device else {}) | ({"device": parent} if parent else {})


def net(**devices: tuple[int, int]) -> bytes:
    lines = (
        f"{name:>6}: {rx} {rx // 100} 0 0 0 0 0 0 {tx} {tx // 100} 0 0 0 0 0 0\n" for name, (rx, tx) in devices.items()
    )
    return HEADER + "".join(lines).encode()


def told(interfaces: list[Any], devices: bytes, links: str = "") -> Network:
    return network(json.dumps({"interface": interfaces}).encode(), devices, links.encode(), b"")


class Line:
    """A router's line, its kernel and the ledger that counts it."""

    def __init__(self) -> None:
        self.wans = Wans("SHA256:key")
        self.memory = Memory()
        self.number = 0
        self.boot = "boot-1"
        self.gear: tuple[Wan, ...] = ()
        self.events: set[str] = set()

    def poll(self, found: Network) -> None:
        self.number += 1
        readings, self.gear = self.wans.read(found, self.boot)
        poll = Poll(identity="SHA256:key", readings=readings)
        moment = Moment(self.number, self.number * 30.0, self.number * 30.0)
        changes = ledger.advance(self.memory, poll, moment, interval=30, max_rate=GIGABIT)
        self.events = {reason for _, reason in changes.events}
        self.memory.take(changes, {})

    def shows(self, rx: int, tx: int = 0, *, index: int = 3, device: str = "pppoe-wan") -> None:
        self.poll(told([interface("wan", device, V4)], net(**{device: (rx, tx)}), f"{device} {index} -1\n"))

    def total(self, name: str = "wan") -> tuple[int, int]:
        count = self.memory.totals.get(SubjectKey("wan", "", name), Count())
        return count.download, count.upload


def test_what_netifd_tells() -> None:
    found = told(
        [
            interface("loopback", "lo", ip="127.0.0.1"),
            interface("lan", "br-lan", {"target": "10.0.0.0", "mask": 8}, ip="192.168.1.1"),
            interface("wan6", "pppoe-wan", V6, parent="eth1", ip="2001:db8::7"),
            interface("wan", "pppoe-wan", V4, parent="eth1", ip="192.0.2.7"),
            interface("wwan", "wwan0", V6, ip="2001:db8:1::7"),
            interface("guest", up=False, parent="eth9"),
        ],
        net(**{"pppoe-wan": (1_000, 200), "wwan0": (5, 6), "br-lan": (7, 8)}),
        "eth1 2 1000\npppoe-wan 9 -1\nwwan0 4 0\n",
    )
    readings, gear = Wans("SHA256:key").read(found, "boot-1")
    assert [(reading.counter.key, reading.count) for reading in readings] == [
        ("wan|pppoe-wan", Count(1_000, 200, 10, 2)),
        ("wwan|wwan0", Count(5, 6, 0, 0)),
    ]
    assert gear == (
        Wan("", "wan", interface="pppoe-wan", ip="192.0.2.7", up=True, link_speed=GIGABIT),
        Wan("", "wwan", interface="wwan0", ip="2001:db8:1::7", up=True),
    )
    assert readings[0].life is not None
    assert readings[0].life.mark == "SHA256:key|boot-1|pppoe-wan|9"
    assert (readings[0].speed, readings[1].speed, readings[0].wraps) == (GIGABIT, None, True)


def test_a_line_that_is_down_stays_as_long_as_netifd_shows_it() -> None:
    line = Line()
    line.shows(100)
    line.poll(told([interface("wan", up=False, parent="eth1")], net(), "eth1 2 1000\n"))
    assert line.gear == (Wan("", "wan", interface="eth1", up=False, link_speed=GIGABIT),)
    line.poll(told([], net()))
    assert not line.gear


def test_a_line_keeps_its_name_while_ipv4_is_gone() -> None:
    wans = Wans("SHA256:key")
    both = [interface("wan", "eth1", V4), interface("wan6", "eth1", V6)]
    only = [interface("wan", up=False, parent="eth1"), interface("wan6", "eth1", V6)]
    bare = [interface("wan", "eth1"), interface("wan6", "eth1", V6)]
    for shown in (both, bare):
        readings, _ = wans.read(told(shown, net(eth1=(1, 1))), "boot-1")
        assert [reading.counter.key for reading in readings] == ["wan|eth1"]
    readings, _ = wans.read(told(only, net(eth1=(1, 1))), "boot-1")
    assert [reading.counter.key for reading in readings] == ["wan6|eth1"]


def test_without_netifd_the_routing_table_tells() -> None:
    found = network(b"", net(eth1=(10, 1), wwan0=(20, 2), lo=(5, 5)), b"eth1 2 100\n", ROUTES)
    readings, gear = Wans("SHA256:key").read(found, "boot-1")
    assert {reading.counter.key for reading in readings} == {"eth1|eth1", "wwan0|wwan0"}
    assert [(line.wan, line.up, line.link_speed) for line in gear] == [
        ("eth1", True, 12_500_000.0),
        ("wwan0", True, None),
    ]


def test_a_first_sight_is_a_baseline() -> None:
    line = Line()
    line.shows(5_000, 400)
    assert line.total() == (0, 0)
    assert line.events == {"baseline"}
    line.shows(5_300, 450)
    assert line.total() == (300, 50)


def test_a_new_connection_of_pppoe_counts_from_zero() -> None:
    line = Line()
    line.shows(5_000)
    line.shows(6_000)
    line.shows(70, 5, index=4)
    assert line.total() == (1_070, 5)
    assert line.events == {"reset"}


def test_a_new_connection_that_overtook_within_a_boot_counts_what_is_above() -> None:
    line = Line()
    line.shows(5_000)
    line.shows(6_000, 0, index=4)
    assert line.total() == (1_000, 0)


def test_a_device_that_came_back_from_another_namespace_goes_on() -> None:
    line = Line()
    line.shows(5_000_000, index=3)
    line.shows(5_000_100, index=17)
    assert line.total() == (100, 0)


def test_a_reboot_counts_whole_even_where_it_overtook() -> None:
    line = Line()
    line.shows(5_000)
    line.boot = "boot-2"
    line.shows(9_000, 10)
    assert line.total() == (9_000, 10)
    line.shows(9_500, 10, index=8)
    assert line.total() == (9_500, 10)


def test_a_driver_that_clears_its_counters_costs_no_more_than_it_forgot() -> None:
    line = Line()
    line.shows(5_000)
    line.shows(100)
    assert line.total() == (0, 0)
    assert line.events == {"dip"}
    line.shows(5_200)
    assert line.total() == (200, 0)


def test_a_counter_of_32_bits_wraps() -> None:
    line = Line()
    line.poll(told([interface("wan", "eth1", V4)], wrapping(2**32 - 1_000, 50_000_000), "eth1 2 1000\n"))
    line.poll(told([interface("wan", "eth1", V4)], wrapping(500, 50_000_010), "eth1 2 1000\n"))
    assert line.total() == (1_500, 0)
    assert line.events == {"wrap"}


def wrapping(rx: int, packets: int) -> bytes:
    return HEADER + f"  eth1: {rx} {packets} 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n".encode()


def test_another_device_for_the_same_line_is_a_baseline() -> None:
    line = Line()
    line.shows(5_000)
    line.shows(9_000, device="wwan0")
    assert line.total() == (0, 0)
    line.shows(9_100, device="wwan0")
    assert line.total() == (100, 0)


def test_without_a_boot_id_a_fall_counts_nothing() -> None:
    line = Line()
    line.boot = ""
    line.shows(5_000)
    line.shows(5_100)
    for value in (10, 20, 30):
        line.shows(value)
    assert line.total() == (100 + 10, 0)


def test_while_the_routers_clock_is_wrong_its_lines_count() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1_000, 0))
    exporter = Exporter(router)
    for value, ahead in ((100, 0), (150, 86_400), (20, 86_400), (30, 0)):
        index = 3 if value > 50 else 4
        router.network = told([interface("wan", "eth1", V4)], net(eth1=(value, 0)), f"eth1 {index} 1000\n")
        router.shows(row(ONE, 1_000 + value, 0))
        exporter.poll(ahead=ahead)
    assert exporter.memory.totals[SubjectKey("wan", "", "wan")].download == 50 + 20 + 10


STEPS = st.sampled_from(["move", "move much", "poll", "reconnect", "reboot", "to another namespace", "restart"])


@settings(max_examples=150)
@given(st.lists(STEPS, max_size=40))
def test_never_over(steps: list[str]) -> None:
    line, raw, index, moved = Line(), 5_000, 3, 0
    line.shows(raw)
    for step in steps:
        amount = {"move": 10, "move much": 20_000}.get(step, 0)
        raw, moved = raw + amount, moved + amount
        if step == "reconnect":
            raw, index = 0, index + 1
        elif step == "reboot":
            raw, index, line.boot = 0, 3, line.boot + "'"
        elif step == "to another namespace":
            index += 1
        elif step == "restart":
            line.wans = Wans("SHA256:key")
        elif step == "poll":
            line.shows(raw, index=index)
        assert line.total()[0] <= moved


HOSTILE = (
    b'{"interface":[{"interface":"wan\\" 1\\nup 0","up":true,"l3_device":"eth1","route":[{"target":"::","mask":0}]},'
    b'{"interface":"a|b","l3_device":"eth1"},{"interface":"x","l3_device":"../../etc","up":1,"route":7},5,null]}'
)


def test_hostile_names_are_passed_over() -> None:
    found = network(
        HOSTILE, net(eth1=(1, 1)) + b"../x: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n", b"../x 1 1\neth1 2 x\n", b""
    )
    assert [(each.name, each.device) for each in found.interfaces or ()] == [("x", "")]
    assert set(found.counts) == {"eth1"}
    assert not found.links


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{}", b'{"interface":{}}', b"\xff", b"[" * 100_000])
def test_what_netifd_did_not_tell_is_not_known(text: bytes) -> None:
    assert network(text, b"", b"", b"") == Network(())


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
ENTRIES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("interface", "up", "l3_device", "device", "route", "ipv4-address"), JSON_VALUES)
)


@given(
    st.binary() | st.lists(ENTRIES, max_size=4).map(lambda listed: json.dumps({"interface": listed}).encode()),
    st.binary() | st.just(net(eth1=(2**63, 1))),
    st.binary(),
    st.binary(),
    st.text(max_size=5),
)
def test_whatever_comes_nothing_is_raised(dump: bytes, devices: bytes, links: bytes, routes: bytes, boot: str) -> None:
    Wans("SHA256:key").read(network(dump, devices, links, routes), boot)


def test_lines_and_clients_in_one_poll() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1_000, 0))
    router.network = told([interface("wan", "eth1", V4)], net(eth1=(7, 8)), "eth1 2 1000\n")
    poll = Readings("SHA256:key").poll(router.answer(), router.at)
    assert {reading.counter.kind for reading in poll.readings} == {"client", "wan"}
    assert {collection.kind for collection in poll.complete} == {"client"}
    assert [piece.subject for piece in poll.gear] == [SubjectKey("wan", "", "wan")]
