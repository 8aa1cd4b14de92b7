"""The committed dashboards: as the generator writes them, by a linter's rules, with links that lead somewhere."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from exporter.metrics import FAMILIES, OWN_FAMILIES
from grafana.files import FOLDER, written
from grafana.names import FOREIGN, RECORDED
from tests.grafana.queries import panels, queries

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
BOARDS: dict[str, Json] = {name.removesuffix(".json"): json.loads(text) for name, text in TEXTS.items()}
NAMES = {family.name: family for family in (*FAMILIES, *OWN_FAMILIES, *RECORDED, *FOREIGN)}

SERIES = re.compile(r"\b((?:client|wan|source):\w+:\w+|bandwidth_\w+|up|ALERTS|process_\w+)\b(\{[^}]*\})?")

UNITS = {
    *("bps", "decbytes", "bytes", "percentunit", "s", "short", "none", "string", "dBm"),
    *("dateTimeAsIso", "dateTimeFromNow"),
}
"""Those of Grafana's unit ids that fit what we have."""

KINDS = {"stat", "bargauge", "timeseries", "state-timeline", "table"}
GRAFANAS = {"datasource", "__url_time_range", "__field", "__data"}
"""What a link may name beside the variables of the dashboard that it stands on."""

every_board = pytest.mark.parametrize("uid", BOARDS)


def all_panels() -> Iterator[tuple[str, Json]]:
    for uid, board in BOARDS.items():
        yield from ((f"{uid}: {panel['title']}", panel) for panel in panels(board))


def expressions() -> Iterator[tuple[str, str]]:
    for where, panel in all_panels():
        yield from ((where, target["expr"]) for target in panel["targets"] if "expr" in target)


def links(found: object) -> Iterator[Json]:
    """Every link in a JSON."""
    if isinstance(found, dict):
        if "/d/" in str(found.get("url", "")):
            yield found
        for value in found.values():
            yield from links(value)
    elif isinstance(found, list):
        for value in found:
            yield from links(value)


def variables(uid: str) -> dict[str, Json]:
    return {variable["name"]: variable for variable in BOARDS[uid]["templating"]["list"]}


def test_what_is_committed_is_what_the_generator_writes() -> None:
    assert written() == TEXTS, "run `make docs` and commit what it writes"


def test_all_eight_are_there() -> None:
    assert set(BOARDS) == {
        f"bandwidth-{name}"
        for name in ("overview", "client", "owner", "wan", "wifi", "protocols", "quotas", "exporter")
    }


@every_board
def test_what_they_have_in_common(uid: str) -> None:
    board = BOARDS[uid]
    assert board["uid"] == uid
    assert "id" not in board
    assert 39 <= board["schemaVersion"] <= 42
    assert board["editable"] is False
    assert board["refresh"] == "1m"
    assert board["graphTooltip"] == 1
    assert board["tags"] == ["bandwidth"]
    assert board["description"]
    (others,) = board["links"]
    assert (others["type"], others["tags"], others["asDropdown"]) == ("dashboards", ["bandwidth"], True)
    assert (others["includeVars"], others["keepTime"]) == (True, True)


@every_board
def test_ids_are_unique(uid: str) -> None:
    rows = [panel for panel in BOARDS[uid]["panels"] if panel["type"] == "row"]
    ids = Counter(panel["id"] for panel in [*panels(BOARDS[uid]), *rows])
    assert set(ids.values()) == {1}
    for panel in panels(BOARDS[uid]):
        assert set(Counter(target["refId"] for target in panel["targets"]).values()) == {1}, panel["title"]


@every_board
def test_no_panel_covers_another(uid: str) -> None:
    shown = [panel for panel in BOARDS[uid]["panels"] if panel["type"] != "row"]
    for row in (panel for panel in BOARDS[uid]["panels"] if panel["type"] == "row"):
        assert bool(row["panels"]) == row["collapsed"], row["title"]
    groups = [BOARDS[uid]["panels"], *(row["panels"] for row in BOARDS[uid]["panels"] if row.get("panels"))]
    assert shown[0]["title"] == "Status"
    for group in groups:
        boxes = [(panel["title"], *(panel["gridPos"][side] for side in "xywh")) for panel in group]
        for title, x, _, width, height in boxes:
            assert x >= 0 < width, title
            assert x + width <= 24, title
            assert height > 0, title
        for (one, x, y, width, height), (other, left, up, wide, high) in combinations(boxes, 2):
            apart = x + width <= left or left + wide <= x or y + height <= up or up + high <= y
            assert apart, f"{one} and {other}"


