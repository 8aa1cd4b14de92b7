"""What needs more than one value to judge: the environment, secret files, and what has to be unique.

All of it looks at the text as it was written and not at typed values, so that one bad duration does not keep a missing
key from being reported in the same breath.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel

from exporter.config import values
from exporter.config.document import Document, Tree, is_text, replace_texts
from exporter.config.errors import Finding, Place
from exporter.config.scalars import in_folder
from exporter.config.schema import Archive, Retention
from exporter.config.sources import KINDS, kind_of

# Each may be written as NAME, or as NAME_file with the path of a file that holds it.
SECRETS = ("api_key", "password", "passphrase")

SUBJECTS = ("client", "owner", "category", "wan", "source", "all")
"""Whom a quota may be for."""

LONGEST_SECRET = 64 * 1024
"""Bytes of a file that holds one."""

_DOLLAR = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)\})?")


def expand(document: Document, env: Mapping[str, str]) -> dict[str, Tree]:
    """The document's tree with `${VAR}` replaced by the environment's value, and `$$` by a dollar."""

    def change(place: Place, text: str) -> str:
        def replacement(match: re.Match[str]) -> str:
            dollar, variable = match.groups()
            if dollar:
                return "$"
            value = env.get(variable) if variable else None
            if not variable:
                words = "holds a lone $; write $$ for a dollar, or ${NAME} for an environment variable"
            elif value is None:
                words = f"the environment variable {variable} is not set"
            elif not is_text(value):
                words = f"the environment variable {variable} holds no UTF-8 text"
            else:
                return value
            document.findings.append(Finding(place, words))
            return match[0]

        return _DOLLAR.sub(replacement, text)

    return {key: replace_texts(value, change, (key,)) for key, value in document.tree.items()}


def read_secret_files(tree: Mapping[str, Tree], document: Document, folder: Path) -> None:
    """Put what `password_file` and its like name where the secrets themselves would stand."""
    for place, section, model in _with_secrets(tree):
        for secret in SECRETS:
            path = section.pop(f"{secret}_file", None) if secret in model.model_fields else None
            here = (*place, f"{secret}_file")
            if path is not None and secret in section:
                document.findings.append(Finding(here, f"stands beside {secret}; keep one of them"))
            elif path is not None:
                # What is wrong with the secret is to be mended where its file is named.
                document.lines[*place, secret] = document.lines[here]
                section[secret] = _secret_in(path, here, document, folder)


def _with_secrets(tree: Mapping[str, Tree]) -> Iterator[tuple[Place, dict[str, Tree], type[BaseModel]]]:
    for place, source in _sources(tree):
        yield place, source, KINDS[kind_of(source)]
    archive = tree.get("archive")
    if isinstance(archive, dict):
        yield ("archive",), archive, Archive


def _plain(path: Path) -> bytes:
    """A small file's content. Pipes and devices may have no end."""
    if path.is_file():
        with path.open("rb") as file:
            content = file.read(LONGEST_SECRET + 1)
        if len(content) <= LONGEST_SECRET:
            return content
    elif not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    raise values.Wrong("is no plain file of at most 64 KiB")


def _secret_in(path: Tree, place: Place, document: Document, folder: Path) -> str:
    try:
        if not isinstance(path, str):
            raise values.Wrong("must be text")
        text = _plain(in_folder(folder, path)).decode()
    except values.Wrong as wrong:
        words = str(wrong)
    except UnicodeDecodeError:
        words = "the file holds no UTF-8 text"
    except (OSError, ValueError, RuntimeError) as error:
        words = f"the file cannot be read ({getattr(error, 'strerror', None) or 'no such path'})"
    else:
        return text.removesuffix("\n").removesuffix("\r")
    document.findings.append(Finding(place, words))
    # Stands for the secret, so that it is not called missing too. With a finding, no configuration comes of it.
    return "unreadable"


def judge(tree: Mapping[str, Tree], document: Document) -> None:
    """Find what is wrong although every single value may be right."""
    found = document.findings
    names = [((*place, "name"), source["name"]) for place, source in _sources(tree) if "name" in source]
    clients = tree.get("clients")
    macs = [(("clients", key), key) for key in clients] if isinstance(clients, dict) else []
    found += _repeated(names, values.source_name, "every source has its own name", document)
    found += _repeated(macs, values.mac, "every client is written once", document)
    wans = tree.get("wans")
    kinds = dict(_kinds(tree))
    found += _judge_lines(((("wans", key), key) for key in wans) if isinstance(wans, dict) else (), kinds)
    quotas = list(_listed(tree, "quotas"))
    names = [((*place, "name"), quota["name"]) for place, quota in quotas if "name" in quota]
    found += _repeated(names, values.quota_name, "every quota has its own name", document)
    found += _judge_lines([((*place, "wan"), str(quota["wan"])) for place, quota in quotas if "wan" in quota], kinds)
    for place, quota in quotas:
        found += _judge_quota(place, quota, kinds, clients if isinstance(clients, dict) else {})
    for place, source in _sources(tree):
        exclude = source.get("exclude")
        excluded = (
            [((*place, "exclude", i), text) for i, text in enumerate(exclude)] if isinstance(exclude, list) else []
        )
        found += _repeated(excluded, values.mac, "every client is written once", document)
        found += _judge_source(place, source)
    archive = tree.get("archive")
    found += _judge_archive(archive if isinstance(archive, dict) else {})


def _kinds(tree: Mapping[str, Tree]) -> Iterator[tuple[str, str]]:
    """The kind of each source that has a name."""
    for _, source in _sources(tree):
        name = source.get("name")
        if isinstance(name, str):
            yield name, kind_of(source)


