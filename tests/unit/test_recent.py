from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Count, SubjectKey
from exporter.recent import Rate, Recent

PHONE, LINE = SubjectKey("client", "", "phone"), SubjectKey("wan", "", "wan")


def test_without_a_poll_there_is_no_rate() -> None:
    assert (Recent().span, Recent().rates()) == (0, {})


def test_a_rate_is_a_mean_over_the_window() -> None:
    recent = Recent(60.0)
    recent.add(30.0, {PHONE: Count(3000, 300), LINE: Count()})
    recent.add(30.0, {PHONE: Count(), LINE: Count(600, 0)})
    assert recent.span == 60.0
    assert recent.rates() == {PHONE: Rate(50.0, 5.0), LINE: Rate(10.0, 0.0)}


def test_what_is_older_than_the_window_is_forgotten() -> None:
    recent = Recent(60.0)
    recent.add(30.0, {PHONE: Count(9000, 9000)})
    for _ in range(2):
        recent.add(30.0, {PHONE: Count(30, 60)})
    assert recent.rates() == {PHONE: Rate(1.0, 2.0)}


def test_after_a_long_silence_the_rate_is_a_mean_over_all_of_it() -> None:
    recent = Recent(60.0)
    recent.add(30.0, {PHONE: Count(9000, 9000)})
    recent.add(600.0, {PHONE: Count(6000, 0)})
    assert (recent.span, recent.rates()) == (600.0, {PHONE: Rate(10.0, 0.0)})


def test_a_poll_at_the_same_moment_has_no_rate() -> None:
    recent = Recent()
    recent.add(0.0, {PHONE: Count(9000, 9000)})
    assert recent.rates() == {}


@given(st.lists(st.tuples(st.floats(1, 1000), st.integers(0, 10**12)), min_size=1, max_size=30))
def test_no_rate_is_more_than_the_fastest_poll_had(polls: list[tuple[float, int]]) -> None:
    recent = Recent(60.0)
    for seconds, moved in polls:
        recent.add(seconds, {PHONE: Count(moved, 0)})
    fastest = max(moved / seconds for seconds, moved in polls)
    assert recent.rates().get(PHONE, Rate()).download <= fastest * (1 + 1e-9)
    assert recent.span >= min(60.0, sum(seconds for seconds, _ in polls))
