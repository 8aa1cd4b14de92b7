"""Basic authentication by bcrypt hashes, such that a flood of wrong passwords keeps no scrape waiting."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Mapping

import bcrypt
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

AT_ONCE = 2
"""Comparisons at the same time. Each is a core's work for a tenth of a second, with bcrypt's usual cost."""

WAITING = 8
"""Log-ins of one peer that wait for their comparison; further ones are refused until one is done."""

REMEMBERED = 256
"""Log-ins that were found right and are not compared again."""

LONGEST = 72
"""Bytes of a password that bcrypt looks at. Go's and Apache's cut there as well, where Python's raises."""


class TooManyLogins(Exception):
    """More log-ins wait for their comparison than may."""


class Logins:
    """Who has logged in. A log-in that was right is remembered, under a keyed hash, until its user's hash changes."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Lock] = {}
        self._limiter = CapacityLimiter(AT_ONCE)

    async def is_right(self, users: Mapping[bytes, bytes], authorization: str, peer: str) -> bool:
        """Whether a header Authorization names a user and the password. An unknown user takes as long as a known one.

        Raises TooManyLogins. peer: whose log-ins are compared one after the other.
        """
        found = credentials(authorization)
        if found is None:
            return False
        user, password = found
        known = users.get(user)
        # Any user's hash does; the costliest takes as long as any.
        stored = known or max(users.values(), key=lambda each: each[4:6])
        digest = self._digest(user, stored, password)
        if self._is_remembered(digest):
            return True
        if self._waiting[peer] >= WAITING:
            raise TooManyLogins
        self._waiting[peer] += 1
        try:
            async with self._turns.setdefault(peer, asyncio.Lock()):
                if self._is_remembered(digest):
                    return True
                right = await run_sync(bcrypt.checkpw, password[:LONGEST], stored, limiter=self._limiter)
        finally:
            self._waiting[peer] -= 1
            if not self._waiting[peer]:
                del self._waiting[peer]
                self._turns.pop(peer, None)
        if known is None or not right:
            return False
        self._right[digest] = None
        if len(self._right) > REMEMBERED:
            self._right.popitem(last=False)
        return True

    def _is_remembered(self, digest: bytes) -> bool:
        if digest not in self._right:
            return False
        self._right.move_to_end(digest)
        return True

    def _digest(self, user: bytes, stored: bytes, password: bytes) -> bytes:
        # With lengths, so that no part of one can pass for the other.
        parts = len(user).to_bytes(4, "big") + user + len(stored).to_bytes(4, "big") + stored + password
        return hmac.digest(self._key, parts, hashlib.sha256)


def credentials(authorization: str) -> tuple[bytes, bytes] | None:
    """The user and the password of a header (RFC 7617), or None where it holds none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(" "), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
