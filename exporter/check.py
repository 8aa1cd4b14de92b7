"""Tries a configuration out: each part of it in turn, each result in words, with what to do where it is not well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from exporter.config.errors import one_line

if TYPE_CHECKING:
    from exporter.config import Config

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one trial came to.

    subject: what was tried, such as "home: login". message: how it went; it never holds a secret. remedy: what to do
    about it, "" where there is nothing to do.
    """

    level: Level
    subject: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        """One line for a person, whatever the message brought from outside."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return one_line(f"{self.level:<8}{self.subject}: {self.message}{remedy}")


def findings(config: Config) -> Iterator[Finding]:
    """Try every source of a configuration, one after the other, and say each thing as soon as it is known."""
    from exporter.configured import settings_of
    from exporter.sources import CHECKS

    for entry in config.sources:
        yield from CHECKS[entry.kind](entry.name, settings_of(entry))


def exit_status(found: Iterable[Finding]) -> int:
    """1 if anything is wrong, else 0. Warnings are no failure."""
    return int(any(finding.level == "error" for finding in found))
