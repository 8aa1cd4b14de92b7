"""Is every row of the ledger's table held by a test? `python -m tests.ledger.mutants` breaks them one by one.

Each mutant is the ledger with one thing altered, in memory only. It must make small tests fail; which ones is printed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib.machinery import SourceFileLoader
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from _pytest.runner import runtestprotocol

from exporter import ledger

HERE = Path(__file__).parent
LEDGER = HERE.parent.parent / "exporter" / "ledger.py"
TESTS = sorted(str(path) for pattern in ("test_row*.py", "test_seed_timeline.py") for path in HERE.glob(pattern))
PROCESSES = 2
SHOWN = 3


class Mutant(NamedTuple):
    """`old` stands in the ledger exactly once; with `new` in its place the row no longer holds."""

    row: str
    what: str
    old: str
    new: str


def mutants() -> list[Mutant]:
    """They stand in mutants.txt: the row and what is altered, then old lines (-) and new ones (+)."""
    found = []
    for block in (HERE / "mutants.txt").read_text().strip("\n").split("\n\n"):
        title, *lines = block.split("\n")
        row, _, what = title.partition(": ")
        old, new = ("\n".join(line[1:] for line in lines if line.startswith(sign)) for sign in "-+")
        found.append(Mutant(row, what, old, new))
    return found


class Mutations:
    """A pytest plugin that runs the collected tests once for every mutant, until `most` of them have failed."""

    def __init__(self, mutants: list[Mutant], most: int) -> None:
        self.mutants, self.most = mutants, most
        self.failing: list[list[str]] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        text = LEDGER.read_text()
        with tempfile.TemporaryDirectory() as folder:
            for number, mutant in enumerate(self.mutants):
                changed = Path(folder) / f"ledger_{number}.py"
                changed.write_text(text.replace(mutant.old, mutant.new))
                SourceFileLoader(ledger.__name__, str(changed)).exec_module(ledger)
                self.failing.append(list(islice(failures(session.items), self.most)))
        return True


def failures(items: list[pytest.Item]) -> Iterator[str]:
    """The names of the tests that fail, one by one."""
    for item in items:
        if any(report.failed for report in runtestprotocol(item, log=False)):
            yield item.name


def run(mutants: list[Mutant], most: int) -> list[list[str]]:
    """For every mutant the tests that fail with it. To be called in a process of its own, which keeps the last one."""
    mutations = Mutations(mutants, most)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main(["-q", "--noconftest", "-pno:cacheprovider", *TESTS], plugins=[mutations])
    return mutations.failing


def main() -> int:
    """Print row → mutant → failing tests; 1 if a mutant goes unnoticed, or does not fit the ledger any more."""
    text, every = LEDGER.read_text(), mutants()
    strange = [mutant for mutant in every if text.count(mutant.old) != 1]
    for mutant in strange:
        print(f"{mutant.row:>6}  {mutant.what}: stands {text.count(mutant.old)} times in the ledger: {mutant.old!r}")
    if strange:
        return 1
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    untouched = Mutant("none", "the ledger as it is", "", "")
    shares = [[untouched, *every[process::PROCESSES]] for process in range(PROCESSES)]
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        results = pool.map(partial(run, most=SHOWN), shares, chunksize=1)
    noticed = {
        mutant: names
        for share, found in zip(shares, results, strict=True)
        for mutant, names in zip(share, found, strict=True)
    }
    broken = noticed.pop(untouched)
    for mutant in every:
        print(f"{mutant.row:>6}  {mutant.what}  →  {', '.join(noticed[mutant]) or 'NOTHING NOTICES IT'}")
    survivors = sum(not names for names in noticed.values())
    print(f"{len(every)} mutants of {len({mutant.row for mutant in every})} rules, {survivors} unnoticed")
    if broken:
        print(f"But the ledger as it is fails already: {', '.join(broken)}")
    return 1 if survivors or broken else 0


if __name__ == "__main__":
    sys.exit(main())
