"""The vocabulary of docs/design.md as plain frozen types, shared by every room of the exporter.

Directions are always seen from the subject: *download* is toward it, *upload* from it. Bytes and packets are
whole numbers, durations are seconds, speeds are bytes per second. Nothing here does any I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Struct

NO_MAC = "00:00:00:00:00:00"
"""What stands in a key for the MAC that a router does not know: VPN and routed clients all share it (nlbwmon reference,
§0.6)."""


class CounterKey(NamedTuple):
    """One cumulative pair of raw values on a source, named by the meter that keeps it.

    `kind` is the kind of subject it belongs to ("client", "device", …), `site` the UniFi short name or "", and `key`
    names the counter within them: for a UniFi client `<mac>|wired` or `<mac>|wireless`, for a row of nlbwmon
    `<family>|<protocol>|<port>|<mac>|<ip>`.
    """

    kind: str
    site: str
    key: str

    @property
    def client(self) -> str:
        """Whose counter it is, for one of a client: the MAC that its key holds, or the IP of who has none."""
        *_, mac, last = self.key.split("|") if "|" in self.key else (self.key, "")
        return last if mac == NO_MAC else mac


class SubjectKey(NamedTuple):
    """What bytes belong to: `kind` is "client", "site" (the sum of its clients), "device", "wan", "port", "ssid",
    "protocol" (key `<family>|<name>`) or "client_protocol" (key `<client>|<name>`).
    """

    kind: str
    site: str
    key: str


class Collection(NamedTuple):
    """What is read together and is complete or not together: the clients of one site."""

    kind: str
    site: str


# What there is one of for each client is kept from the garbage collector (gc=False): it holds no cycles, and looking
# through a hundred thousand of them took a fifth of a poll.


class Count(Struct, frozen=True, gc=False):
    """Bytes and packets of both directions. Where a meter counts no packets they stay 0."""

    download: int = 0
    upload: int = 0
    download_packets: int = 0
    upload_packets: int = 0


ZERO = Count()


class Closed(Struct, frozen=True):
    """A life that ended: its name, and the values it started from and ended with.

    began, ended: no byte of it moved before or after that, Unix seconds on the meter's clock; None where nothing tells.
    """

    mark: str
    base: Count
    final: Count
    began: float | None = None
    ended: float | None = None


class Life(Struct, frozen=True):
    """What a meter proves about the stretch a counter is counting in.

    mark: names the life (nlbwmon: host key, boot id, daemon pid and period). Equal marks are the same life, different
        marks are different lives. "" where the meter has no name for it.
    age: seconds the counter has been counting, on the meter's own clock (UniFi devices: `stat.*.duration`), or None.
    base: the raw value this life began with; None where nobody can tell.
    closed: the lives that ended since the reading before, oldest first, as far as the meter still shows them.
    restarted: the meter's process was restarted, so old totals may go on in the new life.
    evicts: the meter's table is full, so it may forget a counter within the life and begin it again from 0.
    began: no byte of it moved before that, Unix seconds on the meter's clock; None where only `age` tells, or nothing.
    """

    mark: str = ""
    age: float | None = None
    base: Count | None = ZERO
    closed: tuple[Closed, ...] = ()
    restarted: bool = False
    evicts: bool = False
    began: float | None = None


class Reading(Struct, frozen=True, gc=False):
    """A counter's raw values at one moment, and what the source knows about them.

    subjects: whom the bytes are credited to: the client, and its site's sum.
    seen: when the meter last heard from it, on the meter's clock; the newest of two readings of one counter is taken.
    born: when the meter first ever saw the subject, on the meter's clock; None where it does not say.
    speed: the counter's link speed in bytes per second; None where no link speed is known.
    life: what is proved about the counter's life; None where nothing is.
    base: the raw value an unproved restart would have begun from; None where nobody can tell.
    session: changes when the client connects anew. No proof of anything; it only spares a fallen value the hold.
    wraps: the counter is of a 32-bit kind.
    """

    counter: CounterKey
    subjects: tuple[SubjectKey, ...]
    count: Count
    seen: float = 0.0
    born: float | None = None
    speed: float | None = None
    life: Life | None = None
    base: Count | None = ZERO
    session: str = ""
    wraps: bool = False


class Client(Struct, frozen=True, gc=False):
    """What is known of an end station beside its bytes. `client` is its label value: the MAC in lower case, or the IP.

    last_seen: Unix seconds on our clock. Rates are the meter's own, in bytes per second. None or "" where unknown.
    """

    site: str
    client: str
    mac: str = ""
    name: str = ""
    owner: str = ""
    vendor: str = ""
    category: str = ""
    connection: str = "unknown"
    network: str = ""
    ssid: str = ""
    ap: str = ""
    ip: str = ""
    guest: bool = False
    connected: bool | None = None
    last_seen: float | None = None
    signal_dbm: float | None = None
    satisfaction_ratio: float | None = None
    reported_download: float | None = None
    reported_upload: float | None = None


class Device(Struct, frozen=True):
    """What is known of a piece of the meter's own equipment. `device` is its MAC in lower case, its label value.

    kind: "ap", "switch", "gateway" or "other". uptime: seconds. Ratios are 0 to 1. None or "" where unknown.
    """

    site: str
    device: str
    name: str = ""
    model: str = ""
    kind: str = "other"
    version: str = ""
    ip: str = ""
    up: bool | None = None
    uptime: float | None = None
    clients: int | None = None
    cpu_ratio: float | None = None
    memory_ratio: float | None = None

    @property
    def subject(self) -> SubjectKey:
        """Whose bytes go with these facts."""
        return SubjectKey("device", self.site, self.device)


class Wan(Struct, frozen=True):
    """What is known of a line to the outside. `wan` is its name on the meter ("wan1"), its label value.

    latency: seconds, as the meter measures it. link_speed: bytes per second of the port, not of the contract.
    """

    site: str
    wan: str
    device: str = ""
    interface: str = ""
    ip: str = ""
    up: bool | None = None
    latency: float | None = None
    link_speed: float | None = None

    @property
    def subject(self) -> SubjectKey:
        """Whose bytes go with these facts."""
        return SubjectKey("wan", self.site, self.wan)


class Contract(Struct, frozen=True):
    """What is paid for on a line, in bytes per second. None where the configuration does not say."""

    site: str
    wan: str
    download: float | None = None
    upload: float | None = None


class Port(Struct, frozen=True):
    """What is known of a port of a device. `port` is its number, or its name where it has none; its label value.

    Download is toward what is plugged in. link_speed: bytes per second.
    """

    site: str
    device: str
    port: str
    name: str = ""
    uplink: bool = False
    up: bool | None = None
    link_speed: float | None = None

    @property
    def subject(self) -> SubjectKey:
        """Whose bytes go with these facts."""
        return SubjectKey("port", self.site, f"{self.device}|{self.port}")


class Ssid(Struct, frozen=True):
    """What is known of a wireless network by its name. Its bytes are the sum of its clients' increases."""

    site: str
    ssid: str
    clients: int | None = None

    @property
    def subject(self) -> SubjectKey:
        """Whose bytes go with these facts."""
        return SubjectKey("ssid", self.site, self.ssid)


