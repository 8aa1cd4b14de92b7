"""The files that trust and log-in rest on: pinned host keys, and a private key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import paramiko
from paramiko.hostkeys import InvalidHostKey

from exporter.sources.base import SourceError
from exporter.sources.nlbwmon.settings import NlbwmonSettings

# All but the MACs paramiko has dropped by itself; what rests on SHA-1 or MD5 is said to be off all the same.
WEAK: dict[str, list[str]] = {
    "keys": ["ssh-rsa", "ssh-dss"],
    "pubkeys": ["ssh-rsa", "ssh-dss"],
    "kex": ["diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1"],
    "macs": ["hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96"],
}
_NOT_RSA = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]


def pinned_keys(settings: NlbwmonSettings) -> Mapping[str, paramiko.PKey]:
    """The keys that known_hosts holds for this router, by kind. Raises SourceError where the file cannot be used."""
    path, where = settings.known_hosts, settings.where
    try:
        found = paramiko.HostKeys(path).lookup(settings.place)
    except FileNotFoundError:
        return {}
    except OSError as error:
        what = f"{where}: known_hosts {path} cannot be read ({error.strerror})"
        raise SourceError("host_key", what, remedy="give the exporter a file that it may read") from None
    except (
        InvalidHostKey,
        paramiko.SSHException,
        ValueError,
    ):  # one such line spoils the whole file (nlbwmon reference, §4.2)
        raise SourceError(
            "host_key",
            f"{where}: known_hosts {path} has a line that cannot be used",
            remedy="give the exporter a file of its own, without @revoked and @cert-authority",
        ) from None
    return {kind: found[kind] for kind in found} if found else {}


def pinned_kinds(settings: NlbwmonSettings) -> list[str]:
    """The kinds of keys that known_hosts holds for this router. Raises SourceError where there is none."""
    kinds = list(pinned_keys(settings))
    if not kinds:
        raise SourceError(
            "host_key",
            f"{settings.where}: known_hosts {settings.known_hosts} has no key of {settings.place}",
            remedy="`bandwidth-exporter pin` and the source's name shows the router's key, and writes it there",
        )
    return kinds


def disabled_for(kinds: list[str]) -> dict[str, list[str]]:
    """What is not to be offered. Where only an RSA key is pinned nothing else may be: the library would let the router
    show another key, and call that a changed one (nlbwmon reference, §4.2, RSA pin trap).
    """
    only_rsa = all(kind == "ssh-rsa" for kind in kinds)
    return {**WEAK, "keys": WEAK["keys"] + (_NOT_RSA if only_rsa else [])}


def private_key(settings: NlbwmonSettings) -> paramiko.PKey | None:
    """The key to log in with, None where there is only a password. Raises SourceError."""
    if not settings.key_file:
        return None
    where = f"{settings.where}: key_file {settings.key_file}"
    try:
        passphrase: Any = settings.passphrase.encode() or None  # bytes, whatever the stubs say
        return paramiko.PKey.from_path(settings.key_file, passphrase)
    except OSError as error:
        remedy = "name a private key that the exporter's user may read"
        raise SourceError("login", f"{where} cannot be read ({error.strerror})", remedy=remedy) from None
    except (paramiko.PasswordRequiredException, TypeError):  # the latter: a passphrase for a key that needs none
        remedy = "remove the passphrase" if settings.passphrase else "write its passphrase"
        raise SourceError("login", f"{where} does not fit its passphrase", remedy=remedy) from None
    except (paramiko.SSHException, ValueError):
        remedy = "name the private key, not the .pub beside it, and check its passphrase"
        raise SourceError("login", f"{where} is no private key, or its passphrase is wrong", remedy=remedy) from None
