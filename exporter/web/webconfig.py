"""Prometheus' web configuration file: TLS, passwords and headers of our own server.

The format is that of https://prometheus.io/docs/prometheus/latest/configuration/https/, checked as strictly: unknown
keys are errors. `exporter.web.tls` says what of it cannot be had here. `http2` may stand in the file and changes
nothing: only HTTP/1.1 is spoken, which every client of HTTP/2 falls back to.

Nothing here ever shows a password's hash, or a key.
"""

from __future__ import annotations

import difflib
import ipaddress
import logging
import re
import ssl
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from exporter.config.document import Document, SyntaxProblem, Tree, parse
from exporter.config.errors import ConfigError, Finding, Place, dotted, quoted
from exporter.config.values import Wrong, flag
from exporter.web import tls
from exporter.web.tls import Tls

log = logging.getLogger(__name__)

KEYS: Mapping[str, tuple[str, ...]] = {
    "tls_server_config": tls.KEYS,
    "http_server_config": ("http2", "headers"),
    "basic_auth_users": (),
}

HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
"""The headers that may be set, and what they may say; nothing: whatever one writes."""

LARGEST = 1024 * 1024
"""Bytes of any file that is read here."""

COSTLIEST = 15
"""Of bcrypt, about two seconds a comparison. With more, one wrong password would keep a core busy for minutes."""

