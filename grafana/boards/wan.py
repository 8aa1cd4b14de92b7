"""WAN and sites: every line against its contract, and what is between a line and the sum of its clients."""

from __future__ import annotations

from typing import Final

from exporter import metrics
from exporter.metrics import Family
from grafana import names
from grafana.boards.shared import (
    LANDED,
    LINE_DOWN,
    LINES,
    NO_CONTRACT,
    NO_LINE,
    NO_RULES,
    QUIET,
    day_by_day,
    line_rates,
    line_shares,
    whole_day,
)
from grafana.dashboard import WAN, Dashboard
from grafana.panels import (
    BITS,
    BYTES,
    RATIO,
    SECONDS,
    UP_OR_DOWN,
    Column,
    Draw,
    Panel,
    Query,
    Row,
    curves,
    table,
    up_and_down,
)
from grafana.promql import Vector, aggregate, bits, calc, increase, named, one, over, percentile, rate, select

_SITE: Final = ("instance", "source", "site")
_KEYS: Final = {"source": "Source", "site": "Site"}
_LINE_KEYS: Final = {"wan": "Line", **_KEYS}
_REST: Final = (
    "Rest: the line less its clients. Above 0 with a router: its own traffic, scans, flow offloading; with a "
    "controller: gear, excluded clients. Below 0 with a controller: what clients send to each other; with a router: "
    "traffic between local networks, or a line that is not metered. docs/accounts.md has the whole list."
)


def _line(family: Family) -> Vector:
    return aggregate("sum", _SITE, increase(select(family), "$__range"))


def _clients(family: Family) -> Vector:
    return aggregate("sum", _SITE, increase(select(family), "$__range"))


def _line_rate(family: Family) -> Vector:
    return aggregate("sum", _SITE, rate(select(family)))


def _rest_over_time(direction: str, line: Vector, clients: Vector) -> Panel:
    return curves(
        f"Rest of the {direction}",
        f"The line, its clients, and the rest, over time. {_REST}",
        [
            Query(bits(line), "{{source}} {{site}} line"),
            Query(bits(clients), "{{source}} {{site}} clients"),
            Query(bits(calc(line, "-", clients)), "{{source}} {{site}} rest"),
        ],
        BITS,
        QUIET,
        draw=Draw(dashed=" rest$"),
    )


_DOWN, _UP = _line(metrics.WAN_DOWNLOAD), _line(metrics.WAN_UPLOAD)
_CLIENTS_DOWN, _CLIENTS_UP = _clients(metrics.SITE_DOWNLOAD), _clients(metrics.SITE_UPLOAD)
_REST_DOWN, _REST_UP = calc(_DOWN, "-", _CLIENTS_DOWN), calc(_UP, "-", _CLIENTS_UP)

BOARD: Final = Dashboard(
    WAN,
    "Bandwidth: WAN and sites",
    "Every line against what is paid for, and why it is not the sum of its clients.",
    [
        line_rates().sized(24, 9),
        curves(
            "Share of what is paid for",
            "How much of each line's contract is used, by direction. A share of the line, by its own counters.",
            line_shares(),
            RATIO,
            NO_CONTRACT,
            defaults={"min": 0},
        ).sized(12, 8),
        curves(
            "Latency",
            "Round trip as the gateway measures it.",
            [Query(select(metrics.WAN_LATENCY), LINES)],
            SECONDS,
            "No gateway here measures it; routers do not",
        ).sized(12, 8),
        up_and_down(
            "Up and down",
            "Whether each line was up, as its gateway says.",
            Query(select(metrics.WAN_UP), LINES),
            NO_LINE,
        ).sized(24, 5),
        table(
            "Lines now",
            "Each line: where it is, how fast its port and its contract are, and the rate that it was below for 95 % "
            "of the chosen time. The port's speed is not what the provider sells.",
            {**_LINE_KEYS, "interface": "Interface", "ip": "IP address"},
            [
                Column(
                    "", one(select(metrics.WAN_INFO), "instance", "source", "site", "wan"), bring=("interface", "ip")
                ),
                Column("State", select(metrics.WAN_UP), shows={"mappings": [UP_OR_DOWN]}),
                Column("Latency", select(metrics.WAN_LATENCY), SECONDS),
                Column("Port", bits(select(metrics.WAN_LINK_SPEED)), BITS),
                Column("Paid down", bits(select(metrics.WAN_CONTRACT_DOWNLOAD)), BITS),
                Column("Paid up", bits(select(metrics.WAN_CONTRACT_UPLOAD)), BITS),
                Column("95 % down", bits(percentile(0.95, select(names.WAN_DOWNLOAD_RATE), "$__range")), BITS),
                Column("95 % up", bits(percentile(0.95, select(names.WAN_UPLOAD_RATE), "$__range")), BITS),
                Column("Most down", bits(over("max_over_time", select(names.WAN_DOWNLOAD_RATE), "$__range")), BITS),
                Column("Most up", bits(over("max_over_time", select(names.WAN_UPLOAD_RATE), "$__range")), BITS),
            ],
            f"{NO_LINE}. {NO_RULES}",
        ).sized(24, 7),
        Row(
            "Why the line is not the sum of its clients",
            (
                table(
                    "Line and clients",
                    "Bytes in the chosen time: all lines of a source and site, all its clients, and the rest. A share "
                    f"of the line. {_REST}",
                    {**_KEYS, "kind": "Kind", "scope": "Scope"},
                    [
                        Column("Line down", _DOWN, BYTES),
                        Column("Clients down", _CLIENTS_DOWN, BYTES),
                        Column("Rest down", _REST_DOWN, BYTES),
                        Column("Rest of line", calc(_REST_DOWN, "/", calc(_DOWN, ">", 0)), RATIO),
                        Column("Line up", _UP, BYTES),
                        Column("Clients up", _CLIENTS_UP, BYTES),
                        Column("Rest up", _REST_UP, BYTES),
                        Column("Rest of line up", calc(_REST_UP, "/", calc(_UP, ">", 0)), RATIO),
                        Column(
                            "",
                            named(_CLIENTS_DOWN, metrics.SOURCE_INFO, bring=("kind", "scope")),
                            bring=("kind", "scope"),
                        ),
                    ],
                    QUIET,
                ).sized(24, 7),
                _rest_over_time("download", _line_rate(metrics.WAN_DOWNLOAD), _line_rate(metrics.SITE_DOWNLOAD)),
                _rest_over_time("upload", _line_rate(metrics.WAN_UPLOAD), _line_rate(metrics.SITE_UPLOAD)),
            ),
        ),
        Row(
            "Day by day",
            (
                day_by_day(
                    "Lines day by day",
                    "Bytes of each line on each of the last 14 days.",
                    [
                        (whole_day(select(metrics.WAN_DOWNLOAD)), f"{LINES} download"),
                        (whole_day(select(metrics.WAN_UPLOAD)), f"{LINES} upload"),
                    ],
                    NO_LINE,
                ),
                day_by_day(
                    "Clients day by day",
                    "Bytes of all clients of each source and site together, on each of the last 14 days.",
                    [
                        (whole_day(select(metrics.SITE_DOWNLOAD)), "{{source}} {{site}} download"),
                        (whole_day(select(metrics.SITE_UPLOAD)), "{{source}} {{site}} upload"),
                    ],
                    QUIET,
                ),
            ),
        ),
    ],
    annotations=(LINE_DOWN, LANDED),
)
