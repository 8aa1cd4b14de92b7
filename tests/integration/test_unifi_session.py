from __future__ import annotations

import gzip
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from exporter.demo.certificate import make_certificate
from exporter.demo.controller import DemoController, Fault
from exporter.demo.network import Bytes, Network
from exporter.model import Collection, Count, Poll
from exporter.sources import SOURCES, SourceError
from exporter.sources.unifi import UnifiSettings, UnifiSource

MAC = "02:00:00:00:00:01"
START = 1_700_000_000.0
STA = "/proxy/network/api/s/default/stat/sta"

Connect = Callable[..., UnifiSource]


@pytest.fixture
def network() -> Network:
    made = Network(start=START)
    made.add_client(MAC, "phone", raw=Bytes(1000, 100), age=86400)
    return made


@pytest.fixture
def console(network: Network) -> Iterator[DemoController]:
    second = Network(site="attic", start=START)
    second.add_client("02:00:00:00:00:02", "nas", wired=True, raw=Bytes(50, 5), age=86400)
    with DemoController(network, second, clock=lambda: network.now) as running:
        yield running


@pytest.fixture
def connect(console: DemoController) -> Iterator[Connect]:
    """Makes sources for the console, with a login where nothing else is said."""
    with ExitStack() as stack:

        def source(body_limit: int = 10**8, **changes: Any) -> UnifiSource:
            facts: dict[str, Any] = {"url": console.url, "ca_file": console.ca_file, "timeout": 30.0} | changes
            if "api_key" not in facts:
                facts = {"username": console.username, "password": console.password} | facts
            made = UnifiSource(UnifiSettings(**facts), wall=lambda: START + 3, body_limit=body_limit)
            stack.callback(made.close)
            return made

        yield source


@contextmanager
def in_background(work: Callable[[], None]) -> Iterator[None]:
    thread = Thread(target=work)
    thread.start()
    yield
    thread.join()


def failure(source: UnifiSource) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.poll()
    return caught.value


def paths(console: DemoController) -> list[str]:
    return [request.path for request in console.requests]


def keys(poll: Poll) -> list[str]:
    return [reading.counter.key for reading in poll.readings]


def test_a_poll_over_the_wire(console: DemoController, network: Network, connect: Connect) -> None:
    network.skew = 500
    poll = connect().poll()
    phone, nas = poll.readings
    assert (phone.counter.key, phone.count.download, phone.count.upload) == (f"{MAC}|wireless", 1000, 100)
    assert (nas.counter.site, nas.count) == ("attic", Count(50, 5, 1, 1))
    assert poll.identity == console.identity
    assert poll.meter_at == START + 500
    assert poll.complete == {Collection("client", "default"): "", Collection("client", "attic"): ""}
    assert poll.clients[0].last_seen == START + 3  # seen just now, on our clock
    assert poll.bad_records == {}


def test_one_login_serves_many_polls_on_one_connection(console: DemoController, connect: Connect) -> None:
    source = connect()
    for _ in range(3):
        source.poll()
    assert console.logins == 1
    assert console.connections == 1


def test_close_logs_out_and_a_later_poll_logs_in_again(console: DemoController, connect: Connect) -> None:
    source = connect()
    source.poll()
    source.close()
    assert paths(console)[-1] == "/api/auth/logout"
    assert console.sessions == 0
    source.poll()
    assert console.logins == 2


def test_an_api_key_needs_no_login(console: DemoController, connect: Connect) -> None:
    assert keys(connect(api_key=console.api_key).poll())
    assert console.logins == 0
    error = failure(connect(api_key="not-the-key"))
    assert error.reason == "login"
    assert "api_key" in str(error)
    assert "not-the-key" not in str(error)


def test_a_wrong_password_is_tried_once_a_poll_and_never_shown(console: DemoController, connect: Connect) -> None:
    error = failure(connect(password="hunter2"))
    assert error.reason == "login"
    assert "password is wrong" in str(error)
    assert console.url in str(error)
    assert "hunter2" not in str(error)
    assert console.logins == 1


@pytest.mark.parametrize("password", ['a"b\\c', "pässwörd'", "line\nbreak\t€", "{}%s$HOME"])
def test_any_password_arrives_as_it_is(console: DemoController, connect: Connect, password: str) -> None:
    console.password = password
    assert keys(connect(password=password).poll())


def test_an_expired_session_takes_exactly_one_login(console: DemoController, connect: Connect) -> None:
    source = connect()
    source.poll()
    console.expire_sessions()
    assert keys(source.poll())
    assert console.logins == 2


