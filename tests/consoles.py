"""Simulated controllers for tests, and sources that poll them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from exporter.demo.controller import DemoController
from exporter.demo.network import Bytes, Network
from exporter.demo.sessions import Flavour
from exporter.model import Poll
from exporter.sources import SourceError
from exporter.sources.unifi import UnifiSettings, UnifiSource
from exporter.sources.unifi.logins import Logins

MAC = "02:00:00:00:00:01"
NAS = "02:00:00:00:00:02"
START = 1_700_000_000.0

Connect = Callable[..., UnifiSource]


def household() -> Network:
    """The site `default` with a phone."""
    network = Network(start=START)
    network.add_client(MAC, "phone", raw=Bytes(1000, 100), age=86400)
    return network


@contextmanager
def controller(flavour: Flavour = "os", network: Network | None = None) -> Iterator[DemoController]:
    """A controller with the sites `default` and `attic`, where the time is the network's."""
    first = network or household()
    second = Network(site="attic", start=START)
    second.add_client(NAS, "nas", wired=True, raw=Bytes(50, 5), age=86400)
    with DemoController(first, second, clock=lambda: first.now, flavour=flavour) as running:
        yield running


def settings(console: DemoController, **changes: Any) -> UnifiSettings:
    """How to reach a controller, with a login, and with one question a site, where nothing else is said.

    None takes a setting away.
    """
    facts: dict[str, Any] = {
        "url": console.url,
        "ca_file": console.ca_file,
        "timeout": 30.0,
        "collect": frozenset({"clients"}),
    }
    if "api_key" not in changes:
        facts |= {"username": console.username, "password": console.password}
    return UnifiSettings(**(facts | changes))


@contextmanager
def connections(console: DemoController) -> Iterator[Connect]:
    """Makes sources for the controller, and closes them. All share accounts that nobody else knows of."""
    shared = Logins()
    with ExitStack() as stack:

        def source(body_limit: int = 10**8, logins: Logins = shared, **changes: Any) -> UnifiSource:
            made = UnifiSource(settings(console, **changes), lambda: START + 3, body_limit, logins)
            stack.callback(made.close)
            return made

        yield source


def failure(source: UnifiSource) -> SourceError:
    """The error that a poll ends with."""
    with pytest.raises(SourceError) as caught:
        source.poll()
    return caught.value


def paths(console: DemoController) -> list[str]:
    """What was asked of a controller, in order."""
    return [request.path for request in console.requests]


def keys(poll: Poll) -> list[str]:
    """The counters of a poll."""
    return [reading.counter.key for reading in poll.readings]
