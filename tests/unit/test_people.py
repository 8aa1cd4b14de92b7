"""Clients by owner."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Client, Count
from exporter.naming import Person
from exporter.people import Group, by_owner

HOSTILE = '"} 1\nup 0<script>'


def client(number: int) -> Client:
    mac = f"02:00:00:00:00:{number:02x}"
    return Client("default", mac, mac)


def people(*owners: str) -> dict[str, Person]:
    return {client(number).mac: Person(owner=owner) for number, owner in enumerate(owners)}


def test_a_person_has_four_devices() -> None:
    rows = [(client(number), Count(10, 1)) for number in range(6)]
    known = people("flat 3", " flat 3", "flat 3", "flat 3 ", "flat 4")
    assert by_owner(rows, known) == [
        Group("flat 3", 4, Count(40, 4)),
        Group("flat 4", 1, Count(10, 1)),
        Group("", 1, Count(10, 1)),
    ]


def test_most_bytes_first_whatever_nobody_moved() -> None:
    rows = [(client(0), Count(1, 1)), (client(1), Count(0, 9)), (client(2), Count(99, 99)), (client(3), None)]
    assert [group.name for group in by_owner(rows, people("a", "b", "", "c"))] == ["b", "a", "c", ""]


def test_a_hostile_owner_is_one_group_like_any_other() -> None:
    assert by_owner([(client(0), None)], people(HOSTILE)) == [Group(HOSTILE, 1, Count())]


def test_nobody_there() -> None:
    assert by_owner([], people("a")) == []


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 2**63), st.integers(0, 2**63)), max_size=30))
def test_nothing_is_lost_and_nothing_twice(owners: list[tuple[str, int, int]]) -> None:
    known = people(*(owner for owner, _, _ in owners))
    rows = [(client(number), Count(down, up)) for number, (_, down, up) in enumerate(owners)]
    groups = by_owner(rows, known)
    assert sum(group.clients for group in groups) == len(rows)
    assert sum(group.total.download for group in groups) == sum(down for _, down, _ in owners)
    assert sum(group.total.upload for group in groups) == sum(up for _, _, up in owners)
    assert len({group.name for group in groups}) == len(groups)
