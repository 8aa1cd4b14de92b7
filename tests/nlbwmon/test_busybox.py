"""The commands in the shell that routers have: BusyBox' ash and its applets, by itself and behind dropbear."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.sources.nlbwmon import NlbwmonSource
from exporter.sources.nlbwmon.commands import forced_command, script
from exporter.sources.nlbwmon.exchange import Exchange, read
from tests.nlbwmon.fakes import program, programs
from tests.nlbwmon.recorded import JSON
from tests.nlbwmon.servers import Server

TOKEN = "0123456789abcdef" * 2
APPLETS = ("ash", "cat", "date", "grep", "head", "ls", "pidof", "printf", "sed")
DIRECTORY = 'it\'s "my" $(database) *'
OLD = 400
BLOCKED = ("0.0.0.0", "127.0.0.1", "::", "::1")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[int]:
    """A process with the name of nlbwmon."""
    busybox = tmp_path / "nlbwmon"
    shutil.copy(_found("sleep"), busybox)
    process = subprocess.Popen([busybox, "600"])
    yield process.pid
    process.kill()
    process.wait()


def put_programs(folder: Path) -> None:
    """A router's programs: its own nlbw and uci, and the rest from BusyBox."""
    programs(folder, JSON)
    (folder / "pidof").unlink()
    for applet in APPLETS:
        (folder / applet).symlink_to(_found("busybox"))


def answered(folder: Path, labels: tuple[str, ...] = ()) -> Exchange:
    command = [str(folder / "ash"), "-c", script(TOKEN, labels)]
    output = subprocess.run(command, env={"PATH": f"{folder}"}, capture_output=True, check=True)
    assert output.stderr == b""
    exchange = read(output.stdout, TOKEN)
    assert isinstance(exchange, Exchange), exchange.missing
    return exchange


def test_all_facts_are_told(tmp_path: Path, daemon: int) -> None:
    put_programs(tmp_path)
    os.utime(tmp_path / "db/20261101.db.gz", (1_795_000_000, 1_795_000_000))
    exchange = answered(tmp_path, ("20261101", "20261001"))
    assert str(daemon) in exchange.before.pids.split()
    assert exchange.before.started is not None
    assert exchange.before.at - 60 < exchange.before.started <= exchange.after.at
    assert exchange.before.files == {"20261101": 1_795_000_000.0}
    assert exchange.before.scratch is not None
    assert len(exchange.rows) == len(exchange.closed["20261101"] or ()) == 15
    assert exchange.closed["20261001"] is None


@pytest.mark.usefixtures("daemon")
def test_a_directory_with_a_hostile_name_and_many_files(tmp_path: Path) -> None:
    put_programs(tmp_path)
    directory = tmp_path / DIRECTORY
    directory.mkdir()
    for number in range(OLD):
        (directory / f"{20_250_000 + number}.db.gz").touch()
    for name in ("20261101.db", "20261201.db.gz", "0.db", "-n.db", "a\n20270101.db", "x\n .db"):
        (directory / name).touch()
    (tmp_path / "settings").write_text(f"database_directory={directory}\ndatabase_interval=1\n")
    files = answered(tmp_path).before.files
    assert {"20261101", "20261201", f"{20_250_000 + OLD - 1}"} <= files.keys()
    assert len(files) == 100
    assert "20270101" not in files


def test_hosts_of_an_advertisement_blocker_are_left_out(tmp_path: Path) -> None:
    """By this machine's shell: that of BusyBox runs no other cat than its own."""
    programs(tmp_path, JSON)
    hosts = "".join(f"{address} ad{number}.example\n" for number in range(500) for address in BLOCKED)
    (tmp_path / "hosts").write_text(f"# names\n{hosts}192.168.1.101 laptop\n")
    program(tmp_path / "cat", f'[ "$1" = /etc/hosts ] && shift 2 && set -- {tmp_path}/hosts\nexec /bin/cat "$@"')
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    told = subprocess.run(["sh", "-c", script(TOKEN)], env=environment, capture_output=True, check=True).stdout
    answer = read(told, TOKEN)
    assert answer.names["192.168.1.101"] == "laptop"
    assert b".example" not in told


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("forced", [False, True])
def test_a_poll_through_dropbear(forced: bool) -> None:
    server = Server("dropbear")
    try:
        folder = server.folder / "router"
        folder.mkdir()
        put_programs(folder)
        command = server.folder / "forced-command"
        command.write_text(forced_command())
        run = f"{folder}/ash {command}" if forced else f'{folder}/ash -c "$SSH_ORIGINAL_COMMAND"'
        program(server.folder / "force", f"PATH={folder} exec {run}")
        source = NlbwmonSource(server.settings())
        poll = source.poll()
        source.close()
        assert len([reading for reading in poll.readings if reading.counter.kind == "client"]) == 15
        assert not poll.notices
        assert all(mark for mark in poll.complete.values())
        assert poll.clock_bound
    finally:
        server.close()


def _found(name: str) -> str:
    path = shutil.which(name)
    assert path is not None
    return path