_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the file says. users: bcrypt hashes by name, both as bytes. headers: "" for one that is not to be sent."""

    tls: Tls | None = None
    users: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_login(self) -> bool:
        """Whether nobody gets in without a password or a certificate."""
        return bool(self.users) or (self.tls is not None and self.tls.context.verify_mode == ssl.CERT_REQUIRED)


Stamp = tuple[tuple[int, ...], ...]
"""What tells a file from its later self: of each file the device, the inode, its size and its times."""


class WebConfigFile:
    """A web configuration that follows its file, and the certificates that it names.

    `current` looks whether they have changed, with one stat each, and reads them again where they have. What cannot be
    used is said once, and the last good one goes on. So does it where TLS, or all the passwords, would go: a file that
    an editor has just emptied to write it anew must not open the door for a moment. To take them away, restart.
    """

    def __init__(self, path: Path) -> None:
        """Raises ConfigError with everything that is wrong."""
        self.path = path
        self.problem = ""
        """Why the file as it is now is not in use, in words; or ""."""
        self._files: tuple[Path, ...] = (path,)
        self._stamp: Stamp = ()
        loaded = self._load()
        if loaded.config is None:
            raise ConfigError(loaded.messages)
        self._config = loaded.config

    def current(self) -> WebConfig:
        """The newest one that can be used."""
        if _stamp(self._files) != self._stamp:
            self._read_again()
        return self._config

    def _read_again(self) -> None:
        loaded = self._load()
        config = loaded.config
        problem = "\n".join(loaded.messages if config is None else _lost(self._config, config, self.path))
        if config is not None and not problem:
            log.info("%s: the web configuration was read again", self.path)
            self._config = config
        elif problem != self.problem:
            log.error("the web configuration that was read before stays in use: %s", problem)
        self.problem = problem

    def _load(self) -> Loaded:
        loaded = self._load_once()
        if loaded.files != self._files:
            self._files = loaded.files
            loaded = self._load_once()
        return loaded

    def _load_once(self) -> Loaded:
        # The stamp first, so that no change in between is missed.
        self._stamp = _stamp(self._files)
        return load(self.path)


def _stamp(files: Iterable[Path]) -> Stamp:
    return tuple(_state(path) for path in files)


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _lost(old: WebConfig, new: WebConfig, path: Path) -> list[str]:
    pairs = (("TLS", old.tls, new.tls), ("the passwords", old.users, new.users))
    lost = [what for what, had, has in pairs if had and not has]
    return [f"{path}: would take {' and '.join(lost)} away; restart the exporter if it is to"] if lost else []


class Loaded(NamedTuple):
    """What a file was read as: None, and messages, where anything is wrong. files: it, and those that it names."""

    config: WebConfig | None
    messages: list[str]
    files: tuple[Path, ...]


def load(path: Path) -> Loaded:
    """Read a web configuration, and find all that is wrong with it."""
    try:
        document = parse(_content(path).decode("utf-8-sig"))
    except Wrong as wrong:
        return Loaded(None, [f"{path}: {wrong}"], (path,))
    except UnicodeDecodeError:
        return Loaded(None, [f"{path}: is no UTF-8 text"], (path,))
    except SyntaxProblem as problem:
        where = f"{path}:{problem.line}" if problem.line else f"{path}"
        words = problem.words.replace("such as sources:", "such as tls_server_config:")
        return Loaded(None, [f"{where}: {words}"], (path,))
    files = [path]

    def read(name: str) -> bytes:
        file = path.parent / name
        files.append(file)
        return _content(file)

    config = _judge(document, read)
    return Loaded(None if document.findings else config, _messages(document, path), tuple(files))


def _content(path: Path) -> bytes:
    try:
        # A pipe would keep us waiting.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Wrong("is no file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except Wrong:
        raise
    except (OSError, ValueError) as error:
        raise Wrong(f"cannot be read ({getattr(error, 'strerror', None) or 'no such path'})") from error
    if len(content) > LARGEST:
        raise Wrong(f"is larger than {LARGEST // 1024} KiB")
    return content


def _judge(document: Document, read: Callable[[str], bytes]) -> WebConfig:
    found = document.findings

    def section(name: str) -> Mapping[str, Tree]:
        value = document.tree.get(name, {})
        if not isinstance(value, dict):
            found.append(Finding((name,), "must be a mapping"))
            return {}
        if KEYS[name]:
            found.extend(_unknown((name,), value, KEYS[name]))
        return value

    found.extend(_unknown((), document.tree, tuple(KEYS)))
    users = _users(section("basic_auth_users"), found)
    http = section("http_server_config")
    headers = _headers(http, found)
    layer = section("tls_server_config")
    known = {key: value for key, value in layer.items() if key in tls.KEYS}

    def refuse(key: str, words: str) -> None:
        here = "tls_server_config", *((key,) if key else ())
        found.append(Finding(here, words))

    return WebConfig(tls.make_tls(known, read, refuse) if layer else None, users, headers)


def _unknown(place: Place, value: Mapping[str, Tree], known: tuple[str, ...]) -> list[Finding]:
    def words(key: str) -> str:
        if key == "rate_limit":
            return "is not offered; what one peer may do is limited in any case"
        close = difflib.get_close_matches(key, known, n=1)
        return (
            f"is no key here; did you mean {close[0]}?"
            if close
            else f"is no key here; the keys are: {', '.join(known)}"
        )

    return [Finding((*place, key), words(key)) for key in value if key not in known]


def _users(section: Mapping[str, Tree], found: list[Finding]) -> dict[bytes, bytes]:
    users = {}
    for name, value in section.items():
        match = _HASH.fullmatch(value) if isinstance(value, str) else None
        if ":" in name:
            found.append(
                Finding(("basic_auth_users", name), "holds a colon, which ends the name in basic authentication")
            )
        elif not match or not isinstance(value, str):
            words = "is no bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'"
            found.append(Finding(("basic_auth_users", name), words))
        elif not 4 <= int(match[1]) <= COSTLIEST:
            words = f"has the cost {match[1]}; write a hash of cost 4 to {COSTLIEST}, such as 10"
            found.append(Finding(("basic_auth_users", name), words))
        else:
            users[name.encode()] = value.encode()
    return users


def _headers(section: Mapping[str, Tree], found: list[Finding]) -> dict[str, str]:
    http2, headers = section.get("http2", "true"), section.get("headers", {})
    try:
        flag(http2 if isinstance(http2, str) else "")
    except Wrong as wrong:
        found.append(Finding(("http_server_config", "http2"), wrong.about(http2 if isinstance(http2, str) else "")))
    place: Place = ("http_server_config", "headers")
    if not isinstance(headers, dict):
        found.append(Finding(place, "must be a mapping of names to values"))
        return {}
    texts = {}
    for name, value in headers.items():
        allowed = HEADERS.get(name)
        if allowed is None:
            found.append(Finding((*place, name), f"cannot be set; the headers are: {', '.join(HEADERS)}"))
        elif not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            found.append(Finding((*place, name), "must be text of one line, without letters from outside ASCII"))
        elif allowed and value not in allowed:
            found.append(Finding((*place, name), f"{quoted(value)} is not allowed; write {' or '.join(allowed)}"))
        else:
            texts[name] = value
    return texts


def _messages(document: Document, path: Path) -> list[str]:
    """The findings as lines, in the order of the file. Their words quote what may be shown, and nothing else is."""
    lined = [(finding.line or document.line(finding.place) or 0, finding) for finding in document.findings]
    return [
        f"{path}{f':{line}' if line else ''}: {f'{dotted(finding.place)}: ' if finding.place else ''}{finding.words}"
        for line, finding in sorted(lined, key=lambda pair: (pair[0], dotted(pair[1].place)))
    ]


def exposed(listen_host: str, config: WebConfig | None) -> str:
    """Words of a warning where strangers may read what is served, or a password on its way; else ""."""
    if _is_loopback(listen_host):
        return ""
    safe = config or WebConfig()
    if not safe.has_login:
        plain = "" if safe.tls else ", and whoever is on the way there can too"
        return (
            f"everybody who reaches this port on {listen_host} can read who uses the line and how much{plain}; "
            "set web.config_file for TLS and passwords, or listen on 127.0.0.1"
        )
    if safe.tls is None:
        return (
            f"passwords for this port on {listen_host} cross the network unencrypted; "
            "set tls_server_config in web.config_file, or listen on 127.0.0.1 behind a proxy that speaks TLS"
        )
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
