"""Pseudonyms: what is shown of people under each setting, and what the joins rest on."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from exporter.committer import Committer, Success
from exporter.exposition import Exposition
from exporter.model import Client, Count, CounterKey, Device, Gear, Poll, Port, Reading, SubjectKey, Wan
from exporter.naming import People, Person
from exporter.overview import source_view
from exporter.privacy import OPEN, PREFIX, Privacy, privacy_of, written_as_mac
from exporter.series import Scrapes
from exporter.store import State
from exporter.web.status import Status, status_page
from tests.scripted import ManualClock, facts
from tests.watched import MemoryState

KEY = bytes(range(32))
PHONE, NAMELESS, VPN = "3c:22:fb:02:31:9f", "02:aa:bb:cc:dd:02", "10.8.0.7"
AP = "78:45:58:00:00:01"
PEOPLE: People = {PHONE: Person("", "flat 3", "tenants")}
HASHED = Privacy(hash_mac=True, key=KEY)
NAMELESSLY = Privacy(names=False, key=KEY)
HIDING = pytest.mark.parametrize("privacy", [HASHED, NAMELESSLY], ids=["hash_mac", "names"])


def bytes_of(site: str, client: str, count: int, protocol: str = "https") -> Reading:
    subjects = (SubjectKey("client", site, client), SubjectKey("client_protocol", site, f"{client}|{protocol}"))
    return Reading(
        CounterKey("client", site, f"{client}|wired"), (*subjects, SubjectKey("site", site, "")), Count(count)
    )


def household(site: str = "default", count: int = 100) -> Poll:
    """A source that shows an address in every place where there is one. count: where each client's bytes stand."""
    clients = (
        Client(site, PHONE, PHONE, name="Annas iPhone", vendor="Apple", ap=AP, ip="192.168.1.20", connected=True),
        Client(site, NAMELESS, NAMELESS, name="ESP-CCDD02", ip="192.168.1.21", connected=True),
        Client(site, VPN, name="", ip=VPN, connection="vpn"),
    )
    gear: tuple[Gear, ...] = (
        Device(site, AP, name="Annas room", model="U6", kind="ap", ip="192.168.1.2", up=True),
        Device(site, PHONE[:-1] + "0", model="USW", kind="switch"),
        Wan(site, "wan1", device=AP, interface="eth8", ip="203.0.113.9", up=True),
        Port(site, AP, "1", name="Annas desk", up=True),
    )
    readings = tuple(bytes_of(site, client.client, count) for client in clients)
    passed = tuple(Reading(CounterKey(*piece.subject), (piece.subject,), Count(5)) for piece in gear)
    return Poll(identity="controller", readings=readings + passed, clients=clients, gear=gear)


def committer_of(privacy: Privacy, state: MemoryState | None = None, *names: str) -> Committer:
    return Committer(
        state or MemoryState(),
        [facts(name) for name in names or ("home",)],
        exposition=Exposition(),
        scrapes=Scrapes(0.0),
        client_ttl=600.0,
        people=PEOPLE,
        clock=ManualClock().clock,
        privacy=privacy,
    )


def page_of(privacy: Privacy, poll: Poll | None = None, *names: str) -> str:
    committer = committer_of(privacy, None, *names)
    committer.work({name: Success(poll or household(), 1.7e9, 1030.0, 0.1) for name in names or ("home",)})
    page = committer._exposition.page()
    assert page is not None
    return page.text().decode()


def info(page: str, family: str) -> list[dict[str, str]]:
    return [
        sample.labels
        for metric in text_string_to_metric_families(page)
        for sample in metric.samples
        if sample.name == family
    ]


ADDRESS = re.compile(r"(?i)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|\d+\.\d+\.\d+\.\d+|02319f|ccdd02|02:31:9f")


@HIDING
def test_no_address_is_on_the_page_or_the_status_page(privacy: Privacy) -> None:
    committer = committer_of(privacy)
    committer.work({"home": Success(household(), 1.7e9, 1030.0, 0.1)})
    committer.work({"home": Success(household(count=900), 1.7e9, 1060.0, 0.1)})
    committer.runtimes["home"].health.last_error = f"no answer about {PHONE}"
    today = {SubjectKey("client", "default", PHONE): Count(5, 5)}
    status = status_page(Status((source_view(committer.runtimes["home"], PEOPLE, privacy, today),)), 1.7e9)
    for text in (page_of(privacy), status):
        assert not ADDRESS.findall(text)
        assert PREFIX in text
    assert ADDRESS.findall(page_of(OPEN))


def test_without_names_nothing_is_called_what_it_is() -> None:
    page = page_of(NAMELESSLY, replace(household(), clients=household().clients))
    assert "Anna" not in page
    assert 'owner="flat 3",vendor="Apple",category="tenants"' in page
    assert "Anna" in page_of(HASHED)


