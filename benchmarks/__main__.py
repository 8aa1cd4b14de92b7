"""`python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import resource
from typing import Final

from benchmarks import archive, months, polls, scrapes, sources

MIB: Final = 1024 * 1024
BUDGET: Final = 25e-6
"""CPU seconds a poll may take for each client: 250 ms for 10,000 (docs/performance.md)."""


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What polls and scrapes cost.")
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=30, help="polls, of which the cheapest counts")
    parser.add_argument("--moving", type=float, nargs="+", default=[0.3, 1.0], help="shares of clients that move")
    commands = parser.add_subparsers(dest="command")
    many = commands.add_parser("sources", help="many controllers at once, a third of them sick")
    many.add_argument("--sources", type=int, default=200)
    many.add_argument("--seconds", type=float, default=180.0, help="how long to watch")
    many.add_argument("--interval", type=float, default=10.0)
    many.add_argument("--timeout", type=float, default=20.0)
    asked = commands.add_parser("archive", help="every question to an archive of many rows, on both databases")
    asked.add_argument("--rows", type=int, default=5_000_000, help="of five minutes")
    long = commands.add_parser("months", help="polls upon three months, after a week away, while PostgreSQL catches up")
    long.add_argument("--minutes", type=int, default=105, help="simulated, from 22:33 on")
    shown = commands.add_parser("dashboards", help="every query of every dashboard and rule, over a week")
    shown.add_argument("--only", default="", help="of dashboards whose name has this in it")
    options = parser.parse_args()
    if options.command == "months":
        months.main(options.clients, options.moving[0], options.minutes)
        return
    if options.command == "archive":
        archive.main(options.rows, min(options.rounds, 5))
        return
    if options.command == "dashboards":
        from benchmarks import dashboards  # which needs what the tests need

        dashboards.main(options.clients, min(options.rounds, 3), options.only)
        return
    if options.command == "sources":
        sources.main(options.sources, options.seconds, options.interval, options.timeout)
        return
    clients: int = options.clients
    costs: list[polls.Cost] = []
    for moving in options.moving:
        print(f"\n{clients:,} clients, {moving:.0%} of them moving; CPU ms of the cheapest of {options.rounds} polls")
        costs.append(polls.measure(clients, moving, options.rounds))
        _print_poll(costs[-1], clients)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(f"peak resident memory so far: {peak / MIB:.0f} MiB")
    cost = costs[-1]
    _print_scrape(scrapes.measure(cost.page))
    if clients <= polls.YARDSTICK_LIMIT:
        number, seconds = scrapes.by_prometheus_client(cost.page)
        ratio = seconds / cost.stages["render"]
        print(f"prometheus-client renders {number:,} samples in {seconds * 1000:.0f} ms, {ratio:.1f} times `render`")


def _print_poll(cost: polls.Cost, clients: int) -> None:
    for name, seconds in cost.stages.items():
        print(f"  {name:10}{seconds * 1000:8.1f}{seconds / cost.whole:8.0%}")
    budget = clients * BUDGET
    print(f"  {'whole':10}{cost.whole * 1000:8.1f}   {cost.whole / budget:.2f} of the budget, {budget * 1000:.0f}")
    print(f"document {cost.document / MIB:.1f} MiB, page {len(cost.page.text()) / MIB:.1f} MiB")
    if cost.yardstick is not None:
        print(f"yardstick, json.loads of the document: {cost.yardstick * 1000:.1f}; the whole is ", end="")
        print(f"{cost.whole / cost.yardstick:.2f} of it")


def _print_scrape(cost: scrapes.Cost) -> None:
    print("\nthe page; CPU ms")
    print(f"  gzip, level 1    {cost.gzip * 1000:8.1f}   {cost.size / MIB:.1f} to {cost.compressed_size / MIB:.2f} MiB")
    print(f"  gzip, level 6    {cost.gzip_6 * 1000:8.1f}   {cost.compressed_size_6 / MIB:.2f} MiB")
    print(f"  a scrape, plain  {cost.plain * 1000:8.1f}")
    print(f"  a scrape, gzip   {cost.compressed * 1000:8.1f}")


if __name__ == "__main__":
    main()
