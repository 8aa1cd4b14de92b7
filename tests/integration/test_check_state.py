"""`check` of the exporter's own place: its state file, where that lies and its web server; and the order of it all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from exporter.check import Finding, in_order
from exporter.cli import app
from exporter.config import Listen, Web
from exporter.demo.certificate import make_certificate
from exporter.store import State
from exporter.store.check import FULL, SCARCE, room
from exporter.store.check import check as check_state
from exporter.web.check import check as check_web
from tests.conftest import ROOT
from tests.nlbwmon.servers import SPARE_UID

GIB = 1 << 30
DISK = "20 1 8:1 / / rw - ext4 /dev/sda1 rw"
MEND = "give the user that runs the exporter permission to write there, or set `state` to another path"


def root(folder: Path, *mounts: str, container: bool = False, zone: bool = False) -> Path:
    """A root folder with a /proc that lists these mounts."""
    place = folder / "root"
    (place / "proc/self").mkdir(parents=True)
    (place / "proc/self/mountinfo").write_text("".join(f"{mount}\n" for mount in mounts))
    if container:
        (place / ".dockerenv").touch()
    if zone:
        (place / "etc").mkdir()
        (place / "etc/localtime").touch()
    return place


def lines(state: Path, machine: Path) -> list[str]:
    return [str(finding) for finding in check_state(state, {}, machine) if finding.subject != "state room"]


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write everywhere, so whoever runs the tests as root is somebody else here."""
    if os.geteuid():
        yield
        return
    os.seteuid(SPARE_UID)
    try:
        yield
    finally:
        os.seteuid(0)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return root(tmp_path, DISK)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state file that an exporter made and closed."""
    path = tmp_path / "data/bandwidth.db"
    State.open(path).close()
    return path


def test_a_file_that_is_to_be_made_is_not_made(tmp_path: Path, machine: Path) -> None:
    path = tmp_path / "a/b/bandwidth.db"
    before = snapshot(tmp_path)
    assert lines(path, machine) == [
        f"ok      state file: {path} does not exist yet; the first `run` makes it, and totals begin at 0",
        f"ok      state place: {path.parent} is on ext4, mounted at /",
    ]
    assert snapshot(tmp_path) == before


def test_a_file_that_can_be_used_is_not_touched(state: Path, machine: Path) -> None:
    before, when = snapshot(state.parent), state.stat().st_mtime_ns
    size = f"{state.stat().st_size / 1024:.1f} KiB"
    assert lines(state, machine)[0] == f"ok      state file: {state} can be used ({size})"
    assert snapshot(state.parent) == before
    assert state.stat().st_mtime_ns == when


def test_an_empty_file(tmp_path: Path, machine: Path) -> None:
    path = tmp_path / "bandwidth.db"
    path.touch()
    assert lines(path, machine)[0] == f"ok      state file: {path} can be used (0 B, still empty)"


def test_a_file_in_use_is_well(state: Path, machine: Path) -> None:
    running = State.open(state)
    try:
        expected = f"ok      state file: {state} is in use by a running exporter (process {os.getpid()})"
        assert lines(state, machine)[0] == expected
    finally:
        running.close()
    assert "can be used" in lines(state, machine)[0]
    State.open(state).close()


def test_a_file_left_by_a_crash(state: Path, machine: Path) -> None:
    """With a log beside it: neither is touched."""
    with closing(sqlite3.connect(state)) as connection:
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
        connection.commit()
        for suffix in ("", "-wal"):
            shutil.copy(f"{state}{suffix}", f"{state}.crashed{suffix}")
    crashed = state.with_name(state.name + ".crashed")
    before = snapshot(state.parent)
    assert lines(crashed, machine)[0].startswith(f"ok      state file: {crashed} can be used (")
    assert snapshot(state.parent) == before


def test_files_that_cannot_be_used(state: Path, machine: Path, tmp_path: Path) -> None:
    assert (
        lines(tmp_path, machine)[0] == f"error   state file: {tmp_path} is a folder; set `state` to the path of a file"
    )
    assert lines(Path("/dev/null"), machine)[0] == (
        "error   state file: /dev/null is a device; set `state` to the path of a file"
    )
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE a (b)")
    assert lines(foreign, machine)[0] == (
        f"error   state file: {foreign}: it is a database of another program. Set `state` in the configuration to a "
        "path of the exporter's own; this file was not changed."
    )
    text = tmp_path / "text.db"
    text.write_text("no database at all\n" * 100)
    assert lines(text, machine)[0].startswith(
        f"error   state file: {text}: cannot open it: it is no SQLite database, or its head is damaged ("
    )
    with closing(sqlite3.connect(state)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    assert lines(state, machine)[0].startswith(
        f"error   state file: {state}: it was written by a newer version of the exporter (schema 9999, this version "
    )


def test_a_damaged_file(state: Path, machine: Path) -> None:
    content = bytearray(state.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    state.write_bytes(content)
    assert "it is damaged" in lines(state, machine)[0]


def test_a_folder_that_cannot_be_made(tmp_path: Path, machine: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file/data/bandwidth.db"
    assert lines(path, machine)[0] == (
        f"error   state file: {path} and its folder {path.parent} cannot be made: {tmp_path}/file is no folder; {MEND}"
    )


def test_places_that_this_user_may_not_write_to(machine: Path) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "file.db").touch(mode=0o444)
        folder.chmod(0o555)
        missing, deep = folder / "bandwidth.db", folder / "data/bandwidth.db"
        with ordinary_user():
            said = [lines(path, machine)[0] for path in (missing, deep, folder / "file.db")]
            hidden = lines(machine / "data/bandwidth.db", machine)
        folder.chmod(0o755)
    # The folders of the tests themselves are root's alone, where it is root that runs them.
    assert hidden[0].startswith("ok" if os.geteuid() else "error   state file: ")
    assert said == [
        f"error   state file: {missing} cannot be made in its folder: this user may not write to {folder}; {MEND}",
        f"error   state file: {deep} and its folder {folder}/data cannot be made: this user may not write to {folder}; "
        + MEND,
        f"error   state file: {folder}/file.db: this user may not read and write {folder}/file.db; {MEND}",
    ]


@pytest.mark.parametrize(
    ("mount", "container", "expected"),
    [
        (
            DISK.replace("ext4", "overlay"),
            True,
            "warning state place: {} is on the container's own layer: totals are lost with the container; mount a "
            "volume there",
        ),
        ("21 20 8:1 / {} rw - ext4 /dev/sda1 rw", True, "ok      state place: {} is on ext4, mounted at {}"),
        (
            "21 20 0:40 / {} rw shared:7 - nfs4 nas:/export rw",
            False,
            "warning state place: {} is on a network file system (nfs4), where SQLite's locks may not hold and a "
            "connection that breaks stops the counting; set `state` to a path on a local disk",
        ),
        (
            "21 20 0:41 / {} rw - tmpfs tmpfs rw",
            False,
            "warning state place: {} is in memory (tmpfs): totals are lost with the next reboot; set `state` to a path "
            "on a disk",
        ),
    ],
)
def test_where_it_lies(tmp_path: Path, mount: str, container: bool, expected: str) -> None:
    folder = tmp_path / "my data"
    folder.mkdir()
    listed = mount.replace("{}", str(folder).replace(" ", "\\040"))
    place = root(tmp_path, DISK, listed, container=container)
    assert lines(folder / "bandwidth.db", place)[1] == expected.replace("{}", str(folder))


def test_without_a_list_of_mounts_nothing_is_said_of_the_place(tmp_path: Path) -> None:
    assert len(lines(tmp_path / "bandwidth.db", tmp_path / "none")) == 1


def test_the_room(tmp_path: Path, machine: Path) -> None:
    said = [str(finding) for finding in check_state(tmp_path / "bandwidth.db", {}, machine)]
    free = shutil.disk_usage(tmp_path).free
    assert said[-1].startswith("ok" if free >= SCARCE else "warning" if free >= FULL else "error")
    assert f"are free at {tmp_path}" in said[-1]
    assert str(room(GIB, GIB // 10, tmp_path)) == f"ok      state room: 1.0 GiB are free at {tmp_path}"
    assert str(room(5 * GIB, GIB, tmp_path)) == (
        f"warning state room: 5.0 GiB are free at {tmp_path}, and the state has 1.0 GiB; make room there in time"
    )
    assert room(GIB - 1, 0, tmp_path).level == "warning"
    assert room(50 << 20, 0, tmp_path).level == "warning"
    assert str(room((50 << 20) - 1, 0, tmp_path)) == (
        f"error   state room: 50.0 MiB are free at {tmp_path}: commits will fail, and nothing is counted then; make "
        "room there"
    )


def web_lines(web: Web, machine: Path, zone: ZoneInfo | None = None) -> list[str]:
    return [str(finding) for finding in check_web(web, zone, {}, machine)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def web(host: str, port: int, config_file: Path | None = None) -> Web:
    return Web.model_construct(listen=Listen(host, port), config_file=config_file, enable_lifecycle=False)


def answers(listener: socket.socket, answer: bytes) -> threading.Thread:
    def serve() -> None:
        wire, _ = listener.accept()
        with wire:
            wire.recv(4096)
            wire.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_the_address(machine: Path) -> None:
    port = free_port()
    assert web_lines(web("127.0.0.1", port), machine) == [f"ok      web listen: 127.0.0.1:{port} is free"]
    assert web_lines(web("::1", port), machine) == [f"ok      web listen: [::1]:{port} is free"]
    assert web_lines(web("192.0.2.1", port), machine)[0] == (
        f"error   web listen: 192.0.2.1:{port}: this is no address of this machine; listen on one that it has, "
        "127.0.0.1 or 0.0.0.0"
    )
    assert web_lines(web("host.invalid", port), machine)[0] == (
        f"error   web listen: host.invalid:{port}: the host name cannot be resolved; choose another place with "
        "web.listen"
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            b"HTTP/1.1 200 OK\r\n\r\nbandwidth-exporter is healthy.\n",
            "ok      web listen: {} is in use by a running exporter",
        ),
        (
            b'HTTP/1.1 401 \r\nwww-authenticate: Basic realm="bandwidth-exporter"\r\n\r\n',
            "ok      web listen: {} is in use by a running exporter",
        ),
        (
            b"HTTP/1.1 200 OK\r\n\r\nnode_exporter\n",
            "error   web listen: {} is in use by another program; choose another place with web.listen",
        ),
        (b"", "error   web listen: {} is in use by another program; choose another place with web.listen"),
    ],
)
def test_an_address_in_use(machine: Path, answer: bytes, expected: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serving = answers(listener, answer)
        assert web_lines(web("127.0.0.1", port), machine) == [expected.replace("{}", f"127.0.0.1:{port}")]
        serving.join()


def test_strangers_may_read(machine: Path) -> None:
    port = free_port()
    assert web_lines(web("0.0.0.0", port), machine) == [
        f"ok      web listen: 0.0.0.0:{port} is free",
        "warning web readers: everybody who reaches this port on 0.0.0.0 can read who uses the line and how much, and "
        "whoever is on the way there can too; set web.config_file for TLS and passwords, or listen on 127.0.0.1",
    ]


def test_the_web_configuration(machine: Path, tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "web.yml"
    path.write_text("tls_server_confg: {}\n")
    assert web_lines(web("127.0.0.1", port, path), machine)[0] == (
        f"error   web config_file: {path}:1: tls_server_confg: is no key here; did you mean tls_server_config?"
    )
    made = make_certificate(tmp_path)
    path.write_text(f"tls_server_config: {{cert_file: {made.path.name}, key_file: {made.key_path.name}}}\n")
    assert web_lines(web("127.0.0.1", port, path), machine)[0] == f"ok      web config_file: {path} can be used (TLS)"


def test_time_zones(tmp_path: Path) -> None:
    port = free_port()
    for name, container, zone in (("a", True, False), ("b", True, True), ("c", False, False)):
        (tmp_path / name).mkdir()
        place = root(tmp_path / name, DISK, container=container, zone=zone)
        said = web_lines(web("127.0.0.1", port), place)[1:]
        assert bool(said) == (container and not zone)
    place = tmp_path / "a/root"
    assert web_lines(web("127.0.0.1", port), place)[1:] == [
        "warning timezone: this container has no time zone, so days and months begin in UTC; set `timezone`, such as "
        "Europe/Berlin"
    ]
    assert web_lines(web("127.0.0.1", port), place, ZoneInfo("Europe/Berlin"))[1:] == [
        "ok      timezone: days and months begin by the clock of Europe/Berlin"
    ]


@pytest.mark.parametrize("name", ["Europe/Berln", "CET-1CEST", "../etc", "a\0b"])
def test_a_time_zone_that_has_no_name(tmp_path: Path, name: str) -> None:
    found = list(check_web(web("127.0.0.1", free_port()), None, {"TZ": name}, root(tmp_path, DISK, zone=True)))
    assert [str(each) for each in found[1:]] == [
        f"warning timezone: the environment variable TZ is {name!r}, no name of a time zone, so days and months begin "
        "in UTC; set `timezone`, such as Europe/Berlin"
    ]


@pytest.mark.parametrize("name", ["Europe/Berlin", ":Europe/Berlin", "UTC0", "/etc/localtime", ""])
def test_a_time_zone_of_the_environment(tmp_path: Path, name: str) -> None:
    assert len(list(check_web(web("127.0.0.1", free_port()), None, {"TZ": name}, root(tmp_path, DISK, zone=True)))) == 1


def test_all_of_it_in_the_order_of_the_file(tmp_path: Path) -> None:
    path, port = tmp_path / "config.yaml", free_port()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
    source = {"kind": "unifi", "url": f"https://127.0.0.1:{closed}", "username": "u", "password": "hunter2"}
    names = [f"source-{number}" for number in range(20)]
    listed = [{"name": name, **source} for name in names]
    path.write_text(json.dumps({"web": {"listen": f"127.0.0.1:{port}"}, "sources": listed}))
    result = CliRunner().invoke(app, ["check", "--config", str(path), "--json"])
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [line["source"] for line in told if line["source"]] == names
    assert [line["subject"] for line in told if not line["source"]][:2] == ["state file", "state place"]
    assert not (tmp_path / "data").exists()
    alone = CliRunner().invoke(app, ["check", "--config", str(path), "--source", "source-3"])
    assert alone.stdout == (
        f"error   source-3: reach: https://127.0.0.1:{closed}/: Connection refused; check that it is up and can be "
        "reached from here\n"
    )
    unknown = CliRunner().invoke(app, ["check", "--config", str(path), "--source", "x\x1b"])
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert unknown.stderr.startswith(f'There is no source "x\\x1b" in {path}. There is: source-0, source-1, ')


def test_what_is_known_is_said_before_the_rest_is() -> None:
    second_may_end, first_was_seen = threading.Event(), threading.Event()

    def first() -> Iterator[Finding]:
        yield Finding("ok", "a", "first")

    def second() -> Iterator[Finding]:
        yield Finding("ok", "b", "begun")
        assert first_was_seen.wait(10)
        second_may_end.set()
        yield Finding("ok", "b", "ended")

    def third() -> Iterable[Finding]:
        assert second_may_end.wait(10)  # beside the second, not after it
        return [Finding("ok", "c", "third")]

    said = in_order([first, second, third])
    assert next(said).message == "first"
    first_was_seen.set()
    assert [finding.message for finding in said] == ["begun", "ended", "third"]


def test_what_a_trial_raises_is_raised() -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("ok", "a", "b")
        raise ZeroDivisionError

    said = in_order([broken])
    assert next(said).message == "b"
    with pytest.raises(ZeroDivisionError):
        next(said)


def test_control_c_ends_it_at_once_and_quietly(tmp_path: Path) -> None:
    path, port = tmp_path / "config.yaml", free_port()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        source = {"name": "home", "kind": "unifi", "url": url, "username": "u", "password": "p", "timeout": "5m"}
        source["interval"] = "10m"
        path.write_text(json.dumps({"web": {"listen": f"127.0.0.1:{port}"}, "sources": [source]}))
        command = [sys.executable, "-m", "exporter", "check", "--config", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
            wire, _ = silent.accept()  # now it waits
            with wire:
                process.send_signal(signal.SIGINT)
                stdout, stderr = process.communicate(timeout=10)
    assert process.returncode == 130
    assert stderr == b"stopped before all was tried\n"
    assert b"Traceback" not in stdout
