"""What the archive is told beside bytes: clients, gear, and what the ledger reported, by subject or by site."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from exporter import events, ledger
from exporter.events import NAMED, STALE, Known
from exporter.model import (
    Collection,
    Count,
    CounterKey,
    Device,
    Gear,
    Memory,
    Moment,
    Noted,
    Poll,
    Reading,
    SubjectKey,
    Wan,
)
from tests.scripted import SITE, client_key, poll, reading

AT = 1_780_315_200.0
SITE_KEY = SubjectKey("site", SITE, "")
CLIENTS = Collection("client", SITE)
MACS = [f"02:00:00:00:00:{number:02x}" for number in range(NAMED + 5)]
AP = SubjectKey("device", SITE, "02:00:00:00:aa:01")


class Source:
    """One that is polled every 30 seconds, without a page."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.known = Known()
        self.number, self.at = 0, AT

    def poll(
        self, taken: Poll, left: Iterable[SubjectKey] = (), *, after: float = 30.0, at: float | None = None
    ) -> Noted:
        self.number, self.at = self.number + 1, self.at + after if at is None else at
        tick = self.memory.source.tick + after
        moment = Moment(self.number, tick, self.at)
        changes = ledger.advance(self.memory, taken, moment, interval=30.0, max_rate=12.5e9)
        noted, self.known = events.note(self.memory, taken, changes, left, self.known, tick, self.at)
        counted = sum(count for (_, reason), count in noted.counts.items() if reason.split("|")[-1] in ledger.REASONS)
        assert counted == sum(changes.events.values())
        self.memory.take(replace(changes, noted=noted), {})
        return noted

    def clients(self, *counts: int, meter_at: float = 0.0, gear: Iterable[Gear] = ()) -> Noted:
        """A complete poll of as many clients, whose counters stand so."""
        return self.poll(_clients(*counts, meter_at=meter_at, gear=gear))


def _clients(*counts: int, meter_at: float = 0.0, gear: Iterable[Gear] = ()) -> Poll:
    taken = poll((reading(mac, count, 0) for mac, count in zip(MACS, counts, strict=False)), meter_at=meter_at)
    return Poll(taken.identity, taken.readings, taken.clients, tuple(gear), taken.complete, meter_at=meter_at)


def _of_ap(up: bool | None, uptime: float | None) -> Device:
    return Device(SITE, AP.key, up=up, uptime=uptime)


def _line(up: bool | None) -> Wan:
    return Wan(SITE, "wan1", up=up)


@pytest.fixture
def source() -> Source:
    return Source()


def test_who_is_there_at_the_first_complete_poll_is_not_new_and_is_one_row(source: Source) -> None:
    noted = source.clients(*[100] * 25)
    assert noted == Noted(int(AT) + 30, {(SITE_KEY, "baseline"): 25}, {})
    noted = source.clients(*[100] * 24)
    assert (noted.counts, noted.since) == ({}, {})


def test_a_poll_that_was_not_complete_is_no_first_one(source: Source) -> None:
    half = Poll("controller", _clients(5).readings)
    assert source.poll(half).since == {}
    assert source.clients(5, 5).since == {}, "the second was there before anybody could tell"
    assert source.clients(5, 5, 5).since == {client_key(MACS[2]): int(AT) + 90}


def test_a_client_that_comes_later_is_new_once(source: Source) -> None:
    source.clients(1)
    noted = source.poll(_clients(1, 2), at=AT + 60.25)
    new = client_key(MACS[1])
    assert noted.since == source.memory.since == {new: int(AT) + 61}
    assert noted.counts == {(SITE_KEY, "baseline"): 1, (new, "new_client"): 1}
    source.clients(1)
    assert source.clients(1, 2).counts == {}
    assert source.memory.since == {new: int(AT) + 61}


def test_clients_of_another_meter_were_there_before(source: Source) -> None:
    source.clients(1)
    other = _clients(1, 2, 3)
    assert source.poll(Poll("other", other.readings, complete=other.complete)).since == {}


def test_many_at_once_are_one_row_of_their_site(source: Source) -> None:
    source.clients(1)
    assert source.clients(*[1] * (NAMED + 1)).counts[client_key(MACS[1]), "new_client"] == 1
    many = Source()
    many.clients(1)
    noted = many.clients(*[1] * (NAMED + 2))
    assert noted.counts == {(SITE_KEY, "baseline"): NAMED + 1, (SITE_KEY, "new_client"): NAMED + 1}
    assert len(noted.since) == NAMED + 1, "each knows since when"


def test_who_left_is_gone(source: Source) -> None:
    source.clients(1, 1)
    left = [client_key(MACS[0]), SITE_KEY, client_key("02:00:00:00:99:99")]
    assert source.poll(_clients(1, 1), left).counts == {(client_key(MACS[0]), "gone_client"): 1}


