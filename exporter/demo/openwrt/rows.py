"""nlbwmon's rows, and what `nlbw` makes of them: JSON, CSV, and the names of protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from exporter.demo.network import NOTHING, PACKET, Bytes

NO_MAC: Final = "00:00:00:00:00:00"
OTHER: Final = ("IP", 0)
"""What every protocol that has no name is folded into (nlbwmon reference, §1.1)."""

PROTOCOLS: Final[Mapping[tuple[str, int], str]] = {
    ("TCP", 22): "SSH",
    ("TCP", 53): "DNS",
    ("UDP", 53): "DNS",
    ("TCP", 80): "HTTP",
    ("UDP", 123): "NTP",
    ("TCP", 443): "HTTPS",
    ("UDP", 80): "QUIC",
    ("UDP", 443): "QUIC",
    ("TCP", 993): "IMAPS",
    ("TCP", 3389): "Microsoft RDP",
    ("UDP", 51820): "WireGuard",
    ("ICMP", 0): "ICMP",
    ("IPV6-ICMP", 0): "IPv6-ICMP",
}
"""The lines of /usr/share/nlbwmon/protocols that matter here."""

COLUMNS: Final = (
    "family", "proto", "port", "mac", "ip", "conns", "rx_bytes", "rx_pkts", "tx_bytes", "tx_pkts", "layer7",
)  # fmt: skip


class Key(NamedTuple):
    """What nlbwmon keeps one row for. mac is `NO_MAC` where the router knows none."""

    family: int
    proto: str
    port: int
    mac: str
    ip: str

    @property
    def client(self) -> str:
        """Whose bytes they are: the MAC's, or the address's where there is none."""
        return self.ip if self.mac == NO_MAC else self.mac


@dataclass(slots=True)
class Row:
    """What nlbwmon counted: down is rx, toward the client. seen: what of it somebody was shown."""

    conns: int = 0
    down: int = 0
    down_packets: int = 0
    up: int = 0
    up_packets: int = 0
    seen: Bytes = NOTHING

    def add(self, down: int, up: int) -> None:
        """Count bytes, and the packets that carried them."""
        self.down += down
        self.up += up
        self.down_packets += -(-down // PACKET)
        self.up_packets += -(-up // PACKET)

    def kept(self) -> Row:
        """The row as a file has it. What a file holds is where a daemon that loads it begins."""
        return Row(self.conns, self.down, self.down_packets, self.up, self.up_packets, Bytes(self.down, self.up))


Rows = Mapping[Key, Row]
Names = Mapping[tuple[str, int], str]


def known(proto: str, port: int, names: Names = PROTOCOLS) -> tuple[str, int]:
    """Protocol and port as the daemon keeps them: what has no name is `OTHER`."""
    return (proto, port) if (proto, port) in names else OTHER


def json_of(rows: Rows, names: Names) -> str:
    """`nlbw -c json`: no spaces, no newline at the end, and names of protocols put in as they are."""
    columns = ",".join(f'"{name}"' for name in COLUMNS)
    data = ",".join(
        f'[{key.family},"{key.proto}",{key.port},"{key.mac}","{key.ip}",{row.conns},{row.down},{row.down_packets},'
        f"{row.up},{row.up_packets},{_quoted(names.get((key.proto, key.port)))}]"
        for key, row in _sorted(rows)
    )
    return f'{{"columns":[{columns}],"data":[{data}]}}'


def csv_of(rows: Rows, names: Names) -> str:
    """`nlbw -c csv`: tabs between, strings in quotes, quotes in them doubled, no name is an empty field."""
    lines = ["\t".join(f'"{name}"' for name in COLUMNS)]
    for key, row in _sorted(rows):
        name = names.get((key.proto, key.port))
        layer7 = "" if name is None else '"' + name.replace('"', '""') + '"'
        counts = (row.conns, row.down, row.down_packets, row.up, row.up_packets)
        fields = (key.family, f'"{key.proto}"', key.port, f'"{key.mac}"', f'"{key.ip}"', *counts, layer7)
        lines.append("\t".join(map(str, fields)))
    return "\n".join(lines) + "\n"


def _quoted(name: str | None) -> str:
    return "null" if name is None else f'"{name}"'


def _sorted(rows: Rows) -> Iterable[tuple[Key, Row]]:
    """`-rx_bytes,-rx_pkts`, which is what `nlbw` sorts by unless told otherwise."""
    return sorted(rows.items(), key=lambda item: (-item[1].down, -item[1].down_packets))
