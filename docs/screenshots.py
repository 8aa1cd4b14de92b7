"""Takes the pictures of docs/images from the demo, in Chromium: `python -m docs.screenshots`, some minutes.

The status page as it is, and the dashboards as docs/preview draws them, of a day that is lived at speed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from docs.preview.page import pictures
from tests.e2e.browser import picture
from tests.e2e.lived import EVENING, Install, busy_house, live
from tests.e2e.stack import eventually, fetch, free_port
from tests.e2e.stored import stored

IMAGES: Final = Path(__file__).parent / "images"
ROWS: Final = 24
"""Clients in all lists of the page, with which there is something to see."""


DASHBOARDS: Final[dict[str, dict[str, str]]] = {
    "bandwidth-overview": {},
    "bandwidth-client": {"client": "02:00:5e:00:00:04"},
    "bandwidth-wan": {},
}
"""Which of them are shown, with what is chosen in them."""

HIGHEST: Final = 1440
"""Pixels of them, of 1600 across."""

LIVED: Final = 25 * 3600.0
"""Seconds that are lived for them."""


def main() -> None:
    """Write the pictures anew."""
    IMAGES.mkdir(exist_ok=True)
    take_dashboards()
    take_status()


def take_dashboards() -> None:
    """Let a day pass at the demo's house, and draw what a real Prometheus makes of it."""
    with TemporaryDirectory() as folder, busy_house(EVENING - LIVED) as house:
        install = Install(Path(folder) / "install", house)
        install.start()
        live(house, LIVED, install)
        install.stop()
        with stored(Path(folder) / "stored", install.shown) as server:
            drawn = Path(folder) / "drawn"
            for path in pictures(server.url, drawn, DASHBOARDS, server.end_at, highest=HIGHEST):
                if path.stem in DASHBOARDS:
                    path.rename(IMAGES / path.name)


def take_status() -> None:
    """The page of a demo that runs for a while."""
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
