"""Wireless networks: whose clients' bytes they are the sum of, and how many there are."""

from __future__ import annotations

from typing import Any

import pytest

from exporter import ledger
from exporter.config import values
from exporter.model import Count, Memory, Moment, Poll, Ssid, SubjectKey
from exporter.sources.unifi import UnifiSettings, payload
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.sources.unifi.settings import COLLECTIONS
from tests.unit.test_unifi_payload import WIRED, WIRELESS, document

PHONE = WIRELESS | {"essid": "Home"}
TABLET = WIRELESS | {"mac": "02:aa:bb:cc:dd:03", "essid": "Home"}
GUEST = WIRELESS | {"mac": "02:aa:bb:cc:dd:04", "essid": "Guests"}
HOME = SubjectKey("ssid", "s", "Home")


def poll(readings: Readings, *records: dict[str, Any], site: str = "s") -> Poll:
    return readings.poll([SiteClients(site, payload.stations(document(*records)).stations, 5.0, 5.0)])


def clients(result: Poll) -> dict[str, int | None]:
    return {fact.ssid: fact.clients for fact in result.gear if isinstance(fact, Ssid)}


def test_what_moves_on_the_air_is_its_networks_too() -> None:
    phone, tablet, guest, cable = poll(Readings(), PHONE, TABLET, GUEST, WIRED | {"essid": "Home"}).readings
    assert phone.subjects[-1] == tablet.subjects[-1] == HOME
    assert phone.subjects[:-1] == (SubjectKey("client", "s", PHONE["mac"]), SubjectKey("site", "s", ""))
    assert guest.subjects[-1] == SubjectKey("ssid", "s", "Guests")
    assert [subject.kind for subject in cable.subjects] == ["client", "site"]


def test_how_many_clients_each_has() -> None:
    result = poll(Readings(), PHONE, TABLET, GUEST, WIRED)
    assert clients(result) == {"Home": 2, "Guests": 1}
    assert {fact.site for fact in result.gear} == {"s"}


def test_one_that_lost_its_last_client_is_told_once_more() -> None:
    readings = Readings()
    assert clients(poll(readings, PHONE, GUEST)) == {"Home": 1, "Guests": 1}
    assert clients(poll(readings, PHONE)) == {"Home": 1, "Guests": 0}
    assert clients(poll(readings, PHONE)) == {"Home": 1}
    assert clients(poll(readings, GUEST, site="another")) == {"Guests": 1}


@pytest.mark.parametrize("essid", [None, ""])
def test_a_client_whose_network_has_no_name_is_in_none(essid: str | None) -> None:
    result = poll(Readings(), WIRELESS | {"essid": essid})
    assert [subject.kind for subject in result.readings[0].subjects] == ["client", "site"]
    assert result.gear == ()


def test_a_client_listed_twice_counts_once() -> None:
    older = PHONE | {"last_seen": 10, "essid": "Guests"}
    assert clients(poll(Readings(), older, PHONE | {"last_seen": 20})) == {"Home": 1, "Guests": 0}


def test_clients_that_are_excluded_are_in_no_network() -> None:
    result = poll(Readings(frozenset({PHONE["mac"]})), PHONE)
    assert (result.gear, result.readings) == ((), ())


def test_long_names_are_cut_alike_in_both_places() -> None:
    result = poll(Readings(), WIRELESS | {"essid": "é" * 300})
    (fact,) = result.gear
    assert result.readings[0].subjects[-1] == fact.subject == SubjectKey("ssid", "s", "é" * 256)


def test_a_network_is_the_sum_of_what_its_clients_move_in_it() -> None:
    readings, memory = Readings(), Memory()
    down = 52852089
    polls = [
        (PHONE, TABLET, GUEST),
        (PHONE | {"tx_bytes": down + 70}, TABLET | {"tx_bytes": down + 5}, GUEST | {"tx_bytes": down + 1}),
        (PHONE | {"tx_bytes": down + 90, "essid": "Guests"}, TABLET | {"tx_bytes": down + 5}, GUEST),
    ]
    for number, records in enumerate(polls, 1):
        moment = Moment(number, 30.0 * number, 30.0 * number)
        memory.take(ledger.advance(memory, poll(readings, *records), moment, interval=30.0, max_rate=1e9), {})
    assert memory.totals[HOME] == Count(75)
    # The phone has changed over with 20 bytes since the last poll: they are told where it is now.
    assert memory.totals[SubjectKey("ssid", "s", "Guests")] == Count(21)
    assert memory.totals[SubjectKey("site", "s", "")] == Count(96)


def test_clients_alone() -> None:
    result = poll(Readings(collect=frozenset({"clients"})), PHONE)
    assert [subject.kind for subject in result.readings[0].subjects] == ["client", "site"]
    assert (len(result.clients), result.gear) == (1, ())


def test_networks_alone() -> None:
    result = poll(Readings(collect=frozenset({"ssids"})), PHONE, WIRED)
    (reading,) = result.readings
    assert reading.subjects == (HOME,)
    assert (result.clients, clients(result)) == ((), {"Home": 1})


def test_what_may_be_collected_is_what_a_configuration_may_say() -> None:
    assert values.COLLECTIONS == COLLECTIONS
    for wrong in (frozenset[str](), frozenset({"clients", "lans"})):
        with pytest.raises(ValueError, match="collect: has to be some of clients, devices, wans, ports, ssids"):
            UnifiSettings("https://h", api_key="k", collect=wrong)


def test_names_that_look_the_same_on_the_page_are_one_network() -> None:
    result = poll(Readings(), PHONE | {"essid": "Ho\x00me"}, TABLET | {"essid": "Ho\x07me"})
    assert clients(result) == {"Ho\N{REPLACEMENT CHARACTER}me": 2}
    assert len({reading.subjects[-1] for reading in result.readings}) == 1
