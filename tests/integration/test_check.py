"""`bandwidth-exporter check` against controllers in every state. docs/unifi.md shows what it says of each."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner, Result

from exporter.check import Finding, exit_status
from exporter.cli import app
from exporter.demo.controller import DemoController
from exporter.demo.network import Bytes, Network
from exporter.demo.sessions import Flavour
from exporter.sources.unifi.check import check
from tests.consoles import MAC, NAS, controller, settings

PAGE = Path(__file__).parents[2] / "docs/unifi.md"
BLOCK = re.compile(r"<!-- check: ([a-z0-9-]+) -->\n```text\n(.*?)```\n", re.DOTALL)
SECRET = "hunter2-and-more"
EXAMPLE = "https://192.168.1.1"
FINGERPRINT = "sha256:" + "5f1d0c43b2a19e87" * 4


class Case(NamedTuple):
    """A controller that is not well. `wrong` makes it so, `changes` are to the source's settings; None drops one."""

    wrong: Callable[[DemoController], None] = lambda _: None
    changes: Callable[[DemoController], dict[str, Any]] = lambda _: {}
    flavour: Flavour = "os"
    status: int = 1


def setting(console: DemoController | Network, **values: Any) -> None:
    for name, value in values.items():
        setattr(console, name, value)


def account(console: DemoController, **values: Any) -> None:
    for name, value in values.items():
        setattr(console.accounts, name, value)


def key(console: DemoController) -> dict[str, Any]:
    return {"api_key": console.api_key, "username": None, "password": None}


CASES = {
    "all-well": Case(status=0),
    "standalone": Case(flavour="legacy", status=0),
    "not-checked": Case(changes=lambda _: {"ca_file": None, "verify_tls": "false"}, status=0),
    "not-trusted": Case(changes=lambda _: {"ca_file": None}),
    "other-name": Case(changes=lambda console: {"url": console.url.replace("127.0.0.1", "localhost")}),
    "other-certificate": Case(changes=lambda _: {"ca_file": None, "fingerprint": "sha256:" + "0" * 64}),
    "not-there": Case(lambda console: console.__exit__(), lambda _: {"ca_file": None, "verify_tls": "false"}),
    "no-such-name": Case(changes=lambda _: {"url": "https://console.invalid"}),
    "too-slow": Case(lambda console: setting(console, fault="drip", drip_every=5.0), lambda _: {"timeout": "1s"}),
    "not-a-controller": Case(lambda console: setting(console, fault="html")),
    "login-in-front": Case(lambda console: setting(console, front_page="login")),
    "redirect": Case(lambda console: setting(console, fault="redirect", redirect_to="https://elsewhere.example/")),
    "wrong-password": Case(changes=lambda _: {"password": SECRET}),
    "second-factor": Case(lambda console: account(console, second_factor=True)),
    "second-factor-standalone": Case(lambda console: account(console, second_factor=True), flavour="legacy"),
    "login-limit": Case(lambda console: account(console, limited=True), lambda _: {"username": "limited"}),
    "wrong-key": Case(changes=lambda console: key(console) | {"api_key": SECRET}),
    "integration-only-key": Case(lambda console: setting(console, integration_only=True), key),
    "key-for-standalone": Case(changes=key, flavour="legacy"),
    "starting": Case(lambda console: setting(console, fault="502", fault_path="/proxy/network/api/s")),
    "starting-page": Case(lambda console: setting(console, fault="html", fault_path="/proxy/network/api/self/")),
    "starting-login": Case(lambda console: setting(console, fault="text", fault_path="/login"), flavour="legacy"),
    "wrong-site": Case(changes=lambda _: {"sites": ["Home"]}),
    "site-refused": Case(lambda console: setting(console, fault="no_site", fault_path="/attic/")),
    "no-view-of-network": Case(lambda console: setting(console, fault="unauthorized", fault_path="/api/self/sites")),
    "no-controller-id": Case(lambda console: setting(console, sysinfo_allowed=False), status=0),
    "may-change": Case(lambda console: setting(console, role="admin"), status=0),
    "wrong-clock": Case(lambda console: setting(console.networks["default"], skew=7200.0), status=0),
}


pytestmark = pytest.mark.usefixtures("own_log")


@contextmanager
def live(flavour: Flavour) -> Iterator[DemoController]:
    """A controller that keeps today's time, with two sites."""
    home, attic = Network(start=time.time()), Network(site="attic", start=time.time())
    home.add_client(MAC, "phone", raw=Bytes(1000, 100), age=86400)
    attic.add_client(NAS, "nas", wired=True, age=86400)
    with DemoController(home, attic, flavour=flavour) as console:
        yield console


