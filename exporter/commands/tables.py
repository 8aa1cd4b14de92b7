"""`top` and `report` as tables. What comes from the network is put in as it is, never as markup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from exporter.accounting.percentile import Level
from exporter.accounting.reconcile import Pair, human
from exporter.commands.answers import Billed, Comparison, Heading, Report, Row, Top, Unusuals
from exporter.config.errors import one_line

LONGEST: Final = 21
"""Characters of a word that stays in one piece: an address of a client has 17, a pseudonym 21."""


def show(asked: Top | Comparison | Report) -> None:
    """Print it."""
    console = Console(highlight=False)
    for part in _parts(asked):
        console.print(part, crop=False)


def _parts(asked: Top | Comparison | Report) -> Iterator[RenderableType]:
    match asked:
        case Top():
            return _top(asked)
        case Comparison():
            return _comparison(asked)
        case Report():
            return _report(asked)


def _top(asked: Top) -> Iterator[RenderableType]:
    of = f" of {one_line(asked.source)}" if asked.source else ""
    yield Text(f"Top by {asked.by}{of}, {_bounds(asked.start, asked.end, asked.timezone)}")
    if not asked.rows:
        yield Text("Nothing moved.")
        return
    table = _table(("", True), (asked.by, False), ("", False), ("download", True), ("upload", True), ("share", True))
    table.add_column("trend", overflow="fold")
    for row in asked.rows:
        table.add_row(
            *map(Text, (str(row.rank), one_line(row.name), one_line(row.address) if row.address != row.name else "")),
            *map(Text, (human(row.download), human(row.upload), f"{row.share:.1%}", _trend(row))),
        )
    table.add_section()
    others = f"all, with {asked.others} more" if asked.others else "all"
    table.add_row("", others, "", human(asked.download), human(asked.upload), "100.0%", "")
    yield _readable(table)


def _comparison(asked: Comparison) -> Iterator[RenderableType]:
    of = f" of {one_line(asked.source)}" if asked.source else ""
    yield Text(f"Change by {asked.by}{of},")
    yield Text(f"now {_bounds(asked.start, asked.end, asked.timezone)}")
    yield Text(f"before {_bounds(asked.against_start, asked.against_end, asked.timezone)}")
    if not asked.rows:
        yield Text("Nothing moved in either.")
        return
    table = _table((asked.by, False), ("", False), ("before", True), ("now", True), ("change", True))
    table.add_column("trend", overflow="fold")
    for row in asked.rows:
        table.add_row(
            *map(Text, (one_line(row.name), one_line(row.address) if row.address != row.name else "")),
            *map(Text, (human(row.before), human(row.now), _more(row.change), _in_words(row.trend, row.ratio))),
        )
    table.add_section()
    others = f"all, with {asked.others} more" if asked.others else "all"
    table.add_row(others, "", human(asked.before), human(asked.now), _more(asked.now - asked.before), "")
    yield _readable(table)


def _more(change: float) -> str:
    return f"{'+' if change > 0 else ''}{human(round(change))}"


def _trend(row: Row | Heading) -> str:
    return _in_words(row.trend, row.change)


def _in_words(trend: str, change: float | None) -> str:
    return trend if change is None else f"{trend} ({change:+.0%})"


def _report(asked: Report) -> Iterator[RenderableType]:
    yield Text(f"{one_line(asked.source)}, {_bounds(asked.start, asked.end, asked.timezone)}\n")
    has_line = any(day.line for day in asked.days)
    table = _table(("day", False), ("clients down", True), ("clients up", True))
    if has_line:
        table.add_column("line down", justify="right")
        table.add_column("line up", justify="right")
    for day in asked.days:
        table.add_row(day.date, *_pair(day.clients), *(_pair(day.line) if has_line else ()))
    yield _readable(table)
    for heading in asked.trends:
        yield Text(f"Compared with the period before, {heading.of}: {_trend(heading)}")
    yield Text()
    yield from _top(asked.top)
    yield from _unusual(asked.unusual, asked.timezone)
    yield Text()
    for billed in asked.billed:
        yield Text(_billed(billed, asked.timezone))
    if not asked.billed:
        yield Text("95th percentile: no five minutes of this period are kept (archive.retention.five_minutes).")
    yield Text("\nWhy does it not match my provider?")
    found = asked.reconciliation
    line = "" if found.line is None else f"line {human(found.line.both)}, "
    rest = "" if found.rest is None else f", rest {human(found.rest)}"
    yield Text(f"{line}clients {human(found.clients.both)}{rest}")
    for why in found.why:
        yield Text(f"- {why}")


def _unusual(asked: Unusuals, zone: str) -> Iterator[RenderableType]:
    if not asked.judged:
        yield Text("Unusual hours: too few days before this period to tell.")
        return
    if not asked.hours:
        yield Text("Unusual hours: none.")
        return
    yield Text("Unusual hours, beside the same hour of the 28 days before")
    table = _table(("hour", False), ("who", False), ("", False), ("moved", True), ("usual", True), ("difference", True))
    for each in asked.hours:
        at = datetime.fromtimestamp(each.hour, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
        table.add_row(
            *map(Text, (at, one_line(each.who), one_line(each.address) if each.address != each.who else "")),
            *map(Text, (human(each.moved), human(round(each.usual)), _more(each.moved - each.usual))),
        )
    yield _readable(table)
    if asked.others:
        yield Text(f"and {asked.others} more")


def _billed(billed: Billed, zone: str) -> str:
    of, where = billed.percentile, one_line(billed.line)
    part = "" if billed.whole else f" ({_bounds(billed.since, billed.until, zone)} only)"
    unknown = ""
    if of.unknown:
        least, most = _speed(of.larger, "least"), _speed(of.larger, "most")
        unknown = f"; silences are in {of.unknown} of {of.bins} bins, so it is from {least} to {most}"
    down, up, larger = (_speed(level, "value") for level in (of.download, of.upload, of.larger))
    return f"95th percentile of {where}{part}: download {down}, upload {up}, larger {larger}{unknown}"


def _speed(level: Level, which: str) -> str:
    return human(getattr(level, which) * 8 // 300).replace("B", "bit/s")


def _pair(pair: Pair | None) -> tuple[str, str]:
    return ("", "") if pair is None else (human(pair.download), human(pair.upload))


def _bounds(start: int, end: int, zone: str) -> str:
    first, last = (datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") for at in (start, end))
    return f"{first} to {last} ({zone})"


def _table(*columns: tuple[str, bool]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name, is_number in columns:
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    return table


def _readable(table: Table) -> Table:
    """Where it is narrow, cells break between words, and nothing is cut off: an address can always be copied."""
    for column in table.columns:
        words = [word for cell in column.cells if isinstance(cell, Text | str) for word in str(cell).split()]
        column.min_width = min(LONGEST, max(map(len, words), default=0))
    return table
