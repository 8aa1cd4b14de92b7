"""More than a month of a simulated controller and router over changes of the clocks, in three time zones: gauges,
views, questions and reports state what moved, to the byte, on SQLite and on PostgreSQL.

The truth is the simulation's own log, summed by `sum_month.py`. SOAK=1 polls every five minutes all the time.
"""

from __future__ import annotations

import math
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from exporter.accounting.analytics import Moved, compare, top
from exporter.accounting.percentile import percentile
from exporter.accounting.periods import Cycle
from exporter.accounting.quotas import Quota
from exporter.accounts import Accounts, Terms
from exporter.commands.report import make_report, make_top
from exporter.config import Config, load
from exporter.privacy import OPEN
from exporter.store import Retention, queries
from tests.archive.month import ATTIC, HOME, HOUR, PHONE, Happening, Month, month
from tests.archive.server import FEEDER, PASSWORDS, Database
from tests.archive.sum_month import (
    BIN,
    Pair,
    Subject,
    Sums,
    date_at,
    days,
    midnight,
    percentile_95,
    period,
)

BERLIN, KOLKATA, LORD_HOWE = "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"
RETENTIONS = {
    BERLIN: Retention.forever(),
    KOLKATA: Retention(five_minutes=3 * 86_400.0, hourly=10 * 86_400.0),
    LORD_HOWE: Retention.forever(),
}
STEP = BIN if os.environ.get("SOAK") else 6 * HOUR
CLOSE = 1800
RESETS = {"today": "daily", "week": "monday", "month": "1"}
LINES = [Subject(HOME, "default", "wan", "wan1"), Subject(ATTIC, "", "wan", "wan")]
SITES = [Subject(HOME, "default", "site", ""), Subject(ATTIC, "", "site", "")]


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class Plan(NamedTuple):
    """Times are UTC. changes: of the clocks, in a zone. closely: moments around which polls come every five minutes;
    loosely: between these every 40 minutes, so that bytes are spread over midnights.

    silence: nobody polls; attic_fails: the router does not answer; outage: PostgreSQL takes nothing; looked_at: views
    are compared in the middle.
    """

    begin: str
    end: str
    changes: Mapping[str, date]
    closely: tuple[str, ...]
    loosely: tuple[str, str]
    silence: tuple[str, str]
    attic_fails: tuple[str, str]
    outage: tuple[str, str]
    looked_at: tuple[str, ...]
    happens: Mapping[str, Happening]

    def polls(self) -> list[int]:
        """When. Six hours are a silence to the exporter; Berlin's hour from 19:00 is none."""
        begin, end = _at(self.begin), _at(self.end)
        found = {at for text in self.closely for at in range(_at(text) - CLOSE, _at(text) + CLOSE + 1, BIN)}
        found |= {
            *range(begin, end + 1, STEP),
            *range(_at(self.loosely[0]), _at(self.loosely[1]), 2400),
            *map(_at, self.happens),
            end,
        }
        for day in days(begin, end - HOUR, ZoneInfo(BERLIN)):
            evening = int(datetime.combine(day, time(19), ZoneInfo(BERLIN)).timestamp())
            found |= {evening, evening + BIN, evening + HOUR}
        found |= {_at(text) + after for text, what in self.happens.items() for after in (200, BIN)[what not in HELD :]}
        found |= {_at(text) for text in (*self.looked_at, *self.outage)}
        silence = range(_at(self.silence[0]) + 1, _at(self.silence[1]))
        return sorted(at for at in found if begin <= at <= end and at not in silence)


HELD = (Month.the_controller_restarts, Month.the_gateway_restarts)
"""Values that fall without a proof are held for one poll: there is one more within the five minutes."""

