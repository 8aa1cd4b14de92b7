"""What the web server is made of, without a socket."""

from __future__ import annotations

import pytest

from exporter.clock import Clock
from exporter.service import _steady_of
from exporter.web.app import accepts_gzip


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("", False),
        ("gzip", True),
        ("GZip", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", True),
        ("*;q=0, gzip", True),
        ("*", True),
        ("*, gzip;q=0", False),
        ("gzip;q=0", False),
        ("gzip; q = 0.000", False),
        ("*;q=0", False),
        ("identity", False),
        ("x-gzipped, br", False),
        (",;,", False),
    ],
)
def test_what_a_header_allows(header: str, allowed: bool) -> None:
    assert accepts_gzip(header) is allowed


@pytest.mark.parametrize(("wall", "steady"), [(None, None), (1000.0, 49.0), (1001.0, 50.0), (9999.0, 50.0)])
def test_the_last_scrape_on_the_steady_clock(wall: float | None, steady: float | None) -> None:
    """One that lies ahead of a clock that was set back counts as one just now."""
    assert _steady_of(wall, Clock(wall=lambda: 1001.0, steady=lambda: 50.0)) == steady
