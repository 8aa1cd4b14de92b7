"""docs/configuration.md says what the schema says: every key, default and example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from docs import configuration_page
from exporter.config import Config, NlbwmonSource, UnifiSource, read
from exporter.config.checks import SECRETS
from exporter.config.schema import Alerts, Archive, Contract, KnownClient, Limits, Privacy, Quota, Retention, Web
from exporter.config.sources import Polled, Section

ENV = dict.fromkeys(
    ["UNIFI_API_KEY", "UNIFI_PASSWORD", "ROUTER_PASSWORD", "KEY_PASSPHRASE", "ARCHIVE_PASSWORD"], "hush"
)

KEY = re.compile(r"^### (\S+)\n\n((?:.+\n)+)\n- Type: (.+)\n- Default: (.+)\n- Example: `(.+)`$", re.MULTILINE)


class Key(NamedTuple):
    place: str
    sentence: str
    words: str
    default: str
    example: str

    @property
    def name(self) -> str:
        return self.place.rpartition(".")[2]

    @property
    def prefix(self) -> str:
        return self.place.rpartition(".")[0]


TEXT = configuration_page.PAGE.read_text(encoding="utf-8")
KEYS = {key.place: key for key in map(Key._make, KEY.findall(TEXT))}

SECTIONS: dict[str, type[Section]] = {
    "": Config,
    "web": Web,
    "limits": Limits,
    "privacy": Privacy,
    "sources[]": Polled,
    "sources[unifi]": UnifiSource,
    "sources[nlbwmon]": NlbwmonSource,
    "wans[]": Contract,
    "clients[]": KnownClient,
    "quotas[]": Quota,
    "alerts": Alerts,
    "archive": Archive,
    "archive.retention": Retention,
}

# Keys of the file's top and of the archive that are mappings or lists of their own; each has a chapter on the page.
CHAPTERS = {
    "web",
    "limits",
    "privacy",
    "sources",
    "wans",
    "clients",
    "quotas",
    "alerts",
    "archive",
    "archive.retention",
}


def keys_of(model: type[Section]) -> set[str]:
    fields = set(model.model_fields)
    return fields | {f"{secret}_file" for secret in fields & set(SECRETS)}


def of_the_schema() -> Iterator[str]:
    for prefix, model in SECTIONS.items():
        common = keys_of(Polled) - {"kind"} if model is not Polled and issubclass(model, Polled) else set()
        own = keys_of(model) - common - ({"kind"} if model is Polled else set())
        yield from (f"{prefix}.{key}" if prefix else key for key in own)


def test_the_page_is_what_the_generator_writes() -> None:
    assert configuration_page.configuration_page() == TEXT, "run `make docs`"


def test_the_keys_of_the_page_are_those_of_the_schema() -> None:
    assert set(KEYS) == set(of_the_schema()) - CHAPTERS
    assert set(re.findall(r"^## (\S+)", TEXT, re.MULTILINE)) >= CHAPTERS
    assert TEXT.count("\n### ") == len(KEYS)


SOURCES = {
    "unifi": {"name": "a", "kind": "unifi", "url": "https://a", "api_key": "hush"},
    "nlbwmon": {"name": "a", "kind": "nlbwmon", "host": "a", "password": "hush"},
}

# What has to stand beside a key for it to make sense, and what cannot.
PERSON = {"username": "me", "password": "hush"}
BESIDE = {
    "username": PERSON,
    "password": PERSON,
    "password_file": PERSON,
    "passphrase": {"key_file": "id"},
    "passphrase_file": {"key_file": "id"},
}


def source_around(key: Key, kind: str) -> dict[str, str]:
    source = SOURCES[kind] | BESIDE.get(key.name, {})
    replaced = {key.name, key.name.removesuffix("_file")}
    if replaced & {"username", "password"}:
        replaced.add("api_key")
    return {name: text for name, text in source.items() if name not in replaced}


AROUND = {
    "": "{}",
    "wans[]": "wans:\n  a/default/wan1:\n    {}",
    "clients[]": "clients:\n  02:aa:bb:cc:dd:01:\n    {}",
    "alerts": "alerts:\n  {}",
    "archive": "archive:\n  url: postgresql://me@db/x\n  {}",
    "archive.retention": "archive:\n  retention:\n    {}",
}


def quota_around(key: Key, written: str) -> str:
    """A quota with all that has to be there, the key among it, and a client for it to be of."""
    quota = {"name": "a quota", "limit": "1GB", "all": "true"}
    if key.name == "all" and written != "all: true":
        del quota["all"]
        quota["source"] = "a"
    elif written and key.name in ("client", "owner", "category", "wan", "source"):
        del quota["all"]
    lines = [f"{name}: {text}" for name, text in quota.items() if name != key.name or not written]
    around = "clients:\n  02:aa:bb:cc:dd:01: {owner: flat 3, category: tenants}\n"
    return f"{around}quotas:\n  - " + "\n    ".join([*lines, *([written] if written else [])]) + "\n"


def file_with(key: Key, written: str, folder: Path) -> Config:
    """A configuration that holds the key as it is written, and what it needs beside it."""
    for secret in SECRETS:
        (folder / f"{secret}.txt").write_text("hush\n")
    kind = "nlbwmon" if "nlbwmon" in key.prefix else "unifi"
    in_source = key.prefix.startswith("sources")
    source = source_around(key, kind) if in_source else SOURCES[kind]
    lines = [f"{name}: {text}" for name, text in source.items()] + ([written] if in_source else [])
    text = "sources:\n  -\n" + "".join(f"    {line}\n" for line in lines)
    if key.prefix == "quotas[]":
        text = text.replace("name: a\n", "name: home\n") if "home" in written else text
        text += quota_around(key, written)
    elif not in_source:
        around = AROUND.get(key.prefix, f"{key.prefix}:\n  {{}}").format(written)
        text += around.replace("  url: postgresql://me@db/x\n", "") if key.name == "url" else around
    return read(text, folder / "config.yaml", ENV)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_examples_are_valid_and_tell_something_new(key: Key, tmp_path: Path) -> None:
    assert key.example.startswith(f"{key.name}: ")
    with_it = file_with(key, key.example, tmp_path)
    # Who reads an example copies it, and not checking certificates is nothing to copy.
    if "`" in key.default and key.name != "verify_tls":
        assert with_it != file_with(key, "", tmp_path)


@pytest.mark.parametrize("key", [key for key in KEYS.values() if "`" in key.default], ids=lambda key: key.place)
def test_defaults_are_those_of_the_schema(key: Key, tmp_path: Path) -> None:
    written = file_with(key, f"{key.name}: {key.default.strip('`')}", tmp_path)
    assert written == file_with(key, "", tmp_path)


@pytest.mark.parametrize("key", [key for key in KEYS.values() if "`" not in key.default], ids=lambda key: key.place)
def test_keys_without_a_default_have_none(key: Key) -> None:
    model = SECTIONS[key.prefix]
    field = model.model_fields.get(key.name) or model.model_fields[key.name.removesuffix("_file")]
    if key.default == configuration_page.REQUIRED:
        assert field.is_required()
    else:
        assert key.default == configuration_page.NONE
        assert field.default in {None, ""}
