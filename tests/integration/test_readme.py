"""README.md, done as it says: both sources, pinned, checked and polled, from nothing but what stands there."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exporter.cli import app
from exporter.config import Config, load
from exporter.configured import settings_of
from exporter.demo.controller import DemoController
from exporter.demo.network import Bytes, Network
from exporter.sources import SOURCES
from tests.conftest import ROOT
from tests.nlbwmon import checked
from tests.nlbwmon.fakes import program
from tests.nlbwmon.servers import USER, Server

README = (ROOT / "README.md").read_text()
TYPED = re.compile(r"`bandwidth-exporter ((?:pin|check|run)[^`]*)`")


pytestmark = pytest.mark.usefixtures("own_log")


@contextmanager
def gear() -> Iterator[tuple[DemoController, Server]]:
    """A controller that keeps today's time, and a router, that know nobody yet."""
    home = Network(start=time.time())
    home.add_client("02:00:00:00:00:01", "phone", raw=Bytes(1000, 100), age=86400)
    with DemoController(home) as console:
        server = Server("dropbear")
        try:
            checked.make_well(server)
            yield console, server
        finally:
            server.close()


def blocks(language: str) -> list[str]:
    """The blocks of code in a language, without the indent of a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", README, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def written(folder: Path, console: DemoController, server: Server) -> Path:
    """What steps 2 of both tell to write, with the addresses of a controller and a router that are there."""
    home, attic = (text for text in blocks("yaml") if "kind:" in text)
    home = home.replace("https://192.168.1.1", console.url)
    assert "host: 192.168.2.1\n" in attic
    attic = attic.replace("192.168.2.1\n", f"127.0.0.1\n    port: {server.port}\n    username: {USER}\n")
    (folder / "password.txt").write_text(f"{console.password}\n")
    (folder / "router_key").write_bytes((server.folder / "user").read_bytes())
    path = folder / "config.yaml"
    path.write_text(home + attic)
    return path


def bind(server: Server) -> None:
    """What step 2 of the router does there, with the script and the line that it tells to write."""
    (server.folder / "orders").write_text(CliRunner().invoke(app, ["openwrt-script"]).stdout)
    program(server.folder / "bound", f"PATH={server.folder}/bin:$PATH exec /bin/sh {server.folder}/orders")
    line = re.search(r'echo "(restrict,.*) \$\(cat router_key\.pub\)"', README)
    assert line is not None
    restricted = line[1].replace('\\"', '"').replace("/etc/bandwidth-exporter", f"{server.folder}/bound")
    public = (server.folder / "user.pub").read_text()
    (server.folder / ".ssh/authorized_keys").write_text(f"{restricted} {public}")


def told(output: str, console: DemoController, server: Server) -> str:
    text = output.replace(console.url, "https://192.168.1.1").replace(
        f"{USER}@127.0.0.1:{server.port}", "root@192.168.2.1:22"
    )
    text = text.replace(f"{USER} is logged in", "root is logged in")
    text = re.sub(r"SHA256:\S+", "SHA256:key", text)
    return re.sub(r"\b\d+ (connected|rows|to read)", r"N \1", text)


def test_the_first_five_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = ""
    with gear() as (console, server):
        path = written(tmp_path, console, server)
        bind(server)
        commands = [typed.split() for typed in TYPED.findall(README)]
        assert [" ".join(typed) for typed in commands] == [
            "pin home", "check", "run", "pin attic", "check --source attic", "run"
        ]  # fmt: skip
        for typed in (commands[0], commands[3]):
            result = CliRunner().invoke(app, [*typed, "--yes"])
            assert result.exit_code == 0, result.output
        for typed in (commands[1], commands[4]):
            result = CliRunner().invoke(app, typed)
            assert result.exit_code == 0, result.output
            said += told(result.output, console, server)
        polled = {entry.name: len(poll(path, entry.name)) for entry in load(path, {}).sources}
    assert polled == {"home": 1, "attic": 4}
    shown = [told(line, console, server) for text in blocks("text") for line in text.splitlines()]
    assert [line for line in shown if line not in said.splitlines()] == []


def poll(path: Path, name: str) -> tuple[object, ...]:
    config: Config = load(path, {})
    (entry,) = (entry for entry in config.sources if entry.name == name)
    source = SOURCES[entry.kind](settings_of(entry))
    try:
        return source.poll().clients
    finally:
        source.close()


def test_prometheus_takes_what_is_written_for_it(tmp_path: Path) -> None:
    (text,) = (text for text in blocks("yaml") if "scrape_configs" in text)
    path = tmp_path / "prometheus.yml"
    path.write_text(text)
    subprocess.run(["promtool", "check", "config", path], check=True, capture_output=True)
    (queries,) = blocks("promql")
    asked = [query.strip() for query in re.split(r"^#.*\n", queries, flags=re.MULTILINE) if query.strip()]
    assert len(asked) == 3
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(asked)]
    path.write_text(json.dumps({"groups": [{"name": "readme", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", path], check=True, capture_output=True)


def test_its_shell_commands_are_commands() -> None:
    for text in blocks("sh"):
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_its_links_lead_somewhere() -> None:
    for link, place in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", README):
        assert (ROOT / link).exists(), link
        if place:
            headings = re.findall(r"^#+ (.*)$", (ROOT / link).read_text(), re.MULTILINE)
            assert place in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, link


def test_its_metrics_exist() -> None:
    metrics = (ROOT / "docs/metrics.md").read_text()
    named = set(re.findall(r"bandwidth_[a-z_]+[a-z]", README)) - {"bandwidth_source", "bandwidth_wan"}
    assert named
    assert [name for name in named if f"### {name}\n" not in metrics] == []
