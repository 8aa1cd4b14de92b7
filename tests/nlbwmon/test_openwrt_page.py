"""docs/openwrt.md against a real dropbear: what `check` and `pin` say of a router, and what the page tells to write."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner, Result

from exporter.cli import app
from exporter.config import load
from exporter.model import Count
from exporter.sources.nlbwmon import NlbwmonSource
from exporter.sources.nlbwmon.network import Interface, Network
from exporter.sources.nlbwmon.watch import PATIENCE
from tests.nlbwmon import checked
from tests.nlbwmon.fakes import program, programs
from tests.nlbwmon.recorded import CSV, EMPTY, JSON
from tests.nlbwmon.router import ONE, Exporter, Router, row
from tests.nlbwmon.servers import PASSWORD, USER, Server

PAGE = Path(__file__).parents[2] / "docs/openwrt.md"
BLOCK = re.compile(r"<!-- (check|pin|notice): ([a-z-]+) -->\n```text\n(.*?)```\n", re.DOTALL)
SHELL = re.compile(r"^( *)```sh\n(.*?)^ *```\n", re.DOTALL | re.MULTILINE)
HOST = "192.168.2.1"
KEY = "SHA256:9YGdfFIjFpXveWDVUcDNN4AZ501kEeBcsPYnAM0OmYA"
OTHER = "SHA256:m1Yp6wq0bXrXzvH8v0d2m0oD3CkQy3o5dJ8n4b1zT7E"
TEXT = "AAAAC3NzaC1lZDI1NTE5AAAAIFPIDdQgEXI2meAVfomMreN6fZVGGoSrAIE011YVkZQS"
ORDERS = "/etc/bandwidth-exporter"

Break = Callable[[Server], dict[str, Any]]
"""Makes a router unwell; gives changes to the source's settings, None to drop one."""


class Case(NamedTuple):
    wrong: Break
    status: int = 1


def settings(**changes: str) -> Break:
    def wrong(server: Server) -> dict[str, Any]:
        checked.settings(server, **changes)
        return {}

    return wrong


def tells(**changes: str) -> Break:
    def wrong(server: Server) -> dict[str, Any]:
        checked.tell(server, **changes)
        return {}

    return wrong


def nlbw(script: str, pids: str = "1", user: str = "0") -> Break:
    def wrong(server: Server) -> dict[str, Any]:
        server.nlbw(script)
        checked.tell(server, user=user)
        program(server.folder / "bin/pidof", f"echo {pids}")
        return {}

    return wrong


def no_rows(more: Break) -> Break:
    def wrong(server: Server) -> dict[str, Any]:
        programs(server.folder / "bin", EMPTY)
        checked.make_well(server)
        return more(server)

    return wrong


def bound(server: Server, command: str) -> dict[str, Any]:
    """Bind the user's key to a command, as the page's line does."""
    line = authorized_line().replace(ORDERS, command)
    authorize(server, line)
    return {}


def restricted(server: Server) -> dict[str, Any]:
    orders = server.folder / "orders"
    orders.write_text(CliRunner().invoke(app, ["openwrt-script"]).stdout)
    program(server.folder / "restricted", f"PATH={server.folder}/bin:$PATH exec /bin/sh {orders}")
    return bound(server, f"{server.folder}/restricted")


def other_command(server: Server) -> dict[str, Any]:
    program(server.folder / "other", "uptime")
    return bound(server, f"{server.folder}/other")


def not_there(_: Server) -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return {"port": gone.getsockname()[1]}


def gone_software(server: Server) -> dict[str, Any]:
    checked.settings(server, flow_offloading="1")
    (server.folder / "bin/fw4").unlink()
    return {}


def not_installed(server: Server) -> dict[str, Any]:
    (server.folder / "bin/nlbw").unlink()
    program(server.folder / "bin/pidof", "exit 1")
    return {}


def no_json(server: Server) -> dict[str, Any]:
    (server.folder / "bin/csv").write_bytes(CSV)
    server.nlbw(f"case $2 in csv) cat {server.folder}/bin/csv;; *) echo '[\"';; esac")
    return {}


def pinned(*keys: str) -> Break:
    def wrong(server: Server) -> dict[str, Any]:
        server.pin(*keys)
        return {}

    return wrong


