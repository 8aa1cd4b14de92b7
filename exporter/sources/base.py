"""What every source is, and how it says that something outside went wrong."""

from __future__ import annotations

from typing import Final, Literal, Protocol

from exporter.model import Poll

Reason = Literal[
    "unreachable", "tls", "host_key", "timeout", "login", "rate_limited", "forbidden", "protocol", "too_large"
]

REASONS: Final[dict[Reason, str]] = {
    "unreachable": "no connection, or the source's proxy says that what is behind it is not running",
    "tls": "the certificate is not trusted, or the peer does not speak TLS",
    "host_key": "the SSH host key is not the pinned one, or none is pinned",
    "timeout": "the whole poll did not end within the source's timeout",
    "login": "the credentials are wrong, or the session they open is refused",
    "rate_limited": "the source asks to be left alone for `retry_after` seconds",
    "forbidden": "logged in, but this account may not read what was asked for, or it does not exist for it",
    "protocol": "an answer that this source should not give",
    "too_large": "an answer over the size cap",
}


class SourceError(Exception):
    """A poll failed because of something outside the exporter.

    `reason` is one of `REASONS` and fit for a label value. `problem` says what happened and where (the url), `remedy`
    what to do about it; the text of the error is both, and never holds a secret. `retry_after` is how many seconds the
    source asks for before the next try.
    """

    def __init__(self, reason: Reason, problem: str, retry_after: float | None = None, *, remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.reason: Reason = reason
        self.problem = problem
        self.remedy = remedy
        self.retry_after = retry_after


class Source(Protocol):
    """One thing that is polled. It belongs to one thread at a time."""

    def poll(self) -> Poll:
        """Read the source once, whole. Raises `SourceError`, and nothing else for trouble outside."""

    def close(self) -> None:
        """Log out and free the connections. Never raises for trouble outside; polling again opens them anew."""
