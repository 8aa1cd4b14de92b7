"""`top` and `report` beside a running exporter, from its own state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner, Result

from exporter.accounting.periods import Period
from exporter.cli import app
from exporter.commands.periods import UnclearError, period_named
from exporter.commands.report import make_comparison, make_report, make_top
from exporter.config import Config, load
from exporter.store import Retention
from tests.archive.house import MACS, Archived, House, house

ZONE = "Europe/Berlin"
KEY = ZoneInfo(ZONE)
START = datetime(2026, 5, 28, 3, tzinfo=UTC).timestamp()


@pytest.fixture
def lived(ready: Path, tmp_path: Path) -> Iterator[House]:
    """Six days over the end of a month, still running."""
    with house(tmp_path, ready, START, ZONE, Retention.forever()) as it:
        for step in range(190):
            for source in ("home", "attic"):
                for number, mac in enumerate(MACS):
                    it.move(source, mac, 1_000_003 * (number + 1), 777)
            it.poll("home", "attic", after=30_000.0 if step == 60 else 2700.0)
        yield it


def _config(it: House, tmp_path: Path, more: str = "") -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"""
state: {it.path}
timezone: {ZONE}
sources:
  - {{name: home, kind: unifi, url: "https://127.0.0.1", api_key: secret}}
