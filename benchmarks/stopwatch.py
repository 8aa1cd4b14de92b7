"""CPU seconds by stage."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self


class Stopwatch:
    """CPU seconds of this process in each stage, for one round after the other."""

    def __init__(self) -> None:
        self.rounds: list[dict[str, float]] = []
        self._inner = 0.0
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def next_round(self) -> None:
        """What is measured from here on is another round's."""
        self.rounds.append({})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The CPU seconds of the block, less those of stages inside it, are added to a stage of the round."""
        outer, self._inner = self._inner, 0.0
        begun = time.process_time()
        try:
            yield
        finally:
            spent = time.process_time() - begun
            if self.rounds:
                self.rounds[-1][name] = self.rounds[-1].get(name, 0.0) + spent - self._inner
            self._inner = outer + spent

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Every call of a function or method is part of a stage, until the stopwatch is left."""
        original: Callable[..., Any] = getattr(owner, method)

        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return original(*args, **kwargs)

        setattr(owner, method, timed)
        self._patches.callback(setattr, owner, method, original)

    def cheapest(self, stages: Sequence[str]) -> dict[str, float]:
        """The round whose stages cost least: of all of them, the one that other programs disturbed least."""
        rounds = [{name: each.get(name, 0.0) for name in stages} for each in self.rounds]
        return min(rounds, key=lambda each: sum(each.values()))


def cpu(work: Callable[[], object], rounds: int = 5) -> float:
    """The fewest CPU seconds that the work took."""
    spent = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return min(spent)