def test_sessions_that_expire_at_once_do_not_burn_logins(console: DemoController, connect: Connect) -> None:
    source = connect()
    source.poll()
    console.sessions_last = False
    console.expire_sessions()
    error = failure(source)
    assert error.reason == "login"
    assert console.logins == 2
    failure(source)
    assert console.logins == 3


def test_a_login_limit_says_when_to_come_back(console: DemoController, connect: Connect) -> None:
    console.login_limited = True
    source = connect()
    error = failure(source)
    assert (error.reason, error.retry_after) == ("rate_limited", 60)
    assert console.logins == 1
    console.retry_after = "17"
    assert failure(source).retry_after == 17
    console.retry_after = "-5, or never"
    assert failure(source).retry_after == 60


def test_only_the_sites_asked_for_are_read(console: DemoController, connect: Connect) -> None:
    assert connect(sites=("attic",)).poll().complete == {Collection("client", "attic"): ""}
    assert STA not in paths(console)


def test_a_site_that_does_not_exist_names_those_that_do(connect: Connect) -> None:
    error = failure(connect(sites=("Default", "attic")))
    assert error.reason == "forbidden"
    assert "'Default'" in str(error)
    assert "'default', 'attic'" in str(error)


def test_excluded_clients_are_left_out(connect: Connect) -> None:
    assert keys(connect(exclude=frozenset({MAC.upper()})).poll()) == ["02:00:00:00:00:02|wired"]


@pytest.mark.parametrize("fault", ["html", "forbidden", "truncate"])
def test_one_site_that_fails_costs_only_itself(
    console: DemoController, connect: Connect, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    console.fault, console.fault_path = fault, "/default/stat/sta"
    source = connect()
    with caplog.at_level(logging.WARNING):
        source.poll()
        poll = source.poll()
    assert poll.complete == {Collection("client", "attic"): ""}
    assert poll.bad_records == {"site_failed": 1}
    assert [record.message for record in caplog.records if "'default'" in record.message] == [caplog.records[0].message]


def test_the_first_error_is_raised_where_all_sites_fail(console: DemoController, connect: Connect) -> None:
    console.fault, console.fault_path = "forbidden", "/stat/sta"
    error = failure(connect())
    assert error.reason == "forbidden"
    assert "/default/" in str(error)


def test_an_account_that_may_not_read_the_controllers_name_still_counts(
    console: DemoController, connect: Connect
) -> None:
    console.fault, console.fault_path = "forbidden", "/stat/sysinfo"
    poll = connect().poll()
    assert poll.identity is None
    assert len(poll.readings) == 2


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        ("502", "unreachable", "starting"),
        ("html", "protocol", "starting"),
        ("redirect", "protocol", "redirect"),
    ],
)
@pytest.mark.parametrize("path", ["/api/auth/login", "/api/self/sites"])
def test_a_console_that_is_not_ready_is_put_into_words(
    console: DemoController, connect: Connect, fault: Fault, reason: str, words: str, path: str
) -> None:
    console.fault, console.fault_path = fault, path
    source = connect()
    error = failure(source)
    assert error.reason == reason
    assert words in str(error)
    assert console.url + path.replace("/api/self", "/proxy/network/api/self") in str(error)
    console.fault = ""
    assert keys(source.poll())


def test_a_restarting_controller_comes_back(network: Network, connect: Connect) -> None:
    source = connect()
    source.poll()
    network.restart_controller(away=30)
    assert failure(source).reason == "unreachable"
    network.advance(START + 31)
    assert source.poll().readings[0].count == Count()


def test_redirects_are_not_followed_and_carry_no_key(console: DemoController, connect: Connect) -> None:
    with DemoController(Network(start=START)) as elsewhere:
        console.fault, console.redirect_to = "redirect", elsewhere.url + STA
        assert failure(connect(api_key=console.api_key)).reason == "protocol"
        assert failure(connect()).reason == "protocol"
        assert not elsewhere.requests


def test_answers_are_capped(console: DemoController, connect: Connect) -> None:
    console.fault, console.fault_path = "endless", "/stat/sta"
    error = failure(connect(body_limit=1_000_000))
    assert error.reason == "too_large"
    assert "1000000 bytes" in str(error)


@pytest.mark.parametrize("fault", ["drip", "drip_headers", "endless"])
@pytest.mark.parametrize("path", ["/api/auth/login", "/stat/sta"])
def test_nothing_outlives_the_deadline(console: DemoController, connect: Connect, fault: Fault, path: str) -> None:
    console.fault, console.fault_path = fault, path
    console.drip_every = 0.05
    source = connect(timeout=0.7, body_limit=10**15)
    started = time.monotonic()
    assert failure(source).reason == "timeout"
    assert time.monotonic() - started < 1.7


