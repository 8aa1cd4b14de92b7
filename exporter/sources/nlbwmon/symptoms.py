"""What is well and what is not with a router's nlbwmon, judged by what the router tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.check import Finding
from exporter.config.errors import quoted
from exporter.sources.nlbwmon import trouble
from exporter.sources.nlbwmon.exchange import REFRESH
from exporter.sources.nlbwmon.periods import interval_of
from exporter.sources.nlbwmon.readings import CLOCK_TOLERANCE
from exporter.sources.nlbwmon.trial import Told

SETTLED: Final = 600.0
"""Seconds after which a daemon has seen connections, if it ever will."""

CROWDED: Final = 0.9
"""Of `database_limit`."""

LIMIT: Final = 10_000
COMMIT: Final = 86_400.0
BUFFER: Final = 524_288
"""OpenWrt's own settings (nlbwmon reference, §1.3)."""

OFTEN: Final = 600.0
"""Seconds between two commits that wear flash out for little."""

_FULL_CONE: Final = (
    "a full-cone NAT module takes them away (kmod-nft-fullcone, in ImmortalWrt and builds like it)",
    "remove kmod-nft-fullcone, or turn full-cone NAT off, and reboot the router",
)
_NO_EVENTS: Final = (
    "nlbwmon hears nothing of connections",
    "check `sysctl net.netfilter.nf_conntrack_events` (1 or 2), and that no kmod-nft-fullcone is installed: with it "
    "nlbwmon counts nothing until the next period begins",
)


def symptoms(told: Told, interval: float, at: float, where: str) -> Iterator[Finding]:
    """Findings without a source. interval: seconds between polls. at: our clock. where: the router, for messages."""
    if told.status != 0:
        yield _silent(told, where)
    else:
        yield _daemon(told)
        yield from _events(told)
        yield from _accounting(told)
    yield from _clock(told, at)
    yield from _period(told)
    yield from _database(told)
    yield from _limit(told)
    yield from _refresh(told, interval)
    yield from _buffer(told)
    yield from _offloading(told)


def _silent(told: Told, where: str) -> Finding:
    if told.status is None:
        return Finding("error", "nlbw", "the answer ends before nlbw was run", "try again; look at `logread` there")
    error = trouble.of_status(told.status, where)
    if not told.installed or told.status == 127:
        return Finding("error", "nlbw", "it is not installed, or this user cannot see it", error.remedy)
    if told.status == 247 and told.pids and told.user not in ("", "0"):
        return Finding("error", "daemon", "nlbwmon runs, but its socket is root's alone", "log in as root")
    if told.status == 247 and told.pids:
        return Finding(
            "error", "daemon", "nlbwmon runs, but does not answer", "`service nlbwmon restart` on the router"
        )
    if told.status == 247:
        # Who logs in is known here.
        remedy = error.remedy.removeprefix("log in as root; ")
        return Finding("error", "daemon", "nlbwmon is not running", remedy)
    return Finding("error", "nlbw", error.problem.removeprefix(f"{where}: "), error.remedy)


def _daemon(told: Told) -> Finding:
    if told.rows is None:
        return Finding("error", "nlbw", "neither its JSON nor its CSV can be read", "check that the router is OpenWrt")
    if told.bad:
        return Finding(
            "warning",
            "daemon",
            f"nlbwmon answers with {len(told.rows)} rows, and {told.bad} that cannot be read",
            "please report it, with the router's version",
        )
    return Finding("ok", "daemon", f"nlbwmon answers with {len(told.rows)} rows")


def _events(told: Told) -> Iterator[Finding]:
    if told.rows is None:
        return
    if told.settings.get("nf_conntrack_events") == "0":
        yield Finding(
            "error",
            "events",
            f"{_NO_EVENTS[0]}: net.netfilter.nf_conntrack_events is 0",
            "`sysctl -w net.netfilter.nf_conntrack_events=1`, and the same line in /etc/sysctl.conf",
        )
    elif told.rows:
        yield Finding("ok", "events", "nlbwmon hears of connections")
    elif told.modules:
        yield Finding("error", "events", f"{_NO_EVENTS[0]}: {_FULL_CONE[0]}", _FULL_CONE[1])
    elif told.age is not None and told.age < SETTLED:
        yield Finding("warning", "events", "there are no rows yet: nlbwmon was just started", "try again in 10 minutes")
    else:
        yield Finding("error", "events", f"{_NO_EVENTS[0]}: it has no rows at all", _NO_EVENTS[1])


def _accounting(told: Told) -> Iterator[Finding]:
    remedy = "`sysctl -w net.netfilter.nf_conntrack_acct=1`, and the same line in /etc/sysctl.conf"
    if told.settings.get("nf_conntrack_acct") == "0":
        what = "the kernel counts no bytes of connections: net.netfilter.nf_conntrack_acct is 0"
        yield Finding("error", "accounting", what, remedy)
    elif told.rows:
        if any(row.rx_bytes or row.tx_bytes for row in told.rows):
            yield Finding("ok", "accounting", "the kernel counts the bytes of connections")
        else:
            what = "there are connections, but no byte of any; right after a period began that is so"
            yield Finding("warning", "accounting", what, f"try again in some minutes; if it stays so, {remedy}")


