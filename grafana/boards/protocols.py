"""Protocols: what routers know of them, by IPv4 and IPv6."""

from __future__ import annotations

from typing import Final

from exporter import metrics
from exporter.metrics import Family
from grafana.boards.client import NO_PROTOCOLS, PICKED, without_site
from grafana.boards.shared import SHARE_BAR, both, day_by_day, whole_day
from grafana.dashboard import PROTOCOLS, SELECTION, Dashboard, clients
from grafana.panels import BITS, BYTES, MIRRORED, RATIO, Column, Query, Row, curves, table
from grafana.promql import Vector, aggregate, bits, calc, increase, matched, rate, select, top

NO_ROUTER: Final = "Only OpenWrt routers know protocols, and there is none here"
_pair = (metrics.PROTOCOL_DOWNLOAD, metrics.PROTOCOL_UPLOAD)
_FAMILY: Final = ("instance", "source", "family")
_PROTOCOL: Final = ("instance", "source", "protocol")


def _rate(family: Family, by: tuple[str, ...]) -> Vector:
    return bits(aggregate("sum", by, rate(select(family))))


_MOVED = both(*_pair, window="$__range")
_OF_SOURCE = calc(aggregate("sum", ("instance", "source"), _MOVED), ">", 0)


def _share(by: tuple[str, ...]) -> Vector:
    return matched(aggregate("sum", by, _MOVED), "/", _OF_SOURCE, ("instance", "source"), ())


_BOTH = aggregate("sum", ("instance", "source"), both(*_pair))

BOARD: Final = Dashboard(
    PROTOCOLS,
    "Bandwidth: Protocols",
    "Which protocols the clients of OpenWrt routers use, and how much of it is IPv6.",
    [
        curves(
            "IPv4 and IPv6",
            "What all clients of each router move, by version of IP: download upward, upload downward.",
            [
                Query(_rate(metrics.PROTOCOL_DOWNLOAD, _FAMILY), "{{source}} {{family}} download"),
                Query(_rate(metrics.PROTOCOL_UPLOAD, _FAMILY), "{{source}} {{family}} upload"),
            ],
            BITS,
            NO_ROUTER,
            draw=MIRRORED,
        ),
        curves(
            "Share of IPv4 and IPv6",
            "How much of the routed traffic of each router's clients is IPv4 or IPv6, download and upload together.",
            [
                Query(
                    matched(
                        aggregate("sum", _FAMILY, both(*_pair)), "/", calc(_BOTH, ">", 0), ("instance", "source"), ()
                    ),
                    "{{source}} {{family}}",
                )
            ],
            RATIO,
            NO_ROUTER,
            defaults={"min": 0, "max": 1},
        ),
        curves(
            "Download by protocol",
            "What all clients of each router download, by the protocol as nlbwmon names it.",
            [Query(_rate(metrics.PROTOCOL_DOWNLOAD, _PROTOCOL), "{{protocol}} ({{source}})")],
            BITS,
            NO_ROUTER,
        ),
        curves(
            "Upload by protocol",
            "What all clients of each router upload, by the protocol as nlbwmon names it.",
            [Query(_rate(metrics.PROTOCOL_UPLOAD, _PROTOCOL), "{{protocol}} ({{source}})")],
            BITS,
            NO_ROUTER,
        ),
        table(
            "Protocols",
            "Bytes in the chosen time. Share: of all routed traffic of the clients of that router, download and upload "
            "together.",
            {"protocol": "Protocol", "family": "IP", "source": "Source"},
            [
                Column("Download", increase(select(metrics.PROTOCOL_DOWNLOAD), "$__range"), BYTES),
                Column("Upload", increase(select(metrics.PROTOCOL_UPLOAD), "$__range"), BYTES),
                Column("Share", _share((*_FAMILY, "protocol")), RATIO, shows=SHARE_BAR),
            ],
            NO_ROUTER,
            order="Share",
        ),
        day_by_day(
            "Day by day",
            "Bytes that all clients of each router downloaded, by version of IP, on each of the last 14 days.",
            [(aggregate("sum", _FAMILY, whole_day(select(metrics.PROTOCOL_DOWNLOAD))), "{{source}} {{family}}")],
            NO_ROUTER,
        ),
        Row(
            "By client, where protocols: true is set",
            (
                table(
                    "Clients and protocols",
                    "Which client moves most in which protocol just now, download and upload together.",
                    {"name": "Client", "protocol": "Protocol", "source": "Source", "client": "Address"},
                    [
                        Column(
                            "Rate",
                            without_site(
                                bits(
                                    top(
                                        25,
                                        calc(
                                            both(
                                                metrics.CLIENT_PROTOCOL_DOWNLOAD, metrics.CLIENT_PROTOCOL_UPLOAD, PICKED
                                            ),
                                            ">",
                                            0,
                                        ),
                                    )
                                )
                            ),
                            BITS,
                        )
                    ],
                    NO_PROTOCOLS,
                    order="Rate",
                ).sized(24, 9),
            ),
            collapsed=True,
        ),
    ],
    variables=(*SELECTION, clients()),
)
