"""The container's health check: exit status 0 if the exporter in it answers, and says that it is well.

TLS and passwords are not in its way: to be asked for them shows that somebody is there. The standard library alone,
since this runs every ten seconds.
"""

import ipaddress
import os
import socket
import ssl
import sys

PATIENCE = 2.0
"""Seconds that an answer may take."""

REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

WELL = ("200", "401")
"""401: it wants a password, of us too."""


def main() -> int:
    """Ask without TLS, then with it, as whether it is spoken is in files that this does not read."""
    host, port = place(os.environ.get("BANDWIDTH_LISTEN") or "127.0.0.1:10477")
    try:
        status = ask(host, port, tls=False) or ask(host, port, tls=True)
    except OSError as error:
        sys.stderr.write(f"nothing answers at {host}, port {port}: {error}\n")
        return 1
    if status not in WELL:
        sys.stderr.write(f"/-/healthy at {host}, port {port}, says: {status or 'nothing'}\n")
        return 1
    return 0


def place(listen: str) -> tuple[str, int]:
    """Where who listens there is reached from here."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host, int(port)
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return host, int(port)


def ask(host: str, port: int, *, tls: bool) -> str:
    """The status of the answer; "" if it is none of HTTP. Raises OSError."""
    try:
        with socket.create_connection((host, port), timeout=PATIENCE) as wire:
            if not tls:
                return status_of(wire)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with context.wrap_socket(wire) as secured:
                # Who wants a certificate of its clients hangs up on us, at the end of the handshake or in it.
                return status_of(secured) or "401"
    except ssl.SSLEOFError:
        return "401"
    except ConnectionResetError:
        if tls:
            raise
        return ""


def status_of(wire: socket.socket) -> str:
    """What stands behind the version in the first line of an answer."""
    wire.sendall(REQUEST)
    version, _, rest = wire.recv(256).partition(b" ")
    return rest[:3].decode("latin-1") if version.startswith(b"HTTP/") else ""


if __name__ == "__main__":
    sys.exit(main())
