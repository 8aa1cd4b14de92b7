"""A router over real SSH: OpenSSH and dropbear, and everything that can go wrong on the way."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.model import Poll, Reading
from exporter.sources.base import SourceError
from exporter.sources.nlbwmon import NlbwmonSource
from exporter.sources.nlbwmon.router import Router
from tests.e2e.stack import eventually
from tests.nlbwmon.fakes import programs
from tests.nlbwmon.recorded import CSV
from tests.nlbwmon.servers import PASSWORD, Kind, Server

KINDS: tuple[Kind, ...] = ("openssh", "dropbear")


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server(request.param)
    yield running
    running.close()


def client_readings(poll: Poll) -> list[Reading]:
    return [reading for reading in poll.readings if reading.counter.kind == "client"]


def failed(source: NlbwmonSource) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.poll()
    return caught.value


def reason(
    server: Server, *, key_file: str | None = None, password: str = "", passphrase: str = "", timeout: float = 10.0
) -> str:
    settings = server.settings(key_file=key_file, password=password, passphrase=passphrase, timeout=timeout)
    source = NlbwmonSource(settings)
    error = failed(source)
    source.close()
    assert PASSWORD not in str(error)
    return error.reason


def test_a_poll(server: Server) -> None:
    source = NlbwmonSource(server.settings())
    first, second = source.poll(), source.poll()
    assert len(client_readings(first)) == 15
    assert first.identity == server.fingerprint()
    assert first.complete == second.complete
    assert {client.client for client in first.clients} == {
        "02:aa:bb:cc:dd:01",
        "02:aa:bb:cc:dd:02",
        "10.8.0.2",
        "10.8.0.3",
    }
    assert first.refresh == 8.0
    source.close()
    assert len(client_readings(source.poll())) == 15
    source.close()


def test_json_that_cannot_be_read_is_read_as_csv(server: Server) -> None:
    programs(server.folder / "bin", CSV)
    source = NlbwmonSource(server.settings())
    assert len(client_readings(source.poll())) == 15
    source.close()


def test_ways_to_log_in(server: Server) -> None:
    assert reason(server, key_file="", password=PASSWORD) == "forbidden"  # logged in, and there is no nlbw
    assert reason(server, key_file="", password="wrong") == "login"
    assert reason(server, key_file=server.stranger()) == "login"
    assert reason(server, key_file=str(server.folder / "absent")) == "login"
    assert reason(server, key_file=str(server.folder / "known_hosts")) == "login"
    key = server.folder / "locked"
    key.write_bytes((server.folder / "user").read_bytes())
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "sesame", "-f", str(key)], check=True, capture_output=True)
    assert NlbwmonSource(server.settings(key_file=str(key), passphrase="sesame")).poll().readings
    assert reason(server, key_file=str(key)) == "login"
    assert reason(server, key_file=str(key), passphrase="wrong") == "login"


def test_host_keys(server: Server) -> None:
    server.pin("ed25519", place="[other]:22")
    assert reason(server) == "host_key"
    server.pin("stranger")
    assert reason(server) == "host_key"
    server.pin("rsa")
    assert reason(server) != ""
    server.pin("ed25519", place="127.0.0.1")
    assert reason(server) == "host_key"
    server.pin("rsa", "ed25519")
    assert NlbwmonSource(server.settings()).poll().readings
    known_hosts = server.folder / "known_hosts"
    known_hosts.write_text("@revoked x ssh-ed25519 AAAA\n")
    assert reason(server) == "host_key"
    known_hosts.unlink()
    assert reason(server) == "host_key"


@pytest.mark.parametrize("kind", KINDS)
def test_only_an_rsa_key_is_pinned(kind: Kind) -> None:
    server = Server(kind, key="rsa")
    source = NlbwmonSource(server.settings())
    assert source.poll().identity == server.fingerprint("rsa")
    source.close()
    server.close()


def test_a_changed_host_key_is_refused_on_a_connection_that_comes_back(server: Server) -> None:
    source = NlbwmonSource(server.settings())
    source.poll()
    server.kill()
    server.restart("rsa")
    assert failed(source).reason in {"host_key", "protocol", "unreachable"}


def test_a_server_that_was_killed_is_reached_again_in_the_next_poll(server: Server) -> None:
    source = NlbwmonSource(server.settings())
    source.poll()
    server.kill()
    assert failed(source).reason == "unreachable"
    server.restart()
    assert source.poll().readings
    server.kill()
    server.restart()
    assert source.poll().readings
    source.close()


def test_a_frozen_server_costs_one_timeout(server: Server) -> None:
    source = NlbwmonSource(server.settings(timeout=1.5))
    source.poll()
    server.freeze()
    for _ in range(2):
        began = time.monotonic()
        assert failed(source).reason == "timeout"
        assert time.monotonic() - began < 5.0
    server.thaw()
    assert source.poll().readings
    source.close()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("while :; do printf x; sleep 0.1; done", "timeout"),
        ("sleep 60", "timeout"),
        ("yes", "too_large"),
        ("yes >&2", "timeout"),
        ("exit 247", "unreachable"),
        ("exit 195", "protocol"),
        ("exit 127", "forbidden"),
        ("echo nothing of the kind", "protocol"),
        ("kill -9 $PPID", "protocol"),
    ],
)
def test_what_nlbw_may_do(server: Server, script: str, expected: str) -> None:
    server.nlbw(script)
    source = NlbwmonSource(server.settings(timeout=2.0), output_limit=1_000_000)
    began = time.monotonic()
    assert failed(source).reason == expected
    assert time.monotonic() - began < 6.0
    source.close()


def test_noise_of_a_profile_does_no_harm(server: Server) -> None:
    shell = server.folder / "force"
    noise = "head -c 300000 /dev/zero >&2; echo '{Welcome}'; "
    shell.write_text(shell.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{noise}"))
    source = NlbwmonSource(server.settings())
    assert source.poll().readings
    source.close()


def test_a_command_runs_with_its_quotes(server: Server) -> None:
    router = Router(server.settings())
    router.begin()
    assert router.run("printf %s " + shlex.quote("a'b\"c$d")) == b"a'b\"c$d"
    router.close()


def test_nobody_there_and_no_ssh_there() -> None:
    server = Server("dropbear")
    server.kill()
    assert reason(server) == "unreachable"
    with socket.create_server(("127.0.0.1", server.port)) as silent:
        assert reason(server, timeout=1.0) == "timeout"
        speaker = threading.Thread(target=_speak_http, args=(silent,))
        speaker.start()
        assert reason(server, timeout=5.0) == "unreachable"
        speaker.join()
    server.close()


def _speak_http(listener: socket.socket) -> None:
    for _ in range(2):  # the first is the one that timed out above
        wire, _ = listener.accept()
        with wire:
            wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("banner", [b"", b"SSH-2.0-dropbear\r\n"])
def test_a_handshake_that_stands_still_leaves_no_thread(banner: bytes) -> None:
    """The library's own timer of 15 seconds would keep the process from ending."""
    server = Server("dropbear")
    server.kill()
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", server.port)) as silent:
        speaker = threading.Thread(target=_speak, args=(silent, banner))
        speaker.start()
        assert reason(server, timeout=0.5) == "timeout"
        speaker.join()
    eventually("no thread is left", lambda: {*threading.enumerate()} <= before, within=5)
    server.close()