def test_a_peer_that_never_answers_the_handshake_times_out(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = connect(url=f"https://127.0.0.1:{silent.getsockname()[1]}", timeout=0.4)
        started = time.monotonic()
        assert failure(source).reason == "timeout"
        assert time.monotonic() - started < 1.4


def test_idle_peers_hold_up_nobody(console: DemoController, connect: Connect) -> None:
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(socket.create_connection(("127.0.0.1", int(console.url.rpartition(":")[2]))))
        assert keys(connect(timeout=5.0).poll())


def test_an_unknown_certificate_is_refused_with_the_way_out(connect: Connect, console: DemoController) -> None:
    error = failure(connect(ca_file=""))
    assert error.reason == "tls"
    assert "ca_file" in str(error)
    assert not console.requests


def test_another_certificate_than_the_given_one_is_refused(connect: Connect, console: DemoController) -> None:
    with DemoController(Network(start=START)) as other:
        source = connect(ca_file=other.ca_file)
        assert failure(source).reason == "tls"
        Path(other.ca_file).write_bytes(Path(console.ca_file).read_bytes())
        assert keys(source.poll())  # the mended file is read anew


def test_a_certificate_for_another_name_is_refused(connect: Connect, console: DemoController) -> None:
    error = failure(connect(url=console.url.replace("127.0.0.1", "localhost")))
    assert error.reason == "tls"
    assert "host name" in str(error)


def test_verification_can_be_switched_off(connect: Connect) -> None:
    assert keys(connect(ca_file="", verify_tls=False).poll())


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(connect: Connect, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    error = failure(connect(ca_file=str(file)))
    assert error.reason == "tls"
    assert str(file) in str(error)


def test_a_port_without_tls_is_put_into_words(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        source = connect(url=f"https://127.0.0.1:{plain.getsockname()[1]}", timeout=10.0)

        def answer_in_clear() -> None:
            peer, _ = plain.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with in_background(answer_in_clear):
            error = failure(source)
    assert error.reason == "tls"
    assert "port" in str(error)


def test_a_console_that_is_not_there(console: DemoController, connect: Connect) -> None:
    source = connect()
    source.poll()
    console.down = True
    assert failure(source).reason == "unreachable"
    console.down = False
    assert keys(source.poll())
    console.__exit__()
    error = failure(source)
    assert error.reason == "unreachable"
    assert "refused" in str(error)
    with console:
        assert keys(connect().poll())


OK = b"HTTP/1.1 200 OK\r\n"
PACKED = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED, "too_large"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", "protocol"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "protocol"),
        (OK + b"A: b\r\n" * 300 + b"\r\n", "protocol"),
        (OK + b"A: " + b"b" * 200_000 + b"\r\n\r\n", "protocol"),
        (OK + b"X-CSRF-Token: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", "protocol"),
        (b"HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\n{}", "protocol"),
        (b"HTTP/1.1 302 X\r\nLocation: http://[::\r\nContent-Length: 0\r\n\r\n", "protocol"),
        (b"\x00\x01garbage\r\n\r\n", "protocol"),
        (b"", "unreachable"),
    ],
)
def test_answers_that_are_no_http_raise_nothing_unforeseen(
    connect: Connect, tmp_path: Path, answer: bytes, reason: str
) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key_path)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def say() -> None:
            peer, _ = server.accept()
            with suppress(OSError), context.wrap_socket(peer, server_side=True) as tls:
                tls.recv(10_000)
                tls.sendall(answer)

        source = connect(
            body_limit=1_000_000,
            url=f"https://127.0.0.1:{server.getsockname()[1]}",
            ca_file=str(certificate.path),
            api_key="key",
        )
        with in_background(say):
            error = failure(source)
            source.close()
    assert error.reason == reason


def test_a_name_that_does_not_resolve(connect: Connect) -> None:
    error = failure(connect(url="https://console.invalid", timeout=30.0))
    assert error.reason == "unreachable"
    assert "console.invalid" in str(error)


def test_the_environment_changes_nothing(
    console: DemoController, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password netrc-secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(netrc))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert keys(connect().poll())
    assert all("authorization" not in request.headers for request in console.requests)


def test_the_registry_makes_sources(console: DemoController) -> None:
    source = SOURCES["unifi"](UnifiSettings(console.url, api_key=console.api_key, ca_file=console.ca_file))
    assert len(source.poll().clients) == 2
    source.close()
