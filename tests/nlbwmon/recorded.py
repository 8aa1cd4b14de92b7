"""What a real nlbw and its daemon wrote, recorded once; docs of each say when."""

import json

COLUMNS = ["family", "proto", "port", "mac", "ip", "conns", "rx_bytes", "rx_pkts", "tx_bytes", "tx_pkts", "layer7"]


def _document(rows: str) -> bytes:
    """As nlbw writes it: without spaces, and without a newline at its end."""
    document = {"columns": COLUMNS, "data": json.loads(f"[{rows}]")}
    return json.dumps(document, separators=(",", ":")).encode()


JSON = _document(
    """
    [4, "TCP", 443, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 5005884, 113, 22310, 44, "HTTPS"],
    [6, "TCP", 443, "02:aa:bb:cc:dd:01", "fd00:1::101", 1, 2004760, 66, 3469, 34, "HTTPS"],
    [4, "TCP", 80, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 300840, 16, 849, 16, "HTTP"],
    [4, "TCP", 443, "02:aa:bb:cc:dd:01", "192.168.1.111", 1, 100476, 9, 587, 11, "HTTPS"],
    [4, "IP", 0, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 70476, 9, 588, 11, null],
    [4, "TCP", 443, "00:00:00:00:00:00", "10.8.0.3", 1, 60424, 8, 534, 10, "HTTPS"],
    [6, "TCP", 80, "02:aa:bb:cc:dd:02", "fd00:1::102", 1, 50584, 8, 736, 10, "HTTP"],
    [4, "TCP", 443, "00:00:00:00:00:00", "10.8.0.2", 1, 40372, 7, 482, 9, "HTTPS"],
    [4, "IP", 0, "02:aa:bb:cc:dd:02", "192.168.1.102", 1, 12613, 5, 380, 7, null],
    [4, "TCP", 22, "00:00:00:00:00:00", "10.8.0.3", 1, 6216, 4, 325, 6, "SSH"],
    [4, "TCP", 443, "02:aa:bb:cc:dd:02", "192.168.1.102", 1, 2100, 21, 801216, 23, "HTTPS"],
    [4, "UDP", 443, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 2080, 10, 880, 10, "QUIC"],
    [4, "UDP", 53, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 1040, 5, 440, 5, "DNS"],
    [6, "IPV6-ICMP", 0, "02:aa:bb:cc:dd:02", "fd00:1::102", 1, 104, 1, 104, 1, "IPv6-ICMP"],
    [4, "ICMP", 0, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 84, 1, 84, 1, "ICMP"]
    """
)
"""`nlbw -c json` in November."""

CLOSED = _document(
    """
    [4, "TCP", 443, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 5005884, 113, 22310, 44, "HTTPS"],
    [6, "TCP", 443, "02:aa:bb:cc:dd:01", "fd00:1::101", 1, 2004760, 66, 3469, 34, "HTTPS"],
    [4, "TCP", 80, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 300840, 16, 849, 16, "HTTP"],
    [4, "TCP", 443, "02:aa:bb:cc:dd:01", "192.168.1.111", 1, 100476, 9, 587, 11, "HTTPS"],
    [4, "IP", 0, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 70476, 9, 588, 11, null],
    [4, "TCP", 443, "00:00:00:00:00:00", "10.8.0.3", 1, 60424, 8, 534, 10, "HTTPS"],
    [6, "TCP", 80, "02:aa:bb:cc:dd:02", "fd00:1::102", 1, 50584, 8, 736, 10, "HTTP"],
    [4, "TCP", 443, "00:00:00:00:00:00", "10.8.0.2", 1, 40372, 7, 482, 9, "HTTPS"],
    [4, "IP", 0, "02:aa:bb:cc:dd:02", "192.168.1.102", 1, 12613, 5, 380, 7, null],
    [4, "TCP", 22, "00:00:00:00:00:00", "10.8.0.3", 1, 6216, 4, 325, 6, "SSH"],
    [4, "TCP", 443, "02:aa:bb:cc:dd:02", "192.168.1.102", 2, 2992, 38, 877172, 41, "HTTPS"],
    [4, "UDP", 443, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 2080, 10, 880, 10, "QUIC"],
    [4, "UDP", 53, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 1040, 5, 440, 5, "DNS"],
    [6, "IPV6-ICMP", 0, "02:aa:bb:cc:dd:02", "fd00:1::102", 1, 104, 1, 104, 1, "IPv6-ICMP"],
    [4, "ICMP", 0, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 84, 1, 84, 1, "ICMP"]
    """
)
"""`nlbw -c json -t 2026-11-01`, right after the month rolled over."""

AFTER = _document(
    """
    [4, "TCP", 443, "02:aa:bb:cc:dd:02", "192.168.1.102", 2, 1872, 36, 176872, 36, "HTTPS"],
    [4, "IP", 0, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 0, 0, 0, 0, null],
    [4, "IP", 0, "02:aa:bb:cc:dd:02", "192.168.1.102", 1, 0, 0, 0, 0, null],
    [4, "IGMP", 0, "02:00:00:00:01:01", "192.168.1.1", 1, 0, 0, 0, 0, "IGMP"],
    [4, "TCP", 22, "00:00:00:00:00:00", "10.8.0.3", 1, 0, 0, 0, 0, "SSH"],
    [4, "TCP", 80, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 0, 0, 0, 0, "HTTP"],
    [4, "TCP", 443, "00:00:00:00:00:00", "10.8.0.2", 1, 0, 0, 0, 0, "HTTPS"],
    [4, "TCP", 443, "00:00:00:00:00:00", "10.8.0.3", 1, 0, 0, 0, 0, "HTTPS"],
    [4, "TCP", 443, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 0, 0, 0, 0, "HTTPS"],
    [4, "TCP", 443, "02:aa:bb:cc:dd:01", "192.168.1.111", 1, 0, 0, 0, 0, "HTTPS"],
    [6, "TCP", 80, "02:aa:bb:cc:dd:02", "fd00:1::102", 1, 0, 0, 0, 0, "HTTP"],
    [6, "TCP", 443, "02:aa:bb:cc:dd:01", "fd00:1::101", 1, 0, 0, 0, 0, "HTTPS"]
    """
)
"""`nlbw -c json` a moment later, in December."""

EMPTY = _document("")
"""An empty database."""


def _csv() -> bytes:
    """The same as JSON by `nlbw -c csv`: tabs, text in quotes, and nothing for a protocol without a name."""
    lines = [COLUMNS, *json.loads(JSON)["data"]]
    texts = ("\t".join("" if v is None else f'"{v}"' if isinstance(v, str) else str(v) for v in line) for line in lines)
    return "".join(f"{text}\n" for text in texts).encode()


CSV = _csv()