def spoiled(server: Server) -> dict[str, Any]:
    (server.folder / "known_hosts").write_text("@revoked * ssh-ed25519 AAAA\n")
    return {}


CASES = {
    "all-well": Case(settings(), 0),
    "restricted": Case(restricted, 0),
    "not-there": Case(not_there),
    "no-such-name": Case(lambda _: {"host": "router.invalid"}),
    "not-pinned": Case(pinned()),
    "changed": Case(pinned("stranger")),
    "spoiled": Case(spoiled),
    "refused": Case(lambda server: {"key_file": server.stranger()}),
    "no-key-file": Case(lambda server: {"key_file": f"{server.folder}/router_key"}),
    "other-command": Case(other_command),
    "not-installed": Case(not_installed),
    "not-running": Case(nlbw("exit 247", pids="")),
    "not-root": Case(nlbw("exit 247", user="1000")),
    "not-answering": Case(nlbw("exit 247")),
    "no-json": Case(no_json, 0),
    "no-rows": Case(no_rows(settings())),
    "no-events": Case(no_rows(tells(nf_conntrack_events="0"))),
    "full-cone": Case(no_rows(tells(module="nft_fullcone"))),
    "no-accounting": Case(tells(nf_conntrack_acct="0")),
    "wrong-clock": Case(tells(clock="-3 day")),
    "in-memory": Case(
        lambda server: settings(directory="/var/lib/nlbwmon")(server) | tells(canonical="/tmp/lib/nlbwmon")(server), 0
    ),
    "written-often": Case(settings(commit_interval="1m"), 0),
    "near-the-limit": Case(settings(database_limit="16"), 0),
    "slow-refresh": Case(settings(refresh_interval="2m"), 0),
    "small-buffer": Case(tells(rmem_max="212992"), 0),
    "hardware-offloading": Case(settings(flow_offloading_hw="1"), 0),
    "software-offloading": Case(gone_software, 0),
    "odd-period": Case(settings(database_interval="weekly")),
}
ELSEWHERE = {"too-slow", "not-ssh", "only-rsa", "just-started"}
PINS = {"first", "changed"}
LESS = {
    "nlbw-alone": 'set -- $SSH_ORIGINAL_COMMAND; [ "${1##*/}" = nlbw ] && shift && exec nlbw "$@"; exit 1',
    "one-command": "exec nlbw -c json",
}
"""Commands that a key may be bound to instead of the exporter's own."""
NOTICES = ("standing-still", "restarting", "clock")
WHOLE = {"all-well", "restricted"}


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The command line sets the log of the whole process up: put back what was there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server("dropbear")
    yield server
    server.close()


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """A router that is well."""
    authorized = (running.folder / ".ssh/authorized_keys").read_text()
    programs(running.folder / "bin", JSON)
    checked.make_well(running)
    running.pin("ed25519")
    yield running
    (running.folder / ".ssh/authorized_keys").write_text(authorized)


def authorize(server: Server, line: str) -> None:
    """A line of /etc/dropbear/authorized_keys as the page has it, with the key that the user has here."""
    public = (server.folder / "user.pub").read_text()
    (server.folder / ".ssh/authorized_keys").write_text(re.sub(r"ssh-ed25519 \S+.*", public.strip(), line) + "\n")


def authorized_line() -> str:
    line = re.search(r"^ *(restrict,.*)$", PAGE.read_text(), re.MULTILINE)
    assert line is not None
    return line[1]


def command(server: Server, folder: Path, changes: dict[str, Any], *arguments: str) -> Result:
    """Run a command with a configuration for the router. JSON is YAML."""
    source: dict[str, Any] = {"name": "attic", "kind": "nlbwmon", "host": "127.0.0.1", "port": server.port}
    source |= {"username": USER, "key_file": f"{server.folder}/user", "known_hosts": f"{server.folder}/known_hosts"}
    source = {key: str(value) for key, value in (source | changes).items() if value is not None}
    path = folder / "config.yaml"
    path.write_text(json.dumps({"sources": [source]}))
    return CliRunner().invoke(app, [*arguments, "--config", str(path)])


def check(server: Server, folder: Path, changes: dict[str, Any]) -> Result:
    return command(server, folder, changes, "check", "--source", "attic")


