"""`python -m docs.preview URL FOLDER [UID:VARIABLE=VALUE]…` writes FOLDER/UID.png, as the Prometheus at URL answers.

VARIABLE is one of the dashboard, or `span` for the time range, such as 6h.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

from docs.preview.page import pictures


def main() -> None:
    """Draw all of them, up to now."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    url, folder, *chosen = sys.argv[1:]
    choices: dict[str, dict[str, str]] = defaultdict(dict)
    for each in chosen:
        uid, _, choice = each.partition(":")
        variable, _, value = choice.partition("=")
        choices[uid][variable] = value
    for path in pictures(url, Path(folder), choices, time.time()):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
