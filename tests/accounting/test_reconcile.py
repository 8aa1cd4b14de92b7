from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.accounting.reconcile import ETHERNET, PPPOE, Measured, Pair, human, overhead, reconcile

TB = 10**12


def _said(measured: Measured) -> str:
    return "\n".join(reconcile(measured).why)


def test_the_router_s_own_traffic_and_offload() -> None:
    measured = Measured("internet", Pair(900, 100), Pair(700, 100))
    result = reconcile(measured)
    assert (result.rest, result.share) == (200, 0.2)
    said = _said(measured)
    assert "200 B more than the clients: the router's own traffic" in said
    assert "offloading" in said


def test_clients_at_the_air_have_local_traffic_too() -> None:
    said = _said(Measured("attached", Pair(5 * TB, TB), Pair(7 * TB, TB)))
    assert "Clients have 2 TB more than the line" in said
    assert "what they send to each other is in it" in said
    assert "not of the line" in said


def test_gear_that_is_no_client() -> None:
    said = _said(Measured("attached", Pair(5 * TB, TB), Pair(3 * TB, TB)))
    assert "The line has 2 TB more than the clients" in said
    assert "gateway itself" in said


def test_more_than_the_line_where_flows_are_metered() -> None:
    assert "routed traffic between local networks" in _said(Measured("internet", Pair(5, 5), Pair(50, 50)))


@pytest.mark.parametrize("clients", [98, 100, 102])
def test_what_agrees(clients: int) -> None:
    said = _said(Measured("internet", Pair(100, 0), Pair(clients, 0)))
    assert "agree within 2 %" in said
    assert "router's own" not in said


def test_no_line() -> None:
    result = reconcile(Measured("attached", None, Pair(5, 5)))
    assert (result.rest, result.share) == (None, None)
    assert "No line of this source is metered" in result.why[0]


def test_an_idle_line_has_no_share_and_agrees_with_nobody() -> None:
    assert reconcile(Measured("internet", Pair(), Pair())).share is None
    said = _said(Measured("internet", Pair(), Pair(), partial=True))
    assert "Nothing moved" in said
    assert "The period is not over, or began before there was an archive" in said
    assert "agree" not in said
    assert "frames" not in said


def test_clients_beside_an_idle_line_do_not_agree_with_it() -> None:
    for scope in ("internet", "attached"):
        said = _said(Measured(scope, Pair(), Pair(5, 5)))
        assert "Clients have 10 B more than the line" in said
        assert "agree" not in said


def test_what_else_is_known_is_said_and_only_that() -> None:
    plain = _said(Measured("internet", Pair(100, 0), Pair(100, 0)))
    for word in ("silence", "not over", "refused", "as they stood"):
        assert word not in plain
    said = _said(
        Measured("internet", Pair(100, 0), Pair(100, 0), Pair(3 * TB, 0), 4, partial=True, baselines=12, implausible=2)
    )
    assert "3 TB moved in 4 intervals of silence" in said
    assert "The period is not over" in said
    assert "12 counters" in said
    assert "2 increases were refused" in said


def test_frames() -> None:
    with_pppoe = reconcile(Measured("internet", Pair(1492 * 1000, 0), Pair(), pppoe=True)).overhead
    assert with_pppoe.least == 1000 * (ETHERNET + PPPOE)
    without = reconcile(Measured("internet", Pair(1500 * 1000, 0), Pair(), pppoe=False)).overhead
    assert without.least == 1000 * ETHERNET
    assert overhead(0, 18).least == overhead(0, 18).most == 0


@given(st.lists(st.integers(46, 1500), min_size=1, max_size=50))
def test_frames_are_within_the_bounds(packets: list[int]) -> None:
    bounds = overhead(sum(packets), ETHERNET)
    assert bounds.least <= len(packets) * ETHERNET <= bounds.most


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_240_000_000_000, "1.24 TB"), (999_600, "1 MB"), (-2000, "-2 kB")],
)
def test_bytes_for_people(amount: int, words: str) -> None:
    assert human(amount) == words
