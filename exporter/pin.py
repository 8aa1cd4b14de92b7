"""Shows who a source is, and on a yes writes down that it is the one to trust."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.config import SourceEntry


class PinError(Exception):
    """What a source shows could not be written down, or does not hold. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a source shows of itself, and what can be done about it.

    lines: for the person who decides. pinned: whether it is trusted already. changed: loud words where another one is
    trusted, else "". obstacle: why it cannot be written down here, and what to write by hand; else "". write: writes it
    down, looks whether it holds, and says what was done; raises PinError and SourceError.
    """

    lines: tuple[str, ...]
    write: Callable[[], str]
    pinned: bool = False
    changed: str = ""
    obstacle: str = ""


def offer_of(entry: SourceEntry, config: Path, env: Mapping[str, str]) -> Offer:
    """Ask a source of the configuration who it is. Raises SourceError where it does not tell."""
    if entry.kind == "nlbwmon":
        from exporter.sources.nlbwmon.pin import offer

        return offer(entry)
    from exporter.sources.unifi.pin import offer as offer_controller

    return offer_controller(entry, config, env)
