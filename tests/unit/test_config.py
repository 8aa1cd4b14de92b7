from __future__ import annotations

import os
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr, ValidationError

from exporter.config import Config, ConfigError, KnownClient, Listen, NlbwmonSource, UnifiSource, Web, load, read
from exporter.configured import facts_of, settings_of
from exporter.model import Contract
from exporter.sources import SOURCES
from exporter.sources.nlbwmon import NlbwmonSettings
from exporter.sources.nlbwmon import NlbwmonSource as RouterSource

ROOT = Path(__file__).parents[2]
HERE = Path("config.yaml")

MINIMAL = """\
sources:
  - name: home
    kind: unifi
    url: https://192.168.1.1
    api_key: k3y
"""


def source(*lines: str) -> str:
    """The minimal configuration with more lines in its source, the first of them on line 6."""
    return MINIMAL + "".join(f"    {line}\n" for line in lines)


def top(*lines: str) -> str:
    """The minimal configuration behind more lines, which begin on line 1."""
    return "".join(f"{line}\n" for line in lines) + MINIMAL


def login(*lines: str) -> str:
    """The minimal configuration with another login; its lines begin on line 5."""
    return MINIMAL.replace("    api_key: k3y\n", "") + "".join(f"    {line}\n" for line in lines)


def refusal(text: str, env: dict[str, str] | None = None, path: Path = HERE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, path, env or {})
    assert str(caught.value).splitlines() == list(caught.value.messages)
    return list(caught.value.messages)


def controller(text: str) -> UnifiSource:
    (home,) = read(text, HERE, {}).sources
    assert isinstance(home, UnifiSource)
    return home


