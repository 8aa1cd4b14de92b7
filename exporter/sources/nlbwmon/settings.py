"""What has to be known to poll an OpenWrt router."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NlbwmonSettings:
    """How to reach one router over SSH, and as whom.

    key_file: a private key, with `passphrase` where it is encrypted; or a password; the key is tried first where both
    are given. known_hosts: a file in OpenSSH's format that holds the router's host key, as `host` or, for another port
    than 22, `[host]:port`. No key is ever learned from the wire. timeout: seconds for a whole poll.
    protocols: whether each client's protocols have totals of their own. exclude: MACs in lower case; their rows are of
    no client.

    Raises ValueError, with words for a person, where these cannot work.
    """

    host: str
    known_hosts: str
    port: int = 22
    username: str = "root"
    password: str = field(default="", repr=False)
    key_file: str = ""
    passphrase: str = field(default="", repr=False)
    timeout: float = 20.0
    protocols: bool = False
    exclude: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.host or not self.username:
            raise ValueError("give a host and a username")
        if not self.key_file and not self.password:
            raise ValueError("give a key_file, or a password")
        if not 0 < self.port < 65_536:
            raise ValueError("port: has to be between 1 and 65535")
        if not self.timeout > 0:
            raise ValueError("timeout: has to be more than 0 seconds")
        # What an environment variable has beside UTF-8 text arrives as lone surrogates, which SSH cannot carry.
        if any("\ud800" <= character <= "\udfff" for character in self.username + self.password + self.passphrase):
            raise ValueError("username, password and passphrase: only text in UTF-8 can be sent")

    @property
    def place(self) -> str:
        """The router as known_hosts names it."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"

    @property
    def where(self) -> str:
        """The router as messages name it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{self.username}@{host}:{self.port}"
