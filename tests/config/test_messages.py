"""Every message about a configuration, in its exact words, with a file that brings it about.

`bad/NAME.yaml` is refused with what stands in `bad/NAME.txt`. Lines `# env NAME=value` at its top set its environment.
Where messages were changed on purpose, UPDATE_MESSAGES=1 writes the texts anew: read the difference.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import exporter.config
from exporter.config import ConfigError, load

BAD = Path(__file__).parent / "bad"
NAMES = sorted({"no-such-file", *(path.stem for path in BAD.glob("*.yaml"))})
CODE = Path(exporter.config.__file__).parent

ENVIRONMENT = re.compile(r"^# env (\w+)=(.*)$", re.MULTILINE | re.ASCII)

RAISED = {"Wrong", "Finding", "SyntaxProblem"}


def environment(path: Path) -> dict[str, str]:
    """What the file asks to be set. \\xff stands for a byte that is no UTF-8."""
    content = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    return {
        name: os.fsdecode(value.encode().replace(rb"\xff", b"\xff")) for name, value in ENVIRONMENT.findall(content)
    }


def messages(name: str) -> str:
    path = Path(f"{name}.yaml")
    with pytest.raises(ConfigError) as caught:
        load(path, environment(path))
    assert all(message.isprintable() for message in caught.value.messages)
    return f"{caught.value}\n"


@pytest.mark.parametrize("name", NAMES)
def test_says_where_it_is_wrong_and_what_would_be_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    said = messages(name)
    expected = Path(f"{name}.txt")
    if os.environ.get("UPDATE_MESSAGES"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")
    assert "hush" not in said


def test_no_messages_are_left_of_a_bad_file_that_is_gone() -> None:
    assert {path.stem for path in BAD.glob("*.txt")} == set(NAMES)


def test_every_message_is_brought_about_by_a_file() -> None:
    said = "".join((BAD / f"{name}.txt").read_text(encoding="utf-8") for name in NAMES)
    # What `check` finds in a file that can be used is no such message.
    modules = [path for path in CODE.glob("*.py") if path.name != "check.py"]
    patterns = sorted({pattern for path in modules for pattern in templates(path)})
    assert len(patterns) > 60
    assert [pattern for pattern in patterns if not re.search(rf"(^|: ){pattern}(; .*)?$", said, re.MULTILINE)] == []


def templates(path: Path) -> Iterator[str]:
    """Patterns of the messages that a module can make: what it raises or finds, and what it prepares for that."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in RAISED:
                found = [argument for argument in args if _is_text(argument)]
                # What is not written down here was prepared in a variable or in a Wrong, which are seen as such.
                assert found or any(isinstance(argument, ast.Name | ast.Call | ast.Attribute) for argument in args), (
                    ast.unparse(node)
                )
            case ast.Call(func=ast.Name(id="ConfigError"), args=[ast.List(elts=found)]):
                pass
            case ast.Assign(targets=[ast.Name(id="words")], value=value) if _is_text(value):
                found = [value]
            case ast.Assign(targets=[ast.Name(id="_WORDS")], value=ast.Dict(values=found)):
                pass
            case ast.FunctionDef(name="_words" | "_unknown" | "_unknown_in_source"):
                returned = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value]
                found = [piece for value in returned for piece in _alternatives(value) if _is_text(piece)]
            case _:
                continue
        yield from map(_pattern, found)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.Call):
        yield from node.args
    else:
        yield node


def _pattern(node: ast.expr) -> str:
    """The text with anything in the places of its values."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [str(part.value) if isinstance(part, ast.Constant) else "{value}" for part in parts]
    return ".*".join(map(re.escape, "".join(texts).split("{value}")))
