"""A session on a UniFi OS console: login or API key, CSRF token, and what its status codes mean."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import msgspec

from exporter.sources.base import SourceError
from exporter.sources.unifi.payload import error_code
from exporter.sources.unifi.settings import UnifiSettings
from exporter.sources.unifi.transport import BODY_LIMIT, Answer, Transport

NETWORK = "/proxy/network"  # where UniFi OS keeps the Network application
RETRY_AFTER = 60.0  # seconds; the login limit lasts one to two minutes, and no Retry-After was ever recorded
LOGOUT_TIMEOUT = 3.0  # seconds

# Error codes of the envelope that mean "not for you" whatever the HTTP status (UniFi reference, section 2).
_FORBIDDEN = frozenset({"api.err.NoPermission", "api.err.NoSiteContext"})
_EXPIRED = "api.err.LoginRequired"


class Session:
    """Authenticated GET requests to one console. Logs in when needed, and at most once in a poll."""

    def __init__(
        self, settings: UnifiSettings, wall: Callable[[], float] = time.time, body_limit: int = BODY_LIMIT
    ) -> None:
        self._settings = settings
        self._transport = Transport(
            verify=settings.verify_tls, ca_file=settings.ca_file, wall=wall, body_limit=body_limit
        )
        self._csrf = ""
        self._logged_in = False
        self._login_tried = False

    def begin(self) -> None:
        """Start a poll: its time, and the one login it may use, count from here."""
        self._transport.start(self._settings.timeout)
        self._login_tried = False

    def get(self, path: str) -> Answer:
        """GET a path of the Network application; the answer has status 200 and is no web page. Raises SourceError."""
        url = self._settings.base + NETWORK + path
        if not self._settings.api_key and not self._logged_in:
            self._login()
        answer = self._send("GET", url)
        if _expired(answer):
            if self._settings.api_key:
                raise SourceError("login", f"{url}: the api_key is not accepted; make a new one on the console")
            self._logged_in = False
            if not self._login_tried:
                self._login()
                answer = self._send("GET", url)
            if _expired(answer):
                self._logged_in = False
                raise SourceError("login", f"{url}: refused right after the login; may this account use Network?")
        _check(answer, url)
        return answer

    def close(self) -> None:
        """Log out and free the connections. A console that cannot be told lets the session expire by itself."""
        if self._logged_in:
            self._transport.start(LOGOUT_TIMEOUT)
            with suppress(SourceError):
                self._send("POST", self._settings.base + "/api/auth/logout", b"")
        self._logged_in = False
        self._csrf = ""
        self._transport.close()

    def _login(self) -> None:
        url = self._settings.base + "/api/auth/login"
        if self._login_tried:
            raise SourceError("login", f"{url}: the login of this poll has failed already")
        self._login_tried = True
        self._logged_in = False
        self._csrf = ""
        self._transport.forget_cookies()
        # rememberMe makes the session last days instead of hours, and logins are what consoles limit.
        credentials = {
            "username": self._settings.username,
            "password": self._settings.password,
            "rememberMe": True,
        }
        answer = self._send("POST", url, msgspec.json.encode(credentials))
        if answer.status in (400, 401, 403):  # UniFi OS says 403 to wrong credentials, older ones 400 or 401
            raise SourceError("login", f"{url}: username or password is wrong (HTTP {answer.status})")
        if answer.status == 499:
            raise SourceError(
                "login", f"{url}: this account asks for a second factor; use a local account without one, or an api_key"
            )
        _check(answer, url)
        self._logged_in = True

    def _send(self, method: Literal["GET", "POST"], url: str, body: bytes | None = None) -> Answer:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._settings.api_key:
            headers["X-API-KEY"] = self._settings.api_key
        if self._csrf:
            headers["X-CSRF-Token"] = self._csrf
        answer = self._transport.send(method, url, headers, body)
        token = answer.headers.get("x-updated-csrf-token") or answer.headers.get("x-csrf-token") or ""
        if token and all("!" <= character <= "~" for character in token):
            self._csrf = token
        return answer


def _expired(answer: Answer) -> bool:
    code = error_code(answer.body)
    return code == _EXPIRED or (answer.status == 401 and code not in _FORBIDDEN)


def _check(answer: Answer, url: str) -> None:
    """Raise SourceError for every answer that is not data."""
    status = answer.status
    if status == 429:
        raise SourceError(
            "rate_limited",
            f"{url}: too many logins; wait, and give this exporter an account of its own or an api_key",
            _retry_after(answer),
        )
    code = error_code(answer.body)
    if status == 403 or code in _FORBIDDEN:
        raise SourceError(
            "forbidden", f"{url}: this account may not read it ({code or 'HTTP 403'}); give it view rights"
        )
    if status in (502, 503, 504):
        raise SourceError(
            "unreachable", f"{url}: the Network application is not running or is starting (HTTP {status})"
        )
    if status == 404 or (status == 200 and answer.body.lstrip()[:1] == b"<"):
        what = "HTTP 404" if status == 404 else "a web page instead of data"
        raise SourceError("protocol", f"{url}: {what}; the controller is starting, or this is no UniFi OS console")
    if 300 <= status < 400:
        raise SourceError(
            "protocol",
            f"{url}: answers with a redirect, which is never followed; give the console's own address as url",
        )
    if status != 200 or code:
        raise SourceError("protocol", f"{url}: unexpected answer (HTTP {status}{', ' + code if code else ''})")


def _retry_after(answer: Answer) -> float:
    """Seconds to wait. A header that is no sane number of seconds counts as absent."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and 0 < int(text[:9]) <= 86400 else RETRY_AFTER
