"""What the answers of a controller mean where they are no data: each put into words, with what to do."""

from __future__ import annotations

from exporter.sources.base import SourceError
from exporter.sources.unifi.flavour import LOGIN_REQUIRED, NOT_RUNNING, OWN_ADDRESS, REDIRECTED, WAIT, is_page
from exporter.sources.unifi.payload import error_code
from exporter.sources.unifi.transport import Answer

# Codes of the envelope that mean "not for you" whatever the HTTP status (UniFi reference, section 2).
_FORBIDDEN = frozenset({"api.err.NoPermission", "api.err.NoSiteContext"})
_SECOND_FACTOR = "api.err.Ubic2faTokenRequired"
_WRONG_LOGIN = frozenset({"api.err.Invalid", "api.err.InvalidPayload"})
_STARTING = frozenset({502, 503, 504})

LOCAL_ACCOUNT = "make a local view-only account for the exporter, without two-factor login"


def expired(answer: Answer) -> bool:
    """Whether the answer asks for a login, or a new one."""
    code = error_code(answer.body)
    return code == LOGIN_REQUIRED or (answer.status == 401 and code not in _FORBIDDEN)


def forbidden(answer: Answer) -> bool:
    """Whether whoever asks is known and may not have it."""
    return answer.status == 403 or error_code(answer.body) in _FORBIDDEN


def astray(answer: Answer) -> bool:
    """Whether the answer hints that the Network application is not where it was asked for."""
    return error_code(answer.body) == "" and (
        answer.status == 404 or 300 <= answer.status < 400 or (answer.status == 200 and is_page(answer))
    )


def check_login(answer: Answer, url: str) -> None:
    """Raise SourceError unless a login was accepted. The login limit (429) is the caller's to see to."""
    code = error_code(answer.body)
    if answer.status == 499 or code == _SECOND_FACTOR:
        raise SourceError("login", f"{url}: this account asks for a second factor", remedy=LOCAL_ACCOUNT)
    if code == LOGIN_REQUIRED:  # said to every path that does not exist: the flavour is another one
        raise SourceError("protocol", f"{url}: there is no login here", remedy=OWN_ADDRESS)
    # UniFi OS says 403 to wrong credentials, older ones 400 or 401, and standalone controllers even 200.
    if code in _WRONG_LOGIN or (answer.status in (400, 401, 403) and not is_page(answer)):
        raise SourceError(
            "login",
            f"{url}: username or password is wrong (HTTP {answer.status})",
            remedy="check that both let you log in to the controller itself, in a browser that does not know you yet",
        )
    check_data(answer, url)
    if not answer.body.lstrip().startswith((b"{", b"[")):
        raise SourceError("protocol", f"{url}: the login was answered with something else than data", remedy=WAIT)


def check_data(answer: Answer, url: str) -> None:
    """Raise SourceError for every answer that is not data."""
    status, code = answer.status, error_code(answer.body)
    if status == 429:
        raise SourceError(
            "rate_limited", f"{url}: too many requests (HTTP 429)", retry_after(answer), remedy="poll less often"
        )
    if forbidden(answer):
        raise SourceError(
            "forbidden",
            f"{url}: this account may not read it ({code or 'HTTP 403'})",
            remedy="give it view rights for Network and this site",
        )
    if status in _STARTING:
        raise SourceError("unreachable", f"{url}: {NOT_RUNNING} (HTTP {status})", remedy=WAIT)
    if astray(answer) and 300 <= status < 400:
        raise SourceError("protocol", f"{url}: {REDIRECTED}", remedy=OWN_ADDRESS)
    if astray(answer):
        what = "HTTP 404" if status == 404 else "a web page instead of data"
        raise SourceError("protocol", f"{url}: {what}; the controller may be starting", remedy=WAIT)
    if status != 200 or code:
        raise SourceError("protocol", f"{url}: unexpected answer (HTTP {status}{', ' + code if code else ''})")


def retry_after(answer: Answer) -> float | None:
    """Seconds that the controller asks for. A header that is no sane number of seconds counts as absent."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and 0 < int(text[:9]) <= 86400 else None
