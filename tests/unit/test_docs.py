"""The pages of docs/ say what the code does: every metric, every reason, every test they name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from docs import generate
from exporter import ledger
from exporter.accounting.periods import Cycle
from exporter.accounting.quotas import Quota
from exporter.accounts import Accounts, Terms
from exporter.committer import Committer, Failure, Success
from exporter.config.schema import Alerts
from exporter.configured import Thresholds, thresholds_of
from exporter.exposition import Exposition
from exporter.metrics import FAMILIES, OWN_FAMILIES, Family
from exporter.model import Client, Contract, Count, CounterKey, Device, Gear, Port, Reading, Ssid, SubjectKey, Wan
from exporter.naming import Person
from exporter.reload import Reloaded
from exporter.series import Scrapes
from exporter.service import Own
from exporter.sources.unifi.device_payload import devices
from exporter.sources.unifi.gear import SiteDevices, gather
from exporter.sources.unifi.payload import stations
from exporter.store import State
from exporter.store.postgres.target import Condition
from tests.scripted import SITE, ManualClock, facts, poll, reading

ROOT = Path(__file__).parents[2]
MAC, AP = "02:00:00:00:00:01", "02:00:00:00:01:01"
DECLARED = {family.name: family for family in (*FAMILIES, *OWN_FAMILIES)}
NAMED_TEST = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")


def every_threshold() -> Thresholds:
    return thresholds_of(Alerts(client_download=1.25e7, client_upload=2.5e6, client_day=5 * 10**10))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Metric]:
    """Every family of a page on which there is something to say about everything, by its full name."""
    client = Client(
        SITE,
        MAC,
        MAC,
        connected=True,
        last_seen=1.0,
        signal_dbm=-58.0,
        satisfaction_ratio=0.98,
        reported_download=1.5,
        reported_upload=0.5,
    )
    time = ManualClock()
    exposition = Exposition(
        Own(lambda: 0, lambda: Reloaded(successful=True, at=0.0), Condition, every_threshold).render
    )
    with closing(State.open(tmp_path_factory.mktemp("docs") / "state.db")) as state:
        committer = Committer(
            state,
            [replace(facts(), contracts=(Contract(SITE, "wan1", 3e7, 5e6),))],
            exposition=exposition,
            scrapes=Scrapes(5.0),
            client_ttl=3600.0,
            people={MAC: Person("Kitchen laptop", "flat 3", "tenants")},
            clock=time.clock,
        )
        month = Cycle("1", ZoneInfo("UTC"))
        committer.keep(Accounts(state, Terms(month.zone, (Quota("bill", "all", month, 10**9),))))
        gear: tuple[Gear, ...] = (
            Device(SITE, AP, up=True, uptime=1.0, clients=1, cpu_ratio=0.5, memory_ratio=0.5),
            Wan(SITE, "wan1", up=True, latency=0.01, link_speed=1.25e8),
            Port(SITE, AP, "1", up=True, link_speed=1.25e8),
            Ssid(SITE, "Home", clients=1),
        )
        subjects = [piece.subject for piece in gear]
        subjects += [SubjectKey("protocol", "", "ipv4|https"), SubjectKey("client_protocol", SITE, f"{MAC}|https")]
        passed = [Reading(CounterKey(*subject), (subject,), Count(1000, 100)) for subject in subjects]
        shown = poll([reading(MAC, 1000, 100), *passed], clients=[client])
        committer.work({"home": Success(poll([]), time.wall_at, time.steady_at, 0.1)})  # who comes later is new
        time.pass_(30.0)
        bad = replace(shown, gear=gear, bad_records={"mac": 1}, rows=1, rows_limit=9)
        committer.work({"home": Success(bad, time.wall_at, time.steady_at, 0.1)})
        committer.work({"home": Failure("timeout", "no answer", time.wall_at, 20.0)})
    whole = exposition.page()
    assert whole is not None
    text = whole.text().decode()
    return {
        f"{metric.name}_total" if metric.type == "counter" else metric.name: metric
        for metric in text_string_to_metric_families(text)
    }


def test_metrics_page_is_what_the_generator_writes() -> None:
    assert generate.PAGE.read_text(encoding="utf-8") == generate.metrics_page(), "run `make docs`"


def test_every_family_on_a_page_is_declared(page: dict[str, Metric]) -> None:
    assert [name for name in page if name not in DECLARED and not name.startswith("process_")] == []


@pytest.mark.parametrize("family", DECLARED.values(), ids=DECLARED)
def test_every_family_is_on_the_page_as_declared(family: Family, page: dict[str, Metric]) -> None:
    metric = page[family.name]
    assert (metric.type, metric.documentation) == (family.type, family.help)
    assert metric.samples
    for sample in metric.samples:
        assert sample.name == family.name
        assert sorted(sample.labels) == sorted(family.labels)


def test_every_reason_of_the_ledger_is_explained(page: dict[str, Metric]) -> None:
    assert tuple(generate.EVENTS) == ledger.REASONS
    assert {sample.labels["reason"] for sample in page["bandwidth_counter_events_total"].samples} == {*ledger.REASONS}


@pytest.mark.parametrize(
    ("record", "reason"),
    [("5", "shape"), ('{"mac": 5}', "mac"), ('{"tx_bytes": -1}', "bytes"), ('{"tx_packets": -1}', "packets")],
)
def test_every_skipped_record_has_a_reason_that_is_explained(record: str, reason: str) -> None:
    assert stations(f'{{"meta": {{"rc": "ok"}}, "data": [{record}]}}'.encode()).bad == {reason: 1}
    assert reason in generate.SKIPPED


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('{"mac": "x"}', "mac"),
        ('{"mac": "02:00:00:00:00:01", "port_table": [5]}', "shape"),
        ('{"mac": "02:00:00:00:00:01", "port_table": [{}]}', "port"),
        ('{"mac": "02:00:00:00:00:01", "wan1": {"tx_bytes": -1}}', "bytes"),
    ],
)
def test_every_skipped_piece_of_equipment_has_a_reason_that_is_explained(record: str, reason: str) -> None:
    found = devices(f'{{"meta": {{"rc": "ok"}}, "data": [{record}]}}'.encode())
    assert gather([SiteDevices(SITE, found.devices)]).bad == {reason: 1}
    assert reason in generate.SKIPPED


def named_tests() -> Iterator[tuple[str, str, str]]:
    for document in sorted((ROOT / "docs").glob("*.md")):
        for path, name in NAMED_TEST.findall(document.read_text(encoding="utf-8")):
            yield document.name, path, name


@cache
def names_in(path: str) -> frozenset[str]:
    """The tests that pytest finds in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_test_that_a_page_names_exists() -> None:
    named = list(named_tests())
    assert named
    assert [f"{path}::{name}" for _, path, name in named if name not in names_in(path)] == []


