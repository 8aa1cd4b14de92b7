"""The files that are made of the dashboards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from grafana.boards import DASHBOARDS

FOLDER: Final = Path(__file__).parent / "dashboards"


def written() -> dict[str, str]:
    """The text of every file in FOLDER, by its name."""
    return {f"{board.uid}.json": json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n" for board in DASHBOARDS}
