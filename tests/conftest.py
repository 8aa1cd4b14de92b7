"""What every test shares: the programs of scripts/setup-tests on the PATH, and Hypothesis' profiles."""

import os
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).parent.parent

for folder in ("bin", "usr/sbin", "usr/bin"):
    os.environ["PATH"] = f"{ROOT / '.venv/debian' / folder}{os.pathsep}{os.environ['PATH']}"

# The same examples on every run: a change that breaks nothing never fails. `make soak` looks for new ones.
settings.register_profile("default", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("soak", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