def command(console: DemoController, folder: Path, changes: dict[str, Any]) -> Result:
    """Run `check` with a configuration for the controller. JSON is YAML."""
    source: dict[str, Any] = {"name": "home", "kind": "unifi", "url": console.url, "ca_file": console.ca_file}
    source |= {"username": console.username, "password": console.password} | changes
    path = folder / "config.yaml"
    path.write_text(json.dumps({"sources": [{k: v for k, v in source.items() if v is not None}]}))
    return CliRunner().invoke(app, ["check", "--source", "home", "--config", str(path)])


def documented() -> dict[str, str]:
    return dict(BLOCK.findall(PAGE.read_text()))


def put_down(name: str, output: str) -> None:
    block = f"<!-- check: {name} -->\n```text\n{output}```\n"
    PAGE.write_text(BLOCK.sub(lambda old: block if old[1] == name else old[0], PAGE.read_text()))


@pytest.mark.parametrize("name", CASES)
def test_the_page_shows_what_check_says(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    with live(case.flavour) as console:
        changes = case.changes(console)
        case.wrong(console)
        result = command(console, tmp_path, changes)
        port = console.url.rpartition(":")[2]
        output = re.sub(rf"https://(127\.0\.0\.1|localhost):{port}", EXAMPLE, result.output)
        output = output.replace(console.fingerprint, FINGERPRINT)
        secrets = (console.password, console.api_key, SECRET)
    assert result.exit_code == case.status, result.output
    assert all(secret not in result.output for secret in secrets)
    if os.environ.get("UPDATE_DOCS"):
        put_down(name, output)
    assert documented().get(name) == output


def test_the_page_shows_nothing_else() -> None:
    assert set(documented()) == set(CASES)


def test_every_source_is_tried(tmp_path: Path) -> None:
    with live("os") as first, live("legacy") as second:
        source = {"kind": "unifi", "username": "exporter"}
        path = tmp_path / "config.yaml"
        listed = [
            source | {"name": name, "url": console.url, "ca_file": console.ca_file, "password": password}
            for name, console, password in (("one", first, SECRET), ("two", second, second.password))
        ]
        path.write_text(json.dumps({"sources": listed}))
        result = CliRunner().invoke(app, ["check", "--config", str(path)])
        assert result.exit_code == 1
        assert "error   one: login: " in result.output
        assert f"ok      two: clients: 1 connected at 'default'{os.linesep}" in result.output
        assert first.logins == second.logins == 1
        assert len(second.accounts) == 0  # logged out again


@pytest.mark.parametrize("text", ["sources: []\n", "", "web: {"])
def test_a_wrong_configuration_is_not_tried(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    result = CliRunner().invoke(app, ["check", "--config", str(path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert str(path) in result.stderr


def test_a_missing_configuration(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", "--config", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "Copy config.example.yaml there" in result.stderr


def test_what_comes_from_outside_stays_on_its_line() -> None:
    finding = Finding("error", "sites", "no site '\x1b[2J\n'", "write another", "home")
    assert str(finding) == "error   home: sites: no site '\\x1b[2J\\n'; write another"
    assert str(Finding("ok", "login", "fine", source="home")) == "ok      home: login: fine"


def test_warnings_are_no_failure() -> None:
    assert exit_status([]) == 0
    assert exit_status([Finding("ok", "a", "b"), Finding("warning", "a", "b")]) == 0
    assert exit_status([Finding("warning", "a", "b"), Finding("error", "a", "b")]) == 1


def test_an_api_key_that_works() -> None:
    with controller() as console:
        home = console.networks["default"]
        said = [str(finding) for finding in check("home", settings(console, api_key=console.api_key), lambda: home.now)]
    assert "ok      home: login: the api_key is accepted" in said
    assert console.logins == 0


def test_records_that_cannot_be_read_are_counted() -> None:
    with controller() as console:
        home = console.networks["default"]
        home.add_client("no mac at all", "odd", raw=Bytes(-1, 5), age=86400)
        said = [str(finding) for finding in check("home", settings(console), wall=lambda: home.now)]
    assert (
        "warning home: clients: 1 connected at 'default', and 1 records that cannot be read; "
        "please report it, with the controller's version"
    ) in said


def test_the_first_error_that_leaves_nothing_to_go_on_with_is_the_last_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with live("os") as console:
        result = command(console, tmp_path, {"url": f"https://127.0.0.1:{port}"})
    assert len(result.output.splitlines()) == 1
    assert result.output.startswith(f"error   home: reach: https://127.0.0.1:{port}/: Connection refused; ")
