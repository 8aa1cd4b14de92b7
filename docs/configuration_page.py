"""Makes docs/configuration.md from the schema in exporter/config."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Final, NamedTuple, get_origin

from pydantic.fields import FieldInfo

from exporter.config.checks import SECRETS
from exporter.config.scalars import Scalar, scalar_of
from exporter.config.schema import (
    Alerts,
    Archive,
    Config,
    Contract,
    KnownClient,
    Limits,
    Privacy,
    Quota,
    Retention,
    Web,
)
from exporter.config.sources import NlbwmonSource, Polled, Section, UnifiSource

PAGE: Final = Path(__file__).parent / "configuration.md"

NONE: Final = "none"
REQUIRED: Final = "none, it has to be written"
LISTS: Final = (tuple, frozenset)

BEGINNING: Final = """\
# Configuration

Generated from `exporter/config` by `make docs`.

The exporter reads `config.yaml`, or the file named with `--config`. [config.example.yaml](../config.example.yaml) has
every key in its place. `bandwidth-exporter check` reads the file and tries out what it says. What is wrong is said all
at once, each with its line and what would be right.

## How it is written

- It is YAML without anchors and tags. A value is read as the text that stands there, and the key says what it is: `on`
  is a fine name, and `12:34:56:11:22:33` a MAC address, with quotes or without.
- A key may stand only once. A key that is not known is an error. A key with nothing behind it is left out.
- `${NAME}` is replaced by the environment variable NAME, anywhere in a value. A variable that is not set is an error.
  `$$` is a dollar.
- Durations are numbers with units: `30s`, `5m`, `1h30m`, `14d`, `2w`, `1y` (365 days).
- Rates are bits or bytes per second: `250Mbit/s`, `30MB/s`. k, M, G and T are powers of 1000.
- Sizes are bytes: `500GB`, `1.5TB`, with powers of 1000, or `500GiB`, with powers of 1024.
- MAC addresses may be written with colons, dashes, dots or nothing between the digits.
- Paths are relative to the file they stand in. `~` is the home of the user that the exporter runs as.
- A secret may stand in a file of its own: write its path behind `password_file` in place of `password`. One newline at
  its end is no part of it. Secrets are never shown.
"""


class Group(NamedTuple):
    """Keys that stand together on the page. `prefix` stands before their names there."""

    title: str
    words: str
    prefix: str
    model: type[Section]
    left_out: type[Section] | None = None


def _described(model: type[Section], key: str) -> str:
    return model.model_fields[key].description or ""


GROUPS: Final = (
    Group("At the top", "Keys of the file itself.", "", Config),
    Group("web", _described(Config, "web"), "web.", Web),
    Group("limits", _described(Config, "limits"), "limits.", Limits),
    Group("privacy", _described(Config, "privacy"), "privacy.", Privacy),
    Group("sources", _described(Config, "sources"), "sources[].", Polled),
    Group(
        "sources of kind unifi",
        "UniFi controllers. Either `api_key`, or `username` and `password`: [unifi.md](unifi.md) tells which.",
        "sources[unifi].",
        UnifiSource,
        Polled,
    ),
    Group(
        "sources of kind nlbwmon",
        "OpenWrt routers with nlbwmon, over SSH. `key_file` or `password`, or both.",
        "sources[nlbwmon].",
        NlbwmonSource,
        Polled,
    ),
    Group("wans", _described(Config, "wans"), "wans[].", Contract),
    Group("clients", _described(Config, "clients"), "clients[].", KnownClient),
    Group("quotas", _described(Config, "quotas"), "quotas[].", Quota),
    Group("alerts", _described(Config, "alerts"), "alerts.", Alerts),
    Group("archive", _described(Config, "archive"), "archive.", Archive),
    Group("archive.retention", _described(Archive, "retention"), "archive.retention.", Retention),
)


def configuration_page() -> str:
    """The whole of docs/configuration.md."""
    parts = [BEGINNING.strip()]
    for group in GROUPS:
        parts += [f"## {group.title}", group.words, *_keys(group)]
    return "\n\n".join(map(_wrapped, parts)) + "\n"


def _wrapped(part: str) -> str:
    """Prose at the width of the other pages; lists as they are."""
    return part if "\n" in part else fill(part, 120, break_long_words=False, break_on_hyphens=False)


def _keys(group: Group) -> Iterator[str]:
    others = group.left_out.model_fields if group.left_out else {}
    for key, field in group.model.model_fields.items():
        scalar = scalar_of(field)
        # A kind stands with the keys of that kind, where it has one value.
        if scalar is None or (key in others and key != "kind"):
            continue
        many = get_origin(field.annotation) in LISTS
        words = f"list of: {scalar.words}" if many else scalar.words
        lines = [(field.description or "", words, _default(field, scalar), f"{key}: {(field.examples or [''])[0]}")]
        if key in SECRETS:
            about = f"A file that holds `{key}`, in its place."
            lines.append((about, "path", NONE, f"{key}_file: {key}.txt"))
        for name, (sentences, kind, default, example) in zip((key, f"{key}_file"), lines, strict=False):
            yield f"### {group.prefix}{name}"
            yield sentences
            yield f"- Type: {kind}\n- Default: {default}\n- Example: `{example}`"


def _default(field: FieldInfo, scalar: Scalar) -> str:
    if field.is_required():
        return REQUIRED
    if get_origin(field.annotation) in LISTS:
        return f"`[{', '.join(map(scalar.write, sorted(field.default)))}]`"
    return f"`{scalar.write(field.default)}`" if field.default not in {None, ""} else NONE
