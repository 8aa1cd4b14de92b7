"""What is wrong with a configuration, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

# Where a value stands: the keys and list positions that lead to it.
Place = tuple[str | int, ...]

LONGEST_QUOTE = 80


class Finding(NamedTuple):
    """One thing that is wrong: where, and what would be right. `line` only where the place alone does not tell it."""

    place: Place
    words: str
    line: int | None = None


class ConfigError(Exception):
    """The configuration cannot be used. Its text is every message, one a line."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = tuple(messages)
        super().__init__("\n".join(self.messages))


def one_line(text: str) -> str:
    """The text with everything escaped that would break a line or a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def quoted(text: str) -> str:
    """The text as a message shows it: in quotes, on one line, and not endless."""
    shown = text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"
    return f'"{one_line(shown)}"'


def dotted(place: Place) -> str:
    """The place as a person would write it: `sources[0].interval`, `clients["02:aa:bb:cc:dd:01"].name`."""
    shown = ""
    for part in place:
        if isinstance(part, int):
            shown += f"[{part}]"
        elif part.isidentifier():
            shown += f".{part}" if shown else part
        else:
            shown += f"[{quoted(part)}]"
    return shown
