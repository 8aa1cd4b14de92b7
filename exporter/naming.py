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


RANDOMISED = "randomised"
"""The vendor of an address that a device made up for itself; such a client may come back as another."""

People = Mapping[str, Person]
_NOBODY = Person()


def person_of(client: Client, people: People) -> Person:
    """The client's entry in the configuration, with the name it goes by, which is never empty."""
    person = people.get(client.mac, _NOBODY)
    name = person.name.strip() or client.name.strip() or _by_vendor(client) or client.client
    return Person(name, person.owner or client.owner, person.category or client.category)


def vendor_of(client: Client) -> str:
    """The maker, or RANDOMISED for an address that no maker gave and of which the meter knows none."""
    return client.vendor.strip() or (RANDOMISED if _is_randomised(client.mac) else "")


def _is_randomised(mac: str) -> bool:
    """The bit "locally administered" of IEEE 802, clause 8.4: what phones set in the addresses they make up."""
    return len(mac) == 17 and mac[1] in "2367abef"


def _by_vendor(client: Client) -> str:
    """Apple 02:31:9f: enough to tell two of a maker apart."""
    vendor = vendor_of(client)
    return f"{vendor} {client.mac[-8:]}" if vendor and client.mac else ""
