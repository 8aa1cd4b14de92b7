"""One exchange's text to facts and rows, and the script that a real shell runs."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.model import Collection
from exporter.sources.nlbwmon.commands import script
from exporter.sources.nlbwmon.exchange import Exchange, ExitError, read
from exporter.sources.nlbwmon.lives import VoidError
from exporter.sources.nlbwmon.payload import PayloadError
from exporter.sources.nlbwmon.readings import Readings
from tests.nlbwmon.fakes import programs
from tests.nlbwmon.recorded import COLUMNS, CSV, JSON
from tests.nlbwmon.router import ONE, Router, clock, row

TOKEN = "0123456789abcdef" * 2
VPN = "10.8.0.3"


def run(folder: Path, labels: tuple[str, ...] = (), form: str = "json") -> bytes:
    """The script's output, by the shell of this machine with the router's programs in `folder`."""
    text = script(TOKEN, labels, "csv" if form == "csv" else "json")
    path = f"{folder}:/usr/bin:/bin"
    return subprocess.run(["sh", "-c", text], env={"PATH": path}, capture_output=True, check=True).stdout


def test_the_script_in_a_real_shell(tmp_path: Path) -> None:
    programs(tmp_path, JSON)
    exchange = read(b"Welcome!\n" + run(tmp_path, ("20261101", "20261001")) + b"bye", TOKEN)
    assert isinstance(exchange, Exchange)
    assert len(exchange.rows) == 15
    assert exchange.before.pids == "1"
    assert exchange.before.started is not None
    assert exchange.before.started < exchange.before.at <= exchange.after.at
    assert set(exchange.before.files) == {"20261101"}
    assert exchange.closed["20261001"] is None
    assert len(exchange.closed["20261101"] or ()) == 15
    assert exchange.refresh == 8.0
    assert exchange.limit == 10_000


def test_csv_in_its_place(tmp_path: Path) -> None:
    programs(tmp_path, CSV)
    assert len(read(run(tmp_path, form="csv"), TOKEN, "csv").rows) == 15
    with pytest.raises(PayloadError, match="JSON"):
        read(run(tmp_path), TOKEN)


@pytest.mark.parametrize("status", [1, 126, 127, 195, 247])
def test_what_nlbw_ends_with(tmp_path: Path, status: int) -> None:
    programs(tmp_path, b"", status=status)
    with pytest.raises(ExitError) as caught:
        read(run(tmp_path), TOKEN)
    assert caught.value.status == status


def test_what_is_cut_off_or_of_no_shell_is_refused(tmp_path: Path) -> None:
    programs(tmp_path, JSON)
    output = run(tmp_path)
    with pytest.raises(PayloadError, match="ends before"):
        read(output[: output.index(b"columns")], TOKEN)
    with pytest.raises(PayloadError, match="shell"):
        read(b"Unknown command\n", TOKEN)


@pytest.mark.parametrize(
    ("what", "was", "becomes"),
    [
        ("clock", "date-after\n", "date-after\nx"),
        ("boot id", "boot-before\n", "boot-before\nx"),
        ("pidof", "pid-after\n1", "pid-after\n"),
        ("started", "stat-before\n", "stat-before\nx"),
        ("date -r", "files-before\n", "files-before\n /var/lib/nlbwmon/20261101.db.gz\n"),
        ("uci", "settings\n", "none\n"),
    ],
)
def test_a_fact_that_is_missing_proves_nothing(tmp_path: Path, what: str, was: str, becomes: str) -> None:
    programs(tmp_path, JSON)
    output = run(tmp_path).replace(f"{TOKEN}< {was}".encode(), f"{TOKEN}< {becomes}".encode())
    answer = read(output, TOKEN)
    assert not isinstance(answer, Exchange)
    assert [what in missing for missing in answer.missing] == [True]
    assert len(answer.rows) == 15


@pytest.mark.parametrize(
    ("section", "scratch"),
    [("    417 /tmp/0.db\n\n{}> 0", "417"), ("\n{}> 1", ""), ("\n{}> 2", ""), ("\n{}> 127", None), ("x\n{}> 0", "")],
)
def test_the_daemons_own_copy_is_known_by_its_inode(tmp_path: Path, section: str, scratch: str | None) -> None:
    programs(tmp_path, JSON)
    begin, end = f"{TOKEN}< scratch-after\n".encode(), f"\n{TOKEN}< files-after".encode()
    before, _, rest = run(tmp_path).partition(begin)
    output = before + begin + section.format(TOKEN).encode() + b"\n" + end + rest.partition(end)[2]
    exchange = read(output, TOKEN)
    assert isinstance(exchange, Exchange)
    assert exchange.after.scratch == scratch
    assert exchange.before.scratch == ""


def test_an_interval_that_is_not_known_is_refused(tmp_path: Path) -> None:
    programs(tmp_path, JSON, interval="fortnight")
    with pytest.raises(PayloadError, match="database_interval"):
        read(run(tmp_path), TOKEN)


def test_a_restart_while_it_is_read_voids_it() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1, 1))
    first, second = router.answer(), router.restarts().answer()
    torn = replace(first, after=second.after)
    with pytest.raises(VoidError):
        Readings("key").ask(torn, router.at)


def test_a_rollover_while_it_is_read_voids_it(tmp_path: Path) -> None:
    """The month ends between the facts before and after the rows, and the daemon writes its file then."""
    programs(tmp_path, JSON)
    output = run(tmp_path)
    november, december = clock("2026-11-30T23:59:59"), clock("2026-12-01T00:00:01")
    for attempt, at, written in ("before", november, november - 86_400), ("after", december, december):
        facts = {
            "date": f"{at:.0f} +0000",
            "stat": f"1 (nlbwmon) S {'1 ' * 18}100 1 1\n900000.00 1.00",
            "files": f"{written:.0f} /db/20261101.db.gz",
        }
        for name, text in facts.items():
            section = rf"(?s)({TOKEN}< {name}-{attempt}\n).*?(\n{TOKEN}> )".encode()
            output = re.sub(section, rb"\g<1>" + text.encode() + rb"\2", output)
    exchange = read(output, TOKEN)
    assert isinstance(exchange, Exchange)
    with pytest.raises(VoidError):
        Readings("key").ask(exchange, december)


def test_facts_of_clients() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 1, 1), row("00:00:00:00:00:00", 5, 6, ip=VPN))
    poll = Readings("key").poll(named(router.answer(), {ONE: "laptop"}), router.at)
    clients = {client.client: client for client in poll.clients}
    assert set(clients) == {ONE, VPN}
    assert (clients[ONE].name, clients[ONE].mac, clients[ONE].connection) == ("laptop", ONE, "unknown")
    assert (clients[VPN].mac, clients[VPN].ip, clients[VPN].last_seen) == ("", VPN, None)
    assert {subject for reading in poll.readings for subject in reading.subjects if subject.kind == "site"}
    assert poll.complete == {Collection("client", ""): "key|boot-1|100|20261101"}
    assert poll.clock_bound
    assert poll.identity == "key"


def named(exchange: Exchange, names: dict[str, str]) -> Exchange:
    return replace(exchange, names=names)


def test_the_recorded_document_is_what_the_fakes_replay() -> None:
    assert json.loads(JSON)["columns"] == COLUMNS
