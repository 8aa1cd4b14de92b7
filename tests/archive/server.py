"""A real PostgreSQL in a temporary folder, and a proxy before it that cuts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg2

from tests.e2e.stack import PAUSE, eventually, free_port

OWNER: Final = "owner"
FEEDER: Final = "feeder"
PASSWORDS: Final = {"postgres": "root's 100%/word", OWNER: "owner's:p@ss/word", FEEDER: "feeder's p@ss:word"}
NOBODY: Final = 65534


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs. Debian keeps the server's beside each other, by version."""
    places = [Path(name) for name in (shutil.which(name),) if name]
    places += sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    assert places, f"there is no {name}: install PostgreSQL (scripts/setup-tests does it on Debian and Ubuntu)"
    return str(places[-1])


class Server:
    """Started once for all tests, with another time zone than ours. folder: may be reached by everybody."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._data = folder / "data"
        self._numbers = count()
        # initdb refuses to run as root.
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, NOBODY, NOBODY)
        secret = folder / "password"
        secret.write_text(PASSWORDS["postgres"])
        secret.chmod(0o644)
        self._run(
            program("initdb"), "-D", str(self._data), "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}",
            "-E", "UTF8", "--no-sync", "--no-locale",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n"
                "timezone = 'Pacific/Kiritimati'\nfsync = off\nfull_page_writes = off\nmax_connections = 40\n"
                "jit = off\n"  # compiling a view takes longer than all else here
            )
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, cwd="/", capture_output=True, text=True, check=False, user=self._user, group=self._user
        )
        assert done.returncode == 0, f"{command[0]}: {done.stderr}{done.stdout}"

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("postgres"), "-D", str(self._data)],
                cwd="/", stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=self._user,
                group=self._user,
            )  # fmt: skip
        eventually("PostgreSQL answers", self._answers, within=60)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()[-3000:]
        with suppress(psycopg2.OperationalError):
            self.connect("postgres").close()
            return True
        return False

    def stop(self, how: int = 2) -> None:
        """By SIGINT as it is: those who are connected are cut off."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(60)

    def connect(self, database: str, user: str = "postgres", port: int = 0) -> Any:
        return psycopg2.connect(
            host="127.0.0.1", port=port or self.port, dbname=database, user=user, password=PASSWORDS[user]
        )

    def make(self, template: str = "template1") -> Database:
        """A database of its own, as a copy of another one, with roles that all databases share."""
        name = f"bandwidth_{os.getpid()}_{next(self._numbers)}"
        with closing(self.connect("postgres")) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for role in (OWNER, FEEDER):
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD %s", (PASSWORDS[role],))
            cursor.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}")
        return Database(self, name)


class Database:
    """One database, looked at by its owner."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name

    def url(self, user: str = FEEDER, port: int = 0) -> str:
        return f"postgresql://{user}@127.0.0.1:{port or self.server.port}/{self.name}"

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(self.server.connect(self.name, OWNER)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            return rows

    def shut(self) -> None:
        """Throw everybody out and let nobody in, until `open`."""
        self._as_root(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
        self._as_root("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", self.name)

    def open(self) -> None:
        """Let everybody in again."""
        self._as_root(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")

    def drop(self) -> None:
        self._as_root(f"DROP DATABASE {self.name} WITH (FORCE)")

    def _as_root(self, statement: str, *values: object) -> None:
        with closing(self.server.connect("postgres")) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(statement, values or None)


class Proxy:
    """Hands bytes on between a client and the server, until `cuts` says otherwise of what the client sends.

    cuts: called with each piece from the client; True forwards it, waits for the server's answer, and hands on none of
    it. So a COMMIT is done, and nobody is told. frozen: take what is sent and answer nothing.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts: Callable[[bytes], bool] = lambda _: False
        self.cut = 0
        self.frozen = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._upstream))
            silent = threading.Event()
            threading.Thread(target=self._forth, args=(client, server, silent), daemon=True).start()
            threading.Thread(target=self._back, args=(client, server, silent), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket, silent: threading.Event) -> None:
        with suppress(OSError):
            while piece := client.recv(1 << 16):
                if not silent.is_set() and self.cuts(piece):
                    silent.set()
                server.sendall(piece)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _back(self, client: socket.socket, server: socket.socket, silent: threading.Event) -> None:
        with suppress(OSError):
            while piece := server.recv(1 << 16):
                while self.frozen:
                    PAUSE.wait(0.02)
                if silent.is_set():
                    self.cut += 1
                    break
                client.sendall(piece)
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def proxy(upstream: int) -> Iterator[Proxy]:
    """A proxy that is taken down in the end."""
    it = Proxy(upstream)
    try:
        yield it
    finally:
        it.close()
