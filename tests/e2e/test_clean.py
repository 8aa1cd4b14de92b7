"""Dashboards and rules where things are not as in the demo: nothing there yet, names that change while Prometheus
restarts, and two exporters that see the same clients.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from tests.e2e.asked import Asked, asked, boards, of_rules
from tests.e2e.lived import EVENING, INSTANCE, Install, Scrape, Shown, busy_house, empty_house, live
from tests.e2e.stored import Stored, alerted, stored

MINUTE: Final = 60.0
HOUR: Final = 3600.0
RESTARTED, SECOND = "restarted:10477", "second:10477"

CHANGES: Final = {
    "bandwidth_client_info": r'(?<=[{,])(name|owner|vendor|category)="(?=[^"])',
    "bandwidth_client_connection_info": r'(?<=[{,])(ap|ip|network|ssid)="(?=[^"])',
    "bandwidth_device_info": r'(?<=[{,])(name|version|ip)="(?=[^"])',
    "bandwidth_wan_info": r'(?<=[{,])(ip|interface|device)="(?=[^"])',
    "bandwidth_port_info": r'(?<=[{,])(name)="(?=[^"])',
    "bandwidth_exporter_build_info": r'(?<=[{,])(version|python)="(?=[^"])',
}
"""Families that say what may change, and the labels that hold it, where they hold something."""

COUNTS_EXPORTERS: Final = {
    "*/Status/A": "says which of three is true, by whether the count is below, at or above 0",
}
"""Queries whose number may be another one with two exporters, as dashboard/panel/letter, and why."""

BOTH_FOR_FIVE_MINUTES: Final = {
    "bandwidth-client/Where it was connected/?": "every place is a row of its own, with no number",
    "bandwidth-exporter/Version/A": "says which versions run, with no number",
}
"""Queries that show the former beside the new until Prometheus forgets it, and why that is right."""


def test_an_empty_install(tmp_path: Path) -> None:
    with empty_house(EVENING) as house:
        install = Install(tmp_path / "install", house, bare=True)
        install.start()
        live(house, 15 * MINUTE, install)
        install.stop()
    with stored(tmp_path / "stored", install.shown) as server:
        for each in everything(server):
            answer = each.of(server)
            assert not answer.error, f"{each.place}: {answer.error}: {each.text}"
            assert all(map(math.isfinite, answer.numbers())), f"{each.place} shows no number: {each.text}"
        assert {value for _, value in server.ask("bandwidth_source_up").values()} == {1.0}
    assert alerted(tmp_path, install.shown) == set()


def test_renames_while_prometheus_restarts_and_two_exporters_at_one_house(tmp_path: Path) -> None:
    with busy_house(EVENING, calm=True) as house:
        one = Install(tmp_path / "one", house)
        other = Install(tmp_path / "other", house, instance=SECOND, names={"demo-attic": "attic-too"})
        for install in (one, other):
            install.start()
        live(house, 14 * MINUTE, one, other)
        for install in (one, other):
            install.stop()
    before = house.now - 2 * MINUTE
    renamed = [former(scrape) if scrape.at < before else scrape for scrape in one.shown.scrapes]
    restarted = Shown(RESTARTED, renamed)
    with stored(tmp_path / "stored", one.shown, other.shown, restarted) as server:
        two = server.ask(f'count by (client) (bandwidth_client_info{{instance="{RESTARTED}",source="demo-home"}})')
        assert {value for _, value in two.values()} == {2.0}, "no client has two names"
        wrong = []
        for each in everything(server):
            answer = each.of(server)
            if answer.error:
                wrong.append(f"{each.place}: {answer.error}: {each.text}")
        alone, again, second = (numbers(server, instance) for instance in (INSTANCE, RESTARTED, SECOND))
        for place, shown in alone.items():
            if again[place] != shown and not is_one_of(BOTH_FOR_FIVE_MINUTES, place):
                wrong.append(f"{place}: renamed: {said(again[place], shown)}")
        for place, both in numbers(server, f"{INSTANCE}|{SECOND}").items():
            known = {at: alone[place].get(at, Counter()) + second[place].get(at, Counter()) for at in both}
            if has_others(both, known) and not is_one_of(COUNTS_EXPORTERS, place):
                wrong.append(f"{place}: two exporters: {said(both, known)}")
        one_line, twice = (at_moments(sum_of_lines(each), server) for each in (INSTANCE, f"{INSTANCE}|{SECOND}"))
        assert has_others(twice, one_line), "the test would not see a number that doubles"
    assert not wrong, "\n".join(wrong)


def everything(server: Stored) -> list[Asked]:
    """All that is asked of Prometheus."""
    return [each for board in boards() for each in asked(board, server, HOUR) if not each.sql] + list(of_rules())


def former(scrape: Scrape) -> Scrape:
    """The page with everything that may change as it was before."""
    lines = []
    for line in (scrape.page or "").splitlines():
        labels = CHANGES.get(line.partition("{")[0])
        lines.append(re.sub(labels, r"\g<0>Former ", line) if labels else line)
    return scrape._replace(page="\n".join(lines))


Numbers = Mapping[float, Counter[str]]
"""By moment: every number that is shown, and how often."""


def numbers(server: Stored, instance: str) -> dict[str, Numbers]:
    """What each query of the dashboards shows of these exporters."""
    found: dict[str, Numbers] = {}
    for board in boards():
        for each in asked(board, server, HOUR, instance=instance):
            if not each.sql:
                found[each.place] = at_moments(each, server)
    return found


def at_moments(each: Asked, server: Stored) -> Numbers:
    """The numbers of a query."""
    moments: dict[float, Counter[str]] = {}
    for series in each.of(server).series:
        for at, value in series.get("values", [series.get("value")]):
            moments.setdefault(at, Counter())[f"{float(value):.9g}"] += 1
    return moments


def sum_of_lines(instance: str) -> Asked:
    """What no dashboard asks: it counts a line that two exporters see twice."""
    text = f'sum(bandwidth_wan_contract_download_bytes_per_second{{instance=~"{instance}"}})'
    return Asked("none", "Sum", "A", text)


def has_others(shown: Numbers, known: Numbers) -> bool:
    """Whether a number is shown that is not known."""
    return any(shown[at].keys() - known[at].keys() for at in shown)


def is_one_of(patterns: Collection[str], place: str) -> bool:
    """Whether the query is named by one of them."""
    return any(fnmatchcase(place, pattern) for pattern in patterns)


def said(got: Numbers, expected: Numbers) -> str:
    """The last moment at which they differ, and how."""
    at = max(at for at in got.keys() | expected.keys() if got.get(at) != expected.get(at))
    return f"{sorted(got.get(at, Counter()).elements())} and not {sorted(expected.get(at, Counter()).elements())}"
