"""The one thread that changes anything: finished polls in, durable totals and a new page out.

Order is all: ledger, commit, memory, page. What was published is durable before anybody can read it, and where a
commit fails nothing changed: the meters are cumulative, so the next poll brings the same bytes again.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from functools import partial
from math import inf
from typing import Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from exporter import events, ledger, limits, voice
from exporter.accounting.groups import credit
from exporter.accounts import Accounts, Terms
from exporter.clock import Clock
from exporter.exposition import Blocks, Exposition
from exporter.ledger import GAP_INTERVALS
from exporter.logs import FAULT, about, fault_words
from exporter.model import Changes, Client, Collection, Gear, Memory, Moment, Poll, SubjectKey, Write
from exporter.naming import People
from exporter.privacy import OPEN, Privacy
from exporter.runtime import Health, Runtime, SourceFacts
from exporter.series import Plan, Scrapes, Stage
from exporter.store import StateError

log = logging.getLogger(__name__)

Result = TypeVar("Result")

UNKNOWN_SILENCE = 366 * 86_400.0
"""Seconds to assume since the last poll where our clock stands behind it: longer than any silence we know of, so that
honest bytes are never called implausible."""

SCRAPED_AT_STEP = 60.0
"""How exact, in seconds, the state knows the last scrape. It only has to tell whether there was one in a day."""

TICK = 1.0
"""Seconds between two looks at whether a silent source has to leave the page."""


REFRESH = 30.0
"""Seconds after which periods and quotas are looked at again where no poll came: they end, and projections move on."""


class StateFile(Protocol):
    """What the committer needs of exporter.store.State."""

    @property
    def scraped_at(self) -> float | None: ...
    def load(self, name: str) -> Memory: ...
    def commit(self, writes: Sequence[Write], scraped_at: float | None = None) -> None: ...


class Success(Struct, frozen=True):
    """A poll that came back, started at `at` (wall) and `steady`, and took `duration` seconds."""

    poll: Poll
    at: float
    steady: float
    duration: float


class Failure(Struct, frozen=True):
    """A poll that did not. reason: a label value; message: what happened, where and what to do."""

    reason: str
    message: str
    at: float
    duration: float


Outcome = Success | Failure


class EndedError(Exception):
    """The committer's thread has ended: nothing can be changed any longer."""


