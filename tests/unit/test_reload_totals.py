"""Sources that come, change and go while the exporter runs: no total falls, and every server sees every byte."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.test_series import BORN, FIRST, FREQUENT, ONCE, QUICK, SELDOM, STEADY, Action, actions, habits
from tests.watched import SOURCES, Habit, World


def configure(world: World, names: Sequence[str], interval: float) -> None:
    world.configure(*names, interval=interval)


reloads = st.tuples(
    st.just(configure),
    st.sampled_from([(), ("home",), ("attic",), SOURCES, SOURCES[::-1]]),
    st.sampled_from([10.0, 30.0, 60.0]),
)
HOME_GOES, HOME_COMES = (configure, ("attic",), 30.0), (configure, SOURCES, 30.0)


@given(habits, st.sampled_from([60.0, 300.0]), st.lists(st.one_of(reloads, actions), max_size=25))
@example([FREQUENT, SELDOM], 300.0, [FIRST, BORN, STEADY, HOME_GOES, ONCE, HOME_COMES, QUICK, STEADY])
@example([FREQUENT, SELDOM], 300.0, [FIRST, BORN, ONCE, HOME_GOES, HOME_COMES, ONCE, HOME_GOES, HOME_COMES, STEADY])
@example([Habit(15, "home")], 60.0, [FIRST, BORN, STEADY, HOME_GOES, STEADY, HOME_COMES, STEADY])
def test_every_server_sees_every_byte_through_reloads(
    habits: list[Habit], client_ttl: float, history: list[Action]
) -> None:
    world = World(habits, client_ttl=client_ttl)
    for act, *how in history:
        act(world, *how)
    world.rest()
    world.check()


def test_what_was_counted_of_the_polls_goes_on_where_a_source_comes_back() -> None:
    world = World([FREQUENT])
    world.poll("home", [])
    world.fail("home")
    world.configure("attic")
    assert 'source="home"' not in world._text(None)
    assert world.exposition.page("home") is None
    world.configure("attic", "home")
    page = world._text(None)
    assert 'bandwidth_source_polls_total{source="home"} 2\n' in page
    assert 'bandwidth_source_poll_failures_total{source="home",reason="timeout"} 1\n' in page
    assert 'bandwidth_source_up{source="home"} 0\n' in page
    assert list(world.committer.runtimes) == ["attic", "home"]
