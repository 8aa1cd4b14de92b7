"""From the controller's records to readings. Pure: the directions, units and clocks of UniFi end here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection as Many
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct

from exporter.model import Client, Collection, Count, CounterKey, Poll, Reading, Ssid, SubjectKey
from exporter.sources.unifi.payload import Station
from exporter.sources.unifi.settings import COLLECTIONS

REFRESH: Final = 63.0  # seconds; the slowest renewal ever seen is 63 (UniFi reference, §0 fact 9)
TEXT_LIMIT: Final = 256  # characters
MBIT: Final = 125_000.0  # bytes per second

# The fastest that each generation of IEEE 802.11 can be, in Mbit/s. The link's own momentary rate falls when a client
# idles and would make honest bytes look implausible.
PHY_MAXIMUM: Final = {
    "b": 11,
    "a": 54,
    "g": 54,
    "n": 600,
    "ng": 600,
    "na": 600,
    "ac": 6933,
    "ax": 9608,
    "be": 46120,
}
_WIRELESS_SPEED: Final = {proto: mbits * MBIT for proto, mbits in PHY_MAXIMUM.items()}
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_is_mac = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}").fullmatch


class SiteClients(Struct, frozen=True):
    """One site's clients as they came home. meter_at: the controller's clock; at: ours, at the same moment."""

    site: str
    stations: Sequence[Station]
    meter_at: float | None
    at: float


class Keys(NamedTuple):
    """What a client's records are known by.

    subjects: the client and its site's sum, where clients are collected. on_air: those and the wireless network that
    it was last seen in.
    """

    mac: str
    wired: CounterKey
    wireless: CounterKey
    subjects: tuple[SubjectKey, ...]
    on_air: tuple[SubjectKey, ...] = ()


class Readings:
    """Turns one source's records into polls. collect: what is to be told of clients, "clients", "ssids" or both.

    What a client moves on the air is also its wireless network's, the one that it is in when that is read.

    The keys of the clients of the last poll are kept, by site and MAC as the controller writes it: making and checking
    them anew costs as much as all the rest, and the ledger's memory can share them.
    """

    def __init__(self, exclude: frozenset[str] = frozenset(), collect: frozenset[str] = frozenset(COLLECTIONS)) -> None:
        self._exclude = frozenset(mac.lower() for mac in exclude)
        self._clients = "clients" in collect
        self._ssids = "ssids" in collect
        self._known: dict[str, dict[str, Keys]] = {}
        self._used: dict[str, dict[str, SubjectKey]] = {}  # the wireless networks with clients, by site and name

    def poll(
        self, sites: Sequence[SiteClients], *, identity: str | None = None, bad: Iterable[tuple[str, int]] = ()
    ) -> Poll:
        """What one poll brought home. `bad` is what was skipped before it came here, by reason."""
        readings: list[Reading] = []
        clients: list[Client] = []
        ssids: list[Ssid] = []
        skipped: Counter[str] = Counter()
        for reason, number in bad:
            skipped[reason] += number
        for site in sites:
            found, wrong = self._read(site, readings)
            if self._clients:
                clients.extend(found)
            if self._ssids:
                ssids.extend(self._networks(site.site, found))
            if wrong:
                skipped["mac"] += wrong
        return Poll(
            identity=identity,
            readings=tuple(readings),
            clients=tuple(clients),
            gear=tuple(ssids),
            complete={Collection("client", site.site): "" for site in sites},
            refresh=REFRESH,
            meter_at=min((site.meter_at for site in sites if site.meter_at is not None), default=None),
            bad_records=dict(skipped),
        )

    def _networks(self, site: str, clients: Iterable[Client]) -> Iterator[Ssid]:
        """How many clients each wireless network has. One that lost its last is told once more, with none."""
        numbers = Counter(client.ssid for client in clients if client.ssid)
        used = self._used[site]
        for name in used.keys() | numbers.keys():
            yield Ssid(site, name, numbers[name])
        self._used[site] = {name: key for name, key in used.items() if numbers[name]}

    def _read(self, here: SiteClients, readings: list[Reading]) -> tuple[Many[Client], int]:
        """Add a site's readings; return its clients, and how many records have no usable MAC."""
        ahead = 0.0 if here.meter_at is None else here.meter_at - here.at  # of the controller's clock before ours
        known = self._known.get(here.site, {})
        networks = self._used.setdefault(here.site, {})
        met: dict[str, Keys] = {}
        found: dict[str, Client] = {}
        wrong = 0
        for station in here.stations:
            keys = known.get(station.mac) or _keys(here.site, station.mac, clients=self._clients)
            if keys is None:
                wrong += 1
                continue
            if keys.mac in self._exclude:
                continue
            wired = is_wired(station)
            count = count_of(station, wired)
            subjects = keys.subjects
            if self._ssids and not wired and station.essid:
                name = label_value(station.essid)
                network = networks.get(name) or networks.setdefault(name, SubjectKey("ssid", here.site, name))
                if not keys.on_air or keys.on_air[-1] is not network:
                    keys = keys._replace(on_air=(*subjects, network))
                subjects = keys.on_air
            met[station.mac] = keys
            if count is not None and subjects:
                readings.append(
                    Reading(
                        keys.wired if wired else keys.wireless,
                        subjects,
                        count,
                        station.last_seen or 0.0,
                        station.first_seen or None,
                        speed_of(station, wired),
                        session="" if station.assoc_time is None else str(station.assoc_time),
                    )
                )
            client = _client(station, here.site, keys.mac, wired, ahead)
            # A MAC may be listed twice (moved from cable to air): the ledger wants both readings, a page one client.
            if keys.mac not in found or (client.last_seen or 0.0) > (found[keys.mac].last_seen or 0.0):
                found[keys.mac] = client
        self._known[here.site] = met
        return found.values(), wrong


