"""The page holds whatever people and devices call themselves, and every parser accepts it."""

from __future__ import annotations

import re
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.exposition import CONTENT_TYPE, Exposition, assemble
from exporter.ledger import advance
from exporter.model import Client, Device, Gear, Memory, Moment, Poll, Port, Ssid, Wan
from exporter.naming import Person
from exporter.reload import Reloaded
from exporter.runtime import Runtime
from exporter.series import Scrapes, Stage
from exporter.service import Own
from tests.e2e.stack import Prometheus, eventually
from tests.scripted import SITE, facts, poll, reading

HOSTILE = [
    '"} 1\nup 0',
    "back\\slash \\n \\",
    'quo"te',
    "carriage\rreturn and \0 NUL",
    "emoji \N{PILE OF POO} and \u2028 line separator",
    "half an emoji \ud83d",
    "\udca9\ud83d",
    "x" * 4096,
    "",
    "   ",
    "# HELP up",
    "{name=~'.*'}",
]
REPLACED = "\N{REPLACEMENT CHARACTER}"
KNOWN_COMPLAINT = "bandwidth_counter_events_total metric name should not include type 'counter'\n"
"""promtool's one complaint is about a public name, and not about the page."""


read_openmetrics: Callable[[str], Iterable[Metric]] = openmetrics_families


def mac(number: int) -> str:
    return f"00:00:00:00:{number // 256:02x}:{number % 256:02x}"


def client(number: int, text: str) -> Client:
    """A client that has `text` wherever a name comes from outside."""
    here = mac(number)
    return Client(
        SITE, here, here, name=text, vendor=text, connection="wireless", network=text, ssid=text, ap=text, ip=text
    )


def gear(number: int, text: str) -> tuple[Gear, ...]:
    """A piece of each kind that has `text` wherever a name comes from outside."""
    here = mac(number)
    return (
        Device(SITE, here, name=text, model=text, version=text, ip=text, up=True),
        Wan(SITE, f"wan{number}", interface=text, ip=text, up=True),
        Port(SITE, here, "1", name=text, up=True),
        Ssid(SITE, f"{number} {text}", clients=1),
    )


def source(name: str, texts: Iterable[str], people: dict[str, Person] | None = None) -> dict[str, bytes]:
    """The blocks of a source with a client and gear for each text, all of which moved bytes."""
    texts = list(texts)
    runtime = Runtime(facts(name), Memory(), Stage(name, Scrapes(0.0), 3600.0), 0.0)
    shown = poll([reading(mac(n), 10**15 + n, n) for n in range(len(texts))], clients=[])
    parts = [piece for n, text in enumerate(texts) for piece in gear(n, text)]
    clients = [client(n, text) for n, text in enumerate(texts)]
    full = Poll(readings=shown.readings, clients=tuple(clients), gear=tuple(parts))
    changes = advance(runtime.memory, full, Moment(1, 0.0, 0.0), interval=30.0, max_rate=1e10)
    subjects = [piece.subject for piece in parts]
    plan = runtime.stage.plan(runtime.memory, changes, subjects, 1, 0.0)
    runtime.memory.take(changes, plan.shown)
    runtime.stage.adopt(plan)
    runtime.clients = {each.subjects[0]: one for each, one in zip(shown.readings, clients, strict=True)}
    runtime.gear = {piece.subject: piece for piece in parts}
    return dict(runtime.render(people or {}))


def page(*sources: dict[str, bytes]) -> str:
    return b"".join(assemble(sources)).decode()


