"""The sources: everything that knows how a particular meter is read.

A new source is one folder here, one line in `SOURCES` and one in `CHECKS`. A kind is imported when it is first used:
what it needs to reach its meters takes longer to import than the rest of the exporter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from exporter.model import Collection
from exporter.sources.base import REASONS, Reason, Source, SourceError

if TYPE_CHECKING:
    from exporter.check import Finding
    from exporter.sources.nlbwmon import NlbwmonSettings
    from exporter.sources.unifi import UnifiSettings


Marks = Mapping[Collection, str]
"""The life that each collection was last read to the end in, as the state remembers it."""

_NONE: Final[Marks] = MappingProxyType({})


class Factory(Protocol):
    """Makes a source of the settings type of its own kind, which is what the Any stands for."""

    def __call__(self, settings: Any, resumed: Marks = ..., /) -> Source: ...


def _unifi(settings: UnifiSettings, _: Marks = _NONE) -> Source:
    from exporter.sources.unifi import UnifiSource

    return UnifiSource(settings)


def _nlbwmon(settings: NlbwmonSettings, resumed: Marks = _NONE) -> Source:
    from exporter.sources.nlbwmon import NlbwmonSource

    return NlbwmonSource(settings, resumed=resumed)


def _check_unifi(name: str, settings: UnifiSettings, _interval: float) -> Iterator[Finding]:
    from exporter.sources.unifi.check import check

    return check(name, settings)


def _check_nlbwmon(name: str, settings: NlbwmonSettings, interval: float) -> Iterator[Finding]:
    from exporter.sources.nlbwmon.check import check

    return check(name, settings, interval)


SOURCES: Final[dict[str, Factory]] = {"unifi": _unifi, "nlbwmon": _nlbwmon}

# Each tries one source out, by its name, the same settings and its interval in seconds, and says step by step how it
# went.
CHECKS: Final[dict[str, Callable[[str, Any, float], Iterator[Finding]]]] = {
    "unifi": _check_unifi,
    "nlbwmon": _check_nlbwmon,
}

__all__ = ["CHECKS", "REASONS", "SOURCES", "Reason", "Source", "SourceError"]
