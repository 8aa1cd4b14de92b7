"""The logins of a simulated controller, of both flavours: passwords, second factors, cookies and CSRF tokens."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any, Final, Literal, NamedTuple

Flavour = Literal["os", "legacy"]
Headers = tuple[tuple[str, str], ...]


class Reply(NamedTuple):
    """An answer to be sent."""

    status: int
    body: bytes
    headers: Headers = ()


class Way(NamedTuple):
    """Where a flavour has its things."""

    prefix: str
    login: str
    logout: str
    cookie: str


WAYS: Final[Mapping[Flavour, Way]] = {
    "os": Way("/proxy/network", "/api/auth/login", "/api/auth/logout", "TOKEN"),
    "legacy": Way("", "/api/login", "/logout", "unifises"),
}


def json_reply(status: int, document: Any, headers: Headers = ()) -> Reply:
    """An answer with a JSON document."""
    return Reply(status, json.dumps(document).encode(), headers)


def data_reply(records: list[dict[str, Any]]) -> Reply:
    """The Network application's envelope with records."""
    return json_reply(200, {"meta": {"rc": "ok"}, "data": records})


def error_reply(status: int, code: str, records: list[dict[str, Any]] | None = None) -> Reply:
    """The Network application's envelope with an error."""
    return json_reply(status, {"meta": {"rc": "error", "msg": code}, "data": records or []})


@dataclass(slots=True)
class _Session:
    csrf: str
    uses_left: int | None


class Sessions:
    """Who is logged in.

    What may be changed at any time: `username`, `password`, `second_factor` (the account wants one), `limited` with
    `retry_after` (the login limit is reached), `last` (False: a session has expired when it is first used),
    `last_for` (so many requests), `wrong_status` (of the answer to wrong credentials; 0: the flavour's own),
    `csrf_header` (False: the token is only in the cookies). `logins` counts the tries.
    """

    def __init__(self, flavour: Flavour, username: str, password: str) -> None:
        self.become(flavour)
        self.username = username
        self.password = password
        self.second_factor = False
        self.limited = False
        self.retry_after = ""  # seconds; real controllers send no such header
        self.last = True
        self.last_for: int | None = None
        self.wrong_status = 0
        self.csrf_header = True
        self.logins = 0
        self._open: dict[str, _Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def become(self, flavour: Flavour) -> None:
        """Log in as this flavour does from now on."""
        self.way = WAYS[flavour]
        self._os = flavour == "os"

    def clear(self) -> None:
        """Forget all logins."""
        self._open.clear()

    def log_in(self, body: bytes) -> Reply:
        """The answer to a login."""
        self.logins += 1
        if self.limited:
            headers = (("Retry-After", self.retry_after),) if self.retry_after else ()
            return json_reply(429, {"code": "AUTHENTICATION_FAILED_LIMIT_REACHED", "level": "debug"}, headers)
        try:
            given = json.loads(body)
        except ValueError:
            return json_reply(400, {"code": "BAD_REQUEST"})
        if (given.get("username"), given.get("password")) != (self.username, self.password):
            return self._wrong()
        if self.second_factor:
            return self._second_factor()
        return self._opened()

    def log_out(self, cookie: str) -> Reply:
        """The answer to a logout."""
        self._open.pop(cookie, None)
        return json_reply(200, {}) if self._os else Reply(302, b"", (("Location", "/manage"),))

    def known(self, headers: Mapping[str, str]) -> str:
        """The cookie of a request whose session is open and whose CSRF token is right, "" of any other."""
        jar = SimpleCookie(headers.get("cookie", ""))
        cookie = jar[self.way.cookie].value if self.way.cookie in jar else ""
        session = self._open.get(cookie)
        if session is None or headers.get("x-csrf-token") != session.csrf:
            return ""
        if session.uses_left is not None:
            session.uses_left -= 1
            if session.uses_left < 0:
                del self._open[cookie]
                return ""
        return cookie

    def rotate(self, cookie: str) -> Headers:
        """A new CSRF token for a session; standalone controllers keep theirs."""
        if not self._os or not self.csrf_header:
            return ()
        self._open[cookie].csrf = secrets.token_hex()
        return (("X-Updated-CSRF-Token", self._open[cookie].csrf),)

    def _wrong(self) -> Reply:
        if self._os:
            code = {"code": "AUTHENTICATION_FAILED_INVALID_CREDENTIALS", "message": "Invalid username"}
            return json_reply(self.wrong_status or 403, code)
        return error_reply(self.wrong_status or 400, "api.err.Invalid")

    def _second_factor(self) -> Reply:
        if self._os:
            data = {"mfaCookie": "UBIC_2FA=" + secrets.token_urlsafe(), "authenticators": [{"type": "totp"}]}
            return json_reply(499, {"code": "MFA_AUTH_REQUIRED", "data": data})
        return error_reply(400, "api.err.Ubic2faTokenRequired", [{"mfa_cookie": "UBIC_2FA=" + secrets.token_urlsafe()}])

    def _opened(self) -> Reply:
        csrf = secrets.token_hex()
        cookie = _jwt({"csrfToken": csrf}) if self._os else secrets.token_urlsafe()
        if self.last:
            self._open[cookie] = _Session(csrf, self.last_for)
        else:
            self._open.clear()
        headers: Headers = (("Set-Cookie", f"{self.way.cookie}={cookie}; path=/; samesite=strict; secure; httponly"),)
        if not self._os:
            return data_reply([])._replace(headers=(*headers, ("Set-Cookie", f"csrf_token={csrf}; path=/; secure")))
        if self.csrf_header:
            headers = (*headers, ("X-CSRF-Token", csrf))
        return json_reply(200, {"username": self.username, "status": "ACTIVE"}, headers)


def _jwt(claims: Mapping[str, Any]) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"jti": secrets.token_urlsafe()} | dict(claims))
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*texts, secrets.token_urlsafe()])
