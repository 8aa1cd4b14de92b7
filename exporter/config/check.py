"""Finds secrets that every user of this machine may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.check import Finding
from exporter.config.checks import SECRETS, expand
from exporter.config.document import Tree, parse
from exporter.config.scalars import in_folder


def check(path: Path, env: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Look at a configuration that could be loaded, and at the files with secrets that it names."""
    if not path.is_file():  # a pipe is read once
        return
    for file in sorted({each.resolve() for each in _files(path, env)}):
        if _is_public(file):
            yield Finding(
                "warning",
                "secrets",
                f"{file} holds a secret, and every user of this machine may read it",
                "give it to the user that runs the exporter, with mode 600",
            )


def _files(path: Path, env: Mapping[str, str]) -> Iterator[Path]:
    document = parse(path.read_bytes().decode("utf-8-sig"))
    written, meant = (list(_sections(tree)) for tree in (document.tree, expand(document, env)))
    for raw, section in zip(written, meant, strict=True):
        for key, value in section.items():
            if key in SECRETS and not str(raw[key]).startswith("${"):
                yield path
            elif isinstance(value, str) and key in ("key_file", *(f"{secret}_file" for secret in SECRETS)):
                yield in_folder(path.parent, value)


def _sections(tree: Mapping[str, Tree]) -> Iterator[dict[str, Tree]]:
    """The sources, and the archive."""
    sources = tree.get("sources")
    for section in (*(sources if isinstance(sources, list) else ()), tree.get("archive")):
        if isinstance(section, dict):
            yield section


def _is_public(file: Path) -> bool:
    """Whether others may read the file, and come to it."""
    try:
        modes = [file.stat().st_mode & stat.S_IROTH, *(folder.stat().st_mode & stat.S_IXOTH for folder in file.parents)]
    except OSError:
        return False  # what cannot be looked at is said where it is used
    return all(modes)
