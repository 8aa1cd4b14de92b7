"""What the builder refuses, and what the queries say of houses that are not simple."""

from __future__ import annotations

import pytest

from exporter import metrics
from grafana.names import CLIENT_DAY
from grafana.panels import PLAIN, Column, Query, table
from grafana.promql import (
    Vector,
    WrongQueryError,
    aggregate,
    bits,
    calc,
    increase,
    matched,
    named,
    over,
    rate,
    select,
    top,
)

DOWN = metrics.CLIENT_DOWNLOAD_BYTES


def test_a_selector_takes_the_selection_of_the_dashboard() -> None:
    assert select(DOWN, 'client="a"').text == (
        'bandwidth_client_download_bytes_total{job=~"$job",instance=~"$instance",source=~"$source",site=~"$site",client="a"}'
    )
    assert select(metrics.COMMIT_FAILURES).text == (
        'bandwidth_exporter_commit_failures_total{job=~"$job",instance=~"$instance"}'
    )
    assert 'source=~"$source"' not in select(metrics.SOURCE_UP, 'source="home"').text


@pytest.mark.parametrize("matcher", ['wan="wan1"', "client", 'client="a" or up', 'client="a",wan="b"'])
def test_a_matcher_on_a_label_that_is_not_there_is_refused(matcher: str) -> None:
    with pytest.raises(WrongQueryError):
        select(DOWN, matcher)


def test_rate_is_for_counters_and_counters_are_for_rate() -> None:
    with pytest.raises(WrongQueryError):
        rate(select(metrics.CLIENT_SIGNAL))
    with pytest.raises(WrongQueryError):
        increase(select(CLIENT_DAY), "1h")
    for meant in (bits, lambda v: top(3, v), lambda v: calc(v, ">", 0), lambda v: over("max_over_time", v, "1h")):
        with pytest.raises(WrongQueryError):
            meant(select(DOWN))


def test_labels_that_are_not_there_are_refused() -> None:
    moved = rate(select(DOWN))
    with pytest.raises(WrongQueryError):
        aggregate("sum", ("source", "wan"), moved)
    with pytest.raises(WrongQueryError):
        matched(moved, "/", rate(select(metrics.WAN_DOWNLOAD)), ("source", "wan"))
    with pytest.raises(WrongQueryError):
        calc(moved, "/", rate(select(metrics.WAN_DOWNLOAD)))
    with pytest.raises(WrongQueryError):
        named(moved, bring=("model",))
    with pytest.raises(WrongQueryError):
        Query(moved, "{{name}}")
    Query(named(moved), "{{name}}")


def test_a_table_has_the_columns_that_it_is_sorted_by() -> None:
    def made(order: str) -> object:
        moved: Vector = rate(select(metrics.WAN_DOWNLOAD))
        return table("T", "D.", {"wan": "Line"}, [Column("Rate", moved, PLAIN)], "None", order=order)

    assert made("Rate")
    with pytest.raises(WrongQueryError):
        made("Speed")
