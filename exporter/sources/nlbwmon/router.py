"""One SSH connection to a router, kept open, on which one command at a time is run, with a deadline and a size cap.

The library's own timeouts do not cover all waits, and count each read anew (nlbwmon reference, §4.2). So a watchdog
shuts the socket at the deadline, which ends every wait there is.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from functools import partial
from typing import Any, Final

import paramiko

from exporter.sources.base import SourceError
from exporter.sources.nlbwmon import trouble, wire
from exporter.sources.nlbwmon.keys import disabled_for, pinned_kinds, private_key
from exporter.sources.nlbwmon.settings import NlbwmonSettings

OUTPUT_LIMIT: Final = 32 * 1024 * 1024
LAST_WORD: Final = 2.0  # seconds after its output that a command's status is waited for
_CHUNK: Final = 64 * 1024
_TROUBLE: Final = (paramiko.SSHException, OSError, EOFError)

# Its thread writes tracebacks of its own for what we say in words.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class _Connection:
    """An open connection. Freed by `close` alone: the library's thread would live on without it."""

    def __init__(self, settings: NlbwmonSettings, connected: socket.socket, until: float) -> None:
        self.client = paramiko.SSHClient()
        kinds, key = pinned_kinds(settings), private_key(settings)
        self.client.load_host_keys(settings.known_hosts)
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        left = max(0.1, until - time.monotonic())
        try:
            self.client.connect(
                settings.host,
                settings.port,
                settings.username,
                password=settings.password or None,
                pkey=key,
                sock=connected,
                timeout=left,
                banner_timeout=left,
                auth_timeout=left,
                channel_timeout=left,
                look_for_keys=False,
                allow_agent=False,
                disabled_algorithms=disabled_for(kinds),
                transport_factory=partial(_transport, left),
            )
            transport = self.client.get_transport()
            if transport is None:
                raise EOFError
        except BaseException:
            wire.shut(connected)
            self.close()
            raise
        self.transport = transport
        self.fingerprint: str = transport.get_remote_server_key().fingerprint

    def close(self) -> None:
        """Free all but the socket, which has to be shut already where the other side may stand still."""
        transport = self.client.get_transport()
        self.client.close()
        if transport:
            wire.end(transport)


class Router:
    """Runs commands on one router. It belongs to one thread; call `begin` before the commands of one poll.

    connections: how many were opened so far. status: what the last command ended with; None where it was not told.
    """

    def __init__(self, settings: NlbwmonSettings, output_limit: int = OUTPUT_LIMIT) -> None:
        """output_limit: bytes that one command may write."""
        self._settings = settings
        self._limit = output_limit
        self._until = 0.0
        self._wire: socket.socket | None = None
        self._connection: _Connection | None = None
        self._expired = False
        self.connections = 0
        self.status: int | None = None

    def begin(self) -> None:
        """All commands from here on have to end within the settings' timeout."""
        self._until = time.monotonic() + self._settings.timeout

    @property
    def fingerprint(self) -> str:
        """The host key's, of the connection that is open: `SHA256:` and base64, as ssh-keygen shows it. "" if none."""
        return self._connection.fingerprint if self._connection else ""

    def run(self, command: str) -> bytes:
        """All that a command writes. Raises SourceError."""
        reused = self._connection is not None
        self._expired = False
        watchdog = threading.Timer(max(0.0, self._until - time.monotonic()), self._expire)
        watchdog.daemon = True
        watchdog.start()
        try:
            try:
                return self._run(command)
            except _TROUBLE:
                if not reused or self._expired:
                    raise
                self.close()  # it was closed from the other side since the last poll
                return self._run(command)
        except SourceError:
            self.close()
            raise
        except (*_TROUBLE, ValueError) as error:
            self.close()
            if self._expired or time.monotonic() >= self._until:
                raise trouble.too_slow(self._settings.where) from None
            raise trouble.in_words(error, self._settings.where) from None
        finally:
            watchdog.cancel()
            watchdog.join()

    def close(self) -> None:
        """Free the connection; running a command opens it anew."""
        connection, self._connection = self._connection, None
        connected, self._wire = self._wire, None
        if connected:
            wire.shut(connected)
        if connection:
            connection.close()
        if connected:
            connected.close()

    def _run(self, command: str) -> bytes:
        connection = self._connected()
        with connection.transport.open_session(timeout=self._left()) as channel:
            channel.settimeout(self._left())
            # Two streams would have to be emptied in turn, or one of them fills up and both stand still.
            channel.set_combine_stderr(True)
            channel.exec_command(command)
            output = self._read(channel)
            self.status = channel.exit_status if self._ended(channel) else None
            return output

    def _read(self, channel: paramiko.Channel) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := channel.recv(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > self._limit:
                where = self._settings.where
                what = f"{where}: the answer is longer than {self._limit} bytes and was not read further"
                raise SourceError("too_large", what, remedy="check what the router's shell writes")
        if self._expired or not self._alive():
            raise EOFError  # cut off is not the end
        return b"".join(parts)

    def _ended(self, channel: paramiko.Channel) -> bool:
        """Whether the command's status came. It is told after all output, and not by every server."""
        return channel.status_event.wait(min(LAST_WORD, self._left())) and channel.exit_status >= 0

    def _alive(self) -> bool:
        return self._connection is not None and self._connection.transport.is_active()

    def _connected(self) -> _Connection:
        if self._connection is None:
            self._wire = wire.dialled(self._settings.host, self._settings.port, self._left)
            self._connection = _Connection(self._settings, self._wire, self._until)
            self.connections += 1
        return self._connection

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _expire(self) -> None:
        """The watchdog's: from another thread, nothing but the socket is touched."""
        self._expired = True
        connected = self._wire
        if connected:
            wire.shut(connected)


def _transport(left: float, sock: socket.socket, **options: Any) -> paramiko.Transport:
    """One whose handshake has the time that is left (seconds), where the library would allow 15 seconds."""
    transport = paramiko.Transport(sock, **options)
    transport.handshake_timeout = left
    return transport
