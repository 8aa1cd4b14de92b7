from __future__ import annotations

import pytest

from exporter.demo.life import DAY, HOUSEHOLD, MAX_GUESTS, Life, household
from exporter.demo.network import Bytes, Network, Truth

MAC = "02:00:00:00:00:01"
CABLE = "02:00:00:00:00:02"
START = 1_700_000_000.0


@pytest.fixture
def network() -> Network:
    made = Network(start=START)
    made.add_client(MAC, "phone", raw=Bytes(1000, 100), age=DAY)
    made.add_client(CABLE, "nas", wired=True, raw=Bytes(5000, 500), age=DAY)
    return made


def raw(network: Network, mac: str) -> Bytes:
    """What the controller shows of a client's counters."""
    (record,) = [record for record in network.records() if record["mac"] == mac]
    link = "wired-" if record["is_wired"] else ""
    return Bytes(record[link + "tx_bytes"], record[link + "rx_bytes"])


def truth(network: Network, mac: str) -> Truth:
    (line,) = [line for line in network.truth() if line.mac == mac]
    return line


def test_bytes_that_move_are_shown_and_true(network: Network) -> None:
    network.records()
    network.move(MAC, 7, 3)
    network.move(CABLE, 1, 2)
    assert raw(network, MAC) == (1007, 103)
    assert raw(network, CABLE) == (5001, 502)
    assert truth(network, MAC).moved == (7, 3)


def test_what_moved_before_anybody_could_look_does_not_count(network: Network) -> None:
    network.move(MAC, 50, 5)
    assert truth(network, MAC).moved == (0, 0)
    network.records()
    network.move(MAC, 7, 3)
    assert truth(network, MAC).moved == (7, 3)


def test_a_client_born_before_our_eyes_counts_from_its_first_byte(network: Network) -> None:
    network.records()
    network.advance(START + 60)
    network.add_client("02:00:00:00:00:03")
    network.move("02:00:00:00:00:03", 9, 8)
    assert truth(network, "02:00:00:00:00:03").moved == (9, 8)
    assert network.records()[-1]["first_seen"] == START + 60


def test_a_reset_tells_nothing_but_the_fall(network: Network) -> None:
    before = network.client(MAC)
    network.reset(MAC)
    assert raw(network, MAC) == (0, 0)
    assert network.client(MAC).assoc_time == before.assoc_time
    network.reset(MAC, Bytes(5, 6))
    assert raw(network, MAC) == (5, 6)


def test_a_client_that_leaves_comes_back_in_a_new_session(network: Network) -> None:
    network.disconnect(MAC)
    network.move(MAC, 9, 9)
    assert [record["mac"] for record in network.records()] == [CABLE]
    network.advance(START + 100)
    network.connect(MAC)
    assert raw(network, MAC) == (0, 0)
    record = network.records()[0]
    assert (record["assoc_time"], record["first_seen"]) == (START + 100, START - DAY)


def test_roaming_keeps_session_and_counters(network: Network) -> None:
    before = network.client(MAC)
    network.roam(MAC)
    network.roam(CABLE)
    after = network.client(MAC)
    assert before.ap != after.ap
    assert (before.raw, before.assoc_time) == (after.raw, after.assoc_time)


def test_an_access_point_restarts_with_the_sessions_of_its_clients(network: Network) -> None:
    network.advance(START + 50)
    network.restart_ap(network.aps[1])
    assert raw(network, MAC) == (1000, 100)
    network.restart_ap(network.aps[0])
    assert raw(network, MAC) == (0, 0)
    assert raw(network, CABLE) == (5000, 500)
    assert network.client(MAC).assoc_time == START + 50


def test_a_controller_restarts_all_counters_and_is_away(network: Network) -> None:
    before = network.client(MAC).assoc_time
    network.restart_controller(away=30)
    assert (raw(network, MAC), raw(network, CABLE)) == ((0, 0), (0, 0))
    assert network.client(MAC).assoc_time == before
    assert network.away
    network.advance(START + 31)
    assert not network.away


def test_the_controllers_clock_may_be_wrong(network: Network) -> None:
    network.skew = 500
    network.advance(START + 10)
    network.connect(MAC)
    assert network.records()[0]["last_seen"] == START + 510
    assert network.meter_now == START + 510


def test_values_are_shown_at_the_refresh_only() -> None:
    network = Network(start=START, refresh=20, step=1)
    network.add_client(MAC, age=DAY)
    network.records()
    network.move(MAC, 400, 40)
    network.advance(START + 19)
    assert raw(network, MAC) == (0, 0)
    network.advance(START + 20)
    assert raw(network, MAC) == (400, 40)
    assert network.records()[0]["tx_bytes-r"] == 20
    assert truth(network, MAC) == Truth(MAC, "", True, Bytes(400, 40), Bytes(400, 40))


def test_time_never_goes_back(network: Network) -> None:
    network.advance(START + 50)
    network.advance(START + 10)
    assert network.now == START + 50


def test_the_same_seed_is_the_same_life_in_steps_of_any_size() -> None:
    at_once, often, other = household(start=START), household(start=START), household(2, start=START)
    at_once.advance(START + DAY / 4)
    for minute in range(1, 361):
        often.advance(START + minute * 60 - 0.5)
    often.advance(START + DAY / 4)
    other.advance(START + DAY / 4)
    assert at_once.records() == often.records()
    assert at_once.truth() == often.truth()
    assert at_once.records() != other.records()


def test_a_day_in_the_household() -> None:
    life = Life(7)
    network = Network(start=START, traffic=life, step=60)
    life.settle(network)
    network.records()
    seen: dict[str, list[Bytes]] = {}
    moved: dict[str, Bytes] = {}
    falls = births = absences = 0
    aps: dict[str, set[str]] = {}
    for minute in range(24 * 60):
        network.advance(START + minute * 60)
        for record in network.records():
            link = "wired-" if record["is_wired"] else ""
            shown = Bytes(record[link + "tx_bytes"], record[link + "rx_bytes"])
            before = seen.setdefault(record["mac"], [])
            falls += bool(before) and shown.down < before[-1].down
            before.append(shown)
            aps.setdefault(record["mac"], set()).add(record.get("ap_mac", ""))
            births += record["first_seen"] >= START and len(before) == 1
        for line in network.truth():
            past = moved.get(line.mac, Bytes())
            assert line.moved.down >= past.down
            assert line.moved.up >= past.up
            moved[line.mac] = line.moved
            absences += not line.connected
    assert falls > 10
    assert absences > 10
    assert births == MAX_GUESTS
    assert len(seen) == len(HOUSEHOLD) + MAX_GUESTS
    assert any(len(met) == 2 for met in aps.values())
    camera = next(line for line in network.truth() if line.name == "Front door camera")
    assert camera.moved.up > 10 * camera.moved.down
    tv = next(line for line in network.truth() if line.name == "Living room TV")
    assert tv.moved.down > 10 * tv.moved.up
