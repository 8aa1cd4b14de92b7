"""One exchange with a router: what is made of all that its commands wrote. Pure.

The order is the proof. Facts are asked before the rows and again after them: where a restart or a rollover fell in
between, the two differ and the exchange is void.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from exporter.sources.nlbwmon import payload
from exporter.sources.nlbwmon.commands import Format
from exporter.sources.nlbwmon.payload import PayloadError, Row, Section
from exporter.sources.nlbwmon.periods import Period, interval_of, periods

REFRESH: Final = 30.0  # seconds; OpenWrt's default (nlbwmon reference, §1.3)
TICKS: Final = 100.0  # of /proc/<pid>/stat in a second, on every Linux
LOOK_BACK: Final = 24  # periods that are told apart; a daemon behind by more is read as behind by that much

_ATTEMPTS: Final = "before", "after"


class Facts(Struct, frozen=True):
    """Which daemon answers, and when.

    at: the router's clock, Unix seconds. offset: its local time's, ahead of UTC, in seconds. pids: of nlbwmon, as
    `pidof` writes them. started: when the daemon was started, on the router's clock as it is now; None if not known.
    files: when each period's file was last written, by label. after_boot: seconds from the boot to the daemon's start.
    """

    at: float
    offset: int
    boot: str
    pids: str
    started: float | None
    files: Mapping[str, float]
    after_boot: float | None = None


class Exchange(Struct, frozen=True):
    """All that one exchange brought.

    before, after: the facts around the rows. periods: the running one by the router's clock and those before it.
    closed: rows by the label that was asked for, None where nlbwmon has no data of that period. refresh: seconds
    within which the daemon renews its values. names: by MAC or by IP. bad: skipped rows by reason.
    """

    before: Facts
    after: Facts
    periods: tuple[Period, ...]
    rows: tuple[Row, ...]
    closed: Mapping[str, tuple[Row, ...] | None]
    refresh: float = REFRESH
    limit: int | None = None
    names: Mapping[str, str] = {}
    bad: Mapping[str, int] = {}


class ExitError(Exception):
    """`nlbw` itself failed. `status` is its exit status (nlbwmon reference, §1.4)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"nlbw ended with status {status}")
        self.status = status


def read(output: bytes, token: str, form: Format = "json") -> Exchange:
    """What a router answered. Raises ExitError, or PayloadError where the output cannot be used."""
    found = payload.sections(output, token)
    if "rows" not in found:
        raise PayloadError("the output ends before what was asked for" if found else "a shell did not run the commands")
    if found["rows"].status:
        raise ExitError(found["rows"].status)
    bad: Counter[str] = Counter()
    rows = _rows(found["rows"], form, bad)
    settings = payload.settings(_text(found, "settings"))
    before, after = (_facts(found, attempt) for attempt in _ATTEMPTS)
    interval = interval_of(settings.get("database_interval", "1"), before.offset)
    if interval is None:
        raise PayloadError("database_interval is none that is known")
    closed = {
        name.removeprefix("period-"): None if section.status else _rows(section, form, bad)
        for name, section in found.items()
        if name.startswith("period-")
    }
    return Exchange(
        before,
        after,
        tuple(periods(interval, before.at, before.offset, LOOK_BACK)),
        rows,
        closed,
        _number(settings.get("refresh_interval", ""), REFRESH),
        int(_number(settings.get("database_limit", ""), 10_000)),
        dict(payload.host_names(_text(found, "hosts"))) | dict(payload.lease_names(_text(found, "names"))),
        dict(bad),
    )


def _rows(section: Section, form: Format, bad: Counter[str]) -> tuple[Row, ...]:
    found = (payload.json_rows if form == "json" else payload.csv_rows)(section.text)
    bad.update(found.bad)
    return tuple(found.rows)


def _facts(found: Mapping[str, Section], attempt: str) -> Facts:
    date = re.match(rb"\s*([0-9]{1,12}) ([+-])([0-9]{2})([0-9]{2})\s*$", _text(found, f"date-{attempt}"))
    boot = re.match(rb"\s*([0-9a-f-]{8,40})\s*$", _text(found, f"boot-{attempt}"))
    pids = re.match(rb"\s*([0-9]+(?: [0-9]+)*)\s*$", _text(found, f"pid-{attempt}"))
    if not date or not boot or not pids:
        missing = [what for what, match in (("date", date), ("boot id", boot), ("nlbwmon's pid", pids)) if not match]
        raise PayloadError(f"the router does not say its {' and '.join(missing)}")
    seconds, sign, hours, minutes = date.groups()
    offset = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == b"-" else 1)
    at = float(seconds)
    after_boot, age = _since_boot(_text(found, f"stat-{attempt}"))
    return Facts(
        at,
        offset,
        boot[1].decode(),
        " ".join(sorted(pids[1].decode().split())),
        None if age is None else at - age,
        payload.files(_text(found, f"files-{attempt}")),
        after_boot,
    )


def _since_boot(text: bytes) -> tuple[float | None, float | None]:
    """Seconds from the boot to the start of the youngest nlbwmon, and from there to now (proc(5), stat and uptime)."""
    starts = [
        int(ticks) / TICKS for ticks in re.findall(rb"^[0-9]+ \(.*\) \S(?: -?[0-9]+){18} ([0-9]+) ", text, re.MULTILINE)
    ]
    uptime = re.search(rb"^([0-9]{1,12}\.[0-9]+) [0-9.]+$", text, re.MULTILINE)
    return (max(starts), float(uptime[1]) - max(starts)) if uptime and starts else (None, None)


def _text(found: Mapping[str, Section], name: str) -> bytes:
    return found[name].text if name in found else b""


def _number(text: str, default: float) -> float:
    """The number that a setting begins with: `30s`, `10000`."""
    match = re.match(r"[0-9]{1,9}", text)
    return float(match[0]) if match else default
