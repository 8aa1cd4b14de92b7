"""Who has to go when there are too many connections."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.web.crowd import Crowd


@dataclass(eq=False)
class Guest:
    """waiting: seconds, None while it is being answered."""

    peer: str
    waiting: float | None = 0.0

    def waited(self) -> float | None:
        return self.waiting


def test_a_peer_with_too_many_loses_the_one_that_waited_longest() -> None:
    crowd: Crowd[Guest] = Crowd(3, 10)
    scraper = Guest("scraper", 1000.0)
    idle = [Guest("idle", 5.0), Guest("idle", 9.0), Guest("idle", 7.0)]
    assert [crowd.enter(each) for each in (scraper, *idle)] == [None] * 4
    assert crowd.enter(Guest("idle")) is idle[1]
    assert crowd.enter(Guest("idle")) is idle[2]
    assert len(crowd) == 4
    assert scraper in crowd.members()


def test_nobody_who_is_being_answered_goes() -> None:
    crowd: Crowd[Guest] = Crowd(2, 10)
    busy = [Guest("one", None), Guest("one", None)]
    for each in busy:
        assert crowd.enter(each) is None
    late = Guest("one")
    assert crowd.enter(late) is late
    assert set(crowd.members()) == set(busy)
    busy[0].waiting = 0.1
    assert crowd.enter(late) is busy[0]


def test_where_all_are_too_many_the_largest_group_gives_way() -> None:
    crowd: Crowd[Guest] = Crowd(4, 6)
    scraper = Guest("scraper", 50.0)
    large = [Guest("large", float(n)) for n in range(3)]
    busy = [Guest("busy", None), Guest("busy", None)]
    for each in (scraper, *large, *busy):
        assert crowd.enter(each) is None
    assert crowd.enter(Guest("new")) is large[2]
    for each in large:
        each.waiting = None
    assert crowd.enter(Guest("newer")) is scraper
    assert len(crowd) == 6


def test_leaving_twice_is_leaving_once() -> None:
    crowd: Crowd[Guest] = Crowd(2, 2)
    guest = Guest("a")
    crowd.enter(guest)
    for _ in range(2):
        crowd.leave(guest)
        assert (len(crowd), crowd.members()) == (0, [])
