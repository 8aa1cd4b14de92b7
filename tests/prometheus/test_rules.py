"""The shipped rules, by promtool; and that alerts, tests, runbooks, thresholds and metrics are the same everywhere."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from exporter.config.schema import Alerts
from exporter.metrics import FAMILIES, OWN_FAMILIES

ROOT: Final = Path(__file__).parents[2]
SHIPPED: Final = ROOT / "prometheus"
RUNBOOKS: Final = ROOT / "docs" / "runbooks"
RULE_FILES: Final = sorted((SHIPPED / "rules").glob("*.yml"))
TEST_FILES: Final = sorted((SHIPPED / "tests").glob("*.yml"))
DECLARED: Final = {family.name: family for family in (*FAMILIES, *OWN_FAMILIES)}
TARGET: Final = {"job", "instance"}
OURS: Final = re.compile(r"(?:[a-z]+:)?bandwidth_[a-z0-9_]+(?::[a-z0-9_]+)?")
SERIES: Final = re.compile(r"([a-z0-9_:]+)\{(.*)\}", re.DOTALL)
LABEL: Final = re.compile(r'(\w+)="(?:[^"\\]|\\.)*"')
ROW: Final = re.compile(r"\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| ([^|]+) \| [^|]+ \|([^|]*)\|([^|]*)\|([^|]*)\|")
DASHBOARDS: Final = ROOT / "grafana" / "dashboards"
LINK: Final = re.compile(r'\{\{ or \$externalLabels\.grafana "http://localhost:3000" \}\}/d/([\w-]+)\?(\S.*)')
ANNOTATIONS: Final = {"summary", "description", "dashboard_url", "runbook_url"}
SEVERITIES: Final = {"critical", "warning", "info"}


def promtool(*arguments: str | Path) -> str:
    """What it says; fails with that where it complains."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def rules() -> list[dict[str, Any]]:
    """Every rule, recording rules as well."""
    groups = [group for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def names() -> set[str]:
    return {rule["alert"] for rule in alerts()}


@cache
def suites() -> list[dict[str, Any]]:
    """Every test of promtool's."""
    return [test for path in TEST_FILES for test in yaml.safe_load(path.read_text())["tests"]]


def cases(alert: str) -> Iterator[dict[str, Any]]:
    return (case for test in suites() for case in test["alert_rule_test"] if case["alertname"] == alert)


def known(name: str) -> bool:
    return name in DECLARED or name in {rule.get("record") for rule in rules()}


def test_promtool_finds_nothing_to_complain_of() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES)
    promtool("check", "config", "--lint=all", "--lint-fatal", SHIPPED / "prometheus.yml")


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(path: Path) -> None:
    promtool("test", "rules", path)


def test_rules_use_only_metrics_that_there_are() -> None:
    used = {name for rule in rules() for name in OURS.findall(rule["expr"])}
    assert {name for name in used if not known(name)} == set()
    assert {name for name in DECLARED if name.startswith("bandwidth_threshold_")} <= used


def test_tests_evaluate_groups_in_one_order_so_that_alerts_see_what_was_recorded() -> None:
    # promtool puts groups that are not listed beside the first one, in any order.
    recording, alerting = (
        [group["name"] for group in yaml.safe_load((SHIPPED / "rules" / name).read_text())["groups"]]
        for name in ("recording.yml", "alerts.yml")
    )
    orders = {path.stem: yaml.safe_load(path.read_text()).get("group_eval_order") for path in TEST_FILES}
    assert orders == dict.fromkeys(orders, recording + alerting)


def test_tests_feed_only_series_that_the_exporter_may_show() -> None:
    wrong = []
    for test in suites():
        for fed in test["input_series"]:
            found = SERIES.fullmatch(fed["series"])
            assert found is not None, fed
            name, labels = found[1], set(LABEL.findall(found[2])) - TARGET
            if name in DECLARED:
                wrong += [fed["series"]] if labels - set(DECLARED[name].labels) else []
            else:
                wrong += [] if name == "up" or known(name) else [fed["series"]]
    assert wrong == []


@pytest.mark.parametrize("alert", sorted(names()))
def test_an_alert_is_tested_on_both_sides(alert: str) -> None:
    silent = [case for case in cases(alert) if not case["exp_alerts"]]
    fired = [each for case in cases(alert) for each in case["exp_alerts"] or ()]
    assert silent
    assert fired
    assert all(each["exp_annotations"].keys() == ANNOTATIONS for each in fired)
    severities = {rule["labels"]["severity"] for rule in alerts() if rule["alert"] == alert}
    assert {each["exp_labels"]["severity"] for each in fired} == severities


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_so_and_where_to_look(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert said.keys() == ANNOTATIONS
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in SEVERITIES
    assert "{{" not in said["summary"]
    assert len(said["summary"]) <= 60
    assert "{{ $labels." in said["description"]
    link = LINK.fullmatch(said["dashboard_url"])
    assert link is not None
    board = json.loads((DASHBOARDS / f"{link[1]}.json").read_text())
    assert board["uid"] == link[1]
    selected = re.findall(r"var-(\w+)=\{\{ \$labels\.\1 \| urlquery \}\}", link[2])
    assert len(selected) == link[2].count("=")
    assert set(selected) <= {variable["name"] for variable in board["templating"]["list"]}
    runbook = '{{ or $externalLabels.runbooks "docs/runbooks" }}/' + rule["alert"] + ".md"
    assert said["runbook_url"] == runbook


def test_there_is_a_runbook_for_each_alert_and_no_other() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == names() | {"README"}
    listed = dict(
        re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (.+?) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    )
    assert listed == {rule["alert"]: rule["annotations"]["summary"] for rule in alerts()}


@pytest.mark.parametrize(
    "page", [*sorted(RUNBOOKS.glob("*.md")), ROOT / "docs" / "alerts.md"], ids=lambda path: path.stem
)
def test_a_page_names_metrics_that_there_are_and_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    assert {name for name in OURS.findall(text) if not known(name)} == set()
    for link, place in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", text):
        there = page.parent / link
        assert there.is_file(), link
        headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not place or place in anchors, (link, place)


def test_the_page_of_alerts_says_what_the_rules_say() -> None:
    rows = {row[0]: row[1:] for row in ROW.findall((ROOT / "docs" / "alerts.md").read_text())}
    keys = {name: family.origin for name, family in DECLARED.items()}
    for alert in names():
        same = [rule for rule in alerts() if rule["alert"] == alert]
        runbook, severity, lasting, threshold, default = (cell.strip() for cell in rows.pop(alert))
        assert runbook == alert
        assert severity == ", ".join(rule["labels"]["severity"] for rule in same)
        assert {lasting} == {rule.get("for", "") for rule in same}
        used = {keys[name] for name in OURS.findall(same[0]["expr"]) if name.startswith("bandwidth_threshold_")}
        listed = re.findall(r"`(\w+)`", threshold)
        assert {f"config: `alerts.{key}`" for key in listed} == used
        values = [] if default in {"", "none"} else default.split(", ")
        written = dict(zip(listed, values, strict=bool(values)))
        assert Alerts.model_validate(written) == Alerts(), alert
        assert all(getattr(Alerts(), key) is None for key in listed if key not in written)
    assert rows == {}