AUTUMN = Plan(
    begin="2026-09-30T10:00",
    end="2026-11-02T12:00",
    changes={LORD_HOWE: date(2026, 10, 4), BERLIN: date(2026, 10, 25), KOLKATA: date(2026, 10, 25)},
    closely=("2026-10-01T00:00", "2026-10-03T15:30", "2026-10-25T01:00", "2026-11-01T00:00"),
    loosely=("2026-10-07T12:07:13", "2026-10-07T23:00"),
    silence=("2026-10-12T15:00", "2026-10-13T09:00"),
    attic_fails=("2026-10-03T12:00", "2026-10-03T18:00"),
    outage=("2026-10-20T05:00", "2026-10-20T15:00"),
    looked_at=("2026-10-25T01:10",),
    happens={
        "2026-10-05T09:00": Month.a_client_connects_anew,
        "2026-10-06T13:00": Month.the_router_reboots,
        "2026-10-08T20:00": Month.the_gateway_restarts,
        "2026-10-10T10:00": Month.a_guest_comes,
        "2026-10-13T09:00": Month.the_exporter_restarts,
        "2026-10-15T12:00": Month.the_laptop_moves_out,
        "2026-10-16T17:00": Month.the_access_point_restarts,
        "2026-10-18T11:00": Month.the_controller_restarts,
        "2026-10-21T03:00": Month.the_power_goes,
        "2026-10-27T21:00": Month.the_line_dials_anew,
        "2026-10-29T08:00": Month.the_daemon_is_killed,
    },
)
SPRING = Plan(
    begin="2026-03-27T10:00",
    end="2026-04-06T12:00",
    changes={BERLIN: date(2026, 3, 29), LORD_HOWE: date(2026, 4, 5), KOLKATA: date(2026, 3, 29)},
    closely=("2026-04-01T00:00", "2026-04-04T15:00"),
    loosely=("2026-03-31T12:07:13", "2026-03-31T22:30"),
    silence=("2026-03-28T20:00", "2026-03-29T06:00"),
    attic_fails=("2026-04-02T16:00", "2026-04-03T03:00"),
    outage=("2026-03-31T20:00", "2026-04-01T04:00"),
    looked_at=("2026-04-04T15:10",),
    happens={
        "2026-03-29T06:00": Month.the_exporter_restarts,
        "2026-04-03T10:00": Month.the_router_reboots,
        "2026-04-04T13:00": Month.the_gateway_restarts,
    },
)


def _terms() -> Terms:
    """The exporter's own days are Berlin's; quotas have those of the other zones, and other days to begin on."""
    zones = {name: ZoneInfo(name) for name in RETENTIONS}
    quotas = [
        Quota("line", "wan", Cycle("17", zones[BERLIN]), 10**10, HOME, "default", "wan1"),
        Quota("flat", "owner", Cycle("monday", zones[KOLKATA]), 10**9, subject="flat 3", count="download"),
        Quota("phones", "category", Cycle("31", zones[LORD_HOWE]), 10**9, subject="phones", count="upload"),
        Quota("phone", "client", Cycle("daily", zones[LORD_HOWE]), 10**8, subject=PHONE),
        Quota("all", "all", Cycle("sunday", zones[LORD_HOWE]), 10**10),
    ]
    for zone in (KOLKATA, LORD_HOWE):
        for name, reset in RESETS.items():
            cycle = Cycle(reset, zones[zone])
            quotas.append(Quota(f"{name} {zone} site", "source", cycle, 10**12, HOME))
            quotas.append(Quota(f"{name} {zone} wan", "wan", cycle, 10**12, ATTIC, "", "wan"))
    return Terms(zones[BERLIN], tuple(quotas))


# Gauges.

GAUGE = re.compile(
    r'^bandwidth_period_(down|up)load_bytes\{scope="(.*)",source="(.*)",site="(.*)",subject="(.*)",period="(.*)"\}'
    r" (\d+)$",
    re.MULTILINE,
)
OF_QUOTA = re.compile(r'^bandwidth_quota_([a-z_]+)\{quota="([^"]*)"\} (\S+)$', re.MULTILINE)


def _concerned(sums: Sums, quota: Quota) -> list[Subject]:
    """Whose bytes a quota counts: without a source, those of the router alone."""
    kind = {"source": "site", "all": "site"}.get(quota.scope, quota.scope)
    return [
        each
        for each in sums.subjects(kind)
        if each.source == (quota.source or ATTIC) and (kind == "site" or each.key == quota.subject)
    ]


