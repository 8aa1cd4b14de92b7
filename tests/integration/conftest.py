"""A simulated controller, and sources that poll it. A test file that wants another flavour or network says so."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from exporter.demo.controller import DemoController
from exporter.demo.network import Network
from exporter.demo.sessions import Flavour
from tests.consoles import Connect, connections, controller, household


@pytest.fixture
def flavour() -> Flavour:
    return "os"


@pytest.fixture
def network() -> Network:
    return household()


@pytest.fixture
def console(flavour: Flavour, network: Network) -> Iterator[DemoController]:
    with controller(flavour, network) as running:
        yield running


@pytest.fixture
def connect(console: DemoController) -> Iterator[Connect]:
    with connections(console) as source:
        yield source


@pytest.fixture
def own_log() -> Iterator[None]:
    """The command line sets the log of the whole process up: put back what was there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
