"""Devices, lines and ports beside clients, over real HTTPS."""

from __future__ import annotations

import logging

import pytest

from exporter.demo.controller import DemoController
from exporter.demo.faults import Fault
from exporter.demo.gear import GATEWAY, SWITCH
from exporter.model import Collection, Device, Poll
from exporter.sources.unifi import REFUSED_FOR
from exporter.sources.unifi.settings import COLLECTIONS
from tests.consoles import Connect, failure, paths

ALL = frozenset(COLLECTIONS)
GEAR = frozenset({"devices", "wans", "ports"})
KINDS = {"client", "device", "wan", "port"}


def kinds(poll: Poll) -> set[str]:
    return {reading.counter.kind for reading in poll.readings}


def asked(console: DemoController) -> list[str]:
    """What was asked of the sites, in order."""
    return [path.partition("/api/s/")[2] for path in paths(console) if "/stat/" in path]


def test_everything_comes_home_by_default(console: DemoController, connect: Connect) -> None:
    poll = connect(collect=ALL).poll()
    assert kinds(poll) == KINDS
    assert {fact.subject.kind for fact in poll.gear} == {"device", "wan", "port", "ssid"}
    assert poll.complete == {Collection(kind, site): "" for kind in KINDS for site in ("default", "attic")}
    assert poll.bad_records == {}
    assert asked(console) == [
        "default/stat/sysinfo",
        "default/stat/sta",
        "attic/stat/sta",
        "default/stat/device",
        "attic/stat/device",
    ]


def test_the_demos_devices(connect: Connect) -> None:
    poll = connect(collect=ALL, sites=("default",)).poll()
    told = {fact.device: fact.kind for fact in poll.gear if isinstance(fact, Device)}
    assert told == {GATEWAY: "gateway", SWITCH: "switch", "02:00:5e:00:01:01": "ap", "02:00:5e:00:01:02": "ap"}


def test_only_what_is_collected_is_asked_for(console: DemoController, connect: Connect) -> None:
    connect(collect=frozenset({"clients", "ssids"}), sites=("default",)).poll()
    assert asked(console) == ["default/stat/sysinfo", "default/stat/sta"]
    console.requests.clear()
    poll = connect(collect=frozenset({"wans"}), sites=("default",)).poll()
    assert asked(console) == ["default/stat/sysinfo", "default/stat/device"]
    assert (kinds(poll), poll.clients) == ({"wan"}, ())
    assert set(poll.complete) == {Collection("wan", "default")}


@pytest.mark.parametrize("fault", ["forbidden", "404", "502", "html", "text", "truncate"])
def test_equipment_that_cannot_be_read_costs_no_client(console: DemoController, connect: Connect, fault: Fault) -> None:
    source = connect(collect=ALL)
    console.fault, console.fault_path = fault, "/stat/device"
    poll = source.poll()
    assert kinds(poll) == {"client"}
    assert set(poll.complete) == {Collection("client", site) for site in ("default", "attic")}
    assert poll.bad_records == {"gear_failed": 2}
    console.fault = ""
    assert kinds(source.poll()) == KINDS


def test_equipment_that_no_login_opens_costs_no_logins(console: DemoController, connect: Connect) -> None:
    console.fault, console.fault_path = "unauthorized", "/stat/device"
    source = connect(collect=ALL)
    for _ in range(REFUSED_FOR):
        assert kinds(poll := source.poll()) == {"client"}
        assert poll.bad_records == {"gear_failed": 2}
    assert console.logins == 3  # the first, one more try, and the one that the next poll needs
    console.fault = ""
    assert kinds(source.poll()) == KINDS


def test_the_equipment_of_one_site_costs_only_itself(
    console: DemoController, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    console.fault, console.fault_path = "forbidden", "/default/stat/device"
    source = connect(collect=ALL)
    with caplog.at_level(logging.WARNING):
        polls = [source.poll() for _ in range(2)]
    for poll in polls:
        assert {key.site for key in poll.complete if key.kind == "device"} == {"attic"}
        assert poll.bad_records == {"gear_failed": 1}
    (message,) = caplog.messages
    assert message.startswith("the equipment of site 'default' was not read: https://")


def test_a_site_without_clients_still_has_its_equipment(console: DemoController, connect: Connect) -> None:
    console.fault, console.fault_path = "forbidden", "/default/stat/sta"
    poll = connect(collect=ALL).poll()
    assert {key.site for key in poll.complete if key.kind == "client"} == {"attic"}
    assert {key.site for key in poll.complete if key.kind == "device"} == {"default", "attic"}
    assert poll.bad_records == {"site_failed": 1}


def test_where_no_clients_can_be_read_the_poll_fails(console: DemoController, connect: Connect) -> None:
    console.fault, console.fault_path = "forbidden", "/stat/sta"
    assert failure(connect(collect=ALL)).reason == "forbidden"
    assert "default/stat/device" not in asked(console)


def test_where_nothing_else_is_collected_equipment_that_fails_fails_the_poll(
    console: DemoController, connect: Connect
) -> None:
    console.fault, console.fault_path = "forbidden", "/stat/device"
    assert failure(connect(collect=GEAR)).reason == "forbidden"
