"""The machine's clocks, as one thing that tests can replace."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Seconds that never go back and that, where the machine can, include the time it was suspended."""
    return time.clock_gettime(_STEADY)


@dataclass(frozen=True, slots=True)
class Clock:
    """wall: Unix seconds, may jump. steady: seconds from an unknown start, for durations."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = steady
