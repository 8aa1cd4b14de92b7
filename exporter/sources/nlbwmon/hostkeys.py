"""The host keys that a router shows, asked for one kind after the other. Nobody logs in, and nothing is trusted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from exporter.sources.base import SourceError
from exporter.sources.nlbwmon import trouble, wire
from exporter.sources.nlbwmon.keys import WEAK
from exporter.sources.nlbwmon.settings import NlbwmonSettings

KINDS: Final = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)
"""The best first, and what each kind of key can sign with."""

RSA: Final = "ssh-rsa"

_TROUBLE: Final = (paramiko.SSHException, OSError, EOFError, ValueError)


def shown(settings: NlbwmonSettings) -> list[paramiko.PKey]:
    """The router's host keys, the best first, and at least one. Raises SourceError, within the settings' timeout."""
    until = time.monotonic() + settings.timeout
    keys: list[paramiko.PKey] = []
    failure = trouble.in_words(IncompatiblePeer(), settings.where)
    for kinds in KINDS:
        try:
            keys.append(_shown(settings, kinds, until))
        except SourceError as error:
            if error.reason == "timeout" and not keys:
                raise
            # Some dropbears break off when they are asked for a kind of key that they have none of.
            failure = error if error.reason != "protocol" else failure
    if not keys:
        raise failure
    return keys


def judged(keys: list[paramiko.PKey], pinned: Mapping[str, paramiko.PKey]) -> tuple[list[str], list[str]]:
    """The kinds of pinned keys that the router shows as they are, and those that it shows another of, or none."""
    by_kind = {key.get_name(): key for key in keys}
    same = [kind for kind, key in pinned.items() if by_kind.get(kind) == key]
    return same, [kind for kind in pinned if kind not in same]


def described(key: paramiko.PKey) -> str:
    """A key as ssh-keygen shows it: `ssh-ed25519 SHA256:…`."""
    return f"{key.get_name()} {key.fingerprint}"


def _shown(settings: NlbwmonSettings, kinds: tuple[str, ...], until: float) -> paramiko.PKey:
    """The key of one of these kinds. Raises SourceError, with the reason "protocol" where the router has none."""
    expired = threading.Event()
    connected: socket.socket | None = None
    try:
        connected = wire.dialled(settings.host, settings.port, partial(_left, until))
        watchdog = threading.Timer(_left(until), _cut, (connected, expired))
        watchdog.daemon = True
        watchdog.start()
        try:
            return _handshake(connected, kinds, until)
        finally:
            watchdog.cancel()
            watchdog.join()
    except _TROUBLE as error:
        if expired.is_set() or time.monotonic() >= until:
            raise trouble.too_slow(settings.where) from None
        raise trouble.in_words(error, settings.where) from None
    finally:
        if connected:
            connected.close()


def _handshake(connected: socket.socket, kinds: tuple[str, ...], until: float) -> paramiko.PKey:
    transport = paramiko.Transport(connected, disabled_algorithms=WEAK)
    try:
        left = _left(until)
        transport.banner_timeout = transport.handshake_timeout = left
        transport.get_security_options().key_types = kinds
        transport.start_client(timeout=left)
        return transport.get_remote_server_key()
    finally:
        wire.shut(connected)
        wire.end(transport)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _cut(connected: socket.socket, expired: threading.Event) -> None:
    """The watchdog's: the library's own timeouts begin anew with every byte."""
    expired.set()
    wire.shut(connected)
