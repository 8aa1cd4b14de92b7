"""One exchange with a router: what is made of all that its commands wrote. Pure.

The order is the proof. Facts are asked before the rows and again after them: where a restart or a rollover fell in
between, the two differ and the exchange is void.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, structs

from exporter.sources.nlbwmon import payload
from exporter.sources.nlbwmon.commands import Format
from exporter.sources.nlbwmon.network import Network, network
from exporter.sources.nlbwmon.payload import PayloadError, Row, Section
from exporter.sources.nlbwmon.periods import Period, interval_of, periods

REFRESH: Final = 30.0  # seconds; OpenWrt's default (nlbwmon reference, §1.3)
TICKS: Final = 100.0  # of /proc/<pid>/stat in a second, on every Linux
LOOK_BACK: Final = 24  # periods that are told apart; a daemon behind by more is read as behind by that much

LIMIT: Final = 10_000  # rows; OpenWrt's default, and 0 is none (nlbwmon reference, §1.3)

_ATTEMPTS: Final = "before", "after"
_DATE: Final = re.compile(rb"\s*([0-9]{1,12}) ([+-])([0-9]{2})([0-9]{2})\s*$")
_BOOT: Final = re.compile(rb"\s*([0-9a-f-]{8,40})\s*$")
_PIDS: Final = re.compile(rb"\s*([0-9]+(?: [0-9]+)*)\s*$")
_UNDATED: Final = re.compile(rb"^ [^\n]*\.db", re.MULTILINE)


class Facts(Struct, frozen=True):
    """Which daemon answers, and when.

    at: the router's clock, Unix seconds. offset: its local time's, ahead of UTC, in seconds. pids: of nlbwmon, as
    `pidof` writes them. started: when the daemon was started, on the router's clock as it is now; None if not known.
    files: when each period's file was last written, by label. after_boot: seconds from the boot to the daemon's start.
    scratch: the inode of /tmp/0.db; "" where it is not there, None where nobody could look.
    """

    at: float
    offset: int
    boot: str
    pids: str
    started: float | None
    files: Mapping[str, float]
    after_boot: float | None = None
    scratch: str | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """What one exchange brought, whatever it proves.

    at: the router's clock, Unix seconds; None where it does not say. boot: its id, or "". missing: facts that could not
    be read, each in words. refresh: seconds within which the daemon renews its values. limit: rows that its database
    holds; None where there is no limit or it is not known. names: by MAC or by IP. bad: skipped rows by reason.
    """

    rows: tuple[Row, ...]
    at: float | None = None
    boot: str = ""
    missing: tuple[str, ...] = ()
    refresh: float = REFRESH
    limit: int | None = None
    names: Mapping[str, str] = {}
    bad: Mapping[str, int] = {}
    network: Network = Network()


class Exchange(Answer, frozen=True, kw_only=True):
    """One that has all the facts.

    before, after: the facts around the rows. periods: the running one by the router's clock and those before it; after
    the rows, so that it is there where one began while they were read.
    closed: rows by the label that was asked for, None where nlbwmon has no data of that period.
    """

    before: Facts
    after: Facts
    periods: tuple[Period, ...]
    closed: Mapping[str, tuple[Row, ...] | None]


class NoShellError(PayloadError):
    """No shell ran the commands: whatever answered is bound to something else."""


class ExitError(Exception):
    """`nlbw` itself failed. `status` is its exit status (nlbwmon reference, §1.4)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"nlbw ended with status {status}")
        self.status = status