def samples(text: str) -> list[Sample]:
    """All samples of a page, after every check that does not need another program."""
    families = list(text_string_to_metric_families(text))
    found = [sample for family in families for sample in family.samples]
    series = Counter((sample.name, tuple(sorted(sample.labels.items()))) for sample in found)
    assert series.most_common(1)[0][1] == 1, "a series stands twice"
    order = [line.split("{")[0].split(" ")[0] for line in text.split("\n") if line and not line.startswith("#")]
    runs = [name for name, before in zip(order, ["", *order], strict=False) if name != before]
    assert len(runs) == len(set(runs)), "a family is split"
    for what in ("HELP", "TYPE"):
        assert re.findall(rf"^# {what} (\S+)", text, re.MULTILINE) == runs
    # OpenMetrics leaves the end off where it names the family of a counter.
    bare = re.sub(r"^(# (?:HELP|TYPE) \S+?)_total(?= )", r"\1", text, flags=re.MULTILINE)
    strict = [sample for family in read_openmetrics(bare + "# EOF\n") for sample in family.samples]
    assert len(strict) == len(found)
    return found


def of(found: list[Sample], name: str) -> list[Sample]:
    return [sample for sample in found if sample.name == name]


def meant(text: str) -> str:
    """What of a text reaches Prometheus."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "".join(REPLACED if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 else c for c in whole)


def test_hostile_names_come_through() -> None:
    exposition = Exposition(Own(lambda: 0, lambda: Reloaded(successful=True, at=0.0)).render)
    exposition.publish({name: source(name, HOSTILE) for name in ("home", "attic")})
    whole = exposition.page()
    assert whole is not None
    text = whole.text()
    found = samples(text.decode())
    infos = {sample.labels["client"]: sample for sample in of(found, "bandwidth_client_info")}
    counted = {sample.labels["client"] for sample in of(found, "bandwidth_client_download_bytes_total")}
    assert infos.keys() == counted
    for number, name in enumerate(HOSTILE):
        assert infos[mac(number)].labels["vendor"] == meant(name.strip())
        if name.strip():
            assert infos[mac(number)].labels["name"] == meant(name.strip())
    assert all(sample.labels["name"] for sample in infos.values())
    for info in ("bandwidth_client_info", "bandwidth_client_connection_info"):
        assert len(of(found, info)) == 2 * len(HOSTILE)
    assert of(found, "up") == []

    verdict = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (verdict.returncode, verdict.stderr.decode()) == (3, KNOWN_COMPLAINT)


def test_nameless_clients_are_named_by_what_there_is() -> None:
    people = {mac(1): Person("Kitchen laptop")}
    found = samples(page(source("home", ["", "", " "], people)))
    names = [sample.labels["name"] for sample in of(found, "bandwidth_client_info")]
    assert names == [mac(0), "Kitchen laptop", mac(2)]


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(), max_size=40), min_size=1, max_size=4))
def test_any_text_comes_through(texts: list[str]) -> None:
    found = samples(page(source("home", texts), source("attic", texts[:1])))
    vendors = [sample.labels["vendor"] for sample in of(found, "bandwidth_client_info")]
    assert vendors == [meant(text.strip()) for text in [*texts, texts[0]]]


def test_a_page_is_packed_once_a_generation() -> None:
    exposition = Exposition()
    exposition.publish({"home": source("home", ["a"]), "attic": source("attic", ["b"])})
    first, again, attic = exposition.page(), exposition.page(), exposition.page("attic")
    assert first is not None
    assert attic is not None
    assert again is first
    assert first.gzip() is first.gzip()
    assert b'source="home"' not in attic.text()
    assert b'source="attic"' in attic.text()
    assert exposition.page("cellar") is None
    exposition.publish({"home": source("home", ["c"])})
    assert exposition.page() is not first
    assert exposition.generation == first.generation + 1


def test_a_real_server_scrapes_it(tmp_path: Path) -> None:
    text = page(source("home", HOSTILE)).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ExitStack() as stack:
        web = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        stack.callback(web.shutdown)
        threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        server = Prometheus(tmp_path / "prometheus", f"127.0.0.1:{web.server_address[1]}", "1s")
        stack.callback(server.end)
        server.start()
        eventually("it is scraped", lambda: server.query("up"), within=30)
        assert server.query("up")[0]["value"][1] == "1"
        names = {each["metric"].get("vendor", "") for each in server.query("bandwidth_client_info")}
        assert names == {meant(name.strip()) for name in HOSTILE}
