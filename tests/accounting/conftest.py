from __future__ import annotations

from pathlib import Path

import pytest

from exporter.store import State


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty state file: making one takes longer than a history."""
    path = tmp_path_factory.mktemp("ready") / "bandwidth.db"
    State.open(path).close()
    return path
