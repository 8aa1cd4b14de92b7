"""Small examples of when the bytes moved that a silence hid: what closed lives and the age of a new one prove."""

from __future__ import annotations

from msgspec.structs import replace

from exporter.model import ZERO, Bounds, Changes, Closed, CounterKey, Life
from tests.ledger.home import AT, KEY, SITE, SUBJECT, Home, closed, life, raw, read

LONG = 100_000.0
OTHER = CounterKey("client", "default", "a|wired")
ENDED, BEGAN = AT + 40_000, AT + 41_000


def of_lives(was: Closed, *between: Closed, restarted: bool = False) -> Life:
    """The life "2", which began at BEGAN, and those before it."""
    return replace(life("2", 0, replace(was, ended=ENDED), *between, restarted=restarted), began=BEGAN)


def parts(changes: Changes) -> dict[Bounds, int]:
    """Downloads; the site's are the client's."""
    assert changes.splits.get(SITE) == changes.splits.get(SUBJECT)
    return {bounds: part.download for bounds, part in changes.splits.get(SUBJECT, {}).items()}


def after_silence(home: Home, count: int, proof: Life | None) -> dict[Bounds, int]:
    home.poll(read(100, life=life("1")), mark="1")
    return parts(home.poll(read(count, life=proof), mark="2", after=LONG))


def test_what_the_old_life_showed_moved_before_it_ended_and_the_rest_after() -> None:
    home = Home()
    assert after_silence(home, 7, of_lives(closed("1", 0, 130))) == {(None, ENDED): 30, (BEGAN, None): 7}
    assert home.memory.totals[SUBJECT].download == 37


def test_lives_in_between_have_their_own_bounds() -> None:
    between = replace(closed("1b", 5, 25), began=ENDED, ended=ENDED + 500)
    found = after_silence(Home(), 7, of_lives(closed("1", 0, 130), between))
    assert found == {(None, ENDED): 30, (ENDED, ENDED + 500): 20, (BEGAN, None): 7}


def test_what_an_older_copy_brought_back_may_have_moved_at_any_time() -> None:
    between = replace(closed("1b", 0, 30), began=ENDED, ended=ENDED + 500)
    found = after_silence(Home(), 130, of_lives(closed("1", 0, 120), between, restarted=True))
    assert found == {(None, ENDED): 20, (ENDED, ENDED + 500): 30}


def test_without_a_silence_nothing_is_split() -> None:
    home = Home()
    home.poll(read(100, life=life("1")), mark="1")
    changes = home.poll(read(7, life=of_lives(closed("1", 0, 130))), mark="2")
    assert changes.increases[SUBJECT].download == 37
    assert changes.splits == {}


def test_without_a_new_life_nothing_is_split() -> None:
    home = Home()
    home.poll(read(100, life=life("1")), mark="1")
    same = replace(life("1"), began=BEGAN)
    assert parts(home.poll(read(170, life=same), read(9, OTHER, life=same), mark="1", after=LONG)) == {}
    assert home.memory.totals[SUBJECT].download == 79
    assert after_silence(Home(), 170, None) == {}


def test_what_has_no_bound_is_left_over() -> None:
    assert after_silence(Home(), 7, life("2", 0, closed("1", 0, 130))) == {}
    assert after_silence(Home(), 7, replace(life("2", 0, closed("1", 0, 130)), began=BEGAN)) == {(BEGAN, None): 7}


def test_what_does_not_count_has_no_part() -> None:
    assert after_silence(Home(max_rate=0.0001), 7, of_lives(closed("1", 0, 130))) == {}
    assert after_silence(Home(), 7, of_lives(closed("1", 0, 90))) == {(BEGAN, None): 7}
    assert after_silence(Home(), 0, of_lives(closed("1", 0, 130))) == {(None, ENDED): 30}


def test_old_totals_that_may_go_on_moved_after_the_old_end() -> None:
    found = after_silence(Home(), 150, of_lives(closed("1", 0, 130), restarted=True))
    assert found == {(None, ENDED): 30, (ENDED, None): 20}


def test_old_totals_that_may_go_on_without_an_end_moved_at_any_time() -> None:
    found = after_silence(Home(), 150, replace(life("2", 0, restarted=True), began=BEGAN))
    assert found == {}


def test_first_sights_are_split_alike() -> None:
    home = Home()
    home.poll(mark="1")
    changes = home.poll(read(7, life=of_lives(closed("1", 0, 130))), mark="2", after=LONG)
    assert parts(changes) == {(None, ENDED): 130, (BEGAN, None): 7}


def test_a_baseline_has_no_parts() -> None:
    home = Home()
    home.poll(read(1, OTHER))
    changes = home.poll(read(7, life=of_lives(closed("1", 0, 130))), mark="2", after=LONG)
    assert changes.increases[SUBJECT] == ZERO
    assert parts(changes) == {}


def test_a_subjects_counters_add_up_bound_by_bound() -> None:
    home = Home()
    home.poll(read(100, life=life("1")), read(50, OTHER, life=life("1")), mark="1")
    new = of_lives(closed("1", 0, 130)), of_lives(closed("1", 0, 51))
    changes = home.poll(read(7, life=new[0]), read(2, OTHER, life=new[1]), mark="2", after=LONG)
    assert parts(changes) == {(None, ENDED): 31, (BEGAN, None): 9}


def test_a_younger_counter_counted_since_its_age() -> None:
    home = Home()
    home.poll(read(100, life=Life(age=5_000.0)))
    changes = home.poll(read(30, life=Life(age=600.0)), after=LONG, refresh=20.0)
    assert parts(changes) == {(AT + home.tick - 620.0, None): 30}
    changes = home.poll(read(70, life=Life(age=600.0 + LONG)), after=LONG)
    assert changes.increases[SUBJECT].download == 40
    assert parts(changes) == {}


def test_packets_go_with_their_bytes() -> None:
    home = Home()
    home.poll(read(raw(100, 40, 10, 4), KEY, life=life("1")), mark="1")
    was = replace(closed("1", 0, 0), final=raw(130, 50, 13, 5))
    changes = home.poll(read(raw(7, 3, 2, 1), life=of_lives(was)), mark="2", after=LONG)
    assert changes.splits[SUBJECT] == {(None, ENDED): raw(30, 10, 3, 1), (BEGAN, None): raw(7, 3, 2, 1)}
