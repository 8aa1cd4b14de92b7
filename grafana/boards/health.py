"""Exporter: whether it and its sources are well, and what it had to judge."""

from __future__ import annotations

from typing import Final

from exporter import metrics
from exporter.metrics import Family
from grafana import names
from grafana.boards.shared import ours
from grafana.dashboard import EXPORTER, Dashboard
from grafana.panels import (
    AGO,
    COUNT,
    FULLNESS,
    PLAIN,
    RATIO,
    SECONDS,
    UP_OR_DOWN,
    Column,
    Draw,
    Panel,
    Query,
    Row,
    curves,
    stat,
    steps,
    table,
    texts,
    up_and_down,
)
from grafana.promql import age, aggregate, calc, either, increase, matched, rate, scaled, select

NO_EXPORTER: Final = "Prometheus has nothing of an exporter in this time"
NO_ARCHIVE: Final = "No archive in PostgreSQL: `archive.url` is not set"
NO_ROUTER: Final = "No OpenWrt router"
_ALARM: Final = {"thresholds": steps((None, "green"), (1, "red"))}
_EVENTS = increase(select(metrics.COUNTER_EVENTS), "$__rate_interval")
_INTERVAL = select(metrics.SOURCE_INTERVAL)

_EACH: Final = ("instance", "source")
_FAILURES = either(
    aggregate("sum", _EACH, increase(select(metrics.SOURCE_POLL_FAILURES), "$__range")),
    scaled(0, aggregate("max", _EACH, select(metrics.SOURCE_UP))),
)
"""A reason has a series once a poll has failed for it."""

_LIMIT = matched(select(metrics.THRESHOLD_ARCHIVE_LAG), "and", select(metrics.ARCHIVE_LAG), ("job", "instance"))
"""Where there is an archive."""


def _by_reason(title: str, description: str, family: Family, empty: str) -> Panel:
    """How often it happened, by source and reason."""
    queries = [Query(increase(select(family), "$__rate_interval"), "{{source}} {{reason}}")]
    return curves(title, description, queries, COUNT, empty, draw=Draw(bars=True, stacked=True))


