from __future__ import annotations

import io
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from exporter.model import Changes, Collection, Completed, Count, Counter, CounterKey, Memory, Source, SubjectKey, Write
from exporter.store import State, StateError, history
from exporter.store.schema import metadata
from tests.states import SITE, changes, poll

_COUNTER = CounterKey("client", "default", "02:aa:bb:cc:dd:01|wired")
_CLIENT = SubjectKey("client", "default", "02:aa:bb:cc:dd:01")
_COUNT = Count(1, 2, 3, 4)

# Few names, so that histories meet again what they changed before; and texts that SQL could trip over.
_names = st.sampled_from(["", "a", "A", "default", "é'\"\0%", "0"])
_kinds = st.sampled_from(["client", "site"])
_integers = st.integers(0, 2**63 - 1)
_floats = st.floats(allow_nan=False)
_times = st.floats(0, 4e9)
_counts = st.builds(Count, _integers, _integers, _integers, _integers)
_counters = st.builds(
    Counter,
    count=_counts,
    moved=_floats,
    speed=st.none() | _floats,
    mark=_names,
    age=st.none() | _floats,
    aged=_floats,
    session=_names,
    wide=st.booleans(),
    held=st.none() | _counts,
    held_at=_floats,
    doubt=st.sampled_from(["", "fallen", "implausible"]),
)
_counter_keys = st.builds(CounterKey, _kinds, _names, _names)
_subject_keys = st.builds(SubjectKey, _kinds, _names, _names)
_changes = st.builds(
    Changes,
    source=st.builds(Source, st.none() | _names, _integers, _floats, _times, _integers),
    counters=st.dictionaries(_counter_keys, _counters, max_size=6),
    gone=st.frozensets(_counter_keys, max_size=3),
    totals=st.dictionaries(_subject_keys, _counts, max_size=6),
    collections=st.dictionaries(
        st.builds(Collection, _kinds, _names), st.builds(Completed, _floats, st.none() | _floats, _names), max_size=2
    ),
    increases=st.just({}),
    events=st.just({}),
)
_shown = st.dictionaries(_subject_keys, st.none() | _counts, max_size=4)


def _take(writes: list[Write]) -> dict[str, Memory]:
    memories: dict[str, Memory] = {}
    for write in writes:
        memories.setdefault(write.name, Memory()).take(write.changes, write.shown)
    return memories


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bandwidth.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    with closing(State.open(path)) as state:
        yield state


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lasting") / "bandwidth.db"
    State.open(path).close()
    return path


@given(st.lists(st.lists(st.tuples(st.sampled_from(["home", "attic"]), _changes, _shown), max_size=3), max_size=4))
def test_what_is_loaded_is_what_was_committed(
    lasting: Path, groups: list[list[tuple[str, Changes, Mapping[SubjectKey, Count | None]]]]
) -> None:
    example = uuid.uuid4().hex
    writes: list[Write] = []
    with closing(State.open(lasting)) as state:
        for group in groups:
            fresh = [Write(f"{example} {name}", done, shown) for name, done, shown in group]
            state.commit(fresh)
            writes += fresh
            for name, memory in _take(writes).items():
                assert state.load(name) == memory
    with closing(State.open(lasting)) as state:
        for name, memory in _take(writes).items():
            assert state.load(name) == memory


def test_unknown_source_is_empty(state: State) -> None:
    state.commit([poll("home", 1)])
    assert state.load("attic") == Memory()


def test_commits_without_a_load_go_on_where_the_file_stands(path: Path) -> None:
    for number in (1, 2):
        with closing(State.open(path)) as state:
            state.commit([poll("home", number)])
    with closing(State.open(path)) as state:
        assert state.load("home") == _take([poll("home", 2)])["home"]


def test_one_source_may_be_in_a_commit_twice(state: State) -> None:
    writes = [poll("home", 1), Write("home", changes(2, gone=frozenset(poll("home", 1).changes.counters)), {})]
    state.commit([*writes, poll("home", 3)])
    assert state.load("home") == _take([*writes, poll("home", 3)])["home"]


def test_shown_of_a_subject_without_a_total(state: State) -> None:
    state.commit([Write("home", changes(), {_CLIENT: _COUNT, SITE: None})])
    assert state.load("home").shown == {_CLIENT: _COUNT}
    assert state.load("home").totals == {}
    state.commit([Write("home", changes(2), {_CLIENT: None})])
    assert state.load("home").shown == {}


