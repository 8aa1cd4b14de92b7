"""The sources: everything that knows how a particular meter is read.

A new source is one folder here, one line in `SOURCES` and one in `CHECKS`. A kind is imported when it is first used:
what it needs to reach its meters takes longer to import than the rest of the exporter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from exporter.sources.base import REASONS, Reason, Source, SourceError

if TYPE_CHECKING:
    from exporter.check import Finding
    from exporter.sources.nlbwmon import NlbwmonSettings
    from exporter.sources.unifi import UnifiSettings


def _unifi(settings: UnifiSettings) -> Source:
    from exporter.sources.unifi import UnifiSource

    return UnifiSource(settings)


def _nlbwmon(settings: NlbwmonSettings) -> Source:
    from exporter.sources.nlbwmon import NlbwmonSource

    return NlbwmonSource(settings)


def _check_unifi(name: str, settings: UnifiSettings, _interval: float) -> Iterator[Finding]:
    from exporter.sources.unifi.check import check

    return check(name, settings)


def _check_nlbwmon(name: str, settings: NlbwmonSettings, interval: float) -> Iterator[Finding]:
    from exporter.sources.nlbwmon.check import check

    return check(name, settings, interval)


# Each factory takes the settings type of its own kind, which is what the Any stands for.
SOURCES: Final[dict[str, Callable[[Any], Source]]] = {"unifi": _unifi, "nlbwmon": _nlbwmon}

# Each tries one source out, by its name, the same settings and its interval in seconds, and says step by step how it
# went.
CHECKS: Final[dict[str, Callable[[str, Any, float], Iterator[Finding]]]] = {
    "unifi": _check_unifi,
    "nlbwmon": _check_nlbwmon,
}

__all__ = ["CHECKS", "REASONS", "SOURCES", "Reason", "Source", "SourceError"]
