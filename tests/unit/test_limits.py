"""Places for clients: who has one, what is counted without one, and that a flood costs no more than it may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter import ledger, limits
from exporter.limits import FULL, LOST, OVER, REMEMBERED
from exporter.model import ZERO, Client, Collection, Count, CounterKey, Life, Memory, Moment, Poll, Reading, SubjectKey
from exporter.series import Scrapes, Stage

CLIENTS = Collection("client", "default")
SITE = SubjectKey("site", "default", "")
NETWORK = SubjectKey("ssid", "default", "Home")
TTL, INTERVAL = 100.0, 30.0


def subject(name: str) -> SubjectKey:
    return SubjectKey("client", "default", name)


@dataclass
class Source:
    """One source's memory and page, with what the committer does to them at a poll."""

    limit: int
    memory: Memory = field(default_factory=Memory)
    now: float = 0.0
    over: int = 0
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.stage = Stage("home", Scrapes(0.0), TTL)

    def restart(self) -> None:
        self.stage = Stage("home", Scrapes(0.0), TTL)

    def poll(self, poll: Poll) -> dict[SubjectKey, Count]:
        """The increases of a poll, which is taken over."""
        self.now += INTERVAL
        before = self.memory.source
        admitted = limits.admit(self.memory, poll, self.stage.present, self.limit)
        changes = ledger.advance(
            self.memory,
            admitted.poll,
            Moment(before.number + 1, self.now, 1.7e9 + self.now),
            interval=INTERVAL,
            max_rate=1e12,
        )
        changes = limits.settle(self.memory, changes, admitted)
        clients = [subject(client.client) for client in admitted.poll.clients]
        plan = self.stage.plan(self.memory, changes, clients, 1, self.now)
        self.memory.take(changes, plan.shown)
        self.stage.adopt(plan)
        self.over, self.notices = admitted.poll.over, admitted.poll.notices
        return dict(changes.increases)

    def read(
        self, counts: dict[str, int], *, meter_at: float | None = None, born: dict[str, float] | None = None
    ) -> None:
        self.poll(unifi(counts, meter_at=meter_at, born=born))

    def total(self, name: str) -> int | None:
        count = self.memory.totals.get(subject(name))
        return None if count is None else count.download

    @property
    def site(self) -> int:
        return self.memory.totals.get(SITE, ZERO).download

    @property
    def on_page(self) -> set[str]:
        return {key.key for key in self.stage.present if key.kind == "client"}


def unifi(counts: dict[str, int], *, meter_at: float | None = None, born: dict[str, float] | None = None) -> Poll:
    born = born or {}
    return Poll(
        identity="controller",
        readings=tuple(
            Reading(
                CounterKey("client", "default", f"{name}|wireless"),
                (subject(name), SITE, NETWORK),
                Count(count, 0),
                born=born.get(name),
            )
            for name, count in counts.items()
        ),
        clients=tuple(Client("default", name, name) for name in counts),
        complete={CLIENTS: ""},
        meter_at=meter_at,
    )


def router(counts: dict[str, int], mark: str) -> Poll:
    """Every row proves the same life, which began from 0."""
    poll = unifi(counts)
    readings = tuple(replace(reading, life=Life(mark)) for reading in poll.readings)
    return replace(poll, readings=readings, complete={CLIENTS: mark})


def names(first: int, last: int) -> Iterable[str]:
    return (f"c{number}" for number in range(first, last))


def test_below_the_limit_a_poll_stays_as_it_is() -> None:
    poll = unifi(dict.fromkeys(names(0, 5), 1))
    assert limits.admit(Memory(), poll, (), 5).poll is poll
    assert limits.admit(Memory(), poll, (), 100).poll is poll


def test_bytes_without_a_place_go_to_the_sums_alone() -> None:
    source = Source(2)
    source.read({"a": 100, "b": 100, "c": 100})
    source.read({"a": 101, "b": 102, "c": 104})
    assert source.on_page == {"a", "b"}
    assert source.total("c") is None
    assert source.site == source.memory.totals[NETWORK].download == 1 + 2 + 4
    assert source.over == 1
    assert source.notices == (OVER.format(limit=2),)


def test_who_gets_a_place_later_starts_at_zero() -> None:
    source = Source(1)
    source.read({"a": 0, "b": 0})
    source.read({"a": 0, "b": 50})
    for _ in range(5):
        source.read({"b": 50})
    assert source.on_page == {"b"}
    assert source.total("b") == 0
    source.read({"b": 57})
    assert (source.total("b"), source.site, source.over, source.notices) == (7, 57, 0, ())


