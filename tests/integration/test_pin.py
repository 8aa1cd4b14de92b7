"""`pin`: real routers and controllers are shown to a person, and trusted on a yes and never without one."""

from __future__ import annotations

import json
import logging
import os
import pty
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from typer.testing import CliRunner, Result

from exporter.cli import app
from exporter.demo.controller import DemoController
from exporter.sources.nlbwmon import NlbwmonSource
from exporter.sources.nlbwmon.pin import without
from tests.conftest import ROOT
from tests.nlbwmon.servers import USER, Kind, Server

KINDS: tuple[Kind, ...] = ("openssh", "dropbear")
NOBODY = "Nobody can be asked here, so nothing was written. Compare it, then say --yes.\n"
COMPARE = "On the router itself, by its own console or where nobody can be in between, this shows its own:"


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The command line sets the log of the whole process up: put back what was there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server(request.param)
    (running.folder / "known_hosts").unlink()
    yield running
    running.close()


def router_file(server: Server, folder: Path, **changes: str) -> Path:
    source = {"name": "attic", "kind": "nlbwmon", "host": "127.0.0.1", "port": str(server.port), "username": USER}
    source |= {"key_file": str(server.folder / "user"), "known_hosts": str(server.folder / "known_hosts")} | changes
    path = folder / "config.yaml"
    path.write_text(json.dumps({"sources": [source]}))
    return path


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def pin(path: Path, *options: str, source: str = "attic") -> Result:
    return command("pin", source, "--config", path, *options)


def line_of(server: Server, key: str = "ed25519") -> str:
    kind, data = (server.folder / f"{key}.pub").read_text().split()[:2]
    return f"[127.0.0.1]:{server.port} {kind} {data}"


def shown(server: Server, *, pinned: bool = False) -> str:
    key = f"  ssh-ed25519 {server.fingerprint()}{'  (pinned already)' if pinned else ''}\n"
    return (
        f"[127.0.0.1]:{server.port} shows:\n{key}"
        f"{COMPARE}\n"
        "  dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key\n"
        f"A yes writes this line into {server.folder}/known_hosts:\n"
        f"  {line_of(server)}\n"
    )


def test_a_routers_key_is_shown_and_written_on_a_yes(server: Server, tmp_path: Path) -> None:
    path, known = router_file(server, tmp_path), server.folder / "known_hosts"
    asked = pin(path)
    assert (asked.exit_code, asked.stdout, asked.stderr) == (2, shown(server), NOBODY)
    assert not known.exists()
    answered = pin(path, "--yes")
    assert (answered.exit_code, answered.stderr) == (0, "")
    assert answered.stdout == shown(server) + (
        f"ssh-ed25519 {server.fingerprint()} is written into {known}, and is the key that [127.0.0.1]:{server.port} "
        "shows\n"
    )
    assert known.read_text() == f"{line_of(server)}\n"
    assert stat.S_IMODE(known.stat().st_mode) == 0o600
    source = NlbwmonSource(server.settings())
    assert source.poll().identity == server.fingerprint()
    source.close()
    again = pin(path)
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout == (
        f"[127.0.0.1]:{server.port} shows:\n  ssh-ed25519 {server.fingerprint()}  (pinned already)\n"
        "attic is trusted by it already\n"
    )
    assert [each.name for each in server.folder.iterdir() if "known" in each.name] == ["known_hosts"]


def test_what_stands_in_known_hosts_stays(server: Server, tmp_path: Path) -> None:
    known = server.folder / "known_hosts"
    other = line_of(server).replace("127.0.0.1", "192.168.9.9")
    before = f"# mine \xe9\n\n{other} a comment\nno key"
    known.write_bytes(before.encode())
    known.chmod(0o644)
    assert pin(router_file(server, tmp_path), "--yes").exit_code == 0
    assert known.read_bytes() == f"{before}\n{line_of(server)}\n".encode()
    assert stat.S_IMODE(known.stat().st_mode) == 0o644


