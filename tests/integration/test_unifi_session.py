from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from exporter.demo.controller import DemoController
from exporter.demo.faults import Fault
from exporter.demo.network import Network
from exporter.model import Collection, Count
from exporter.sources import SOURCES
from exporter.sources.unifi import UnifiSettings
from tests.consoles import MAC, START, Connect, failure, keys, paths

STA = "/proxy/network/api/s/default/stat/sta"


@contextmanager
def in_background(work: Callable[[], None]) -> Iterator[None]:
    thread = Thread(target=work)
    thread.start()
    yield
    thread.join()


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
    assert len(console.accounts) == 0
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
    console.accounts.password = password
    assert keys(connect(password=password).poll())


def test_only_the_sites_asked_for_are_read(console: DemoController, connect: Connect) -> None:
    assert connect(sites=("attic",)).poll().complete == {Collection("client", "attic"): ""}
    assert STA not in paths(console)


def test_a_site_that_does_not_exist_names_those_that_do(connect: Connect) -> None:
    error = failure(connect(sites=("Default", "attic")))
    assert error.reason == "forbidden"
    assert "'Default'" in str(error)
    assert "'default' (Default), 'attic' (Attic)" in str(error)


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


def test_another_certificate_than_the_given_one_is_refused(connect: Connect, console: DemoController) -> None:
    with DemoController(Network(start=START)) as other:
        source = connect(ca_file=other.ca_file)
        assert failure(source).reason == "tls"
        Path(other.ca_file).write_bytes(Path(console.ca_file).read_bytes())
        assert keys(source.poll())  # the mended file is read anew


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


def test_a_name_that_does_not_resolve(connect: Connect) -> None:
    error = failure(connect(url="https://console.invalid", timeout=30.0))
    assert error.reason == "unreachable"
    assert "console.invalid" in str(error)


def test_the_registry_makes_sources(console: DemoController) -> None:
    source = SOURCES["unifi"](UnifiSettings(console.url, api_key=console.api_key, ca_file=console.ca_file))
    assert len(source.poll().clients) == 2
    source.close()