def _gauges(sums: Sums, terms: Terms, now: int) -> dict[tuple[str, ...], Pair]:
    """By scope, source, site, subject and period."""
    found: dict[tuple[str, ...], Pair] = {}
    zone = terms.zone
    clients = {quota.subject for quota in terms.quotas if quota.scope == "client"}
    for each in sums.subjects("site", "wan", "owner", "category", "client"):
        if each.kind == "client" and each.key not in clients:
            continue
        scope = "source" if each.kind == "site" else each.kind
        cycles = {name: (reset, zone) for name, reset in RESETS.items()}
        cycles |= {
            quota.name: (quota.cycle.reset, quota.cycle.zone)
            for quota in terms.quotas
            if quota.scope != "all" and each in _concerned(sums, quota)
        }
        for name, cycle in cycles.items():
            start, _ = period(*cycle, now)
            found[scope, each.source, each.site, each.key, name] = sums.moved(each, start, now)
    everything = {name: (reset, zone) for name, reset in RESETS.items()}
    everything |= {quota.name: (quota.cycle.reset, quota.cycle.zone) for quota in terms.quotas if quota.scope == "all"}
    for name, cycle in everything.items():
        found["all", "", "", "", name] = sums.moved(SITES[1], period(*cycle, now)[0], now)
    return found


def _standings(sums: Sums, terms: Terms, now: int) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for quota in terms.quotas:
        start, end = period(*quota.cycle, now)
        pairs = [sums.moved(each, start, now) for each in _concerned(sums, quota)]
        down, up = (sum(pair[side] for pair in pairs) for side in (0, 1))
        used = {"download": down, "upload": up, "both": down + up}[quota.count]
        found["limit_bytes", quota.name] = quota.limit
        found["used_ratio", quota.name] = used / quota.limit
        found["period_start_timestamp_seconds", quota.name] = start
        found["period_end_timestamp_seconds", quota.name] = end
        if (now - start) * 20 >= end - start:
            found["projected_ratio", quota.name] = used * (end - start) / (now - start) / quota.limit
    return found


def _read_gauges(text: str) -> dict[tuple[str, ...], Pair]:
    found: dict[tuple[str, ...], list[int]] = {}
    for way, *who, value in GAUGE.findall(text):
        found.setdefault(tuple(who), [0, 0])[way == "up"] = int(value)
    return {who: (down, up) for who, (down, up) in found.items()}


def _gauges_are_true(it: Month, sums: Sums, terms: Terms) -> int:
    page = it.exposition.page()
    assert page is not None
    text = page.text().decode()
    truth = _gauges(sums, terms, it.now)
    assert _read_gauges(text) == truth, datetime.fromtimestamp(it.now, UTC)
    said = {(family, quota): float(value) for family, quota, value in OF_QUOTA.findall(text)}
    standings = _standings(sums, terms, it.now)
    assert said.keys() == standings.keys()
    assert [name for name, value in standings.items() if not math.isclose(said[name], value, rel_tol=1e-12)] == []
    return len(truth) + len(standings)


def _openings_are_true(it: Month, sums: Sums, terms: Terms) -> None:
    """What a start would show, out of each state's archive, by its own zone."""
    for zone, state in it.states.items():
        of = terms if zone == BERLIN else Terms(ZoneInfo(zone))
        accounts = Accounts(state, of)
        accounts.open(it.committer.runtimes)
        text = b"".join(accounts.blocks(it.now, OPEN).values()).decode()
        assert _read_gauges(text) == _gauges(sums, of, it.now), zone


# Views.

Said = dict[tuple[Any, ...], tuple[Any, ...]]

VIEWS = {
    "v_usage_daily": 6,
    "v_usage_month": 6,
    "v_top_clients": 4,
    "v_bandwidth_summary": 4,
}
"""And how many columns of a row say whose it is."""

COLUMNS = {
    "v_usage_daily": "date, source, site, kind, subject, class, download, upload",
    "v_usage_month": "month, source, site, kind, subject, class, download, upload",
    "v_top_clients": "month, source, rank, client, download, upload, bytes, share",
    "v_bandwidth_summary": ("source, site, kind, subject, total_download, total_upload, day_download, day_upload"),
}
ROWS = "SELECT {columns} FROM {view} WHERE {of}"