@every_board
def test_variables_by_the_linters_rules(uid: str) -> None:
    found = variables(uid)
    assert list(found)[:5] == ["datasource", "job", "instance", "source", "site"]
    assert (found["datasource"]["label"], found["datasource"]["type"]) == ("Data source", "datasource")
    assert found["datasource"]["query"] == "prometheus"
    for name, label in (("job", "Job"), ("instance", "Instance"), ("source", "Source"), ("site", "Site")):
        assert (found[name]["label"], found[name]["type"], found[name]["multi"]) == (label, "query", True)
        assert found[name]["includeAll"] is True
        assert found[name]["allValue"] == (".*" if name == "site" else ".+"), "a router has no site"
    for variable in found.values():
        if variable["type"] == "query":
            assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert variable["refresh"] == 2, "asked for again when the time range changes"
            assert variable["query"]["query"] == variable["definition"]
            kind = {"label_values": 1, "query_result": 3}[variable["definition"].partition("(")[0]]
            assert variable["query"]["qryType"] == kind, "what Grafana's own editor writes"


def test_a_client_is_chosen_by_name_and_its_value_is_its_address() -> None:
    """As Grafana writes a result of query_result(), by names that try to break out."""
    for uid in BOARDS:
        if "client" not in variables(uid):
            continue
        pattern = variables(uid)["client"]["regex"].strip("/").replace("(?<", "(?P<")
        for name in ("Anna's phone", '"} 1\nup 0', 'x",client="02:00:00:00:00:02"} 1 2', "ünï", " "):
            found = re.search(pattern, f'{{client="02:00:00:00:00:01",name="{name}"}} 1 1795267671000')
            assert found is not None, name
            assert (found["value"], found["text"]) == ("02:00:00:00:00:01", name)