def _speak(listener: socket.socket, banner: bytes) -> None:
    wire, _ = listener.accept()
    with wire:
        wire.sendall(banner)
        while wire.recv(65_536):
            continue


def test_all_addresses_of_a_name_share_one_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the last one a server answers; the ones before it take no connection, and do not say so."""
    server = Server("dropbear")
    found = socket.getaddrinfo("127.0.0.1", server.port, type=socket.SOCK_STREAM)
    with contextlib.ExitStack() as full:
        silent = [_takes_none(full) for _ in range(2)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [*silent, *found])
        source = NlbwmonSource(server.settings(timeout=3.0))
        assert client_readings(source.poll())
        source.close()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: silent)
        began = time.monotonic()
        assert failed(source).reason == "timeout"
        assert time.monotonic() - began < 2 * 3.0 - 1.0
    server.close()


def _takes_none(full: contextlib.ExitStack) -> Any:
    """The address of a listener whose queue is full, as a name would be resolved to it."""
    listener = full.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):
        waiting = full.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", listener.getsockname()


def test_a_thousand_failures_leave_nothing_behind() -> None:
    server = Server("dropbear")
    try:
        source = NlbwmonSource(server.settings(key_file=server.stranger()))
        before, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
        # It turns away who has five connections of which it has not yet noticed the end (nlbwmon reference, §4.1).
        assert {"login"} <= {failed(source).reason for _ in range(30)} <= {"login", "unreachable"}
        server.kill()
        assert {failed(source).reason for _ in range(970)} == {"unreachable"}
        assert threading.active_count() == before
        assert len(list(Path("/proc/self/fd").iterdir())) == files
    finally:
        server.close()
