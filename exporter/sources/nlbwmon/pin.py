"""Shows a router's host keys, and writes the best of them into known_hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import paramiko

from exporter import files
from exporter.configured import settings_of
from exporter.pin import Offer, PinError
from exporter.sources.nlbwmon import hostkeys
from exporter.sources.nlbwmon.hostkeys import described, judged
from exporter.sources.nlbwmon.keys import pinned_keys
from exporter.sources.nlbwmon.settings import NlbwmonSettings

if TYPE_CHECKING:
    from exporter.config import NlbwmonSource

FILES: Final = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}
"""What OpenWrt calls the file of a key's kind; ecdsa for the rest."""


def offer(entry: NlbwmonSource) -> Offer:
    """What the router shows. Raises SourceError."""
    settings = settings_of(entry)
    pinned = pinned_keys(settings)
    keys = hostkeys.shown(settings)
    best = keys[0]
    same, other = judged(keys, pinned)
    file = FILES.get(best.get_name(), "ecdsa")
    lines = (
        f"{settings.place} shows:",
        *(f"  {described(key)}{'  (pinned already)' if key.get_name() in same else ''}" for key in keys),
        "On the router itself, by its own console or where nobody can be in between, this shows its own:",
        f"  dropbearkey -y -f /etc/dropbear/dropbear_{file}_host_key",
        f"A yes writes this line into {settings.known_hosts}:",
        f"  {_line(settings, best)}",
    )
    if not other and best.get_name() in same:
        return Offer(lines[: 1 + len(keys)], lambda: "", pinned=True)
    changed = ""
    if other:
        old = ", ".join(described(pinned[kind]) for kind in other)
        changed = (
            f"THE HOST KEY HAS CHANGED. {settings.known_hosts} has {old}. Somebody may be in between.\n"
            "If the router was reset or replaced, and what it shows here is what it shows by its own console, "
            "say --replace: the old key is then taken out."
        )
    return Offer(lines, lambda: _write(settings, best, bool(other)), changed=changed)


def without(text: str, place: str) -> str:
    """The text of known_hosts without the keys of a place; what else stands on their lines stays."""
    kept = []
    for line in text.splitlines(keepends=True):
        hosts, _, rest = line.lstrip().partition(" ")
        if hosts.startswith(("#", "@")) or not rest:
            kept.append(line)
            continue
        others = [host for host in hosts.split(",") if not _is(host, place)]
        if len(others) == len(hosts.split(",")):
            kept.append(line)
        elif others:
            kept.append(f"{','.join(others)} {rest}")
    return "".join(kept)


def _is(host: str, place: str) -> bool:
    return host == place or (host.startswith("|1|") and paramiko.HostKeys.hash_host(place, host) == host)


def _line(settings: NlbwmonSettings, key: paramiko.PKey) -> str:
    return f"{settings.place} {key.get_name()} {key.get_base64()}"


def _write(settings: NlbwmonSettings, key: paramiko.PKey, replaces: bool) -> str:
    path = Path(settings.known_hosts)
    try:
        text = path.read_text(errors="surrogateescape") if path.exists() else ""
        text = without(text, settings.place) if replaces else text
        text += "\n" if text and not text.endswith("\n") else ""
        content = f"{text}{_line(settings, key)}\n".encode(errors="surrogateescape")
        files.replace(path, content)
    except OSError as error:
        raise PinError(
            f"{path} cannot be written ({error.strerror}); write this line there: {_line(settings, key)}"
        ) from error
    same, other = judged(hostkeys.shown(settings), pinned_keys(settings))
    if other or key.get_name() not in same:
        raise PinError(f"{path} was written, but the router shows another key now; run this again")
    return f"{described(key)} is written into {path}, and is the key that {settings.place} shows"
