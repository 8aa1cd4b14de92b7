"""The two ways a UniFi controller is reached, and how to tell which one answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from exporter.sources.base import SourceError
from exporter.sources.unifi.payload import error_code, succeeded
from exporter.sources.unifi.transport import Answer

LOGIN_REQUIRED = "api.err.LoginRequired"
"""What the Network application says to those who are not logged in (UniFi reference, section 2)."""


class Flavour(NamedTuple):
    """Where things are. Paths begin with a slash; `prefix` stands before every path of the Network application.

    remember: the key of a login that makes the session last days instead of hours; logins are what is limited.
    """

    name: str
    prefix: str
    login: str
    logout: str
    remember: str


OS = Flavour("UniFi OS console", "/proxy/network", "/api/auth/login", "/api/auth/logout", "rememberMe")
STANDALONE = Flavour("standalone Network Application", "", "/api/login", "/logout", "remember")


def find(base: str, ask: Callable[[str], Answer]) -> Flavour:
    """Which flavour answers at a url. `ask` gets a path without a login. Raises SourceError where none does.

    A console answers `/` itself, a standalone application sends on to `/manage`. Since anything in front of either
    may answer `/` as well, that is only where to begin: the Network application has to be found where it should be.
    """
    front = ask("/")
    order = (OS, STANDALONE) if front.status == 200 else (STANDALONE, OS)
    answers: list[Answer] = []
    for flavour in order:
        answer = ask(flavour.prefix + "/api/self")
        if _is_network(answer) or (flavour is OS and _is_console(answer)):
            return flavour
        answers.append(answer)
    raise _unknown(base, front, answers)


def _is_network(answer: Answer) -> bool:
    """Whether the Network application speaks: it asks for a login, or takes the session that is open."""
    return error_code(answer.body) == LOGIN_REQUIRED or (answer.status == 200 and succeeded(answer.body))


def _is_console(answer: Answer) -> bool:
    """Whether a console refuses what is behind it. A proxy that wants a login of its own says so in a header."""
    return answer.status == 401 and "www-authenticate" not in answer.headers and not is_page(answer)


def is_page(answer: Answer) -> bool:
    """Whether an answer is a web page."""
    return answer.body.lstrip()[:1] == b"<"


def _unknown(base: str, front: Answer, answers: list[Answer]) -> SourceError:
    seen = [answer.status for answer in (*answers, front)]
    starting = next((status for status in seen if status in (502, 503, 504)), None)
    if starting:
        return SourceError("unreachable", f"{base}: {NOT_RUNNING} (HTTP {starting})", remedy=WAIT)
    if any("www-authenticate" in answer.headers for answer in (*answers, front)):
        return SourceError(
            "protocol", f"{base}: something in front of the controller wants a login of its own", remedy=OWN_ADDRESS
        )
    if 300 <= front.status < 400 and "/manage" not in front.headers.get("location", ""):
        return SourceError("protocol", f"{base}: {REDIRECTED}", remedy=OWN_ADDRESS)
    return SourceError(
        "protocol", f"{base}: answers (HTTP {front.status}), but not as a UniFi controller", remedy=LOOK_ELSEWHERE
    )


NOT_RUNNING = "the Network application is not running or is starting"
REDIRECTED = "answers with a redirect, which is never followed"
WAIT = "wait a few minutes; if it stays so, restart the application"
OWN_ADDRESS = "give the controller's own address as `url`"
LOOK_ELSEWHERE = (
    "wait if it is starting; else check host and port: 443 for a UniFi OS console, 11443 for UniFi OS Server, "
    "8443 for a standalone Network Application"
)
