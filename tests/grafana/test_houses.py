"""The queries, answered by Prometheus' own engine, in houses where a careless one fails or doubles a number.

In all of them every family has a series. In one the names of all subjects are there twice, as for five minutes after a
rename while Prometheus restarted. In another a second exporter sees the same subjects under the same names.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from exporter.metrics import FAMILIES, OWN_FAMILIES, Family
from grafana.files import FOLDER
from grafana.names import FOREIGN, RECORDED
from grafana.promql import Vector, month_before
from tests.grafana.queries import Query, queries

MAC = "02:00:00:00:00:01"
SPAN = 3600
VALUES = {
    "site": ["default"],
    "client": [MAC, "02:00:00:00:00:02"],
    "owner": ["Anna"],
    "device": ["02:00:00:00:01:01"],
    "ap": ["02:00:00:00:01:01"],
    "scope": ["wan", "source", "owner"],
    "subject": ["Anna"],
    "period": ["today", "month"],
    "alertstate": ["firing"],
    "family": ["ipv4", "ipv6"],
    "kind": ["client"],
}
"""What labels say; any other says its own name."""

PLAIN, RENAMED = "plain", "renamed"


def series(family: Family, instance: str, source: str) -> Iterator[dict[str, str]]:
    """Every combination of the labels' values. A counter grows by 3000 in half a minute."""
    rows = [{"job": "bandwidth", "instance": instance}]
    for label in family.labels:
        values = [source] if label == "source" else VALUES.get(label, [label])
        if "info" in family.name and label == "scope":
            values = ["internet"]
        if source == RENAMED and label == "name":
            values = [*values, "another"]
        rows = [row | {label: value} for row in rows for value in values]
    for row in rows:
        text = ",".join(f'{label}="{value}"' for label, value in row.items())
        yield {
            "series": f"{family.name}{{{text}}}",
            "values": "0+3000x260" if family.type == "counter" else "1x260" if "info" in family.name else "0.5x260",
        }


def house(instances: tuple[str, ...]) -> list[dict[str, str]]:
    """Two sources that are alike, but for the names of one."""
    found = {
        one["series"]: one
        for family in (*FAMILIES, *OWN_FAMILIES, *RECORDED, *FOREIGN)
        for instance in instances
        for source in (PLAIN, RENAMED)
        for one in series(family, instance, source)
    }
    return list(found.values())


def asked(**variables: str) -> list[Query]:
    """All of the panels' and annotations', with the client and the owner chosen.

    promtool has no samples after the moment it asks for, so of a day's bars it is asked for the day before.
    """
    chosen = {"client": MAC, "owner": "Anna", "top": MAC, **variables}
    boards = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.iterdir()))
    return [
        replace(query, text=query.text.replace(" offset -1d", ""))
        for board in boards
        for query in queries(board, chosen, span=SPAN)
        if query.language == "promql" and query.panel != "Status" and not query.panel.startswith("variable")
    ]


def no_row(tmp_path: Path, inputs: list[dict[str, str]], expressions: dict[str, str]) -> None:
    """None of the expressions has a result, an hour and a half after the beginning."""
    tests = [{"expr": text, "eval_time": "95m", "exp_samples": []} for text in expressions.values()]
    document = {
        "evaluation_interval": "30s",
        "tests": [{"interval": "30s", "input_series": inputs, "promql_expr_test": tests}],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).replace('\\"', '"')
    wrong = [name for name, text in expressions.items() if f'expr: "{text}"' in said]
    assert done.returncode == 0, f"{len(wrong)} fail: {wrong}\n{said[-2000:]}"


def name_of(query: Query) -> str:
    return f"{query.dashboard}: {query.panel} {query.ref} {query.text}"


def differ(one: str, other: str) -> str:
    """A result where the sums differ, or only one of both has one."""
    one, other = f"sum({one})", f"sum({other})"
    return f"(abs({one} - {other}) > 1e-9) or ({one} unless {other}) or ({other} unless {one})"


def test_every_query_has_a_value_where_every_family_has_one(tmp_path: Path) -> None:
    """The exceptions compare, or look back further than there is."""
    empty = {
        "Line down", "Bytes of a silence landed", "Device started again", "Against it", "Today", "Weak signal",
        "Lines that went down or came back", "Ports that lost their link", "Lines today and this month",
        "Clients today and this month", "How quotas stand", "New clients",
    }  # fmt: skip
    wanted = {
        name_of(query): f"absent({query.text})"
        for query in asked()
        if query.panel.removeprefix("annotation ") not in empty and " unless on " not in query.text
    }
    assert len(wanted) > 130
    no_row(tmp_path, house(("a",)), wanted)


def test_two_names_of_a_subject_neither_fail_nor_double(tmp_path: Path) -> None:
    pairs = zip(asked(source=PLAIN), asked(source=RENAMED), strict=True)
    no_row(tmp_path, house(("a",)), {name_of(one): differ(one.text, other.text) for one, other in pairs})


def test_a_second_exporter_neither_fails_nor_doubles(tmp_path: Path) -> None:
    """Every result is that of one instance, and the same as if there were no other."""
    expressions = {
        name_of(one): f"(sum by (instance) ({both.text}) != sum by (instance) ({one.text})) "
        f"or count({one.text} unless {both.text})"
        for one, both in zip(asked(source=PLAIN, instance="a"), asked(source=PLAIN), strict=True)
    }
    no_row(tmp_path, house(("a", "b")), expressions)


def test_the_tests_find_a_query_that_doubles(tmp_path: Path) -> None:
    careless = "sum(rate(bandwidth_client_download_bytes_total[2m]) * on (source, client) group_left (name) {})"
    info = 'bandwidth_client_info{source="renamed"}'
    with pytest.raises(AssertionError, match="many-to-many"):
        no_row(tmp_path, house(("a",)), {"careless": careless.format(info)})


def test_the_same_day_of_the_month_before(tmp_path: Path) -> None:
    """In promtool's year, 1970, by a gauge that is the number of the day."""
    before = {
        "03-01": "02-01",
        "03-28": "02-28",
        "03-30": "02-28",
        "03-31": "02-28",
        "05-31": "04-30",
        "02-15": "01-15",
    }
    gauge = Vector("day_of_year_so_far", frozenset())
    tests = [
        {
            "expr": f"floor({month_before(gauge).text})",
            "eval_time": f"{noon(now).timestamp():.0f}s",
            "exp_samples": [{"labels": "{}", "value": noon(then).timetuple().tm_yday}],
        }
        for now, then in before.items()
    ]
    series = [{"series": gauge.text, "values": "0.5+0.5x330"}]
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump({"tests": [{"interval": "12h", "input_series": series, "promql_expr_test": tests}]}))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def noon(day: str) -> datetime:
    return datetime.fromisoformat(f"1970-{day}T12:00+00:00")
