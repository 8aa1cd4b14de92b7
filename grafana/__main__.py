"""Writes dashboards/*.json: `python -m grafana`, or `make docs`. A test compares."""

from __future__ import annotations

from grafana.files import FOLDER, written

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, text in written().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
