"""Takes the pictures of docs/images from the demo, in Chromium: `python -m docs.screenshots`, some minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.e2e.browser import picture
from tests.e2e.stack import eventually, fetch, free_port

IMAGES: Final = Path(__file__).parent / "images"
ROWS: Final = 24
"""Clients in all lists of the page, with which there is something to see."""


def main() -> None:
    """Write the pictures anew."""
    IMAGES.mkdir(exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "exporter",
            "demo",
            "--listen",
            f"127.0.0.1:{port}",
            "--state",
            f"{folder}/d.db",
        ]
        demo = subprocess.Popen(command, env=os.environ | {"TZ": "UTC"}, stdout=subprocess.DEVNULL)
        try:
            eventually("the demo's clients moved bytes", lambda: _rows(url) >= ROWS, within=600)
            picture(url, IMAGES / "status.png", 1100, 1500)
            picture(url, IMAGES / "status-dark.png", 1100, 1500, dark=True)
            picture(url, IMAGES / "status-phone.png", 500, 1500)
        finally:
            demo.terminate()
            demo.wait(timeout=30)


def _rows(url: str) -> int:
    return (fetch(url) or "").count('<td class="who"')


if __name__ == "__main__":
    main()
