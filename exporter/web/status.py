"""The page at /: what a person wants to know first, without scripts or anything from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from html import escape

from exporter.committer import human_bytes
from exporter.model import Client
from exporter.naming import People
from exporter.privacy import OPEN, Privacy
from exporter.runtime import Runtime

TOP = 10
"""Clients shown for each source."""

_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bandwidth Exporter</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; overflow-wrap: anywhere }
td.n, th.n { text-align: right; white-space: nowrap }
.banner { background: #b58900; color: #000; padding: .5rem 1rem; border-radius: .3rem }
.bad { color: #c33; font-weight: 600 }
footer { margin-top: 2rem; opacity: .7 }
</style>
"""


def status_page(
    runtimes: Iterable[Runtime], people: People, *, version: str, banner: str, trouble: str, privacy: Privacy = OPEN
) -> str:
    """The whole page. banner: words for the top of it, or "". trouble: what keeps the exporter from counting, or ""."""
    parts = [_HEAD, "<h1>Bandwidth Exporter</h1>"]
    if banner:
        parts.append(f'<p class="banner">{escape(banner)}</p>')
    if trouble:
        parts.append(f'<p class="bad">{escape(privacy.text(trouble))}</p>')
    for runtime in runtimes:
        parts += [_source(runtime, privacy), _clients(runtime, people, privacy)]
    parts.append(f'<footer><a href="/metrics">Metrics</a> · version {escape(version)}</footer></html>')
    return "\n".join(parts).encode("utf-8", "replace").decode()  # a name or an answer may hold half a character


def _source(runtime: Runtime, privacy: Privacy) -> str:
    health = runtime.health
    state = (
        "up"
        if health.up
        else f'<span class="bad">down: {escape(privacy.text(health.last_error)) or "no poll yet"}</span>'
    )
    last = _when(health.last_success) if health.last_success else "never"
    return (
        f"<h2>{escape(runtime.facts.name)}</h2><p>{escape(runtime.facts.kind)}, {state}. "
        f"Last success {last}, every {runtime.facts.interval:g} s.</p>"
    )


def _clients(runtime: Runtime, people: People, privacy: Privacy) -> str:
    totals = runtime.memory.totals
    ranked = sorted(
        (
            (totals[key].download + totals[key].upload, key, client)
            for key, client in runtime.clients.items()
            if key in totals
        ),
        key=lambda row: (-row[0], row[1]),
    )
    if not ranked:
        return "<p>No clients yet.</p>"
    rows = "".join(
        _row(client, privacy.client(client, people).name, totals[key].download, totals[key].upload)
        for _, key, client in ranked[:TOP]
    )
    return (
        f"<p>{len(ranked)} clients; most bytes since first seen:</p>"
        '<table><tr><th>Client<th class="n">Download<th class="n">Upload<th>Connection</tr>'
        f"{rows}</table>"
    )


def _row(client: Client, called: str, download: int, upload: int) -> str:
    name = escape(called[:80])
    place = escape(client.connection if client.connected else f"{client.connection}, away")
    return f'<tr><td>{name}<td class="n">{human_bytes(download)}<td class="n">{human_bytes(upload)}<td>{place}</tr>'


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at))
