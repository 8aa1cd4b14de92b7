"""YAML as plain text values that know their lines.

Plain YAML reads `12:34:56:11:22:33` as 9783976953 and `on` as true, so no scalar is resolved here: each stays the text
that was written, and the schema gives it its type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from exporter.config.errors import Finding, Place, one_line

# Text, lists and mappings with text keys. An empty value, such as `clients:` with nothing below it, is left out.
Tree = str | list["Tree"] | dict[str, "Tree"]

# Far more than the schema has; it keeps hostile nesting from exhausting the stack.
DEEPEST = 20

# By how PyYAML's words begin: what a person does about it.
_REMEDIES = {
    "found character '\\t'": "indent with spaces, not with tabs",
    "found character": "put the value in quotes",
    "mapping values are not allowed here": "put a value with a colon and a space in quotes",
    "found unknown escape character": "in double quotes a backslash begins an escape: use single quotes",
    "but found another document": "remove the line with ---",
}


class SyntaxProblem(Exception):
    """The text is no YAML, or uses a part of YAML that a configuration has no use for."""

    def __init__(self, line: int | None, words: str) -> None:
        super().__init__(words)
        self.line = line
        self.words = words


@dataclass(slots=True)
class Document:
    """A parsed file: its values, the line of each, and what was wrong on the way."""

    tree: dict[str, Tree] = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def line(self, place: Place) -> int | None:
        """The line of a value, or of the nearest thing around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


class _Loader(yaml.SafeLoader):
    """Composes nodes without aliases and tags, and only so deep."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        # The type stubs leave peek_event untyped.
        event: yaml.Event = cast(Any, self).peek_event()
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise SyntaxProblem(line, "anchors (&) and aliases (*) are not understood here; put the text in quotes")
        if getattr(event, "tag", None) is not None:
            raise SyntaxProblem(line, "tags (!) are not understood here; put the text in quotes")
        if self.depth == DEEPEST:
            raise SyntaxProblem(line, "is nested too deeply")
        self.depth += 1
        node = super().compose_node(parent, cast(int, index))
        self.depth -= 1
        return node


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, _Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SyntaxProblem(line, f"the character {ord(text[error.position]):#x} is not allowed in YAML") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        words = one_line(error.problem or "")
        remedy = next((f"; {remedy}" for start, remedy in _REMEDIES.items() if words.startswith(start)), "")
        raise SyntaxProblem(mark.line + 1 if mark else None, f"is no YAML: {words}{remedy}") from error
    except (ValueError, OverflowError) as error:
        # PyYAML turns escapes such as "\UFFFFFFFF" and version numbers into values without looking at their size.
        raise SyntaxProblem(None, "is no YAML: a number in an escape or a directive is out of range") from error


def parse(text: str) -> Document:
    """Parse YAML text, or raise SyntaxProblem where there is nothing to go on with."""
    root = _compose(text)
    document = Document()
    if root is None or _is_empty(root):
        return document
    if not isinstance(root, yaml.MappingNode):
        raise SyntaxProblem(root.start_mark.line + 1, "a configuration begins with keys, such as sources:")
    document.tree = _mapping(document, root, ())
    return document


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.value and node.style is None


def _value(document: Document, node: yaml.Node, place: Place) -> Tree:
    if isinstance(node, yaml.MappingNode):
        return _mapping(document, node, place)
    if isinstance(node, yaml.SequenceNode):
        return _sequence(document, node, place)
    text = str(node.value)
    if not is_text(text):
        document.findings.append(Finding(place, "holds half a character (a lone surrogate)"))
        return ""
    return text


def _sequence(document: Document, node: yaml.SequenceNode, place: Place) -> list[Tree]:
    values: list[Tree] = []
    for index, child in enumerate(node.value):
        document.lines[*place, index] = child.start_mark.line + 1
        values.append(_value(document, child, (*place, index)))
    return values


def _mapping(document: Document, node: yaml.MappingNode, place: Place) -> dict[str, Tree]:
    values: dict[str, Tree] = {}
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not is_text(key.value):
            document.findings.append(Finding(place, f"the key on line {line} is no text"))
            continue
        here = (*place, key.value)
        if here in document.lines:
            words = f"is written twice; the first one is on line {document.lines[here]}"
            document.findings.append(Finding(here, words, line))
            continue
        document.lines[here] = line
        if not _is_empty(child):
            values[key.value] = _value(document, child, here)
    return values


def is_text(value: str) -> bool:
    """Whether the value can be written down in UTF-8: a lone surrogate cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def replace_texts(tree: Tree, change: Callable[[Place, str], str], place: Place = ()) -> Tree:
    """The same tree with every text (no key) replaced by what `change` makes of it."""
    if isinstance(tree, str):
        return change(place, tree)
    if isinstance(tree, list):
        return [replace_texts(value, change, (*place, index)) for index, value in enumerate(tree)]
    return {key: replace_texts(value, change, (*place, key)) for key, value in tree.items()}
