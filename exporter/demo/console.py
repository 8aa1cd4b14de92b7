"""What a UniFi controller of either flavour answers, without the wire: front page, logins, and the Network API."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from threading import Lock
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from exporter.demo.network import Network
from exporter.demo.sessions import Flavour, Reply, Sessions, data_reply, error_reply, json_reply

SITES: Final = "/api/self/sites"
ONE_SITE: Final = "/api/s/"
PAGE: Final = b"<!DOCTYPE html><html><body>UniFi</body></html>"
_HTML: Final = (("Content-Type", "text/html"),)


class Request(NamedTuple):
    """A request that came in. The names of its headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Console:
    """One controller with one or several sites: a UniFi OS console ("os") or a standalone application ("legacy").

    What may be changed at any time: `accounts` (see Sessions), `api_key`, `integration_only` (the key reaches only the
    official API), `identity` (None: an old version that does not tell), `role` of the account, `sysinfo_allowed`, and
    `front_page`: who answers `/`, the controller itself ("") or a proxy with a page of its own ("page") or with a
    login of its own for everything ("login").
    """

    def __init__(
        self,
        networks: Sequence[Network],
        *,
        clock: Callable[[], float] = time.time,
        username: str = "exporter",
        password: str = "",
        api_key: str = "",
        flavour: Flavour = "os",
    ) -> None:
        self.networks = {network.site: network for network in networks}
        self.accounts = Sessions(flavour, username, password or secrets.token_urlsafe())
        self.api_key = api_key or secrets.token_urlsafe()
        self.integration_only = False
        self.identity: str | None = "00000000-0000-4000-8000-00000000d340"
        self.role = "readonly"
        self.sysinfo_allowed = True
        self.front_page = ""
        self._os = flavour == "os"
        self._clock = clock
        self._lock = Lock()

    @property
    def date(self) -> str:
        """The controller's own clock as an HTTP date."""
        network = next(iter(self.networks.values()))
        return formatdate(network.meter_now, usegmt=True)

    @property
    def username(self) -> str:
        """The name of the one account."""
        return self.accounts.username

    @property
    def password(self) -> str:
        """Its password."""
        return self.accounts.password

    @property
    def logins(self) -> int:
        """How many logins were tried."""
        return self.accounts.logins

    def become(self, flavour: Flavour) -> None:
        """Be of another flavour from now on, as after an upgrade: the same data at the same address, without logins."""
        with self._lock:
            self._os = flavour == "os"
            self.accounts.become(flavour)
            self.accounts.clear()

    def expire_sessions(self) -> None:
        """Forget all logins. API keys stay."""
        with self._lock:
            self.accounts.clear()

    def answer(self, request: Request) -> Reply:
        """Do what is asked, at the clock's time."""
        now = self._clock()
        for network in self.networks.values():
            network.advance(now)
        with self._lock:
            return self._route(request)

    def _route(self, request: Request) -> Reply:
        path, way = urlsplit(request.path).path, self.accounts.way
        if self.front_page == "login":
            return Reply(401, b"<html>Who are you?</html>", (*_HTML, ("WWW-Authenticate", "Basic")))
        if path == "/":
            return self._front()
        if path == way.login and request.method == "POST":
            return self.accounts.log_in(request.body)
        cookie = self.accounts.known(request.headers)
        if path == way.logout and request.method == "POST":
            return self.accounts.log_out(cookie)
        key = self._os and request.headers.get("x-api-key") == self.api_key
        return self._network(path, cookie, key=key)

    def _front(self) -> Reply:
        if self._os or self.front_page:
            return Reply(200, PAGE, _HTML)
        return Reply(302, b"", (("Location", "/manage"),))

    def _network(self, path: str, cookie: str, *, key: bool) -> Reply:
        """What the Network application answers, or the console in its stead."""
        prefix = self.accounts.way.prefix
        if not path.startswith(prefix + "/api/" if not key else prefix + "/"):
            return Reply(404, PAGE, _HTML)
        inner = path.removeprefix(prefix)
        if key and inner == "/integration/v1/info":
            return json_reply(200, {"applicationVersion": "9.4.19"})
        if not cookie and (not key or self.integration_only):
            return self._stranger()
        if any(network.away for network in self.networks.values()):
            return Reply(502, b"<html><body>502 Bad Gateway</body></html>", _HTML)
        reply = self._api(inner)
        return reply._replace(headers=self.accounts.rotate(cookie)) if cookie and inner == SITES else reply

    def _stranger(self) -> Reply:
        if self._os:
            return json_reply(401, {"error": {"code": 401, "message": "Unauthorized"}})
        return error_reply(401, "api.err.LoginRequired")

    def _api(self, path: str) -> Reply:
        if path == SITES:
            return data_reply([{"name": site, "desc": site.title(), "role": self.role} for site in self.networks])
        if path.startswith(ONE_SITE):
            site, _, what = path.removeprefix(ONE_SITE).partition("/")
            network = self.networks.get(unquote(site))
            return self._of_site(network, what) if network else error_reply(401, "api.err.NoSiteContext")
        return data_reply([{"name": self.username}]) if path == "/api/self" else error_reply(404, "api.err.NotFound")

    def _of_site(self, network: Network, what: str) -> Reply:
        if what == "stat/sta":
            return data_reply(network.records())
        if what == "stat/device":
            return data_reply(network.device_records())
        if what != "stat/sysinfo":
            return error_reply(404, "api.err.NotFound")
        if not self.sysinfo_allowed:
            return error_reply(403, "api.err.NoPermission")
        facts = {} if self.identity is None else {"anonymous_controller_id": self.identity}
        return data_reply([{"version": "9.4.19", "name": "Demo"} | facts])