NO_DURATION = "is no duration; write a number and a unit, such as 30s or 5m"
NO_RATE = "is no rate; write a number and a unit, such as 250Mbit/s or 30MB/s"
NO_LISTEN = "is no address to listen on; write host:port, such as 127.0.0.1:10477 or [::1]:10477"
NO_MAC = "is no MAC address; write twelve hex digits, such as 02:aa:bb:cc:dd:01"
NO_ZONE = "is no time zone; write a name such as Europe/Berlin or UTC"
NO_URL = "is no address of a controller; write https://host or https://host:port"
NO_NAME = "is no name for a source; write up to 64 letters, digits, dots, dashes and underscores"
NO_KEY = "holds a character that no API key has (a space, a line break or a letter beyond ASCII)"
NO_FINGERPRINT = "is no fingerprint; write sha256: and the 64 hex digits of the certificate's own"
FINGERPRINT = "sha256:" + "0f" * 32
BAD = {
    # The file as a whole
    "nothing": ("", ["config.yaml: sources: is missing"]),
    "only a comment": ("# later\n", ["config.yaml: sources: is missing"]),
    "a list": ("- a\n", ["config.yaml:1: a configuration begins with keys, such as sources:"]),
    "no yaml": ("web: {\n", ["config.yaml:2: is no YAML: expected the node content, but found '<stream end>'"]),
    "tab": ("web:\n\tlisten: x\n", ["config.yaml:2: is no YAML: found character '\\t' that cannot start any token"]),
    "two documents": ("a: b\n---\nc: d\n", ["config.yaml:2: is no YAML: but found another document"]),
    "control character": ("a: b\nc: \x01\n", ["config.yaml:2: the character 0x1 is not allowed in YAML"]),
    "escape": ('a: "\\UFFFFFFFF"\n', ["config.yaml: is no YAML: a number in an escape or a directive is out of range"]),
    "anchor": (
        "a: &b c\nd: *b\n",
        ["config.yaml:1: anchors (&) and aliases (*) are not understood here; put the text in quotes"],
    ),
    "tag": ("a: !!int 3\n", ["config.yaml:1: tags (!) are not understood here; put the text in quotes"]),
    "deep": ("a: " + "[" * 30 + "]" * 30, ["config.yaml:1: is nested too deeply"]),
    "key is a list": (top("? [a]", ": b"), ["config.yaml: the key on line 1 is no text"]),
    "half a character": (
        top('state: "\\ud800"'),
        ["config.yaml:1: state: holds half a character (a lone surrogate)"],
    ),
    # Keys
    "unknown, near a known one": (
        source("intervall: 30s"),
        ["config.yaml:6: sources[0].intervall: is no key here; did you mean interval?"],
    ),
    "unknown": (
        top("web: {tls: yes}"),
        ["config.yaml:1: web.tls: is no key here; the keys are: listen"],
    ),
    "not read yet": (
        top("archive: {}"),
        [
            "config.yaml:1: archive: is no key here; the keys are: web, state, timezone, max_rate, client_ttl, "
            "new_series_hold, sources, wans, clients"
        ],
    ),
    "odd key": (
        top('"a\\nb": c'),
        [
            'config.yaml:1: ["a\\nb"]: is no key here; the keys are: web, state, timezone, max_rate, client_ttl, '
            "new_series_hold, sources, wans, clients"
        ],
    ),
    "twice": (
        top("web:", "  listen: 127.0.0.1:1", "  listen: 127.0.0.1:2"),
        ["config.yaml:3: web.listen: is written twice; the first one is on line 2"],
    ),
    "missing": (
        "sources:\n  - kind: unifi\n    api_key: a\n",
        ["config.yaml:2: sources[0].name: is missing", "config.yaml:2: sources[0].url: is missing"],
    ),
    "empty value": (MINIMAL.replace(" home", ""), ["config.yaml:2: sources[0].name: is missing"]),
    # Shapes
    "no source": ("sources: []\n", ["config.yaml:1: sources: is empty; write at least one source"]),
    "sources as a mapping": ("sources: {home: {}}\n", ["config.yaml:1: sources: must be a list"]),
    "source as text": (
        "sources: [home]\n",
        ["config.yaml:1: sources[0]: must be a mapping; write name, kind and the keys of that kind"],
    ),
    "empty source": (
        "sources:\n  -\n",
        ["config.yaml:2: sources[0]: must be a mapping; write name, kind and the keys of that kind"],
    ),
    "web as text": (top("web: here"), ["config.yaml:1: web: must be a mapping with the keys: listen"]),
    "sites as text": (source("sites: default"), ["config.yaml:6: sources[0].sites: must be a list"]),
    "line of no source": (
        top("wans:", "  attic/default/wan1: {download: 50Mbit/s}"),
        ['config.yaml:2: wans["attic/default/wan1"]: is a line of a source that is not in this file'],
    ),
    "no line": (
        top("wans:", "  wan1: {download: 50Mbit/s}"),
        [
            'config.yaml:2: wans.wan1: "wan1" is no line; write source/site/wan, such as home/default/wan1, or '
            "attic//wan for a router"
        ],
    ),
    "speed of a line": (
        top("wans:", "  home/default/wan1: {download: fast}"),
        [
            'config.yaml:2: wans["home/default/wan1"].download: "fast" is no rate; write a number and a unit, such as '
            "250Mbit/s or 30MB/s"
        ],
    ),
    "collect as text": (source("collect: ports"), ["config.yaml:6: sources[0].collect: must be a list"]),
    "exclude as text": (source("exclude: 02aabbccdd01"), ["config.yaml:6: sources[0].exclude: must be a list"]),
    "duration as a list": (source("interval: [30s]"), ["config.yaml:6: sources[0].interval: must be text"]),
    "flag as a list": (source("verify_tls: [no]"), ["config.yaml:6: sources[0].verify_tls: must be text"]),
    "path as a mapping": (top("state: {a: b}"), ["config.yaml:1: state: must be text"]),
    "listen as a mapping": (top("web: {listen: {host: a}}"), ["config.yaml:1: web.listen: must be text"]),
    "secret as a list": (login("api_key: [a]"), ["config.yaml:5: sources[0].api_key: must be text"]),
    "secret file as a list": (login("api_key_file: [a]"), ["config.yaml:5: sources[0].api_key_file: must be text"]),
    "clients as a list": (
        top("clients: [a]"),
        ['config.yaml:1: clients: must hold MAC addresses, such as "02:aa:bb:cc:dd:01": {name: Kitchen laptop}'],
    ),
    "client as text": (
        top("clients:", "  02:aa:bb:cc:dd:01: laptop"),
        ['config.yaml:2: clients["02:aa:bb:cc:dd:01"]: must be a mapping with the keys: name, owner, category'],
    ),
    "client's name as a list": (
        top("clients:", "  02:aa:bb:cc:dd:01: {name: [a]}"),
        ['config.yaml:2: clients["02:aa:bb:cc:dd:01"].name: must be text'],
    ),
    # Values
    "duration without unit": (source("interval: 30"), [f'config.yaml:6: sources[0].interval: "30" {NO_DURATION}']),
    "duration of two units": (top("client_ttl: 1h30m"), [f'config.yaml:1: client_ttl: "1h30m" {NO_DURATION}']),
    "interval too short": (
        source("interval: 0s"),
        ['config.yaml:6: sources[0].interval: "0s" is out of range; write 1s to 1d'],
    ),
    "timeout too long": (
        source("timeout: 2h"),
        ['config.yaml:6: sources[0].timeout: "2h" is out of range; write 1s to 1h'],
    ),
    "client_ttl too long": (
        top("client_ttl: 999d"),
        ['config.yaml:1: client_ttl: "999d" is out of range; write 1s to 366d'],
    ),
    "hold too long": (
        top("new_series_hold: 25h"),
        ['config.yaml:1: new_series_hold: "25h" is out of range; write 0s to 1d'],
    ),
    "rate without unit": (top("max_rate: 100G"), [f'config.yaml:1: max_rate: "100G" {NO_RATE}']),
    "rate of nothing": (source("max_rate: 0Mbit/s"), [f'config.yaml:6: sources[0].max_rate: "0Mbit/s" {NO_RATE}']),
    "listen without port": (top("web: {listen: localhost}"), [f'config.yaml:1: web.listen: "localhost" {NO_LISTEN}']),
    "listen, port too high": (top("web: {listen: 'a:65536'}"), [f'config.yaml:1: web.listen: "a:65536" {NO_LISTEN}']),
    "listen, bare IPv6": (top("web: {listen: '::1:80'}"), [f'config.yaml:1: web.listen: "::1:80" {NO_LISTEN}']),
    "listen, bad IPv6": (top("web: {listen: '[::g]:80'}"), [f'config.yaml:1: web.listen: "[::g]:80" {NO_LISTEN}']),
    "time zone": (top("timezone: Berlin"), [f'config.yaml:1: timezone: "Berlin" {NO_ZONE}']),
    "time zone, a folder": (top("timezone: Europe"), [f'config.yaml:1: timezone: "Europe" {NO_ZONE}']),
    "time zone, a path": (top("timezone: ../passwd"), [f'config.yaml:1: timezone: "../passwd" {NO_ZONE}']),
    "flag": (source("verify_tls: maybe"), ['config.yaml:6: sources[0].verify_tls: "maybe" is neither true nor false']),
    "kind": (
        MINIMAL.replace(" unifi", " openwrt"),
        ['config.yaml:3: sources[0].kind: "openwrt" is no kind of source; the kinds are: unifi, nlbwmon'],
    ),
    "name": (MINIMAL.replace(" home", " my home"), [f'config.yaml:2: sources[0].name: "my home" {NO_NAME}']),
    "name of the demo": (
        MINIMAL.replace(" home", " demo-x"),
        ['config.yaml:2: sources[0].name: "demo-x" is taken: names that begin with demo- are the demo\'s own'],
    ),
    "site": (
        source("sites: [Head Office]"),
        [
            'config.yaml:6: sources[0].sites[0]: "Head Office" is no site; write its short name as in the controller\'s'
            " URLs, such as default"
        ],
    ),
    "collection": (
        source("collect: [clients, lans]"),
        [
            'config.yaml:6: sources[0].collect[1]: "lans" cannot be collected; write any of clients, devices, wans, '
            "ports, ssids"
        ],
    ),
    "nothing to collect": (
        source("collect: []"),
        [
            "config.yaml:6: sources[0].collect: is empty; write any of clients, devices, wans, ports, ssids, or leave "
            "it out for all of them"
        ],
    ),
    "mac": (source("exclude: [02:aa]"), [f'config.yaml:6: sources[0].exclude[0]: "02:aa" {NO_MAC}']),
    "client's mac": (top("clients:", "  laptop: {}"), [f'config.yaml:2: clients.laptop: "laptop" {NO_MAC}']),
    "long value": (
        top("timezone: " + "é" * 99),
        [f'config.yaml:1: timezone: "{"é" * 79}…" {NO_ZONE}'],
    ),
    "value of several lines": (
        top('timezone: "a\\n\\e[2Jb"'),
        [f'config.yaml:1: timezone: "a\\n\\x1b[2Jb" {NO_ZONE}'],
    ),
    "home of nobody": (
        top("state: ~nobody-here/x.db"),
        ['config.yaml:1: state: "~nobody-here/x.db" is no path: there is no such home'],
    ),
    "url": (MINIMAL.replace("https://192.168.1.1", "192.168.1.1"), [f"config.yaml:4: sources[0].url: {NO_URL}"]),
    "url with a bad port": (MINIMAL.replace("8.1.1", "8.1.1:x"), [f"config.yaml:4: sources[0].url: {NO_URL}"]),
    "url with a space": (MINIMAL.replace("8.1.1", "8.1.1 x"), [f"config.yaml:4: sources[0].url: {NO_URL}"]),
    "url in the clear": (
        MINIMAL.replace("https", "http"),
        [
            "config.yaml:4: sources[0].url: must begin with https://; passwords and keys are sent in the clear "
            "without it"
        ],
    ),
    "url with a password": (
        MINIMAL.replace("192", "me:hush@192"),
        [
            "config.yaml:4: sources[0].url: must hold no user and password; they have keys of their own, username and "
            "password"
        ],
    ),
    "url with a path": (
        MINIMAL.replace("8.1.1", "8.1.1/network"),
        [
            "config.yaml:4: sources[0].url: must end after the host and the port; write https://host or "
            "https://host:port"
        ],
    ),
    # Logins
    "no login": (login(), ["config.yaml:2: sources[0]: cannot log in; write api_key, or username and password"]),
    "two logins": (
        source("username: me", "password: hush"),
        ["config.yaml:2: sources[0]: has an api_key beside username and password; keep the one or the other"],
    ),
    "no password": (
        login("username: me"),
        ["config.yaml:2: sources[0]: has no password; write api_key, or username and password"],
    ),
    "no user": (
        login("password: hush"),
        ["config.yaml:2: sources[0]: has no username; write api_key, or username and password"],
    ),
    "empty secret": (login('api_key: ""'), ["config.yaml:5: sources[0].api_key: is empty"]),
    "empty user": (login('username: ""', "password: hush"), ["config.yaml:5: sources[0].username: is empty"]),
    "odd api key": (login('api_key: "hush hush"'), [f"config.yaml:5: sources[0].api_key: {NO_KEY}"]),
    "no such secret file": (
        login("api_key_file: there/is/none"),
        ["config.yaml:5: sources[0].api_key_file: the file cannot be read (No such file or directory)"],
    ),
    "impossible secret file": (
        login('api_key_file: "a\\0b"'),
        ["config.yaml:5: sources[0].api_key_file: the file cannot be read (no such path)"],
    ),
    "secret twice": (
        source("api_key_file: key"),
        ["config.yaml:6: sources[0].api_key_file: stands beside api_key; keep one of them"],
    ),
    "ca_file without a check": (
        source("ca_file: ca.pem", "verify_tls: Off"),
        ["config.yaml:6: sources[0].ca_file: is of no use with verify_tls: false; remove one of them"],
    ),
    "fingerprint without a check": (
        source(f"fingerprint: {FINGERPRINT}", "verify_tls: no"),
        ["config.yaml:6: sources[0].fingerprint: is of no use with verify_tls: false; remove one of them"],
    ),
    "fingerprint beside ca_file": (
        source("ca_file: ca.pem", f"fingerprint: {FINGERPRINT}"),
        ["config.yaml:7: sources[0].fingerprint: stands beside ca_file, and alone decides; remove one of them"],
    ),
    "fingerprint": (
        source("fingerprint: sha1:aabb"),
        [f'config.yaml:6: sources[0].fingerprint: "sha1:aabb" {NO_FINGERPRINT}'],
    ),
    "fingerprint cut off": (
        source("fingerprint: sha256:aabb"),
        [f'config.yaml:6: sources[0].fingerprint: "sha256:aabb" {NO_FINGERPRINT}'],
    ),
    # Variables
    "variable not set": (
        login("api_key: ${UNIFI_KEY}"),
        ["config.yaml:5: sources[0].api_key: the environment variable UNIFI_KEY is not set"],
    ),
    "lone dollar": (
        login("username: me", "password: hu$sh"),
        [
            "config.yaml:6: sources[0].password: holds a lone $; write $$ for a dollar, or ${NAME} for an environment "
            "variable"
        ],
    ),
    "both at once": (
        top("timezone: ${A}/${B}"),
        [
            "config.yaml:1: timezone: the environment variable A is not set",
            "config.yaml:1: timezone: the environment variable B is not set",
        ],
    ),
    # Once only
    "two of a name": (
        MINIMAL + MINIMAL.removeprefix("sources:\n"),
        ['config.yaml:6: sources[1].name: "home" is on line 2 already; every source has its own name'],
    ),
    "two of a client": (
        top("clients:", "  02:aa:bb:cc:dd:01: {}", "  02-AA-BB-CC-DD-01: {}"),
        [
            'config.yaml:3: clients["02-AA-BB-CC-DD-01"]: "02-AA-BB-CC-DD-01" is on line 2 already; every client is '
            "written once"
        ],
    ),
    "two excluded": (
        source("exclude:", "- 02aabbccdd01", "- 02aa.bbcc.dd01"),
        ['config.yaml:8: sources[0].exclude[1]: "02aa.bbcc.dd01" is on line 7 already; every client is written once'],
    ),
}