def test_a_reset_is_kept_of_its_client_and_what_is_no_ones_of_the_site(source: Source) -> None:
    source.clients(500, 500)
    source.clients(7, 7)
    nobody = Reading(CounterKey("client", SITE, "02:00:00:00:77:77|wired"), (SITE_KEY,), Count(5))
    taken = _clients(8, 8)
    noted = source.poll(Poll("controller", (*taken.readings, nobody), complete=taken.complete))
    assert noted.counts == {
        (client_key(MACS[0]), "reset"): 1,
        (client_key(MACS[1]), "reset"): 1,
        (SITE_KEY, "baseline"): 1,
    }


def test_counters_of_gear_say_what_they_are(source: Source) -> None:
    def port(count: int) -> Poll:
        of = SubjectKey("port", SITE, f"{AP.key}|1")
        return Poll("controller", (Reading(CounterKey("port", SITE, f"{AP.key}|port1"), (of,), Count(count)),))

    assert source.poll(port(500)).counts == {(SITE_KEY, "port|baseline"): 1}
    source.poll(port(3))
    assert source.poll(port(4)).counts == {(SubjectKey("port", SITE, f"{AP.key}|1"), "reset"): 1}


def test_duplicates_and_a_clock_that_was_set_back(source: Source) -> None:
    source.clients(1, 1)
    twice = _clients(2, 2)
    again = (*twice.readings, reading(MACS[0], 2, 0))
    counts = source.poll(Poll("controller", again, complete=twice.complete)).counts
    assert counts == {(SITE_KEY, "duplicate"): 1}
    noted = source.poll(_clients(3, 3), at=AT - 5000)
    assert noted == Noted(int(AT) + 60, {(SITE_KEY, "clock"): 2}, {}), "at the last good time"


def test_a_reading_by_another_clock_than_ours(source: Source) -> None:
    off = _clients(1, 1)
    off = Poll("router", off.readings, complete=off.complete, meter_at=AT - 86_400, clock_bound=True)
    assert source.poll(off).counts == {(SITE_KEY, "clock"): 2}
    assert source.poll(off).at == int(AT) + 60, "our own time, although the ledger takes none of it"


def test_a_silence(source: Source) -> None:
    source.clients(1)
    assert source.poll(_clients(2), after=400.0).counts == {(SITE_KEY, "gap"): 1}


@pytest.mark.parametrize(
    ("uptimes", "rebooted"),
    [
        ([1000, 1030, 1060], []),
        ([1000, 1000, 1060], []),  # the meter renews it more slowly than it is polled
        ([1000, 20, 50], [1]),
        ([1000, None, None, 45], [3]),
        ([None, 20], []),  # nobody knows how long it was up before
    ],
)
def test_a_device_that_is_up_for_less_time_than_before_was_rebooted(
    source: Source, uptimes: list[float | None], rebooted: list[int]
) -> None:
    counts = [source.clients(1, gear=[_of_ap(None, uptime)]).counts for uptime in uptimes]
    assert [place for place, each in enumerate(counts) if (AP, "reboot") in each] == rebooted


@pytest.mark.parametrize(
    ("uptime", "after", "at", "rebooted"),
    [
        (60.0, 3600.0, None, True),  # it came back with the exporter, and their power
        (3600.0 - STALE, 3600.0, None, False),
        (60.0, 366 * 86_400.0, AT + 31, False),  # a clock that stands behind: nobody knows how long we were away
        (60.0, 30.0, AT + 86_400, False),  # our clock was set forward
    ],
)
def test_a_reboot_while_nobody_looked(
    source: Source, uptime: float, after: float, at: float | None, rebooted: bool
) -> None:
    taken = Poll("controller", (Reading(CounterKey("device", SITE, "x"), (AP,), Count(1)),), gear=(_of_ap(True, 1e6),))
    source.poll(taken)
    source.known = Known()
    again = Poll(taken.identity, taken.readings, gear=(_of_ap(True, uptime),))
    assert ((AP, "reboot") in source.poll(again, after=after, at=at).counts) is rebooted


def test_lines_and_devices_go_down_and_come_up(source: Source) -> None:
    line = _line(None).subject
    states = [True, None, False, False, None, True]
    counts = [source.clients(1, gear=[_line(up), _of_ap(up, None)]).counts for up in states]
    assert [{key: n for key, n in each.items() if key[1] in ("up", "down")} for each in counts] == [
        {},
        {},
        {(line, "down"): 1, (AP, "down"): 1},
        {},
        {},
        {(line, "up"): 1, (AP, "up"): 1},
    ]
