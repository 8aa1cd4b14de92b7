"""What a client is called."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from exporter.model import Client


class Person(Struct, frozen=True):
    """What the configuration says of a client, under its MAC; it goes before what the router says."""

    name: str = ""
    owner: str = ""
    category: str = ""


People = Mapping[str, Person]
_NOBODY = Person()


def person_of(client: Client, people: People) -> Person:
    """The client's entry in the configuration, with the name it goes by, which is never empty."""
    person = people.get(client.mac, _NOBODY)
    name = person.name.strip() or client.name.strip() or _by_vendor(client) or client.client
    return Person(name, person.owner or client.owner, person.category or client.category)


def _by_vendor(client: Client) -> str:
    """Apple 02:31:9f: enough to tell two of a maker apart."""
    vendor = client.vendor.strip()
    return f"{vendor} {client.mac[-8:]}" if vendor and client.mac else ""