@lru_cache(maxsize=1024)
def label_value(text: str) -> str:
    """A name that tells subjects apart, as the page will show it: what looks the same there is the same subject."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text[:TEXT_LIMIT])


def _keys(site: str, written: str, *, clients: bool) -> Keys | None:
    """The keys of a client, None where its MAC is none."""
    mac = written.lower()
    if not _is_mac(mac):
        return None
    return Keys(
        mac,
        CounterKey("client", site, mac + "|wired"),
        CounterKey("client", site, mac + "|wireless"),
        (SubjectKey("client", site, mac), SubjectKey("site", site, "")) if clients else (),
    )


def is_wired(station: Station) -> bool:
    """Whether the client is on a cable. Where the record does not say, its kind of counter tells."""
    return station.wired_tx_bytes is not None if station.is_wired is None else station.is_wired


def count_of(station: Station, wired: bool) -> Count | None:
    """The counter's raw values, None where the record does not have both directions.

    UniFi reference §3.1: on the air and on the cable alike, tx is toward the client (download) and rx from it.
    """
    if wired:
        down, up = station.wired_tx_bytes, station.wired_rx_bytes
        down_packets, up_packets = station.wired_tx_packets, station.wired_rx_packets
    else:
        down, up = station.tx_bytes, station.rx_bytes
        down_packets, up_packets = station.tx_packets, station.rx_packets
    if down is None or up is None:
        return None  # half a pair taken as 0 would look like a restart, or later like bytes that moved
    return Count(down, up, down_packets or 0, up_packets or 0)


def speed_of(station: Station, wired: bool) -> float | None:
    """Bytes per second that the link cannot exceed, None where that is not known."""
    if wired:
        return station.wired_rate_mbps * MBIT if station.wired_rate_mbps else None
    return _WIRELESS_SPEED.get(station.radio_proto.lower()) if station.radio_proto else None


def _client(station: Station, site: str, mac: str, wired: bool, ahead: float) -> Client:
    """What is known of a client. Text is capped in place: a call for each would be a third of a poll's time."""
    satisfaction = station.satisfaction
    if satisfaction is not None:
        satisfaction = satisfaction / 100 if 0 <= satisfaction <= 100 else None  # -1: not known
    return Client(
        site,
        mac,
        mac,
        (station.name or station.hostname or "")[:TEXT_LIMIT],
        vendor=(station.oui or "")[:TEXT_LIMIT],
        connection="wired" if wired else "wireless",
        network=(station.network or "")[:TEXT_LIMIT],
        ssid="" if wired else label_value(station.essid or ""),
        ap="" if wired else (station.ap_mac or "")[:TEXT_LIMIT].lower(),
        ip=(station.ip or "")[:TEXT_LIMIT],
        guest=station.is_guest is True,
        connected=True,
        last_seen=station.last_seen - ahead if station.last_seen else None,
        signal_dbm=None if wired else station.signal,
        satisfaction_ratio=satisfaction,
        reported_download=station.wired_tx_rate_now if wired else station.tx_rate_now,
        reported_upload=station.wired_rx_rate_now if wired else station.rx_rate_now,
    )
