"""A device that makes up addresses: from the controller's bytes to the page and the state file, all stays bounded.

50,000 addresses in one poll and 3,000 new ones in each of the next; with `SOAK=1` a million, and 100,000.
"""

from __future__ import annotations

import gc
import os
import resource
import sqlite3
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from exporter.committer import Committer, Success
from exporter.exposition import Exposition
from exporter.limits import REMEMBERED
from exporter.model import Poll, SubjectKey
from exporter.naming import People
from exporter.series import Scrapes
from exporter.sources.unifi import payload
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.store import State
from tests.scripted import ManualClock, facts

SOAK = bool(os.environ.get("SOAK"))
AT_ONCE = 1_000_000 if SOAK else 50_000
EACH_POLL = 100_000 if SOAK else 3_000
LIMIT = 20_000 if SOAK else 300
POLLS = 48 if SOAK else 12
OWN = range(100)
"""The clients that are no flood: they are there all the time, and move 1000 bytes a poll."""
MADE_UP = 1 << 32
NOBODY: People = {}
COUNTS = ("SELECT count(*) FROM counter", "SELECT count(*) FROM subject")
SITE = SubjectKey("site", "default", "")


def mac(number: int) -> str:
    text = f"{(0x02 << 40) + number:012x}"
    return ":".join(text[at : at + 2] for at in range(0, 12, 2))


class Flood:
    """An exporter with a real state, and the controller that it polls."""

    def __init__(self, path: Path) -> None:
        self.time = ManualClock()
        self.state = State.open(path)
        self.readings = Readings()
        self.exposition = Exposition()
        self.moved = 0
        self.committer = Committer(
            self.state,
            [replace(facts(), clients=LIMIT)],
            exposition=self.exposition,
            scrapes=Scrapes(0.0),
            client_ttl=90.0,
            people=NOBODY,
            clock=self.time.clock,
        )

    def poll(self, first: int, many: int) -> list[str]:
        """The page after a poll that shows our own clients and `many` made-up ones, each born with 7 bytes."""
        self.time.pass_(30.0)
        self.moved += 1000
        began = self.time.wall_at - 10.0
        records = [self._record(number, self.moved, 1.0) for number in OWN]
        records += [self._record(MADE_UP + number, 7, began) for number in range(first, first + many)]
        document = f'{{"meta":{{"rc":"ok"}},"data":[{",".join(records)}]}}'.encode()
        poll = self._decode(document)
        self.committer.work({"home": Success(poll, self.time.wall_at, self.time.steady_at, 0.1)})
        page = self.exposition.page()
        assert page is not None
        return page.text().decode().splitlines()

    def _record(self, number: int, count: int, born: float) -> str:
        seen = self.time.wall_at
        return (
            f'{{"mac":"{mac(number)}","is_wired":false,"essid":"Home","tx_bytes":{count},"rx_bytes":0,'
            f'"first_seen":{born},"last_seen":{seen}}}'
        )

    def _decode(self, document: bytes) -> Poll:
        decoded = payload.stations(document)
        here = SiteClients("default", decoded.stations, self.time.wall_at, self.time.wall_at)
        return self.readings.poll([here], identity="controller", bad=decoded.bad.items())


def in_use() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def test_a_flood_of_addresses_is_bounded_and_our_own_clients_are_counted_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    flood = Flood(path)
    flood.poll(0, 0)
    before = in_use()
    page = flood.poll(0, AT_ONCE)
    over = f'bandwidth_source_clients_over_limit{{source="home"}} {AT_ONCE + len(OWN) - LIMIT}'
    assert over in page
    sizes, shown, own = [0], [""], [""]
    for number in range(POLLS):
        page = flood.poll(AT_ONCE + number * EACH_POLL, EACH_POLL)
        shown = [line for line in page if line.startswith("bandwidth_client_info{")]
        assert len(shown) <= LIMIT
        own = [line for line in page if line.startswith("bandwidth_client_download_bytes_total{")]
        assert sum(line.endswith(f" {1000 * (number + 2)}") for line in own) == len(OWN)
        sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
    runtime = flood.committer.runtimes["home"]
    memory = runtime.memory
    most = REMEMBERED * LIMIT
    assert sum(key.kind == "client" for key in memory.totals) <= most
    assert len(memory.counters) <= 2 * most
    assert len(runtime.clients) <= LIMIT
    assert memory.totals[SITE].download <= 7 * (AT_ONCE + POLLS * EACH_POLL) + 1000 * len(OWN) * (POLLS + 1)
    assert memory.totals[SITE].download == memory.totals[SubjectKey("ssid", "default", "Home")].download
    assert max(sizes) < (32 << 20) + 600 * 2 * most  # the log, and bytes a row
    with closing(sqlite3.connect(path)) as connection:
        rows = [next(connection.execute(query))[0] for query in COUNTS]
    assert rows[0] == len(memory.counters)
    assert rows[1] <= most + 10
    del page, shown, own
    held = in_use() - before
    print(f"held {held >> 20} MiB, state {max(sizes) >> 20} MiB, rows {rows}")
    assert held < (3 << 29 if SOAK else 200 << 20)
    flood.state.close()
