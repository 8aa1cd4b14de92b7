"""What `check` asks a router beside a poll's own commands, and what is made of the answers. Pure.

All of it is read: nothing on the router changes. Where a forced command answers, none of this is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from exporter import machine
from exporter.sources.nlbwmon import payload
from exporter.sources.nlbwmon.payload import Row, Section

# `q` is that of commands.sh, behind which this is run.
QUESTIONS: Final = """\
more() {
    for k in commit_interval netlink_buffer_size; do echo "$k=$(uci -q get "nlbwmon.@nlbwmon[0].$k")"; done
    for k in flow_offloading flow_offloading_hw; do echo "$k=$(uci -q get "firewall.@defaults[0].$k")"; done
}
sysctls() {
    for k in netfilter/nf_conntrack_events netfilter/nf_conntrack_acct; do
        echo "${k##*/}=$(cat "/proc/sys/net/$k")"
    done
    echo "rmem_max=$(cat /proc/sys/net/core/rmem_max)"
}
modules() { ls /sys/module | grep -i fullcone; }
q user id -u
q more more
q sysctls sysctls
q modules modules
q nlbw command -v nlbw
q fw4 command -v fw4
q directory readlink -f "${d:-/var/lib/nlbwmon}"
q mounts cat /proc/self/mountinfo
"""

SECONDS: Final[Mapping[str, float]] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
"""The units that nlbwmon knows (timing and `parse_timearg` of its source)."""

DIRECTORY: Final = "/var/lib/nlbwmon"

LONGEST: Final = 4096
"""Bytes of /proc that are looked at: what a router says may be made to be slow to look through."""

Answered = Literal["shell", "exporter", "other"]


class Told(Struct, frozen=True):
    """What a router told, "" or None for what it did not.

    answered: who did: a shell, the exporter's own forced command, or something else. status: how `nlbw` ended, None
    if it never ran. rows: None where they cannot be read. pids: of nlbwmon. age: seconds since it was started.
    at: the router's clock, Unix seconds. settings: of uci and /proc/sys, as text. storage: the type of the file system
    that the database is on.
    """

    answered: Answered
    status: int | None = None
    rows: tuple[Row, ...] | None = None
    bad: int = 0
    pids: str = ""
    age: float | None = None
    at: float | None = None
    user: str = ""
    installed: bool = True
    settings: Mapping[str, str] = {}
    modules: tuple[str, ...] = ()
    fw4: bool = False
    directory: str = ""
    storage: str = ""

    def number(self, name: str) -> int | None:
        """A setting that is a whole number; None where it is not told, or is something else."""
        text = self.settings.get(name, "")
        return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None

    def seconds(self, name: str, default: float) -> float:
        """A setting that is a time, such as `30s` or `24h`."""
        match = re.fullmatch(r"([0-9]{1,9})([smhdw]?)", self.settings.get(name, ""))
        return int(match[1]) * SECONDS[match[2]] if match else default


def read(output: bytes, token: str, form: Literal["json", "csv"]) -> Told:
    """What a router answered. Never raises for what the router wrote."""
    found = payload.sections(output, token)
    if not found:
        return Told("other")

    def text(name: str) -> bytes:
        return found[name].text if name in found else b""

    def line(name: str, pattern: str) -> str:
        match = re.match(pattern, text(name).decode("utf-8", "replace"))
        return match[0].strip() if match else ""

    settings = payload.settings(text("settings") + b"\n" + text("more") + b"\n" + text("sysctls"))
    rows, bad = _rows(found.get("rows"), form)
    clock = line("date-after", r"\s*[0-9]{1,12}\b")
    directory = line("directory", r"/[^\n]*")
    mount = machine.mount_of(Path(directory), text("mounts").decode("utf-8", "replace")) if directory else None
    return Told(
        "shell" if "user" in found else "exporter",
        found["rows"].status if "rows" in found else None,
        rows,
        bad,
        line("pid-after", r"\s*[0-9 ]+"),
        _age(text("stat-after")[:LONGEST]),
        float(clock) if clock else None,
        line("user", r"\s*[0-9]{1,10}\b"),
        "nlbw" not in found or found["nlbw"].status == 0,
        settings,
        tuple(text("modules").decode("utf-8", "replace").split()),
        "fw4" in found and found["fw4"].status == 0,
        settings.get("database_directory", DIRECTORY),
        mount.kind if mount else "",
    )


def _rows(section: Section | None, form: Literal["json", "csv"]) -> tuple[tuple[Row, ...] | None, int]:
    if section is None or section.status:
        return None, 0
    try:
        found = (payload.json_rows if form == "json" else payload.csv_rows)(section.text)
    except payload.PayloadError:
        return None, 0
    return tuple(found.rows), sum(found.bad.values())


def _age(text: bytes) -> float | None:
    """Seconds that the youngest nlbwmon has run (proc(5), stat and uptime)."""
    starts = re.findall(rb"^[0-9]+ \(.*\) \S(?: -?[0-9]+){18} ([0-9]{1,15}) ", text, re.MULTILINE)
    uptime = re.search(rb"^([0-9]{1,12}\.[0-9]+) [0-9.]+$", text, re.MULTILINE)
    return float(uptime[1]) - max(int(ticks) / 100.0 for ticks in starts) if uptime and starts else None