def test_a_changed_total_leaves_what_is_shown(state: State) -> None:
    state.commit([Write("home", changes(1, totals={_CLIENT: _COUNT}), {_CLIENT: _COUNT})])
    state.commit([Write("home", changes(2, totals={_CLIENT: Count(9, 9, 9, 9)}), {})])
    memory = state.load("home")
    assert (memory.totals[_CLIENT], memory.shown[_CLIENT]) == (Count(9, 9, 9, 9), _COUNT)


def test_scrape_and_exporter_id_are_remembered(path: Path) -> None:
    with closing(State.open(path)) as state:
        name, never = state.exporter_id, state.scraped_at
        assert (str(uuid.UUID(name)), never) == (name, None)
        state.commit([], scraped_at=1700000000.123456)
        state.commit([poll("home", 1)])
        assert state.scraped_at == 1700000000.123456
    with closing(State.open(path)) as state:
        assert (state.scraped_at, state.exporter_id) == (1700000000.123456, name)


def test_every_file_has_an_id_of_its_own(state: State, tmp_path: Path) -> None:
    with closing(State.open(tmp_path / "other.db")) as other:
        assert other.exporter_id != state.exporter_id


def test_only_the_owner_may_read_it(state: State, path: Path) -> None:
    state.commit([poll("home", 1)])
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert set(modes) >= {"bandwidth.db", "bandwidth.db-wal", "bandwidth.db.lock"}
    assert set(modes.values()) == {0o600}


def test_commits_are_durable_when_they_return(state: State, path: Path) -> None:
    assert state._connection is not None
    assert state._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    "bad",
    [
        Write("home", changes(2, totals={_CLIENT: Count(2**63, 0, 0, 0)}), {}),
        Write("home", changes(2, counters={_COUNTER: Counter(Count(0, 0, 0, 2**64), 0.0)}), {}),
        Write("home", changes(2, counters={_COUNTER: Counter(_COUNT, 0.0, held=Count(2**63, 0, 0, 0))}), {}),
        Write("home", changes(2), {_CLIENT: Count(0, 2**70, 0, 0)}),
        Write("home", changes(2**63), {}),
        Write("home", changes(2, totals={SubjectKey("client", "default", "\udc80"): _COUNT}), {}),
        Write("home", changes(2, counters={_COUNTER: Counter(_COUNT, float("nan"))}), {}),
    ],
)
def test_what_cannot_be_stored_changes_nothing(state: State, path: Path, bad: Write) -> None:
    before = [poll("home", 1), poll("attic", 1)]
    state.commit(before, scraped_at=5.0)
    with pytest.raises(StateError, match=r"bandwidth\.db: cannot commit"):
        state.commit([poll("attic", 2), bad, poll("shed", 2)], scraped_at=6.0)
    assert {name: state.load(name) for name in ("home", "attic", "shed")} == {**_take(before), "shed": Memory()}
    assert state.scraped_at == 5.0
    after = [poll("attic", 3, clients=5), poll("shed", 3)]
    state.commit(after)
    state.close()
    with closing(State.open(path)) as again:
        for name, memory in _take([*before, *after]).items():
            assert again.load(name) == memory


def test_a_count_too_large_says_what_is_wrong(state: State) -> None:
    with pytest.raises(StateError, match=r"below 2\^63"):
        state.commit([Write("home", changes(totals={_CLIENT: Count(2**63, 0, 0, 0)}), {})])


def test_after_close_nothing_is_written(path: Path) -> None:
    state = State.open(path)
    state.close()
    state.close()
    with pytest.raises(StateError, match="closed"):
        state.commit([poll("home", 1)])
    with pytest.raises(StateError, match="closed"):
        state.load("home")


def test_threads_share_it(state: State) -> None:
    def work(name: str) -> None:
        for number in range(1, 20):
            state.commit([poll(name, number)])
            assert state.load(name) == _take([poll(name, number)])[name]

    threads = [threading.Thread(target=work, args=(name,)) for name in ("home", "attic", "shed")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("home", "attic", "shed"):
        assert state.load(name) == _take([poll(name, 19)])[name]


def test_schema_is_what_the_migrations_make(state: State, path: Path) -> None:
    state.commit([])
    with create_engine(f"sqlite:///{path}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_history_is_one_line_in_the_order_of_its_names() -> None:
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(history.migrations()))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert history.revisions(history.migrations()) == revisions[::-1]
