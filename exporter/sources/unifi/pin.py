"""Shows a controller's certificate, and writes its fingerprint into the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509

from exporter import files
from exporter.config import ConfigError, load, read
from exporter.config.edit import UnsafeError, with_text
from exporter.config.errors import one_line
from exporter.configured import settings_of
from exporter.pin import Offer, PinError
from exporter.sources.unifi import trouble
from exporter.sources.unifi.settings import UnifiSettings
from exporter.sources.unifi.wire import fingerprint_of, shown_certificate

if TYPE_CHECKING:
    from exporter.config import UnifiSource


def offer(entry: UnifiSource, path: Path, env: Mapping[str, str]) -> Offer:
    """What the controller of a source in the configuration `path` shows. Raises SourceError."""
    settings = settings_of(entry)
    certificate = _shown(settings)
    shown = fingerprint_of(certificate)
    lines = (
        f"{settings.base} shows the certificate:",
        f"  fingerprint: {shown}",
        *_described(certificate),
        "On the controller itself (its console or SSH), where nobody can be in between, this prints the same digits:",
        f"  openssl s_client -connect 127.0.0.1:{urlsplit(settings.base).port or 443} </dev/null | "
        "openssl x509 -noout -fingerprint -sha256",
        f"A yes writes the fingerprint into {path}, at the source {entry.name}.",
    )
    if entry.fingerprint == shown:
        return Offer(lines[:-3], lambda: "", pinned=True)
    changed = (
        f"THE CERTIFICATE HAS CHANGED. {path} has {entry.fingerprint}. Somebody may be in between.\n"
        "If the controller was given a new one, and what it shows here is what it shows by its own console, say "
        "--replace: the old fingerprint is then replaced."
    )
    obstacle = ""
    try:
        _edited(entry.name, shown, path, env)
    except PinError as error:
        obstacle = str(error)
    return Offer(
        lines,
        lambda: _write(settings, entry.name, shown, path, env),
        changed=changed if entry.fingerprint else "",
        obstacle=obstacle,
    )


def _shown(settings: UnifiSettings, fingerprint: str = "") -> bytes:
    try:
        return shown_certificate(settings.base, settings.timeout, fingerprint)
    except (OSError, UnicodeError) as error:
        raise trouble.in_words(error, settings.base) from None


def _described(certificate: bytes) -> tuple[str, ...]:
    """The certificate in words. Nobody vouches for them: whoever made it wrote what he liked."""
    try:
        found = x509.load_der_x509_certificate(certificate)
        subject, issuer = (name.rfc4514_string() or "nobody" for name in (found.subject, found.issuer))
    except ValueError:
        return ("  (which says nothing else that can be read)",)
    return (
        one_line(f"  for: {subject}"),
        one_line(f"  by: {'itself' if subject == issuer else issuer}"),
        f"  valid: {found.not_valid_before_utc:%Y-%m-%d} to {found.not_valid_after_utc:%Y-%m-%d}",
    )


def _edited(name: str, fingerprint: str, path: Path, env: Mapping[str, str]) -> tuple[bytes, bytes]:
    """The configuration as it is, and as it is to be. Raises PinError."""
    by_hand = f"write this line at the source {name} yourself: fingerprint: {fingerprint}"
    try:
        old = path.read_bytes()
        text = old.decode()
        index = [source.name for source in read(text.removeprefix("\ufeff"), path, env).sources].index(name)
        new = with_text(text, ("sources", index), "fingerprint", fingerprint, behind="url")
        read(new.removeprefix("\ufeff"), path, env)
    except UnsafeError:
        raise PinError(f"{path} is not written line by line there, so it is left alone; {by_hand}") from None
    except ConfigError as error:
        raise PinError(f"{error}\nRun this again when that is mended, or {by_hand}") from None
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or "it was changed meanwhile"
        raise PinError(f"{path} cannot be read ({what}); {by_hand}") from None
    return old, new.encode()


def _write(settings: UnifiSettings, name: str, fingerprint: str, path: Path, env: Mapping[str, str]) -> str:
    old, new = _edited(name, fingerprint, path, env)
    try:
        copy = files.back_up(path)
        if path.read_bytes() != old:
            raise PinError(f"{path} was changed meanwhile, so it is left alone; run this again")
        files.replace(path, new)
        load(path, env)
    except OSError as error:
        raise PinError(
            f"{path} cannot be written ({error.strerror}); write this line at the source {name} yourself: "
            f"fingerprint: {fingerprint}"
        ) from error
    except ConfigError as error:
        raise PinError(f"{path} was changed meanwhile: {error}") from None
    _shown(settings, fingerprint)
    return f"the fingerprint is written into {path}, and {settings.base} shows it; the file as it was is {copy}"