def test_who_has_a_place_keeps_it_and_known_clients_go_before_new_ones() -> None:
    source = Source(2)
    source.read({"a": 0, "b": 0})
    for _ in range(5):
        source.read({"a": 0})
    assert source.on_page == {"a"}
    source.read({"new": 0, "other": 0, "b": 10, "a": 10})
    assert source.on_page == {"a", "b"}
    assert (source.total("a"), source.total("b")) == (10, 10)
    source.restart()
    source.read({"new": 0, "other": 0, "b": 11, "a": 12})
    assert (source.total("a"), source.total("b"), source.total("new")) == (12, 11, None)


def test_one_who_moved_from_the_page_goes_on_from_its_total_without_what_moved_meanwhile() -> None:
    source = Source(1)
    source.read({"a": 0})
    source.read({"a": 5})
    for _ in range(5):
        source.read({"b": 0})
    source.read({"a": 25, "b": 0})
    assert (source.total("a"), source.site) == (5, 25)
    for _ in range(5):
        source.read({"a": 25})
    source.read({"a": 26})
    assert (source.total("a"), source.site) == (6, 26)


def test_the_state_remembers_ten_times_the_limit_and_says_so() -> None:
    source = Source(1)
    for number in range(REMEMBERED):
        for _ in range(5):
            source.read({f"c{number}": 0})
    for _ in range(5):
        source.read({"last": 0})
    source.read({"last": 9})
    assert source.total("last") is None
    assert source.site == 9
    assert source.notices == (FULL.format(limit=1, most=REMEMBERED),)
    source.read({"c0": 3})
    assert source.total("c0") == 3


def test_what_is_metered_without_a_place_is_bounded_and_comes_back_as_a_baseline() -> None:
    source = Source(1)
    crowd = dict.fromkeys(names(0, 30), 100)
    source.read(crowd)
    assert len(source.memory.counters) == 1 + REMEMBERED
    assert LOST.format(limit=1, most=REMEMBERED) in source.notices
    source.read({name: count + 1 for name, count in crowd.items()})
    assert source.site == 1 + REMEMBERED  # the same ones are metered, and only they
    assert source.over == 29
    source.read({"c0": 101, **dict.fromkeys(names(20, 30), 101)})
    assert source.site == 1 + REMEMBERED
    source.read({"c0": 101, **dict.fromkeys(names(20, 30), 103)})
    assert source.site == 1 + REMEMBERED + 20


def test_the_one_that_moved_longest_ago_makes_room() -> None:
    source = Source(1)
    crowd = dict.fromkeys(names(0, 11), 0)
    source.read(crowd)
    source.read({**crowd, "c5": 1})
    source.read({"c0": 0, **dict.fromkeys(names(20, 29), 0)})
    kept = {key.client for key in source.memory.counters}
    assert "c5" in kept
    assert len(kept) == 11


def test_a_site_that_was_not_read_to_the_end_makes_no_room() -> None:
    source = Source(1)
    source.read(dict.fromkeys(names(0, 11), 0))
    source.poll(replace(unifi({"c0": 0, "x": 0}), complete={}))
    assert {key.client for key in source.memory.counters} == set(names(0, 11))


def test_a_client_that_was_left_out_is_no_newborn_later() -> None:
    source = Source(1)
    source.read({"c0": 0}, meter_at=100.0)
    crowd = dict.fromkeys(names(0, 12), 50)
    source.read(crowd, born=dict.fromkeys(names(1, 12), 110.0))  # it does not say the time
    assert source.site == 50 * 11  # c1 to c10 are new, c0 grew; c11 is left out
    source.read({"c0": 50, "c11": 80}, meter_at=150.0, born={"c11": 110.0})
    assert source.site == 50 * 11
    again = {"c11": 110.0, "c1": 110.0, "c2": 110.0}
    source.read({"c0": 50, "c11": 80, "c1": 60, "c2": 55}, meter_at=180.0, born=again)
    assert source.site == 50 * 11 + 5  # c11 took the place of c1, which comes back as a baseline


