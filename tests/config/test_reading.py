from __future__ import annotations

import math
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from exporter.accounting.periods import Cycle
from exporter.accounting.quotas import Quota as Account
from exporter.config import (
    Config,
    ConfigError,
    KnownClient,
    Listen,
    NlbwmonSource,
    UnifiSource,
    Web,
    load,
    read,
    values,
)
from exporter.config.schema import Archive, Contract, Limits, Privacy, Quota, Retention
from exporter.configured import facts_of, quotas_of, settings_of
from exporter.model import Contract as Line
from exporter.sources import SOURCES
from exporter.sources.nlbwmon import NlbwmonSettings
from exporter.sources.nlbwmon import NlbwmonSource as RouterSource

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


FINGERPRINT = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    "written", [FINGERPRINT, FINGERPRINT.upper(), "SHA256:" + ":".join(["0F"] * 32), f'" {FINGERPRINT}"']
)
def test_fingerprints_as_other_programs_write_them(written: str) -> None:
    home = controller(source(f"fingerprint: {written}"))
    assert home.fingerprint == FINGERPRINT


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


def test_the_environment_overrides_state() -> None:
    written = f"state: elsewhere.db\n{MINIMAL}"
    assert read(written, HERE, {"BANDWIDTH_STATE": "/var/lib/b.db"}).state == Path("/var/lib/b.db")
    assert read(written, HERE, {"BANDWIDTH_STATE": ""}).state == HERE.parent / "elsewhere.db"


def test_variables_in_whole_and_in_part() -> None:
    text = login("username: ${USER_NAME}", "password: a${PART}$$${PART}${EMPTY}")
    env = {"USER_NAME": "me: {x} # ${PART}", "PART": "<$>", "EMPTY": ""}
    (home,) = read(text, HERE, env).sources
    assert home.username == "me: {x} # ${PART}"
    assert home.password == SecretStr("a<$>$<$>")


@pytest.mark.parametrize(
    ("content", "secret"), [(b"a", "a"), (b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b" $a ", " $a ")]
)
def test_a_secret_file_loses_one_final_newline(tmp_path: Path, content: bytes, secret: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    (home,) = read(login("username: me", "password_file: secret"), tmp_path / "c.yaml", {}).sources
    assert home.password == SecretStr(secret)


def test_secrets_are_never_shown() -> None:
    config = read(login("username: me", "password: hush"), HERE, {})
    assert "hush" not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    wrong = login("username: me", "password: hush", "api_key: hush-hush", "interval: 1")
    assert "hush" not in "".join(refusal(wrong))


def test_the_password_in_a_url_is_not_shown() -> None:
    config = read('archive: {url: "postgresql://me:hu%40sh@db:5432/x?sslmode=require"}\n' + MINIMAL, HERE, {})
    assert config.archive.url is not None
    assert str(config.archive.url) == "postgresql://me:<secret>@db:5432/x?sslmode=require"
    assert config.archive.url.get_secret_value() == "postgresql://me:hu%40sh@db:5432/x?sslmode=require"
    assert "hu%40sh" not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"


@pytest.mark.parametrize("url", ["postgresql:///x", "postgresql:///x?host=/run/postgresql", "postgresql://me@[::1]/x"])
def test_a_url_without_password_is_shown_as_it_is(url: str) -> None:
    assert str(values.database(url)) == url


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1.5m", 90),
        ("1h30m", 5400),
        ("2 h", 7200),
        ("1y1w1d", 373 * 86400),
        ("0.001d", 86.4),
        ("100y", 36500 * 86400),
    ],
)
def test_durations_as_people_write_them(text: str, seconds: float) -> None:
    assert values.duration("0s", "36500d")(text) == seconds


@given(st.integers(0, 36_500 * 86_400_000))
def test_a_duration_is_written_as_it_is_read(milliseconds: int) -> None:
    assert values.duration("0s", "36500d")(values.as_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,3})? ?[kMGT]?(bit|B)/s", fullmatch=True))
def test_a_rate_is_written_as_it_is_read(text: str) -> None:
    try:
        rate = values.rate(text)
    except values.Wrong:
        assert not text.strip("0. kMGTbitB/s")
    else:
        assert values.rate(values.as_rate(rate)) == rate


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500GB", 500 * 10**9),
        ("1.5 TB", 1_500 * 10**9),
        ("2TiB", 2**41),
        ("0.5kB", 500),
        ("7B", 7),
        ("1KiB", 1024),
        ("0.001kB", 1),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert values.size(text) == size


@given(st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,3})? ?([kMGTP]?|[KMGTP]i)B", fullmatch=True))
def test_a_size_is_written_as_it_is_read(text: str) -> None:
    try:
        size = values.size(text)
    except values.Wrong:
        assert float(text.rstrip("kKMGTPiB")) < 1
    else:
        assert values.size(values.as_size(size)) == size


@pytest.mark.parametrize("text", ["500GB", "1.5TiB", "20GB", "1TB", "1TiB", "999999999B", "1B"])
def test_a_size_is_written_as_a_person_would(text: str) -> None:
    assert values.as_size(values.size(text)) == text


