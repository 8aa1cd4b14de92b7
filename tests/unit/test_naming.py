"""What a client is called when nobody named it, and whose address is its own invention."""

from __future__ import annotations

import pytest

from exporter.model import Client
from exporter.naming import Person, person_of, vendor_of


def client(mac: str = "3c:22:fb:02:31:9f", *, name: str = "", vendor: str = "") -> Client:
    return Client("default", mac, mac, name=name, vendor=vendor)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"name": "Kitchen"}, "Kitchen"),
        ({"name": "  ", "vendor": "Apple"}, "Apple 02:31:9f"),
        ({"vendor": "Apple"}, "Apple 02:31:9f"),
        ({}, "3c:22:fb:02:31:9f"),
    ],
)
def test_the_best_name_there_is(facts: dict[str, str], name: str) -> None:
    assert person_of(client(**facts), {}).name == name


def test_the_configuration_goes_first_and_may_be_partial() -> None:
    people = {"3c:22:fb:02:31:9f": Person(owner="flat 3")}
    assert person_of(client(name="Kitchen"), people) == Person("Kitchen", "flat 3", "")


@pytest.mark.parametrize("first", ["02", "da", "ae", "f6"])
def test_an_address_that_a_device_made_up_is_flagged(first: str) -> None:
    assert vendor_of(client(f"{first}:22:fb:02:31:9f")) == "randomised"
    assert vendor_of(client(f"{first}:22:fb:02:31:9f", vendor="Apple")) == "Apple"
    assert person_of(client(f"{first}:22:fb:02:31:9f"), {}).name == "randomised 02:31:9f"


@pytest.mark.parametrize("first", ["00", "3c", "a8", "f4"])
def test_an_address_that_a_maker_gave_is_not(first: str) -> None:
    assert vendor_of(client(f"{first}:22:fb:02:31:9f")) == ""


def test_an_ip_in_the_place_of_an_address_is_not() -> None:
    assert vendor_of(Client("", "10.2.0.3")) == ""
