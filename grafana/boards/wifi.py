"""Wi-Fi and switches: wireless networks, devices, ports, and who has a bad connection."""

from __future__ import annotations

from typing import Final

from exporter import metrics
from exporter.metrics import Family
from grafana.boards.shared import CLIENT_KEYS, CLIENT_OF_ROW, both
from grafana.dashboard import SELECTION, WIFI, Annotation, Dashboard, clients
from grafana.panels import (
    BITS,
    BYTES,
    COUNT,
    FULLNESS,
    MIRRORED,
    RATIO,
    SECONDS,
    UP_OR_DOWN,
    Column,
    Panel,
    Query,
    Row,
    curves,
    table,
)
from grafana.promql import (
    Vector,
    bits,
    calc,
    few_named,
    lowest,
    matched,
    named,
    one,
    over,
    rate,
    relabelled,
    select,
    top,
)

NO_GEAR: Final = "Only UniFi controllers know devices, ports and wireless networks, and there is none here"
ALL_WELL: Final = "None"
_PICKED = 'client=~"$client"'
SSID = "{{ssid}} ({{source}} {{site}})"
DEVICE = "{{name}} ({{source}})"
_PORT_KEYS: Final = {
    "device_name": "Device",
    "name": "Port",
    "uplink": "Uplink",
    "source": "Source",
    "site": "Site",
    "device": "Address",
    "port": "",
}
_PORT: Final = ("instance", "source", "site", "device", "port")


def _worst(title: str, description: str, bad: Vector, column: str, unit: str, empty: str) -> Panel:
    """The ten clients with the lowest value, the lowest first."""
    named_ones = few_named(lowest(10, bad), metrics.CLIENT_INFO, _PICKED)
    columns, links = [Column(column, named_ones, unit)], {"Client": CLIENT_OF_ROW}
    return table(title, description, CLIENT_KEYS, columns, empty, order=column, least=True, links=links).sized(12, 8)


def _device(vector: Vector) -> Vector:
    return named(vector, metrics.DEVICE_INFO)


def _device_rate(family: Family) -> Vector:
    return _device(bits(rate(select(family))))


_PORTS = both(metrics.PORT_DOWNLOAD, metrics.PORT_UPLOAD)
_BUSIEST = top(25, calc(_PORTS, ">", 0))


def _busiest(vector: Vector) -> Vector:
    return matched(vector, "and", _BUSIEST, _PORT)


def _with_names(vector: Vector) -> Vector:
    """Ports with their names, and the name of the device that they are on."""
    at = ("source", "site", "device")
    devices = relabelled(one(select(metrics.DEVICE_INFO), *at), "device_name", "name")
    ports = named(vector, metrics.PORT_INFO, bring=("name", "uplink"))
    return matched(ports, "*", devices, at, ("device_name",))


_SPEED = select(metrics.PORT_LINK_SPEED)

