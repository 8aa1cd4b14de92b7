"""What is not well with a router although it answers, in words. Watches a few polls before it speaks. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from exporter.model import Count
from exporter.sources.nlbwmon.exchange import Answer, Exchange

PATIENCE: Final = 10
"""Polls for which something has to stay as it is."""

MOVED: Final = 1_000_000
"""Bytes on the lines beside which rows that stand still are no idle network."""

FULL: Final = 0.9
"""Share of database_limit from which rows are near it."""

RESTARTS: Final = 3
"""Daemons within so many polls as PATIENCE that are not one that is started once in a while."""


class Watch:
    """What one router's polls showed. `see` each, then `words`."""

    def __init__(self) -> None:
        self.known = False
        self._counts: Mapping[str, Count] = {}
        self._still = 0
        self._empty = 0
        self._silent = 0
        self._lines: dict[str, int] = {}
        self._carried = 0
        self._pids: deque[str] = deque(maxlen=PATIENCE)
        self._said: tuple[str, ...] = ()

    def see(self, answer: Answer, counts: Mapping[str, Count]) -> None:
        """Take in a poll and its rows."""
        self.known = self.known or bool(counts)
        if isinstance(answer, Exchange):
            self._pids.append(answer.before.pids)
        self._empty = 0 if counts else self._empty + 1
        silent = bool(counts) and not any(count.download or count.upload for count in counts.values())
        self._silent = self._silent + 1 if silent else 0
        self._carry(answer, anew=counts != self._counts)
        self._counts = counts
        self._said = tuple(self._words(answer, len(counts)))

    @property
    def words(self) -> tuple[str, ...]:
        """What is not well, and what to do about it."""
        return self._said

    def _carry(self, answer: Answer, *, anew: bool) -> None:
        """How much the lines carried since a row last moved."""
        lines = {device: count.download + count.upload for device, count in answer.network.counts.items()}
        names = {each.device for each in answer.network.interfaces or () if each.v4 or each.v6}
        now = {device: size for device, size in lines.items() if device in names}
        moved = sum(max(0, size - self._lines.get(device, size)) for device, size in now.items())
        self._lines = now
        self._still, self._carried = (0, 0) if anew else (self._still + 1, self._carried + moved)

    def _words(self, answer: Answer, rows: int) -> Iterator[str]:
        if self._empty >= PATIENCE:
            yield (
                "no conntrack events: nlbwmon shows no rows at all; check that net.netfilter.nf_conntrack_events is"
                " not 0, and whether a package such as kmod-nft-fullcone keeps events from it"
            )
        elif self._silent >= PATIENCE:
            yield "nlbwmon's rows have no bytes: set net.netfilter.nf_conntrack_acct to 1"
        elif self._still >= PATIENCE and self._carried > MOVED:
            yield (
                f"nlbwmon's values stand still, while {self._carried} bytes passed the line: a full disk stops them,"
                " and offloaded flows are not counted; look at `df` and at the firewall's offloading"
            )
        if answer.limit and rows >= FULL * answer.limit:
            yield (
                f"rows near the limit: {rows} of {answer.limit}; the oldest are overwritten then, with what moved in"
                " them last; raise database_limit"
            )
        if len(set(self._pids)) > RESTARTS:
            yield "nlbwmon is restarted again and again; `logread -e nlbwmon` on the router says why"
