"""A real Prometheus scrapes as docs/web.md says: over TLS with a password, and with a client certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.web.webconfig import WebConfigFile
from tests.e2e.stack import Process, eventually, fetch, free_port
from tests.webserver import Published, certify, hashed, running

PASSWORD = "    basic_auth: {username: prometheus, password_file: password}\n    tls_config: {ca_file: web.crt}\n"
CERTIFICATE = "    tls_config: {ca_file: web.crt, cert_file: scraper.crt, key_file: scraper.key}\n"


@pytest.mark.parametrize(
    ("config", "web"),
    [
        (PASSWORD, f"basic_auth_users: {{prometheus: {hashed('change me', 10)}}}\n"),
        (CERTIFICATE, "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: web.crt\n"),
    ],
    ids=["password", "certificate"],
)
def test_prometheus_scrapes(config: str, web: str, tmp_path: Path) -> None:
    own = certify(tmp_path, "web")
    certify(tmp_path, "scraper", own)
    (tmp_path / "password").write_text("change me")
    (tmp_path / "web.yml").write_text(f"tls_server_config:\n  cert_file: web.crt\n  key_file: web.key\n{web}")
    published, listen = Published(2_000_000), f"127.0.0.1:{free_port()}"
    with running(published, WebConfigFile(tmp_path / "web.yml")) as (server, port):
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n  - job_name: bandwidth\n"
            f"    scheme: https\n{config}    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        )
        prometheus = Process(
            [
                "prometheus",
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address={listen}",
            ],
            tmp_path / "log",
            f"http://{listen}/-/ready",
        )
        prometheus.start()
        try:
            eventually("three scrapes were answered", lambda: published.answered >= 3, within=30)
            up = fetch(f"http://{listen}/api/v1/query?query=up")
            assert up is not None
            assert '"1"]' in up
            # It keeps one connection, whatever ALPN offers it.
            assert len(server.server_state.connections) == 1
        finally:
            prometheus.end()
