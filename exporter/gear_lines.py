"""The text of a source's devices, lines, ports and wireless networks. They are few, so every line is made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from exporter import metrics
from exporter.exposition import Blocks, samples
from exporter.metrics import Family
from exporter.model import Count, Gear, SubjectKey
from exporter.privacy import OPEN, Privacy

Row = tuple[SubjectKey, Count | None, Gear | None]
"""A piece of gear on the page: the count it shows, and what is known of it."""


class _Kind(NamedTuple):
    """How a kind of subject is shown. info: its info family, and the facts that are labels of that."""

    download: Family
    upload: Family
    gauges: tuple[tuple[Family, str], ...]
    info: Family | None = None
    facts: Callable[[Any], tuple[str, ...]] = tuple


KINDS: Mapping[str, _Kind] = {
    "device": _Kind(
        metrics.DEVICE_DOWNLOAD,
        metrics.DEVICE_UPLOAD,
        (
            (metrics.DEVICE_UP, "up"),
            (metrics.DEVICE_UPTIME, "uptime"),
            (metrics.DEVICE_CLIENTS, "clients"),
            (metrics.DEVICE_CPU, "cpu_ratio"),
            (metrics.DEVICE_MEMORY, "memory_ratio"),
        ),
        metrics.DEVICE_INFO,
        lambda device: (device.name or device.device, device.model, device.kind, device.version, device.ip),
    ),
    "wan": _Kind(
        metrics.WAN_DOWNLOAD,
        metrics.WAN_UPLOAD,
        ((metrics.WAN_UP, "up"), (metrics.WAN_LATENCY, "latency"), (metrics.WAN_LINK_SPEED, "link_speed")),
        metrics.WAN_INFO,
        attrgetter("device", "interface", "ip"),
    ),
    "port": _Kind(
        metrics.PORT_DOWNLOAD,
        metrics.PORT_UPLOAD,
        ((metrics.PORT_UP, "up"), (metrics.PORT_LINK_SPEED, "link_speed")),
        metrics.PORT_INFO,
        lambda port: (port.name or port.port, "true" if port.uplink else "false"),
    ),
    "ssid": _Kind(metrics.SSID_DOWNLOAD, metrics.SSID_UPLOAD, ((metrics.SSID_CLIENTS, "clients"),)),
}
"""The kinds of gear, by the kind of their subjects."""


def render_gear(source: str, kind: str, rows: Iterable[Row], privacy: Privacy = OPEN) -> Blocks:
    """One block for each family of the kind that has samples."""
    shape = KINDS[kind]
    rows = list(rows)
    named = [((source, key.site, *_parts(key, privacy)), count, gear) for key, count, gear in rows]
    series: dict[Family, list[tuple[tuple[str, ...], float]]] = {
        shape.download: [(who, count.download) for who, count, _ in named if count is not None],
        shape.upload: [(who, count.upload) for who, count, _ in named if count is not None],
    }
    known = [(who, privacy.gear(gear)) for who, _, gear in named if gear is not None]
    if shape.info is not None:
        series[shape.info] = [((*who, *shape.facts(gear)), 1) for who, gear in known]
    for family, fact in shape.gauges:
        values = ((who, getattr(gear, fact)) for who, gear in known)
        series[family] = [(who, _number(value)) for who, value in values if value is not None]
    return {family.name: samples(family, lines) for family, lines in series.items() if lines}


def _parts(key: SubjectKey, privacy: Privacy) -> list[str]:
    """The label values that the key of a subject holds: only a port's holds two, the device and the port."""
    shown = privacy.key(key)
    return shown.split("|", 1) if key.kind == "port" else [shown]


def _number(value: float) -> float:
    return int(value) if isinstance(value, bool) else value
