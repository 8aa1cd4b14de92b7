"""What a UniFi OS console answers, without the wire: logins, sessions, CSRF tokens, and the Network API."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from http.cookies import SimpleCookie
from threading import Lock
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from exporter.demo.network import Network

NETWORK: Final = "/proxy/network"
SITES: Final = NETWORK + "/api/self/sites"
ONE_SITE: Final = NETWORK + "/api/s/"

Headers = tuple[tuple[str, str], ...]


class Request(NamedTuple):
    """A request that came in. The names of its headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Reply(NamedTuple):
    """An answer to be sent."""

    status: int
    body: bytes
    headers: Headers = ()


class Console:
    """One console with one or several sites.

    What may be changed at any time: `username`, `password`, `api_key`, `identity` (None: an old version that does not
    tell), `login_limited` with `retry_after`, `sessions_last` (False: a session has expired when it is used).
    """

    def __init__(
        self,
        networks: Sequence[Network],
        *,
        clock: Callable[[], float] = time.time,
        username: str = "exporter",
        password: str = "",
        api_key: str = "",
    ) -> None:
        self.networks = {network.site: network for network in networks}
        self.username = username
        self.password = password or secrets.token_urlsafe()
        self.api_key = api_key or secrets.token_urlsafe()
        self.identity: str | None = "00000000-0000-4000-8000-00000000d340"
        self.login_limited = False
        self.retry_after = ""  # seconds; real consoles send no such header
        self.sessions_last = True
        self.logins = 0
        self._clock = clock
        self._sessions: dict[str, str] = {}  # cookie -> CSRF token
        self._lock = Lock()

    @property
    def date(self) -> str:
        """The console's own clock as an HTTP date."""
        network = next(iter(self.networks.values()))
        return formatdate(network.meter_now, usegmt=True)

    @property
    def sessions(self) -> int:
        """How many logins are open."""
        return len(self._sessions)

    def expire_sessions(self) -> None:
        """Forget all logins. API keys stay."""
        with self._lock:
            self._sessions.clear()

    def answer(self, request: Request) -> Reply:
        """Do what is asked, at the clock's time."""
        now = self._clock()
        for network in self.networks.values():
            network.advance(now)
        with self._lock:
            return self._route(request)

    def _route(self, request: Request) -> Reply:
        path = urlsplit(request.path).path
        if path == "/api/auth/login" and request.method == "POST":
            return self._login(request.body)
        cookie, headers = self._session(request, path)
        if cookie is None and request.headers.get("x-api-key") != self.api_key:
            return _json(401, {"error": {"code": 401, "message": "Unauthorized"}})
        if path == "/api/auth/logout" and request.method == "POST":
            self._sessions.pop(cookie or "", None)
            return _json(200, {})
        if path.startswith(NETWORK) and any(network.away for network in self.networks.values()):
            return Reply(502, b"<html><body>502 Bad Gateway</body></html>", (("Content-Type", "text/html"),))
        return self._api(path)._replace(headers=headers)

    def _login(self, body: bytes) -> Reply:
        self.logins += 1
        if self.login_limited:
            headers: Headers = (("Retry-After", self.retry_after),) if self.retry_after else ()
            return _json(429, {"code": "AUTHENTICATION_FAILED_LIMIT_REACHED", "level": "debug"}, headers)
        try:
            given = json.loads(body)
        except ValueError:
            return _json(400, {"code": "BAD_REQUEST"})
        if (given.get("username"), given.get("password")) != (self.username, self.password):
            return _json(403, {"code": "AUTHENTICATION_FAILED_INVALID_CREDENTIALS", "message": "Invalid username"})
        cookie, csrf = secrets.token_urlsafe(), secrets.token_hex()
        self._sessions = self._sessions | {cookie: csrf} if self.sessions_last else {}
        headers = (
            ("Set-Cookie", f"TOKEN={cookie}; path=/; samesite=strict; secure; httponly"),
            ("X-CSRF-Token", csrf),
        )
        return _json(200, {"username": self.username, "status": "ACTIVE"}, headers)

    def _session(self, request: Request, path: str) -> tuple[str | None, Headers]:
        """The request's session, if it has one and its CSRF token is right; the token moves on now and then."""
        jar = SimpleCookie(request.headers.get("cookie", ""))
        cookie = jar["TOKEN"].value if "TOKEN" in jar else ""
        csrf = self._sessions.get(cookie)
        if csrf is None or request.headers.get("x-csrf-token") != csrf:
            return None, ()
        if path != SITES:
            return cookie, ()
        self._sessions[cookie] = secrets.token_hex()
        return cookie, (("X-Updated-CSRF-Token", self._sessions[cookie]),)

    def _api(self, path: str) -> Reply:
        if path == SITES:
            return _data([{"name": site, "desc": site.title(), "role": "readonly"} for site in self.networks])
        if path.startswith(ONE_SITE):
            site, _, what = path.removeprefix(ONE_SITE).partition("/")
            network = self.networks.get(unquote(site))
            if network is None:
                return _json(401, {"meta": {"rc": "error", "msg": "api.err.NoSiteContext"}, "data": []})
            if what == "stat/sta":
                return _data(network.records())
            if what == "stat/sysinfo":
                facts = {} if self.identity is None else {"anonymous_controller_id": self.identity}
                return _data([{"version": "9.4.19", "name": "Demo"} | facts])
        return _json(404, {"meta": {"rc": "error", "msg": "api.err.NotFound"}, "data": []})


def _json(status: int, document: Any, headers: Headers = ()) -> Reply:
    return Reply(status, json.dumps(document).encode(), headers)


def _data(records: list[dict[str, Any]]) -> Reply:
    return _json(200, {"meta": {"rc": "ok"}, "data": records})
