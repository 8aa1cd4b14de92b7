"""The text of a source's protocols: of all its clients together, and of each of them where that is wanted."""

from __future__ import annotations

from collections.abc import Iterable

from exporter import metrics
from exporter.exposition import Blocks, samples
from exporter.model import Count, SubjectKey
from exporter.privacy import OPEN, Privacy

Row = tuple[SubjectKey, Count | None]
"""A subject on the page, and the count it shows."""


def render_protocols(
    source: str, protocols: Iterable[Row], client_protocols: Iterable[Row], privacy: Privacy = OPEN
) -> Blocks:
    """One block for each family that has samples."""
    rows = [((source, *_halves(key.key)), count) for key, count in protocols if count is not None]
    client_rows = [
        ((source, *_halves(privacy.key(key))), count) for key, count in client_protocols if count is not None
    ]
    blocks = {
        metrics.PROTOCOL_DOWNLOAD: [(who, count.download) for who, count in rows],
        metrics.PROTOCOL_UPLOAD: [(who, count.upload) for who, count in rows],
        metrics.CLIENT_PROTOCOL_DOWNLOAD: [(who, count.download) for who, count in client_rows],
        metrics.CLIENT_PROTOCOL_UPLOAD: [(who, count.upload) for who, count in client_rows],
    }
    return {family.name: samples(family, series) for family, series in blocks.items() if series}


def _halves(key: str) -> tuple[str, str]:
    """The family or client, and the protocol, whose name may hold anything."""
    first, _, protocol = key.partition("|")
    return first, protocol
