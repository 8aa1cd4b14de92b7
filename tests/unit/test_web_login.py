"""Passwords: what a header says, what is remembered, and how many may wait."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Coroutine
from typing import Any

import pytest

from exporter.web.guard import network_of
from exporter.web.login import WAITING, Logins, TooManyLogins, credentials
from tests.webserver import hashed

USERS = {b"alice": hashed("secret").encode(), b"bob": hashed("other", 5).encode()}


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (header("alice", "secret"), (b"alice", b"secret")),
        (header("alice", "a:b"), (b"alice", b"a:b")),
        (header("", ""), (b"", b"")),
        ("bAsIc  YTpi", (b"a", b"b")),
        ("Basic YQ==", None),
        ("Basic a", None),
        ("Basic ä", None),
        ("Basic YTpi YTpi", None),
        ("Bearer YTpi", None),
        ("", None),
    ],
)
def test_what_a_header_says(written: str, found: tuple[bytes, bytes] | None) -> None:
    assert credentials(written) == found


def at_once(work: Coroutine[Any, Any, bool]) -> bool | None:
    """What it answers without waiting for anything; None where it would wait."""
    try:
        work.send(None)
    except StopIteration as end:
        return bool(end.value)
    work.close()
    return None


def test_the_right_password_and_no_other() -> None:
    async def check() -> None:
        logins = Logins()
        assert await logins.is_right(USERS, header("alice", "secret"), "a")
        assert await logins.is_right(USERS, header("bob", "other"), "a")
        for user, password in (
            ("alice", "other"),
            ("alice", "secre"),
            ("alice", "secret\0"),
            ("alice", ""),
            ("Alice", "secret"),
            ("nobody", "secret"),
            ("", ""),
            ("alice", "x" * 5000),
        ):
            assert not await logins.is_right(USERS, header(user, password), "a")

    asyncio.run(check())


def test_passwords_end_where_bcrypt_stops_looking() -> None:
    """As they do for Prometheus itself, so that one file means the same to both."""
    users = {b"long": hashed("x" * 72).encode()}
    assert asyncio.run(Logins().is_right(users, header("long", "x" * 72 + "y"), "a"))
    assert not asyncio.run(Logins().is_right(users, header("long", "x" * 71), "a"))


def test_a_right_one_is_remembered_until_the_hash_changes() -> None:
    async def check() -> None:
        logins, right = Logins(), header("alice", "secret")
        assert await logins.is_right(USERS, right, "a")
        assert at_once(logins.is_right(USERS, right, "b")) is True
        fewer = {b"alice": USERS[b"alice"]}
        assert at_once(logins.is_right(fewer, right, "a")) is True
        changed = {b"alice": hashed("new").encode()}
        assert at_once(logins.is_right(changed, right, "a")) is None
        assert not await logins.is_right(changed, right, "a")
        gone = {b"bob": USERS[b"bob"]}
        assert not await logins.is_right(gone, right, "a")

    asyncio.run(check())


def test_a_wrong_one_is_compared_each_time() -> None:
    async def check() -> None:
        logins = Logins()
        for user in ("alice", "nobody"):
            assert not await logins.is_right(USERS, header(user, "wrong"), "a")
            assert at_once(logins.is_right(USERS, header(user, "wrong"), "a")) is None

    asyncio.run(check())


def test_a_flood_waits_for_itself_alone() -> None:
    async def check() -> None:
        logins, right = Logins(), header("alice", "secret")
        users = {b"alice": hashed("secret", 10).encode()}
        assert await logins.is_right(users, right, "scraper")
        flood = [asyncio.create_task(logins.is_right(users, header("alice", str(n)), "flood")) for n in range(100)]
        await asyncio.sleep(0)
        assert at_once(logins.is_right(users, right, "flood")) is True
        assert await logins.is_right(users, header("alice", "secret"), "someone")
        with pytest.raises(TooManyLogins):
            await logins.is_right(users, header("alice", "new"), "flood")
        answers = await asyncio.gather(*flood, return_exceptions=True)
        assert answers.count(False) == WAITING
        assert sum(isinstance(answer, TooManyLogins) for answer in answers) == 100 - WAITING
        assert not await logins.is_right(users, header("alice", "new"), "flood")

    asyncio.run(check())


def test_who_counts_as_one_peer() -> None:
    assert network_of("192.168.1.5") == network_of("::ffff:192.168.1.5") == "192.168.1.5"
    assert network_of("fe80::1%eth0") == network_of("fe80::ffff:2") != network_of("fe80:0:0:1::1")
    assert network_of("") == ""
