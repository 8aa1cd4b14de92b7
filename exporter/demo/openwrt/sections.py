"""The sections of the exporter's script that are not nlbwmon's: each a name, the text that is written, and a status."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any, Final

from exporter.demo.network import PACKET
from exporter.demo.openwrt.router import LINE, WAN, Interface, Router

Section = tuple[str, str, int]

TICKS: Final = 100  # of /proc/<pid>/stat in a second
LEASE: Final = 43_200  # seconds
_NET: Final = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast"
    "|bytes    packets errs drop fifo colls carrier compressed\n"
)


def settings(router: Router) -> Iterator[Section]:
    """What `uci` says."""
    options = router.options
    yield (
        "settings",
        f"database_interval={options.interval}\nrefresh_interval={options.refresh:g}s\n"
        f"database_directory={_folder(router)}\ndatabase_limit={options.limit}\n",
        0,
    )


def facts(router: Router, when: str) -> Iterator[Section]:
    """Which daemon answers, and when: `date`, the boot id, `pidof`, /proc, and the database's files."""
    daemon = router.daemon
    yield f"date-{when}", f"{math.floor(router.clock.clock)} {_zone(router.zone)}\n", 0
    yield f"boot-{when}", f"{router.boot_id}\n", 0
    yield f"pid-{when}", f"{daemon.pid}\n" if daemon else "", 0 if daemon else 1
    # The 22nd field of /proc/<pid>/stat is when the process began (proc(5)).
    stat = f"{daemon.pid} (nlbwmon) S 1{' 0' * 17} {int(daemon.started * TICKS)} 1400000 200 0\n" if daemon else ""
    yield f"stat-{when}", f"{stat}{router.clock.uptime:.2f} {router.clock.uptime:.2f}\n", 0
    kept = router.disk.scratch is not None
    yield f"scratch-{when}", f"{router.disk.inode:>7} /tmp/0.db\n" if kept else "", 0 if kept else 1
    files = sorted(router.disk.files.items())
    lines = (f"{math.floor(file.written)} {_folder(router)}/{label}.db.gz\n" for label, file in files)
    yield f"files-{when}", "".join(lines), 0


def network(router: Router) -> Iterator[Section]:
    """`ubus`, /proc/net/dev, /sys/class/net and the default routes."""
    router.see_line()
    yield "interfaces", json.dumps({"interface": [_lan(router), _wan(router)]}, indent="\t") + "\n", 0
    yield "net", _NET + "".join(_counted(name, each) for name, each in router.interfaces.items()), 0
    yield "links", "".join(f"{name} {each.index} {each.speed}\n" for name, each in router.interfaces.items()), 0
    yield "routes", f"{LINE}\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n" if router.up else "", 0


def names(router: Router) -> Iterator[Section]:
    """dnsmasq's leases, and /etc/hosts."""
    expiry = math.floor(router.clock.clock) + LEASE
    leases = (f"{expiry} {mac} {ip} {name or '*'} 01:{mac}\n" for (mac, ip), name in router.leases.items())
    yield "names", "".join(leases), 0
    hosts = "".join(f"{ip} {name}\n" for ip, name in router.hosts.items())
    yield "hosts", f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{hosts}", 0


def _counted(name: str, interface: Interface) -> str:
    """What an interface received, and in the ninth field what it sent (proc(5)). Packets take longer to wrap."""
    received, sent = interface.shown()
    packets = -(-interface.received // PACKET), -(-interface.sent // PACKET)
    return f"{name:>6}: {received} {packets[0]} 0 0 0 0 0 0 {sent} {packets[1]} 0 0 0 0 0 0\n"


def _folder(router: Router) -> str:
    return "/etc/nlbwmon" if router.disk.flash else "/var/lib/nlbwmon"


def _zone(seconds: int) -> str:
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}{minutes:02}"


def _lan(router: Router) -> dict[str, Any]:
    return {
        "interface": "lan",
        "up": True,
        "uptime": math.floor(router.clock.uptime),
        "l3_device": "br-lan",
        "device": "br-lan",
        "proto": "static",
        "route": [],
        "ipv4-address": [{"address": "192.168.1.1", "mask": 24}],
    }


def _wan(router: Router) -> dict[str, Any]:
    line: dict[str, Any] = {"interface": WAN, "up": router.up, "proto": "pppoe", "device": "eth1"}
    if not router.up:
        return line
    return line | {
        "uptime": math.floor(router.now - router.dialled),
        "l3_device": LINE,
        "route": [{"target": str(IPv4Address(0)), "mask": 0, "nexthop": "203.0.113.1"}],
        "ipv4-address": [{"address": "203.0.113.77", "mask": 32}],
    }
