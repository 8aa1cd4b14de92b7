"""What is shown of people: the one place that turns addresses and names into pseudonyms (docs/privacy.md).

Everything that leaves the process goes through here: pages, the status page, log lines. The state does not, it holds
what is real. A pseudonym is a keyed hash: the same for one address in every source and after every restart, and without
the key nobody can find the address by trying them all.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from exporter.model import Client, Device, Gear, Port, SubjectKey, Wan
from exporter.naming import People, person_of, vendor_of

PREFIX: Final = "anon-"
"""What every pseudonym begins with, so that nobody takes one for an address."""

DIGITS: Final = 16
"""Hex digits of a pseudonym: with a million addresses, two share one in one of 37 million exporters."""

# aa:bb:cc:dd:ee:ff, aa-bb-…, aabb.ccdd.eeff and aabbccddeeff; no part of something longer, such as a fingerprint.
_MAC: Final = re.compile(
    r"(?<![0-9a-f])(?<![0-9a-f][:-])"
    r"(?:[0-9a-f]{2}([:-]?)(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})"
    r"(?![:-]?[0-9a-f])",
    re.IGNORECASE,
)
_SEPARATORS: Final = str.maketrans("", "", ":-._ ")


class Shown(Struct, frozen=True):
    """A client as it is shown. client: its label value. name is never empty."""

    client: str
    mac: str
    name: str
    owner: str
    vendor: str
    category: str
    ap: str
    ip: str


class Privacy:
    """How addresses and names are shown.

    hash_mac: pseudonyms in the place of MAC and IP addresses. names: False also hides what clients, devices and ports
    are called, and all IP addresses. key: at least 16 random bytes; needed where anything is hidden.
    """

    def __init__(self, *, names: bool = True, hash_mac: bool = False, key: bytes = b"") -> None:
        self.names = names
        self.hides = hash_mac or not names
        if self.hides and len(key) < 16:
            raise ValueError("pseudonyms need a key")
        self._key = key
        self._pseudonym = lru_cache(maxsize=65536)(self._hash)

    def _hash(self, address: str) -> str:
        digest = hmac.digest(self._key, address.encode("utf-8", "surrogatepass"), "sha256")
        return PREFIX + digest.hex()[:DIGITS]

    def address(self, text: str) -> str:
        """A MAC, or the IP of who has none, as it is shown. "" stays ""."""
        return self._pseudonym(text.lower()) if self.hides and text else text

    def ip(self, text: str) -> str:
        """An IP address that stands beside something else."""
        return self.address(text) if self.names else ""

    def text(self, text: str) -> str:
        """Any text with every MAC address in it as it is shown: a log line, a message, a name."""
        return _MAC.sub(self._in_text, text) if self.hides else text

    def _in_text(self, match: re.Match[str]) -> str:
        return self._pseudonym(written_as_mac(match[0]))

    def key(self, subject: SubjectKey) -> str:
        """The subject's key with the address in it as it is shown."""
        if not self.hides or subject.kind not in _ADDRESSED:
            return subject.key
        address, bar, rest = subject.key.partition("|")
        return self.address(address) + bar + rest

    def client(self, client: Client, people: People) -> Shown:
        """Who a client is, as far as it is shown; `client.client` is its key."""
        person, vendor = person_of(client, people), vendor_of(client)
        shown = self.address(client.client)
        name = person.name
        if self.hides and (not self.names or _tells(name, client)):
            name = f"{vendor} {self._tail(client.mac)}" if vendor and client.mac else shown
        return Shown(
            shown,
            self.address(client.mac),
            self.text(name),
            self.text(person.owner),
            self.text(vendor),
            self.text(person.category),
            self.address(client.ap),
            self.ip(client.ip),
        )

    def _tail(self, address: str) -> str:
        """Enough of a pseudonym to tell two of a maker apart."""
        return self.address(address)[-6:]

    def gear(self, piece: Gear) -> Gear:
        """What is known of a piece of gear, as far as it is shown."""
        if not self.hides:
            return piece
        if isinstance(piece, Device):
            name = self.text(piece.name) if self.names else f"{piece.kind} {self._tail(piece.device)}"
            return replace(piece, device=self.address(piece.device), name=name, ip=self.ip(piece.ip))
        if isinstance(piece, Wan):
            return replace(piece, device=self.address(piece.device), ip=self.ip(piece.ip))
        if isinstance(piece, Port):
            name = self.text(piece.name) if self.names else ""
            return replace(piece, device=self.address(piece.device), name=name)
        return piece


OPEN: Final = Privacy()
"""Everything is shown as it is."""


def privacy_of(names: bool, hash_mac: bool, key: Callable[[], bytes]) -> Privacy:
    """What is to be shown, as configured. key: the key of the pseudonyms, asked for only where there are any."""
    return OPEN if names and not hash_mac else Privacy(names=names, hash_mac=hash_mac, key=key())


_ADDRESSED: Final = frozenset({"client", "client_protocol", "device", "port"})
"""Kinds of subjects whose keys begin with an address."""


def written_as_mac(text: str) -> str:
    """A MAC address in any of its notations, as the exporter writes it: aa:bb:cc:dd:ee:ff."""
    digits = text.lower().translate(_SEPARATORS)
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _tells(name: str, client: Client) -> bool:
    """Whether a name ends a pseudonym's use: it holds the client's address, or the last three bytes of it.

    Names that devices give themselves do so often (ESP-02319F), and so does the one that is made of the vendor.
    """
    bare = name.lower().translate(_SEPARATORS)
    if client.mac and client.mac.lower().translate(_SEPARATORS)[-6:] in bare:
        return True
    return any(address and address in name for address in (client.ip, client.client))
