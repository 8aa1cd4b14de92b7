"""Tries out where the exporter is to be scraped: its address, who may read there, and by which clock days begin."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporter import machine
from exporter.check import Finding
from exporter.web.listening import ELSEWHERE, refusal
from exporter.web.listening import listen as bind
from exporter.web.webconfig import WebConfig, exposed, load

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from exporter.config import Listen, Web

PATIENCE: Final = 3.0
"""Seconds that what answers at our address has to say who it is."""

ANSWER: Final = 4096
"""Bytes of its answer that are looked at."""

OURS: Final = b"bandwidth-exporter"
"""What an exporter says at /-/healthy, and also where it wants a password first."""


def check(
    web: Web, timezone: ZoneInfo | None, env: Mapping[str, str] | None = None, root: Path = Path("/")
) -> Iterator[Finding]:
    """Try the web part of a configuration, and its time zone. `root` is where /etc and the container's marks are."""
    config: WebConfig | None = None
    usable = True
    if web.config_file:
        loaded = load(web.config_file)
        config, usable = loaded.config, loaded.config is not None
        for message in loaded.messages:
            yield Finding("error", "web config_file", message)
        if config:
            yield Finding("ok", "web config_file", f"{web.config_file} can be used{_offers(config)}")
    yield _listening(web.listen, config)
    strangers = exposed(web.listen.host, config) if usable else ""
    if strangers:
        message, _, remedy = strangers.partition("; ")
        yield Finding("warning", "web readers", message, remedy)
    yield from _zone(timezone, os.environ if env is None else env, root)


def _offers(config: WebConfig) -> str:
    offers = [
        *(["TLS"] if config.tls else []),
        *([f"{len(config.users)} user{'s' * (len(config.users) > 1)}"] if config.users else []),
    ]
    return f" ({' and '.join(offers)})" if offers else ""


def _listening(listen: Listen, config: WebConfig | None) -> Finding:
    try:
        with bind(listen):
            return Finding("ok", "web listen", f"{listen} is free")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            words, remedy = refusal(error)
            return Finding("error", "web listen", f"{listen}: {words}", remedy)
    if _is_ours(listen, tls=config is not None and config.tls is not None):
        return Finding("ok", "web listen", f"{listen} is in use by a running exporter")
    return Finding("error", "web listen", f"{listen} is in use by another program", ELSEWHERE)


def _is_ours(listen: Listen, *, tls: bool) -> bool:
    """Whether it is an exporter that answers at our own address. What it says is believed: nothing rests on it."""
    host = _near(listen.host)
    until = time.monotonic() + PATIENCE
    answer = b""
    with suppress(OSError), socket.create_connection((host, listen.port), timeout=PATIENCE) as wire:
        talk = _unchecked().wrap_socket(wire) if tls else wire
        talk.sendall(f"GET /-/healthy HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        while OURS not in answer and len(answer) < ANSWER and (left := until - time.monotonic()) > 0:
            talk.settimeout(left)
            part = talk.recv(ANSWER)
            if not part:
                break
            answer += part
    return OURS in answer


def _near(host: str) -> str:
    """Where this machine itself reaches who listens at `host`: loopback for those who listen everywhere."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _zone(timezone: ZoneInfo | None, env: Mapping[str, str], root: Path) -> Iterator[Finding]:
    if timezone:
        yield Finding("ok", "timezone", f"days and months begin by the clock of {timezone.key}")
    elif trouble := machine.zone_trouble(env, root):
        yield Finding("warning", "timezone", trouble, machine.SET_ZONE)
