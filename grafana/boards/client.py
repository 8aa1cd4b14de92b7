"""Client: one of them, or some: how fast, how much, in what, how well and where connected."""

from __future__ import annotations

from typing import Final

from exporter import metrics
from exporter.metrics import Family
from grafana.boards.shared import (
    CLIENT_KEYS,
    LANDED,
    SHARE,
    both,
    day_by_day,
    share_of_clients,
    whole_day,
)
from grafana.dashboard import CLIENT, SELECTION, Dashboard, clients
from grafana.panels import (
    AGO,
    BITS,
    BYTES,
    MIRRORED,
    PLAIN,
    RATIO,
    Column,
    Draw,
    Panel,
    Query,
    Row,
    curves,
    stat,
    table,
    timeline,
)
from grafana.promql import Vector, bits, matched, named, named_at_end, one, rate, relabelled, scaled, select

PICKED: Final = 'client=~"$client"'
WHO: Final = "{{name}} ({{source}})"
NOBODY: Final = "Choose a client above. One that moved nothing, or left longer ago than client_ttl, has nothing to show"
NO_RADIO: Final = "Only wireless clients of a UniFi controller have one"
NO_PROTOCOLS: Final = "Only clients of an OpenWrt router have protocols, and where `protocols: true` is set"


def called(vector: Vector) -> Vector:
    """With the names of the chosen clients."""
    return named(vector, metrics.CLIENT_INFO, PICKED)


def _rate(family: Family) -> Vector:
    return called(bits(rate(select(family, PICKED))))


def client_rates() -> Panel:
    """Download and upload of the chosen clients."""
    return curves(
        "Rates",
        "Download upward and upload downward, by the exporter's counters. A client that a controller and a router both "
        "meter is drawn for each: they are the same bytes, seen twice.",
        [
            Query(_rate(metrics.CLIENT_DOWNLOAD_BYTES), f"{WHO} download"),
            Query(_rate(metrics.CLIENT_UPLOAD_BYTES), f"{WHO} upload"),
        ],
        BITS,
        NOBODY,
        draw=MIRRORED,
    ).sized(24, 9)


def _day(family: Family) -> Vector:
    return named_at_end(whole_day(select(family, PICKED)), metrics.CLIENT_INFO, "14d", PICKED)


def client_days() -> Panel:
    """Bytes by day. A client with two sources is drawn for each."""
    return day_by_day(
        "Day by day",
        "Bytes of each of the last 14 days.",
        [
            (_day(metrics.CLIENT_DOWNLOAD_BYTES), f"{WHO} download"),
            (_day(metrics.CLIENT_UPLOAD_BYTES), f"{WHO} upload"),
        ],
        NOBODY,
    )


def without_site(vector: Vector) -> Vector:
    """With the names of the chosen clients, where series have no site: those of routers."""
    at = ("source", "client")
    return matched(vector, "*", one(select(metrics.CLIENT_INFO, PICKED), *at), at, ("name",))


def client_protocols() -> Panel:
    """Who used which protocol. There is no site in these."""
    return curves(
        "Protocols",
        "What the chosen clients move in each protocol, download and upload together; the names are nlbwmon's.",
        [
            Query(
                without_site(bits(both(metrics.CLIENT_PROTOCOL_DOWNLOAD, metrics.CLIENT_PROTOCOL_UPLOAD, PICKED))),
                f"{{{{protocol}}}} {WHO}",
            )
        ],
        BITS,
        NO_PROTOCOLS,
        draw=Draw(stacked=True),
    )


