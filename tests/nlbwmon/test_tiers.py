"""Keys that allow less than everything: what still counts, over real SSH and through the ledger."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.model import Collection, Poll
from exporter.sources.base import SourceError
from exporter.sources.nlbwmon import NlbwmonSource, forced_command
from exporter.sources.nlbwmon.commands import script
from exporter.sources.nlbwmon.exchange import Exchange, read
from exporter.sources.nlbwmon.payload import json_rows
from tests.nlbwmon.fakes import program, programs
from tests.nlbwmon.recorded import AFTER, CLOSED, CSV, JSON
from tests.nlbwmon.router import ONE, TWO, Exporter, Router, Tier, row
from tests.nlbwmon.servers import Kind, Server

KINDS: tuple[Kind, ...] = ("openssh", "dropbear")
TOKEN = "0123456789abcdef" * 2
CLIENTS = Collection("client", "")
NLBW_ALONE = (
    'case "$SSH_ORIGINAL_COMMAND" in "/usr/sbin/nlbw "*) exec {nlbw} ${{SSH_ORIGINAL_COMMAND#* }};; esac; exit 126'
)
NOV = "20261101"


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server(request.param)
    yield running
    running.close()


def bind(server: Server, command: str) -> None:
    """What the key runs from now on."""
    program(server.folder / "force", f"PATH={server.folder}/bin:$PATH; export PATH\n{command}")


def install(server: Server) -> None:
    """The command for the router, as the key's."""
    (server.folder / "bandwidth-exporter").write_text(forced_command())
    (server.folder / "bandwidth-exporter").chmod(0o755)
    bind(server, f"exec {server.folder}/bandwidth-exporter")


def polls(server: Server, number: int = 1) -> list[Poll]:
    source = NlbwmonSource(server.settings())
    found = [source.poll() for _ in range(number)]
    source.close()
    return found


def test_the_command_for_the_router_keeps_the_whole_promise(server: Server) -> None:
    install(server)
    first, second = polls(server, 2)
    assert len(first.clients) == 4
    assert first.complete[CLIENTS].startswith("SHA256:")
    assert first.complete == second.complete
    assert not first.notices


def test_the_command_for_the_router_serves_csv(server: Server) -> None:
    install(server)
    programs(server.folder / "bin", CSV)
    assert len(polls(server)[0].clients) == 4


def test_a_key_for_nlbw_alone(server: Server) -> None:
    bind(server, NLBW_ALONE.format(nlbw=server.folder / "bin/nlbw"))
    first, second = polls(server, 2)
    for poll in (first, second):
        assert len(poll.clients) == 4
        assert all(reading.life is None for reading in poll.readings)
        assert poll.complete == {CLIENTS: ""}
        assert poll.meter_at is None
        assert "nlbw alone" in poll.notices[0]


def test_one_fixed_command_is_told_apart(server: Server) -> None:
    bind(server, f"exec {server.folder}/bin/nlbw -c json")
    (poll,) = polls(server)
    assert len(poll.clients) == 4
    assert all(reading.base is None for reading in poll.readings)
    assert "one fixed command" in poll.notices[0]


def test_a_better_key_is_noticed_on_a_new_connection(server: Server) -> None:
    bind(server, NLBW_ALONE.format(nlbw=server.folder / "bin/nlbw"))
    source = NlbwmonSource(server.settings())
    assert source.poll().notices
    install(server)
    source.close()
    assert not source.poll().notices
    source.close()


def test_a_steady_poll_of_nlbw_alone_is_one_command(server: Server) -> None:
    log = server.folder / "asked"
    log.touch()
    log.chmod(0o666)
    bind(
        server,
        f'echo "$SSH_ORIGINAL_COMMAND" | head -n 1 >>{log}\n' + NLBW_ALONE.format(nlbw=server.folder / "bin/nlbw"),
    )
    source = NlbwmonSource(server.settings())
    source.poll()
    before = log.read_text().count("\n")
    source.poll()
    assert log.read_text().splitlines()[before:] == ["/usr/sbin/nlbw -c json"]
    source.close()


