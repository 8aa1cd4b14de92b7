"""The status page as Chromium shows it: on a phone and on a desk, with nobody, a household and a town on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.overview import ClientRow, LineRow, OwnerRow, QuotaRow
from exporter.recent import Rate
from exporter.web.status import Status, status_page
from tests.e2e.browser import measure, picture
from tests.unit.test_status import HOSTILE, NOW, VIEW

NAMES = ['"} 1\nup 0', *HOSTILE, "\u202egnirts eht fo dne", "Ḁ̸̛̭̥n̶g̷r̴y̵" * 20, "שלום עולם", "名前" * 60]


def page(clients: int) -> str:
    """Two sources with so many clients, the busiest of them hostile; one is down."""
    top = tuple(
        ClientRow(name, name, f"wireless, {name}", 1.25e8 / place, 1e6 / place, 0.5 / place)
        for place, name in enumerate((NAMES * 2)[: min(clients, 10)], 1)
    )
    lines = (LineRow("default " + "w" * 64, True, Rate(1.2e8, 3e6), 0.99, None),)
    owners = tuple(OwnerRow(name, clients, 10**15, 10**12) for name in NAMES)
    here = replace(VIEW, clients=clients, top_now=top, top_today=top, lines=lines, owners=owners, held=clients, gaps=3)
    down = replace(here, name="s" * 64, up=False, error=HOSTILE[-1], error_at=NOW - 60, notices=(HOSTILE[-1],))
    quotas = tuple(
        QuotaRow(name, name, "2026-11-17 to 2026-12-16", 10**17, 10**15, 100.0, 999.0, "used up") for name in NAMES
    )
    status = Status((here, down), banner="A demo.", warnings=(HOSTILE[-1],), facts=(HOSTILE[-1],))
    return status_page(replace(status, quotas=quotas, left_out=(HOSTILE[-1],)), NOW)


@pytest.mark.parametrize("clients", [0, 5, 5000])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_and_nothing_hostile_is_run(clients: int, width: int, tmp_path: Path) -> None:
    found = json.loads(measure(page(clients), width, tmp_path))
    assert found["width"] <= width
    assert (found["scripts"], found["images"], found["cut"]) == (0, 0, 0)


def test_light_and_dark_follow_the_reader(tmp_path: Path) -> None:
    light, dark = (json.loads(measure(page(5), 360, tmp_path, dark=dark)) for dark in (False, True))
    assert light["back"] != dark["back"]
    assert light["color"] != dark["color"]


def test_a_picture_can_be_taken(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page(5), encoding="utf-8")
    picture((tmp_path / "page.html").as_uri(), tmp_path / "page.png", 800, 600)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