def test_a_row_that_was_left_out_is_no_new_row_later() -> None:
    source = Source(1)
    source.poll(router({"c0": 0}, "life"))
    source.poll(router({"c0": 0, **dict.fromkeys(names(1, 12), 50)}, "life"))
    assert source.site == 50 * 10
    source.poll(router({"c0": 0, "c11": 80}, "life"))
    assert source.site == 50 * 10
    source.poll(router({"c0": 0, "c11": 81}, "life"))
    assert source.site == 50 * 10 + 1


def test_a_poll_that_the_ledger_does_not_take_forgets_nothing() -> None:
    source = Source(1)
    source.read(dict.fromkeys(names(0, 11), 0))
    source.poll(replace(unifi(dict.fromkeys(names(20, 40), 0), meter_at=1.0), clock_bound=True))
    assert {key.client for key in source.memory.counters} == set(names(0, 11))


def test_a_limit_that_is_lowered_takes_no_place_away() -> None:
    source = Source(4)
    source.read(dict.fromkeys(names(0, 4), 0))
    source.limit = 1
    source.read(dict.fromkeys(names(0, 6), 1))
    assert source.on_page == set(names(0, 4))
    assert [source.total(name) for name in names(0, 4)] == [1] * 4


def test_networks_alone_are_bounded_as_well() -> None:
    source = Source(1)

    def networks(first: int, last: int) -> Poll:
        poll = unifi(dict.fromkeys(names(first, last), 0))
        return replace(poll, clients=(), readings=tuple(replace(r, subjects=(NETWORK,)) for r in poll.readings))

    for start in range(0, 200, 20):
        source.poll(networks(start, start + 20))
        assert len(source.memory.counters) <= REMEMBERED
        assert source.over == 0


def test_whose_a_counter_is() -> None:
    mac = "02:aa:bb:cc:dd:01"
    assert CounterKey("client", "default", f"{mac}|wired").client == mac
    assert CounterKey("client", "", f"4|a|b|443|{mac}|192.168.1.9").client == mac
    assert CounterKey("client", "", "6||0|00:00:00:00:00:00|2001:db8::1").client == "2001:db8::1"
    assert CounterKey("device", "default", mac).client == mac


CROWD = list(names(0, 40))
HERE = st.builds(lambda first, many: set((CROWD + CROWD)[first : first + many]), st.integers(0, 39), st.integers(0, 40))
Step = tuple[set[str], int, bool, bool]
STEPS = st.lists(st.tuples(HERE, st.integers(0, 9), st.booleans(), st.booleans()), min_size=2, max_size=25)


@given(st.integers(1, 3), STEPS, st.booleans())
def test_never_over_never_falling_and_bounded(limit: int, steps: list[Step], proved: bool) -> None:
    """Clients come and go, all that are there move bytes; each is metered from its birth, which the meter tells."""
    source = Source(limit)
    raw: dict[str, int] = {}
    born: dict[str, float] = {}
    first: dict[str, int] = {}
    known: dict[SubjectKey, int] = {}
    began = False
    for number, (here, amount, says_the_time, restarts) in enumerate(steps):
        clock = 1000.0 + 30 * number
        for at, name in enumerate(sorted(here)):
            born.setdefault(name, clock - 10.0)
            raw[name] = raw.get(name, 0) + amount + at
            # New ones count from 0 where the exporter was looking already, others from their first value.
            first.setdefault(name, 0 if began else raw[name])
        began = True
        shown = {name: raw[name] for name in (raw if proved else here)}
        poll = router(shown, "life") if proved else unifi(shown, meter_at=clock if says_the_time else None, born=born)
        increases = source.poll(poll)
        if restarts:
            source.restart()

        moved = {name: raw[name] - first[name] for name in raw}
        assert source.site <= sum(moved.values())
        for name in raw:
            assert (source.total(name) or 0) <= moved[name]
        assert all(count.download >= 0 for count in increases.values())
        for key, count in source.memory.totals.items():
            assert count.download >= known.get(key, 0)
            known[key] = count.download
        assert known.keys() == source.memory.totals.keys()
        clients = {key for key in source.memory.totals if key.kind == "client"}
        assert len(source.on_page) <= limit
        assert len(clients) <= REMEMBERED * limit
        assert len(source.memory.counters) <= 2 * REMEMBERED * limit
        assert sum(source.memory.totals[key].download for key in clients) <= source.site
        event(f"over: {bool(source.over)}, lost: {LOST.format(limit=limit, most=10 * limit) in source.notices}")
