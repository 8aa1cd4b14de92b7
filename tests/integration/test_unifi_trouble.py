from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.demo.controller import DemoController
from exporter.demo.faults import Fault
from exporter.demo.network import Network
from exporter.demo.sessions import Flavour
from exporter.model import Collection
from tests.consoles import MAC, NAS, START, Connect, controller, failure, keys

FLAVOURS: tuple[Flavour, ...] = ("os", "legacy")
ALL = [f"{MAC}|wireless", f"{NAS}|wired"]
SITES = "/api/self/sites"
WAIT = "wait a few minutes; if it stays so, restart the application"
LOOK_ELSEWHERE = (
    "wait if it is starting; else check host and port: 443 for a UniFi OS console, 11443 for UniFi OS Server, "
    "8443 for a standalone Network Application"
)


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    given: Flavour = request.param
    return given


def prefix(console: DemoController) -> str:
    return console.url + console.accounts.way.prefix


# A controller that is not ready, and rights


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        ("404", "protocol", f"HTTP 404; the controller may be starting; {WAIT}"),
        ("html", "protocol", f"a web page instead of data; the controller may be starting; {WAIT}"),
        ("502", "unreachable", f"the Network application is not running or is starting (HTTP 502); {WAIT}"),
        ("503", "unreachable", f"the Network application is not running or is starting (HTTP 503); {WAIT}"),
    ],
)
@pytest.mark.parametrize("where", ["login", "data"])
def test_a_controller_that_restarts_comes_back(
    console: DemoController, connect: Connect, fault: Fault, reason: str, words: str, where: str
) -> None:
    way = console.accounts.way
    path = way.login if where == "login" else way.prefix + SITES
    console.fault, console.fault_path = fault, path
    source = connect()
    error = failure(source)
    assert (error.reason, str(error)) == (reason, f"{console.url}{path}: {words}")
    console.fault = ""
    assert keys(source.poll()) == ALL
    assert console.logins == (1 if where == "data" or fault else 2)


def test_a_login_that_is_answered_with_text(console: DemoController, connect: Connect) -> None:
    path = console.accounts.way.login
    console.fault, console.fault_path = "text", path
    error = failure(connect())
    words = f"{console.url}{path}: the login was answered with something else than data; {WAIT}"
    assert (error.reason, str(error)) == ("protocol", words)


def test_data_that_is_text(console: DemoController, connect: Connect) -> None:
    console.fault, console.fault_path = "text", SITES
    error = failure(connect())
    assert (error.reason, str(error)) == (
        "protocol",
        f"{prefix(console)}{SITES}: not the JSON document that belongs here; wait if the controller is starting; "
        "if it stays so, its version may be too new for this one",
    )


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        ("404", "protocol", f"answers (HTTP 404), but not as a UniFi controller; {LOOK_ELSEWHERE}"),
        ("502", "unreachable", f"the Network application is not running or is starting (HTTP 502); {WAIT}"),
    ],
)
def test_a_controller_that_is_starting_when_it_is_first_asked(
    console: DemoController, connect: Connect, fault: Fault, reason: str, words: str
) -> None:
    console.fault = fault
    source = connect()
    error = failure(source)
    assert (error.reason, str(error)) == (reason, f"{console.url}: {words}")
    console.fault = ""
    assert keys(source.poll()) == ALL
    assert console.logins == 1


def test_a_wrong_site_names_the_right_ones(console: DemoController, connect: Connect) -> None:
    error = failure(connect(sites=("Default", "attic")))
    assert (error.reason, str(error)) == (
        "forbidden",
        f"{console.url}: no site 'Default' for this account; it may see 'default' (Default), 'attic' (Attic); "
        "write short names in `sites`, as in the address bar of the controller's pages",
    )


@pytest.mark.parametrize(
    ("fault", "code"), [("no_site", "api.err.NoSiteContext"), ("forbidden", "api.err.NoPermission")]
)
def test_a_site_that_is_refused_costs_only_itself(
    console: DemoController, connect: Connect, caplog: pytest.LogCaptureFixture, fault: Fault, code: str
) -> None:
    console.fault, console.fault_path = fault, "/default/stat/sta"
    poll = connect().poll()
    assert poll.complete == {Collection("client", "attic"): ""}
    words = f"this account may not read it ({code}); give it view rights for Network and this site"
    assert [record.getMessage() for record in caplog.records] == [
        f"site 'default' was not read: {prefix(console)}/api/s/default/stat/sta: {words}"
    ]
    assert console.logins == 1


def test_an_account_without_the_right_to_the_controllers_name(console: DemoController, connect: Connect) -> None:
    console.sysinfo_allowed = False
    poll = connect().poll()
    assert (poll.identity, len(poll.readings)) == (None, 2)
    assert console.logins == 1


# Certificates


def test_a_pinned_certificate_needs_neither_authority_nor_name(console: DemoController, connect: Connect) -> None:
    url = console.url.replace("127.0.0.1", "localhost")
    assert keys(connect(url=url, ca_file="", fingerprint=console.fingerprint).poll()) == ALL


def test_another_certificate_is_sent_nothing(console: DemoController, connect: Connect) -> None:
    with controller() as other:
        error = failure(connect(ca_file="", fingerprint=other.fingerprint))
    assert (error.reason, str(error)) == (
        "tls",
        f"{console.url}/: its certificate is another one ({console.fingerprint}); "
        "if the controller was given a new certificate, check that this is its own and write it as `fingerprint`; "
        "if it was not, somebody else is answering",
    )
    assert not console.requests


def test_a_certificate_that_changes_is_noticed_at_the_next_connection(
    console: DemoController, connect: Connect
) -> None:
    source = connect(ca_file="", fingerprint=console.fingerprint)
    source.poll()
    console.__exit__()
    with console:  # at the same port, with a new certificate
        asked = len(console.requests)
        error = failure(source)
        if error.reason != "tls":  # the old connection was found closed
            error = failure(source)
        assert error.reason == "tls"
        assert len(console.requests) == asked


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda _: {"ca_file": ""}, "self-signed certificate"),
        (lambda console: {"url": console.url.replace("127.0.0.1", "localhost")}, "Hostname mismatch"),
    ],
)
def test_a_certificate_that_is_not_trusted(
    console: DemoController, connect: Connect, changes: Callable[[DemoController], dict[str, str]], words: str
) -> None:
    error = failure(connect(**changes(console)))
    assert error.reason == "tls"
    assert error.problem.partition(": its certificate is not trusted (")[2].startswith(words)
    assert error.remedy == (
        "write the certificate's own `fingerprint`, or give it or its issuer's as `ca_file`; where that does not name "
        "this host, use a host name that it names; or set `verify_tls: false` where you trust the way there"
    )
    assert not console.requests


def test_verification_can_be_switched_off(connect: Connect) -> None:
    assert keys(connect(ca_file="", verify_tls=False).poll()) == ALL


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file or directory"), ("none", "no PEM certificate in it")]
)
def test_a_ca_file_that_cannot_be_used(
    console: DemoController, connect: Connect, tmp_path: Path, content: str | None, words: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    error = failure(connect(ca_file=str(file)))
    assert (error.reason, str(error)) == ("tls", f"{console.url}/: ca_file {file} cannot be used: {words}")


def test_the_clock_of_a_poll_is_the_controllers(connect: Connect, network: Network) -> None:
    network.skew = -7200
    assert connect().poll().meter_at == START - 7200
