"""A configuration's text with one value changed: every other line, comments and all, stays as it was written."""

from __future__ import annotations

import copy
import re
from typing import Any

from exporter.config.document import Document, SyntaxProblem, parse
from exporter.config.errors import Place

_MARK = "\ufeff"  # some editors begin a file with it


class UnsafeError(ValueError):
    """The text is written in a way that cannot be changed line by line."""


def with_text(text: str, place: Place, key: str, value: str, behind: str) -> str:
    """The text with `key: value` in the mapping at `place`: on the key's own line, or on a new one behind that of the
    key `behind`.

    value: needs no quotes in YAML. Raises UnsafeError unless that, and nothing else, is what it then says.
    """
    head, body = (_MARK, text[1:]) if text.startswith(_MARK) else ("", text)
    lines = body.splitlines(keepends=True)
    document = _parsed(body)
    known = document.lines.get((*place, key))
    if known:
        lines[known - 1] = _changed(lines[known - 1], key, value)
    else:
        beside = document.lines.get((*place, behind))
        if beside is None:
            raise UnsafeError
        lines.insert(beside, _new(lines[beside - 1], key, value, behind))
        lines[beside - 1] = _ended(lines[beside - 1])
    changed = "".join(lines)
    if _parsed(changed).tree != _wanted(document, place, key, value):
        raise UnsafeError
    return head + changed


def _parsed(text: str) -> Document:
    # YAML ends a line where Python may not, and the other way round.
    if re.search("[\v\f\x1c-\x1e\x85\u2028\u2029]|\r(?!\n)", text):
        raise UnsafeError
    try:
        document = parse(text)
    except SyntaxProblem as problem:
        raise UnsafeError from problem
    if document.findings:
        raise UnsafeError
    return document


def _wanted(document: Document, place: Place, key: str, value: str) -> object:
    tree: Any = copy.deepcopy(document.tree)
    section = tree
    for part in place:
        section = section[part]
    section[key] = value
    return tree


def _changed(line: str, key: str, value: str) -> str:
    match = re.fullmatch(rf"( *(?:- +)?{re.escape(key)} *: *)([^\s#\"'$]+|\"[^\"$]*\"|'[^'$]*')(.*\r?\n?)", line)
    if not match:
        raise UnsafeError
    return f"{match[1]}{value}{match[3]}"


def _new(line: str, key: str, value: str, behind: str) -> str:
    match = re.match(rf"( *)(- +)?{re.escape(behind)} *:", line)
    if not match:
        raise UnsafeError
    indent = " " * (len(match[1]) + len(match[2] or ""))
    return f"{indent}{key}: {value}{_ending(line)}"


def _ended(line: str) -> str:
    return line if line.endswith("\n") else line + "\n"


def _ending(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n"
