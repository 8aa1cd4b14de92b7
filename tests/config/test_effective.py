from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from exporter.config import Config, KnownClient, load, read
from exporter.config.document import parse
from exporter.config.effective import effective
from exporter.config.sources import UnifiSource

WHOLE = Path(__file__).parent / "whole.yaml"
ENV = {"UNIFI_API_KEY": "hush-hush"}
PASSWORDS = """\
sources:
  - {name: home, kind: unifi, url: "https://a", username: me, password: hush}
  - {name: attic, kind: nlbwmon, host: b, password: hush, key_file: $$a/key, passphrase: hush}
archive: {url: "postgresql://me:hush@db/x"}
"""


def test_reads_back_but_for_secrets() -> None:
    config = load(WHOLE, ENV)
    shown = effective(config)
    again = read(shown, WHOLE, {})
    home, attic = config.sources
    rate = {"max_rate": config.max_rate}
    secret = {"api_key": SecretStr("<secret>")}
    sources = (home.model_copy(update=rate | secret), attic.model_copy(update=rate))
    assert again == config.model_copy(update={"sources": sources})
    assert effective(again) == shown


def test_secrets_are_hidden() -> None:
    shown = effective(read(PASSWORDS, WHOLE, {}))
    assert "hush" not in shown
    assert shown.count("<secret>") == 4
    assert "url: postgresql://me:<secret>@db/x\n" in shown
    again = read(shown, WHOLE, {})
    assert again.sources[1].password == SecretStr("<secret>")
    assert effective(again) == shown


def test_every_key_is_there() -> None:
    config = read(PASSWORDS, WHOLE, {})
    places = set(parse(effective(config)).lines)

    def expect(model: BaseModel, place: tuple[str | int, ...]) -> None:
        for key in type(model).model_fields:
            assert (*place, key) in places
            if isinstance(child := getattr(model, key), BaseModel):
                expect(child, (*place, key))

    expect(config, ())
    for index, source in enumerate(config.sources):
        expect(source, ("sources", index))


def test_as_a_person_would_write_it() -> None:
    assert effective(load(WHOLE, ENV)).startswith(
        f"""\
web:
  listen: 127.0.0.1:10477
  config_file: {WHOLE.parent}/web.yml
  enable_lifecycle: false
state: {WHOLE.parent}/data/bandwidth.db
timezone: Europe/Berlin
max_rate: 100Gbit/s
client_ttl: 1h
new_series_hold: 2m
limits:
  clients: 20000
privacy:
  names: true
  hash_mac: false
sources:
- name: home
  kind: unifi
  interval: 30s
  timeout: 20s
  exclude:
  - 02:aa:bb:cc:dd:09
  max_rate: 100Gbit/s
  url: https://192.168.1.1
  api_key: <secret>
  username:
"""
    )


def test_privacy_hides_who_the_clients_are() -> None:
    for line in ("privacy: {names: false}", "privacy: {hash_mac: true}"):
        text = WHOLE.read_text(encoding="utf-8").replace("privacy: {names: true, hash_mac: false}", line)
        shown = effective(read(text, WHOLE, ENV))
        assert "02:aa" not in shown
        assert "Kitchen" not in shown
        assert "clients: <private>\n" in shown
        assert "  exclude: <private>\n" in shown
        assert "  client: <private>\n" in shown
        assert "  owner: <private>\n" in shown


HOME = UnifiSource(name="home", kind="unifi", url="https://a", api_key=SecretStr("<secret>"), max_rate=12.5e9)


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1),
)
def test_any_text_reads_back(name: str, wan: str) -> None:
    config = Config.model_validate(
        {
            "sources": [HOME],
            "wans": {f"home/default/{wan}": {"download": 1.5e6}},
            "clients": {"02:aa:bb:cc:dd:01": KnownClient(name=name, owner="true", category="~")},
        },
        context={"folder": Path("/etc")},
    )
    assert read(effective(config), Path("/etc/config.yaml"), {}) == config