@HIDING
def test_the_guarantees_that_joins_rest_on_hold(privacy: Privacy) -> None:
    page = page_of(privacy)
    infos = info(page, "bandwidth_client_info")
    clients = {labels["client"] for labels in infos}
    assert len(infos) == len(clients) == 3
    assert all(labels["name"] for labels in infos)
    assert {labels["client"] for labels in info(page, "bandwidth_client_download_bytes_total")} == clients
    assert {labels["client"] for labels in info(page, "bandwidth_client_protocol_download_bytes_total")} == clients
    assert {labels["client"] for labels in info(page, "bandwidth_client_connection_info")} == clients
    devices = {labels["device"] for labels in info(page, "bandwidth_device_info")}
    assert {labels["device"] for labels in info(page, "bandwidth_device_download_bytes_total")} == devices
    assert {labels["device"] for labels in info(page, "bandwidth_port_info")} < devices
    assert {labels["device"] for labels in info(page, "bandwidth_wan_info")} < devices
    assert {labels["ap"] for labels in info(page, "bandwidth_client_connection_info")} - {""} < devices
    assert all(labels["client"] == labels["mac"] for labels in infos if labels["mac"])


@HIDING
def test_the_maker_stays_and_narrows_nothing(privacy: Privacy) -> None:
    unnamed = privacy.client(Client("", PHONE, PHONE, vendor="Apple"), {})
    assert unnamed.vendor == "Apple"
    assert unnamed.name == f"Apple {unnamed.client[-6:]}"
    assert privacy.client(Client("", NAMELESS, NAMELESS), {}).vendor == "randomised"


def test_hashing_alone_keeps_names_that_hold_no_address() -> None:
    assert HASHED.client(Client("", PHONE, PHONE, name="Annas iPhone"), {}).name == "Annas iPhone"
    other = HASHED.client(Client("", PHONE, PHONE, name=f"next to {NAMELESS}"), {}).name
    assert other == f"next to {HASHED.address(NAMELESS)}"
    assert HASHED.client(Client("", PHONE, PHONE, ip="10.0.0.9"), {}).ip == HASHED.address("10.0.0.9")
    assert NAMELESSLY.client(Client("", PHONE, PHONE, ip="10.0.0.9"), {}).ip == ""


def test_a_pseudonym_is_the_same_in_every_source_and_with_every_setting() -> None:
    page = page_of(HASHED, None, "home", "attic")
    assert len({labels["client"] for labels in info(page, "bandwidth_client_info")}) == 3
    assert HASHED.address(PHONE) == NAMELESSLY.address(PHONE.upper()) == HASHED.text(PHONE.replace(":", "-"))
    assert HASHED.address(PHONE) != Privacy(hash_mac=True, key=KEY[::-1]).address(PHONE)
    assert re.fullmatch(r"anon-[0-9a-f]{16}", HASHED.address(PHONE))
    assert KEY.hex() not in repr(HASHED)


def test_totals_are_the_same_under_every_setting_and_the_state_is_real() -> None:
    state = MemoryState()
    for privacy in (OPEN, HASHED, NAMELESSLY, OPEN):
        committer = committer_of(privacy, state)
        committer.work({"home": Success(household(), 1.7e9, 1030.0, 0.1)})
        grown = replace(household(), readings=tuple(bytes_of("default", PHONE, 100) for _ in range(1)))
        committer.work({"home": Success(grown, 1.7e9, 1060.0, 0.1)})
    kept = state.kept("home")
    assert kept.totals[SubjectKey("client", "default", PHONE)] == Count()
    assert {key.key for key in kept.totals if key.kind == "client"} == {PHONE, NAMELESS, VPN}


def test_the_key_is_made_once_and_only_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    def keys() -> list[tuple[str]]:
        with closing(sqlite3.connect(path)) as connection:
            return list(connection.execute("SELECT value FROM meta WHERE key = 'pseudonym_key'"))

    with closing(State.open(path)) as state:
        assert privacy_of(True, False, state.pseudonym_key) is OPEN
        assert keys() == []
        first = privacy_of(True, True, state.pseudonym_key)
        assert state.pseudonym_key() == state.pseudonym_key()
    with closing(State.open(path)) as state:
        again = privacy_of(False, False, state.pseudonym_key)
        assert len(state.pseudonym_key()) == 32
    assert again.address(PHONE) == first.address(PHONE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(keys()) == 1


def test_pseudonyms_without_a_key_are_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        Privacy(hash_mac=True)


@pytest.mark.parametrize("written", ["3C22FB02319F", "3c-22-fb-02-31-9f", "3c22.fb02.319f", PHONE, PHONE.upper()])
def test_every_notation_is_the_same_address(written: str) -> None:
    assert written_as_mac(written) == PHONE
    assert HASHED.text(f"<{written}>") == f"<{HASHED.address(PHONE)}>"


@pytest.mark.parametrize(
    "text",
    ["sha256:" + "5f1d0c43" * 8, ":".join(["5f"] * 32), "2026-11-21T08:31:58", "e7ad18c2-0000-4000-8000-446655440000"],
)
def test_what_only_looks_like_a_part_of_an_address_stays(text: str) -> None:
    assert HASHED.text(text) == text


@given(
    name=st.text(max_size=40),
    vendor=st.text(max_size=10),
    ip=st.text(max_size=10),
    mac=st.sampled_from([PHONE, NAMELESS, ""]),
    names=st.booleans(),
)
def test_whatever_a_client_is_called_its_address_is_not_shown(
    name: str, vendor: str, ip: str, mac: str, names: bool
) -> None:
    privacy = Privacy(names=names, hash_mac=True, key=KEY)
    client = Client("", mac or VPN, mac, name=f"{name}{mac}", vendor=vendor, ip=ip)
    shown = privacy.client(client, {})
    assert shown.name.strip()
    assert mac == "" or mac not in f"{shown.client}{shown.mac}{shown.name}{shown.ip}{shown.ap}"