@pytest.mark.parametrize(
    ("command", "reason", "words"),
    [
        ("echo no; exit 1", "forbidden", "neither"),
        ("exit 0", "forbidden", "neither"),
        ("echo Error >&2; exit 247", "unreachable", "this user may not read its socket"),
    ],
)
def test_a_key_that_runs_nothing_of_use(server: Server, command: str, reason: str, words: str) -> None:
    bind(server, command)
    source = NlbwmonSource(server.settings())
    with pytest.raises(SourceError, match=words) as caught:
        source.poll()
    assert caught.value.reason == reason
    source.close()


def test_no_data_is_asked_once_more(server: Server) -> None:
    marker, rows = server.folder / "bin/once", server.folder / "bin/rows"
    (server.folder / "bin").chmod(0o777)
    server.nlbw(f"[ -e {marker} ] || {{ touch {marker}; exit 195; }}\ncat {rows}")
    assert len(polls(server)[0].clients) == 4


def test_noise_before_the_rows_of_a_fixed_command(server: Server) -> None:
    bind(server, f"echo 'Welcome {{\"to\"}}'; exec {server.folder}/bin/nlbw -c json")
    assert len(polls(server)[0].clients) == 4


def test_facts_that_are_missing_are_named(server: Server) -> None:
    program(server.folder / "bin/pidof", "exit 1")
    (poll,) = polls(server)
    assert "pidof" in poll.notices[0]
    assert poll.complete == {CLIENTS: ""}
    assert poll.meter_at is not None


def forced(folder: Path, request: str | None) -> subprocess.CompletedProcess[bytes]:
    programs(folder, JSON)
    command = folder / "forced"
    command.write_text(forced_command())
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    if request is not None:
        environment["SSH_ORIGINAL_COMMAND"] = request
    return subprocess.run(["sh", str(command)], env=environment, capture_output=True, check=False, cwd=folder)


def test_the_command_answers_as_a_shell_does(tmp_path: Path) -> None:
    asked = script(TOKEN, ("20261101", "20261001"))
    answer = read(forced(tmp_path, asked).stdout, TOKEN)
    assert isinstance(answer, Exchange)
    assert len(answer.closed["20261101"] or ()) == 15
    assert answer.closed["20261001"] is None


@pytest.mark.parametrize(
    "request_",
    [
        None,
        "",
        "sh",
        "nlbw -c json",
        f": bandwidth-exporter 2 {TOKEN} json",
        f": bandwidth-exporter 1 {TOKEN}",
        f": bandwidth-exporter 1 {TOKEN[1:]} json",
        f": bandwidth-exporter 1 {TOKEN[1:]}G json",
        f": bandwidth-exporter 1 {TOKEN} list",
        f": bandwidth-exporter 1 {TOKEN} json 2026110",
        f": bandwidth-exporter 1 {TOKEN} json 2026110x",
        f": bandwidth-exporter 1 {TOKEN} json $(touch${{IFS}}owned)",
        f": bandwidth-exporter 1 {TOKEN} json;touch owned",
        ": bandwidth-exporter 1 `touch\towned` json",
        f": bandwidth-exporter 1 {TOKEN} json *",
        f": bandwidth-exporter 1 {TOKEN} json" + " 20261101" * 41,
        "-n owned",
    ],
)
def test_the_command_runs_nothing_else(tmp_path: Path, request_: str | None) -> None:
    done = forced(tmp_path, request_)
    assert done.returncode == 126
    assert done.stderr.startswith(b"bandwidth-exporter: ")
    assert not done.stdout
    assert not (tmp_path / "owned").exists()


