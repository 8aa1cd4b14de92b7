"""TLS as the web configuration has it: handshakes by real clients, and a certificate that changes while it runs."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from exporter.web.webconfig import WebConfigFile
from tests.e2e.stack import PAUSE, eventually
from tests.webserver import SCRAPE, Pair, Published, ask, certify, hashed, serving, trusting

OWN = "tls_server_config:\n  cert_file: own.crt\n  key_file: own.key\n"


@contextmanager
def secured(folder: Path, more: str = "", published: Published | None = None) -> Iterator[int]:
    path = folder / "web.yml"
    path.write_text(f"{OWN}{more}")
    with serving(published or Published(), WebConfigFile(path)) as port:
        yield port


def handshake(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname="127.0.0.1")


def test_a_page_over_tls_comes_whole(tmp_path: Path) -> None:
    own = certify(tmp_path, "own")
    with secured(tmp_path, published=Published(3_000_000)) as port:
        assert len(ask(port, "/metrics", tls=trusting(own)).body) > 3_000_000
        with handshake(port, trusting(own)) as peer:
            assert (peer.version(), peer.selected_alpn_protocol()) == ("TLSv1.3", None)
        offers = trusting(own)
        offers.set_alpn_protocols(["h2", "http/1.1"])
        with handshake(port, offers) as peer:
            assert peer.selected_alpn_protocol() == "http/1.1"
        # Plain HTTP gets no answer, and hurts nobody.
        with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
            peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP" not in peer.recv(1000)
        assert ask(port, "/-/healthy", tls=trusting(own)).status == 200


def test_only_a_scrape_read_in_full_counts(tmp_path: Path) -> None:
    own, published = certify(tmp_path, "own"), Published(2_000_000)
    with secured(tmp_path, published=published) as port:
        for part in (0.0, 0.5, 0.8, 0.85):
            with socket.socket() as plain:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                plain.connect(("127.0.0.1", port))
                with trusting(own).wrap_socket(plain, server_hostname="127.0.0.1") as peer:
                    peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n")
                    left = int(part * 2_000_000)
                    while left > 0:
                        left -= len(peer.recv(65536))
                    PAUSE.wait(0.2)
        assert published.answered == 0
        ask(port, "/metrics", headers=SCRAPE, tls=trusting(own))
        eventually("the scrape counts", lambda: published.answered == 1, within=10)


def test_a_new_certificate_is_for_new_connections(tmp_path: Path) -> None:
    old = certify(tmp_path, "own")
    with secured(tmp_path) as port, handshake(port, trusting(old)) as kept:
        new = certify(tmp_path, "own")
        (tmp_path / "own.crt").write_text("half")
        assert ask(port, "/metrics", tls=only(old)).status == 200
        new.path.write_bytes(new.certificate.public_bytes(Encoding.PEM))
        assert ask(port, "/metrics", tls=only(new)).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(port, "/metrics", tls=only(old))
        kept.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(1000).startswith(b"HTTP/1.1 200 OK")


def only(pair: Pair) -> ssl.SSLContext:
    """Trusts this one, whatever its file holds by now."""
    return ssl.create_default_context(cadata=pair.certificate.public_bytes(Encoding.PEM).decode())


def refused(port: int, context: ssl.SSLContext) -> bool:
    """Whether a peer gets no answer. With TLS 1.3 it learns only when it reads."""
    try:
        ask(port, "/metrics", tls=context)
    except (ssl.SSLError, OSError):
        return True
    return False


def test_client_certificates(tmp_path: Path) -> None:
    own, other = certify(tmp_path, "own"), certify(tmp_path, "other")
    scraper = certify(tmp_path, "scraper", own, (x509.DNSName("prometheus.lan"), x509.DNSName("b")))
    stranger = certify(tmp_path, "stranger", other, (x509.DNSName("prometheus.lan"),))
    friend = certify(tmp_path, "friend", own, (x509.DNSName("grafana.lan"),))
    required = "  client_ca_file: own.crt\n  client_auth_type: RequireAndVerifyClientCert\n"
    with secured(tmp_path, required) as port:
        assert [refused(port, trusting(own, each)) for each in (scraper, friend, stranger, None)] == [0, 0, 1, 1]
    with secured(tmp_path, f"{required}  client_allowed_sans: [prometheus.lan]\n") as port:
        assert [refused(port, trusting(own, each)) for each in (scraper, friend, stranger, None)] == [0, 1, 1, 1]
    with secured(tmp_path, required.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")) as port:
        assert [refused(port, trusting(own, each)) for each in (scraper, friend, stranger, None)] == [0, 0, 1, 0]
    with secured(tmp_path, "  client_auth_type: RequestClientCert\n") as port:
        assert [refused(port, trusting(own, each)) for each in (scraper, stranger, None)] == [0, 0, 0]


@pytest.mark.parametrize(
    "name",
    [x509.DNSName("a.lan"), x509.RFC822Name("a@lan"), x509.UniformResourceIdentifier("spiffe://lan/a")],
    ids=["dns", "email", "uri"],
)
def test_each_kind_of_name_can_be_allowed(name: x509.GeneralName, tmp_path: Path) -> None:
    own = certify(tmp_path, "own")
    peer, other = certify(tmp_path, "peer", own, (name,)), certify(tmp_path, "other", own)
    more = "  client_ca_file: own.crt\n  client_auth_type: RequireAndVerifyClientCert\n"
    with secured(tmp_path, f"{more}  client_allowed_sans: ['{name.value}', 10.0.0.1]\n") as port:
        assert not refused(port, trusting(own, peer))
        assert refused(port, trusting(own, other))
    with secured(tmp_path, f"{more}  client_allowed_sans: [127.0.0.1]\n") as port:
        assert refused(port, trusting(own, peer))
        assert not refused(port, trusting(own, other))


def test_versions_suites_and_curves(tmp_path: Path) -> None:
    own = certify(tmp_path, "own")
    old = trusting(own)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with secured(tmp_path, "  min_version: TLS13\n  curve_preferences: [CurveP384]\n") as port:
        narrow, fitting = trusting(own), trusting(own)
        narrow.set_ecdh_curve("prime256v1")
        fitting.set_ecdh_curve("secp384r1")
        assert [refused(port, each) for each in (trusting(own), old, narrow, fitting)] == [0, 1, 1, 0]
    with secured(
        tmp_path,
        "  max_version: TLS12\n"
        "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n",
    ) as port:
        with handshake(port, trusting(own)) as peer:
            # The server's order, not the client's.
            assert (peer.version(), (peer.cipher() or ("",))[0]) == ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")
        other = trusting(own)
        other.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
        other.maximum_version = ssl.TLSVersion.TLSv1_2
        assert refused(port, other)


def test_passwords_over_tls(tmp_path: Path) -> None:
    own = certify(tmp_path, "own")
    with secured(tmp_path, f"basic_auth_users: {{alice: {hashed('secret')}}}\n") as port:
        assert ask(port, "/metrics", tls=trusting(own)).status == 401
        right = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
        assert ask(port, "/metrics", headers=right, tls=trusting(own)).status == 200
