"""What the HTTP library raises, put into words. Its own text is not used: it may quote headers."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import requests

from exporter.sources.base import Reason, SourceError
from exporter.sources.unifi.wire import WrongCertificateError

# A reason, what happened (after the url), and what to do about it.
Words = tuple[Reason, str, str]

NO_UNIFI = "check that the url is that of a UniFi controller"
_CLOSED = "connection closed without an answer"
_REPINNED = (
    "if the controller was given a new certificate, check that this is its own and write it as `fingerprint`; "
    "if it was not, somebody else is answering"
)
_UNTRUSTED = (
    "write the certificate's own `fingerprint`, or give it or its issuer's as `ca_file`; where that does not name this "
    "host, use a host name that it names; or set `verify_tls: false` where you trust the way there"
)
_UNREACHABLE = "check that it is up and can be reached from here"

# First match wins, whatever the order in which one error led to the other.
_RULES: tuple[tuple[tuple[type[Exception], ...], Callable[[Any], Words]], ...] = (
    ((WrongCertificateError,), lambda e: ("tls", f"its certificate is another one ({e.shown})", _REPINNED)),
    (
        (ssl.SSLCertVerificationError,),
        lambda e: ("tls", f"its certificate is not trusted ({e.verify_message})", _UNTRUSTED),
    ),
    (
        (TimeoutError, requests.Timeout),
        lambda _: (
            "timeout",
            "no complete answer in time",
            "check that it is up; where it is only slow, give it a longer `timeout`",
        ),
    ),
    ((ssl.SSLEOFError, ssl.SSLZeroReturnError), lambda _: ("unreachable", _CLOSED, _UNREACHABLE)),
    (
        (ssl.SSLError,),
        lambda e: ("tls", f"does not speak TLS as it should ({e.reason or 'no reason given'})", "check the port"),
    ),
    (
        (socket.gaierror,),
        lambda _: ("unreachable", "the host name cannot be resolved", "check it, and the DNS of this machine"),
    ),
    ((OSError,), lambda e: ("unreachable", e.strerror or _CLOSED, _UNREACHABLE)),
)


def in_words(error: Exception, url: str) -> SourceError:
    """The error that a poll fails with because of what the library raised."""
    causes = list(causes_of(error))
    # All of requests' own errors are OSErrors, which would say nothing.
    telling = [c for c in causes if isinstance(c, requests.Timeout) or not isinstance(c, requests.RequestException)]
    for kinds, words in _RULES:
        for cause in telling:
            if isinstance(cause, kinds):
                reason, what, remedy = words(cause)
                return SourceError(reason, f"{url}: {what}", remedy=remedy)
    what = f"{url}: the answer was cut off or is not HTTP ({type(causes[-1]).__name__})"
    return SourceError("protocol", what, remedy=NO_UNIFI)


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
