"""Our verdict on web configuration files beside that of Prometheus' own tool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from exporter.web.webconfig import load
from tests.conftest import ROOT
from tests.webserver import certify, hashed

HASH = hashed("secret")
TLS = "tls_server_config: {cert_file: own.crt, key_file: own.key"

GOOD = [
    "",
    "{}",
    f"basic_auth_users:\n  alice: {HASH}",
    f"basic_auth_users:\n  alice: {HASH.replace('$2y$', '$2a$')}\n  bob: {HASH.replace('$2y$', '$2b$')}",
    f"{TLS}}}",
    f"{TLS}, min_version: TLS12, max_version: TLS13}}",
    f"{TLS}, client_auth_type: NoClientCert}}",
    f"{TLS}, client_auth_type: RequestClientCert}}",
    f"{TLS}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: own.crt}}",
    f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: own.crt}}",
    f"{TLS}, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]}}",
    f"{TLS}, cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA]}}",
    f"{TLS}, curve_preferences: [X25519]}}",
    f"{TLS}, prefer_server_cipher_suites: false}}",
    f"{TLS}}}\nhttp_server_config: {{http2: false}}",
    "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff}}",
    "http_server_config: {headers: {Strict-Transport-Security: max-age=1, X-XSS-Protection: '0'}}",
    "http_server_config: {headers: {Content-Security-Policy: \"default-src 'none'\"}}",
]
BAD = [
    "a: [",
    "- a",
    "tls: {}",
    "tls_server_configs: {}",
    "tls_server_config: {cert: own.crt, cert_file: own.crt, what: x}",
    "tls_server_config: {cert_file: own.crt}",
    "tls_server_config: {key_file: own.key}",
    "tls_server_config: {cert_file: none.crt, key_file: own.key}",
    "tls_server_config: {cert_file: own.crt, key_file: none.key}",
    "tls_server_config: {cert_file: own.crt, key_file: other.key}",
    "tls_server_config: {cert_file: own.key, key_file: own.crt}",
    f"{TLS}, client_auth_type: Maybe}}",
    f"{TLS}, client_ca_file: own.crt}}",
    f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: none.crt}}",
    f"{TLS}, min_version: TLS9}}",
    f"{TLS}, max_version: 1.2}}",
    f"{TLS}, cipher_suites: [RC4]}}",
    f"{TLS}, cipher_suites: RC4}}",
    f"{TLS}, curve_preferences: [P1]}}",
    f"{TLS}, prefer_server_cipher_suites: perhaps}}",
    "http_server_config: {http2: perhaps}",
    "http_server_config: {headers: {Server: x}}",
    "http_server_config: {headers: {X-Frame-Options: never}}",
    "http_server_config: {headers: {X-Content-Type-Options: sniff}}",
    "http_server_config: {header: {}}",
    "basic_auth_users: [alice]",
    "basic_auth_users: {alice: secret}",
    "basic_auth_users: {alice: $2y$99$x}",
    f"basic_auth_users: {{alice: {HASH}, alice: {HASH}}}",
]
REFUSED_HERE = [
    f"{TLS}, min_version: TLS10}}",
    f"{TLS}, max_version: TLS11}}",
    f"{TLS}, min_version: TLS13, max_version: TLS12}}",
    f"{TLS}, client_auth_type: RequireAnyClientCert}}",
    f"{TLS}, client_auth_type: RequireAndVerifyClientCert}}",
    f"{TLS}, curve_preferences: [CurveP256, X25519]}}",
    f"basic_auth_users: {{alice: {HASH.replace('$04$', '$20$')}}}",
    "tls_server_config: {min_version: TLS12}",
]
"""What Prometheus takes and we do not; exporter.web.tls and docs/web.md say why."""


def promtool_takes(path: Path) -> bool:
    done = subprocess.run(
        ["promtool", "check", "web-config", str(path)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode in (0, 1), done.stderr
    assert ("SUCCESS" in done.stderr + done.stdout) == (done.returncode == 0)
    return done.returncode == 0


def we_take(path: Path) -> bool:
    return load(path).config is not None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certify(tmp_path, "own")
    certify(tmp_path, "other")
    return tmp_path


def verdicts(folder: Path, text: str) -> tuple[bool, bool]:
    path = folder / "web.yml"
    path.write_text(text)
    return promtool_takes(path), we_take(path)


@pytest.mark.parametrize("text", GOOD)
def test_both_take_it(folder: Path, text: str) -> None:
    assert verdicts(folder, text) == (True, True)


@pytest.mark.parametrize("text", BAD)
def test_both_refuse_it(folder: Path, text: str) -> None:
    assert verdicts(folder, text) == (False, False)


@pytest.mark.parametrize("text", REFUSED_HERE)
def test_what_only_prometheus_takes(folder: Path, text: str) -> None:
    assert verdicts(folder, text) == (True, False)


@pytest.mark.parametrize("commented", [True, False], ids=["as it is", "with everything"])
def test_the_example(folder: Path, commented: bool) -> None:
    text = (ROOT / "web.example.yml").read_text(encoding="utf-8")
    if not commented:
        # promtool of Debian 12 knows no client_allowed_sans yet.
        keys = r"(?!client_allowed_sans)(?:client_\w+|headers|  Strict-Transport-Security):"
        text = re.sub(rf"^  # (?={keys})", "  ", text, flags=re.MULTILINE)
        assert text.count("client_") - text.count("# client_") == 2
    path = folder / "web.yml"
    path.write_text(text)
    certify(folder, "web")
    certify(folder, "clients")
    assert (promtool_takes(path), we_take(path), load(path).messages) == (True, True, [])