def as_on_the_page(result: Result, server: Server) -> str:
    """What was said. What differs from run to run is as on a reader's router. Nothing else goes to the log."""
    assert PASSWORD not in result.output
    assert result.exit_code == 1 or not result.stderr
    text = re.sub(r"\[127\.0\.0\.1\]:\d+", HOST, result.output)
    text = re.sub(rf"ssh://{USER}@(127\.0\.0\.1|router\.invalid):\d+", r"ssh://root@\1:22", text)
    text = text.replace(f"{USER} is logged in", "root is logged in").replace("127.0.0.1", HOST)
    text = text.replace(f"{server.folder}/", "")
    for name in ("ed25519", "stranger", "rsa"):
        if (server.folder / name).exists():
            text = text.replace(server.fingerprint(name), OTHER if name == "stranger" else KEY)
    return re.sub(r"(ssh-ed25519) AAAA\S+", rf"\1 {TEXT}", text)


def shown(name: str, output: str, kind: str = "check") -> None:
    """Compare with the page, or, with UPDATE_DOCS, write it there. All but a few show the lines that differ."""
    if kind == "check" and name not in WHOLE:
        well = documented()["check", "all-well"].splitlines()
        output = "".join(f"{line}\n" for line in output.splitlines() if line not in well)
    if os.environ.get("UPDATE_DOCS"):
        block = f"<!-- {kind}: {name} -->\n```text\n{output}```\n"
        PAGE.write_text(BLOCK.sub(lambda old: block if (old[1], old[2]) == (kind, name) else old[0], PAGE.read_text()))
    assert documented().get((kind, name)) == output


def documented() -> dict[tuple[str, str], str]:
    return {(kind, name): text for kind, name, text in BLOCK.findall(PAGE.read_text())}


@pytest.mark.parametrize("name", CASES)
def test_the_page_shows_what_check_says(name: str, server: Server, tmp_path: Path) -> None:
    changes = CASES[name].wrong(server)
    result = check(server, tmp_path, changes)
    assert result.exit_code == CASES[name].status, result.output
    shown(name, as_on_the_page(result, server))


