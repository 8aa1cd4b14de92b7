"""The promise of docs/design.md, "The ledger", over generated histories of a meter that knows the truth."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import ledger
from exporter.model import ZERO, Collection, Count, CounterKey, Memory, Moment, Poll, Reading, SubjectKey
from tests.ledger.meter import MAX_RATE, Meter, Proof
from tests.ledger.truth import Row, plus

WRAP = 2**32
EXAMPLES = max(500, settings().max_examples)
KEYS = ("a", "b", "c")
Event = tuple[str, tuple[object, ...]]

keys = st.sampled_from(KEYS)
some_keys = st.frozensets(keys, max_size=2)
sizes = st.sampled_from((0, 1, 7, 50, 400, 3000))
yes = st.booleans()


def event(name: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Event]:
    return st.tuples(st.just(name), st.tuples(*arguments))


traffic = event("move", keys, sizes, sizes)
polls = event("poll", st.sampled_from(("taken", "taken", "taken", "killed", "late")), some_keys, yes, some_keys)
lies = event("lie", keys, st.sampled_from(("low", "high")))
world = st.one_of(
    event("save"),
    event("reset", some_keys, yes, yes),
    event("roll_over", yes),
    event("roll_back", yes),
    event("go_on", yes, st.sampled_from(("none", "saved", "exact"))),
    event("prune"),
    event("leave", keys),
    event("bear", keys, yes),
    event("jump", keys),
    event("replace"),
    event("silence", st.sampled_from((60.0, 400.0, 100_000.0))),
    event("own clock", st.sampled_from((-90_000.0, -200.0, 0.0, 200.0, 90_000.0))),
    event("meter clock", st.sampled_from((-90_000.0, -200.0, 0.0, 200.0, 90_000.0))),
)
histories = st.lists(st.one_of(traffic, traffic, polls, polls, lies, world), max_size=40)


class History:
    """Lets events happen to a meter. What a meter of its class cannot do does not happen."""

    def __init__(self, proof: Proof) -> None:
        row = Row(base=Count(100, 40, 10, 4))
        row.saved = row.base
        self.meter = Meter(proof, {"a": row})

    def happen(self, name: str, arguments: tuple[object, ...]) -> None:
        getattr(self, "on_" + name.replace(" ", "_"))(*arguments)

    def on_move(self, key: str, download: int, upload: int) -> None:
        if key in self.meter.rows:
            self.meter.move(key, Count(download, upload, -(-download // 100), -(-upload // 100)))

    def on_poll(self, fate: str, missing: frozenset[str], doubled: bool, twice: frozenset[str]) -> None:
        self.meter.poll(fate=fate, missing=missing if doubled else (), doubled=twice)

    def on_lie(self, key: str, lie: str) -> None:
        if key in self.meter.rows:
            self.meter.poll(lies={key: lie})

    def on_save(self) -> None:
        self.meter.save()

    def on_reset(self, keys: frozenset[str], restarted: bool, reconnects: bool) -> None:
        self.meter.reset([key for key in keys if key in self.meter.rows], restarted=restarted, reconnects=reconnects)

    def on_roll_over(self, readable: bool) -> None:
        if self.meter.proof is Proof.MARK:
            self.meter.roll_over(readable=readable)

    def on_roll_back(self, restarted: bool) -> None:
        if self.meter.proof is not Proof.AGE:
            self.meter.roll_back(restarted=restarted)

    def on_go_on(self, boundary: bool, final: str) -> None:
        if self.meter.proof is Proof.MARK:
            self.meter.go_on(boundary=boundary, final=final)

    def on_prune(self) -> None:
        self.meter.prune()

    def on_leave(self, key: str) -> None:
        """A station leaves or comes back; a row of a full table is overwritten or begins again."""
        meter, row = self.meter, self.meter.rows.get(key)
        if row is None:
            return
        if meter.proof is not Proof.MARK:
            row.there = not row.there
        elif row.there:
            meter.evict(key)
        else:
            counter = meter.memory.counters.get(meter.counter(key))
            row.there = counter is None or counter.mark != str(meter.mark)

    def on_bear(self, key: str, known: bool) -> None:
        if key not in self.meter.rows:
            old = known and self.meter.proof is Proof.NOTHING
            self.meter.bear(key, before=Count(5000, 300, 50, 3) if old else ZERO)

    def on_jump(self, key: str) -> None:
        if key in self.meter.rows and self.meter.rows[key].floor is not None:
            self.meter.jump(key)

    def on_replace(self) -> None:
        self.meter.settle()
        self.meter.check_at_rest()
        self.meter.replace()

    def on_silence(self, seconds: float) -> None:
        self.meter.tick += seconds

    def on_own_clock(self, off: float) -> None:
        self.meter.off = off

    def on_meter_clock(self, off: float) -> None:
        self.meter.meter_off = off


def promise_holds(proof: Proof, events: list[Event]) -> None:
    history = History(proof)
    for name, arguments in events:
        history.happen(name, arguments)
        history.meter.check()
    history.meter.settle()
    history.meter.check_at_rest()


@settings(max_examples=EXAMPLES)
@given(histories)
def test_lives_proved_by_mark(events: list[Event]) -> None:
    promise_holds(Proof.MARK, events)


@settings(max_examples=EXAMPLES)
@given(histories)
def test_lives_proved_by_age(events: list[Event]) -> None:
    promise_holds(Proof.AGE, events)


@settings(max_examples=EXAMPLES)
@given(histories)
def test_nothing_proved(events: list[Event]) -> None:
    promise_holds(Proof.NOTHING, events)


@settings(max_examples=EXAMPLES)
@given(st.lists(st.sampled_from((0, 1, 40_000, 9_000_000, "poll", "poll", "reset")), max_size=40))
def test_32_bit_counters(events: list[int | str]) -> None:
    """They pass 2^32 now and then, and restart; packets tell the two apart. Without restarts nothing is missing."""
    memory, tick, number = Memory(), 1_000.0, 0
    start = Count(WRAP - 50_000_000, WRAP - 5_000_000, 2_800_000, 2_800_000)
    shown, moved, seen = start, ZERO, ZERO
    for event in [*events, "poll", "poll"]:
        if event == "reset":
            shown = ZERO
        elif event == "poll":
            tick, number = tick + 30.0, number + 1
            count = Count(shown.download % WRAP, shown.upload % WRAP, shown.download_packets, shown.upload_packets)
            reading = Reading(CounterKey("device", "", "uplink"), (SubjectKey("device", "", "a"),), count, wraps=True)
            poll = Poll(readings=(reading,), complete={Collection("device", ""): ""})
            memory.take(ledger.advance(memory, poll, Moment(number, tick, tick), interval=30.0, max_rate=MAX_RATE), {})
            seen = moved if number == 1 else seen
            total = memory.totals[SubjectKey("device", "", "a")]
            assert total.download <= moved.download - seen.download
            assert total.upload <= moved.upload - seen.upload
        elif isinstance(event, int):
            tick += 10.0
            more = Count(event, event // 3, -(-event // 200), -(-event // 200))
            shown, moved = plus(shown, more), plus(moved, more)
    if "reset" not in events:
        total = memory.totals[SubjectKey("device", "", "a")]
        assert (total.download, total.upload) == (moved.download - seen.download, moved.upload - seen.upload)
