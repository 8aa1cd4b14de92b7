"""A simulated router over real SSH on 127.0.0.1, with switches for what can go wrong on the way."""

from __future__ import annotations

import io
import secrets
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final, Literal, Self

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from exporter.demo.openwrt import shell
from exporter.demo.openwrt.router import Router
from exporter.sources.nlbwmon.settings import NlbwmonSettings

Fault = Literal["", "refusing", "mute", "frozen", "dripping", "flooding", "cut", "motd"]

USER: Final = "root"
BLOCK: Final = b" " * 65536
MOTD: Final = b'BusyBox v1.36.1 built-in shell (ash)\n\n  "W I R E L E S S"  F R E E D O M\n{"columns":[]}\n'
_LOOK: Final = 0.05  # seconds between two looks at whether a silent command has to end
_GONE: Final = (OSError, EOFError, paramiko.SSHException)


class DemoRouter:
    """Serves a router while it is entered: `with DemoRouter(router) as r: …`. Enter again for the same port and key.

    What may be changed while it runs: `fault` (what goes wrong: no connection is taken; the server never says a word;
    a command never ends, or writes a byte each `drip_every` seconds, or without end, or is cut off with its connection
    in the middle; noise comes before the output), `password` ("": only keys are taken) and `authorized` (False: the
    key is not). `commands` holds the latest ones, `connections` how many there were. `folder` has the user's key and
    known_hosts. host_key: a private key in PEM; a new one is made where none is given.
    """

    def __init__(self, router: Router, *, clock: Callable[[], float] = time.time, host_key: str = "") -> None:
        self.router = router
        self.clock = clock
        self.host_key = host_key or _new_key()
        self.password = secrets.token_urlsafe()
        self.authorized = True
        self.fault: Fault = ""
        self.drip_every = 1.0
        self.commands: deque[str] = deque(maxlen=1000)
        self.connections = 0
        self.stopping = Event()
        self.port = 0
        self.user_key = _new_key()
        self._running: tuple[_Listener, tempfile.TemporaryDirectory[str]] | None = None

    @property
    def folder(self) -> Path:
        """Where its files are, while it is entered. Raises RuntimeError at any other time."""
        if self._running is None:
            raise RuntimeError("enter it first: with DemoRouter(router) as demo")
        return Path(self._running[1].name)

    @property
    def fingerprint(self) -> str:
        """Its host key's, as ssh-keygen shows it."""
        fingerprint: str = _read_key(self.host_key).fingerprint
        return fingerprint

    def settings(self, *, by_password: bool = False, timeout: float = 20.0) -> NlbwmonSettings:
        """How a source reaches it. timeout: seconds for a whole poll."""
        return NlbwmonSettings(
            "127.0.0.1",
            str(self.folder / "known_hosts"),
            self.port,
            USER,
            self.password if by_password else "",
            "" if by_password else str(self.folder / "id_ed25519"),
            timeout=timeout,
        )

    def __enter__(self) -> Self:
        folder = tempfile.TemporaryDirectory(prefix="demo-router-")
        self.stopping.clear()
        listener = _Listener(self, self.port)
        self.port = listener.port
        host_key = _read_key(self.host_key)
        Path(folder.name, "known_hosts").write_text(
            f"[127.0.0.1]:{self.port} {host_key.get_name()} {host_key.get_base64()}\n"
        )
        key = Path(folder.name, "id_ed25519")
        key.touch(mode=0o600)
        key.write_text(self.user_key)
        self._running = listener, folder
        listener.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            listener, folder = self._running
            self._running = None
            self.stopping.set()
            listener.close()
            folder.cleanup()