def test_quotas_as_the_accounts_have_them() -> None:
    config = load(Path(__file__).parent / "whole.yaml", {"UNIFI_API_KEY": "k3y"})
    berlin, kolkata = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
    line, flat, laptop = quotas_of(config, berlin)
    assert line == Account(
        "Line at home", "wan", Cycle("17", berlin), 500 * 10**9, source="home", site="default", subject="wan1"
    )
    assert flat == Account(
        "Flat 3",
        "owner",
        Cycle("monday", kolkata),
        3 * 2**39,
        subject="flat 3",
        count="download",
        thresholds=(0.5, 0.995),
    )
    assert laptop == Account("laptop", "client", Cycle("daily", berlin), 20 * 10**9, subject="02:aa:bb:cc:dd:01")
    text = """\
sources: [{name: home, kind: unifi, url: "https://a", api_key: hush}]
quotas:
  - {name: house, source: home, limit: 1GB, reset: 07, thresholds: [100%, 50%], all: no}
  - {name: all of it, all: yes, limit: 1GB, count: upload, thresholds: []}
"""
    house, whole = quotas_of(read(text, Path("/etc/config.yaml"), {}), berlin)
    assert house == Account("house", "source", Cycle("7", berlin), 10**9, source="home", thresholds=(0.5, 1.0))
    assert whole == Account("all of it", "all", Cycle("1", berlin), 10**9, count="upload", thresholds=())


def test_the_whole_of_it() -> None:
    path = Path(__file__).parent / "whole.yaml"
    config = load(path, {"UNIFI_API_KEY": "k3y"})
    home, attic = config.sources
    assert isinstance(home, UnifiSource)
    assert isinstance(attic, NlbwmonSource)
    assert config == Config(
        web=Web(listen=Listen("127.0.0.1", 10477), config_file=path.parent / "web.yml", enable_lifecycle=False),
        state=path.parent / "data/bandwidth.db",
        timezone=ZoneInfo("Europe/Berlin"),
        max_rate=12.5e9,
        client_ttl=3600.0,
        new_series_hold=120.0,
        limits=Limits(clients=20_000),
        privacy=Privacy(names=True, hash_mac=False),
        sources=(
            UnifiSource(
                name="home",
                kind="unifi",
                url="https://192.168.1.1",
                api_key=SecretStr("k3y"),
                sites=("default",),
                exclude=frozenset({"02:aa:bb:cc:dd:09"}),
            ),
            NlbwmonSource(
                name="attic",
                kind="nlbwmon",
                host="192.168.2.1",
                key_file=Path.home() / ".ssh/id_ed25519",
                known_hosts=path.parent / "known_hosts",
                protocols=True,
            ),
        ),
        wans={"home/default/wan1": Contract(download=31.25e6, upload=5e6)},
        clients={"02:aa:bb:cc:dd:01": KnownClient(name="Kitchen laptop", owner="flat 3", category="tenants")},
        quotas=(
            Quota(name="Line at home", wan="home/default/wan1", reset="17", limit=500 * 10**9),
            Quota(
                name="Flat 3",
                owner="flat 3",
                reset="monday",
                timezone=ZoneInfo("Asia/Kolkata"),
                count="download",
                limit=3 * 2**39,
                thresholds=(0.5, 0.995),
            ),
            Quota(name="laptop", client="02:aa:bb:cc:dd:01", reset="daily", limit=20 * 10**9),
        ),
        archive=Archive(
            url=values.database("postgresql://user@host/bandwidth"),
            retention=Retention(five_minutes=14 * 86400.0, hourly=400 * 86400.0, daily=math.inf),
        ),
    )


@pytest.mark.parametrize(
    ("written", "host"),
    [("Router.LAN", "router.lan"), ("192.168.2.1", "192.168.2.1"), ("[fe80::1]", "fe80::1"), ("FE80::01", "fe80::1")],
)
def test_hosts_as_known_hosts_has_them(written: str, host: str) -> None:
    assert values.host(written) == host


def test_the_configuration_is_frozen() -> None:
    config = read(MINIMAL, HERE, {})
    with pytest.raises(ValidationError):
        Config.__setattr__(config, "client_ttl", 1.0)


def test_load_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load(path, {}).sources[0].name == "home"


def test_a_router(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("open\n")
    text = """\
sources:
  - {name: attic, kind: nlbwmon, host: "[FE80::1]", key_file: ~/.ssh/id, passphrase_file: phrase, protocols: yes,
     exclude: [02-AA-BB-CC-DD-09]}
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
        exclude=frozenset({"02:aa:bb:cc:dd:09"}),
    )
    facts = facts_of(config, attic)
    assert (facts.kind, facts.scope, facts.contracts) == ("nlbwmon", "internet", (Line("", "wan", None, 1e6),))
    settings = settings_of(attic)
    assert isinstance(settings, NlbwmonSettings)
    assert settings == NlbwmonSettings(
        host="fe80::1",
        known_hosts=str(tmp_path / "known_hosts"),
        key_file=str(Path.home() / ".ssh/id"),
        passphrase="open",
        protocols=True,
        exclude=frozenset({"02:aa:bb:cc:dd:09"}),
    )
    assert isinstance(SOURCES["nlbwmon"](settings), RouterSource)
