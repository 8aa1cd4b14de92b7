"""What the router's shell makes of a command: the exporter's script, known by its first line, or `nlbw` alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final, NamedTuple

from exporter.demo.openwrt import sections
from exporter.demo.openwrt.daemon import Daemon
from exporter.demo.openwrt.router import Router
from exporter.demo.openwrt.rows import csv_of, json_of
from exporter.sources.nlbwmon.periods import dashed

_is_script = re.compile(r": bandwidth-exporter 1 ([0-9a-f]{32}) (json|csv)((?: [0-9]{8})*)").fullmatch
_is_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_FAILED: Final = "Error while processing command: "


class Reply(NamedTuple):
    """What a command wrote and the status it ended with."""

    out: str = ""
    status: int = 0
    error: str = ""


NO_DAEMON: Final = Reply("", 247, f"{_FAILED}Bad file descriptor\n")
NO_DATA: Final = Reply("", 195, f"{_FAILED}No data available\n")


def run(router: Router, command: str) -> Reply:
    """Do what a command says, now."""
    with router.lock:
        script = _is_script(command.partition("\n")[0].rstrip("\r"))
        if script:
            return Reply(_script(router, *script.groups()))
        try:
            name, *arguments = shlex.split(command)
        except ValueError:
            name, arguments = command, []
        if name in ("nlbw", "/usr/sbin/nlbw"):
            return nlbw(router, arguments)
        first, _, _ = name.partition("\n")
        return Reply("", 127, f"ash: {first}: not found\n")


def nlbw(router: Router, arguments: list[str]) -> Reply:
    """The client program: `-c json`, `csv`, `list` or `commit`, and `-t YYYY-MM-DD` (nlbwmon reference, §1.1, §1.4)."""
    options = dict(zip(arguments[::2], arguments[1::2], strict=False))
    command, date = options.get("-c", ""), options.get("-t", "")
    misused = _misused(options, command, date)
    if misused or router.daemon is None:
        return Reply("", 1, f"{misused}\n") if misused else NO_DAEMON
    if command == "list":
        return Reply("".join(f"{dashed(label)}\n" for label in router.daemon.listed()))
    if command == "commit":
        return Reply("0 ok\n") if router.daemon.commit() else Reply("28 No space left on device\n", 228)
    return _rows(router, router.daemon, command, date.replace("-", ""))


def _misused(options: Mapping[str, str], command: str, date: str) -> str:
    unknown = options.keys() - {"-c", "-t"}
    if unknown:
        return f"nlbw: unrecognized option: {min(unknown).lstrip('-')}"
    if not command:
        return "No command specified"
    if command not in ("json", "csv", "list", "commit"):
        return f"Unrecognized command '{command}'"
    return f"Unrecognized date '{date}'" if date and not _is_date(date) else ""


def _rows(router: Router, daemon: Daemon, form: str, label: str) -> Reply:
    if not label:
        router.looked_at()
    rows = daemon.show_file(label) if label else daemon.show()
    if rows is None:
        return NO_DATA
    return Reply((json_of if form == "json" else csv_of)(rows, router.protocols))


def _script(router: Router, token: str, form: str, labels: str) -> str:
    """What the exporter's script writes, section by section. Errors of its commands are not shown."""
    parts = [*sections.settings(router), *sections.facts(router, "before")]
    asked = [(f"period-{label}", ["-t", dashed(label)]) for label in labels.split()]
    parts += [(name, *nlbw(router, ["-c", form, *date])[:2]) for name, date in [*asked, ("rows", [])]]
    parts += [*sections.facts(router, "after"), *sections.network(router), *sections.names(router)]
    return "".join(f"\n{token}< {name}\n{text}\n{token}> {status}\n" for name, text, status in parts)
