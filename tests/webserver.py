"""The web server of the tests: real sockets on loopback, certificates made on the spot, peers who behave or do not."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exporter.exposition import Page
from exporter.web import make_app
from exporter.web.connection import Limits
from exporter.web.server import WebServer
from exporter.web.webconfig import WebConfigFile
from tests.e2e.stack import eventually, free_port

SCRAPE = {"X-Prometheus-Scrape-Timeout-Seconds": "10"}


class Published:
    """What there is to show, and whether it may be renewed."""

    def __init__(self, size: int = 1000, *, lifecycle: bool = False) -> None:
        self.text = b"# %s\n" % (b"x" * size)
        self._page = Page(1, [self.text])
        self.lifecycle = lifecycle
        self.answered = 0
        self.reloads = 0
        self.trouble = ""

    def page(self, source: str | None) -> Page | None:
        return self._page if source is None else None

    def scraped(self, _generation: int, _source: str | None) -> None:
        self.answered += 1

    def healthy(self) -> str:
        return ""

    def ready(self) -> str:
        return ""

    def status(self) -> str:
        return "<!doctype html><title>Status</title>"

    def config(self) -> str:
        return "web:\n  listen: 127.0.0.1:10477\n"

    def reload(self) -> str:
        self.reloads += 1
        return self.trouble


@contextmanager
def running(
    published: Published, web: WebConfigFile | None = None, limits: Limits | None = None, *, controlled: bool = True
) -> Iterator[tuple[WebServer, int]]:
    """A web server in a thread of its own, and its port."""
    port = free_port()
    app = make_app(published, published if controlled else None)
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 16 * 1024)  # as exporter.service has it
    server = WebServer(app, listener, web, limits)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually("the server listens", lambda: server.started, within=10)
        yield server, port
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@contextmanager
def serving(published: Published, web: WebConfigFile | None = None, *, controlled: bool = True) -> Iterator[int]:
    """The port of a running web server."""
    with running(published, web, controlled=controlled) as (_, port):
        yield port


class Answer:
    """A whole answer."""

    def __init__(self, raw: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = raw.status, raw.headers, raw.read()
        self.text = self.body.decode(errors="replace")


def ask(
    port: int,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    source: str = "127.0.0.1",
) -> Answer:
    """One request on a connection of its own, from one of loopback's addresses."""
    where = ("127.0.0.1", port)
    connection = (
        http.client.HTTPSConnection(*where, timeout=15, context=tls, source_address=(source, 0))
        if tls
        else http.client.HTTPConnection(*where, timeout=15, source_address=(source, 0))
    )
    try:
        connection.request(method, path, headers=dict(headers or {}))
        return Answer(connection.getresponse())
    finally:
        connection.close()


def knock(port: int, source: str = "127.0.0.1") -> socket.socket:
    """A connection that says nothing yet."""
    return socket.create_connection(("127.0.0.1", port), timeout=15, source_address=(source, 0))


def is_closed(peer: socket.socket) -> bool:
    """Whether the other side has ended the connection; what it still sent is thrown away."""
    peer.setblocking(False)
    try:
        while peer.recv(65536):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


def hashed(password: str, cost: int = 4) -> str:
    """A password's bcrypt hash, as htpasswd writes it. The same each time, for it may be part of a test's name."""
    return (
        bcrypt.hashpw(password.encode(), b"$2b$%02d$abcdefghijklmnopqrstuu" % cost).decode().replace("$2b$", "$2y$", 1)
    )


class Pair(NamedTuple):
    """PEM files of a certificate and its key, and the two to sign others with."""

    path: Path
    key_path: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def certify(folder: Path, name: str, authority: Pair | None = None, sans: tuple[x509.GeneralName, ...] = ()) -> Pair:
    """A certificate for 127.0.0.1 or for a client: of its own, which makes it an authority, or by another."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    issuer, signer = (authority.certificate.subject, authority.key) if authority else (subject, key)
    names = sans or (x509.IPAddress(ipaddress.ip_address("127.0.0.1")),)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    made = Pair(folder / f"{name}.crt", folder / f"{name}.key", certificate, key)
    made.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


def trusting(authority: Pair, own: Pair | None = None) -> ssl.SSLContext:
    """A client's TLS: whom it trusts, and its own certificate."""
    context = ssl.create_default_context(cafile=str(authority.path))
    if own:
        context.load_cert_chain(own.path, own.key_path)
    return context
