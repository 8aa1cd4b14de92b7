"""`forget`: not a byte of a client stays in the state, its sums stay as they are, and it comes back as a new client."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from exporter import ledger
from exporter.cli import app
from exporter.commands.forget import deletions
from exporter.model import Collection, Count, CounterKey, Life, Moment, Poll, Reading, SubjectKey, Write
from exporter.privacy import Privacy
from exporter.store import State
from exporter.store.forget import _HISTORY

PHONE, LAPTOP, OTHER = "3c:22:fb:02:31:9f", "02:aa:bb:cc:dd:02", "02:aa:bb:cc:dd:03"
VPN = "10.8.0.7"
SITE = SubjectKey("site", "", "")
LIFE = "key|boot|1|2026-11-01"
CONFIG = """
sources:
  - {name: home, kind: unifi, url: https://192.168.1.1, api_key: key}
  - {name: attic, kind: unifi, url: https://192.168.1.2, api_key: key}
clients:
  "02:aa:bb:cc:dd:02": {name: Laptop}
  "02:aa:bb:cc:dd:03": {name: Twin}
  "3c:22:fb:02:31:9f": {name: twin}
state: state.db
"""


def row(client: str, count: int) -> Reading:
    mac, ip = ("00:00:00:00:00:00", client) if client == VPN else (client, "192.168.1.9")
    subjects = (SubjectKey("client", "", client), SubjectKey("client_protocol", "", f"{client}|https"), SITE)
    key = CounterKey("client", "", f"4|https|443|{mac}|{ip}")
    return Reading(key, subjects, Count(count, count), life=Life(LIFE))


def commit(path: Path, name: str, *counts: Iterable[Reading]) -> None:
    """Polls of a router whose rows prove their life."""
    with closing(State.open(path)) as state:
        memory = state.load(name)
        for readings in counts:
            source = memory.source
            at = max(source.at, 1.7e9) + 30
            poll = Poll(identity="router", readings=tuple(readings), complete={Collection("client", ""): LIFE})
            moment = Moment(source.number + 1, source.tick + 30, at)
            changes = ledger.advance(memory, poll, moment, interval=30, max_rate=1e9)
            state.commit([Write(name, changes, {SITE: Count(1)})])
            memory.take(changes, {SITE: Count(1)})


def total(path: Path, subject: SubjectKey, name: str = "home") -> int | None:
    with closing(State.open(path)) as state:
        count = state.load(name).totals.get(subject)
    return None if count is None else count.download


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    for name in ("home", "attic"):
        first = [row(PHONE, 100), row(LAPTOP, 100), row(VPN, 100)]
        commit(tmp_path / "state.db", name, first, [row(PHONE, 150), row(LAPTOP, 101), row(VPN, 103)])
    return tmp_path


def command(folder: Path, *arguments: str, answer: str | None = None) -> Result:
    name, *rest = arguments
    return CliRunner().invoke(app, [name, "--config", str(folder / "config.yaml"), *rest], input=answer)


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.glob("state.db*")))


@pytest.mark.parametrize("written", [PHONE, "3C-22-FB-02-31-9F", "3c22.fb02.319f"])
def test_not_a_byte_stays_and_the_sums_keep_theirs(folder: Path, written: str) -> None:
    assert PHONE.encode() in everything(folder)
    result = command(folder, "forget", written, "--yes")
    assert result.exit_code == 0, result.output
    assert PHONE.encode() not in everything(folder)
    assert LAPTOP.encode() in everything(folder)
    assert total(folder / "state.db", SITE) == 50 + 1 + 3
    assert total(folder / "state.db", SubjectKey("client", "", LAPTOP)) == 1
    assert total(folder / "state.db", SubjectKey("client", "", PHONE)) is None


def test_it_comes_back_as_a_baseline_although_its_row_is_still_there(folder: Path) -> None:
    path = folder / "state.db"
    assert command(folder, "forget", PHONE, "--yes").exit_code == 0
    rows = [row(LAPTOP, 101), row(VPN, 103)]
    commit(path, "home", [row(PHONE, 160), *rows], [row(PHONE, 165), *rows])
    assert total(path, SubjectKey("client", "", PHONE)) == 5
    assert total(path, SITE) == 50 + 1 + 3 + 5


def test_one_source_alone(folder: Path) -> None:
    assert command(folder, "forget", PHONE, "--source", "attic", "--yes").exit_code == 0
    assert total(folder / "state.db", SubjectKey("client", "", PHONE)) == 50
    assert total(folder / "state.db", SubjectKey("client", "", PHONE), "attic") is None
    missing = command(folder, "forget", PHONE, "--source", "cellar", "--yes")
    assert missing.exit_code == 2
    assert "attic, home" in missing.output


def test_a_client_without_a_mac_goes_by_its_ip(folder: Path) -> None:
    assert command(folder, "forget", VPN, "--yes").exit_code == 0
    assert VPN.encode() not in everything(folder)
    assert PHONE.encode() in everything(folder)


def test_by_the_name_that_the_configuration_gives(folder: Path) -> None:
    assert command(folder, "forget", "laptop", "--yes").exit_code == 0
    assert LAPTOP.encode() not in everything(folder)


def test_a_name_of_two_is_listed(folder: Path) -> None:
    result = command(folder, "forget", "twin", "--yes")
    assert result.exit_code == 2
    assert f"{OTHER}, {PHONE}" in result.output
    assert PHONE.encode() in everything(folder)


def test_nobody_of_that_name(folder: Path) -> None:
    result = command(folder, "forget", OTHER, "--yes")
    assert result.exit_code == 2
    assert "knows no client" in result.output


def test_it_asks_first(folder: Path) -> None:
    result = command(folder, "forget", PHONE, answer="n\n")
    assert result.exit_code == 1
    assert result.stderr == "nothing was forgotten\n"
    assert PHONE.encode() in everything(folder)
    assert command(folder, "forget", PHONE, answer="y\n").exit_code == 0
    assert PHONE.encode() not in everything(folder)


def test_not_while_an_exporter_runs(folder: Path) -> None:
    with closing(State.open(folder / "state.db")):
        result = command(folder, "forget", PHONE, "--yes")
        assert result.exit_code == 1
        assert "stop it, forget, and start it" in result.output
        assert PHONE.encode() in everything(folder)


def test_what_remains_is_said(folder: Path) -> None:
    copy = folder / "state.db.bak-0001"
    copy.write_bytes(b"")
    with closing(State.open(folder / "state.db")) as state:
        privacy = Privacy(hash_mac=True, key=state.pseudonym_key())
    output = command(folder, "forget", PHONE, "--yes").output
    assert str(copy) in output.replace("\n", "")
    assert f"take {PHONE} out of `clients`" in output
    assert "/api/v1/admin/tsdb/delete_series" in output
    assert f'match[]={{client="{PHONE}"}}' in output
    assert f'match[]={{client="{privacy.address(PHONE)}"}}' in output
    assert deletions([PHONE], None)[0].count("match[]") == 1


def test_a_state_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    result = command(tmp_path, "forget", PHONE, "--yes")
    assert result.exit_code == 1
    assert "there is none" in result.output
    assert not list(tmp_path.glob("state.db*"))


def test_whose_a_pseudonym_is(folder: Path) -> None:
    nobody = command(folder, "whois", "anon-0123456789abcdef")
    assert nobody.exit_code == 1
    with closing(State.open(folder / "state.db")) as state:
        pseudonym = Privacy(hash_mac=True, key=state.pseudonym_key()).address(PHONE)
        assert command(folder, "whois", pseudonym).output == f"{PHONE}\n"
    assert command(folder, "forget", pseudonym, "--yes").exit_code == 0
    assert PHONE.encode() not in everything(folder)


def test_every_table_that_names_a_subject_is_cleared(folder: Path) -> None:
    query = (
        "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'subject'"
    )
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        tables = {name for (name,) in connection.execute(query)}
    assert {statement.split()[2] for statement in _HISTORY} == tables
