"""The sources: everything that knows how a particular meter is read.

A new source is one folder here and one line in `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from exporter.sources.base import REASONS, Reason, Source, SourceError
from exporter.sources.unifi import UnifiSource

# Each factory takes the settings type of its own kind, which is what the Any stands for.
SOURCES: Final[dict[str, Callable[[Any], Source]]] = {"unifi": UnifiSource}

__all__ = ["REASONS", "SOURCES", "Reason", "Source", "SourceError"]
