"""The login limit of controllers, kept per account by all sources of the process.

Controllers count the logins of an account, the right ones too, and answer 429 after five or six in a minute; each
further try makes it last longer (UniFi reference, section 2). So nobody tries before the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple
from urllib.parse import urlsplit

FIRST_PAUSE = 60.0
"""Seconds; the limit lasts one to two minutes, and no Retry-After was ever recorded."""

LONGEST_PAUSE = 900.0
"""Seconds; no header makes it longer either."""


class Account(NamedTuple):
    """A user of a controller, however its url is written."""

    host: str
    port: int
    username: str

    @classmethod
    def of(cls, url: str, username: str) -> Account:
        """The account that a url and a user name mean."""
        parts = urlsplit(url)
        return cls((parts.hostname or "").rstrip("."), parts.port or 443, username)


@dataclass(slots=True)
class _Limit:
    until: float
    pause: float


class Logins:
    """When an account may log in again. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: dict[Account, _Limit] = {}
        self._turns: dict[Account, Lock] = {}
        self._lock = Lock()

    @contextmanager
    def turn(self, account: Account, seconds: float) -> Iterator[None]:
        """Be the only one to log in with an account, so that all who wait learn of a limit from the first.

        Raises TimeoutError where the turn does not come within so many seconds.
        """
        with self._lock:
            mine = self._turns.setdefault(account, Lock())
        if not mine.acquire(timeout=max(0.0, seconds)):
            raise TimeoutError("others are logging in")
        try:
            yield
        finally:
            mine.release()

    def pause(self, account: Account) -> float:
        """Seconds until the account may log in, 0 if it may at once."""
        with self._lock:
            limit = self._limits.get(account)
            return max(0.0, limit.until - self._clock()) if limit else 0.0

    def limited(self, account: Account, asked: float | None) -> float:
        """Note that the controller refused a login. `asked`: the seconds it wants, if it says. Returns the pause.

        Where it says nothing, each pause is twice as long as the one before.
        """
        with self._lock:
            before = self._limits.get(account)
            doubled = before.pause * 2 if before else FIRST_PAUSE
            pause = min(LONGEST_PAUSE, asked or doubled)
            self._limits[account] = _Limit(self._clock() + pause, min(LONGEST_PAUSE, doubled))
            return pause

    def worked(self, account: Account) -> None:
        """Note that a login was accepted."""
        with self._lock:
            self._limits.pop(account, None)


LOGINS = Logins()
"""The accounts of this process."""
