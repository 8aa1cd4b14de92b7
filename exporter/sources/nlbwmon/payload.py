"""What comes over the wire from `nlbw` and the small programs beside it, as types. Text in, records out; no I/O.

Columns are found by their names. One bad row never costs the rest: it is skipped and counted.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

MOST: Final = 2**63 - 1  # what the state can hold
NAME_LIMIT: Final = 256  # characters
LONGEST: Final = 45  # characters of an address
_NUMBERS: Final = ("family", "port", "rx_bytes", "rx_pkts", "tx_bytes", "tx_pkts")
_COLUMNS: Final = ("family", "proto", "port", "mac", "ip", "rx_bytes", "rx_pkts", "tx_bytes", "tx_pkts", "layer7")
_is_mac = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}").fullmatch
_is_proto = re.compile(r"[!-{}~]{1,16}").fullmatch  # printable, without spaces and the bar that counter keys use
_is_number = re.compile(r"[0-9]{1,19}").fullmatch


class PayloadError(ValueError):
    """A document that cannot be used at all."""


class Section(NamedTuple):
    """What one command of an exchange wrote, and the status it ended with."""

    status: int
    text: bytes


class Row(NamedTuple):
    """One row of nlbwmon's database. rx is toward the local host, tx is from it (nlbwmon reference, §1.2).

    layer7: the protocol's name on the router, None where it has none. ip is in its usual short form.
    """

    family: int
    proto: str
    port: int
    mac: str
    ip: str
    rx_bytes: int
    rx_packets: int
    tx_bytes: int
    tx_packets: int
    layer7: str | None

    @property
    def key(self) -> str:
        """What nlbwmon knows the row by; it keeps one row for each."""
        return f"{self.family}|{self.proto}|{self.port}|{self.mac}|{self.ip}"


class Rows(NamedTuple):
    """The usable rows of a document, and how many were skipped, by reason: "shape", "address", "number"."""

    rows: list[Row]
    bad: Counter[str]


class _Document(Struct):
    columns: list[str]
    data: list[Any]


_DOCUMENT = msgspec.json.Decoder(_Document)


def begin(token: str, name: str) -> str:
    """The line that a section's text follows. `token` is one that nobody can guess, so no output can hold it."""
    return f"{token}< {name}"


def sections(output: bytes, token: str) -> dict[str, Section]:
    """The whole sections in an exchange's output, by name. What stands around them, as a motd does, is passed over."""
    mark = re.escape(token.encode())
    found = re.finditer(
        rb"^%b< ([a-z0-9_-]+)\n(.*?)\n%b> ([0-9]{1,3})$" % (mark, mark), output, re.DOTALL | re.MULTILINE
    )
    return {name.decode(): Section(int(status), text) for name, text, status in (match.groups() for match in found)}


def json_rows(text: bytes) -> Rows:
    """The rows of `nlbw -c json`. Raises PayloadError where it is no JSON: it does not escape protocols' names."""
    try:
        document = _DOCUMENT.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise PayloadError("`nlbw -c json` gave no JSON of the shape that is known") from None
    return _rows(document.columns, document.data)


def csv_rows(text: bytes) -> Rows:
    """The rows of `nlbw -c csv`. Each line stands for itself, so that a stray quote costs its own line only."""
    lines = (_fields(line) for line in text.decode("utf-8", "replace").split("\n") if line.strip())
    header = next(lines, None)
    if header is None:
        raise PayloadError("`nlbw -c csv` gave not even a header")
    return _rows(header, (_typed(header, fields) for fields in lines))


def found_rows(output: bytes, form: str) -> Rows:
    """The rows in what `nlbw` wrote by itself. Noise before and after them is passed over."""
    start = output.find(b'{"columns"' if form == "json" else b'"family"\t')
    if start < 0:
        raise PayloadError("nlbw showed no rows")
    if form == "csv":
        return csv_rows(output[start:])
    end = output.rfind(b"]}") + 2
    return json_rows(output[start:end])


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r")], delimiter="\t", strict=True), [])
    except csv.Error:
        return []


def _typed(header: Sequence[str], fields: Sequence[str]) -> list[Any]:
    """The fields as JSON has them: an empty protocol name is none."""
    if len(fields) != len(header):
        return []
    return [
        (int(text) if _is_number(text) else text) if name in _NUMBERS else (text or None)
        for name, text in zip(header, fields, strict=True)
    ]


def _rows(columns: Sequence[str], data: Iterable[Any]) -> Rows:
    if len(set(columns)) != len(columns) or not set(_COLUMNS) <= set(columns):
        raise PayloadError("`nlbw` gave other columns than those that are known")
    places = [columns.index(name) for name in _COLUMNS]
    rows: list[Row] = []
    bad: Counter[str] = Counter()
    for values in data:
        if not isinstance(values, list) or len(values) != len(columns):
            bad["shape"] += 1
            continue
        row = _row(*(values[place] for place in places))
        if isinstance(row, Row):
            rows.append(row)
        else:
            bad[row] += 1
    return Rows(rows, bad)


def _row(family: Any, proto: Any, port: Any, mac: Any, ip: Any, *rest: Any) -> Row | str:
    """The row, or why it has to be skipped."""
    *counts, layer7 = rest
    if not (isinstance(proto, str) and _is_proto(proto) and (layer7 is None or isinstance(layer7, str))):
        return "shape"
    if not all(type(number) is int and 0 <= number <= MOST for number in (family, port, *counts)) or port > 65_535:
        return "number"
    mac = mac.lower() if isinstance(mac, str) else ""
    address = _address(ip)
    if not _is_mac(mac) or address is None or address.version != family:
        return "address"
    rx_bytes, rx_packets, tx_bytes, tx_packets = counts
    name = layer7[:NAME_LIMIT] if layer7 else None
    return Row(family, proto, port, mac, str(address), rx_bytes, rx_packets, tx_bytes, tx_packets, name)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(text: Any) -> Address | None:
    return _parsed(text) if isinstance(text, str) and len(text) <= LONGEST and "%" not in text else None


@lru_cache(maxsize=8_192)
def _parsed(text: str) -> Address | None:
    """A client has many rows, and has them in every poll; to read an address is most of the work of a row."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def settings(text: bytes) -> dict[str, str]:
    """Lines of `name=value`, without the ones that have no value."""
    pairs = (line.partition("=") for line in text.decode("utf-8", "replace").splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip() and value.strip()}


def files(text: bytes) -> dict[str, float]:
    """When each period's file was last written (Unix seconds on the router's clock), by the period's label.

    A line is `<seconds> <path>`. A period may have two files (`database_compress` was changed); the later one counts.
    """
    written: dict[str, float] = {}
    for seconds, label in re.findall(rb"^([0-9]{1,12}) (?:[^\n]*/)?([0-9]{8})\.db(?:\.gz)?$", text, re.MULTILINE):
        name = label.decode()
        written[name] = max(float(seconds), written.get(name, 0.0))
    return written


def lease_names(text: bytes) -> Iterator[tuple[str, str]]:
    """Names by MAC, of dnsmasq's leases: `<expiry> <mac> <ip> <name or *> <client id>`."""
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) >= 4 and _is_mac(words[1].lower()) and words[3] != "*":
            yield words[1].lower(), words[3][:NAME_LIMIT]


def host_names(text: bytes) -> Iterator[tuple[str, str]]:
    """Names by IP, of files such as /etc/hosts, but for loopback's."""
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.partition("#")[0].split()
        address = _address(words[0]) if len(words) >= 2 else None
        if address is not None and not (address.is_loopback or address.is_multicast):
            yield str(address), words[1][:NAME_LIMIT]