def read(output: bytes, token: str, form: Format = "json") -> Answer:
    """What a router answered: an Exchange where all the facts are there.

    Raises ExitError, NoShellError, or PayloadError where the output cannot be used.
    """
    found = payload.sections(output, token)
    if not found:
        raise NoShellError("a shell did not run the commands")
    if "rows" not in found:
        raise PayloadError("the output ends before what was asked for")
    if found["rows"].status:
        raise ExitError(found["rows"].status)
    bad: Counter[str] = Counter()
    rows = _rows(found["rows"], form, bad)
    settings = payload.settings(_text(found, "settings"))
    before, after = (_facts(found, attempt) for attempt in _ATTEMPTS)
    closed = {
        name.removeprefix("period-"): None if section.status else _rows(section, form, bad)
        for name, section in found.items()
        if name.startswith("period-")
    }
    missing = dict.fromkeys(() if settings else ("nlbwmon's settings (uci)",))
    for facts in (before, after):
        missing |= dict.fromkeys(facts if isinstance(facts, tuple) else ())
    known = after if isinstance(after, Facts) else before if isinstance(before, Facts) else None
    limit = int(_number(settings.get("database_limit", ""), LIMIT if settings else 0))
    answer = Answer(
        rows=rows,
        at=_at(found),
        boot=_boot(found) or "",
        missing=tuple(missing),
        refresh=_number(settings.get("refresh_interval", ""), REFRESH),
        limit=limit or None,
        names=dict(payload.host_names(_text(found, "hosts"))) | dict(payload.lease_names(_text(found, "names"))),
        bad=dict(bad),
        network=network(*(_text(found, name) for name in ("interfaces", "net", "links", "routes"))),
    )
    if missing or known is None or isinstance(before, tuple) or isinstance(after, tuple):
        return answer
    interval = interval_of(settings.get("database_interval", "1"), after.offset)
    if interval is None:
        raise PayloadError("database_interval is none that is known")
    shown = tuple(periods(interval, after.at, after.offset, LOOK_BACK))
    return Exchange(**structs.asdict(answer), before=before, after=after, periods=shown, closed=closed)


def _rows(section: Section, form: Format, bad: Counter[str]) -> tuple[Row, ...]:
    found = (payload.json_rows if form == "json" else payload.csv_rows)(section.text)
    bad.update(found.bad)
    return tuple(found.rows)


def _facts(found: Mapping[str, Section], attempt: str) -> Facts | tuple[str, ...]:
    """The facts, or the ones that are missing, in words."""
    date = _DATE.match(_text(found, f"date-{attempt}"))
    boot = _BOOT.match(_text(found, f"boot-{attempt}"))
    pids = _PIDS.match(_text(found, f"pid-{attempt}"))
    after_boot, age = _since_boot(_text(found, f"stat-{attempt}"))
    files = _text(found, f"files-{attempt}")
    missing = [
        *(() if date else ("its clock (date)",)),
        *(() if boot else ("its boot id (/proc/sys/kernel/random/boot_id)",)),
        *(() if pids else ("the process of nlbwmon (pidof)",)),
        *(() if age is not None else ("when nlbwmon was started (/proc)",)),
        *(("when nlbwmon's files were written (date -r)",) if _UNDATED.search(files) else ()),
    ]
    if missing or not date or not boot or not pids or age is None:
        return tuple(missing)
    seconds, sign, hours, minutes = date.groups()
    offset = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == b"-" else 1)
    at = float(seconds)
    names = " ".join(sorted(pids[1].decode().split()))
    scratch = _scratch(found.get(f"scratch-{attempt}"))
    return Facts(at, offset, boot[1].decode(), names, at - age, payload.files(files), after_boot, scratch)


def _at(found: Mapping[str, Section]) -> float | None:
    dates = (_DATE.match(_text(found, f"date-{attempt}")) for attempt in reversed(_ATTEMPTS))
    return next((float(date[1]) for date in dates if date), None)


def _boot(found: Mapping[str, Section]) -> str | None:
    """The boot's id, where both readings agree on it."""
    boots = {match[1].decode() for name in _ATTEMPTS if (match := _BOOT.match(_text(found, f"boot-{name}")))}
    return boots.pop() if len(boots) == 1 else None


def _scratch(section: Section | None) -> str | None:
    """What `ls -i` says of /tmp/0.db. A status of 1 or 2 is that it is not there, a higher one that there is no ls."""
    if section is None or section.status > 2:
        return None
    inode = re.match(rb"\s*([0-9]{1,20}) ", section.text)
    return inode[1].decode() if inode and not section.status else ""


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