def _judge_lines(lines: Iterable[tuple[Place, str]], kinds: Mapping[str, str]) -> Iterator[Finding]:
    for place, key in lines:
        name, _, rest = key.partition("/")
        site, slash, wan = rest.partition("/")
        kind = kinds.get(name)
        if rest and kind is None:
            yield Finding(place, "is a line of a source that is not in this file")
        elif kind == "nlbwmon" and slash and site:
            yield Finding(place, f"names a site, and a router has none; write {name}//{wan}")
        elif kind == "unifi" and slash and not site:
            yield Finding(place, f"names no site; write source/site/wan, such as {name}/default/{wan}")


def _judge_quota(
    place: Place, quota: Mapping[str, Tree], kinds: Mapping[str, str], clients: Mapping[str, Tree]
) -> Iterator[Finding]:
    subjects = [key for key in SUBJECTS if key in quota]
    if values.FLAGS.get(str(quota.get("all")).lower()) is False:
        subjects.remove("all")
    if not subjects:
        yield Finding(place, f"is for nobody; write one of {', '.join(SUBJECTS[:-1])}, or all: true")
    elif len(subjects) > 1:
        yield Finding(place, f"is for {' and '.join(subjects)} at once; keep one of them")
    source = quota.get("source")
    if isinstance(source, str) and source not in kinds:
        yield Finding((*place, "source"), "{value} is no source in this file")
    for key in ("owner", "category"):
        name = quota.get(key)
        known = {str(client.get(key, "")).strip() for client in clients.values() if isinstance(client, dict)} - {""}
        if isinstance(name, str) and name.strip() not in known:
            yield Finding((*place, key), f"{{value}} is the {key} of no client in this file; write it under clients")


def _judge_source(place: Place, source: Mapping[str, Tree]) -> Iterator[Finding]:
    yield from _judge_router(place, source) if kind_of(source) == "nlbwmon" else _judge_controller(place, source)
    if str(source.get("name")).startswith("demo-"):
        yield Finding((*place, "name"), "{value} is taken: names that begin with demo- are the demo's own")


def _judge_router(place: Place, source: Mapping[str, Tree]) -> Iterator[Finding]:
    if "key_file" not in source and "password" not in source:
        yield Finding(place, "cannot log in; write key_file, or password or password_file")
    if "passphrase" in source and "key_file" not in source:
        yield Finding((*place, "passphrase"), "is of no use without key_file, the key that it opens")


def _judge_controller(place: Place, source: Mapping[str, Tree]) -> Iterator[Finding]:
    person = "username" in source or "password" in source
    if "api_key" in source and person:
        yield Finding(place, "has an api_key beside username and password; keep the one or the other")
    elif person and ("username" not in source or "password" not in source):
        missing = "password" if "username" in source else "username"
        yield Finding(place, f"has no {missing}; write api_key, or username and password")
    elif "api_key" not in source and not person:
        yield Finding(place, "cannot log in; write api_key, or username and password")
    unverified = values.FLAGS.get(str(source.get("verify_tls")).lower()) is False
    for key in ("ca_file", "fingerprint"):
        if key in source and unverified:
            yield Finding((*place, key), "is of no use with verify_tls: false; remove one of them")
    if "ca_file" in source and "fingerprint" in source:
        yield Finding((*place, "fingerprint"), "stands beside ca_file, and alone decides; remove one of them")


def _judge_archive(archive: Mapping[str, Tree]) -> Iterator[Finding]:
    url = archive.get("url")
    if "password" in archive and url is None:
        yield Finding(("archive", "password"), "is of no use without url; without a database there is no password")
    elif "password" in archive and isinstance(url, str) and ":" in url.partition("://")[2].rpartition("@")[0]:
        yield Finding(("archive", "password"), "stands beside the password in url; keep one of them")
    retention = archive.get("retention")
    yield from _judge_retention(retention if isinstance(retention, dict) else {})


def _judge_retention(written: Mapping[str, Tree]) -> Iterator[Finding]:
    """What is coarser is kept as long as what is finer, or longer: it is all that is left of it."""
    fields = Retention.model_fields
    kept: dict[str, float] = {}
    for key, field in fields.items():
        text = written.get(key)
        try:
            kept[key] = values.kept(text) if isinstance(text, str) else field.default
        except values.Wrong:
            return
    for fine, coarse in pairwise(fields):
        if kept[fine] <= kept[coarse]:
            continue
        if coarse in written:
            words = f"{{value}} is shorter than {fine} is kept; write as long or longer"
            yield Finding(("archive", "retention", coarse), words)
        else:
            shown = values.as_duration(kept[coarse])
            words = f"{{value}} is longer than {coarse} is kept; write {coarse} too, which is {shown} without it"
            yield Finding(("archive", "retention", fine), words)


def _sources(tree: Mapping[str, Tree]) -> Iterator[tuple[Place, dict[str, Tree]]]:
    return _listed(tree, "sources")


def _listed(tree: Mapping[str, Tree], key: str) -> Iterator[tuple[Place, dict[str, Tree]]]:
    listed = tree.get(key)
    for index, entry in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(entry, dict):
            yield (key, index), entry


def _repeated(
    written: Iterable[tuple[Place, Tree]], normal: Callable[[str], str], rule: str, document: Document
) -> Iterator[Finding]:
    first: dict[str, Place] = {}
    for place, text in written:
        try:
            key = normal(text) if isinstance(text, str) else None
        except values.Wrong:
            key = None
        if key in first:
            yield Finding(place, f"{{value}} is on line {document.line(first[key])} already; {rule}")
        elif key is not None:
            first[key] = place
