"""Mutated payloads through decode, ledger and page: no crash, no byte too much, and a page that stays valid.

Each world is a few clients and devices over a day of polls, whose documents are mutated in places and in bytes. A
million documents with `SOAK=1`, a few thousand without.
"""

from __future__ import annotations

import json
import os
import random
import re
from copy import deepcopy
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.exposition import assemble
from exporter.ledger import advance
from exporter.model import Count, Memory, Moment, Poll, SubjectKey
from exporter.runtime import Runtime
from exporter.series import Scrapes, Stage
from exporter.sources.unifi.device_payload import devices
from exporter.sources.unifi.gear import SiteDevices, beside, gather
from exporter.sources.unifi.payload import PayloadError, stations
from exporter.sources.unifi.readings import Readings, SiteClients
from tests.scripted import facts
from tests.unit.test_unifi_device_payload import AP, GATEWAY, SWITCH
from tests.unit.test_unifi_payload import WIRED, WIRELESS

SEEDS = range(8)
DOCUMENTS = 1_000_000 if os.environ.get("SOAK") else 8_000
POLLS = 40  # of one world
INTERVAL = 30.0
MAX_RATE = 12.5e9
ODD: tuple[Any, ...] = (
    None, True, "tru", "enabled", "", "12", "1.23E7", "-5", -1, 0, 1.5, 1e300, -1e300, 2**32, 2**53 + 1, 2**63, 2**64,
    2**70, [], {}, [[]], {"a": 1}, "\ud800", '"} 1\nup 0', "\0", "x" * 5000, "02:aa:bb:cc:dd:0g", "NaN",
)  # fmt: skip
LINE = re.compile(
    r"[a-z_]+\{[a-z]+=\"(?:[^\"\\\n]|\\[\\\"n])*\"(?:,[a-z]+=\"(?:[^\"\\\n]|\\[\\\"n])*\")*\} -?[0-9][0-9.e+-]*"
)
EVIDENCE = ("bytes", "packets", "first_seen", "assoc_time", "duration", "mac", "is_wired")
"""What a number is made of. Where only the rest is odd, nothing may be counted that did not move."""


def mutate(rng: random.Random, value: Any, *, spare: tuple[str, ...] = ()) -> Any:
    """The value with something in it made odd, dropped or doubled; keys that hold a part of `spare` are left alone."""
    if isinstance(value, dict) and value:
        return _mutate_object(rng, value, spare)
    if isinstance(value, list) and value:
        return _mutate_list(rng, value, spare)
    return value


def _mutate_object(rng: random.Random, value: dict[str, Any], spare: tuple[str, ...]) -> dict[str, Any]:
    key = rng.choice(list(value))
    if any(part in key for part in spare):
        return value
    inner = value[key]
    if isinstance(inner, dict | list) and inner and rng.random() < 0.7:
        return value | {key: mutate(rng, inner, spare=spare)}
    return {k: v for k, v in value.items() if k != key} if rng.random() < 0.2 else value | {key: rng.choice(ODD)}


def _mutate_list(rng: random.Random, value: list[Any], spare: tuple[str, ...]) -> list[Any]:
    place, kind = rng.randrange(len(value)), rng.random()
    if kind < 0.1 and not spare:
        return [*value, deepcopy(value[place])]
    if kind < 0.2:
        return [*value, rng.choice(ODD)]
    return [*value[:place], mutate(rng, value[place], spare=spare), *value[place + 1 :]]


def bytes_of(rng: random.Random, document: Any, *, wild: bool) -> bytes:
    """The document as JSON, now and then cut, or with bytes in it changed."""
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    if wild and rng.random() < 0.2:
        place = rng.randrange(len(text))
        return text[:place] if rng.random() < 0.5 else text[:place] + rng.randbytes(2) + text[place + 2 :]
    return text


