"""A router that is well as `check` sees it, over real SSH, and a way to break each part of it."""

from __future__ import annotations

import json
from typing import Any

from tests.nlbwmon.fakes import program
from tests.nlbwmon.servers import Server

SETTINGS = {
    "database_interval": "1",
    "database_limit": "10000",
    "refresh_interval": "30s",
    "commit_interval": "24h",
    "netlink_buffer_size": "524288",
    "flow_offloading": "",
    "flow_offloading_hw": "",
}
SYSCTLS = {"nf_conntrack_events": "1", "nf_conntrack_acct": "1", "rmem_max": "524288"}
OVERLAY = "20 1 0:18 / / rw - overlay overlayfs:/overlay rw"
TMPFS = "21 20 0:19 / /tmp rw - tmpfs tmpfs rw"
COUNTS = "  eth1: 1000 10 0 0 0 0 0 0 500 5 0 0 0 0 0 0"
INTERFACES = {
    "interface": [
        {
            "interface": "wan",
            "up": True,
            "l3_device": "eth1",
            "device": "eth1",
            "ipv4-address": [{"address": "192.0.2.2", "mask": 24}],
            "route": [{"target": "0.0.0.0", "mask": 0, "nexthop": "192.0.2.1"}],
        }
    ]
}


def make_well(server: Server) -> None:
    """Everything as on a router of today with its database on flash."""
    settings(server)
    tell(server)
    program(server.folder / "bin/fw4", "exit 0")
    # This process has run for long, and stands for the daemon.
    program(server.folder / "bin/pidof", "echo 1")


def settings(server: Server, directory: str = "/etc/nlbwmon", **changes: str) -> None:
    """What uci says."""
    facts = {**SETTINGS, "database_directory": directory, **changes}
    (server.folder / "bin/settings").write_text("".join(f"{name}={value}\n" for name, value in facts.items()))


def tell(
    server: Server,
    *,
    user: str = "0",
    mounts: str = f"{OVERLAY}\n{TMPFS}",
    canonical: str = "/etc/nlbwmon",
    module: str = "",
    clock: str = "",
    line: Any = INTERFACES,
    **sysctls: str,
) -> None:
    """What else the router says of itself: the programs that would read it elsewhere say it here instead."""
    told = {**SYSCTLS, **sysctls}
    cases = "".join(f"*/{name}) echo {value}; exit;;\n" for name, value in told.items())
    listed = f"*/self/mountinfo) printf '%s\\n' '{mounts}'; exit;;\n"
    bin_folder = server.folder / "bin"
    net = f"*/net/dev) printf '%s\\n' '{COUNTS}'; exit;;\n"
    program(bin_folder / "cat", f'case "$1" in\n{cases}{listed}{net}esac\nexec /bin/cat "$@"')
    program(bin_folder / "ubus", f"echo '{json.dumps(line or {})}'")
    program(bin_folder / "grep", 'case "$*" in */proc/net/*) exit 1;; esac\nexec /bin/grep "$@"')
    program(bin_folder / "id", f"echo {user}")
    program(bin_folder / "ls", f"echo nf_tables; echo '{module}'")
    program(bin_folder / "readlink", f"echo {canonical}")
    shift = f'case "$1" in +*) /bin/date -d "{clock}" "$@"; exit;; esac\n' if clock else ""
    program(bin_folder / "date", f'{shift}exec /bin/date "$@"')
