"""Why a provider's number is another one than ours: the line, its clients, and what is between them. Pure.

    rest = line - clients

The line is metered at the router's interface, in bytes of IP packets with or without frames, as its kernel counts. What
a client has is metered at the radio or the port (scope `attached`), or per routed flow (scope `internet`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

GB: Final = 10**9
GIB: Final = 2**30

ETHERNET: Final = 18
"""Bytes of a frame around an IP packet: addresses and type 14, checksum 4 (IEEE 802.3, clause 3)."""

PPPOE: Final = 8
"""Bytes of PPPoE and PPP around an IP packet (RFC 2516, section 4 and 7)."""

MTU: Final = 1500
"""The largest IP packet in an Ethernet frame; with PPPoE 1492."""

SMALLEST: Final = 46
"""The payload that an Ethernet frame is filled up to (IEEE 802.3, clause 3.2.8)."""

CLOSE: Final = 0.02
"""A rest of so much of the line is no disagreement."""


class Pair(Struct, frozen=True):
    """Bytes."""

    download: int = 0
    upload: int = 0

    @property
    def both(self) -> int:
        """Download and upload."""
        return self.download + self.upload


class Measured(Struct, frozen=True):
    """What is known of a source in a period.

    scope: "attached" or "internet" (bandwidth_source_info). line: of all its lines; None where none is metered.
    clients: the sum of all, also of those without a place. silent: how much of the line or, without one, of the clients
    moved in silences, of which there were `silences`. pppoe: whether the line is PPPoE; None: unknown. partial: the
    period began before there was an archive, or is not over. baselines, implausible: how often a counter was taken as
    it stood, and how often an increase was refused (bandwidth_counter_events_total).
    """

    scope: str
    line: Pair | None
    clients: Pair
    silent: Pair = Pair()
    silences: int = 0
    pppoe: bool | None = None
    partial: bool = False
    baselines: int = 0
    implausible: int = 0


class Overhead(Struct, frozen=True):
    """Bytes that frames add. least: where all packets are as large as can be; most: where all are as small."""

    least: int
    most: int


class Reconciliation(Struct, frozen=True):
    """rest: line less clients, None without a line; below 0 where clients have more. share: of the line, None if 0."""

    line: Pair | None
    clients: Pair
    rest: int | None
    share: float | None
    overhead: Overhead
    why: tuple[str, ...]


def overhead(moved: int, per_packet: int, largest: int = MTU) -> Overhead:
    """What frames add to so many bytes of IP packets:

    ceil(bytes / largest) * per_packet <= frames <= ceil(bytes / 46) * per_packet
    """
    return Overhead(-(-moved // largest) * per_packet, -(-moved // SMALLEST) * per_packet)


def reconcile(measured: Measured) -> Reconciliation:
    """The rest, and in plain words what may be in it; the likeliest first."""
    line, clients = measured.line, measured.clients
    rest = None if line is None else line.both - clients.both
    share = None if line is None or rest is None or not line.both else rest / line.both
    pppoe = measured.pppoe is not False
    frames = overhead((line or clients).both, ETHERNET + (PPPOE if pppoe else 0), MTU - (PPPOE if pppoe else 0))
    return Reconciliation(line, clients, rest, share, frames, tuple(_why(measured, rest, share, frames)))


def _why(measured: Measured, rest: int | None, share: float | None, frames: Overhead) -> Iterator[str]:
    if rest is None:
        yield (
            "No line of this source is metered, so its clients cannot be compared with what the provider counts. A"
            " UniFi gateway or an OpenWrt router would meter it."
        )
    elif not rest and share is None:
        yield "Nothing moved, on the line or of its clients, as far as the archive knows."
    elif share is not None and abs(share) <= CLOSE:
        yield "The line and its clients agree within 2 %."
    elif measured.scope == "attached":
        yield from _attached(rest)
    else:
        yield from _internet(rest)
    if measured.silences:
        yield (
            f"{human(measured.silent.both)} moved in {_times(measured.silences)} of silence (the source did not answer,"
            " or the exporter was down). It is counted, but at a bound of the period by its share of time alone."
        )
    if measured.baselines:
        yield (
            f"{measured.baselines} counters were taken as they stood when they were first seen: what they had counted"
            " by then is in no sum."
        )
    if measured.implausible:
        yield (
            f"{measured.implausible} increases were refused, because no link could have carried them: if they were real"
            " after all, `max_rate` is too low."
        )
    if measured.partial:
        yield "The period is not over, or began before there was an archive: the provider may count more of it."
    if moved := (measured.line or measured.clients).both:
        yield (
            f"A provider that counts frames has {human(frames.least)} more on this at least"
            f" ({percent(frames.least, moved)}), and the more the smaller the packets are: Ethernet adds 18 bytes to"
            " each, PPPoE 8."
        )
    yield (
        "1 GiB is 1.074 GB. What is 100 GB to a provider is 93.1 GiB in many programs. Here it is powers of 1000, as on"
        " bills."
    )


def _attached(rest: int) -> Iterator[str]:
    if rest < 0:
        yield (
            f"Clients have {human(-rest)} more than the line. They are metered at the radio and the port, so what they"
            " send to each other is in it, twice where both are metered: backups, cameras, casts, printers."
        )
        yield "The provider sees the line. Shares of clients are shares of client traffic here, not of the line."
    else:
        yield (
            f"The line has {human(rest)} more than the clients: what is no client here (the gateway itself, switches,"
            " devices behind an unmanaged one), and clients that are excluded."
        )
        yield "Counters of clients that began anew while nobody looked lose bytes, never add some (docs/meters.md)."


def _internet(rest: int) -> Iterator[str]:
    if rest > 0:
        yield (
            f"The line has {human(rest)} more than the clients: the router's own traffic (updates, DNS, VPN, a proxy on"
            " it), scans from outside, and subnets that nlbwmon does not watch (`local_network`)."
        )
        yield (
            "Flow offloading hides flows from nlbwmon, in hardware wholly: where the rest is most of the line, turn it"
            " off on the router. `check` says whether it is on."
        )
        yield "A full table of nlbwmon, and rows of it that end unseen between two polls, lose bytes as well."
    else:
        yield (
            f"Clients have {human(-rest)} more than the line: routed traffic between local networks is theirs and not"
            " the line's, or a line is missing in the sum (a second one, an LTE stick, a VPN)."
        )


def _times(number: int) -> str:
    return "one interval" if number == 1 else f"{number} intervals"


def human(amount: int) -> str:
    """Bytes for people, in powers of 1000 as providers have them: 1.24 TB."""
    value, unit = float(amount), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if abs(value) < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{amount} B" if unit == "B" else f"{value:.3g} {unit}"


def percent(part: int, whole: int) -> str:
    """A share for people."""
    return "0 %" if not whole else f"{part / whole * 100:.1f} %"