class Committer:
    """Owns every source's memory and page. `submit` may be called from any thread; all else happens in its own."""

    def __init__(
        self,
        state: StateFile,
        sources: Iterable[SourceFacts],
        *,
        exposition: Exposition,
        scrapes: Scrapes,
        client_ttl: float,
        people: People,
        clock: Clock,
        privacy: Privacy = OPEN,
    ) -> None:
        self._state = state
        self._accounts: Accounts | None = None
        self._accounted_at = -inf
        self._exposition = exposition
        self._scrapes = scrapes
        self._people = people
        self._privacy = privacy
        self._clock = clock
        self._scraped_at = state.scraped_at
        self._client_ttl = client_ttl
        self._inbox: queue.SimpleQueue[tuple[str, Outcome] | Callable[[], None]] = queue.SimpleQueue()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._dismissed: dict[str, tuple[Health, Tally[tuple[str, str]]]] = {}
        self.runtimes = {facts.name: self.begin(facts) for facts in sources}
        self.worked: set[str] = set()
        self.commit_error = ""
        self.commit_failures = 0
        self._unsure: set[str] = set()
        self._publish(self.runtimes.values())

    def keep(self, accounts: Accounts) -> None:
        """Show periods and quotas too. To be called before the start."""
        self._accounts = accounts
        self._open_accounts()
        self._publish([])

    def begin(self, facts: SourceFacts) -> Runtime:
        """A source as the state remembers it, for `admit`. Raises StateError. Called in any thread."""
        memory = self._state.load(facts.name)
        last = memory.source
        silence = self._clock.wall() - last.at
        tick = last.tick + (silence if silence >= 0 else UNKNOWN_SILENCE) if last.number else 0.0
        runtime = Runtime(
            facts, memory, Stage(facts.name, self._scrapes, self._client_ttl), tick - self._clock.steady()
        )
        runtime.health.last_success = last.at if last.number else None
        return runtime

    def start(self) -> None:
        """Begin to work off what is submitted."""
        self._thread.start()

    def submit(self, name: str, outcome: Outcome) -> None:
        """Hand in how a source's poll went; returns at once."""
        self._inbox.put((name, outcome))

    def stop(self, timeout: float) -> bool:
        """Work off what was submitted, then end. False if that took longer than `timeout` seconds."""
        self._inbox.put(self._end)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the thread runs; if it does not, nothing is counted."""
        return self._thread.is_alive()

    def perform(self, step: Callable[[], Result]) -> Result:
        """What the step answers or raises, run by the thread after all that was submitted so far.

        Raises EndedError where the thread does not get to it.
        """
        done: Future[Result] = Future()

        def run() -> None:
            try:
                done.set_result(step())
            except Exception as error:
                log.exception(FAULT)
                done.set_exception(error)

        self._inbox.put(run)
        while not wait([done], timeout=TICK).done:
            if not self.alive:
                raise EndedError
        return done.result()

    # What changes while the process runs. Called by the thread alone (`perform`), or by a test without it.

    def admit(self, runtimes: Iterable[Runtime]) -> None:
        """Sources that are polled from now on. What was counted of the polls of one that was here before goes on."""
        came = {runtime.facts.name: runtime for runtime in runtimes}
        for name, runtime in came.items():
            before = self._dismissed.pop(name, None)
            if before is not None:
                runtime.health, runtime.events = _resumed(before[0], runtime.health), before[1]
        self.runtimes = {**self.runtimes, **came}
        self._open_accounts()
        self._publish(came.values())

    def revise(self, facts: SourceFacts) -> dict[Collection, str]:
        """A source is configured in another way. The marks of its collections, as `marks_of` has them."""
        runtime = self.runtimes[facts.name]
        changed, runtime.facts = facts != runtime.facts, facts
        if self._accounts is not None and changed:
            self._accounts.close(facts.name)
            self._open_accounts()
        return marks_of(runtime)

    def dismiss(self, name: str) -> None:
        """A source that is no longer polled: it leaves the page, and its totals stay in the state."""
        runtime = self.runtimes[name]
        self.runtimes = {other: each for other, each in self.runtimes.items() if other != name}
        self._dismissed[name] = runtime.health, runtime.events
        if self._accounts is not None:
            self._accounts.close(name)
        self._publish([], gone=[name])

    def adjust(self, client_ttl: float, people: People, privacy: Privacy, terms: Terms | None = None) -> None:
        """What holds for all sources, from the next time on that each is rendered. terms: None for no change."""
        self._client_ttl, self._privacy = client_ttl, privacy
        self._people = self._people if people == self._people else people
        for runtime in self.runtimes.values():
            runtime.stage.client_ttl = client_ttl
        if self._accounts is not None and terms is not None:
            self._accounts.adjust(terms)
            self._open_accounts()
            self._publish([])

    def arrange(self, names: Sequence[str]) -> None:
        """Show the sources in this order, and others behind them."""
        self.runtimes = {name: self.runtimes[name] for name in names} | self.runtimes

    def _end(self) -> None:
        self._ending = True

    def _run(self) -> None:
        while not self._ending:
            batch, then = self._next_batch()
            while batch:
                now: dict[str, Outcome] = {}
                later: list[tuple[str, Outcome]] = []
                for name, outcome in batch:
                    if name in now:
                        later.append((name, outcome))
                    else:
                        now[name] = outcome
                self._guarded(partial(self.work, now))
                batch = later
            if then is not None:
                then()
            self._guarded(self._drop_silent)

    def _guarded(self, step: Callable[[], None]) -> None:
        """Without this thread nothing is counted: a fault that nothing below stopped costs a batch, not the thread."""
        try:
            step()
        except Exception:
            log.exception(FAULT)

    def _next_batch(self) -> tuple[list[tuple[str, Outcome]], Callable[[], None] | None]:
        """All that was submitted by now, so that many sources share one fsync; and what is to be done after it."""
        batch: list[tuple[str, Outcome]] = []
        try:
            item = self._inbox.get(timeout=TICK)
            while isinstance(item, tuple):
                batch.append(item)
                item = self._inbox.get_nowait()
        except queue.Empty:
            return batch, None
        return batch, item

    def work(self, outcomes: Mapping[str, Outcome]) -> None:
        """One group commit: at most one outcome of each source. Called by the thread, or by a test without it."""
        steps: list[_Step] = []
        touched: list[Runtime] = []
        for name, outcome in outcomes.items():
            runtime = self.runtimes[name]
            touched.append(runtime)
            runtime.health.polls += 1
            runtime.health.duration = outcome.duration
            with about(name):
                if isinstance(outcome, Failure):
                    self._failed(runtime, outcome)
                else:
                    steps.extend(self._steps(runtime, outcome))
        # An outage has nothing to commit, but a day of it must not make the next start forget who scrapes.
        scraped_at = self._latest_scrape()
        if (steps or scraped_at is not None) and self._commit(steps, scraped_at):
            for step in steps:
                with about(step.runtime.facts.name):
                    self._adopt(step)
        else:
            self._unsure.update(step.runtime.facts.name for step in steps)
        self._publish(touched)
        self.worked.update(outcomes)

    def _steps(self, runtime: Runtime, outcome: Success) -> list[_Step]:
        """The step of one source's poll; none where we have a fault of our own, which must not stop the others."""
        try:
            return [self._step(runtime, outcome)]
        except Exception as error:
            log.exception("%s: %s", runtime.facts.name, FAULT)
            self._failed(runtime, Failure("internal", fault_words(error), outcome.at, 0.0))
            return []

    def _step(self, runtime: Runtime, outcome: Success) -> _Step:
        facts, memory, source = runtime.facts, runtime.memory, runtime.memory.source
        admitted = limits.admit(memory, outcome.poll, runtime.stage.present, facts.clients)
        outcome = replace(outcome, poll=admitted.poll)
        tick = max(source.tick, outcome.steady + runtime.tick_offset)
        # A poll's values may be as old as its start and as new as its end: the meter's refresh and ours add up.
        poll = replace(outcome.poll, refresh=outcome.poll.refresh + outcome.duration)
        changes = ledger.advance(
            memory,
            poll,
            Moment(source.number + 1, tick, outcome.at),
            interval=max(facts.interval, outcome.duration),  # polls that take longer follow each other: no silence
            max_rate=facts.max_rate,
        )
        changes = credit(limits.settle(memory, changes, admitted), memory.totals, self._people)
        clients = {SubjectKey("client", client.site, client.client): client for client in poll.clients}
        gear = {piece.subject: piece for piece in poll.gear}
        plan = runtime.stage.plan(
            memory,
            changes,
            [*clients, *gear],
            self._exposition.generation + 1,
            self._clock.steady(),
            runtime.met,
        )
        waiting = runtime.waiting_gap or (plan.came and changes.source.gaps > source.gaps)
        if plan.landed and not waiting:
            changes = replace(changes, source=replace(changes.source, gaps=changes.source.gaps + 1))
        noted, known = events.note(memory, outcome.poll, changes, plan.left, runtime.known, tick, outcome.at)
        changes = replace(changes, noted=noted)
        return _Step(runtime, outcome, changes, plan, clients, gear, waiting and not plan.landed, known)

    def _commit(self, steps: Sequence[_Step], scraped_at: float | None) -> bool:
        writes = [Write(step.runtime.facts.name, step.changes, step.plan.shown) for step in steps]
        try:
            self._state.commit(writes, scraped_at)
        except StateError as error:
            self._not_committed(str(error))
            return False
        except Exception as error:
            log.exception(FAULT)
            self._not_committed(fault_words(error))
            return False
        if self.commit_error:
            log.info("commits work again")
            self.commit_error = ""
        self._scraped_at = scraped_at if scraped_at is not None else self._scraped_at
        return True

    def _not_committed(self, why: str) -> None:
        self.commit_failures += 1
        if why != self.commit_error:
            log.critical("nothing is published until this is mended: %s", why)
        self.commit_error = why

    def _latest_scrape(self) -> float | None:
        """The wall time of the last scrape, where it is news enough to be written down."""
        last = self._scrapes.last_at
        if last is None:
            return None
        at = self._clock.wall() - (self._clock.steady() - last)
        known = self._scraped_at
        return at if known is None or abs(at - known) >= SCRAPED_AT_STEP else None

    def _adopt(self, step: _Step) -> None:
        """The commit is durable: memory, page and health may follow."""
        runtime, outcome = step.runtime, step.outcome
        name, health = runtime.facts.name, runtime.health
        voice.answers(runtime, self._clock.steady())
        voice.polled(runtime, step.changes, len(step.clients))
        if runtime.memory.source.number:
            runtime.recent.add(step.changes.source.tick - runtime.memory.source.tick, step.changes.increases)
        before = runtime.memory.source
        runtime.memory.take(step.changes, step.plan.shown)
        runtime.stage.adopt(step.plan)
        runtime.waiting_gap = step.waiting_gap
        runtime.events.update(step.changes.events)
        runtime.known = step.known
        if outcome.poll.lasting:
            runtime.meet(step.changes.increases, outcome.at)
        runtime.clients = _remembered(runtime, step)
        known = {subject: piece for subject, piece in runtime.gear.items() if subject in runtime.stage.present}
        runtime.gear = known | dict(step.gear)
        runtime.leaves_at = self._clock.steady() + GAP_INTERVALS * max(runtime.facts.interval, outcome.duration)
        runtime.rows, runtime.rows_limit = outcome.poll.rows, outcome.poll.rows_limit
        runtime.over = outcome.poll.over
        voice.noticed(runtime, outcome.poll.notices)
        runtime.notices = outcome.poll.notices
        health.bad_records.update(outcome.poll.bad_records)
        health.last_success = outcome.at
        health.up = True
        health.last_error = ""
        health.down_since = None
        if self._accounts is None:
            return
        if name in self._unsure:  # the file alone knows whether a commit that failed had reached it
            self._unsure.discard(name)
            self._accounts.close(name)
            self._open_accounts()
        else:
            self._accounts.take(name, before, step.changes)

    def _open_accounts(self) -> None:
        """Of all sources that have none."""
        if self._accounts is not None:
            self._accounts.open(self.runtimes)

    def _failed(self, runtime: Runtime, failure: Failure) -> None:
        voice.failed(runtime, failure.reason, failure.message)
        health = runtime.health
        health.failures[failure.reason] += 1
        health.up = False
        health.last_error = failure.message
        health.last_error_at = failure.at
        if health.down_since is None:
            health.down_since = self._clock.steady() - failure.duration

    def _drop_silent(self) -> None:
        """A source that brought nothing for three intervals leaves the page; its totals stay."""
        now = self._clock.steady()
        gone = [runtime for runtime in self.runtimes.values() if runtime.stage.present and now > runtime.leaves_at]
        for runtime in gone:
            runtime.leave()
        refresh = self._accounts is not None and now - self._accounted_at >= REFRESH
        if refresh:
            self._open_accounts()
        if gone or refresh:
            self._publish(gone)

    def _publish(self, runtimes: Iterable[Runtime], gone: Iterable[str] = ()) -> None:
        """The page, with these sources as they are now, and without those that are gone."""
        common: Blocks | None = None
        if self._accounts is not None:
            self._accounted_at = self._clock.steady()
            try:
                common = self._accounts.blocks(self._clock.wall(), self._privacy)
            except Exception:
                log.exception(FAULT)
        self._exposition.publish(self._render(runtimes), list(gone), common)

    def _render(self, runtimes: Iterable[Runtime]) -> dict[str, Blocks]:
        return {runtime.facts.name: self._blocks(runtime) for runtime in runtimes}

    def _blocks(self, runtime: Runtime) -> Blocks:
        """The source's text. A fault in it is an outage of this source, and of no other."""
        try:
            return runtime.render(self._people, self._privacy)
        except Exception as error:
            log.exception("%s: %s", runtime.facts.name, FAULT)
            self._failed(runtime, Failure("internal", fault_words(error), self._clock.wall(), 0.0))
            runtime.leave()
            return runtime.render(self._people, self._privacy)


