"""After an hour in which the exporter, its sources, or Prometheus was away, no alert over rates is even pending.

The pages are real (tests/e2e/lived.py), the shipped rules are evaluated by `promtool test rules` over all of the time,
and ALERTS is looked at as it was at each step. Beside them run the same rules without their guard: they do fire.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from tests.e2e.lived import EVENING, Install, busy_house, live
from tests.e2e.stored import RULES, alerted, rules

MINUTE: Final = 60.0
HOUR: Final = 3600.0
CALM: Final = 17 * MINUTE
"""Longer than a guard looks back."""

GUARD: Final = re.compile(
    r"^ *unless on \(job, instance, source\) changes\(bandwidth_source_gaps_total\[\w+\]\) > 0$", re.MULTILINE
)
UNGUARDED: Final = "Unguarded"


def test_an_hour_away(tmp_path: Path) -> None:
    with busy_house(EVENING, calm=True) as house:
        install = Install(tmp_path / "install", house, interval=240.0)
        install.start()
        live(house, CALM, install)
        install.stop()
        live(house, HOUR, install)
        install.start()
        live(house, CALM, install)
        house.set_down(down=True)
        live(house, HOUR, install)
        house.set_down(down=False)
        live(house, CALM, install)
        install.watched = False
        live(house, HOUR, install)
        install.watched = True
        live(house, CALM, install)
        install.stop()
    guarded = [rule for rule in rules(RULES / "alerts.yml") if GUARD.search(rule["expr"])]
    assert {"ClientRateHigh", "WanSaturated"} <= {rule["alert"] for rule in guarded}
    seen = alerted(tmp_path, install.shown, [unguarded(rule) for rule in guarded])
    assert {"ExporterDown", "SourceDown", "SourceStale"} <= {name for name, state in seen if state == "firing"}
    assert {name for name, _ in seen} & {rule["alert"] for rule in guarded} == set()
    assert {(f"{each}{UNGUARDED}", "firing") for each in ("ClientRateHigh", "WanSaturated")} <= seen


def unguarded(rule: dict[str, Any]) -> dict[str, Any]:
    """The same under another name, at once, and blind for gaps."""
    return {"alert": rule["alert"] + UNGUARDED, "expr": GUARD.sub("", rule["expr"])}