def test_what_follows_the_first_line_is_not_run(tmp_path: Path) -> None:
    done = forced(tmp_path, f": bandwidth-exporter 1 {TOKEN} json\ntouch owned\nlabels='$(touch owned)'")
    assert done.returncode == 0
    assert not (tmp_path / "owned").exists()


# Through the ledger.


def november(tier: Tier) -> Exporter:
    """A client that showed 5000 bytes at first and 6000 since, to a key of this tier; 4000 of them are in the file."""
    router = Router("2026-11-20T12:00").writes(NOV, row(ONE, 4_000, 0)).shows(row(ONE, 5_000, 0))
    exporter = Exporter(router)
    exporter.tier = tier
    exporter.poll()
    router.shows(row(ONE, 6_000, 0))
    exporter.poll()
    assert exporter.total() == (1_000, 0)
    return exporter


def shows(exporter: Exporter, *values: int) -> None:
    for value in values:
        exporter.router.at += 30
        exporter.router.shows(row(ONE, value, 0))
        exporter.poll()


@pytest.mark.parametrize(("tier", "expected"), [("hidden", 1_100), ("nlbw", 1_100), ("fixed", 1_000)])
def test_a_power_cut_counts_from_the_file(tier: Tier, expected: int) -> None:
    exporter = november(tier)
    shows(exporter, 4_050, 4_100)
    assert exporter.total() == (expected, 0)
    assert exporter.event() == {"reset"}
    shows(exporter, 4_130)
    assert exporter.total() == (expected + 30, 0)


@pytest.mark.parametrize(("tier", "expected"), [("hidden", 1_090), ("nlbw", 1_090), ("fixed", 1_000)])
def test_a_rollover_loses_its_tail_only(tier: Tier, expected: int) -> None:
    exporter = november(tier)
    exporter.router.at_time("2026-11-30T23:59:40")
    shows(exporter, 6_000)
    exporter.router.writes(NOV, row(ONE, 6_300, 0))
    shows(exporter, 70, 90)
    assert exporter.total() == (expected, 0)


@pytest.mark.parametrize("tier", ["hidden", "nlbw", "fixed"])
def test_a_reboot_without_files_counts_from_the_second_reading(tier: Tier) -> None:
    exporter = november(tier)
    exporter.router.files.clear()
    exporter.router.restarts(reboot=True)
    shows(exporter, 100, 150, 175)
    assert exporter.total() == (1_025, 0)


@pytest.mark.parametrize("tier", ["hidden", "nlbw", "fixed"])
def test_a_new_row_is_a_baseline(tier: Tier) -> None:
    exporter = november(tier)
    exporter.router.shows(row(ONE, 6_000, 0), row(ONE, 900, 0, port=80))
    exporter.poll()
    assert exporter.total() == (1_000, 0)


@pytest.mark.parametrize("restart", [False, True])
def test_a_life_proved_before_proves_nothing_of_what_was_read_since(*, restart: bool) -> None:
    """November is proved, its end is not, and the key allows everything again in December."""
    exporter = november("facts")
    exporter.tier = "nlbw"
    exporter.router.at_time("2026-12-01T00:00:10").writes(NOV, row(ONE, 6_300, 0))
    shows(exporter, 70, 90)
    before = exporter.total()[0]
    exporter.tier = "facts"
    if restart:
        exporter.restart()
    shows(exporter, 100, 120)
    assert exporter.total() == (before + 30, 0)


def test_the_recorded_rollover_with_nlbw_alone() -> None:
    router = Router("2026-11-30T23:50")
    exporter = Exporter(router)
    exporter.tier = "nlbw"
    router.shows(*json_rows(JSON).rows)
    exporter.poll()
    closed = json_rows(CLOSED).rows
    router.at_time("2026-12-01T00:00:10").writes(NOV, *closed).shows(*json_rows(AFTER).rows)
    exporter.poll()
    exporter.poll()
    assert exporter.total(TWO) == (1_872, 176_872)
    assert exporter.total(ONE) == (0, 0)
