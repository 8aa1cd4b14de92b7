"""`forget` and `whois`: take a client out of the state, and tell the owner of the state whose a pseudonym is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.privacy import PREFIX, Privacy, written_as_mac
from exporter.store import forget as store
from exporter.store.errors import StateError
from exporter.store.forget import Known

if TYPE_CHECKING:
    from exporter.config import Config


class UnclearError(Exception):
    """It is not clear whom the user means; the message says what would be."""


def meant(wanted: str, clients: Iterable[Known], names: Mapping[str, str], key: bytes | None) -> set[Known]:
    """The clients that the user means. Raises UnclearError where there is none, or several under one name.

    wanted: a MAC address in any notation, an IP, a pseudonym, or a name of the configuration. names: those, by MAC.
    """
    clients = set(clients)
    address = _address(wanted, clients, names, key)
    found = {each for each in clients if each.client == address}
    if not found:
        raise UnclearError(
            f"The state knows no client {wanted!r}. Write its MAC address, IP or pseudonym, as the label `client` on"
            " /metrics has it, or the name that the configuration gives it: names that clients have by themselves are"
            " not in the state."
        )
    return found


def _address(wanted: str, clients: Iterable[Known], names: Mapping[str, str], key: bytes | None) -> str:
    named = sorted(mac for mac, name in names.items() if name.casefold() == wanted.strip().casefold())
    if len(named) > 1:
        raise UnclearError(
            f"{len(named)} clients are called {wanted!r}: {', '.join(named)}. Write one of these instead."
        )
    if named:
        return named[0]
    if wanted.startswith(PREFIX):
        return next(resolved(wanted, clients, key), "")
    try:
        return str(ip_address(wanted.strip()))
    except ValueError:
        return written_as_mac(wanted.strip())


def resolved(pseudonym: str, clients: Iterable[Known], key: bytes | None) -> Iterator[str]:
    """The addresses that are shown as this pseudonym: one, or none."""
    if key is not None:
        privacy = Privacy(hash_mac=True, key=key)
        yield from sorted({each.client for each in clients if privacy.address(each.client) == pseudonym})


def look_up(config: Config, wanted: str, source: str | None) -> set[Known]:
    """Whom `forget` would forget. Raises UnclearError and StateError."""
    with store.reading(config.state) as connection:
        clients = store.known(connection)
        key = store.pseudonym_key(connection)
    if source is not None:
        sources = sorted({each.source for each in clients})
        if source not in sources:
            raise UnclearError(f"The state knows no source {source!r}. It knows: {', '.join(sources) or 'none'}.")
        clients = {each for each in clients if each.source == source}
    return meant(wanted, clients, {mac: who.name for mac, who in config.clients.items() if who.name}, key)


def forget(config: Config, clients: Iterable[Known]) -> str:
    """Forget the clients; what the user is to know of what remains. Raises StateError."""
    clients = sorted(clients)
    try:
        with store.writing(config.state) as connection:
            store.forget(connection, clients)
            key = store.pseudonym_key(connection)
    except StateError as error:
        raise StateError(
            f"{error}\nNothing was forgotten. A running exporter would write the client down again: stop it, forget,"
            " and start it."
        ) from error
    return remains(config, clients, key)


def remains(config: Config, clients: Iterable[Known], key: bytes | None) -> str:
    """What else holds these clients, and what to do about it."""
    addresses = sorted({each.client for each in clients})
    lines = ["Forgotten. If it comes back, it is a new client whose bytes so far do not count."]
    configured = [address for address in addresses if address in config.clients]
    if configured:
        lines.append(f"The configuration still names it: take {', '.join(configured)} out of `clients`.")
    left = store.copies(config.state)
    if left:
        lines.append(f"Copies from before an upgrade still hold it: {', '.join(map(str, left))}. Delete them.")
    lines.append("Backups that you made of the state hold it as well.")
    if config.archive.url is not None:
        lines.append(
            "The archive in PostgreSQL loses its address when the exporter runs again, and keeps its bytes as nobody's."
        )
    lines += [
        "Prometheus keeps its series until they are deleted. It needs --web.enable-admin-api for that:",
        *deletions(addresses, key),
    ]
    return "\n".join(lines)


def deletions(addresses: Iterable[str], key: bytes | None, prometheus: str = "http://localhost:9090") -> list[str]:
    """The calls of Prometheus' admin API that delete the series: under the address, and its pseudonym if any."""
    labels = list(addresses)
    if key is not None:
        privacy = Privacy(hash_mac=True, key=key)
        labels = [*labels, *(privacy.address(label) for label in labels)]
    matches = " ".join(f"--data-urlencode 'match[]={{client=\"{label}\"}}'" for label in labels)
    api = f"{prometheus}/api/v1/admin/tsdb"
    return [f"  curl -X POST -G {api}/delete_series {matches}", f"  curl -X POST {api}/clean_tombstones"]


def whois(state: Path, pseudonym: str) -> list[str]:
    """The addresses that are shown as this pseudonym. Raises StateError."""
    with store.reading(state) as connection:
        return list(resolved(pseudonym, store.known(connection), store.pseudonym_key(connection)))