def test_the_page_shows_what_check_says_of_a_server_that_stands_still(server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        changes = {"port": silent.getsockname()[1], "timeout": "1s"}
        result = check(server, tmp_path, changes)
    assert result.exit_code == 1
    shown("too-slow", as_on_the_page(result, server))


def test_the_page_shows_what_check_says_of_another_server(server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_speak_http, args=(listener,), daemon=True).start()
        result = check(server, tmp_path, {"port": listener.getsockname()[1]})
    assert result.exit_code == 1
    shown("not-ssh", as_on_the_page(result, server))


def _speak_http(listener: socket.socket) -> None:
    while True:
        try:
            wire, _ = listener.accept()
        except OSError:
            return
        with wire:
            wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_the_page_shows_what_check_says_of_an_rsa_key(tmp_path: Path) -> None:
    server = Server("dropbear", key="rsa")
    try:
        checked.make_well(server)
        result = check(server, tmp_path, {})
        assert result.exit_code == 0
        shown("only-rsa", as_on_the_page(result, server))
    finally:
        server.close()


def test_the_page_shows_what_check_says_of_a_daemon_that_was_just_started(server: Server, tmp_path: Path) -> None:
    programs(server.folder / "bin", EMPTY)
    checked.make_well(server)
    with subprocess.Popen(["sleep", "60"]) as young:
        program(server.folder / "bin/pidof", f"echo {young.pid}")
        result = check(server, tmp_path, {})
        young.kill()
    assert result.exit_code == 0
    shown("just-started", as_on_the_page(result, server))


def test_the_page_shows_what_pin_says(server: Server, tmp_path: Path) -> None:
    known = server.folder / "known_hosts"
    known.unlink()
    result = command(server, tmp_path, {}, "pin", "attic", "--yes")
    assert (result.exit_code, check(server, tmp_path, {}).exit_code) == (0, 0), result.output
    shown("first", as_on_the_page(result, server), "pin")
    server.pin("stranger")
    before = known.read_text()
    result = command(server, tmp_path, {}, "pin", "attic", "--yes")
    assert (result.exit_code, known.read_text()) == (1, before)
    shown("changed", as_on_the_page(result, server), "pin")
    assert command(server, tmp_path, {}, "pin", "attic", "--yes", "--replace").exit_code == 0
    assert check(server, tmp_path, {}).exit_code == 0


def test_the_page_shows_nothing_else() -> None:
    checks = {("check", name) for name in {*CASES, *ELSEWHERE, *LESS}}
    notices = {("notice", name) for name in NOTICES}
    assert documented().keys() == checks | notices | {("pin", name) for name in PINS}


def test_the_key_of_the_page_runs_nothing_else(server: Server, tmp_path: Path) -> None:
    restricted(server)
    assert check(server, tmp_path, {}).exit_code == 0
    options = ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={server.folder}/known_hosts", "BatchMode=yes"]
    ssh = ["ssh", "-F", "none", *(word for option in options for word in ("-o", option))]
    ssh += ["-i", str(server.folder / "user"), "-p", str(server.port), f"{USER}@127.0.0.1"]
    wanted = tmp_path / "made"
    for asked in ([f"touch {wanted}"], ["cat /etc/passwd"], []):
        result = subprocess.run([*ssh, *asked], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert (result.returncode, result.stdout) == (126, "")
        assert "bandwidth-exporter: this key serves the exporter only" in result.stderr
    assert not wanted.exists()


def test_from_locks_the_key_out(server: Server, tmp_path: Path) -> None:
    authorize(server, f'from="127.0.0.1",{authorized_line()}')
    assert ": login: " in check(server, tmp_path, {}).output.splitlines()[-1]


@pytest.mark.parametrize("name", LESS)
def test_a_key_that_allows_less_is_polled_all_the_same(name: str, server: Server, tmp_path: Path) -> None:
    server.nlbw(f"case $* in *-t*) exit 195;; esac\ncat {server.folder}/bin/rows")
    program(server.folder / "less", f"PATH={server.folder}/bin:$PATH\n{LESS[name]}")
    bound(server, f"{server.folder}/less")
    source = NlbwmonSource(server.settings())
    try:
        poll = source.poll()
    finally:
        source.close()
    assert len(poll.readings) == 15
    assert {reading.life for reading in poll.readings} == {None}
    assert not any(client.name for client in poll.clients)
    assert not poll.gear
    result = check(server, tmp_path, {})
    assert result.exit_code == 0
    shown(name, as_on_the_page(result, server))


def test_the_page_shows_what_is_said_of_a_router_while_it_is_polled() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1_000, 0))
    exporter = Exporter(router)
    for number in range(PATIENCE + 2):
        wan = Interface("wan", up=True, device="eth1", v4=True)
        router.network = Network((wan,), {"eth1": Count(number * 5_000_000, 0)})
        exporter.poll()
    noticed("standing-still", exporter)
    exporter = Exporter(router)
    for number in range(PATIENCE):
        router.shows(row(ONE, 1_000 + number, 0)).restarts()
        exporter.poll()
    noticed("restarting", exporter)
    exporter.poll(ahead=7_200)
    noticed("clock", exporter)


def noticed(name: str, exporter: Exporter) -> None:
    (notice,) = exporter.notices
    shown(name, f"{notice}\n", "notice")


def test_the_configuration_of_the_page_is_taken(tmp_path: Path) -> None:
    entry = re.search(r"```yaml\n(sources:.*?)```", PAGE.read_text(), re.DOTALL)
    assert entry is not None
    path = tmp_path / "config.yaml"
    path.write_text(entry[1])
    (source,) = load(path, {}).sources
    assert (source.name, source.kind) == ("attic", "nlbwmon")
    path.write_text(re.sub(r"^    #", "    ", entry[1], flags=re.MULTILINE))  # the keys behind a # too
    assert load(path, {}).sources[0].name == "attic"


def test_the_commands_of_the_page_are_commands() -> None:
    blocks = [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in SHELL.findall(PAGE.read_text())]
    assert len(blocks) > 15
    for text in blocks:
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_the_settings_of_the_page_are_those_that_nlbwmon_has() -> None:
    told = set(re.findall(r"nlbwmon\.@nlbwmon\[0\]\.([a-z_]+)=", PAGE.read_text()))
    assert told == {
        "database_directory",
        "commit_interval",
        "database_limit",
        "refresh_interval",
        "local_network",
        "database_interval",
    }