@pytest.mark.parametrize(("text", "messages"), BAD.values(), ids=BAD)
def test_says_where_it_is_wrong_and_what_would_be_right(text: str, messages: list[str]) -> None:
    assert refusal(text) == messages


def test_all_errors_at_once_in_the_order_of_the_file() -> None:
    text = """\
timezone: Berlin
sources:
  - name: home
    kind: unify
    interval: 30
    username: ${NOBODY}
  - name: home
    kind: unifi
    url: https://a
    api_key: k
    colour: red
clients:
  laptop: {name: a}
"""
    assert [message.split(": ")[:2] for message in refusal(text, {"BANDWIDTH_LISTEN": "x"})] == [
        ["config.yaml:1", "timezone"],
        ["config.yaml:3", "sources[0]"],
        ["config.yaml:3", "sources[0].url"],
        ["config.yaml:4", "sources[0].kind"],
        ["config.yaml:5", "sources[0].interval"],
        ["config.yaml:6", "sources[0].username"],
        ["config.yaml:7", "sources[1].name"],
        ["config.yaml:11", "sources[1].colour"],
        ["config.yaml:13", "clients.laptop"],
        ["BANDWIDTH_LISTEN", f'"x" {NO_LISTEN}'],
    ]


@pytest.mark.parametrize(
    "written", [FINGERPRINT, FINGERPRINT.upper(), "SHA256:" + ":".join(["0F"] * 32), f'" {FINGERPRINT}"']
)
def test_fingerprints_as_other_programs_write_them(written: str) -> None:
    home = controller(source(f"fingerprint: {written}"))
    assert home.fingerprint == FINGERPRINT