def _truth_of_views(sums: Sums, zone: ZoneInfo, now: int) -> dict[str, Said]:
    begin = min(polls[0] for polls in sums.polls.values())
    daily: Said = {}
    monthly: Said = {}
    for day in days(begin, now, zone):
        date_, bounds = day.isoformat(), (midnight(day, zone), midnight(day + timedelta(days=1), zone))
        for each in sums.everybody():
            pair = sums.moved(each, *bounds)
            if pair != (0, 0):
                daily[date_, *each] = pair
                down, up = monthly.get((date_[:7], *each), (0, 0))
                monthly[date_[:7], *each] = down + pair[0], up + pair[1]
    ranked: Said = {}
    for month_, source in {place[:2] for place in monthly}:
        clients = {
            place[4]: pair
            for place, pair in monthly.items()
            if place[:2] == (month_, source) and place[3] == "client" and place[5] == "all"
        }
        whole = sum(map(sum, clients.values()))
        for client, pair in clients.items():
            rank = 1 + sum(sum(other) > sum(pair) for other in clients.values())
            ranked[month_, source, rank, client] = (*pair, sum(pair), sum(pair) / whole)
    since = sums.newest() - 86_400
    summary: Said = {
        each[:4]: (*sums.moved(each, begin - 1, now), *sums.moved(each, since, since + 86_400))
        for each in sums.everybody()
        if each.of_class == "all"
    }
    return dict(zip(VIEWS, (daily, monthly, ranked, summary), strict=True))


def _views_are_true(it: Month, sums: Sums, *zones: str) -> None:
    """On both databases, of the states with these zones."""
    for zone in zones:
        truth = _truth_of_views(sums, ZoneInfo(zone), it.now)
        for ask, (view, names) in product((_in_state, _in_archive), VIEWS.items()):
            rows = ask(it, zone, view)
            said = {row[:names]: row[names:] for row in rows if any(row[names:])}
            assert said == truth[view], (view, zone, datetime.fromtimestamp(it.now, UTC))
            assert len(rows) == len({row[:names] for row in rows})


