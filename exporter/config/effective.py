"""A configuration as it is in effect, for people to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping

import yaml

from exporter.config.document import Tree
from exporter.config.scalars import Scalar, scalar_of
from exporter.config.schema import Config
from exporter.config.sources import Section, SourceEntry

PRIVATE = "<private>"


class _Plain(yaml.SafeDumper):
    """Writes text as the reader reads it: without quotes around what would be a number or a flag elsewhere."""

    def ignore_aliases(self, _data: object) -> bool:
        """The reader knows none."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Line breaks come through in double quotes only, each kind of them as an escape.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Plain.yaml_implicit_resolvers = {}
_Plain.add_representer(str, _text)


def effective(config: Config) -> str:
    """Every key with its value in effect, as YAML that reads back to the same, but for what is hidden.

    Secrets and the passwords in URLs are `<secret>`. With `privacy`, who the clients are is `<private>`. A key that has
    no value is empty. Environment variables and secret files are not named any more: their contents stand in place.
    """
    whole = config.model_copy(update={"sources": tuple(_with_rate(entry, config.max_rate) for entry in config.sources)})
    tree = _tree(whole, None)
    if isinstance(tree, dict) and (config.privacy.hash_mac or not config.privacy.names):
        _hide_clients(tree)
    return yaml.dump(tree, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=math.inf)


def _with_rate(entry: SourceEntry, max_rate: float) -> SourceEntry:
    return entry.model_copy(update={"max_rate": entry.max_rate or max_rate})


def _tree(value: object, scalar: Scalar | None) -> Tree:
    if isinstance(value, Section):
        fields = type(value).model_fields
        return {key: _tree(getattr(value, key), scalar_of(field)) for key, field in fields.items()}
    if isinstance(value, Mapping):
        return {key: _tree(child, None) for key, child in value.items()}
    # An address to listen on is a tuple as well.
    if type(value) is tuple:
        return [_tree(child, scalar) for child in value]
    if isinstance(value, frozenset):
        return [_tree(child, scalar) for child in sorted(value)]
    if value is None or scalar is None:
        return ""
    return scalar.write(value).replace("$", "$$")


def _hide_clients(tree: dict[str, Tree]) -> None:
    tree["clients"] = PRIVATE
    sources = tree["sources"]
    for source in sources if isinstance(sources, list) else []:
        if isinstance(source, dict) and source["exclude"]:
            source["exclude"] = PRIVATE
    quotas = tree["quotas"]
    for quota in quotas if isinstance(quotas, list) else []:
        if isinstance(quota, dict):
            quota |= {key: PRIVATE for key in ("client", "owner", "category") if quota[key]}