clients:
  "{MACS[0]}": {{name: "[bold]Kitchen\\e[31m", owner: flat 3}}
{more}
"""
    )
    return path


@pytest.fixture
def config(lived: House, tmp_path: Path) -> Config:
    return load(_config(lived, tmp_path), {})


def _moved(it: House, source: str, kind: str, since: str, until: str) -> dict[str, int]:
    """From five minutes and gaps that lie within."""
    start, end = (datetime.fromisoformat(text).replace(tzinfo=KEY).timestamp() for text in (since, until))
    file, sums = Archived(it.path), dict[str, int]()
    for when, ended, row in [
        *((row.when, row.when, row) for row in file.usage),
        *((row.when, at, row) for at, row in file.gaps),
    ]:
        of, key = file.subjects[row.subject]
        if of == source and key.kind == kind and row.kind == "all" and start <= when and ended < end:
            sums[key.key] = sums.get(key.key, 0) + row.download + row.upload
    return sums


def test_periods() -> None:
    now = datetime(2026, 7, 2, 12, tzinfo=KEY).timestamp()

    def dates(text: str) -> list[str]:
        return [datetime.fromtimestamp(at, KEY).strftime("%m-%d %H:%M") for at in period_named(text, now, KEY)]

    assert dates("today") == ["07-02 00:00", "07-03 00:00"]
    assert dates("week") == ["06-29 00:00", "07-06 00:00"]
    assert dates("month") == dates("2026-07") == ["07-01 00:00", "08-01 00:00"]
    assert dates("2025-12") == ["12-01 00:00", "01-01 00:00"]
    assert dates("yesterday") == dates("2026-07-01") == ["07-01 00:00", "07-02 00:00"]
    assert dates("2026-06-29..2026-07-05") == dates("week")
    assert dates("2026-02-01..2026-02-28") == dates("2026-02")
    assert isinstance(period_named("today", now, KEY), Period)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-13",
        "2026-00",
        "0000-01",
        "9999-12",
        "2026-7",
        "2026-02-29",
        "2026-07-01..",
        "2026-07-02..2026-07-01",
        "2026-07..2026-08",
        "1969-12-31",
        "9998-12-31..9999-01-01",
        "2026-W27-1",
        "\u0662\u0660\u0662\u0666-\u0660\u0667",
    ],
)
def test_periods_that_are_none(text: str) -> None:
    with pytest.raises(UnclearError, match="There is no period"):
        period_named(text, START, KEY)


def test_top_of_a_month(lived: House, config: Config) -> None:
    said = make_top(config, "2026-05", "client", "attic", 2, lived.time.wall_at)
    truth = _moved(lived, "attic", "client", "2026-05-01", "2026-06-01")
    assert (said.rows[0].address, said.rows[1].address) == (MACS[2], MACS[1])
    assert [each.download + each.upload for each in said.rows] == [truth[MACS[2]], truth[MACS[1]]]
    assert said.download + said.upload == sum(truth.values())
    assert said.others == 1
    assert said.rows[0].share == truth[MACS[2]] / sum(truth.values())
    # The archive began in this month.
    assert {row.trend for row in said.rows} == {"nothing to compare with"}


def test_top_by_protocol(lived: House, config: Config) -> None:
    said = make_top(config, "2026-06", "protocol", "attic", 5, lived.time.wall_at)
    truth = _moved(lived, "attic", "site", "2026-06-01", "2026-07-01")
    ((row,),) = (said.rows,)
    assert (row.name, row.download + row.upload) == ("quic", truth[""])


def test_today_is_compared_with_yesterday_until_now(lived: House, config: Config) -> None:
    now = lived.time.wall_at
    said = make_top(config, "today", "client", "attic", 5, now)
    assert {row.trend for row in said.rows} <= {"steady", "up", "down"}
    truth = _moved(lived, "attic", "client", datetime.fromtimestamp(now, KEY).date().isoformat(), "2026-07-01")
    assert {row.address: row.download + row.upload for row in said.rows} == truth


def test_two_days_beside_each_other(lived: House, config: Config) -> None:
    said = make_comparison(config, "2026-05-31", "2026-05-30", "client", "attic", 2, lived.time.wall_at)
    now = _moved(lived, "attic", "client", "2026-05-31", "2026-06-01")
    before = _moved(lived, "attic", "client", "2026-05-30", "2026-05-31")
    assert (said.now, said.before, said.others) == (sum(now.values()), sum(before.values()), 1)
    for row in said.rows:
        assert (row.now, row.before) == (now[row.address], before[row.address])
        assert row.change == row.now - row.before
    assert abs(said.rows[0].change) >= abs(said.rows[1].change)


def test_yesterday_is_compared_with_the_whole_day_before(lived: House, config: Config) -> None:
    said = make_top(config, "2026-05-31", "client", "attic", 5, lived.time.wall_at)
    before = _moved(lived, "attic", "client", "2026-05-30", "2026-05-31")
    for row in said.rows:
        assert row.change == (row.download + row.upload - before[row.address]) / before[row.address]


def test_report(lived: House, config: Config) -> None:
    said = make_report(config, "2026-05", "attic", 5, lived.time.wall_at)
    days = {day.date: day.clients for day in said.days}
    assert len(days) == 31
    assert days["2026-05-01"].both == 0
    for date, after in (("2026-05-29", "2026-05-30"), ("2026-05-31", "2026-06-01")):
        assert days[date].both == sum(_moved(lived, "attic", "site", date, after).values()) > 0
    # Each of its three clients, once.
    assert any(why.startswith("3 counters were taken as they stood") for why in said.reconciliation.why)
    clients = said.reconciliation.clients
    assert sum(day.both for day in days.values()) == clients.both
    # At the bound of the period each client's bytes are rounded down, and so is their sum.
    assert 0 <= clients.download - said.top.download < len(MACS)
    assert 0 <= clients.upload - said.top.upload < len(MACS)
    assert "No line of this source is metered" in said.reconciliation.why[0]
    assert any("began before there was an archive" in why for why in said.reconciliation.why)
    ((billed,),) = (said.billed,)
    assert (billed.line, billed.whole) == ("all clients", False)
    assert billed.until == said.end
    # 6 million bytes in a poll every 45 minutes, over nine bins.
    assert 666_000 < billed.percentile.download.value < 670_000


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments], env={"COLUMNS": "160"})


def test_as_json_and_as_tables(lived: House, tmp_path: Path) -> None:
    path = str(_config(lived, tmp_path))
    top: dict[str, Any] = json.loads(_run("top", "--config", path, "--period", "2026-05", "--json").stdout)
    assert {"rows", "download", "timezone"} < set(top)
    assert {row["name"] for row in top["rows"]} == {"[bold]Kitchen\x1b[31m", *MACS[1:]}
    report = json.loads(_run("report", "--config", path, "--period", "2026-05", "--source", "home", "--json").stdout)
    assert report["days"][28]["date"] == "2026-05-29"
    tables = [_run(*of, "--config", path, "--period", "2026-05") for of in (["top"], ["report", "--source", "home"])]
    for said in tables:
        assert said.exit_code == 0
        assert "\x1b" not in said.stdout
        assert r"[bold]Kitchen\x1b[31m" in said.stdout
    assert "Why does it not match my provider?" in tables[1].stdout


def test_pseudonyms(lived: House, tmp_path: Path) -> None:
    path = str(_config(lived, tmp_path, "privacy: {names: false}"))
    refused = _run("top", "--config", path, "--period", "2026-05")
    assert refused.exit_code == 1
    assert "no key for pseudonyms yet" in refused.stderr
    lived.state.pseudonym_key()
    for command in ("top", "report"):
        for form in ([], ["--json"]):
            said = _run(command, "--config", path, "--period", "2026-05", "--source", "home", *form)
            assert said.exit_code == 0
            assert not re.search("02:00:00|Kitchen", said.stdout)
            assert "anon-" in said.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["top", "--period", "fortnight"], 2, "There is no period 'fortnight'"),
        (["top", "--source", "shed"], 2, "It knows: attic, home"),
        (["top", "--against", "2026-04"], 2, "in 2026-04: the archive begins on 2026-05-2"),
        (["top", "--against", "lent"], 2, "There is no period 'lent'"),
        (["top", "--against", "week", "--by", "vendor"], 2, "Write client, owner, category, protocol"),
        (["top", "--by", "vendor"], 2, "Write client, owner, category, protocol"),
        (["report"], 2, "Say --source: the state knows attic, home"),
    ],
)
def test_what_there_is_not(lived: House, tmp_path: Path, arguments: list[str], status: int, words: str) -> None:
    said = _run(*arguments, "--config", str(_config(lived, tmp_path)))
    assert (said.exit_code, words in said.stderr) == (status, True)


def test_an_archive_of_some_minutes_begins_today(ready: Path, tmp_path: Path) -> None:
    with house(tmp_path, ready, START, ZONE, Retention.forever()) as it:
        for _ in range(4):
            it.move("home", MACS[0], 1_000_003, 777)
            it.poll("home", after=60.0)
        config, now = load(_config(it, tmp_path), {}), it.time.wall_at
        with pytest.raises(UnclearError, match="in yesterday: the archive begins on 2026-05-28"):
            make_comparison(config, "today", "yesterday", "client", None, 9, now)
        assert make_comparison(config, "today", "today", "client", None, 9, now).before == 3 * 1_000_780


def test_no_state_yet(lived: House, tmp_path: Path) -> None:
    path = _config(lived, tmp_path)
    path.write_text(path.read_text().replace(str(lived.path), str(tmp_path / "none.db")))
    said = _run("top", "--config", str(path))
    assert (said.exit_code, "there is none" in said.stderr) == (1, True)
