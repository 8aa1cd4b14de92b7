"""The sources: everything that knows how a particular meter is read.

A new source is one folder here, one line in `SOURCES` and one in `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from exporter.check import Finding
from exporter.sources.base import REASONS, Reason, Source, SourceError
from exporter.sources.unifi import UnifiSource
from exporter.sources.unifi.check import check as check_unifi

# Each factory takes the settings type of its own kind, which is what the Any stands for.
SOURCES: Final[dict[str, Callable[[Any], Source]]] = {"unifi": UnifiSource}

# Each tries one source out, by its name and the same settings, and says step by step how it went.
CHECKS: Final[dict[str, Callable[[str, Any], Iterator[Finding]]]] = {"unifi": check_unifi}

__all__ = ["CHECKS", "REASONS", "SOURCES", "Reason", "Source", "SourceError"]
