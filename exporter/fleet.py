"""The sources that are polled: started, changed while they run, and ended, none of them waiting for another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from exporter.clock import Clock
from exporter.committer import Committer, marks_of
from exporter.model import Collection
from exporter.poller import Poller
from exporter.runtime import SourceFacts
from exporter.sources import Source

log = logging.getLogger(__name__)

LET_IN = 30.0
"""Seconds that a poll under way has to come in where its source is changed or removed."""

LOOK = 0.05
"""Seconds between two looks at whether it has."""

Marks = Mapping[Collection, str]


class Planned(Struct, frozen=True):
    """A source as it is wanted.

    entry: all that makes it another thing to poll where it changes, compared by value. make: the source itself, given
    the life that each of its collections was last read to the end in.
    """

    facts: SourceFacts
    make: Callable[[Marks], Source]
    entry: object = None


def fixed(facts: SourceFacts, source: Source) -> Planned:
    """A source that is there already."""
    return Planned(facts, lambda _: source)


class Fleet:
    """A poller for each source. `change` is called by one thread at a time; `stop` may come at any moment."""

    def __init__(self, committer: Committer, planned: Iterable[Planned], clock: Clock) -> None:
        """The committer has the sources already."""
        self._committer = committer
        self._clock = clock
        self._planned = {each.facts.name: each for each in planned}
        self._ending = threading.Event()
        self._guard = threading.Lock()
        self._leaving: list[Poller] = []
        self.pollers = {
            name: self._poller(each, marks_of(committer.runtimes[name])) for name, each in self._planned.items()
        }

    def _poller(self, planned: Planned, marks: Marks) -> Poller:
        facts = planned.facts
        source = planned.make(marks)
        return Poller(facts.name, source, self._committer.submit, interval=facts.interval, clock=self._clock)

    def start(self) -> None:
        """Begin to poll."""
        for poller in self.pollers.values():
            poller.start()

    def stop(self, until: float) -> None:
        """Begin no poll any longer, and wait for those under way until then (monotonic)."""
        with self._guard:
            self._ending.set()
            pollers = list(self.pollers.values())
        for poller in pollers:
            poller.stop()
        late = [poller for poller in pollers if not poller.ended.wait(max(0.0, until - time.monotonic()))]
        for poller in late:
            poller.abandon()
        if late:
            names = ", ".join(poller.name for poller in late)
            log.warning("the polls under way are given up; the next start counts their bytes: %s", names)

    def join(self, until: float) -> None:
        """Wait for sources that are being closed, until then (monotonic)."""
        for poller in (*self.pollers.values(), *self._leaving):
            poller.join(max(0.0, until - time.monotonic()))

    def change(self, planned: Sequence[Planned], adjust: Callable[[], None]) -> None:
        """Poll these sources from now on, and no others. adjust: a step of the committer's that goes with it.

        What is the same as before is left as it is. Raises StateError, with nothing changed, and EndedError.
        """
        wanted = {each.facts.name: each for each in planned}
        came = [each for name, each in wanted.items() if name not in self._planned]
        runtimes = [self._committer.begin(each.facts) for each in came]
        new = [(each, self._poller(each, marks_of(runtime))) for each, runtime in zip(came, runtimes, strict=True)]
        ending = {
            name: self.pollers[name]
            for name, before in self._planned.items()
            if name not in wanted or wanted[name].entry != before.entry
        }
        stay = [each for name, each in wanted.items() if name in self._planned and name not in ending]
        for poller in ending.values():
            poller.stop()

        def step() -> None:
            self._committer.admit(runtimes)
            for each in stay:
                self._committer.revise(each.facts)
            adjust()

        self._committer.perform(step)
        self._planned.update({each.facts.name: each for each in stay})
        for each, poller in new:
            self._launch(each, poller)
            log.info("%s: added", each.facts.name)
        self._hand_over(ending, wanted)
        self._committer.perform(partial(self._committer.arrange, [name for name in wanted if name in self._planned]))

    def _hand_over(self, ending: Mapping[str, Poller], wanted: Mapping[str, Planned]) -> None:
        """Replace each poller once its poll under way came in, or has had the time to."""
        waiting = dict(ending)
        until = time.monotonic() + LET_IN
        while waiting:
            for name, poller in list(waiting.items()):
                if not poller.ended.is_set():
                    if time.monotonic() < until:
                        continue
                    poller.abandon()
                    log.warning("%s: the poll under way is given up; a later one counts its bytes", name)
                del waiting[name]
                self._replace(name, wanted.get(name))
                self._leaving = [poller, *(each for each in self._leaving if each.running)]
            if waiting and self._ending.wait(LOOK):
                return

    def _replace(self, name: str, planned: Planned | None) -> None:
        if planned is None:
            self._committer.perform(partial(self._committer.dismiss, name))
            with self._guard:
                self.pollers = {other: each for other, each in self.pollers.items() if other != name}
            del self._planned[name]
            log.info("%s: removed; its totals stay in the state", name)
            return
        marks = self._committer.perform(partial(self._committer.revise, planned.facts))
        self._launch(planned, self._poller(planned, marks))
        log.info("%s: changed, and polled as it is now configured", name)

    def _launch(self, planned: Planned, poller: Poller) -> None:
        with self._guard:
            if self._ending.is_set():
                return
            self.pollers = {**self.pollers, poller.name: poller}
            self._planned[poller.name] = planned
            poller.start()