def _places() -> Panel:
    """A line for each place; access points by name where the controller has them."""
    place = select(metrics.CLIENT_CONNECTION_INFO, PICKED)
    devices = relabelled(
        relabelled(one(select(metrics.DEVICE_INFO), "source", "site", "device"), "ap", "device"), "ap_name", "name"
    )
    at = ("source", "site", "ap")
    return timeline(
        "Where it was connected",
        "Through which connection, wireless network and access point or switch, over time; each place is a line.",
        [
            Query(
                called(matched(place, "*", devices, at, ("ap_name",))),
                f"{WHO} {{{{connection}}}} {{{{ssid}}}} {{{{ap_name}}}}",
            ),
            Query(called(matched(place, "unless", devices, at)), f"{WHO} {{{{connection}}}} {{{{ssid}}}} {{{{ap}}}}"),
        ],
        PLAIN,
        NOBODY,
        {"mappings": [{"type": "value", "options": {"1": {"text": "here", "color": "blue", "index": 0}}}]},
    )


BOARD: Final = Dashboard(
    CLIENT,
    "Bandwidth: Client",
    "One client or some: rates, days, share, protocols, how well and where it was connected.",
    [
        stat(
            "Download",
            "What each chosen client downloads just now.",
            [Query(_rate(metrics.CLIENT_DOWNLOAD_BYTES), WHO)],
            BITS,
            NOBODY,
        ).of_now(),
        stat(
            "Upload",
            "What each chosen client uploads just now.",
            [Query(_rate(metrics.CLIENT_UPLOAD_BYTES), WHO)],
            BITS,
            NOBODY,
        ).of_now(),
        stat(
            "In the chosen time",
            "Bytes of each chosen client in the time range, download and upload together.",
            [
                Query(
                    called(both(metrics.CLIENT_DOWNLOAD_BYTES, metrics.CLIENT_UPLOAD_BYTES, PICKED, window="$__range")),
                    WHO,
                )
            ],
            BYTES,
            NOBODY,
            history=False,
        ),
        stat(
            "Share of all clients",
            f"What part of the bytes of all clients was its, in the time range. {SHARE}",
            [
                Query(
                    called(
                        share_of_clients(
                            both(metrics.CLIENT_DOWNLOAD_BYTES, metrics.CLIENT_UPLOAD_BYTES, PICKED, window="$__range"),
                            window="$__range",
                        )
                    ),
                    WHO,
                )
            ],
            RATIO,
            NOBODY,
            history=False,
        ),
        client_rates(),
        client_days(),
        client_protocols(),
        Row(
            "Connection",
            (
                curves(
                    "Signal",
                    "Signal of the wireless clients at their access point. Below -75 dBm it is weak.",
                    [Query(called(select(metrics.CLIENT_SIGNAL, PICKED)), WHO)],
                    "dBm",
                    NO_RADIO,
                    defaults={"custom": {"axisSoftMin": -90, "axisSoftMax": -30, "fillOpacity": 0, "lineWidth": 1}},
                ),
                curves(
                    "Satisfaction",
                    "The controller's own mark for the connection.",
                    [Query(called(select(metrics.CLIENT_SATISFACTION, PICKED)), WHO)],
                    RATIO,
                    NO_RADIO,
                    defaults={"min": 0, "max": 1},
                ),
                _places(),
                table(
                    "Who it is",
                    "What is known of the chosen clients, from the configuration and the source.",
                    {
                        **CLIENT_KEYS,
                        "owner": "Owner",
                        "category": "Category",
                        "vendor": "Vendor",
                        "connection": "Connection",
                        "network": "Network",
                        "ssid": "Wireless network",
                        "ip": "IP address",
                        "guest": "Guest",
                    },
                    [
                        Column(
                            "",
                            one(select(metrics.CLIENT_INFO, PICKED), "instance", "source", "site", "client"),
                            bring=("name", "owner", "category", "vendor"),
                        ),
                        Column(
                            "",
                            one(select(metrics.CLIENT_CONNECTION_INFO, PICKED), "instance", "source", "site", "client"),
                            bring=("connection", "network", "ssid", "ip", "guest"),
                        ),
                        Column("Last heard", scaled(1000, select(metrics.CLIENT_LAST_SEEN, PICKED)), AGO),
                    ],
                    NOBODY,
                ).sized(24, 7),
            ),
        ),
    ],
    variables=(*SELECTION, clients(every=None)),
    annotations=(LANDED,),
)