class _Listener:
    """Takes connections. Each has a thread of paramiko's, and each command one of its own; all end with `close`."""

    def __init__(self, demo: DemoRouter, port: int) -> None:
        self._demo = demo
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self._socket.settimeout(_LOOK)
        self.port: int = self._socket.getsockname()[1]
        self._key = _read_key(demo.host_key)
        self._lock = Lock()
        self._transports: list[paramiko.Transport] = []
        self._mute: list[socket.socket] = []
        self._threads: list[Thread] = []
        self.thread = Thread(target=self._serve, name="demo-router", daemon=True)

    def close(self) -> None:
        """Cut all connections and wait for what served them."""
        self.thread.join()
        self._socket.close()
        for wire in self._mute:
            wire.close()
        with self._lock:
            transports, threads = self._transports, self._threads
        for transport in transports:
            transport.close()
        for thread in (*threads, *transports):
            thread.join()

    def run(self, serve: Callable[[], None]) -> None:
        """Do something in a thread of its own."""
        thread = Thread(target=serve, name="demo-router command", daemon=True)
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        while not self._demo.stopping.is_set():
            try:
                wire, _ = self._socket.accept()
            except TimeoutError:
                continue
            if self._demo.fault == "mute":
                self._mute.append(wire)
            elif self._demo.fault == "refusing" or self._demo.router.away:
                wire.close()
            else:
                self._welcome(wire)

    def _welcome(self, wire: socket.socket) -> None:
        self._demo.connections += 1
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = paramiko.Transport(wire)
        transport.daemon = True
        transport.add_server_key(self._key)
        with self._lock:
            self._transports = [each for each in self._transports if each.is_alive()]
            self._transports.append(transport)
        with suppress(*_GONE):
            transport.start_server(event=Event(), server=_Login(self._demo, self, transport, wire))


class _Login(paramiko.ServerInterface):
    """Who may log in to a connection, and what may be run on it."""

    def __init__(
        self, demo: DemoRouter, listener: _Listener, transport: paramiko.Transport, wire: socket.socket
    ) -> None:
        self._demo = demo
        self._listener = listener
        self._transport = transport
        self._wire = wire
        self._key = _read_key(demo.user_key)

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey,password" if self._demo.password else "publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        right = bool(self._demo.password) and compare_digest(password.encode(), self._demo.password.encode())
        return AUTH_SUCCESSFUL if right and username == USER else AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        right = self._demo.authorized and key == self._key
        return AUTH_SUCCESSFUL if right and username == USER else AUTH_FAILED

    def check_channel_request(self, kind: str, _chanid: int) -> int:
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        text = command.decode("utf-8", "replace")
        self._demo.commands.append(text)
        self._listener.run(lambda: self._run(channel, text))
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        demo = self._demo
        with suppress(*_GONE):
            # Its answer can only come in when the request to run a command was answered, and nothing may precede that.
            self._transport.global_request("keepalive@openssh.com")
        demo.router.advance(demo.clock())
        if demo.router.away:
            self._transport.close()
            return
        reply = shell.run(demo.router, command)
        with suppress(*_GONE), channel:
            for part in self._parts(reply.out.encode()):
                channel.sendall(part)
            if demo.fault == "cut":
                self._transport.close()
                return
            channel.sendall_stderr(reply.error.encode())
            channel.send_exit_status(reply.status)
        with suppress(OSError):
            # What the client says last, it says alone: its next command would wait for that to be acknowledged.
            self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _parts(self, output: bytes) -> Iterator[bytes]:
        """The output as the fault of the moment lets it through."""
        demo = self._demo
        match demo.fault:
            case "frozen":
                while self._transport.is_active() and not demo.stopping.wait(_LOOK):
                    continue
            case "dripping":
                for position in range(len(output)):
                    yield output[position : position + 1]
                    if demo.stopping.wait(demo.drip_every):
                        return
            case "flooding":
                while not demo.stopping.is_set():
                    yield BLOCK
            case "cut":
                yield output[: len(output) // 2]
            case "motd":
                yield MOTD + output
            case _:
                yield output


def _new_key() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def _read_key(pem: str) -> paramiko.PKey:
    return paramiko.Ed25519Key(file_obj=io.StringIO(pem))
