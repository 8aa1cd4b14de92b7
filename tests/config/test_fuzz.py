"""Whatever stands in a configuration file, it is read or refused in words."""

from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.config import Config, ConfigError, NlbwmonSource, UnifiSource, read
from exporter.config.schema import Archive

HERE = Path("config.yaml")


def accepts_or_refuses(text: str, env: dict[str, str]) -> None:
    """Nothing but a configuration or a ConfigError of single printable lines comes of any text."""
    messages: tuple[str, ...] = ("fine",)
    try:
        read(text, HERE, env)
    except ConfigError as error:
        messages = error.messages
    assert messages
    assert all(message.isprintable() for message in messages)


YAML_LIKE = st.text(st.sampled_from("ab0: -\n\t#{}[],&*!|>'\"%@`?\\$~x\x00\ud800é\u2028"), max_size=60)


@given(st.text(max_size=200) | YAML_LIKE)
@example("%YAML " + "9" * 5000 + ".1\n---\na: b")
@example('"\\x')
@example("[" * 5000)
@example("a: " * 5000)
@example("- " * 5000)
def test_no_text_raises_anything_else(text: str) -> None:
    accepts_or_refuses(text, {})


KEYS = YAML_LIKE | st.sampled_from(
    [
        *Config.model_fields,
        *UnifiSource.model_fields,
        *NlbwmonSource.model_fields,
        *Archive.model_fields,
        "listen",
        "api_key_file",
        "password_file",
        "nlbwmon",
        "five_minutes",
        "hourly",
        "02aabbccdd01",
        "[key]",
    ]
)
TREES = st.recursive(
    YAML_LIKE
    | st.sampled_from(
        ["unifi", "nlbwmon", "https://a", "postgresql://a:b@c/d", "30s", "9d", "forever", "1Mbit/s", "no"]
    )
    | st.sampled_from(["02aabbccdd01", "${A}", "UTC", "~"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES, max_size=6) | st.fixed_dictionaries({"sources": st.lists(TREES)}), st.text())
def test_no_values_raise_anything_else(tree: dict[str, object], variable: str) -> None:
    accepts_or_refuses(yaml.safe_dump(tree), {"A": variable, "BANDWIDTH_LISTEN": variable})


KEYS_OF_SOURCES = sorted({*UnifiSource.model_fields, *NlbwmonSource.model_fields, "api_key_file", "passphrase_file"})


@given(st.dictionaries(st.sampled_from(KEYS_OF_SOURCES), TREES, max_size=15))
def test_no_source_raises_anything_else(tree: dict[str, object]) -> None:
    accepts_or_refuses(yaml.safe_dump({"sources": [tree]}), {"A": "x"})


@given(TREES | st.dictionaries(st.sampled_from(["url", "password", "retention"]), TREES))
@example({"url": "postgresql://[a", "retention": {"five_minutes": "forever", "hourly": "${A}"}})
def test_no_archive_raises_anything_else(tree: object) -> None:
    accepts_or_refuses(yaml.safe_dump({"archive": tree, "sources": []}), {"A": "x"})