def test_every_panel_says_what_it_is() -> None:
    for where, panel in all_panels():
        assert panel["type"] in KINDS, where
        assert panel["title"], where
        assert len(panel["description"]) > 15, where
        assert panel["description"].endswith("."), where
        assert panel["targets"], where
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS, where
        assert defaults["noValue"] not in ("", "No data"), where
        units = [p["value"] for o in panel["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "unit"]
        assert set(units) <= UNITS, where


def test_cells_of_tables_are_text_and_empty_ones_say_nothing() -> None:
    """Grafana writes `noValue` into each empty cell, and into links that are made of it; and 007 as the number 7."""
    for where, panel in all_panels():
        if panel["type"] == "table":
            assert panel["fieldConfig"]["defaults"]["unit"] == "string", where
            first = panel["fieldConfig"]["overrides"][0]
            assert first["matcher"] == {"id": "byRegexp", "options": "/.*/"}, where
            assert first["properties"] == [{"id": "noValue", "value": ""}], where


def test_ranges_of_mappings_have_two_ends() -> None:
    """Grafana compares with an end that is null as with 0."""
    for where, panel in all_panels():
        for mapping in panel["fieldConfig"]["defaults"]["mappings"]:
            if mapping["type"] == "range":
                assert mapping["options"]["from"] <= mapping["options"]["to"], where


def test_a_name_does_not_decide_how_a_curve_is_drawn() -> None:
    for where, panel in all_panels():
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["id"] == "byRegexp" and panel["type"] != "table":
                assert override["matcher"]["options"].endswith("$/"), where


def test_bars_do_not_count_what_their_neighbours_count() -> None:
    for where, panel in all_panels():
        if panel["fieldConfig"]["defaults"]["custom"].get("drawStyle") == "bars":
            assert panel["interval"] in ("5m", "1d"), where


def test_every_query_goes_to_the_chosen_data_source() -> None:
    for where, panel in all_panels():
        for asked in (panel, *panel["targets"]):
            language = "postgres" if "rawSql" in panel["targets"][0] else "datasource"
            assert asked["datasource"]["uid"] == f"${{{language}}}", where
        assert any(panel["datasource"]["uid"] == f"${{{name}}}" for name in variables(where.split(":")[0])), where


def test_rates_and_counters_by_the_linters_rules() -> None:
    for where, text in expressions():
        for function, inner in re.findall(r"\b(i?rate)\(([^()]*)\)", text):
            assert function == "rate", where
            assert inner.endswith("[$__rate_interval]"), where
        grown = re.sub(r"\b(?:rate|increase)\([^()]*\)", "", text)
        assert not re.search(r"\w_total\b", grown), f"{where}: a bare counter in {text}"
        for gauge in re.findall(r"\b(?:rate|increase)\((\w+)", text):
            assert NAMES[gauge].type == "counter", where


def test_every_selector_takes_the_selection() -> None:
    for where, text in expressions():
        for name, braces in SERIES.findall(text):
            family = NAMES[name]
            matchers = dict(re.findall(r'(\w+)=~?("[^"]*")', braces))
            assert matchers["job"] == '"$job"', f"{where}: {text}"
            assert matchers["instance"] == '"$instance"', f"{where}: {text}"
            assert set(matchers) <= {"job", "instance", *family.labels}, f"{where}: {text}"
            if "source" in family.labels and "Status" not in where and name != "ALERTS":
                assert "source" in matchers, f"{where}: {text}"


def test_names_come_by_the_join_that_two_names_do_not_break() -> None:
    """A rename while Prometheus restarts leaves two info series for five minutes, and so do two exporters."""
    for where, text in expressions():
        for found in re.finditer(r"group_left \((\w[^)]*)\) ", text):
            right = text[found.end() :]
            right = right.removeprefix("label_replace(").removeprefix("label_replace(")
            assert right.startswith("topk by ("), f"{where}: {text}"
        assert "by (name" not in text, f"{where}: a name alone says nothing"


def test_recorded_names_are_those_of_the_rules() -> None:
    rules = yaml.safe_load((ROOT / "prometheus/rules/recording.yml").read_text(encoding="utf-8"))
    recorded = {rule["record"] for group in rules["groups"] for rule in group["rules"]}
    assert {family.name for family in RECORDED} <= recorded


def test_links_lead_to_a_dashboard_and_carry_what_it_can_choose() -> None:
    seen = 0
    for uid, board in BOARDS.items():
        for link in links(board):
            seen += 1
            url = urlsplit(link["url"])
            target = url.path.removeprefix("/d/")
            assert target in BOARDS, link
            named = set(re.findall(r"\$\{(\w+)", link["url"]))
            assert named <= {*variables(uid), *GRAFANAS}, link
            assert "${datasource:queryparam}" in link["url"]
            for name, value in parse_qsl(url.query):
                if name.startswith("var-"):
                    assert name.removeprefix("var-") in variables(target), link
                    assert value.startswith("${__"), link
    assert seen > 10


def test_links_of_tables_name_columns_that_there_are() -> None:
    for where, panel in all_panels():
        if panel["type"] != "table" or not panel["transformations"]:
            continue
        organize = panel["transformations"][-1]["options"]
        columns = set(organize["renameByName"].values())
        for name in set(organize["excludeByName"]) & set(organize["renameByName"]):
            columns.discard(organize["renameByName"][name])
        for override in panel["fieldConfig"]["overrides"][1:]:
            assert override["matcher"]["options"] in columns, where
        for link in links(panel):
            assert set(re.findall(r"__data\.fields\.(\w+)", link["url"])) <= columns, where


def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    found = [query for board in BOARDS.values() for query in queries(board) if query.language == "promql"]
    rules = [{"record": f"read:{number}", "expr": query.text} for number, query in enumerate(found)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert len(found) > 150
    assert f"{len(found)} rules found" in checked.stdout
    assert not [query for query in found if "$" in query.text.replace('"$1"', "")]
