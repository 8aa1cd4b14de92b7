"""A controller with as many clients as wanted: the bytes of `stat/sta`, one document a poll."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import msgspec

INTERVAL: Final = 30.0
START: Final = 1_800_000_000
PROTOS: Final = ("ng", "ac", "ax", "be")

_encode = msgspec.json.Encoder().encode


class Controller:
    """One site. `moving` is the share of its clients whose counters grow from one document to the next."""

    def __init__(self, clients: int, moving: float, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self.moving = moving
        self._records = [_record(number, self._random) for number in range(clients)]
        self.at = float(START)

    def document(self) -> bytes:
        """What `stat/sta` answers one interval later."""
        self.at += INTERVAL
        order = self._random.sample(self._records, int(len(self._records) * self.moving))
        for record in self._records:
            record["last_seen"] = int(self.at)
            record["uptime"] += int(INTERVAL)
            record["tx_bytes-r" if "tx_bytes" in record else "wired-tx_bytes-r"] = 0.0
        for record in order:
            link = "" if "tx_bytes" in record else "wired-"
            down, up = self._random.randrange(1, 40_000_000), self._random.randrange(1, 4_000_000)
            record[f"{link}tx_bytes"] += down
            record[f"{link}rx_bytes"] += up
            record[f"{link}tx_packets"] += down // 1100 + 1
            record[f"{link}rx_packets"] += up // 400 + 1
            record[f"{link}tx_bytes-r"] = down / INTERVAL
            record[f"{link}rx_bytes-r"] = up / INTERVAL
            if not link:
                record["signal"] = -self._random.randrange(40, 80)
        return _encode({"meta": {"rc": "ok"}, "data": self._records})


@contextmanager
def documents(clients: int, moving: float, folder: Path) -> Iterator[Callable[[], tuple[bytes, float]]]:
    """Gives out documents, each with the controller's clock. They are made elsewhere: memory is measured here."""
    path = folder / "sta.json"
    with ProcessPoolExecutor(1, get_context("spawn"), _begin, (clients, moving)) as elsewhere:

        def next_document() -> tuple[bytes, float]:
            at = elsewhere.submit(_write, path).result()
            return path.read_bytes(), at

        yield next_document


_controllers: list[Controller] = []


def _begin(clients: int, moving: float) -> None:
    _controllers.append(Controller(clients, moving))


def _write(path: Path) -> float:
    controller = _controllers[0]
    path.write_bytes(controller.document())
    return controller.at


def mac(number: int, prefix: str = "02:5e") -> str:
    """The address of a client."""
    return prefix + "".join(f":{number >> shift & 255:02x}" for shift in (24, 16, 8, 0))


def _record(number: int, chance: random.Random) -> dict[str, Any]:
    """A record with the fields of Network 9 and its size, about 1.5 KB: most of them nobody here reads."""
    wired = number % 5 == 0
    link = "wired-" if wired else ""
    joined = START - chance.randrange(10, 5_000_000)
    ap = mac(number // 40, "02:a0")
    counts = {
        f"{link}tx_bytes": chance.randrange(10**6, 10**12),
        f"{link}rx_bytes": chance.randrange(10**5, 10**11),
        f"{link}tx_packets": chance.randrange(10**3, 10**9),
        f"{link}rx_packets": chance.randrange(10**3, 10**9),
        f"{link}tx_bytes-r": 0.0,
        f"{link}rx_bytes-r": 0.0,
    }
    return (
        {
            "_id": f"{number:024x}",
            "site_id": "5c98a1f2e4b0d1a2b3c4d5e6",
            "mac": mac(number),
            "assoc_time": joined,
            "latest_assoc_time": joined + 5,
            "oui": "Apple, Inc.",
            "user_id": f"{number:024x}",
            "first_seen": joined - 86_400,
            "last_seen": START,
            "is_guest": number % 7 == 0,
            "is_wired": wired,
            "name": f"Client {number} of the house",
            "hostname": f"client-{number}",
            "disconnect_timestamp": joined - 60,
            "fingerprint_source": 0,
            "dev_cat": 44,
            "dev_family": 9,
            "dev_vendor": 7,
            "dev_id": 3904,
            "os_name": 24,
            "last_ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "network": "LAN",
            "network_id": "5c98a1f2e4b0d1a2b3c4d5e7",
            "last_connection_network_name": "LAN",
            "last_connection_network_id": "5c98a1f2e4b0d1a2b3c4d5e7",
            "last_uplink_mac": ap,
            "last_uplink_name": f"Floor {number // 40}",
            "last_uplink_remote_port": number % 48,
            "_uptime_by_ugw": 76_543,
            "_last_seen_by_ugw": START,
            "_is_guest_by_ugw": False,
            "uptime": START - joined,
            "idletime": 4,
            "authorized": True,
            "qos_policy_applied": True,
            "noted": False,
            "usergroup_id": "",
            "note": "",
            "satisfaction": 60 + number % 41,
            "anomalies": 0,
            "hostname_source": "",
        }
        | (_on_a_cable(number) if wired else _on_the_air(number, ap, chance))
        | counts
    )


def _on_a_cable(number: int) -> dict[str, Any]:
    return {
        "_uptime_by_usw": 76_543,
        "_last_seen_by_usw": START,
        "sw_mac": mac(number // 48, "02:b0"),
        "sw_depth": 1,
        "sw_port": number % 48,
        "wired_rate_mbps": 1000,
        "gw_mac": "02:c0:00:00:00:01",
    }


def _on_the_air(number: int, ap: str, chance: random.Random) -> dict[str, Any]:
    return {
        "_uptime_by_uap": 3_210,
        "_last_seen_by_uap": START,
        "_is_guest_by_uap": False,
        "ap_mac": ap,
        "essid": "House",
        "bssid": ap,
        "channel": 44,
        "channel_width": 80,
        "radio": "na",
        "radio_name": "wifi1",
        "radio_proto": PROTOS[number % len(PROTOS)],
        "rssi": 42,
        "noise": -104,
        "signal": -chance.randrange(40, 80),
        "nss": 2,
        "tx_rate": 866_700,
        "rx_rate": 780_000,
        "tx_power": 40,
        "tx_retries": 10_234,
        "wifi_tx_attempts": 4_120_233,
        "wifi_tx_dropped": 12,
        "ccq": 0,
        "dhcpend_time": 160,
        "roam_count": 3,
        "is_11r": False,
        "powersave_enabled": False,
        "satisfaction_real": 98,
        "satisfaction_now": 98,
        "satisfaction_avg": {"count": 1_000, "total": 98_000},
    }