@pytest.mark.parametrize("path", ["tests/unit/test_meters_unifi.py", "tests/unit/test_meters_unifi_gear.py"])
def test_every_case_of_the_unifi_meters_is_in_their_table(path: str) -> None:
    told = {name for document, where, name in named_tests() if (document, where) == ("meters.md", path)}
    assert {name for name in names_in(path) if name.startswith("test_")} == told


@pytest.mark.parametrize("path", ["tests/nlbwmon/test_cases.py", "tests/nlbwmon/test_watch.py"])
def test_every_case_of_nlbwmon_is_in_its_table(path: str) -> None:
    told = {name for document, where, name in named_tests() if (document, where) == ("meters.md", path)}
    assert {name for name in names_in(path) if name.startswith("test_case")} <= told


def test_all_nineteen_ways_that_a_value_goes_down_are_told() -> None:
    """The nlbwmon reference, §1.5, numbers them."""
    page = (ROOT / "docs" / "meters.md").read_text(encoding="utf-8")
    table = page.partition("### Every way a value goes down")[2].partition("\n### ")[0]
    numbers = {
        int(number) for row in re.findall(r"^\| ([0-9, ]+) \|", table, re.MULTILINE) for number in row.split(",")
    }
    assert numbers == set(range(1, 20))


def prose(page: Path) -> str:
    """A page without its blocks of code, in which a `#` is a comment."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Its own, and what its headings are called in a link, as Git forges make it of "What `a-b` is?": what-a-b-is."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    slugs = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
    return frozenset((*slugs, *re.findall(r'<a id="([^"]+)">', prose(page))))


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^):\s]+)\)", prose(page))]
    assert len(links) > 100
    for page, link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"
