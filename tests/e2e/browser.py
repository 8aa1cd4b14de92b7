"""A page in a real browser: Chromium without a window, in a profile of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

# Without these it looks for its makers' hosts at every start.
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

# The page in a frame as wide as the screen in question, and what becomes of it. srcdoc is of this page's own origin, so
# that it can be measured.
MEASURE = """<!doctype html><body style="margin:0"><iframe id="f" style="border:0;width:{width}px;height:4000px"
srcdoc="{page}"></iframe><pre id="out">not loaded</pre><script>
const frame = document.getElementById("f");
frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement;
  const cut = [...page.querySelectorAll("b, td.n, h2, p")].filter(
    (e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline");
  document.getElementById("out").textContent = JSON.stringify({{
    width: root.scrollWidth, scripts: page.scripts.length, images: page.images.length, cut: cut.length,
    color: getComputedStyle(page.body).color, back: getComputedStyle(page.body).backgroundColor,
  }});
}};
</script></body>"""


@contextmanager
def _profile() -> Iterator[str]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield folder


def _chromium(*arguments: str) -> str:
    with _profile() as profile:
        command = ["chromium", *QUIET, f"--user-data-dir={profile}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def measure(page: str, width: int, folder: Path, *, dark: bool = False) -> str:
    """What a browser makes of a page on a screen so many pixels wide: JSON, see MEASURE."""
    harness = folder / f"harness-{width}.html"
    harness.write_text(MEASURE.format(width=width, page=escape(page)), encoding="utf-8")
    scheme = "--blink-settings=preferredColorScheme=" + ("0" if dark else "1")
    document = _chromium(scheme, "--virtual-time-budget=5000", "--dump-dom", harness.as_uri())
    return document.partition('<pre id="out">')[2].partition("</pre>")[0]


def picture(url: str, path: Path, width: int, height: int, *, dark: bool = False) -> None:
    """A PNG of what a browser shows at a URL."""
    scheme = "--blink-settings=preferredColorScheme=" + ("0" if dark else "1")
    _chromium(scheme, f"--window-size={width},{height}", f"--screenshot={path}", url)