class _Step(Struct, frozen=True):
    """One source's poll on its way through a group commit."""

    runtime: Runtime
    outcome: Success
    changes: Changes
    plan: Plan
    clients: Mapping[SubjectKey, Client]
    gear: Mapping[SubjectKey, Gear]
    waiting_gap: bool
    known: events.Known


def marks_of(runtime: Runtime) -> dict[Collection, str]:
    """The life that each collection was last read to the end in, for a source that goes on from there."""
    return {collection: done.mark for collection, done in runtime.memory.collections.items()}


def _resumed(before: Health, now: Health) -> Health:
    """The counts of a source that was away go on; how it went then says nothing about now."""
    now.polls, now.failures, now.bad_records = before.polls, before.failures, before.bad_records
    return now


def _remembered(runtime: Runtime, step: _Step) -> dict[SubjectKey, Client]:
    """What is known of the clients on the page; of those that a complete reading no longer shows, that they left."""
    read = {collection.site for collection in step.outcome.poll.complete if collection.kind == "client"}
    moved = runtime.last_moved
    clients = {
        subject: replace(client, last_seen=moved[subject]) if subject in moved else client
        for subject, client in step.clients.items()
    }
    for subject, client in runtime.clients.items():
        if subject in clients or subject not in runtime.stage.present:
            continue
        clients[subject] = _left(client) if client.site in read and client.connected else client
    return clients


def _left(client: Client) -> Client:
    return replace(
        client,
        connected=False,
        signal_dbm=None,
        satisfaction_ratio=None,
        reported_download=None,
        reported_upload=None,
    )
