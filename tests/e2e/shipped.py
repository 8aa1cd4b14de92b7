"""The shipped configuration of Prometheus and Alertmanager, as it is but for addresses and durations."""

from __future__ import annotations

import json
import re
import shutil
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import yaml

from tests.conftest import ROOT
from tests.e2e.stack import Process, Prometheus, fetch, free_port

PROMETHEUS: Final = ROOT / "prometheus"
TEMPLATES: Final = Path("/usr/share/prometheus/alertmanager")
DURATIONS: Final[Mapping[str, str]] = {
    "scrape_interval": "1s",
    "scrape_timeout": "1s",
    "evaluation_interval": "1s",
    "interval": "1s",
    "for": "1s",
    "group_wait": "0s",
    "group_interval": "1s",
    "repeat_interval": "1h",
}
"""What to wait for in a test, by the key in the files."""

_DURATION: Final = re.compile(rf"\b({'|'.join(DURATIONS)})(: *)\d+[smhdwy]\b")


def quick(path: Path, addresses: Mapping[str, str]) -> str:
    """A shipped file's text with other addresses, each of which is in it, and short durations. Nothing else differs."""
    shipped = path.read_text()
    text = _DURATION.sub(lambda found: f"{found[1]}{found[2]}{DURATIONS[found[1]]}", shipped)
    for old, new in addresses.items():
        assert old in text, f"{path.name} does not name {old}"
        text = text.replace(old, new)
    for key, old, new in differences(yaml.safe_load(shipped), yaml.safe_load(text)):
        moved = old
        for address, other in addresses.items():
            moved = moved.replace(address, other)
        assert new == DURATIONS.get(key, moved), f"{path.name}: {key}: {old} became {new}"
    return text


def differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """The key under which two documents differ, and what each has there. Fails where their shape is not the same."""
    assert type(old) is type(new), f"{key}: {old} and {new}"
    if isinstance(old, dict):
        assert list(old) == list(new), key
        for name in old:
            yield from differences(old[name], new[name], name)
    elif isinstance(old, list):
        assert len(old) == len(new), key
        for one, other in zip(old, new, strict=True):
            yield from differences(one, other, key)
    elif old != new:
        yield key, str(old), str(new)


class ShippedPrometheus(Prometheus):
    """A real server with the shipped configuration and rules."""

    def __init__(self, folder: Path, target: str, alertmanager: str) -> None:
        super().__init__(folder, target, "1s")
        addresses = {"exporter:10477": target, "alertmanager:9093": alertmanager}
        (folder / "prometheus.yml").write_text(quick(PROMETHEUS / "prometheus.yml", addresses))
        (folder / "rules").mkdir()
        for path in (PROMETHEUS / "rules").glob("*.yml"):
            (folder / "rules" / path.name).write_text(quick(path, {}))

    def rules(self) -> list[dict[str, Any]]:
        """Every rule as the server evaluated it."""
        body = fetch(f"{self.url}/api/v1/rules")
        assert body is not None
        return [rule for group in json.loads(body)["data"]["groups"] for rule in group["rules"]]


class Alertmanager(Process):
    """A real server with the shipped configuration, in which a user wrote one webhook down for every receiver."""

    def __init__(self, folder: Path, webhook: str) -> None:
        folder.mkdir()
        config = folder / "alertmanager.yml"
        shipped = quick(PROMETHEUS / "alertmanager.yml", {})
        sent = f"[{{url: 'http://{webhook}/', send_resolved: true}}]"
        text = re.sub(r"(?m)^( *)- name: \w+$", rf"\g<0>\n\1  webhook_configs: {sent}", shipped)
        document = yaml.safe_load(text)
        assert all(receiver.pop("webhook_configs") for receiver in document["receivers"])
        assert document == yaml.safe_load(shipped)
        config.write_text(text)
        self.address = f"127.0.0.1:{free_port()}"
        program, home = alertmanager(folder)
        command = [
            program,
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]
        super().__init__(command, folder / "log", f"http://{self.address}/-/ready", cwd=home)

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """What it knows of an alert, whether it tells anybody or not."""
        matcher = urllib.parse.quote(f'alertname="{name}"')
        body = fetch(f"http://{self.address}/api/v2/alerts?filter={matcher}")
        assert body is not None
        found: list[dict[str, Any]] = json.loads(body)
        return found


def alertmanager(folder: Path) -> tuple[str, Path]:
    """The program, and where to start it.

    Debian's finds its templates only where its package is installed. Where that is only unpacked, a copy is made that
    looks for them below the folder it is started in.
    """
    found = shutil.which("prometheus-alertmanager")
    assert found, "there is no prometheus-alertmanager: scripts/setup-tests fetches it"
    if (TEMPLATES / "default.tmpl").exists():
        return found, folder
    copy = folder / "prometheus-alertmanager"
    copy.write_bytes(Path(found).read_bytes().replace(b"/usr/share/prometheus/", b"usr//share/prometheus/"))
    copy.chmod(0o755)
    return str(copy), Path(found).parents[2]


class Webhook:
    """Where a person is told: every notification that came in, in order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[dict[str, Any]] = []

    def alerts(self, name: str, status: str, since: int = 0) -> list[dict[str, Any]]:
        """The alerts of that name and status in the notifications from number `since` on."""
        every = [alert for told in self.told[since:] for alert in told["alerts"]]
        return [alert for alert in every if alert["labels"]["alertname"] == name and alert["status"] == status]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A server that takes what Alertmanager posts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.told.append(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken = Webhook(f"127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
