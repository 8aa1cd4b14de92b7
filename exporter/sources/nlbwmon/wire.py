"""A connection to a router, and its end: what the libraries leave to be done to be sure of both."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import paramiko

ENDING: Final = 1.0
"""Seconds that the library's thread has to end once its socket is shut."""


def dialled(host: str, port: int, left: Callable[[], float]) -> socket.socket:
    """A connection to the first of the host's addresses that takes one. left: seconds, or raises TimeoutError.

    All addresses share the time that is left, so that one which never answers does not cost the others theirs. Only
    for how long the system looks for a name there is no limit but its own (resolv.conf(5)).
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem: OSError = TimeoutError()
    for place, (family, kind, protocol, _, address) in enumerate(found):
        wire = socket.socket(family, kind, protocol)
        try:
            wire.settimeout(left() / (len(found) - place))
            wire.connect(address)
        except OSError as error:
            wire.close()
            problem = error
        else:
            # A poll is a few small messages to and fro, each of which would wait for the one before to be acknowledged.
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return wire
    raise problem


def shut(wire: socket.socket) -> None:
    """End every wait on it, in whatever thread."""
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def end(transport: paramiko.Transport) -> None:
    """Close one whose socket is shut, and all that runs for it."""
    transport.close()
    # A handshake that failed leaves a timer of the library's own, for which the process would wait at its end.
    transport.packetizer.complete_handshake()
    if transport.ident is not None:
        transport.join(ENDING)