def test_the_example_is_valid_and_names_every_key(tmp_path: Path) -> None:
    text = (ROOT / "config.example.yaml").read_text()
    (tmp_path / "password.txt").write_text("hush\n")
    config = read(text, tmp_path / "config.yaml", {})
    assert config.sources[0].password == SecretStr("hush")
    for model in (Config, Web, UnifiSource, KnownClient):
        for key in model.model_fields:
            assert f"{key}:" in text, key


def test_the_readme_shows_a_valid_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert read(text, HERE, {"UNIFI_PASSWORD": "hush"}).sources[0].password == SecretStr("hush")


def test_defaults() -> None:
    config = read(MINIMAL, Path("/etc/bandwidth/config.yaml"), {})
    assert config == Config(
        web=Web(listen=Listen("127.0.0.1", 10477)),
        state=Path("/etc/bandwidth/data/bandwidth.db"),
        timezone=None,
        max_rate=12.5e9,
        client_ttl=3600.0,
        new_series_hold=120.0,
        sources=(
            UnifiSource(
                name="home",
                kind="unifi",
                url="https://192.168.1.1",
                api_key=SecretStr("k3y"),
                sites=(),
                interval=30.0,
                timeout=20.0,
                verify_tls=True,
                ca_file=None,
                fingerprint=None,
                collect=frozenset({"clients", "devices", "wans", "ports", "ssids"}),
                exclude=frozenset(),
                max_rate=None,
            ),
        ),
        clients={},
    )