Gear = Device | Wan | Port | Ssid
"""What is neither a client nor a site."""


class Poll(Struct, frozen=True):
    """All that one poll of a source brought home.

    identity: which meter answered (controller id, pinned host key); None where it does not say.
    readings: in no order. clients, gear: one for every client and every piece of gear that the source shows.
    complete: the collections read to the end, each with the mark of the life it was read in ("" where there is none).
    refresh: seconds within which the meter renews its values.
    meter_at: the meter's clock, Unix seconds; None where it does not say.
    clock_bound: the meter's clock picks its lives (nlbwmon's periods), so it has to agree with ours.
    bad_records: records that were skipped, by reason.
    lasting: the meter goes on showing clients that left (nlbwmon's rows), so only bytes that move tell who is there.
    rows, rows_limit: how full the meter's table is, where it has one.
    over: clients without a place (exporter.limits).
    notices: what is not well although the poll succeeded, each in words for a person, with what to do about it.
    """

    identity: str | None = None
    readings: tuple[Reading, ...] = ()
    clients: tuple[Client, ...] = ()
    gear: tuple[Gear, ...] = ()
    complete: Mapping[Collection, str] = {}
    refresh: float = 0.0
    meter_at: float | None = None
    clock_bound: bool = False
    bad_records: Mapping[str, int] = {}
    lasting: bool = False
    rows: int | None = None
    rows_limit: int | None = None
    notices: tuple[str, ...] = ()
    over: int = 0


class Moment(Struct, frozen=True):
    """When a poll was taken.

    number: counts the polls of a source over all of its history; it alone orders them.
    tick: seconds on the source's own time line, which never goes back and survives restarts; durations come from it.
    at: our wall clock, Unix seconds; only picks buckets.
    """

    number: int
    tick: float
    at: float


