"""`check` against routers in every state: OpenSSH and dropbear, and scripts that stand for what a router runs."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exporter.check import Finding
from exporter.cli import app
from exporter.sources.nlbwmon.check import check
from exporter.sources.nlbwmon.commands import forced_command
from tests.nlbwmon import checked
from tests.nlbwmon.fakes import program, programs
from tests.nlbwmon.recorded import AFTER, CSV, EMPTY, JSON
from tests.nlbwmon.servers import PASSWORD, USER, Kind, Server

KINDS: tuple[Kind, ...] = ("openssh", "dropbear")
WELL = """\
ok      attic: reach: an SSH server answers at ssh://openwrt@router
ok      attic: host key: ssh-ed25519 SHA256:key is the pinned one
ok      attic: login: openwrt is logged in
ok      attic: shell: a shell answers, so every restart and rollover of nlbwmon is proved
ok      attic: line: counted: wan on eth1
ok      attic: daemon: nlbwmon answers with 15 rows
ok      attic: events: nlbwmon hears of connections
ok      attic: accounting: the kernel counts the bytes of connections
ok      attic: clock: the router's agrees with this machine's
ok      attic: database: "/etc/nlbwmon" is on overlay, written every 24 h: after a power cut, that long at most is \
lost of a time when no poll came
ok      attic: rows: 15 of 10000
ok      attic: offloading: nothing is forwarded past the counters
"""

OWN_KEY = "on the router, `dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key` shows its own"
UP = "check that it is up and can be reached from here"


@pytest.fixture(scope="module", params=["dropbear"])
def running(request: pytest.FixtureRequest) -> Iterator[Server]:
    server = Server(request.param)
    yield server
    server.close()


@pytest.fixture
def server(running: Server) -> Server:
    """A router that is well."""
    programs(running.folder / "bin", JSON)
    checked.make_well(running)
    running.pin("ed25519")
    return running


def found(server: Server, *, interval: float = 30.0, timeout: float = 10.0, **changes: str) -> list[Finding]:
    return list(check("attic", server.settings(timeout=timeout, **changes), interval))


def said(server: Server, *, interval: float = 30.0, timeout: float = 10.0, **changes: str) -> str:
    """What check says of the router, line by line, with what differs from run to run as words."""
    lines = [f"{finding}\n" for finding in found(server, interval=interval, timeout=timeout, **changes)]
    text = "".join(lines).replace(f"127.0.0.1:{server.port}", "router").replace(f"[127.0.0.1]:{server.port}", "router")
    text = text.replace(server.fingerprint(), "SHA256:key").replace(str(server.folder), "")
    assert PASSWORD not in text
    return text


def odd(server: Server, *, interval: float = 30.0) -> list[str]:
    """The lines that differ from those of a router that is well."""
    well = [*WELL.splitlines(), "ok      attic: shell: a shell answers"]
    return [line for line in said(server, interval=interval).splitlines() if line not in well]


@pytest.mark.parametrize("kind", KINDS)
def test_all_well(kind: Kind) -> None:
    server = Server(kind)
    try:
        checked.make_well(server)
        before = threading.enumerate()
        assert said(server) == WELL
        left = [thread for thread in threading.enumerate() if thread not in before]
        for thread in left:
            thread.join(5.0)
        assert not any(thread.is_alive() for thread in left)
    finally:
        server.close()


def test_nobody_there(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = server.settings()
    gone = type(settings)(settings.host, settings.known_hosts, port, USER, PASSWORD)
    assert [str(finding) for finding in check("attic", gone)] == [
        f"error   attic: reach: ssh://openwrt@127.0.0.1:{port}: Connection refused; {UP}"
    ]


def test_no_ssh_server(server: Server) -> None:
    settings = server.settings()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        speaker = threading.Thread(target=_speak_http, args=(listener, 3))
        speaker.start()
        web = type(settings)(settings.host, settings.known_hosts, port, USER, PASSWORD)
        assert [str(finding) for finding in check("attic", web)] == [
            f"error   attic: reach: ssh://openwrt@127.0.0.1:{port}: no SSH server answers there, or it takes no more "
            f"connections; {UP}"
        ]
        speaker.join()


def _speak_http(listener: socket.socket, times: int) -> None:
    for _ in range(times):
        wire, _ = listener.accept()
        with wire:
            wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _drip(listener: socket.socket) -> None:
    wire, _ = listener.accept()
    with wire:
        try:
            wire.sendall(b"SSH-2.0-dropbear\r\n")
            while True:
                wire.sendall(b"\0")
                time.sleep(0.1)
        except OSError:
            return


@pytest.mark.parametrize("drips", [False, True])
def test_a_server_that_stands_still_or_drips_costs_one_timeout(server: Server, drips: bool) -> None:
    settings = server.settings()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        dripping = threading.Thread(target=_drip, args=(listener,), daemon=True)
        if drips:
            dripping.start()
        slow = type(settings)(settings.host, settings.known_hosts, port, USER, PASSWORD, timeout=1.0)
        began = time.monotonic()
        lines = [str(finding) for finding in check("attic", slow)]
        assert time.monotonic() - began < 5.0
        assert lines == [
            f"error   attic: reach: ssh://openwrt@127.0.0.1:{port}: no complete answer in time; check that it is up; "
            "where it is only slow, give it a longer `timeout`"
        ]


def test_no_host_key_is_pinned(server: Server) -> None:
    (server.folder / "known_hosts").unlink()
    assert said(server).splitlines()[1:] == [
        "error   attic: host key: /known_hosts has no key of router, so no password is sent; it shows ssh-ed25519 "
        f"SHA256:key; {OWN_KEY}; where they are the same, `bandwidth-exporter pin attic` writes it down"
    ]


def test_the_host_key_has_changed(server: Server) -> None:
    server.pin("stranger")
    old = server.fingerprint("stranger")
    assert said(server).splitlines()[1:] == [
        f"error   attic: host key: THE HOST KEY HAS CHANGED: /known_hosts has ssh-ed25519 {old}, and "
        "router shows ssh-ed25519 SHA256:key. Somebody may be in between; no password was sent; "
        f"{OWN_KEY}; only where the router was reset or replaced, and they are the same, "
        "`bandwidth-exporter pin attic --replace` writes the new one down"
    ]


def test_known_hosts_with_a_line_that_spoils_it(server: Server) -> None:
    (server.folder / "known_hosts").write_text("@revoked x ssh-ed25519 AAAA\n")
    assert said(server).splitlines()[1:] == [
        "error   attic: host key: ssh://openwrt@router: known_hosts /known_hosts has a line that cannot be used; give "
        "the exporter a file of its own, without @revoked and @cert-authority"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_only_an_rsa_key_is_pinned(kind: Kind) -> None:
    server = Server(kind, key="rsa")
    try:
        checked.make_well(server)
        lines = said(server).splitlines()
        assert lines[1] == (
            f"warning attic: host key: only an RSA key is pinned (ssh-rsa {server.fingerprint('rsa')}); a router may "
            "make itself a new one of another kind and show no RSA key any more"
        )
        assert lines[2:] == WELL.splitlines()[2:]
    finally:
        server.close()


def test_log_in(server: Server) -> None:
    assert said(server, key_file=server.stranger()).splitlines()[2:] == [
        "error   attic: login: ssh://openwrt@router: the log-in was refused; check username, and key_file or password"
    ]
    assert said(server, key_file="/none").splitlines()[2:] == [
        "error   attic: login: ssh://openwrt@router: key_file /none cannot be read (No such file or directory); "
        "name a private key that the exporter's user may read"
    ]


def test_nlbw_is_not_installed(server: Server) -> None:
    lines = said(server, key_file="", password=PASSWORD).splitlines()
    assert lines[4] == (
        "error   attic: nlbw: it is not installed, or this user cannot see it; install it with `opkg install nlbwmon` "
        "or `apk add nlbwmon`"
    )


@pytest.mark.parametrize(
    ("pids", "user", "expected"),
    [
        (
            "",
            "0",
            "error   attic: daemon: nlbwmon is not running; start it with `service nlbwmon start`; where it ends "
            "again, `logread -e nlbwmon` says why: a file in its database_directory is damaged (move the newest away), "
            "or database_limit was lowered below it",
        ),
        ("1", "1000", "error   attic: daemon: nlbwmon runs, but its socket is root's alone; log in as root"),
        (
            "1",
            "0",
            "error   attic: daemon: nlbwmon runs, but does not answer; `service nlbwmon restart` on the router",
        ),
    ],
)
def test_the_daemon_does_not_answer(server: Server, pids: str, user: str, expected: str) -> None:
    server.nlbw("exit 247")
    checked.tell(server, user=user)
    program(server.folder / "bin/pidof", f"echo {pids}")
    assert odd(server) == [expected]


def test_nlbw_fails_otherwise(server: Server) -> None:
    server.nlbw("exit 195")
    assert odd(server) == [
        "error   attic: nlbw: nlbwmon had no data this time; if it stays so, `logread -e nlbwmon` on the router "
        "says why"
    ]


def test_json_that_cannot_be_read(server: Server) -> None:
    server.nlbw(f"case $2 in csv) cat {server.folder}/bin/csv;; *) echo broken;; esac")
    (server.folder / "bin/csv").write_bytes(CSV)
    assert odd(server) == [
        "warning attic: nlbw: its JSON cannot be read, so CSV is read instead; look for a quote in the names of "
        "/usr/share/nlbwmon/protocols on the router"
    ]
    server.nlbw("echo broken")
    assert [line for line in odd(server) if line.startswith("error")] == [
        "error   attic: nlbw: neither its JSON nor its CSV can be read; check that the router is OpenWrt"
    ]


NO_ROWS = "error   attic: events: nlbwmon hears nothing of connections: "


def test_no_conntrack_events(server: Server) -> None:
    programs(server.folder / "bin", EMPTY)
    checked.make_well(server)
    expected = [
        "ok      attic: daemon: nlbwmon answers with 0 rows",
        f"{NO_ROWS}it has no rows at all; check `sysctl net.netfilter.nf_conntrack_events` (1 or 2), and that no "
        "kmod-nft-fullcone is installed: with it nlbwmon counts nothing until the next period begins",
        "ok      attic: rows: 0 of 10000",
    ]
    assert odd(server) == expected
    checked.tell(server, module="nft_fullcone")
    assert odd(server)[1] == (
        f"{NO_ROWS}a full-cone NAT module takes them away (kmod-nft-fullcone, in ImmortalWrt and builds like it); "
        "remove kmod-nft-fullcone, or turn full-cone NAT off, and reboot the router"
    )
    checked.tell(server, nf_conntrack_events="0")
    assert odd(server)[1] == (
        f"{NO_ROWS}net.netfilter.nf_conntrack_events is 0; `sysctl -w net.netfilter.nf_conntrack_events=1`, and the "
        "same line in /etc/sysctl.conf"
    )


def test_a_daemon_that_was_just_started_has_no_rows(server: Server) -> None:
    programs(server.folder / "bin", EMPTY)
    checked.make_well(server)
    with subprocess.Popen(["sleep", "60"]) as young:
        program(server.folder / "bin/pidof", f"echo {young.pid}")
        assert odd(server)[1] == (
            "warning attic: events: there are no rows yet: nlbwmon was just started; try again in 10 minutes"
        )
        young.kill()


def test_no_accounting(server: Server) -> None:
    checked.tell(server, nf_conntrack_acct="0")
    remedy = "`sysctl -w net.netfilter.nf_conntrack_acct=1`, and the same line in /etc/sysctl.conf"
    assert odd(server) == [
        "error   attic: accounting: the kernel counts no bytes of connections: net.netfilter.nf_conntrack_acct is 0; "
        + remedy
    ]
    document = json.loads(AFTER)
    document["data"] = [row for row in document["data"] if not row[6]]
    programs(server.folder / "bin", json.dumps(document).encode())
    checked.make_well(server)
    assert odd(server)[1] == (
        "warning attic: accounting: there are connections, but no byte of any; right after a period began that is so; "
        f"try again in some minutes; if it stays so, {remedy}"
    )


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("-6 min", "6 min behind"),
        ("+3 hour", "3 h ahead of"),
        ("-2000 day", "2000 d behind"),
    ],
)
def test_a_wrong_clock(server: Server, clock: str, expected: str) -> None:
    checked.tell(server, clock=clock)
    assert odd(server) == [
        f"error   attic: clock: the router's is {expected} this machine's: beyond 5 min nothing it says is counted; "
        "set the one that is wrong; on the router, look at `service sysntpd status`"
    ]


def test_a_database_in_memory(server: Server) -> None:
    checked.settings(server, directory="/var/lib/nlbwmon")
    checked.tell(server, canonical="/tmp/lib/nlbwmon")
    assert odd(server) == [
        'warning attic: database: "/var/lib/nlbwmon" is in memory (tmpfs): a reboot of the router loses what moved '
        "since the last poll, and what nlbwmon kept of it for a time when no poll came; put it on flash: `uci set "
        "nlbwmon.@nlbwmon[0].database_directory=/etc/nlbwmon`, `uci commit nlbwmon`, `service nlbwmon restart`"
    ]


def test_settings_worth_a_word(server: Server) -> None:
    checked.settings(
        server,
        commit_interval="1m",
        database_limit="16",
        refresh_interval="2m",
        netlink_buffer_size="1048576",
        database_interval="weekly",
        flow_offloading="1",
        flow_offloading_hw="1",
    )
    assert odd(server) == [
        'error   attic: period: database_interval is "weekly", which is none that is known, so no poll can be read; '
        "`uci set nlbwmon.@nlbwmon[0].database_interval=1` on the router: from the first of every month",
        'warning attic: database: "/etc/nlbwmon" is written to flash (overlay) every 60 s, which wears it out; set '
        "commit_interval to 1h or more: polls keep what moves in between",
        "warning attic: rows: 15 of 16: beyond that nlbwmon forgets old rows, with what moved on them since the last "
        "poll; raise it: `uci set nlbwmon.@nlbwmon[0].database_limit=64`; never lower it",
        "warning attic: refresh: nlbwmon renews its values every 2 min, and is polled every 30 s: rates jump, totals "
        "are right; set refresh_interval to 30s on the router, or the source's `interval` to 120s",
        "warning attic: buffer: the kernel gives nlbwmon 524288 bytes for events and not the 1048576 that it asks for: "
        "in a rush some are lost, and their bytes are never counted; `sysctl -w net.core.rmem_max=1048576`, and the "
        "same line in /etc/sysctl.conf; restart nlbwmon",
        "warning attic: offloading: hardware flow offloading is on: what the hardware forwards by itself is not "
        "counted; turn it off (Network, Firewall), or take this router's numbers as too low",
    ]


def test_software_offloading(server: Server) -> None:
    checked.settings(server, flow_offloading="1")
    assert odd(server) == []
    (server.folder / "bin/fw4").unlink()
    assert odd(server) == [
        "warning attic: offloading: software flow offloading is on, and this firewall (before fw4) does not count what "
        "it forwards; turn it off, or update to OpenWrt 22.03 or later"
    ]


def test_a_limit_of_nothing_is_no_limit(server: Server) -> None:
    checked.settings(server, database_limit="0")
    assert not any(": rows:" in line for line in said(server).splitlines())


def test_what_a_router_says_stays_on_its_line(server: Server) -> None:
    checked.settings(server, directory='/etc/"; rm -rf /\x1b[2J', database_interval="\x1b[31m\x07")
    lines = said(server)
    assert "\x1b" not in lines
    assert "\x07" not in lines


def test_the_exporters_own_forced_command(server: Server) -> None:
    shell = server.folder / "force"
    text = shell.read_text()
    try:
        (server.folder / "restricted").write_text(forced_command())
        program(shell, f"PATH={server.folder}/bin:$PATH exec /bin/sh {server.folder}/restricted")
        lines = said(server).splitlines()
    finally:
        shell.write_text(text)
    well = WELL.splitlines()
    assert lines == [
        *well[:3],
        "ok      attic: shell: the exporter's own forced command answers, so every restart and rollover of nlbwmon is "
        "proved; what else a shell would tell is not known",
        *well[4:9],
        well[10],
    ]


def test_no_line_to_the_outside(server: Server) -> None:
    checked.tell(server, line={"interface": []})
    assert odd(server) == [
        "warning attic: line: no line to the outside can be read, so only clients are counted; see whether an "
        "interface in `ubus call network.interface dump` has a default route"
    ]


def test_a_shell_that_may_not_say_enough(server: Server) -> None:
    program(server.folder / "bin/pidof", "exit 1")
    assert (
        "warning attic: shell: a shell answers, but the process of nlbwmon (pidof) and when nlbwmon was started "
        "(/proc) cannot be read: restarts and rollovers of nlbwmon are guessed from values that fall, and their last "
        "bytes are lost; log in as root"
    ) in odd(server)


GUESSED = (
    ", which tells neither clock nor process: restarts and rollovers are guessed from values that fall, and their last "
    "bytes are lost: nothing proved; docs/openwrt.md has the command for the key that proves them"
)


@pytest.mark.parametrize(
    ("force", "expected"),
    [
        (
            "exec nlbw -c json",
            [
                f"warning attic: shell: the key runs one fixed command{GUESSED}",
                "ok      attic: daemon: nlbwmon answers with 15 rows",
            ],
        ),
        (
            'case "$SSH_ORIGINAL_COMMAND" in *2999*) exit 195;; */nlbw*) exec nlbw -c json;; *) exit 126;; esac',
            [
                f"warning attic: shell: the key runs nlbw alone{GUESSED}",
                "ok      attic: daemon: nlbwmon answers with 15 rows",
            ],
        ),
        (
            "echo welcome; exit 1",
            [
                "error   attic: shell: ssh://openwrt@router: this log-in runs neither the exporter's commands nor "
                "nlbw; bind the key to the exporter's own command, or to none (docs/openwrt.md)"
            ],
        ),
    ],
    ids=["fixed", "nlbw", "neither"],
)
def test_a_key_bound_to_something_else(server: Server, force: str, expected: list[str]) -> None:
    shell = server.folder / "force"
    text = shell.read_text()
    try:
        program(shell, f"PATH={server.folder}/bin:$PATH\n{force}")
        assert said(server).splitlines()[3:] == expected
    finally:
        shell.write_text(text)


def test_the_command(server: Server, tmp_path: Path) -> None:
    checked.tell(server, nf_conntrack_acct="0")
    settings = server.settings()
    source = {"name": "attic", "kind": "nlbwmon", "host": settings.host, "port": str(settings.port)}
    source |= {"username": USER, "key_file": settings.key_file, "known_hosts": settings.known_hosts}
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"sources": [source], "state": str(tmp_path / "state.db")}))
    result = CliRunner().invoke(app, ["check", "--config", str(path), "--source", "attic", "--json"])
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert {line["source"] for line in told} == {"attic"}
    assert [line for line in told if line["level"] == "error"] == [
        {
            "level": "error",
            "subject": "accounting",
            "message": "the kernel counts no bytes of connections: net.netfilter.nf_conntrack_acct is 0",
            "remedy": "`sysctl -w net.netfilter.nf_conntrack_acct=1`, and the same line in /etc/sysctl.conf",
            "source": "attic",
        }
    ]
