"""The page at /: what a person wants to know first, without scripts or anything from elsewhere.

The template escapes whatever is put in: names come from everybody on the LAN.
"""

from __future__ import annotations

import time
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import jinja2
from msgspec import Struct

from exporter.overview import QuotaRow, SourceView
from exporter.voice import human_bytes

DOUBTS: Final = {
    "fallen": (
        "counter fell, and waits for the next poll to say whether it began again",
        "counters fell, and wait for the next poll to say whether they began again",
    ),
    "implausible": (
        "counter showed more than its link can carry, and waits for the next polls",
        "counters showed more than their links can carry, and wait for the next polls",
    ),
}
"""What is said of one counter that is not believed yet, and of several."""


class Status(Struct, frozen=True):
    """All that the page shows.

    banner: words for the top of it, or "". troubles: what keeps the exporter from counting. warnings: what does not,
    and should be mended all the same. facts: version, configuration, state: what a person is asked for in a report.
    left_out: sources that quotas over several do not count.
    """

    sources: tuple[SourceView, ...]
    banner: str = ""
    troubles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    quotas: tuple[QuotaRow, ...] = ()
    left_out: tuple[str, ...] = ()


def status_page(status: Status, now: float) -> str:
    """The whole page, as it is at `now` (Unix seconds)."""
    text = _template().render(
        banner=status.banner,
        troubles=[words for words in status.troubles if words],
        warnings=[words for words in status.warnings if words],
        sources=status.sources,
        facts=status.facts,
        quotas=status.quotas,
        left_out=status.left_out,
        doubts=DOUBTS,
        now=now,
    )
    return text.encode("utf-8", "replace").decode()  # a name or an answer may hold half a character


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {
        "ago": jinja2.pass_context(lambda context, at: ago(context["now"] - at)),
        "grouped": lambda number: f"{number:,}",
        "iso": lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        "percent": percent,
        "rate": bits,
        "seconds": seconds,
        "sold": sold,
        "size": human_bytes,
    }
    return environment.from_string(resources.files("exporter.web").joinpath("status.html").read_text("utf-8"))


def bits(rate: float) -> str:
    """A rate as lines are sold: 48.2 Mbit/s. rate: bytes per second."""
    size = rate * 8
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "bit/s" or size >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} Gbit/s"


def sold(size: float) -> str:
    """A number of bytes as volumes are sold: 312.4 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.95:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} PB"


def percent(ratio: float) -> str:
    """A share as a person reads it; a small one is not called none."""
    return "<1%" if 0 < ratio < 0.01 else f"{ratio * 100:.0f}%"


def seconds(duration: float) -> str:
    """How long something takes: 40 ms, 1.2 s, 30 s, 5 min, 2.5 h."""
    if duration < 1:
        return f"{duration * 1000:.0f} ms"
    if duration < 10:
        return f"{duration:.2g} s"
    if duration < 120:
        return f"{duration:.0f} s"
    return f"{duration / 60:.0f} min" if duration < 7200 else f"{duration / 3600:.1f} h"


def ago(duration: float) -> str:
    """How long something is past. Our clock may have been set back meanwhile."""
    if duration < 1:
        return "just now"
    if duration < 2 * 86_400:
        return f"{seconds(max(1.0, float(int(duration))))} ago"
    return f"{duration / 86_400:.0f} days ago"


def local_time(at: float, zone: ZoneInfo) -> str:
    """A moment on a zone's clock, with the zone's name."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S %Z")