def test_everything_set(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"k3y\n")
    text = """\
web: {listen: "[::1]:9000"}
state: /var/lib/bandwidth.db
timezone: Asia/Kathmandu
max_rate: 2.5 Gbit/s
client_ttl: 2d
new_series_hold: 0s
sources:
  - name: büro.1
    kind: unifi
    url: https://unifi.lan:11443/
    api_key_file: key
    sites: [default, 8chars-x]
    interval: 90s
    timeout: 1.5m
    ca_file: certs/ca.pem
    collect: [clients, ssids]
    exclude: [12:34:56:11:22:33, 02-AA-BB-CC-DD-09]
    max_rate: 30MB/s
clients:
  12:34:56:11:22:33: {name: on, owner: 0123, category: ~}
"""
    config = read(text, tmp_path / "config.yaml", {})
    (home,) = config.sources
    assert isinstance(home, UnifiSource)
    assert config.web.listen == ("::1", 9000)
    assert config.state == Path("/var/lib/bandwidth.db")
    assert config.timezone == ZoneInfo("Asia/Kathmandu")
    assert (config.max_rate, config.client_ttl, config.new_series_hold) == (312.5e6, 172800.0, 0.0)
    assert (home.name, home.url, home.sites) == ("büro.1", "https://unifi.lan:11443", ("default", "8chars-x"))
    assert home.api_key is not None
    assert home.api_key.get_secret_value() == "k3y"
    assert (home.interval, home.timeout, home.max_rate) == (90.0, 90.0, 30e6)
    assert home.ca_file == tmp_path / "certs/ca.pem"
    assert home.collect == {"clients", "ssids"}
    assert home.exclude == {"12:34:56:11:22:33", "02:aa:bb:cc:dd:09"}
    assert config.clients == {"12:34:56:11:22:33": KnownClient(name="on", owner="0123", category="~")}