class World:
    """A site that moves bytes, its documents, and the exporter from decode to page."""

    def __init__(self, rng: random.Random, *, spare: tuple[str, ...]) -> None:
        self.rng, self.spare = rng, spare
        self.stations = [WIRED | {"mac": f"02:aa:bb:cc:dd:1{n}"} for n in range(2)]
        self.stations += [WIRELESS | {"mac": f"02:aa:bb:cc:dd:2{n}", "essid": "Home"} for n in range(2)]
        self.devices = deepcopy([AP, SWITCH, GATEWAY])
        self.readings = Readings()
        self.runtime = Runtime(facts(), Memory(), Stage("home", Scrapes(0.0), 600.0), 0.0)
        self.moved: dict[str, int] = {}
        self.number = 0

    def move(self) -> None:
        """Bytes pass: the clients' are known."""
        for station in self.stations:
            link = "wired-" if station["is_wired"] else ""
            for way in ("tx_bytes", "rx_bytes"):
                step = self.rng.randrange(1_000_000)
                station[link + way] += step
                self.moved[station["mac"]] = self.moved.get(station["mac"], 0) + step

    def documents(self) -> tuple[bytes, bytes]:
        """What the controller answers, with something wrong in it."""
        answers = []
        for records in (self.stations, self.devices):
            document: Any = {"meta": {"rc": "ok"}, "data": records}
            for _ in range(self.rng.randrange(4)):
                document = mutate(self.rng, document, spare=self.spare)
            answers.append(bytes_of(self.rng, document, wild=not self.spare))
        return answers[0], answers[1]

    def poll(self, sta: bytes, gear: bytes) -> Poll:
        """As the source puts it together; what cannot be used costs only its own part."""
        at = 1_700_000_000.0 + self.number * INTERVAL
        try:
            sites = [SiteClients("s", stations(sta).stations, at, at)]
        except PayloadError:
            sites = []
        poll = self.readings.poll(sites)
        try:
            return beside(poll, gather([SiteDevices("s", devices(gear).devices)]))
        except PayloadError:
            return poll

    def step(self) -> str:
        """One poll, and the page after it."""
        self.move()
        self.number += 1
        runtime, memory = self.runtime, self.runtime.memory
        poll = self.poll(*self.documents())
        moment = Moment(self.number, self.number * INTERVAL, 1_700_000_000.0 + self.number * INTERVAL)
        changes = advance(memory, poll, moment, interval=INTERVAL, max_rate=MAX_RATE)
        self.check_increases(poll, dict(changes.increases))
        clients = {SubjectKey("client", client.site, client.client): client for client in poll.clients}
        gear = {piece.subject: piece for piece in poll.gear}
        plan = runtime.stage.plan(memory, changes, [*clients, *gear], self.number, moment.tick)
        memory.take(changes, plan.shown)
        runtime.stage.adopt(plan)
        if self.spare:
            self.check_totals()
        runtime.clients, runtime.gear = {**runtime.clients, **clients}, {**runtime.gear, **gear}
        return b"".join(assemble([runtime.render({})])).decode()

    def check_increases(self, poll: Poll, increases: dict[SubjectKey, Count]) -> None:
        """Never less than nothing, and never more than the counters of the subject show."""
        shown: dict[SubjectKey, list[int]] = {}
        for reading in poll.readings:
            for subject in reading.subjects:
                sums = shown.setdefault(subject, [0, 0])
                sums[0] += reading.count.download
                sums[1] += reading.count.upload
        for subject, increase in increases.items():
            assert 0 <= increase.download <= shown[subject][0]
            assert 0 <= increase.upload <= shown[subject][1]
            assert increase.download_packets >= 0
            assert increase.upload_packets >= 0

    def check_totals(self) -> None:
        """No client has more than it moved."""
        for mac, moved in self.moved.items():
            total = self.runtime.memory.totals.get(SubjectKey("client", "s", mac), Count())
            assert total.download + total.upload <= moved, mac


def check_page(page: str) -> None:
    """Every line is a sample, and no series stands twice."""
    lines = [line for line in page.split("\n") if line and not line.startswith("# ")]
    for line in lines:
        assert LINE.fullmatch(line), line[:300]
    series = [line.rpartition(" ")[0] for line in lines]
    assert len(series) == len(set(series))


@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_payloads(seed: int) -> None:
    rng = random.Random(seed)
    done = 0
    while done < DOCUMENTS / len(SEEDS):
        spare = EVIDENCE if rng.random() < 0.5 else ()
        world = World(rng, spare=spare)
        pages = [world.step() for _ in range(POLLS)]
        for page in pages:
            check_page(page)
        list(text_string_to_metric_families(pages[-1]))
        done += 2 * POLLS
    print(f"seed {seed}: {done} documents")
