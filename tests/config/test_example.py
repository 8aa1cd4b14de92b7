"""config.example.yaml is valid, with its comments and without, and holds every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from exporter.config import Config, read
from exporter.config.checks import SECRETS
from exporter.config.document import parse
from exporter.config.schema import Alerts, Archive, Contract, KnownClient, Limits, Privacy, Quota, Retention, Web
from exporter.config.sources import NlbwmonSource, Section, UnifiSource

EXAMPLE = (Path(__file__).parents[2] / "config.example.yaml").read_text(encoding="utf-8")

# Prose has one blank behind its #, a key none or as many as it is indented.
UNCOMMENTED = re.sub(r"^( *)#(?! \S)", r"\1", EXAMPLE, flags=re.MULTILINE)

ENV = dict.fromkeys(["KEY_PASSPHRASE", "ROUTER_PASSWORD", "ARCHIVE_PASSWORD"], "hush")

SECTIONS: list[tuple[type[Section], tuple[str | int, ...]]] = [
    (Config, ()),
    (Web, ("web",)),
    (Limits, ("limits",)),
    (Privacy, ("privacy",)),
    (UnifiSource, ("sources", 0)),
    (NlbwmonSource, ("sources", 1)),
    (Contract, ("wans", "home/default/wan1")),
    (KnownClient, ("clients", "02:aa:bb:cc:dd:01")),
    (Quota, ("quotas", 0)),
    (Alerts, ("alerts",)),
    (Archive, ("archive",)),
    (Retention, ("archive", "retention")),
]

# Ways to say what the example says in another way: they stand in its prose.
INSTEAD = {"api_key", "api_key_file", "password", "passphrase_file", "password_file", "fingerprint"}
INSTEAD |= {"client", "owner", "category", "source", "all"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "password.txt").write_text("hush\n")
    return tmp_path / "config.yaml"


def test_the_example_is_valid(home: Path) -> None:
    config = read(EXAMPLE, home, {})
    assert [source.kind for source in config.sources] == ["unifi", "nlbwmon"]
    assert config.sources[0].password == SecretStr("hush")


def test_its_comments_are_valid_too(home: Path) -> None:
    config = read(UNCOMMENTED, home, ENV)
    assert config.sources[1].password == SecretStr("hush")
    assert config.archive.url is not None


@pytest.mark.parametrize(("model", "place"), SECTIONS, ids=[model.__name__ for model, _ in SECTIONS])
def test_every_key_is_in_it(model: type[Section], place: tuple[str | int, ...]) -> None:
    lines = parse(UNCOMMENTED).lines
    keys = [*model.model_fields, *(f"{secret}_file" for secret in SECRETS if secret in model.model_fields)]
    missing = {key for key in keys if (*place, key) not in lines}
    assert missing <= INSTEAD
    assert all(f"{key}: " in EXAMPLE for key in missing)


def test_commented_defaults_are_the_defaults(home: Path) -> None:
    shown = read(UNCOMMENTED, home, ENV)
    plain = read(EXAMPLE, home, {})
    same = ("max_rate", "client_ttl", "new_series_hold", "limits", "privacy")
    assert [getattr(shown, key) for key in same] == [getattr(plain, key) for key in same]
    assert shown.archive.retention == plain.archive.retention
    for ours, theirs in zip(shown.sources, plain.sources, strict=True):
        for key in ("interval", "timeout", "port", "username", "protocols", "verify_tls", "collect"):
            assert getattr(ours, key, None) == getattr(theirs, key, None)
