"""What the shipped dashboards and rules cost a Prometheus that knows a week of many clients."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import week
from benchmarks.controller import mac
from tests.e2e.asked import Asked, Board, asked, boards, chosen, of_rules
from tests.e2e.stored import Stored

SPANS: Final = {"6 h": 6 * 3600.0, "7 d": 7 * 86_400.0}
ONE: Final = {"bandwidth-client": {"client": mac(16)}, "bandwidth-owner": {"owner": "flat 7"}}
"""What a visitor chooses where there is no All."""


class Cost(NamedTuple):
    """What the cheapest answer took: CPU seconds of Prometheus, which answers in one thread, and elapsed ones.

    points: how many values there are in it.
    """

    place: str
    cpu: float
    elapsed: float
    points: int
    error: str
    text: str


def main(clients: int, rounds: int, only: str = "", folder: Path | None = None) -> None:
    """Build, ask, and print. folder: to keep what is built, or to take it from."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        server = Stored((folder or Path(name)) / "prometheus", float(week.END), *week.OPTIONS)
        if not server.tsdb.exists():
            print(f"{week.build(server.tsdb, clients):,} series of {clients:,} clients and the demo")
        print(f"{sum(path.stat().st_size for path in server.tsdb.rglob('*') if path.is_file()) / 2**20:.0f} MiB")
        server.start()
        try:
            measure(server, rounds, only)
        finally:
            server.end()


def measure(server: Stored, rounds: int, only: str = "") -> None:
    """Ask everything, and print what it cost."""
    for label, span in SPANS.items():
        costs = [cost for board in boards() if only in board.uid for cost in of_board(server, board, span, rounds)]
        _print(f"range {label}", costs)
    _print("rules", of_the_rules(server, rounds), every=True)


def of_board(server: Stored, board: Board, span: float, rounds: int) -> list[Cost]:
    """Its variables, and every query."""
    choice = ONE.get(board.uid, {})

    def choose() -> tuple[int, str]:
        return len(chosen(board, server, **choice)), ""

    costs = [_cheapest(server, f"{board.uid}/variables", rounds, choose)]
    questions = [each for each in asked(board, server, span, **choice) if not each.sql]
    return costs + [
        _cheapest(server, each.place, rounds, partial(_answer, server, each), each.text) for each in questions
    ]


def of_the_rules(server: Stored, rounds: int) -> list[Cost]:
    """Each rule's evaluation, without sending or storing what comes out."""
    counted = [each._replace(text=f"count({each.text})") for each in of_rules()]
    return [
        _cheapest(server, f"{each.panel} {each.ref}", rounds, partial(_answer, server, each), each.text)
        for each in counted
    ]


def _answer(server: Stored, each: Asked) -> tuple[int, str]:
    answer = each.of(server)
    return len(answer.numbers()), answer.error


def _cheapest(server: Stored, place: str, rounds: int, ask: Callable[[], tuple[int, str]], text: str = "") -> Cost:
    costs = []
    for _ in range(rounds):
        begun, cpu = time.perf_counter(), server.cpu()
        points, error = ask()
        costs.append(Cost(place, server.cpu() - cpu, time.perf_counter() - begun, points, error, text))
    return min(costs, key=lambda cost: (cost.cpu, cost.elapsed))


def _print(title: str, costs: list[Cost], *, every: bool = False) -> None:
    costs = sorted(costs, key=lambda cost: -cost.cpu)
    over, whole = sum(cost.cpu >= 1 for cost in costs), sum(cost.cpu for cost in costs)
    print(f"\n{title}: {len(costs)} questions, {over} of a second and more, all together {whole:.1f} s of CPU")
    named = {cost.place.partition("/")[0] for cost in costs if "/" in cost.place}
    for name in sorted(named):
        print(f"  {sum(cost.cpu for cost in costs if cost.place.startswith(f'{name}/')):7.2f} s of CPU: all of {name}")
    for cost in costs:
        if cost.error or every or cost.cpu >= 0.2:
            said = cost.text if cost.cpu >= 1 else ""
            print(f"  {cost.cpu:7.2f} s {cost.elapsed:7.2f} s {cost.points:10,} {cost.place} {cost.error} {said}")
