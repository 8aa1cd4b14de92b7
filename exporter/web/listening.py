"""The address that the exporter listens on, and why it cannot be had."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from typing import Final

from exporter.config.values import Listen

ELSEWHERE: Final = "choose another place with web.listen"

UNSENT: Final = 16 * 1024
"""Bytes that the system may keep for a peer that is not ready for them."""

_REFUSALS: Final[Mapping[int, tuple[str, str]]] = {
    errno.EADDRINUSE: ("another exporter or another program listens there", f"end that one, or {ELSEWHERE}"),
    errno.EADDRNOTAVAIL: ("this is no address of this machine", "listen on one that it has, 127.0.0.1 or 0.0.0.0"),
    errno.EACCES: ("this user may not listen there", "choose a port from 1024 on with web.listen"),
}


def listen(place: Listen, backlog: int = 128) -> socket.socket:
    """A socket that listens. Raises OSError as the system has it; see `refusal`."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    listener = socket.create_server(place, family=family, backlog=backlog)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Connections inherit it. Without it the system takes megabytes for us that the peer may never read, and a
        # scrape that broke off would count as answered.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    return listener


def refusal(error: OSError) -> tuple[str, str]:
    """Why `listen` failed, and what to do about it."""
    if isinstance(error, socket.gaierror) or isinstance(error.__context__, socket.gaierror):
        return "the host name cannot be resolved", ELSEWHERE
    return _REFUSALS.get(error.errno or 0, (f"it cannot be used ({error.strerror})", ELSEWHERE))