def test_known_hosts_may_be_a_link(server: Server, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (server.folder / "known_hosts").symlink_to(tmp_path / "elsewhere")
    assert pin(router_file(server, tmp_path), "--yes").exit_code == 0
    assert (server.folder / "known_hosts").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == f"{line_of(server)}\n"


def test_a_changed_key_is_told_loudly_and_replaced_only_when_asked_to(server: Server, tmp_path: Path) -> None:
    path, known = router_file(server, tmp_path), server.folder / "known_hosts"
    server.pin("stranger")
    hashed = paramiko.HostKeys.hash_host(f"[127.0.0.1]:{server.port}")
    old = line_of(server, "stranger")
    before = f"{old}\nother,{old}\n{hashed} {old.partition(' ')[2]}\n# kept\n"
    known.write_text(before)
    for options in ((), ("--yes",)):
        result = pin(path, *options)
        assert (result.exit_code, result.stdout) == (1, shown(server))
        assert result.stderr == (
            f"THE HOST KEY HAS CHANGED. {known} has ssh-ed25519 {server.fingerprint('stranger')}. Somebody may be in "
            "between.\nIf the router was reset or replaced, and what it shows here is what it shows by its own "
            "console, say --replace: the old key is then taken out.\n"
        )
        assert known.read_text() == before
    asked = pin(path, "--replace")
    assert (asked.exit_code, asked.stderr) == (2, NOBODY)
    assert known.read_text() == before
    assert pin(path, "--replace", "--yes").exit_code == 0
    assert known.read_text() == f"other {old.partition(' ')[2]}\n# kept\n{line_of(server)}\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_router_that_has_only_an_rsa_key(kind: Kind, tmp_path: Path) -> None:
    server = Server(kind, key="rsa")
    try:
        (server.folder / "known_hosts").unlink()
        path = router_file(server, tmp_path)
        result = pin(path, "--yes")
        assert result.exit_code == 0
        assert f"  ssh-rsa {server.fingerprint('rsa')}\n" in result.stdout
        assert "  dropbearkey -y -f /etc/dropbear/dropbear_rsa_host_key\n" in result.stdout
        source = NlbwmonSource(server.settings())
        assert source.poll().identity == server.fingerprint("rsa")
        source.close()
        assert pin(path).exit_code == 0
    finally:
        server.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_better_key_beside_an_rsa_key(kind: Kind, tmp_path: Path) -> None:
    server = Server(kind, key="rsa")
    try:
        path = router_file(server, tmp_path)
        server.kill()
        server.restart("rsa", "ed25519")
        result = pin(path, "--yes")
        assert result.stdout.splitlines()[1:3] == [
            f"  ssh-ed25519 {server.fingerprint()}",
            f"  ssh-rsa {server.fingerprint('rsa')}  (pinned already)",
        ]
        assert result.exit_code == 0
        lines = (server.folder / "known_hosts").read_text().splitlines()
        assert [line.split()[1] for line in lines] == ["ssh-rsa", "ssh-ed25519"]
    finally:
        server.close()


def test_a_router_that_freezes_or_is_not_there(server: Server, tmp_path: Path) -> None:
    path = router_file(server, tmp_path, timeout="1s")
    server.freeze()
    began = time.monotonic()
    result = pin(path, "--yes")
    assert time.monotonic() - began < 5.0
    where = f"ssh://{USER}@127.0.0.1:{server.port}"
    assert (result.exit_code, result.stdout, result.stderr) == (
        1,
        "",
        f"{where}: no complete answer in time; check that it is up; where it is only slow, give it a longer "
        "`timeout`\n",
    )
    server.thaw()
    server.kill()
    result = pin(path, "--yes")
    assert (result.exit_code, result.stderr) == (
        1,
        f"{where}: Connection refused; check that it is up and can be reached from here\n",
    )


def test_a_router_that_drips(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_drip, args=(listener,), daemon=True).start()
        source = {"name": "attic", "kind": "nlbwmon", "host": "127.0.0.1", "port": str(listener.getsockname()[1])}
        path = tmp_path / "config.yaml"
        path.write_text(json.dumps({"sources": [source | {"password": "p", "timeout": "1s"}]}))
        began = time.monotonic()
        result = pin(path, "--yes")
        assert time.monotonic() - began < 5.0
    assert result.exit_code == 1
    assert "no complete answer in time" in result.stderr
    assert not (tmp_path / "known_hosts").exists()


def _drip(listener: socket.socket) -> None:
    wire, _ = listener.accept()
    pause = threading.Event()
    with wire:
        try:
            wire.sendall(b"SSH-2.0-dropbear\r\n")
            while not pause.wait(0.1):
                wire.sendall(b"\0")
        except OSError:
            return


def test_known_hosts_that_cannot_be_written_or_used(server: Server, tmp_path: Path) -> None:
    missing = tmp_path / "none/known_hosts"
    result = pin(router_file(server, tmp_path, known_hosts=str(missing)), "--yes")
    assert (result.exit_code, result.stderr) == (
        1,
        f"{missing} cannot be written (No such file or directory); write this line there: {line_of(server)}\n",
    )
    (server.folder / "known_hosts").write_text("@revoked x ssh-ed25519 AAAA\n")
    result = pin(router_file(server, tmp_path), "--yes")
    assert result.exit_code == 1
    assert "has a line that cannot be used; give the exporter a file of its own" in result.stderr


def test_a_place_leaves_known_hosts_and_nothing_else_does() -> None:
    text = "  a ssh-rsa A\n# a ssh-rsa A\n@cert-authority a ssh-rsa A\nb,a,c ssh-rsa  A  x\r\naa ssh-rsa A\n"
    text += "a\n\na,b ssh-rsa A"
    assert without(text, "a") == (
        "# a ssh-rsa A\n@cert-authority a ssh-rsa A\nb,c ssh-rsa  A  x\r\naa ssh-rsa A\na\n\nb ssh-rsa A"
    )


CONFIG = """\
# mine
web: {listen: "127.0.0.1:10477"}
sources:
  - name: other
    kind: unifi
    url: https://127.0.0.1:1   # not this one
    username: u
    password: p
  - kind: unifi
    url: "{url}"  # at home
    name: home
    username: ${NAME}
    password: 'it''s'
    # the end
clients:
  "02:aa:bb:cc:dd:01": {name: Täblet}
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "exporter")


def config_file(console: DemoController, folder: Path, text: str = CONFIG) -> Path:
    path = folder / "config.yaml"
    path.write_bytes(text.replace("{url}", console.url).encode())
    path.chmod(0o640)
    return path


def changed(console: DemoController, text: str = CONFIG) -> bytes:
    line = '    url: "{url}"  # at home\n'
    return text.replace(line, f"{line}    fingerprint: {console.fingerprint}\n").replace("{url}", console.url).encode()


def test_a_controllers_certificate_is_shown_and_written_on_a_yes(console: DemoController, tmp_path: Path) -> None:
    path = config_file(console, tmp_path)
    before = path.read_bytes()
    asked = pin(path, source="home")
    assert (asked.exit_code, asked.stderr) == (2, NOBODY)
    port = console.url.rpartition(":")[2]
    lines = asked.stdout.splitlines()
    assert lines[:4] == [
        f"{console.url} shows the certificate:",
        f"  fingerprint: {console.fingerprint}",
        "  for: CN=Bandwidth Exporter demo",
        "  by: itself",
    ]
    assert lines[4].startswith("  valid: 2")
    assert lines[5:] == [
        "On the controller itself (its console or SSH), where nobody can be in between, this prints the same digits:",
        f"  openssl s_client -connect 127.0.0.1:{port} </dev/null | openssl x509 -noout -fingerprint -sha256",
        f"A yes writes the fingerprint into {path}, at the source home.",
    ]
    assert path.read_bytes() == before
    answered = pin(path, "--yes", source="home")
    assert (answered.exit_code, answered.stderr) == (0, "")
    copy = path.with_name("config.yaml.bak")
    assert answered.stdout.splitlines()[-1] == (
        f"the fingerprint is written into {path}, and {console.url} shows it; the file as it was is {copy}"
    )
    assert path.read_bytes() == changed(console)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert copy.read_bytes() == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    again = pin(path, source="home")
    assert (again.exit_code, again.stdout.splitlines()[-1]) == (0, "home is trusted by it already")
    assert command("check", "--config", path, "--source", "home").stdout.splitlines()[1] == (
        "ok      home: TLS: the certificate is trusted by `fingerprint`"
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.yaml", "config.yaml.bak"]


@pytest.mark.parametrize(
    "text",
    [CONFIG.replace("\n", "\r\n"), "\ufeff" + CONFIG, CONFIG[: CONFIG.index("clients:")].rstrip("\n")],
    ids=["crlf", "mark", "no-newline"],
)
def test_every_other_byte_stays(console: DemoController, tmp_path: Path, text: str) -> None:
    path = config_file(console, tmp_path, text)
    assert pin(path, "--yes", source="home").exit_code == 0
    ending = "\r\n" if "\r\n" in text else "\n"
    line = f'    url: "{{url}}"  # at home{ending}'
    expected = text.replace(line, f"{line}    fingerprint: {console.fingerprint}{ending}")
    assert path.read_bytes() == expected.replace("{url}", console.url).encode()


def test_a_url_on_the_first_or_the_last_line_of_its_source(console: DemoController, tmp_path: Path) -> None:
    path = config_file(console, tmp_path, "sources:\n-   url: {url}\n    kind: unifi\n    name: home\n    api_key: k")
    assert pin(path, "--yes", source="home").exit_code == 0
    assert path.read_text() == (
        f"sources:\n-   url: {console.url}\n    fingerprint: {console.fingerprint}\n    kind: unifi\n    name: home\n"
        "    api_key: k"
    )
    path = config_file(console, tmp_path, "sources:\n- kind: unifi\n  name: home\n  api_key: k\n  url: {url}")
    assert pin(path, "--yes", source="home").exit_code == 0
    assert path.read_text().endswith(f"  url: {console.url}\n  fingerprint: {console.fingerprint}\n")
    assert (tmp_path / "config.yaml.bak1").exists()


def test_another_certificate_is_told_loudly_and_replaced_only_when_asked_to(
    console: DemoController, tmp_path: Path
) -> None:
    old = "sha256:" + "0" * 64
    text = CONFIG.replace("    name: home\n", f'    fingerprint:  "{old}" # theirs\n    name: home\n')
    path = config_file(console, tmp_path, text)
    before = path.read_bytes()
    for options in ((), ("--yes",)):
        result = pin(path, *options, source="home")
        assert result.exit_code == 1
        assert result.stderr == (
            f"THE CERTIFICATE HAS CHANGED. {path} has {old}. Somebody may be in between.\n"
            "If the controller was given a new one, and what it shows here is what it shows by its own console, say "
            "--replace: the old fingerprint is then replaced.\n"
        )
        assert path.read_bytes() == before
    assert pin(path, "--replace", "--yes", source="home").exit_code == 0
    assert path.read_bytes() == before.replace(f'"{old}"'.encode(), console.fingerprint.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sources: [{name: home, kind: unifi, url: '{url}', api_key: k}]\n",
            "{path} is not written line by line there, so it is left alone; {line}\n",
        ),
        (
            "sources:\n  - name: home\n    kind: unifi\n    api_key: k\n    url:\n      {url}\n",
            "{path} is not written line by line there, so it is left alone; {line}\n",
        ),
        (
            "sources:\n  - name: home\n    kind: unifi\n    api_key: k\n    url: {url}\n    verify_tls: false\n",
            "{path}:6: sources[0].fingerprint: is of no use with verify_tls: false; remove one of them\n"
            "Run this again when that is mended, or {line}\n",
        ),
        (
            "sources:\n  - name: home\n    kind: unifi\n    api_key: k\n    url: {url}\n    fingerprint: ${PIN}\n",
            "{path} is not written line by line there, so it is left alone; {line}\n",
        ),
    ],
)
def test_what_cannot_be_changed_safely_is_left_alone(
    console: DemoController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    monkeypatch.setenv("PIN", "sha256:" + "1" * 64)
    path = config_file(console, tmp_path, text)
    before = path.read_bytes()
    result = pin(path, "--yes", "--replace", source="home")
    line = f"write this line at the source home yourself: fingerprint: {console.fingerprint}"
    assert result.exit_code == 1
    assert result.stderr == expected.replace("{path}", str(path)).replace("{line}", line)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["config.yaml"]


def test_a_controller_that_is_not_there_or_drips(console: DemoController, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        text = CONFIG.replace("    name: home\n", "    name: home\n    timeout: 1s\n").replace("{url}", url)
        path = config_file(console, tmp_path, text)
        began = time.monotonic()
        result = pin(path, "--yes", source="home")
        assert time.monotonic() - began < 5.0
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"{url}: no complete answer in time; ")
    result = pin(path, "--yes", source="home")
    assert result.stderr == f"{url}: Connection refused; check that it is up and can be reached from here\n"
    assert path.read_bytes() == text.encode()


def test_a_source_that_is_not_there(console: DemoController, tmp_path: Path) -> None:
    path = config_file(console, tmp_path)
    result = pin(path, source="attic")
    assert (result.exit_code, result.stderr) == (
        2,
        f'There is no source "attic" in {path}. There is: other, home\n',
    )


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)])
def test_a_person_is_asked(console: DemoController, tmp_path: Path, answer: str, status: int) -> None:
    path = config_file(console, tmp_path)
    before = path.read_bytes()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "exporter", "pin", "home", "--config", str(path)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT) as process:
        os.close(theirs)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        process.wait(10)
        seen += os.read(ours, 4096)
    os.close(ours)
    assert process.returncode == status
    assert b"Is it the same, and to be trusted? [y/N]" in seen
    assert (path.read_bytes() == before) == bool(status)
    assert (b"nothing was written" in seen) == bool(status)


def test_the_script_for_a_restricted_key() -> None:
    result = command("openwrt-script")
    assert result.exit_code == 0
    assert result.stdout.startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n"], input=result.stdout.encode(), check=True).returncode == 0
