"""What goes wrong on the way to a router and on it, put into words. The library's own text is not used."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from typing import Any

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from exporter.sources.base import Reason, SourceError

_CLOSED = "the connection was closed"
_NO_SERVER = "no SSH server answers there, or it takes no more connections"
_UP = "check that it is up and can be reached from here"
_CHANGED = (
    "if the router was reset or replaced, check that the key is its own and write it to known_hosts; "
    "if it was not, somebody else is answering"
)

# The exit statuses of `nlbw` (nlbwmon reference, §1.4).
_ENDINGS: dict[int, tuple[Reason, str, str]] = {
    247: (
        "unreachable",
        "nlbwmon is not running, or this user may not read its socket",
        "log in as root; start it with `service nlbwmon start`; where it ends again, `logread -e nlbwmon` says why:"
        " a file in its database_directory is damaged (move the newest away), or database_limit was lowered below it",
    ),
    195: ("protocol", "nlbwmon had no data this time", "if it stays so, `logread -e nlbwmon` on the router says why"),
    127: ("forbidden", "nlbw is not installed", "install it with `opkg install nlbwmon` or `apk add nlbwmon`"),
    126: ("forbidden", "this user may not run nlbw", "log in as root"),
    1: ("protocol", "nlbw did not understand what it was asked", "check that /usr/share/nlbwmon/protocols is there"),
}


def of_status(status: int, where: str) -> SourceError:
    """The error that a poll fails with where `nlbw` ended with this status."""
    reason, what, remedy = _ENDINGS.get(status, ("protocol", f"nlbw ended with status {status}", ""))
    return SourceError(reason, f"{where}: {what}", remedy=remedy)


def refused(where: str) -> SourceError:
    """The error that a poll fails with where the log-in runs neither our commands nor `nlbw`."""
    remedy = "bind the key to the exporter's own command, or to none (docs/openwrt.md)"
    return SourceError(
        "forbidden", f"{where}: this log-in runs neither the exporter's commands nor nlbw", remedy=remedy
    )


def in_words(error: Exception, where: str) -> SourceError:
    """The error that a poll fails with because of what the library or the socket raised."""
    reason, what, remedy = _words(error)
    return SourceError(reason, f"{where}: {what}", remedy=remedy)


def too_slow(where: str) -> SourceError:
    """The error of a poll that was cut off at its deadline."""
    remedy = "check that it is up; where it is only slow, give it a longer `timeout`"
    return SourceError("timeout", f"{where}: no complete answer in time", remedy=remedy)


Words = tuple[Reason, str, str]

# First match wins.
_RULES: tuple[tuple[type[Exception], Callable[[Any], Words]], ...] = (
    (
        paramiko.BadHostKeyException,
        lambda e: ("host_key", f"its host key is another one ({e.key.fingerprint})", _CHANGED),
    ),
    (
        paramiko.BadAuthenticationType,
        lambda e: ("login", f"it takes only {_listed(e.allowed_types)} to log in", "write what it takes"),
    ),
    (
        paramiko.AuthenticationException,
        lambda _: ("login", "the log-in was refused", "check username, and key_file or password"),
    ),
    (
        socket.gaierror,
        lambda _: ("unreachable", "the host name cannot be resolved", "check it and DNS"),
    ),
    (TimeoutError, lambda _: ("timeout", "no connection in time", _UP)),
    (
        IncompatiblePeer,
        lambda _: ("protocol", "it speaks only SSH that is too weak", "update the router"),
    ),
    (OSError, lambda e: ("unreachable", e.strerror or _CLOSED, _UP)),
    (paramiko.SSHException, lambda e: ("unreachable", _NO_SERVER if "banner" in str(e) else _CLOSED, _UP)),
)


def _words(error: Exception) -> Words:
    return next((words(error) for kind, words in _RULES if isinstance(error, kind)), ("unreachable", _CLOSED, _UP))


def _listed(kinds: Collection[object]) -> str:
    """What a server says it takes: text from outside."""
    known = ("publickey", "password", "keyboard-interactive")
    return " or ".join(kind for kind in known if kind in kinds) or "nothing that is known"
