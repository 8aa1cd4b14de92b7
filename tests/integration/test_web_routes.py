"""Every route, what a browser is told, and who may have a reload; on real sockets."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest

from exporter.web.webconfig import WebConfigFile
from tests.webserver import Published, ask, hashed, serving

PATHS = ("/", "/metrics", "/-/healthy", "/-/ready", "/config")
ANSWERS = (*((path, "GET", 200) for path in PATHS), ("/x", "GET", 404), ("/", "POST", 405), ("/-/reload", "POST", 403))


def test_every_page_has_a_head() -> None:
    with serving(Published()) as port:
        for path in PATHS:
            whole, head = ask(port, path), ask(port, path, "HEAD")
            assert (whole.status, head.status, head.body) == (200, 200, b"")
            assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}
        assert ask(port, "/config").text == "web:\n  listen: 127.0.0.1:10477\n"
        assert ask(port, "/config").headers["Content-Type"] == "text/plain; charset=utf-8"


def test_what_is_not_there_is_said() -> None:
    with serving(Published()) as port:
        missing = ask(port, "/metrics/?a=b")
        assert (missing.status, missing.text) == (404, "there is no page '/metrics/'; the metrics are at /metrics\n")
        assert ask(port, "/x%0d%0aSet-Cookie:%20a=b", headers={"Host": "evil"}).status == 404
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"):
            refused = ask(port, "/metrics", method)
            assert (refused.status, set(refused.headers["Allow"].split(", "))) == (405, {"GET", "HEAD"})
            assert refused.text.startswith(f"/metrics does not take {method}, but ")
        wrong = ask(port, "/-/reload")
        assert (wrong.status, set(wrong.headers["Allow"].split(", "))) == (405, {"POST", "PUT"})


class Broken(Published):
    def status(self) -> str:
        raise ValueError("a fault of our own")


def test_an_answer_to_a_fault_of_our_own_is_careful_too() -> None:
    with serving(Broken()) as port:
        answer = ask(port, "/")
        assert (answer.status, answer.text) == (500, "Internal Server Error")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert ask(port, "/metrics").status == 200


@pytest.mark.parametrize("host", ["[", "x:y", "", "\xe4", "a b", "http://evil/", "[::1", "x" * 5000])
def test_no_host_is_too_odd(host: str, caplog: pytest.LogCaptureFixture) -> None:
    published = Published(lifecycle=True)
    with serving(published) as port:
        for path, method, _ in ANSWERS:
            assert ask(port, path, method, {"Host": host}).status < 500
            assert ask(port, f"{path}?source=%ff%00&a[", method, {"Host": host, "Origin": host}).status < 500
    assert published.reloads == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_without_a_configuration_to_show() -> None:
    with serving(Published(), controlled=False) as port:
        assert ask(port, "/config").status == 404
        assert ask(port, "/-/reload", "POST").status == 403


def test_every_answer_tells_a_browser_to_be_careful() -> None:
    with serving(Published()) as port:
        for path, method, status in ANSWERS:
            answer = ask(port, path, method)
            assert answer.status == status
            policy = answer.headers["Content-Security-Policy"].split("; ")
            assert set(policy) == {
                "default-src 'none'",
                "style-src 'unsafe-inline'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            }
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "deny"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Server" not in answer.headers


def test_a_reload_has_to_be_enabled() -> None:
    published = Published()
    with serving(published) as port:
        refused = ask(port, "/-/reload", "POST")
        assert refused.status == 403
        assert "web.enable_lifecycle" in refused.text
    assert published.reloads == 0


def test_a_reload_says_how_it_went() -> None:
    published = Published(lifecycle=True)
    with serving(published) as port:
        for method in ("POST", "PUT"):
            done = ask(port, "/-/reload", method)
            assert (done.status, done.text) == (200, "reloaded\n")
        published.trouble = "config.yaml:3: state: is no path"
        failed = ask(port, "/-/reload", "POST")
        assert (failed.status, failed.text) == (500, "config.yaml:3: state: is no path\n")
    assert published.reloads == 3


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "exporter.lan"}, 200),
        ({"Origin": "http://127.0.0.1:1", "Host": "127.0.0.1:1"}, 200),
        ({"Origin": "http://[::1]:1", "Host": "[::1]:1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://localhost", "Host": "localhost"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://127.0.0.1:2", "Host": "127.0.0.1:1"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Host": "rebound.example"}, 403),
        ({"Origin": "http://rebound.example:80", "Host": "rebound.example:80"}, 403),
    ],
)
def test_a_reload_is_not_for_other_sites(headers: dict[str, str], status: int) -> None:
    published = Published(lifecycle=True)
    with serving(published) as port:
        assert ask(port, "/-/reload", "POST", headers).status == status
    assert published.reloads == (status == 200)


def login(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_every_path_is_behind_the_password_and_changed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(
        f"basic_auth_users: {{alice: {hashed('secret')}}}\n"
        "http_server_config:\n  headers: {X-Frame-Options: sameorigin, Content-Security-Policy: '', "
        "Strict-Transport-Security: max-age=60}\n"
    )
    published = Published(lifecycle=True)
    with serving(published, WebConfigFile(path)) as port:
        for where, method, _ in ANSWERS:
            for headers in ({}, login("alice", "wrong"), login("bob", "secret"), {"Authorization": "Bearer x"}):
                refused = ask(port, where, method, headers)
                assert refused.status == 401
                assert refused.headers["WWW-Authenticate"] == 'Basic realm="bandwidth-exporter", charset="UTF-8"'
                assert refused.headers["X-Content-Type-Options"] == "nosniff"
        assert published.reloads == 0
        allowed = ask(port, "/metrics", headers=login("alice", "secret"))
        assert (allowed.status, allowed.body) == (200, published.text)
        assert allowed.headers["X-Frame-Options"] == "sameorigin"
        assert allowed.headers["Strict-Transport-Security"] == "max-age=60"
        assert "Content-Security-Policy" not in allowed.headers
        path.write_text(f"basic_auth_users: {{bob: {hashed('other')}}}\n")
        assert ask(port, "/metrics", headers=login("alice", "secret")).status == 401
        assert ask(port, "/metrics", headers=login("bob", "other")).status == 200
