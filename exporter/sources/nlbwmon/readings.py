"""From one router's rows to readings. Pure: nlbwmon's directions, rows and lives end here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from exporter.model import NO_MAC, ZERO, Client, Collection, Count, CounterKey, Life, Poll, Reading, SubjectKey
from exporter.sources.nlbwmon.exchange import Answer, Exchange
from exporter.sources.nlbwmon.lives import SLACK, Lives, closed_since_start, counts_of
from exporter.sources.nlbwmon.payload import Row
from exporter.sources.nlbwmon.wans import Wans
from exporter.sources.nlbwmon.watch import Watch

CLOCK_TOLERANCE: Final = 300.0
"""Seconds by which the router's clock may be off ours: more, and its periods prove nothing (reference, §1.5 case 7)."""

PROTOCOL_LIMIT: Final = 64
"""Characters of a protocol's name: it comes from a file on the router."""

CLIENTS: Final = Collection("client", "")
SITE: Final = SubjectKey("site", "", "")

Origin = tuple[Life | None, Count | None]
"""What is proved of a row's life, and where it would have begun anew."""


class Readings:
    """Turns one router's exchanges into polls."""

    def __init__(
        self, identity: str, resumed: str = "", *, protocols: bool = False, exclude: frozenset[str] = frozenset()
    ) -> None:
        """identity: the fingerprint of its pinned host key. resumed: see Lives. The others: see NlbwmonSettings."""
        self._identity = identity
        self._lives = Lives(identity, resumed)
        self._wans = Wans(identity)
        self._watch = Watch()
        self._watch.known = bool(resumed)
        self._protocols = protocols
        self._exclude = exclude
        self._names: dict[str, str] = {}
        self._late = ""
        self._right_since: float | None = None
        self._entered = False

    def ask(self, exchange: Exchange, at: float) -> tuple[str, ...]:
        """The labels of the periods that this exchange needs beside its rows; it is made anew with them.

        at: our clock, Unix seconds. Raises VoidError.
        """
        return () if off(exchange, at) or self._is_early(exchange) else self._lives.ask(exchange)

    def poll(self, exchange: Exchange, at: float) -> Poll:
        """What one poll brought home. Raises VoidError."""
        if off(exchange, at):
            self._late, self._right_since = exchange.boot, None
            return self._lines_alone(exchange, _off_words(exchange, at))
        if self._is_early(exchange):
            self._right_since = exchange.before.at if self._right_since is None else self._right_since
            return self._lines_alone(exchange)
        self._lives.enter(exchange)
        self._late, self._right_since, self._entered = "", None, True
        counts = counts_of(exchange.rows)
        known = self._watch.known
        self._watch.see(exchange, counts)
        for rows in exchange.closed.values():
            self._name(rows or ())
        self._name(exchange.rows)
        # A row that only the closed period has still has bytes to count there; the running one has none of it yet.
        gone = dict.fromkeys(sorted(self._lives.closed_keys), ZERO)
        shared = self._lives.shared

        def origin(key: str, count: Count) -> Origin:
            life = shared or self._lives.life(key, count)
            return life, life.base

        # Rows that are all gone at once are no sign that everybody left: events may be missing.
        whole = (bool(exchange.rows) or not known) and self._lives.is_settled(exchange)
        complete = {CLIENTS: self._lives.mark if whole else self._lives.tentative(exchange)}
        return self._poll(exchange, {**gone, **counts}, origin, complete, self._watch.words)

    def unproved(
        self,
        answer: Answer,
        at: float,
        base: Callable[[str, Count], Count | None],
        notices: tuple[str, ...],
    ) -> Poll:
        """The same of an answer that proves nothing of its rows' lives. base: where a row would have begun anew."""
        # What is proved later on proves nothing of a row that was last taken here.
        self._lives = Lives(self._identity)
        if off(answer, at):
            return self._lines_alone(answer, _off_words(answer, at))
        counts = counts_of(answer.rows)
        self._watch.see(answer, counts)
        self._name(answer.rows)

        def origin(key: str, count: Count) -> Origin:
            return None, base(key, count)

        return self._poll(answer, counts, origin, {CLIENTS: ""}, (*notices, *self._watch.words))

    def _is_early(self, exchange: Exchange) -> bool:
        """Whether rows may be those of an older period still, because the clock was set right a moment ago.

        The daemon closes that period with its next refresh (nlbwmon reference, §1.5 case 7). A daemon whose rows were
        taken before is past it, and so is one that closed a period since it was started.
        """
        facts, known = exchange.before, self._lives.daemon
        unseen = not self._entered and known is not None and known[0] != facts.boot
        if known == (facts.boot, facts.pids) or not (unseen or facts.boot == self._late):
            return False
        if closed_since_start(facts, exchange.periods[0].label):
            return False
        return self._right_since is None or facts.at - self._right_since < exchange.refresh + SLACK

    def _lines_alone(self, answer: Answer, *notices: str) -> Poll:
        """While nobody knows which period the rows are of, they prove nothing; lines do not depend on a clock."""
        lines, gear = self._wans.read(answer.network, answer.boot)
        return Poll(
            identity=self._identity,
            readings=lines,
            gear=gear,
            refresh=answer.refresh,
            rows=len(answer.rows),
            rows_limit=answer.limit,
            notices=notices,
        )

    def _poll(
        self,
        answer: Answer,
        counts: Mapping[str, Count],
        origin: Callable[[str, Count], Origin],
        complete: Mapping[Collection, str],
        notices: tuple[str, ...],
    ) -> Poll:
        lines, gear = self._wans.read(answer.network, answer.boot)
        if len(self._names) > 2 * len(counts):
            self._names = {key: self._names[key] for key in counts.keys() & self._names.keys()}
        readings: list[Reading] = list(lines)
        clients: dict[str, Client] = {}
        for key, count in counts.items():
            client, mac, ip = _whose(key)
            if mac in self._exclude:
                continue
            life, base = origin(key, count)
            subjects = self._subjects(key, client)
            readings.append(Reading(CounterKey("client", "", key), subjects, count, life=life, base=base))
            if client not in clients or (":" in clients[client].ip and ":" not in ip):
                clients[client] = _client(client, mac, ip, answer.names)
        return Poll(
            identity=self._identity,
            readings=tuple(readings),
            clients=tuple(clients.values()),
            gear=gear,
            complete=complete,
            refresh=answer.refresh,
            meter_at=answer.at,
            clock_bound=answer.at is not None,
            bad_records=answer.bad,
            lasting=True,
            rows=len(answer.rows),
            rows_limit=answer.limit,
            notices=notices,
        )

    def _name(self, rows: tuple[Row, ...]) -> None:
        """Remember what the router calls the protocols of rows. A name that changed holds from now on."""
        for row in rows:
            name = (row.layer7 or "").strip().lower()[:PROTOCOL_LIMIT] or "other"
            if self._names.get(row.key) != name:
                self._names[row.key] = name

    def _subjects(self, key: str, client: str) -> tuple[SubjectKey, ...]:
        name = self._names.get(key, "other")
        family = "ipv6" if key.startswith("6|") else "ipv4"
        subjects = SubjectKey("client", "", client), SITE, SubjectKey("protocol", "", f"{family}|{name}")
        if not self._protocols:
            return subjects
        return (*subjects, SubjectKey("client_protocol", "", f"{client}|{name}"))


def off(answer: Answer, at: float) -> bool:
    """Whether the router's clock is too far off ours, `at`, for its periods to prove anything."""
    return answer.at is not None and abs(answer.at - at) > CLOCK_TOLERANCE


def _off_words(answer: Answer, at: float) -> str:
    ahead = (answer.at or 0.0) - at
    side = "ahead of" if ahead > 0 else "behind"
    return (
        f"the router's clock is {abs(ahead) / 60:.0f} minutes {side} ours: clients' bytes count again once it is"
        " right; check NTP on both"
    )


def _whose(key: str) -> tuple[str, str, str]:
    """Whose bytes a row has, and its MAC and IP. Without a MAC the address is all that is known of a client."""
    *_, mac, ip = key.split("|")
    return (ip, "", ip) if mac == NO_MAC else (mac, mac, ip)


def _client(client: str, mac: str, ip: str, names: Mapping[str, str]) -> Client:
    """What is known of a client. When its bytes last moved, the exporter knows better than the router."""
    return Client("", client, mac, names.get(mac) or names.get(ip, ""), connection="unknown", ip=ip)
