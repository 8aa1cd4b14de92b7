"""From one router's rows to readings. Pure: nlbwmon's directions, rows and lives end here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from exporter.model import ZERO, Client, Collection, Count, CounterKey, Poll, Reading, SubjectKey
from exporter.sources.nlbwmon.exchange import Exchange
from exporter.sources.nlbwmon.lives import Lives, counts_of
from exporter.sources.nlbwmon.payload import NO_MAC

CLOCK_TOLERANCE: Final = 300.0
"""Seconds by which the router's clock may be off ours: more, and its periods prove nothing (reference, §1.5 case 7)."""

CLIENTS: Final = Collection("client", "")
SITE: Final = SubjectKey("site", "", "")


class Readings:
    """Turns one router's exchanges into polls. `identity` is the fingerprint of its pinned host key."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._lives = Lives(identity)

    def ask(self, exchange: Exchange, at: float) -> tuple[str, ...]:
        """The labels of the periods that this exchange needs beside its rows; it is made anew with them.

        at: our clock, Unix seconds. Raises VoidError.
        """
        return () if _off(exchange, at) else self._lives.ask(exchange)

    def poll(self, exchange: Exchange, at: float) -> Poll:
        """What one poll brought home. Raises VoidError."""
        if _off(exchange, at):  # the ledger takes none of it, and a wrong clock's periods are not to be remembered
            return self._poll(exchange, {}, proved=False)
        self._lives.enter(exchange)
        # A row that only the closed period has still has bytes to count there; the running one has none of it yet.
        return self._poll(exchange, dict.fromkeys(sorted(self._lives.closed_keys), ZERO), proved=True)

    def _poll(self, exchange: Exchange, gone: Mapping[str, Count], *, proved: bool) -> Poll:
        counts = {**gone, **counts_of(exchange.rows)}
        shared = self._lives.shared
        readings: list[Reading] = []
        clients: dict[str, Client] = {}
        for key, count in counts.items():
            client, mac, ip = _whose(key)
            life = (shared or self._lives.life(key)) if proved else None
            base = life.base if life else None
            subjects = (SubjectKey("client", "", client), SITE)
            readings.append(Reading(CounterKey("client", "", key), subjects, count, life=life, base=base))
            if client not in clients or (":" in clients[client].ip and ":" not in ip):
                clients[client] = _client(client, mac, ip, exchange.names)
        return Poll(
            identity=self._identity,
            readings=tuple(readings),
            clients=tuple(clients.values()),
            complete={CLIENTS: self._lives.mark} if proved else {},
            refresh=exchange.refresh,
            meter_at=exchange.after.at,
            clock_bound=True,
            bad_records=dict(Counter(exchange.bad)),
        )


def _off(exchange: Exchange, at: float) -> bool:
    return abs(exchange.after.at - at) > CLOCK_TOLERANCE


def _whose(key: str) -> tuple[str, str, str]:
    """Whose bytes a row has, and its MAC and IP. Without a MAC the address is all that is known of a client."""
    *_, mac, ip = key.split("|")
    return (ip, "", ip) if mac == NO_MAC else (mac, mac, ip)


def _client(client: str, mac: str, ip: str, names: Mapping[str, str]) -> Client:
    """What is known of a client. When its bytes last moved, the exporter knows better than the router."""
    return Client("", client, mac, names.get(mac) or names.get(ip, ""), connection="unknown", ip=ip)
