"""Who may stay connected. No sockets here.

Nobody is turned away while somebody idles. Where there are too many connections, of one peer or of all, the newest one
is let in, and the one that has kept us waiting longest goes: the peer's own, or one of the peer with the most. So a
peer that opens hundreds and says nothing takes places from itself alone, and a scrape from the very same address gets
in as well. Only where every one of them is being answered is a new one refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Member(Protocol):
    """A connection. waited: seconds for which the peer has kept us waiting, or None where it waits for us."""

    @property
    def peer(self) -> str: ...
    def waited(self) -> float | None: ...


M = TypeVar("M", bound=Member)


class Crowd(Generic[M]):
    """All connections, by their peers."""

    def __init__(self, per_peer: int, overall: int) -> None:
        self._per_peer, self._overall = per_peer, overall
        self._peers: dict[str, set[M]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def members(self) -> list[M]:
        """All of them, in a list of its own."""
        return [member for group in self._peers.values() for member in group]

    def enter(self, newcomer: M) -> M | None:
        """Let a connection in; the one that has to go for it, which may be itself. Who goes has left already."""
        leaves: M | None = None
        own = self._peers.get(newcomer.peer, set())
        if len(own) >= self._per_peer:
            leaves = _slowest(own) or newcomer
        elif self._size >= self._overall:
            groups = sorted(self._peers.values(), key=len, reverse=True)
            leaves = next((slow for slow in map(_slowest, groups) if slow is not None), newcomer)
        if leaves is not newcomer:
            self._peers.setdefault(newcomer.peer, set()).add(newcomer)
            self._size += 1
        if leaves is not None:
            self.leave(leaves)
        return leaves

    def leave(self, member: M) -> None:
        """A connection is gone, perhaps for the second time."""
        group = self._peers.get(member.peer, set())
        if member in group:
            group.remove(member)
            self._size -= 1
            if not group:
                del self._peers[member.peer]


def _slowest(group: Iterable[M]) -> M | None:
    waiting = [(waited, member) for member in group if (waited := member.waited()) is not None]
    return max(waiting, key=lambda pair: pair[0])[1] if waiting else None
