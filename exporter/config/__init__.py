"""What a user may write, and every error in it at once, each with its place and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from exporter.config import checks, values
from exporter.config.document import Document, SyntaxProblem, Tree, parse
from exporter.config.errors import ConfigError, Finding, Place, dotted
from exporter.config.schema import Config, KnownClient, Web
from exporter.config.sources import KINDS, NlbwmonSource, SourceEntry, UnifiSource
from exporter.config.values import Listen, Wrong

__all__ = [
    "Config",
    "ConfigError",
    "KnownClient",
    "Listen",
    "NlbwmonSource",
    "SourceEntry",
    "UnifiSource",
    "Web",
    "load",
    "read",
]

LISTEN_VARIABLE = "BANDWIDTH_LISTEN"
STATE_VARIABLE = "BANDWIDTH_STATE"

# What pydantic's own kinds of errors mean; whatever else it refuses should have been text.
_WORDS = {
    "missing": "is missing",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a mapping with keys of your own",
}


def load(path: Path, env: Mapping[str, str]) -> Config:
    """Read a configuration. Raises ConfigError with everything that is wrong with it."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such path"
        remedy = "; let the user that runs the exporter read it" if isinstance(error, PermissionError) else ""
        raise ConfigError([f"{path}: cannot be read ({why}){remedy}"]) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: is no UTF-8 text; save it as UTF-8"]) from error
    return read(text, path, env)


def read(text: str, path: Path, env: Mapping[str, str]) -> Config:
    """Read a configuration from text that stands, or would stand, in the file `path`."""
    try:
        document = parse(text)
    except SyntaxProblem as problem:
        place = f"{path}:{problem.line}" if problem.line else f"{path}"
        raise ConfigError([f"{place}: {problem.words}"]) from problem
    tree = checks.expand(document, env)
    checks.read_secret_files(tree, document, path.parent)
    checks.judge(tree, document)
    config = _validate(tree, document, path.parent)
    listen, refusals = _listen(env)
    messages = [*_messages(document, path), *refusals]
    if config is None or messages:
        raise ConfigError(messages)
    return _placed(config, listen, env.get(STATE_VARIABLE))


def _placed(config: Config, listen: Listen | None, state: str | None) -> Config:
    """With what the place where it runs knows better than the file: a container, a service of systemd."""
    placed: dict[str, object] = {"state": Path(state)} if state else {}
    if listen:
        placed["web"] = config.web.model_copy(update={"listen": listen})
    return config.model_copy(update=placed)


def _listen(env: Mapping[str, str]) -> tuple[Listen | None, list[str]]:
    text = env.get(LISTEN_VARIABLE)
    if not text:
        return None, []
    try:
        return values.listen(text), []
    except Wrong as wrong:
        return None, [f"{LISTEN_VARIABLE}: {wrong.about(text)}"]


def _validate(tree: Mapping[str, Tree], document: Document, folder: Path) -> Config | None:
    """The typed configuration, or None and more findings in the document."""
    try:
        return Config.model_validate(tree, context={"folder": folder})
    except ValidationError as error:
        wrong = {finding.place for finding in document.findings}
        for detail in error.errors(include_url=False, include_input=False):
            place = _place(detail["loc"])
            # What the checks have spoken about is not put in a second way.
            if place not in wrong:
                document.findings.append(Finding(place, _words(detail)))
        return None


def _place(loc: Place) -> Place:
    """Where pydantic's location is in the file: without the kind of a source, and the "[key]" behind a bad key."""
    place = loc[:2] + loc[3:] if loc[0] == "sources" else loc
    return place[:-1] if place[-1] == "[key]" else place


def _words(detail: ErrorDetails) -> str:
    match detail:
        case {"ctx": {"error": Wrong() as wrong}}:
            return str(wrong)
        case {"type": "extra_forbidden", "loc": ("sources", _, str(kind), str(key))}:
            return _unknown_in_source(key, kind)
        case {"type": "extra_forbidden", "loc": (*parents, str(key))}:
            return _unknown(key, _keys(_model_at(parents)[0]))
        case {"type": "model_type", "loc": ("sources", *_)}:
            return "must be a mapping; write name, kind and the keys of that kind"
        case {"type": "model_type"}:
            return f"must be a mapping with the keys: {', '.join(_keys(_model_at(detail['loc'])[0]))}"
    words = _WORDS.get(detail["type"], "must be text")
    _, field = _model_at(detail["loc"])
    key = next(part for part in reversed(detail["loc"]) if isinstance(part, str) and part != "[key]")
    return f"{words}; for example, {key}: {field.examples[0]}" if field and field.examples else words


def _model_at(loc: Iterable[str | int]) -> tuple[type[BaseModel], FieldInfo | None]:
    """The model that a location of pydantic's leads to or into, and the field of one that it ends at or in."""
    model: type[BaseModel] = Config
    field: FieldInfo | None = None
    for part in loc:
        if field is Config.model_fields["sources"] and part in KINDS:
            model, field = KINDS[str(part)], None
        elif part in model.model_fields:
            field = model.model_fields[str(part)]
            inner = (field.annotation, *get_args(field.annotation))
            model = next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return model, field


def _keys(model: type[BaseModel]) -> list[str]:
    keys = list(model.model_fields)
    return keys + [f"{secret}_file" for secret in checks.SECRETS if secret in keys]


def _unknown_in_source(key: str, kind: str) -> str:
    known = _keys(KINDS[kind])
    others = [other for other, model in KINDS.items() if key in _keys(model)]
    if others:
        return f"is a key of kind {others[0]}, and this source is of kind {kind}; the keys are: {', '.join(known)}"
    return _unknown(key, known)


def _unknown(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"is no key here; did you mean {close[0]}?" if close else f"is no key here; the keys are: {', '.join(known)}"


def _messages(document: Document, path: Path) -> Iterator[str]:
    """The findings as lines, in the order of the file."""
    lined = [(finding.line or document.line(finding.place), finding) for finding in document.findings]
    for line, finding in sorted(lined, key=lambda pair: (pair[0] or 0, dotted(pair[1].place))):
        where = f"{path}:{line}" if line else f"{path}"
        what = f"{dotted(finding.place)}: " if finding.place else ""
        yield f"{where}: {what}{Wrong(finding.words).about(_written(document, finding.place))}"


def _written(document: Document, place: Place) -> str:
    """What the user wrote at a place, before any variable was replaced: its text, or the key of a client or line."""
    if place[:1] in (("clients",), ("wans",)) and (len(place) < 3 or place[2] == "[key]"):
        return str(place[min(1, len(place) - 1)])
    value: Any = document.tree
    for part in place:
        match value, part:
            case dict(), str():
                value = value.get(part)
            case list(), int():
                value = value[part]
            case _:
                value = None
    return value if isinstance(value, str) else ""