def _in_state(it: Month, zone: str, view: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{it.paths[zone]}?mode=ro", uri=True)) as file:
        return file.execute(ROWS.format(columns=COLUMNS[view], view=view, of="true")).fetchall()


def _in_archive(it: Month, zone: str, view: str) -> list[tuple[Any, ...]]:
    of = "exporter = (SELECT number FROM exporter WHERE ledger = %s AND current)"
    return it.archive.query(ROWS.format(columns=COLUMNS[view], view=view, of=of), it.states[zone].exporter_id)


# Questions and what is made of them.


@contextmanager
def _history(it: Month, zone: str, database: str) -> Iterator[queries.History]:
    with ExitStack() as stack:
        if database == "SQLite":
            yield stack.enter_context(queries.reading(it.paths[zone]))
            return
        url = it.archive.url(FEEDER).replace("postgresql://", "postgresql+psycopg2://")
        engine = sa.create_engine(url, connect_args={"password": PASSWORDS[FEEDER]})
        stack.callback(engine.dispose)
        history = queries.History.of_ledger(stack.enter_context(engine.connect()), it.states[zone].exporter_id)
        assert history is not None
        yield history


def _named(history: queries.History, *kinds: str) -> dict[int, Subject]:
    found = queries.subjects(history, kinds).items()
    return {number: Subject(each.source, each.site, each.kind, each.key) for number, each in found}


def _periods(zone: ZoneInfo, now: int, since: int, changed: date) -> Iterator[tuple[int, int]]:
    """Months, weeks and days up to now, the day of the change, and hours and five minutes beside all of these.

    since: from where on five minutes and hours are asked for.
    """
    today = date_at(now, zone)
    for back in (0, 8):
        yield midnight(today - timedelta(days=back), zone), midnight(today + timedelta(days=1), zone)
    yield midnight(changed, zone), midnight(changed + timedelta(days=1), zone)
    yield period("1", zone, now)
    yield period("1", zone, period("1", zone, now)[0])
    hour = since // HOUR * HOUR + 5 * HOUR
    yield hour, hour + 17 * HOUR
    yield hour + 600, hour + 9 * HOUR + 900
    yield hour - 300, now // BIN * BIN - 7200


def _totals_are_true(history: queries.History, sums: Sums, periods: list[tuple[int, int]]) -> None:
    named = _named(history, "client", "site", "owner", "category", "wan")
    for start, end in periods:
        for classes in (False, True):
            said = {
                named[subject]._replace(of_class=kind): pair
                for (subject, kind), pair in queries.totals(history, start, end, classes=classes).items()
                if pair != (0, 0)
            }
            moved = {
                each: pair
                for each in sums.everybody()
                if (each.of_class != "all") == classes and (pair := sums.moved(each, start, end)) != (0, 0)
            }
            assert said == moved, (history.zone, history.number, start, end)


def _ranks_are_true(history: queries.History, sums: Sums, before: tuple[int, int], now: tuple[int, int]) -> None:
    """Of clients, owners, categories, lines and protocols: shares, and how one period compares with another."""
    totals = [queries.totals(history, *bounds) for bounds in (before, now)]
    for kind in ("client", "owner", "category", "wan"):
        names = {number: each.key for number, each in _named(history, kind).items()}
        rows = [[Moved(name, *pair) for name, pair in queries.by_name(each, names).items()] for each in totals]
        was, is_ = (dict.fromkeys(names.values(), 0) for _ in (before, now))
        for each in sums.subjects(kind):
            was[each.key] += sum(sums.moved(each, *before))
            is_[each.key] += sum(sums.moved(each, *now))
        order = sorted((name for name in is_ if is_[name]), key=lambda name: -is_[name])[:3]
        said = [(ranked.moved.name, ranked.moved.both, ranked.share) for ranked in top(rows[1], 3)]
        assert said == [(name, is_[name], is_[name] / sum(is_.values())) for name in order]
        for changed in compare(*rows):
            earlier, later = was[changed.name], is_[changed.name]
            assert (changed.before, changed.now, changed.change) == (earlier, later, later - earlier)
            assert changed.trend.change == ((later - earlier) / earlier if earlier else None)
    protocols = queries.by_class(queries.totals(history, *now, classes=True), list(_named(history, "site")))
    assert protocols == _by_protocol(sums, *now)


def _by_protocol(sums: Sums, start: int, end: int) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    for each in sums.subjects("site", classes=True):
        down, up = found.get(name := each.of_class.partition("|")[2], (0, 0))
        more = sums.moved(each, start, end)
        found[name] = down + more[0], up + more[1]
    return {name: pair for name, pair in found.items() if pair != (0, 0)}


def _bins_are_true(history: queries.History, sums: Sums, start: int, end: int) -> None:
    """The 95th percentile of lines and clients, and what it is at the least, whatever moved when in silences."""
    numbers = {each: number for number, each in _named(history, "wan", "site").items()}
    for each in (LINES[0], SITES[1]):
        asked = history, [numbers[each]], start, end
        said = percentile(start, end, queries.bins(*asked), queries.silences(*asked))
        moved, silent = sums.bins(each, start, end), sums.silent_bins(each.source)
        known = [(0, 0) if start + place * BIN in silent else pair for place, pair in enumerate(moved)]
        for side, level in enumerate((said.download, said.upload)):
            assert level.value == percentile_95(pair[side] for pair in moved)
            assert level.least == percentile_95(pair[side] for pair in known)
            assert level.least <= level.value <= level.most
        assert said.bins == len(moved)
        assert said.unknown == sum(at in silent for at in range(start, end, BIN))


def _earlier_hours_are_true(history: queries.History, sums: Sums, zone: ZoneInfo, hour: int, since: int) -> None:
    """What an unusual hour is measured by: the same hour by the wall's clock, on the days before."""
    local = datetime.fromtimestamp(hour, zone)
    for number, each in _named(history, "site").items():
        truth = []
        for back in range(1, 29):
            at = datetime.combine(local.date() - timedelta(days=back), local.time(), zone)
            start = int(at.timestamp()) // HOUR * HOUR
            silent = any(a < start + HOUR and b > start for a, b in sums.silences(each.source))
            if start >= since and not silent:
                truth.append(sum(sums.moved(each, start, start + HOUR)))
        [beside] = queries.beside_earlier(history, [number], [hour], 28)
        said = beside.earlier
        assert said == truth[: len(said)]
        assert not any(truth[len(said) :])
        assert said


def _days_are_true(history: queries.History, sums: Sums, first: date, last: date) -> None:
    numbers = [(day - date(1970, 1, 1)).days for day in (first, last)]
    for number, each in _named(history, "wan", "site").items():
        truth = {}
        for place in range((last - first).days + 1):
            day = first + timedelta(days=place)
            pair = sums.moved(each, midnight(day, history.zone), midnight(day + timedelta(days=1), history.zone))
            if pair != (0, 0):
                truth[numbers[0] + place] = pair
        said = queries.days(history, [number], *numbers)
        assert {day: pair for day, pair in said.items() if pair != (0, 0)} == truth


# Reports.


def _config(it: Month, folder: Path) -> Config:
    path = folder / "config.yaml"
    path.write_text(
        f"state: {it.paths[BERLIN]}\ntimezone: {BERLIN}\nsources:\n"
        '  - {name: home, kind: unifi, url: "https://127.0.0.1", api_key: secret}\n'
        "  - {name: attic, kind: nlbwmon, host: 127.0.0.1, known_hosts: nowhere, username: root, password: x}\n"
    )
    return load(path, {})


def _tops_are_true(it: Month, sums: Sums, config: Config) -> None:
    """With shares; and today with as much of yesterday."""
    zone = ZoneInfo(BERLIN)
    for by, name in product(("client", "owner", "category", "protocol"), RESETS):
        start, end = period(RESETS[name], zone, it.now)
        said = make_top(config, name, by, ATTIC, 10, it.now)
        truth = {each.key: sums.moved(each, start, end) for each in sums.subjects(by) if each.source == ATTIC}
        truth = truth or _by_protocol(sums, start, end)
        whole = sum(map(sum, truth.values()))
        assert (said.start, said.end) == (start, end)
        assert {row.address or row.name: (row.download, row.upload, row.share) for row in said.rows} == {
            key: (*pair, sum(pair) / whole) for key, pair in truth.items() if sum(pair)
        }
        if name == "today" and by != "protocol":
            before = midnight(date_at(it.now, zone) - timedelta(days=1), zone)
            until = before + -(-it.now // BIN) * BIN - start
            for row in said.rows:
                (each,) = (each for each in sums.subjects(by) if each[::3] == (ATTIC, row.address or row.name))
                was, is_ = sum(sums.moved(each, before, until)), row.download + row.upload
                assert row.change == ((is_ - was) / was if was else None)


def _report_is_true(it: Month, sums: Sums, config: Config, name: str, line: Subject, site: Subject) -> None:
    """Days, what a line is billed by, and what is between the line and its clients. line: not the only one."""
    zone = ZoneInfo(BERLIN)
    report = make_report(config, name, site.source, 10, it.now)
    moved = [sums.moved(each, report.start, report.end) for each in sums.subjects("wan") if each.source == site.source]
    summed, clients = report.reconciliation, sums.moved(site, report.start, report.end)
    assert summed.line is not None
    assert (summed.line.download, summed.line.upload) == tuple(sum(pair[side] for pair in moved) for side in (0, 1))
    assert (summed.clients.download, summed.clients.upload) == clients
    assert summed.rest == sum(map(sum, moved)) - sum(clients)
    for day in report.days:
        bounds = (midnight(date.fromisoformat(day.date) + timedelta(days=more), zone) for more in (0, 1))
        assert (day.clients.download, day.clients.upload) == sums.moved(site, *bounds)
    (billed,) = (each for each in report.billed if each.line == line.key)
    for side, level in enumerate((billed.percentile.download, billed.percentile.upload)):
        assert level.value == percentile_95(pair[side] for pair in sums.bins(line, billed.since, billed.until))


# All of it.


def _live(it: Month, plan: Plan, sums: Sums, terms: Terms) -> None:
    """Go through the month, and look at it on the way."""
    checked = fed_at = 0
    happens = {_at(text): what for text, what in plan.happens.items()}
    looked_at = {_at(text) for text in plan.looked_at}
    held = {at + 200 for at, what in happens.items() if what in HELD}
    fails, outage = ([_at(text) for text in each] for each in (plan.attic_fails, plan.outage))
    bounds = {midnight(day, zone) for zone in map(ZoneInfo, RETENTIONS) for day in days(it.now, _at(plan.end), zone)}
    for turn, at in enumerate(plan.polls()):
        it.poll(at, [ATTIC] if fails[0] <= at < fails[1] else [], idle=at - it.now == HOUR - BIN)
        sums.read()
        if turn and at not in held and (turn % 12 == 0 or at in bounds or at in happens or at - BIN in bounds):
            checked += _gauges_are_true(it, sums, terms)
        if at in happens:
            happens[at](it)
        if turn % 100 == 50:
            _openings_are_true(it, sums, terms)
        if at in outage:
            (it.archive.shut if at == outage[0] else it.archive.open)()
        if at - fed_at > 2 * 86_400 or at in looked_at or at in outage:
            fed_at = at
            assert it.feed() != (outage[0] <= at < outage[1])
        if at in looked_at:
            _views_are_true(it, sums, BERLIN)
    assert checked > 2_000


@pytest.mark.parametrize("plan", [pytest.param(SPRING, id="spring"), pytest.param(AUTUMN, id="autumn")])
def test_a_month_is_stated_to_the_byte(ready: Path, tmp_path: Path, archive: Database, plan: Plan) -> None:
    terms = _terms()
    with month(tmp_path, ready, _at(plan.begin), RETENTIONS, terms, archive) as it, closing(Sums(it.log)) as sums:
        _live(it, plan, sums, terms)
        _openings_are_true(it, sums, terms)
        assert it.feed()
        # Where polls came every five minutes, nothing is spread: these bytes moved when the sums say so.
        for text in plan.closely:
            for start in range(_at(text) - CLOSE, _at(text) + CLOSE, BIN):
                for each in sums.subjects("client", "site", classes=True):
                    polls = sums.polls[each.source]
                    if start in polls and start + BIN in polls:
                        assert sums.moved(each, start, start + BIN) == sums.really(each, start, start + BIN)
        _views_are_true(it, sums, *RETENTIONS)
        for key, retention in RETENTIONS.items():
            zone, pruned = ZoneInfo(key), retention != Retention.forever()
            first = min(polls[0] for polls in sums.polls.values())
            for database in ("SQLite", "PostgreSQL"):
                with _history(it, key, database) as history:
                    kept = queries.kept_since(history)
                    assert history.zone == zone
                    assert kept.five_minutes is not None
                    assert kept.hours is not None
                    assert (kept.five_minutes > it.now - 4 * 86_400) == (pruned and database == "SQLite")
                    since = max(first, kept.five_minutes + BIN)
                    periods = list(_periods(zone, it.now, since, plan.changes[key]))
                    _totals_are_true(history, sums, periods)
                    _ranks_are_true(
                        history, sums, *(period("monday", zone, at) for at in (it.now - 7 * 86_400, it.now))
                    )
                    _days_are_true(history, sums, date_at(first, zone), date_at(it.now, zone))
                    if key != LORD_HOWE:  # five minutes are the same in every zone
                        _bins_are_true(history, sums, -(-since // HOUR) * HOUR, it.now // BIN * BIN)
                    yesterday = date_at(it.now, ZoneInfo(BERLIN)) - timedelta(days=1)
                    evening = int(datetime.combine(yesterday, time(19), ZoneInfo(BERLIN)).timestamp())
                    _earlier_hours_are_true(history, sums, zone, evening, max(first, kept.hours))
        config = _config(it, tmp_path)
        _tops_are_true(it, sums, config)
        for name, line, site in zip((plan.end[:7], plan.begin[:7]), LINES, SITES, strict=True):
            _report_is_true(it, sums, config, name, line, site)
