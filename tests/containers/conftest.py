"""A real engine takes minutes to be had, and root. It runs in the soak, or by `make containers`."""

import os

collect_ignore = [] if os.environ.get("SOAK") else ["test_engine.py"]