@pytest.mark.parametrize(
    ("text", "listen"),
    [("localhost:1", ("localhost", 1)), ("0.0.0.0:65535", ("0.0.0.0", 65535)), ("[::]:0", ("::", 0))],
)
def test_the_environment_overrides_listen(text: str, listen: tuple[str, int]) -> None:
    got = read(MINIMAL, HERE, {"BANDWIDTH_LISTEN": text}).web.listen
    assert got == listen
    assert str(got) == text


def test_an_empty_override_is_none() -> None:
    assert read(MINIMAL, HERE, {"BANDWIDTH_LISTEN": ""}).web.listen.port == 10477


def test_variables_in_whole_and_in_part() -> None:
    text = login("username: ${USER_NAME}", "password: a${PART}$$${PART}${EMPTY}")
    env = {"USER_NAME": "me: {x} # ${PART}", "PART": "<$>", "EMPTY": ""}
    (home,) = read(text, HERE, env).sources
    assert home.username == "me: {x} # ${PART}"
    assert home.password == SecretStr("a<$>$<$>")


def test_what_a_variable_held_is_not_shown() -> None:
    messages = refusal(source("interval: ${A}"), {"A": "hush"})
    assert messages == [f'config.yaml:6: sources[0].interval: "${{A}}" {NO_DURATION}']