class Counter(Struct, frozen=True, gc=False):
    """What the ledger remembers of a counter.

    count: the last values taken (p). moved: tick at which they last changed. speed: the fastest link seen.
    mark, age, aged: the life they were taken in; `age` was read at tick `aged`. session: see Reading.
    wide: a value of 2^32 or more was seen. held: values not yet believed, since tick `held_at`, because of `doubt`:
    "fallen" or "implausible".
    """

    count: Count
    moved: float
    speed: float | None = None
    mark: str = ""
    age: float | None = None
    aged: float = 0.0
    session: str = ""
    wide: bool = False
    held: Count | None = None
    held_at: float = 0.0
    doubt: str = ""


class Completed(Struct, frozen=True):
    """The last complete reading of a collection: its tick, the furthest the meter's clock ever stood, its mark."""

    tick: float
    meter_at: float | None
    mark: str


Bounds = tuple[float | None, float | None]
"""After and until when bytes moved, Unix seconds; None where only the silence bounds them."""

Parts = Mapping[Bounds, Count]
"""The bytes of a subject whose time is proved, by their bounds."""


class Source(Struct, frozen=True):
    """What the ledger remembers of a source as a whole. `gaps`: silences that hid several intervals."""

    identity: str | None = None
    number: int = 0
    tick: float = 0.0
    at: float = 0.0
    gaps: int = 0


class Noted(Struct, frozen=True):
    """What a poll tells beside bytes, for the archive to keep (exporter.events).

    at: Unix seconds. counts: how often something happened, by subject and reason. since: clients that are new with this
    poll, and when they were first seen, Unix seconds.
    """

    at: int = 0
    counts: Mapping[tuple[SubjectKey, str], int] = {}
    since: Mapping[SubjectKey, int] = {}


NOTHING = Noted()


class Changes(Struct, frozen=True):
    """What one poll does to a source's memory: the ledger's whole answer.

    counters, totals, collections: the new values of those that changed. gone: counters to forget.
    increases: bytes that moved since the last reading, by subject; every subject of the poll's readings is in it.
    events: how many counters met a rule, by (kind, reason). gap: the silence before this poll hid several intervals.
    splits: of increases that such a silence hid, the parts whose time is proved. What they leave may have moved at any
    time in it.
    met: the readings of counters that did not simply go on, each with the reason; "duplicate" and "clock" are not in
    it, for they are told by the poll alone. noted: what becomes of all that, added once the ledger has answered.
    """

    source: Source
    counters: Mapping[CounterKey, Counter]
    gone: frozenset[CounterKey]
    totals: Mapping[SubjectKey, Count]
    collections: Mapping[Collection, Completed]
    increases: Mapping[SubjectKey, Count]
    events: Mapping[tuple[str, str], int]
    gap: bool = False
    splits: Mapping[SubjectKey, Parts] = {}
    met: Sequence[tuple[Reading, str]] = ()
    noted: Noted = NOTHING


@dataclass(slots=True)
class Memory:
    """All that is remembered of one source: what the state file holds, and nothing that is not in it.

    totals: the sum of each subject's increases since it was first seen. shown: where a series is held back on
    the page, the value that it shows. since: when a client was first seen, Unix seconds; who was there at the first
    complete reading is not in it. Only the committer changes it, and only after the commit.
    """

    source: Source = field(default_factory=Source)
    counters: dict[CounterKey, Counter] = field(default_factory=dict)
    totals: dict[SubjectKey, Count] = field(default_factory=dict)
    shown: dict[SubjectKey, Count] = field(default_factory=dict)
    collections: dict[Collection, Completed] = field(default_factory=dict)
    since: dict[SubjectKey, int] = field(default_factory=dict)

    def take(self, changes: Changes, shown: Mapping[SubjectKey, Count | None]) -> None:
        """Take over what has been committed. In `shown`, None means that a series is no longer held back."""
        self.source = changes.source
        self.counters.update(changes.counters)
        for key in changes.gone:
            self.counters.pop(key, None)
        self.totals.update(changes.totals)
        self.collections.update(changes.collections)
        self.since.update(changes.noted.since)
        for subject, count in shown.items():
            if count is None:
                self.shown.pop(subject, None)
            else:
                self.shown[subject] = count


class Write(Struct, frozen=True):
    """One source's share of a commit. `shown` as in `Memory.take`."""

    name: str
    changes: Changes
    shown: Mapping[SubjectKey, Count | None]
