"""A session on a UniFi controller: its flavour, login or API key, CSRF token, and the one login a poll may repeat."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import msgspec

from exporter.sources.base import SourceError
from exporter.sources.unifi import answers
from exporter.sources.unifi.flavour import OS, Flavour, find
from exporter.sources.unifi.logins import LOGINS, Account, Logins
from exporter.sources.unifi.settings import UnifiSettings
from exporter.sources.unifi.transport import BODY_LIMIT, Answer, Transport, Trust
from exporter.sources.unifi.trouble import in_words

LOGOUT_TIMEOUT = 3.0  # seconds
INTEGRATION = "/integration/v1/info"  # of the official API, below the Network application's prefix


class _Claims(msgspec.Struct):
    csrf_token: str = msgspec.field(default="", name="csrfToken")


class Session:
    """Authenticated GET requests to one controller.

    Finds the flavour out by itself and remembers it until an answer hints that it was wrong. Logs in when needed: once
    in a poll, and once more where a session that had worked expires in its middle.
    """

    def __init__(
        self,
        settings: UnifiSettings,
        wall: Callable[[], float] = time.time,
        body_limit: int = BODY_LIMIT,
        logins: Logins = LOGINS,
    ) -> None:
        self._settings = settings
        trust = Trust(settings.verify_tls, settings.ca_file, settings.fingerprint)
        self._transport = Transport(trust, wall=wall, body_limit=body_limit)
        self._logins = logins
        self._account = Account.of(settings.url, settings.username)
        self._flavour: Flavour | None = None
        self._csrf = ""
        self._logged_in = False
        self._tries = 0
        self._served = False

    def begin(self) -> None:
        """Start a poll: its time, and the logins it may use, count from here."""
        self._transport.start(self._settings.timeout)
        self._tries = 0
        self._served = False

    def flavour(self) -> Flavour:
        """How this controller is reached; it is asked where that is not known. Raises SourceError."""
        if self._flavour is None:
            self._flavour = find(self._settings.base, lambda path: self._send("GET", path, key=False))
        return self._flavour

    def open(self) -> None:
        """Log in where there is no session. An API key needs none, but a console that takes it. Raises SourceError."""
        flavour = self.flavour()
        if self._settings.api_key:
            if flavour is not OS:
                raise SourceError(
                    "login",
                    f"{self._settings.base}: is a {flavour.name}, which takes no api_key",
                    remedy=f"{answers.LOCAL_ACCOUNT}, and write its username and password",
                )
        elif not self._logged_in:
            self._login(flavour)

    def url(self, path: str) -> str:
        """The whole address of a path of the Network application, for messages."""
        return self._settings.base + (self._flavour.prefix if self._flavour else "") + path

    def get(self, path: str) -> Answer:
        """GET a path of the Network application; the answer has status 200 and is no web page. Raises SourceError."""
        self.open()
        path = self.flavour().prefix + path
        answer = self._send("GET", path)
        if self._settings.api_key:
            self._check_key(answer, path)
        elif answers.expired(answer):
            answer = self._once_more(path)
        self._check(answer, path, answers.check_data)
        self._served = True
        return answer

    def close(self) -> None:
        """Log out and free the connections. A controller that cannot be told lets the session expire by itself."""
        if self._logged_in and self._flavour:
            self._transport.start(LOGOUT_TIMEOUT)
            with suppress(SourceError):
                self._send("POST", self._flavour.logout, b"")
        self._logged_in = False
        self._csrf = ""
        self._flavour = None
        self._transport.close()

    def _once_more(self, path: str) -> Answer:
        """The answer after a new login, where this poll may have one."""
        self._logged_in = False
        if self._tries == 0 or (self._tries == 1 and self._served):
            self._login(self.flavour())
            answer = self._send("GET", path)
            if not answers.expired(answer):
                return answer
            self._logged_in = False
        url = self._settings.base + path
        if self._served:
            what = "the session ends again and again"
            raise SourceError("login", f"{url}: {what}", remedy="give the exporter an account that nothing else uses")
        what = "refused right after the login"
        raise SourceError("login", f"{url}: {what}", remedy="check that this account may use the Network application")

    def _login(self, flavour: Flavour) -> None:
        """Log in, one after the other with all other sources of the account."""
        url = self._settings.base + flavour.login
        try:
            with self._logins.turn(self._account, self._transport.left):
                self._try_login(flavour, url)
        except TimeoutError as error:
            raise in_words(error, url) from None

    def _try_login(self, flavour: Flavour, url: str) -> None:
        if self._tries == 2 or (self._tries == 1 and not self._served):
            raise SourceError("login", f"{url}: the login of this poll has failed already")
        pause = self._logins.pause(self._account)
        if pause:
            raise _limited(url, pause)
        self._tries += 1
        self._served = False
        self._logged_in = False
        self._csrf = ""
        self._transport.forget_cookies()
        credentials = {
            "username": self._settings.username,
            "password": self._settings.password,
            flavour.remember: True,
        }
        answer = self._send("POST", flavour.login, msgspec.json.encode(credentials))
        if answer.status == 429:
            raise _limited(url, self._logins.limited(self._account, answers.retry_after(answer)))
        self._check(answer, flavour.login, answers.check_login)
        self._logins.worked(self._account)
        self._logged_in = True

    def _check(self, answer: Answer, path: str, check: Callable[[Answer, str], None]) -> None:
        try:
            check(answer, self._settings.base + path)
        except SourceError as error:
            # Another flavour may answer by now: an upgrade, or a proxy that had a page of its own. Look again then.
            if path.endswith("login") or answers.astray(answer) or (error.reason == "protocol" and not self._served):
                self._flavour = None
            raise

    def _check_key(self, answer: Answer, path: str) -> None:
        """Raise SourceError where the key is refused. One made for the Integration API alone is told apart."""
        refused = answers.expired(answer)
        if not refused and (self._served or not answers.forbidden(answer)):
            return
        url = self._settings.base + path
        if not self._served and self._send("GET", OS.prefix + INTEGRATION).status == 200:
            raise SourceError(
                "forbidden",
                f"{url}: this key reaches only the Integration API, which has no byte counters",
                remedy="use a local view-only account or a UniFi OS key with Network access",
            )
        if refused:
            raise SourceError(
                "login", f"{url}: the api_key is not accepted", remedy="make a new one on the console itself"
            )

    def _send(
        self, method: Literal["GET", "POST"], path: str, body: bytes | None = None, *, key: bool = True
    ) -> Answer:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._settings.api_key and key:
            headers["X-API-KEY"] = self._settings.api_key
        # Read-only accounts of some versions need it to read as well (UniFi reference, section 2).
        if self._csrf:
            headers["X-CSRF-Token"] = self._csrf
        answer = self._transport.send(method, self._settings.base + path, headers, body)
        self._csrf = self._new_csrf(answer) or self._csrf
        return answer

    def _new_csrf(self, answer: Answer) -> str:
        """The token that an answer brings: in a header, in the cookie that is a JWT, or in a cookie of its own."""
        headers = answer.headers
        token = headers.get("x-updated-csrf-token") or headers.get("x-csrf-token") or ""
        if not token and "set-cookie" in headers:
            token = _claimed(self._transport.cookie("TOKEN")) or self._transport.cookie("csrf_token")
        return token if all("!" <= character <= "~" for character in token) else ""


def _claimed(token: str) -> str:
    """The CSRF token in the claims of a JWT. Its signature is the console's own affair."""
    try:
        claims = token.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)), type=_Claims).csrf_token
    except (IndexError, ValueError, RecursionError, msgspec.MsgspecError):
        return ""


def _limited(url: str, pause: float) -> SourceError:
    return SourceError(
        "rate_limited",
        f"{url}: the controller limits the logins of this account (HTTP 429)",
        pause,
        remedy="the exporter waits before it tries again; give it an account that nothing else uses",
    )