def test_a_variable_that_is_no_text() -> None:
    odd = os.fsdecode(b"\xff")
    assert refusal(login("api_key: ${A}"), {"A": odd}) == [
        "config.yaml:5: sources[0].api_key: the environment variable A holds no UTF-8 text"
    ]


@pytest.mark.parametrize(
    ("content", "secret"), [(b"a", "a"), (b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b" $a ", " $a ")]
)
def test_a_secret_file_loses_one_final_newline(tmp_path: Path, content: bytes, secret: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    (home,) = read(login("username: me", "password_file: secret"), tmp_path / "c.yaml", {}).sources
    assert home.password == SecretStr(secret)


def test_a_bad_secret_in_a_file_is_reported_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"hush hush\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    path = tmp_path / "c.yaml"
    assert refusal(login("api_key_file: key"), path=path) == [f"{path}:5: sources[0].api_key: {NO_KEY}"]
    assert refusal(login("api_key_file: binary"), path=path) == [
        f"{path}:5: sources[0].api_key_file: the file holds no UTF-8 text"
    ]


def test_secrets_are_never_shown() -> None:
    config = read(login("username: me", "password: hush"), HERE, {})
    assert "hush" not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    wrong = login("username: me", "password: hush", "api_key: hush-hush", "interval: 1")
    assert "hush" not in "".join(refusal(wrong))


def test_the_configuration_is_frozen() -> None:
    config = read(MINIMAL, HERE, {})
    with pytest.raises(ValidationError):
        Config.__setattr__(config, "client_ttl", 1.0)


def test_load_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load(path, {}).sources[0].name == "home"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, ": cannot be read (No such file or directory)"), (b"a: b\n\xff", ":2: is no UTF-8 text")],
)
def test_load_refuses_what_it_cannot_read(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.messages == (f"{path}{words}",)


def test_a_router(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("open\n")
    text = """\
sources:
  - {name: attic, kind: nlbwmon, host: "[FE80::1]", key_file: ~/.ssh/id, passphrase_file: phrase, protocols: yes}
wans:
  attic//wan: {upload: 8Mbit/s}
"""
    config = read(text, tmp_path / "config.yaml", {})
    (attic,) = config.sources
    assert attic == NlbwmonSource(
        name="attic",
        kind="nlbwmon",
        host="fe80::1",
        port=22,
        username="root",
        key_file=Path.home() / ".ssh/id",
        passphrase=SecretStr("open"),
        known_hosts=tmp_path / "known_hosts",
        interval=30.0,
        timeout=20.0,
        protocols=True,
    )
    facts = facts_of(config, attic)
    assert (facts.kind, facts.scope, facts.contracts) == ("nlbwmon", "internet", (Contract("", "wan", None, 1e6),))
    settings = settings_of(attic)
    assert isinstance(settings, NlbwmonSettings)
    assert (settings.where, settings.passphrase) == ("ssh://root@fe80::1:22", "open")
    assert isinstance(SOURCES["nlbwmon"](settings), RouterSource)