BOARD: Final = Dashboard(
    EXPORTER,
    "Bandwidth: Exporter",
    "Whether the exporter and its sources are well, how long polls take, and what became of odd counters.",
    [
        table(
            "Sources",
            "Every source: whether its last poll succeeded, how old its values are, how long a poll takes of its "
            "interval, and what failed in the chosen time. The log and the exporter's own page say why.",
            {"source": "Source", "kind": "Kind", "scope": "Scope"},
            [
                Column(
                    "",
                    select(metrics.SOURCE_INFO),
                    bring=("kind", "scope"),
                ),
                Column("State", select(metrics.SOURCE_UP), shows={"mappings": [UP_OR_DOWN]}),
                Column("Last success", scaled(1000, select(metrics.SOURCE_LAST_SUCCESS)), AGO),
                Column("Interval", _INTERVAL, SECONDS),
                Column("Poll takes", select(metrics.SOURCE_DURATION), SECONDS),
                Column("Of interval", calc(select(metrics.SOURCE_DURATION), "/", _INTERVAL), RATIO, shows=FULLNESS),
                Column("Polls", increase(select(metrics.SOURCE_POLLS), "$__range"), COUNT),
                Column("Failures", _FAILURES, COUNT),
                Column("Gaps", increase(select(metrics.SOURCE_GAPS), "$__range"), COUNT),
                Column("Clients over limit", select(metrics.CLIENTS_OVER), COUNT),
                Column("Resets in an hour", select(names.RESETS), COUNT),
            ],
            NO_EXPORTER,
        ).sized(24, 7),
        up_and_down(
            "Sources up and down",
            "Whether the last poll of each source had succeeded.",
            Query(select(metrics.SOURCE_UP), "{{source}}"),
            NO_EXPORTER,
        ),
        curves(
            "Poll time of the interval",
            "How long the polls of each source take, as a share of its interval; dashed: from where on that is slow.",
            [
                Query(calc(select(metrics.SOURCE_DURATION), "/", _INTERVAL), "{{source}}"),
                Query(select(metrics.THRESHOLD_POLL_DURATION), "slow"),
            ],
            RATIO,
            NO_EXPORTER,
            draw=Draw(dashed="^slow$"),
        ),
        curves(
            "Age of the values",
            "How long ago the last poll of each source succeeded.",
            [Query(age(select(metrics.SOURCE_LAST_SUCCESS)), "{{source}}")],
            SECONDS,
            NO_EXPORTER,
        ),
        _by_reason(
            "Failures by reason",
            "Polls that failed, by source and reason; docs/metrics.md explains each of them.",
            metrics.SOURCE_POLL_FAILURES,
            "No poll has failed",
        ),
        _by_reason(
            "Skipped records by reason",
            "Records of a meter that were skipped; docs/metrics.md explains each reason.",
            metrics.SOURCE_BAD_RECORDS,
            "No record was skipped",
        ),
        curves(
            "Counters that did not simply go on",
            "How many, by the rule that judged them; docs/metrics.md explains each. `new` and `rollover` are harmless.",
            [
                Query(
                    calc(aggregate("sum", ("instance", "source", "reason"), _EVENTS), ">", 0),
                    "{{source}} {{reason}}",
                )
            ],
            COUNT,
            "Nothing of the kind",
            draw=Draw(bars=True, stacked=True),
        ),
        curves(
            "Gaps",
            "Times when bytes of several intervals landed in one scrape, after a silence or when held series moved on. "
            "The peak in a rate at that time is no peak of traffic.",
            [Query(increase(select(metrics.SOURCE_GAPS), "$__rate_interval"), "{{source}}")],
            COUNT,
            NO_EXPORTER,
            draw=Draw(bars=True),
        ),
        curves(
            "Tables of routers",
            "How full nlbwmon's table is, of those that have a limit. When it is full, bytes are lost.",
            [
                Query(
                    calc(select(metrics.NLBWMON_ROWS), "/", calc(select(metrics.NLBWMON_ROWS_LIMIT), ">", 0)),
                    "{{source}}",
                )
            ],
            RATIO,
            NO_ROUTER,
            defaults={"min": 0, "max": 1},
        ),
        curves(
            "Clients over the limit",
            "Clients that have no series of their own, because as many as `limits.clients` allows have some.",
            [Query(select(metrics.CLIENTS_OVER), "{{source}}")],
            COUNT,
            NO_EXPORTER,
        ),
        Row(
            "Process",
            (
                stat(
                    "Version",
                    "Which version runs, and since when.",
                    [Query(select(metrics.BUILD_INFO), "{{version}} on Python {{python}}")],
                    PLAIN,
                    NO_EXPORTER,
                    history=False,
                    defaults={"mappings": [texts(_1=("runs", "blue"))]},
                ).naming(),
                stat(
                    "Configuration",
                    "Whether the configuration was read without an error when it was last read.",
                    [Query(select(metrics.RELOAD_SUCCESSFUL), "{{instance}}")],
                    PLAIN,
                    NO_EXPORTER,
                    history=False,
                    defaults={"mappings": [texts(_1=("in use", "green"), _0=("refused, see the log", "red"))]},
                ),
                stat(
                    "Commits that failed",
                    "How often the state could not be written in the chosen time. Nothing is lost, but nothing is "
                    "counted either until it can.",
                    [Query(increase(select(metrics.COMMIT_FAILURES), "$__range"), "{{instance}}")],
                    COUNT,
                    NO_EXPORTER,
                    history=False,
                    defaults=_ALARM,
                ),
                stat(
                    "Running for",
                    "How long the process runs.",
                    [
                        Query(
                            ours(age(select(names.STARTED))),
                            "{{instance}}",
                        )
                    ],
                    SECONDS,
                    NO_EXPORTER,
                    history=False,
                ),
                curves(
                    "Processor",
                    "Share of one processor core that the exporter uses.",
                    [
                        Query(
                            ours(rate(select(names.CPU))),
                            "{{instance}}",
                        )
                    ],
                    RATIO,
                    NO_EXPORTER,
                ),
                curves(
                    "Memory",
                    "Memory of the exporter.",
                    [Query(ours(select(names.MEMORY)), "{{instance}}")],
                    "bytes",
                    NO_EXPORTER,
                ),
                up_and_down(
                    "Scrapes",
                    "Whether Prometheus could scrape the exporter.",
                    Query(ours(select(names.UP)), "{{instance}}"),
                    NO_EXPORTER,
                ).sized(24, 4),
            ),
        ),
        Row(
            "Archive in PostgreSQL",
            (
                stat(
                    "Archive",
                    "Whether the last batch was taken.",
                    [Query(select(metrics.ARCHIVE_UP), "{{instance}}")],
                    PLAIN,
                    NO_ARCHIVE,
                    history=False,
                    defaults={"mappings": [UP_OR_DOWN]},
                ),
                stat(
                    "Tries that failed",
                    "How often a batch was not taken in the chosen time. Its rows wait, and are sent later.",
                    [Query(increase(select(metrics.ARCHIVE_FAILURES), "$__range"), "{{instance}}")],
                    COUNT,
                    NO_ARCHIVE,
                    history=False,
                    defaults=_ALARM,
                ),
                curves(
                    "How far it is behind",
                    "Age of the oldest row that waits for PostgreSQL; dashed: from where on it counts as behind.",
                    [
                        Query(select(metrics.ARCHIVE_LAG), "{{instance}}"),
                        Query(_LIMIT, "behind"),
                    ],
                    SECONDS,
                    NO_ARCHIVE,
                    draw=Draw(dashed="^behind$"),
                ).sized(6, 8),
                curves(
                    "Rows that wait",
                    "Rows that PostgreSQL does not have yet.",
                    [Query(select(metrics.ARCHIVE_PENDING), "{{instance}}")],
                    COUNT,
                    NO_ARCHIVE,
                ).sized(6, 8),
            ),
            collapsed=True,
        ),
    ],
)
