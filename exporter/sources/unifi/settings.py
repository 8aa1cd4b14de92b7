"""What has to be known to poll a UniFi controller."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

COLLECTIONS: Final = ("clients", "devices", "wans", "ports", "ssids")
"""What may be collected, as a configuration calls it."""

_is_fingerprint = re.compile(r"sha256:[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class UnifiSettings:
    """How to reach one UniFi controller, and what to read there.

    url: `https://host[:port]`, without user, path or query. api_key, or username and password; the key wins where both
    are given. sites: short names ("default"), empty for all that the account may see. timeout: seconds for a whole
    poll. exclude: MACs that are left out altogether. collect: which of `COLLECTIONS` are read.

    The controller is trusted by its certificate: by the machine's authorities; or by those in ca_file (PEM), which may
    hold the certificate itself; or by fingerprint alone, `sha256:` and 64 hex digits of the certificate in DER; or,
    where verify_tls is False, whatever it is.

    Raises ValueError, with words for a person, where these cannot work.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    sites: tuple[str, ...] = ()
    timeout: float = 20.0
    verify_tls: bool = True
    ca_file: str = ""
    fingerprint: str = ""
    exclude: frozenset[str] = frozenset()
    collect: frozenset[str] = frozenset(COLLECTIONS)

    def __post_init__(self) -> None:
        self._check_url()
        self._check_login()
        if self.fingerprint and not _is_fingerprint(self.fingerprint):
            raise ValueError("fingerprint: has to be sha256: and 64 hex digits")
        if self.fingerprint and (self.ca_file or not self.verify_tls):
            raise ValueError("fingerprint: is of no use beside ca_file or without verify_tls")
        if not self.timeout > 0:
            raise ValueError("timeout: has to be more than 0 seconds")
        if not self.collect or not self.collect <= set(COLLECTIONS):
            raise ValueError(f"collect: has to be some of {', '.join(COLLECTIONS)}")

    def _check_url(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError("url: has to be https://host or https://host:port")
        if "@" in parts.netloc:
            raise ValueError("url: leave out the user and password, they have keys of their own")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("url: leave out everything after the host and port")
        if parts.port == 0:
            raise ValueError("url: port 0 cannot be connected to")

    def _check_login(self) -> None:
        if not self.api_key and not (self.username and self.password):
            raise ValueError("give an api_key, or a username and a password")
        # A header cannot carry anything else, and the library's own complaint would quote the key.
        if not all("!" <= character <= "~" for character in self.api_key):
            raise ValueError("api_key: only printable ASCII without spaces can be a key")
        # What an environment variable has beside UTF-8 text arrives as lone surrogates, which no JSON can carry.
        if any("\ud800" <= character <= "\udfff" for character in self.username + self.password):
            raise ValueError("username and password: only text in UTF-8 can be sent")

    @property
    def base(self) -> str:
        """The url without a final slash."""
        return self.url.rstrip("/")