def _clock(told: Told, at: float) -> Iterator[Finding]:
    if told.at is None:
        yield Finding("error", "clock", "the router does not tell the time", "look whether `date +%s` works there")
        return
    apart = told.at - at
    if abs(apart) <= CLOCK_TOLERANCE:
        yield Finding("ok", "clock", "the router's agrees with this machine's")
        return
    side = "ahead of" if apart > 0 else "behind"
    yield Finding(
        "error",
        "clock",
        f"the router's is {_long(abs(apart))} {side} this machine's: beyond {_long(CLOCK_TOLERANCE)} nothing it says "
        "is counted",
        "set the one that is wrong; on the router, look at `service sysntpd status`",
    )


def _period(told: Told) -> Iterator[Finding]:
    text = told.settings.get("database_interval", "1")
    if interval_of(text, 0) is None:
        yield Finding(
            "error",
            "period",
            f"database_interval is {quoted(text)}, which is none that is known, so no poll can be read",
            "`uci set nlbwmon.@nlbwmon[0].database_interval=1` on the router: from the first of every month",
        )


def _database(told: Told) -> Iterator[Finding]:
    if not told.storage:
        return
    directory = quoted(told.directory)
    commit = told.seconds("commit_interval", COMMIT)
    if told.storage in ("tmpfs", "ramfs"):
        yield Finding(
            "warning",
            "database",
            f"{directory} is in memory ({told.storage}): a reboot of the router loses what moved since the last poll, "
            "and what nlbwmon kept of it for a time when no poll came",
            "put it on flash: `uci set nlbwmon.@nlbwmon[0].database_directory=/etc/nlbwmon`, `uci commit nlbwmon`, "
            "`service nlbwmon restart`",
        )
    elif commit < OFTEN:
        yield Finding(
            "warning",
            "database",
            f"{directory} is written to flash ({told.storage}) every {_long(commit)}, which wears it out",
            "set commit_interval to 1h or more: polls keep what moves in between",
        )
    else:
        yield Finding(
            "ok",
            "database",
            f"{directory} is on {quoted(told.storage)[1:-1]}, written every {_long(commit)}: after a power cut, that "
            "long at most is lost of a time when no poll came",
        )


def _limit(told: Told) -> Iterator[Finding]:
    limit = told.number("database_limit")
    limit = LIMIT if limit is None else limit
    if told.rows is None or not limit:
        return
    if len(told.rows) >= CROWDED * limit:
        yield Finding(
            "warning",
            "rows",
            f"{len(told.rows)} of {limit}: beyond that nlbwmon forgets old rows, with what moved on them since the "
            "last poll",
            f"raise it: `uci set nlbwmon.@nlbwmon[0].database_limit={4 * limit}`; never lower it",
        )
    else:
        yield Finding("ok", "rows", f"{len(told.rows)} of {limit}")


def _refresh(told: Told, interval: float) -> Iterator[Finding]:
    refresh = told.seconds("refresh_interval", REFRESH)
    if refresh > interval:
        yield Finding(
            "warning",
            "refresh",
            f"nlbwmon renews its values every {_long(refresh)}, and is polled every {_long(interval)}: rates jump, "
            "totals are right",
            f"set refresh_interval to {interval:.0f}s on the router, or the source's `interval` to {refresh:.0f}s",
        )


def _buffer(told: Told) -> Iterator[Finding]:
    wanted = told.number("netlink_buffer_size") or BUFFER
    most = told.number("rmem_max")
    if most is not None and most < wanted:
        yield Finding(
            "warning",
            "buffer",
            f"the kernel gives nlbwmon {most} bytes for events and not the {wanted} that it asks for: in a rush some "
            "are lost, and their bytes are never counted",
            f"`sysctl -w net.core.rmem_max={wanted}`, and the same line in /etc/sysctl.conf; restart nlbwmon",
        )


def _offloading(told: Told) -> Iterator[Finding]:
    if told.answered != "shell":
        return
    if told.settings.get("flow_offloading_hw") == "1":
        yield Finding(
            "warning",
            "offloading",
            "hardware flow offloading is on: what the hardware forwards by itself is not counted",
            "turn it off (Network, Firewall), or take this router's numbers as too low",
        )
    elif told.settings.get("flow_offloading") == "1" and not told.fw4:
        yield Finding(
            "warning",
            "offloading",
            "software flow offloading is on, and this firewall (before fw4) does not count what it forwards",
            "turn it off, or update to OpenWrt 22.03 or later",
        )
    else:
        yield Finding("ok", "offloading", "nothing is forwarded past the counters")


def _long(seconds: float) -> str:
    """30 s, 5 min, 24 h, 2 d: at least two of the unit."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
