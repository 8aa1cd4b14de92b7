#!/usr/bin/env python3
"""Prints the part of requirements.lock that is needed for something, with its hashes.

Without names: what the exporter needs to run, and none of what its development needs. With names: these packages and
what they need. The lock's own comments (`# via`) say who needs what.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements.lock"
OURSELVES = "bandwidth-exporter (pyproject.toml)"


def entries(lock: str) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Each package of a lock: its name, its lines, and who needs it."""
    for text in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]:
        comments = [line.strip().lstrip("# ") for line in text.splitlines() if line.lstrip().startswith("#")]
        needed_by = frozenset(filter(None, (line.removeprefix("via").strip() for line in comments)))
        yield text.partition("==")[0], text, needed_by


def closure(lock: str, wanted: Iterable[str]) -> str:
    """The lines of what is wanted, or of what running needs where nothing is. Raises KeyError for what is not there."""
    known = {name: (text, needed_by) for name, text, needed_by in entries(lock)}
    taken = set(wanted) or {name for name, (_, needed_by) in known.items() if OURSELVES in needed_by}
    while more := {name for name, (_, needed_by) in known.items() if needed_by & taken} - taken:
        taken |= more
    return "".join(known[name][0] for name in sorted(taken))


if __name__ == "__main__":
    try:
        sys.stdout.write(closure(LOCK.read_text(), sys.argv[1:]))
    except KeyError as missing:
        sys.exit(f"requirements.lock has no {missing}")