BOARD: Final = Dashboard(
    WIFI,
    "Bandwidth: Wi-Fi and switches",
    "Wireless networks, access points, switches and their ports, and whose connection is bad.",
    [
        curves(
            "Wireless networks",
            "What the clients of each wireless network move: download upward, upload downward.",
            [
                Query(bits(rate(select(metrics.SSID_DOWNLOAD))), f"{SSID} download"),
                Query(bits(rate(select(metrics.SSID_UPLOAD))), f"{SSID} upload"),
            ],
            BITS,
            NO_GEAR,
            draw=MIRRORED,
        ),
        curves(
            "Clients by wireless network",
            "How many clients each wireless network has.",
            [Query(select(metrics.SSID_CLIENTS), SSID)],
            COUNT,
            NO_GEAR,
        ),
        _worst(
            "Weak signal",
            "The ten wireless clients with the weakest signal at their access point, where it is below -70 dBm.",
            calc(select(metrics.CLIENT_SIGNAL, _PICKED), "<", -70),
            "Signal",
            "dBm",
            "Nobody below -70 dBm",
        ),
        _worst(
            "Bad connection",
            "The ten clients to whose connection the controller gives the lowest mark, where it is below 80 %.",
            calc(select(metrics.CLIENT_SATISFACTION, _PICKED), "<", 0.8),
            "Satisfaction",
            RATIO,
            "Nobody below 80 %",
        ),
        Row(
            "Devices",
            (
                table(
                    "Devices",
                    "Every access point, switch and gateway: whether it is up, since when, how many clients it has and "
                    "how busy it is.",
                    {
                        "name": "Device",
                        "class": "Class",
                        "model": "Model",
                        "version": "Version",
                        "ip": "IP address",
                        "source": "Source",
                        "site": "Site",
                        "device": "Address",
                    },
                    [
                        Column(
                            "",
                            one(select(metrics.DEVICE_INFO), "instance", "source", "site", "device"),
                            bring=("name", "class", "model", "version", "ip"),
                        ),
                        Column("State", select(metrics.DEVICE_UP), shows={"mappings": [UP_OR_DOWN]}),
                        Column("Up for", select(metrics.DEVICE_UPTIME), SECONDS),
                        Column("Clients", select(metrics.DEVICE_CLIENTS), COUNT),
                        Column("Processor", select(metrics.DEVICE_CPU), RATIO, shows=FULLNESS),
                        Column("Memory", select(metrics.DEVICE_MEMORY), RATIO, shows=FULLNESS),
                        Column("Download", bits(rate(select(metrics.DEVICE_DOWNLOAD))), BITS),
                        Column("Upload", bits(rate(select(metrics.DEVICE_UPLOAD))), BITS),
                    ],
                    NO_GEAR,
                ).sized(24, 9),
                curves(
                    "Traffic by device",
                    "What passes each device: of a switch or a gateway through its uplink, of an access point over the "
                    "air. They stand one behind the other, so their sum means nothing.",
                    [
                        Query(_device_rate(metrics.DEVICE_DOWNLOAD), f"{DEVICE} download"),
                        Query(_device_rate(metrics.DEVICE_UPLOAD), f"{DEVICE} upload"),
                    ],
                    BITS,
                    NO_GEAR,
                    draw=MIRRORED,
                ),
                curves(
                    "Clients by device",
                    "How many clients each device has.",
                    [Query(_device(select(metrics.DEVICE_CLIENTS)), DEVICE)],
                    COUNT,
                    NO_GEAR,
                ),
            ),
        ),
        Row(
            "Ports",
            (
                table(
                    "Busiest ports",
                    "The ports through which most passes just now. Download is toward what is plugged in; full: the "
                    "busier direction as a share of the speed of its link.",
                    _PORT_KEYS,
                    [
                        Column(
                            "Download",
                            _with_names(_busiest(bits(rate(select(metrics.PORT_DOWNLOAD))))),
                            BITS,
                            ("name", "uplink", "device_name"),
                        ),
                        Column("Upload", _busiest(bits(rate(select(metrics.PORT_UPLOAD)))), BITS),
                        Column("Link", _busiest(bits(_SPEED)), BITS),
                        Column(
                            "Full down",
                            _busiest(calc(rate(select(metrics.PORT_DOWNLOAD)), "/", calc(_SPEED, ">", 0))),
                            RATIO,
                            shows=FULLNESS,
                        ),
                        Column(
                            "Full up",
                            _busiest(calc(rate(select(metrics.PORT_UPLOAD)), "/", calc(_SPEED, ">", 0))),
                            RATIO,
                            shows=FULLNESS,
                        ),
                    ],
                    NO_GEAR,
                    order="Download",
                ).sized(24, 10),
                table(
                    "Bytes by port",
                    "The ports through which most passed in the chosen time, both directions together.",
                    _PORT_KEYS,
                    [
                        Column(
                            "Moved",
                            _with_names(
                                top(
                                    25,
                                    calc(both(metrics.PORT_DOWNLOAD, metrics.PORT_UPLOAD, window="$__range"), ">", 0),
                                )
                            ),
                            BYTES,
                            ("name", "uplink", "device_name"),
                        )
                    ],
                    NO_GEAR,
                    order="Moved",
                ).sized(12, 8),
                table(
                    "Ports that lost their link",
                    "How often each port's link changed between up and down in the chosen time.",
                    _PORT_KEYS,
                    [
                        Column(
                            "Changes",
                            _with_names(calc(over("changes", select(metrics.PORT_UP), "$__range"), ">", 0)),
                            COUNT,
                            ("name", "uplink", "device_name"),
                        )
                    ],
                    ALL_WELL,
                    order="Changes",
                ).sized(12, 8),
            ),
        ),
    ],
    variables=(*SELECTION, clients()),
    annotations=(
        Annotation(
            "Device started again",
            _device(calc(over("resets", select(metrics.DEVICE_UPTIME), "$__rate_interval"), ">", 0)),
            "{{name}} ({{source}} {{site}})",
            "orange",
        ),
    ),
)
